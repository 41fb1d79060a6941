"""Here: SciPy's polyphase filter as one product of matrices, every value proved. Not here: which rates, or offsets (``resampling``).

SciPy adds the products of the filter one after the other, a matrix product adds them in groups and takes half the time. Both are off the
true sum by no more than a bound that is known. Where no single-precision number changes within it, both round to the same one; the few
values that lie nearer to a boundary are added up again one after the other. So no bit depends on the order of a matrix product.

On Linux these values are SciPy's too, which the tests compare. SciPy for macOS is compiled so that a product is added before it is
rounded: there these few may differ from SciPy's by the last bit, since NumPy rounds it first on any machine.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST_UP, MOST_DOWN = 8, 64
"""Of other ratios the matrix would be large for what it saves."""
AT_ONCE = 100_000
"""Samples that are best filtered together: the two copies of them that a product takes stay near the processor."""
_SUMMED_AT_ONCE = 256
"""Values that are added up again together: where leads are silent it may be most of them."""
_REACH = 10
"""The filter reaches over so many samples of the lower rate to either side: SciPy's, as the window."""
_WINDOW = ("kaiser", 5.0)
_EPSILON = float(np.finfo(np.float64).eps)


class _Plan(NamedTuple):
    """A filter of one ratio.

    Parameters
    ----------
    taps : shape (2 * half + 1,)
    half : taps on either side of the middle, at the rate ``up`` times the first one
    before : samples before the first one that the first value needs
    matrix : shape (samples of a block, values of a block); a block begins ``step`` samples after the one before
    error : how far a sum may be off in all, as a share of the largest sample
    """

    taps: NDArray[np.float64]
    half: int
    before: int
    step: int
    matrix: NDArray[np.float64]
    error: float


def is_quick(n_samples: int, *, up: int, down: int) -> bool:
    """Return whether `filtered` takes rows of so many samples: of a plain ratio, longer than the filter, but not of minutes."""
    return up <= MOST_UP and down <= MOST_DOWN and 2 * _REACH * max(up, down) < n_samples <= AT_ONCE


def filtered(rows: NDArray[np.float64], offset: NDArray[np.float64], *, up: int, down: int) -> NDArray[np.float32] | None:
    """Return ``resample_poly(rows, up, down, axis=-1, padtype="line") + offset`` in single precision, on Linux to the last bit.

    Parameters
    ----------
    rows : shape (n, n_samples)
    offset : shape (n, 1)
    up, down : without a common divisor; see `is_quick`

    Returns
    -------
    ndarray, shape (n, ceil(n_samples * up / down)); None where a sample is not finite
    """
    plan = _filter(up, down)
    n, n_samples = rows.shape
    n_values = -(-n_samples * up // down)
    n_blocks = -(-n_values // plan.matrix.shape[1])
    longer = _on_a_line(rows, before=plan.before, in_all=(n_blocks - 1) * plan.step + plan.matrix.shape[0])
    bound = plan.error * np.maximum(np.maximum(longer.max(axis=1, keepdims=True), -longer.min(axis=1, keepdims=True)), np.abs(offset))
    if not np.isfinite(bound).all():
        return None
    blocks = np.lib.stride_tricks.sliding_window_view(longer, plan.matrix.shape[0], axis=1)[:, :: plan.step]
    values = (blocks.reshape(-1, plan.matrix.shape[0]) @ plan.matrix).reshape(n, -1)[:, :n_values]
    values += offset
    found = values.astype(np.float32)
    row, place = ((values - bound).astype(np.float32) != (values + bound).astype(np.float32)).nonzero()
    for start in range(0, len(row), _SUMMED_AT_ONCE):
        some = row[start : start + _SUMMED_AT_ONCE], place[start : start + _SUMMED_AT_ONCE]
        found[some] = _summed(longer, *some, plan, up=up, down=down) + offset[some[0], 0]
    return found


def _on_a_line(rows: NDArray[np.float64], *, before: int, in_all: int) -> NDArray[np.float64]:
    """Return rows that go on at both ends along the line through their first and last sample, so many samples in all."""
    n_samples = rows.shape[1]
    first, last = rows[:, :1], rows[:, -1:]
    slope = (last - first) / (n_samples - 1)
    longer = np.empty((len(rows), in_all))
    longer[:, :before] = first + np.arange(-before, 0) * slope
    longer[:, before : before + n_samples] = rows
    longer[:, before + n_samples :] = last + np.arange(1, in_all - before - n_samples + 1) * slope
    return longer


def _summed(
    longer: NDArray[np.float64], row: NDArray[np.int64], place: NDArray[np.int64], plan: _Plan, *, up: int, down: int
) -> NDArray[np.float64]:
    """Return the values at these places of these rows, shape (n,): to zero one rounded product after the other is added."""
    at = -((plan.half - place * down) // up)[:, None] + np.arange(-1, 2 * plan.half // up + 1)
    tap = plan.half + place[:, None] * down - at * up
    reached = (tap >= 0) & (tap < len(plan.taps))  # the first one never is, and leaves the zero to begin at
    products = longer[row[:, None], np.minimum(plan.before + at, longer.shape[1] - 1)] * plan.taps[np.where(reached, tap, 0)]
    return np.asarray(np.add.accumulate(np.where(reached, products, 0.0), axis=1)[:, -1])


@lru_cache(maxsize=16)
def _filter(up: int, down: int) -> _Plan:
    from scipy.signal import firwin

    half = _REACH * max(up, down)
    taps = firwin(2 * half + 1, 1 / max(up, down), window=_WINDOW) * up
    before, n_groups = -(-half // up), -(-2 * half // (up * down))
    matrix = np.zeros((n_groups * down + 2 * before + down, n_groups * up))
    for value in range(n_groups * up):
        for at in range(-(-(value * down - half) // up), (value * down + half) // up + 1):
            matrix[before + at, value] = taps[half + value * down - at * up]
    # each of the two ways is off by no more than the number of roundings, of which those of product and offset are two
    error = 2 * (matrix.shape[0] + 2) * _EPSILON * max(1.0, float(np.abs(matrix).sum(axis=0).max()))
    return _Plan(taps=taps, half=half, before=before, step=n_groups * down, matrix=matrix, error=error)
