"""Here: whether reading a file ends the process that reads it, found out in a process apart. Not here: reading it for good (``taking``).

A task tries its files this way only after it was ended once while it read them: a separate process costs a second.
"""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Self

import msgspec

from ecg_tasks.archive.documents import prepared
from ecg_tasks.errors import BadInputError, Reason

MEMORY_BYTES = 1024**3
MEMORY_PER_BYTE = 16
"""A file may take a gigabyte of memory, and so many bytes more for each of its own: samples become float64, and are copied."""
CPU_S = 60
CPU_S_PER_MB = 2
"""A file may take a minute of processor time, and so many seconds more for each million of its bytes."""

_WALL_PER_CPU = 5
_ROOT = Path(__file__).parents[3]
_OUT_OF_MEMORY = 3


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the other process is asked: a drop, the lengths of the files that follow, and its bounds."""

    name: str
    files: dict[str, int]
    memory: int
    cpu_s: int


class Trial:
    """A process in which files are read, one after the other, and nothing of them is kept; a new one is started when it has died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._end(self._process)

    def fault_of(self, name: str, contents: Mapping[str, bytes]) -> BadInputError | None:
        """Read a drop in the other process; returns why it cannot be read here, or None where the process outlived it.

        Parameters
        ----------
        name : the drop's path below the inbox
        contents : bytes by file name, the drop's first file first
        """
        n_bytes = sum(map(len, contents.values()))
        memory = MEMORY_BYTES + MEMORY_PER_BYTE * n_bytes
        cpu_s = CPU_S + round(CPU_S_PER_MB * n_bytes / 1e6)
        process = self._process = self._process or _start()
        stdin, stdout = process.stdin, process.stdout
        if stdin is None or stdout is None:
            raise AssertionError("the process has no pipes")
        late = threading.Event()
        timer = threading.Timer(_WALL_PER_CPU * cpu_s, _kill, (process, late))
        timer.start()
        try:
            files = {file_name: len(data) for file_name, data in contents.items()}
            with contextlib.suppress(BrokenPipeError):
                stdin.write(msgspec.json.encode(_Asked(name=name, files=files, memory=memory, cpu_s=cpu_s)) + b"\n")
                for data in contents.values():
                    stdin.write(data)
                stdin.flush()
            answer = stdout.readline()
        finally:
            timer.cancel()
        if answer:
            return None
        self._process = None
        code = self._end(process)
        given_up = "so it was given up; split it, or export it again"
        if late.is_set() or code == -signal.SIGXCPU:
            return BadInputError(Reason.TOO_LARGE, f"{name}: reading its {n_bytes} bytes took more than {cpu_s} s, {given_up}")
        if code in {_OUT_OF_MEMORY, -signal.SIGKILL}:
            most = f"more memory than there is, or than {memory // 10**6} MB"
            return BadInputError(Reason.TOO_LARGE, f"{name}: reading its {n_bytes} bytes took {most}, {given_up}")
        return BadInputError(Reason.UNREADABLE, f"{name}: reading it ended the process that did ({code}); export it again")

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> int:
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()
        return process.wait()


def _kill(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    process.kill()


def _start() -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": str(_ROOT)}
    command = [sys.executable, "-m", __name__]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)  # noqa: S603 - this module


def _read_what_comes(come: IO[bytes], answers: IO[bytes]) -> None:
    """Read drop after drop within its bounds, and answer a line for each that did not end the process."""
    from ecg_tasks.readers import read

    with contextlib.suppress(OSError):  # where memory runs out, this process goes and not the task
        Path("/proc/self/oom_score_adj").write_text("1000")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    least, hard = resource.getrlimit(resource.RLIMIT_DATA)
    for line in come:
        drop = msgspec.json.decode(line, type=prepared(_Asked))
        contents = {file_name: come.read(size) for file_name, size in drop.files.items()}
        memory = drop.memory if least == resource.RLIM_INFINITY else min(least, drop.memory)
        used = resource.getrusage(resource.RUSAGE_SELF)
        until = int(used.ru_utime + used.ru_stime) + 1 + drop.cpu_s
        resource.setrlimit(resource.RLIMIT_DATA, (memory, hard))
        resource.setrlimit(resource.RLIMIT_CPU, (until, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        try:
            with contextlib.suppress(BadInputError):
                read(drop.name, contents)
        except MemoryError:
            os._exit(_OUT_OF_MEMORY)
        answers.write(b"read\n")
        answers.flush()


if __name__ == "__main__":
    _read_what_comes(sys.stdin.buffer, sys.stdout.buffer)
