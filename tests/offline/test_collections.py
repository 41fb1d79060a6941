"""Every public collection, in small as its documentation lays it out, is recognised, imported, taken in and read with the right labels."""

import csv
import io
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ecg_tasks.archive import keys
from ecg_tasks.archive.class_lists import classes_in_force, stored_classes
from ecg_tasks.archive.labelling import labels_in_force, stored_labels
from ecg_tasks.archive.tables import load
from ecg_tasks.cli import inbox as cli
from ecg_tasks.cli.__main__ import app
from ecg_tasks.errors import BadInputError
from ecg_tasks.labels import in_order
from ecg_tasks.names import CollectionName
from ecg_tasks.offline.classify_file import read_path
from ecg_tasks.offline.collections import COLLECTIONS, code15, folder
from ecg_tasks.offline.collections.statements import TABLES, load_table
from ecg_tasks.offline.evaluate_folder import _read
from ecg_tasks.offline.labelled_folders import LAYOUTS, open_folder
from ecg_tasks.readers.file_names import is_label_table
from ecg_tasks.readers.header_comments import PTB_DIAGNOSES
from ecg_tasks.readers.labels_csv import read_labels
from tests import miniatures
from tests.pipeline.intake.test_arrivals import Inbox, inbox  # noqa: F401 - a fixture

REAL = Path(__file__).parents[2] / "../shared/data"

