"""Here: Airflow's LocalExecutor: quicker to start a task, and mended where a death stopped it. Not here: what it runs.

Every task is a fork of a worker, and a worker one of a process that was started with a task's environment and nothing else
(multiprocessing's forkserver): neither there nor in its memory is what only the scheduler may know. What that process has imported no task
imports again: the libraries that most tasks use took each of them half a second to two of a core. Our own modules are not among them: a
task reads them as they are. Beside it a process waits that reads files for tasks (``ecg_tasks.parsing``), and knows nothing at all.

Its workers wait for tasks at one queue: one of them holds the queue's lock, the others wait for it. A worker that is killed while it
holds the lock takes it along, and no task starts any more until the scheduler is restarted (seen with Airflow 3.3.2).

A scheduler that has nothing to do looks for work four times a second, which takes 11 % of a core. When nothing has come for a while it
looks every few seconds and glances in between whether a run has come, for a fifteenth of the cost; its workers end, and after a while more
the processes that tasks are forked from and that files are read by: together they hold 400 MB. The next run brings them back.

A killed supervisor leaves a log that no process reads: every message is then an error, Airflow's first one at its end, too, so that its
workers never got the order to end and it waited for them for ever.

What a scheduler that died had given out is begun anew by the next one. Airflow counts that as a try; here it costs none.
"""

import ctypes
import gc
import math
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]
from airflow.configuration import conf
from airflow.executors import local_executor

from deploy.embedded import component, task_environment
from deploy.embedded.glance import Glance
from ecg_tasks.parsing import asking

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from multiprocessing.process import BaseProcess

    from airflow.models.taskinstance import TaskInstance

LIBRARIES = (
    "airflow.dag_processing.dagbag",
    "airflow.executors.local_executor",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "airflow.triggers.base",
    "boto3",
    "numpy",
    "pyarrow.compute",
    "pyarrow.parquet",
    "scipy.ndimage",
    "scipy.signal",
    "scipy.sparse.csgraph",
    "scipy.spatial",
)
"""What tasks find imported: what bears a fork after its import. BLAS and Arrow make their threads again in a child. TensorFlow does not."""
METHOD = "forkserver"
"""How workers come to be: as forks of a process that was started anew."""
PATIENCE_S = 5.0
"""A living worker that waits takes a task within milliseconds."""
ASK_S = 2.0
"""Between two looks whether the api-server is there."""
MOST_TRIES = 20
"""A task that has been tried so often gets back no further try that ended with its scheduler."""
QUIET_S, REST_S, LONG_REST_S = 60.0, 5.0, 10.0
"""After so long without a task the scheduler's loop, which waits in here, rests so long in each round, longer while no run is under way,
and the workers end."""
GLANCE_S = 1.0
"""Between two glances of a scheduler that rests: it goes on as soon as there is something new."""
ASLEEP_S = 120.0
"""After so long without a task nothing waits for one. It takes some seconds of a core to have it again."""
_TRACES = """
select (select count(*) from dag_run where state = 'running'), (select max(id) from dag_run),
       (select count(*) from dag_run where state = 'queued'), (select count(*) from asset_dag_run_queue),
       (select count(*) from task_instance where state in ('scheduled', 'queued')),
       (select count(*) from dag where next_dagrun_create_after <= now() and not is_paused and not is_stale)
"""
"""How many runs are under way, and what changes when there is work: a run, one that begins again, news of an asset that a run waits for, a
task that goes on, a run whose time has come."""


