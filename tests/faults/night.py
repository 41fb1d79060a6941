"""Here: the work that must come through: a drop, its intake, its pictures, a report; and what came of it. Not here: breaking it."""

import csv
import hashlib
import io
import json
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from deploy.embedded.airflow_api import AirflowApi
from ecg_tasks.actions import forgetting
from ecg_tasks.actions.inbox import put_in_order
from ecg_tasks.archive import access_log, keys, registry, tables
from ecg_tasks.archive.access_log import Access, AccessOutcome, Act, write_now
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import EcgError
from ecg_tasks.signals.recipes import get_recipe
from ecg_tasks.signals.sample_drop import sample_drop
from tests import versions
from tests.faults.bench import PATIENCE_S, Bench, wait_until

SEED = 11
WATCHER_S = 25.0
"""After so long without a run of its own, one is started by hand, as the schedule would."""
FIRST = ("ingest_records", "render_spectrograms")
"""Run by themselves after a drop."""
_DAYS_AGO = 3
RECIPES = ("twelve_lead", "heartbeat")


SECOND = "aaaa00000002"
"""A second version of `twelve_lead`, for nights in which a person decides between two."""
_OF_MODELS = ("model.keras", "model.tflite", "metrics.json")


@dataclass(frozen=True, kw_only=True)
class Work:
    """How large the drop is, whether there is a second version, and what is started by hand when all is taken over and rendered."""

    n_patients: int = 10
    second_version: bool = False
    one_intake: bool = False
    """Whether the drop is taken over by one run, started by hand: shards, and so a data set made of them, then are the same every night."""
    seen: bool = False
    """Whether somebody has seen pages some days ago, of which the access log has a batch each."""
    then: tuple[tuple[str, str], ...] = (("classify_records", '{"scope": "all"}'),)
    """DAG and its form's answers."""
    answer: str = ""
    """What a person says whom `retrain_model` asks."""

    @property
    def dags(self) -> tuple[str, ...]:
        """All of them, in their order."""
        return (*FIRST, *(dag for dag, _ in self.then))


@dataclass(frozen=True, kw_only=True)
class Night:
    """What is in the bucket after a night; two nights over the same drop must be equal."""

    received: dict[str, int]
    """The accounts of all intakes together."""
    reasons: dict[str, int]
    decisions: dict[str, tuple[str, ...]]
    """Recipe, version and record -> everything its prediction says, every digit of it."""
    labels: dict[str, str]
    models: dict[str, str]
    """Networks and figures of all versions, as digests."""
    serving: dict[str, str]
    """Recipe -> the version that serves in the end."""
    rows: tuple[str, ...]
    """Records in the report, each with its decision."""
    seen: int = 0
    """Entries of the access log of some days ago."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run that ended: when, by Airflow's clock."""

    dag: str
    run: str
    state: str
    ended: float


@cache
def drop(n_patients: int) -> dict[str, bytes]:
    """The demonstration's recordings, of a few patients: a duplicate, a corrupt file and a bad row are among them."""
    return sample_drop(seed=SEED, n_patients=n_patients, recordings_per_patient=1)


