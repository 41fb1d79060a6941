"""Here: a recording drawn on ECG paper. Not here: spectrograms and charts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from ecg_tasks.reporting.attribution import Attribution, shading
from ecg_tasks.reporting.svg import figure, line, number, rect, text, ticks, trace
from ecg_tasks.signals.preparing import filled
from ecg_tasks.signals.record import Record

SHOWN_S = 10.0
"""Seconds drawn at most; a longer recording is shown as an overview of the whole and this part of it."""
SPEED_MM_S = 25.0
"""Paper speed."""
GAINS_MM_MV = (10.0, 5.0, 2.5, 1.0, 0.5, 0.1)
"""Amplitudes tried in turn until the largest lead fits; the first is the clinical standard."""

_MM = 20
"""Units of the view box per mm: 0.05 mm, a fifth of a screen pixel, 5 µV at 10 mm/mV."""
_LEFT_MM, _RIGHT_MM, _TOP_MM, _BOTTOM_MM = 22, 1, 2, 9
_TALLEST_MM = 50.0
_ENLARGED = 4
"""A heartbeat row is drawn four times as large as on paper: 1.5 s would be 37 mm."""
_BINS_PER_MM = 5
_POINTS_PER_BIN = 2
"""Where samples are denser than twice this, each bin of them is drawn by its minimum and maximum, so no peak is lost."""


@dataclass(frozen=True, kw_only=True)
class Waveform:
    """A recording on ECG paper: the drawing, how to read its boxes, and for a long recording where the drawn part lies.

    ``on_paper`` says when a print is to scale; it is empty for a drawing that never is.
    """

    drawing: Markup
    scale: str
    on_paper: str = ""
    overview: Markup | None = None


def draw_waveform(
    record: Record, *, from_s: float = 0.0, beats_s: Sequence[float] = (), attribution: Attribution | None = None
) -> Waveform:
    """Draw all leads of a recording, one row a lead, at 25 mm/s and 10 mm/mV.

    Parameters
    ----------
    record : mV recordings show up to 10 s; a heartbeat row (relative amplitude) is shown whole, enlarged
    from_s : first second shown; moved back where less than 10 s would be left
    beats_s : R peaks to be marked, s from the record's start
    attribution : what supports abnormal or normal, shaded behind the leads
    """
    if record.is_heartbeat:
        return _draw_heartbeat(record, attribution)
    start_s = float(np.clip(from_s, 0.0, max(0.0, record.duration_s - SHOWN_S)))
    first = round(start_s * record.fs)
    shown = _bridged(record.samples[:, first : first + round(SHOWN_S * record.fs)])
    low, middle, high = np.percentile(shown, [0.1, 50, 99.9], axis=1)
    centred, low, high = shown - middle[:, np.newaxis], low - middle, high - middle
    gain = next((gain for gain in GAINS_MM_MV if float(np.max(high - low)) * gain <= _TALLEST_MM), GAINS_MM_MV[-1])
    baselines = _baselines_mm(low * gain, high * gain)
    seconds = shown.shape[1] / record.fs
    width, height = seconds * SPEED_MM_S, baselines[-1] + 10.0
    x, y = _envelope(centred, mm_per_sample=SPEED_MM_S / record.fs)
    x_units = np.rint((x * SPEED_MM_S / record.fs + _LEFT_MM) * _MM).astype(np.int64)
    y_units = np.rint((np.asarray(baselines)[:, np.newaxis] + _TOP_MM - y * gain) * _MM).astype(np.int64)
    parts = [_paper(width, height, box_mm=1)]
    if attribution is not None:
        rows = {lead: (base + _TOP_MM - 10, base + _TOP_MM + 5) for lead, base in zip(record.leads, baselines, strict=True)}
        parts.append(_shades(attribution, rows, start_s=start_s, seconds=seconds, mm_per_s=SPEED_MM_S))
    for index, lead in enumerate(record.leads):
        base = baselines[index] + _TOP_MM
        parts += [
            text(_u(0.5), _u(base + 1.2), lead, kind="lead"),
            text(_u(12.2), _u(base + 0.9), "0", kind="axis", anchor="end"),
            text(_u(12.2), _u(base - 10 + 0.9), number(10 / gain) + (" mV" if index == 0 else ""), kind="axis", anchor="end"),
            f'<path class="pulse" d="M{_u(13)} {_u(base)}h{_u(2)}v{_u(-10)}h{_u(5)}v{_u(10)}h{_u(2)}"/>',
            trace(x_units[index], y_units[index], kind="trace"),
        ]
    beats = [_LEFT_MM + (beat - start_s) * SPEED_MM_S for beat in beats_s if start_s <= beat <= start_s + seconds]
    parts += [f'<path class="beat" d="M{_u(beat)} {_u(_TOP_MM + 2)}l-20-40h40z"/>' for beat in beats]
    parts += _time_axis(start_s, seconds, top_mm=height + _TOP_MM, mm_per_s=SPEED_MM_S, at_most=10)
    title = f"Waveform of {len(record.leads)} leads, {number(seconds)} s from {number(start_s)} s on, {number(gain)} mm/mV at 25 mm/s"
    offset = "The boxes hold at any zoom. Each lead is drawn about its median. "
    marks = "Marks on the upper edge: R peaks. " if beats else ""
    return Waveform(
        drawing=_figure(parts, width, height, title=title),
        scale=f"A small box is 0.04 s by {number(1 / gain)} mV, a large box 0.2 s by {number(5 / gain)} mV. {offset}{marks}".strip(),
        on_paper=f"{number(SPEED_MM_S)} mm/s and {number(gain)} mm/mV only on A4 landscape, printed at 100 %: ten seconds then measure"
        " 250 mm. On any other paper, US Letter too, it may be smaller: read the boxes.",
        overview=_draw_overview(record, start_s=start_s) if record.duration_s > SHOWN_S + 0.5 else None,
    )


def _bridged(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return samples (n_leads, n_samples) with straight lines over invalid ones; a lead without a valid one is level at zero."""
    if np.isfinite(samples).all():
        return samples
    return np.stack([filled(lead, np.isfinite(lead)) for lead in samples])


