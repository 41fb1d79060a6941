"""Files without identifiers: nothing of what names a person is left in them, and the same reader reads the same records."""

import gzip
import io
import struct
import warnings
from collections.abc import Callable

import numpy as np
import pytest

from benchmarks import written_files as written
from ecg_tasks import readers
from ecg_tasks.errors import BadInputError, Reason
from tests import hospital_files, planted_files
from tests.hospital_files import shorter

ONE = written.made(n_samples=3000)
FORMATS = dict(written.WRITERS) | {
    "npz": written.npz,
    "code15": lambda one: written.code15([one], exams=[7]),
    "bdf": lambda one: written.edf(one, bdf=True),
    "edf+": lambda one: written.edf(one, plus=True),
    "gzip": lambda one: {"r.csv.gz": gzip.compress(written.lead_csv(one)["r.csv"])},
}


def of_hospital(form):
    """Write a recording of six seconds in a format of hospitals."""
    return lambda _: {f"r{form.suffix}": form.write(hospital_files.strip(leads=form.strip.leads, step_nv=form.strip.step_nv, seconds=6))}


FORMATS |= {name: of_hospital(form) for name, form in hospital_files.FORMATS.items()}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_keeps_its_records(name):
    """Blanked, a file is read to the same records; blanked again, it is the same file."""
    files = FORMATS[name](ONE)
    name = f"ward/{next(iter(files))}"
    blanked = readers.deidentified(name, files)
    assert list(blanked) == list(files)
    before, after = (readers.read(name, these).records for these in (files, blanked))
    assert [(one.name, one.record_id, one.sex, one.age) for one in after] == [(one.name, one.record_id, one.sex, one.age) for one in before]
    assert readers.deidentified(name, blanked) == blanked


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (lambda files: {"other.npy": files["r.npy"]}, "other files"),
        (lambda files: files | {"r.npy": files["r.npy"][:-8]}, "could not be read"),
        (lambda files: files | {"r.npy": files["r.npy"][:-8] + bytes(8)}, "other records"),
        (lambda files: files["r.hea"], "KeyError"),
    ],
)
def test_a_copy_that_is_not_proven_is_refused(monkeypatch, fault, why):
    """With other files, one that cannot be read, another sample, or a reader that fails: nothing is given out."""
    files = written.npy(ONE)
    monkeypatch.setattr("ecg_tasks.readers.numpy_arrays.NumpyReader.deidentified", lambda _, files, name: fault(files))  # noqa: ARG005
    with pytest.raises(BadInputError, match=why) as caught:
        readers.deidentified("r.npy", files)
    assert caught.value.reason is Reason.UNREADABLE


def test_a_file_without_any_record_is_not_copied():
    """Its one row was rejected, and a row that is not read is not kept."""
    (data,) = written.heartbeat_csv(ONE).values()
    row = data.splitlines()[0].replace(b",", b"x,", 1) + b"\n"
    assert readers.read("x.csv", {"x.csv": row}).rejected
    with pytest.raises(BadInputError, match="none of its rows can be read"):
        readers.deidentified("x.csv", {"x.csv": row})


def test_what_cannot_be_read_is_refused_as_when_it_is_read():
    """With the reader's own reason."""
    with pytest.raises(BadInputError) as caught:
        readers.deidentified("photo.jpg", {"photo.jpg": b"\xff\xd8\xff"})
    assert caught.value.reason is Reason.UNKNOWN_FORMAT


@pytest.mark.parametrize("name", planted_files.PLANTED)
def test_nothing_that_is_planted_is_left(name):
    """Words in every field that may hold one, ids, names and dates of birth: a search finds them before, and none of them behind."""
    files = planted_files.planted(name)
    assert len(planted_files.words_in(files)) >= 2
    file = f"ward/{next(iter(files))}"
    blanked = readers.deidentified(file, files)
    assert planted_files.words_in(blanked) == set()
    assert planted_files.words_in(blanked, planted_files.OF_THE_PERSON) == set()
    assert readers.deidentified(file, blanked) == blanked


@pytest.mark.parametrize("name", planted_files.DEVICES)
def test_no_number_that_is_planted_is_left(name):
    """A patient's number in every field of XML that is not read, also where a number should be."""
    files = planted_files.xml(name, kept=planted_files.DEVICES[name], word=planted_files.number)
    assert planted_files.words_in(files, planted_files.OF_THE_PERSON) >= {b"47110815"}
    (blanked,) = readers.deidentified("x.xml", files).values()
    assert b"47110815" not in blanked


