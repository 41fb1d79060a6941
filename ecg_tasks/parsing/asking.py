"""Here: how a task has its files read by a process behind walls, and what it makes of its end. Not here: that process (``serving``).

What comes back is measured and checked before it is used: whoever takes over that process by a file can lie about the samples of this
batch, and no more.
"""

import atexit
import contextlib
import logging
import os
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Self

import msgspec

from ecg_tasks import sandbox
from ecg_tasks.errors import BadInputError, ConfigurationError, Reason
from ecg_tasks.parsing import messages
from ecg_tasks.parsing.here import AskedDrop, Found
from ecg_tasks.parsing.messages import ASK, ENDED, FOUND, LACKS, MESSAGE, READY, SECCOMP, SHARED
from ecg_tasks.parsing.serving import ALL, BESIDE, OUT_OF_MEMORY
from ecg_tasks.readers.file_names import is_header, recording_name
from ecg_tasks.sandbox import Walls

ADDRESS = "ECG_PARSERS"
"""The variable that says where the executor's readers wait; without it a task starts its own."""
MEMORY_BYTES = 1024**3
MEMORY_PER_BYTE = 16
"""A file may take a gigabyte beside what there is before, and so many bytes more for each of its own: samples become float64."""
CPU_S = 60
CPU_S_PER_MB = 2
"""A file may take a minute of processor time, and so many seconds more for each million of its bytes."""

START_S = 120
"""Seconds after which a process that reads must have started: it imports all readers, on a machine that may have much else to do."""
EVERYTHING_AT_ONCE = False
"""Whether readers that a task starts for itself import all libraries before the first file, as those of the executor do."""

_ORDINARY = ".ordinary"
"""Behind the address of readers, that of those beside them which have few libraries, and are forked in a quarter of the time."""
_WALL_PER_CPU = 5
_TRIES = 2
_ROOT = Path(__file__).parents[2]
_MOST_KEPT = 64 * 1024 * 1024
"""A shared file that has taken more memory is emptied; the pages of others are used again by the next drops."""
_BLOCK = 512
"""Bytes of a block, as stat(2) counts them."""
_LEAST_SHARED = 64 * 1024 * 1024
"""The process that reads maps a shared file as large as it may get with files of so many bytes; for more there is another process."""
log = logging.getLogger(__name__)


