"""Samples of other people's programs, to the last bit: against what they are known to hold, and a second library's reading."""

import hashlib
import json
from pathlib import Path

import ecgdatakit
import edfio
import h5py
import numpy as np
import pydicom
import pytest
import scipy.io
import wfdb

from ecg_tasks import readers
from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers import reader_of
from ecg_tasks.readers.leads import millivolts_per
from ecg_tasks.signals.record import STANDARD_LEADS

SAMPLES = Path(__file__).parents[2] / "../shared/data/formats"
pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="samples of the formats are not beside the checkout (shared/data/formats)")
HL7_EXAMPLE = "1dc1a93b3a9a7b61981af66e35d48677"
"""The id of one recording that is there as aECG, SCP-ECG, DICOM and in many files made from it."""
TOLD = {"fs": 500, "unit": "mV", "leads": list(STANDARD_LEADS)}


def files_of(name, told=None):
    """A sample, with a sidecar where one is given."""
    path = SAMPLES / name
    sidecar = {} if told is None else {"signals.json": json.dumps(told).encode()}
    return {path.name: path.read_bytes()} | sidecar


def recordings_of(name, told=None):
    """What the reader that knows a sample gives."""
    files = files_of(name, told)
    first = next(iter(files.values()))
    return reader_of(name, first[: readers.HEAD_BYTES]).read(files, name).recordings


def microvolts(recording):
    """Shape (n_leads, n_samples)."""
    return np.stack([lead.samples * millivolts_per(lead.units) * 1000 for lead in recording.leads])


@pytest.mark.parametrize(
    ("name", "key", "told"),
    [
        ("dicom/Example.dcm", "dicom/Example.dcm", None),
        ("pydicom_waveform_ecg.dcm", "pydicom_waveform_ecg.dcm", None),
        ("hdf5/SPH00010.h5", "hdf5/SPH00010.h5", TOLD),
        ("mat/S0010.mat", "mat/S0010", TOLD | {"fs": 1000, "unit": "uV"}),
        ("mat/JS00005.mat", "mat/JS00005", TOLD | {"unit": "uV"}),
    ],
)
def test_samples_are_as_they_are_known(name, key, told):
    """Rate, leads, number of samples, the first ten, sum, least, most, and the digest of all."""
    expected = json.loads((SAMPLES / "expected.json").read_text())[key]
    (recording,) = recordings_of(name, told)
    signals = microvolts(recording)
    lead = signals[expected["leads"].index(expected["lead"])]
    assert [one.fs for one in recording.leads] == [expected["fs"]] * len(expected["leads"])
    assert [one.name for one in recording.leads] == expected["leads"]
    assert [signals.shape[1]] == expected["n_samples"]
    assert np.round(lead[:10], 3).tolist() == expected["first10_uV"]
    assert (round(lead.sum(), 2), round(lead.min(), 3), round(lead.max(), 3)) == (
        expected["sum_uV"],
        expected["min_uV"],
        expected["max_uV"],
    )
    digest = hashlib.sha256(np.round(100 * signals).astype("<i8").tobytes()).hexdigest()[:16]
    assert digest == expected["sha256_16_of_round_centi_uV_i8_lead_major"]


def test_the_ecg_of_a_polysomnography_is_as_it_is_known():
    """One signal called ECG among eleven, with a micro sign in Latin-1 beside it; it is no lead II, so there is no record."""
    expected = json.loads((SAMPLES / "expected.json").read_text())["wfdb_test_generator_2.edf [ECG]"]
    (recording,) = recordings_of("wfdb_test_generator_2.edf")
    lead = next(lead for lead in recording.leads if lead.name == "ECG")
    digest = hashlib.sha256(np.round(100 * lead.samples).astype("<i8").tobytes()).hexdigest()[:16]
    assert (lead.fs, lead.units, digest) == (expected["fs"], "uV", expected["sha256_16_of_round_centi_uV_i8_lead_major"])
    theirs = edfio.read_edf(SAMPLES / "wfdb_test_generator_2.edf", header_encoding="latin-1").get_signal("ECG").data
    assert np.array_equal(lead.samples, theirs)
    assert recording.acquisition.recorded.isoformat() == "2009-12-10T12:44:02"
    with pytest.raises(BadInputError, match="lead II is needed"):
        readers.finish(recording)


