"""Here: the compacted index of all records: ids, names, aliases, persons, labels of sources. Not here: what a name in a table means.

What stands in ``record_index/``, ``aliases/``, ``descriptions/`` and ``labels/`` is what holds; the catalogue is a copy of it in a few
objects, so that an intake need not read what every intake before it wrote. Its rows lie in segments, each a Parquet object named by its
content, and ``head.json`` names the segments. Segments are merged as they come, so that each is several times as large as the next; with n
records there are about log n of them. The head is written when all that it names is there, and it alone changes.
"""

import hashlib
import itertools
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import structs
from numpy.typing import NDArray

from ecg_tasks.archive import keys, tables
from ecg_tasks.archive.descriptions import Person, persons_in_order
from ecg_tasks.archive.documents import ArchiveBefore, CatalogHead, Publishing, Segment, find, write
from ecg_tasks.archive.labelling import LabelEntry, in_force, load_labels
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.readers.record_names import normal_name

Rows: TypeAlias = pa.Table
"""Rows for the catalogue, made by one of the functions below."""
RECORD, ALIAS, DESCRIPTION, LABEL = range(4)
"""What a row is: a record of a shard, another name of one, what became known of its patient later, or what a source said of it."""
GROWTH = 4
"""A segment has more than this many times the rows of the next one."""
_KEPT_BYTES = 8 * 1024 * 1024
"""Segments up to this size stay in memory while one object of `Catalog` lives."""
_GROUP_ROWS = 65_536
_FROM_INDEX = ("record_id", "source", "patient", "split_bucket", "age", "sex", "synthetic", "fs", "received")


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """The catalogue as one head names it; what is published later is not in it."""

    store: ObjectStore
    head: CatalogHead
    _kept: dict[str, bytes] = field(default_factory=dict, repr=False)

    @classmethod
    def find(cls, store: ObjectStore) -> "Catalog | None":
        """Read the head; None where there is none, as in a bucket of an earlier version."""
        head = find(store, CatalogHead, keys.CATALOG_HEAD)
        return None if head is None else cls(store=store, head=head)

    @classmethod
    def open(cls, store: ObjectStore) -> "Catalog":
        """Read the head; where there is none, make the catalogue of what is there."""
        return cls.find(store) or rebuild(store)

    def known(self, record_ids: NDArray[np.bytes_]) -> NDArray[np.bool_]:
        """Tell which of these ids, shape (n,), are records of the archive; memory holds one segment."""
        found = np.zeros(len(record_ids), dtype=bool)
        wanted = pa.array(record_ids.astype(str).tolist(), type=pa.string())
        for table in self._tables(["kind", "record_id"]):
            here = table.filter(pc.equal(table["kind"], RECORD))["record_id"]
            found |= np.asarray(pc.is_in(wanted, value_set=here.combine_chunks()))
        return found

    def rows(self, columns: Sequence[str], *, kind: int, where: Mapping[str, Iterable[str]] | None = None) -> Iterator[tables.Columns]:
        """Rows of one kind, segment by segment.

        Parameters
        ----------
        where : column to the values wanted; a row that has one of any column's values is given
        """
        asked = list(dict.fromkeys([*columns, "kind", *(where or ())]))
        wanted = {name: pa.array(list(values), type=pa.string()) for name, values in (where or {}).items()}
        for table in self._tables(asked):
            mask = pc.equal(table["kind"], kind)
            if wanted:
                hits = [pc.is_in(table[name], value_set=values) for name, values in wanted.items()]
                either = hits[0]
                for hit in hits[1:]:
                    either = pc.or_(either, hit)
                mask = pc.and_(mask, either)
            yield tables.plain_columns(table.filter(mask).select(list(columns)))

    def described(self, record_ids: Iterable[str]) -> dict[str, Person]:
        """What became known of these records' patients after they had been stored; a later intake's word holds."""
        columns = ["record_id", "received", "patient", "split_bucket", "age", "sex"]
        found: dict[str, tuple[int, Person]] = {}
        for part in self.rows(columns, kind=DESCRIPTION, where={"record_id": record_ids}):
            persons = zip(part["record_id"], part["received"].tolist(), persons_in_order(part), strict=True)
            for record_id, number, person in persons:
                if number >= found.get(record_id, (0, None))[0]:
                    found[record_id] = number, person
        return {record_id: person for record_id, (_, person) in found.items()}

    def said(self, record_ids: Iterable[str]) -> dict[str, LabelEntry]:
        """The latest that a source said of each of these records."""
        parts = self.rows(["record_id", "label", "who", "when"], kind=LABEL, where={"record_id": record_ids})
        return in_force(
            LabelEntry(record_id=record_id, label=label, who=who, when=when)
            for part in parts
            for record_id, label, who, when in zip(*part.values(), strict=True)
        )

    def begin(self, run: str, results: Iterable[str]) -> "Catalog":
        """Note that a run's publication has begun; returns the catalogue as it was then, also where the run began before."""
        noted = self.head.publishing
        if noted is None or noted.run != run:
            noted = Publishing(run=run, results=tuple(results), number=self.head.number, segments=self.head.segments)
            self._with(publishing=noted)
        before = structs.replace(self.head, number=noted.number, segments=noted.segments, publishing=noted)
        return replace(self, head=before)

    def grow(self) -> "Growing":
        """Open a new segment, which `Growing.publish` lets in."""
        return Growing(self)

    def _with(self, **changes: Any) -> "Catalog":
        head = structs.replace(self.head, **changes)
        write(self.store, keys.CATALOG_HEAD, head)
        return replace(self, head=head)

    def _tables(self, columns: list[str]) -> Iterator[pa.Table]:
        missing = [segment.key for segment in self.head.segments if segment.key not in self._kept]
        contents = iter(self.store.get_many(missing))
        for segment in self.head.segments:
            data = self._kept.get(segment.key)
            if data is None:
                data = next(contents)
                if len(data) <= _KEPT_BYTES:
                    self._kept[segment.key] = data
            yield pq.ParquetFile(pa.BufferReader(data)).read(columns=columns, use_threads=False)

    def _groups(self, key: str) -> Iterator[pa.Table]:
        """All rows of a segment, some thousands at a time."""
        file = pq.ParquetFile(pa.BufferReader(self._kept[key] if key in self._kept else self.store.get(key)))
        for number in range(file.num_row_groups):
            yield file.read_row_group(number, use_threads=False)


