"""Here: whether records are still like those of the training, recipe by recipe, for pages. Not here: watching a night (``monitoring``)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ecg_tasks.archive import registry
from ecg_tasks.archive.documents import DriftStatus, MonitoringRun, StoredFigure, plain
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.evaluation.drift import Reference
from ecg_tasks.evaluation.estimation import FIGURES
from ecg_tasks.evaluation.intervals import Interval
from ecg_tasks.evaluation.subgroups import MIN_PATIENTS
from ecg_tasks.pipeline.monitoring import drift
from ecg_tasks.pipeline.monitoring.monitoring_runs import ALARM, all_nights, last_night, references_of
from ecg_tasks.pipeline.training.reference import ABOVE, MEASURES
from ecg_tasks.queries.held_against import held_against
from ecg_tasks.reporting.drift import (
    Course,
    Figure,
    SiteSpread,
    Spread,
    Table,
    comparison_table,
    drift_figures,
    estimated_table,
    site_table,
)
from ecg_tasks.settings import Settings

NIGHTS_ESTIMATED = 14
"""Nights whose estimates are shown, the latest first."""


@dataclass(frozen=True, kw_only=True)
class MonitoringPage:
    """What a page on one recipe shows."""

    recipe: str
    version: str
    light: DriftStatus
    figures: tuple[Figure, ...]
    tables: tuple[Table, ...] = ()


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
    references = references_of(store, recipe, version)
    return MonitoringPage(
        recipe=recipe,
        version=version,
        light=drift.status_of(watched[-1]),
        figures=tuple(_figures(watched, references)),
        tables=tuple(_tables(store, recipe, watched, references)),
    )


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


def _tables(store: ObjectStore, recipe: str, watched: Sequence[MonitoringRun], references: Mapping[str, Reference]) -> Iterator[Table]:
    """Yield the estimates of the nights, what labels say of them, and the sites, as far as there are any."""
    nights = [(night.date, night.watched, _intervals(night.estimated)) for night in watched if night.estimated]
    if nights:
        yield estimated_table(nights[: -NIGHTS_ESTIMATED - 1 : -1])
    found = held_against(store, recipe)
    if found is not None:
        yield comparison_table(found.figures, n_records=found.n_records, n_abnormal=found.n_abnormal)
    if sites := sorted(watched[-1].sites, key=lambda site: (not site, site)):
        yield site_table([_site(watched, references, site) for site in sites], {name: MEASURES[name] for name in references})


def _intervals(stored: Mapping[str, StoredFigure]) -> dict[str, Interval]:
    return {name: Interval.from_dict(plain(stored[name])) for name in FIGURES if name in stored}


def _site(watched: Sequence[MonitoringRun], references: Mapping[str, Reference], site: str) -> SiteSpread:
    """Return a site over the nights; its shift is the latest that could be computed."""
    nights = [night.sites[site] for night in watched if site in night.sites]
    n_watched = sum(night.watched for night in nights)
    psi: dict[str, tuple[float, bool] | None] = {}
    for name in references:
        known = [one for night in nights if (one := night.measures.get(name)) is not None and one.psi is not None]
        psi[name] = (known[-1].psi or 0.0, known[-1].psi_large) if known else None
    above = references["abnormal"].kinds.index(ABOVE) if "abnormal" in references else 0
    n_called = sum(night.measures["abnormal"].counts[above] for night in nights if "abnormal" in night.measures)
    return SiteSpread(
        site=site,
        decided=sum(night.decided for night in nights),
        uninterpretable=sum(night.uninterpretable for night in nights),
        watched=n_watched,
        quality=sum(night.watched * night.quality for night in nights if night.quality is not None) / max(n_watched, 1),
        abnormal=n_called / max(n_watched, 1) if "abnormal" in references else float("nan"),
        psi=psi,
        estimated=next((_intervals(night.estimated) for night in reversed(nights) if night.watched >= MIN_PATIENTS), {}),
    )
