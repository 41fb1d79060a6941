"""Here: bringing Keras up, quiet and repeatable, and saying what it runs on. Not here: networks or training.

Every import of Keras or of its backend goes through this module; serving never calls it.
"""

import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

_DISTRIBUTIONS = {"tensorflow": ("tensorflow", "tensorflow-cpu")}


@cache
def bring_up_keras() -> Any:
    """Import Keras on the backend that ``KERAS_BACKEND`` names (TensorFlow if it names none), once in a process.

    On TensorFlow, operations are made deterministic: without it, the order in which threads add up gradients changes
    the last bits of a training from run to run.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # 2: errors only; set by the caller, it wins
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    return keras


@contextmanager
def keras_at_work() -> Iterator[Any]:
    """Keras, with the one warning silenced that it gives for each weight it copies out of TensorFlow under NumPy 2."""
    keras = bring_up_keras()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="__array__ implementation doesn't accept a copy keyword", category=DeprecationWarning)
        yield keras


def training_environment() -> dict[str, str]:
    """What a training runs on, for the model's record: versions, backend, processors."""
    keras = bring_up_keras()
    backend = str(keras.backend.backend())
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "keras": str(keras.__version__),
        "backend": f"{backend} {_installed(backend)}",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
    }


def _installed(backend: str) -> str:
    for name in _DISTRIBUTIONS.get(backend, (backend,)):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "of unknown version"
