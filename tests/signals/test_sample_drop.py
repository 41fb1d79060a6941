"""The synthetic inbox: what is in it, and that every reader says of it what its docstring says."""

import posixpath
from collections import Counter

import pytest

from ecg_tasks.errors import BadInputError, Reason, SignalError
from ecg_tasks.labels import Label
from ecg_tasks.readers import reader_of
from ecg_tasks.readers.file_names import is_header, is_label_table, is_signal
from ecg_tasks.readers.labels_csv import read_labels
from ecg_tasks.signals.record import STANDARD_LEADS
from ecg_tasks.signals.sample_drop import FOLDER, sample_drop
from tests.readings import read_heartbeat_csv, read_wfdb, wfdb_files


@pytest.fixture(scope="module")
def drop():
    """The drop of 60 patients."""
    return sample_drop(seed=1)


@pytest.fixture(scope="module")
def recordings(drop):
    """Its WFDB recordings by name."""
    files = {posixpath.basename(path): content for path, content in drop.items()}
    found = {}
    for name, header in files.items():
        if is_header(name):
            needed = {name: header} | {needed: files[needed] for needed in wfdb_files(header, name=name)}
            found[name.removesuffix(".hea")] = read_wfdb(needed, header=name, name=name.removesuffix(".hea")).records[0]
    return found


def test_all_lies_in_one_folder_and_has_a_format(drop):
    """Every file is under synthetic/, and detection knows each."""
    assert {posixpath.dirname(path) for path in drop} == {FOLDER}
    read = Counter(reader.name for path, content in drop.items() if (reader := reader_of(path, content[:65536])))
    assert read == {"wfdb": 121, "heartbeat_csv": 3}
    assert (sum(map(is_signal, drop)), sum(map(is_label_table, drop)), len(drop)) == (121, 1, 246)


def test_recordings(recordings):
    """120 different recordings of 12 leads, 10 s, 500 Hz, each marked as synthetic, and the first of them once more."""
    assert len(recordings) == 121
    assert {(record.leads, record.fs, record.duration_s, record.synthetic) for record in recordings.values()} == {
        (STANDARD_LEADS, 500.0, 10.0, True)
    }
    twins = [name for name, times in Counter(record.record_id for record in recordings.values()).items() if times > 1]
    assert twins == [recordings["synthetic_0001_1"].record_id] == [recordings["copy_of_synthetic_0001_1"].record_id]


def test_labels(drop, recordings):
    """Every recording but the copy is named, half of the patients are abnormal, and a tenth of the labels is missing."""
    table = read_labels(drop[f"{FOLDER}/labels.csv"], name="labels.csv")
    assert table.rejected == ()
    assert {row.record for row in table.rows} == recordings.keys() - {"copy_of_synthetic_0001_1"}
    assert Counter(row.label for row in table.rows) == {Label.NORMAL: 55, Label.ABNORMAL: 55, None: 10}
    by_patient = {
        row.patient_id: {other.label for other in table.rows if other.patient_id == row.patient_id} - {None} for row in table.rows
    }
    assert len(by_patient) == 60
    assert all(len(labels) == 1 for labels in by_patient.values())
    assert 25 <= sum(labels == {Label.ABNORMAL} for labels in by_patient.values()) <= 35


def test_heartbeats(drop):
    """120 different rows, half of them abnormal, all synthetic."""
    reading = read_heartbeat_csv(drop[f"{FOLDER}/synthetic_heartbeats.csv"], name=f"{FOLDER}/synthetic_heartbeats.csv")
    assert reading.rejected == ()
    assert len({record.record_id for record in reading.records}) == 120
    assert Counter(record.label for record in reading.records) == {Label.NORMAL: 60, Label.ABNORMAL: 60}
    assert all(record.synthetic for record in reading.records)


def test_bad_row(drop):
    """One row of five is bad, and the other four are not among the 120."""
    name = f"{FOLDER}/synthetic_bad_row.csv"
    reading = read_heartbeat_csv(drop[name], name=name)
    assert [(rejected.name, rejected.reason) for rejected in reading.rejected] == [(f"{name}#3", Reason.NOT_NUMERIC)]
    others = read_heartbeat_csv(drop[f"{FOLDER}/synthetic_heartbeats.csv"], name="x.csv").records
    assert len({record.record_id for record in (*reading.records, *others)}) == 124


def test_corrupt_file(drop):
    """The corrupt file cannot be read, and no part of it becomes a record."""
    with pytest.raises(BadInputError) as caught:
        read_heartbeat_csv(drop[f"{FOLDER}/corrupt.csv.gz"], name="corrupt.csv.gz")
    assert caught.value.reason is Reason.UNREADABLE


def test_seed_decides_everything():
    """The same seed gives the same bytes, another seed other recordings."""
    first, again, other = (sample_drop(seed=seed, n_patients=2) for seed in (3, 3, 4))
    assert first == again
    assert first["synthetic/synthetic_0001_1.dat"] != other["synthetic/synthetic_0001_1.dat"]


def test_one_patient_is_not_enough():
    """A drop has both classes."""
    with pytest.raises(SignalError, match="n_patients=1"):
        sample_drop(seed=1, n_patients=1)
