"""Here: each night's records against what the version was tested on, and what follows. Not here: the statistics (``evaluation.drift``).

Every night writes ``monitoring/<recipe>/<run>.json`` once, made of that night's records and the night before; none is ever changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ecg_tasks.archive import keys, registry
from ecg_tasks.archive.documents import ClassifiedShard, DriftStatus, IntakeManifest, MonitoringRun, ReportPin, find, read_manifest, write
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.evaluation.drift import MIN_SAMPLE, Reference
from ecg_tasks.pipeline.monitoring.monitoring_runs import ALARM, all_nights, last_night, night_of, references_of
from ecg_tasks.pipeline.training.reference import ABOVE, MEASURES
from ecg_tasks.reporting.drift import Course, Figure, Spread, drift_figures
from ecg_tasks.settings import Settings


@dataclass(frozen=True, kw_only=True)
class MonitoringPage:
    """What a page on one recipe shows."""

    recipe: str
    version: str
    light: DriftStatus
    figures: tuple[Figure, ...]


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
        lights.append(_light(night))
    return lights


def lights(store: ObjectStore) -> tuple[DriftStatus, ...]:
    """How the serving version of each recipe stands after its last night."""
    found = []
    for recipe in Settings.from_environment().recipes:
        champion = registry.read_champion(store, recipe)
        if champion is not None:
            night = last_night(store, recipe, champion.version)
            found.append(_unknown(recipe, champion.version, "No night has been watched yet.") if night is None else _light(night))
    return tuple(found)


def page(store: ObjectStore, recipe: str, *, nights: int = 90) -> MonitoringPage:
    """The last nights of a recipe's serving version in pictures, each with its table."""
    champion = registry.read_champion(store, recipe)
    version = "" if champion is None else champion.version
    watched = [night for night in all_nights(store, recipe) if night.version == version][-nights:]
    if not watched or not watched[-1].measures:
        light = _light(watched[-1]) if watched else _unknown(recipe, version, "No night has been watched yet.")
        return MonitoringPage(recipe=recipe, version=version, light=light, figures=())
    figures = _figures(watched, references_of(store, recipe, version))
    return MonitoringPage(recipe=recipe, version=version, light=_light(watched[-1]), figures=tuple(figures))


def _figures(watched: Sequence[MonitoringRun], references: Mapping[str, Reference]) -> Iterator[Figure]:
    spreads = [
        Spread(
            title=MEASURES[name],
            names=reference.names,
            then=tuple(reference.counts.tolist()),
            now=tuple(np.sum([night.measures[name].counts for night in watched], axis=0).tolist()),
            psi=watched[-1].measures[name].psi,
            psi_by_chance=watched[-1].measures[name].psi_by_chance,
        )
        for name, reference in references.items()
    ]
    called = [night.measures["abnormal"].counts for night in watched] if "abnormal" in references else []
    above = references["abnormal"].kinds.index(ABOVE) if called else 0
    course = Course(
        nights=tuple(night.date for night in watched),
        records=tuple(night.watched for night in watched),
        abnormal=tuple(counts[above] / sum(counts) if sum(counts) else float("nan") for counts in called),
        abnormal_then=float(references["abnormal"].counts[above] / references["abnormal"].counts.sum()) if called else float("nan"),
        evidence={
            "all together": tuple(night.joint for night in watched),
            **{MEASURES[name]: tuple(night.measures[name].martingale.scale for night in watched) for name in references},
        },
        bound=ALARM,
    )
    return drift_figures(course, spreads)


def _covered(store: ObjectStore, pinned: ReportPin) -> set[str] | None:
    """The shards that came in since the last report, and those that it left pending; None where the report is of everything."""
    if pinned.scope == "all":
        return None
    manifests = (read_manifest(store, IntakeManifest, run) for run in pinned.ingests.runs)
    return {one.shard for one in pinned.ingests.carried} | {shard for manifest in manifests for shard in manifest.shards}


def _light(night: MonitoringRun) -> DriftStatus:
    recipe, version, measures = night.recipe, night.version, night.measures
    if not measures:
        return _unknown(recipe, version, "The version does not say what it was tested on: train a new one.")
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
        return _unknown(recipe, version, f"{night.watched_so_far} records so far; {MIN_SAMPLE} are needed to say anything.")
    moved = [MEASURES[name] for name in measures if measures[name].psi_large]
    if moved:
        return DriftStatus(
            recipe=recipe, version=version, state="watch", sentence=f"Moved of late, perhaps for a while: {', '.join(moved)}."
        )
    return DriftStatus(recipe=recipe, version=version, state="steady", sentence="What comes in looks like what the model was tested on.")


def _unknown(recipe: str, version: str, sentence: str) -> DriftStatus:
    return DriftStatus(recipe=recipe, version=version, state="unknown", sentence=sentence)
