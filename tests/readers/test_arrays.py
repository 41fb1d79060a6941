"""Arrays in NumPy's, MATLAB's and HDF5's files: shapes, bombs, links and pickles; and EDF's header."""

import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from datetime import date

import edfio
import h5py
import numpy as np
import pyedflib
import pytest
import scipy.io

from benchmarks import written_files as written
from ecg_tasks import readers
from ecg_tasks.errors import Reason
from ecg_tasks.readers import arrays, hdf5_heaps
from tests.readers.test_binary_formats import AS_WFDB, ONE, recording_of, refused


def saved(array, **beside):
    """An NPY and its sidecar."""
    stream = io.BytesIO()
    np.save(stream, array)
    return {"r.npy": stream.getvalue(), "signals.json": written.sidecar(ONE, **beside)}


def in_hdf5(write):
    """An HDF5 file that a function fills, and the sidecar."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        write(file)
    return {"r.h5": stream.getvalue(), "signals.json": written.sidecar(ONE)}


@pytest.mark.parametrize(
    "array",
    [
        ONE.millivolts,
        ONE.millivolts.T,
        np.asfortranarray(ONE.millivolts),
        ONE.millivolts.astype(">f8"),
        ONE.millivolts.astype(np.float32),
    ],
)
def test_either_orientation_and_every_order_of_bytes(array):
    """The axis that is as long as there are leads is theirs."""
    assert readers.read("r.npy", saved(array)).records[0].record_id == AS_WFDB


def test_several_recordings_of_one_array():
    """Three axes: each recording has a number, from 1."""
    read = readers.read("w/r.npy", saved(np.stack([ONE.millivolts, written.made(1).millivolts])))
    assert [record.name for record in read.records] == ["w/r.npy#1", "w/r.npy#2"]
    assert read.records[0].record_id == AS_WFDB


def test_a_square_array_needs_its_axis():
    """Twelve samples of twelve leads: nothing tells which axis is which."""
    square = np.ones((12, 12))
    error = refused(saved(square))
    assert error.reason is Reason.UNIT_UNKNOWN
    assert error.message.endswith('{"axis": 0}')
    assert recording_of(saved(np.arange(144.0).reshape(12, 12), axis=1)).leads[1].samples[0] == 12


def test_twelve_rows_of_187_values_are_no_heartbeats():
    """As an array they are twelve leads of 187 samples, and only with a sidecar."""
    rows = np.abs(ONE.millivolts.T[:, :187])
    assert refused({"r.npy": saved(rows)["r.npy"]}).reason is Reason.UNIT_UNKNOWN
    assert refused(saved(rows)).reason is Reason.TOO_SHORT


def test_nothing_is_unpickled(tmp_path):
    """Python objects are refused, and what they would do is not done."""

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "done"),)

    stream = io.BytesIO()
    np.save(stream, np.array([Evil()], dtype=object), allow_pickle=True)
    assert refused({"r.npy": stream.getvalue()}).reason is Reason.NOT_NUMERIC
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("signal.npy", stream.getvalue())
    assert refused({"r.npz": archive.getvalue()}).reason is Reason.NOT_NUMERIC
    assert refused({"r.pkl": pickle.dumps(Evil())}).reason is Reason.UNKNOWN_FORMAT
    assert not (tmp_path / "done").exists()


def test_bombs_are_refused_by_what_they_say_before_they_are_unpacked():
    """A small file never takes much memory: NPZ, MATLAB and HDF5 that unpack to hundreds of megabytes."""

    def header(shape):
        stream = io.BytesIO()
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": shape})
        return stream.getvalue()

    for shape, reason in (((5000, 12), Reason.UNREADABLE), ((2**40, 12), Reason.TOO_LARGE), ((10**6, 12), Reason.INCOMPLETE)):
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("signal.npy", header(shape) + bytes(50_000_000))
        assert len(archive.getvalue()) < 100_000
        assert refused({"r.npz": archive.getvalue(), "signals.json": written.sidecar(ONE)}).reason is reason
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(10**6)) for _ in range(300)) + packer.flush()
    matlab = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + struct.pack("<II", 15, len(packed)) + packed
    assert refused({"r.mat": matlab}).reason is Reason.TOO_LARGE
    many = in_hdf5(lambda file: file.create_dataset("ecg", (12, 10**9), chunks=(12, 1000), dtype="f4"))
    assert refused(many).reason is Reason.TOO_LARGE
    empty = in_hdf5(lambda file: file.create_dataset("ecg", (12, 5000), chunks=(12, 500), dtype="f4"))
    assert refused(empty).reason is Reason.INCOMPLETE  # HDF5 itself would give zeros


def test_a_chunk_that_unpacks_to_more_than_it_should_is_refused():
    """Written by hand into a file of HDF5: half a gigabyte where 0.5 MB are promised."""

    def write(file):
        dataset = file.create_dataset("ecg", (12, 5000), chunks=(12, 5000), dtype="f8", compression="gzip")
        packer = zlib.compressobj(9)
        dataset.id.write_direct_chunk((0, 0), b"".join(packer.compress(bytes(10**6)) for _ in range(500)) + packer.flush())

    assert "unpacks to more than the 480,000 bytes" in refused(in_hdf5(write)).message


@pytest.mark.timeout(120)
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_a_heap_without_an_end_is_refused(libver):
    """HDF5 itself goes round for ever at a free place of no length, when it reads a text of any length."""
    stream = io.BytesIO()
    with h5py.File(stream, "w", libver=libver) as file:
        file["ecg"] = ONE.millivolts
        file["ecg"].attrs["unit"] = "mV"
    whole = stream.getvalue()
    files = {"r.h5": whole, "signals.json": written.sidecar(ONE)}
    assert recording_of(files).leads[0].samples.size == len(ONE.millivolts)
    heap = whole.index(b"GCOL")
    length = struct.pack("<Q", 4096 - 16 - 24)
    free = whole.index(length, heap)
    for place, told in ((free, 0), (heap + 16 + 8, 2**64 - 16), (heap + 16 + 8, 4096)):
        error = refused(files | {"r.h5": whole[:place] + struct.pack("<Q", told) + whole[place + 8 :]})
        assert (error.reason, "a heap that never ends" in error.message) == (Reason.UNREADABLE, True)


def test_lists_of_any_length_describe_nothing():
    """One that is damaged ends the process: neither an attribute nor an array of them is looked into."""
    lists = np.empty(2, dtype=object)
    lists[:] = [np.arange(3), np.arange(2)]

    def write(file):
        file["ecg"] = ONE.millivolts
        file["ecg"].attrs.create("leads", lists, dtype=h5py.vlen_dtype(np.int64))

    assert recording_of(in_hdf5(write)).leads[0].samples.size == len(ONE.millivolts)

    def write_beside(file):
        file["ecg"] = ONE.millivolts
        file.create_dataset("leads", data=lists, dtype=h5py.vlen_dtype(np.int64))

    assert refused(in_hdf5(write_beside)).reason is Reason.NOT_NUMERIC


def test_texts_without_number_are_refused(monkeypatch):
    """Going through them takes time; so many belong to no recording."""
    monkeypatch.setattr(hdf5_heaps, "_MAX_PLACES", 100)

    def write(file):
        file["ecg"] = ONE.millivolts
        file["notes"] = [f"note {number}" for number in range(100)]

    error = refused(in_hdf5(write))
    assert (error.reason, "more than 100 texts" in error.message) == (Reason.TOO_LARGE, True)


def test_links_out_of_the_file_and_foreign_filters_are_not_followed(tmp_path):
    """External links, soft links, external storage and virtual arrays; and a filter that would be loaded from a disk."""
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["ecg"] = ONE.millivolts
    layout = h5py.VirtualLayout(shape=(5000, 12), dtype="f8")
    layout[:] = h5py.VirtualSource(str(secret), "ecg", shape=(5000, 12))

    def foreign(file):
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((12, 5000))
        plist.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, ())  # zstd
        space = h5py.h5s.create_simple((12, 5000))
        h5py.h5d.create(file.id, b"ecg", h5py.h5t.IEEE_F64LE, space, plist)

    raw = tmp_path / "raw"
    raw.write_bytes(ONE.millivolts.tobytes())
    for write, reason in (
        (lambda file: file.__setitem__("ecg", h5py.ExternalLink(str(secret), "/ecg")), Reason.UNSAFE_PATH),
        (lambda file: file.__setitem__("ecg", h5py.SoftLink("/elsewhere")), Reason.UNSAFE_PATH),
        (lambda file: file.create_virtual_dataset("ecg", layout), Reason.UNSAFE_PATH),
        (lambda file: file.create_dataset("ecg", (5000, 12), dtype="f8", external=[(str(raw), 0, 480_000)]), Reason.UNSAFE_PATH),
        (foreign, Reason.UNREADABLE),
    ):
        assert refused(in_hdf5(write)).reason is reason


def test_code15_gives_a_recording_an_exam():
    """Seven and ten seconds, without the zeros on both sides, under the exams' numbers; nothing but zeros is rejected by itself."""
    long, short = written.made(n_samples=4000), written.made(1, n_samples=2800)
    empty = written.Made(stored=np.zeros((0, 12), np.int16))
    read = readers.read("w/exams.hdf5", written.code15([long, short, empty], exams=[7, 1234567, 9]))
    assert [(record.name, record.n_samples, record.fs) for record in read.records] == [
        ("w/exams.hdf5#7", 4000, 400.0),
        ("w/exams.hdf5#1234567", 2800, 400.0),
    ]
    assert [(one.name, one.reason) for one in read.rejected] == [("w/exams.hdf5#9", Reason.FLAT)]
    assert read.records[0].leads == ONE.leads
    assert np.array_equal(read.records[0].samples, long.millivolts.T.astype(np.float32))
    assert refused(written.code15([long, short], exams=[7, 7])).reason is Reason.UNREADABLE


