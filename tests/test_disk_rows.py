"""Rows on the disk are read as they were written, and dealt into parts in the order in which they came."""

import numpy as np
import pytest

from ecg_tasks import disk_rows
from ecg_tasks.disk_rows import Rows, dealt, n_parts_of

KIND = np.dtype([("value", np.float64), ("place", np.int32)])


def made(n):
    """Rows of some values, with their places."""
    rows = np.empty(n, KIND)
    rows["value"], rows["place"] = np.random.default_rng(1).random(n), np.arange(n)
    return rows


def test_rows_are_read_as_they_were_written(monkeypatch):
    """From any place up to any other one, also while more are written; what is beyond the end is not there."""
    monkeypatch.setattr(disk_rows, "ROWS_AT_ONCE", 7)
    rows, there = made(50), Rows(KIND)
    assert (len(there), there.read().tolist(), list(there.pieces())) == (0, [], [])
    for start in range(0, 50, 13):
        there.append(rows[start : start + 13])
        assert there.read(3, start + 9).tolist() == rows[3 : start + 9].tolist()
    assert there.read(48, 60).tolist() == rows[48:].tolist()
    assert there.read(60, 70).tolist() == []
    assert np.concatenate(list(there.pieces())).tolist() == rows.tolist()
    assert [len(piece) for piece in there.pieces()] == [7] * 7 + [1]
    with pytest.raises(EOFError, match="before row 50"):
        there.read_into(np.empty(3, KIND), 48)
    there.append(rows[::2])
    assert there.read(50).tolist() == rows[::2].tolist()


def test_rows_are_dealt_in_their_order(monkeypatch):
    """Each part has its rows as they came, an empty one none; a single part is all of them."""
    monkeypatch.setattr(disk_rows, "ROWS_AT_ONCE", 7)
    monkeypatch.setattr(disk_rows, "SORTED_AT_ONCE", 20)
    rows, there = made(50), Rows(KIND)
    there.append(rows)
    assert n_parts_of(50) == 3
    parts = [part.read() for part in dealt(there, lambda some: some["place"] % 3 * 2, 5)]
    assert [part["place"].tolist() for part in parts] == [list(range(0, 50, 3)), [], list(range(1, 50, 3)), [], list(range(2, 50, 3))]
    assert [part.read().tolist() for part in dealt(there, lambda some: some["place"], 1)] == [rows.tolist()]
