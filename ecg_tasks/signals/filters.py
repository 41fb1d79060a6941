"""Here: Butterworth filters that are designed once and delay no wave, and the peaks of many rows. Not here: which band means what.

All of it takes whole batches, and gives each row what it gives it alone, to the last bit.
"""

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray


def above(samples: NDArray[np.floating], hz: float, *, fs: float) -> NDArray[np.float64]:
    """Remove from samples (..., n_samples) what is slower than ``hz``, by a filter of second order run both ways."""
    return _both_ways(_design(hz, "highpass", fs), samples)


def between(samples: NDArray[np.floating], band_hz: tuple[float, float], *, fs: float) -> NDArray[np.float64]:
    """Keep of samples (..., n_samples) what lies in a band, by a filter of second order run both ways."""
    return _both_ways(_design(band_hz, "bandpass", fs), samples)


def peaks_of_rows(rows: NDArray[np.floating], *, distance: int, heights: NDArray[np.floating]) -> list[NDArray[np.int64]]:
    """Return the local maxima of each row that reach its height, the higher one where two are nearer than ``distance``.

    What ``scipy.signal.find_peaks`` gives for each row by itself, which is asked once for all of them.

    Parameters
    ----------
    rows : ndarray, shape (n, n_samples)
    distance : samples
    heights : ndarray, shape (n,)
    """
    from scipy.signal import find_peaks  # takes a second, which the pages and tasks that filter nothing are spared

    n, n_samples = rows.shape
    walled = np.full((n, n_samples + 1), np.inf)  # what rises to the wall is no maximum, as at the end of a row
    walled[:, :-1] = rows
    least = np.full(walled.shape, np.nan)  # which nothing reaches
    least[:, :-1] = heights[:, None]
    found, _ = find_peaks(walled.ravel(), height=least.ravel())
    row, place = np.divmod(found, n_samples + 1)
    peaks = np.split(place.astype(np.int64), np.searchsorted(row, np.arange(1, n))) if n else []
    return [one if np.diff(one).min(initial=distance) >= distance else _apart(one, rows[at], distance) for at, one in enumerate(peaks)]


def _apart(peaks: NDArray[np.int64], row: NDArray[np.floating], distance: int) -> NDArray[np.int64]:
    """Return peaks without those that are nearer than ``distance`` to a higher one that stays, as SciPy's ``find_peaks`` chooses them."""
    places, stays = peaks.tolist(), [True] * len(peaks)
    for at in np.argsort(row[peaks])[::-1].tolist():
        if not stays[at]:
            continue
        for others in (range(at - 1, -1, -1), range(at + 1, len(places))):
            for other in others:
                if abs(places[other] - places[at]) >= distance:
                    break
                stays[other] = False
    return peaks[stays]


@lru_cache(maxsize=64)
def _design(hz: float | tuple[float, float], kind: Literal["highpass", "bandpass"], fs: float) -> NDArray[np.float64]:
    from scipy.signal import butter

    return np.asarray(butter(2, hz, kind, fs=fs, output="sos"))


def _both_ways(sections: NDArray[np.float64], samples: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return what ``scipy.signal.sosfiltfilt`` gives, same shape, on Linux to the last bit; every zero is positive.

    Each value waits for the one before it, so two rows take little longer than one: they go through as the real and the imaginary part
    of one row, which real weights keep apart to the last bit. Only of what is not finite would one reach the other.
    """
    from scipy.signal import sosfiltfilt

    rows = samples.reshape(-1, samples.shape[-1])
    if not np.isfinite(rows).all():
        return np.asarray(sosfiltfilt(sections, samples, axis=-1)) + 0.0
    n_first = -(-len(rows) // 2)
    pairs = np.zeros((n_first, rows.shape[1]), np.result_type(rows.dtype, np.complex64))
    pairs.real, pairs.imag[: len(rows) - n_first] = rows[:n_first], rows[n_first:]
    both = sosfiltfilt(sections, pairs, axis=-1)
    found = np.empty(rows.shape)
    np.add(both.real, 0.0, out=found[:n_first])
    np.add(both.imag[: len(rows) - n_first], 0.0, out=found[n_first:])
    return found.reshape(samples.shape)
