"""Here: other recordings of a record's patient, and which of them came before it. Not here: drawing one over the other."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ecg_tasks.archive import keys, tables
from ecg_tasks.archive.catalog import DESCRIPTION, RECORD, Catalog
from ecg_tasks.archive.descriptions import Descriptions
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.record_shards import StoredRecord
from ecg_tasks.queries.records import shard_of, stored_record

LISTED = 50
"""Other recordings that are listed, at most: those that the archive took in last."""


@dataclass(frozen=True, kw_only=True)
class OtherRecording:
    """Another recording of the same patient.

    Parameters
    ----------
    recorded : when it began, as much as is kept; None where it is not known
    is_earlier : whether it began earlier: by its date as far as that tells, else by the intakes that took them in; None where neither does
    """

    record_id: str
    name: str
    recorded: str | None
    is_earlier: bool | None


def find(store: ObjectStore, record_id: str) -> StoredRecord | None:
    """Return a record with what is known of its patient by now, without its decisions; None if the archive has none of this id."""
    shard = shard_of(store, record_id)
    stored = None if shard is None else stored_record(store, shard, record_id)
    return None if stored is None else Descriptions.read(store, [record_id]).stored(stored)


def others(store: ObjectStore, this: StoredRecord) -> list[OtherRecording]:
    """Return the other recordings of a record's patient, the latest earlier one first; none where the patient is not known.

    They are found in the catalogue, which a bucket of an old version gets with its next intake.
    """
    catalog = None if this.patient is None else Catalog.find(store)
    if catalog is None:
        return []
    received = _received(catalog, this)
    mine = received.pop(this.record.record_id, 0)
    late, found = Descriptions.read(store, received), []
    for row in _indexed(store, sorted(received, key=received.__getitem__, reverse=True)[:LISTED]):
        record_id, person = row["record_id"], late.persons.get(row["record_id"])
        if (row["patient"] if person is None else person.patient) != this.patient:
            continue
        earlier = _is_before(row["recorded"], this.record.recorded)
        if earlier is None and mine and received[record_id] and mine != received[record_id]:
            earlier = received[record_id] < mine
        found.append(OtherRecording(record_id=record_id, name=row["name"], recorded=row["recorded"], is_earlier=earlier))
    return sorted(found, key=lambda one: (one.is_earlier is True, one.is_earlier is None, _in_utc(one.recorded or "")), reverse=True)


def _received(catalog: Catalog, this: StoredRecord) -> dict[str, int]:
    """Return by record the intake that took it in, of all that have this patient, and of this one; 0 where that is not known."""
    patient, own = str(this.patient), this.record.record_id
    columns = ["record_id", "received"]
    found: dict[str, int] = {own: 0}
    described = {one for part in catalog.rows(["record_id"], kind=DESCRIPTION, where={"patient": [patient]}) for one in part["record_id"]}
    for part in catalog.rows(columns, kind=RECORD, where={"patient": [patient], "record_id": [own, *described]}):
        found |= dict(zip(part["record_id"], map(int, part["received"]), strict=True))
    return found


def _indexed(store: ObjectStore, record_ids: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield what the shards' indexes say of these records; of one that was forgotten meanwhile, nothing."""
    by_shard: dict[str, list[str]] = {}
    for record_id in record_ids:
        if (shard := shard_of(store, record_id)) is not None:
            by_shard.setdefault(shard, []).append(record_id)
    columns = ["record_id", "name", "patient", "recorded"]
    for (_, wanted), data in zip(by_shard.items(), store.get_many(map(keys.record_index, by_shard)), strict=True):
        found = tables.load(data, columns, of_records=wanted)
        for row in range(tables.n_rows(found)):
            yield {name: found[name][row] if name in found else None for name in columns}


def _is_before(one: str | None, other: str | None) -> bool | None:
    """Return whether a moment is before another, by as much as both have of it; None where that does not tell.

    >>> _is_before("2019", "2024-05-03"), _is_before("2024", "2024-05-03"), _is_before(None, "2024")
    (True, None, None)
    >>> _is_before("2024-05-03T10:11:12+02:00", "2024-05-03T09:30:00+00:00")
    True
    """
    if not one or not other:
        return None
    if _has_zone(one) and _has_zone(other):
        one, other = _in_utc(one), _in_utc(other)
    size = min(len(one), len(other), len("2024-05-03T10:11:12"))
    return None if one[:size] == other[:size] else one[:size] < other[:size]


def _has_zone(recorded: str) -> bool:
    return "T" in recorded and datetime.fromisoformat(recorded).tzinfo is not None


def _in_utc(recorded: str) -> str:
    return datetime.fromisoformat(recorded).astimezone(UTC).isoformat() if _has_zone(recorded) else recorded


def nearest(found: Iterable[OtherRecording]) -> OtherRecording | None:
    """Return the latest of the earlier ones; None without any."""
    return next((one for one in found if one.is_earlier), None)
