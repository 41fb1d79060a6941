"""Here: a recording drawn on ECG paper, in its layouts. Not here: which lead stands where (``layouts``), spectrograms and charts."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from ecg_tasks.reporting.attribution import Attribution, shading
from ecg_tasks.reporting.layouts import PARTS, Arrangement, Fitted, arrangements, baselines, fit, part_ends, room
from ecg_tasks.reporting.paper import LEFT_MM, MM, TOP_MM, paper, reading, sheet, time_axis, u
from ecg_tasks.reporting.svg import number, rect, text, trace
from ecg_tasks.signals.preparing import filled
from ecg_tasks.signals.record import Record

SHOWN_S = 10.0
"""Seconds drawn at most; a longer recording is shown as an overview of the whole and this part of it."""
SPEED_MM_S = 25.0
"""Paper speed."""

_ENLARGED = 4
"""A heartbeat row is drawn four times as large as on paper: 1.5 s would be 37 mm."""
_BINS_PER_MM = 5
_POINTS_PER_BIN = 2
"""Where samples are denser than twice this, each bin of them is drawn by its minimum and maximum, so no peak is lost."""
_PULSE_MM = 1.5
"""Where the calibration pulse begins, from the sheet's left edge."""
_SHADED_MM = (8.0, 4.0)
"""How far what a lead supports is shaded above and below its zero line."""
_APART_MM = 2.0
"""Two places where one lead is cut off are one mark if they are nearer than this."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One way to draw it: ``columns`` for style sheets, ``title`` for people."""

    columns: int
    title: str
    drawing: Markup


@dataclass(frozen=True, kw_only=True)
class Waveform:
    """A recording on ECG paper: the drawings, how to read their boxes, and for a long recording where the drawn part lies.

    ``layouts`` are drawings of the same seconds at the same scale. The first one is shown at first, and printed; it holds the traces,
    to which the others refer. ``on_paper`` says when a print is to scale; it is empty for a drawing that never is.
    """

    layouts: tuple[Layout, ...]
    scale: str
    on_paper: str = ""
    overview: Markup | None = None

    @property
    def drawing(self) -> Markup:
        """The first layout."""
        return self.layouts[0].drawing


def draw_waveform(
    record: Record, *, from_s: float = 0.0, beats_s: Sequence[float] = (), attribution: Attribution | None = None
) -> Waveform:
    """Draw all leads of a recording in every layout, at 25 mm/s and 10 mm/mV, or less where the leads would not fit.

    Parameters
    ----------
    record : mV recordings show up to 10 s; a heartbeat row (relative amplitude) is shown whole, enlarged
    from_s : first second shown; moved back where less than 10 s would be left
    beats_s : R peaks to be marked, s from the record's start
    attribution : what supports abnormal or normal, shaded behind the leads
    """
    if record.is_heartbeat:
        return draw_heartbeat(record, attribution=attribution)
    start_s = float(np.clip(from_s, 0.0, max(0.0, record.duration_s - SHOWN_S)))
    first = round(start_s * record.fs)
    shown = _bridged(record.samples[:, first : first + round(SHOWN_S * record.fs)])
    seconds = shown.shape[1] / record.fs
    wanted = arrangements(record.leads, seconds=seconds)
    shown, fitted = fit(shown, wanted[0])
    shades = None if attribution is None else _shades(attribution, record.leads, start_s=start_s, seconds=seconds)
    traces, is_cut = _traces(shown, fitted, fs=record.fs, shades=shades)
    beats = [beat - start_s for beat in beats_s if start_s <= beat <= start_s + seconds]
    gain = number(fitted.gain)
    title = f"Waveform of {len(record.leads)} leads, {number(seconds)} s from {number(start_s)} s on, {gain} mm/mV at 25 mm/s"
    layouts = [
        _draw_layout(
            one, fitted, record.leads, start_s=start_s, seconds=seconds, beats=beats, title=title, content=traces if index == 0 else ""
        )
        for index, one in enumerate(wanted)
    ]
    marks = "Marks on the upper edge: R peaks. " if beats else ""
    cut = "Where a lead has a ▲ or ▼, it goes further and is cut off, for the rows not to collide. " if is_cut else ""
    return Waveform(
        layouts=tuple(layouts),
        scale=f"A small box is 0.04 s by {number(1 / fitted.gain)} mV, a large box 0.2 s by {number(5 / fitted.gain)} mV. "
        f"The boxes hold at any zoom. Each lead is drawn about its median. {marks}{cut}".strip(),
        on_paper=f"{number(SPEED_MM_S)} mm/s and {gain} mm/mV on A4 and US Letter in landscape, printed at 100 %: ten seconds then"
        " measure 250 mm. On smaller paper read the boxes.",
        overview=_draw_overview(record, start_s=start_s) if record.duration_s > SHOWN_S + 0.5 else None,
    )


