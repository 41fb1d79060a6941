"""Here: how much of a signal was cut off by an amplifier or a converter. Not here: what that means for a window (``quality``)."""

import numpy as np
from numpy.typing import NDArray

NEAR = 0.005
"""Share of the range within which a sample is at the extreme."""
_AT_ONCE = 100_000
"""Samples that are looked at together: they stay near the processor."""


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
    at_once = max(1, _AT_ONCE // n_samples)
    parts = [slice(start, start + at_once) for start in range(0, len(rows), at_once)]
    n_staying = np.concatenate([np.empty(0), *(_staying(rows[part], n_counted[part]) for part in parts)])
    return np.asarray(n_staying / np.maximum(n_counted, 1), dtype=np.float32).reshape(samples.shape[:-1])


def _staying(rows: NDArray[np.floating], n_counted: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return how many samples of each row stay, of the first so many."""
    highest, lowest = rows.max(axis=1, keepdims=True), rows.min(axis=1, keepdims=True)
    near = NEAR * (highest - lowest)
    n_staying = np.zeros(len(rows), np.int64)
    for at_extreme in (rows >= highest - near, rows <= lowest + near):
        row, place = np.divmod(np.flatnonzero(at_extreme), rows.shape[1])  # few, as a rule
        counted = place < n_counted[row]
        row, place = row[counted], place[counted]
        stays = (place[2:] - place[:-2] == 2) & (row[2:] == row[:-2])  # noqa: PLR2004 - both neighbours are there too
        n_staying += np.bincount(row[2:][stays], minlength=len(rows))
    return n_staying
