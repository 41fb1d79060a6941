"""Here: data sets as files and labels. Not here: reading the recordings (``tests/signals``)."""

import csv
import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ecg_tasks.errors import BadInputError
from ecg_tasks.labels import Label
from ecg_tasks.offline import labelled_folders
from ecg_tasks.offline.collections.ptbdb import read_ptbdb
from ecg_tasks.offline.collections.ptbxl import ptbxl_label, read_ptbxl
from ecg_tasks.readers.labels_csv import read_labels
from ecg_tasks.signals.sample_files import wfdb_record
from tests.readings import read_wfdb

REAL = Path(__file__).parents[2] / "../shared/data"
DIAGNOSTIC = {"NORM": "NORM", "IMI": "MI", "NDT": "STTC"}


def needs(folder):
    """Skip without these real recordings."""
    return pytest.mark.skipif(not (REAL / folder).is_dir(), reason=f"the recordings {REAL / folder} are not here")


def labels_of(files):
    """The labels.csv among the files: its bytes and its rows."""
    (labels,) = [content for name, content in files if name.endswith("labels.csv")]
    return labels, list(csv.DictReader(io.StringIO(labels.decode())))


@pytest.mark.parametrize(
    ("codes", "label"),
    [
        ({"NORM": 100.0, "SR": 0.0}, Label.NORMAL),
        ({"IMI": 15.0, "SR": 0.0}, Label.ABNORMAL),
        ({"NORM": 80.0, "NDT": 50.0}, None),
        ({"NORM": 80.0, "NDT": 0.0}, Label.NORMAL),
        ({"NORM": 0.0, "IMI": 100.0}, Label.ABNORMAL),
        ({"IMI": 0.0}, None),
        ({"SR": 100.0}, None),
        ({}, None),
    ],
)
def test_labels_of_ptbxl(codes, label):
    """Exactly {NORM} is normal, a non-empty set without NORM abnormal, anything else has no label; likelihood 0 does not count."""
    assert ptbxl_label(codes, DIAGNOSTIC) == label


ADMISSIONS = ["Healthy control", "Healthy controls", "Myocardial infarction", "Heart failure (NYHA 2)", "None", "normal", "-", "n/a", ""]


@pytest.mark.parametrize("reason", ADMISSIONS)
def test_ptb_import_and_intake_read_the_same_diagnosis(tmp_path, reason):
    """The import of a PTB folder takes label, age and sex from a header exactly as the intake does."""
    comments = ["age: 81", "sex: female", f"Reason for admission: {reason}"]
    stem = tmp_path / "patient001/r"
    stem.parent.mkdir()
    for name, data in wfdb_record(np.sin(np.arange(1200))[None], fs=100, leads=["II"], stem="r", comments=comments).items():
        (stem.parent / name).write_bytes(data)
    files = {name.name: name.read_bytes() for name in stem.parent.iterdir()}
    (taken,) = read_wfdb(files, header="r.hea", name="patient001/r").records
    (row,) = read_ptbdb(tmp_path).rows.values()
    assert (row.label, row.age, row.sex) == (taken.label, taken.age, taken.sex)
    assert (row.age, row.sex, row.patient_id) == (81.0, "female", "ptbdb-patient001")


@pytest.fixture
def ptbxl_folder(tmp_path):
    """Three recordings as PTB-XL lays them out: one at both rates, one at 100 Hz, one not downloaded."""
    (tmp_path / "scp_statements.csv").write_text(
        ",description,diagnostic,diagnostic_class\nNORM,normal,1.0,NORM\nIMI,infarct,1.0,MI\nSR,sinus,,\n"
    )
    rows = [
        "1,15709.0,56.0,1,\"{'NORM': 100.0, 'SR': 0.0}\",records100/00000/00001_lr,records500/00000/00001_hr",
        "2,13243.0,300.0,0,\"{'IMI': 80.0}\",records100/00000/00002_lr,records500/00000/00002_hr",
        "3,20372.0,,1,\"{'SR': 100.0}\",records100/00000/00003_lr,records500/00000/00003_hr",
    ]
    head = "ecg_id,patient_id,age,sex,scp_codes,filename_lr,filename_hr"
    (tmp_path / "ptbxl_database.csv").write_text("\n".join([head, *rows]) + "\n")
    for name in ("records500/00000/00001_hr", "records100/00000/00001_lr", "records100/00000/00002_lr"):
        for suffix in (".hea", ".dat"):
            file = (tmp_path / name).with_suffix(suffix)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"x")
    return tmp_path


