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

MIXED_PRECISION = "mixed_bfloat16"
"""It has the range of float32, so that no gradient vanishes and losses need no scaling."""


@cache
def import_keras() -> Any:
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
    """Return Keras, with the one warning silenced that it gives for each weight it copies out of TensorFlow under NumPy 2."""
    keras = import_keras()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="__array__ implementation doesn't accept a copy keyword", category=DeprecationWarning)
        yield keras


def accelerators() -> list[str]:
    """Return graphics processors that the backend sees, as Keras names them: ``gpu:0`` and so on."""
    keras = import_keras()
    try:
        return list(keras.distribution.list_devices("gpu"))
    except RuntimeError:  # JAX's way of saying that there is none
        return []


@contextmanager
def on_all_devices() -> Iterator[str]:
    """Compute in 16 bits where there are graphics processors (weights stay in 32), and share batches out among several of them.

    Without one nothing is changed: on processors 16 bits are slower. Keras shares batches out on the JAX backend only; on
    TensorFlow the first graphics processor does all the work. Returns the devices, for the log.
    """
    keras = import_keras()
    devices = accelerators()
    if not devices:
        yield "the processor, float32"
        return
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(MIXED_PRECISION)
    try:
        if len(devices) > 1 and keras.backend.backend() == "jax":
            shared_out = keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
            with shared_out.scope():
                yield f"{len(devices)} devices, {MIXED_PRECISION}"
        else:
            yield f"{devices[0]}, {MIXED_PRECISION}"
    finally:
        keras.config.set_dtype_policy(before)


def training_environment() -> dict[str, str]:
    """Return what a training runs on, for the model's record: versions, backend, processors."""
    keras = import_keras()
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
