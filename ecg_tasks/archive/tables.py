"""Here: the columns of every Parquet object in the bucket, written and read. Not here: their keys (``keys``)."""

import io
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, TypeAlias, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ecg_tasks.signals.measurements import VALUES

KEYED = {b"buckets": b"keyed"}
"""What stands in the head of a table whose private patients' buckets are keyed: in older ones they are made of the ids alone."""
RECORDS = pa.schema(
    [
        ("record_id", pa.string()),
        ("name", pa.string()),
        ("source", pa.string()),  # SHA-256 of the dropped bytes: raw/<source>/
        ("fs", pa.float64()),  # Hz
        ("leads", pa.list_(pa.string())),
        ("unit", pa.string()),
        ("samples", pa.large_binary()),  # float32, little endian, lead by lead
        ("patient", pa.string()),  # keyed hash
        ("split_bucket", pa.int32()),  # -1: the patient is not known
        ("age", pa.float32()),
        ("sex", pa.string()),
        ("synthetic", pa.bool_()),
        ("recorded", pa.string()),  # ISO 8601, as much as `Settings.dates` keeps; this one and the next are absent in older tables
        ("device", pa.string()),
        ("filters", pa.string()),
        ("source_format", pa.string()),
        ("fold", pa.int32()),  # of the collection's own protocol, 0 for none; this one and the next two are absent in older tables
        ("public_patient", pa.string()),  # digest of collection and id; none of a private patient
        ("site", pa.string()),
    ],
    metadata=KEYED,
)
PERSON = ("patient", "split_bucket", "age", "sex", "fold", "public_patient")
"""Columns of `RECORDS` that tell whose recording it is; the last two are absent in older tables, where neither is known."""
ACQUISITION = ("recorded", "device", "filters", "source_format", "site")
"""Columns of `RECORDS` that tell how and where a recording was made; absent in older tables, where none of it is known."""
RECEIVED = pa.field("received", pa.int32())
"""The number of the intake that let a record or a name in: a higher one is a later one. Absent in older tables, or 0: not known."""
RECORD_INDEX = pa.schema(
    [
        *(
            RECORDS.field(name)
            for name in ("record_id", "name", "source", "patient", "split_bucket", "age", "sex", "synthetic", "fs", "leads")
        ),
        RECEIVED,
        *(RECORDS.field(name) for name in (*ACQUISITION, "fold", "public_patient")),
    ],
    metadata=KEYED,
)
"""What listings and joins need of a shard, without its samples."""
CALLED = pa.field("called", pa.string())
"""By which digest a record is found whose name is not stored; an index whose records are called by their names has no such column."""
HASHED_INDEX = pa.schema([*RECORD_INDEX, CALLED], metadata=KEYED)
ALIASES = pa.schema([("record_id", pa.string()), ("name", pa.string()), RECEIVED])
"""Other names that records were dropped by."""
DESCRIPTIONS = pa.schema([RECORDS.field(name) for name in ("record_id", *PERSON)], metadata=KEYED)
"""What became known of patients after their recordings had been stored; it stands in place of what the record's index says."""
CATALOG = pa.schema(
    [
        ("kind", pa.int8()),  # see `catalog`; a column that says nothing of a kind is null there
        RECORDS.field("record_id"),
        ("called", pa.string()),  # its name in the normal form
        RECEIVED,
        ("shard", pa.string()),
        *(RECORDS.field(name) for name in ("source", "patient", "split_bucket", "age", "sex", "synthetic", "fs")),
        ("n_leads", pa.int32()),
        *(pa.field(name, pa.string()) for name in ("label", "who", "when")),
        *(RECORDS.field(name) for name in ("fold", "public_patient")),  # absent in older segments
    ]
)
"""All records, what else they are called, and what sources said of them and of their patients."""
LABEL_ROWS = pa.schema(
    [
        ("row", pa.int32()),  # line of the file
        ("record", pa.string()),  # as the file names it
        ("label", pa.string()),
        *(RECORDS.field(name) for name in PERSON),
        pa.field("classes", pa.string()),  # absent in older tables
    ]
)
"""A label table of the inbox while its run is under way, with keyed hashes in place of ids."""

LABELS = pa.schema(
    [
        ("record_id", pa.string()),
        ("label", pa.string()),  # a verdict, that an earlier one is withdrawn, or that somebody is asked to read
        ("who", pa.string()),  # source:<file> or review:<user>
        ("when", pa.string()),  # ISO 8601
        ("comment", pa.string()),  # this one and the next are absent in older tables
        ("withdraws", pa.string()),  # the ``when`` of the verdict that is taken back
    ]
)
CLASSES = pa.schema(
    [
        ("record_id", pa.string()),
        ("classes", pa.string()),  # as `labels.ClassList` writes it
        *(LABELS.field(name) for name in ("who", "when")),
    ]
)

