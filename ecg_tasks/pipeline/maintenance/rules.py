"""Here: what in the bucket is old enough to go, and what stays however old because something kept needs it. Not here: deleting it.

Reports and backfills that stay keep the predictions of their versions; pictures are kept for recipes in use alone. What is not named in
`RULES` is never deleted: records, labels, groups, datasets, models, monitoring, accounts, the log.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ecg_tasks.archive import account_lists, keys, registry, sources, tables
from ecg_tasks.archive.documents import (
    BackfillManifest,
    BackfillPin,
    ClassifyManifest,
    IntakeManifest,
    PrefixTally,
    ReportPin,
    find,
    read_manifests,
)
from ecg_tasks.archive.object_store import ObjectInfo, ObjectStore
from ecg_tasks.errors import ConfigurationError, DamagedStoreError
from ecg_tasks.names import DagId
from ecg_tasks.pipeline.champions.versions import pictures_of
from ecg_tasks.signals import measurements, near_duplicates
from ecg_tasks.signals.recipes import RECIPES

INDEX = "index.html"
_WHOLE_KEY = 99


@dataclass(frozen=True, kw_only=True)
class _Use:
    """What a run of ``classify_records`` or ``backfill_version`` writes, and the versions (recipe and name) that decide in it."""

    folder: str
    versions: frozenset[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """What is known when a rule is applied: runs that are still at work, and by prefix the units that stay, of the prefixes before."""

    store: ObjectStore
    at_work: Sequence[_Use]
    units: dict[str, set[str]] = field(default_factory=dict)


Needed = Callable[[str], bool]
"""Whether something that stays needs this unit, however old it is."""


def _by_nothing(_kept: _Kept) -> Needed:
    return lambda _unit: False


def _by_a_run_at_work(kept: _Kept) -> Needed:
    return {use.folder for use in kept.at_work}.__contains__


def _by_a_report_or_to_serve(kept: _Kept) -> Needed:
    """Keep predictions of versions that serve, of those of reports and backfills that stay, and of those that runs at work have pinned."""
    written = kept.units[keys.REPORTS] | kept.units[keys.BACKFILLS]
    uses = [*kept.at_work, *(use for use in _named_keys(kept.store) if use.folder in written)]
    versions = _serving(kept.store).union(*(use.versions for use in uses))
    return lambda key: (key.split("/")[1], keys.stem(key)) in versions


def _by_the_next_intake(_kept: _Kept) -> Needed:
    """Keep what every intake reads: which recordings were forgotten."""
    return {keys.REFUSED, keys.REFUSED_NAMES}.__contains__


def _of_a_recipe_in_use(kept: _Kept) -> Needed:
    """Keep pictures that are still made, or that a version that serves reads."""
    store = kept.store
    folders = {recipe.key for recipe in RECIPES.values()} | {pictures_of(store, *version) for version in _serving(store)}
    return lambda key: key.split("/")[1] in folders


def _by_todays_kind(_kept: _Kept) -> Needed:
    return lambda key: key.split("/")[1] == near_duplicates.KEY


def _by_todays_method(_kept: _Kept) -> Needed:
    return lambda key: key.split("/")[1] == measurements.METHOD


def _by_a_record(kept: _Kept) -> Needed:
    return {f"{keys.RAW}{sha256}" for sha256 in with_their_files(kept.store, record_sources(kept.store))}.__contains__


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How one prefix is kept.

    Parameters
    ----------
    prefix : below which it holds
    needed : what stays however old, given what stays of the prefixes before
    depth : so many segments of a key name what is deleted together (a report, a run's staging); it is as old as its newest object
    at_least : days that can be asked for, but for 0, which is for ever: what a run at work may still need is younger
    """

    prefix: str
    needed: Callable[[_Kept], Needed] = _by_nothing
    depth: int = _WHOLE_KEY
    at_least: float = 0.0

    def unit(self, key: str) -> str:
        """Return the unit with which the key is kept or removed."""
        return "/".join(key.split("/")[: self.depth])


RULES = {
    "reports": Rule(prefix=keys.REPORTS, depth=3, needed=_by_a_run_at_work),
    "backfills": Rule(prefix=keys.BACKFILLS, depth=2, needed=_by_a_run_at_work),
    "predictions": Rule(prefix=keys.PREDICTIONS, needed=_by_a_report_or_to_serve),
    "spectrograms": Rule(prefix=keys.SPECTROGRAMS, needed=_of_a_recipe_in_use),
    "measurements": Rule(prefix=keys.MEASUREMENTS, needed=_by_todays_method),
    "signatures": Rule(prefix=keys.SIGNATURES, needed=_by_todays_kind),
    "checkpoints": Rule(prefix=keys.CHECKPOINTS, depth=3, at_least=7.0),  # a run of retrain_model ends within six days
    "staging": Rule(prefix=keys.STAGING, depth=3, at_least=7.0, needed=_by_the_next_intake),
    "quarantine": Rule(prefix=keys.QUARANTINE, depth=2),
    "raw": Rule(prefix=keys.RAW, depth=2, at_least=7.0, needed=_by_a_record),
    "access": Rule(prefix=keys.ACCESS, depth=2, at_least=90.0),
}
"""In the order in which they are applied: whatever needs another comes before it."""
DEADLINES = {"quarantine": 30.0, "staging": 30.0, "access": 730.0}
"""Days after which a scheduled run deletes what may name people, unless a setting gives others: what could not be read, and its plans;
and who saw what, which names those who work here."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What is there below the rules' prefixes, and what of it may go."""

    tallies: dict[str, PrefixTally] = field(default_factory=dict)
    present: set[str] = field(default_factory=set)
    deletable: dict[str, ObjectInfo] = field(default_factory=dict)


