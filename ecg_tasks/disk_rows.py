"""Here: rows of numbers on the disk, in files that go by themselves: appended, read again, dealt into parts. Not here: what they are."""

import os
import tempfile
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

ROWS_AT_ONCE = 65_536
"""Rows in memory where they are only gone through."""
SORTED_AT_ONCE = 200_000
"""Rows of a part, which is sorted in memory, and more where `MOST_PARTS` of them would not do."""
MOST_PARTS = 256
"""Each is an open file until all rows are dealt."""


class Rows:
    """Rows of one NumPy type in a temporary file, which goes with this object; memory holds what is read."""

    def __init__(self, kind: DTypeLike) -> None:
        self.kind = np.dtype(kind)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as this object is there
        self._n = 0
        weakref.finalize(self, self._file.close)

    def __len__(self) -> int:
        return self._n

    def append(self, rows: NDArray[Any]) -> None:
        """Write rows behind those that are there, shape (n,)."""
        self._file.write(np.ascontiguousarray(rows, self.kind).view(np.uint8).data)
        self._n += len(rows)

    def read(self, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Return the rows from one place up to another, as far as they are there, shape (n,)."""
        stop = self._n if stop is None else min(stop, self._n)
        found = np.empty(max(stop - start, 0), self.kind)
        self.read_into(found, start)
        return found

    def read_into(self, found: NDArray[Any], start: int) -> None:
        """Fill an array with the rows from one place on; raises `EOFError` where the file has fewer."""
        self._file.flush()
        into, at = found.view(np.uint8).data, start * self.kind.itemsize
        while len(into):
            n_read = os.preadv(self._file.fileno(), [into], at)
            if not n_read:
                raise EOFError(f"the file ends before row {self._n}")
            into, at = into[n_read:], at + n_read

    def pieces(self) -> Iterator[NDArray[Any]]:
        """Yield all rows, `ROWS_AT_ONCE` at a time."""
        for start in range(0, self._n, ROWS_AT_ONCE):
            yield self.read(start, start + ROWS_AT_ONCE)


def n_parts_of(n_rows: int) -> int:
    """Return into how many parts so many rows are dealt, so that each can be sorted in memory; one at least.

    >>> n_parts_of(0), n_parts_of(200_001), n_parts_of(10**9)
    (1, 2, 256)
    """
    return min(max(-(-n_rows // SORTED_AT_ONCE), 1), MOST_PARTS)


def dealt(rows: Rows, part_of: Callable[[NDArray[Any]], NDArray[np.integer]], n_parts: int) -> Iterator[Rows]:
    """Yield parts of rows, one after another; within a part they are in the order in which they came.

    Parameters
    ----------
    part_of : gives the part of each row, from 0 on, shape (n,); not asked where there is only one
    """
    if n_parts == 1:
        yield rows
        return
    parts = [Rows(rows.kind) for _ in range(n_parts)]
    for piece in rows.pieces():
        number = part_of(piece)
        by_part = np.argsort(number, kind="stable")
        ends = np.cumsum(np.bincount(number, minlength=n_parts))
        ordered = piece[by_part]
        for part, start, end in zip(parts, [0, *ends], ends, strict=False):
            if end > start:
                part.append(ordered[start:end])
    for _ in range(n_parts):
        yield parts.pop(0)
