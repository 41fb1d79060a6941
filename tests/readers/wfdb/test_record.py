"""WFDB records, held against wfdb's own reader and against samples that are known."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_tasks import readers
from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.labels import Label
from ecg_tasks.readers import Read
from ecg_tasks.readers.wfdb import record
from ecg_tasks.readers.wfdb.record import WfdbReader
from ecg_tasks.signals.recipes import RECIPES
from ecg_tasks.signals.record import STANDARD_LEADS
from tests.readings import load_wfdb, read_wfdb, wfdb_files

REAL = Path(__file__).parents[3] / "../shared/data"
needs_real_data = pytest.mark.skipif(not REAL.is_dir(), reason="real recordings are not beside the checkout (shared/data)")
wfdb = load_wfdb()

FS = 100
N_FRAMES = 1200
LARGEST = {"16": 2**15, "24": 2**23, "32": 2**31, "61": 2**15, "80": 2**7, "160": 2**15, "212": 2**11, "310": 2**9, "311": 2**9}


def stored_samples(fmt, n_signals=3, seed=0):
    """Samples over the whole range of a format, but for the value that means invalid: shape (1200, n_signals)."""
    return np.random.default_rng(seed).integers(1 - LARGEST[fmt], LARGEST[fmt], size=(N_FRAMES, n_signals), dtype=np.int64)


def pack(samples, fmt):
    """Samples as the bytes of a WFDB signal file, from the words of the specification (signal(5)), not from wfdb's code."""
    flat = samples.reshape(-1)
    if fmt in {"16", "32", "61"}:
        return flat.astype({"16": "<i2", "32": "<i4", "61": ">i2"}[fmt]).tobytes()
    if fmt in {"80", "160"}:
        return (flat + LARGEST[fmt]).astype({"80": "<u1", "160": "<u2"}[fmt]).tobytes()
    if fmt == "24":
        return flat.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    if fmt == "212":
        pairs = (flat & 0xFFF).reshape(-1, 2)
        words = pairs[:, 0] & 0xFF, (pairs[:, 0] >> 8) | (pairs[:, 1] >> 8 << 4), pairs[:, 1] & 0xFF
        return np.stack(words, axis=1).astype(np.uint8).tobytes()
    triplets = (flat & 0x3FF).reshape(-1, 3)
    if fmt == "310":
        first = triplets[:, 0] << 1 | (triplets[:, 2] & 0x1F) << 11
        second = triplets[:, 1] << 1 | triplets[:, 2] >> 5 << 11
        return np.stack([first, second], axis=1).astype("<u2").tobytes()
    return (triplets[:, 0] | triplets[:, 1] << 10 | triplets[:, 2] << 20).astype("<u4").tobytes()


def signal_line(samples, name, *, fmt="16", gain="1000", file_name="r.dat"):
    """One line of a header, with the checksum of the specification: the sum of the samples modulo 65,536."""
    return f"{file_name} {fmt} {gain} 12 0 0 {int(samples.sum()) % 65536} 0 {name}"


def header_of(*lines, n_frames=N_FRAMES, comments=""):
    """A header of these signal lines."""
    return "\n".join([f"r {len(lines)} {FS} {n_frames}", *lines, comments]).encode()


def a_record(samples=None, *, names=("I", "II", "V1"), fmt="16", gain="1000", comments=""):
    """The files of a record of one signal file, and its samples: shape (1200, 3)."""
    samples = stored_samples("16", len(names)) if samples is None else samples
    lines = [signal_line(row, name, fmt=fmt, gain=gain) for row, name in zip(samples.T, names, strict=True)]
    return {"r.hea": header_of(*lines, comments=comments), "r.dat": pack(samples, fmt)}, samples


def read(files, name="r"):
    """The one record of these files."""
    (record,) = read_wfdb(files, header="r.hea", name=name).records
    return record


def by_wfdb(folder, files):
    """The same files read by wfdb itself: shape (n_leads, n_samples)."""
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return wfdb.rdrecord(str(folder / "r")).p_signal.T.astype(np.float32)