def test_a_recording_that_begins_with_a_zero_keeps_it():
    """Only as many zeros are taken away as were put there."""
    one = written.made(n_samples=4000)
    stored = one.stored.copy()
    stored[:30] = stored[-5:] = 0
    read = readers.read("exams.hdf5", written.code15([written.Made(stored=stored)], exams=[1]))
    assert read.records[0].n_samples == 4000


def test_no_more_recordings_than_can_be_held(monkeypatch):
    """By their number, before any is read."""
    monkeypatch.setattr(arrays, "MAX_RECORDINGS", 1)
    error = refused(written.code15([written.made(n_samples=4000)] * 2, exams=[1, 2]))
    assert (error.reason, "1 recordings" in error.message) == (Reason.TOO_LARGE, True)


def scaled(kind, array, *, unit="uV", **scale):
    """An array that says its rate and leads, perhaps its unit, and what a step of it is."""
    leads = np.array(ONE.leads, dtype="S3" if kind.endswith("h5") else None)
    said = {"fs": 500.0, "leads": leads} | ({"unit": unit} if unit else {}) | scale
    stream = io.BytesIO()
    if kind == "npz":
        np.savez(stream, signal=array, **said)
    elif kind == "mat":
        scipy.io.savemat(stream, {"ecg": array} | said)
    else:
        with h5py.File(stream, "w") as file:
            file["ecg"] = array
            (file if kind == "root.h5" else file["ecg"]).attrs.update(said)
    return {f"r.{kind}": stream.getvalue()}


