"""Here: how much of a signal was cut off by an amplifier or a converter. Not here: what that means for a window (``quality``)."""

import numpy as np
from numpy.typing import NDArray

NEAR = 0.005
"""Share of the range within which a sample is at the extreme."""


def clipped_share(samples: NDArray[np.floating], n_real: NDArray[np.integer] | int) -> NDArray[np.float32]:
    """Return the share of samples that stay, with both their neighbours, at the highest or lowest value of their signal.

    It is to be measured before the sampling rate is changed: any filter bends the flat tops that give clipping away.

    Parameters
    ----------
    samples : ndarray, shape (..., n_samples), any unit
    n_real : samples that count, from the first on; shape (...) or one for all

    Returns
    -------
    ndarray, shape (...), float32, 0 to 1

    Examples
    --------
    >>> clipped_share(np.array([0.0, 1.0, 1.0, 1.0, 1.0, 0.4, 0.1, 0.3]), 8)
    array(0.25, dtype=float32)
    """
    real = np.arange(samples.shape[-1]) < np.asarray(n_real)[..., None]
    highest, lowest = samples.max(axis=-1, keepdims=True), samples.min(axis=-1, keepdims=True)
    near = NEAR * (highest - lowest)
    high, low = real & (samples >= highest - near), real & (samples <= lowest + near)
    stays_high = high[..., 2:] & high[..., 1:-1] & high[..., :-2]
    stays_low = low[..., 2:] & low[..., 1:-1] & low[..., :-2]
    n_staying = stays_high.sum(axis=-1) + stays_low.sum(axis=-1)
    return np.asarray(n_staying / np.maximum(n_real, 1), dtype=np.float32)