def test_every_reader_has_a_planted_file():
    """By name: a new reader needs one."""
    firsts = [next(iter(planted_files.planted(name).items())) for name in planted_files.PLANTED]
    assert {readers.reader_of(file, data[: readers.HEAD_BYTES]).name for file, data in firsts} == {one.name for one in readers.READERS}


def changed(name: str, *changes: tuple[bytes, bytes]) -> Callable[[], dict[str, bytes]]:
    """Write a short file of a hospital's format with these changes."""

    def write() -> dict[str, bytes]:
        data, encoding = shorter(name), "utf-16-le"
        for old, new in changes:
            old, new = (text.decode().encode(encoding) if name == "philips" else text for text in (old, new))  # noqa: PLW2901
            assert old in data
            data = data.replace(old, new, 1)
        return {"x": data}

    return write


def scp_of(*tags: tuple[int, bytes]) -> Callable[[], dict[str, bytes]]:
    """Write SCP-ECG with these tags."""
    how = hospital_files.Scp(interval_us=10_000, tags=tags)
    return lambda: {"x": hospital_files.scp(hospital_files.strip(seconds=6, fs=100), how)}


def ishne_of(year: int) -> Callable[[], dict[str, bytes]]:
    """Write ISHNE without a checksum, with this year of birth."""

    def write() -> dict[str, bytes]:
        data = bytearray(shorter("ishne"))
        data[8:10], data[136:138] = bytes(2), struct.pack("<h", year)
        return {"x": bytes(data)}

    return write


_STATED = (b"<PatientAge>49</PatientAge><AgeUnits>YEARS</AgeUnits>", b"")
OLD = {
    "muse": changed("muse", (b"<PatientAge>49", b"<PatientAge>99")),
    "muse by birth": changed("muse", _STATED, (b"05-08-1953", b"05-08-1903")),
    "aecg": changed("aecg", (b"19530508", b"19030508")),
    "aecg as stated": changed("aecg", (b"<name>Erika", b"<Age>99 years</Age><name>Erika")),
    "cardiosoft": changed("cardiosoft", (b">49</Age>", b">99</Age>")),
    "philips": changed("philips", (b"1953-05-08", b"1903-05-08")),
    "scp": scp_of((4, struct.pack("<HB", 99, 1))),
    "ishne": ishne_of(1903),
    "edf": lambda: {"x": written.edf(ONE)["r.edf"].replace(b"02-JUN-1950", b"02-JUN-1920")},
    "dicom": lambda: {"x": written.dicom(ONE, PatientBirthDate="19200602")["r.dcm"]},
    "wfdb": lambda: (files := written.wfdb(ONE)) | {"r.hea": files["r.hea"] + b"# age: 97\n# sex: female\n"},
}
INFANTS = {
    "muse": changed("muse", (b"49</PatientAge><AgeUnits>YEARS", b"7</PatientAge><AgeUnits>MONTHS")),
    "muse by birth": changed("muse", _STATED, (b"05-08-1953", b"05-08-2002")),
    "aecg": changed("aecg", (b"19530508", b"20020508")),
    "cardiosoft": changed("cardiosoft", (b'units="years">49</Age>', b'units="weeks">30</Age>')),
    "philips": changed("philips", (b"1953-05-08", b"2002-05-08")),
    "scp": scp_of((4, struct.pack("<HB", 20, 3))),
    "ishne": ishne_of(2002),
    "dicom": lambda: {"x": written.dicom(ONE, PatientAge="018W")["r.dcm"]},
    "wfdb": lambda: (files := written.wfdb(ONE)) | {"r.hea": files["r.hea"] + b"# age: 0.5\n"},
}


def of(files: dict[str, bytes]) -> tuple[readers.Recording, dict[str, bytes], readers.Recording]:
    """The recording of files, their copy without identifiers, and its recording."""
    name = next(iter(files))
    reader = readers.reader_of(name, files[name][: readers.HEAD_BYTES])
    blanked = readers.deidentified(name, files)
    (before,), (after,) = (reader.read(one, name).recordings for one in (files, blanked))
    return before, blanked, after


@pytest.mark.parametrize("name", OLD)
def test_an_age_above_89_becomes_90(name):
    """In each format that tells one, stated or by the date of birth; the sex and the year stay."""
    before, _, after = of(OLD[name]())
    assert before.patient.age > 90
    assert (after.patient.age, after.patient.sex) == (90.0, before.patient.sex)
    assert after.patient.sex
    assert after.patient.id is None
    if before.acquisition.recorded is not None:
        assert (after.acquisition.recorded.year, after.acquisition.recorded.month) == (before.acquisition.recorded.year, 1)


