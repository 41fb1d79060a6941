"""Here: cutting a sequence into groups that stay within bounds. Not here: which bounds (``drops``, ``opening``, ``reading``)."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def groups(items: Iterable[T], weights: Callable[[T], tuple[int, ...]], *, most: tuple[int, ...]) -> Iterator[list[T]]:
    """Yield the items in their order, as many together as weigh no more than ``most``; one that weighs more is alone.

    Parameters
    ----------
    weights : what an item adds to each of the bounds, as its bytes and 1 for itself

    >>> list(groups([3, 4, 9, 1, 1, 1], lambda size: (size, 1), most=(7, 2)))
    [[3, 4], [9], [1, 1], [1]]
    """
    group: list[T] = []
    sums = (0,) * len(most)
    for item in items:
        added = weights(item)
        if group and any(have + more > bound for have, more, bound in zip(sums, added, most, strict=True)):
            yield group
            group, sums = [], (0,) * len(most)
        group.append(item)
        sums = tuple(have + more for have, more in zip(sums, added, strict=True))
    if group:
        yield group
