"""Here: finding the processes of a stack again. Not here: which processes a stack has (``test_stack``)."""

import os
import subprocess
import sys

import psutil
import pytest

from deploy.embedded import processes
from deploy.embedded.home import Home

_SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
_DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]


@pytest.fixture
def home(tmp_path):
    """An empty state folder."""
    return Home(tmp_path)


@pytest.fixture
def start(home):
    """Start a marked process; all are ended after the test."""
    started = []

    def run(component, command=_SLEEP, folder=home):
        environment = os.environ | processes.marks(folder, component)
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, start_new_session=True)
        assert process.stdout is not None
        process.stdout.readline()
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def _pids(found):
    return {process.pid for process in found}


def test_a_process_is_found_by_its_stack_and_component(home, start, tmp_path):
    """Every process of the stack is found, whatever its session, and none of another stack."""
    scheduler, triggerer = start("scheduler"), start("triggerer")
    start("scheduler", folder=Home(tmp_path / "other"))
    assert _pids(processes.of_component(home, "scheduler")) == {scheduler.pid}
    assert _pids(processes.of_stack(home)) == {scheduler.pid, triggerer.pid}


def test_a_grandchild_is_found_after_its_parents_died(home, start):
    """What a killed component left behind still carries the marks of its stack."""
    script = f"import subprocess, sys; print(subprocess.Popen({_SLEEP!r}).pid, flush=True); import time; time.sleep(60)"
    parent = start("scheduler", [sys.executable, "-c", script])
    (child,) = psutil.Process(parent.pid).children()
    parent.kill()
    parent.wait()
    assert _pids(processes.of_component(home, "scheduler")) == {child.pid}
    processes.end([child], grace_s=0)
    assert not child.is_running()


def test_the_caller_is_never_found(home, monkeypatch):
    """Cleaning up ends neither the process that cleans up nor those above it."""
    for name, value in processes.marks(home, "scheduler").items():
        monkeypatch.setenv(name, value)
    script = f"from deploy.embedded import processes; from deploy.embedded.home import Home; print(processes.of_stack(Home({str(home)!r})))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_process_that_does_not_listen_is_killed(home, start):
    """After the time given, a process that ignores the request to stop is killed."""
    deaf = start("scheduler", _DEAF)
    processes.end(processes.of_stack(home), grace_s=0.3)
    assert not psutil.pid_exists(deaf.pid)


def test_none_sees_another_die(home, start, tmp_path):
    """Those that are killed together are halted first: a task's supervisor cannot report that its task was killed."""
    witness = f"import pathlib, subprocess; child = subprocess.Popen({_SLEEP!r}, stdout=subprocess.PIPE); child.stdout.readline(); "
    witness += f"print('up', flush=True); child.wait(); pathlib.Path({str(tmp_path / 'saw')!r}).touch()"
    parent = start("scheduler", [sys.executable, "-c", witness])
    (child,) = psutil.Process(parent.pid).children()
    processes.end([child, psutil.Process(parent.pid)], grace_s=0)
    assert not child.is_running()
    assert not (tmp_path / "saw").exists()


def test_workers_that_run_a_task_are_known_by_their_titles(home, start):
    """As Airflow names its workers: a planned stop waits for those that do not wait themselves."""
    titled = "import time; from setproctitle import setproctitle; setproctitle({!r}); print('up', flush=True); time.sleep(60)"
    busy, *_ = [
        start("scheduler", [sys.executable, "-c", titled.format(f"airflow worker -- LocalExecutor: {what}")]) for what in ("work", "<idle>")
    ]
    start("scheduler")
    assert _pids(processes.busy_workers(home)) == {busy.pid}


def test_an_ancestor_that_ends_meanwhile_does_no_harm(home, start, monkeypatch):
    """A component that looks for its predecessors while its supervisor is killed finds them all the same."""
    left = start("guardian")
    parent = psutil.Process().parent()

    def gone(process):
        if process.pid == parent.pid:
            raise psutil.NoSuchProcess(process.pid)
        return parent

    monkeypatch.setattr(psutil.Process, "parent", gone)
    assert _pids(processes.of_component(home, "guardian")) == {left.pid}