@pytest.mark.parametrize("fmt", list(LARGEST))
def test_every_format_equals_the_samples_and_wfdb(fmt, tmp_path):
    """Each format gives back the samples that were packed, and what wfdb's own reader gives."""
    gain = LARGEST[fmt] / 40
    files, samples = a_record(stored_samples(fmt), fmt=fmt, gain=f"{gain!r}(5)/mV")
    record = read(files)
    assert (record.leads, record.fs, record.unit) == (("I", "II", "V1"), 100.0, "mV")
    np.testing.assert_array_equal(record.samples, ((samples.T - 5) / gain).astype(np.float32))
    np.testing.assert_array_equal(record.samples, by_wfdb(tmp_path, files))


@pytest.mark.parametrize("more", [1, 2])
@pytest.mark.parametrize("fmt", ["212", "310", "311"])
def test_the_last_block_of_a_file_may_be_cut_short(fmt, more, tmp_path):
    """Samples that fill no whole block are read from as many bytes as hold them, as wfdb reads them; of fewer the file is incomplete."""
    samples = stored_samples(fmt, 1)[: 600 + more]
    whole = np.vstack([samples, np.zeros((-len(samples) % 6, 1), dtype=np.int64)])
    gain = LARGEST[fmt] / 40
    n_bytes = {"212": 900 + 2 * more - more // 2, "310": 800 + 2 * more, "311": 800 + 1 + more}[fmt]
    head = f"r 1 {FS} {len(samples)}\n{signal_line(samples, 'ii', fmt=fmt, gain=f'{gain!r}/mV')}\n".encode()
    files = {"r.hea": head, "r.dat": pack(whole, fmt)[:n_bytes]}
    record = read(files)
    np.testing.assert_array_equal(record.samples, (samples.T / gain).astype(np.float32))
    np.testing.assert_array_equal(record.samples, by_wfdb(tmp_path, files))
    with pytest.raises(BadInputError) as caught:
        read(files | {"r.dat": files["r.dat"][:-1]})
    assert caught.value.reason is Reason.INCOMPLETE


@pytest.mark.parametrize("fmt", ["16", "24", "32", "80", "212"])
def test_files_written_by_wfdb(fmt, tmp_path):
    """What wfdb.wrsamp writes reads back, its checksums included, with the leads under their standard names."""
    samples = stored_samples(fmt, seed=1)
    gain = LARGEST[fmt] / 40
    names = ["i", "mlii", "v1"]
    options = {"fmt": [fmt] * 3, "adc_gain": [gain] * 3, "baseline": [0] * 3, "units": ["mV"] * 3}
    wfdb.wrsamp("r", fs=FS, sig_name=names, d_signal=samples, write_dir=str(tmp_path), **options)
    record = read({path.name: path.read_bytes() for path in tmp_path.iterdir()})
    assert record.leads == ("I", "II", "V1")
    np.testing.assert_array_equal(record.samples, (samples.T / gain).astype(np.float32))


@pytest.mark.parametrize("samples_per_frame", [1, 2])
@pytest.mark.parametrize("fmt", ["508", "516", "524"])
def test_flac_files_equal_wfdb(fmt, samples_per_frame, tmp_path):
    """What wfdb.wrsamp compresses reads back as it was, checksums included, and as wfdb's own reader gives it."""
    samples = stored_samples({"508": "80", "516": "16", "524": "24"}[fmt], 3 * samples_per_frame, seed=2)
    rows = [part.reshape(-1) for part in np.split(samples, 3, axis=1)]
    gain = float(samples.max()) / 40
    options = {
        "fmt": [fmt] * 3,
        "adc_gain": [gain] * 3,
        "baseline": [7] * 3,
        "units": ["mV"] * 3,
        "samps_per_frame": [samples_per_frame] * 3,
    }
    wfdb.wrsamp("r", fs=FS, sig_name=["I", "II", "V1"], e_d_signal=rows, write_dir=str(tmp_path), **options)
    record = read({path.name: path.read_bytes() for path in tmp_path.iterdir()})
    assert record.fs == FS * samples_per_frame
    np.testing.assert_array_equal(record.samples, ((np.stack(rows) - 7) / gain).astype(np.float32))
    theirs = wfdb.rdrecord(str(tmp_path / "r"), smooth_frames=False).e_p_signal
    np.testing.assert_array_equal(record.samples, np.stack(theirs).astype(np.float32))


def a_flac_file(folder):
    """The files of a record in format 516."""
    options = {"fmt": ["516"] * 3, "adc_gain": [1000.0] * 3, "baseline": [0] * 3, "units": ["mV"] * 3}
    wfdb.wrsamp("r", fs=FS, sig_name=["I", "II", "V1"], d_signal=stored_samples("16"), write_dir=str(folder), **options)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        pytest.param(lambda data: data[: len(data) // 2], Reason.UNREADABLE, "damaged or cut off", id="cut off"),
        pytest.param(lambda data: data[:30], Reason.UNREADABLE, "it is not a FLAC file", id="only its start"),
        pytest.param(lambda data: b"RIFF" + data[4:], Reason.UNREADABLE, "it is not a FLAC file", id="another format of sound"),
        pytest.param(lambda data: data[:42] + bytes(len(data) - 42), Reason.UNREADABLE, "FLAC file", id="nothing behind its start"),
        pytest.param(lambda data: data[:21] + bytes(5) + data[26:], Reason.INCOMPLETE, "has 0 frames", id="says it is empty"),
    ],
)
def test_damaged_flac_files_are_refused(change, reason, words, tmp_path):
    """A FLAC file that is cut off, or is none, is refused with its name."""
    files = a_flac_file(tmp_path)
    with pytest.raises(BadInputError, match=words) as caught:
        read(files | {"r.dat": change(files["r.dat"])})
    assert caught.value.reason is reason
    assert "r.dat" in caught.value.message


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"r.dat 516 ", b"r.dat 508 ", "samples of 16 bits; format 508 has at most 8"),
        (b"r 3 ", b"r 2 ", "has 3 channels; the header lists 2 signals"),
        (b"r.dat 516 ", b"r.dat 516x2 ", "same number of samples a frame"),
    ],
)
def test_flac_headers_that_say_something_else(old, new, words, tmp_path):
    """Channels, bits and rates of a FLAC file are held against its header before it is unpacked."""
    files = a_flac_file(tmp_path)
    header = files["r.hea"].replace(old, new) if old != b"r.dat 516 " or b"x2" not in new else files["r.hea"].replace(old, new, 1)
    if old == b"r 3 ":
        header = b"\n".join(header.splitlines()[:3])
    with pytest.raises(BadInputError, match=words) as caught:
        read(files | {"r.hea": header})
    assert caught.value.reason is Reason.UNREADABLE


