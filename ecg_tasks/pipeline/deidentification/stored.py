"""Here: stored tables as the door would write them today. Not here: which tables there are (``bucket``).

That is without names, with ages up to 90, as much of dates as is kept, and keyed buckets. Each function returns the same bytes where
nothing is left to do, so what was broken off is simply done again.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from ecg_tasks.archive import keys, record_shards, tables
from ecg_tasks.archive.labelling import REVIEW
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.evaluation.splits import keyed_bucket
from ecg_tasks.pipeline.deidentification.known_names import KnownNames
from ecg_tasks.pipeline.intake.taking import kept_date
from ecg_tasks.settings import Dates
from ecg_tasks.signals.record import OLDEST_AGE

_ID_OF_A_RECORD = 32
"""Hexadecimal digits; a patient's hash has fewer."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Which source stands in place of which: by the source of before and the digest of the record's name, or by the source alone."""

    of_record: Mapping[tuple[str, str], str]
    alone: Mapping[str, str]

    def now(self, source: str, called: str) -> str:
        """Return the source that a record has now."""
        found = self.of_record.get((source, called.rpartition("#")[0] if "#" in called else called))
        return found or self.alone.get(source, source)


@dataclass(frozen=True, kw_only=True)
class StoredTables:
    """The rules of the door for tables that stand already."""

    names: StoredNames
    dates: Dates
    sources: Sources

    def index(self, data: bytes) -> bytes:
        """Return a shard's index in which records are called by their ids, and found by digests."""
        table = tables.load_table(data)
        columns = tables.plain_columns(table)
        called = [self.names.hashed(name) for name in record_shards.names_of(columns)]
        changed = self._row_columns(table, columns, called) | {"called": called}
        return self._exchanged(data, table, columns, changed)

    def shard(self, data: bytes, index: bytes) -> bytes:
        """Return a shard's records; ``index`` is the one that stands beside them now."""
        table = tables.load_table(data)
        columns = tables.plain_columns(table)
        called = tables.load(index, ["record_id", "called"])
        digests = dict(zip(called["record_id"], called["called"], strict=True))
        changed = self._row_columns(table, columns, [digests[record_id] for record_id in columns["record_id"]])
        return self._exchanged(data, table, columns, changed)

    def descriptions(self, data: bytes) -> bytes:
        """Return a table of what became known of patients."""
        table = tables.load_table(data)
        columns = tables.plain_columns(table)
        return self._exchanged(data, table, columns, self._person_columns(table, columns))

    def aliases(self, data: bytes) -> bytes:
        """Return a table of other names as digests."""
        table = tables.load_table(data)
        columns = tables.plain_columns(table)
        return self._exchanged(data, table, columns, {"name": [self.names.hashed(name) for name in columns["name"]]}, keyed=False)

    def groups(self, data: bytes) -> bytes:
        """Return a table of groups; the place of one that is a patient's is keyed, as the patient's bucket is."""
        table = tables.load_table(data)
        columns = tables.plain_columns(table)
        if tables.has_keyed_buckets(table):
            return data
        rows = zip(columns["group"], columns["place"].tolist(), strict=True)
        places = [self._keyed(place) if len(group) < _ID_OF_A_RECORD else place for group, place in rows]
        return self._exchanged(data, table, columns, {"place": np.array(places, np.int32)})

    def split(self, data: bytes, known: KnownNames) -> bytes:
        """Return the rows of a data set: who gave a label is told by a digest, and buckets of private patients are keyed."""
        table = tables.load_table(data)
        columns = tables.plain_columns(table)
        changed: tables.Columns = {}
        if "labelled_by" in columns:  # absent in the first ones
            changed["labelled_by"] = [known.who(one) for one in columns["labelled_by"]]
        if not tables.has_keyed_buckets(table):
            public = columns.get("public_patient", [None] * table.num_rows)
            private = [bucket >= 0 and one is None for bucket, one in zip(columns["bucket"].tolist(), public, strict=True)]
            for name in ("bucket", "place"):
                rows = zip(columns[name].tolist(), private, strict=True)
                changed[name] = np.array([self._keyed(value) if own else value for value, own in rows], np.int32)
        return self._exchanged(data, table, columns, changed)

    def _row_columns(self, table: tables.Table, columns: tables.Columns, called: Sequence[str]) -> tables.Columns:
        changed = self._person_columns(table, columns) | {"name": list(columns["record_id"])}
        rows = zip(columns["source"], called, strict=True)
        changed["source"] = [self.sources.now(source, digest) for source, digest in rows]
        if "recorded" in columns:
            changed["recorded"] = [kept_date(one, self.dates) for one in columns["recorded"]]
        return changed

    def _person_columns(self, table: tables.Table, columns: tables.Columns) -> tables.Columns:
        changed: tables.Columns = {"age": np.minimum(columns["age"], np.float32(OLDEST_AGE))}
        if not tables.has_keyed_buckets(table):
            public = columns.get("public_patient", [None] * table.num_rows)
            rows = zip(columns["split_bucket"].tolist(), public, strict=True)
            changed["split_bucket"] = np.array([self._keyed(bucket) if one is None else bucket for bucket, one in rows], np.int32)
        return changed

    def _keyed(self, bucket: int) -> int:
        return keyed_bucket(bucket, key=self.names.key) if bucket >= 0 else bucket

    @staticmethod
    def _exchanged(data: bytes, table: tables.Table, columns: tables.Columns, changed: Mapping[str, Any], *, keyed: bool = True) -> bytes:
        same = all(name in columns and _is_same(columns[name], made) for name, made in changed.items())
        if same and (not keyed or tables.has_keyed_buckets(table)):
            return data
        return tables.exchanged(table, changed, keyed=keyed, more=[tables.CALLED] if "called" in changed else ())