EXPECTED = {
    "ptbxl": {
        "00001_hr": ("normal", "NORM", "ptbxl-7001", 51, "female", 1),
        "00002_hr": ("abnormal", "MI HYP", "ptbxl-7002", 52, "male", 2),
        "00003_hr": ("", "NORM HYP", "ptbxl-7003", 53, "female", 3),
        "00004_hr": ("", "", "ptbxl-7004", 54, "male", 4),
        "00005_hr": ("abnormal", "HYP", "ptbxl-7005", 55, "female", 5),
    },
    "ptbdb": {
        "patient001/s0010_re": ("abnormal", "MI ?", "ptbdb-patient001", 81, "female", None),
        "patient104/s0306lre": ("normal", "NORM", "ptbdb-patient104", 81, "female", None),
    },
    "cinc": {
        "training/cpsc_2018/g1/A0001": ("normal", "NORM", None, 74, "male", None),
        "training/georgia/g1/E00001": ("abnormal", "HYP", None, 74, "male", None),
        "training/georgia/g1/E00002": ("", "", None, 74, "male", None),
        "training/ptb-xl/g1/HR00001": ("abnormal", "CD", None, 74, "male", None),
        "training/st_petersburg_incart/g1/I0001": ("", "", None, 74, "male", None),
        "training/ningbo/g1/JS10647": ("abnormal", "MI ?", None, 74, "male", None),
        "training/ptb/g1/S0001": ("", "", None, 74, "male", None),
    },
    "chapman": {
        "WFDBRecords/01/010/JS00001": ("abnormal", "STTC CD", "chapman-JS00001", 85, "female", None),
        "WFDBRecords/01/010/JS00002": ("normal", "NORM", "chapman-JS00002", 85, "female", None),
    },
    "chapman figshare": {
        "ECGData/MUSE_20180113_171327_27000.csv": ("abnormal", "STTC CD", "chapman-MUSE_20180113_171327_27000", 85, "male", None),
        "ECGData/MUSE_20180112_073319_29000.csv": ("normal", "NORM", "chapman-MUSE_20180112_073319_29000", 59, "female", None),
        "ECGData/MUSE_20180111_165520_97000.csv": ("", "", "chapman-MUSE_20180111_165520_97000", 20, "female", None),
        "ECGData/MUSE_20180113_121940_44000.csv": ("", "", "chapman-MUSE_20180113_121940_44000", 66, "male", None),
    },
    "code15": {
        "exams_part0/000.hdf5#1169160": ("normal", "NORM", "code15-523632", 38, "male", None),
        "exams_part0/000.hdf5#2873686": ("abnormal", "CD ?", "code15-523632", 39, "female", None),
        "exams_part0/000.hdf5#168405": ("", "", "code15-523633", 40, "male", None),
        "exams_part1/000.hdf5#271011": ("", "", "code15-523633", 41, "female", None),
        "exams_part1/000.hdf5#384368": ("", "NORM CD ?", "code15-523634", 42, "male", None),
        "exams_part1/000.hdf5#590673": ("abnormal", "CD ?", "code15-523634", 43, "female", None),
    },
    "mimic_iv_ecg": {
        "files/p1000/p10000032/s40689238/40689238": ("normal", "NORM", "mimic-10000032", None, None, None),
        "files/p1000/p10000032/s40689239/40689239": ("abnormal", "MI ?", "mimic-10000032", None, None, None),
        "files/p1000/p10000033/s40689240/40689240": ("", "", "mimic-10000033", None, None, None),
        "files/p1000/p10000033/s40689241/40689241": ("", "", "mimic-10000033", None, None, None),
    },
    "sph": {
        "records/A00001.h5": ("normal", "NORM", "sph-S00001", 31, "female", None),
        "records/A00002.h5": ("abnormal", "", "sph-S00002", 32, "male", None),
        "records/A00003.h5": ("", "", "sph-S00003", 33, "female", None),
        "records/A00004.h5": ("", "", "sph-S00004", 34, "male", None),
        "records/A00005.h5": ("abnormal", "STTC HYP ?", "sph-S00005", 35, "female", None),
    },
    "ludb": {
        "data/1": ("normal", "NORM", "ludb-1", 51, "male", None),
        "data/2": ("abnormal", "HYP ?", "ludb-2", 51, "female", None),
        "data/3": ("abnormal", "MI", "ludb-3", 90, "male", None),
    },
}
"""By record: label, classes, patient, age, sex, fold; worked out by hand from what the miniatures say and the tables."""
UNKNOWN = {"cinc": {"999999999": 2}, "chapman figshare": {"XYZ": 1}, "sph": {"999": 1}}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Every collection in small, by the name of its layout."""
    found = {}
    for name, write in miniatures.LAYOUTS.items():
        found[name] = tmp_path_factory.mktemp(name.replace(" ", "_"))
        write(found[name])
    return found


each = pytest.mark.parametrize("name", miniatures.LAYOUTS)


def contents(files):
    """The files of an import with their bytes."""
    return {path: one if isinstance(one, bytes) else one.read_bytes() if isinstance(one, Path) else one() for path, one in files}


def tables_of(files):
    """The rows of the label tables among files, read as the intake reads them."""
    tables = [read_labels(data, name=path) for path, data in files.items() if path.rpartition("/")[2].startswith("labels")]
    assert all(table.rejected == () and not any(row.dropped for row in table.rows) for table in tables)
    return [row for table in tables for row in table.rows]


def said(rows):
    """Rows of a label table in the notation of ``EXPECTED``."""
    return {row.record: (row.label or "", str(row.classes or ""), row.patient_id, row.age, row.sex, row.fold) for row in rows}


ORDER = ["NORM", "MI", "STTC", "CD", "HYP"]


@each
def test_a_collection_is_known_by_its_layout(folders, name):
    """And by that of no other."""
    assert open_folder(folders[name]).kind == name.split()[0]
    first = next(one.name for one in COLLECTIONS if one.knows(folders[name]))
    assert first == name.split()[0]


@each
def test_the_label_table_of_an_import(folders, name):
    """Label, classes, patient with its collection, age, sex and fold of every recording; what is not known is counted."""
    found = open_folder(folders[name])
    assert said(tables_of(contents(found.for_inbox()))) == EXPECTED[name]
    assert found.unknown == UNKNOWN.get(name, {})
    assert found.rejected == ()
    counts = Counter(label or "without label" for label, *_ in EXPECTED[name].values())
    assert {key: number for key, number in found.counts().items() if key not in ORDER} == counts


def test_the_intake_takes_all_of_them(folders, inbox: Inbox):  # noqa: F811
    """What is sent is read, recording for recording, and each gets its label; sidecars come with the arrays that need them."""
    others = [name for name in folders if name != "chapman figshare"]  # whose folder in the inbox is that of chapman
    expected = {f"{name.split()[0]}/{record}": values[0] for name, records in EXPECTED.items() for record, values in records.items()}
    n_records = 0
    for names in (others, ["chapman figshare"]):
        inbox.put({path: data for name in names for path, data in contents(open_folder(folders[name]).for_inbox()).items()})
        account = inbox.run()["account"]
        assert (account["quarantined"], account["duplicates"]) == (0, 0)
        n_records += account["records"]
    assert n_records == len(expected)
    labels = labels_in_force(inbox.store)
    columns = [load(data) for data in inbox.store.get_many(inbox.store.list_keys(keys.RECORD_INDEX))]
    ids = {name: one for table in columns for name, one in zip(table["name"], table["record_id"], strict=True)}
    assert {name: labels[one].label if one in labels else "" for name, one in ids.items()} == expected
    classes = classes_in_force(stored_classes(inbox.store), labels=stored_labels(inbox.store))
    lists = {f"{name.split()[0]}/{record}": values[1].split() for name, records in EXPECTED.items() for record, values in records.items()}
    assert {name: " ".join(in_order(classes[one].has)) if one in classes else "" for name, one in ids.items()} == {
        name: " ".join(one for one in words if one != "?") for name, words in lists.items()
    }
    assert {name for name, one in ids.items() if one in classes and not classes[one].lacks} == {
        name for name, words in lists.items() if "?" in words
    }
    patients = Counter(patient for table in columns for patient in table["patient"])
    assert patients[None] == len(EXPECTED["cinc"])


@each
def test_an_import_names_the_collection_of_its_patients(folders, name):
    """The table that goes into the inbox and the folder on the disk say the same of each patient, and nothing where none is known."""
    found = open_folder(folders[name])
    kind = name.split()[0]
    rows = tables_of(contents(found.for_inbox()))
    assert {row.collection for row in rows} == {kind if row.patient_id else None for row in rows}
    on_disk = {record: (row.patient_id, found.collection_of(row)) for record, row in found.rows.items()}
    assert {row.record: (row.patient_id, row.collection) for row in rows} == {record: on_disk[record] for record in EXPECTED[name]}


def test_a_collection_has_one_name():
    """In a label table, as a layout of the commands and as a folder of the inbox."""
    assert [collection.name for collection in COLLECTIONS] == list(CollectionName)


def test_a_patient_in_two_folds_is_in_none(tmp_path):
    """Neither row of a folder is taken, and both are named; the others are."""
    records = {"a": ("P1", 9), "b": ("P1", 3), "c": ("P2", 3), "d": ("", 4), "e": ("", 5)}
    for record in records:
        miniatures.put_wfdb(tmp_path, record)
    lines = [f"{record},1,{patient},{fold}" for record, (patient, fold) in records.items()]
    (tmp_path / "labels.csv").write_text("\n".join(["record,label,patient_id,fold", *lines]))
    found = open_folder(tmp_path)
    assert set(found.rows) == {"c", "d", "e"}
    assert [one.name for one in found.rejected] == ["a", "b"]
    assert all("is in two folds, 3 in row 3 and 9 in row 2" in one.message for one in found.rejected)


@each
def test_a_folder_is_read_for_an_evaluation(folders, name):
    """Without a bucket the same recordings are read, with pieces and sidecars that are nowhere on the disk."""
    found = open_folder(folders[name])
    read = [_read(file, path, found) for file, path in found.files.items() if path is not None]
    assert [one for reading in read for one in reading.rejected] == []
    records = {record.name: record for reading in read for record in reading.records}
    assert set(records) == set(EXPECTED[name])
    assert all(0.3 < max(map(max, record.samples)) < 3 for record in records.values())  # mV
    assert {record.fs for record in records.values()} == {400.0 if name == "code15" else 500.0}


def test_what_is_listed_and_not_there_is_missing(folders):
    """A part of CODE-15 that was not fetched, and a recording of SPH."""
    assert [name for name, path in open_folder(folders["code15"]).files.items() if path is None] == ["exams_part17.hdf5"]
    assert [name for name, path in open_folder(folders["sph"]).files.items() if path is None] == ["records/A00006.h5"]


def test_a_recording_of_ptbxl_is_the_same_record_in_a_challenge(tmp_path):
    """The same samples in the Challenge's files have the same id, so that an evaluation knows what a model was trained on."""
    samples = miniatures.millivolts()
    miniatures.put_wfdb(tmp_path, "ptbxl/00001_hr", samples_mv=samples)
    miniatures.put_wfdb(tmp_path, "cinc/HR00001", samples_mv=samples, comments=["Dx: 426783006"], matlab=True)
    ids = {record.record_id for name in ("ptbxl/00001_hr", "cinc/HR00001") for record in read_path(tmp_path / f"{name}.hea").records}
    assert len(ids) == 1