SPECTROGRAMS = pa.schema(
    [
        ("record_id", pa.string()),
        ("window", pa.int32()),  # -1: the recording gave no window; its png is empty
        ("start_s", pa.float32()),
        ("quality", pa.float32()),
        ("flags", pa.string()),
        ("seconds_read", pa.string()),  # of the record, in words; empty for a heartbeat row, absent in older tables
        ("beat_s", pa.float32()),  # of the record: its median R-R interval, or the length of its one beat; absent in older tables
        ("png", pa.binary()),
    ]
)
MEASUREMENTS = pa.schema(
    [
        ("record_id", pa.string()),
        *((name, pa.float32()) for name in VALUES),  # NaN: not measurable
        ("rhythm", pa.string()),  # empty: not measurable
        ("not_measurable", pa.string()),  # why, such as ``pr_ms:no_p,rhythm:few_beats``
    ]
)
"""What was measured of records: see ``signals.measurements``."""
SPLIT = pa.schema(
    [
        ("record_id", pa.string()),
        ("shard", pa.string()),
        ("group", pa.string()),  # never in two splits
        ("bucket", pa.int32()),  # the patient's, -1 where that is not known
        ("place", pa.int32()),  # the group's, 0 to 9,999: decides the split and the fold
        ("side", pa.string()),
        ("label", pa.string()),
        ("labelled_by", pa.string()),  # source:<file> or review:<user>
        ("synthetic", pa.bool_()),
    ],
    metadata=KEYED,
)
SIGNATURES = pa.schema(
    [
        ("record_id", pa.string()),
        ("kind", pa.string()),  # row, beats, median or wave
        ("values", pa.large_binary()),  # float32, little endian
    ]
)
"""What records are compared by; one row a piece."""
GROUPS = pa.schema([("record_id", pa.string()), ("group", pa.string()), ("place", pa.int32())], metadata=KEYED)
"""Which group a record without a known patient was put into, for ever; place -1: between two splits, never used."""
PREDICTIONS = pa.schema(
    [
        ("record_id", pa.string()),
        ("probability", pa.float32()),  # P(abnormal), calibrated; NaN if uninterpretable
        ("decision", pa.string()),
        ("n_windows", pa.int32()),
        ("n_used", pa.int32()),
        ("quality", pa.float32()),
        ("flags", pa.string()),
        *(SPECTROGRAMS.field(name) for name in ("seconds_read", "beat_s")),
    ]
)

DECIDED = pa.schema(
    [
        *(RECORDS.field(name) for name in ("record_id", "name", "synthetic")),
        ("shard", pa.string()),
        *(PREDICTIONS.field(name) for name in ("probability", "decision", "quality")),
        RECORDS.field("site"),  # absent in older tables
    ]
)
"""What one version said of the whole archive, with what a list of records shows beside it."""

INBOX_KEYS = pa.schema([("key", pa.string())])
"""All that a plan left in the inbox."""
INBOX_READ = pa.schema(
    [
        ("key", pa.string()),
        ("etag", pa.string()),
        ("names", pa.list_(pa.string())),  # files that a header names
        ("segments", pa.bool_()),
        ("fault", pa.string()),  # a reason's code
        ("message", pa.string()),
        ("is_table", pa.bool_()),
    ]
)
"""What files that wait in the inbox say of themselves."""

_TEXTS_OF_A_FILE = [("sha256", pa.string()), ("dropped", pa.string()), ("member", pa.string())]
INPUTS = pa.schema(
    [
        *(
            pa.field(name, pa.string())
            for name in ("name", "record_name", "source", "kept", "dropped", "kept_in", "fate", "before", "before_at")
        ),
        *(pa.field(name, pa.int32()) for name in ("received", "records", "duplicates", "quarantined", "passed_over")),
        pa.field("forgotten", pa.int32()),  # absent in older tables
        (
            "files",
            pa.list_(pa.struct([("key", pa.string()), ("etag", pa.string()), ("size", pa.int64()), *_TEXTS_OF_A_FILE])),
        ),
    ]
)
"""What became of every drop of an intake: see ``documents.Input``."""
QUARANTINED = pa.schema([pa.field(name, pa.string()) for name in ("name", "reason", "message", "source", "entry")])
"""What an intake put into quarantine: see ``documents.QuarantinedInput``."""

