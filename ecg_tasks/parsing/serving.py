"""Here: the processes that read files for tasks: ``python -m ecg_tasks.parsing.serving LISTENER PARENT``. Not here: asking (``asking``).

One process waits at a socket that it was started with. It was started with hardly an environment, so it knows no secret, and forks for each
task that comes, which takes milliseconds. The fork puts up its walls, then reads what the task hands over, some drops at a time. Its parent
ends it when the task has gone, and tells the task how it ended when it ends first, also where the parent began anew in between: it hands
over to itself what it knows of them. When whoever started them has gone, all of them end.

What a fork costs is what there is in memory, most of all pandas and SciPy. So a process that imports all libraries first forks one that has
none of them, which waits at a socket of its own: for ordinary recordings, which need NumPy alone.
"""

import contextlib
import gc
import importlib
import importlib.abc
import logging
import mmap
import os
import resource
import select
import signal
import socket
import struct
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NoReturn

from ecg_tasks import sandbox
from ecg_tasks.errors import BadInputError
from ecg_tasks.memory import keep_freed
from ecg_tasks.parsing import messages
from ecg_tasks.parsing.here import read_here
from ecg_tasks.parsing.messages import ASK, ENDED, FOUND, LACKS, MESSAGE, READY, SECCOMP
from ecg_tasks.sandbox import seccomp

LIBRARIES = ("defusedxml.ElementTree", "edfio", "h5py", "pandas", "pyarrow.parquet", "scipy.io", "scipy.signal", "soundfile")
"""Those that readers import when a file needs them. Who waits for more than one task imports them before the first; they bear a fork."""
_MADE_UP = {"a.hea": b"a 1 500 5000\na.dat 16 1000/mV 16 0 0 0 0 II\n", "a.dat": bytes(range(250)) * 40}
"""A recording that is read before the first fork: what is made at a first use is there for all then."""
ALL, ORDINARY, BESIDE = "all", "ordinary", "beside="
"""Arguments: this process imports all libraries; it has none, and says so where one is needed; the socket of one of that kind beside it."""
OUT_OF_MEMORY = 3
"""How a process ends that has no memory left."""
_BETWEEN_LOOKS_MS = 500
"""So long after its parent a process ends that nobody asks."""
_MOST_LOGGED = 16
_GONE = getattr(select, "POLLRDHUP", 0) | select.POLLHUP
_CREDENTIALS = struct.Struct("3i")
_AND = ":"
"""Between the id of a child and its socket, in an argument."""


@dataclass(frozen=True)
class _Child:
    pid: int
    task: socket.socket

    @property
    def told(self) -> str:
        """What a program that begins anew is told of it: its id, and the number of the socket."""
        return f"{self.pid}{_AND}{self.task.fileno()}"

    @classmethod
    def known_by(cls, told: str) -> "_Child":
        """Take over one from the program before."""
        pid, _, file = told.partition(_AND)
        task = socket.socket(fileno=int(file))
        os.set_inheritable(task.fileno(), False)  # noqa: FBT003 - its name says it
        return cls(int(pid), task)


def serve(listener: socket.socket, *, parent: int, before: Sequence[_Child] = ()) -> None:
    """Fork for each task that comes, as long as the process that started this one is its parent; begin anew when a module has changed.

    Parameters
    ----------
    before : children of the program that this one was
    """
    woken, wake = socket.socketpair()
    for waits in (listener, woken, wake):
        waits.setblocking(False)  # noqa: FBT003 - its name says it
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    waiting = select.poll()
    waiting.register(listener, select.POLLIN)
    waiting.register(woken, select.POLLIN)
    children = {child.task.fileno(): child for child in before}
    for file in children:
        waiting.register(file, _GONE & ~select.POLLHUP)
    wake.send(b"\0")  # one may have ended before this program could hear of it
    modules = _modules()
    logged = _Logged()
    logging.basicConfig(handlers=[logged], level=logging.WARNING, force=True)
    plan = sandbox.prepare(reads=sandbox.libraries(), calls=seccomp.ONLY_COMPUTING)
    gc.freeze()  # a child that collects would copy all that it finds
    while os.getppid() == parent:
        for file, event in waiting.poll(_BETWEEN_LOOKS_MS):
            if file == woken.fileno():
                woken.recv(4096)
                _let_go(children, waiting)
            elif file == listener.fileno():
                if any(_changed(path) != changed for path, changed in modules.items()):
                    _begin_anew(listener, children.values())
                if (task := _next(listener)) is not None:
                    others = [listener, woken, wake, *(one.task for one in children.values())]
                    children[task.fileno()] = _Child(_fork(task, others, plan, logged), task)
                    waiting.register(task, _GONE & ~select.POLLHUP)
            elif event and file in children:
                os.kill(children[file].pid, signal.SIGKILL)  # it is not waited for yet, so the number is still its own
                waiting.unregister(file)  # it would be told again and again, until the child has ended