class Parser:
    """A process that reads files, one after the other, behind walls; a new one is started when it has died, or has lied.

    Parameters
    ----------
    required : refuse to read anything unless all walls stand
    """

    def __init__(self, *, required: bool = False) -> None:
        self._required = required
        self._task: socket.socket | None = None
        self._file, self._n_shared = -1, 0
        self._room = messages.Room()
        self._pid = self._parent = self._n_before = 0
        self._is_ordinary = self._lacked = False
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def read(self, name: str, contents: Mapping[str, bytes], *, called: Mapping[str, str] | None) -> Found:
        """Read a drop, as `here.Parse` says.

        Raises
        ------
        BadInputError
            As `readers.read`; ``too_large`` where it takes more memory or time than it may, ``unreadable`` where it ends the process.
        ConfigurationError
            If walls are required that this kernel cannot put up.
        """
        (found,) = self.read_all([AskedDrop(name, contents, called)])
        if isinstance(found, BadInputError):
            raise found
        return found

    def read_all(self, asked: Sequence[AskedDrop], /) -> list[Found | BadInputError]:
        """Read some drops by one question, as `here.ParseAll` says; tasks' threads take turns.

        What ends the process, takes too much or is no answer is put down to one drop: each is asked for again by itself then.
        """
        with self._lock:
            if len(asked) > 1:
                with contextlib.suppress(BadInputError, _GoneError):
                    return self._read(asked)
            return [self._read_alone(one) for one in asked]

    def _read_alone(self, one: AskedDrop) -> Found | BadInputError:
        """Read a drop; again where what read it has gone without a word: then their parent was ended, by which no file is the worse."""
        for _ in range(_TRIES):
            try:
                return self._read([one])[0]
            except BadInputError as fault:
                return fault
            except _GoneError:
                continue
        return _unanswered(one.name)

    def _read(self, asked: Sequence[AskedDrop]) -> list[Found | BadInputError]:
        """Ask once; what the process may take is what the smallest of the drops may, so that no drop may more in company than by itself."""
        given = [*(data for one in asked for data in one.contents.values()), messages.asking(asked)]
        n_given, n_question = sum(map(len, given[:-1])), len(given[-1])
        task = self.start(ordinary=all(is_header(one.name) for one in asked), n_bytes=n_given + n_question)
        name, n_bytes = asked[0].name, min(sum(map(len, one.contents.values())) for one in asked)
        memory = MEMORY_BYTES + MEMORY_PER_BYTE * n_bytes
        cpu_s = CPU_S + round(CPU_S_PER_MB * n_bytes / 1e6)
        os.ftruncate(self._file, n_given + n_question + memory)  # so much may be found
        messages.give(self._file, given)
        self._bound(n_more=memory, cpu_s=cpu_s)
        with contextlib.suppress(OSError):
            task.send(MESSAGE.pack(ASK, n_given, n_question))
        late = not _has_come(task, max(_WALL_PER_CPU * cpu_s, 1))
        if late:
            self._kill()
        kind, n_found, n_answer = self._next(task)
        if kind == FOUND and not late:
            try:
                return self._checked(n_given + n_question, n_found, n_answer, asked)
            except (ValueError, TypeError, OverflowError, msgspec.MsgspecError, OSError):
                log.exception("%s: the process that read it did not answer as it should", name)
            finally:
                if _BLOCK * os.fstat(self._file).st_blocks > _MOST_KEPT:
                    os.ftruncate(self._file, 0)
        self._end()
        if kind == LACKS and self._is_ordinary:
            self._lacked = True
            return self._read(asked)
        given_up = "so it was stopped. Split the file, or export it again"
        if not late and kind != ENDED:
            raise _unanswered(name) if kind else _GoneError
        code = n_found
        if late or code == -signal.SIGXCPU:
            raise BadInputError(Reason.TOO_LARGE, f"{name}: reading its {n_bytes:,} bytes took more than {cpu_s} s, {given_up}")
        if code in {OUT_OF_MEMORY, -signal.SIGKILL, -signal.SIGBUS}:  # the last: no page is left for what is shared
            most = f"more than {memory // 10**6:,} MB of memory, or more than there is"
            raise BadInputError(Reason.TOO_LARGE, f"{name}: reading its {n_bytes:,} bytes took {most}, {given_up}")
        raise BadInputError(Reason.UNREADABLE, f"{name}: the process that read it crashed ({code}); export it again")

    def start(self, *, ordinary: bool = False, n_bytes: int = 0) -> socket.socket:
        """Have the process that reads, and its walls, as the first file does; returns the way to it.

        Parameters
        ----------
        ordinary : whether one does that has few libraries; it is left for another one when a file needs more
        n_bytes : of the files and the question; the process is left for another one, too, that shares more with this one
        """
        ordinary = ordinary and not self._lacked
        n_shared = MEMORY_BYTES + (1 + MEMORY_PER_BYTE) * max(_LEAST_SHARED, 1 << n_bytes.bit_length())
        if self._task is not None and ((self._is_ordinary and not ordinary) or self._n_shared < n_shared):
            self._end()
        if self._task is None:
            self._task, self._n_shared = self._started(ordinary=ordinary, n_shared=n_shared), n_shared
        return self._task

    def pids(self) -> list[int]:
        """Return the parent of the process that reads for this task, and that process; none before it is started."""
        return [self._parent, self._pid] if self._task else []

    def _started(self, *, ordinary: bool, n_shared: int) -> socket.socket:
        task, self._is_ordinary = _connected(ordinary=ordinary)
        with contextlib.ExitStack() as unless_ready:
            unless_ready.callback(task.close)
            file = messages.shared_file(n_shared)
            unless_ready.callback(os.close, file)
            with contextlib.suppress(OSError):  # nobody is there any more
                socket.send_fds(task, [MESSAGE.pack(SHARED, n_shared, 0)], [file])
            # Its parent may have died after it was asked: then nobody takes what waits at the socket, and nothing says so.
            kind, self._pid, stands = self._next(task) if _has_come(task, START_S) else (b"", 0, 0)
            if kind == READY:
                self._parent, self._n_before = _parent_and_memory(self._pid)
                _tell(Walls(landlock=stands % SECCOMP, seccomp=stands >= SECCOMP), required=self._required)
                unless_ready.pop_all()
                self._file = file
                return task
        if self._is_ordinary:
            return self._started(ordinary=False, n_shared=n_shared)
        raise RuntimeError("the process that reads files did not start")  # tried again with the task

    def _bound(self, *, n_more: int, cpu_s: int) -> None:
        """Set how much memory and time the process may take from now on; it cannot set that itself."""
        if sys.platform != "linux":
            return
        with contextlib.suppress(OSError):  # it has ended
            used_s = time.clock_gettime(~self._pid << 3 | 2)  # processor time of another process, as clock_getcpuclockid(3) numbers it
            hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
            most = self._n_before + n_more
            most = most if hard == resource.RLIM_INFINITY else min(hard, most)
            resource.prlimit(self._pid, resource.RLIMIT_DATA, (most, hard))
            resource.prlimit(self._pid, resource.RLIMIT_CPU, (int(used_s) + 1 + cpu_s, resource.getrlimit(resource.RLIMIT_CPU)[1]))

    @staticmethod
    def _next(task: socket.socket) -> tuple[bytes, int, int]:
        """Wait for a message; one of an end without a code where the other side is gone."""
        data = b""
        with contextlib.suppress(OSError):
            while len(data) < MESSAGE.size and (more := task.recv(MESSAGE.size - len(data))):
                data += more
        return MESSAGE.unpack(data) if len(data) == MESSAGE.size else (b"", 0, 0)

    def _checked(self, at: int, n_found: int, n_answer: int, asked: Sequence[AskedDrop]) -> list[Found | BadInputError]:
        checked: list[Found | BadInputError] = []
        found = messages.answered(self._file, at, n_found, n_answer, asked, room=self._room)
        for one, (answer, read, copy) in zip(asked, found, strict=True):
            own = recording_name(one.name)
            names = [record.name for record in read.records] + [row.name for row in read.rejected]
            if not all(name.startswith(own) for name in names):
                raise ValueError("a recording of another file's name")
            for text in answer.logged:
                log.error("%s", text)
            checked.append((read, copy) if answer.fault is None else BadInputError(*answer.fault))
        return checked

    def _kill(self) -> None:
        with contextlib.suppress(OSError):
            os.kill(self._pid, signal.SIGKILL)

    def _end(self) -> None:
        if self._task is not None:
            self._task.close()
            os.close(self._file)
        self._task, self._file = None, -1


