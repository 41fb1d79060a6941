"""Here: the median beat of all leads of a recording, in step with its R peaks. Not here: single beats of one lead (``heartbeats``)."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import SignalError
from ecg_tasks.signals import filters
from ecg_tasks.signals.middle import median_along, median_of

WANDER_HZ = 0.5
"""What is slower is breathing or electrodes, not the heart (Kligfield et al., Circulation 115(10), 2007)."""
QRS_HZ = (5.0, 25.0)
"""Where the QRS complex stands out from P and T waves."""
REFRACTORY_S = 0.3
QRS_S = 0.12
"""Length over which the steepness of all leads is added up to find a QRS complex."""
SEARCH_S = 0.032
"""How far a beat is moved, at most, to fit the median beat, each time."""
ALIGNMENTS = 2
_AT_ONCE = 32
"""Windows that are filtered together: what is computed of them stays in a processor's cache."""


def without_wander(samples: NDArray[np.floating], *, fs: float) -> NDArray[np.float64]:
    """Remove from samples (..., n_samples) what is slower than ``WANDER_HZ``, by a Butterworth filter run both ways: no wave is delayed."""
    return filters.above(samples, WANDER_HZ, fs=fs)


def median_beats(
    windows: NDArray[np.floating], *, fs: float, before_s: float, after_s: float, n_real: NDArray[np.integer] | None = None
) -> NDArray[np.float32]:
    """Return the median beat of every window, all leads in step.

    A median over ten beats halves the noise and drops what happens once. The R peak is taken to be where 0.12 s of all leads
    together are steepest, the middle of the QRS complex; each beat is then moved to where it fits the median beat best.

    Parameters
    ----------
    windows : ndarray, shape (n, n_leads, n_samples), mV
    fs : sampling rate in Hz
    before_s, after_s : seconds kept on both sides of the R peak; a beat that is not wholly inside the window is left out
    n_real : ndarray, shape (n,), samples of each window that count, from the first on; without it all do

    Returns
    -------
    ndarray, shape (n, n_leads, round(before_s * fs) + round(after_s * fs)), float32, mV, without baseline wander; a window
    in which no beat is found gives its middle

    Raises
    ------
    SignalError
        If a window is shorter than a beat.
    """
    before, after = round(before_s * fs), round(after_s * fs)
    if windows.shape[-1] < before + after:
        raise SignalError(f"a window has {windows.shape[-1]} samples; a beat of {before_s} s and {after_s} s takes {before + after}")
    beats = np.empty((*windows.shape[:-1], before + after), np.float32)
    for index, fitted in _beats_in_step(windows, n_real, fs=fs, before=before, after=after):
        beats[index] = fitted.median
    return beats


def beats_in_step(
    windows: NDArray[np.floating], *, fs: float, before_s: float, after_s: float, n_real: NDArray[np.integer] | None = None
) -> list[NDArray[np.float64]]:
    """Return the R peaks of the beats that the median beat of each window is made of, s from the window's start; parameters as above."""
    before, after = round(before_s * fs), round(after_s * fs)
    found = {index: fitted.peaks / fs for index, fitted in _beats_in_step(windows, n_real, fs=fs, before=before, after=after)}
    return [found[index] for index in range(len(windows))]


class _Fitted(NamedTuple):
    """R peaks (samples), each moved to fit the median beat, and that beat, shape (n_leads, n_samples)."""

    peaks: NDArray[np.int64]
    median: NDArray[np.floating]


def _beats_in_step(
    windows: NDArray[np.floating], n_real: NDArray[np.integer] | None, *, fs: float, before: int, after: int
) -> Iterator[tuple[int, _Fitted]]:
    """Return each window's index and its beats, without wander.

    Windows with as many real samples are filtered together.
    """
    lengths = np.full(len(windows), windows.shape[-1]) if n_real is None else n_real
    for length in np.unique(lengths).tolist():
        alike = np.flatnonzero(lengths == length)
        for some in np.split(alike, range(_AT_ONCE, len(alike), _AT_ONCE)):
            steady = without_wander(windows[some, :, :length], fs=fs)
            r_peaks = _r_peaks(_steepness(steady, fs=fs), fs=fs)
            for index, window, peaks in zip(some.tolist(), steady, r_peaks, strict=True):
                yield index, _fitted(window, peaks, before=before, after=after, search=round(SEARCH_S * fs))


def _steepness(windows: NDArray[np.float64], *, fs: float) -> NDArray[np.float64]:
    """Return how steep all leads are around each sample, shape (n, n_samples): each lead in units of its own median steepness."""
    from scipy.ndimage import uniform_filter1d

    steps = np.diff(filters.between(windows, QRS_HZ, fs=fs), axis=-1, prepend=0) ** 2
    steps /= median_along(steps)[..., None] + 1e-12  # a flat lead has steps of zero and stays at zero
    lead_mean = np.sqrt(np.minimum(steps, 1e4)).mean(axis=1)  # an artefact in one lead cannot outweigh the others
    return np.asarray(uniform_filter1d(lead_mean, round(QRS_S * fs), axis=-1, mode="constant"))


def _r_peaks(steepness: NDArray[np.float64], *, fs: float) -> list[NDArray[np.int64]]:
    heights = 0.4 * np.percentile(steepness, 98, axis=-1)
    return filters.peaks_of_rows(steepness, distance=round(REFRACTORY_S * fs), heights=heights)


def _fitted(window: NDArray[np.float64], peaks: NDArray[np.int64], *, before: int, after: int, search: int) -> _Fitted:
    """Return the beats that lie wholly in a window, each moved to fit the median beat; the middle if there are none."""
    first, last = before, window.shape[-1] - after
    peaks = peaks[(peaks >= first) & (peaks <= last)]
    if not peaks.size:
        peaks = np.array([np.clip(window.shape[-1] // 2, first, last)])
        return _Fitted(peaks, _median(window, peaks, before, after))
    moves = np.arange(-search, search + 1)
    median = _median(window, peaks, before, after)
    for _ in range(ALIGNMENTS):
        tried = np.clip(peaks[:, None] + moves, first, last)
        fit = np.einsum("lbmt,lt->bm", _moved(window, peaks, tried, before=before, after=after), median)
        moved = np.take_along_axis(tried, fit.argmax(axis=1)[:, None], axis=1)[:, 0]
        if np.array_equal(moved, peaks):  # nor would any beat be moved another time
            break
        peaks, median = moved, _median(window, moved, before, after)
    return _Fitted(peaks, median)


def _moved(
    window: NDArray[np.float64], peaks: NDArray[np.int64], tried: NDArray[np.int64], *, before: int, after: int
) -> NDArray[np.float64]:
    """Return the beats at all places that are tried, shape (n_leads, n_beats, n_moves, n_samples)."""
    search = tried.shape[1] // 2
    if peaks[0] - before < search or peaks[-1] + after + search > window.shape[-1]:
        return window[:, tried[..., None] + np.arange(-before, after)]
    wide = window[:, peaks[:, None] + np.arange(-before - search, after + search)]
    return np.lib.stride_tricks.sliding_window_view(wide, before + after, axis=2)


def _median(window: NDArray[np.float64], peaks: NDArray[np.int64], before: int, after: int) -> NDArray[np.floating]:
    return median_of([window[:, peak - before : peak + after] for peak in peaks.tolist()])
