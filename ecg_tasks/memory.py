"""Here: memory that a process has freed stays its own, for what it computes next. Not here: how much it may take (``parsing``).

The C library gives arrays of more than 128 kB back to the kernel when they are freed. The kernel clears each page before it gives it
again, and a task that makes and frees such arrays for every recording waits longer for that than it computes.
"""

import ctypes
import sys
from functools import cache

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""Names of mallopt(3)."""
_KEPT_BYTES = 128 * 1024 * 1024
"""Free memory beyond so much is given back."""
_AT_ONCE_BYTES = 16 * 1024 * 1024
"""So much is taken at a time."""
_BY_ITSELF_BYTES = 32 * 1024 * 1024
"""An array of more, the most that the C library takes here, is given back by itself."""


@cache
def keep_freed() -> None:
    """Keep what is freed from now on, in this process and its forks; where the C library is not GNU's, nothing changes."""
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):  # musl has none
        library.mallopt(_MMAP_THRESHOLD, _BY_ITSELF_BYTES)
        library.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        library.mallopt(_TOP_PAD, _AT_ONCE_BYTES)