def test_code15_goes_in_pieces(folders, monkeypatch):
    """A file is cut into pieces that are read as a whole, each with its sidecar, the same bytes every time, without the filler."""
    monkeypatch.setattr(code15, "EXAMS_A_PIECE", 2)
    files = contents(open_folder(folders["code15"]).for_inbox())
    pieces = [path for path in files if path.endswith(".hdf5")]
    assert pieces == [f"code15/exams_part{part}/{piece:03d}.hdf5" for part in range(2) for piece in range(2)]
    assert {path.rpartition("/")[0] for path in files if path.endswith("signals.json")} == {"code15/exams_part0", "code15/exams_part1"}
    exams = {row.record.rpartition("#")[2]: row.record.rpartition("#")[0] for row in tables_of(files)}
    assert [exams[str(exam)] for exam in miniatures.CODE15_EXAMS[:3]] == [
        "exams_part0/000.hdf5",
        "exams_part0/000.hdf5",
        "exams_part0/001.hdf5",
    ]
    assert files == contents(open_folder(folders["code15"]).for_inbox())


def test_code15_without_a_unit_is_refused(tmp_path):
    """Its documentation can be read in two ways, so nothing is guessed; the sentence has the line to write."""
    miniatures.code15(tmp_path, unit=None)
    with pytest.raises(BadInputError, match=r'Put signals\.json into .*\{"unit": "mV"\}') as refused:
        open_folder(tmp_path)
    assert refused.value.reason == "unit_unknown"