@pytest.mark.parametrize("name", INFANTS)
def test_an_infant_keeps_its_age(name):
    """To the day, without the day of birth."""
    before, _, after = of(INFANTS[name]())
    assert 0 < before.patient.age < 1
    assert after.patient.age == pytest.approx(before.patient.age, abs=1 / 365)


def test_device_and_filters_stay():
    """In the formats of hospitals, as readers give them; the day becomes 1 January."""
    for name, form in hospital_files.FORMATS.items():
        before, _, after = of({"x": shorter(name)})
        assert after.acquisition.device == form.device
        assert after.acquisition.filters == before.acquisition.filters
        assert after.acquisition.recorded.isoformat() == "2002-01-01T00:00:00"


def test_comments_keep_a_known_label_and_codes():
    """PTB's reason for admission gives the same label, without what stands in brackets; SNOMED CT codes stay; all else goes."""
    comments = b"# 69 M 1085 1629 x1\n# Reason for admission: Heart failure (NYHA 3, seen by E. M.)\n#Dx: 426783006,164889003\n# <Mr M.>\n"
    files = written.wfdb(ONE)
    before, blanked, after = of(files | {"r.hea": files["r.hea"] + comments})
    assert (after.label, after.patient) == (before.label, before.patient)
    told = [line for line in blanked["r.hea"].decode().splitlines() if line.startswith("#")]
    assert told == ["# age: 69", "# sex: male", "# Reason for admission: heart failure", "#Dx: 426783006,164889003"]
    assert blanked["r.dat"] == files["r.dat"]


@pytest.mark.parametrize("names", [("II_", "II (2)", "V5"), ("DII", "lead V1", "V1 (b)"), ("DII", "V1 (Erika)", "lead V1")])
def test_of_two_signals_for_one_lead_the_second_keeps_its_name(names):
    """It is a part of the record's id; the first loses its remark."""
    header = "r 3 500 3000\n" + "".join(f"r.dat 16 1000/mV 16 0 0 0 0 {name}\n" for name in names)
    blanked = readers.deidentified("r.hea", {"r.hea": header.encode(), "r.dat": ONE.stored[:, :3].astype("<i2").tobytes()})
    assert b"Erika" not in blanked["r.hea"]


def test_a_turned_lead_keeps_its_place():
    """The order of leads depends on how lead II is called where -aVR is stored, and without its remark it would be called otherwise."""
    header = "r 3 500 3000\n" + "".join(f"r.dat 16 1000/mV 16 0 0 0 0 {name}\n" for name in ("V3R", "-aVR", "II (bed of Erika)"))
    files = {"r.hea": header.encode(), "r.dat": ONE.stored[:, :3].astype("<i2").tobytes()}
    blanked = readers.deidentified("r.hea", files)
    assert readers.read("r.hea", blanked).records[0].leads == readers.read("r.hea", files).records[0].leads == ("II", "-aVR", "V3R")
    assert b"Erika" not in blanked["r.hea"]


def test_a_file_that_no_header_names_is_not_copied():
    """It could hold anything."""
    with pytest.raises(BadInputError, match=r"a file in its folder belongs to none of its headers"):
        readers.deidentified("r.hea", written.wfdb(ONE) | {"notes.txt": b"Erika Mustermann"})


