"""Here: what a process keeps of what it has read, by one rule. Not here: copies in the bucket (``catalog``, ``decided``).

A value is kept under its name, which the positional arguments are, and is right for one generation, which the keyword arguments are: an
ETag, a list of keys, what it is made of. What never changes has a name alone.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import update_wrapper
from threading import Lock
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Kept(Generic[P, T]):
    """A function whose latest answers are kept; `keep` makes it."""

    def __init__(self, make: Callable[P, T], *, at_most: int) -> None:
        self._make = make
        self._at_most = at_most
        self._found: OrderedDict[tuple[Hashable, ...], tuple[dict[str, object], T]] = OrderedDict()
        self._lock = Lock()
        update_wrapper(self, make)

    def __call__(self, *name: P.args, **generation: P.kwargs) -> T:
        """Return the value of a name; it is made if there is none of this generation. Two threads may make it at once, alike."""
        with self._lock:
            kept = self._found.get(name)
            if kept is not None and kept[0] == generation:
                self._found.move_to_end(name)
                return kept[1]
        made = self._make(*name, **generation)
        with self._lock:
            self._found[name] = (generation, made)
            self._found.move_to_end(name)
            while len(self._found) > self._at_most:
                self._found.popitem(last=False)
        return made

    def forget(self) -> None:
        """Keep nothing any more."""
        with self._lock:
            self._found.clear()

    def before(self, *name: Hashable) -> T | None:
        """Return what is kept under a name, of whatever generation: for a value that grows out of the one before it."""
        with self._lock:
            kept = self._found.get(name)
        return None if kept is None else kept[1]


def keep(at_most: int) -> Callable[[Callable[P, T]], Kept[P, T]]:
    """Keep the values of so many names in memory, one generation of each; the one that was asked for longest ago goes first.

    >>> @keep(2)
    ... def shout(name, *, etag):
    ...     print("made of", etag)
    ...     return name.upper()
    >>> shout("a", etag="1"), shout("a", etag="1"), shout("a", etag="2")
    made of 1
    made of 2
    ('A', 'A', 'A')
    """

    def decorate(make: Callable[P, T]) -> Kept[P, T]:
        return Kept(make, at_most=at_most)

    return decorate
