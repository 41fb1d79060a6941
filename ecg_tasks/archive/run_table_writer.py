"""Here: writing a run's table: rows in any order become a Parquet file in the table's order. Not here: reading it (``predictions``)."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import pairwise
from typing import Any, BinaryIO, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ecg_tasks import report_columns
from ecg_tasks.archive.grouped_table import numbers
from ecg_tasks.archive.packed_ids import N_BYTES, packed, unpacked
from ecg_tasks.archive.predictions import ROWS_AT_ONCE, RunTable, schema
from ecg_tasks.archive.temporary_file import new_file, path_of
from ecg_tasks.disk_rows import Rows, dealt, n_parts_of
from ecg_tasks.report_columns import ATTENTION, Joined

SORTED_AT_ONCE = 8192
"""Rows that are sorted in memory; of a longer table so many at a time."""
_DEALT_AT_ONCE = 8192
"""Rows, of 0.7 kB each, that are dealt out together."""
_DEALT_INTO = 40
"""Files into which rows are dealt at a time, each of which is dealt again while it is too long to be sorted: of more files each would get a
few of the rows only, shorter than Arrow's description of them."""
_SAMPLED = 65_536
"""So many keys at least, every so many rows one, tell where parts begin; of fewer rows all."""
_KEY_BYTES = 1 + 8 + N_BYTES
_CUT_AT_ONCE = 16_384
"""Rows out of which the row groups of a table are cut that has not too many of them."""
_MOST_GROUPS = 512
"""Row groups of a table: their description stays in memory, some 90 kB each, while it is written and while it is read."""
_UNLIKE = ("record_id", "name", "probability", "quality", "page")  # and what begins with ``p_``, the probability of a class
"""Columns whose values seldom occur twice: a dictionary of them only takes room."""


