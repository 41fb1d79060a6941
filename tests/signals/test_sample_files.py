"""Files written here are read back by the readers, and by wfdb itself."""

import numpy as np
import pytest

from ecg_tasks.errors import SignalError
from ecg_tasks.labels import Label
from ecg_tasks.readers.labels_csv import read_labels
from ecg_tasks.signals.sample_files import heartbeat_csv, labels_csv, wfdb_record
from tests.readings import load_wfdb, read_heartbeat_csv, read_wfdb


def some_samples():
    """Three leads of 12 s at 250 Hz, over the whole range of ±32 mV."""
    return np.random.default_rng(0).uniform(-32, 32, size=(3, 3000)).astype(np.float32)


def test_wfdb_roundtrip(tmp_path):
    """The reader, which verifies checksums, and wfdb's own give the samples back to half a microvolt."""
    files = wfdb_record(some_samples(), fs=250, leads=("I", "II", "V1"), stem="r-1", comments=("age: 50", "synthetic: yes"))
    record = read_wfdb(files, header="r-1.hea", name="r-1").records[0]
    np.testing.assert_allclose(record.samples, some_samples(), atol=0.00051)
    assert (record.fs, record.leads, record.age, record.synthetic) == (250.0, ("I", "II", "V1"), 50.0, True)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    by_wfdb = load_wfdb().rdrecord(str(tmp_path / "r-1"))
    np.testing.assert_array_equal(by_wfdb.p_signal.T.astype(np.float32), record.samples)
    assert by_wfdb.comments == ["age: 50", "synthetic: yes"]


@pytest.mark.parametrize("samples", [np.full((1, 10), 33.0), np.full((1, 10), np.nan), np.zeros((2, 10)), np.zeros(10)])
def test_what_does_not_fit_is_refused(samples):
    """A sample beyond 16 bits, one that is no number, and rows without a name are refused when written, not found when read."""
    with pytest.raises(SignalError):
        wfdb_record(samples, fs=250, leads=("II",), stem="r")


def test_heartbeat_roundtrip():
    """Beats come back to six digits, with their labels."""
    beats = np.random.default_rng(0).random((4, 187)).astype(np.float32)
    records = read_heartbeat_csv(heartbeat_csv(beats, [0, 1, 1, 0]), name="x.csv").records
    np.testing.assert_allclose(np.concatenate([record.samples for record in records]), beats, atol=1e-6)
    assert [record.label for record in records] == [Label.NORMAL, Label.ABNORMAL, Label.ABNORMAL, Label.NORMAL]
    with pytest.raises(SignalError, match="2 labels"):
        heartbeat_csv(beats, [0, 1])


def test_labels_roundtrip():
    """Commas and quotes in a record's name survive; what a row lacks is empty."""
    rows = read_labels(labels_csv([{"record": 'a,"b"', "label": "1", "patient_id": "p"}, {"record": "c"}]), name="labels.csv").rows
    assert [(row.record, row.label, row.patient_id) for row in rows] == [('a,"b"', Label.ABNORMAL, "p"), ("c", None, None)]