_ROWS_AT_ONCE = 16_384

Table: TypeAlias = pa.Table
"""A table that is too long for a Python object a row; only this package looks into it."""
Columns = dict[str, Any]
"""Column name to a list (strings, bytes) or an array (numbers), all of one length."""


def predictions_with(classes: Iterable[str]) -> pa.Schema:
    """Return the columns of what a version with these classes says: one without any has those of ``PREDICTIONS`` alone."""
    fields = [field for name in classes for field in (pa.field(f"p_{name}", pa.float32()), pa.field(f"class_{name}", pa.string()))]
    return pa.schema([*PREDICTIONS, *fields])


def split_with(*, public: bool, classes: bool) -> pa.Schema:
    """Return the columns of a split; one without public patients and without classes has those of ``SPLIT`` alone, and its earlier name.

    Of classes, the names of those that a record has and has not, with blanks between.
    """
    more = [RECORDS.field("public_patient")] * public + [pa.field(name, pa.string()) for name in ("has", "lacks")] * classes
    return pa.schema([*SPLIT, *more], metadata=KEYED)


def dump(schema: pa.Schema, columns: Mapping[str, Sequence[object] | NDArray[np.generic]]) -> bytes:
    """Return ``columns`` as Parquet, those of the schema and no others; the same columns always give the same bytes.

    >>> load(dump(LABELS, dict.fromkeys(LABELS.names, ["normal"])))["label"]
    ['normal']
    """
    return _bytes(_table(schema, columns), schema)


def _bytes(table: pa.Table, schema: pa.Schema) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", use_dictionary=["leads"] if "leads" in schema.names else False)
    return buffer.getvalue()


def dump_table(schema: pa.Schema, table: pa.Table) -> bytes:
    """Return an Arrow table that has the columns of the schema as Parquet."""
    return _bytes(table.select(schema.names).cast(schema), schema)


def load_table(data: bytes) -> pa.Table:
    """Return all of a Parquet object as an Arrow table, for what is too long for a Python object a row."""
    return pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)