class Growing:
    """A segment while its rows come in, in a file of its own that goes at the end; memory holds some thousands of them."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - `__exit__` closes it
        self._writer = pq.ParquetWriter(self._file, tables.CATALOG, compression="zstd", use_dictionary=["shard", "source"])
        self._waiting: list[pa.Table] = []
        self._n_rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
        self._file.close()

    def add(self, rows: Rows) -> None:
        """Take rows in."""
        if not rows.num_rows:
            return
        self._waiting.append(rows)
        self._n_rows += rows.num_rows
        if sum(table.num_rows for table in self._waiting) >= _GROUP_ROWS:
            self._flush()

    def publish(self, *, number: int) -> Catalog:
        """Let the rows into the catalogue, merging segments as `GROWTH` says; returns the new one. ``number`` is that of the intake.

        The same rows let into the same catalogue once more change nothing: a segment is named by its content.
        """
        store, head = self._catalog.store, self._catalog.head
        if not self._n_rows:
            return self._catalog
        segments, merged = list(head.segments), []
        while segments and segments[-1].n_rows <= GROWTH * self._n_rows:
            merged.append(segments.pop().key)
            for group in self._catalog._groups(merged[-1]):  # noqa: SLF001 - of this module
                self.add(group)
        segments.append(self.put(store))
        in_use = {segment.key for segment in (*segments, *(head.publishing.segments if head.publishing else ()))}
        retired = {*merged, *head.retired} - {segment.key for segment in segments}
        kept = {key for key in retired if key in in_use or key in merged}
        later = self._catalog._with(number=number, segments=tuple(segments), retired=tuple(sorted(kept)))  # noqa: SLF001
        store.delete_many(retired - kept)
        return later

    def put(self, store: ObjectStore) -> Segment:
        """Write the segment into the bucket."""
        self._flush()
        self._writer.close()
        self._file.seek(0)
        key = keys.catalog_segment(hashlib.file_digest(self._file, "sha256").hexdigest()[:20])
        self._file.seek(0)
        store.put(key, self._file)
        return Segment(key=key, n_rows=self._n_rows)

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting))
            self._waiting = []


def rebuild(store: ObjectStore, *, only: ArchiveBefore | None = None) -> Catalog:
    """Make the catalogue anew of what holds, in one segment; what was there goes. ``only`` bounds it to what was there before."""
    catalog = Catalog(store=store, head=CatalogHead())
    indexes = store.list_keys(keys.RECORD_INDEX) if only is None else list(map(keys.record_index, only.shards))
    labels = store.list_keys(keys.LABELS) if only is None else only.labels
    described = store.list_keys(keys.DESCRIPTIONS)
    numbers = [int(keys.stem(key).partition("-")[0]) for key in described]
    parts = itertools.chain(
        (of_index(keys.stem(key), data) for key, data in zip(indexes, store.get_many(indexes), strict=True)),
        map(of_aliases, store.get_many(store.list_keys(keys.ALIASES))),
        (of_descriptions(data, number=number) for number, data in zip(numbers, store.get_many(described), strict=True)),
        map(of_labels, store.get_many(labels)),
    )
    number = max(numbers, default=0)
    with catalog.grow() as growing:
        for rows in parts:
            number = max(number, pc.max(rows["received"]).as_py() or 0)
            growing.add(rows)
        catalog = growing.publish(number=number)
    write(store, keys.CATALOG_HEAD, catalog.head)
    named = {segment.key for segment in catalog.head.segments}
    store.delete_many(key for key in store.list_keys(keys.CATALOG) if key != keys.CATALOG_HEAD and key not in named)
    return catalog


def catch_up(store: ObjectStore) -> Catalog:
    """Take in the shards that the catalogue lacks, as an earlier version of this program leaves them; one listing where it lacks none.

    No publication may be under way or broken off: its shards stand before the catalogue has them.
    """
    catalog = Catalog.open(store)
    shards = {keys.stem(key) for key in store.list_keys(keys.RECORD_INDEX)}
    there = {shard for part in catalog.rows(["shard"], kind=RECORD) for shard in set(part["shard"])}
    return rebuild(store) if shards != there else catalog


def of_index(shard: str, index: bytes) -> pa.Table:
    """Rows of a shard's index."""
    table = pq.ParquetFile(pa.BufferReader(index)).read(use_threads=False)
    n_leads = pc.list_value_length(table["leads"]) if "leads" in table.column_names else None
    given = {name: table[name] for name in _FROM_INDEX if name in table.column_names}
    return _rows(table.num_rows, RECORD, given | {"called": _called(table), "shard": [shard] * table.num_rows, "n_leads": n_leads})


