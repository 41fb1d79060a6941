"""Here: grids of levels as pictures inside a drawing, and where their cells end. Not here: axes around them (``spectrogram``)."""

import base64

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.reporting.svg import number
from ecg_tasks.signals.imshow import MAGMA
from ecg_tasks.signals.pictures import encode_indexed


def image(levels: NDArray[np.uint8], x: float, y: float, width: float, height: float, *, palette: NDArray[np.uint8] = MAGMA) -> str:
    """Draw levels (n_rows, n_columns), first row lowest, in the colours of a palette, as a PNG stretched over a box."""
    png = encode_indexed(levels[::-1], palettes=palette[np.newaxis])[0]
    return (
        f'<image x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}" preserveAspectRatio="none"'
        f' href="data:image/png;base64,{base64.b64encode(png).decode()}"/>'
    )


def grey_image(levels: NDArray[np.uint8], x: float, y: float, width: float, height: float) -> str:
    """Draw levels (n_rows, n_columns), first row lowest, in greys, stretched over a box: a background for colours laid over it."""
    greys = np.repeat(np.linspace(250, 90, 256).astype(np.uint8)[:, np.newaxis], 3, axis=1)
    return image(levels, x, y, width, height, palette=greys)


def edges(centres: NDArray[np.floating]) -> tuple[float, float]:
    """Return where the first cell begins and the last one ends; a single frame reaches from 0 to twice its centre."""
    if len(centres) == 1:
        return (0.0, 2.0 * float(centres[0])) if centres[0] > 0 else (-0.5, 0.5)
    half = float(centres[1] - centres[0]) / 2
    return float(centres[0]) - half, float(centres[-1]) + half
