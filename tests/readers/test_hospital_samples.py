"""Real files of hospitals' formats against values that others read from them, and made ones against a second reader.

Second readers: ecgdatakit 2.0.3 (MUSE, aECG, Philips, SCP-ECG, ISHNE), sierraecg 0.4.0 (Philips), and for CardioSoft, which no package
reads, a few lines over the standard library's XML. No file of MUSE or CardioSoft is at hand: those are made from the specification.
"""

import hashlib
import json
import warnings
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from ecg_tasks import readers
from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers.leads import millivolts_per
from tests.hospital_files import FORMATS, Strip, cardiosoft, wfdb_twin

SAMPLES = Path(__file__).parents[2] / "../shared/data/formats"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="samples of formats are not beside the checkout (shared/data/formats)")
FOLDERS = ("aecg", "philips", "scp", "ishne")
CALIBRATION = " [0:5000]"
"""Behind the name of a Philips file: without its second of calibration, as it is read."""


def expected():
    """What others read from the samples, by file."""
    if not SAMPLES.is_dir():
        return {}
    values = json.loads((SAMPLES / "expected.json").read_text())
    return {name: value for name, value in values.items() if name.startswith(FOLDERS) and (CALIBRATION in name or "philips" not in name)}


def leads_of(path, data):
    """The leads of the one recording of a file."""
    reader = readers.reader_of(path, data[: readers.HEAD_BYTES])
    (found,) = reader.read({Path(path).name: data}, path).recordings
    return found.leads


def microvolts(leads):
    """Samples in µV, shape (n_leads, n_samples)."""
    return np.stack([lead.samples * (1000 * millivolts_per(lead.units)) for lead in leads])


@needs_samples
@pytest.mark.parametrize("name", expected() or ["none"])
def test_a_sample_is_right_to_the_bit(name):
    """Rate, leads, number of samples, the first ten of one lead, its sum and bounds, and the digest of all."""
    wanted = expected()[name]
    path = name.removesuffix(CALIBRATION)
    leads = leads_of(path, (SAMPLES / path).read_bytes())
    uv = microvolts(leads)
    row = uv[wanted["leads"].index(wanted["lead"])]
    assert [lead.name.replace("AV", "aV") for lead in leads] == wanted["leads"]
    assert {lead.fs for lead in leads} == {wanted["fs"]}
    assert [uv.shape[1]] == wanted["n_samples"]
    np.testing.assert_allclose(row[:10], wanted["first10_uV"])
    np.testing.assert_allclose([row.sum(), row.min(), row.max()], [wanted["sum_uV"], wanted["min_uV"], wanted["max_uV"]])
    digest = hashlib.sha256(np.rint(100 * uv).astype("<i8").tobytes()).hexdigest()[:16]
    assert digest == wanted["sha256_16_of_round_centi_uV_i8_lead_major"]


@needs_samples
@pytest.mark.parametrize("name", expected() or ["none"])
def test_a_sample_is_the_same_record_in_wfdb(name):
    """Written as WFDB with the steps of its own, it keeps its id; 599.88 Hz too. The shortest sample is no record in either."""
    path = name.removesuffix(CALIBRATION)
    data = (SAMPLES / path).read_bytes()
    leads = leads_of(path, data)
    step_nv = next(step for step in (5000, 3750, 2500) if np.allclose(microvolts(leads) * 1000 / step % 1, 0))
    of = Strip(
        counts=np.rint(microvolts(leads) * 1000 / step_nv).astype(np.int64),
        leads=tuple(lead.name for lead in leads),
        step_nv=step_nv,
        fs=leads[0].fs,
    )
    if leads[0].samples.size / leads[0].fs < 5:
        with pytest.raises(BadInputError, match="must last at least 5 s"):
            readers.read(path, {path: data})
        return
    (record,) = readers.read(path, {path: data}).records
    (twin,) = readers.read("r.hea", wfdb_twin(of)).records
    assert record.record_id == twin.record_id


