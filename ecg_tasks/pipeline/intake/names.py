"""Here: by which names the archive's records were dropped, and which came last. Not here: what a table's row means (``settling``).

A record has one name in its shard. Dropped again under another name it is a duplicate, and that name is kept beside: a label table that
comes in a later drop may use it. Of several records of one name the one of the latest intake counts.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ecg_tasks.archive import audit, keys, tables
from ecg_tasks.archive.catalog import ALIAS, DESCRIPTION, RECORD, Catalog
from ecg_tasks.archive.descriptions import Person, persons_of
from ecg_tasks.archive.documents import IntakeManifest, find_manifest
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.stored_names import StoredNames


@dataclass(frozen=True, kw_only=True)
class Archived:
    """What the archive has of the names that were asked for.

    ``latest`` has for the digest of each name, and for each id, the number of the intake that added it last, and the records it added:
    several where it is not known which came last. ``persons`` has what the index says of each of these records.
    """

    latest: dict[str, tuple[int, frozenset[str]]] = field(default_factory=dict)
    persons: dict[str, Person] = field(default_factory=dict)


def look_up(store: ObjectStore, wanted: Iterable[str], *, catalog: Catalog, names: StoredNames) -> Archived:
    """Find records by names in their normal form or by digests of names, or by their ids; only what is found takes memory.

    A record that is stored with its name, and one with the digest of the same name, are of one name.
    """
    found = Archived()
    hashed = {name: names.hashed(name) for name in wanted}
    if not hashed:
        return found
    ids = frozenset(hashed)
    hashed |= {digest: digest for digest in hashed.values()}
    unclear: dict[str, dict[str, set[str]]] = {}
    meant: set[str] = set()
    for part in catalog.rows(["called", "record_id", "received"], kind=ALIAS, where={"called": hashed}):
        for name, record_id, number in zip(part["called"], part["record_id"], part["received"].tolist(), strict=True):
            meant.add(record_id)
            _add(found.latest, unclear, hashed[name], record_id, number, where="")
    columns = ["called", "record_id", "received", "shard", *tables.PERSON]
    for part in catalog.rows(columns, kind=RECORD, where={"called": hashed, "record_id": ids | meant}):
        found.persons.update(persons_of(part))
        rows = zip(part["called"], part["record_id"], part["received"].tolist(), part["shard"], strict=True)
        for name, record_id, number, shard in rows:
            if name in hashed:
                _add(found.latest, unclear, hashed[name], record_id, number, where=shard)
            if record_id in ids:
                found.latest[record_id] = (number, frozenset({record_id}))
    _settle(store, found, unclear)
    return found


def folds_of(catalog: Catalog, patients: Iterable[str]) -> dict[str, dict[int, str]]:
    """Return the folds that the archive's records give these patients (keyed hashes), each with one record of it."""
    wanted = frozenset(patients)
    if not wanted:
        return {}
    persons: dict[str, Person] = {}
    described: set[str] = set()
    for part in catalog.rows(["record_id", *tables.PERSON], kind=RECORD, where={"patient": wanted}):
        persons |= persons_of(part)
    for part in catalog.rows(["record_id"], kind=DESCRIPTION, where={"patient": wanted}):
        described.update(part["record_id"])
    persons |= catalog.described(persons.keys() | described)
    found: dict[str, dict[int, str]] = {}
    for record_id, person in sorted(persons.items()):
        if person.patient in wanted and person.fold is not None:
            found.setdefault(person.patient, {}).setdefault(person.fold, record_id)
    return found


def new_aliases(duplicates: Mapping[str, str], *, known: Archived, names: StoredNames) -> dict[str, str]:
    """Return the names, with record ids, by which records were dropped again and that stand for no record yet, or for another one.

    Parameters
    ----------
    duplicates : record ids by name
    known : what the archive had of these names
    """
    stands_for = {name: known.latest.get(names.hashed(name), (0, frozenset()))[1] for name in duplicates}
    return {name: record_id for name, record_id in duplicates.items() if stands_for[name] != {record_id}}


def write_aliases(store: ObjectStore, new: Mapping[str, str], *, number: int) -> bytes:
    """Write down by which names records were dropped again in the intake ``number``; returns what was written."""
    rows = sorted(new.items())
    columns: dict[str, Sequence[object]] = {
        "record_id": [record_id for _, record_id in rows],
        "name": [name for name, _ in rows],
        "received": [number] * len(rows),
    }
    data = tables.dump(tables.ALIASES, columns)
    store.put(keys.aliases(hashlib.sha256(data).hexdigest()[:20]), data)
    return data


def _add(
    latest: dict[str, tuple[int, frozenset[str]]],
    unclear: dict[str, dict[str, set[str]]],
    name: str,
    record_id: str,
    number: int,
    *,
    where: str,
) -> None:
    before, ids = latest.get(name, (number, frozenset()))
    if number > before:
        latest[name] = (number, frozenset({record_id}))
    elif number == before:
        latest[name] = (number, ids | {record_id})
    if number == 0:
        unclear.setdefault(name, {}).setdefault(where, set()).add(record_id)


def _settle(store: ObjectStore, found: Archived, unclear: Mapping[str, Mapping[str, set[str]]]) -> None:
    """Tell by the log of acts which of several records came last that were added before intakes had numbers."""
    several = [name for name, (number, ids) in found.latest.items() if number == 0 and len(ids) > 1]
    if not several:
        return
    order = _logged_order(store)
    for name in several:
        ranked = [(order.get(shard, -1), ids) for shard, ids in unclear[name].items()]
        last = max(rank for rank, _ in ranked)
        if min(rank for rank, _ in ranked) >= 0:
            found.latest[name] = (0, frozenset().union(*(ids for rank, ids in ranked if rank == last)))


def _logged_order(store: ObjectStore) -> dict[str, int]:
    """Return the shards that each logged intake added to the archive, numbered in the order of the log."""
    order: dict[str, int] = {}
    listed = [key for key in store.list_keys(keys.AUDIT) if audit.Name.of(key) is not None]
    for number, data in enumerate(store.get_many(listed)):
        entry = audit.Entry.from_json(data)
        if entry.action is audit.Action.INGEST:
            manifest = find_manifest(store, IntakeManifest, entry.subject)
            order.update(dict.fromkeys(() if manifest is None else manifest.shards, number))
    return order