@pytest.mark.parametrize("damage", [lambda data: data[:2000], lambda _data: b"no HDF5"])
def test_a_damaged_part_of_code15_is_named(tmp_path, damage):
    """It is not whole: the sentence says which file, and what to do."""
    miniatures.code15(tmp_path)
    part = tmp_path / "exams_part1.hdf5"
    part.write_bytes(damage(part.read_bytes()))
    with pytest.raises(BadInputError, match=r"exams_part1\.hdf5 is not a complete file of CODE-15"):
        open_folder(tmp_path)


def test_chapmans_table_as_excel_is_told_what_to_be(tmp_path):
    """Figshare gives it as .xlsx."""
    miniatures.chapman_figshare(tmp_path)
    (tmp_path / "Diagnostics.csv").rename(tmp_path / "Diagnostics.xlsx")
    with pytest.raises(BadInputError, match=r"save it as Diagnostics\.csv, a CSV"):
        open_folder(tmp_path)


@pytest.mark.parametrize(
    ("name", "table", "old", "new"),
    [
        ("sph", "metadata.csv", "A00001", "../../A00001"),
        ("mimic_iv_ecg", "record_list.csv", "files/p1000", "../p1000"),
        ("chapman figshare", "Diagnostics.csv", "MUSE_20180113_171327_27000", "../../MUSE"),
    ],
)
def test_a_table_cannot_point_out_of_its_folder(tmp_path, name, table, old, new):
    """It is refused before anything is opened."""
    miniatures.LAYOUTS[name](tmp_path)
    path = tmp_path / table
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(BadInputError, match="is outside of it"):
        open_folder(tmp_path)


