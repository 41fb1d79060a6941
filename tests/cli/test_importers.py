"""Here: data sets as files and labels for the inbox. Not here: reading the recordings (``tests/signals``)."""

import csv
import io
from collections import Counter
from pathlib import Path

import pytest

from ecg_tasks.cli import importers
from ecg_tasks.errors import BadInputError
from ecg_tasks.labels import Label
from ecg_tasks.signals.reading.labels_csv import read_labels

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
    assert importers.ptbxl_label(codes, DIAGNOSTIC) == label


@pytest.mark.parametrize(
    ("comments", "facts"),
    [
        ("# age: 81\n# sex: female\n# Reason for admission: Myocardial infarction", (Label.ABNORMAL, "81", "female")),
        ("# age: 30\n# sex: male\n# Reason for admission: Healthy control", (Label.NORMAL, "30", "male")),
        ("# age: n/a\n# sex: n/a\n# Reason for admission: n/a", (None, "", "")),
        ("#Reason for admission: Valvular heart disease", (Label.ABNORMAL, "", "")),
        ("s0010_re 15 1000 38400", (None, "", "")),
    ],
)
def test_facts_of_ptb_headers(comments, facts):
    """The diagnosis, age and sex of a PTB header; what it does not know stays empty."""
    assert importers.ptbdb_facts(comments) == facts


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
    files = importers.ptbxl(ptbxl_folder)
    assert [name for name, _ in files] == [
        "ptbxl/00001_hr.hea",
        "ptbxl/00001_hr.dat",
        "ptbxl/00002_lr.hea",
        "ptbxl/00002_lr.dat",
        "ptbxl/labels.csv",
    ]
    _, rows = labels_of(files)
    assert rows == [
        {"record": "00001_hr", "label": "normal", "patient_id": "ptbxl-15709", "age": "56", "sex": "female"},
        {"record": "00002_lr", "label": "abnormal", "patient_id": "ptbxl-13243", "age": "300", "sex": "male"},
    ]


def test_an_incomplete_folder_is_refused(tmp_path):
    """A folder without the tables or the recordings is named."""
    with pytest.raises(BadInputError, match=r"scp_statements\.csv is missing"):
        importers.ptbxl(tmp_path)
    with pytest.raises(BadInputError, match="no ptbdb recording"):
        importers.ptbdb(tmp_path)
    with pytest.raises(BadInputError, match="no heartbeat CSV"):
        importers.heartbeats(tmp_path)


@pytest.mark.parametrize("name", ["ptbxl", "ptbdb", "heartbeats"])
def test_a_data_set_is_recognised(name):
    """``demo --data`` finds out by itself which data set a folder holds."""
    if not (REAL / name).is_dir():
        pytest.skip(f"the recordings {REAL / name} are not here")
    assert importers.detect(REAL / name) == name


@pytest.mark.parametrize("name", ["ptbxl", "ptbdb"])
def test_the_labels_are_read_back(name):
    """What is written into labels.csv is read without a rejected row, and each row speaks of a header beside it."""
    if not (REAL / name).is_dir():
        pytest.skip(f"the recordings {REAL / name} are not here")
    files = importers.IMPORTERS[name](REAL / name)
    data, _ = labels_of(files)
    table = read_labels(data, name="labels.csv")
    assert table.rejected == ()
    headers = {path.removesuffix(".hea").removeprefix(f"{name}/") for path, _ in files if path.endswith(".hea")}
    assert {row.record for row in table.rows} == headers
    assert all(row.patient_id for row in table.rows)


@needs("ptbxl")
def test_counts_of_the_ptbxl_subset():
    """353 recordings of 339 patients; the labels as the csv module counts them straight from the two tables."""
    _, rows = labels_of(importers.ptbxl(REAL / "ptbxl"))
    assert Counter(row["label"] for row in rows) == {"normal": 220, "abnormal": 126, "": 7}
    assert len({row["patient_id"] for row in rows}) == 339
