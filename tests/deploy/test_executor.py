"""Idle workers of the LocalExecutor may be killed: tasks start all the same. Real processes, and a queue that is Airflow's own."""

import itertools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import psutil
import pytest
from airflow.executors import local_executor
from airflow.executors.base_executor import BaseExecutor
from setproctitle import setproctitle

from deploy.embedded import executor as mended
from deploy.embedded import task_environment

pytestmark = pytest.mark.slow

PATIENCE_S = 300.0


@dataclass(frozen=True)
class Work:
    """A task, as far as a worker looks at it."""

    key: str
    display_name: str = "work"
    running_state: None = None
    success_state: ClassVar = "success"
    failure_state: ClassVar = "failed"


@pytest.fixture
def started(monkeypatch):
    """Function that starts an executor with some workers; they run nothing, and all of them are ended afterwards."""
    monkeypatch.setattr(BaseExecutor, "run_workload", lambda *_arguments, **_more: None)
    monkeypatch.setattr(mended, "PATIENCE_S", 1.0)
    monkeypatch.setattr(mended, "METHOD", "fork")  # else what is patched here would not reach the workers
    serve = mended.asking.start_serving
    monkeypatch.setattr(mended.asking, "start_serving", lambda listener, *, everything: serve(listener, everything=not everything))
    running = []

    def start(kind, n_workers):
        executor = kind(parallelism=n_workers)
        executor.done = {}
        executor.change_state = lambda key, state: executor.done.update({key: state})
        executor.start()
        running.append(executor)
        wait_until(lambda: all(mended._is_idle(pid) for pid in executor.workers), executor)
        return executor

    yield start
    for executor in running:
        for worker in executor.workers.values():
            worker.kill()
            worker.join()
        if isinstance(executor, mended.LocalExecutor):
            executor._listener.close()
            if executor._parsers is not None:
                executor._parsers.kill()
                executor._parsers.wait()


def wait_until(condition, executor, *, patience_s=PATIENCE_S):
    """Look after the workers as the scheduler does, until something holds; whether it came to hold."""
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        executor.sync()
        time.sleep(0.05)
    return True


def give(executor, *keys):
    """Put tasks into the queue: workloads, or those of these keys."""
    for key in keys:
        executor.queued_tasks[key.key if isinstance(key, Work) else key] = key
    executor._process_workloads([key if isinstance(key, Work) else Work(key) for key in keys])


def kill_idle(executor):
    """Kill every worker: whichever holds the queue's lock is among them."""
    pids = list(executor.workers)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for worker in executor.workers.values():
        worker.join()
    return pids


def test_tasks_start_after_idle_workers_were_killed(started):
    """The dead ones' lock is released once, and what lay in the queue and what comes later is done by new workers."""
    executor = started(mended.LocalExecutor, 3)
    pids = kill_idle(executor)
    give(executor, "one", "two")
    assert wait_until(lambda: len(executor.done) == 2, executor)
    give(executor, "three")
    assert wait_until(lambda: executor.done == dict.fromkeys(("one", "two", "three"), "success"), executor)
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_readers_that_have_died_are_replaced(started):
    """The process that reads files for tasks is started again at the same address."""
    executor = started(mended.LocalExecutor, 1)
    first = executor._parsers
    first.kill()
    assert wait_until(lambda: executor._parsers is not first, executor)
    assert executor._parsers.poll() is None


