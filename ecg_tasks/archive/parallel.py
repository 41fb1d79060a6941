"""Here: calls that wait for a server, a few at a time, with memory for a few results only. Not here: what is called."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

AT_ONCE = 8
"""Calls that wait for the store side by side."""


def bounded_parallel_map(function: Callable[[Item], Result], items: Iterable[Item], *, at_once: int = AT_ONCE) -> Iterator[Result]:
    """Call ``function`` for every item and give the results in their order.

    At most ``at_once`` calls run or have a result that was not taken yet, so a slow taker holds the calls back; ``items`` is read
    no further than that, either. ``ThreadPoolExecutor.map`` would read all items and hold all results. Each call knows the caller's
    context variables.

    >>> list(bounded_parallel_map(str, range(3), at_once=2))
    ['0', '1', '2']
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(at_once) as pool:
        try:
            for item in items:
                if len(waiting) == at_once:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(copy_context().run, function, item))
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
