"""Here: what in the bucket is old enough to go, and what stays however old because something kept needs it. Not here: deleting it.

What is kept is found from the top down: the reports and backfills that stay, the predictions that these need, the pictures that those
were made from. What is not named in `RULES` is never deleted: records, labels, groups, datasets, models, monitoring, accounts, the log.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ecg_tasks.archive import keys, registry, sources, tables
from ecg_tasks.archive.object_store import ObjectInfo, ObjectStore
from ecg_tasks.archive.workspace import find_json
from ecg_tasks.errors import ConfigurationError, DamagedStoreError
from ecg_tasks.pipeline.champions.versions import pictures_of
from ecg_tasks.signals import near_duplicates
from ecg_tasks.signals.recipes import RECIPES

INGEST_DAG, CLASSIFY_DAG, BACKFILL_DAG = "ingest_records", "classify_records", "backfill_version"
INDEX = "index.html"
_WHOLE_KEY = 99


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How one prefix is kept.

    Parameters
    ----------
    prefix : below which it holds
    depth : so many segments of a key name what is deleted together (a report, a run's staging); it is as old as its newest object
    at_least : days that can be asked for, but for 0, which is for ever: what a run at work may still need is younger
    """

    prefix: str
    depth: int = _WHOLE_KEY
    at_least: float = 0.0

    def unit(self, key: str) -> str:
        """What the key stands and falls with."""
        return "/".join(key.split("/")[: self.depth])


RULES = {
    "reports": Rule(prefix=keys.REPORTS, depth=3),
    "backfills": Rule(prefix=keys.BACKFILLS, depth=2),
    "predictions": Rule(prefix=keys.PREDICTIONS),
    "spectrograms": Rule(prefix=keys.SPECTROGRAMS),
    "signatures": Rule(prefix=keys.SIGNATURES),
    "checkpoints": Rule(prefix=keys.CHECKPOINTS, depth=3, at_least=7.0),  # a run of retrain_model ends within six days
    "staging": Rule(prefix=keys.STAGING, depth=3, at_least=7.0),
    "quarantine": Rule(prefix=keys.QUARANTINE, depth=2),
    "raw": Rule(prefix=keys.RAW, depth=2, at_least=7.0),
}
"""In the order in which they are judged: whatever needs another comes before it."""


@dataclass(kw_only=True)
class Tally:
    """Objects and bytes of one prefix: all of them, those that are old but needed, and those that may go."""

    objects: int = 0
    bytes: int = 0
    needed_objects: int = 0
    needed_bytes: int = 0
    deletable_objects: int = 0
    deletable_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What is there below the rules' prefixes, and what of it may go."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    present: set[str] = field(default_factory=set)
    deletable: dict[str, ObjectInfo] = field(default_factory=dict)