@needs_samples
def test_one_recording_in_three_formats_is_one_record():
    """HL7's example as aECG, SCP-ECG and ISHNE, with the id that it has always had."""
    ids = set()
    for folder in ("aecg", "scp", "ishne"):
        for name, wanted in expected().items():
            if name.startswith(folder) and wanted["first10_uV"][:2] == [-17.5, -17.5]:
                (record,) = readers.read(name, {name: (SAMPLES / name).read_bytes()}).records
                ids.add((folder, record.record_id))
    assert {record for _, record in ids} == {"1dc1a93b3a9a7b61981af66e35d48677"}
    assert len(ids) == 3


@needs_samples
def test_what_calls_itself_scp_and_is_none_is_refused():
    """Of all files with that ending, those without expected values are no SCP-ECG."""
    known = {name.rpartition("/")[2] for name in expected()}
    others = [path for path in (SAMPLES / "scp").iterdir() if path.name not in known]
    assert others
    for path in others:
        with pytest.raises(BadInputError) as refused:
            readers.read("x.scp", {"x.scp": path.read_bytes()})
        assert refused.value.reason is Reason.UNKNOWN_FORMAT


def by_ecgdatakit(path):
    """Leads by name, in µV, as ecgdatakit reads a file, and what else it finds."""
    from ecgdatakit.parsing import FileParser

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        record = FileParser().parse(path)
    assert {lead.units for lead in record.leads} == {"mV"}
    return {lead.label: 1000 * lead.samples for lead in record.leads}, record


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "cardiosoft"])
def test_a_made_file_is_what_a_second_reader_reads(name, tmp_path):
    """Samples, rate, age, sex, time and device."""
    made = FORMATS[name]
    data = made.write(made.strip).replace(b"<!-- <RestingECG> is no root here -->", b"")  # it is for ecgdatakit
    path = tmp_path / f"x{made.suffix}"
    path.write_bytes(data)
    theirs, record = by_ecgdatakit(path)
    (ours,) = readers.reader_of("x", data[: readers.HEAD_BYTES]).read({"x": data}, "x").recordings
    uv = microvolts(ours.leads)
    for lead, row in zip(ours.leads, uv, strict=True):
        np.testing.assert_array_equal(np.rint(100 * theirs[lead.name.replace("AV", "aV")][: row.size]), np.rint(100 * row))
    assert {lead.sampling_rate for lead in record.leads} == {made.strip.fs}
    assert len(theirs) == len(ours.leads)
    assert (record.patient.patient_id, record.patient.age, record.patient.sex) == (ours.patient.id, ours.patient.age, "M")
    assert record.recording.date == ours.acquisition.recorded
    assert record.recording.device.model in ours.acquisition.device
    filters = record.recording.acquisition.filters
    if filters.lowpass:
        assert (filters.highpass, filters.lowpass) == (ours.acquisition.filters.highpass_hz, ours.acquisition.filters.lowpass_hz)


def test_a_made_philips_file_is_what_sierraecg_reads(tmp_path):
    """The calibration pulse apart, which it keeps."""
    from sierraecg import read_file

    made = FORMATS["philips"]
    path = tmp_path / "x.xml"
    path.write_bytes(made.write(made.strip))
    theirs = np.stack([lead.samples for lead in read_file(str(path)).leads])
    assert theirs.shape == (12, 5500)
    np.testing.assert_array_equal(theirs[:, :5000], made.strip.counts)
    assert (theirs[:, 5350:5450] == 200).all()


def test_a_made_cardiosoft_file_is_what_its_elements_say():
    """Read again by a few lines of another parser: what stands in StripData, not the median beats before it."""
    made = FORMATS["cardiosoft"]
    root = ET.fromstring(cardiosoft(made.strip).decode("latin-1").partition("?>")[2])  # noqa: S314 - our own text
    theirs = {one.attrib["lead"]: [5 * int(value) / 2 for value in one.text.split(",")] for one in root.iterfind("StripData/WaveformData")}
    (ours,) = readers.read("x", {"x": cardiosoft(made.strip)}).records
    assert list(theirs) == list(ours.leads)
    np.testing.assert_array_equal(np.array(list(theirs.values())), np.rint(ours.samples.astype(np.float64) * 1e4) / 10)
