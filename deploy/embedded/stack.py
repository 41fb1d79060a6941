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
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.embedded import address, airflow, bucket, certificate, object_store, postgres, processes, store_packages, supervision
from deploy.embedded.errors import PortTakenError, StackError
from deploy.embedded.home import CHECKOUT, Home

if TYPE_CHECKING:
    from deploy.embedded.airflow_api import AirflowApi

START_TIMEOUT_S = 900.0
"""Half a minute is usual. What keeps failing is reported at once; a machine with much other work only needs longer."""

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
    """Component -> ``running``, ``starting``, ``stopped``, ``failed``, or ``unhealthy``: it runs, but does not answer as it should."""


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

    def up(self, say: Callable[[str], None] = lambda _sentence: None) -> Status:
        """Start everything that does not run, and return when all of it is healthy.

        Parameters
        ----------
        say : called with a sentence on what is being done

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
                say(f"{error}; choosing another")
                self._stop()
                self._start(say)
            return self.status()

    def down(self) -> None:
        """Stop everything in order: the scheduler first, the database last. No process is left; the state stays."""
        if not self.home.path.exists():
            return
        with self.alone():
            self._stop()

    def status(self) -> Status:
        """Ask every part; takes about a second."""
        states = supervision.states(self.home) if self.home.exists else {}
        wanted = [
            component for component in supervision.COMPONENTS if component not in object_store.COMPONENTS or bucket.is_embedded(self.home)
        ]
        components = {component: _WORDS.get(states.get(component, "STOPPED"), "failed") for component in wanted}
        if not states:
            return Status(healthy=False, ui=None, login=None, bucket=None, endpoint=None, components=components)
        with ThreadPoolExecutor(max_workers=3) as pool:
            database = pool.submit(postgres.answers, self.home)
            store = pool.submit(bucket.answers, self.home)
            with self.airflow() as api:
                health = api.health()
                if not api.is_ours():
                    health = {}
        checks = {"postgres": database.result(), "store": store.result(), "api-server": bool(health)}
        checks |= {name.replace("_", "-"): health.get(name) == "healthy" for name in _AIRFLOW_HEALTH - {"metadatabase"}}
        for component, well in checks.items():
            if components.get(component) == "running" and not well:
                components[component] = "unhealthy"
        environment = self.environment()
        return Status(
            healthy=set(components.values()) == {"running"} and all(checks.values()),
            ui=airflow.shown_ui(self.home),
            login=airflow.LOGIN,
            bucket=f"s3://{environment['ECG_BUCKET']}",
            endpoint=environment.get("AWS_ENDPOINT_URL_S3"),
            components=components,
        )

    def is_up(self) -> bool:
        """Return whether the stack was started and not stopped since; `status` reports how its parts are."""
        return self.home.exists and supervision.is_running(self.home)

    def environment(self) -> dict[str, str]:
        """Return the variables that every task sees, secrets among them."""
        return bucket.environment(self.home)

    def airflow(self) -> "AirflowApi":
        """Return a client of Airflow's REST API, logged in as the administrator."""
        from deploy.embedded.airflow_api import AirflowApi

        return AirflowApi(ui=airflow.ui(self.home), login=airflow.LOGIN, password=self.password)

    @property
    def ui(self) -> str:
        """Address of the web interface, as people enter it."""
        return airflow.shown_ui(self.home)

    @property
    def certificate(self) -> str:
        """SHA-256 of the certificate that was made for the web interface; empty where none was."""
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
            supervision.start_components(self.home, airflow.COMMANDS)
            seeded.result()
            self._wait_until_healthy()

    def _stop(self) -> None:
        supervision.stop_component(self.home, "scheduler")
        processes.end(processes.of_component(self.home, "scheduler"), grace_s=0)
        supervision.shut_down(self.home, timeout_s=60)
        processes.end(processes.of_stack(self.home), grace_s=5)

    def _prepare(self, say: Callable[[str], None]) -> None:
        if supervision.is_running(self.home):
            return
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
        supervision.write_configuration(self.home)
        supervision.start(self.home)

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
            while any((health := api.health()).get(part) != "healthy" for part in _AIRFLOW_HEALTH):
                if health:
                    self._check_port(api)
                if health and not is_warm:
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
            self._check_port(api)
            api.warm_up()

    def _check_port(self, api: "AirflowApi") -> None:
        if not api.is_ours():
            raise PortTakenError(f"another program answers at {airflow.ui(self.home)}")

    @contextmanager
    def alone(self, say: Callable[[str], None] = lambda _sentence: None) -> Iterator[None]:
        """Allow one start or stop at a time in one state folder."""
        self.home.create()
        with (self.home.path / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("waiting for another ./ecg that starts or stops this stack")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield


_WORDS = {
    "RUNNING": "running",
    "STARTING": "starting",
    "STOPPED": "stopped",
    "STOPPING": "stopped",
    "EXITED": "starting",
    "BACKOFF": "starting",
}