@pytest.mark.parametrize(("name", "table"), [("mimic_iv_ecg", "machine_measurements.csv"), ("ptbxl", "scp_statements.csv")])
def test_a_table_that_is_missing_is_named(tmp_path, name, table):
    """Labels are made of it, so nothing is imported without it."""
    miniatures.LAYOUTS[name](tmp_path)
    (tmp_path / table).unlink()
    with pytest.raises(BadInputError, match=f"{table} is missing"):
        open_folder(tmp_path)


@pytest.mark.parametrize(
    ("name", "table", "line", "record"),
    [
        ("sph", "metadata.csv", "A00001,106,S00001,31,F,5000,2020-03-04", "records/A00001.h5"),
        (
            "code15",
            "exams.csv",
            "1169160,38,True,40,False,True,False,False,False,False,523632,,,False,exams_part0.hdf5",
            "exams_part0/000.hdf5#1169160",
        ),
        ("mimic_iv_ecg", "machine_measurements.csv", "10000032,40689238,1,,Abnormal ECG", "files/p1000/p10000032/s40689238/40689238"),
        (
            "chapman figshare",
            "Diagnostics.csv",
            "MUSE_20180112_073319_29000,AFIB,NONE,59,FEMALE,60",
            "ECGData/MUSE_20180112_073319_29000.csv",
        ),
    ],
)
def test_a_recording_that_a_table_has_twice_as_two_things_has_no_label(tmp_path, name, table, line, record):
    """Neither row wins, and the recording is named."""
    miniatures.LAYOUTS[name](tmp_path)
    path = tmp_path / table
    path.write_text(f"{path.read_text()}{line}\n")
    found = open_folder(tmp_path)
    assert record in EXPECTED[name]
    assert record not in found.rows
    assert [(one.name, one.reason) for one in found.rejected] == [(record, "bad_label")]


@pytest.mark.parametrize("name", ["sph", "code15", "mimic_iv_ecg", "chapman figshare"])
def test_another_table_under_its_name_is_refused(tmp_path, name):
    """Whoever names the layout gets a sentence that names the file, for a table of other columns and for one that is not UTF-8."""
    miniatures.LAYOUTS[name](tmp_path)
    table = next(
        tmp_path / one for one in ("metadata.csv", "exams.csv", "record_list.csv", "Diagnostics.csv") if (tmp_path / one).is_file()
    )
    for data, words in ((b"a,b\n1,2\n", "has no column"), (table.read_bytes().split(b"\n")[0] + b"\n\xff\xfe\n", "is not CSV in UTF-8")):
        table.write_bytes(data)
        with pytest.raises(BadInputError, match=words):
            LAYOUTS[name.split()[0]](tmp_path)


def test_a_large_collection_has_several_label_tables(folders, monkeypatch):
    """Each is small enough to be read; their names are ones that are read as label tables."""
    monkeypatch.setattr(folder, "MOST_ROWS", 3)
    files = contents(open_folder(folders["cinc"]).for_inbox())
    assert [path for path in files if path.endswith(".csv")] == ["cinc/labels.csv", "cinc/labels (1).csv", "cinc/labels (2).csv"]
    assert all(is_label_table(path) for path in files if path.endswith(".csv"))
    assert said(tables_of(files)) == EXPECTED["cinc"]


