"""Here: the runs of ``classify_records`` and their reports, as the archive has them. Not here: the rows of a report (``report_table``)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ecg_tasks.archive import forgotten, keys
from ecg_tasks.archive.cache import keep
from ecg_tasks.archive.documents import (
    ClassifyManifest,
    ReportSummary,
    SummaryChanges,
    SummaryModel,
    read,
    read_counts,
    read_shown,
)
from ecg_tasks.archive.object_store import ObjectInfo, ObjectStore
from ecg_tasks.archive.parallel import bounded_parallel_map
from ecg_tasks.archive.workspace import open_store
from ecg_tasks.counts import ReportCounts, number_of
from ecg_tasks.labels import Decision
from ecg_tasks.names import DagId
from ecg_tasks.pipeline.reports.coverage import reasons
from ecg_tasks.reporting import again
from ecg_tasks.reporting.model import DriftLight, ReportedInput, UnseenFigures
from ecg_tasks.reporting.sections import OfModel
from ecg_tasks.reporting.since import Since

DAG = DagId.CLASSIFY_RECORDS


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run with a report: its counts, the versions that decided, when its manifest was written, and what started it.

    ``abnormal`` is None where it is not known. ``trigger`` is as Airflow calls it, empty where it is not known.
    """

    date: str
    run: str
    written: str
    counts: ReportCounts
    champions: Mapping[str, str]
    abnormal: int | None
    trigger: str

    @property
    def started_by(self) -> str:
        """What started it, in words; empty where it is not known."""
        return _STARTED.get(self.trigger, self.trigger.replace("_", " "))

    @property
    def is_empty(self) -> bool:
        """Whether it has nothing to show: no record, decided or pending."""
        return not self.counts.records


_STARTED = {"scheduled": "on schedule", "manual": "by hand", "asset_triggered": "by new data", "backfill": "by a backfill"}


@dataclass(frozen=True, kw_only=True)
class ReportSections:
    """What the sections of a report show beside its counts and its rows, as it was written.

    Parameters
    ----------
    models : the versions that decided, with their test figures and what they decided
    unseen : how they did on labelled records that they had not seen; ``unseen_absent`` says why there are none
    since : the report before, None for the first one and in reports of before 2026-12-01
    drift : how each version stood; none in reports of before 2026-12-01
    quarantined : the first refused inputs, up to `QUARANTINED_SHOWN`
    """

    models: tuple[OfModel, ...]
    unseen: tuple[UnseenFigures, ...]
    unseen_absent: str
    since: Since | None
    drift: tuple[DriftLight, ...]
    quarantined: tuple[ReportedInput, ...]


QUARANTINED_SHOWN = 100


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The head of a report: what its ``summary.json`` tells, without the long lists of inputs in quarantine.

    ``changes`` is what a new champion changed, None without one and in reports of before 2026-11-28.
    """

    run_id: str
    created: str
    decisions: Mapping[str, int]
    models: tuple[SummaryModel, ...]
    reasons: Mapping[str, int]
    n_synthetic: int
    notes: tuple[str, ...]
    counts: ReportCounts
    changes: SummaryChanges | None


@dataclass(frozen=True, kw_only=True)
class Runs:
    """One page of runs, newest first, and how many there are in all."""

    runs: tuple[Run, ...]
    total: int


def runs(store: ObjectStore, *, offset: int = 0, limit: int = 30) -> Runs:
    """Find the runs with a report, newest first; only the manifests of those asked for are read."""
    written = forgotten.first_written(store)
    found = sorted(store.list_objects(f"{keys.MANIFESTS}{DAG}/"), key=written, reverse=True)
    page = found[offset : offset + limit]
    return Runs(runs=tuple(bounded_parallel_map(lambda item: _run(store, item, written(item)), page)), total=len(found))


def run_of(store: ObjectStore, dag_id: str, run_id: str) -> tuple[Mapping[str, Any] | None, Run | None]:
    """Find what a DAG run wrote: its counts, and the run with a report if it is one. None where nothing is written (yet)."""
    info = store.info(keys.manifest(dag_id, keys.run_key(run_id)))
    if info is None:
        return None, None
    found = _run(store, info, forgotten.first_written(store)(info)) if dag_id == DAG else None
    return read_counts(store, dag_id, keys.run_key(run_id)), found


def summary(store: ObjectStore, date: str, run: str) -> Summary | None:
    """Read the head of a report, or None if there is no such report."""
    info = store.info(keys.report(date, run, "summary.json"))
    return None if info is None else _summary(store, info.key, etag=info.etag)


def is_there(store: ObjectStore, date: str, run: str) -> bool:
    """Return whether a report is kept: old ones may have been deleted."""
    return store.exists(keys.report(date, run, "summary.json"))


def sections(store: ObjectStore, date: str, run: str) -> ReportSections | None:
    """Read what a report's sections show, or None if there is no such report, or an early version wrote it that does not tell that."""
    info = store.info(keys.report(date, run, "summary.json"))
    return None if info is None else _sections(store, info.key, etag=info.etag)


