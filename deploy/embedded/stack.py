"""Here: the whole stack: up, down, status, and what a program needs to use it. Not here: how each part is set up and run."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]

from deploy.embedded import address, airflow, bucket, health, object_store, postgres, processes, store_packages, supervision
from deploy.embedded.bucket_look import BucketLook
from deploy.embedded.errors import PortTakenError, StackError
from deploy.embedded.home import CHECKOUT, Home, is_free

if TYPE_CHECKING:
    from deploy.embedded.airflow_api import AirflowApi

START_TIMEOUT_S = 900.0
"""Half a minute is usual. What keeps failing is reported at once; a machine with much other work only needs longer."""

PATIENCE_S = 20.0
"""So long an answer may take on a busy machine, where nobody waits for the whole of it."""
GRACE_S = 10.0
"""So long a planned stop waits for tasks that run. Most end sooner, and one that does not begins again after the next start."""

_TAKEN = "does not have its port: another program has"
_LOCKED = "does not know the password that these commands have"

_AIRFLOW_HEALTH = {"metadatabase", "scheduler", "triggerer", "dag_processor"}


@dataclass(frozen=True, kw_only=True)
class Status:
    """What ``./ecg status`` tells."""

    healthy: bool
    ui: str | None
    login: str | None
    bucket: str | None
    endpoint: str | None
    components: dict[str, str]
    """Component -> ``running``, ``starting``, ``stopped``, ``failed``, ``unhealthy``: it runs, but does not answer as it should; or
    ``unknown``: the supervisor does not answer."""
    advice: dict[str, str]
    """What is the matter with each component that is not running, and what to do next."""


class Stack:
    """One stack, in one state folder.

    Parameters
    ----------
    home : the state folder; default: ``ECG_HOME``, else ``.ecg`` in the checkout

    Raises
    ------
    StackError
        If this is no checkout: an installed package brings no folders from which the stack could run.
    """

    def __init__(self, home: str | os.PathLike[str] | None = None) -> None:
        if not (CHECKOUT / "dags").is_dir():
            raise StackError(
                "the stack runs from a checkout of the project only, and this ecg is an installed package; "
                "ecg classify and ecg evaluate need no stack, and docs/package.md says how an Airflow of your own runs the DAGs"
            )
        self.home = Home(home)

    def up(self, say: Callable[[str], None] = lambda _sentence: None, *, by_guardian: bool = False) -> Status:
        """Start everything that does not run, and return when all of it is healthy.

        Parameters
        ----------
        say : called with a sentence on what is being done
        by_guardian : the guardian asks, which a stop would end, too: a port that is taken is raised, and nothing is stopped

        Raises
        ------
        StackError
            Names the component that did not start, and its log.
        """
        with self.alone(say):
            status = self.status()
            asked = bucket.elsewhere(os.environ)
            if status.ui and asked and asked != bucket.chosen(self.home):
                raise StackError("the stack works in another bucket than ECG_BUCKET and the AWS variables say; first: ./ecg down")
            if status.healthy:
                return status
            try:
                self._start(say)
            except PortTakenError as error:
                if by_guardian:
                    raise
                say(f"{error}; choosing another")
                self._stop()
                self._start(say)
            return self.status()

    def begin(self, say: Callable[[str], None] = lambda _sentence: None) -> None:
        """Start a supervisor whose guardian starts the rest, unless one runs."""
        with self.alone(say):
            self._prepare(say, guarded=True)

    def down(self) -> None:
        """Stop everything in order: the scheduler first, the database last. No process is left; the state stays."""
        if not self.home.path.exists():
            return
        with self.alone():
            self._stop()

    def status(self, *, most_s: float = PATIENCE_S, look: BucketLook | None = None) -> Status:
        """Ask every part at once. What has not answered after ``most_s`` seconds does not answer.

        Parameters
        ----------
        look : at the bucket, where the caller has begun it
        """
        if look is None:
            with BucketLook(self.home.path) as begun:
                return self.status(most_s=most_s, look=begun)
        embedded = not self.home.exists or bucket.is_embedded(self.home)
        wanted = [one for one in supervision.COMPONENTS if embedded or one not in object_store.COMPONENTS]
        supervisor = supervision.pid(self.home)
        if not supervisor:
            return _stopped(wanted)
        runs: dict[str, supervision.Program] = {}

        def ask_supervisor() -> str:
            runs.update(supervision.runs(self.home, most_s=most_s))
            return ""

        questions: dict[str, Callable[[], str]] = {"supervisor": ask_supervisor, "bucket": look.fault, "models": look.rest}
        questions["ours"] = partial(self._not_ours, most_s=most_s)
        faults = health.faults(self.home, wanted, more=questions, most_s=most_s)
        other, of_bucket, _ = (faults.pop(name, "") for name in ("ours", "bucket", "models"))
        if other == _LOCKED:
            faults["api-server"] = other
        if of_bucket and (look.has_asked or not embedded):
            faults["store" if embedded else "bucket"] = of_bucket if look.has_asked else "could not be asked in time: this machine is busy"
        faults |= health.halted({"supervisor": supervisor} | {name: run.pid for name, run in runs.items() if run.pid})
        words = {name: _WORDS.get(runs[name].state, "failed") if name in runs else "unknown" for name in wanted}
        words |= {name: "unhealthy" for name in faults if words.get(name, "running") == "running"}
        environment = self.environment()
        return Status(
            healthy=set(words.values()) == {"running"},
            ui=airflow.shown_ui(self.home),
            login=airflow.LOGIN,
            bucket=f"s3://{environment['ECG_BUCKET']}",
            endpoint=environment.get("AWS_ENDPOINT_URL_S3"),
            components=words,
            advice={name: advice(name, word, faults.get(name, "")) for name, word in words.items() if word != "running"},
        )

    def is_up(self) -> bool:
        """Return whether the stack was started and not stopped since; `status` reports how its parts are."""
        return self.home.exists and bool(supervision.pid(self.home))

    def environment(self) -> dict[str, str]:
        """Return the variables that every task sees, secrets among them."""
        return bucket.environment(self.home)

    def airflow(self) -> "AirflowApi":
        """Return a client of Airflow's REST API, logged in as the administrator."""
        from deploy.embedded.airflow_api import AirflowApi

        check = partial(self._check_port, asks=False)
        return AirflowApi(ui=airflow.ui(self.home), login=airflow.LOGIN, password=self.password, check=check)

    @property
    def ui(self) -> str:
        """Address of the web interface, as people enter it."""
        return airflow.shown_ui(self.home)

    @property
    def certificate(self) -> str:
        """SHA-256 of the certificate that was made for the web interface; empty where none was."""
        from deploy.embedded import certificate

        reached = address.chosen(self.home)
        return certificate.fingerprint(Path(reached.cert)) if reached.made_for else ""

    @property
    def login(self) -> str:
        """Name of the administrator in the web interface."""
        return airflow.LOGIN

    @property
    def password(self) -> str:
        """The administrator's password."""
        return self.home.secrets().admin_password

    def _start(self, say: Callable[[str], None]) -> None:
        self._prepare(say)
        embedded = bucket.is_embedded(self.home)
        say("starting PostgreSQL" + (" and the object store" if embedded else ""))
        supervision.start_components(self.home, ["postgres", *(object_store.COMPONENTS if embedded else ())])
        with ThreadPoolExecutor(max_workers=1) as pool:
            seeded = pool.submit(self._prepare_bucket)
            postgres.ensure_database(self.home, timeout_s=120)
            airflow.ensure_migrated(self.home)
            say("starting Airflow")
            if supervision.states(self.home).get("scheduler") not in ("RUNNING", "STARTING"):
                processes.end(processes.of_component(self.home, "scheduler"), grace_s=0)
                postgres.end_jobs(self.home, "SchedulerJob")  # so that this one takes up what a killed one left, at once
            supervision.start_components(self.home, airflow.COMMANDS)
            seeded.result()
            self._wait_until_healthy()
        guardian = {supervision.GUARDIAN: supervision.pids(self.home)[supervision.GUARDIAN]}
        if health.halted(guardian):  # nobody guards it but systemd
            processes.end(processes.of_component(self.home, supervision.GUARDIAN), grace_s=0)
        supervision.start_components(self.home, [supervision.GUARDIAN])
        deadline = time.monotonic() + START_TIMEOUT_S
        while supervision.states(self.home).get(supervision.GUARDIAN) == "STARTING" and time.monotonic() < deadline:
            time.sleep(0.1)

    def _stop(self) -> None:
        if supervision.is_running(self.home):  # one that hangs is ended as the rest is
            supervision.stop_component(self.home, supervision.GUARDIAN)
            self._let_tasks_end()
            supervision.stop_component(self.home, "scheduler")
            processes.end(processes.of_component(self.home, "scheduler"), grace_s=0)
            supervision.shut_down(self.home, timeout_s=60)
        processes.end(processes.of_stack(self.home), grace_s=5)

    def _let_tasks_end(self) -> None:
        """Halt the scheduler, so that no further task begins, and wait a little for those that run; the rest is tried again at no cost."""
        try:
            scheduler = supervision.pids(self.home)["scheduler"]
            if not scheduler:
                return
            psutil.Process(scheduler).suspend()
        except (*supervision.UNANSWERED, psutil.Error):
            return
        deadline = time.monotonic() + GRACE_S
        while time.monotonic() < deadline and processes.busy_workers(self.home):
            time.sleep(0.2)

    def _prepare(self, say: Callable[[str], None], *, guarded: bool = False) -> None:
        if not supervision.is_running(self.home):
            self.prepare(say, guarded=guarded)
            supervision.start(self.home)

    def prepare(self, say: Callable[[str], None] = lambda _sentence: None, *, guarded: bool = False) -> None:
        """Make all ready for a supervisor: nothing of an earlier one is left, and what it reads is written.

        Parameters
        ----------
        guarded : its guardian starts the rest
        """
        if left := processes.of_stack(self.home):
            say(f"ending {len(left)} processes that an earlier stack left behind")
            processes.end(left, grace_s=5)
        self.home.refresh_ports()
        postgres.ensure_initialized(self.home)
        bucket.choose(self.home, os.environ)
        address.choose(self.home, os.environ)
        if bucket.is_embedded(self.home):
            store_packages.ensure_installed()
            object_store.configure(self.home)
            object_store.forget_deleted(self.home)
        supervision.write_configuration(self.home, guarded=guarded)

    def _prepare_bucket(self) -> None:
        bucket.ensure(self.home)
        seed = subprocess.run(
            [sys.executable, "-c", "from ecg_tasks.pipeline.preparation import prepare_bucket; prepare_bucket()"],
            env=airflow.clean_environment(os.environ) | self.environment(),
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
        )
        if seed.returncode != 0:
            raise StackError(f"the shipped models could not be put into the bucket: {seed.stderr.strip()}")

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        is_warm = False
        with self.airflow() as api:
            while any((told := api.health()).get(part) != "healthy" for part in _AIRFLOW_HEALTH):
                if not supervision.pid(self.home):
                    raise StackError(f"the supervisor has ended; see {self.home.log('supervisor')}")
                self._check_port(asks=bool(told))
                if told and not is_warm:
                    api.warm_up()
                    is_warm = True
                states = supervision.states(self.home)
                failed = [component for component, state in states.items() if state == "FATAL"]
                if failed or time.monotonic() > deadline:
                    late = failed or [component for component in airflow.COMMANDS if states.get(component) != "RUNNING"] or ["scheduler"]
                    logs = ", ".join(str(self.home.log(component)) for component in late)
                    why = "keeps failing" if failed else f"is not healthy after {START_TIMEOUT_S:.0f} s"
                    raise StackError(f"{' and '.join(late)} {why}; see {logs}")
                time.sleep(0.3)
            self._check_port()
            api.warm_up()

    def _not_ours(self, *, asks: bool = True, most_s: float) -> str:
        """Return what is wrong with the server at our port; nothing where it is ours and, if asked, knows our password, or nobody is there.

        The password goes to our own process only: any user of this machine can listen on a port that is free.
        """
        port, server = self.home.ports().ui, supervision.runs(self.home, most_s=most_s)["api-server"].pid
        is_taken = not is_free(port)  # asked first: ours may open it meanwhile
        if not health.listens(server, port):
            return _TAKEN if is_taken else ""
        knows = not asks or health.lets_us_in(airflow.ui(self.home), airflow.LOGIN, self.password, most_s=most_s)
        return "" if knows else _LOCKED

    def _check_port(self, *, asks: bool = True) -> None:
        try:
            fault = self._not_ours(asks=asks, most_s=PATIENCE_S)
        except supervision.UNANSWERED:
            return
        if fault == _TAKEN:
            raise PortTakenError(f"another program has the port of {airflow.ui(self.home)}")
        if fault:
            raise StackError(f"{airflow.ui(self.home)} {advice('api-server', 'unhealthy', fault)}")

    @contextmanager
    def alone(self, say: Callable[[str], None] = lambda _sentence: None) -> Iterator[None]:
        """Allow one start or stop at a time in one state folder."""
        self.home.create()
        file = self.home.path / "lock"
        file.touch(mode=0o600)  # whoever can open it can hold it
        with file.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("waiting for another ./ecg that starts or stops this stack")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def advice(component: str, word: str, fault: str) -> str:
    """Return what is the matter with a component, and what to do next.

    >>> advice("store", "starting", "")
    'is starting, and is tried again if it fails; if this lasts, see ./ecg logs store'
    """
    log = f"./ecg logs {component}"
    if component == "supervisor":
        return f"{fault}; the guardian restarts it within a minute; to do it at once: ./ecg up"
    if component == "bucket":
        return f"{fault}: check ECG_BUCKET, the AWS variables and the store there"
    if fault == _LOCKED:
        return f"{fault}; give it a new one: ./ecg users passwd {airflow.LOGIN}"
    if word == "unhealthy":
        if not health.is_known(fault):
            return f"{fault}: correct this first"
        return f"{fault}; the guardian restarts it if this lasts ({log}); if it happens again: ./ecg down, then ./ecg up"
    return {
        "starting": f"is starting, and is tried again if it fails; if this lasts, see {log}",
        "failed": f"keeps failing, see {log}; when the cause is corrected: ./ecg up",
        "unknown": "not known while the supervisor does not answer",
    }.get(word, "does not run: ./ecg up")


def _stopped(components: list[str]) -> Status:
    words = dict.fromkeys(components, "stopped")
    told = {component: advice(component, "stopped", "") for component in components}
    return Status(healthy=False, ui=None, login=None, bucket=None, endpoint=None, components=words, advice=told)


_WORDS = {
    "RUNNING": "running",
    "STARTING": "starting",
    "STOPPED": "stopped",
    "STOPPING": "stopped",
    "EXITED": "starting",
    "BACKOFF": "starting",
}
