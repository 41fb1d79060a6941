"""DICOM, EDF, arrays and tables of leads: each gives the recording that was written, and the id that it has as WFDB.

What is read here was written by pydicom, edfio, NumPy, SciPy, h5py and pyarrow. Files of other programs: `test_format_samples`.
"""

import gzip
import json

import numpy as np
import pytest

from benchmarks import written_files as written
from ecg_tasks import readers
from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers import gather, reader_of
from ecg_tasks.readers.leads import millivolts_per

ONE = written.made()
AS_WFDB = readers.read("r.hea", written.wfdb(ONE)).records[0].record_id
FORMATS = {name: write for name, write in written.WRITERS.items() if name != "heartbeat_csv"} | {
    "npz": written.npz,
    "bdf": lambda one: written.edf(one, bdf=True),
    "edf+": lambda one: written.edf(one, plus=True),
    "gzip": lambda one: {"r.csv.gz": gzip.compress(written.lead_csv(one)["r.csv"])},
    "utf-16": lambda one: {"r.csv": written.lead_csv(one)["r.csv"].decode().encode("utf-16")},
    "semicolons": lambda one: {"r.csv": written.lead_csv(one)["r.csv"].replace(b",", b";").replace(b".", b",")},
    "tabs": lambda one: {"r.tsv": written.lead_csv(one)["r.csv"].replace(b",", b"\t")},
    "quotes": lambda one: {"r.csv": b"\n".join(b'"' + row.replace(b",", b'","') + b'"' for row in written.lead_csv(one)["r.csv"].split())},
}


def recording_of(files, name=None):
    """The one recording of these files, as its reader gives it."""
    name = name or next(iter(files))
    reader = reader_of(name, next(iter(files.values()))[: readers.HEAD_BYTES])
    (found,) = reader.read(files, f"ward/{name}").recordings
    return found


def refused(files, name=None):
    """Why these files are refused; nothing of a person stands in it."""
    name = name or next(iter(files))
    with pytest.raises(BadInputError) as caught:
        readers.read(name, files)
    assert "P7" not in caught.value.message
    assert "Nobody" not in caught.value.message
    assert caught.value.message.startswith((name, "signals.json"))
    return caught.value


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_record(name):
    """The record's id is that of the same samples in WFDB: every sample, the rate and the leads are the same."""
    files = FORMATS[name](ONE)
    (record,) = readers.read(next(iter(files)), files).records
    assert record.record_id == AS_WFDB
    assert record.name == next(iter(files)).removesuffix(".hea")
    (found,) = [recording_of(files)]
    assert found.acquisition.source_format or name == "wfdb"
    for lead, stored in zip(found.leads, ONE.stored.T, strict=True):
        assert np.allclose(lead.samples * millivolts_per(lead.units), stored / 1000, rtol=0, atol=1e-12)
        assert lead.fs == 500


@pytest.mark.parametrize("name", FORMATS)
def test_no_format_is_known_by_its_name(name):
    """A file is read whatever it is called, but for a WFDB header, whose name alone tells it, and a CSV, whose sidecar has its name."""
    files = FORMATS[name](ONE)
    if name == "wfdb":
        return
    first, *others = files.items()
    renamed = {"unnamed": first[1]} | dict(others)
    assert readers.read("unnamed", renamed).records[0].record_id == AS_WFDB


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_is_cut_off_is_never_a_shorter_recording(name):
    """At a hundred places: it is refused with a code, but for a CSV that ends behind a whole number: no CSV tells its length."""
    files = FORMATS[name](ONE)
    if name == "wfdb":
        return
    first, data = next(iter(files.items()))
    codes = set()
    rng = np.random.default_rng(1)
    for end in [*range(0, 2000, 97), *rng.integers(1, len(data), 60).tolist(), *range(len(data) - 12, len(data))]:
        try:
            read = readers.read(first, files | {first: data[:end]})
        except BadInputError as error:
            codes.add(error.reason)
        else:
            assert first.endswith((".csv", ".tsv")), f"{end} of {len(data)} bytes"
            text = data[:end].replace(b"\0", b"")
            assert text.count(b"\n") - 1 <= read.records[0].n_samples <= text.count(b"\n")
            separator = {"semicolons": b";", "tabs": b"\t"}.get(name, b",")
            assert text.rstrip().rpartition(b"\n")[2].count(separator) == 12
    assert codes & {Reason.INCOMPLETE, Reason.UNREADABLE}


def test_the_person_and_the_device_come_along():
    """Age (from the birth date where it is not told), sex, id and its issuer, the moment, the device and the filters; else not known."""
    dicom, edf = recording_of(written.dicom(ONE)), recording_of(written.edf(ONE))
    for found in (dicom, edf):
        assert (found.patient.id, found.patient.sex, found.patient.age) == ("P7", "female", 69.0)
        assert found.acquisition.device == "Made 1"
        assert found.acquisition.recorded.date().isoformat() == "2020-06-01"
        assert (found.acquisition.filters.highpass_hz, found.acquisition.filters.lowpass_hz, found.acquisition.filters.notch_hz) == (
            0.05,
            150.0,
            50.0,
        )
    assert (dicom.patient.issuer, edf.patient.issuer) == ("Ward", None)
    assert dicom.acquisition.source_format == "DICOM 12-lead ECG"
    assert dicom.acquisition.recorded.isoformat() == "2020-06-01T10:15:00"
    record = readers.read("r.dcm", written.dicom(ONE)).records[0]
    assert (record.recorded, record.filters, record.device) == ("2020-06-01T10:15:00", "0.05 to 150 Hz, notch 50 Hz", "Made 1")
    array = recording_of(written.npz(ONE))
    assert array.patient == readers.base.NOBODY
    assert (array.acquisition.recorded, array.acquisition.device, array.acquisition.source_format) == (None, None, "NPZ")