def _let_go(children: dict[int, _Child], waiting: "select.poll") -> None:
    """Tell the tasks of children that have ended, and forget these."""
    for child in [child for child in children.values() if _has_ended(child)]:
        with contextlib.suppress(KeyError):  # its task has gone before it
            waiting.unregister(child.task)
        del children[child.task.fileno()]
        child.task.close()


def _modules() -> dict[str, int | None]:
    """Return when each of our modules that is imported was changed: tasks find them as they are on the disk, and so does this process."""
    paths = [module.__file__ for name, module in sys.modules.items() if name.partition(".")[0] == "ecg_tasks" and module.__file__]
    return {path: _changed(path) for path in paths}


def _changed(path: str) -> int | None:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - a hundred, for each task
    except FileNotFoundError:
        return None


def _begin_anew(listener: socket.socket, children: Collection[_Child]) -> NoReturn:
    """Become the same program with what is on the disk now; who waits at the socket is served by that, and the children stay its own."""
    for one in (listener, *(child.task for child in children)):
        os.set_inheritable(one.fileno(), True)  # noqa: FBT003 - its name says it
    arguments = [one for one in sys.argv[1:] if _AND not in one] + [child.told for child in children]
    os.execv(sys.executable, [sys.executable, "-P", "-m", __spec__.name, *arguments])  # noqa: S606 - this module again


def _next(listener: socket.socket) -> socket.socket | None:
    """Return the task that comes, if it is one of this user's."""
    try:
        task, _ = listener.accept()
    except OSError:
        return None
    if hasattr(socket, "SO_PEERCRED"):
        _, user, _ = _CREDENTIALS.unpack(task.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
        if user != os.geteuid():
            task.close()
            return None
    task.setblocking(True)  # noqa: FBT003 - its name says it
    return task


def _has_ended(child: _Child) -> bool:
    """Return whether a child is gone; its task is told how."""
    ended, status = os.waitpid(child.pid, os.WNOHANG)
    if ended:
        with contextlib.suppress(OSError):
            child.task.send(MESSAGE.pack(ENDED, os.waitstatus_to_exitcode(status), 0), socket.MSG_DONTWAIT)
    return bool(ended)


def _fork(task: socket.socket, others: Sequence[socket.socket], plan: sandbox.Plan, logged: "_Logged") -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        sandbox.end_with_parent()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for one in others:
            one.close()
        _read_what_comes(task, plan, logged)
    except BaseException:  # noqa: BLE001 - it must not go on as its parent
        os._exit(1)
    os._exit(0)


def _read_what_comes(task: socket.socket, plan: sandbox.Plan, logged: "_Logged") -> None:
    """Put up the walls, then read drop after drop until the task has gone."""
    with contextlib.suppress(OSError):  # where memory runs out, this process goes and not the task
        score = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(score, b"1000")
        os.close(score)
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):  # it writes no file at all
        resource.setrlimit(limit, (0, 0))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for file in range(3):
        os.dup2(nowhere, file)
    os.close(nowhere)
    message, files, *_ = socket.recv_fds(task, MESSAGE.size, 1)
    if not files or len(message) < MESSAGE.size:  # the task has gone
        return
    shared = mmap.mmap(files[0], MESSAGE.unpack(message)[1])  # Python keeps a descriptor, by which nothing can be written
    os.close(files[0])
    walls = sandbox.enter(plan)
    task.sendall(MESSAGE.pack(READY, os.getpid(), walls.landlock + SECCOMP * walls.seccomp))
    while len(message := task.recv(MESSAGE.size)) == MESSAGE.size:
        kind, n_given, n_question = MESSAGE.unpack(message)
        if kind != ASK:
            return
        try:
            task.sendall(MESSAGE.pack(FOUND, *_answer(shared, n_given, n_question, logged)))
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        except _LackError:
            task.sendall(MESSAGE.pack(LACKS, 0, 0))
            return


