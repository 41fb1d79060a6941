"""Here: one night of one recipe: what is counted, and the file that keeps it. Not here: what follows (``drift``)."""

import hashlib
import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from msgspec import convert
from numpy.typing import NDArray

from ecg_tasks.archive import documents, keys, tables
from ecg_tasks.archive.cache import keep
from ecg_tasks.archive.descriptions import Descriptions
from ecg_tasks.archive.documents import (
    Measured,
    MonitoringRun,
    ReportPin,
    SiteNight,
    SpreadAtSite,
    Stakes,
    StoredFigure,
    plain,
)
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.predictions import VersionPredictions, join
from ecg_tasks.evaluation.assessment import BOOTSTRAP_SEED
from ecg_tasks.evaluation.drift import ALPHA, MIN_SAMPLE, Martingale, Reference, joint_log_capital, population_stability
from ecg_tasks.evaluation.estimation import estimate
from ecg_tasks.evaluation.intervals import nan_to_none
from ecg_tasks.evaluation.summary import plain_interval
from ecg_tasks.learning.version import SPEC, ModelSpec
from ecg_tasks.pipeline.champions.versions import TrainedOn, metrics_of
from ecg_tasks.pipeline.training.dataset import input_kinds
from ecg_tasks.pipeline.training.reference import MEASURES, called_abnormal

MAX_RECORDS = 1000
"""Records of one night that the sequential test looks at, a sample by their ids: more would alarm no sooner than a night later."""
MAX_WATCHED = 10_000
"""Records of one night that are watched at all, a sample by their ids: no share needs more, and memory does not grow with the night."""
NO_SITE = ""
"""Under this name stand records of no site, beside those of sites."""
ALARM = float(-np.log(ALPHA))
"""Log capital from which on there is drift."""
_READ = frozenset({*tables.RECORD_INDEX.names, "probability", "quality", "beat_s"})


class Seen(NamedTuple):
    """What is watched of one record."""

    record_id: str
    score: float
    quality: float
    beat_s: float
    kind: str
    site: str
    threshold: float


@dataclass(frozen=True, kw_only=True, eq=False)
class WatchedRecords:
    """The night's records that the version was not trained on, one a patient, ordered by id, `MAX_WATCHED` of them at most; and how many
    were decided on in all. ``decided`` and ``uninterpretable`` count by site.
    """

    seen: Sequence[Seen]
    decided: Counter[str]
    uninterpretable: Counter[str]

    def at(self, site: str) -> "WatchedRecords":
        """Return those of one site."""
        return replace(self, seen=[one for one in self.seen if one.site == site])

    def values(self, measure: str) -> list[Any]:
        """Return one value a record, nan where it is not known."""
        if measure == "abnormal":
            return called_abnormal(np.array([one.score for one in self.seen]), threshold=self.thresholds)
        return [getattr(one, "kind" if measure == "input" else measure) for one in self.seen]

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """The threshold of each record, which may be that of its site."""
        return np.array([one.threshold for one in self.seen], dtype=np.float64)

    def estimated(self) -> dict[str, StoredFigure]:
        """Return the figures that the probabilities let expect; nothing without any record."""
        if not self.seen:
            return {}
        found = estimate([one.score for one in self.seen], threshold=self.thresholds, seed=BOOTSTRAP_SEED)
        return {name: StoredFigure(**plain_interval(interval)) for name, interval in found.items()}


def night_of(store: ObjectStore, recipe: str, version: str, *, pinned: ReportPin, shards: Sequence[str]) -> MonitoringRun:
    """Return what a night's file holds."""
    before = last_night(store, recipe, version, but=pinned.run)
    references = references_of(store, recipe, version)
    read = _read(store, recipe, version, shards)
    ids = [one.record_id for one in read.seen[:MAX_RECORDS]]
    measures = {}
    for name, reference in references.items():
        past = None if before is None else before.measures.get(name)
        values = read.values(name)
        spread = _spread(reference, values, None if past is None else past.pool)
        known = [(record_id, value) for record_id, value in zip(ids, values, strict=False) if value == value]  # noqa: PLR0124  # not nan
        martingale = Martingale.start(reference.counts) if past is None else Martingale.from_dict(plain(past.martingale))
        martingale = martingale.after(reference.bins([value for _, value in known]), _ties(name, [record_id for record_id, _ in known]))
        measures[name] = Measured(
            **plain(spread),
            martingale=convert(martingale.as_dict(), Stakes),
        )
    joint = joint_log_capital([found.martingale.scale for found in measures.values()]) if measures else 0.0
    alarmed = "" if before is None else before.since
    return MonitoringRun(
        recipe=recipe,
        version=version,
        run=pinned.run,
        date=pinned.date,
        number=1 if before is None else before.number + 1,
        before="" if before is None else before.run,
        decided=read.decided.total(),
        uninterpretable=read.uninterpretable.total(),
        watched=len(read.seen),
        watched_so_far=len(read.seen) + (0 if before is None else before.watched_so_far),
        measures=measures,
        joint=float(joint),
        since=alarmed or (pinned.run if joint >= ALARM else ""),
        estimated=read.estimated(),
        sites=_sites(read, references, {} if before is None else before.sites),
    )


def _spread(reference: Reference, values: Sequence[Any], pool_before: tuple[int, ...] | None) -> SpreadAtSite:
    """Return how a measure is spread, pooled with the nights before until there are enough records to compare."""
    counts = np.bincount(reference.bins(values), minlength=len(reference.counts))
    pool = counts if pool_before is None or sum(pool_before) >= MIN_SAMPLE else counts + np.array(pool_before)
    stability = population_stability(reference.counts, pool)
    return SpreadAtSite(
        counts=tuple(counts.tolist()),
        pool=tuple(pool.tolist()),
        psi=nan_to_none(stability.value),
        psi_by_chance=nan_to_none(stability.by_chance),
        psi_large=bool(stability.is_large),
    )