class Nights:
    """Runs nights on a bench, and remembers the runs."""

    def __init__(self, bench: Bench, *, while_asked: Callable[[], object] = lambda: None) -> None:
        self.bench = bench
        self.runs: list[Run] = []
        self._while_asked = while_asked

    def run(self, work: Work) -> Night:
        """One drop, followed to its report.

        Raises
        ------
        RuntimeError
            If a run failed; everything else that should come and does not is a `TimeoutError`.
        """
        self.runs = []
        with self.bench.stack.airflow() as api:
            known = {dag: set(api.runs(dag)) for dag in work.dags}
            if work.second_version:
                registry.write_version(self.bench.store, "twelve_lead", SECOND, versions.todays_version("twelve_lead", SECOND))
            if work.one_intake:
                _pause(api, "ingest_records", paused=True)
            if work.seen:
                _let_pages_be_seen(self.bench.store)
            put_in_order(list(drop(work.n_patients).items()))
            if work.one_intake:
                _pause(api, "ingest_records", paused=False)
                api.trigger("ingest_records")
            for dag, done in zip(FIRST, (self._is_taken_over, self._is_rendered), strict=True):
                self._follow(api, dag, known[dag], done)
            for dag, form in work.then:
                wait_until(self.bench.is_healthy, "a healthy stack")
                started = api.trigger(dag, _request(self.bench.store) if dag == "forget_patient" else json.loads(form))
                if dag == "retrain_model" and work.answer:
                    self._answer(api, started, work.answer)
                self._follow(api, dag, known[dag], lambda: True)
                if dag == "classify_records":
                    reported = started
            at_rest(self.bench, work)  # the quarter-hourly intake may have begun meanwhile
            self.runs += [
                Run(dag=dag, run=one["dag_run_id"], state=one["state"], ended=_seconds(one["end_date"]))
                for dag, before in known.items()
                for one in _runs(api, dag)
                if one["dag_run_id"] not in before
            ]
        return night(self.bench.store, reported)

    def _follow(self, api: AirflowApi, dag: str, known: set[str], done: Any) -> None:
        """Wait until what a DAG does is done and it rests."""
        began = time.monotonic()
        by_hand = False
        while True:
            states = {run: state for run, state in _states(api, dag).items() if run not in known}
            if "failed" in states.values():
                tasks = {run: dict(Counter(api.task_states(dag, run))) for run, state in states.items() if state == "failed"}
                raise RuntimeError(f"{dag} failed: {tasks}")
            if states and set(states.values()) == {"success"} and _quietly(done):
                return
            if not states and not by_hand and time.monotonic() - began > WATCHER_S:
                by_hand = True
                api.trigger(dag)
            if time.monotonic() - began > PATIENCE_S:
                raise TimeoutError(f"{dag} did not end within {PATIENCE_S:.0f} s: {states}")
            time.sleep(1)

    def _answer(self, api: AirflowApi, run: str, answer: str) -> None:
        """Wait until a person is asked, do what is to be done meanwhile, and answer as one does on the task's page."""
        path = f"/api/v2/dags/retrain_model/dagRuns/{run}"
        wait_until(lambda: api._request("GET", f"{path}/hitlDetails").json()["total_entries"], "a question")
        self._while_asked()
        wait_until(self.bench.is_healthy, "a healthy stack")
        said = {"chosen_options": [answer], "params_input": {"why": "tried"}}
        api._request("PATCH", f"{path}/taskInstances/approval/-1/hitlDetails", json=said)

    def _is_taken_over(self) -> bool:
        return not self.bench.store.list_keys(keys.INBOX)

    def _is_rendered(self) -> bool:
        store = self.bench.store
        shards = {keys.stem(key) for key in store.list_keys(keys.RECORDS)}
        return all(shards == {keys.stem(key) for key in store.list_keys(keys.spectrograms_of(get_recipe(name).key))} for name in RECIPES)

    def retried_after(self, dag: str, task: str, broken_at: float) -> float | None:
        """Seconds from the break to the start of the task's next try, by Airflow's account; None if it was not tried again."""
        starts: list[float] = []
        with self.bench.stack.airflow() as api:
            for run in [one.run for one in self.runs if one.dag == dag]:
                path = f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances"
                for one in api._request("GET", path, params={"limit": 100}).json()["task_instances"]:
                    place = f"/{one['map_index']}" if one["map_index"] >= 0 else ""
                    if one["task_id"] == task and one["try_number"] > 1:
                        tries = api._request("GET", f"{path}/{task}{place}/tries").json()["task_instances"]
                        starts += [_seconds(each["start_date"]) for each in tries if each["start_date"]]
        return min((start - broken_at for start in starts if start > broken_at), default=None)

    def ended_after(self, dag: str, broken_at: float) -> float | None:
        """Seconds from the break to the end of the run it was in."""
        return min((one.ended - broken_at for one in self.runs if one.dag == dag and one.ended > broken_at), default=None)


def at_rest(bench: Bench, work: Work) -> None:
    """Wait until no run is under way: one that saw another night's bucket must not meet the next one."""

    def rests() -> bool:
        with bench.stack.airflow() as api:
            return not any(state in ("queued", "running") for dag in work.dags for state in _states(api, dag).values())

    wait_until(rests, "rest")


