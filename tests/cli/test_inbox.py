"""Here: in which order and under which names files are dropped. Not here: what the inbox does with them (``tests/steps``)."""

from pathlib import Path

import pytest

from ecg_tasks.cli import inbox


class _Stack:
    def environment(self):
        """What tasks see: nothing here."""
        return {}


@pytest.fixture
def dropped(monkeypatch):
    """Calls of ``put_files``, one list of names each."""
    from ecg_tasks.steps.ingesting import inbox as steps_inbox

    calls = []

    def put_files(files):
        calls.append([name for name, data in files if data == b"x"])
        return len(calls[-1])

    monkeypatch.setattr(steps_inbox, "put_files", put_files)
    return calls


def test_labels_never_stand_alone_in_the_inbox(dropped, tmp_path):
    """Headers first, signals last: at any moment the labels stand beside recordings that still wait, so they wait too."""
    (tmp_path / "x").write_bytes(b"x")
    names = ["a/1.dat", "a/1.hea", "a/labels.csv", "a/2.xyz", "b.csv"]
    assert inbox.drop(_Stack(), [(name, tmp_path / "x") for name in names]) == 5
    assert dropped == [["a/1.hea"], ["a/labels.csv"], ["b.csv"], ["a/1.dat", "a/2.xyz"]]


def test_large_drops_go_in_pieces(dropped):
    """A whole database never lies in memory at once."""
    assert inbox.drop(_Stack(), [(f"{row}.dat", b"x") for row in range(250)]) == 250
    assert [len(names) for names in dropped] == [100, 100, 50]


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
