"""Here: a trained network as a LiteRT file, and Keras's own scores to hold it against. Not here: serving it."""

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.learning.framework import keras_at_work
from ecg_tasks.learning.keras_file import load_network, score_windows


def export_litert(keras_bytes: bytes) -> bytes:
    """Convert a ``.keras`` file to LiteRT: float32 weights, nothing quantized, any number of pictures at a time."""
    model = load_network(keras_bytes)
    with tempfile.TemporaryDirectory() as folder, keras_at_work():
        path = Path(folder) / "model.tflite"
        model.export(path, format="litert", verbose=False)
        return path.read_bytes()


def keras_scores(keras_bytes: bytes, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """P(abnormal) of pictures, shape (n,), as Keras itself gives it: what every other runtime must reproduce."""
    return score_windows(load_network(keras_bytes), images)
