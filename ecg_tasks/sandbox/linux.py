"""Here: calls of the Linux kernel that Python has no function for. Not here: what they are for (``landlock``, ``seccomp``)."""

import ctypes
import sys

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_HAS = sys.platform == "linux"
_libc = ctypes.CDLL(None, use_errno=True) if _HAS else None


def syscall(number: int, *arguments: object) -> int:
    """Call the kernel by number; returns what it says, or minus the error's number. Elsewhere than on Linux that of "no such call"."""
    if _libc is None:
        return -38
    found = int(_libc.syscall(ctypes.c_long(number), *arguments))
    return -ctypes.get_errno() if found < 0 else found


def prctl(option: int, *arguments: object) -> int:
    """Change a property of this process; returns what the kernel says, or minus the error's number."""
    if _libc is None:
        return -38
    more = [*arguments, *[ctypes.c_ulong(0)] * (4 - len(arguments))]
    found = int(_libc.prctl(ctypes.c_int(option), *more))
    return -ctypes.get_errno() if found < 0 else found


def forbid_new_privileges() -> None:
    """Let no program that this process starts have more rights than it has: without that the kernel takes no walls of ordinary users."""
    prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1))


def signal_at_parents_end(number: int) -> None:
    """Ask for a signal when the thread that started this process ends."""
    prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(int(number)))