class RunTableWriter:
    """Rows on their way into a run's table, in a temporary file that goes at the end; ``classes`` are those that it reports.

    Memory holds some ten thousands of them, however many there are.
    """

    def __init__(self, classes: Sequence[str] = ()) -> None:
        self._file = new_file()
        self._ids = Rows(f"S{N_BYTES}")
        self._columns = report_columns.columns_with(classes)
        self._schema = schema(classes=classes)
        self._stream = _stream(self._file, self._schema)
        self._waiting: list[pa.Table] = []
        self._n_rows = 0
        self._sample = [np.empty(0, f"S{_KEY_BYTES}")]
        self._every = 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._file.close()

    def add(self, joined: Joined) -> None:
        """Compute the columns of joined rows, and append them."""
        self.append({column.name: column.values(joined) for column in self._columns})

    def append(self, columns: Mapping[str, Sequence[Any] | NDArray[Any]]) -> None:
        """Append rows whose columns are computed; NaN, None and an empty text are no value.

        Raises
        ------
        ValueError
            If a column is missing, the columns are not of one length, a decision is none, or an id is not 32 hex digits.
        """
        if missing := [name for name in self._schema.names if name not in columns]:
            raise ValueError(f"predictions lack the columns {missing}")
        lengths = {name: len(columns[name]) for name in self._schema.names}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns are not of one length: {lengths}")
        table = pa.table({field.name: _array(columns[field.name], field.type) for field in self._schema}, schema=self._schema)
        keys = _keys_of(table)
        self._ids.append(_ids_of(keys))
        self._sample.append(keys[-self._n_rows % self._every :: self._every].copy())  # not a view, which would keep all of them
        self._n_rows += len(keys)
        if sum(map(len, self._sample)) >= 2 * _SAMPLED:
            self._sample, self._every = [np.concatenate(self._sample)[::2].copy()], 2 * self._every
        self._waiting.append(table)
        if sum(one.num_rows for one in self._waiting) >= ROWS_AT_ONCE:
            self._flush()

    def finish(self) -> RunTable:
        """Sort the rows, and give the table.

        Raises
        ------
        ValueError
            If a record has two rows.
        """
        self._flush()
        self._stream.close()
        _refuse_repeated(self._ids)
        file = new_file()
        with _writer(file, self._schema, compression="zstd") as writer:
            begins = _begins(np.concatenate(self._sample), -(-self._n_rows // SORTED_AT_ONCE))
            for group in _cut(map(_sorted, _dealt(self._file, begins, self._schema)), _groups(self._n_rows)):
                writer.write_table(group)
                del group
                pa.default_memory_pool().release_unused()
            if not self._n_rows:
                writer.write_table(self._schema.empty_table())
        file.flush()
        pa.default_memory_pool().release_unused()  # what the sorting took is not asked for again
        return RunTable(file)

    def _flush(self) -> None:
        if self._waiting:
            self._stream.write_table(pa.concat_tables(self._waiting).combine_chunks())
            self._waiting = []


def table_without(table: RunTable, record_ids: Collection[str]) -> RunTable:
    """Return a run's table less the rows of these records, the others in their order."""
    ids = pa.array(list(record_ids), type=pa.string())
    file = new_file()
    whole = _read(table.file)
    with _writer(file, whole.schema_arrow, compression="zstd") as writer:
        for number in range(whole.num_row_groups):
            group = whole.read_row_group(number, use_threads=False)
            kept = group.filter(pc.invert(pc.is_in(group["record_id"], value_set=ids)))
            writer.write_table(kept, row_group_size=max(ROWS_AT_ONCE, group.num_rows))
    file.flush()
    return RunTable(file)


def _writer(file: BinaryIO, of: pa.Schema, *, compression: str) -> pq.ParquetWriter:
    return pq.ParquetWriter(file, of, compression=compression, use_dictionary=[name for name in of.names if not _is_unlike(name)])


def _stream(file: BinaryIO, of: pa.Schema) -> pa.RecordBatchStreamWriter:
    """Return a writer of rows that keeps none: Parquet's keeps a description of every column of every few rows until its end."""
    return pa.ipc.new_stream(file, of, options=pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False))


def _streamed(file: BinaryIO) -> pa.RecordBatchStreamReader:
    file.flush()
    return pa.ipc.open_stream(pa.OSFile(path_of(file)), options=pa.ipc.IpcReadOptions(use_threads=False))


def _is_unlike(name: str) -> bool:
    return name in _UNLIKE or name.startswith("p_")


def _read(file: BinaryIO) -> pq.ParquetFile:
    file.flush()
    return pq.ParquetFile(path_of(file))


def _array(values: Sequence[Any] | NDArray[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind):
        return pa.array([str(value) if value else None for value in values], type=kind)
    if isinstance(values, np.ndarray):
        return pa.array(values, from_pandas=True).cast(kind)
    return pa.array(values, type=kind, from_pandas=True)


def _refuse_repeated(rows: Rows) -> None:
    """Look through packed ids, those that begin alike at a time."""
    n_parts = n_parts_of(len(rows))
    for part in dealt(rows, lambda ids: ids.view(">u4")[:: N_BYTES // 4].astype(np.int64) % n_parts, n_parts):
        ids = np.sort(part.read())
        repeated = np.flatnonzero(ids[1:] == ids[:-1])
        if len(repeated):
            raise ValueError(f"predictions repeat a record, {unpacked(ids[repeated[:1]])[0]!r}; one row a record")


def _begins(sample: NDArray[np.bytes_], n_parts: int) -> NDArray[np.bytes_]:
    """Return the keys with which parts begin, but for the first: parts are of one size, as far as the sample is like all rows."""
    n_parts = min(n_parts, len(sample))
    return np.sort(sample)[[-(-part * len(sample) // n_parts) for part in range(1, n_parts)]]


def _groups(n_rows: int) -> Iterator[int]:
    """Yield the lengths of the row groups: those of so many parts of one size, or longer ones where these were too many."""
    if n_rows > _MOST_GROUPS * ROWS_AT_ONCE:
        length = ROWS_AT_ONCE * -(-n_rows // (_MOST_GROUPS * ROWS_AT_ONCE))
        yield from (min(length, n_rows - at) for at in range(0, n_rows, length))
        return
    n_parts = -(-n_rows // _CUT_AT_ONCE)
    starts = [-(-part * n_rows // n_parts) for part in range(n_parts + 1)] if n_parts else []
    for start, end in pairwise(starts):
        yield from (min(ROWS_AT_ONCE, end - at) for at in range(start, end, ROWS_AT_ONCE))


def _dealt(file: BinaryIO, begins: NDArray[np.bytes_], of: pa.Schema) -> Iterator[pa.Table]:
    """Yield the rows of a file in the parts that begin with these keys, each of which comes wholly before the next."""
    if not len(begins):
        yield _streamed(file).read_all()
        return
    n_each = -(-(len(begins) + 1) // _DEALT_INTO)  # parts in a file
    firsts = begins[n_each - 1 :: n_each]
    with ExitStack() as opened:
        files = [opened.enter_context(new_file()) for _ in range(len(firsts) + 1)]
        _deal(file, files, firsts, of)
        pa.default_memory_pool().release_unused()  # many small pieces
        for number, dealt in enumerate(files):
            yield from _dealt(dealt, begins[number * n_each : (number + 1) * n_each - 1], of)
            dealt.close()


def _deal(file: BinaryIO, files: Sequence[BinaryIO], begins: NDArray[np.bytes_], of: pa.Schema) -> None:
    """Write the rows of a file into others, by the keys with which these begin, but for the first."""
    with ExitStack() as opened:
        streams = [opened.enter_context(_stream(one, of)) for one in files]
        batches = (pa.Table.from_batches([batch]) for batch in _streamed(file))
        for rows in _gathered(batches):
            part_of = np.searchsorted(begins, _keys_of(rows), side="right")
            by_part = np.argsort(part_of, kind="stable")
            ends = np.cumsum(np.bincount(part_of, minlength=len(files)))
            dealt = rows.take(numbers(by_part))
            for stream, start, end in zip(streams, [0, *ends], ends, strict=False):
                if end > start:
                    stream.write_table(dealt.slice(start, end - start))


def _gathered(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield the rows of tables, so many at least at a time."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(one.num_rows for one in waiting) >= _DEALT_AT_ONCE:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _cut(tables: Iterable[pa.Table], lengths: Iterable[int]) -> Iterator[pa.Table]:
    """Yield the rows of tables in tables of these lengths; the last may be shorter."""
    wanted = iter(lengths)
    waiting, n_waiting, length = list[pa.Table](), 0, next(wanted, 0)
    for table in tables:
        waiting.append(table)
        n_waiting += table.num_rows
        del table  # what is named here stays in memory while the rows behind it are sorted, or a group is written
        while n_waiting >= length > 0:
            rows = pa.concat_tables(waiting)
            waiting, n_waiting = [rows.slice(length)], n_waiting - length
            group = rows.slice(0, length).combine_chunks()
            del rows
            yield group
            del group
            length = next(wanted, 0)
    if n_waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _keys_of(table: pa.Table) -> NDArray[np.bytes_]:
    """Return what the table's order goes by, as bytes that have this order: the attention that a decision needs, probability and id."""
    rank = pc.index_in(table["decision"], value_set=pa.array([str(decision) for decision in ATTENTION]))
    if rank.null_count:
        raise ValueError(f"unknown decisions {sorted(set(table['decision'].to_pylist()) - {str(one) for one in ATTENTION}, key=str)}")
    keys = np.empty((table.num_rows, _KEY_BYTES), np.uint8)
    keys[:, 0] = rank.to_numpy()
    keys[:, 1:9] = _falling(pc.fill_null(table["probability"], 0.0).to_numpy())
    keys[:, 9:] = packed(table["record_id"]).view(np.uint8).reshape(-1, N_BYTES)
    return keys.view(f"S{_KEY_BYTES}")[:, 0]


def _falling(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return eight bytes a value, shape (n, 8), which come in the order of the falling values."""
    bits = (values + 0.0).view(np.int64)  # -0.0 is 0.0
    rising = np.where(bits < 0, ~bits, bits | np.int64(-(2**63)))
    return (~rising).astype(">i8").view(np.uint8).reshape(-1, 8)


def _ids_of(keys: NDArray[np.bytes_]) -> NDArray[np.bytes_]:
    return np.ascontiguousarray(keys.view(np.uint8).reshape(-1, _KEY_BYTES)[:, 9:]).view(f"S{N_BYTES}")[:, 0]


def _sorted(table: pa.Table) -> pa.Table:
    return table.take(numbers(np.argsort(_keys_of(table))))
