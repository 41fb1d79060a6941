"""Here: the supervisor (``supervisord``): its configuration, its start, its answers and its orders.

Not here: what the components are (``airflow``, ``object_store``, ``postgres``), or the order of a whole start (``stack``).
"""

import http.client
import os
import pwd
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from xml.parsers.expat import ExpatError

import psutil  # type: ignore[import-untyped]

from deploy.embedded import airflow, object_store, processes
from deploy.embedded.errors import StackError
from deploy.embedded.home import CHECKOUT, LOOPBACK, Home, write_private

_CONTROL_USER = "ecg"


GUARDIAN = "guardian"
"""Restarts what hangs, and the supervisor when that dies (``guardian``)."""
ANSWER_S = 30.0
"""So long the supervisor may take to answer a question on a busy machine. One that is dead is known at once."""
ORDER_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Group:
    """Components that start and stop together; groups stop in the reverse of their order here."""

    name: str
    components: tuple[str, ...]
    stop_signal: str
    stop_wait_s: int


GROUPS = (
    Group(name="database", components=("postgres",), stop_signal="INT", stop_wait_s=20),
    Group(name="objects", components=object_store.COMPONENTS, stop_signal="TERM", stop_wait_s=10),
    Group(name="airflow", components=("api-server", "dag-processor", "triggerer"), stop_signal="TERM", stop_wait_s=10),
    # Killed as one: a task that heard of it would report a failure, and lose a try.
    Group(name="scheduling", components=("scheduler",), stop_signal="KILL", stop_wait_s=5),
    Group(name="guarding", components=(GUARDIAN,), stop_signal="TERM", stop_wait_s=5),
)

START_RETRIES = 1000
"""Each waits a second longer than the one before. Twenty were over after four minutes, and a disk may be full for a night."""

UNANSWERED = (OSError, http.client.HTTPException, xmlrpc.client.Error, ExpatError)
"""Errors of a question to a supervisor that is not there, hangs, or dies in the middle of its answer."""

COMPONENTS = tuple(component for group in GROUPS for component in group.components)


def write_configuration(home: Home, *, guarded: bool = False) -> None:
    """Write the configuration, whose only secret is the control password; the components' own are read by ``start``.

    Parameters
    ----------
    guarded : the guardian starts with the supervisor, and starts the rest
    """
    user = pwd.getpwuid(os.geteuid()).pw_name
    sections = [
        f"""[supervisord]
logfile={_text(home.log("supervisor"))}
logfile_maxbytes=5MB
logfile_backups=2
pidfile={_text(home.path / "supervisor.pid")}
childlogdir={_text(home.logs)}
directory={_text(CHECKOUT)}
umask=077
minfds=1024
user={user}
""",
        f"""[inet_http_server]
port={LOOPBACK}:{home.ports().control}
username={_CONTROL_USER}
password={home.secrets().control_password}
""",
        "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n",
    ]
    for priority, group in enumerate(GROUPS):
        sections.append(f"[group:{group.name}]\nprograms={','.join(group.components)}\npriority={priority}\n")
        sections += [_program(home, group, component, guarded=guarded) for component in group.components]
    write_private(home.path / "supervisor.conf", "\n".join(sections))


def is_guarded(home: Home) -> bool:
    """Return whether the supervisor was started with a guardian that starts the rest."""
    return "autostart=true" in (home.path / "supervisor.conf").read_text()


