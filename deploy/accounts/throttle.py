"""Here: how long somebody has to wait after wrong passwords. Not here: whether a password is right (Airflow's FAB provider)."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

FREE = 5
"""So many tries in a row may be wrong before anybody has to wait."""
FIRST_WAIT_S = 30.0
LONGEST_WAIT_S = 900.0
_NAMES = 10_000
"""So many names are remembered; the longest untouched are forgotten, so that made-up names fill no memory."""


class Throttle:
    """Counts wrong tries for each name, in this process.

    Parameters
    ----------
    clock : seconds that only grow
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tries: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def begin(self, name: str) -> float:
        """Count a try and return 0, or return how many seconds there are to wait, and count nothing.

        A try counts as wrong until `right` is told, so that many at once gain nothing.
        """
        key, now = name.casefold(), self._clock()
        with self._lock:
            n, until = self._tries.get(key, (0, 0.0))
            if now < until:
                return until - now
            if n >= FREE and now > until + LONGEST_WAIT_S:
                n = 0
            n += 1
            wait = 0.0 if n < FREE else min(FIRST_WAIT_S * 2 ** (n - FREE), LONGEST_WAIT_S)
            self._tries[key] = (n, now + wait)
            self._tries.move_to_end(key)
            if len(self._tries) > _NAMES:
                self._tries.popitem(last=False)
        return 0.0

    def right(self, name: str) -> None:
        """Forget what was wrong."""
        with self._lock:
            self._tries.pop(name.casefold(), None)
