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
    n_samples = samples.shape[-1]
    rows = samples.reshape(-1, n_samples)
    n_counted = np.broadcast_to(n_real, samples.shape[:-1]).ravel()
    highest, lowest = rows.max(axis=1, keepdims=True), rows.min(axis=1, keepdims=True)
    near = NEAR * (highest - lowest)
    n_staying = np.zeros(len(rows), np.int64)
    for at_extreme in (rows >= highest - near, rows <= lowest + near):
        row, place = np.divmod(np.flatnonzero(at_extreme), n_samples)  # few, as a rule
        row, place = row[place < n_counted[row]], place[place < n_counted[row]]
        stays = (place[2:] - place[:-2] == 2) & (row[2:] == row[:-2])  # noqa: PLR2004 - both neighbours are there too
        n_staying += np.bincount(row[2:][stays], minlength=len(rows))
    return np.asarray(n_staying / np.maximum(n_counted, 1), dtype=np.float32).reshape(samples.shape[:-1])
