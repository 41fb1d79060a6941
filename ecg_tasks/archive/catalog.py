"""Here: the compacted index of all records: ids, names, aliases, persons, labels of sources. Not here: what a name in a table means.

What stands in ``record_index/``, ``aliases/``, ``descriptions/``, ``labels/`` and ``classes/`` is what holds; the catalogue is a copy of
it in a few objects, so that an intake need not read what every intake before it wrote. Its newest rows stand in ``head.json`` itself.
Once they are thousands they become a segment, a Parquet object named by its content, which the head names. Segments are merged as they
come, so that each is several times as large as the next; with n records there are about log n of them. The head is written when all
that it names is there, and it alone changes.
"""

import hashlib
import io
import itertools
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, Self, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import structs
from numpy.typing import NDArray

from ecg_tasks.archive import keys, tables
from ecg_tasks.archive.descriptions import Person, persons_in_order
from ecg_tasks.archive.documents import ArchiveBefore, CatalogHead, Publishing, Segment, find, write
from ecg_tasks.archive.labelling import REVIEW, latest_labels
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.parallel import bounded_parallel_map
from ecg_tasks.readers.record_names import normal_name

Rows: TypeAlias = pa.Table
"""Rows for the catalogue, made by one of the functions below."""
RECORD, ALIAS, DESCRIPTION, LABEL, CLASSES = range(5)
"""What a row is: a record of a shard, another name of one, what became known of its patient later, or what a source said of it.

A list of classes stands where a label does.
"""
GROWTH = 4
"""A segment has more than this many times the rows of the next one."""
TAIL_ROWS = 4096
"""So many rows at most stand in the head."""
_GROUP_ROWS = 65_536
_FROM_INDEX = ("record_id", "source", *tables.PERSON, "synthetic", "fs", "received")


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """The catalogue as one head names it; what is published later is not in it."""

    store: ObjectStore
    head: CatalogHead
    _open: dict[str, BinaryIO] = field(default_factory=dict, repr=False)
    """Segments that were read, by key: small ones in memory, large ones on the disk."""

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
        """Tell which of these ids, shape (n,) and 32 bytes each, are records of the archive; memory holds some thousands of its rows."""
        found = np.zeros(len(record_ids), dtype=bool)
        wanted = _strings(record_ids)
        for table in self._parts(["kind", "record_id"]):
            here = table.filter(pc.equal(table["kind"], RECORD))["record_id"]
            found |= np.asarray(pc.is_in(wanted, value_set=here.combine_chunks()))
        return found

    def rows(self, columns: Sequence[str], *, kind: int, where: Mapping[str, Iterable[str]] | None = None) -> Iterator[tables.Columns]:
        """Yield the rows of one kind, some thousands at a time.

        Parameters
        ----------
        where : column to the values wanted; a row that has one of any column's values is given
        """
        asked = list(dict.fromkeys([*columns, "kind", *(where or ())]))
        wanted = {name: pa.array(list(values), type=pa.string()) for name, values in (where or {}).items()}
        for table in self._parts(asked):
            mask = pc.equal(table["kind"], kind)
            if wanted:
                hits = [pc.is_in(table[name], value_set=values) for name, values in wanted.items()]
                either = hits[0]
                for hit in hits[1:]:
                    either = pc.or_(either, hit)
                mask = pc.and_(mask, either)
            yield tables.plain_columns(table.filter(mask).select(list(columns)))

    def described(self, record_ids: Iterable[str]) -> dict[str, Person]:
        """Return what became known of these records' patients after they had been stored; a later intake takes precedence."""
        columns = ["record_id", "received", *tables.PERSON]
        found: dict[str, tuple[int, Person]] = {}
        for part in self.rows(columns, kind=DESCRIPTION, where={"record_id": record_ids}):
            persons = zip(part["record_id"], part["received"].tolist(), persons_in_order(part), strict=True)
            for record_id, number, person in persons:
                if number >= found.get(record_id, (0, None))[0]:
                    found[record_id] = number, person
        return {record_id: person for record_id, (_, person) in found.items()}

    def said(self, rows: pa.Table, *, kind: int = LABEL) -> pa.Table:
        """Return the latest that a source said of each record of a label table, if anything: columns ``record_id`` and ``label``."""
        record_ids = rows["record_id"].combine_chunks()
        parts = [
            table.filter(pc.and_(pc.equal(table["kind"], kind), pc.is_in(table["record_id"], value_set=record_ids)))
            for table in self._parts(["kind", "record_id", "label", "who", "when"])
        ]
        columns = ["record_id", "label"]
        return latest_labels(pa.concat_tables(parts)).select(columns) if parts else tables.LABELS.empty_table().select(columns)

    def took_in_last(self, run: str) -> bool:
        """Return whether the publication that the catalogue took in last is that of this run; the first heads named it as Airflow does."""
        return self.head.publishing is not None and keys.run_key(self.head.publishing.run) == run

    def before(self, run: str) -> "Catalog":
        """Return the catalogue as it was before the publication of a run, also where it has taken that in already."""
        last = self.head.publishing
        if last is None or not self.took_in_last(run):
            return self
        return replace(self, head=structs.replace(self.head, number=last.number, segments=last.segments, tail=last.tail))

    def grow(self) -> "Growing":
        """Open a new segment, which `Growing.publish` lets in."""
        return Growing(self)

    def _parts(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield some or all columns of all rows, some thousands at a time."""
        missing = [segment.key for segment in self.head.segments if segment.key not in self._open]
        self._open.update(zip(missing, bounded_parallel_map(self.store.spool, missing), strict=True))
        for segment in self.head.segments:
            yield from _groups(self._open[segment.key], columns)
        if self.head.tail:
            yield from _groups(io.BytesIO(self.head.tail), columns)


class Growing:
    """Rows that come in, in a temporary file that goes at the end; memory holds some thousands of them."""

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

    def publish(self, *, run: str, number: int, logged: int = 0) -> Catalog:
        """Let the rows into the catalogue, merging segments as `GROWTH` says; returns the new one.

        ``number`` is that of the intake, ``logged`` a number that the log of acts has. The same rows let into the same catalogue once more
        change nothing: a segment is named by its content.
        """
        store, head = self._catalog.store, self._catalog.head
        last = Publishing(run=run, number=head.number, segments=head.segments, tail=head.tail)
        head = structs.replace(head, publishing=last, logged=logged or head.logged)
        if not self._n_rows:
            return self._written(head)
        grown = self._grown(head)
        still_read = {segment.key for segment in (*grown.segments, *head.segments)}
        retired = {segment.key for segment in head.segments} - {segment.key for segment in grown.segments}
        later = self._written(structs.replace(grown, number=number, retired=tuple(sorted(retired))))
        store.delete_many(key for key in head.retired if key not in still_read)
        return later

    def alone(self, *, number: int) -> Catalog:
        """Make the rows the whole catalogue."""
        return self._written(structs.replace(self._grown(self._catalog.head), number=number))

    def _grown(self, head: CatalogHead) -> CatalogHead:
        """Return the head with the rows in its tail, or in a segment."""
        if head.tail:
            for rows in _groups(io.BytesIO(head.tail)):
                self.add(rows)
        if self._n_rows <= TAIL_ROWS:
            return structs.replace(head, tail=self._finished().read())
        segments = list(head.segments)
        while segments and segments[-1].n_rows <= GROWTH * self._n_rows:
            with self._catalog.store.spool(segments.pop().key) as segment:
                for rows in _groups(segment):
                    self.add(rows)
        file = self._finished()
        key = keys.catalog_segment(hashlib.file_digest(self._file, "sha256").hexdigest()[:20])
        file.seek(0)
        self._catalog.store.put(key, file)
        return structs.replace(head, segments=(*segments, Segment(key=key, n_rows=self._n_rows)), tail=b"")

    def _finished(self) -> BinaryIO:
        """Return the file with all rows, at its start."""
        self._flush()
        self._writer.close()
        self._file.seek(0)
        return self._file

    def _written(self, head: CatalogHead) -> Catalog:
        write(self._catalog.store, keys.CATALOG_HEAD, head)
        return replace(self._catalog, head=head)

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting))
            self._waiting = []


def rebuild(store: ObjectStore, *, only: ArchiveBefore | None = None) -> Catalog:
    """Make the catalogue again from what holds; what was there goes. ``only`` bounds it to what was there before."""
    indexes = store.list_keys(keys.RECORD_INDEX) if only is None else list(map(keys.record_index, only.shards))
    labels = store.list_keys(keys.LABELS) if only is None else only.labels
    described = store.list_keys(keys.DESCRIPTIONS)
    numbers = [int(keys.stem(key).partition("-")[0]) for key in described]
    parts = itertools.chain(
        (of_index(keys.stem(key), data) for key, data in zip(indexes, store.get_many(indexes), strict=True)),
        map(of_aliases, store.get_many(store.list_keys(keys.ALIASES))),
        (of_descriptions(data, number=number) for number, data in zip(numbers, store.get_many(described), strict=True)),
        (of_labels(tables.load_table(data)) for data in store.get_many(labels)),
        (of_classes(tables.load_table(data)) for data in store.get_many(store.list_keys(keys.CLASSES))),
    )
    number = max(numbers, default=0)
    before = Catalog.find(store)
    empty = CatalogHead(logged=0 if before is None else before.head.logged)
    with Catalog(store=store, head=empty).grow() as growing:
        for rows in parts:
            number = max(number, pc.max(rows["received"]).as_py() or 0)
            growing.add(rows)
        catalog = growing.alone(number=number)
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
    """Return the rows of a shard's index."""
    table = tables.load_table(index)
    n_leads = pc.list_value_length(table["leads"]) if "leads" in table.column_names else None
    given = {name: table[name] for name in _FROM_INDEX if name in table.column_names}
    return _rows(table.num_rows, RECORD, given | {"called": _called(table), "shard": [shard] * table.num_rows, "n_leads": n_leads})


def of_aliases(data: bytes) -> pa.Table:
    """Return the rows of a table of other names."""
    table = tables.load_table(data)
    given = {name: table[name] for name in table.column_names}
    return _rows(table.num_rows, ALIAS, given | {"called": _called(table)})


def of_descriptions(data: bytes, *, number: int) -> pa.Table:
    """Return the rows of a table of what became known of patients in the intake of this number."""
    table = tables.load_table(data)
    return _rows(table.num_rows, DESCRIPTION, {name: table[name] for name in table.column_names} | {"received": [number] * table.num_rows})


def of_labels(table: pa.Table) -> pa.Table:
    """Return the rows of a label table that sources said; a reviewer's verdicts are not among them."""
    said = table.filter(pc.invert(pc.starts_with(table["who"], REVIEW)))
    return _rows(said.num_rows, LABEL, {name: said[name] for name in ("record_id", "label", "who", "when")})


def of_classes(table: pa.Table) -> pa.Table:
    """Return the rows of a table of classes that sources said."""
    said = table.filter(pc.invert(pc.starts_with(table["who"], REVIEW)))
    given = {name: said[name] for name in ("record_id", "who", "when")}
    return _rows(said.num_rows, CLASSES, given | {"label": said["classes"]})


def _groups(file: BinaryIO, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Yield all rows of a Parquet file, some thousands at a time; a column that an older one lacks is null."""
    table = pq.ParquetFile(file)
    wanted = tables.CATALOG.names if columns is None else list(columns)
    there = [name for name in wanted if name in table.schema_arrow.names]
    for number in range(table.num_row_groups):
        rows = table.read_row_group(number, columns=there, use_threads=False)
        for name in wanted:
            if name not in there:
                rows = rows.append_column(tables.CATALOG.field(name), pa.nulls(rows.num_rows, tables.CATALOG.field(name).type))
        yield rows.select(wanted)


def _strings(record_ids: NDArray[np.bytes_]) -> pa.Array:
    """Return ids of 32 bytes each as an Arrow array, without a Python object for each."""
    ids = np.ascontiguousarray(record_ids, dtype="S32")
    ends = np.arange(0, 32 * len(ids) + 1, 32, dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), len(ids), [None, pa.py_buffer(ends), pa.py_buffer(ids)])


def _called(table: pa.Table) -> list[str]:
    names = table["name"].to_pylist()
    hashed = table["called"].to_pylist() if "called" in table.column_names else names
    return [normal_name(called or name) for called, name in zip(hashed, names, strict=True)]


def _rows(n_rows: int, kind: int, given: Mapping[str, Any]) -> pa.Table:
    columns = {}
    for wanted in tables.CATALOG:
        value = given.get(wanted.name)
        if wanted.name == "kind":
            value = [kind] * n_rows
        elif wanted.name in {"received", "fold"}:
            value = pa.nulls(n_rows, pa.int32()) if value is None else value
            value = pc.fill_null(value if isinstance(value, pa.Array | pa.ChunkedArray) else pa.array(value, pa.int32()), 0)
        if value is None:
            value = pa.nulls(n_rows, wanted.type)
        is_table = isinstance(value, pa.Array | pa.ChunkedArray)
        columns[wanted.name] = value.cast(wanted.type) if is_table else pa.array(value, wanted.type)
    return pa.table(columns, schema=tables.CATALOG)
