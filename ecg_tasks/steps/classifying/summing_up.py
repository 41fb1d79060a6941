"""Here: gathering what the report of a classification run tells, and writing it. Not here: drawing it (``reporting``)."""

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ecg_tasks.evaluation.summary import Evaluation, evaluate
from ecg_tasks.labels import Decision, Label
from ecg_tasks.learning.serving import Classifier
from ecg_tasks.learning.version import ModelSpec
from ecg_tasks.reporting.model import Account, ModelSummary, QuarantinedInput, RunReport, UnseenFigures
from ecg_tasks.reporting.pages import render_report
from ecg_tasks.reporting.predictions import PREDICTION_COLUMNS, PredictionRow, Predictions
from ecg_tasks.reporting.selection import records_with_page
from ecg_tasks.steps.champions.versions import TrainedOn
from ecg_tasks.steps.classifying.detailing import EXPLAINED, record_details
from ecg_tasks.steps.reviewing.labelling import LabelEntry, labels_in_force
from ecg_tasks.steps.workspace import get_json
from ecg_tasks.storage import keys, registry, tables
from ecg_tasks.storage.object_store import MissingObjectError, ObjectStore

if TYPE_CHECKING:
    import pandas as pd

INGEST_DAG = "ingest_records"
DAG = "classify_records"
BOOTSTRAP_SEED = 20180501
_CONTENT_TYPES = {"html": "text/html; charset=utf-8", "csv": "text/csv; charset=utf-8", "json": "application/json"}


@dataclass(frozen=True, kw_only=True)
class Ingests:
    """Which intake runs a report covers, and how far the manifests had been seen when that was decided."""

    runs: list[str]
    through: str
    at_through: list[str]


@dataclass(frozen=True, kw_only=True)
class WrittenReport:
    """Where the report is, its account, and which intake runs hold records that still wait for a decision."""

    index_key: str
    account: dict[str, int]
    pending_ingests: list[str]


def ingests_to_report(store: ObjectStore, *, scope: str) -> Ingests:
    """Find the intake runs that a report covers: all, or those since the last report and those it left pending."""
    found = [(item.modified.isoformat(), keys.stem(item.key)) for item in store.list_objects(f"{keys.MANIFESTS}{INGEST_DAG}/")]
    through = max((modified for modified, _ in found), default="")
    last = max(store.list_objects(f"{keys.MANIFESTS}{DAG}/"), key=lambda item: item.modified, default=None)
    if scope == "all" or last is None:
        runs = [run for _, run in found]
    else:
        before = get_json(store, last.key)
        seen = before["ingests"]
        new = [run for at, run in found if at > seen["through"] or (at == seen["through"] and run not in seen["at_through"])]
        runs = [*before["pending_ingests"], *new]
    return Ingests(runs=sorted(runs), through=through, at_through=[run for at, run in found if at == through])


def model_summary(spec: ModelSpec, test: Evaluation, *, digest: str, since: str) -> ModelSummary:
    """Bring together what a report tells of a version: what it is, how it stands, and what its test showed."""
    return ModelSummary(
        recipe=spec.recipe,
        version=spec.version,
        digest=digest,
        since=since,
        threshold=spec.threshold,
        abstain=spec.abstain,
        test_figures=test.figures,
        n_test_records=test.n_records,
        n_test_patients=test.n_patients,
        split_unit=test.split_unit,
        synthetic=spec.synthetic,
    )


@dataclass(frozen=True, kw_only=True)
class _Model:
    """A pinned version: what decides, what its test showed, and what it was trained on."""

    classifier: Classifier
    summary: ModelSummary
    trained_on: TrainedOn