def test_differences_equal_wfdb(tmp_path):
    """Format 8 holds steps from the first value that the header gives: read as wfdb reads it, and as they add up by hand."""
    steps = np.random.default_rng(3).integers(-128, 128, size=(N_FRAMES, 2))
    samples = steps.cumsum(axis=0) + np.array([40, -500])
    lines = [
        f"r.dat 8 1000 12 0 {first} {int(row.sum()) % 65536} 0 {lead}"
        for first, row, lead in zip((40, -500), samples.T, ("I", "II"), strict=True)
    ]
    files = {"r.hea": header_of(*lines), "r.dat": steps.astype(np.int8).tobytes()}
    record = read(files)
    np.testing.assert_array_equal(record.samples, (samples.T / 1000).astype(np.float32))
    np.testing.assert_array_equal(record.samples, by_wfdb(tmp_path, files))


def test_differences_without_a_first_value_count_from_the_zero_of_the_adc():
    """Where a header gives no initial value of format 8, it is the ADC's zero (header(5)), and so is the baseline."""
    steps = np.random.default_rng(3).integers(-128, 128, size=(N_FRAMES, 1))
    files = {"r.hea": b"r 1 100 1200\nr.dat 8 1000(0) 12 40\n", "r.dat": steps.astype(np.int8).tobytes()}
    (recording,) = WfdbReader().read(files, "r.hea").recordings
    np.testing.assert_array_equal(recording.leads[0].samples, (steps.cumsum() + 40) / 1000)


