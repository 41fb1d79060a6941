"""Here: attribution maps drawn over spectrogram and waveform: what supports abnormal or normal. Not here: computing them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from ecg_tasks.reporting.raster import edges, grey_image
from ecg_tasks.reporting.svg import figure, line, number, rect, text, ticks

N_SHADES = 6
"""Shades from pale to full colour."""
FAINT = 1
"""Shades up to this one are not drawn: they would cover the paper and show nothing."""
STRONGEST = 0.7
"""Opacity of the full colour: what is below stays readable."""
_LEFT, _TOP, _WIDTH, _HEIGHT, _BOTTOM = 52.0, 12.0, 620.0, 230.0, 44.0
_TOTAL = 752.0


class BeatPart(NamedTuple):
    """A part of the beat, such as ``T wave``, s from the R peak."""

    name: str
    from_s: float
    to_s: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Attribution:
    """The attribution of a model's decision on one record, in log-odds: above 0 supports abnormal, below 0 normal.

    Parameters
    ----------
    leads : names of the leads that the model saw
    over_time : ndarray, shape (n_leads, n_steps), from the record's start on; 0 where nothing was seen
    step_s : seconds of a step
    cells : ndarray, shape (n_freqs, n_times), all leads together, row 0 the lowest frequency; the mean of the windows
    strips : ndarray, shape (n_leads, n_times), each lead by itself, all frequencies together
    levels : ndarray, shape (n_freqs, n_times), uint8, mean level of all leads, to draw ``cells`` over
    freqs_hz, times_s : centres of the cells; times as in the spectrograms
    log_odds : of the record minus those of a typical normal one; about the sum of ``cells``
    n_windows : windows that were analysed
    parts : of the beat that the pictures show, s of ``times_s``; none where its waves are not known
    """

    leads: tuple[str, ...]
    over_time: NDArray[np.floating]
    step_s: float
    cells: NDArray[np.floating]
    strips: NDArray[np.floating]
    levels: NDArray[np.uint8]
    freqs_hz: NDArray[np.floating]
    times_s: NDArray[np.floating]
    log_odds: float
    n_windows: int
    parts: tuple[BeatPart, ...] = ()

    def __post_init__(self) -> None:
        shape = (len(self.freqs_hz), len(self.times_s))
        if self.cells.shape != shape or self.levels.shape != shape:
            raise ValueError(f"cells have shape {self.cells.shape} and levels {self.levels.shape}; the axes say {shape}")
        if self.strips.shape != (len(self.leads), len(self.times_s)) or len(self.over_time) != len(self.leads):
            raise ValueError(f"{len(self.leads)} leads, but strips of shape {self.strips.shape} and {len(self.over_time)} rows over time")

    @property
    def sentence(self) -> str:
        """The caption that explains the drawing."""
        side = "abnormal" if self.log_odds > 0 else "normal"
        seen = "The window was" if self.n_windows == 1 else f"The first {self.n_windows} windows were"
        moved = f"{self.log_odds:+.2f}".replace("-", "−")
        return (
            "Red supports abnormal, blue normal: how much the log-odds would change if that part looked as in a typical normal recording. "
            f"{seen} compared with it part by part; together the parts change the log-odds by {moved}, towards {side}. "
            "It shows what this model’s decision is based on, not what is wrong with a heart."
        )


def shading(
    values: NDArray[np.floating], *, x: NDArray[np.floating], rows: list[tuple[float, float]], scale: float, digits: int = 1
) -> str:
    """Draw boxes whose colour shows the sign and whose strength shows the size.

    Parameters
    ----------
    values : ndarray, shape (n_rows, n_columns)
    x : ndarray, shape (n_columns + 1,), edges of the columns, in units of the view box
    rows : top and bottom of each row, in units of the view box
    scale : the size that gets the full colour
    """
    shade = np.rint(np.clip(values / (scale or 1.0), -1, 1) * N_SHADES).astype(int)
    boxes: dict[int, list[str]] = {}
    for (top, bottom), line_of in zip(rows, shade, strict=True):
        starts = np.flatnonzero(np.diff(line_of, prepend=line_of[:1] + 99))
        for start, end in zip(starts, [*starts[1:], len(line_of)], strict=True):
            if abs(line_of[start]) > FAINT:
                left, width = round(float(x[start]), digits), round(float(x[end] - x[start]), digits)
                boxes.setdefault(int(line_of[start]), []).append(
                    f"M{number(left)} {number(top)}h{number(width)}V{number(bottom)}h{number(-width)}z"
                )
    strength = {level: number(STRONGEST * abs(level) / N_SHADES) for level in boxes}
    return "".join(
        f'<path class="{"toward" if level > 0 else "away"}" fill-opacity="{strength[level]}" d="{"".join(boxes[level])}"/>'
        for level in sorted(boxes)
    )


def draw_attribution(attribution: Attribution) -> Markup:
    """Draw all leads together over time and frequency: grey shows the level, colour the class that it supports."""
    low_hz, high_hz = edges(attribution.freqs_hz)
    low_s, high_s = edges(attribution.times_s)
    n_freqs, n_times = attribution.cells.shape
    row_edges = _TOP + _HEIGHT * np.linspace(0, 1, n_freqs + 1)
    scale = float(np.abs(attribution.cells).max())
    parts = [
        grey_image(attribution.levels, _LEFT, _TOP, _WIDTH, _HEIGHT),
        shading(
            attribution.cells[::-1],
            x=_LEFT + _WIDTH * np.linspace(0, 1, n_times + 1),
            rows=list(zip(row_edges[:-1].tolist(), row_edges[1:].tolist(), strict=True)),
            scale=scale,
        ),
        rect(_LEFT, _TOP, _WIDTH, _HEIGHT, kind="frame"),
    ]
    for hz in ticks(max(0.0, low_hz), high_hz, at_most=6):
        at = _TOP + (high_hz - hz) / (high_hz - low_hz) * _HEIGHT
        parts += [line(_LEFT - 4, at, _LEFT, at, kind="tick"), text(_LEFT - 8, at + 4, number(hz), kind="axis", anchor="end")]
    for second in ticks(low_s, high_s, at_most=10):
        at = _LEFT + (second - low_s) / (high_s - low_s) * _WIDTH
        parts += [
            line(at, _TOP + _HEIGHT, at, _TOP + _HEIGHT + 4, kind="tick"),
            text(at, _TOP + _HEIGHT + 17, number(second).replace("-", "−"), kind="axis", anchor="middle"),
        ]
    parts += [
        text(14, _TOP + _HEIGHT / 2, "frequency, Hz", kind="axis", anchor="middle", turn=-90),
        text(_LEFT + _WIDTH / 2, _TOP + _HEIGHT + 36, "time, s", kind="axis", anchor="middle"),
        *_scale_bar(scale),
    ]
    title = "What the decision is based on: time in s, frequency in Hz; red supports abnormal, blue supports normal"
    return figure("".join(parts), width=_TOTAL, height=_TOP + _HEIGHT + _BOTTOM, title=title, kind="plot attribution")


def _scale_bar(scale: float) -> list[str]:
    """Draw shades from the strongest for abnormal, on top, to the strongest for normal, with their log-odds."""
    x, shades = _LEFT + _WIDTH + 14, np.arange(N_SHADES, -N_SHADES - 1, -1)
    height = _HEIGHT / len(shades)
    rows = [(_TOP + index * height, _TOP + (index + 1) * height) for index in range(len(shades))]
    ends = ((_TOP + 10, scale), (_TOP + _HEIGHT / 2 + 4, 0.0), (_TOP + _HEIGHT - 2, -scale))
    return [
        shading(shades[:, None].astype(float), x=np.array([x, x + 10]), rows=rows, scale=N_SHADES),
        rect(x, _TOP, 10, _HEIGHT, kind="frame"),
        *(text(x + 14, at, f"{value:+.2f}".replace("-", "−") if value else "0", kind="axis") for at, value in ends),
    ]
