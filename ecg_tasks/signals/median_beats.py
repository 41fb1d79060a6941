"""Here: the median beat of all leads of a recording, in step with its R peaks. Not here: single beats of one lead (``heartbeats``)."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import SignalError
from ecg_tasks.signals import filters
from ecg_tasks.signals.middle import median_along, median_of, percentile_along

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
_AT_ONCE = 64
"""Windows that are filtered together, and fitted together where they have as many beats."""


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
    search = round(SEARCH_S * fs)
    for length in np.unique(lengths).tolist():
        alike = np.flatnonzero(lengths == length)
        for some in np.split(alike, range(_AT_ONCE, len(alike), _AT_ONCE)):
            steady = without_wander(windows[some, :, :length], fs=fs)
            peaks = [one[(one >= before) & (one <= length - after)] for one in _r_peaks(_steepness(steady, fs=fs), fs=fs)]
            counts = np.array([one.size for one in peaks])
            for count in np.unique(counts).tolist():
                at = np.flatnonzero(counts == count)
                if count:
                    fitted = _fitted(steady[at], np.stack([peaks[one] for one in at]), before=before, after=after, search=search)
                else:
                    middle = np.full((len(at), 1), min(max(length // 2, before), length - after))
                    fitted = middle, _median(steady[at], middle, before=before, after=after)
                yield from zip(some[at].tolist(), map(_Fitted, *fitted), strict=True)


def _steepness(windows: NDArray[np.float64], *, fs: float) -> NDArray[np.float64]:
    """Return how steep all leads are around each sample, shape (n, n_samples): each lead in units of its own median steepness."""
    from scipy.ndimage import uniform_filter1d

    steps = np.diff(filters.between(windows, QRS_HZ, fs=fs), prepend=0) ** 2
    steps /= median_along(steps)[..., None] + 1e-12  # a flat lead has steps of zero and stays at zero
    lead_mean = np.sqrt(np.minimum(steps, 1e4)).mean(axis=1)  # an artefact in one lead cannot outweigh the others
    return np.asarray(uniform_filter1d(lead_mean, round(QRS_S * fs), axis=-1, mode="constant"))


def _r_peaks(steepness: NDArray[np.float64], *, fs: float) -> list[NDArray[np.int64]]:
    heights = 0.4 * percentile_along(steepness, 98)
    return filters.peaks_of_rows(steepness, distance=round(REFRACTORY_S * fs), heights=heights)


def _fitted(
    windows: NDArray[np.float64], peaks: NDArray[np.int64], *, before: int, after: int, search: int
) -> tuple[NDArray[np.int64], NDArray[np.floating]]:
    """Return the beats of windows with as many beats each, every beat moved to fit the median beat of its window, and these.

    Parameters
    ----------
    windows : shape (n, n_leads, n_samples)
    peaks : shape (n, n_beats), samples; each beat lies wholly in its window
    search : samples that a beat is moved, at most, each time

    Returns
    -------
    R peaks, shape (n, n_beats), and median beats, shape (n, n_leads, before + after)
    """
    n_moves = min(2 * search, windows.shape[2] - before - after) + 1
    median = _median(windows, peaks, before=before, after=after)
    for _ in range(ALIGNMENTS):
        first = np.clip(peaks - search, before, windows.shape[2] - after - n_moves + 1)
        tried = first[..., None] + np.arange(n_moves)
        wide = _cut(windows, first - before, n_samples=before + after + n_moves - 1)
        fit = _products(wide, median)
        fit[np.abs(tried - peaks[..., None]) > search] = -np.inf
        moved = np.take_along_axis(tried, fit.argmax(axis=2)[..., None], axis=2)[..., 0]
        if np.array_equal(moved, peaks):  # nor would any beat be moved another time
            break
        peaks, median = moved, _median(windows, moved, before=before, after=after)
    return peaks, median


def _products(wide: NDArray[np.float64], median: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the sum of products with the median beat at each of the places where that lies in wider beats.

    Parameters
    ----------
    wide : shape (n, n_beats, n_leads, n_samples)
    median : shape (n, n_leads, n_median)

    Returns
    -------
    ndarray, shape (n, n_beats, n_samples - n_median + 1)
    """
    n, n_beats, n_leads, n_samples = wide.shape
    room = n_samples - median.shape[2]
    padded = np.zeros((n, n_leads, n_samples + room))
    padded[..., room:n_samples] = median
    places = np.lib.stride_tricks.sliding_window_view(padded, n_samples, axis=2)[:, :, ::-1]
    return np.asarray(wide.reshape(n, n_beats, -1) @ places.transpose(0, 1, 3, 2).reshape(n, n_leads * n_samples, room + 1))


def _cut(windows: NDArray[np.float64], starts: NDArray[np.int64], *, n_samples: int) -> NDArray[np.float64]:
    """Return so many samples of all leads from each start on, shape (*starts.shape, n_leads, n_samples); a row of starts a window."""
    at_each = np.lib.stride_tricks.sliding_window_view(windows, n_samples, axis=2)
    return at_each[np.arange(len(windows))[:, None], :, starts]


def _median(windows: NDArray[np.float64], peaks: NDArray[np.int64], *, before: int, after: int) -> NDArray[np.floating]:
    beats = _cut(windows, peaks - before, n_samples=before + after)
    return median_of(list(beats.swapaxes(0, 1)))