@pytest.mark.parametrize("kind", ["npz", "mat", "h5", "root.h5"])
@pytest.mark.parametrize("scale", [{"gain": 4.88}, {"scale_factor": np.full(12, 4.88)}, {"Baseline": np.arange(12)}])
def test_whole_numbers_beside_a_scale_are_not_read_as_their_unit(kind, scale):
    """Nobody knows whether a step is 1 µV or 4.88 µV: it was read as 1 µV, a fifth of what the heart gave."""
    whole = np.rint(ONE.millivolts * 1000).astype(np.int16)
    error = refused(scaled(kind, whole, **scale))
    assert error.reason is Reason.UNIT_UNKNOWN
    assert f"its {next(iter(scale)).lower()!r} says that a step is another" in error.message
    sidecar = {"signals.json": b'{"unit": "4.88 uV"}'}
    assert recording_of(scaled(kind, whole, unit="", **scale) | sidecar).leads[0].samples[0] == whole[0, 0] * 4.88
    for read in (scaled(kind, ONE.millivolts, unit="mV", **scale), scaled(kind, whole, gain=1.0, baseline=0)):
        assert recording_of(read).leads[0].samples.size == len(whole)


@pytest.mark.parametrize(("compressed", "level"), [(False, "5"), (True, "5"), (False, "4")])
def test_matlab_levels(compressed, level):
    """Level 5, compressed or not, and level 4; cells and structs beside the signals are passed over."""
    stream = io.BytesIO()
    content = {"ecg": ONE.millivolts, "fs": 500.0} | ({"other": np.array([1, "a"], dtype=object)} if level == "5" else {})
    scipy.io.savemat(stream, content, do_compression=compressed, format=level)
    files = {"r.mat": stream.getvalue(), "signals.json": json.dumps({"unit": "mV", "leads": ONE.leads}).encode()}
    assert readers.read("r.mat", files).records[0].record_id == AS_WFDB
    for end in (150, 2000, len(files["r.mat"]) - 1 - 600 * (level == "4")):
        assert refused(files | {"r.mat": files["r.mat"][:end]}).reason in {Reason.INCOMPLETE, Reason.UNREADABLE}


def test_matlab_7_3_is_told():
    """It is HDF5 inside, and its axes are turned: nothing of it is guessed."""
    assert "save(…, '-v7')" in refused({"r.mat": b"MATLAB 7.3 MAT-file".ljust(600)}).message


def with_edf(at, text, files=None):
    """An EDF file with other text in its header."""
    data = (files or written.edf(ONE))["r.edf"]
    return {"r.edf": data[:at] + text.encode("latin-1") + data[at + len(text.encode("latin-1")) :]}