def test_an_import_shows_labels_and_unknown_statements(folders, monkeypatch):
    """``auto`` finds out the layout; codes that are not in the table are counted."""
    sent = []

    class Stack:
        def environment(self):
            return {}

    monkeypatch.setattr(cli, "running_stack", Stack)
    monkeypatch.setattr(cli, "drop", lambda _stack, files: sent.append(files) or len(files))
    done = CliRunner().invoke(app, ["import", "auto", str(folders["cinc"])])
    assert done.exit_code == 0, done.output
    words = " ".join(done.output.split())
    assert f"reading {folders['cinc']} as cinc" in words
    assert "labels: 1 CD, 1 HYP, 1 MI, 1 NORM, 3 abnormal, 1 normal, 3 without label" in words
    assert "is never normal: 1: '999999999' of 2 recordings" in words
    assert "'999999999' of 2 recordings" in words
    assert len(sent[0]) == 2 * len(EXPECTED["cinc"]) + 1


def test_every_layout_has_a_name_in_the_commands():
    """And every choice of ``import`` is a layout."""
    assert {one.value for one in cli.DataSet} == {"auto", *LAYOUTS}
    assert [one.name for one in COLLECTIONS] == list(dict.fromkeys(one.name for one in COLLECTIONS))


NAMES = sorted(path.stem for path in TABLES.glob("*.csv"))


@pytest.mark.parametrize("name", NAMES)
def test_a_table_of_statements_is_sound(name):
    """It cites its source, no code is there twice, and every row has a known meaning, some of the five or none, and its own source."""
    lines = (TABLES / f"{name}.csv").read_text(encoding="utf-8").splitlines()
    head = " ".join(line for line in lines if line.startswith("#"))
    assert " et al., " in head
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    codes = [row["code"] for row in rows]
    assert len(codes) == len(set(codes)) == len(load_table(name))
    assert all(row["source"].strip() and row["term"].strip() for row in rows)
    assert all(set(row["superclasses"].split()) <= {"MI", "STTC", "CD", "HYP"} for row in rows)
    assert any(one.meaning in {"normal", "normal_alone"} for one in load_table(name).values())


@pytest.mark.parametrize("name", NAMES)
def test_a_normal_or_uncertain_statement_has_no_superclass_but_that_of_a_machines_finding(name):
    """A superclass is what makes a recording abnormal; MIMIC's machine concludes by itself."""
    quiet = [one.code for one in load_table(name).values() if one.superclasses and one.meaning != "abnormal"]
    assert quiet == [] or (name == "mimic_iv_ecg" and {load_table(name)[code].meaning for code in quiet} == {"uncertain"})


def test_acronyms_mean_what_their_codes_mean():
    """Chapman's acronyms have the meanings and superclasses of the SNOMED codes that they stand for."""
    for one in load_table("chapman").values():
        code = load_table("snomed")[one.source.removeprefix("snomed:")]
        assert (one.meaning, one.superclasses) == (code.meaning, code.superclasses), one.code


def test_ptbs_table_has_the_diagnoses_of_the_headers():
    """The same reasons for admission, with the same label."""
    assert {one.code: one.meaning.value for one in load_table("ptbdb").values()} == {
        reason: label.value for reason, label in PTB_DIAGNOSES.items()
    }


@pytest.mark.skipif(not (REAL / "ptbxl").is_dir(), reason="real recordings are not beside the checkout (shared/data/ptbxl)")
@pytest.mark.parametrize("name", NAMES)
def test_superclasses_are_those_of_ptbxls_own_table(name):
    """A row that names a statement of PTB-XL has the diagnostic class that PTB-XL gives it, or none where that has none."""
    with (REAL / "ptbxl/scp_statements.csv").open(newline="", encoding="utf-8") as file:
        classes = {next(iter(row.values())): row["diagnostic_class"] for row in csv.DictReader(file)}
    named = {one.code: one for one in load_table(name).values() if one.source.startswith("scp:")}
    assert {code: " ".join(one.superclasses) for code, one in named.items()} == {
        code: classes[one.source.removeprefix("scp:")] for code, one in named.items()
    }


