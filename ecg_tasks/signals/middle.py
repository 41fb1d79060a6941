"""Here: medians and means of what is short or many, without NumPy's own way round to them. Not here: what they are of."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

_Number = TypeVar("_Number", float, NDArray[np.float64])

MOST = 24
"""Of more arrays sorting is as quick."""
LONG = 256
"""Rows of so many values and more are parted at one place, in six tenths of the time that sorting takes; fewer are sorted as quickly."""


class _Exchange(NamedTuple):
    """Two places of a sorting network, and whether the smaller and the larger value are needed behind it."""

    low: int
    high: int
    smaller: bool
    larger: bool


def median_of(arrays: Sequence[NDArray[np.floating]] | NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the median of arrays of one shape, value by value; of an even number the mean of the middle two.

    The same values as ``np.median``, by a sorting network whose every step takes whole arrays: several times as fast for few of them.

    References
    ----------
    Odd-even merge sort: Batcher, AFIPS Spring Joint Computing Conference, 1968.

    Examples
    --------
    >>> median_of(np.array([[1.0, 9.0], [5.0, 2.0], [3.0, 4.0]]))
    array([3., 4.])
    """
    n = len(arrays)
    if n > MOST:
        ordered = np.sort(np.asarray(arrays), axis=0)
        return np.asarray((ordered[(n - 1) // 2] + ordered[n // 2]) / 2)
    sorting = list(arrays)
    for low, high, smaller, larger in _network(n):
        one, other = sorting[low], sorting[high]
        if smaller:
            sorting[low] = np.minimum(one, other)
        if larger:
            sorting[high] = np.maximum(one, other)
    return np.asarray((sorting[(n - 1) // 2] + sorting[n // 2]) / 2)


def middle_of(values: NDArray[np.floating] | Sequence[float]) -> float:
    """Return the median of some numbers: that of ``np.median``, which takes ten times as long for a few."""
    ordered = sorted(map(float, values))
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def quartiles_of(values: NDArray[np.floating]) -> tuple[float, float, float]:
    """Return the quartiles of some numbers: the bits of ``np.percentile``, which takes thirty times as long for a few.

    Examples
    --------
    >>> quartiles_of(np.array([1.0, 2.0, 4.0, 8.0]))
    (1.75, 3.0, 5.0)
    """
    ordered = sorted(map(float, values))

    def at(share: float) -> float:
        place = (len(ordered) - 1) * share
        return _between(ordered[int(place)], ordered[min(int(place) + 1, len(ordered) - 1)], place % 1)

    return at(0.25), at(0.5), at(0.75)


def percentile_along(rows: NDArray[np.float64], percent: float) -> NDArray[np.float64]:
    """Return a percentile along the last axis: the bits of ``np.percentile`` (but for the sign of a zero), which parts rows at four places.

    A row with a value that is no number has no percentile either.

    Examples
    --------
    >>> percentile_along(np.array([[1.0, 9.0, 2.0, 4.0]]), 50)
    array([3.])
    """
    last = rows.shape[-1] - 1
    place = last * (percent / 100)
    at = int(place)
    parted = np.partition(rows, at, axis=-1)  # what is no number comes last, and the least of what has one in it is none either
    return _between(parted[..., at], parted[..., min(at + 1, last) :].min(axis=-1), place % 1)


def median_along(rows: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the median along the last axis, of finite values: the bits of ``np.median``.

    NumPy parts rows at one place a whole vector at a time, but value by value at the three that its own median asks for, which takes
    seven times as long.

    Examples
    --------
    >>> median_along(np.array([[1.0, 9.0, 2.0, 3.0]]))
    array([2.5])
    """
    n = rows.shape[-1]
    middle = n // 2
    if n < LONG:
        ordered = np.sort(rows, axis=-1)
        low, high = ordered[..., (n - 1) // 2], ordered[..., middle]
    else:
        parted = np.partition(rows, middle, axis=-1)
        high = parted[..., middle]
        low = high if n % 2 else parted[..., :middle].max(axis=-1)
    return np.asarray((low + high) / 2 + 0.0)  # of zeros of both signs any may stand there; now it is none below zero


def median_kept(rows: NDArray[np.floating], kept: NDArray[np.bool_]) -> NDArray[np.floating]:
    """Return the median along the last axis of those values alone that are kept, one or more of each row.

    Examples
    --------
    >>> median_kept(np.array([[1.0, 9.0, 2.0, 3.0]]), np.array([True, False, True, True]))
    array([2.])
    """
    ordered, n = np.sort(np.where(kept, rows, np.inf), axis=-1), np.count_nonzero(kept, axis=-1, keepdims=True)
    low, high = (np.take_along_axis(ordered, np.broadcast_to(at, (*ordered.shape[:-1], 1)), axis=-1) for at in ((n - 1) // 2, n // 2))
    return np.asarray((low + high)[..., 0] / 2)


def mean_along(values: NDArray[np.floating], axis: int | tuple[int, ...], *, keepdims: bool = False) -> NDArray[np.floating]:
    """Return the mean along axes of small arrays: the bits of their method ``mean``, most of whose time are questions before the sum."""
    total = np.asarray(np.add.reduce(values, axis=axis, keepdims=keepdims))  # type: ignore[call-overload]  # its stubs know no tuple
    return np.asarray(total / (values.size // max(total.size, 1)))


def _between(low: _Number, high: _Number, part: float) -> _Number:
    """Return what lies so far between two values, rounded as NumPy's percentiles are."""
    return low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part)  # noqa: PLR2004


@lru_cache(maxsize=MOST)
def _network(n: int) -> tuple[_Exchange, ...]:
    """Return the exchanges that bring the middle values of ``n`` to the middle; those that no middle value depends on are left out."""
    size = 1 << max(n - 1, 1).bit_length()
    pairs = [(low, high) for low, high in _merge_sort(0, size) if high < n]  # what is not there counts as larger than all
    needed = {(n - 1) // 2, n // 2}
    kept = []
    for low, high in reversed(pairs):
        if {low, high} & needed:
            kept.append(_Exchange(low, high, low in needed, high in needed))
            needed |= {low, high}
    return tuple(reversed(kept))


def _merge_sort(first: int, size: int) -> list[tuple[int, int]]:
    if size < 2:  # noqa: PLR2004 - one is sorted
        return []
    half = size // 2
    return [*_merge_sort(first, half), *_merge_sort(first + half, half), *_merge(first, size, 1)]


def _merge(first: int, size: int, step: int) -> list[tuple[int, int]]:
    further = 2 * step
    if further >= size:
        return [(first, first + step)]
    between = [(at, at + step) for at in range(first + step, first + size - step, further)]
    return [*_merge(first, size, further), *_merge(first + step, size, further), *between]
