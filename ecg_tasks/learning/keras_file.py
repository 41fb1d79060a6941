"""Here: networks to and from the bytes of a ``.keras`` file, and their scores in Keras. Not here: training or serving them."""

import io
import json
import re
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.learning.framework import keras_at_work
from ecg_tasks.learning.networks import ImageShape, join_members

MAX_BATCH = 256
"""Pictures that are scored at a time."""
MAX_BATCH_VALUES = 2**20
"""Values in the pictures of one batch: large pictures go fewer at a time, so that memory stays bounded."""
SHARED_BY = 8
"""A batch is a multiple of it, so that it can be shared out evenly among processors."""

_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_SHARED_OBJECT = re.compile(rb'("shared_object_id":\s*)(\d+)')
"""Keras identifies objects that layers share by their addresses in memory, which differ in each process."""


def save_network(network: str, image_shape: ImageShape, weights: Sequence[Sequence[NDArray[Any]]], *, n_outputs: int = 1) -> bytes:
    """Write a ``.keras`` file (a zip archive) that depends on nothing but the network and its weights: no clock, no optimizer, no process.

    Parameters
    ----------
    weights : for each member, what ``get_weights`` of its network gave
    """
    model = join_members(network, image_shape, weights, n_outputs=n_outputs)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        written = path.read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(written)) as source, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name in sorted(source.namelist()):
            content = source.read(name)
            if name == "metadata.json":
                metadata = json.loads(content)
                metadata.pop("date_saved", None)
                content = json.dumps(metadata, sort_keys=True).encode()
            elif name == "config.json":
                content = _numbered(content)
            target.writestr(zipfile.ZipInfo(name, _ZIP_DATE), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _numbered(config: bytes) -> bytes:
    """Return a network's description with shared objects numbered in the order in which they stand there."""
    numbers: dict[bytes, int] = {}
    return _SHARED_OBJECT.sub(lambda found: b"%s%d" % (found[1], numbers.setdefault(found[2], 1 + len(numbers))), config)


def load_network(keras_bytes: bytes) -> Any:
    """Load a ``keras.Model`` from the bytes of a ``.keras`` file; a file that would run code when read is refused by Keras."""
    with tempfile.TemporaryDirectory() as folder, keras_at_work() as keras:
        path = Path(folder) / "model.keras"
        path.write_bytes(keras_bytes)
        return keras.saving.load_model(path, compile=False, safe_mode=True)


def score_windows(model: Any, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Score pictures by a ``keras.Model``, in batches of one size (the last is filled up with zeros).

    Returns
    -------
    ndarray, shape (n,), P(abnormal), of a network with this output alone; else shape (n, n_outputs), P(abnormal) in column 0
    """
    size = max(1, min(MAX_BATCH, MAX_BATCH_VALUES // int(np.prod(images.shape[1:]))))
    size = -(-size // SHARED_BY) * SHARED_BY
    scores = np.empty((len(images), model.outputs[0].shape[1]), np.float32)
    for start in range(0, len(images), size):
        chunk = images[start : start + size]
        filled = np.concatenate([chunk, np.zeros((size - len(chunk), *images.shape[1:]), np.uint8)])
        scores[start : start + size] = np.asarray(model.predict_on_batch(filled))[: len(chunk)]
    return scores if scores.shape[1] > 1 else scores[:, 0]