def test_ptbxl_prefers_500_hz(ptbxl_folder):
    """The 500 Hz file where it is there, else 100 Hz; a recording that was not downloaded is left out."""
    files = read_ptbxl(ptbxl_folder).for_inbox()
    assert [name for name, _ in files] == [
        "ptbxl/00001_hr.hea",
        "ptbxl/00001_hr.dat",
        "ptbxl/00002_lr.hea",
        "ptbxl/00002_lr.dat",
        "ptbxl/labels.csv",
    ]
    _, rows = labels_of(files)
    public = {"collection": "ptbxl"}
    assert rows == [
        {"record": "00001_hr", "label": "normal", "patient_id": "ptbxl-15709", "age": "56", "sex": "female", "classes": "NORM"} | public,
        {"record": "00002_lr", "label": "abnormal", "patient_id": "ptbxl-13243", "age": "", "sex": "male", "classes": "MI"} | public,
    ]


@pytest.fixture
def another_folder(ptbxl_folder):
    """As another hand writes it: other column order, ids with and without ``.0``, files missing in part, labels that are none."""
    rows = [
        "records500/00000/00001_hr,records100/00000/00001_lr,15709,1.0,56,{'NORM': 100.0},1",
        "records500/00000/00002_hr,records100/00000/00002_lr,13243.0,0,89.5,\"{'IMI': 80.0, 'SR': 0}\",2",
        "records500/00000/00004_hr,,9.0,,,{'NORM': 100.0},4",
        "records500/00000/00005_hr,records100/00000/00005_lr,,2,old,NORM,5",
        ",,11.0,0,30,{},6",
    ]
    head = "filename_hr,filename_lr,patient_id,sex,age,scp_codes,ecg_id"
    (ptbxl_folder / "ptbxl_database.csv").write_text("\ufeff" + "\n".join([head, *rows]) + "\n", encoding="utf-8")
    (ptbxl_folder / "records500/00000/00002_hr.hea").write_bytes(b"x")  # its signals were not downloaded
    return ptbxl_folder


def test_ptbxl_from_another_hand(another_folder):
    """What is missing is listed as missing, a half downloaded recording gives way to the whole one, a label that is none is told."""
    found = labelled_folders.open_folder(another_folder)
    there = {name: path and path.relative_to(another_folder).as_posix() for name, path in found.files.items()}
    assert there == {
        "00001_hr": "records500/00000/00001_hr.hea",
        "00002_lr": "records100/00000/00002_lr.hea",
        "00004_hr": None,
        "00005_hr": None,
        "row 6": None,
    }
    first, second = found.rows["00001_hr"], found.rows["00002_lr"]
    assert (first.label, first.patient_id, first.age, first.sex) == (Label.NORMAL, "ptbxl-15709", 56, "female")
    assert (second.label, second.patient_id, second.age, second.sex) == (Label.ABNORMAL, "ptbxl-13243", 89.5, "male")
    assert [(one.name, one.reason.value) for one in found.rejected] == [("00005_hr", "bad_label")]
    assert "row 5: scp_codes is 'NORM'" in found.rejected[0].message


def test_a_table_cannot_point_out_of_its_folder(another_folder):
    """A path that leaves the folder is refused before anything is opened."""
    table = another_folder / "ptbxl_database.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("records500/00000/00004_hr", "../../etc/passwd"), encoding="utf-8")
    with pytest.raises(BadInputError, match="is outside of it"):
        labelled_folders.open_folder(another_folder)