def write_report(store: ObjectStore, pinned: Mapping[str, Any]) -> WrittenReport:
    """Write all files of the report of a run, its first page last."""
    models = {name: _load_model(store, name, champion) for name, champion in pinned["champions"].items()}
    manifests = {run: get_json(store, keys.manifest(INGEST_DAG, run)) for run in pinned["ingests"]["runs"]}
    shard_of_run = {shard: run for run, manifest in manifests.items() for shard in manifest["shards"]}
    labels = labels_in_force(store)
    gathered = _gather(store, shard_of_run, pinned=pinned, labels=labels)
    table = gathered.table
    decided = table.decisions
    quarantined = [entry for manifest in manifests.values() for entry in manifest["quarantined"]]
    n_records, n_pending = len(table) + gathered.n_pending, gathered.n_pending
    account = Account(
        received=sum(manifest["account"]["received"] for manifest in manifests.values()) + _label_faults(manifests.values()),
        records=n_records,
        duplicates=sum(manifest["account"]["duplicates"] for manifest in manifests.values()),
        quarantined=len(quarantined),
        classified=decided[Decision.NORMAL] + decided[Decision.ABNORMAL],
        uncertain=decided[Decision.UNCERTAIN],
        uninterpretable=decided[Decision.UNINTERPRETABLE],
        pending=n_pending,
    )
    unseen = [figures for name, model in models.items() if (figures := _unseen(gathered.labelled, name, model)) is not None]
    report = RunReport(
        run_id=pinned["run_id"],
        date=pinned["date"],
        dag=pinned.get("dag", DAG),
        backfill=pinned.get("backfill", ""),
        created_utc=pinned["created"],
        account=account,
        models=[model.summary for model in models.values()],
        predictions=table,
        quarantined=[
            QuarantinedInput(name=entry["name"], reason=entry["reason"], message=entry["message"], sha256=entry["source"])
            for entry in quarantined
        ],
        unseen=unseen,
        unseen_absent="" if unseen else "No record of this run has a label that no training set has seen, of both classes.",
        notes=[*pinned["notes"], *([f"{n_pending} records wait for their pictures or for a model."] if n_pending else [])],
    )
    chosen = records_with_page(table, limit=pinned["details"])
    details = record_details(
        store,
        gathered.by_shard(chosen),
        explained=frozenset(chosen[:EXPLAINED]),
        classifiers={name: model.classifier for name, model in models.items()},
    )
    _write_files(store, pinned, render_report(report, details))
    return WrittenReport(
        index_key=_key(pinned, "index.html"),
        account={name: getattr(account, name) for name in Account.__dataclass_fields__},
        pending_ingests=sorted({shard_of_run[shard] for shard in gathered.pending_shards}),
    )


@dataclass(frozen=True, kw_only=True)
class _Labelled:
    """One record that a person or a source has labelled normal or abnormal, and a model has given a probability."""

    record_id: str
    recipe: str
    probability: float
    label: str
    patient: str | None
    """Keyed hash of the patient's id, None where that is not known."""
    bucket: int


@dataclass(frozen=True, kw_only=True)
class _Gathered:
    """The decided records, and where they came from."""

    table: Predictions
    starts: list[int]
    """Row of the table with which each of ``shards`` begins."""
    shards: list[str]
    labelled: list[_Labelled]
    pending_shards: list[str]
    n_pending: int

    def by_shard(self, record_ids: Sequence[str]) -> dict[str, list[PredictionRow]]:
        """Rows of some records, by the shard that holds them."""
        found: dict[str, list[PredictionRow]] = {}
        place = self.table.numbers(record_ids)
        for row in self.table.rows(record_ids):
            found.setdefault(self.shards[bisect_right(self.starts, place[row.record_id]) - 1], []).append(row)
        return found


def _gather(store: ObjectStore, shards: Iterable[str], *, pinned: Mapping[str, Any], labels: Mapping[str, LabelEntry]) -> _Gathered:
    import pandas as pd

    gathered = _Gathered(table=Predictions(), starts=[], shards=[], labelled=[], pending_shards=[], n_pending=0)
    n_rows = n_pending = 0
    for shard in shards:
        frame = pd.DataFrame(tables.load(store.get(keys.record_index(shard)), _ORIGIN)).rename(columns={"source": "source_sha256"})
        decided = _decisions(store, shard, pinned)
        if decided is None:
            gathered.pending_shards.append(shard)
            n_pending += len(frame)
            continue
        joined = frame.merge(decided[["record_id", *_DECIDED]], on="record_id", how="inner", validate="one_to_one")
        if len(joined) < len(frame):
            gathered.pending_shards.append(shard)
            n_pending += len(frame) - len(joined)
        joined["label"] = [labels[record_id].label if record_id in labels else None for record_id in joined["record_id"]]
        gathered.labelled.extend(_labelled(joined))
        gathered.starts.append(n_rows)
        gathered.shards.append(shard)
        gathered.table.add({name: joined[name].tolist() for name in PREDICTION_COLUMNS})
        n_rows += len(joined)
    return replace(gathered, n_pending=n_pending)


_ORIGIN = ("record_id", "name", "source", "patient", "split_bucket", "synthetic")
_DECIDED = ("decision", "probability", "recipe", "version", "n_windows", "n_used", "quality", "flags")


