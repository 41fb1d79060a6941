"""Here: each night's records against what the version was tested on, and what follows. Not here: the statistics (``evaluation.drift``).

Every night writes ``monitoring/<recipe>/<run>.json`` once, made of that night's records and the night before; none is ever changed.
"""

from collections.abc import Sequence

from ecg_tasks.archive import keys
from ecg_tasks.archive.documents import ClassifiedShard, DriftStatus, IntakeManifest, MonitoringRun, ReportPin, find, read_manifest, write
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.evaluation.drift import MIN_SAMPLE
from ecg_tasks.pipeline.monitoring.monitoring_runs import night_of
from ecg_tasks.pipeline.training.reference import MEASURES


def observe(store: ObjectStore, pinned: ReportPin, done: Sequence[ClassifiedShard]) -> list[DriftStatus]:
    """Write the night of every recipe that decided in this run, unless it stands already; returns how each recipe stands.

    Parameters
    ----------
    pinned : the run's pin
    done : the shards that were classified in this run, with their recipe and version: nothing else is read
    """
    covered = _covered(store, pinned)
    lights = []
    for recipe, version in sorted(pinned.versions.items()):
        key = keys.monitoring(recipe, pinned.run)
        night = find(store, MonitoringRun, key)
        if night is None:
            shards = [item.shard for item in done if (item.recipe, item.version) == (recipe, version)]
            wanted = sorted(shard for shard in shards if covered is None or shard in covered)
            night = night_of(store, recipe, version, pinned=pinned, shards=wanted)
            write(store, key, night)
        lights.append(status_of(night))
    return lights


def _covered(store: ObjectStore, pinned: ReportPin) -> set[str] | None:
    """Return the shards that came in since the last report, and those that it left pending; None where the report is of everything."""
    if pinned.scope == "all":
        return None
    manifests = (read_manifest(store, IntakeManifest, run) for run in pinned.ingests.runs)
    return {one.shard for one in pinned.ingests.carried} | {shard for manifest in manifests for shard in manifest.shards}


def status_of(night: MonitoringRun) -> DriftStatus:
    """Return how a version stands after a night."""
    recipe, version, measures = night.recipe, night.version, night.measures
    if not measures:
        return unknown(recipe, version, "The version does not say what it was tested on: train a new one.")
    if night.since:
        most = max(measures, key=lambda name: measures[name].martingale.peak)
        return DriftStatus(
            recipe=recipe,
            version=version,
            state="drift",
            since=night.since,
            sentence=f"What comes in no longer looks like what {recipe} {version} was tested on, most of all by: {MEASURES[most]}."
            " Look at the records, give labels, and consider a new training.",
        )
    if night.watched_so_far < MIN_SAMPLE:
        return unknown(recipe, version, f"{night.watched_so_far} records so far; {MIN_SAMPLE} are needed to say anything.")
    moved = [MEASURES[name] for name in measures if measures[name].psi_large]
    if moved:
        return DriftStatus(
            recipe=recipe, version=version, state="watch", sentence=f"Moved of late, perhaps for a while: {', '.join(moved)}."
        )
    return DriftStatus(recipe=recipe, version=version, state="steady", sentence="What comes in looks like what the model was tested on.")


def unknown(recipe: str, version: str, sentence: str) -> DriftStatus:
    """Return how a version stands of which nothing can be said, and why."""
    return DriftStatus(recipe=recipe, version=version, state="unknown", sentence=sentence)