def test_names_in_upper_case_match():
    """A header's names are those of its files but for upper and lower case, where only one file can be meant."""
    files, _ = a_record()
    loud = {"R.HEA": files["r.hea"], "R.DAT": files["r.dat"]}
    assert read_wfdb(loud, header="R.HEA", name="R").records[0].record_id == read(files).record_id
    with pytest.raises(BadInputError, match=r"the file r\.dat is missing"):
        read_wfdb(loud | {"R.dat": files["r.dat"]}, header="R.HEA", name="R")


def test_a_signal_without_a_gain_that_is_no_lead_is_left_out():
    """Only the twelve leads must be calibrated: respiration without a gain costs the recording nothing."""
    files, _ = a_record()
    header = files["r.hea"].replace(b" 1000 12", b" 0 12", 3).replace(b" 0 12", b" 1000 12", 2).replace(b"V1", b"resp")
    assert read(files | {"r.hea": header}).leads == ("I", "II")


@pytest.mark.parametrize("frames", ["one sample a frame", "two"])
def test_a_gain_next_to_nothing_is_refused_without_a_warning(frames):
    """What it makes infinite counts as invalid; 1e-310 is more than zero."""
    fmt = "16" if frames == "one sample a frame" else "16x2"
    samples = stored_samples("16", 1).repeat(2, axis=0) if fmt == "16x2" else stored_samples("16", 1)
    header = f"r 1 {FS} {N_FRAMES}\n{signal_line(samples, 'II', fmt=fmt, gain='1e-310(0)')}\n".encode()
    with pytest.raises(BadInputError) as caught:
        readers.read("r.hea", {"r.hea": header, "r.dat": pack(samples, "16")})
    assert caught.value.reason is Reason.NON_FINITE


@pytest.mark.timeout(120)
def test_many_wide_segments_are_refused_in_time():
    """A thousand segments of five hundred signals each are too much for one recording; that is told before any of them is parsed."""
    line = b"s.dat 16 1000 16 0 0 0 0 x%d\n"
    segment = b"s 500 100 2\n" + b"".join(line % number for number in range(500))
    files = {f"s{number}.hea": segment for number in range(1000)} | {"s.dat": bytes(2000)}
    files["r.hea"] = b"r/1000 500 100 2000\n" + b"".join(b"s%d 2\n" % number for number in range(1000))
    with pytest.raises(BadInputError, match="1000 segments have 501,000 header lines; the limit is 16,384") as caught:
        read(files)
    assert caught.value.reason is Reason.TOO_LARGE


def test_two_formats_in_two_files_in_mixed_order():
    """Signals of several files come out under their own names, though the files' lines alternate, which wfdb's own reader cannot do."""
    first, second = stored_samples("16", 2), stored_samples("212", 1, seed=1)
    lines = (
        signal_line(first[:, 0], "V2"),
        signal_line(second, "ii", fmt="212", file_name="r.xyz"),
        signal_line(first[:, 1], "i"),
    )
    files = {"r.hea": header_of(*lines), "r.dat": pack(first, "16"), "r.xyz": pack(second, "212")}
    record = read(files)
    assert record.leads == ("I", "II", "V2")
    np.testing.assert_array_equal(record.samples, (np.stack([first[:, 1], second[:, 0], first[:, 0]]) / 1000).astype(np.float32))


def test_samples_per_frame_give_the_true_rates(tmp_path):
    """A signal with two samples a frame has twice the frame rate, and the slower ones are brought up to it."""
    times = np.arange(2 * N_FRAMES) / (2 * FS)
    fast = np.rint(1000 * np.sin(2 * np.pi * times)).astype(np.int64)
    frames = np.column_stack([fast[::2], fast.reshape(-1, 2)])  # lead I at 100 Hz, then lead II at 200 Hz
    files = {"r.hea": header_of(signal_line(fast[::2], "I"), signal_line(fast, "II", fmt="16x2")), "r.dat": pack(frames, "16")}
    record = read(files)
    assert (record.fs, record.samples.shape) == (200.0, (2, 2 * N_FRAMES))
    by_wfdb(tmp_path, files)
    expected = wfdb.rdrecord(str(tmp_path / "r"), smooth_frames=False).e_p_signal[1]
    np.testing.assert_array_equal(record.samples[1], expected.astype(np.float32))
    np.testing.assert_allclose(record.samples[0, 200:-200], record.samples[1, 200:-200], atol=0.01)