def checked_days(days: Mapping[str, float]) -> dict[str, float]:
    """Days for every rule, 0 (for ever) where none are given.

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
    needs = _Needs(store)
    judged = Judged()
    for name, rule in RULES.items():
        found = list(store.list_objects(rule.prefix))
        newest: dict[str, datetime] = {}
        for item in found:
            unit = rule.unit(item.key)
            newest[unit] = max(newest.get(unit, item.modified), item.modified)
        limit = at - timedelta(days=days[name]) if days[name] else datetime.min.replace(tzinfo=at.tzinfo)
        old = {unit for unit, modified in newest.items() if modified < limit}
        needed = needs.among(name)
        kept_for_others = {unit for unit in old if needed(unit)}
        judged.tallies[name] = _tally(judged, rule, found, old=old, needed=kept_for_others)
        needs.stay(name, newest.keys() - (old - kept_for_others))
    return judged


def _tally(judged: Judged, rule: Rule, found: list[ObjectInfo], *, old: set[str], needed: set[str]) -> Tally:
    tally = Tally()
    for item in found:
        unit = rule.unit(item.key)
        judged.present.add(item.key)
        tally.objects += 1
        tally.bytes += item.size
        if unit in needed:
            tally.needed_objects += 1
            tally.needed_bytes += item.size
        elif unit in old:
            tally.deletable_objects += 1
            tally.deletable_bytes += item.size
            judged.deletable[item.key] = item
    return tally


class _Needs:
    """Who needs what, judged prefix by prefix in the order of `RULES`."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._at_work = [*_at_work(store, CLASSIFY_DAG), *_at_work(store, BACKFILL_DAG)]
        self._reports: set[str] = set()
        self._backfills: set[str] = set()
        self._pictures: set[tuple[str, str]] = set()

    def among(self, name: str) -> Callable[[str], bool]:
        """Tells of an old unit of this prefix whether something that stays needs it."""
        if name == "predictions":
            versions = self._versions()
            return lambda key: (key.split("/")[1], keys.stem(key)) in versions
        if name == "spectrograms":
            in_use = self._recipes_in_use()
            return lambda key: key.split("/")[1] in in_use or (key.split("/")[1], keys.stem(key)) in self._pictures
        if name == "signatures":
            return lambda key: key.split("/")[1] == near_duplicates.KEY
        if name == "quarantine":  # what was refused unread stands nowhere else
            raw = set(self._store.list_folders(keys.RAW))
            return lambda unit: unit.removeprefix(keys.QUARANTINE).partition("-")[0] not in raw
        units: set[str] = set()
        if name in {"reports", "backfills"}:
            units = {pin["folder"] for pin in self._at_work}
        elif name == "raw":
            units = {f"{keys.RAW}{sha256}" for sha256 in with_their_files(self._store, record_sources(self._store))}
        return lambda unit: unit in units

    def stay(self, name: str, units: set[str]) -> None:
        """Take down which units of a prefix stay, for what is judged after it."""
        if name == "reports":
            self._reports = units
        elif name == "backfills":
            self._backfills = units
        elif name == "predictions":
            self._pictures = set(self._pictures_behind(units)) | set(self._pictures_trained_on())

    def _versions(self) -> set[tuple[str, str]]:
        """Versions whose predictions stay: those that serve, those of reports and backfills that stay, and those of runs at work."""
        store = self._store
        champions = [registry.read_champion(store, recipe) for recipe in RECIPES]
        found = {(champion.recipe, champion.version) for champion in champions if champion is not None}
        accounts = [json.loads(data) for data in store.get_many(store.list_keys(f"{keys.MANIFESTS}{CLASSIFY_DAG}/"))]
        told = [account for account in accounts if account["report"].rpartition("/")[0] in self._reports]
        accounts = [json.loads(data) for data in store.get_many(store.list_keys(f"{keys.MANIFESTS}{BACKFILL_DAG}/"))]
        told += [account for account in accounts if account["page"].rpartition("/")[0] in self._backfills]
        for one in (*told, *self._at_work):
            found |= {(recipe, champion["version"]) for recipe, champion in one["champions"].items()}
            if "against" in one:
                found.add((one["recipe"], one["against"]))
        return found

    def _recipes_in_use(self) -> set[str]:
        """Folders of pictures that are still made, or that a version that serves reads."""
        found = {recipe.key for recipe in RECIPES.values()}
        for name in RECIPES:
            champion = registry.read_champion(self._store, name)
            if champion is not None and (key := pictures_of(self._store, name, champion.version)) is not None:
                found.add(key)
        return found

    def _pictures_behind(self, predictions: set[str]) -> Iterator[tuple[str, str]]:
        """The pictures from which predictions that stay were made, as folder and shard."""
        folders: dict[tuple[str, str], str | None] = {}
        for key in predictions:
            _, recipe, shard, _ = key.split("/")
            version = keys.stem(key)
            if (recipe, version) not in folders:
                folders[recipe, version] = pictures_of(self._store, recipe, version)
            folder = folders[recipe, version]
            if folder is not None:
                yield folder, shard

    def _pictures_trained_on(self) -> Iterator[tuple[str, str]]:
        """The pictures that a training's manifest names."""
        manifests = [key for key in self._store.list_keys(keys.DATASETS) if key.endswith("/manifest.json")]
        for data in self._store.get_many(manifests):
            manifest: Mapping[str, Any] = json.loads(data)
            for shard in manifest["shards"]:
                yield manifest["recipe"], shard


def _at_work(store: ObjectStore, dag: str) -> Iterator[dict[str, Any]]:
    """Pins of the runs of a DAG that have not written their account, with the folder that they write into."""
    ended = {keys.stem(key) for key in store.list_keys(f"{keys.MANIFESTS}{dag}/")}
    for key in store.list_keys(f"{keys.STAGING}{dag}/"):
        if key.endswith("/pin.json") and key.split("/")[2] not in ended and (pin := find_json(store, key)) is not None:
            page = keys.backfill(pin["name"], INDEX) if dag == BACKFILL_DAG else keys.report(pin["date"], pin["run"], INDEX)
            yield pin | {"folder": page.rpartition("/")[0]}


def record_sources(store: ObjectStore) -> set[str]:
    """SHA-256 of every dropped file that a record of the archive comes from.

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
    """These sources and the SHA-256 of every file of theirs, by the intakes' accounts, and by their lists where no account tells of them.

    Raises
    ------
    DamagedStoreError
        If a list cannot be read: what is not known to be needed must not go.
    """
    found = set(needed)
    untold = set(needed)
    for data in store.get_many(store.list_keys(f"{keys.MANIFESTS}{INGEST_DAG}/")):
        for one in json.loads(data)["inputs"]:
            digests = [file["sha256"] for file in one["files"] if "sha256" in file]
            if one["source"] in needed and digests:
                found.update(digests)
                untold.discard(one["source"])
    for source in sorted(untold):
        try:
            found.update(file.sha256 for file in sources.listed(store, source) or ())
        except (ValueError, KeyError) as error:
            raise DamagedStoreError(f"{keys.raw_list(source)} cannot be read: {error}") from error
    return found