class _GoneError(Exception):
    """The other side of the way is gone, and nobody said how it ended."""


def _unanswered(name: str) -> BadInputError:
    return BadInputError(Reason.UNREADABLE, f"{name}: the process that read it gave a wrong answer; export it again")


def _has_come(task: socket.socket, seconds: float) -> bool:
    """Wait for a message, or for the other side's end; returns whether that came in time."""
    waiting = select.poll()
    waiting.register(task, select.POLLIN)
    return bool(waiting.poll(1000 * seconds))


def _parent_and_memory(pid: int) -> tuple[int, int]:
    """Return a process's parent, and how much memory of its own it has (as ``RLIMIT_DATA`` counts it); 0 where the system says neither."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0, 0
    told = {name: words.split() for name, _, words in (line.partition(":") for line in lines)}
    return int(told["PPid"][0]), int(told["VmData"][0]) * 1024 if "VmData" in told else 0


@cache
def _tell(walls: Walls, *, required: bool) -> None:
    """Say once which walls do not stand, or refuse."""
    if not walls.missing:
        return
    if required:
        raise ConfigurationError(f"ECG_SANDBOX is required, but this kernel has no {walls.missing}, so nothing is read here")
    log.warning("this kernel has no %s: files are read in a process of their own, without secrets, but with fewer walls", walls.missing)


def listen() -> socket.socket:
    """Open a socket for tasks to come to, in a new folder of this user's, which goes with this process."""
    folder, made_by = tempfile.mkdtemp(prefix="ecg-parsers-"), os.getpid()

    def remove() -> None:
        if os.getpid() == made_by:  # not where a fork ends
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return _listening_at(Path(folder) / "socket")