def night(store: ObjectStore, classified: str) -> Night:
    """Read what came of it, and of the run of `classify_records` that reported on it."""
    counts_by_run = [json.loads(store.get(key)) for key in store.list_keys(f"{keys.MANIFESTS}ingest_records/")]
    counted = ("received", "records", "duplicates", "quarantined", "waiting")
    decisions: dict[str, tuple[str, ...]] = {}
    for key in store.list_keys(keys.PREDICTIONS):
        columns = tables.load(store.get(key))
        for row, record in enumerate(columns["record_id"]):
            name = f"{key.split('/')[1]} {keys.stem(key)} {record}"
            if name in decisions:
                raise RuntimeError(f"{name} was decided on twice")
            decisions[name] = tuple(_exact(column[row]) for column in columns.values())
    report = json.loads(store.get(keys.manifest("classify_records", keys.run_key(classified))))["report"]
    table = store.get(report.replace("index.html", "predictions.csv")).decode("utf-8-sig")
    return Night(
        received={name: sum(one["account"][name] for one in counts_by_run) for name in counted},
        reasons=dict(sorted(Counter(entry["reason"] for one in counts_by_run for entry in one["quarantined"]).items())),
        decisions=decisions,
        labels=dict(sorted(_labels(store).items())),
        models={key: _digest(store.get(key)) for key in store.list_keys(keys.MODELS) if key.endswith(_OF_MODELS)},
        serving={name: champion.version for name in RECIPES if (champion := registry.read_champion(store, name))},
        rows=tuple(sorted(f"{row['record_id']} {row['decision']}" for row in csv.DictReader(io.StringIO(table)))),
        seen=sum(len(one.batch.accesses) for one in access_log.lines(store, [_days_ago()]) if one.batch is not None),
    )


def _days_ago() -> str:
    return f"{datetime.now(UTC) - timedelta(days=_DAYS_AGO):%Y-%m-%d}"


def _let_pages_be_seen(store: ObjectStore) -> None:
    """Write two batches of the access log as if they were of some days ago."""
    for page in ("/ecg/", "/ecg/review"):
        one = Access(when=f"{_days_ago()}T12:00:00.000+00:00", who="ada", act=Act.READ, page=page, outcome=AccessOutcome.SHOWN)
        write_now(store, one)
    for key in [key for key in store.list_keys(keys.ACCESS) if b"ada" in store.get(key)]:
        store.copy(key, f"{keys.access_day(_days_ago())}{key.rpartition('/')[2]}")
        store.delete(key)


def _request(store: ObjectStore) -> dict[str, str]:
    """Ask for one record to be forgotten, the same every night; returns the form of the run."""
    ids = (record for key in store.list_keys(keys.RECORD_INDEX) for record in tables.load(store.get(key), ["record_id"])["record_id"])
    meant = forgetting.find(store, record=min(ids))
    return forgetting.form(forgetting.request(store, meant, who="tests", why="tried"))


def _labels(store: ObjectStore) -> dict[str, str]:
    found: dict[str, str] = {}
    for key in store.list_keys(keys.LABELS):
        columns = tables.load(store.get(key))
        found.update(zip(columns["record_id"], columns["label"], strict=True))
    return found


def _digest(data: bytes) -> str:
    """SHA-256 of a file; of a network's archive without the one part that says when it was saved."""
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = [(name, archive.read(name)) for name in sorted(archive.namelist()) if name != "metadata.json"]
        data = b"".join(name.encode() + part for name, part in parts)
    return hashlib.sha256(data).hexdigest()


def _exact(value: Any) -> str:
    return float(value).hex() if isinstance(value, float) or hasattr(value, "dtype") else str(value)


def _quietly(condition: Any) -> bool:
    """False where the store does not answer just now."""
    try:
        return bool(condition())
    except EcgError:
        return False


def _states(api: AirflowApi, dag: str) -> dict[str, str]:
    """As `AirflowApi.runs`, with more patience: the api-server may be away, or its database."""
    from deploy.embedded.errors import StackError

    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return api.runs(dag)
        except (StackError, ValueError):
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def _pause(api: AirflowApi, dag: str, *, paused: bool) -> None:
    """A paused DAG starts no run; what the watcher sees meanwhile is forgotten."""
    api._request("PATCH", f"/api/v2/dags/{dag}", json={"is_paused": paused})


def _runs(api: AirflowApi, dag: str) -> list[dict[str, Any]]:
    return list(api._request("GET", f"/api/v2/dags/{dag}/dagRuns", params={"limit": 100, "order_by": "-run_after"}).json()["dag_runs"])


def _seconds(moment: str | None) -> float:
    return datetime.fromisoformat(moment).timestamp() if moment else 0.0
