"""Here: in which order and under which names files are dropped. Not here: what the inbox does with them (``tests/steps``)."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ecg_tasks.actions import inbox as action
from ecg_tasks.cli import inbox
from ecg_tasks.cli.__main__ import app


class _Stack:
    def environment(self):
        """What tasks see: nothing here."""
        return {}


@pytest.fixture
def dropped(monkeypatch):
    """Calls of ``put_files``, one list of names each."""
    from ecg_tasks.pipeline.intake import inbox as steps_inbox

    calls = []

    def put_files(files):
        calls.append([name for name, data in files if data == b"x"])
        return len(calls[-1])

    monkeypatch.setattr(steps_inbox, "put_files", put_files)
    return calls


def test_recordings_become_complete_in_their_order(dropped, tmp_path, monkeypatch):
    """Label tables first, then recording after recording, each header before its signals."""
    (tmp_path / "x").write_bytes(b"x")
    monkeypatch.setattr(action, "FILES_AT_ONCE", 2)
    names = ["a/1.dat", "a/1.hea", "a/labels.csv", "b.csv", "a/2.xyz", "a/2.dat", "a/2.hea"]
    assert inbox.drop(_Stack(), [(name, tmp_path / "x") for name in names]) == 7
    assert dropped == [["a/labels.csv"], ["a/1.hea", "a/1.dat"], ["b.csv", "a/2.hea"], ["a/2.xyz", "a/2.dat"]]


def test_a_label_table_is_kept_fresh_while_files_are_put(dropped, monkeypatch):
    """Where putting takes longer than a table waits for its recordings, the table is put again."""
    clock = iter(range(0, 10**6, 600))
    monkeypatch.setattr(action.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(action, "FILES_AT_ONCE", 1)
    files = [("labels.csv", b"x"), *((f"{row}.csv", b"x") for row in range(6))]
    assert inbox.drop(_Stack(), files) == 7
    times = [place for place, names in enumerate(dropped) if names == ["labels.csv"]]
    assert len(times) >= 3
    assert max(later - earlier for earlier, later in pairwise(times)) <= 4


def test_a_file_is_made_when_its_turn_comes(dropped, monkeypatch):
    """What is cut out of a large file is made with the files of its hundred, and not before."""
    monkeypatch.setattr(action, "FILES_AT_ONCE", 1)
    seen = []

    def make():
        seen.append(len(dropped))
        return b"x"

    assert inbox.drop(_Stack(), [(f"{row}.hdf5", make) for row in range(3)]) == 3
    assert dropped == [["0.hdf5"], ["1.hdf5"], ["2.hdf5"]]
    assert seen == [0, 1, 2]


def test_large_drops_go_in_pieces(dropped):
    """A whole database never lies in memory at once."""
    assert inbox.drop(_Stack(), [(f"{row}.dat", b"x") for row in range(250)]) == 250
    assert [len(names) for names in dropped] == [100, 100, 50]


def test_an_import_tells_what_it_could_not_understand(dropped, tmp_path, monkeypatch):
    """A recording whose row is no row goes in all the same, and a sentence says without what; one that is not there is not told of."""
    monkeypatch.setattr(inbox, "running_stack", _Stack)
    (tmp_path / "scp_statements.csv").write_text(",diagnostic,diagnostic_class\nNORM,1.0,NORM\n")
    rows = ["1,7,\"{'NORM': 100.0}\",r/1_lr,r/1_hr", "2,8,NORM,r/2_lr,r/2_hr", "3,9,NORM,r/3_lr,r/3_hr"]
    (tmp_path / "ptbxl_database.csv").write_text("\n".join(["ecg_id,patient_id,scp_codes,filename_lr,filename_hr", *rows]))
    (tmp_path / "r").mkdir()
    for name in ("1_hr.hea", "1_hr.dat", "2_hr.hea", "2_hr.dat"):
        (tmp_path / "r" / name).write_bytes(b"x")
    done = CliRunner().invoke(app, ["import", "ptbxl", str(tmp_path)], env={"COLUMNS": "400"})
    assert done.exit_code == 0, done.output
    told = [line for line in done.output.splitlines() if "without label and patient" in line]
    assert [("row 3" in line, "row 4" in line) for line in told] == [(True, False)]
    folders, files = zip(*(name.split("/", 1) for names in dropped for name in names), strict=True)
    assert sorted(files) == [f"{n}_hr.{kind}" for n in (1, 2) for kind in ("dat", "hea")]
    (folder,) = set(folders)
    assert re.fullmatch("ptbxl-[0-9a-f]{8}", folder)


def test_files_keep_their_names(tmp_path):
    """A file goes in under its name, a folder with its own name and its inner paths, all below the folder asked for."""
    (tmp_path / "ward" / "deep").mkdir(parents=True)
    for name in ("ward/1.hea", "ward/deep/2.hea", "one.csv"):
        (tmp_path / name).write_bytes(b"x")
    named = [name for name, _ in inbox._named([tmp_path / "one.csv", tmp_path / "ward"], "monday/")]
    assert named == ["monday/one.csv", "monday/ward/1.hea", "monday/ward/deep/2.hea"]


def test_the_current_folder_has_a_name_too(tmp_path, monkeypatch):
    """``./ecg put .`` uses the folder's own name."""
    (tmp_path / "ward").mkdir()
    (tmp_path / "ward" / "1.hea").write_bytes(b"x")
    monkeypatch.chdir(tmp_path / "ward")
    assert [name for name, _ in inbox._named([Path()], "")] == ["ward/1.hea"]
