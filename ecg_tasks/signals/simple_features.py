"""Here: a handful of plain measurements of a record, without its age. Not here: what is made of them (``evaluation.baselines``)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.signals.median_beats import median_beats
from ecg_tasks.signals.record import Record
from ecg_tasks.signals.windowing import BeatWindows, RecordingWindows

BEAT_LENGTH = "beat_length_s"
"""1.2 median R-R intervals, at most 1.5 s: all that the padding of a heartbeat row shows."""
BEAT_FEATURES = (BEAT_LENGTH, "mean_level", "lowest_level", "r_width_s", "t_height")
"""Of single beats scaled to [0, 1]."""
RECORDING_FEATURES = (
    BEAT_LENGTH,
    "qrs_amplitude_mv",
    "qrs_width_s",
    "qrs_net_i_mv",
    "qrs_net_avf_mv",
    "sokolow_lyon_mv",
    "st_deviation_mv",
    "t_ii_mv",
    "t_v5_mv",
)
"""Of the average beat of twelve leads."""

_BEATS = BeatWindows(lenient=True)
_BEFORE_S, _AFTER_S = 0.3, 0.5
_QRS_S = 0.06
"""The QRS complex lies within it on both sides of the R peak."""
_PR_S = (-0.12, -0.08)
"""Before the QRS complex, where the level is taken to be zero."""
_ST_S = (0.08, 0.12)
_T_S = (0.16, 0.45)


def feature_names(windowing: BeatWindows | RecordingWindows) -> tuple[str, ...]:
    """Return what ``simple_features`` measures for a recipe that cuts records this way."""
    return RECORDING_FEATURES if isinstance(windowing, RecordingWindows) else BEAT_FEATURES


def simple_features(records: Sequence[Record], windowing: BeatWindows | RecordingWindows) -> NDArray[np.float64]:
    """Measure records that the windowing accepts.

    Beats are cut leniently for every recipe, and a record's value is the median over its beats or windows.

    Returns
    -------
    ndarray, shape (n_records, n_features), columns as in ``feature_names``, nan where no beat was found
    """
    beats = _beat_features(records)
    if not isinstance(windowing, RecordingWindows):
        return beats
    return np.column_stack([beats[:, 0], _recording_features(records, windowing)])


def _beat_features(records: Sequence[Record]) -> NDArray[np.float64]:
    taken = [index for index, record in enumerate(records) if _BEATS.accepts(record)]
    windows = _BEATS.cut([records[index] for index in taken])
    samples, n_real, fs = windows.samples[:, 0], np.maximum(windows.n_real, 1), _BEATS.fs
    at_s = np.arange(samples.shape[1]) / fs
    real = at_s * fs < n_real[:, None]
    is_t = real & (at_s >= _T_S[0]) & (at_s < _T_S[1])
    high = samples >= samples[:, :1] / 2
    measured = np.column_stack(
        [
            n_real / fs,
            np.where(real, samples, 0).sum(axis=1) / n_real,
            np.where(real, samples, np.inf).min(axis=1, initial=np.inf),
            np.argmin(high, axis=1) / fs,
            np.where(is_t, samples, 0).max(axis=1, initial=0),
        ]
    )
    return _medians(measured, np.array(taken, dtype=np.int64)[windows.record], n_records=len(records))


def _recording_features(records: Sequence[Record], windowing: RecordingWindows) -> NDArray[np.float64]:
    windows = windowing.cut(records)
    beats = median_beats(windows.samples, fs=windowing.fs, before_s=_BEFORE_S, after_s=_AFTER_S, n_real=windows.n_real).astype(np.float64)
    at_s = (np.arange(beats.shape[-1]) - round(_BEFORE_S * windowing.fs)) / windowing.fs
    beats = beats - _between(beats, at_s, *_PR_S).mean(axis=-1, keepdims=True)
    lead = {name: row for row, name in enumerate(windowing.leads)}
    qrs, t_wave = _between(beats, at_s, -_QRS_S, _QRS_S), _between(beats, at_s, *_T_S)
    highest, lowest = qrs.max(axis=-1), qrs.min(axis=-1)
    steps = np.abs(np.diff(_between(beats, at_s, -2 * _QRS_S, 2 * _QRS_S), axis=-1)).sum(axis=1)
    peak = t_wave.max(axis=-1) + t_wave.min(axis=-1)  # upright or inverted
    measured = np.column_stack(
        [
            (highest - lowest).mean(axis=1),
            (steps > steps.max(axis=1, keepdims=True) / 4).sum(axis=1) / windowing.fs,
            (highest + lowest)[:, lead["I"]],
            (highest + lowest)[:, lead["aVF"]],
            highest[:, lead["V5"]] - lowest[:, lead["V1"]],
            np.abs(_between(beats, at_s, *_ST_S).mean(axis=-1)).mean(axis=1),
            peak[:, lead["II"]],
            peak[:, lead["V5"]],
        ]
    )
    return _medians(measured, windows.record, n_records=len(records))


def _between(beats: NDArray[np.float64], at_s: NDArray[np.float64], low_s: float, high_s: float) -> NDArray[np.float64]:
    return np.asarray(beats[..., (at_s >= low_s - 1e-9) & (at_s <= high_s + 1e-9)])


def _medians(measured: NDArray[np.float64], record: NDArray[np.int64], *, n_records: int) -> NDArray[np.float64]:
    """Return the median of each record's rows, nan for a record without any; rows of a record stand together."""
    found = np.full((n_records, measured.shape[1]), np.nan)
    owners, starts = np.unique(record, return_index=True)
    for owner, rows in zip(owners, np.split(measured, starts[1:]), strict=False):  # one empty piece where there is no row
        found[owner] = np.median(rows, axis=0)
    return found
