"""Walls that the kernel puts around a process: Landlock for files, seccomp for calls. Not here: what runs within them (``parsing``).

A process puts the walls around itself and can never remove them; its children inherit them. Nothing here needs root, a package, or a right
of the container. Linux 5.13 and later can have Landlock, and 3.5 and later seccomp. Other systems, such as macOS, have neither, and
`possible` reports that.
"""

import os
import signal
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ecg_tasks.sandbox import landlock, linux, seccomp

_LIBRARIES = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache", "/etc/localtime")
_DEVICES = ("/dev/null", "/dev/urandom", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu", "/sys/devices/system/node")

_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "TMPDIR", "ECG_STACK", "ECG_COMPONENT", "SPT_NOENV")


@dataclass(frozen=True, kw_only=True)
class Walls:
    """Which walls stand, or could: the version of Landlock, 0 where the kernel has none, and whether seccomp filters calls."""

    landlock: int
    seccomp: bool

    @property
    def missing(self) -> str:
        """What is missing, as part of a sentence; empty where nothing is.

        >>> Walls(landlock=0, seccomp=True).missing, Walls(landlock=4, seccomp=True).missing
        ('Landlock', '')
        """
        there = {"Landlock": self.landlock > 0, "seccomp": self.seccomp}
        return " and ".join(name for name, stands in there.items() if not stands)


class Plan(NamedTuple):
    """Walls that are ready to be put up: Landlock's rules by their descriptor, and which calls are left."""

    rules: int
    calls: "seccomp.Calls"


def possible() -> Walls:
    """Return which walls this kernel can put up."""
    return Walls(landlock=landlock.version(), seccomp=seccomp.is_possible())


def libraries() -> tuple[str, ...]:
    """Return what a process of this Python reads to run: its packages and the system's libraries, no home and no settings."""
    package = Path(__file__).parents[1]
    installed = [folder for folder in sys.path if folder.endswith("-packages")]  # an environment may build on another one
    return tuple(dict.fromkeys([sys.prefix, sys.base_prefix, *installed, str(package), *_LIBRARIES, *_DEVICES]))


def prepare(*, reads: Iterable[str], writes: Iterable[str] = (), calls: "seccomp.Calls") -> Plan:
    """Get walls ready; returns what `enter` puts up, in this process or in a fork of it.

    Parameters
    ----------
    reads, writes : folders and files that may be read, or read and written; those that are not there are left out
    calls : `seccomp.ONLY_COMPUTING`, or `seccomp.NO_NETWORK` for libraries whose calls nobody can list
    """
    if seccomp.is_possible():
        seccomp.prepared(calls)
    return Plan(landlock.ruleset(reads=reads, writes=writes), calls)


def enter(plan: Plan) -> Walls:
    """Wall this process in; returns which walls stand. Only one thread may run: what others do is not walled."""
    linux.forbid_new_privileges()
    return Walls(landlock=landlock.restrict(plan.rules), seccomp=seccomp.restrict(plan.calls))


def bare_environment() -> dict[str, str]:
    """Return the environment of a process that is to know no secret: where programs and words are, and to which stack it belongs."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ}


def end_with_parent() -> None:
    """Let the kernel kill this process when the thread that started it ends, whatever ended that."""
    linux.signal_at_parents_end(signal.SIGKILL)


__all__ = ["Plan", "Walls", "bare_environment", "end_with_parent", "enter", "libraries", "possible", "prepare", "seccomp"]