def _draw_heartbeat(record: Record, attribution: Attribution | None) -> Waveform:
    """Draw one beat of relative amplitude, 0 to 1: a box is 0.04 s by 0.1, the zeros that pad its end are shaded."""
    speed, gain = SPEED_MM_S * _ENLARGED, 10.0 * _ENLARGED
    samples = np.nan_to_num(record.samples[0])
    width, height = np.ceil(record.n_samples / record.fs / 0.04) * _ENLARGED, 12.0 * _ENLARGED
    base = height + _TOP_MM - _ENLARGED
    x = np.rint((np.arange(record.n_samples) / record.fs * speed + _LEFT_MM) * _MM).astype(np.int64)
    y = np.rint((base - samples * gain) * _MM).astype(np.int64)
    n_real = int(np.max(np.flatnonzero(samples), initial=-1)) + 1
    parts = [_paper(width, height, box_mm=_ENLARGED, bold_row=1)]
    if attribution is not None:
        rows = dict.fromkeys(record.leads, (_TOP_MM, _TOP_MM + height))
        parts.append(_shades(attribution, rows, start_s=0.0, seconds=record.n_samples / record.fs, mm_per_s=speed))
    if n_real < record.n_samples:
        from_mm = n_real / record.fs * speed
        parts += [
            rect(_u(_LEFT_MM + from_mm), _u(_TOP_MM), _u(width - from_mm), _u(height), kind="padding"),
            text(_u(_LEFT_MM + from_mm + 1.5), _u(_TOP_MM + 4), "padding", kind="axis"),
        ]
    parts += [text(_u(_LEFT_MM - 2), _u(base - level * gain + 0.9), number(level), kind="axis", anchor="end") for level in (0, 0.5, 1)]
    parts += [
        text(_u(6), _u(_TOP_MM + height / 2), "relative amplitude", kind="axis", anchor="middle", turn=-90),
        trace(x, y, kind="trace"),
        *_time_axis(0.0, record.n_samples / record.fs, top_mm=height + _TOP_MM, mm_per_s=speed, at_most=8),
    ]
    title = f"Waveform of one heartbeat, {number(n_real / record.fs)} s, relative amplitude from 0 to 1"
    scale = (
        "Paper enlarged four times: a small box is 0.04 s by 0.1 of the beat's own range, a large box 0.2 s by 0.5. "
        "The level in mV is not known."
    )
    return Waveform(drawing=_figure(parts, width, height, title=title, kind="ecg one-beat"), scale=scale)


def _draw_overview(record: Record, *, start_s: float) -> Markup:
    """Draw the whole recording in one strip, one lead, with the part shown above it marked."""
    lead = record.leads.index("II") if "II" in record.leads else 0
    width, height = 250.0, 14.0
    mm_per_s = width / record.duration_s
    x, y = _envelope(_bridged(record.samples[lead : lead + 1]), mm_per_sample=mm_per_s / record.fs)
    low, high = float(y.min()), float(y.max())
    y_mm = _TOP_MM + 1 + (high - y[0]) / (high - low or 1.0) * (height - 2)
    parts = [
        rect(_u(_LEFT_MM), _u(_TOP_MM), _u(width), _u(height), kind="paper"),
        rect(_u(_LEFT_MM + start_s * mm_per_s), _u(_TOP_MM), _u(SHOWN_S * mm_per_s), _u(height), kind="shown"),
        text(_u(0.5), _u(_TOP_MM + height / 2 + 1), record.leads[lead], kind="lead"),
        trace(
            np.rint((x[0] / record.fs * mm_per_s + _LEFT_MM) * _MM).astype(np.int64),
            np.rint(y_mm * _MM).astype(np.int64),
            kind="trace thin",
        ),
        *_time_axis(0.0, record.duration_s, top_mm=height + _TOP_MM, mm_per_s=mm_per_s, at_most=12),
    ]
    title = f"Overview of all {record.duration_s:.0f} s of lead {record.leads[lead]}, the drawn {number(SHOWN_S)} s marked"
    return _figure(parts, width, height, title=title)