def said(parts: Mapping[str, bytes], known: KnownNames) -> dict[str, bytes]:
    """Return tables of labels, or of classes, by their keys, with the names of the files that gave them as digests.

    Of two sources that spoke at one moment the last by name holds; where digests have another order, its moment is a microsecond later, so
    that the same one holds.
    """
    columns = {key: tables.load(data) for key, data in parts.items()}
    value = next((name for name in ("label", "classes") for one in columns.values() if name in one), "label")
    together: defaultdict[tuple[str, str], list[tuple[str, str, str, int]]] = defaultdict(list)
    for key, one in columns.items():
        for row, (record_id, when, who) in enumerate(zip(one["record_id"], one["when"], one["who"], strict=True)):
            if not who.startswith(REVIEW):
                together[record_id, when].append((who, one[value][row], key, row))
    later: set[tuple[str, int]] = set()
    for rows in together.values():
        if len(rows) > 1 and max(rows)[2:] != max((known.who(who), *rest) for who, *rest in rows)[2:]:
            later.add(max(rows)[2:])
    made = {}
    for key, data in parts.items():
        one = columns[key]
        who_now = [known.who(who) for who in one["who"]]
        when = [_next(text) if (key, row) in later else text for row, text in enumerate(one["when"])]
        same = who_now == one["who"]
        made[key] = data if same else tables.exchanged(tables.load_table(data), {"who": who_now, "when": when}, keyed=False)
    return made


def named_by_content(key: str, data: bytes) -> str:
    """Return the key of a table that is named by its content, after a change of that.

    >>> named_by_content("labels/0123.parquet", b"x"), named_by_content("descriptions/000000001-0123.parquet", b"x")
    ('labels/2d711642b726b0440162.parquet', 'descriptions/000000001-2d711642b726b0440162.parquet')
    """
    folder, _, name = key.rpartition("/")
    number, dash, _ = keys.stem(name).rpartition("-")
    return f"{folder}/{number}{dash}{hashlib.sha256(data).hexdigest()[:20]}.parquet"


def _next(when: str) -> str:
    return (datetime.fromisoformat(when) + timedelta(microseconds=1)).isoformat()


def _is_same(before: Any, made: Any) -> bool:
    if isinstance(before, np.ndarray):
        return np.array_equal(before, made, equal_nan=bool(np.issubdtype(before.dtype, np.floating)))
    return list(before) == list(made)
