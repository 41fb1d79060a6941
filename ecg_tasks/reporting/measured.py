"""Here: what was measured of a recording, in words, a line each. Not here: measuring (``signals.measurements``), or a page."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ecg_tasks.signals.measurements import VALUES, reasons

NOT_MEASURED = "not measured yet"
_TITLES = {
    "rate_bpm": ("Heart rate", "/min"),
    "pr_ms": ("PR interval", "ms"),
    "qrs_ms": ("QRS duration", "ms"),
    "qt_ms": ("QT interval", "ms"),
    "qtc_fridericia_ms": ("QTc by Fridericia", "ms"),
    "qtc_bazett_ms": ("QTc by Bazett", "ms"),
    "axis_deg": ("QRS axis", "°"),
    "rhythm": ("Rhythm", ""),
}


class Line(NamedTuple):
    """One measurement: what it is, its value with the unit or that there is none, and why."""

    title: str
    text: str
    why: str = ""


def measured_lines(row: Mapping[str, Any]) -> list[Line]:
    """Return the lines of a row with the columns of the report; a value that is None, NaN or an empty text is none.

    Where there is no value at all, and for one reason, there is one line.

    >>> measured_lines(dict.fromkeys([*VALUES, "not_measurable"]) | {"rate_bpm": 61.8, "rhythm": "regular"})[0]
    Line(title='Heart rate', text='62 /min', why='')
    """
    lines = _lines(row)
    (first, *_), nothing = lines, {(line.text, line.why) for line in lines}
    return [Line("All measurements", first.text, first.why)] if len(nothing) == 1 else lines


def _lines(row: Mapping[str, Any]) -> list[Line]:
    why = reasons(row["not_measurable"] or "")
    return [_line(name, row[name], why.get(name, "")) for name in (*VALUES, "rhythm")]


class ComparedLine(NamedTuple):
    """One measurement of two recordings, and how much it is more than in the earlier one; empty where one of them has none."""

    title: str
    now: str
    earlier: str
    difference: str


def compared_lines(now: Mapping[str, Any], earlier: Mapping[str, Any]) -> list[ComparedLine]:
    """Return the lines of two rows side by side."""
    found = []
    for name, line, before in zip((*VALUES, "rhythm"), _lines(now), _lines(earlier), strict=True):
        difference, unit = "", _TITLES[name][1]
        if name in VALUES and np.isfinite([now[name], earlier[name]]).all():
            more = _whole(now[name]) - _whole(earlier[name])
            if unit == "°":  # the shorter way round
                more = (more + 180) % 360 - 180
            difference = f"{more:+d}".replace("-", "−").replace("+0", "0") + ("" if unit == "°" else " ") + unit
        found.append(ComparedLine(line.title, line.text, before.text, difference))
    return found


def _whole(value: float) -> int:
    return round(round(float(value), 1))  # the report's columns have one digit: what is rounded of them is the same elsewhere


def _line(name: str, value: float | str | None, why: str) -> Line:
    title, unit = _TITLES[name]
    if isinstance(value, str) and value:
        return Line(title, value)
    if isinstance(value, str) or value is None or value != value:  # noqa: PLR0124 - NaN is not itself
        return Line(title, "not measurable" if why else NOT_MEASURED, why)
    whole = _whole(value)
    return Line(title, f"{whole}{unit}" if unit == "°" else f"{whole} {unit}")