def of_aliases(data: bytes) -> pa.Table:
    """Rows of a table of other names."""
    table = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
    given = {name: table[name] for name in table.column_names}
    return _rows(table.num_rows, ALIAS, given | {"called": _called(table)})


def of_descriptions(data: bytes, *, number: int) -> pa.Table:
    """Rows of a table of what became known of patients in the intake of this number."""
    table = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
    return _rows(table.num_rows, DESCRIPTION, {name: table[name] for name in table.column_names} | {"received": [number] * table.num_rows})


def of_labels(data: bytes) -> pa.Table:
    """Rows of a label table that sources said."""
    return of_label_entries(load_labels(data))


def of_label_entries(entries: Iterable[LabelEntry]) -> pa.Table:
    """Rows of what sources said; a reviewer's word is none of theirs."""
    said = [entry for entry in entries if not entry.is_review]
    return _rows(len(said), LABEL, {name: [getattr(one, name) for one in said] for name in ("record_id", "label", "who", "when")})


def _called(table: pa.Table) -> list[str]:
    return [normal_name(name) for name in table["name"].to_pylist()]


def _rows(n_rows: int, kind: int, given: Mapping[str, Any]) -> pa.Table:
    columns = {}
    for wanted in tables.CATALOG:
        value = given.get(wanted.name)
        if wanted.name == "kind":
            value = [kind] * n_rows
        elif wanted.name == "received":
            value = pa.nulls(n_rows, pa.int32()) if value is None else value
            value = pc.fill_null(value if isinstance(value, pa.Array | pa.ChunkedArray) else pa.array(value, pa.int32()), 0)
        if value is None:
            value = pa.nulls(n_rows, wanted.type)
        is_table = isinstance(value, pa.Array | pa.ChunkedArray)
        columns[wanted.name] = value.cast(wanted.type) if is_table else pa.array(value, wanted.type)
    return pa.table(columns, schema=tables.CATALOG)