def _draw_layout(
    arrangement: Arrangement,
    fitted: Fitted,
    leads: Sequence[str],
    *,
    start_s: float,
    seconds: float,
    beats: Sequence[float],
    title: str,
    content: str,
) -> Layout:
    """Draw the paper of a layout, with references to the traces; ``content`` are these, where they shall stand in this drawing."""
    at, height = baselines(arrangement, fitted)
    width = seconds * SPEED_MM_S
    parts = [content, paper(width, height, box_mm=1)]
    names = []
    for base, row in zip(at, arrangement.rows, strict=True):
        zero, up = base + TOP_MM, room(row, fitted)[0]
        parts.append(f'<path class="pulse" d="M{u(_PULSE_MM)} {u(zero)}h{u(1)}v{u(-10)}h{u(3)}v{u(10)}h{u(1)}"/>')
        for piece in row:
            left, right = (LEFT_MM + part / PARTS * width for part in (piece.first, piece.first + piece.n))
            if piece.first:
                parts.append(f'<path class="column" d="M{u(left)} {u(zero - 5)}v{u(10)}"/>')
            parts.append(f'<use href="#{_name(piece.lead, piece.first, piece.n)}" y="{u(zero)}"/>')
            names.append(text(u(left + 1), u(zero - up + 3.4), leads[piece.lead], kind="lead", until=u(right)))
    parts += names  # in front of all traces
    parts.append(text(u(0.4), u(at[0] + TOP_MM + 3.4), f"{number(10 / fitted.gain)} mV", kind="axis level"))
    parts += [f'<path class="beat" d="M{u(LEFT_MM + beat * SPEED_MM_S)} {u(TOP_MM + 2)}l-20-40h40z"/>' for beat in beats]
    parts += time_axis(start_s, seconds, top_mm=height + TOP_MM, mm_per_s=SPEED_MM_S, at_most=10)
    data = reading(mm_per_s=SPEED_MM_S, mm_per_level=fitted.gain, unit="mV", start_s=start_s, width_mm=width, height_mm=height)
    drawing = sheet(parts, width, height, title=f"{title}, {arrangement.title}", kind=f"ecg columns-{arrangement.columns}", data=data)
    return Layout(columns=arrangement.columns, title=arrangement.title, drawing=drawing)


def _traces(samples: NDArray[np.floating], fitted: Fitted, *, fs: float, shades: Sequence[Sequence[str]] | None) -> tuple[str, bool]:
    """Return every lead about its zero line, in parts, halves and whole, to be referred to; and whether something is cut off."""
    at, values = _envelope(samples, mm_per_sample=SPEED_MM_S / fs)
    x = np.rint((at * SPEED_MM_S / fs + LEFT_MM) * MM).astype(np.int64)
    levels, ends = values * fitted.gain, part_ends(samples.shape[1])
    drawn, is_cut = [], False
    for lead, points in enumerate(at):
        parts = []
        for part, (start, end) in enumerate(pairwise(np.searchsorted(points, ends).tolist())):
            here = slice(start, end + 1)  # with the next part's first point, so that no gap is between them
            up, down = fitted.up[lead, part], fitted.down[lead, part]
            content = shades[lead][part] if shades else ""
            if end > start:
                y = np.clip(levels[lead, here], -down, up)
                content += trace(x[lead, here], np.rint(-y * MM).astype(np.int64), kind="trace")
                marks = _cut_marks(x[lead, start:end], levels[lead, start:end], up=up, down=down)
                content, is_cut = content + marks, is_cut or bool(marks)
            parts.append(f'<g id="{_name(lead, part, 1)}">{content}</g>')
        halves = [f'<g id="{_name(lead, half, 2)}">{"".join(parts[half : half + 2])}</g>' for half in (0, 2)]
        drawn.append(f'<g id="{_name(lead, 0, PARTS)}">{"".join(halves)}</g>')
    return f"<defs>{''.join(drawn)}</defs>", is_cut


