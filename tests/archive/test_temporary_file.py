"""A temporary file is read by several at once, on every system, and is gone when it is closed."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ecg_tasks.archive import predictions, temporary_file
from tests.run_tables import run_table


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_readers_have_places_of_their_own(platform, monkeypatch):
    """The path opens the file anew, so what one reads does not move the other; closed, the file is gone."""
    monkeypatch.setattr(temporary_file.sys, "platform", platform)
    with temporary_file.new_file() as file:
        file.write(b"0123456789")
        file.flush()
        path = temporary_file.path_of(file)
        with Path(path).open("rb") as first, Path(path).open("rb") as second:
            assert (first.read(4), second.read(4), first.read(4)) == (b"0123", b"0123", b"4567")
        assert Path(path).exists()
    assert not Path(path).exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has files without a name")
def test_a_killed_process_leaves_nothing_on_linux():
    """The file has no name in its folder."""
    with temporary_file.new_file() as file:
        assert os.fstat(file.fileno()).st_nlink == 0


def test_a_runs_table_is_read_without_proc(monkeypatch):
    """What macOS does: written, sorted and read by several threads through a file that has a name."""
    monkeypatch.setattr(temporary_file.sys, "platform", "darwin")
    ids = [f"{number:032x}" for number in range(200)]
    table = run_table([{"record_id": one} for one in ids])
    assert Path(table.file.name).exists()
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda one: table.find([one])[0]["record_id"], ids))
    assert found == ids
    again = predictions.RunTable.copied(table.pieces(), temporary_file.new_file())
    assert len(again) == len(ids)
