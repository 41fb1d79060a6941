"""Here: spectrograms with their axes and colour bar. Not here: computing them."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from ecg_tasks.reporting.attribution import Attribution, shading
from ecg_tasks.reporting.model import SpectrogramView
from ecg_tasks.reporting.raster import edges, image
from ecg_tasks.reporting.svg import figure, line, number, rect, text, ticks
from ecg_tasks.signals.imshow import MAGMA
from ecg_tasks.signals.rendering import PictureAxes

CLINICAL_COLUMNS = 4
"""Twelve leads stand as on a clinical print: limb leads in the first two columns, chest leads in the last two."""

_LEFT, _TOP, _RIGHT, _BOTTOM = 52.0, 26.0, 92.0, 44.0
_GAP_X, _GAP_Y = 16.0, 32.0
_WIDTH = 1040.0
_STRIP = 9.0
_LUMA = np.array([0.299, 0.587, 0.114])
_BRIGHTNESS = np.maximum.accumulate(MAGMA @ _LUMA)
"""How bright each colour of magma is: it rises along the map, so that brightness gives a colour's place back."""


def draw_spectrograms(views: Sequence[SpectrogramView], *, attribution: Attribution | None = None) -> Markup:
    """Draw one or several spectrograms side by side: frequency in Hz upwards, time in s to the right, one colour bar in dB.

    Twelve views are laid out as on a clinical print, column by column; any other number fills rows of at most four.

    Parameters
    ----------
    views : at least one; all with the same ``db_range``
    attribution : what each lead supports, drawn as a strip along the top of the lead's spectrogram
    """
    n_columns = min(len(views), CLINICAL_COLUMNS)
    n_rows = -(-len(views) // n_columns)
    clinical = len(views) == 3 * CLINICAL_COLUMNS
    plot_width = _WIDTH - _LEFT - _RIGHT
    width = (plot_width - (n_columns - 1) * _GAP_X) / n_columns
    height = {1: 300.0, 2: 200.0}.get(n_columns, 118.0)
    parts = []
    for index, view in enumerate(views):
        column, row = (index // n_rows, index % n_rows) if clinical else (index % n_columns, index // n_columns)
        x, y = _LEFT + column * (width + _GAP_X), _TOP + row * (height + _GAP_Y)
        last_row = row == n_rows - 1 or (not clinical and index + n_columns >= len(views))
        parts.append(_panel(view, x, y, width, height, label_hz=column == 0, label_s=last_row))
        if attribution is not None and view.title in attribution.leads:
            parts.append(_strip(attribution, view.title, x, y, width))
    plot_height = n_rows * height + (n_rows - 1) * _GAP_Y
    parts.append(text(14, _TOP + plot_height / 2, "frequency, Hz", kind="axis", anchor="middle", turn=-90))
    parts.append(text(_LEFT + plot_width / 2, _TOP + plot_height + 38, "time, s", kind="axis", anchor="middle"))
    parts.append(_colour_bar(views[0].db_range, x=_WIDTH - _RIGHT + 26, y=_TOP, height=plot_height))
    title = f"Spectrogram of {', '.join(view.title for view in views)}; frequency in Hz, time in s, level in dB"
    return figure("".join(parts), width=_WIDTH, height=_TOP + plot_height + _BOTTOM, title=title, kind="plot")


def has_masked_frames(views: Sequence[SpectrogramView]) -> bool:
    """Return whether any frame of any view is at the lowest level throughout, as the padding after a beat is."""
    return any(bool((_levels(view) == 0).all(axis=0).any()) for view in views)


def views_of_picture(picture: NDArray[np.uint8], *, axes: PictureAxes, title: str = "") -> list[SpectrogramView]:
    """Return what the network saw of one window: a view a channel that shows a level, or one view of a coloured picture.

    Parameters
    ----------
    picture : ndarray, shape (height, width, n_channels), as ``Recipe.decode`` gives it, first row on top
    axes : ``Recipe.axes()``; without a level range the picture is RGB in the colours of magma over its own range
    title : instead of the channel's name, where there is one view only
    """
    db_range = None if axes.low_db is None or axes.high_db is None else (axes.low_db, axes.high_db)
    titles, levels = axes.channels, list(np.moveaxis(picture, 2, 0)[: len(axes.channels)])
    if db_range is None:
        titles, levels = ("window",), [np.searchsorted(_BRIGHTNESS, picture @ _LUMA).clip(0, 255).astype(np.uint8)]
    height, width = picture.shape[:2]
    freqs, times = stretched(axes.freqs, height), stretched(axes.times, width)
    return [
        SpectrogramView(
            title=(title if title and len(titles) == 1 else name), values=level[::-1], freqs_hz=freqs, times_s=times, db_range=db_range
        )
        for name, level in zip(titles, levels, strict=True)
    ]


def stretched(centres: NDArray[np.floating], n_cells: int) -> NDArray[np.floating]:
    """Return centres of the cells of a picture that shows the same span in another number of cells."""
    if len(centres) == n_cells:
        return centres
    low, high = edges(centres)
    return np.asarray(low + (np.arange(n_cells) + 0.5) * (high - low) / n_cells)


def _panel(view: SpectrogramView, x: float, y: float, width: float, height: float, *, label_hz: bool, label_s: bool) -> str:
    low_hz, high_hz = edges(view.freqs_hz)
    low_s, high_s = edges(view.times_s)
    parts = [
        text(x, y - 7, view.title, kind="lead"),
        image(_levels(view), x, y, width, height),
        rect(x, y, width, height, kind="frame"),
    ]
    for hz in ticks(max(0.0, low_hz), high_hz, at_most=4):
        at = y + (high_hz - hz) / (high_hz - low_hz) * height
        parts.append(line(x - 4, at, x, at, kind="tick"))
        if label_hz:
            parts.append(text(x - 8, at + 4, number(hz), kind="axis", anchor="end"))
    for second in ticks(max(0.0, low_s), high_s, at_most=min(10, int(width / 32))):
        at = x + (second - low_s) / (high_s - low_s) * width
        parts.append(line(at, y + height, at, y + height + 4, kind="tick"))
        if label_s:
            parts.append(text(at, y + height + 17, number(second), kind="axis", anchor="middle"))
    return "".join(parts)


def _strip(attribution: Attribution, lead: str, x: float, y: float, width: float) -> str:
    """Draw what one lead supports, along its time axis, on its own background."""
    values = attribution.strips[attribution.leads.index(lead)][np.newaxis]
    at = x + width * np.linspace(0, 1, values.shape[1] + 1)
    ground = rect(x, y, width, _STRIP, kind="paper")
    return (
        f'<g class="why">{ground}'
        + shading(values, x=at, rows=[(y, y + _STRIP)], scale=float(np.abs(attribution.strips).max()))
        + f"{rect(x, y, width, _STRIP, kind='frame')}</g>"
    )


@lru_cache(maxsize=32)
def _colour_bar(db_range: tuple[float, float] | None, *, x: float, y: float, height: float) -> str:
    parts = [
        image(np.arange(256, dtype=np.uint8)[:, np.newaxis], x, y, 14, height),
        rect(x, y, 14, height, kind="frame"),
        text(_WIDTH - 2, y - 9, "level, dB" if db_range else "level", kind="axis", anchor="end"),
    ]
    if db_range is None:
        return "".join([*parts, text(x + 22, y + 8, "highest", kind="axis"), text(x + 22, y + height, "lowest", kind="axis")])
    low, high = db_range
    for level in ticks(low, high, at_most=8):
        at = y + (high - level) / (high - low) * height
        parts += [line(x + 14, at, x + 18, at, kind="tick"), text(x + 22, at + 4, number(level).replace("-", "−"), kind="axis")]
    return "".join(parts)


def _levels(view: SpectrogramView) -> NDArray[np.uint8]:
    """Return values on the colour scale, 0 to 255; what is not a number counts as the lowest level."""
    if view.values.dtype == np.uint8 or view.db_range is None:
        return view.values
    low, high = view.db_range
    return np.asarray(np.clip((np.nan_to_num(view.values, nan=low) - low) / (high - low) * 255 + 0.5, 0, 255), dtype=np.uint8)
