"""Here: training with Keras and TensorFlow, and serving with LiteRT. Not here: the gate (``evaluation``)."""
