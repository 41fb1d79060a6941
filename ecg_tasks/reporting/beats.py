"""Here: median beats on ECG paper with the marks of measurements, alone or over an earlier one. Not here: finding them (``signals``)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.reporting.layouts import GAINS_MM_MV, SHEET_MM
from ecg_tasks.reporting.paper import LEFT_MM, MM, TOP_MM, paper, reading, sheet, u
from ecg_tasks.reporting.svg import line, number, text, trace
from ecg_tasks.reporting.waveform import SPEED_MM_S, Layout, Waveform
from ecg_tasks.signals.measurements import MeasuredBeat
from ecg_tasks.signals.record import STANDARD_LEADS
from ecg_tasks.signals.typical_beat import AFTER_S, BEFORE_S

_ENLARGED = 2
"""A beat is drawn twice as large as on paper."""
_COLUMNS = 4
_COLUMN_MM, _INSET_MM = 60.0, 2.0
"""Width of a column, and where a beat begins in it."""
_LEVEL_S = 0.02
"""A beat is drawn about its level in so many seconds before the QRS complex."""
_UP_MM, _DOWN_MM, _NAME_MM = 10.0, 5.0, 4.0
LETTERS = {"p_on_s": "P", "qrs_on_s": "Q", "qrs_off_s": "J", "t_off_s": "T"}
"""By which letter each bound of a wave is called on the paper."""
_MEANING = "P: the P wave begins; Q and J: the QRS complex begins and ends; T: the T wave ends, each over all leads together. "


@dataclass(frozen=True, kw_only=True, eq=False)
class _Drawn:
    """One beat to draw: mV about its level before the QRS complex, by lead."""

    of: MeasuredBeat
    kind: str
    levels: dict[str, NDArray[np.float64]]


def draw_beats(beat: MeasuredBeat, *, earlier: MeasuredBeat | None = None) -> Waveform:
    """Draw the median beat of each lead at 50 mm/s and 20 mm/mV, or less, with a line where each wave begins or ends.

    Leads in which the beats do not repeat are not there. ``earlier`` is drawn behind it, R peak on R peak, with lines of its own.
    """
    drawn = [_about_its_level(one, kind) for one, kind in ((earlier, "earlier"), (beat, "now")) if one is not None]
    leads = [lead for lead in STANDARD_LEADS if any(lead in one.levels for one in drawn)]
    n_rows = -(-len(leads) // _COLUMNS)
    n_columns = -(-len(leads) // n_rows)
    places = [divmod(index, n_rows) for index in range(len(leads))]  # down one column, then down the next
    gain = next((one for one in GAINS_MM_MV if _rows(drawn, leads, places, one * _ENLARGED)[1] <= SHEET_MM), GAINS_MM_MV[-1]) * _ENLARGED
    baselines, height = _rows(drawn, leads, places, gain)
    width, speed = n_columns * _COLUMN_MM, SPEED_MM_S * _ENLARGED
    zero_s = [LEFT_MM + column * _COLUMN_MM + _INSET_MM + BEFORE_S * speed for column in range(n_columns)]
    parts = [paper(width, height, box_mm=_ENLARGED)]
    parts += chain.from_iterable(_marks(one, zero_s, height, speed) for one in drawn)
    parts += [f'<path class="column" d="M{u(LEFT_MM + column * _COLUMN_MM)} {u(TOP_MM)}v{u(height)}"/>' for column in range(1, n_columns)]
    for lead, (column, row) in zip(leads, places, strict=True):
        zero = baselines[row] + TOP_MM
        for one in drawn:
            if lead in one.levels:
                at_s = (np.arange(len(one.levels[lead])) - one.of.beat.r_peak) / one.of.beat.fs
                x, y = zero_s[column] + at_s * speed, zero - one.levels[lead] * gain
                parts.append(trace(_units(x), _units(y), kind="trace" if one.kind == "now" else "trace earlier"))
    for lead, (column, row) in zip(leads, places, strict=True):
        name = f"{lead}, derived" if lead in beat.derived else lead
        top = TOP_MM + (0.0 if row == 0 else baselines[row] - _up(drawn, leads, places, row, gain))
        left = LEFT_MM + column * _COLUMN_MM
        parts.append(text(u(left + 1), u(top + 3.4), name, kind="lead", until=u(left + _COLUMN_MM)))
    stops = [u(LEFT_MM + column * _COLUMN_MM) for column in range(n_columns + 1)]
    from_s = -BEFORE_S - _INSET_MM / speed
    data = reading(mm_per_s=speed, mm_per_level=gain, unit="mV", start_s=from_s, width_mm=width, height_mm=height)
    data["stops"] = " ".join(map(str, stops))
    over = "" if earlier is None else ", over that of an earlier recording"
    title = f"Median beat of {len(beat.leads)} leads{over}, {number(gain)} mm/mV at {number(speed)} mm/s"
    drawing = sheet(parts, width, height, title=title, kind="ecg beats", data=data)
    values = beat.values
    spans = [("PR", values.pr_ms), ("QRS", values.qrs_ms), ("QT", values.qt_ms)]
    said = ", ".join(f"{name} {round(round(value, 1))} ms" for name, value in spans if np.isfinite(value))
    mm_mv = gain / _ENLARGED
    scale = (
        f"{_MEANING}{said}. A small box is 0.04 s by {number(1 / mm_mv)} mV, a large box 0.2 s by {number(5 / mm_mv)} mV; "
        f"{number(BEFORE_S)} s before to {number(AFTER_S)} s after the R peak, about the level before the QRS complex."
    )
    return Waveform(layouts=(Layout(columns=_COLUMNS, title="median beat", drawing=drawing),), scale=scale)


def _about_its_level(one: MeasuredBeat, kind: str) -> _Drawn:
    beat = one.beat
    end = max(1, round((one.at.qrs_on_s * beat.fs) + beat.r_peak))
    level = np.median(beat.median[:, max(0, end - max(1, round(_LEVEL_S * beat.fs))) : end], axis=1, keepdims=True)
    return _Drawn(of=one, kind=kind, levels=dict(zip(one.leads, np.asarray(beat.median - level, dtype=np.float64), strict=True)))


def _rows(drawn: Sequence[_Drawn], leads: Sequence[str], places: Sequence[tuple[int, int]], gain: float) -> tuple[list[float], float]:
    """Return each row's zero line, mm from the paper's top, on bold lines, and the paper's height; what one takes ends before the next."""
    found: list[float] = []
    below, bold = 0.0, 5.0 * _ENLARGED
    for row in range(1 + max(row for _, row in places)):
        found.append(bold * np.ceil((below + _up(drawn, leads, places, row, gain)) / bold))
        lowest = min(float(level.min()) for level in _levels(drawn, leads, places, row))
        below = found[-1] + max(-lowest * gain, _DOWN_MM)
    return found, bold * np.ceil((below + 1) / bold)


