"""Here: ECG paper: boxes, the axis of seconds, the sheet around them. Not here: what is drawn on it."""

from collections.abc import Mapping
from functools import lru_cache

from markupsafe import Markup

from ecg_tasks.reporting.svg import figure, line, number, rect, text, ticks

MM = 20
"""Units of the view box per mm: 0.05 mm, a fifth of a screen pixel, 5 µV at 10 mm/mV."""
LEFT_MM, RIGHT_MM, TOP_MM, BOTTOM_MM = 8.0, 3.4, 2.0, 6.0
"""What a sheet has around the paper: calibration pulses on the left, seconds below. Ten seconds with it are as wide as US Letter allows."""


def u(mm: float) -> int:
    """Return millimetres in units of the view box."""
    return round(mm * MM)


@lru_cache(maxsize=32)
def paper(width_mm: float, height_mm: float, *, box_mm: float, bold_row: int = 0, left_mm: float = LEFT_MM) -> str:
    """Draw paper with a small box every ``box_mm`` and a bold line every five, from the signal's first sample and from ``bold_row`` on."""
    right, bottom = left_mm + width_mm, TOP_MM + height_mm
    fine = [f"M{u(left_mm + i * box_mm)} {u(TOP_MM)}V{u(bottom)}" for i in range(1, int(width_mm / box_mm) + 1) if i % 5]
    fine += [f"M{u(left_mm)} {u(TOP_MM + i * box_mm)}H{u(right)}" for i in range(int(height_mm / box_mm) + 1) if (i - bold_row) % 5]
    bold = [f"M{u(left_mm + i * box_mm)} {u(TOP_MM)}V{u(bottom)}" for i in range(0, int(width_mm / box_mm) + 1, 5)]
    bold += [f"M{u(left_mm)} {u(TOP_MM + i * box_mm)}H{u(right)}" for i in range(bold_row, int(height_mm / box_mm) + 1, 5)]
    return (
        rect(u(left_mm), u(TOP_MM), u(width_mm), u(height_mm), kind="paper")
        + f'<path class="fine" d="{"".join(fine)}"/><path class="bold" d="{"".join(bold)}"/>'
    )


def time_axis(start_s: float, seconds: float, *, top_mm: float, mm_per_s: float, at_most: int, left_mm: float = LEFT_MM) -> list[str]:
    """Draw ticks and labels in s below the paper; the last label carries the unit."""
    marks = ticks(start_s, start_s + seconds, at_most=at_most)
    parts = []
    for mark in marks:
        x = left_mm + (mark - start_s) * mm_per_s
        label = f"{number(mark)} s" if mark == marks[-1] else number(mark)
        parts += [
            line(u(x), u(top_mm), u(x), u(top_mm + 1.2), kind="tick"),
            text(u(x), u(top_mm + 4.6), label, kind="axis", anchor="middle"),
        ]
    return parts


def sheet(
    parts: list[str], width_mm: float, height_mm: float, *, title: str, kind: str = "ecg", data: Mapping[str, float | str] | None = None
) -> Markup:
    """Return a drawing with paper of this size; ``data`` tells a script how to read it."""
    total_width, total_height = LEFT_MM + width_mm + RIGHT_MM, TOP_MM + height_mm + BOTTOM_MM
    return figure(
        "".join(parts),
        width=total_width * MM,
        height=total_height * MM,
        title=title,
        kind=kind,
        size_mm=(total_width, total_height),
        data=data,
    )


def reading(
    *, mm_per_s: float, mm_per_level: float, unit: str, start_s: float, width_mm: float, height_mm: float
) -> dict[str, float | str]:
    """Return how a script reads a drawing: where the paper is, and units of the view box for each second and each level (mV)."""
    return {
        "box": f"{u(LEFT_MM)} {u(TOP_MM)} {u(LEFT_MM + width_mm)} {u(TOP_MM + height_mm)}",
        "per-s": mm_per_s * MM,
        "per-level": mm_per_level * MM,
        "unit": unit,
        "from-s": start_s,
    }
