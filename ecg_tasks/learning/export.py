"""Here: a trained network as a LiteRT file, and Keras's own scores to hold it against. Not here: serving it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.learning.framework import import_keras, keras_at_work
from ecg_tasks.learning.keras_file import load_network, score_windows

CHECKOUT = Path(__file__).resolve().parents[2]


def export_litert(keras_bytes: bytes) -> bytes:
    """Convert a ``.keras`` file to LiteRT: float32 weights, nothing quantized, any number of pictures at a time.

    The converter is TensorFlow's. Where Keras runs on another backend, a separate process with TensorFlow converts the file.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "model.keras", Path(folder) / "model.tflite"
        source.write_bytes(keras_bytes)
        if import_keras().backend.backend() == "tensorflow":
            _convert(source, target)
        else:
            variables = os.environ | {"KERAS_BACKEND": "tensorflow", "PYTHONPATH": str(CHECKOUT)}
            command = [sys.executable, "-P", "-m", "ecg_tasks.learning.export", str(source), str(target)]
            subprocess.run(command, env=variables, check=True, capture_output=True)  # noqa: S603 - our own module, no shell
        return target.read_bytes()


def keras_scores(keras_bytes: bytes, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what Keras itself says of pictures, as `score_windows` does: what every other runtime must reproduce."""
    return score_windows(load_network(keras_bytes), images)


def _convert(source: Path, target: Path) -> None:
    import tensorflow as tf

    model = load_network(source.read_bytes())
    with keras_at_work():
        pictures = tf.TensorSpec([None, *model.inputs[0].shape[1:]], model.inputs[0].dtype)
        # the function alone: Keras's own export also writes every layer as a saved model, and takes four times as long
        served = tf.Module()
        served.weights = [variable.value for variable in model.variables]
        served.score = tf.function(lambda images: model(images, training=False), input_signature=[pictures], autograph=False)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([served.score.get_concrete_function()], served)
        target.write_bytes(converter.convert())


if __name__ == "__main__":
    _convert(Path(sys.argv[1]), Path(sys.argv[2]))
