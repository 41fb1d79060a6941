"""Here: writing a run's table: rows in any order become a Parquet file in the table's order. Not here: reading it (``predictions``)."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, BinaryIO, Self, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ecg_tasks import report_columns
from ecg_tasks.archive.predictions import ROWS_AT_ONCE, RunTable, schema
from ecg_tasks.archive.temporary_file import new_file, path_of
from ecg_tasks.report_columns import ATTENTION, Joined

SORTED_AT_ONCE = 16_384
"""Rows that are sorted in memory; of a longer table so many at a time, and more of one that is longer than `_MOST_PARTS` of them."""
_MOST_PARTS = 512
"""Each is an open file until all rows are dealt out."""
_ID_BYTES = 16
_KEY = np.dtype([("rank", np.uint8), ("probability", np.float64), ("high", np.uint64), ("low", np.uint64)])
"""What memory keeps of a row: the attention that its decision needs, its probability, and both halves of its id."""
_UNLIKE = ("record_id", "name", "probability", "quality", "page")  # and what begins with ``p_``, the probability of a class
"""Columns whose values seldom occur twice: a dictionary of them only takes room."""


class RunTableWriter:
    """Rows on their way into a run's table, in a temporary file that goes at the end; ``classes`` are those that it reports.

    Memory holds some ten thousands of them, and of each 25 bytes; while they are sorted, 50.
    """

    def __init__(self, classes: Sequence[str] = ()) -> None:
        self._file = new_file()
        self._columns = report_columns.columns_with(classes)
        self._schema = schema(classes=classes)
        self._stream = _stream(self._file, self._schema)
        self._waiting: list[pa.Table] = []
        self._keys: list[NDArray[np.void]] = []

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
        self._keys.append(_keys_of(table))
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
        _refuse_repeated(np.concatenate([np.empty(0, _KEY), *self._keys]))
        file = new_file()
        with _writer(file, self._schema, compression="zstd") as writer:
            for part in self._dealt():
                writer.write_table(part.take(_order(part)), row_group_size=ROWS_AT_ONCE)
        file.flush()
        pa.default_memory_pool().release_unused()  # what the sorting took is not asked for again
        return RunTable(file)

    def _flush(self) -> None:
        if self._waiting:
            self._stream.write_table(pa.concat_tables(self._waiting))
            self._waiting = []

    def _dealt(self) -> Iterator[pa.Table]:
        """Yield all rows in parts small enough to be sorted, each of which comes wholly before the next."""
        part_of = _parts(np.concatenate(self._keys)) if self._keys else np.empty(0, np.int64)
        if not part_of.any():
            yield _streamed(self._file).read_all()
            return
        with ExitStack() as opened:
            files = [opened.enter_context(new_file()) for _ in range(part_of.max() + 1)]
            streams = [opened.enter_context(_stream(file, self._schema)) for file in files]
            start = 0
            for batch in _streamed(self._file):
                here = part_of[start : start + batch.num_rows]
                start += batch.num_rows
                for part in np.unique(here).tolist():
                    streams[part].write_batch(batch.filter(pa.array(here == part)))
            for file, stream in zip(files, streams, strict=True):
                stream.close()
                yield _streamed(file).read_all()


def table_without(table: RunTable, record_ids: Collection[str]) -> RunTable:
    """Return a run's table less the rows of these records, the others in their order."""
    ids = pa.array(list(record_ids), type=pa.string())
    file = new_file()
    whole = _read(table.file)
    with _writer(file, whole.schema_arrow, compression="zstd") as writer:
        for number in range(whole.num_row_groups):
            group = whole.read_row_group(number, use_threads=False)
            writer.write_table(group.filter(pc.invert(pc.is_in(group["record_id"], value_set=ids))), row_group_size=ROWS_AT_ONCE)
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


def _identities(ids: Sequence[str | None]) -> NDArray[np.uint64]:
    """Return the two halves of each id, shape (n, 2)."""
    for one in ids:
        if one is None or len(one) != 2 * _ID_BYTES or set(one) - set("0123456789abcdef"):
            raise ValueError(f"record_id is {one!r}; it must be 32 lower-case hex digits")
    return np.frombuffer(bytes.fromhex("".join(cast("Sequence[str]", ids))), dtype=">u8").reshape(-1, 2).astype(np.uint64)


def _refuse_repeated(keys: NDArray[np.void]) -> None:
    order = np.lexsort((keys["low"], keys["high"]))
    high, low = keys["high"][order], keys["low"][order]
    repeated = np.flatnonzero((high[1:] == high[:-1]) & (low[1:] == low[:-1]))
    if len(repeated):
        record_id = f"{high[repeated[0]]:016x}{low[repeated[0]]:016x}"
        raise ValueError(f"predictions repeat a record, {record_id!r}; one row a record")


def _parts(keys: NDArray[np.void]) -> NDArray[np.int64]:
    """Return for each row the number of its part: parts are of one size, and rise in the table's order."""
    n_parts = min(-(-len(keys) // SORTED_AT_ONCE), _MOST_PARTS)
    part_of = np.zeros(len(keys), np.int64)
    if n_parts > 1:
        part_of[np.lexsort((keys["low"], keys["high"], -keys["probability"], keys["rank"]))] = np.arange(len(keys)) * n_parts // len(keys)
    return part_of


def _rank(table: pa.Table) -> pa.ChunkedArray:
    return pc.index_in(table["decision"], value_set=pa.array([str(decision) for decision in ATTENTION]))


def _keys_of(table: pa.Table) -> NDArray[np.void]:
    """Return what the table's order goes by, and the id of each row."""
    rank = _rank(table)
    if rank.null_count:
        raise ValueError(f"unknown decisions {sorted(set(table['decision'].to_pylist()) - {str(one) for one in ATTENTION}, key=str)}")
    keys = np.empty(table.num_rows, _KEY)
    keys["rank"], keys["probability"] = rank.to_numpy(), pc.fill_null(table["probability"], 0.0).to_numpy()
    keys["high"], keys["low"] = _identities(table["record_id"].to_pylist()).T
    return keys


def _order(table: pa.Table) -> pa.Array:
    columns = {"rank": _rank(table), "probability": pc.fill_null(table["probability"], 0.0), "record_id": table["record_id"]}
    return pc.sort_indices(pa.table(columns), sort_keys=[("rank", "ascending"), ("probability", "descending"), ("record_id", "ascending")])
