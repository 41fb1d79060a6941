"""Here: the spectrogram of the ten seconds that a page shows of a lead, for a person to read, under the trace and on its time axis.

Not here: what the network saw (``spectrogram``).
"""

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from ecg_tasks.reporting.paper import LEFT_MM, MM, TOP_MM, paper, sheet, time_axis, u
from ecg_tasks.reporting.raster import image
from ecg_tasks.reporting.svg import line, number, rect, text, ticks, trace
from ecg_tasks.reporting.waveform import SHOWN_S, SPEED_MM_S
from ecg_tasks.signals.preparing import filled
from ecg_tasks.signals.record import Record
from ecg_tasks.signals.resampling import resample
from ecg_tasks.signals.stft import StftParams, stft_magnitude_db

FS = 250.0
"""Hz at which it is computed."""
STFT = StftParams(n_fft=128, win_length=64, hop_length=8, window="hann", floor_db=-120.0, scaling="amplitude")
"""Frames of 0.256 s, one every 0.032 s, at every second Hz: a QRS complex and its T wave stand apart, and so do 50 and 60 Hz."""
TOP_HZ = 65.0
"""As far up as it is drawn: above the mains there is nothing of the heart that ten seconds show."""
DB = (-50.0, 10.0)
"""dB re 1 mV at the dark and at the bright end: 3 microvolts, and 3 mV."""
_TRACE_MM, _GAP_MM, _PICTURE_MM, _BAR_MM = 25.0, 2.0, 32.0, 60.0
_GAINS_MM_MV = (10.0, 5.0, 2.5, 1.0, 0.5, 0.1)
_BINS_PER_MM = 5
_PAPER = "lead-paper"
"""Id of the paper, which is drawn once."""
_STEPS = 60
"""Colours from dark to bright, a dB each: all 256 would make a page half as large again."""


@dataclass(frozen=True, kw_only=True)
class LeadSpectrogram:
    """One lead's trace with its spectrogram beneath it."""

    lead: str
    drawing: Markup


@dataclass(frozen=True, kw_only=True, eq=False)
class Levels:
    """The level of each lead over time and frequency.

    Parameters
    ----------
    db : ndarray, shape (n_leads, n_freqs, n_frames), dB re 1 mV, row 0 at 0 Hz; nan where a frame has no valid sample
    freqs_hz, times_s : centres of the rows and the columns; times from the first sample on
    """

    db: NDArray[np.float32]
    freqs_hz: NDArray[np.float64]
    times_s: NDArray[np.float64]


def draw_lead_spectrograms(record: Record, *, from_s: float = 0.0) -> list[LeadSpectrogram]:
    """Draw every lead of a recording: its trace at 25 mm/s and its spectrogram; nothing of a single beat.

    Parameters
    ----------
    from_s : first second shown, as ``waveform.draw_waveform`` takes it
    """
    if record.is_heartbeat:
        return []
    start_s = float(np.clip(from_s, 0.0, max(0.0, record.duration_s - SHOWN_S)))
    first = round(start_s * record.fs)
    shown = record.samples[:, first : first + round(SHOWN_S * record.fs)]
    levels = levels_of(shown, fs=record.fs)
    return [
        LeadSpectrogram(
            lead=lead,
            drawing=_draw(lead, shown[index], levels.db[index], levels, fs=record.fs, start_s=start_s, with_paper=index == 0),
        )
        for index, lead in enumerate(record.leads)
    ]


def levels_of(samples: NDArray[np.floating], *, fs: float) -> Levels:
    """Return the level of each lead over time and frequency, up to ``TOP_HZ`` or what the rate tells.

    Parameters
    ----------
    samples : ndarray, shape (n_leads, n_samples), mV; invalid ones are bridged
    """
    valid = np.isfinite(samples)
    bridged = np.stack([filled(one, good) for one, good in zip(samples, valid, strict=True)])
    bridged = bridged - np.median(bridged, axis=1, keepdims=True)
    at_fs = resample(bridged.astype(np.float32), fs=fs, target_fs=FS)
    half = STFT.frame_length // 2
    padded = np.pad(at_fs, ((0, 0), (half, half)), mode="reflect" if at_fs.shape[1] > half else "edge")
    db = stft_magnitude_db(padded, params=STFT)
    times_s = STFT.times(padded.shape[1], fs=FS) - half / FS
    freqs_hz = STFT.freqs(fs=FS)
    seen = freqs_hz <= min(TOP_HZ, fs / 2)
    inside = np.clip(np.rint(times_s * fs).astype(np.int64), 0, samples.shape[1] - 1)
    db = np.where(valid[:, inside][:, np.newaxis], db, np.nan)
    return Levels(db=db[:, seen].astype(np.float32), freqs_hz=freqs_hz[seen], times_s=times_s)