def _cut_marks(x: NDArray[np.int64], levels: NDArray[np.floating], *, up: float, down: float) -> str:
    """Draw a mark wherever a lead goes further than its row, one for each stretch."""
    drawn = []
    for sign, limit, beyond in ((-1, up, levels > up + 1 / MM), (1, down, levels < -down - 1 / MM)):
        places = x[beyond]
        if not len(places):
            continue
        starts = np.flatnonzero(np.diff(places, prepend=-u(1000)) > u(_APART_MM))
        drawn += [
            f"M{round(float(places[start:end].mean()))} {sign * u(limit)}l-16 {-sign * 28}h32z"
            for start, end in zip(starts, [*starts[1:], len(places)], strict=True)
        ]
    return f'<path class="further" d="{"".join(drawn)}"/>' if drawn else ""


def _name(lead: int, first: int, n: int) -> str:
    """Return the id of a piece of a lead."""
    return f"ecg-{lead}-{first}-{n}"


def _bridged(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return samples (n_leads, n_samples) with straight lines over invalid ones; a lead without a valid one is level at zero."""
    if np.isfinite(samples).all():
        return samples
    return np.stack([filled(lead, np.isfinite(lead)) for lead in samples])


def draw_heartbeat(record: Record, *, attribution: Attribution | None = None, behind: Record | None = None) -> Waveform:
    """Draw one beat of relative amplitude, 0 to 1: a box is 0.04 s by 0.1, the zeros that pad its end are shaded.

    ``behind`` is another beat to be compared with it.
    """
    speed, gain = SPEED_MM_S * _ENLARGED, 10.0 * _ENLARGED
    samples = np.nan_to_num(record.samples[0])
    width, height = np.ceil(record.n_samples / record.fs / 0.04) * _ENLARGED, 12.0 * _ENLARGED
    base = height + TOP_MM - _ENLARGED
    n_real = _n_real(samples)
    parts = [paper(width, height, box_mm=_ENLARGED, bold_row=1, left_mm=LEFT_MM)]
    seconds = record.n_samples / record.fs
    if attribution is not None and record.leads[0] in attribution.leads:
        rows = (TOP_MM, TOP_MM + height)
        parts.append(_shade(attribution, record.leads[0], rows, start_s=0.0, first_s=0.0, until_s=seconds, mm_per_s=speed))
    if n_real < record.n_samples:
        from_mm = n_real / record.fs * speed
        parts += [
            rect(u(LEFT_MM + from_mm), u(TOP_MM), u(width - from_mm), u(height), kind="padding"),
            text(u(LEFT_MM + from_mm + 1.5), u(TOP_MM + 4), "padding", kind="axis"),
        ]
    parts += [text(u(LEFT_MM - 1), u(base - level * gain + 0.9), number(level), kind="axis", anchor="end") for level in (0, 0.5, 1)]
    for one, kind in ((behind, "trace earlier"), (record, "trace")):
        if one is not None:
            drawn = np.nan_to_num(one.samples[0])
            drawn = drawn[: _n_real(drawn) or 1] if one is behind else drawn
            x = np.rint((np.arange(len(drawn)) / one.fs * speed + LEFT_MM) * MM).astype(np.int64)
            parts.append(trace(x, np.rint((base - drawn * gain) * MM).astype(np.int64), kind=kind))
    parts += time_axis(0.0, seconds, top_mm=height + TOP_MM, mm_per_s=speed, at_most=8)
    title = f"Waveform of one heartbeat, {number(n_real / record.fs)} s, relative amplitude from 0 to 1"
    scale = (
        "Relative amplitude over time, on paper enlarged four times: a small box is 0.04 s by 0.1 of the beat's own range, "
        "a large box 0.2 s by 0.5. The level in mV is not known."
    )
    data = reading(mm_per_s=speed, mm_per_level=gain, unit="of the range", start_s=0.0, width_mm=width, height_mm=height)
    drawing = sheet(parts, width, height, title=title, kind="ecg one-beat", data=data)
    return Waveform(layouts=(Layout(columns=1, title="one beat", drawing=drawing),), scale=scale)


def _n_real(samples: NDArray[np.floating]) -> int:
    """Return how many samples of a heartbeat row come before the zeros that pad its end."""
    return int(np.max(np.flatnonzero(samples), initial=-1)) + 1


def _draw_overview(record: Record, *, start_s: float) -> Markup:
    """Draw the whole recording in one strip, one lead, with the part shown above it marked."""
    lead = record.leads.index("II") if "II" in record.leads else 0
    width, height = 250.0, 14.0
    mm_per_s = width / record.duration_s
    x, y = _envelope(_bridged(record.samples[lead : lead + 1]), mm_per_sample=mm_per_s / record.fs)
    low, high = float(y.min()), float(y.max())
    y_mm = TOP_MM + 1 + (high - y[0]) / (high - low or 1.0) * (height - 2)
    parts = [
        rect(u(LEFT_MM), u(TOP_MM), u(width), u(height), kind="paper"),
        rect(u(LEFT_MM + start_s * mm_per_s), u(TOP_MM), u(SHOWN_S * mm_per_s), u(height), kind="shown"),
        text(u(0.5), u(TOP_MM + height / 2 + 1), record.leads[lead], kind="lead"),
        trace(
            np.rint((x[0] / record.fs * mm_per_s + LEFT_MM) * MM).astype(np.int64),
            np.rint(y_mm * MM).astype(np.int64),
            kind="trace thin",
        ),
        *time_axis(0.0, record.duration_s, top_mm=height + TOP_MM, mm_per_s=mm_per_s, at_most=12),
    ]
    title = f"Overview of all {record.duration_s:.0f} s of lead {record.leads[lead]}, the drawn {number(SHOWN_S)} s marked"
    return sheet(parts, width, height, title=title, kind="ecg overview")


def _shades(attribution: Attribution, leads: Sequence[str], *, start_s: float, seconds: float) -> list[list[str]]:
    """Draw what each part of each lead supports, about its zero line; nothing of a lead that the model did not see."""
    at = [start_s + seconds * part / PARTS for part in range(PARTS + 1)]
    up, down = _SHADED_MM
    return [
        [
            _shade(attribution, lead, (-up, down), start_s=start_s, first_s=first_s, until_s=until_s, mm_per_s=SPEED_MM_S)
            if lead in attribution.leads
            else ""
            for first_s, until_s in pairwise(at)
        ]
        for lead in leads
    ]


def _shade(
    attribution: Attribution,
    lead: str,
    row_mm: tuple[float, float],
    *,
    start_s: float,
    first_s: float,
    until_s: float,
    mm_per_s: float,
) -> str:
    """Draw what a lead supports from ``first_s`` to ``until_s``, between these heights; the paper begins at ``start_s``."""
    first, last = int(first_s / attribution.step_s), int(np.ceil(until_s / attribution.step_s))
    shown = attribution.over_time[attribution.leads.index(lead), first:last]
    at_s = ((first + np.arange(len(shown) + 1)) * attribution.step_s).clip(first_s, until_s) - start_s
    return shading(
        shown[np.newaxis],
        x=np.rint((at_s * mm_per_s + LEFT_MM) * MM),
        rows=[(u(row_mm[0]), u(row_mm[1]))],
        scale=float(np.abs(attribution.over_time).max()),
    )


def _envelope(samples: NDArray[np.floating], *, mm_per_sample: float) -> tuple[NDArray[np.int64], NDArray[np.floating]]:
    """Sample numbers and values to draw: all of them, or each bin's minimum and maximum in their order.

    Parameters
    ----------
    samples : ndarray, shape (n_leads, n_samples)

    Returns
    -------
    two ndarrays of shape (n_leads, n_points)
    """
    n_leads, n_samples = samples.shape
    size = int(1 / (_BINS_PER_MM * mm_per_sample))
    if size <= _POINTS_PER_BIN:
        return np.broadcast_to(np.arange(n_samples), samples.shape), samples
    n_bins = n_samples // size
    bins = samples[:, : n_bins * size].reshape(n_leads, n_bins, size)
    lowest, highest = bins.argmin(axis=2), bins.argmax(axis=2)
    in_order = np.stack([np.minimum(lowest, highest), np.maximum(lowest, highest)], axis=2)
    points = (in_order + np.arange(n_bins)[:, np.newaxis] * size).reshape(n_leads, -1)
    return points, np.take_along_axis(samples, points, axis=1)
