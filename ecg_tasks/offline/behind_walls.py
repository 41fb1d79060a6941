"""Here: files on a disk, read as a task's are: by a process behind walls, one for all files. Not here: that process (``parsing``)."""

import atexit
import os
from collections.abc import Mapping
from functools import cache

from ecg_tasks.parsing import asking
from ecg_tasks.parsing.asking import Parser
from ecg_tasks.readers import Read
from ecg_tasks.settings import sandbox_in


def begin() -> None:
    """Start the process that reads, and do not wait for it."""
    asking.prepare()


def read(name: str, files: Mapping[str, bytes]) -> Read:
    """Read one drop, as `readers.read` does; returns what was found.

    Raises
    ------
    BadInputError
        As `Parser.read`.
    ConfigurationError
        If walls are required (``ECG_SANDBOX``) that this kernel cannot put up.
    """
    found, _ = _parser(os.getpid()).read(name, files, called=None)
    return found


@cache
def _parser(_pid: int) -> Parser:
    """Return the one way to the process; a fork has its own."""
    parser = Parser(required=sandbox_in(os.environ) == "required")
    atexit.register(parser.__exit__)
    return parser
