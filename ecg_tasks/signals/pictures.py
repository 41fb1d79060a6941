"""Here: pixels to PNG bytes and back. Not here: which pixels a window gets (``rendering``)."""

import struct
import zlib
from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import SignalError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COMPRESSION = 1
"""zlib's fastest: these pictures are small, and written far more often than they are sent anywhere."""
_FILTER_UP = 2
"""PNG's name for rows that are stored as the difference to the row above: rows that repeat become zeros."""


MAX_COLOURS = 256
"""Entries that the palette of an 8-bit PNG can hold."""


class _ColourType(IntEnum):
    """What PNG's header calls the meaning of a pixel."""

    GREY = 0
    RGB = 2
    INDEXED = 3


def encode_grey(pixels: NDArray[np.uint8]) -> list[bytes]:
    """Encode each picture as an 8-bit grey PNG.

    Parameters
    ----------
    pixels : ndarray, shape (n, height, width), uint8, the first row on top
    """
    _, height, width = pixels.shape
    head = _SIGNATURE + _header(height, width, _ColourType.GREY)
    return [head + _chunk(b"IDAT", zlib.compress(rows.data, _COMPRESSION)) + _END for rows in _filtered(pixels)]


def encode_rgb(pixels: NDArray[np.uint8]) -> bytes:
    """Encode pixels of shape (height, width, 3), uint8, as an RGB PNG."""
    height, width, n_channels = pixels.shape
    rows = _filtered(pixels.reshape(1, height, width * n_channels))
    return _SIGNATURE + _header(height, width, _ColourType.RGB) + _chunk(b"IDAT", zlib.compress(rows.data, _COMPRESSION)) + _END


def encode_indexed(pixels: NDArray[np.uint8], *, palettes: NDArray[np.uint8]) -> list[bytes]:
    """Encode PNGs that differ only in their colours: the pixels are compressed once for all of them.

    Parameters
    ----------
    pixels : ndarray, shape (height, width), uint8, index into the palette
    palettes : ndarray, shape (n, n_colours, 3), uint8, RGB; at most 256 colours
    """
    height, width = pixels.shape
    head = _SIGNATURE + _header(height, width, _ColourType.INDEXED)
    tail = _chunk(b"IDAT", zlib.compress(_filtered(pixels[None]).data, _COMPRESSION)) + _END
    return [head + _chunk(b"PLTE", palette.tobytes()) + tail for palette in palettes]


def encode_cells(cells: NDArray[np.uint8], *, row: NDArray[np.intp], column: NDArray[np.intp], palette: NDArray[np.uint8]) -> list[bytes]:
    """Encode PNGs of cells drawn as rectangles: the pixel of picture i at (y, x) is ``cells[i, row[y], column[x]]``.

    The pixels themselves are never made, only the rows of a PNG that differ from the row above. What is left is compressing, by zlib-ng:
    four times as fast as zlib. Its bytes, not the pixels, may differ between processors, so nothing that is stored is made by it.

    Parameters
    ----------
    cells : ndarray, shape (n, n_rows, n_columns), uint8, index into the palette
    row : shape (height,), the cells' row of each row of pixels; equal ones stand together
    column : shape (width,), the cells' column of each column of pixels
    palette : ndarray, shape (n_colours, 3), uint8, RGB; at most 256 colours
    """
    from zlib_ng import zlib_ng

    height, width = len(row), len(column)
    head = _SIGNATURE + _header(height, width, _ColourType.INDEXED) + _chunk(b"PLTE", palette.tobytes())
    differs = np.flatnonzero(np.diff(row, prepend=-1))
    rows = np.zeros((height, 1 + width), np.uint8)  # one for all pictures: the same rows of it are zero in each
    rows[:, 0] = _FILTER_UP
    pngs = []
    for picture in cells:
        steps = picture[row[differs]]
        steps[1:] -= picture[row[differs[:-1]]]
        rows[differs, 1:] = steps.take(column, axis=1)
        pngs.append(head + _chunk(b"IDAT", zlib_ng.compress(rows.data, _COMPRESSION)) + _END)
    return pngs


def decode_rgb(pngs: Sequence[bytes], *, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Decode PNGs of one size, of ``shape`` (height, width), as RGB of shape (n, height, width, 3), uint8.

    Raises
    ------
    SignalError
        If one of them is no PNG, or of another size.
    """
    import cv2

    return _decode(pngs, shape=(*shape, 3), flags=cv2.IMREAD_COLOR_RGB)


def decode_grey(pngs: Sequence[bytes], *, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Decode grey PNGs of one size, of ``shape`` (height, width), as (n, height, width), uint8.

    Raises
    ------
    SignalError
        If one of them is no PNG, or of another size.
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


def _filtered(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return rows of bytes (n, height, row_bytes) as PNG compresses them: each is the difference to the row above, after its filter."""
    rows = np.empty((*pixels.shape[:2], 1 + pixels.shape[2]), np.uint8)
    rows[:, :, 0] = _FILTER_UP
    rows[:, 0, 1:] = pixels[:, 0]
    np.subtract(pixels[:, 1:], pixels[:, :-1], out=rows[:, 1:, 1:])
    return rows


def _header(height: int, width: int, colour_type: _ColourType) -> bytes:
    return _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))


_END = _chunk(b"IEND", b"")