def test_skewed_signals_are_aligned(tmp_path):
    """A signal that lags by three frames is shifted back, as wfdb does, and the three frames that then lack it are cut off."""
    samples = stored_samples("16", 2)
    late = np.column_stack([samples[:, 0], np.roll(samples[:, 1], 3)])
    lines = signal_line(late[:, 0], "I"), signal_line(late[:, 1], "II", fmt="16:3")
    files = {"r.hea": header_of(*lines), "r.dat": pack(late, "16")}
    record = read(files)
    np.testing.assert_array_equal(record.samples, (samples[:-3].T / 1000).astype(np.float32))
    np.testing.assert_array_equal(record.samples, by_wfdb(tmp_path, files)[:, :-3])


def test_bytes_before_and_after_the_samples():
    """A byte offset is honoured, and what follows the promised samples is not read."""
    files, samples = a_record()
    files = {"r.hea": files["r.hea"].replace(b"r.dat 16 ", b"r.dat 16+10 "), "r.dat": b"0123456789" + files["r.dat"] + b"and more"}
    np.testing.assert_array_equal(read(files).samples, (samples.T / 1000).astype(np.float32))


def test_length_and_rate_may_be_missing():
    """Without a length all of the file is read; without a rate it is 250 Hz, the specification's default."""
    files, samples = a_record(np.tile(stored_samples("16"), (3, 1)))
    files["r.hea"] = files["r.hea"].replace(b"r 3 100 1200", b"r 3")
    record = read(files)
    assert (record.fs, record.samples.shape) == (250.0, (3, len(samples)))


def segment_files():
    """A record of two segments, the second without lead V1, with a gap between them; and what it holds, NaN in the gap."""
    first, second = stored_samples("16", 3, seed=1), stored_samples("16", 2, seed=2)
    files = {
        "r.hea": b"r/4 3 100 2500\nlayout 0\ns1 1200\n~ 100\ns2 1200\n",
        "layout.hea": b"layout 3 100 0\n~ 0 1000/mV 0 0 0 0 0 I\n~ 0 1000/mV 0 0 0 0 0 II\n~ 0 1000/mV 0 0 0 0 0 V1\n",
        "s1.hea": header_of(*(signal_line(row, name, file_name="s1.dat") for row, name in zip(first.T, ("I", "II", "V1"), strict=True))),
        "s1.dat": pack(first, "16"),
        "s2.hea": header_of(*(signal_line(row, name, file_name="s2.dat") for row, name in zip(second.T, ("II", "I"), strict=True))),
        "s2.dat": pack(second, "16"),
    }
    expected = np.full((3, 2500), np.nan)
    expected[:, :1200] = first.T
    expected[[1, 0], 1300:] = second.T
    return files, expected / 1000


def test_segments_equal_wfdb(tmp_path):
    """Segments are put together by lead name, with NaN where one is missing, exactly as wfdb does it."""
    files, expected = segment_files()
    (recording,) = WfdbReader().read(files, "r.hea").recordings
    np.testing.assert_array_equal(np.stack([lead.samples for lead in recording.leads]), expected)
    leads = {lead.name: lead.samples for lead in recording.leads}
    np.testing.assert_array_equal(np.stack(list(leads.values())).astype(np.float32), by_wfdb(tmp_path, files))


def test_gap_between_segments_is_kept():
    """A recording with a gap is read; the samples that are not there are NaN, and cost no more than the seconds around them."""
    record = read(segment_files()[0])
    assert np.flatnonzero(np.isnan(record.samples[record.leads.index("I")])).tolist() == list(range(1200, 1300))
    assert set(RECIPES["heartbeat"].render([record]).read) == {"0-10 of 25 s"}


def test_segments_without_a_gap(tmp_path):
    """A record of fixed layout is the concatenation of its segments; its comments are those of its own header."""
    files, expected = segment_files()
    files["r.hea"] = b"r/2 3 100 2400\ns1 1200\ns1 1200\n# age: 50\n"
    record = read(files)
    np.testing.assert_array_equal(record.samples, np.tile(expected[:, :1200], 2).astype(np.float32))
    np.testing.assert_array_equal(record.samples, by_wfdb(tmp_path, files))
    assert record.age == 50.0