@pytest.mark.skipif(not (REAL / "ludb").is_dir(), reason="real recordings are not beside the checkout (shared/data/ludb)")
def test_real_ludb():
    """All diagnoses of the 100 recordings are in the table; the recordings of one header are counted straight from the headers."""
    found = open_folder(REAL / "ludb")
    assert (found.kind, len(found.rows), found.unknown) == ("ludb", 100, {})
    assert found.counts() == Counter(
        {"abnormal": 96, "normal": 3, "without label": 1, "HYP": 84, "STTC": 44, "CD": 44, "MI": 16, "NORM": 3}
    )
    names = {name for name, row in found.rows.items() if row.classes and "MI" in row.classes.names}
    assert names == {
        f"data/{path.stem}"
        for path in (REAL / "ludb/data").glob("*.hea")
        if {"#STEMI", "#Scar"} & set(path.read_text().replace(":", " ").split())
    }
    assert [row.age for row in found.rows.values()].count(None) == 0
    read = _read("data/1", found.files["data/1"], found)
    assert (read.records[0].fs, len(read.records[0].leads), read.rejected) == (500.0, 12, ())


@pytest.mark.skipif(not (REAL / "ptbxl").is_dir(), reason="real recordings are not beside the checkout (shared/data/ptbxl)")
def test_real_ptbxl_has_classes_and_folds():
    """As the csv module counts them straight from the two tables."""
    (data,) = [one for path, one in open_folder(REAL / "ptbxl").for_inbox() if path.endswith("labels.csv")]
    rows = list(csv.DictReader(io.StringIO(data.decode())))
    with (REAL / "ptbxl/ptbxl_database.csv").open(newline="", encoding="utf-8") as file:
        folds = {row["filename_hr"].rpartition("/")[2]: row["strat_fold"] for row in csv.DictReader(file)}
    assert {row["record"]: row["fold"] for row in rows} == {row["record"]: folds[row["record"]] for row in rows}
    assert Counter(one for row in rows for one in row["classes"].split()) == {"NORM": 225, "CD": 57, "STTC": 56, "MI": 49, "HYP": 25}
    assert all((row["label"] == "normal") == (row["classes"] == "NORM") for row in rows)


SAMPLES = {
    "mat": ("cinc", {"JS00005": ("abnormal", "STTC"), "S0010": ("abnormal", "MI")}),
}


@pytest.mark.skipif(not (REAL / "formats/mat").is_dir(), reason="real recordings are not beside the checkout (shared/data/formats/mat)")
def test_two_real_recordings_of_the_challenges():
    """Headers and signals of two sources, as the Challenge gives them."""
    found = open_folder(REAL / "formats/mat")
    assert found.kind == "cinc"
    assert {name: (row.label, str(row.classes)) for name, row in found.rows.items()} == SAMPLES["mat"][1]
    assert all(_read(name, path, found).rejected == () for name, path in found.files.items())


def test_headers_that_name_their_record_by_its_signal_file_are_read(folders):
    """Georgia's begin with ``E00001.mat``: every recording of the folder is read, those among them."""
    found = open_folder(folders["cinc"])
    read = {name: _read(name, path, found) for name, path in found.files.items()}
    assert {name for name, one in read.items() if one.rejected or len(one.records) != 1} == set()
    georgia = [path for path in found.files.values() if "georgia" in path.parts]
    assert [path.read_text().split()[0] for path in georgia] == [f"{path.stem}.mat" for path in georgia]
    assert len(georgia) == sum("/georgia/" in name for name in EXPECTED["cinc"]) > 0
