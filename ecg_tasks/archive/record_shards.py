"""Here: shards of canonical records, as Parquet bytes and back. Not here: parsing dropped files (``readers``)."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ecg_tasks.archive import tables
from ecg_tasks.signals.record import Record

MAX_SHARD_RECORDS = 4096
MAX_SHARD_BYTES = 32 * 1024 * 1024
"""Of samples as they are computed with, float32: 139 recordings of twelve leads, 10 s at 500 Hz."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredRecord:
    """A record with what the archive knows of its origin.

    ``patient`` is the keyed hash of the patient's id, ``split_bucket`` its place in every split (-1 if not known),
    ``source`` the SHA-256 of the dropped bytes. ``called`` is the digest of its name where that is not stored, and the record is then
    called by its id. ``fold`` and ``public_patient`` are those of `descriptions.Person`.
    """

    record: Record
    source: str
    patient: str | None
    split_bucket: int
    called: str = ""
    fold: int | None = None
    public_patient: str | None = None


def shard_name(record_ids: Iterable[str]) -> str:
    """Name of a shard, made of the records in it.

    >>> shard_name(["a" * 32, "b" * 32])
    'cc740c0404dd22b284fe'
    """
    return hashlib.sha256("\n".join(record_ids).encode()).hexdigest()[:20]


def split_into_shards(records: Iterable[StoredRecord]) -> Iterator[list[StoredRecord]]:
    """Cut a stream of records into shards of at most 4,096 records or about 32 MB; heartbeat rows and recordings never share one."""
    shard: list[StoredRecord] = []
    n_bytes = 0
    for stored in records:
        mixed = bool(shard) and shard[0].record.is_heartbeat != stored.record.is_heartbeat
        if shard and (mixed or len(shard) == MAX_SHARD_RECORDS or n_bytes + stored.record.samples.nbytes > MAX_SHARD_BYTES):
            yield shard
            shard, n_bytes = [], 0
        shard.append(stored)
        n_bytes += stored.record.samples.nbytes
    if shard:
        yield shard


def dump_shard(shard: Sequence[StoredRecord]) -> bytes:
    """Return a shard as Parquet."""
    records = [stored.record for stored in shard]
    return tables.dump(
        tables.RECORDS,
        _index_columns(shard)
        | {
            "unit": [record.unit for record in records],
            "samples": tables.packed([np.ascontiguousarray(record.samples, dtype="<f4") for record in records]),
        },
    )


def dump_index(shard: Sequence[StoredRecord], *, received: int = 0) -> bytes:
    """Return a shard's index as Parquet: all but the samples. ``received`` numbers the intake, 0 where that is not known."""
    columns = _index_columns(shard) | {"received": [received] * len(shard)}
    if not any(stored.called for stored in shard):
        return tables.dump(tables.RECORD_INDEX, columns)
    return tables.dump(tables.HASHED_INDEX, columns | {"called": [stored.called for stored in shard]})


def numbered(index: bytes, *, received: int) -> bytes:
    """Return a shard's index with the number of the intake that lets it in."""
    schema = tables.HASHED_INDEX if tables.has_column(index, "called") else tables.RECORD_INDEX
    return tables.dump_with(schema, index, "received", received)


def names_of(index: tables.Columns) -> list[str]:
    """Return by what the records of an index are found: the digests of their names, or the names as they are stored."""
    return [called or name for called, name in zip(index.get("called") or index["name"], index["name"], strict=True)]


def sites_of(index: bytes) -> dict[str, str | None]:
    """Return the site of each record of a shard's index; None where it is not known, as in older ones."""
    columns = tables.load(index, ["record_id", "site"])
    record_ids = columns["record_id"]
    return dict(zip(record_ids, columns.get("site", [None] * len(record_ids)), strict=True))


def load_shard(data: bytes, *, called: Sequence[str] = (), only: Iterable[str] | None = None) -> list[StoredRecord]:
    """Read the records of a shard, in their order, with the identity that was stored.

    Parameters
    ----------
    called : their digests, by the index
    only : ids; other records are left out
    """
    columns = tables.load(data, of_records=only)
    found = [_stored(columns, row) for row in range(tables.n_rows(columns))]
    return [replace(one, called=name) for one, name in zip(found, called, strict=True)] if called else found


def find_record(columns: tables.Columns, record_id: str) -> StoredRecord | None:
    """Return one record of a shard's columns, or None: reading a row is quicker than making thousands of records."""
    try:
        return _stored(columns, columns["record_id"].index(record_id))
    except ValueError:
        return None


def without(shard: Sequence[StoredRecord], duplicates: set[int]) -> list[StoredRecord]:
    """Return the shard less the rows at these positions."""
    return [stored for row, stored in enumerate(shard) if row not in duplicates]


def anonymous(record: Record, **described: Any) -> Record:
    """Return the record without the patient's id, and without who gave it; ``described`` otherwise, as `Record.described` says."""
    return record.described(patient=None, issuer=None, **described)


def _stored(columns: tables.Columns, row: int) -> StoredRecord:
    leads = tuple(columns["leads"][row])
    age = float(columns["age"][row])
    record = Record(
        samples=np.frombuffer(columns["samples"][row], dtype="<f4").reshape(len(leads), -1),
        fs=float(columns["fs"][row]),
        leads=leads,
        unit=columns["unit"][row],
        name=columns["name"][row],
        age=None if np.isnan(age) else age,
        sex=columns["sex"][row],
        synthetic=bool(columns["synthetic"][row]),
        **{name: columns[name][row] for name in tables.ACQUISITION if name in columns},
    )
    record.__dict__["record_id"] = columns["record_id"][row]  # as stored: spares hashing again
    fold = columns["fold"][row] if "fold" in columns else 0
    return StoredRecord(
        record=record,
        source=columns["source"][row],
        patient=columns["patient"][row],
        split_bucket=int(columns["split_bucket"][row]),
        fold=int(fold) if fold > 0 else None,
        public_patient=columns["public_patient"][row] if "public_patient" in columns else None,
    )


def _index_columns(shard: Sequence[StoredRecord]) -> tables.Columns:
    return {
        "record_id": [stored.record.record_id for stored in shard],
        "name": [stored.record.name for stored in shard],
        "source": [stored.source for stored in shard],
        "patient": [stored.patient for stored in shard],
        "split_bucket": [stored.split_bucket for stored in shard],
        "age": [stored.record.age for stored in shard],
        "sex": [stored.record.sex for stored in shard],
        "synthetic": [stored.record.synthetic for stored in shard],
        "fs": [stored.record.fs for stored in shard],
        "leads": [list(stored.record.leads) for stored in shard],
        **{name: [getattr(stored.record, name) for stored in shard] for name in tables.ACQUISITION},
        "fold": [stored.fold or 0 for stored in shard],
        "public_patient": [stored.public_patient for stored in shard],
    }
