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

    What ``scipy.signal.find_peaks`` gives for each row by itself, of which it is asked for once only where no two are near.

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
    return [
        one if np.diff(one).min(initial=distance) >= distance else find_peaks(rows[at], distance=distance, height=heights[at])[0]
        for at, one in enumerate(peaks)
    ]


@lru_cache(maxsize=64)
def _design(hz: float | tuple[float, float], kind: Literal["highpass", "bandpass"], fs: float) -> NDArray[np.float64]:
    from scipy.signal import butter

    return np.asarray(butter(2, hz, kind, fs=fs, output="sos"))


def _both_ways(sections: NDArray[np.float64], samples: NDArray[np.floating]) -> NDArray[np.float64]:
    from scipy.signal import sosfiltfilt

    return np.asarray(sosfiltfilt(sections, samples, axis=-1))