@pytest.mark.parametrize("names", [("II", "MLII", "RESP"), ("RESP", "ECG II (1)", "ECG II (2)")])
def test_of_two_signals_for_lead_ii_the_first_one_is_read(names):
    """In segments as without: the first signal that the header lists is lead II, and the other keeps its own name."""
    files, samples = a_record(names=names)
    parts = {"r.hea": b"r/1 3 100 1200\ns 1200\n", "s.hea": files["r.hea"], "r.dat": files["r.dat"]}
    first, in_parts = read(files), read(parts)
    second = next(number for number, name in enumerate(names) if "II" in name)
    np.testing.assert_array_equal(in_parts.samples[0], (samples[:, second] / 1000).astype(np.float32))
    assert in_parts.leads[0] == "II"
    assert set(in_parts.leads) == set(first.leads)


def without(files, name):
    """The files but one."""
    return {key: content for key, content in files.items() if key != name}


def with_header(files, old, new, name="r.hea"):
    """The files with other words in a header."""
    assert old in files[name]
    return files | {name: files[name].replace(old, new)}


SINGLE, _ = a_record()
MULTI, _ = segment_files()


@pytest.mark.parametrize(
    ("files", "reason", "words"),
    [
        (without(SINGLE, "r.dat"), Reason.INCOMPLETE, "the file r.dat is missing"),
        (without(MULTI, "s1.hea"), Reason.INCOMPLETE, "the file s1.hea is missing"),
        (without(MULTI, "s2.dat"), Reason.INCOMPLETE, "the file s2.dat is missing"),
        (SINGLE | {"r.dat": SINGLE["r.dat"][:-1]}, Reason.INCOMPLETE, "has 1,199 frames in 7,199 bytes; the header says 1200"),
        (with_header(SINGLE, b"100 1200", b"100 999999999999999"), Reason.INCOMPLETE, "says 999999999999999"),
        (with_header(SINGLE, b"r.dat 16 ", b"r.dat 16+999999999999 "), Reason.INCOMPLETE, "has 0 frames"),
        (with_header(SINGLE, b"r.dat 16 ", b"r.dat 16x999999999 "), Reason.INCOMPLETE, "has 0 frames"),
        (with_header(SINGLE, b"r.dat 16 ", b"r.dat 16x0 "), Reason.UNREADABLE, "no samples in a frame"),
        (with_header(SINGLE, b"r.dat 16 ", b"r.dat 16:9999 "), Reason.TOO_SHORT, "0.000 s"),
        (with_header(SINGLE, b"r.dat 16 ", b"r.dat 516 "), Reason.UNREADABLE, "format 516, but it is not a FLAC file"),
        (with_header(SINGLE, b"r.dat 16 ", b"r.dat 8 "), Reason.CHECKSUM_MISMATCH, "signal I has the checksum"),
        (with_header(SINGLE, b"r.dat 16 ", b"r.dat 317 "), Reason.UNREADABLE, "WFDB format 317"),
        (with_header(SINGLE, b" 1000 ", b" 0 "), Reason.UNIT_UNKNOWN, "lead I, II, V1 is uncalibrated"),
        (with_header(SINGLE, b" 1000 ", b" 0/mV "), Reason.UNIT_UNKNOWN, "lead I, II, V1 is uncalibrated"),
        ({"r.hea": b"r 1 100 1200\nr.dat 16\n", "r.dat": bytes(2400)}, Reason.MISSING_LEAD, "signal 1"),
        (SINGLE | {"r.hea": SINGLE["r.hea"].replace(b"r.dat 16 ", b"r.dat 24 ", 1)}, Reason.UNREADABLE, "differ in format"),
        (with_header(SINGLE, b" 1000 ", b" 1000(" + b"9" * 400 + b") "), Reason.UNREADABLE, "a baseline that is too large"),
        (with_header(SINGLE, b"r.dat", b"../r.dat"), Reason.UNSAFE_PATH, "'../r.dat'"),
        (with_header(SINGLE, b" 1000 ", b" 1000/mmHg "), Reason.UNIT_UNKNOWN, "'mmHg'"),
        (with_header(SINGLE, b" 1000 ", b" 100 "), Reason.OUT_OF_RANGE, "more than 50 mV"),
        (with_header(SINGLE, b"3 100 ", b"3 0 "), Reason.OUT_OF_RANGE, "0 frames a second"),
        (with_header(SINGLE, b"3 100 ", b"3 " + b"9" * 400 + b" "), Reason.OUT_OF_RANGE, "inf frames a second"),
        (with_header(SINGLE, b"3 100 ", b"3 20 "), Reason.OUT_OF_RANGE, "20 Hz"),
        (with_header(SINGLE, b"3 100 ", b"3 300 "), Reason.TOO_SHORT, "4.000 s"),
        ({"r.hea": b"r 0 100 1200\n"}, Reason.UNREADABLE, "describes no signal"),
        ({"r.hea": b"r/1 1 100 9999999999\ns1 9999999999\n"}, Reason.TOO_LARGE, "9,999,999,999 samples"),
        (with_header(MULTI, b"s1 1200", b"s1 1100"), Reason.UNREADABLE, "the record says 1,100"),
        (with_header(MULTI, b" 100 1200", b" 200 1200", "s2.hea"), Reason.UNREADABLE, "1,200 frames at 200 Hz"),
        (with_header(MULTI, b"s1 1200", b"r 1200"), Reason.UNREADABLE, "itself made of segments"),
        (with_header(MULTI, b" 1000 ", b" 1000/uV ", "s2.hea"), Reason.UNREADABLE, "changes its rate or unit"),
    ],
)
def test_faults(files, reason, words):
    """What a header promises and the files do not hold is found before memory is taken, and has its reason."""
    with pytest.raises(BadInputError) as caught:
        read(files, name="dir/r")
    assert caught.value.reason is reason
    assert words in caught.value.message
    assert caught.value.message.startswith("dir/r")


