"""Here: seccomp, which filters the calls that a process makes of the kernel (seccomp(2)). Not here: files by their paths (``landlock``).

The filter is a program of classic BPF that the kernel runs at each call, over the call's number and arguments. Numbers are those of x86-64
and of arm64; on other machines there is no filter. A call that is not allowed fails with ``EPERM``, as a right that is missing does.
"""

import ctypes
import errno
import os
import platform
import sys
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import cache

from ecg_tasks.sandbox import linux

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16
_X32 = 0x40000000
_OWN_ID = 0xFFFFFFFF
"""Stands for the process's own id, which no process has, until that is known."""
_THREAD = 0x00010000
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_TCGETS = 0x5401
_FCNTL = (0, 1, 2, 3, 1030)
"""To duplicate a descriptor and to ask for its flags, and ``F_SETFD``; not to send signals by it."""
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_PLAIN: Mapping[str, tuple[int | None, int | None]] = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "stat": (4, None),
    "fstat": (5, 80),
    "lstat": (6, None),
    "poll": (7, None),
    "lseek": (8, 62),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "pread64": (17, 67),
    "readv": (19, 65),
    "writev": (20, 66),
    "access": (21, None),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "mincore": (27, 232),
    "madvise": (28, 233),
    "dup": (32, 23),
    "nanosleep": (35, 101),
    "getpid": (39, 172),
    "sendto": (44, 206),
    "recvfrom": (45, 207),
    "exit": (60, 93),
    "uname": (63, 160),
    "getcwd": (79, 17),
    "readlink": (89, None),
    "gettimeofday": (96, 169),
    "getrlimit": (97, 163),
    "getrusage": (98, 165),
    "sysinfo": (99, 179),
    "times": (100, 153),
    "getuid": (102, 174),
    "getgid": (104, 176),
    "geteuid": (107, 175),
    "getegid": (108, 177),
    "getppid": (110, 173),
    "sigaltstack": (131, 132),
    "statfs": (137, 43),
    "fstatfs": (138, 44),
    "gettid": (186, 178),
    "time": (201, None),
    "futex": (202, 98),
    "sched_getaffinity": (204, 123),
    "getdents64": (217, 61),
    "set_tid_address": (218, 96),
    "restart_syscall": (219, 128),
    "fadvise64": (221, 223),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "exit_group": (231, 94),
    "get_mempolicy": (239, 236),
    "newfstatat": (262, 79),
    "readlinkat": (267, 78),
    "faccessat": (269, 48),
    "ppoll": (271, 73),
    "set_robust_list": (273, 99),
    "getcpu": (309, 168),
    "getrandom": (318, 278),
    "membarrier": (324, 283),
    "statx": (332, 291),
    "rseq": (334, 293),
    "faccessat2": (439, 439),
}
"""Calls that compute, or use what is open already; none reaches another process, a device or the network."""
_OPEN, _OPENAT, _IOCTL, _FCNTL_CALL, _CLONE, _CLONE3 = (2, None), (257, 56), (16, 29), (72, 25), (56, 220), (435, 435)
_KILL, _TGKILL, _PRLIMIT = (62, 129), (234, 131), (302, 261)

_REACHING: Mapping[str, tuple[int | None, int | None]] = {
    "socket": (41, 198),
    "connect": (42, 203),
    "accept": (43, 202),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept4": (288, 242),
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "mount": (165, 40),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "setns": (308, 268),
    "chroot": (161, 51),
    "pivot_root": (155, 41),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "open_by_handle_at": (304, 265),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "kexec_load": (246, 104),
    "reboot": (169, 142),
}
"""Calls by which a process reaches the network, other processes or the system."""

_Step = tuple[int, int, int, int]


class Calls(Enum):
    """Which calls are left to a process."""

    ONLY_COMPUTING = "only computing"
    NO_NETWORK = "no network"


ONLY_COMPUTING = Calls.ONLY_COMPUTING
"""To compute, to read files, and to use what is open: no process, no socket, no signal to others, no file for writing, no other limits."""
NO_NETWORK = Calls.NO_NETWORK
"""Everything but sockets, other processes and the system: for libraries whose calls nobody can list."""


class _Filter(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("then", ctypes.c_uint8), ("otherwise", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("filters", ctypes.POINTER(_Filter)))


def is_possible() -> bool:
    """Return whether this kernel takes filters, and they are known here for this machine."""
    if sys.platform != "linux" or platform.machine() not in _MACHINES:
        return False
    return linux.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), None) == -errno.EFAULT  # it would read a filter at no address


