"""Here: the picture that matplotlib writes of a spectrogram, pixel for pixel, without drawing a figure. Not here: any other picture.

It is the picture of ``plt.imshow(level_db, cmap="magma", origin="lower", aspect="auto")`` in a figure of the default size, axes
off, saved with ``bbox_inches="tight"``, ``pad_inches=0``, ``dpi=100``. Tests hold it against matplotlib 3.11.2.

The axes are 496 × 369.6 pixels, of which 369 rows are saved. Where a cell of the spectrogram is larger than 3 pixels each way,
which a beat's always is, matplotlib takes for each pixel the cell below its centre: two index maps do the same. Smaller cells
are smoothed, and that is left to matplotlib's own resampler.
"""

import base64
import zlib
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import SignalError
from ecg_tasks.signals.pictures import MAX_COLOURS, encode_cells, encode_indexed, encode_rgb

HEIGHT, WIDTH = 369, 496
"""Pixels of the saved picture."""
_AXES_HEIGHT = 369.6
"""Height of the axes in pixels: 4.8 in × 100 dpi × (0.88 - 0.11), matplotlib's default margins."""
_AXES_BOTTOM = -7.105427357601002e-15
"""Where rounding in matplotlib's layout leaves the lower edge of the axes, in pixels."""
_SMOOTHED_BELOW = 3
"""Cells of fewer pixels than this are smoothed by ``interpolation="auto"``; a whole number of cells never fits it exactly."""

_N_COLOURS = 256
_BAD = _N_COLOURS
"""Colour of a level that is not finite: transparent, and so the white of the figure below."""
_MAGMA_STEPS = (
    "c-n1J2@b#@2!r|mH#6m~BBeAgAP$L$5BQ+3&q=YZ5Y9l8=mCoivZbpzoUA)-)6Jo71fnmQwPa43o&%>;MY+<MdRE1dS%zt_TjmJpnt~0$evrCR"
    "i_Z>(he0lGW%gRh>tIFjE$bn=t6Q{DOe2sA?h>RHbf6BxK3YPa0OM+J);wM<zTErzd;Ql;Ew="
)
"""From each colour to the next, for red, green and blue, modulo 256: zlib in base 85."""
MAGMA: NDArray[np.uint8] = np.ascontiguousarray(
    np.frombuffer(zlib.decompress(base64.b85decode(_MAGMA_STEPS)), np.uint8).reshape(3, _N_COLOURS).cumsum(axis=1, dtype=np.uint8).T
)
"""matplotlib's colour map of that name, shape (256, 3), RGB."""
_PALETTE = np.vstack([MAGMA, np.full((1, 3), 255, np.uint8)])


def encode_imshow(level_db: NDArray[np.float64]) -> list[bytes]:
    """Return one PNG a spectrogram, each coloured over its own range of finite levels.

    Parameters
    ----------
    level_db : ndarray, shape (n, n_freqs, n_frames), float64, dB
        The lowest frequency first. What is not finite, as the level of an exact zero, becomes white.

    Returns
    -------
    n PNG files of 369 × 496 pixels, RGB when decoded
    """
    if level_db.ndim != 3 or level_db.dtype != np.float64 or 0 in level_db.shape[1:]:  # noqa: PLR2004  three axes, as documented
        raise SignalError(f"levels are {level_db.dtype} of shape {level_db.shape}; they must be float64 of shape (n, n_freqs, n_frames)")
    n, n_rows, n_columns = level_db.shape
    colours = _colours(level_db)
    if min(WIDTH / n_columns, _AXES_HEIGHT / n_rows) < _SMOOTHED_BELOW:
        return [encode_rgb(_smoothed(picture)) for picture in colours]
    # the pixel's centre, in cells from the lower left corner; on an edge the cell above, and the one to the left
    row = np.floor((np.arange(HEIGHT)[::-1] + 0.5) * n_rows / _AXES_HEIGHT).astype(np.intp)
    column = np.ceil((np.arange(WIDTH) + 0.5) * n_columns / WIDTH).astype(np.intp) - 1
    if n_rows * n_columns <= MAX_COLOURS:  # the same pixels in every picture, only the colour of each cell differs
        return encode_indexed(
            (row[:, None] * n_columns + column).astype(np.uint8), palettes=_PALETTE[colours.reshape(n, n_rows * n_columns)]
        )
    white = colours.max(axis=(1, 2)) == _BAD  # one colour too many for a palette
    indexed = iter(encode_cells(colours[~white].astype(np.uint8), row=row, column=column, palette=MAGMA))
    return [
        encode_rgb(_PALETTE[picture].take(column, axis=1).take(row, axis=0)) if has_white else next(indexed)
        for picture, has_white in zip(colours, white, strict=True)
    ]


def _colours(level_db: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the index of each cell's colour in the palette, over the range of finite levels in each picture; same shape."""
    finite = np.isfinite(level_db)
    low = level_db.min(axis=(1, 2), keepdims=True, where=finite, initial=np.inf)
    high = level_db.max(axis=(1, 2), keepdims=True, where=finite, initial=-np.inf)
    scaled = np.zeros_like(level_db)
    varies = finite & (high > low)  # a picture of one level has the lowest colour everywhere
    np.subtract(level_db, low, out=scaled, where=varies)
    np.divide(scaled, high - low, out=scaled, where=varies)
    colours = np.minimum(scaled * _N_COLOURS, _N_COLOURS - 1).astype(np.intp)
    colours[~finite] = _BAD
    return colours


def _smoothed(colours: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Return pixels of a picture of many small cells, shape (369, 496, 3): matplotlib's own resampler without its figure."""
    import matplotlib as mpl
    from matplotlib.transforms import Affine2D

    resampler: Any = import_module("matplotlib._image")

    n_rows, n_columns = colours.shape
    palette = np.vstack([mpl.colormaps["magma"](np.arange(_N_COLOURS)), np.zeros((1, 4))])  # bad is transparent
    cells = palette[colours]
    scale_x, scale_y = WIDTH / n_columns, _AXES_HEIGHT / n_rows
    transform, interpolation = Affine2D().scale(scale_x, scale_y).translate(0, _AXES_BOTTOM), resampler.HANNING
    if all(scale > _SMOOTHED_BELOW or scale in {1, 2} for scale in (scale_x, scale_y)):
        mirrored = Affine2D().translate(-n_columns, 0).scale(-1, 1).scale(scale_x, scale_y).translate(0, _AXES_BOTTOM)
        cells, transform, interpolation = np.ascontiguousarray(cells[:, ::-1]), mirrored, resampler.NEAREST
    drawn = np.zeros((HEIGHT + 1, WIDTH, 4))
    resampler.resample(cells, drawn, transform, interpolation, resample=True, alpha=1, norm=True, radius=4.0)
    alpha = drawn[..., 3:].copy()
    drawn[..., :3] /= np.where(alpha == 0, 1, alpha)
    return _over_white((drawn * 255).astype(np.uint8)[HEIGHT - 1 :: -1])


def _over_white(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blend a picture over white as Agg's ``fixed_blender_rgba_plain`` does, in its integers; (height, width, 4) to (height, width, 3)."""
    colour, alpha = rgba[..., :3].astype(np.int64), rgba[..., 3:].astype(np.int64)
    white = 255 * 255
    covered = ((alpha + 255) << 8) - alpha * 255
    return ((((colour << 8) - white) * alpha + (white << 8)) // covered).astype(np.uint8)
