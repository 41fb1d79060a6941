"""Here: a file on the disk that goes when it is closed, and a path by which it is opened again. Not here: what is in it."""

import sys
import tempfile
from typing import BinaryIO, cast


def new_file() -> BinaryIO:
    """Open a file on the disk that goes when it is closed; on Linux it has no name, so nothing is left after a kill either."""
    if sys.platform == "linux":
        return cast("BinaryIO", tempfile.TemporaryFile())
    return cast("BinaryIO", tempfile.NamedTemporaryFile())  # type: ignore[unreachable]  # not on the machine that checks


def path_of(file: BinaryIO) -> str:
    """Return a path by which such a file is opened once more, with a place in it of its own: ``/dev/fd`` of macOS shares the place."""
    return f"/proc/self/fd/{file.fileno()}" if sys.platform == "linux" else file.name