def checked_days(days: Mapping[str, float]) -> dict[str, float]:
    """Return the days for every rule, 0 (for ever) where none are given.

    Raises
    ------
    ConfigurationError
        If there is no such rule, or it cannot be kept for so few days.
    """
    for name, asked in days.items():
        if name not in RULES:
            raise ConfigurationError(f"nothing is ever deleted below {name}/; there are rules for {', '.join(RULES)}")
        if asked < 0 or 0 < asked < RULES[name].at_least:
            raise ConfigurationError(f"{name} for {asked:g} days: it must be 0, for ever, or at least {RULES[name].at_least:g}")
    return {name: float(days.get(name, 0)) for name in RULES}


def judge(store: ObjectStore, days: Mapping[str, float], *, at: datetime) -> Judged:
    """List every prefix that has a rule, and find what is older than its days at the moment ``at`` and needed by nothing that stays."""
    kept = _Kept(store=store, at_work=list(_at_work(store)))
    judged = Judged()
    for name, rule in RULES.items():
        found = list(store.list_objects(rule.prefix))
        newest: dict[str, datetime] = {}
        for item in found:
            unit = rule.unit(item.key)
            newest[unit] = max(newest.get(unit, item.modified), item.modified)
        n_days = days.get(name, 0)  # a plan of an earlier version may not know the rule
        limit = at - timedelta(days=n_days) if n_days else datetime.min.replace(tzinfo=at.tzinfo)
        old = {unit for unit, modified in newest.items() if modified < limit}
        needed = set(filter(rule.needed(kept), old))
        kept.units[rule.prefix] = newest.keys() - (old - needed)
        stays = [item for item in found if rule.unit(item.key) in needed]
        goes = [item for item in found if rule.unit(item.key) in old - needed]
        judged.present.update(item.key for item in found)
        judged.deletable.update((item.key, item) for item in goes)
        judged.tallies[name] = PrefixTally(
            objects=len(found),
            bytes=_size(found),
            needed_objects=len(stays),
            needed_bytes=_size(stays),
            deletable_objects=len(goes),
            deletable_bytes=_size(goes),
        )
    return judged


def _size(items: Sequence[ObjectInfo]) -> int:
    return sum(item.size for item in items)


def _serving(store: ObjectStore) -> set[tuple[str, str]]:
    champions = [registry.read_champion(store, recipe) for recipe in RECIPES]
    return {(champion.recipe, champion.version) for champion in champions if champion is not None}


def _named_keys(store: ObjectStore) -> Iterator[_Use]:
    """Yield the runs that have written their account."""
    for night in read_manifests(store, ClassifyManifest):
        yield _use(night, night.report)
    for backfill in read_manifests(store, BackfillManifest):
        yield _use(backfill, backfill.page)


def _at_work(store: ObjectStore) -> Iterator[_Use]:
    """Yield the runs that have pinned their versions, and have not written their account."""
    for dag, kind in ((DagId.CLASSIFY_RECORDS, ReportPin), (DagId.BACKFILL_VERSION, BackfillPin)):
        ended = {keys.stem(key) for key in store.list_keys(f"{keys.MANIFESTS}{dag}/")}
        for key in store.list_keys(f"{keys.STAGING}{dag}/"):
            if key.endswith("/pin.json") and key.split("/")[2] not in ended and (pin := find(store, kind, key)) is not None:
                yield _use(pin, keys.backfill(pin.name, INDEX) if isinstance(pin, BackfillPin) else keys.report(pin.date, pin.run, INDEX))


def _use(run: ClassifyManifest | BackfillManifest | ReportPin, page: str) -> _Use:
    versions = {(recipe, pinned.version) for recipe, pinned in run.champions.items()}
    if isinstance(run, BackfillManifest | BackfillPin):
        versions.add((run.recipe, run.against))
    return _Use(folder=page.rpartition("/")[0], versions=frozenset(versions))


def record_sources(store: ObjectStore) -> set[str]:
    """Return the SHA-256 of every dropped file that a record of the archive comes from.

    Raises
    ------
    DamagedStoreError
        If an index cannot be read: what is not known to be needed must not go.
    """
    found: set[str] = set()
    indexes = store.list_keys(keys.RECORD_INDEX)
    for key, data in zip(indexes, store.get_many(indexes), strict=True):
        try:
            found.update(tables.load(data, ["source"])["source"])
        except (ValueError, OSError) as error:  # PyArrow raises both
            raise DamagedStoreError(f"{key} cannot be read: {error}") from error
    return found


def with_their_files(store: ObjectStore, needed: set[str]) -> set[str]:
    """Return these sources and the SHA-256 of all their files, by the intakes' accounts, or by their lists where no account has them.

    Raises
    ------
    DamagedStoreError
        If a list cannot be read: what is not known to be needed must not go.
    """
    found = set(needed)
    untold = set(needed)
    for intake in read_manifests(store, IntakeManifest):
        for one in account_lists.inputs(store, intake):
            digests = {file.sha256 for file in one.files if file.sha256}
            if one.source in needed and digests:
                found |= digests
                untold.discard(one.source)
    for source in sorted(untold):
        try:
            found.update(file.sha256 for file in sources.listed(store, source) or ())
        except (ValueError, KeyError) as error:
            raise DamagedStoreError(f"{keys.raw_list(source)} cannot be read: {error}") from error
    return found