def _shades(attribution: Attribution, rows: Mapping[str, tuple[float, float]], *, start_s: float, seconds: float, mm_per_s: float) -> str:
    """Draw what each lead supports in the drawn part, behind it; ``rows`` are their tops and bottoms, mm."""
    first = int(start_s / attribution.step_s)
    shown = attribution.over_time[:, first : first + int(np.ceil(seconds / attribution.step_s))]
    at_s = np.minimum((first + np.arange(shown.shape[1] + 1)) * attribution.step_s - start_s, seconds).clip(min=0)
    drawn = [lead for lead in attribution.leads if lead in rows]
    return shading(
        shown[[attribution.leads.index(lead) for lead in drawn]],
        x=np.rint((at_s * mm_per_s + _LEFT_MM) * _MM),
        rows=[(_u(rows[lead][0]), _u(rows[lead][1])) for lead in drawn],
        scale=float(np.abs(attribution.over_time).max()),
    )


def _baselines_mm(low: NDArray[np.floating], high: NDArray[np.floating]) -> list[float]:
    """Return where each row's zero line lies, mm from the paper's top: on bold lines, as far apart as neighbours need."""
    up, down = np.clip(high, 6, 24), np.clip(-low, 3, 24)
    baselines = [5.0 * np.ceil((float(up[0]) + 2) / 5)]
    for index in range(1, len(up)):
        # neighbours seldom peak towards each other at one instant, so a little overlap is allowed, as on paper
        baselines.append(baselines[-1] + 5.0 * max(3, np.ceil(0.8 * float(down[index - 1] + up[index]) / 5)))
    return baselines


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


@lru_cache(maxsize=32)
def _paper(width_mm: float, height_mm: float, *, box_mm: float, bold_row: int = 0) -> str:
    """Draw paper with a small box every ``box_mm`` and a bold line every five, from the signal's first sample and from ``bold_row`` on."""
    right, bottom = _LEFT_MM + width_mm, _TOP_MM + height_mm
    fine = [f"M{_u(_LEFT_MM + i * box_mm)} {_u(_TOP_MM)}V{_u(bottom)}" for i in range(1, int(width_mm / box_mm) + 1) if i % 5]
    fine += [f"M{_u(_LEFT_MM)} {_u(_TOP_MM + i * box_mm)}H{_u(right)}" for i in range(int(height_mm / box_mm) + 1) if (i - bold_row) % 5]
    bold = [f"M{_u(_LEFT_MM + i * box_mm)} {_u(_TOP_MM)}V{_u(bottom)}" for i in range(0, int(width_mm / box_mm) + 1, 5)]
    bold += [f"M{_u(_LEFT_MM)} {_u(_TOP_MM + i * box_mm)}H{_u(right)}" for i in range(bold_row, int(height_mm / box_mm) + 1, 5)]
    return (
        rect(_u(_LEFT_MM), _u(_TOP_MM), _u(width_mm), _u(height_mm), kind="paper")
        + f'<path class="fine" d="{"".join(fine)}"/><path class="bold" d="{"".join(bold)}"/>'
    )


def _time_axis(start_s: float, seconds: float, *, top_mm: float, mm_per_s: float, at_most: int) -> list[str]:
    """Draw ticks and labels in s below the paper; the last label carries the unit."""
    marks = ticks(start_s, start_s + seconds, at_most=at_most)
    parts = []
    for mark in marks:
        x = _LEFT_MM + (mark - start_s) * mm_per_s
        label = f"{number(mark)} s" if mark == marks[-1] else number(mark)
        parts += [
            line(_u(x), _u(top_mm), _u(x), _u(top_mm + 1.2), kind="tick"),
            text(_u(x), _u(top_mm + 4.6), label, kind="axis", anchor="middle"),
        ]
    return parts


def _figure(parts: list[str], width_mm: float, height_mm: float, *, title: str, kind: str = "ecg") -> Markup:
    total_width, total_height = _LEFT_MM + width_mm + _RIGHT_MM + 4, _TOP_MM + height_mm + _BOTTOM_MM - 3
    return figure(
        "".join(parts), width=total_width * _MM, height=total_height * _MM, title=title, kind=kind, size_mm=(total_width, total_height)
    )


def _u(mm: float) -> int:
    """Return millimetres in units of the view box."""
    return round(mm * _MM)