def _sites(read: WatchedRecords, references: Mapping[str, Reference], before: Mapping[str, SiteNight]) -> dict[str, SiteNight]:
    """Return the night of every site that has records or had some, and of the rest; nothing where there never was a site."""
    names = sorted({*read.decided, *before} - {NO_SITE})
    if not names:
        return {}
    found = {}
    for site in (*names, NO_SITE):
        here, past = read.at(site), before.get(site)
        measures = {
            name: _spread(reference, here.values(name), None if past is None or name not in past.measures else past.measures[name].pool)
            for name, reference in references.items()
        }
        found[site] = SiteNight(
            decided=read.decided[site],
            uninterpretable=read.uninterpretable[site],
            watched=len(here.seen),
            quality=float(np.mean([one.quality for one in here.seen])) if here.seen else None,
            measures=measures,
            estimated=here.estimated(),
        )
    return found


def references_of(store: ObjectStore, recipe: str, version: str) -> dict[str, Reference]:
    """Return what the version was tested on, measure by measure; nothing where it does not say, or where a measure was never seen."""
    stored = metrics_of(store, recipe, version).reference
    found = {name: stored[name] for name in MEASURES if name in stored}
    return {name: reference for name, reference in found.items() if reference.counts.sum() > 0}


def _read(store: ObjectStore, recipe: str, version: str, shards: Sequence[str]) -> WatchedRecords:
    """Read the decisions on these shards, less what the version was trained on and all but one record of a patient."""
    late = Descriptions.read(store)
    rule = ModelSpec.from_json(store.get(keys.model_file(recipe, version, SPEC))).rule
    trained_on = TrainedOn.read(store, recipe, version, late)
    predictions = store.get_many(keys.predictions(recipe, shard, version) for shard in shards)
    indexes = store.get_many(keys.record_index(shard) for shard in shards)
    by_patient: dict[str, Seen] = {}
    decided, uninterpretable = Counter[str](), Counter[str]()
    last = ""  # once there is one: records behind this id are not watched
    for said, index in zip(predictions, indexes, strict=True):
        rows = join([VersionPredictions(recipe=recipe, version=version, data=said)], index, _READ, late=late).columns
        sites = [site or NO_SITE for site in rows["site"]]
        decided.update(sites)
        uninterpretable.update(sites[row] for row in np.flatnonzero(np.isnan(rows["probability"])))
        kinds, thresholds = input_kinds(rows), rule.limits(rows["site"]).threshold
        for row, record_id in enumerate(rows["record_id"]):
            if (last and record_id > last) or np.isnan(rows["probability"][row]):
                continue
            if trained_on.why(record_id, int(rows["split_bucket"][row]), rows["patient"][row], rows["public_patient"][row]):
                continue
            score, quality, beat_s = (float(rows[name][row]) for name in ("probability", "quality", "beat_s"))
            one = Seen(record_id, score, quality, beat_s, kinds[row], sites[row], float(thresholds[row]))
            patient = rows["patient"][row] or record_id
            by_patient[patient] = min(by_patient.get(patient, one), one)
        # A patient that is left out here never comes back in by a later record: its own smallest id lies beyond all that are kept.
        if len(by_patient) > 2 * MAX_WATCHED:
            by_patient = _first(by_patient)
            last = max(one.record_id for one in by_patient.values())
    by_patient = _first(by_patient)
    return WatchedRecords(
        seen=sorted(by_patient.values()),
        decided=decided,
        uninterpretable=uninterpretable,
    )


def _first(by_patient: dict[str, Seen]) -> dict[str, Seen]:
    return dict(heapq.nsmallest(MAX_WATCHED, by_patient.items(), key=itemgetter(1)))


def _ties(measure: str, record_ids: Sequence[str]) -> NDArray[np.float64]:
    """Return a number in (0, 1) for each record that is the same at every rerun and has nothing to do with the record's values."""
    drawn = [int.from_bytes(hashlib.sha256(f"{measure}:{record_id}".encode()).digest()[:6]) for record_id in record_ids]
    return (np.array(drawn, dtype=np.float64) + 0.5) / 2.0**48


def last_night(store: ObjectStore, recipe: str, version: str, *, but: str = "") -> MonitoringRun | None:
    """Return the latest night of this version, other than that of the run ``but``."""
    listed = [item for item in store.list_objects(f"{keys.MONITORING}{recipe}/") if keys.stem(item.key) != but]
    listed.sort(key=lambda item: item.modified, reverse=True)
    latest: MonitoringRun | None = None
    at = None
    for item in listed:  # the newest is nearly always of this version; a store that tells seconds may have several of the same one
        if latest is not None and item.modified != at:
            break
        night = _get(store, item.key)
        if night.version == version and (latest is None or night.number > latest.number):
            latest, at = night, item.modified
    return latest


def all_nights(store: ObjectStore, recipe: str) -> list[MonitoringRun]:
    """Return every night of a recipe, oldest first."""
    found = [_get(store, key) for key in store.list_keys(f"{keys.MONITORING}{recipe}/")]
    return sorted(found, key=lambda night: (night.version, night.number))


@keep(4096)
def _get(store: ObjectStore, key: str) -> MonitoringRun:
    return documents.read(store, MonitoringRun, key)  # written once
