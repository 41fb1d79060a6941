"""Here: what can be done to a stack at a certain moment of a certain task. Not here: which faults are tried (``faults``)."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import psutil  # type: ignore[import-untyped]

from deploy.embedded import supervision
from tests.faults.bench import Bench
from tests.faults.proxy import Fate, Network, Request, Rule

Act = Callable[[Bench, Request], Fate]

ZOMBIE_S = 45.0
"""So long a task whose worker was killed is kept from noticing it: another has taken up its work by then."""


def nothing(_bench: Bench, _request: Request) -> Fate:
    """Only be held for a moment."""
    return Fate.PASS


@dataclass(frozen=True, kw_only=True)
class Break:
    """In the middle of this task, when it asks this of the store for the n-th time, something is done.

    Parameters
    ----------
    what : a few words for the table
    answered : when the store has done it, and the task does not know it yet
    """

    dag: str
    task: str
    method: str
    pattern: str
    nth: int = 1
    answered: bool = False
    what: str = ""
    act: Act = nothing

    def rule(self, bench: Bench) -> Rule:
        """The same for the proxy of a bench."""
        return Rule(
            method=self.method, pattern=self.pattern, nth=self.nth, answered=self.answered, act=lambda request: self.act(bench, request)
        )


def kill_task(_bench: Bench, request: Request) -> Fate:
    """Kill the process that asks."""
    owner = request.owner
    if owner is None:
        raise RuntimeError(f"nobody holds the connection of {request}")
    owner.kill()
    _wait_for_end(owner, most_s=10)
    return Fate.HANG_UP


def kill_worker(_bench: Bench, request: Request) -> Fate:
    """Kill the worker above the task and keep the task from noticing: it goes on when another has done its work already."""
    owner = request.owner
    parent = owner and owner.parent()
    if owner is None or parent is None:
        raise RuntimeError(f"nobody holds the connection of {request}")
    parent.kill()
    _wait_for_end(owner, most_s=ZOMBIE_S)
    return Fate.PASS


def kill_idle_workers(bench: Bench, _request: Request) -> Fate:
    """Kill every worker that waits for a task: one of them holds their queue's lock."""
    scheduler = psutil.Process(supervision.pids(bench.stack.home)["scheduler"])
    idle = [worker for worker in scheduler.children() if "<idle>" in " ".join(worker.cmdline())]
    if not idle:
        raise RuntimeError("no worker waits")
    for worker in idle:
        worker.kill()
    return Fate.PASS


def kill_component(bench: Bench, component: str) -> None:
    """Kill a component, which must run."""
    pid = supervision.pids(bench.home_of(component))[component]
    if not pid:
        raise RuntimeError(f"{component} does not run")
    psutil.Process(pid).kill()


def kill(component: str) -> Act:
    """Kill a component; the request waits until its task is dead too, or for five seconds."""

    def act(bench: Bench, request: Request) -> Fate:
        owner = request.owner
        kill_component(bench, component)
        if owner is not None:
            _wait_for_end(owner, most_s=5)
        return Fate.PASS

    return act


def halt(component: str) -> Act:
    """Halt a component by a signal: it lives and does nothing. Nobody but the stack itself lets it go on, or ends it."""

    def act(bench: Bench, _request: Request) -> Fate:
        home = bench.home_of(component)
        pid = supervision.pid(home) if component == "supervisor" else supervision.pids(home)[component]
        if not pid:
            raise RuntimeError(f"{component} does not run")
        psutil.Process(pid).suspend()
        return Fate.PASS

    return act


def kill_supervisor(bench: Bench, _request: Request) -> Fate:
    """Kill the supervisor of everything but the store: all its components stop with it."""
    psutil.Process(supervision.pid(bench.stack.home)).kill()
    return Fate.PASS


def close(*folders: str, for_s: float) -> Act:
    """Let nothing be written into these folders of the bench for a while."""

    def act(bench: Bench, _request: Request) -> Fate:
        for folder in folders:
            bench.disks.close(folder)
            timer = threading.Timer(for_s, bench.disks.open, [folder])
            timer.daemon = True
            timer.start()
        return Fate.PASS

    return act


def network(bad: Network, *, for_s: float) -> Act:
    """Let the network be bad from here on."""

    def act(bench: Bench, _request: Request) -> Fate:
        bench.proxy.turn(bad, for_s=for_s)
        return Fate.PASS

    return act


def fill(*names: str, for_s: float) -> Act:
    """Leave no room on these disks for a while."""

    def free(bench: Bench) -> None:
        for name in names:
            bench.disks.free(name)

    def act(bench: Bench, _request: Request) -> Fate:
        for name in names:
            bench.disks.fill(name)
        timer = threading.Timer(for_s, free, [bench])
        timer.daemon = True
        timer.start()
        return Fate.PASS

    return act


def set_back(by_s: float, *, for_s: float = 0.0) -> Act:
    """Set the clock back: for good, or for a while."""

    def act(bench: Bench, _request: Request) -> Fate:
        bench.clock.set_back(by_s)
        if for_s:
            timer = threading.Timer(for_s, bench.clock.set_back, [0])
            timer.daemon = True
            timer.start()
        return Fate.PASS

    return act


def once(fate: Fate) -> Act:
    """Let this happen to the one request."""
    return lambda _bench, _request: fate


def _wait_for_end(process: psutil.Process, *, most_s: float) -> None:
    deadline = time.monotonic() + most_s
    while time.monotonic() < deadline:
        with suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.1)
                continue
        return