def _up(drawn: Sequence[_Drawn], leads: Sequence[str], places: Sequence[tuple[int, int]], row: int, gain: float) -> float:
    """Return what a row takes above its zero line, mm, its names included."""
    highest = max(float(level.max()) for level in _levels(drawn, leads, places, row))
    return max(highest * gain, _UP_MM) + _NAME_MM


def _levels(drawn: Sequence[_Drawn], leads: Sequence[str], places: Sequence[tuple[int, int]], row: int) -> list[NDArray[np.float64]]:
    here = [lead for lead, (_, its) in zip(leads, places, strict=True) if its == row]
    return [one.levels[lead] for one in drawn for lead in here if lead in one.levels]


def _marks(one: _Drawn, zero_s: Sequence[float], height: float, speed: float) -> list[str]:
    """Draw where the waves begin and end, in every column; the letters of a beat that is behind another one would hide those of this."""
    parts = []
    for name, letter in LETTERS.items():
        at_s = getattr(one.of.at, name)
        if at_s is None:
            continue
        for zero in zero_s:
            x = u(zero + at_s * speed)
            parts.append(line(x, u(TOP_MM), x, u(TOP_MM + height), kind=f"mark {one.kind}"))
            if one.kind == "now":
                parts.append(text(x, u(TOP_MM + height + 3.6), letter, kind="axis", anchor="middle"))
    return parts


def _units(mm: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.rint(mm * MM).astype(np.int64)
