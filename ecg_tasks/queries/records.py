"""Here: everything the archive knows of one record, made on demand from its shard. Not here: drawing it, or the reviewers' verdicts.

A shard's name comes from its content and a prediction's from shard and version, so what was read once stays true until something is
forgotten; the few latest are kept.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.archive import forgotten, keys, packed_copies, sources, tables
from ecg_tasks.archive.cache import keep
from ecg_tasks.archive.descriptions import Descriptions
from ecg_tasks.archive.object_store import ObjectInfo, ObjectStore
from ecg_tasks.archive.record_shards import StoredRecord, find_record
from ecg_tasks.errors import BadInputError, ConfigurationError, DamagedStoreError, MissingObjectError
from ecg_tasks.evaluation.ages import AgeRange
from ecg_tasks.pipeline.champions.versions import ages_of, flagged
from ecg_tasks.pipeline.reports.detailing import shown_views
from ecg_tasks.queries.models import Version, serving, version
from ecg_tasks.reporting.model import SpectrogramView
from ecg_tasks.settings import Settings
from ecg_tasks.signals.measurements import METHOD
from ecg_tasks.signals.recipes import RECIPES, Recipe, get_recipe, recipe_of
from ecg_tasks.signals.record import Record


@dataclass(frozen=True, kw_only=True)
class StoredDecision:
    """What one version decided on a record; ``probability`` is P(abnormal), None if no window could be used."""

    version: Version
    decision: str
    probability: float | None
    n_windows: int
    n_used: int
    quality: float
    flags: str
    seconds_read: str
    """The seconds that the decision is based on; empty for a heartbeat row, and where an older version has decided."""
    key: str
    """Of the predictions that it stands in."""
    values: Mapping[str, Any]
    """Its whole row, with columns that are newer than this page."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """One window of a record as it was rendered."""

    number: int
    start_s: float
    quality: float
    flags: str


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordPage:
    """One record from its bytes to its decisions.

    Parameters
    ----------
    shard : where it lies in the archive
    stored : signal and origin
    decided : what decides on it now, or what was asked for; None while a champion has not decided on its shard
    waits_for : recipes whose champion has not decided yet
    others : decisions by other versions and recipes, newest version first
    windows, pictures : how it was cut for ``decided``, and the decoded pictures of the first windows, shape (n, height, width, channels)
    views : those pictures, ready to be drawn
    spectrograms_key : where the pictures lie; empty without any
    raw : the dropped files, key and size in bytes; of one that is kept with others in one object, its place in this
    measured : the row of ``tables.MEASUREMENTS``; None in every column where nothing was measured yet
    """

    shard: str
    stored: StoredRecord
    decided: StoredDecision | None
    waits_for: tuple[str, ...]
    others: tuple[StoredDecision, ...]
    windows: tuple[Window, ...]
    pictures: NDArray[np.uint8] | None
    views: tuple[SpectrogramView, ...]
    spectrograms_key: str
    raw: tuple[tuple[str, int], ...]
    measured: Mapping[str, Any]


def record_page(store: ObjectStore, record_id: str, *, champions: Mapping[str, str] | None = None) -> RecordPage | None:
    """Gather one record, or None if the archive has none of this id.

    ``champions`` (recipe to version) are those of the run whose report one comes from; without it, those that serve now.
    """
    shard = shard_of(store, record_id)
    if shard is None:
        return None
    stored = stored_record(store, shard, record_id)
    if stored is None:
        raise LookupError(f"record_index names {record_id} in shard {shard}, which does not hold it")
    stored = Descriptions.read(store, [record_id]).stored(stored)
    said = _said_of(store, shard)
    found = [_of_person(store, one, stored.record) for one in _decisions(store, said, record_id)]
    if champions is None:
        champions = _serving(store)
    there = {item.key for item in said}
    open_recipes = tuple(name for name in _in_use(champions) if keys.predictions(name, shard, champions[name]) not in there)
    chosen = None if open_recipes else _chosen(found, champions)
    windows: tuple[Window, ...] = ()
    pictures: NDArray[np.uint8] | None = None
    views: tuple[SpectrogramView, ...] = ()
    spectrograms_key = ""
    if chosen is not None and (recipe := _read_by(chosen.version)) is not None:
        spectrograms_key = keys.spectrograms(recipe.key, shard)
        windows, pictures, views = _rendered(store, spectrograms_key, recipe, record_id)
    return RecordPage(
        shard=shard,
        stored=stored,
        decided=chosen,
        waits_for=open_recipes,
        others=tuple(one for one in found if one is not chosen),
        windows=windows,
        pictures=pictures,
        views=views,
        spectrograms_key=spectrograms_key if windows else "",
        measured=_measured(store, shard, record_id),
        raw=_raw_files(store, stored.source, record_id, forgotten=forgotten.generation(store)),
    )


def stored_record(store: ObjectStore, shard: str, record_id: str) -> StoredRecord | None:
    """Return a record as its shard has it, without what became known of its patient later; None if it is not in the shard."""
    return find_record(_records(store, keys.record_shard(shard), forgotten=forgotten.generation(store)), record_id)


def _measured(store: ObjectStore, shard: str, record_id: str) -> Mapping[str, Any]:
    try:
        data = store.get(keys.measurements(METHOD, shard))
    except MissingObjectError:
        return dict.fromkeys(tables.MEASUREMENTS.names)
    columns = tables.load(data, of_records=[record_id])
    return {name: values[0] if len(values) else None for name, values in columns.items()}


def waits_for(store: ObjectStore, shard: str) -> tuple[str, ...]:
    """Return the recipes in use whose champion has not decided on a shard yet; reports count its records as pending while there is one."""
    wanted = _serving(store)
    return tuple(name for name in _in_use(wanted) if not store.exists(keys.predictions(name, shard, wanted[name])))


def _in_use(champions: Mapping[str, str]) -> list[str]:
    return [name for name in Settings.from_environment().recipes if name in champions]


def _serving(store: ObjectStore) -> dict[str, str]:
    """Return the version that serves, of every recipe in use that has one."""
    found = {name: serving(store, name) for name in Settings.from_environment().recipes}
    return {name: one for name, one in found.items() if one is not None}


def shard_of(store: ObjectStore, record_id: str) -> str | None:
    """Name of the shard that holds a record; the archive is listed again only for an id that is not known yet."""
    return _archive(store, forgotten=forgotten.generation(store)).shard_of(record_id)


class _Archive:
    """Which record lies in which shard: 40 bytes a record in memory, read from the shards' indexes as they come."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._lock = Lock()
        self._shards: list[str] = []
        self._ids: NDArray[np.bytes_] = np.empty(0, dtype="S32")
        self._shard: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def shard_of(self, record_id: str) -> str | None:
        found = self._look_up(record_id)
        if found is None:
            with self._lock:
                self._read_new()
            found = self._look_up(record_id)
        return found

    def _look_up(self, record_id: str) -> str | None:
        ids, shard = self._ids, self._shard  # replaced together only by growing: an old pair is as right as a new one
        place = int(np.searchsorted(ids, record_id.encode()))
        return self._shards[shard[place]] if place < len(ids) and len(shard) == len(ids) and ids[place] == record_id.encode() else None

    def _read_new(self) -> None:
        known = set(self._shards)
        new = [name for name in map(keys.stem, self._store.list_keys(keys.RECORD_INDEX)) if name not in known]
        parts = [tables.load(data, ["record_id"])["record_id"] for data in self._store.get_many(map(keys.record_index, new))]
        if parts:
            ids = np.concatenate([self._ids, *(np.array(part, dtype="S32") for part in parts)])
            numbers = np.repeat(np.arange(len(self._shards), len(self._shards) + len(parts)), [len(part) for part in parts])
            shard = np.concatenate([self._shard, numbers])
            order = np.argsort(ids, kind="stable")
            self._shards += new
            self._shard, self._ids = shard[order], ids[order]