@pytest.fixture
def resting(monkeypatch):
    """An executor without workers that looks at a clock of its own: the clock, what it sees in the database, and when it glanced there."""
    now, traces, glances = [0.0], [(1, 1, 0, 0, 0, 0)], []

    def glance():
        glances.append(now[0])
        return traces[0]

    monkeypatch.setattr(local_executor.LocalExecutor, "sync", lambda _self: None)
    monkeypatch.setattr(mended.Glance, "answer", lambda _self: glance())
    monkeypatch.setattr(mended.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(mended.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    executor = mended.LocalExecutor(parallelism=2)
    executor.workers, executor._unread_messages = {}, SimpleNamespace(value=0)
    return executor, now, traces, glances


def test_it_rests_when_nothing_has_come_for_a_while(resting):
    """A task that waits, for a worker or in a worker's queue, lets it look as often as ever, and for a minute more."""
    executor, now, _, _ = resting

    def rested(at):
        now[0] = at
        executor.sync()
        return now[0] - at

    assert [rested(at) for at in (10.0, 60.0, 60.5, 70.0)] == [0.0, 0.0, mended.REST_S, mended.REST_S]
    executor.queued_tasks.update({"one": Work("one")})
    assert rested(100.0) == 0.0
    executor.queued_tasks.clear()
    executor._unread_messages.value = 1
    assert rested(161.0) == 0.0
    executor._unread_messages.value = 0
    assert rested(221.0) == 0.0
    assert rested(221.5) == mended.REST_S


def test_what_is_new_ends_its_rest(resting):
    """A run that comes is seen at the next glance, and for a minute it looks as often as ever; what it saw before is nothing new."""
    executor, now, traces, glances = resting
    now[0] = 100.0
    executor.sync()
    assert glances == [101.0, 102.0, 103.0, 104.0, 105.0]
    traces[0] = (1, 2, 0, 0, 0, 0)
    executor.sync()
    assert glances[5:] == [106.0]
    executor.sync()
    now[0] = 166.0
    executor.sync()
    assert now == [166.0]
    now[0] = 166.5
    executor.sync()
    assert now == [166.5 + mended.REST_S]


@pytest.mark.parametrize(("seen", "rest_s"), [((0, 7, 0, 0, 0, 0), 10.0), ((1, 7, 0, 0, 0, 0), 5.0), ((), 5.0)])
def test_it_rests_longer_while_no_run_is_under_way(resting, seen, rest_s):
    """A task that is to be tried again is then found as soon as before, and a database that does not answer is asked as often as before."""
    executor, now, traces, glances = resting
    now[0], traces[0] = 100.0, seen
    executor.sync()
    assert now == [100.0 + rest_s]
    assert len(glances) == rest_s


def test_workers_end_while_it_rests(started, monkeypatch):
    """Idle ones only hold memory. Tasks bring them back, more than one at once, and none is lost on the way."""
    monkeypatch.setattr(mended, "REST_S", 0.0)
    executor = started(mended.LocalExecutor, 4)
    monkeypatch.setattr(mended, "QUIET_S", 0.0)
    assert wait_until(lambda: not executor.workers, executor)
    monkeypatch.setattr(mended, "QUIET_S", 3600.0)
    keys = [f"task {number}" for number in range(50)]
    give(executor, *keys)
    assert len(executor.workers) == 4
    assert wait_until(lambda: executor.done == dict.fromkeys(keys, "success"), executor)
    assert len(executor.workers) == 4


def test_a_task_at_work_keeps_it_awake(started, monkeypatch):
    """However long it takes: its end is seen at once, and what follows begins at once, by workers that are there."""
    monkeypatch.setattr(BaseExecutor, "run_workload", lambda *_arguments, proctitle, **_more: (setproctitle(proctitle), time.sleep(2.5)))
    executor = started(mended.LocalExecutor, 2)
    workers = set(executor.workers)
    rests = []
    monkeypatch.setattr(mended.LocalExecutor, "_rest", lambda self: rests.append(dict(self.done)))
    give(executor, "one")
    assert wait_until(executor._is_at_work, executor)  # on a busy machine a worker takes a moment
    monkeypatch.setattr(mended, "QUIET_S", 0.2)
    assert wait_until(lambda: rests, executor)
    assert rests == [{"one": "success"}]
    assert set(executor.workers) == workers


def test_nothing_waits_for_tasks_while_it_is_asleep(started, monkeypatch):
    """What reads files ends as well, and is there again before the first task; readers that have ended on purpose are not replaced."""
    executor = started(mended.LocalExecutor, 2)
    readers = executor._parsers
    for name in ("REST_S", "QUIET_S", "ASLEEP_S"):
        monkeypatch.setattr(mended, name, 0.0)
    assert wait_until(lambda: executor._parsers is None, executor)
    assert readers.poll() is not None
    executor.sync()
    assert executor._parsers is None
    give(executor, "one")
    assert executor._parsers.poll() is None
    assert wait_until(lambda: executor.done == {"one": "success"}, executor)


def test_airflows_own_would_stand_still(started):
    """What is mended is still at fault in Airflow; when this fails, the mending may go."""
    executor = started(local_executor.LocalExecutor, 1)
    kill_idle(executor)
    give(executor, "one")
    assert not wait_until(lambda: executor.done, executor, patience_s=4)


def test_nothing_is_given_out_while_the_api_server_lets_nobody_in(monkeypatch):
    """A task would report to it in vain, and lose a try; when it listens, all slots are there."""
    monkeypatch.setattr(mended, "ASK_S", 0.0)
    executor = mended.LocalExecutor(parallelism=3)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", f"http://127.0.0.1:{server.getsockname()[1]}/execution/")
        assert executor.slots_available == 0
        server.listen()
        assert executor.slots_available == 3


@dataclass
class Orphan:
    """A task whose scheduler died."""

    try_number: int
    max_tries: int


def test_a_task_gets_back_the_try_that_its_scheduler_cost():
    """None is adopted, so that Airflow begins each anew; one that has begun over and over may be what ends the scheduler."""
    orphans = [Orphan(1, 0), Orphan(3, 5), Orphan(mended.MOST_TRIES, 25)]
    assert mended.LocalExecutor(parallelism=1).try_adopt_task_instances(orphans) == orphans
    assert [task.max_tries for task in orphans] == [1, 6, 25]


def test_a_lock_that_nobody_died_with_is_left_alone(started, monkeypatch):
    """Tasks that wait because every worker is at work release nothing, not even when one is killed at its work."""
    monkeypatch.setattr(BaseExecutor, "run_workload", lambda *_arguments, proctitle, **_more: (setproctitle(proctitle), time.sleep(2.5)))
    executor = started(mended.LocalExecutor, 2)
    give(executor, "one", "two", "three", "four")
    assert wait_until(lambda: executor._unread_messages.value == 2, executor)
    os.kill(next(iter(executor.workers)), signal.SIGKILL)
    assert wait_until(lambda: len(executor.done) == 3, executor)
    assert executor._was_killed, "it forgets that when it releases the lock"


ENDING = """
import os, sys, time
from airflow.logging_config import configure_logging
from deploy.embedded.executor import _is_idle
from {module} import LocalExecutor
configure_logging()
executor = LocalExecutor(parallelism=2)
executor.start()
while not all(_is_idle(pid) for pid in executor.workers):
    time.sleep(0.05)
sys.stderr.write("started\\n")
sys.stdin.readline()
executor.end()
os.write(int(sys.argv[1]), b"ended")
"""


@pytest.mark.parametrize(("module", "ends"), [("deploy.embedded.executor", True), ("airflow.executors.local_executor", False)])
def test_it_ends_when_nobody_reads_its_messages(module, ends):
    """A killed supervisor leaves a broken pipe: the workers are told to end all the same, which Airflow's own still fails to do."""
    told, answer = os.pipe()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-c", ENDING.format(module=module), str(answer)]
    with subprocess.Popen(command, **pipes, text=True, pass_fds=[answer], start_new_session=True) as process:
        os.close(answer)
        while process.stderr.readline().strip() != "started":
            pass
        for unread in (process.stdout, process.stderr):
            unread.close()
        process.stdin.write("end\n")
        process.stdin.close()
        patience_s = PATIENCE_S if ends else 4
        assert bool(select.select([told], [], [], patience_s)[0]) is ends
        assert os.read(told, 5) == b"ended" if ends else True
        os.killpg(process.pid, signal.SIGKILL)
    os.close(told)


def look(path):
    """Write down what a worker knows, and whether a fork of it can work: called where a workload is unpickled, which is in the worker."""
    found = {
        "environment": Path("/proc/self/environ").read_bytes().decode(),
        "now": dict(os.environ),
        "imported": all(library in sys.modules for library in mended.LIBRARIES),
    }
    child = os.fork()
    if not child:
        square = sys.modules["numpy"].ones((300, 300))
        table = sys.modules["pyarrow"].table({"a": (square @ square)[0]})
        sys.modules["pyarrow.parquet"].write_table(table, f"{path}.table")
        os._exit(0)
    os.waitpid(child, 0)
    Path(path).write_text(json.dumps(found))
    return Work("looked")


@dataclass(frozen=True)
class Look(Work):
    """A task that looks around."""

    path: str = ""

    def __reduce__(self):
        return look, (self.path,)


def linger(path):
    """Leave a process behind that outlives its worker, and has all files open that this has."""
    child = os.fork()
    if not child:
        time.sleep(PATIENCE_S)
        os._exit(0)
    Path(path).write_text(str(child))
    return Work("lingered")


@dataclass(frozen=True)
class Linger(Work):
    """A task that leaves a process behind."""

    path: str = ""

    def __reduce__(self):
        return linger, (self.path,)


SECRETS = {
    "AIRFLOW__API_AUTH__JWT_SECRET": "jwt-signs-tokens",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql+psycopg2://airflow:password-of-airflow@127.0.0.1:1/airflow",
    "AIRFLOW__CORE__FERNET_KEY": "seals-connections",
    "AIRFLOW__API__SECRET_KEY": "signs-cookies",
    "ECG_NOTIFY": "https://example.org/hook-of-a-channel",
    "SOME_TOKEN": "of-the-shell",
}


def seen_late(look):
    """Wrap a look that starts what is gone: it does so from its fourth call on."""
    calls = itertools.count()
    return lambda: look() if next(calls) > 2 else None


@pytest.mark.parametrize("gone", ["", "killed", "asleep"])
def test_a_task_gets_what_it_needs_and_no_secret(monkeypatch, tmp_path, gone):
    """Neither its environment nor the one that its process began with has what only the scheduler may know; libraries are imported.

    Nor where the process that workers are forked from had been killed, which Python may see later than its closed door, or had ended as
    nothing came.
    """
    for name, value in (SECRETS | {"ECG_BUCKET": "b", "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "8"}).items():
        monkeypatch.setenv(name, value)
    forkserver._forkserver._stop()  # of an earlier test
    executor = mended.LocalExecutor(parallelism=1)
    executor.change_state = lambda *_: None
    executor.start()
    try:
        assert os.environ["AIRFLOW__API_AUTH__JWT_SECRET"] == SECRETS["AIRFLOW__API_AUTH__JWT_SECRET"], "the scheduler keeps its own"
        if gone == "killed":
            os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)
            kill_idle(executor)
            for place in (forkserver, forkserver._forkserver):
                monkeypatch.setattr(place, "ensure_running", seen_late(place.ensure_running))
        if gone == "asleep":
            give(executor, Linger("lingered", path=str(tmp_path / "left")))
            assert wait_until((tmp_path / "left").exists, executor)
            with monkeypatch.context() as at_once:
                for name in ("REST_S", "QUIET_S", "ASLEEP_S"):
                    at_once.setattr(mended, name, 0.0)
                assert wait_until(lambda: forkserver._forkserver._forkserver_pid is None, executor)
            os.kill(int((tmp_path / "left").read_text()), signal.SIGKILL)
        give(executor, Look("looked", path=str(tmp_path / "seen")))
        assert wait_until((tmp_path / "seen").exists, executor)
        assert wait_until((tmp_path / "seen").read_text, executor)
    finally:
        executor.end()
        forkserver._forkserver._stop()
    seen = json.loads((tmp_path / "seen").read_text())
    told = seen["environment"] + repr(seen["now"])
    assert not [name for name, value in SECRETS.items() if value in told]
    assert seen["now"].keys() & SECRETS.keys() == {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"}
    assert seen["now"]["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == task_environment.NOWHERE
    assert seen["now"]["ECG_BUCKET"] == "b"
    assert seen["now"]["AIRFLOW__WORKERS__EXECUTION_API_RETRIES"] == "8"
    assert Path(seen["now"]["ECG_PARSERS"]).parent.name.startswith("ecg-parsers-")
    assert seen["imported"]
    assert (tmp_path / "seen.table").stat().st_size > 0