def headline(report: str) -> str:
    """Return one sentence of a report, given as ``write_report`` returns it: what became of its records."""
    _, date, run, _ = report.split("/", 3)
    store = open_store()
    summary = read(store, ReportSummary, keys.report(date, run, "summary.json"))
    decided = ", ".join(f"{count:,} {decision}" for decision, count in summary.decisions.items())
    waits = summary.waiting
    rest = [
        (summary.counts.pending, "pending", "pending"),
        (summary.counts.quarantined, "quarantined", "quarantined"),
        (summary.counts.forgotten, "forgotten", "forgotten"),
        (waits.inbox_files, f"file still in the inbox{reasons(waits)}", f"files still in the inbox{reasons(waits)}"),
        (waits.records_without_pictures, "record without pictures", "records without pictures"),
    ]
    records = number_of(summary.counts.records, "record", "records")
    sentence = f"{records}: {decided}" + "".join(f"; {number_of(count, one, many)}" for count, one, many in rest if count)
    return f"{sentence}. {summary.changes.sentence}" if summary.changes else sentence


def _run(store: ObjectStore, info: ObjectInfo, written: datetime) -> Run:
    return _read(store, info.key, etag=info.etag, written=written.isoformat(timespec="seconds"))


@keep(1024)
def _read(store: ObjectStore, key: str, *, etag: str, written: str) -> Run:  # noqa: ARG001 - a generation
    manifest = read(store, ClassifyManifest, key)
    _, date, run, _ = manifest.report.split("/", 3)
    champions = {name: champion.version for name, champion in manifest.champions.items()}
    decisions: Mapping[str, int] = manifest.decisions
    if not decisions and manifest.counts.classified and (told := summary(store, date, run)) is not None:
        decisions = told.decisions  # its manifest is of before 2026-12-01
    return Run(
        date=date,
        run=run,
        written=written,
        counts=manifest.counts,
        champions=champions,
        abnormal=decisions.get(Decision.ABNORMAL.value) if decisions else None if manifest.counts.classified else 0,
        trigger=manifest.trigger or next((kind for kind in _STARTED if run.startswith(f"{kind}__")), ""),
    )


@keep(32)
def _sections(store: ObjectStore, key: str, *, etag: str) -> ReportSections | None:  # noqa: ARG001 - a generation
    told = read_shown(store, key)
    try:
        return (
            None
            if told is None
            else ReportSections(
                models=tuple(again.of_models_in(told)),
                unseen=tuple(again.unseen_in(told)),
                unseen_absent=again.unseen_absent_in(told),
                since=again.since_in(told),
                drift=tuple(again.drift_in(told)),
                quarantined=tuple(again.refused_in(told)[:QUARANTINED_SHOWN]),
            )
        )
    except (KeyError, TypeError, ValueError):
        return None


@keep(32)
def _summary(store: ObjectStore, key: str, *, etag: str) -> Summary:  # noqa: ARG001 - a generation
    summary = read(store, ReportSummary, key)
    return Summary(
        run_id=summary.run.run_id,
        created=summary.run.created_utc,
        decisions=summary.decisions,
        models=summary.models,
        reasons=summary.quarantine.by_reason,
        n_synthetic=summary.synthetic.n_records,
        notes=summary.notes,
        counts=summary.counts,
        changes=summary.changes,
    )
