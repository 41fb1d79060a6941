"""Here: by which names the archive's records were dropped, and which came last. Not here: what a table's row means (``settling``).

A record has one name in its shard. Dropped again under another name it is a duplicate, and that name is kept beside: a label table that
comes in a later drop may use it. Of several records of one name the one of the latest intake counts.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from ecg_tasks.archive import audit, keys, tables
from ecg_tasks.archive.descriptions import Person, persons_of
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.workspace import find_json
from ecg_tasks.readers.record_names import normal_name

_PERSON = ("patient", "split_bucket", "age", "sex")


@dataclass(frozen=True, kw_only=True)
class Archived:
    """What the archive has of the names that were asked for.

    ``latest`` has for each name the number of the intake that let it in last, and the records it let in: several where it is not known
    which came last. ``persons`` has what the index says of each of these records.
    """

    latest: dict[str, tuple[int, frozenset[str]]] = field(default_factory=dict)
    persons: dict[str, Person] = field(default_factory=dict)


def look_up(store: ObjectStore, wanted: AbstractSet[str], *, shards: Iterable[str], aliases: Iterable[str]) -> Archived:
    """Find records by names in their normal form, or by their ids.

    Parameters
    ----------
    wanted : names and ids; only these take memory
    shards, aliases : where to look: shards' names, and keys of tables of aliases
    """
    found = Archived()
    if not wanted:
        return found
    unclear: dict[str, dict[str, set[str]]] = {}
    meant: set[str] = set()
    for key, data in _contents(store, aliases):
        columns = tables.load(data)
        for name, record_id, number in _rows(columns):
            if name in wanted:
                meant.add(record_id)
                _add(found.latest, unclear, name, record_id, number, where=key)
    shards = list(shards)
    for shard, data in zip(shards, store.get_many(keys.record_index(shard) for shard in shards), strict=True):
        columns = tables.load(data, ["record_id", "name", "received", *_PERSON])
        for name, record_id, number in _rows(columns):
            if name in wanted:
                _add(found.latest, unclear, name, record_id, number, where=shard)
                meant.add(record_id)
            if record_id in wanted:
                found.latest[record_id] = (number, frozenset({record_id}))
                meant.add(record_id)
        hit = [row for row, record_id in enumerate(columns["record_id"]) if record_id in meant]
        if hit:
            few = {name: [columns[name][row] for row in hit] for name in ("record_id", *_PERSON)}
            found.persons.update(persons_of(few))
    _settle(store, found, unclear)
    return found


def keep_aliases(store: ObjectStore, duplicates: Mapping[str, str], *, known: Archived, number: int) -> None:
    """Write down by which names records were dropped again in the intake ``number``, unless a name stands for its record already.

    Parameters
    ----------
    duplicates : record ids by name
    known : what the archive had of these names
    """
    new = sorted(
        (name, record_id)
        for name, record_id in duplicates.items()
        if known.latest.get(normal_name(name), (0, frozenset()))[1] != {record_id}
    )
    if new:
        columns: dict[str, Sequence[object]] = {
            "record_id": [record_id for _, record_id in new],
            "name": [name for name, _ in new],
            "received": [number] * len(new),
        }
        data = tables.dump(tables.ALIASES, columns)
        store.put(keys.aliases(hashlib.sha256(data).hexdigest()[:20]), data)


def next_number(store: ObjectStore, indexes: Iterable[bytes], *, aliases: Iterable[str], descriptions: Iterable[str]) -> int:
    """One more than the number of every intake that left something.

    Parameters
    ----------
    indexes : of the shards that were there before
    aliases, descriptions : keys of the tables that were there before
    """
    numbers = [0, *(int(keys.stem(key).partition("-")[0]) for key in descriptions)]
    for data in [*indexes, *(content for _, content in _contents(store, aliases))]:
        received = tables.load(data, ["received"]).get("received")
        if received is not None and len(received):
            numbers.append(_number(max(received)))
    return max(numbers) + 1


def _contents(store: ObjectStore, found: Iterable[str]) -> Iterable[tuple[str, bytes]]:
    listed = list(found)
    return zip(listed, store.get_many(listed), strict=True)


def _rows(columns: tables.Columns) -> Iterable[tuple[str, str, int]]:
    received = columns.get("received")
    numbers = [0] * len(columns["name"]) if received is None else [_number(one) for one in received.tolist()]
    return zip(map(normal_name, columns["name"]), columns["record_id"], numbers, strict=True)


def _number(received: float) -> int:
    return int(received) if received == received else 0  # noqa: PLR0124 - a missing one is NaN


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
    """Tell by the log of acts which of several records came last that were let in before intakes had numbers."""
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
    """The shards that each logged intake let in, numbered as the log follows."""
    order: dict[str, int] = {}
    listed = [key for key in store.list_keys(keys.AUDIT) if audit.Name.of(key) is not None]
    for number, data in enumerate(store.get_many(listed)):
        entry = audit.Entry.from_json(data)
        if entry.action is audit.Action.INGEST:
            manifest = find_json(store, keys.manifest("ingest_records", entry.subject)) or {}
            order.update(dict.fromkeys(manifest.get("shards", []), number))
    return order