Generation: TypeAlias = tuple[tuple[str, str], ...]


@keep(4)
def _archive(store: ObjectStore, *, forgotten: Generation) -> _Archive:  # noqa: ARG001 - a generation
    return _Archive(store)


@keep(4)
def _records(store: ObjectStore, key: str, *, forgotten: Generation) -> tables.Columns:  # noqa: ARG001 - a generation
    """Return the columns of a shard, about 32 MB."""
    return tables.load(store.get(key))


@keep(8)
def _spectrograms(store: ObjectStore, key: str, *, forgotten: Generation) -> tables.Columns:  # noqa: ARG001 - a generation
    return tables.load(store.get(key))


@keep(64)
def _predictions(store: ObjectStore, key: str, *, etag: str) -> tables.Columns:  # noqa: ARG001 - a generation
    return tables.load(store.get(key))


@keep(256)
def _raw_files(
    store: ObjectStore,
    source: str,
    record_id: str,
    *,
    forgotten: Generation,  # noqa: ARG001 - a generation
) -> tuple[tuple[str, int], ...]:
    try:
        files = sources.listed(store, source)
    except (ValueError, KeyError):  # a damaged list; `lineage` says so
        files = None
    if files is not None:
        return tuple((file.key, file.n_bytes) for file in files)
    kept = list(store.list_objects(f"{keys.RAW}{source}/"))
    copies = [item for item in kept if keys.digest_of_copies(item.key)]
    if not copies:
        return tuple((item.key, item.size) for item in kept)
    try:
        found = ((item, file) for item in copies for file in packed_copies.files_of(store, item, record_id))
        return tuple((packed_copies.path_in(item, file), file.n_bytes) for item, file in found)
    except (BadInputError, DamagedStoreError):
        return tuple((item.key, item.size) for item in copies)


