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

SORTED_AT_ONCE = 65_536
"""Rows that are sorted in memory; of a longer table so many at a time."""
_ID_BYTES = 16
_UNLIKE = ("record_id", "name", "probability", "quality", "page")  # and what begins with ``p_``, the probability of a class
"""Columns whose values seldom occur twice: a dictionary of them only takes room."""


class RunTableWriter:
    """Rows on their way into a run's table, in a temporary file that goes at the end; ``classes`` are those that it reports.

    Memory holds some ten thousands of them, and of each 24 bytes.
    """

    def __init__(self, classes: Sequence[str] = ()) -> None:
        self._file = new_file()
        self._columns = report_columns.columns_with(classes)
        self._schema = schema(classes=classes)
        self._writer = _writer(self._file, self._schema, compression="lz4")
        self._waiting: list[pa.Table] = []
        self._ids: list[NDArray[np.bytes_]] = []
        self._keys: list[NDArray[np.float64]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
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
        self._ids.append(_identities(table["record_id"].to_pylist()))
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
        self._writer.close()
        _refuse_repeated(np.concatenate([np.empty(0, dtype=f"S{_ID_BYTES}"), *self._ids]))
        file = new_file()
        with _writer(file, self._schema, compression="zstd") as writer:
            for part in self._dealt():
                writer.write_table(part.take(_order(part)), row_group_size=ROWS_AT_ONCE)
        file.flush()
        pa.default_memory_pool().release_unused()  # what the sorting took is not asked for again
        return RunTable(file)

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting))
            self._waiting = []

    def _dealt(self) -> Iterator[pa.Table]:
        """Yield all rows in parts small enough to be sorted, each of which comes wholly before the next."""
        whole = _read(self._file)
        keys = np.concatenate([np.empty(0), *self._keys])
        n_parts = -(-len(keys) // SORTED_AT_ONCE)
        if n_parts <= 1:
            yield whole.read(use_threads=False)
            return
        edges = np.unique(np.quantile(keys, np.arange(1, n_parts) / n_parts))
        part_of = np.searchsorted(edges, keys, side="right")
        with ExitStack() as opened:
            files = [opened.enter_context(new_file()) for _ in range(len(edges) + 1)]
            writers = [_writer(file, self._schema, compression="lz4") for file in files]
            start = 0
            for number in range(whole.num_row_groups):
                group = whole.read_row_group(number, use_threads=False)
                here = part_of[start : start + group.num_rows]
                start += group.num_rows
                for part in np.unique(here).tolist():
                    writers[part].write_table(group.filter(here == part))
            for writer in writers:
                writer.close()
            for file in files:
                yield _read(file).read(use_threads=False)


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


def _identities(ids: Sequence[str | None]) -> NDArray[np.bytes_]:
    """Return ids as bytes, shape (n,)."""
    for one in ids:
        if one is None or len(one) != 2 * _ID_BYTES or set(one) - set("0123456789abcdef"):
            raise ValueError(f"record_id is {one!r}; it must be 32 lower-case hex digits")
    return np.frombuffer(bytes.fromhex("".join(cast("Sequence[str]", ids))), dtype=f"S{_ID_BYTES}")


def _refuse_repeated(ids: NDArray[np.bytes_]) -> None:
    halves = np.ascontiguousarray(ids).view("<u8").reshape(-1, 2)
    order = np.lexsort((halves[:, 1], halves[:, 0]))
    repeated = np.flatnonzero((halves[order][1:] == halves[order][:-1]).all(axis=1))
    if len(repeated):
        raise ValueError(f"predictions repeat a record, {halves[order[repeated[0]]].tobytes().hex()!r}; one row a record")


def _rank(table: pa.Table) -> pa.ChunkedArray:
    return pc.index_in(table["decision"], value_set=pa.array([str(decision) for decision in ATTENTION]))


def _keys_of(table: pa.Table) -> NDArray[np.float64]:
    """Return a number for each row that rises in the table's order, equal for rows that only their ids put in order."""
    rank = _rank(table)
    if rank.null_count:
        raise ValueError(f"unknown decisions {sorted(set(table['decision'].to_pylist()) - {str(one) for one in ATTENTION}, key=str)}")
    return np.asarray(2.0 * rank.to_numpy() - pc.fill_null(table["probability"], 0.0).to_numpy())


def _order(table: pa.Table) -> pa.Array:
    columns = {"rank": _rank(table), "probability": pc.fill_null(table["probability"], 0.0), "record_id": table["record_id"]}
    return pc.sort_indices(pa.table(columns), sort_keys=[("rank", "ascending"), ("probability", "descending"), ("record_id", "ascending")])