def _answer(shared: mmap.mmap, n_given: int, n_question: int, logged: "_Logged") -> tuple[int, int]:
    """Read some drops; returns how many bytes of samples and copies were written, and of the answers after them."""
    begin = at = n_given + n_question
    copies: list[bytes] = []
    answers = []
    for drop in messages.asked(shared, n_given, n_question):
        try:
            read, copy = read_here(drop.name, drop.contents, called=drop.called)
            samples, files, answer = messages.answering(drop, read, copy, logged=logged.taken())
        except BadInputError as fault:
            answers.append(messages.refusing(fault, logged=logged.taken()))
            continue
        at = messages.put(shared, samples, at=at)
        copies += files
        answers.append(answer)
    end = messages.put(shared, copies, at=at)
    return end - begin, messages.put(shared, [messages.packed(answers)], at=end) - end


class _LackError(BaseException):
    """A library is needed that this process shall not import: no reader may take it for a fault of its own."""


class _Lacking(importlib.abc.MetaPathFinder):
    """Stands before all that finds modules, and lets no library be imported for each task anew that another process has already."""

    _names = frozenset(library.partition(".")[0] for library in LIBRARIES)

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:  # noqa: ARG002 - as it is asked
        """Find nothing; raises `_LackError` for a library."""
        if fullname.partition(".")[0] in self._names:
            raise _LackError(fullname)


class _Logged(logging.Handler):
    """Keeps what readers log, for the task to log."""

    def __init__(self) -> None:
        super().__init__()
        self._texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line, unless there are many."""
        if len(self._texts) < _MOST_LOGGED:
            self._texts.append(record.getMessage())

    def taken(self) -> list[str]:
        """Return what was logged since the last time."""
        texts, self._texts = self._texts, []
        return texts


def main() -> None:
    """Serve at a socket that was inherited.

    The arguments are its number, the parent's id, of `ALL`, `ORDINARY` and `BESIDE` what is wanted, and the children of the program before.
    """
    beside = next((one for one in sys.argv if one.startswith(BESIDE)), None)
    if beside is not None:
        sys.argv.remove(beside)  # who begins anew has one already
        _fork_ordinary(int(beside.removeprefix(BESIDE)))
    file, parent, *more = sys.argv[1:]
    keep_freed()
    if ALL in more:
        for library in LIBRARIES:
            importlib.import_module(library)
    if ALL in more or ORDINARY in more:
        with contextlib.suppress(BadInputError):
            read_here("a/a.hea", _MADE_UP, called={name: name for name in _MADE_UP})
    if ORDINARY in more:
        sys.meta_path.insert(0, _Lacking())
    serve(socket.socket(fileno=int(file)), parent=int(parent), before=[_Child.known_by(one) for one in more if _AND in one])


def _fork_ordinary(file: int) -> None:
    """Leave the socket to a fork, which goes on with arguments of its own, and ends with this process."""
    parent, own_file = os.getpid(), int(sys.argv[1])
    if os.fork():
        os.close(file)
        return
    sandbox.end_with_parent()
    os.close(own_file)
    sys.argv[1:] = [str(file), str(parent), ORDINARY]


if __name__ == "__main__":
    main()
