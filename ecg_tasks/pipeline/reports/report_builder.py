"""Here: gathering what the report of a classification run tells, and writing it. Not here: drawing it (``reporting``)."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import BinaryIO

import numpy as np

from ecg_tasks.archive import account_lists, keys, registry, tables
from ecg_tasks.archive.descriptions import Descriptions
from ecg_tasks.archive.documents import (
    BackfillPin,
    DriftStatus,
    IntakeManifest,
    Pending,
    PinnedVersion,
    ReportPin,
    Waiting,
    plain,
    read_manifest,
)
from ecg_tasks.archive.known_labels import KnownLabels
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.predictions import RunTable, join_shard
from ecg_tasks.archive.run_table_writer import RunTableWriter
from ecg_tasks.counts import ReportCounts, number_of
from ecg_tasks.disk_rows import Rows
from ecg_tasks.evaluation.ages import AgeRange
from ecg_tasks.evaluation.classes import ClassAssessment
from ecg_tasks.evaluation.many_records import LABELLED, labelled
from ecg_tasks.evaluation.summary import evaluate_rows
from ecg_tasks.labels import Decision, Label, in_order
from ecg_tasks.learning.serving import Classifier
from ecg_tasks.learning.version import METRICS, Metrics, ModelSpec
from ecg_tasks.names import DagId
from ecg_tasks.pipeline.champions.versions import TrainedOn, flagged, left_out_by_bucket, not_compared
from ecg_tasks.pipeline.reports.changing import changes
from ecg_tasks.pipeline.reports.comparing import since_last
from ecg_tasks.pipeline.reports.coverage import shards_to_report, waiting, waiting_sentences
from ecg_tasks.pipeline.reports.detailing import EXPLAINED, record_details
from ecg_tasks.report_columns import Row
from ecg_tasks.reporting.model import DriftLight, ModelSummary, ReportedClass, ReportedInput, RunReport, UnseenFigures
from ecg_tasks.reporting.pages import RECORD_PAGES, render_report
from ecg_tasks.reporting.selection import records_with_page
from ecg_tasks.settings import Settings

BOOTSTRAP_SEED = 20180501
_CONTENT_TYPES = {
    "html": "text/html; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
}


@dataclass(frozen=True, kw_only=True)
class WrittenReport:
    """Where the report is, its counts, which records still wait for a decision, what waits before that, and how many decisions changed.

    ``decisions`` counts the records by their decision.
    """

    index_key: str
    counts: ReportCounts
    pending: list[Pending]
    waiting: Waiting
    n_changed: int
    decisions: dict[str, int]


def model_summary(spec: ModelSpec, metrics: Metrics, *, digest: str, since: str) -> ModelSummary:
    """Bring together what a report says of a version: what it is, how it stands, and what its test showed."""
    test = metrics.tested
    return ModelSummary(
        recipe=spec.recipe,
        version=spec.version,
        digest=digest,
        since=since,
        threshold=spec.threshold,
        abstain=band_of(spec.abstain),
        test_figures=test.figures,
        n_test_records=test.n_records,
        n_test_patients=test.n_patients,
        split_unit=test.split_unit,
        synthetic=spec.synthetic,
        classes=reported_classes(spec, metrics.classes),
    )


def reported_classes(spec: ModelSpec, tested: ClassAssessment | None = None) -> tuple[ReportedClass, ...]:
    """Return what a report says of the classes of a version, with the AUROC of those that were tested."""
    evaluations = tested.evaluations if tested else {}
    return tuple(
        ReportedClass(
            name=one.name,
            threshold=one.threshold,
            abstain=band_of(one.abstain),
            system=one.system,
            code=one.code,
            display=one.display,
            auroc=evaluations[one.name].auroc if one.name in evaluations else None,
        )
        for one in spec.classes
    )


def band_of(abstain: tuple[float, float]) -> tuple[float, float] | None:
    """Return a band; one of no width is none."""
    return abstain if abstain[1] > abstain[0] else None


@dataclass(frozen=True, kw_only=True)
class _Model:
    """A pinned version: what decides, what its test showed, and what it was trained on."""

    classifier: Classifier
    summary: ModelSummary
    trained_on: TrainedOn
    ages: AgeRange | None


def write_report(store: ObjectStore, pinned: ReportPin, *, drift: Sequence[DriftStatus] = (), pages: str = "") -> WrittenReport:
    """Write all files of the report of a run, its first page last.

    Parameters
    ----------
    drift : how each version stands that decided in it
    pages : address of the web interface's pages, for the column of the table that leads there
    """
    late = Descriptions.read(store)
    models = {name: _load_model(store, name, champion, late=late) for name, champion in pinned.champions.items()}
    manifests = [read_manifest(store, IntakeManifest, run) for run in pinned.ingests.runs]
    labels = KnownLabels.read(store)
    summaries = {name: model.summary for name, model in models.items()}
    gathered = _gather(store, shards_to_report(store, pinned), pinned=pinned, labels=labels, models=models, late=late, pages=pages)
    waits, changed = waiting(store, recipes=pinned.recipes), changes(store, pinned, labels=labels)
    table = gathered.table
    decided = table.decisions
    quarantined = [entry for manifest in manifests for entry in account_lists.quarantined(store, manifest)]
    n_records, n_pending, n_carried = len(table) + gathered.n_pending, gathered.n_pending, gathered.n_carried
    counts = ReportCounts(
        received=sum(manifest.counts.received for manifest in manifests) + _label_faults(manifests) + n_carried,
        records=n_records,
        duplicates=sum(manifest.counts.duplicates for manifest in manifests),
        quarantined=len(quarantined),
        classified=decided[Decision.NORMAL] + decided[Decision.ABNORMAL],
        uncertain=decided[Decision.UNCERTAIN],
        uninterpretable=decided[Decision.UNINTERPRETABLE],
        pending=n_pending,
        forgotten=sum(manifest.counts.forgotten for manifest in manifests),
    )
    by_bucket = [
        f"Figures of {models[name].summary.recipe} {models[name].summary.version}: {sentence}"
        for name, found in gathered.unseen.items()
        for sentence in (left_out_by_bucket(found.n_by_bucket), not_compared(models[name].trained_on.n_unknown))
        if sentence
    ]
    unseen = [figures for name, model in models.items() if (figures := _unseen(gathered.unseen.pop(name), name, model)) is not None]
    report = RunReport(
        run_id=pinned.run_id,
        date=pinned.date,
        dag=pinned.dag if isinstance(pinned, BackfillPin) else DagId.CLASSIFY_RECORDS,
        backfill=pinned.backfill if isinstance(pinned, BackfillPin) else "",
        created_utc=pinned.created,
        counts=counts,
        models=list(summaries.values()),
        predictions=table,
        quarantined=[
            ReportedInput(name=entry.name, reason=entry.reason, message=entry.message, sha256=entry.source) for entry in quarantined
        ],
        unseen=unseen,
        unseen_absent="" if unseen else "No record of this run has a label that no training set has seen, of both classes.",
        notes=[*pinned.notes, *_notes(manifests, n_carried=n_carried, n_pending=n_pending), *waiting_sentences(waits), *by_bucket],
        waiting=plain(waits),
        changes=changed,
        since=None if isinstance(pinned, BackfillPin) else since_last(pinned, drift),
        drift=[DriftLight(**plain(light)) for light in drift],
    )
    chosen = records_with_page(table, limit=pinned.details)
    details = record_details(
        store,
        gathered.by_shard(chosen),
        late=late,
        explained=frozenset(chosen[:EXPLAINED]),
        classifiers={name: model.classifier for name, model in models.items()},
    )
    _write_files(store, pinned, render_report(report, details))
    return WrittenReport(
        index_key=_key(pinned, "index.html"),
        counts=counts,
        pending=gathered.pending,
        waiting=waits,
        n_changed=len(changed.records) if changed is not None else 0,
        decisions={kind.value: n for kind, n in decided.items()},
    )


@dataclass(kw_only=True)
class _Unseen:
    """Records that are labelled normal or abnormal, and that a model has decided on without having seen their patient.

    ``records`` are on the disk, as `LABELLED`. ``patient`` are eight bytes of a digest of the keyed hash of the patient's id, or of the
    record's id where that is not known: of ten million patients two are taken for one with a chance of three in a million.
    ``n_by_bucket`` counts the records that are not among them for their patient's bucket alone.
    """

    records: Rows = field(default_factory=lambda: Rows(LABELLED))
    n_abnormal: int = 0
    is_patient_known: bool = True
    n_by_bucket: int = 0


@dataclass(frozen=True, kw_only=True)
class _Gathered:
    """The decided records, and what waits."""

    table: RunTable
    unseen: dict[str, _Unseen]
    """Of each recipe."""
    pending: list[Pending]
    n_pending: int
    n_carried: int

    def by_shard(self, record_ids: Sequence[str]) -> dict[str, list[Row]]:
        """Return the rows of some records, by the shard that holds them."""
        found: dict[str, list[Row]] = {}
        for row in self.table.find(record_ids):
            found.setdefault(row["shard"], []).append(row)
        return found


def _gather(
    store: ObjectStore,
    shards: Mapping[str, tuple[str, ...] | None],
    *,
    pinned: ReportPin,
    labels: KnownLabels,
    models: Mapping[str, _Model],
    late: Descriptions,
    pages: str,
) -> _Gathered:
    pending = list[Pending]()
    unseen = {name: _Unseen() for name in models}
    n_pending = n_carried = 0
    carried = {one.shard for one in pinned.ingests.carried}
    versions = {name: pinned.versions[name] for name in pinned.recipes if name in pinned.versions}
    classes = in_order(one.name for model in models.values() for one in model.summary.classes)
    with RunTableWriter(classes) as writer:
        for shard, wanted in shards.items():
            columns, undecided = join_shard(store, shard, versions, _JOINED, late=late, only=wanted, classes=classes)
            n_rows = tables.n_rows(columns)
            n_carried += (n_rows + len(undecided)) * (shard in carried)
            n_pending += len(undecided)
            if undecided:
                pending.append(Pending(shard=shard, records=tuple(sorted(undecided)) if n_rows else wanted))
            if n_rows:
                known = columns | _of_report(columns, shard=shard, labels=labels, models=models) | _of_run(columns, pinned, pages=pages)
                known |= _limits_of_classes(columns, classes, models=models)
                for name, model in models.items():
                    _add_not_seen(unseen[name], known, name, model.trained_on)
                writer.add(known)
        table = writer.finish()
    return _Gathered(table=table, unseen=unseen, pending=pending, n_pending=n_pending, n_carried=n_carried)


_JOINED = frozenset({*tables.RECORD_INDEX.names, *tables.PREDICTIONS.names, *tables.MEASUREMENTS.names, "recipe", "version"})
"""What a column of the report may be computed of, beside `_of_report`."""


def _of_report(columns: tables.Columns, *, shard: str, labels: KnownLabels, models: Mapping[str, _Model]) -> tables.Columns:
    """Return what a report knows of decided rows beyond index and predictions: where they lie, their label, and who decided."""
    deciding = [models[recipe].summary for recipe in columns["recipe"]]
    limits = {recipe: model.classifier.spec.rule.limits(columns["site"]) for recipe, model in models.items()}
    bands = [limits[recipe].band(row) or (None, None) for row, recipe in enumerate(columns["recipe"])]
    shown = [models[recipe].ages for recipe in columns["recipe"]]
    rows = zip(columns["flags"], columns["age"].tolist(), shown, strict=True)
    return {
        "flags": [flagged(flags or "", ages, age=age) for flags, age, ages in rows],
        "shard": [shard] * len(deciding),
        "label": labels.of(columns["record_id"]),
        "model_digest": [model.digest for model in deciding],
        "threshold": [float(limits[recipe].threshold[row]) for row, recipe in enumerate(columns["recipe"])],
        "abstain_low": [low for low, _ in bands],
        "abstain_high": [high for _, high in bands],
    }


def _of_run(columns: tables.Columns, pinned: ReportPin, *, pages: str) -> tables.Columns:
    """Return what each row tells of the run, and where its page is: that of a comparison of versions stands in no report."""
    ids = columns["record_id"]
    where = "" if isinstance(pinned, BackfillPin) else f"?date={pinned.date}&run={pinned.run}"
    return {
        "run": [pinned.run] * len(ids),
        "date": [date.fromisoformat(pinned.date)] * len(ids),
        "page": [f"{pages}/records/{record_id}{where}" for record_id in ids],
    }


def _limits_of_classes(columns: tables.Columns, classes: Sequence[str], *, models: Mapping[str, _Model]) -> tables.Columns:
    """Return threshold and band of each class by the version that decided on a row; none where that does not report the class."""
    found: tables.Columns = {}
    for name in classes:
        of_recipe = {recipe: one for recipe, model in models.items() for one in model.summary.classes if one.name == name}
        rules = [of_recipe.get(recipe) for recipe in columns["recipe"]]
        bands = [(one.abstain if one else None) or (None, None) for one in rules]
        found[f"threshold_{name}"] = [one.threshold if one else None for one in rules]
        found[f"abstain_low_{name}"] = [low for low, _ in bands]
        found[f"abstain_high_{name}"] = [high for _, high in bands]
    return found


def _add_not_seen(unseen: _Unseen, columns: tables.Columns, recipe: str, trained_on: TrainedOn) -> None:
    """Add the labelled rows of a shard that a model decided on, and was not trained, stopped or calibrated on."""
    names = ("record_id", "recipe", "probability", "threshold", "decision", "label", "patient", "public_patient", "split_bucket")
    truth = {Label.NORMAL.value: False, Label.ABNORMAL.value: True}
    rows = []
    for record_id, by, p, threshold, decision, label, patient, public, bucket in zip(*(columns[name] for name in names), strict=True):
        if by == recipe and label in truth and not np.isnan(p):
            why = trained_on.why(record_id, int(bucket), patient, public)
            unseen.n_by_bucket += why == "bucket"
            if why is None:
                who = int.from_bytes(hashlib.blake2b((patient or record_id).encode(), digest_size=8).digest())
                rows.append((p, who, truth[label], p >= threshold, decision != Decision.UNCERTAIN))
                unseen.is_patient_known &= bool(bucket >= 0)
    if rows:
        probability, patients, is_abnormal, is_called, is_decided = zip(*rows, strict=True)
        found = labelled(
            probability=np.array(probability, np.float32),
            patients=np.array(patients, np.uint64),
            is_abnormal=np.array(is_abnormal, bool),
            is_called=np.array(is_called, bool),
            is_decided=np.array(is_decided, bool),
        )
        unseen.records.append(found)
        unseen.n_abnormal += sum(is_abnormal)


def _load_model(store: ObjectStore, recipe: str, champion: PinnedVersion, *, late: Descriptions) -> _Model:
    files = registry.read_version(store, recipe, champion.version)
    classifier = Classifier.from_files(files)
    metrics = Metrics.from_json(files[METRICS])
    return _Model(
        classifier=classifier,
        summary=model_summary(classifier.spec, metrics, digest=registry.digest(files), since=champion.since),
        trained_on=TrainedOn.of_version(files, late, key=Settings.from_environment().patient_key),
        ages=metrics.ages,
    )


def _unseen(unseen: _Unseen, recipe: str, model: _Model) -> UnseenFigures | None:
    """Compute one model's figures over the labelled records that it has not seen; None where they are of one class."""
    if unseen.n_abnormal in {0, len(unseen.records)}:
        return None
    found = evaluate_rows(
        unseen.records,
        threshold=model.classifier.spec.threshold,
        abstain=model.classifier.spec.rule.abstain,
        split_unit="patient" if unseen.is_patient_known else "record",
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


def _write_files(store: ObjectStore, pinned: ReportPin, files: Iterator[tuple[str, bytes | BinaryIO]]) -> None:
    """Write the pages a few at a time while the next ones are drawn, then the rest in order: when the first page is there, all is."""
    rest: list[tuple[str, bytes]] = []

    def pages() -> Iterator[tuple[str, bytes, str]]:
        for path, content in files:
            key = _key(pinned, path)
            if not isinstance(content, bytes):  # a file, which may be closed when the next is asked for
                store.put(key, content, content_type=_content_type(path))
            elif path.startswith(RECORD_PAGES):
                yield key, content, _content_type(path)
            else:
                rest.append((path, content))

    store.put_many(pages())
    for path, content in rest:
        store.put(_key(pinned, path), content, content_type=_content_type(path))


def _key(pinned: ReportPin, path: str) -> str:
    """Return where a file of the report stands; that of a backfill is never below reports/."""
    if isinstance(pinned, BackfillPin):
        return keys.backfill(pinned.name, f"report/{path}")
    return keys.report(pinned.date, pinned.run, path)


def _content_type(path: str) -> str:
    return _CONTENT_TYPES.get(path.rsplit(".", 1)[-1], "application/octet-stream")


def _notes(manifests: Iterable[IntakeManifest], *, n_carried: int, n_pending: int) -> Iterator[str]:
    if n_passed_over := sum(manifest.counts.passed_over for manifest in manifests):
        beside, were = ("file beside the recordings", "was") if n_passed_over == 1 else ("files beside the recordings", "were")
        yield f"{n_passed_over:,} {beside}, such as annotations, checksums and lists, {were} passed over."
    if n_carried:
        yield f"{n_carried:,} of these records {'was' if n_carried == 1 else 'were'} pending in the report before."
    if n_pending:
        yield f"{number_of(n_pending, 'record waits', 'records wait')} for pictures or for a model."


def _label_faults(manifests: Iterable[IntakeManifest]) -> int:
    """Count the rows of label tables in quarantine: they are listed with the quarantined inputs, so they count as received, too."""
    return sum(manifest.labels.quarantined for manifest in manifests)