def start(home: Home) -> None:
    """Start the supervisor without any component, detached from this terminal."""
    started = subprocess.run(  # noqa: S603 - our own program, and no shell
        command(home),
        env=environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if started.returncode != 0:
        raise StackError(f"the supervisor did not start: {started.stdout.strip()}")
    deadline = time.monotonic() + 120
    while not is_running(home):
        if time.monotonic() > deadline:
            raise StackError(f"the supervisor did not answer within two minutes; its log: {home.log('supervisor')}")
        time.sleep(0.05)


def command(home: Home) -> list[str]:
    """Return the command that is the supervisor; with ``-n`` behind it, it stays in the foreground."""
    return [sys.executable, "-m", "supervisor.supervisord", "-c", str(home.path / "supervisor.conf")]


def environment(home: Home) -> dict[str, str]:
    """Return its environment."""
    return airflow.clean_environment(os.environ) | processes.marks(home, "supervisor") | {"PYTHONPATH": str(CHECKOUT)}


def is_running(home: Home) -> bool:
    """Return whether the supervisor answers."""
    return bool(states(home))


def states(home: Home) -> dict[str, str]:
    """Map each component to the supervisor's word for its state (``RUNNING``, ``BACKOFF``, ``FATAL``, …); empty when it does not answer."""
    if not (home.path / "supervisor.conf").exists():
        return {}
    try:
        return {component: run.state for component, run in runs(home).items()}
    except UNANSWERED:
        return {}


def pids(home: Home) -> dict[str, int]:
    """Map each component to its process id, 0 when it is not running."""
    return {component: run.pid for component, run in runs(home).items()}


@dataclass(frozen=True, kw_only=True)
class Program:
    """What the supervisor knows of a component: its word for the state, its process (0 without one), and since how many seconds."""

    state: str
    pid: int
    since_s: float


def runs(home: Home, *, most_s: float = ANSWER_S) -> dict[str, Program]:
    """Map each component to its `Program`; raises one of `UNANSWERED` when the supervisor does not answer."""
    return {
        str(info["name"]): Program(state=str(info["statename"]), pid=int(info["pid"]), since_s=float(info["now"]) - float(info["start"]))
        for info in _processes(home, most_s=most_s)
    }


def pid(home: Home) -> int:
    """Return the supervisor's own process id, whether it answers or not; 0 when there is none."""
    ours = home.path / "supervisor.conf"
    try:
        process = psutil.Process(int((home.path / "supervisor.pid").read_text()))
        words = process.cmdline()
        told = Path(words[words.index("-c", words.index("supervisor.supervisord")) + 1])
        return 0 if told.exists() and not told.samefile(ours) else process.pid  # the state folder may have been moved meanwhile
    except (OSError, ValueError, psutil.Error):
        return 0


def started_with(home: Home) -> dict[str, str]:
    """Return the environment of the supervisor, in which the last start's variables are; empty where it cannot be read."""
    try:
        return dict(psutil.Process(pid(home)).environ())
    except psutil.Error:
        return {}


def start_components(home: Home, components: Iterable[str]) -> None:
    """Start those of the components that do not run; returns at once."""
    now = states(home)
    with _control(home) as control:
        for component in [component for component in components if now.get(component) not in ("RUNNING", "STARTING")]:
            control.supervisor.startProcess(_full_name(component), False)  # noqa: FBT003 - XML-RPC knows no keywords; False: do not wait


def shut_down(home: Home, *, timeout_s: float) -> None:
    """Let the supervisor stop everything in order and end itself."""
    try:
        with _control(home) as control:
            control.supervisor.shutdown()
    except UNANSWERED:
        return
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and (home.path / "supervisor.pid").exists():
        time.sleep(0.05)


def stop_component(home: Home, component: str) -> None:
    """Stop one component and wait for it."""
    try:
        with _control(home) as control:
            control.supervisor.stopProcess(_full_name(component))
    except UNANSWERED:
        return


def _processes(home: Home, *, most_s: float = ANSWER_S) -> list[dict[str, Any]]:
    with _control(home, most_s=most_s) as control:
        return cast("list[dict[str, Any]]", control.supervisor.getAllProcessInfo())


def _full_name(component: str) -> str:
    return next(f"{group.name}:{component}" for group in GROUPS if component in group.components)


def _control(home: Home, *, most_s: float = ORDER_S) -> xmlrpc.client.ServerProxy:
    if not pid(home):  # else whoever listens on a port that is free would get the password
        raise ConnectionRefusedError(f"there is no supervisor in {home}")
    password = home.secrets().control_password
    address = f"http://{_CONTROL_USER}:{password}@{LOOPBACK}:{home.ports().control}/RPC2"
    return xmlrpc.client.ServerProxy(address, transport=_Transport(most_s))


class _Transport(xmlrpc.client.Transport):
    """The usual one, which waits for an answer only so long."""

    def __init__(self, most_s: float) -> None:
        super().__init__()
        self._most_s = most_s

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = super().make_connection(host)
        connection.timeout = self._most_s
        return connection


def _program(home: Home, group: Group, component: str, *, guarded: bool) -> str:
    command = shlex.join([sys.executable, "-m", "deploy.embedded.start", str(home), component])
    return f"""[program:{component}]
command={_text(command)}
autostart={"true" if guarded and component == GUARDIAN else "false"}
autorestart=true
startsecs=1
startretries={START_RETRIES}
stopsignal={group.stop_signal}
stopwaitsecs={group.stop_wait_s}
stopasgroup={"false" if component == "postgres" else "true"}
killasgroup=true
redirect_stderr=true
stdout_logfile={_text(home.log(component))}
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2
"""


def _text(value: object) -> str:
    """Escape a value: Supervisor expands ``%`` in its configuration."""
    return str(value).replace("%", "%%")