def test_checksum_is_verified():
    """One changed bit is found, and the message has the signal and both sums; a negative sum in a header is the same sum."""
    damaged = bytearray(SINGLE["r.dat"])
    damaged[2] ^= 1
    with pytest.raises(BadInputError, match="signal II has the checksum") as caught:
        read(SINGLE | {"r.dat": bytes(damaged)})
    assert caught.value.reason is Reason.CHECKSUM_MISMATCH
    _, samples = a_record()
    sums = [int(row.sum()) % 65536 for row in samples.T]
    header = SINGLE["r.hea"].replace(b" %d 0 II" % sums[1], b" %d 0 II" % (sums[1] - 65536))
    assert read(SINGLE | {"r.hea": header}).record_id == read(SINGLE).record_id
    assert read(SINGLE | {"r.hea": header.replace(b" %d 0 V1" % sums[2], b" 0 0 V1")}).record_id == read(SINGLE).record_id


def test_invalid_samples_are_found():
    """The value that WFDB keeps for a missing sample is not taken for a voltage: it is NaN in the record."""
    samples = stored_samples("16")
    samples[7, 1] = -(2**15)
    record = read(a_record(samples)[0])
    assert np.argwhere(np.isnan(record.samples)).tolist() == [[record.leads.index("II"), 7]]


def test_size_is_bounded(monkeypatch):
    """A recording with more samples than the bound is too large, whatever its files hold."""
    monkeypatch.setattr(record, "MAX_VALUES", 3599)
    with pytest.raises(BadInputError, match="3,600 samples in all leads; the limit is 3,599") as caught:
        read(SINGLE)
    assert caught.value.reason is Reason.TOO_LARGE


def test_size_is_bounded_over_all_segments(monkeypatch):
    """A segment that is named again and again is counted each time, before the next one is read."""
    monkeypatch.setattr(record, "MAX_VALUES", 3 * 3600)
    files = MULTI | {"r.hea": b"r/5 3 100 6000\n" + b"s1 1200\n" * 5}
    with pytest.raises(BadInputError, match="14,400 samples in all leads; the limit is 10,800") as caught:
        read(files)
    assert caught.value.reason is Reason.TOO_LARGE