def _listening_at(address: Path) -> socket.socket:
    address.unlink(missing_ok=True)  # of readers that have died
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(address))
    listener.listen(128)
    return listener


def address_of(listener: socket.socket) -> str:
    """Return the address for ``ECG_PARSERS``."""
    return str(listener.getsockname())


def start_serving(listener: socket.socket, *, everything: bool) -> "subprocess.Popen[bytes]":
    """Start the process that forks for each task; it ends with this one.

    Parameters
    ----------
    everything : whether it imports all libraries of all readers before it forks, which takes some seconds once and none later; then
        there is one beside it that imports none
    """
    command = [sys.executable, "-P", "-m", "ecg_tasks.parsing.serving", str(listener.fileno()), str(os.getpid())]
    # Arrow's other allocator takes a gigabyte of addresses at its first use, which counts as memory of the file that is read then
    environment = sandbox.bare_environment() | {"PYTHONPATH": str(_ROOT), "ARROW_DEFAULT_MEMORY_POOL": "system"}
    with contextlib.ExitStack() as handed_over:
        files = [listener.fileno()]
        if everything:
            beside = handed_over.enter_context(_listening_at(Path(address_of(listener) + _ORDINARY)))
            files.append(beside.fileno())
            command += [ALL, f"{BESIDE}{beside.fileno()}"]
        return subprocess.Popen(command, env=environment, pass_fds=files, stdin=subprocess.DEVNULL, cwd="/")  # noqa: S603 - our own module


def prepare() -> None:
    """Start the readers that this process would start with its first file, without waiting for them; none where others wait for it."""
    if not os.environ.get(ADDRESS, ""):
        _own(os.getpid())


def _connected(*, ordinary: bool) -> tuple[socket.socket, bool]:
    """Come to the executor's readers, or to this process's own where there are none; returns whether it is to those with few libraries."""
    address = os.environ.get(ADDRESS, "")
    if address:
        with contextlib.suppress(OSError):
            return _connect(address, ordinary=ordinary)
        log.warning("nobody reads files at the address of %s; this task starts its own", ADDRESS)
    return _connect(_own(os.getpid()), ordinary=ordinary)


def _connect(address: str, *, ordinary: bool) -> tuple[socket.socket, bool]:
    if ordinary:
        with contextlib.suppress(OSError):  # there are none
            return _connect(address + _ORDINARY, ordinary=False)[0], True
    task = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        task.connect(address)
    except OSError:
        task.close()
        raise
    return task, False


_OWN: dict[int, tuple[socket.socket, "subprocess.Popen[bytes]"]] = {}


def _own(pid: int) -> str:
    """Start readers of this process's own, once, and again if they have died; returns their address."""
    if not _OWN:
        atexit.register(_stop)
    there = _OWN.get(pid)
    if there is None or there[1].poll() is not None:
        listener = there[0] if there else listen()
        _OWN[pid] = listener, start_serving(listener, everything=EVERYTHING_AT_ONCE)
    return address_of(_OWN[pid][0])


def _stop() -> None:
    """End this process's own readers: they would end by themselves, within a second."""
    there = _OWN.pop(os.getpid(), None)
    if there is not None:
        listener, process = there
        listener.close()
        process.kill()
        process.wait()
