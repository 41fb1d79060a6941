"""Here: what a task writes into its log of its work: counts, seconds, keys. Not here: what a run says of itself (its manifest).

A log is read where something went wrong, by people who may not see names: no line has a file's or a person's name in it.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, TypeVar

from ecg_tasks.memory import keep_freed

P = ParamSpec("P")
R = TypeVar("R")

_counts: ContextVar[dict[str, int] | None] = ContextVar("counts", default=None)


def counted(**counts: int) -> None:
    """Add to what the task at work has done so far, such as ``records=3``; outside a task it does nothing."""
    found = _counts.get()
    if found is not None:
        for name, n in counts.items():
            found[name] = found.get(name, 0) + n


def logged(task: Callable[P, R]) -> Callable[P, R]:
    """Let a task say at its end what it has done (`counted`), how long that took, and which keys it returns; it keeps memory that it freed.

    >>> _sentence("render_shard", {"records": 1204, "pictures": 0}, seconds=3.14159, keys=["staging/a.json"])
    'render_shard ended. records: 1,204; pictures: 0; 3.1 s; staging/a.json'
    """

    @wraps(task)
    def told(*args: P.args, **kwargs: P.kwargs) -> R:
        keep_freed()
        token, started = _counts.set({}), time.monotonic()
        try:
            result = task(*args, **kwargs)
            found = _counts.get() or {}
        finally:
            _counts.reset(token)
        seconds = time.monotonic() - started
        logging.getLogger(task.__module__).info("%s", _sentence(task.__name__, found, seconds=seconds, keys=_keys(result)))
        return result

    return told


_LISTED = 3
"""Keys that a line names."""


def _sentence(name: str, counts: dict[str, int], *, seconds: float, keys: Sequence[str]) -> str:
    done = "; ".join(f"{what.replace('_', ' ')}: {n:,}" for what, n in counts.items()) or "done"
    listed = ", ".join(keys[:_LISTED]) + (f" and {len(keys) - _LISTED:,} more" if len(keys) > _LISTED else "")
    return f"{name} ended. {done}; {seconds:.1f} s" + (f"; {listed}" if listed else "")


def _keys(result: object) -> list[str]:
    """Return the keys among what a task returns: each is a path in the bucket."""
    given = [result] if isinstance(result, str) else result if isinstance(result, list) else []
    return [one for one in given if isinstance(one, str) and "/" in one]