class LocalExecutor(local_executor.LocalExecutor):
    """Releases the queue's lock when, after a worker was killed, tasks lie in the queue although others wait for them.

    Ends although nothing reads its messages. A task whose scheduler died loses no try. Starts its workers with what a task may know. Rests
    when there is nothing to do.
    """

    _worked_at = 0.0
    _was_killed = False
    _told_to_end = False
    _glance = Glance(_TRACES)
    _seen: tuple[object, ...] | None = None
    _is_open = False
    _asked_at = -math.inf
    _n_unread = 0
    _unread_since = 0.0
    _listener: socket.socket | None = None
    _parsers: "subprocess.Popen[bytes] | None" = None

    @property
    def slots_available(self) -> int:
        """How many more tasks may be given out: none while the api-server, to which each of them reports, lets nobody in.

        After a start on a busy machine that takes minutes, and a task that waited in vain would have lost a try.
        """
        if time.monotonic() >= self._asked_at + ASK_S:
            self._is_open = _lets_in(conf.get("core", "execution_api_server_url", fallback=""))
            self._asked_at = time.monotonic()
        return int(super().slots_available) if self._is_open else 0

    def start(self) -> None:
        """Start the process that reads files, and the workers."""
        component.started()
        self._context: Any = multiprocessing.get_context(METHOD)
        self._listener = asking.listen()
        self._have_helpers()
        self.activity_queue = self._context.SimpleQueue()
        self.result_queue = self._context.SimpleQueue()
        self.workers = {}
        self._unread_messages = self._context.Value(ctypes.c_uint)
        self.is_mp_using_fork = True  # as Airflow asks before it makes all workers at once: each is a fork here, too
        self._worked_at = time.monotonic()
        gc.freeze()
        try:
            for _ in range(self.parallelism):
                self._spawn_worker()
        finally:
            gc.unfreeze()

    def _have_helpers(self) -> None:
        """Have the process that reads files, and the one that workers are forked from."""
        if self._listener is None:
            return
        if self._parsers is None or self._parsers.poll() is not None:
            if self._parsers is not None:
                self.log.warning("the process that reads files has ended (%s): starting another one", self._parsers.returncode)
            self._parsers = asking.start_serving(self._listener, everything=True)
        if METHOD == "forkserver":
            with self._environment_of_tasks():
                forkserver.set_forkserver_preload(list(LIBRARIES))
                forkserver.ensure_running()

    @contextmanager
    def _environment_of_tasks(self) -> Iterator[None]:
        """Have another environment for a moment: Python starts its forkserver, and a killed one anew, with the one that is there."""
        if METHOD != "forkserver" or self._listener is None:
            yield
            return
        own = dict(os.environ)
        try:
            os.environ.clear()
            os.environ.update(task_environment.of(own) | {asking.ADDRESS: asking.address_of(self._listener)})
            yield
        finally:
            os.environ.clear()
            os.environ.update(own)

    def _end_helpers(self) -> None:
        if self._parsers is not None:
            self._parsers.kill()
            self._parsers.wait()
            self._parsers = None
        own: Any = getattr(forkserver, "_forkserver")  # noqa: B009 - Python has no other door to it
        if METHOD == "forkserver" and own._forkserver_pid is not None:  # noqa: SLF001
            os.kill(own._forkserver_pid, signal.SIGKILL)  # noqa: SLF001 - by itself it stays as long as any task that lost its worker
            own._stop()  # noqa: SLF001 - the next worker lets Python start another one

    def _process_workloads(self, workload_list: "Sequence[Any]") -> None:
        self._have_helpers()
        super()._process_workloads(workload_list)  # type: ignore[no-untyped-call]

    def _spawn_worker(self) -> None:
        worker = self._context.Process(
            target=local_executor._run_worker,  # noqa: SLF001 - Airflow's own executor hands it over as well
            kwargs={
                "logger_name": self.log.name,
                "input": self.activity_queue,
                "output": self.result_queue,
                "unread_messages": self._unread_messages,
                "team_conf": self.conf,
            },
        )
        with self._environment_of_tasks():
            _start(worker)
        self.workers[worker.pid] = worker

    def sync(self) -> None:
        """Look after the workers, and rest if there has been nothing to do for a while."""
        super().sync()
        if self._parsers is not None and self._parsers.poll() is not None:
            self._have_helpers()
        quiet_s = time.monotonic() - self._worked_at
        if self.slots_occupied or self._unread_messages.value or (quiet_s > QUIET_S and self._is_at_work()):
            self._worked_at, self._told_to_end = time.monotonic(), False
        elif quiet_s > QUIET_S:
            self._end_idle_workers()
            if quiet_s > ASLEEP_S and not self.workers:
                self._end_helpers()
            self._rest()

    def _is_at_work(self) -> bool:
        """Return whether a worker has a task: of those that it has handed over, Airflow's executor keeps no list."""
        return not all(_is_idle(pid) for pid in self.workers)

    def _rest(self) -> None:
        """Wait, but not when there is something new, which is prepared for at once."""
        rests_at = time.monotonic()
        rest_s = REST_S
        while time.monotonic() < rests_at + rest_s:
            time.sleep(GLANCE_S)
            before, self._seen = self._seen, self._glance.answer()
            if before not in (None, self._seen):
                self._worked_at, self._told_to_end = time.monotonic(), False
                self._have_helpers()
                return
            rest_s = LONG_REST_S if self._seen[:1] == (0,) else REST_S

    def _end_idle_workers(self) -> None:
        if self._told_to_end:  # an order too many would end a worker that the next task brings
            return
        self._told_to_end = True
        for _ in self.workers:
            self.activity_queue.put(None)  # Airflow's own order to end

    def _check_workers(self) -> None:
        self._was_killed |= any(worker.exitcode for worker in self.workers.values())
        super()._check_workers()  # type: ignore[no-untyped-call]
        before, self._n_unread = self._n_unread, self._unread_messages.value
        if not before or self._n_unread < before or not any(_is_idle(pid) for pid in self.workers):
            self._unread_since = time.monotonic()
        elif self._was_killed and time.monotonic() - self._unread_since > PATIENCE_S:
            self.log.warning("%d tasks lie in the queue, whose lock died with a worker: releasing it", self._n_unread)
            self._was_killed = False
            with suppress(ValueError):  # nobody held it
                self.activity_queue._rlock.release()  # type: ignore[attr-defined]  # noqa: SLF001 - the queue has no door for it

    def try_adopt_task_instances(self, tis: "Sequence[TaskInstance]") -> "Sequence[TaskInstance]":
        """Adopt none, as Airflow's own, and give each back the try that it lost with its scheduler.

        A stop of the stack, a power cut or a killed scheduler is no fault of the task. One that has begun so often may well be the fault of
        all these: no more tries are given to it.
        """
        for task in tis:
            if task.try_number < MOST_TRIES:
                task.max_tries += 1
        return super().try_adopt_task_instances(tis)

    def end(self) -> None:
        """End the workers, and say so if anybody reads it."""
        _drop_unread_messages()
        super().end()
        if self._listener is not None:
            self._listener.close()
        if self._parsers is not None:
            self._parsers.kill()
            self._parsers.wait()


def _start(worker: "BaseProcess") -> None:
    """Start a worker, again if need be: a killed forkserver refuses, and Python starts another one only once it has ended."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return worker.start()
        except (ConnectionError, EOFError):
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def _drop_unread_messages() -> None:
    """Send what this process says to nowhere, if the reader of its standard output is dead."""
    try:
        print(flush=True)  # noqa: T201 - only a message tells whether anybody reads it
    except BrokenPipeError:
        with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 - a device, not a path of ours
            for stream in (sys.__stdout__, sys.__stderr__):
                if stream is not None:
                    os.dup2(nowhere.fileno(), stream.fileno())


def _lets_in(address: str) -> bool:
    """Return whether a server listens at an address; True for no address at all."""
    server = urlsplit(address)
    if not server.hostname:
        return True
    try:
        socket.create_connection((server.hostname, server.port or 80), timeout=0.5).close()
    except OSError:
        return False
    return True


def _is_idle(pid: int) -> bool:
    """Return whether a worker says in its title that it waits for tasks."""
    try:
        return any("<idle>" in part for part in psutil.Process(pid).cmdline())
    except psutil.Error:
        return False