def test_a_folder_with_its_own_labels(tmp_path):
    """Headers and rows of CSVs that ``labels.csv`` names, wherever they lie below it; what is not there is listed all the same."""
    (tmp_path / "ward").mkdir()
    for name in ("ward/1.hea", "ward/1.dat", "beats.csv"):
        (tmp_path / name).write_bytes(b"x")
    table = "record,label,patient_id\nward/1.hea,normal,a\nbeats.csv#2,abnormal,b\nward/2,normal,c\nward/3,perhaps,c\n"
    (tmp_path / "labels.csv").write_text(table)
    found = labelled_folders.open_folder(tmp_path)
    assert {name: path is not None for name, path in found.files.items()} == {"ward/1": True, "beats.csv": True, "ward/2": False}
    assert found.rows["beats.csv#2"].label == Label.ABNORMAL
    assert [one.reason.value for one in found.rejected] == ["bad_label"]
    files = found.for_inbox()
    assert [name for name, _ in files] == ["labelled/ward/1.hea", "labelled/ward/1.dat", "labelled/beats.csv", "labelled/labels.csv"]
    assert [row["record"] for row in labels_of(files)[1]] == ["ward/1", "beats.csv#2"]


def test_a_folder_with_labels_of_any_format(tmp_path):
    """Files are named with their ending; a sidecar goes into the inbox with each, once."""
    for name in ("a.dcm", "w/b.npy", "w/c.npy", "w/signals.json", "w/d.mat", "e.dat", "r.hea", "r.mat"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    rows = ["a.dcm,normal", "w/b.npy,normal", "w/c.npy#2,abnormal", "w/d.mat,normal", "e.dat,normal", "r.mat,normal"]
    (tmp_path / "labels.csv").write_text("\n".join(["record,label", *rows]))
    found = labelled_folders.open_folder(tmp_path)
    assert {name: path and path.name for name, path in found.files.items()} == {
        "a.dcm": "a.dcm",
        "w/b.npy": "b.npy",
        "w/c.npy": "c.npy",
        "w/d.mat": "d.mat",
        "e": None,
        "r": "r.hea",
    }
    names = [name.removeprefix("labelled/") for name, _ in found.for_inbox()]
    assert names == ["a.dcm", "w/b.npy", "w/signals.json", "w/c.npy", "w/d.mat", "r.hea", "r.mat", "labels.csv"]


def test_a_folder_with_recordings_in_other_formats(tmp_path):
    """Named with their endings, as in the inbox; a header beside a file of one stem is still the header, a signal file no recording."""
    (tmp_path / "ward").mkdir()
    for name in ("ward/1.hea", "ward/1.dat", "ward/2.xml", "ward/3", "ward/4.dat"):
        (tmp_path / name).write_bytes(b"x")
    table = "record,label\nward/1.dat,normal\nward/2.xml,abnormal\nward/3,normal\nward/4.dat,normal\nward/5.scp,normal\n"
    (tmp_path / "labels.csv").write_text(table)
    found = labelled_folders.open_folder(tmp_path)
    there = {name: path and path.name for name, path in found.files.items()}
    assert there == {"ward/1": "1.hea", "ward/2.xml": "2.xml", "ward/3": "3", "ward/4": None, "ward/5.scp": None}
    files = [name for name, _ in found.for_inbox()]
    assert files == ["labelled/ward/1.hea", "labelled/ward/1.dat", "labelled/ward/2.xml", "labelled/ward/3", "labelled/labels.csv"]


def test_rows_that_contradict_each_other_label_nothing(tmp_path):
    """Neither wins: the recording has no label and both rows are named; rows that agree, or complete each other, are one."""
    for name in ("1", "2", "3"):
        (tmp_path / f"{name}.hea").write_bytes(b"x")
    rows = ["1,normal,a,,", "1.hea,abnormal,a,,", "2,normal,,61,", "2,,b,61,f", "3,normal,a,,", "3,normal,b,,"]
    (tmp_path / "labels.csv").write_text("\n".join(["record,label,patient_id,age,sex", *rows]))
    found = labelled_folders.open_folder(tmp_path)
    assert {name: (row.label, row.patient_id, row.age, row.sex) for name, row in found.rows.items()} == {
        "2": (Label.NORMAL, "b", 61.0, "female")
    }
    assert [(one.name, one.reason.value) for one in found.rejected] == [("1", "bad_label"), ("3", "bad_label")]
    assert "rows 2, 3" in found.rejected[0].message


def test_ptbxl_rows_that_contradict_each_other_label_nothing(ptbxl_folder):
    """A recording that the table lists twice, as two things, has no label."""
    table = ptbxl_folder / "ptbxl_database.csv"
    first = table.read_text().splitlines()[1]
    table.write_text(table.read_text() + first.replace("NORM", "IMI") + "\n")
    found = read_ptbxl(ptbxl_folder)
    assert "00001_hr" not in found.rows
    assert [(one.name, "rows 2, 5" in one.message) for one in found.rejected] == [("00001_hr", True)]


def test_an_incomplete_folder_is_refused(tmp_path):
    """A folder without the tables or the recordings is named."""
    with pytest.raises(BadInputError, match=r"scp_statements\.csv is missing"):
        read_ptbxl(tmp_path)
    with pytest.raises(BadInputError, match="no ptbdb recording"):
        read_ptbdb(tmp_path)
    with pytest.raises(BadInputError, match="no heartbeats recording"):
        labelled_folders.heartbeats(tmp_path)
    with pytest.raises(BadInputError, match=r"nor labels\.csv"):
        labelled_folders.open_folder(tmp_path)


@pytest.mark.parametrize("name", ["ptbxl", "ptbdb", "heartbeats"])
def test_a_data_set_is_recognised(name):
    """``demo --data`` finds out by itself which data set a folder holds."""
    if not (REAL / name).is_dir():
        pytest.skip(f"the recordings {REAL / name} are not here")
    assert labelled_folders.detect(REAL / name) == name


@pytest.mark.parametrize("name", ["ptbxl", "ptbdb"])
def test_the_labels_are_read_back(name):
    """What is written into labels.csv is read without a rejected row, and each row speaks of a header beside it."""
    if not (REAL / name).is_dir():
        pytest.skip(f"the recordings {REAL / name} are not here")
    files = labelled_folders.LAYOUTS[name](REAL / name).for_inbox()
    data, _ = labels_of(files)
    table = read_labels(data, name="labels.csv")
    assert table.rejected == ()
    headers = {path.removesuffix(".hea").removeprefix(f"{name}/") for path, _ in files if path.endswith(".hea")}
    assert {row.record for row in table.rows} == headers
    assert all(row.patient_id for row in table.rows)


@needs("ptbxl")
def test_counts_of_the_ptbxl_subset():
    """353 recordings of 339 patients; the labels as the csv module counts them straight from the two tables."""
    _, rows = labels_of(read_ptbxl(REAL / "ptbxl").for_inbox())
    assert Counter(row["label"] for row in rows) == {"normal": 220, "abnormal": 126, "": 7}
    assert len({row["patient_id"] for row in rows}) == 339


def test_folders_of_sites_are_opened_one_by_one(tmp_path, heartbeat_csv, beat_rows):
    """Where the whole has no layout, and one of them is a site; a folder of nothing known is passed over unless it is one."""
    for name in ("north", "elsewhere"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "beats.csv").write_bytes(heartbeat_csv(beat_rows(2, seed=1), np.array([0, 1])))
    (tmp_path / "notes").mkdir()
    assert list(labelled_folders.open_parts(tmp_path, ("north",))) == ["elsewhere", "north"]
    assert list(labelled_folders.open_parts(tmp_path / "north", ("north",))) == [""]
    with pytest.raises(BadInputError, match="notes has the layout of none of"):
        labelled_folders.open_parts(tmp_path, ("north", "notes"))
    with pytest.raises(BadInputError, match="neither"):
        labelled_folders.open_parts(tmp_path, ("west",))
    (tmp_path / "beats.csv").write_bytes(heartbeat_csv(beat_rows(2, seed=1), np.array([0, 1])))
    assert list(labelled_folders.open_parts(tmp_path, ("north",))) == [""]