def restrict(rule: Calls) -> bool:
    """Take the calls that the rule does not leave; returns whether that was done. It cannot be undone."""
    if not is_possible():
        return False
    program, of_own_id = prepared(rule)
    for step in of_own_id:
        program.filters[step].k = os.getpid()
    return linux.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), ctypes.byref(program)) == 0


@cache
def prepared(rule: Calls) -> tuple[_Program, list[int]]:
    """Return the program of a rule, which a process makes once for itself and its forks, and the steps that compare with its own id."""
    steps = _steps(rule, *_MACHINES[platform.machine()], pid=_OWN_ID)
    filters = (_Filter * len(steps))(*(_Filter(*step) for step in steps))
    return _Program(len(steps), filters), [at for at, step in enumerate(steps) if step[-1] == _OWN_ID]


def _steps(rule: Calls, column: int, machine: int, *, pid: int) -> list[_Step]:
    """Return the program: the machine, then call after call, then what becomes of all others."""

    def each(pairs: Iterable[tuple[int | None, int | None]], step: Callable[[int], list[_Step]]) -> list[_Step]:
        return [one for pair in pairs if (number := pair[column]) is not None for one in step(number)]

    fail = (_RETURN, 0, 0, _FAIL | errno.EPERM)
    allow = (_RETURN, 0, 0, _ALLOW)
    steps = [(_LOAD, 0, 0, _MACHINE), (_EQUAL, 1, 0, machine), fail, (_LOAD, 0, 0, _NUMBER), (_AT_LEAST, 0, 1, _X32), fail]
    # The flags of clone3 cannot be looked at: who hears that there is none uses the older call.
    steps += each([_CLONE3], lambda number: [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _FAIL | errno.ENOSYS)])
    steps += each([_CLONE], lambda number: _only_if(number, argument=0, test=(_ANY_BIT, _THREAD)))
    steps += each([_KILL, _TGKILL], lambda number: _only_if(number, argument=0, test=(_EQUAL, pid)))
    if rule is Calls.NO_NETWORK:
        return [*steps, *each(_REACHING.values(), lambda number: [(_EQUAL, 0, 1, number), fail]), allow]
    steps += each([_OPEN], lambda number: _only_if(number, argument=1, test=(_ANY_BIT, _WRITING), unless=True))
    steps += each([_OPENAT], lambda number: _only_if(number, argument=2, test=(_ANY_BIT, _WRITING), unless=True))
    steps += each([_IOCTL], lambda number: _only_if(number, argument=1, test=(_EQUAL, _TCGETS)))
    steps += each([_FCNTL_CALL], lambda number: _one_of(number, argument=1, values=_FCNTL))
    steps += each([_PRLIMIT], lambda number: _zero(number, argument=2))  # to ask for a limit, not to set one
    return [*steps, *each(_PLAIN.values(), lambda number: [(_EQUAL, 0, 1, number), allow]), fail]


def _only_if(number: int, *, argument: int, test: tuple[int, int], unless: bool = False) -> list[_Step]:
    """Allow a call if the lower half of an argument passes a test, or unless it does."""
    code, value = test
    passed, failed = (_FAIL | errno.EPERM, _ALLOW) if unless else (_ALLOW, _FAIL | errno.EPERM)
    return [
        (_EQUAL, 0, 4, number),
        (_LOAD, 0, 0, _ARGUMENTS + 8 * argument),
        (code, 0, 1, value),
        (_RETURN, 0, 0, passed),
        (_RETURN, 0, 0, failed),
    ]


def _one_of(number: int, *, argument: int, values: Iterable[int]) -> list[_Step]:
    tests: list[_Step] = []
    for value in values:
        tests += [(_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW)]
    inner = [(_LOAD, 0, 0, _ARGUMENTS + 8 * argument), *tests, (_RETURN, 0, 0, _FAIL | errno.EPERM)]
    return [(_EQUAL, 0, len(inner), number), *inner]


def _zero(number: int, *, argument: int) -> list[_Step]:
    """Allow a call if both halves of an argument are zero."""
    at = _ARGUMENTS + 8 * argument
    inner = [(_LOAD, 0, 0, at), (_EQUAL, 0, 3, 0), (_LOAD, 0, 0, at + 4), (_EQUAL, 0, 1, 0), (_RETURN, 0, 0, _ALLOW)]
    inner.append((_RETURN, 0, 0, _FAIL | errno.EPERM))
    return [(_EQUAL, 0, len(inner), number), *inner]