@pytest.mark.parametrize(
    ("files", "reason", "words"),
    [
        ({"r.edf": written.edf(ONE)["r.edf"][:-1]}, Reason.INCOMPLETE, "9 data records are there; its header says 10"),
        ({"r.edf": written.edf(ONE)["r.edf"] + b"\0"}, Reason.UNREADABLE, "1 bytes follow the 10 data records"),
        (with_edf(236, "-1 "), Reason.INCOMPLETE, "does not say how many data records it has"),
        (with_edf(192, "EDF+D"), Reason.UNREADABLE, "there are gaps between its parts"),
        (with_edf(236, "Nobody"), Reason.UNREADABLE, "gives something that is not a number as the number of data records"),
        (with_edf(184, "9999    "), Reason.UNREADABLE, "the header has 9,999 bytes for 12 signals"),
        (with_edf(244, "0       "), Reason.UNREADABLE, "its data records last 0 s"),
        (with_edf(256 + 96 * 12 + 8, "        "), Reason.UNIT_UNKNOWN, "lead II is in ''"),
        (with_edf(256 + 96 * 12 + 8, "mmHg    "), Reason.UNIT_UNKNOWN, "'mmHg'"),
        (with_edf(256 + 104 * 12 + 8, "32767   "), Reason.UNIT_UNKNOWN, "'uncalibrated'"),
    ],
)
def test_faults_of_edf(files, reason, words):
    """Each with its code; both counts where there are fewer data records than promised."""
    error = refused(files)
    assert error.reason is reason
    assert words in error.message


def test_edf_without_an_ecg_is_told_so():
    """A file of EEG alone."""
    files = written.edf(ONE)
    data = files["r.edf"]
    for number in range(12):
        data = with_edf(256 + 16 * number, f"EEG C{number}".ljust(16), {"r.edf": data})["r.edf"]
    error = refused({"r.edf": data})
    assert error.reason is Reason.MISSING_LEAD
    assert "has no ECG: its signals are EEG C0, EEG C1" in error.message


@pytest.mark.parametrize("micro", ["\N{MICRO SIGN}V", "uV", "UV"])
def test_units_of_edf(micro):
    """The micro sign in Latin-1, as many devices write it."""
    data = written.edf(ONE)["r.edf"]
    for number in range(12):
        data = with_edf(256 + 96 * 12 + 8 * number, micro.ljust(8), {"r.edf": data})["r.edf"]
    assert readers.read("r.edf", {"r.edf": data}).records[0].record_id == AS_WFDB


@pytest.mark.parametrize(
    ("patient", "recorded", "expected"),
    [
        ("X X X X", "Startdate X X X X", (None, None, None, None)),
        ("P7 M 02-JUN-1950 Nobody", "Startdate X X X X", ("P7", "male", None, None)),
        ("Nobody Somebody", "a word", (None, None, None, "2020-06-01")),
        ("9999 F X Nobody", "Startdate 01-JUN-2020 X X X", (None, "female", None, "2020-06-01")),
        ("P7 F 31-FEB-1950 Nobody", "Startdate 31-FEB-2020 X X X", (None, None, None, "2020-06-01")),
    ],
)
def test_the_person_in_edf(patient, recorded, expected):
    """The fields of EDF+, and nothing of any other text; a date that was taken out is not known."""
    found = recording_of(with_edf(88, recorded.ljust(80), with_edf(8, patient.ljust(80))))
    moment = found.acquisition.recorded
    assert (found.patient.id, found.patient.sex, found.patient.age, moment and moment.date().isoformat()) == expected


def test_an_edf_without_a_time_keeps_its_day():
    """No midnight is made up."""
    assert recording_of(with_edf(176, " " * 8)).acquisition.recorded == date(2020, 6, 1)


@pytest.mark.parametrize("bdf", [False, True])
def test_edf_beside_pyedflib(tmp_path, bdf):
    """Every sample in the file's own unit, as pyedflib reads it, written with a range that is not whole."""
    rng = np.random.default_rng(3)
    signal, file = (edfio.BdfSignal, edfio.Bdf) if bdf else (edfio.EdfSignal, edfio.Edf)
    most = 2**23 - 1 if bdf else 2**15 - 1
    digital = rng.integers(-most, most, 2000).astype(np.int32 if bdf else np.int16)
    one = signal.from_digital(
        digital, 200, label="II", physical_dimension="mV", digital_range=(-most, most), physical_range=(-5.123, 4.321)
    )
    stream = io.BytesIO()
    file([one]).write(stream)
    path = tmp_path / "x.edf"
    path.write_bytes(stream.getvalue())
    with pyedflib.EdfReader(str(path)) as theirs:
        expected = theirs.readSignal(0)
    assert np.allclose(recording_of({"x": stream.getvalue()}).leads[0].samples, expected, rtol=0, atol=1e-12)
