"""Here: how a process gives way to all others. Not here: which tests do (``conftest``)."""

import os
import time
from contextlib import suppress
from pathlib import Path

NICENESS = 10
_AUTOGROUP = Path("/proc/self/autogroup")
"""Linux shares the cores among sessions, each with a niceness of its own, and then among the processes of each (sched(7))."""
_TRIES = 50


def give_way() -> None:
    """Let every process go first that is no descendant of this one; there is no way back.

    Niceness alone says nothing to another session, and a stack is one. So this process begins a session and makes that one nice; what its
    terminal tells the session before, as Ctrl-C does, no longer reaches it.
    """
    os.nice(NICENESS)
    if not os.access(_AUTOGROUP, os.W_OK):
        return
    with suppress(PermissionError):  # the first process of its group can begin no session
        os.setsid()
        for _ in range(_TRIES):
            with suppress(BlockingIOError):  # the kernel hears one user at a time, ten times a second
                _AUTOGROUP.write_text(str(NICENESS), encoding="ascii")
                return
            time.sleep(0.1)
