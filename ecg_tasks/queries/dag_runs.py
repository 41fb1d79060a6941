"""Here: what a run in Airflow has written, by its id, and one sentence of it for its note. Not here: reports (``runs``)."""

from typing import Any

from ecg_tasks.archive import keys
from ecg_tasks.archive.documents import (
    BackfillManifest,
    DecisionManifest,
    IntakeManifest,
    MaintenanceManifest,
    RenderManifest,
    RetrainManifest,
    find_manifest,
    read_shown,
)
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.workspace import open_store
from ecg_tasks.counts import number_of
from ecg_tasks.names import DagId
from ecg_tasks.pipeline.backfill_version import summary_key


def headline(dag: str, run_id: str) -> str:
    """Return one sentence of a run of the DAGs that have no other headline; empty where it has written nothing that it could tell."""
    store = open_store()
    run = keys.run_key(run_id)
    if dag == DagId.INGEST_RECORDS:
        taken = find_manifest(store, IntakeManifest, run)
        return "nothing to take over" if taken is None else _intake(taken)
    if dag == DagId.RENDER_SPECTROGRAMS:
        drawn = find_manifest(store, RenderManifest, run)
        return "" if drawn is None else _drawn(drawn)
    return (training(store, run_id) if dag == DagId.RETRAIN_MODEL else decision(store, run_id)) or ""


def _intake(manifest: IntakeManifest) -> str:
    counts = manifest.counts
    fates = [
        number_of(n, one, many)
        for n, one, many in (
            (counts.records, "record", "records"),
            (counts.duplicates, "duplicate", "duplicates"),
            (counts.quarantined, "quarantined", "quarantined"),
            (counts.forgotten, "forgotten", "forgotten"),
            (counts.passed_over, "passed over", "passed over"),
        )
        if n
    ]
    parts = [f"{counts.received:,} received" + (f": {', '.join(fates)}" if fates else "")]
    parts += [number_of(manifest.labels.stored, "label stored", "labels stored")] * bool(manifest.labels.stored)
    parts += [number_of(counts.waiting, "file waits for others", "files wait for others")] * bool(counts.waiting)
    return "; ".join(parts)


def _drawn(manifest: RenderManifest) -> str:
    if not manifest.shards:
        return "nothing to draw"
    counts, shards = manifest.counts, len({one.shard for one in manifest.shards})
    pictures, records = number_of(counts.windows, "picture", "pictures"), number_of(counts.taken, "record", "records")
    return f"{pictures} of {records} in {number_of(shards, 'shard', 'shards')}"


def maintenance(store: ObjectStore, run_id: str) -> MaintenanceManifest | None:
    """Return the manifest of a run of ``maintain_store``, or None if it has written nothing (yet)."""
    return find_manifest(store, MaintenanceManifest, keys.run_key(run_id))


def backfill(store: ObjectStore, run_id: str) -> dict[str, Any] | None:
    """Return what the difference page of a run of ``backfill_version`` tells, or None if there is none (yet)."""
    manifest = find_manifest(store, BackfillManifest, keys.run_key(run_id))
    return None if manifest is None else read_shown(store, summary_key(manifest.page))


def decision(store: ObjectStore, run_id: str) -> str | None:
    """Return what came of a run of ``decide_champion``, as a sentence, or None while it has not ended."""
    manifest = find_manifest(store, DecisionManifest, keys.run_key(run_id))
    return None if manifest is None else manifest.outcome


def training(store: ObjectStore, run_id: str) -> str | None:
    """Return what came of a run of ``retrain_model``, as a sentence, or None while it has not ended."""
    manifest = find_manifest(store, RetrainManifest, keys.run_key(run_id))
    if manifest is None:
        return None
    verdict = manifest.verdict
    outcome = manifest.outcome or ("it was not approved" if manifest.rejected else f"{manifest.serving or 'nothing'} serves")
    return " ".join(filter(None, (f"{manifest.recipe} {manifest.version} is {verdict.kind}: {verdict.reason}; {outcome}.", verdict.note)))
