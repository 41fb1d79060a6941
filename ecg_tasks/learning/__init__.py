"""The only home of Keras and TensorFlow (training) and of LiteRT (serving)."""
