"""Here: beats cut from one lead as Kachuee et al. 2018 cut them. Not here: what becomes of the beats (``recipes``)."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecg_tasks.errors import SignalError
from ecg_tasks.signals.filters import peaks_of_rows
from ecg_tasks.signals.middle import middle_of
from ecg_tasks.signals.record import HEARTBEAT_FS, HEARTBEAT_SAMPLES
from ecg_tasks.signals.resampling import resample

WINDOW_S = 10.0
R_THRESHOLD = 0.9
"""A local maximum at or above this part of its window's range is an R peak."""
LENIENT_R_THRESHOLDS = (0.9, 0.8, 0.7, 0.6, 0.5)
"""For recordings whose R peaks differ in height, or that have one spike: the highest of these that gives enough beats."""
ENOUGH_BEATS = 4
BEAT_PER_RR = 1.2
"""Length of a beat in units of the window's median R-R interval."""
REFRACTORY_S = 0.25
"""No heart beats twice within it: of two candidates that are closer only the higher is an R peak."""
MAX_RR_S = 2.0
"""A longer median R-R interval (below 30 beats a minute) means that most R peaks of the window were not found."""
_AT_ONCE = 256
"""Windows whose peaks are found together: a recording of a day has 8,640."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Beats:
    """The beats of one lead, in order of time."""

    samples: NDArray[np.float32]
    """Shape (n_beats, 187), at 125 Hz, in [0, 1] of the window's range; zero after the beat's end."""
    r_peaks_s: NDArray[np.float64]
    """Shape (n_beats,): seconds from the recording's start to the R peak, which is each beat's first sample."""
    n_samples: NDArray[np.int64]
    """Shape (n_beats,): samples before the padding, at most 187."""


def cut_beats(lead: ArrayLike, *, fs: float, r_thresholds: tuple[float, ...] = (R_THRESHOLD,), window_s: float = WINDOW_S) -> Beats:
    """Cut a lead into beats, the way the heartbeat CSV was made.

    The lead is resampled to 125 Hz and split into windows of 10 s; each window is scaled to [0, 1]; local maxima (where the first
    derivative crosses zero) of 0.9 or more are R peaks; T is the median R-R interval of the window; and from every R peak a part of
    1.2 T is taken and padded with zeros to 187 samples.

    The paper leaves four things open. They are settled so: (1) of two R candidates less than ``REFRACTORY_S`` apart the higher
    one counts, since a notched R wave has several maxima; (2) a window without two R peaks, or with a median R-R interval above
    ``MAX_RR_S``, gives no beats; (3) a beat that would run past its window's end is left out, as is what follows the last whole
    window; (4) a beat longer than 187 samples (T above 1.25 s) is cut there.

    Parameters
    ----------
    lead : array, shape (n_samples,), any unit
    fs : sampling rate in Hz
    r_thresholds : for each window the first of them that gives ``ENOUGH_BEATS`` beats counts, or else the last; the paper's
        0.9 alone finds no beat in every tenth recording of PTB-XL
    window_s : length of a window, s; less than ten only for a recording that is shorter

    Returns
    -------
    Beats, of which there may be none

    Raises
    ------
    SignalError
        If the lead is no one-dimensional array of finite numbers.

    References
    ----------
    Kachuee, Fazeli, Sarrafzadeh, ECG heartbeat classification: a deep transferable representation, 2018, arXiv 1805.00794, section III-A.
    """
    signal = np.asarray(lead, dtype=np.float64)
    if signal.ndim != 1 or not np.isfinite(signal).all():
        raise SignalError(f"a lead must be one row of finite samples; this one has shape {signal.shape}")
    return cut_beats_of_rows(signal[None], fs=fs, r_thresholds=r_thresholds, window_s=window_s)[0]


def cut_beats_of_rows(
    rows: NDArray[np.floating], *, fs: float, r_thresholds: tuple[float, ...] = (R_THRESHOLD,), window_s: float = WINDOW_S
) -> list[Beats]:
    """Cut rows of finite samples, shape (n, n_samples), into beats; each row gives what `cut_beats` gives of it."""
    resampled = resample(rows, fs=fs, target_fs=HEARTBEAT_FS)
    n_in_window = round(window_s * HEARTBEAT_FS)
    n_windows = resampled.shape[1] // n_in_window
    windows = resampled[:, : n_windows * n_in_window].reshape(len(rows) * n_windows, n_in_window).astype(np.float64)
    low = windows.min(axis=1, keepdims=True)
    spread = windows.max(axis=1, keepdims=True) - low
    scaled = np.divide(windows - low, spread, out=np.zeros_like(windows), where=spread > 0).astype(np.float32)
    r_peaks, lengths = _whole_beats(scaled, r_thresholds)

    n_beats = np.array([one.size for one in r_peaks], np.int64)
    first = np.repeat(np.arange(len(scaled)) * n_in_window, n_beats)  # of its window
    starts = first + np.concatenate([np.empty(0, np.int64), *r_peaks])
    n_samples = np.repeat(np.minimum(lengths, HEARTBEAT_SAMPLES), n_beats)
    at = starts[:, None] + np.arange(HEARTBEAT_SAMPLES)
    inside = at < (starts + n_samples)[:, None]
    samples = np.zeros(at.shape, dtype=np.float32)
    samples[inside] = scaled.ravel()[at[inside]]
    ends = np.cumsum(n_beats.reshape(len(rows), n_windows).sum(axis=1))
    return [
        Beats(
            samples=samples[begin:end],
            r_peaks_s=(starts[begin:end] - row * n_windows * n_in_window) / HEARTBEAT_FS,
            n_samples=n_samples[begin:end],
        )
        for row, (begin, end) in enumerate(pairwise([0, *ends.tolist()]))
    ]


def _whole_beats(windows: NDArray[np.float32], r_thresholds: tuple[float, ...]) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
    """Return R peaks of the beats that end inside each scaled window, and their length in samples, by the first threshold with enough."""
    r_peaks, lengths = [np.empty(0, np.int64)] * len(windows), np.zeros(len(windows), np.int64)
    few = list(range(len(windows)))
    for threshold in r_thresholds:
        for start in range(0, len(few), _AT_ONCE):
            some = few[start : start + _AT_ONCE]
            found = peaks_of_rows(windows[some], distance=round(REFRACTORY_S * HEARTBEAT_FS), heights=np.full(len(some), threshold))
            for window, peaks in zip(some, found, strict=True):
                rr = middle_of(np.diff(peaks)) if peaks.size > 1 else np.inf
                lengths[window] = round(BEAT_PER_RR * rr) if rr <= MAX_RR_S * HEARTBEAT_FS else 0
                r_peaks[window] = peaks[peaks + lengths[window] <= windows.shape[1]] if lengths[window] else peaks[:0]
        few = [window for window in few if r_peaks[window].size < ENOUGH_BEATS]
    return r_peaks, lengths
