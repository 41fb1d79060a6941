"""Here: whether records are still like those of the training, recipe by recipe, for pages. Not here: watching a night (``monitoring``)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ecg_tasks.archive import registry
from ecg_tasks.archive.documents import DriftStatus, MonitoringRun
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.evaluation.drift import Reference
from ecg_tasks.pipeline.monitoring import drift
from ecg_tasks.pipeline.monitoring.monitoring_runs import ALARM, all_nights, last_night, references_of
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


def lights(store: ObjectStore) -> tuple[DriftStatus, ...]:
    """Return how the serving version of each recipe stands after its last night."""
    found = []
    for recipe in Settings.from_environment().recipes:
        champion = registry.read_champion(store, recipe)
        if champion is not None:
            night = last_night(store, recipe, champion.version)
            found.append(_not_watched(recipe, champion.version) if night is None else drift.status_of(night))
    return tuple(found)


def page(store: ObjectStore, recipe: str, *, nights: int = 90) -> MonitoringPage:
    """Return the last nights of a recipe's serving version in pictures, each with its table."""
    champion = registry.read_champion(store, recipe)
    version = "" if champion is None else champion.version
    watched = [night for night in all_nights(store, recipe) if night.version == version][-nights:]
    if not watched or not watched[-1].measures:
        light = drift.status_of(watched[-1]) if watched else _not_watched(recipe, version)
        return MonitoringPage(recipe=recipe, version=version, light=light, figures=())
    figures = _figures(watched, references_of(store, recipe, version))
    return MonitoringPage(recipe=recipe, version=version, light=drift.status_of(watched[-1]), figures=tuple(figures))


def _not_watched(recipe: str, version: str) -> DriftStatus:
    return drift.unknown(recipe, version, "No night has been watched yet.")


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