def parts(data: bytes | BinaryIO, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield columns of a Parquet object as Arrow tables of some ten thousand rows, for what need not be in memory together.

    A column that an older table lacks is left out.
    """
    file = pq.ParquetFile(pa.BufferReader(data) if isinstance(data, bytes) else data)
    wanted = [name for name in columns if name in file.schema_arrow.names]
    for batch in file.iter_batches(_ROWS_AT_ONCE, columns=wanted, use_threads=False):
        yield pa.Table.from_batches([batch])


def dump_parts(file: BinaryIO, schema: pa.Schema, parts: Iterable[Mapping[str, Sequence[object] | NDArray[np.generic]]]) -> int:
    """Write a table part by part, so that memory holds some ten thousand rows; returns its number of rows.

    Parts are written together, for Parquet keeps a description of every column of every group of rows until its end.
    """
    n_written, waiting = 0, list[pa.Table]()
    with pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=False) as writer:

        def flush() -> None:
            if waiting:
                writer.write_table(pa.concat_tables(waiting))
                waiting.clear()

        for part in parts:
            waiting.append(_table(schema, part))
            n_written += waiting[-1].num_rows
            if sum(one.num_rows for one in waiting) >= _ROWS_AT_ONCE:
                flush()
        flush()
    return n_written


def has_column(data: bytes, name: str) -> bool:
    """Return whether a Parquet object has a column."""
    return name in pq.ParquetFile(pa.BufferReader(data)).schema_arrow.names


def dump_with(schema: pa.Schema, data: bytes, name: str, value: object) -> bytes:
    """Return a stored table as Parquet whose column ``name`` holds ``value`` in every row; what an older one lacks is null."""
    table = load_table(data)
    n_rows = table.num_rows
    given = {field.name: table[field.name] if field.name in table.column_names else pa.nulls(n_rows, field.type) for field in schema}
    given[name] = pa.array([value] * n_rows, type=schema.field(name).type)
    schema = schema.with_metadata(table.schema.metadata)  # whether its buckets are keyed
    return _bytes(pa.table(given, schema=schema), schema)


def without_records(data: bytes, record_ids: Collection[str]) -> bytes | None:
    """Return a stored table less the rows of these records: the same bytes where it has none of them, None where it has no others."""
    table = load_table(data)
    kept = table.filter(pc.invert(pc.is_in(table["record_id"], value_set=pa.array(list(record_ids), type=pa.string()))))
    if kept.num_rows == table.num_rows:
        return data
    return _bytes(kept, kept.schema) if kept.num_rows else None


def replaced(data: bytes, column: str, values: Mapping[str, str]) -> bytes:
    """Return a stored table with other texts in a column, given by what stands there; the same bytes where none of them does."""
    table = load_table(data)
    before = table[column].to_pylist()
    after = [values.get(text, text) for text in before]
    if after == before:
        return data
    place = table.column_names.index(column)
    return _bytes(table.set_column(place, table.schema.field(column), pa.array(after, type=table.schema.field(column).type)), table.schema)


def texts_in(data: bytes) -> Iterator[str]:
    """Yield every text of a Parquet object, those inside lists and structures too."""
    for column in load_table(data).columns:
        yield from _texts(column.to_pylist()) if not pa.types.is_large_binary(column.type) else ()


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(list(value.values()))
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def has_keyed_buckets(table: pa.Table) -> bool:
    """Return whether the head of a stored table says that the buckets of its private patients are keyed."""
    return KEYED.items() <= (table.schema.metadata or {}).items()


def exchanged(
    table: pa.Table, columns: Mapping[str, Sequence[object] | NDArray[np.generic]], *, keyed: bool, more: Sequence[pa.Field] = ()
) -> bytes:
    """Return a stored table as Parquet with other values in some columns, of the types that they have.

    ``keyed`` says whether its buckets are keyed now; ``more`` are columns that it gets behind its own.
    """
    fields = [*table.schema, *(field for field in more if field.name not in table.column_names)]
    arrays = {
        field.name: pa.array(columns[field.name], type=field.type) if field.name in columns else table[field.name] for field in fields
    }
    schema = pa.schema(fields, metadata=KEYED if keyed else table.schema.metadata)
    return _bytes(pa.table(arrays, schema=schema), schema)


def _table(schema: pa.Schema, columns: Mapping[str, Sequence[object] | NDArray[np.generic]]) -> pa.Table:
    if unknown := columns.keys() - set(schema.names):
        raise ValueError(f"the table has no columns {sorted(unknown)}")

    def array(field: pa.Field) -> pa.Array:
        column = columns[field.name]
        return column if isinstance(column, pa.Array) else pa.array(column, type=field.type)

    return pa.table({field.name: array(field) for field in schema}, schema=schema)


def packed(arrays: Sequence[NDArray[np.generic]]) -> pa.Array:
    """Return the bytes of contiguous arrays as a column of binary objects, in one copy.

    >>> packed([np.array([65, 66], "u1"), np.array([67], "u1")]).to_pylist()
    [b'AB', b'C']
    """
    offsets = np.zeros(len(arrays) + 1, np.int64)
    np.cumsum([array.nbytes for array in arrays], out=offsets[1:])
    data = np.empty(int(offsets[-1]), np.uint8)
    for array, start, end in zip(arrays, offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        data[start:end] = array.reshape(-1).view(np.uint8)
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(arrays), [None, pa.py_buffer(offsets), pa.py_buffer(data)])


def load(data: bytes, columns: Sequence[str] | None = None, *, of_records: Iterable[str] | None = None) -> Columns:
    """Return the columns of a Parquet object: numbers as arrays (a missing one is NaN), all else as lists.

    A column that an older table lacks is left out. ``of_records`` are ids: only the rows of these records are read.
    """
    # not pq.read_table: its threads and its scanner take 20 MB more, and tasks run side by side anyway
    file = pq.ParquetFile(pa.BufferReader(data))
    wanted = None if columns is None else [name for name in columns if name in file.schema_arrow.names]
    if of_records is None:
        table = file.read(columns=wanted, use_threads=False)
    else:
        table = file.read(columns=None if wanted is None else list(dict.fromkeys([*wanted, "record_id"])), use_threads=False)
        table = table.filter(pc.is_in(table["record_id"], value_set=pa.array(list(of_records), type=pa.string())))
    return plain_columns(table)


def plain_columns(table: pa.Table) -> Columns:
    """Return the columns of a table: numbers as arrays (a missing one is NaN), all else as lists."""
    found: Columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        numeric = pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_boolean(column.type)
        found[name] = column.to_numpy() if numeric else column.to_pylist()
    return found


def n_rows(columns: Columns) -> int:
    """Return how many rows a table has."""
    return len(cast("Sequence[object]", next(iter(columns.values()))))


def concatenate(parts: Sequence[Columns]) -> Columns:
    """Return the rows of several tables of the same columns, one after another."""
    return {name: _joined([part[name] for part in parts]) for name in parts[0]}


def _joined(parts: Sequence[Any]) -> Any:
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else [item for part in parts for item in part]
