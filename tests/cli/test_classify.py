"""Here: ``classify`` of many files: a table, CSV, JSON, counts, and what cannot be read. Not here: the decisions (``tests/offline``)."""

import csv
import json
import zipfile

import pytest
from typer.testing import CliRunner

from ecg_tasks import report_columns
from ecg_tasks.cli import terminal
from ecg_tasks.cli.__main__ import app
from ecg_tasks.errors import Reason
from ecg_tasks.offline import classify_archive, files_on_disk
from ecg_tasks.offline.classify_file import classify_file
from ecg_tasks.offline.report_rows import COLUMNS

OF_THE_ARCHIVE = {"source_sha256", "label", "shard", "patient", "run", "date", "page"}
"""Columns that no file on a disk has a value for."""


def invoke(*arguments):
    """Run the command inside this process, in a narrow window."""
    return CliRunner().invoke(app, ["classify", *map(str, arguments)])


@pytest.fixture
def ward(tmp_path, make_wfdb):
    """A folder with two recordings, one of them in a folder of its own, one more in an archive, and a file that is none."""
    folder = tmp_path / "ward"
    (folder / "inner").mkdir(parents=True)
    for name, place in (("a", folder), ("b", folder / "inner")):
        for file, data in make_wfdb(name, seed=ord(name)).items():
            (place / file).write_bytes(data)
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        for file, data in make_wfdb("c", seed=3).items():
            archive.writestr(file, data)
    (folder / "bad.csv").write_text("x")
    (folder / "README.md").write_text("no recording by its name")
    return folder


def test_a_folder_is_classified_and_a_bad_file_does_not_stop_it(ward):
    """Each recording as if it were named alone, called by its path from the folder on; the counts add up, and the exit status is 1."""
    done = invoke(ward)
    assert done.exit_code == 1
    assert "4 recordings: 3 classified" in done.stdout
    assert "; 1 not read" in done.stdout
    assert "ward/bad.csv was not read: wrong_width" in done.stderr
    parts = list(classify_archive.classify_all([ward]))
    found = {one.name: one for part in parts for one in part.results}
    assert sorted(found) == ["ward/a", "ward/inner/b", "ward/more/c"]
    (alone,) = classify_file(ward / "inner" / "b.hea").results
    same = found["ward/inner/b"]
    assert (same.record_id, same.decision, same.probability) == (alone.record_id, alone.decision, alone.probability)


def test_good_files_end_with_0(ward):
    """Several files are named, one of them by its signals."""
    done = invoke(ward / "a.dat", ward / "inner" / "b.hea")
    assert done.exit_code == 0, done.output
    assert "2 recordings: 2 classified" in done.stdout
    assert "0 not read" in done.stdout


def test_one_bad_file_of_several_does_not_stop_the_others(ward):
    """Alone it would end the command; among others it is a line."""
    done = invoke(ward / "bad.csv", ward / "a.hea")
    assert done.exit_code == 1
    assert "2 recordings: 1 classified" in done.stdout


def test_the_csv_has_the_columns_of_a_report(ward, tmp_path):
    """Those of the archive left out, in their order; the values are those of the decisions; nothing else has the file's name."""
    out = tmp_path / "decisions.csv"
    done = invoke(ward, "--out", out)
    assert done.exit_code == 1
    with out.open(newline="") as file:
        head, *rows = csv.reader(file)
    classes = report_columns.classes_in(head)
    wanted = [column.name for column in report_columns.columns_with(classes)]
    assert head == [name for name in wanted if name not in OF_THE_ARCHIVE]
    assert len(rows) == 3
    (alone,) = classify_file(ward / "a.hea").results
    (row,) = [dict(zip(head, row, strict=True)) for row in rows if row[1] == "ward/a"]
    assert (row["record_id"], row["decision"], float(row["probability"])) == (alone.record_id, alone.decision, alone.probability)
    assert (row["n_windows"], row["n_used"], row["source_format"]) == ("1", "1", "WFDB")
    assert float(row["rate_bpm"]) > 0
    assert [row[f"class_{one.name}"] for one in alone.classes] == [one.decision for one in alone.classes]
    assert not list(tmp_path.glob("*.part"))


def test_every_column_of_a_report_is_there_or_of_the_archive():
    """A column that is added is computed here too, or said to be of the archive."""
    assert {column.name for column in report_columns.COLUMNS} - {column.name for column in COLUMNS} == OF_THE_ARCHIVE


def test_json_is_one_document(ward):
    """On stdout; sentences are on stderr, where the exit status has its reason."""
    done = invoke(ward, "--json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert set(found) == {"recordings", "rejected", "counts", "use"}
    assert found["counts"].items() >= {"received": 4, "classified": 3, "rejected": 1}.items()
    assert sum(number for name, number in found["counts"].items() if name in {one.value for one in report_columns.ATTENTION}) == 3
    assert found["rejected"][0].items() >= {"name": "ward/bad.csv", "reason": "wrong_width"}.items()
    assert {"record_id", "name", "decision", "probability", "version", "rate_bpm"} <= set(found["recordings"][0])
    assert "4 recordings" in done.stderr
    assert "was not read" in done.stderr


def test_what_cannot_be_done_is_refused_first(ward, tmp_path):
    """With 2, before anything is read."""
    assert invoke(ward, "--out", tmp_path / "decisions.xlsx").exit_code == 2
    assert invoke(ward, "--out", tmp_path / "nowhere" / "decisions.csv").exit_code == 2
    assert invoke(ward, "--plot", tmp_path / "x.png").exit_code == 2


def test_a_file_that_goes_meanwhile_is_rejected(ward):
    """It was listed, and is not there when its turn comes."""
    read = list(files_on_disk.read_all([ward], counted=lambda _n: (ward / "a.dat").unlink(missing_ok=True)))
    rejected = {one.name: one.reason for part in read for one in part.rejected}
    assert rejected == {"ward/a": Reason.UNREADABLE, "ward/bad.csv": Reason.WRONG_WIDTH}
    assert sum(len(part.records) for part in read) == 2


def test_progress_counts_what_is_in_an_archive(ward):
    """Files of one recording are one, and so is a member."""
    with zipfile.ZipFile(ward / "more.zip", "a") as archive:
        archive.writestr("d.csv", "x")
    shown = []
    list(classify_archive.classify_all([ward], progress=lambda *counts: shown.append(counts)))
    assert shown[-1] == (5, 5)


def test_a_log_has_a_line_now_and_then(monkeypatch, capsys):
    """With the rate and the time left, at most one in ten seconds, and none at the end."""
    clock = iter([0.0, 5.0, 20.0, 21.0, 40.0])
    monkeypatch.setattr(terminal.time, "monotonic", lambda: next(clock))
    with terminal.progress("classified") as tell:
        for done in (10, 40, 41):
            tell(done, 1000)
        tell(1000, 1000)
    assert capsys.readouterr().err == "classified: 40 of 1,000 files, 2.0 a second, 8 min 0 s left\n"
