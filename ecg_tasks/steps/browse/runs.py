"""Here: the runs of ``classify_records`` and their reports, as the archive has them. Not here: the rows of a report (``table``)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ecg_tasks.evaluation.intervals import Interval
from ecg_tasks.steps.browse.opened import json_at, json_at_key
from ecg_tasks.storage import keys
from ecg_tasks.storage.ahead import map_ahead
from ecg_tasks.storage.object_store import ObjectStore

DAG = "classify_records"
_AT_ONCE = 8


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run with a report: its account, the versions that decided, and when its manifest was written."""

    date: str
    run: str
    written: str
    account: Mapping[str, int]
    champions: Mapping[str, str]

    @property
    def n_decided(self) -> int:
        """Records with a decision, whatever it is."""
        return self.account["records"] - self.account["pending"]


@dataclass(frozen=True, kw_only=True)
class Runs:
    """One page of runs, newest first, and how many there are in all."""

    runs: tuple[Run, ...]
    total: int


def runs(store: ObjectStore, *, offset: int = 0, limit: int = 30) -> Runs:
    """Find the runs with a report, newest first; only the manifests of those asked for are read."""
    found = sorted(store.list_objects(f"{keys.MANIFESTS}{DAG}/"), key=lambda item: item.modified, reverse=True)
    page = found[offset : offset + limit]
    manifests = map_ahead(lambda item: json_at(store, item), page, at_once=_AT_ONCE)
    made = [_run(manifest, written=item.modified.isoformat(timespec="seconds")) for item, manifest in zip(page, manifests, strict=True)]
    return Runs(runs=tuple(made), total=len(found))


def run_of(store: ObjectStore, dag_id: str, run_id: str) -> tuple[Any | None, Run | None]:
    """Find what a DAG run wrote: its manifest, and the run with a report if it has one. None where nothing is written (yet)."""
    info = store.info(keys.manifest(dag_id, keys.run_key(run_id)))
    if info is None:
        return None, None
    manifest = json_at(store, info)
    return manifest, _run(manifest, written=info.modified.isoformat(timespec="seconds")) if "report" in manifest else None


def summary(store: ObjectStore, date: str, run: str) -> Any | None:
    """Return the report's ``summary.json``, or None if there is no such report."""
    return json_at_key(store, keys.report(date, run, "summary.json"))


def figures_of(plain: Mapping[str, Any]) -> dict[str, Interval]:
    """Take every figure with an interval out of plain JSON; None stands for one that is not defined."""
    return {
        name: Interval(_number(found["value"]), _number(found["low"]), _number(found["high"]))
        for name, found in plain.items()
        if isinstance(found, Mapping) and {"value", "low", "high"} <= found.keys()
    }


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _run(manifest: Mapping[str, Any], *, written: str) -> Run:
    _, date, run, _ = manifest["report"].split("/", 3)
    champions = {name: champion["version"] for name, champion in manifest["champions"].items()}
    return Run(date=date, run=run, written=written, account=manifest["account"], champions=champions)
