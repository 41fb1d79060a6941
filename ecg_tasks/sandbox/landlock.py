"""Here: Landlock, which takes files, TCP and signals from a process (landlock(7), Linux 5.13). Not here: single calls (``seccomp``).

What is open already stays open. Each version of the kernel's interface knows more rights; all that it knows are taken.
"""

import ctypes
import os
import stat
from collections.abc import Iterable

from ecg_tasks.sandbox import linux

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_ASK_VERSION = 1
_RULE_PATH = 1
_EXECUTE, _WRITE, _READ, _LIST = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE = 1 << 14
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
"""How many rights to files each version knows; from the fifth on 16."""
_OF_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE
_TCP, _OTHERS = 0b11, 0b11
"""To bind and to connect, from version 4 on; abstract sockets and signals to processes outside, from version 6 on."""
_VERSION_OF_TCP, _VERSION_OF_SCOPES = 4, 6


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("tcp", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _Path(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """Return the version of the kernel's Landlock, 0 where there is none or it is switched off."""
    return max(0, linux.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(_ASK_VERSION)))


def ruleset(*, reads: Iterable[str], writes: Iterable[str]) -> int:
    """Return a descriptor of rules that take all rights to files but those on these paths, TCP and signals to others; -1 where none can be.

    It may be made before a fork, which is then walled in by `restrict` alone.
    """
    known = version()
    if not known:
        return -1
    rights = (1 << _RIGHTS.get(known, 16)) - 1
    taken = _Ruleset(rights, _TCP if known >= _VERSION_OF_TCP else 0, _OTHERS if known >= _VERSION_OF_SCOPES else 0)
    size = 8 if known < _VERSION_OF_TCP else 16 if known < _VERSION_OF_SCOPES else 24
    made = linux.syscall(_CREATE, ctypes.byref(taken), ctypes.c_size_t(size), ctypes.c_uint32(0))
    if made < 0:
        return -1
    for paths, allowed in ((reads, _READ | _LIST), (writes, rights & ~_EXECUTE)):
        for path in paths:
            _allow(made, path, allowed & rights)
    return made


def restrict(rules: int) -> int:
    """Take the rights that a ruleset takes, and close it; returns Landlock's version, 0 where it cannot be done."""
    if rules < 0:
        return 0
    try:
        return version() if linux.syscall(_RESTRICT, ctypes.c_int(rules), ctypes.c_uint32(0)) == 0 else 0
    finally:
        os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # not there, so there is nothing to allow
        return
    try:
        if not stat.S_ISDIR(os.fstat(parent).st_mode):
            rights &= _OF_FILES
        rule = _Path(rights, parent)
        linux.syscall(_ADD_RULE, ctypes.c_int(rules), ctypes.c_int(_RULE_PATH), ctypes.byref(rule), ctypes.c_uint32(0))
    finally:
        os.close(parent)