def test_person_patient_and_name():
    """Comments give age, sex, label and whether it is synthetic; a PTB folder gives the patient; the name is the caller's."""
    files, _ = a_record(comments="# age: 81\n# sex: female\n# Reason for admission: Healthy control\n# synthetic: yes")
    record = read(files, name="ptb/patient007/r")
    assert (record.name, record.patient, record.age, record.sex) == ("ptb/patient007/r", "patient007", 81.0, "female")
    assert (record.label, record.synthetic) == (Label.NORMAL, True)
    bare = read(SINGLE, name="someone/r")
    assert (bare.patient, bare.age, bare.sex, bare.label, bare.synthetic) == (None, None, None, None, False)


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_damaged_files_raise_nothing_else(data):
    """Whatever is cut, changed or put in its place, the answer is a Read or a BadInputError."""
    files = dict(data.draw(st.sampled_from([SINGLE, MULTI])))
    for _ in range(data.draw(st.integers(1, 4))):
        name = data.draw(st.sampled_from(sorted(files)))
        content = files[name]
        at = data.draw(st.integers(0, min(len(content), 400)))
        new = data.draw(st.one_of(st.binary(max_size=4), st.sampled_from([b"99999999", *(bytes([byte]) for byte in b"-9 \nx:+e.~")])))
        files[name] = content[:at] + new + content[at + data.draw(st.integers(0, 3)) :]
    with contextlib.suppress(BadInputError):
        assert isinstance(read_wfdb(files, header="r.hea", name="r"), Read)


@settings(deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_else(header, signal):
    """A header and a signal file of any bytes give a BadInputError."""
    with pytest.raises(BadInputError):
        read_wfdb({"r.hea": header, "r.dat": signal}, header="r.hea", name="r")


def real_headers():
    """All headers beside the checkout, or none."""
    return sorted(REAL.glob("**/*.hea")) if REAL.is_dir() else []


def read_from_disk(path):
    """A record from its folder, as the inbox would hand it over."""
    header = path.read_bytes()
    names = (path.name, *wfdb_files(header, name=path.name))
    files = {name: (path.parent / name).read_bytes() for name in names}
    return read_wfdb(files, header=path.name, name=str(path.relative_to(REAL).with_suffix(""))).records[0]


@needs_real_data
def test_real_recordings_equal_wfdb():
    """PTB, MIT-BIH and every tenth PTB-XL recording: samples, rate and leads as wfdb's own reader has them."""
    paths = [path for path in real_headers() if "ptbxl" not in path.parts] + [path for path in real_headers() if "ptbxl" in path.parts][
        ::10
    ]
    assert len(paths) > 30
    for path in paths:
        record = read_from_disk(path)
        expected = wfdb.rdrecord(str(path.with_suffix("")))
        spelling = {lead.lower(): lead for lead in STANDARD_LEADS} | {"mlii": "II"}
        order = [record.leads.index(spelling.get(name.lower(), name)) for name in expected.sig_name]
        assert record.fs == expected.fs
        np.testing.assert_array_equal(record.samples[order], expected.p_signal.T.astype(np.float32))


@needs_real_data
def test_all_real_recordings_pass_every_check():
    """All recordings read, checksums included; four pairs of PTB-XL's are the same recording twice, byte for byte."""
    records = [read_from_disk(path) for path in real_headers()]
    ptbxl = {record.name: record.record_id for record in records if record.name.startswith("ptbxl/")}
    assert len(records) >= 356
    assert (len(ptbxl), len(set(ptbxl.values()))) == (353, 349)
    assert all(record.leads[:12] == STANDARD_LEADS for record in records if not record.name.startswith("formats/"))


@needs_real_data
def test_ptb_header():
    """The diagnosis, age, sex and patient of a raw PTB recording, and its fifteen leads."""
    record = read_from_disk(REAL / "ptbdb/patient001/s0010_re.hea")
    assert (record.label, record.age, record.sex, record.patient) == (Label.ABNORMAL, 81.0, "female", "patient001")
    assert record.leads == (*STANDARD_LEADS, "vx", "vy", "vz")
    assert (record.fs, record.duration_s) == (1000.0, 38.4)