def _said_of(store: ObjectStore, shard: str) -> list[ObjectInfo]:
    """Return the predictions that there are of a shard, recipe by recipe, the newest first."""
    written, found = forgotten.first_written(store), list[ObjectInfo]()
    for recipe in RECIPES:
        found += sorted(store.list_objects(f"{keys.PREDICTIONS}{recipe}/{shard}/"), key=written, reverse=True)
    return found


def _decisions(store: ObjectStore, said: Iterable[ObjectInfo], record_id: str) -> list[StoredDecision]:
    """Return every decision on a record, in the order of the predictions."""
    found: list[StoredDecision] = []
    for item in said:
        recipe = item.key.split("/")[1]
        columns = _predictions(store, item.key, etag=item.etag)
        if record_id not in columns["record_id"]:
            continue
        row = columns["record_id"].index(record_id)
        values = {name: values[row] for name, values in columns.items()}
        probability = float(values["probability"])
        found.append(
            StoredDecision(
                version=version(store, recipe, keys.stem(item.key)),
                decision=values["decision"],
                probability=None if np.isnan(probability) else probability,
                n_windows=int(values["n_windows"]),
                n_used=int(values["n_used"]),
                quality=float(values["quality"]),
                flags=values["flags"],
                seconds_read=values.get("seconds_read") or "",
                key=item.key,
                values=values,
            )
        )
    return found


def _of_person(store: ObjectStore, one: StoredDecision, record: Record) -> StoredDecision:
    """Return a decision with the limits that hold at the record's site, and a flag if its version was not shown people of that age."""
    ages = _ages(store, one.version.recipe, one.version.version)
    return replace(one, version=one.version.at(record.site), flags=flagged(one.flags, ages, age=record.age))


@keep(256)
def _ages(store: ObjectStore, recipe: str, version: str) -> AgeRange | None:
    return ages_of(store, recipe, version)


def _chosen(found: list[StoredDecision], champions: Mapping[str, str]) -> StoredDecision | None:
    """Return the decision that counts: by the champion of the first recipe in use that takes the record."""
    for recipe in Settings.from_environment().recipes:
        for one in found:
            if (one.version.recipe, one.version.version) == (recipe, champions.get(recipe)):
                return one
    return None


def _read_by(version: Version) -> Recipe | None:
    """Return the recipe whose pictures a version reads, today's of a version that is gone; None if its pictures cannot be read."""
    if not version.recipe_digest:
        return get_recipe(version.recipe)
    try:
        return recipe_of(version.recipe, version.recipe_digest)
    except ConfigurationError:
        return None


def _rendered(
    store: ObjectStore, key: str, recipe: Recipe, record_id: str
) -> tuple[tuple[Window, ...], NDArray[np.uint8] | None, tuple[SpectrogramView, ...]]:
    """Return how a record was cut, and what the network saw of it: the leads of its first window, or its first beats."""
    try:
        stored = _spectrograms(store, key, forgotten=forgotten.generation(store))
    except MissingObjectError:
        return (), None, ()
    rows = [row for row, owner in enumerate(stored["record_id"]) if owner == record_id and stored["window"][row] >= 0]
    windows = tuple(
        Window(
            number=int(stored["window"][row]),
            start_s=float(stored["start_s"][row]),
            quality=float(stored["quality"][row]),
            flags=stored["flags"][row],
        )
        for row in rows
    )
    if not rows:
        return windows, None, ()
    images, views = shown_views(stored, recipe, rows)
    return windows, images, tuple(views)
