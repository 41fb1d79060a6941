"""Here: whether each component answers, each asked by itself, all at once, within a moment. Not here: what is done about it.

Who asks: ``stack`` for a person, ``guardian`` to mend. What hangs costs a question its time and no other question anything.
"""

import _thread
import http.client
import json
import os
import queue
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Mapping
from functools import partial
from http import HTTPStatus
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from deploy.embedded import airflow, object_store, postgres
from deploy.embedded.errors import StackError
from deploy.embedded.home import LOOPBACK, Home

MOST_S = 1.3
"""So long after its start ``./ecg status`` has all answers, of the two seconds that a person waits for it."""
LEAST_S = 0.5
"""So long an answer may take at least: a machine that needs longer than that to start a program is busy, and no component hangs."""
SILENT_S = 30.0
"""A component of Airflow whose last sign of life is older does nothing any more; Airflow itself counts so."""
JOBS = {"scheduler": "SchedulerJob", "triggerer": "TriggererJob", "dag-processor": "DagProcessorJob"}
"""Component -> the kind of its row in Airflow's table of jobs, where it leaves a sign of life every few seconds."""
_STARTED = 19
"""The place of the start among what /proc/PID/stat says after the program's name (proc(5))."""
_HALTED = "is halted by a signal"
_UNKNOWN = "not known while PostgreSQL does not answer"


def faults(
    home: Home, components: Collection[str], *, more: Mapping[str, Callable[[], str]] | None = None, most_s: float
) -> dict[str, str]:
    """Ask components that run; returns what is wrong with those that are not well.

    Parameters
    ----------
    more : further questions, by name; one of a component's name replaces the usual one
    most_s : after so many seconds what has not answered does not answer

    Returns
    -------
    dict: component -> the end of a sentence, such as *does not answer within 1 s*
    """
    ports = home.ports()
    inner = [f"http://{LOOPBACK}:{port}/" for port in (ports.store_account, ports.store_container, ports.store_object)]
    urls = {
        "store-data": inner,
        "store": [f"{object_store.endpoint(home)}/healthcheck"],
        "api-server": [f"{airflow.ui(home)}/api/v2/version"],
    }
    questions: dict[str, Callable[[], str]] = {
        name: partial(_asked_of, places, most_s=most_s) for name, places in urls.items() if name in components
    }
    signs: dict[str, float] | None = None

    def look_for_signs() -> str:
        nonlocal signs
        try:
            signs = postgres.signs_of_life(home)
        except StackError:
            return postgres.fault(home)
        return ""

    jobs = [name for name in JOBS if name in components]
    if "postgres" in components or jobs:  # one program and one login for both
        questions["postgres"] = look_for_signs if jobs else partial(postgres.fault, home)
    found = ask(questions | dict(more or {}), most_s=most_s)
    if "postgres" not in components:
        found.pop("postgres", None)
    for name in jobs:
        if signs is None:
            found[name] = _UNKNOWN
        elif not signs.get(JOBS[name], SILENT_S + 1) <= SILENT_S:
            found[name] = f"has given no sign of life for {SILENT_S:.0f} s"
    return found


def is_halt(fault: str) -> bool:
    """Return whether a fault is that a signal has halted the process."""
    return fault == _HALTED


def is_hang(fault: str) -> bool:
    """Return whether a fault is that no answer, or no sign of life, comes; one that refuses or fails does something still."""
    return is_halt(fault) or any(words in fault for words in ("within", "timeout", "timed out", "no sign of life"))


def halted(pids: Mapping[str, int]) -> dict[str, str]:
    """Return what is wrong with those of some processes that a signal has halted: they do nothing until somebody lets them go on."""
    return {name: _HALTED for name, pid in pids.items() if _is_halted(pid)}


def is_known(fault: str) -> bool:
    """Return whether a component was really asked, which Airflow's parts cannot be while the database is away."""
    return fault != _UNKNOWN


def _is_halted(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def ask(questions: Mapping[str, Callable[[], str]], *, most_s: float) -> dict[str, str]:
    """Ask all questions at once; returns the answers that tell a fault, and a fault where none came in time.

    A question that hangs is left to itself: no process waits for its thread.
    """
    answers: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()

    def put(name: str, question: Callable[[], str]) -> None:
        try:
            answers.put((name, question()))
        except Exception as error:  # noqa: BLE001 - whatever it is, this part is not well, and the others are asked all the same
            answers.put((name, f"fails: {' '.join(str(error).split())[:200]}"))

    deadline = time.monotonic() + most_s
    for name, question in questions.items():
        _thread.start_new_thread(put, (name, question))  # threading's waits until each has begun, for a tenth of a second on a busy machine
    found = dict.fromkeys(questions, f"does not answer within {most_s:.1f} s")
    for _ in questions:
        try:
            name, fault = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        found[name] = fault
    return {name: fault for name, fault in found.items() if fault}


def left_s() -> float:
    """Return how long answers may take so that a person who started this process has them within two seconds."""
    return max(LEAST_S, MOST_S - _age_s())


def _age_s() -> float:
    """Return for how many seconds this process has been there.

    Linux gives its start as ticks since the machine's. Made a time of the day it is wrong by up to a second, or more: that of the machine's
    start has no fractions, and the clock may have been set since.
    """
    if sys.platform != "linux":
        return time.time() - float(psutil.Process().create_time())
    fields = Path("/proc/self/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[_STARTED]) / os.sysconf("SC_CLK_TCK")


def listens(pid: int, port: int) -> bool:
    """Return whether this process of ours is a server at this port; true where the system does not tell."""
    try:
        found = psutil.Process(pid).net_connections("tcp4")
    except psutil.AccessDenied:
        return pid != 0
    except psutil.Error:
        return False
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in found)


def lets_us_in(ui: str, login: str, password: str, *, most_s: float) -> bool:
    """Return whether our server at this address knows our password; true where it did not say: the next question tells."""
    body = json.dumps({"username": login, "password": password}).encode()
    request = urllib.request.Request(f"{ui}/auth/token", data=body, headers={"Content-Type": "application/json"})  # noqa: S310 - our own
    try:
        with _opener().open(request, timeout=most_s) as answer:
            return "access_token" in json.load(answer)
    except urllib.error.HTTPError as refusal:
        refusal.close()
        return refusal.code != HTTPStatus.UNAUTHORIZED
    except ValueError:
        return False
    except (OSError, http.client.HTTPException):
        return True


def _opener() -> urllib.request.OpenerDirector:
    """Return what asks servers on this machine, by no proxy."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _asked_of(urls: Collection[str], *, most_s: float) -> str:
    """Return nothing if a server answers at all its places, whatever it says: those of the store's data refuse who has not their secret."""
    for url in urls:
        try:
            _opener().open(url, timeout=most_s).close()
        except urllib.error.HTTPError as answer:
            answer.close()
        except (OSError, http.client.HTTPException) as error:
            return f"does not answer: {getattr(error, 'reason', error)}"
    return ""
