"""Here: what a maintenance, a backfill, a training or a decision has written, by its run in Airflow. Not here: reports (``runs``)."""

from typing import Any

from ecg_tasks.archive import keys
from ecg_tasks.archive.documents import BackfillManifest, DecisionManifest, MaintenanceManifest, RetrainManifest, find_manifest, read_shown
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.pipeline.backfill_version import summary_key


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