def _labelled(joined: "pd.DataFrame") -> Iterator[_Labelled]:
    """The labelled rows of a shard."""
    chosen = joined[joined["label"].isin([Label.NORMAL, Label.ABNORMAL]) & joined["probability"].notna()]
    columns = ("record_id", "recipe", "probability", "label", "patient", "split_bucket")
    for record_id, recipe, probability, label, patient, bucket in zip(*(chosen[name].tolist() for name in columns), strict=True):
        known = patient if isinstance(patient, str) else None
        yield _Labelled(record_id=record_id, recipe=recipe, probability=probability, label=label, patient=known, bucket=int(bucket))


def _decisions(store: ObjectStore, shard: str, pinned: Mapping[str, Any]) -> "pd.DataFrame | None":
    """Decisions on a shard: the first recipe that takes a record decides on it. None while any pinned version has not spoken."""
    import pandas as pd

    found: list[pd.DataFrame] = []
    for name in pinned["recipes"]:
        if name not in pinned["champions"]:
            continue
        version = pinned["champions"][name]["version"]
        try:
            columns = tables.load(store.get(keys.predictions(name, shard, version)))
        except MissingObjectError:
            return None
        found.append(pd.DataFrame(columns).assign(recipe=name, version=version))
    return pd.concat(found, ignore_index=True).drop_duplicates("record_id", keep="first") if found else None


def _load_model(store: ObjectStore, recipe: str, champion: Mapping[str, str]) -> _Model:
    files = registry.read_version(store, recipe, champion["version"])
    classifier = Classifier.from_files(files)
    test = Evaluation.from_dict(json.loads(files["metrics.json"])["test"])
    return _Model(
        classifier=classifier,
        summary=model_summary(classifier.spec, test, digest=registry.digest(files), since=champion["since"]),
        trained_on=TrainedOn.of_version(files),
    )


def _unseen(labelled: Iterable[_Labelled], recipe: str, model: _Model) -> UnseenFigures | None:
    """Figures of one model over the labelled records it decided on whose patient it was not trained, stopped or calibrated on."""
    chosen = [one for one in labelled if one.recipe == recipe and not model.trained_on.knows(one.record_id, one.bucket)]
    truth = np.array([one.label == Label.ABNORMAL for one in chosen], dtype=bool)
    if truth.all() or not truth.any():
        return None
    found = evaluate(
        truth,
        np.array([one.probability for one in chosen]),
        [one.patient or one.record_id for one in chosen],
        threshold=model.classifier.spec.threshold,
        abstain=model.classifier.spec.rule.abstain,
        split_unit="patient" if all(one.bucket >= 0 for one in chosen) else "record",
        seed=BOOTSTRAP_SEED,
    )
    return UnseenFigures(
        recipe=recipe,
        version=model.summary.version,
        figures=found.figures,
        n_records=found.n_records,
        n_patients=found.n_patients,
        split_unit=found.split_unit,
    )


def _write_files(store: ObjectStore, pinned: Mapping[str, Any], files: Iterator[tuple[str, bytes | BinaryIO]]) -> None:
    """Write the pages a few at a time while the next ones are drawn, then the rest in order: when the first page is there, all is."""
    rest: list[tuple[str, bytes]] = []

    def pages() -> Iterator[tuple[str, bytes, str]]:
        for path, content in files:
            key = _key(pinned, path)
            if not isinstance(content, bytes):  # a file, open until the next is asked for
                store.put(key, content, content_type=_content_type(path))
            elif path.startswith("records/"):
                yield key, content, _content_type(path)
            else:
                rest.append((path, content))

    store.put_many(pages())
    for path, content in rest:
        store.put(_key(pinned, path), content, content_type=_content_type(path))


def _key(pinned: Mapping[str, Any], path: str) -> str:
    """Where a file of the report stands; that of a backfill is never below reports/."""
    return keys.backfill(pinned["name"], f"report/{path}") if "name" in pinned else keys.report(pinned["date"], pinned["run"], path)


def _content_type(path: str) -> str:
    return _CONTENT_TYPES.get(path.rsplit(".", 1)[-1], "application/octet-stream")


def _label_faults(manifests: Iterable[Mapping[str, Any]]) -> int:
    """Rows of label tables in quarantine: they are listed with the quarantined inputs, so they count as received, too."""
    return sum(manifest["labels"]["quarantined"] for manifest in manifests)