def _draw(
    lead: str,
    samples: NDArray[np.floating],
    db: NDArray[np.floating],
    levels: Levels,
    *,
    fs: float,
    start_s: float,
    with_paper: bool,
) -> Markup:
    seconds = len(samples) / fs
    width, low_hz, high_hz = seconds * SPEED_MM_S, float(levels.freqs_hz[0]), float(levels.freqs_hz[-1])
    top = TOP_MM + _TRACE_MM + _GAP_MM
    height = _TRACE_MM + _GAP_MM + _PICTURE_MM
    parts = [
        f'<g id="{_PAPER}">{paper(width, _TRACE_MM, box_mm=1)}</g>' if with_paper else f'<use href="#{_PAPER}"/>',
        *_trace(samples, fs=fs),
        text(u(LEFT_MM + 1), u(TOP_MM + 4), lead, kind="lead"),
        _picture(db, levels.times_s, seconds=seconds, width_mm=width, top_mm=top),
        rect(u(LEFT_MM), u(top), u(width), u(_PICTURE_MM), kind="frame"),
        text(u(LEFT_MM - 1), u(top - 0.3), "Hz", kind="axis", anchor="end"),
    ]
    for hz in ticks(low_hz, high_hz, at_most=4):
        at = top + _PICTURE_MM * (1 - (hz - low_hz) / (high_hz - low_hz))
        parts += [
            line(u(LEFT_MM - 0.8), u(at), u(LEFT_MM), u(at), kind="tick"),
            text(u(LEFT_MM - 1.4), u(at + 1), number(hz), kind="axis", anchor="end"),
        ]
    parts += time_axis(start_s, seconds, top_mm=top + _PICTURE_MM, mm_per_s=SPEED_MM_S, at_most=10)
    parts += _colour_bar(top_mm=top + _PICTURE_MM + 7)
    title = f"Lead {lead}, {number(seconds)} s from {number(start_s)} s on: its trace, and its spectrogram to {number(high_hz)} Hz"
    return sheet(parts, width, height + 8, title=f"{title}; level in dB re 1 mV", kind="ecg with-spectrogram")


def _trace(samples: NDArray[np.floating], *, fs: float) -> list[str]:
    """Draw the trace about its median on its own paper, at the largest amplitude that fits, and the pulse of that."""
    valid = np.isfinite(samples)
    level = filled(samples, valid) - np.median(samples[valid] if valid.any() else np.zeros(1))
    low, high = np.percentile(level, [0.1, 99.9])
    gain = next((one for one in _GAINS_MM_MV if (high - low) * one <= _TRACE_MM - 4), _GAINS_MM_MV[-1])
    zero = TOP_MM + 5 * round((_TRACE_MM / 2 + (high + low) / 2 * gain) / 5)
    size = max(int(fs / (SPEED_MM_S * _BINS_PER_MM)), 1)
    if size > 2:  # noqa: PLR2004 - denser than two points a bin: each bin is drawn by its lowest and highest
        n_bins = len(level) // size
        bins = level[: n_bins * size].reshape(n_bins, size)
        at = np.sort(np.stack([bins.argmin(axis=1), bins.argmax(axis=1)], axis=1), axis=1) + np.arange(n_bins)[:, None] * size
        at = at.ravel()
    else:
        at = np.arange(len(level))
    y = np.clip(zero - level[at] * gain, TOP_MM, TOP_MM + _TRACE_MM)
    return [
        f'<path class="pulse" d="M{u(1.5)} {u(TOP_MM + 17.5)}h{u(1)}v{u(-10)}h{u(3)}v{u(10)}h{u(1)}"/>',
        text(u(0.4), u(TOP_MM + 21.5), f"{number(10 / gain)} mV", kind="axis"),
        trace(np.rint((LEFT_MM + at / fs * SPEED_MM_S) * MM).astype(np.int64), np.rint(np.asarray(y) * MM).astype(np.int64), kind="trace"),
    ]


def _picture(db: NDArray[np.floating], times_s: NDArray[np.floating], *, seconds: float, width_mm: float, top_mm: float) -> str:
    """Draw the levels so that every column lies over the time that it is the middle of; what is beyond the first or last sample is cut."""
    hop_s = float(times_s[1] - times_s[0])
    inside = (times_s >= 0) & (times_s <= seconds)
    low, high = DB
    steps = np.rint(np.clip((np.nan_to_num(db[:, inside], nan=low) - low) / (high - low), 0, 1) * _STEPS)
    scaled = np.rint(steps * (255 / _STEPS)).astype(np.uint8)
    first_s = float(times_s[inside][0]) - hop_s / 2
    span_s = hop_s * scaled.shape[1]
    clip = f'<svg x="{u(LEFT_MM)}" y="{u(top_mm)}" width="{u(width_mm)}" height="{u(_PICTURE_MM)}">'
    return f"{clip}{image(scaled, u(first_s * SPEED_MM_S), 0, u(span_s * SPEED_MM_S), u(_PICTURE_MM))}</svg>"


def _colour_bar(*, top_mm: float) -> list[str]:
    """Draw a bar of the colours under the time axis, with their levels."""
    low, high = DB
    x = LEFT_MM + 36
    parts = [
        text(u(LEFT_MM), u(top_mm + 2.6), "level, dB re 1 mV", kind="axis"),
        image(np.arange(256, dtype=np.uint8)[np.newaxis], u(x), u(top_mm), u(_BAR_MM), u(2.5)),
        rect(u(x), u(top_mm), u(_BAR_MM), u(2.5), kind="frame"),
    ]
    for level in ticks(low, high, at_most=8):
        at = x + (level - low) / (high - low) * _BAR_MM
        parts += [
            line(u(at), u(top_mm + 2.5), u(at), u(top_mm + 3.3), kind="tick"),
            text(u(at), u(top_mm + 6.4), number(level).replace("-", "−"), kind="axis", anchor="middle"),
        ]
    return parts