@pytest.mark.parametrize("name", [name for name in hospital_files.FORMATS if name != "cardiosoft"])
def test_ecgdatakit_reads_the_same_samples(name, tmp_path):
    """MUSE, aECG, Philips, SCP-ECG and ISHNE: the copy is still a file of its format."""
    from ecgdatakit.parsing import FileParser

    before, blanked, _ = of({f"x{hospital_files.FORMATS[name].suffix}": shorter(name)})
    path = tmp_path / next(iter(blanked))
    path.write_bytes(blanked[path.name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = {lead.label.upper(): 1000 * lead.samples for lead in FileParser().parse(path).leads}
    scale = {"uV": 1, "mV": 1000}
    for lead in before.leads:
        expected = lead.samples * scale[lead.units]
        np.testing.assert_allclose(theirs[lead.name.upper()][: expected.size], expected, atol=0.01)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
def test_pydicom_reads_the_same_waveform(syntax):
    """In every order of bytes; its identifiers are new, and the same for the same samples."""
    import pydicom

    files = written.dicom(ONE) if syntax.endswith("1.2.1") else {"r.dcm": pydicom_in(syntax)}
    blanked = of(files)[1]
    before, after = (pydicom.dcmread(io.BytesIO(one["r.dcm"])) for one in (files, blanked))
    np.testing.assert_array_equal(after.waveform_array(0), before.waveform_array(1))
    assert after.PatientIdentityRemoved == "YES"
    assert {after.SOPInstanceUID, after.StudyInstanceUID, after.SeriesInstanceUID}.isdisjoint({before.SOPInstanceUID})
    assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID


def test_new_identifiers_in_dicom_tell_nothing_but_whether_samples_are_the_same():
    """They are made of the samples, not of the old identifiers: a list of these leads to no copy."""
    import pydicom

    def uid(one, person):
        (data,) = of(written.dicom(one, PatientID=person))[1].values()
        return pydicom.dcmread(io.BytesIO(data)).SOPInstanceUID

    assert uid(ONE, "P") == uid(ONE, "Q") != uid(written.made(1, n_samples=3000), "P")


def pydicom_in(syntax: str) -> bytes:
    """Write the DICOM file in another transfer syntax."""
    import pydicom

    dataset = pydicom.dcmread(io.BytesIO(written.dicom(ONE)["r.dcm"]))
    stream = io.BytesIO()
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax.endswith("1.2.2"):
        for group in dataset.WaveformSequence:
            group.WaveformData = np.frombuffer(group.WaveformData, "<i2").astype(">i2").tobytes()
    pydicom.dcmwrite(
        stream, dataset, implicit_vr=syntax.endswith("1.2"), little_endian=not syntax.endswith("1.2.2"), enforce_file_format=True
    )
    return stream.getvalue()


@pytest.mark.parametrize("plus", [False, True])
def test_pyedflib_reads_the_same_signals(plus, tmp_path):
    """With the annotations' times, and an X for each text."""
    import pyedflib

    files = written.edf(ONE, plus=plus)
    blanked = of(files)[1]
    found = []
    for number, one in enumerate((files, blanked)):
        path = tmp_path / f"{number}.edf"
        path.write_bytes(one["r.edf"])
        with pyedflib.EdfReader(str(path)) as file:
            found.append(([file.readSignal(row).tolist() for row in range(file.signals_in_file)], file.readAnnotations(), file.getHeader()))
    assert found[1][0] == found[0][0]
    assert found[1][1][0].tolist() == found[0][1][0].tolist()
    assert found[1][1][2].tolist() == ["X"] * len(found[0][1][2])
    assert b"Nobody" in files["r.edf"]
    assert b"Nobody" not in blanked["r.edf"]


def test_wfdb_reads_the_same_record(tmp_path):
    """Its samples in mV and its names."""
    import wfdb

    files = written.wfdb(ONE)
    found = []
    for folder, one in (("before", files), ("after", of(files)[1])):
        (tmp_path / folder).mkdir()
        for name, data in one.items():
            (tmp_path / folder / name).write_bytes(data)
        found.append(wfdb.rdrecord(str(tmp_path / folder / "r")))
    np.testing.assert_array_equal(found[0].p_signal, found[1].p_signal)
    assert (found[0].sig_name, found[0].fs) == (found[1].sig_name, found[1].fs)


def test_libraries_read_the_same_arrays_and_tables():
    """NumPy, SciPy, h5py, pyarrow and pandas."""
    import h5py
    import pandas as pd
    import pyarrow.parquet as pq
    import scipy.io

    def copy(write):
        return io.BytesIO(next(iter(of(write(ONE))[1].values())))

    np.testing.assert_array_equal(np.load(copy(written.npy)), ONE.millivolts)
    np.testing.assert_array_equal(np.load(copy(written.npz))["signals"], ONE.millivolts)
    np.testing.assert_array_equal(scipy.io.loadmat(copy(written.mat))["signals"], ONE.millivolts)
    with h5py.File(copy(written.hdf5)) as file:
        np.testing.assert_array_equal(file["signals"], ONE.millivolts.T)
        assert dict(file["signals"].attrs)["fs"] == ONE.fs
    table = pd.read_csv(copy(written.lead_csv))
    np.testing.assert_array_equal(table.to_numpy()[:, 1:], ONE.stored)
    parquet = pq.read_table(copy(written.lead_parquet))
    np.testing.assert_array_equal(parquet.to_pandas().to_numpy()[:, 1:], ONE.stored)
    assert parquet.column_names == [*table.columns] == ["time_s", *(f"{lead} (uV)" for lead in ONE.leads)]
