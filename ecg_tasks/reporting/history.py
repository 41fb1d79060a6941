"""Here: the counts of many runs as one chart. Not here: one run's own charts (``charts``)."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from ecg_tasks.reporting.svg import figure, line, rect, text, ticks

FATES = ("classified", "uncertain", "uninterpretable", "pending")
"""What becomes of a record, from the bottom of a bar to its top."""


def draw_history(counts_by_run: Sequence[tuple[str, Mapping[str, int]]]) -> Markup:
    """Draw the records of each run, stacked by their fate, oldest on the left.

    Parameters
    ----------
    counts_by_run : (date, counts) of each run, at least one
    """
    left, width, top, height = 56.0, 960.0, 12.0, 170.0
    highest = max(1, *(sum(counts[fate] for fate in FATES) for _, counts in counts_by_run))
    step = width / max(len(counts_by_run), 7)
    parts = []
    for mark in (mark for mark in ticks(0, highest, at_most=4) if mark == int(mark)):
        y = top + height - mark / highest * height
        parts += [line(left, y, left + width, y, kind="gridline"), text(left - 8, y + 4, f"{mark:,.0f}", kind="axis", anchor="end")]
    every = max(1, round(96 / step))
    for index, (date, counts) in enumerate(counts_by_run):
        base, x = top + height, left + index * step
        for fate in FATES:
            tall = counts[fate] / highest * height
            if tall:
                base -= tall
                parts.append(rect(x + 2, base, step - 4, tall, kind=f"bar {fate}"))
        if index % every == 0:
            parts.append(text(x + 2, top + height + 20, date, kind="axis"))
    parts.append(line(left, top + height, left + width, top + height, kind="tick"))
    title = f"Records of the last {len(counts_by_run)} runs by their fate; the table below has the same numbers"
    return figure("".join(parts), width=left + width + 4, height=top + height + 30, title=title, kind="plot")
