"""Here: changing a signal's sampling rate. Not here: any other filter."""

from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecg_tasks.errors import SignalError
from ecg_tasks.signals import polyphase

MAX_FACTOR = 1000
"""Rates are brought to a ratio of whole numbers up to this size, which is exact for all rates in use and within 1e-6 for any other."""


@lru_cache(maxsize=64)
def resampled_size(n_samples: int, *, fs: float, target_fs: float) -> int:
    """Return how many samples ``resample`` makes of so many.

    >>> resampled_size(5000, fs=500, target_fs=125), resampled_size(1001, fs=500, target_fs=125)
    (1250, 251)
    """
    ratio = _ratio(target_fs / fs)
    return -(-n_samples * ratio.numerator // ratio.denominator)


def resample(samples: ArrayLike, *, fs: float, target_fs: float) -> NDArray[np.float32]:
    """Bring a signal to another sampling rate with a polyphase filter, along the last axis.

    The filter is SciPy's (a Kaiser window, zero phase), so amplitude and phase below the new Nyquist frequency stay, and what lies
    above it is removed. At both ends the signal is taken to go on along the line through its first and last sample, so an
    offset, however large, makes no step there.

    Parameters
    ----------
    samples : array, shape (..., n_samples), any unit
    fs : present sampling rate in Hz
    target_fs : wanted sampling rate in Hz

    Returns
    -------
    ndarray, shape (..., ceil(n_samples * target_fs / fs)), float32, in the same unit
        A copy, even where the rates are equal.

    Raises
    ------
    SignalError
        For a rate that is not above 0, or rates more than a factor of ``MAX_FACTOR`` apart.

    Examples
    --------
    >>> resample(np.ones((2, 500)), fs=500, target_fs=125).shape
    (2, 125)
    """
    if not (0 < fs < np.inf and 0 < target_fs < np.inf):
        raise SignalError(f"{fs=} Hz, {target_fs=} Hz; both must be above 0")
    ratio = _ratio(target_fs / fs)
    if not 0 < ratio <= MAX_FACTOR:
        raise SignalError(f"{fs=} Hz, {target_fs=} Hz; they are more than a factor of {MAX_FACTOR} apart")
    given = np.asarray(samples)
    n_samples, up, down = given.shape[-1], ratio.numerator, ratio.denominator
    if ratio == 1 or n_samples == 0:
        return given.astype(np.float32)
    resampled = np.empty((*given.shape[:-1], -(-n_samples * up // down)), np.float32)
    rows, found = given.reshape(-1, n_samples), resampled.reshape(-1, resampled.shape[-1])
    n_rows = max(1, polyphase.AT_ONCE // n_samples)
    for at in range(0, len(rows), n_rows):
        _resample(rows[at : at + n_rows].astype(np.float64), up, down, found[at : at + n_rows])
    return resampled


def _resample(signal: NDArray[np.float64], up: int, down: int, found: NDArray[np.float32]) -> None:
    """Change ``found`` to the signal at the other rate; both have a row a lead."""
    # without its offset, since the filter's phases differ by some 0.05 % in what they do to a constant
    offset: NDArray[np.float64] = signal.mean(axis=-1, keepdims=True)
    signal -= offset
    quick = polyphase.is_quick(signal.shape[1], up=up, down=down)
    filtered: NDArray[np.floating] | None = polyphase.filtered(signal, offset, up=up, down=down) if quick else None
    if filtered is None:
        from scipy.signal import resample_poly  # takes a second, and a task that only plans never resamples

        filtered = np.asarray(resample_poly(signal, up, down, axis=-1, padtype="line") + offset)
    found[:] = filtered


@lru_cache(maxsize=64)
def _ratio(exact: float) -> Fraction:
    return Fraction(exact).limit_denominator(MAX_FACTOR)
