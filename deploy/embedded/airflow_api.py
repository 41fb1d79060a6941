"""Here: the few calls to Airflow's REST API that the stack and the command line need. Not here: Airflow's settings (``airflow``)."""

import contextlib
import ssl
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from deploy.embedded.errors import StackError

_PATIENCE_S = 60.0
"""So long may the api-server be away (it restarts in ten seconds) before a question to it fails."""


class AirflowApi:
    """A logged-in client; a context manager.

    Parameters
    ----------
    ui : address of the web interface, without a slash at its end
    login, password : of a user who may trigger DAGs
    check : called before the password is sent; raises where another program would get it
    """

    def __init__(self, *, ui: str, login: str, password: str, check: Callable[[], None] = lambda: None) -> None:
        self._login = {"username": login, "password": password}
        # without TLS no authority is asked about; to read all of them takes 40 ms of a core for each client
        self._verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if ui.startswith("http://") else True
        self._client = httpx.Client(base_url=ui, timeout=30, trust_env=False, verify=self._verify)
        self._token_until = 0.0
        self._check = check

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.close()

    def health(self) -> dict[str, str]:
        """Map each component of Airflow to ``healthy`` or ``unhealthy``; empty when the api-server does not answer."""
        try:
            answer = self._client.get("/api/v2/monitor/health", timeout=20)
            answer.raise_for_status()
            return {name: str(part["status"]) for name, part in answer.json().items() if part.get("status")}
        except (httpx.HTTPError, ValueError, AttributeError):  # it may be another program's page
            return {}

    def warm_up(self) -> None:
        """Ask for what Airflow builds only at the first task's first call, blocking all other calls for seconds."""
        with contextlib.suppress(httpx.HTTPError):
            # not by our own client: a person's token would be logged as wrong
            httpx.get(f"{self._client.base_url}/execution/health", timeout=120, trust_env=False, verify=self._verify)

    def dags(self) -> list[str]:
        """Return the ids of the DAGs that Airflow has read so far."""
        return [dag["dag_id"] for dag in self._request("GET", "/api/v2/dags", params={"limit": 100}).json()["dags"]]

    def fields(self, dag: str) -> list[str]:
        """Return the names of the fields of a DAG's form."""
        return sorted(self._request("GET", f"/api/v2/dags/{dag}/details").json()["params"] or {})

    def active_dags(self) -> list[str]:
        """Return the ids of the DAGs that are not paused."""
        answer = self._request("GET", "/api/v2/dags", params={"limit": 100, "paused": "false"})
        return [dag["dag_id"] for dag in answer.json()["dags"]]

    def pause(self, dag: str, *, paused: bool) -> None:
        """Let a DAG begin no run of its own, or let it again."""
        self._request("PATCH", f"/api/v2/dags/{dag}", params={"update_mask": "is_paused"}, json={"is_paused": paused})

    def import_errors(self) -> dict[str, str]:
        """Map each DAG file to why Airflow cannot read it."""
        answer = self._request("GET", "/api/v2/importErrors", params={"limit": 100}).json()
        return {error["filename"]: error["stack_trace"] for error in answer["import_errors"]}

    def trigger(self, dag: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start a run by hand; returns its id."""
        body = {"logical_date": None, "conf": dict(conf or {})}
        return str(self._request("POST", f"/api/v2/dags/{dag}/dagRuns", json=body).json()["dag_run_id"])

    def runs(self, dag: str) -> dict[str, str]:
        """Run id -> state, the newest first."""
        params: dict[str, str | int] = {"limit": 100, "order_by": "-run_after"}
        answer = self._request("GET", f"/api/v2/dags/{dag}/dagRuns", params=params).json()
        return {run["dag_run_id"]: run["state"] for run in answer["dag_runs"]}

    def run_state(self, dag: str, run: str) -> str:
        """Return ``queued``, ``running``, ``success`` or ``failed``."""
        return str(self._request("GET", f"/api/v2/dags/{dag}/dagRuns/{run}").json()["state"])

    def note(self, dag: str, run: str) -> str:
        """Return the note on a run: the run's own sentence, or what a person wrote; empty without one."""
        return str(self._request("GET", f"/api/v2/dags/{dag}/dagRuns/{run}").json().get("note") or "")

    def task_states(self, dag: str, run: str) -> list[tuple[str, str]]:
        """Return (task id, state) of every task instance of a run; ``none`` for one that is not yet scheduled."""
        tasks: list[tuple[str, str]] = []
        while True:
            page = self._request(
                "GET", f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances", params={"limit": 100, "offset": len(tasks), "order_by": "id"}
            ).json()
            tasks += [(task["task_id"], task["state"] or "none") for task in page["task_instances"]]
            if not page["task_instances"] or len(tasks) >= page["total_entries"]:
                return tasks

    def _request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json: object = None,
    ) -> httpx.Response:
        self._authenticate()
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                answer = self._client.request(method, path, params=dict(params or {}), json=json)
                break
            except httpx.TransportError as error:
                if method != "GET" or time.monotonic() > deadline:
                    raise StackError(f"Airflow did not answer {method} {path}: {error}") from error
                time.sleep(1)
        if answer.is_error:
            raise StackError(f"Airflow refused {method} {path} with {answer.status_code}: {_detail(answer)}")
        return answer

    def _authenticate(self) -> None:
        if time.monotonic() < self._token_until:
            return
        self._check()
        try:
            answer = self._client.post("/auth/token", json=self._login)
        except httpx.HTTPError as error:
            raise StackError(f"Airflow did not answer at {self._client.base_url}: {error}; is the stack up? (./ecg status)") from error
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise StackError(f"{self._client.base_url} lets {self._login['username']} wait: {_detail(answer)}")
        if answer.is_error:
            raise StackError(f"{self._client.base_url} refused the login {self._login['username']}: {_detail(answer)}")
        self._client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        self._token_until = time.monotonic() + 3600


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:500]