@pytest.mark.parametrize(
    ("files", "words", "line"),
    [
        (
            {"r.npy": written.npy(ONE)["r.npy"]},
            "the sampling rate, the unit, the names of the leads",
            {"fs": 500, "unit": "mV", "leads": list(ONE.leads)},
        ),
        (written.npy(ONE) | {"signals.json": b'{"fs": 500, "leads": %s}' % json.dumps(ONE.leads).encode()}, "the unit", {"unit": "mV"}),
        ({"r.csv": b"I,II\n" + b"1.0,2.0\n" * 500}, "the sampling rate, the unit", {"fs": 500, "unit": "mV"}),
        ({"r.csv": b"time,II_mV\n" + b"1.0,2.0\n" * 500}, "the sampling rate", {"fs": 500}),
        ({"exams.hdf5": written.code15([written.made(n_samples=4000)], exams=[1])["exams.hdf5"]}, "the unit", {"unit": "mV"}),
    ],
)
def test_nothing_is_guessed(files, words, line):
    """What neither file nor sidecar says is asked for, with the line to write; with that line it is read."""
    error = refused(files)
    assert error.reason is Reason.UNIT_UNKNOWN
    assert f"does not give {words}, and nothing is guessed" in error.message
    assert error.message.endswith(json.dumps(line))


def test_the_sidecar_of_a_file_wins_over_that_of_its_folder():
    """``r.signals.json`` speaks of r.npy alone, and is the only one that comes along; any other case of letters is fine."""
    files = written.npy(ONE)
    beside = {
        "R.SIGNALS.JSON": lambda: written.sidecar(ONE),
        "signals.json": lambda: b"no JSON",
        "r.npy": lambda: files["r.npy"],
    }
    gathered = gather("r.npy", files["r.npy"], beside)
    assert list(gathered) == ["r.npy", "R.SIGNALS.JSON"]
    assert readers.read("r.npy", gathered).records[0].record_id == AS_WFDB
    del beside["R.SIGNALS.JSON"]
    assert refused(gather("r.npy", files["r.npy"], beside)).reason is Reason.UNREADABLE
    assert list(gather("r.csv", written.lead_csv(ONE)["r.csv"], beside)) == ["r.csv"]


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"fs": 5}, Reason.UNREADABLE, "fs must be a number of Hz from 50 to 50000"),
        ({"fs": True}, Reason.UNREADABLE, "fs must be"),
        ({"unit": "adu"}, Reason.UNREADABLE, "unit must be nV, uV, mV or V"),
        ({"leads": ["I", "I"]}, Reason.UNREADABLE, "different names"),
        ({"leads": ["I", "II"]}, Reason.UNREADABLE, "has no axis of 2 leads"),
        ({"axis": 1}, Reason.UNREADABLE, "for the time do not match"),
        ({"axis": 7}, Reason.UNREADABLE, "axis must be 0, 1 or 2"),
        ({"rate": 500}, Reason.UNREADABLE, "the keys can be fs, unit, leads, axis"),
        ({"unit": "V"}, Reason.OUT_OF_RANGE, "more than 50 mV"),
    ],
)
def test_a_sidecar_that_cannot_be_true_is_refused(changes, reason, words):
    """Each with the key at fault."""
    error = refused(written.npy(ONE) | {"signals.json": written.sidecar(ONE, **changes)})
    assert error.reason is reason
    assert words in error.message


def test_a_sidecar_that_contradicts_its_file_is_refused():
    """Two rates, two units: the file is not read with either."""
    for changes, words in (({"fs": 250}, "says fs 250.0, but the file itself says 500.0"), ({"unit": "uV"}, "says unit uV")):
        error = refused(written.npz(ONE) | {"signals.json": written.sidecar(ONE, **changes)})
        assert words in error.message
    error = refused(written.lead_parquet(ONE) | {"signals.json": b'{"fs": 250}'})
    assert "the sidecar says fs 250, but the times in the table give 500" in error.message
    assert "another unit" in refused(written.lead_parquet(ONE) | {"signals.json": b'{"unit": "mV"}'}).message


def test_a_step_that_is_not_one_unit_is_read_with_its_factor():
    """``4.88 uV`` is what a step of many devices is."""
    files = {"r.npy": written.npy(written.Made(stored=ONE.stored))["r.npy"], "signals.json": written.sidecar(ONE, unit="0.5 mV")}
    lead = recording_of(files).leads[1]
    assert np.array_equal(lead.samples, ONE.millivolts[:, 1] * 0.5)
