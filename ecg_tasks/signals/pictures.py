"""Here: pixels to PNG bytes and back. Not here: which pixels a window gets (``rendering``)."""

import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import SignalError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COMPRESSION = 1
"""zlib's fastest: these pictures are small, and written far more often than they are sent anywhere."""
_FILTER_UP = 2
"""PNG's name for rows that are stored as the difference to the row above: rows that repeat become zeros."""


def encode_grey(pixels: NDArray[np.uint8]) -> list[bytes]:
    """One 8-bit grey PNG a picture.

    Parameters
    ----------
    pixels : ndarray, shape (n, height, width), uint8, first row on top
    """
    n, height, width = pixels.shape
    rows = np.empty((n, height, 1 + width), np.uint8)
    rows[:, :, 0] = _FILTER_UP
    rows[:, 0, 1:] = pixels[:, 0]
    np.subtract(pixels[:, 1:], pixels[:, :-1], out=rows[:, 1:, 1:])
    head = _SIGNATURE + _header(width=width, height=height, colour_type=0)
    end = _chunk(b"IEND", b"")
    return [head + _chunk(b"IDAT", zlib.compress(picture, _COMPRESSION)) + end for picture in rows]


def decode_grey(pngs: Sequence[bytes], *, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Pixels of grey PNGs of one shape (height, width), as (n, height, width), uint8.

    Raises
    ------
    SignalError
        If one of them is no PNG, or of another shape.
    """
    import cv2

    return _decode(pngs, shape=shape, flags=cv2.IMREAD_GRAYSCALE)


def _decode(pngs: Sequence[bytes], *, shape: tuple[int, ...], flags: int) -> NDArray[np.uint8]:
    import cv2

    pixels = np.empty((len(pngs), *shape), np.uint8)
    for index, png in enumerate(pngs):
        decoded = cv2.imdecode(np.frombuffer(png, np.uint8), flags) if png else None
        if decoded is None or decoded.shape != shape:
            found = "no picture" if decoded is None else f"a picture of shape {decoded.shape}"
            raise SignalError(f"picture {index} of {len(pngs)} is {found}; it must be a PNG of shape {shape}")
        pixels[index] = decoded
    return pixels


def _header(*, width: int, height: int, colour_type: int) -> bytes:
    return _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))
