"""Here: a Parquet file on the disk, read some thousand rows at a time, by their places. Not here: what its rows are (``predictions``)."""

import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ecg_tasks.archive.temporary_file import path_of

_PIECE = 1024 * 1024
_ROWS_AT_ONCE = 4096
"""Rows that are given together; a long table has longer groups (``run_table_writer``)."""


class GroupedTable:
    """Rows in groups, as a Parquet file has them; memory holds a part of one. Several threads may read at once."""

    def __init__(self, file: BinaryIO) -> None:
        weakref.finalize(self, file.close)
        self._path = path_of(file)  # every reader has a place in the file of its own
        self._metadata = pq.read_metadata(self._path)
        n_rows = [self._metadata.row_group(number).num_rows for number in range(self._metadata.num_row_groups)]
        self._starts = np.cumsum([0, *n_rows])

    @property
    def names(self) -> list[str]:
        """The columns that the file has."""
        found: list[str] = self._metadata.schema.to_arrow_schema().names
        return found

    def __len__(self) -> int:
        return int(self._starts[-1])

    def pieces(self) -> Iterator[bytes]:
        """Yield the file, piece by piece."""
        with Path(self._path).open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece

    def groups(self, columns: pa.Schema) -> Iterator[tuple[int, pa.Table]]:
        """Yield columns, some thousand rows at a time, and the place at which these begin; a column that the file has not is null."""
        file = self._open()
        for number, start in enumerate(self._starts[:-1].tolist()):
            at = start
            for rows in self._read(file, number, columns):
                yield at, rows
                at += rows.num_rows

    def take(self, places: NDArray[np.int64], columns: pa.Schema) -> pa.Table:
        """Return the rows at these places, in their order."""
        group = np.searchsorted(self._starts, places, side="right") - 1
        by_group = np.argsort(group, kind="stable")
        file, parts = self._open(), []
        for some in np.split(by_group, np.flatnonzero(np.diff(group[by_group])) + 1):
            if len(some):
                number = int(group[some[0]])
                parts.append(pa.concat_tables(self._read(file, number, columns)).take(numbers(places[some] - self._starts[number])))
        if not parts:
            return columns.empty_table()
        back = np.empty(len(places), dtype=np.int64)
        back[by_group] = np.arange(len(places))
        return pa.concat_tables(parts).take(numbers(back))

    def _open(self) -> pq.ParquetFile:
        return pq.ParquetFile(self._path, metadata=self._metadata)

    def _read(self, file: pq.ParquetFile, number: int, columns: pa.Schema) -> Iterator[pa.Table]:
        """Yield the rows of a group, some thousand at a time: a long table has long groups."""
        there = [name for name in columns.names if name in file.schema_arrow.names]
        for batch in file.iter_batches(_ROWS_AT_ONCE, row_groups=[number], columns=there, use_threads=False):
            found = [batch[field.name] if field.name in there else pa.nulls(batch.num_rows, field.type) for field in columns]
            yield pa.Table.from_arrays(found, schema=columns)


def numbers(values: NDArray[np.int64]) -> pa.Array:
    """Return numbers as Arrow's, without `pyarrow.array`, which imports pandas: half a second at the first view of a process."""
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])