@pytest.mark.parametrize("name", ["edf/short_psg.edf", "edf/short_psg.bdf", "edf/test_edfann.edf"])
def test_a_file_without_an_ecg_is_refused(name):
    """EEG alone, and annotations alone."""
    with pytest.raises(BadInputError, match="has no ECG") as caught:
        readers.read(name, files_of(name))
    assert caught.value.reason is Reason.MISSING_LEAD


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("dicom/Example.dcm", None),
        ("csv/wide_12_header_mV.csv", {"fs": 500, "unit": "mV"}),
        ("csv/wide_12_header_uV_time.csv", None),
        ("parquet/made_wide.parquet", {"fs": 500, "unit": "mV"}),
        ("npy/made_5000x12_mV.npy", TOLD),
        ("npy/made_signal_fs.npz", {"unit": "mV"}),
    ],
)
def test_one_recording_in_many_formats_is_one_record(name, told):
    """Whatever it came in, it has the id of the HL7 example, and so has its twin in WFDB."""
    (record,) = readers.read(name, files_of(name, told)).records
    assert record.record_id == HL7_EXAMPLE
    stored = np.round(record.samples.T.astype(np.float64) * 400).astype("<i2")
    lines = "".join(f"r.dat 16 400/mV 16 0 {signal[0]} 0 0 {lead}\n" for signal, lead in zip(stored.T, record.leads, strict=True))
    twin = {"r.hea": f"r {len(record.leads)} {record.fs:g} {len(stored)}\n{lines}".encode(), "r.dat": stored.tobytes()}
    assert readers.read("r.hea", twin).records[0].record_id == HL7_EXAMPLE


@pytest.mark.parametrize("name", ["dicom/Example.dcm", "pydicom_waveform_ecg.dcm", "dicom/made_baseline100_corr2.dcm"])
def test_dicom_beside_pydicom(name):
    """Every sample is pydicom's, to the last bit; the person and the moment are those of the file."""
    (recording,) = recordings_of(name)
    dataset = pydicom.dcmread(SAMPLES / name)
    groups = [dataset.waveform_array(number) for number in range(len(dataset.WaveformSequence))]
    assert np.array_equal(np.stack([lead.samples for lead in recording.leads], axis=1), max(groups, key=len))
    assert recording.patient.sex == {"M": "male", "F": "female"}[dataset.PatientSex]
    assert recording.patient.age == {"Example": 49.0, "made_base": 49.0, "pydicom_w": 42.0}[Path(name).name.removesuffix(".dcm")[:9]]
    assert recording.acquisition.recorded.strftime("%Y%m%d%H%M%S") == dataset.AcquisitionDateTime


def test_dicom_beside_ecgdatakit():
    """A third reading of the sample without padding."""
    theirs = ecgdatakit.FileParser().parse(str(SAMPLES / "pydicom_waveform_ecg.dcm"))
    (recording,) = recordings_of("pydicom_waveform_ecg.dcm")
    for lead, other in zip(recording.leads, theirs.leads, strict=True):
        assert np.allclose(lead.samples * millivolts_per(lead.units), np.asarray(other.samples), rtol=0, atol=1e-6)


def test_a_pdf_in_dicom_is_told():
    """It holds no signal."""
    with pytest.raises(BadInputError, match="a PDF in DICOM, which has no signal") as caught:
        readers.read("x.dcm", files_of("dicom/made_encapsulated_pdf.dcm"))
    assert caught.value.reason is Reason.UNKNOWN_FORMAT
    assert "SYN" not in caught.value.message


@pytest.mark.parametrize("name", ["csv/long_rows_leads.csv", "csv/wide_12_no_header.csv"])
def test_a_table_without_names_is_refused(name):
    """Neither leads in rows nor columns without names are heartbeats."""
    with pytest.raises(BadInputError) as caught:
        readers.read(name, files_of(name))
    assert caught.value.reason is Reason.WRONG_WIDTH


def test_the_layout_of_code15():
    """Two exams of ten seconds, without the zeros; the unit is asked for."""
    name = "hdf5/made_code15_layout.hdf5"
    with pytest.raises(BadInputError, match=r"does not give the unit.*\{\"unit\": \"mV\"\}$"):
        readers.read(name, files_of(name))
    read = readers.read(name, files_of(name, {"unit": "mV"}))
    assert [(record.name, record.n_samples) for record in read.records] == [(f"{name}#11", 4000), (f"{name}#12", 4000)]
    with h5py.File(SAMPLES / name) as file:
        assert np.array_equal(read.records[1].samples, file["tracings"][1, 48:4048].T)


@pytest.mark.parametrize("name", ["S0010", "JS00005"])
def test_matlab_beside_scipy_and_wfdb(name):
    """The array of WFDB's pair, read by itself with a sidecar, is that of SciPy; with its header it is read as WFDB."""
    with (SAMPLES / f"mat/{name}.mat").open("rb") as file:
        val = scipy.io.loadmat(file)["val"]
    (recording,) = recordings_of(f"mat/{name}.mat", TOLD | {"unit": "uV"})
    assert np.array_equal(np.stack([lead.samples for lead in recording.leads]), val)
    pair = {f"{name}.hea": (SAMPLES / f"mat/{name}.hea").read_bytes(), f"{name}.mat": (SAMPLES / f"mat/{name}.mat").read_bytes()}
    theirs = wfdb.rdrecord(str(SAMPLES / f"mat/{name}")).p_signal.T
    assert np.array_equal(readers.read(f"{name}.hea", pair).records[0].samples, theirs.astype(np.float32))
