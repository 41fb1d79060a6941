"""SCP-ECG: its sections, its codes, and what it says of the person, held against the words of the standard and a second reader."""

import binascii
import struct
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_tasks import readers
from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers.scp.huffman import decode, default_table, read_tables, summed
from ecg_tasks.readers.scp.record import MAX_SCP_SAMPLES, ScpEcgReader
from tests.hospital_files import (
    TWO_TABLES,
    Scp,
    Strip,
    by_two_tables,
    huffman,
    own_table,
    packed_bits,
    scp,
    scp_file,
    scp_with_own_tables,
    scp_with_right_sums,
    strip,
)

SMALL = strip(leads=("I", "II", "V1"), seconds=5, fs=100)
AS_SMALL = {"interval_us": 10_000}
READER = ScpEcgReader()
STANDARD = struct.pack("<H", 19999)


def recording(data):
    """The recording of a file."""
    return READER.read({"x": data}, "x").recordings[0]


def refused(data):
    """The refusal of a file."""
    with pytest.raises(BadInputError) as caught:
        readers.read("x", {"x": data})
    assert "its reader failed" not in caught.value.message
    return caught.value


def section_at(data, number):
    """Where a section begins, and its length, by section 0."""
    size, index = struct.unpack_from("<II", data, 22 + 10 * number + 2)
    return index - 1, size


def resummed(data):
    """A file whose own checksum and that of section 0 are right."""
    new = bytearray(data)
    struct.pack_into("<H", new, 6, binascii.crc_hqx(bytes(new[8 : 6 + 136]), 0xFFFF))
    struct.pack_into("<H", new, 0, binascii.crc_hqx(bytes(new[2:]), 0xFFFF))
    return bytes(new)


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("packed", [False, True])
def test_samples_from_differences_of_each_order(order, packed):
    """By the standard's codes and plain; the recording is the same."""
    found = recording(scp(SMALL, Scp(order=order, packed=packed, **AS_SMALL)))
    np.testing.assert_array_equal(np.stack([lead.samples for lead in found.leads]), SMALL.uv)


def test_the_rate_is_that_of_the_interval():
    """1,667 µs are 599.88 Hz; 600 would be another record."""
    found = recording(scp(SMALL, Scp(interval_us=1667)))
    assert {lead.fs for lead in found.leads} == {1e6 / 1667}


def test_v3r_is_not_v3():
    """A child's leads keep their own names."""
    of = Strip(counts=SMALL.counts, leads=("II", "V3R", "V7"), step_nv=2500)
    assert [lead.name for lead in recording(scp(of, Scp(**AS_SMALL))).leads] == ["II", "V3R", "V7"]
    (record,) = readers.read("x", {"x": scp(of, Scp(**AS_SMALL))}).records
    assert record.leads == ("II", "V3R", "V7")


def test_a_lead_that_begins_later_is_missing_before():
    """Samples are counted on one clock: the others' first ten have no partner, and the lead's last ten none of theirs."""
    found = recording(scp(SMALL, Scp(first=(1, 1, 11), **AS_SMALL)))
    late, second = found.leads[2].samples, found.leads[1].samples
    assert np.isnan(late[:10]).all()
    np.testing.assert_array_equal(late[10:], SMALL.uv[2])
    np.testing.assert_array_equal(second[:500], SMALL.uv[1])
    assert np.isnan(second[500:]).all()
    shifted = recording(scp(SMALL, Scp(first=(7, 7, 7), **AS_SMALL)))
    np.testing.assert_array_equal(shifted.leads[0].samples, SMALL.uv[0])


@settings(deadline=None)
@given(st.lists(st.one_of(st.integers(-9, 9), st.integers(-129, 129), st.integers(-(2**15), 2**15 - 1)), min_size=1, max_size=300))
def test_the_standards_codes_and_back(values):
    """Every value of 16 bits, by the shortest code that it has."""
    found = decode(huffman(np.array(values)), (default_table(),), n_samples=len(values), what="lead 1", name="x")
    assert found.tolist() == values


@settings(deadline=None)
@given(st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1, max_size=200), st.sampled_from([0, 1, 2]))
def test_tables_of_a_files_own_and_back(values, order):
    """Codes that change over to another table and back, and values that are added to."""
    tables = read_tables(TWO_TABLES, name="x")
    counts = np.array(values)
    found = decode(by_two_tables(counts), tables, n_samples=len(values), what="lead 1", name="x")
    assert found.tolist() == values
    differences = np.concatenate([counts[:order], np.diff(counts, order)]) if len(values) >= order else counts
    wrapped = (differences + 2**15) % 2**16 - 2**15 if len(values) > order else counts
    assert summed(wrapped, order=order).tolist() == values


def test_a_second_reader_reads_files_with_tables_of_their_own(tmp_path):
    """Our file with two tables, read by ecgdatakit."""
    from ecgdatakit.parsing import FileParser

    path = tmp_path / "x.scp"
    path.write_bytes(scp_with_own_tables())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = FileParser().parse(path)
    ours = recording(scp_with_own_tables())
    for lead, other in zip(ours.leads, theirs.leads, strict=True):
        np.testing.assert_allclose(lead.samples, 1000 * other.samples, atol=1e-9)


@pytest.mark.parametrize(
    ("how", "reason", "words"),
    [
        (Scp(flags=0x65), Reason.UNREADABLE, "reference beats are subtracted from its rhythm, which is not supported"),
        (Scp(bimodal=1), Reason.UNREADABLE, "bimodal compression is not supported"),
        (Scp(interval_us=0), Reason.UNREADABLE, "differences of order 2, a sample every 0 us"),
        (Scp(sections=(1, 2, 3)), Reason.UNREADABLE, "section 6, the rhythm, is missing"),
        (Scp(sections=(1, 2, 6)), Reason.UNREADABLE, "section 3, the leads, is missing"),
        (Scp(sections=(1, 3, 6)), Reason.INCOMPLETE, "section 3 says"),  # codes taken for plain samples
        (Scp(first=(0, 1, 1)), Reason.UNREADABLE, "a lead that ends before it begins"),
        (Scp(first=(1, 1, 3_000_000)), Reason.TOO_LARGE, "samples in all leads; the limit of an SCP-ECG file is 2,097,152"),
        (Scp(tables=STANDARD[:1]), Reason.UNREADABLE, "section 2 has 31 Huffman tables; it must have 1 to 8"),
        (Scp(tables=struct.pack("<H", 9999)), Reason.UNREADABLE, "section 2 has 9999 Huffman tables"),
        (Scp(tables=struct.pack("<HH", 1, 3) + bytes(9)), Reason.INCOMPLETE, "Huffman table 1 has 1 codes; it says that it has 3"),
        (Scp(tables=struct.pack("<H", 1) + own_table(("0", 0, 1, 0))), Reason.UNREADABLE, "a Huffman code of 1 and 0 bits"),
        (Scp(tables=struct.pack("<H", 1) + own_table(("0", 1, 0, 5))), Reason.UNREADABLE, "a Huffman code of 1 and 1 bits"),
        (
            Scp(tables=struct.pack("<H", 1) + own_table(("0", 1, 1, 5), ("01", 2, 1, 5))),
            Reason.UNREADABLE,
            "is the beginning of another one",
        ),
        (Scp(tables=struct.pack("<H", 1) + own_table(("0" * 17, 17, 1, 5))), Reason.UNREADABLE, "a Huffman code of 17 and 17 bits"),
        (
            Scp(tables=struct.pack("<H", 1) + own_table(("00000001", 8, 1, 5))),
            Reason.UNREADABLE,
            "bits that are not a Huffman code, at sample 0",
        ),
    ],
)
def test_what_is_not_read_is_refused_with_a_sentence(how, reason, words):
    """Compression without a sample to hold it against, missing sections, and tables that cannot be."""
    how = replace(how, interval_us=how.interval_us if how.interval_us == 0 else 10_000)
    fault = refused(scp(SMALL, how))
    assert (fault.reason, words in fault.message) == (reason, True), fault.message


def test_a_lead_with_fewer_codes_than_samples_is_incomplete():
    """Both counts are told, whatever follows in the section."""
    data = bytearray(scp(SMALL, Scp(**AS_SMALL)))
    begin, _ = section_at(data, 6)
    (size,) = struct.unpack_from("<H", data, begin + 16 + 6)
    struct.pack_into("<H", data, begin + 16 + 6, size - 20)
    fault = refused(scp_with_right_sums(bytes(data)))
    assert fault.reason is Reason.INCOMPLETE
    assert "lead 1 of 3 ends after" in fault.message
    assert "section 3 says 500" in fault.message
    struct.pack_into("<H", data, begin + 16 + 6, 65_535)
    assert "bytes for the leads, which need" in refused(scp_with_right_sums(bytes(data))).message


def test_an_amplitude_of_nothing_is_an_unknown_unit():
    """The amplitude value is 0 where a writer does not know it."""
    data = bytearray(scp(SMALL, Scp(**AS_SMALL)))
    struct.pack_into("<H", data, section_at(data, 6)[0] + 16, 0)
    assert refused(scp_with_right_sums(bytes(data))).reason is Reason.UNIT_UNKNOWN


def test_checksums_of_the_file_and_of_each_section():
    """A bit that turned anywhere is met by the file's own; with that repaired, by the section's."""
    data = scp(SMALL, Scp(**AS_SMALL))
    for number in (1, 2, 3, 6):
        begin, size = section_at(data, number)
        changed = bytearray(data)
        changed[begin + size - 1] ^= 1
        fault = refused(bytes(changed))
        assert (fault.reason, "do not match its checksum" in fault.message) == (Reason.CHECKSUM_MISMATCH, True)
        struct.pack_into("<H", changed, 0, binascii.crc_hqx(bytes(changed[2:]), 0xFFFF))
        fault = refused(bytes(changed))
        assert (fault.reason, f"section {number} does not match its checksum" in fault.message) == (Reason.CHECKSUM_MISMATCH, True)


@pytest.mark.parametrize(
    ("at", "value", "reason", "words"),
    [
        (10, 8, Reason.UNREADABLE, "section 0 says that it has 8 bytes"),
        (10, 2**31, Reason.UNREADABLE, "section 0 says that it has 2,147,483,648 bytes"),
        (44, 2**31, Reason.INCOMPLETE, "section 2 has"),
        (48, 2**31, Reason.INCOMPLETE, "section 2 has 0 of its 18 bytes"),
        (48, 0, Reason.INCOMPLETE, "section 2 has 0 of its 18 bytes"),
        (48, 150, Reason.UNREADABLE, "section 2 is not where section 0 says"),
    ],
)
def test_pointers_that_lead_nowhere(at, value, reason, words):
    """Lengths and places of sections are held against the bytes that are there."""
    data = bytearray(scp(SMALL, Scp(**AS_SMALL)))
    struct.pack_into("<I", data, at, value)
    fault = refused(resummed(data))
    assert (fault.reason, words in fault.message) == (reason, True), fault.message


def test_a_section_named_twice_is_refused():
    """Which of the two is meant cannot be told."""
    data = bytearray(scp(SMALL, Scp(**AS_SMALL)))
    data[22 + 70 : 22 + 80] = data[22 + 60 : 22 + 70]
    assert "names section 6 twice" in refused(resummed(data)).message


def test_a_files_own_length_counts():
    """Bytes behind it are nothing; a length beyond the file is told with both."""
    data = scp(SMALL, Scp(**AS_SMALL))
    assert recording(data + b"behind").leads[0].samples.size == 500
    fault = refused(data[:-5])
    assert (fault.reason, f"{len(data) - 5:,} bytes; it says that it has {len(data):,}" in fault.message) == (Reason.INCOMPLETE, True)
    small = bytearray(data)
    struct.pack_into("<I", small, 2, 10)
    assert "too few for a section" in refused(bytes(small)).message


@pytest.mark.parametrize(
    ("tag", "value", "field", "expected"),
    [
        (4, struct.pack("<HB", 18, 2), "age", 1.5),
        (4, struct.pack("<HB", 0, 0), "age", 49.0),  # by the dates
        (4, struct.pack("<HB", 30, 4), "age", 30 / 365.25),
        (4, struct.pack("<HB", 5000, 1), "age", 49.0),
        (2, b"xxxx\0", "id", None),
        (8, b"\2", "sex", "female"),
        (8, b"\0", "sex", None),
        (8, b"", "sex", None),
    ],
)
def test_the_person(tag, value, field, expected):
    """An age has a unit; what is not said is not known."""
    found = getattr(recording(scp(SMALL, Scp(tags=((tag, value),), **AS_SMALL))).patient, field)
    assert found == (pytest.approx(expected) if isinstance(expected, float) else expected)


@pytest.mark.parametrize(
    ("tag", "value", "expected"),
    [
        (34, struct.pack("<hh", 60, 0), "2002-11-22T09:10:11+01:00"),
        (34, struct.pack("<hh", 0x7FFF, 0), "2002-11-22T09:10:11"),
        (34, struct.pack("<hh", 0, 0), "2002-11-22T09:10:11+00:00"),
        (26, bytes([25, 0, 0]), "2002-11-22"),
        (25, struct.pack("<HBB", 0, 0, 0), None),
        (26, b"", "2002-11-22"),
    ],
)
def test_the_moment(tag, value, expected):
    """With a zone where tag 34 gives one; the day alone where there is no time."""
    found = recording(scp(SMALL, Scp(tags=((tag, value),), **AS_SMALL))).acquisition.recorded
    assert (found and found.isoformat()) == expected


def test_the_filters_and_the_device():
    """A mains filter is a bit, 0 Hz is not known; the maker stands as a text or as a number."""
    tags = ((27, b"\0\0"), (28, b"\0\0"), (29, b"\1"), (14, bytes(7) + b"\x11CS200\0"))
    made = recording(scp(SMALL, Scp(tags=tags, **AS_SMALL))).acquisition
    assert (made.filters.highpass_hz, made.filters.lowpass_hz, made.filters.notch_hz) == (None, None, 60.0)
    assert made.device == "Schiller CS200"
    nothing = recording(scp(SMALL, Scp(tags=((29, b"\0"), (14, b"")), **AS_SMALL))).acquisition
    assert (nothing.filters.notch_hz, nothing.device) == (0.0, None)


def test_a_file_without_section_1_tells_no_person():
    """And is read all the same."""
    found = recording(scp(SMALL, Scp(sections=(2, 3, 6), **AS_SMALL)))
    assert (found.patient.id, found.acquisition.recorded) == (None, None)


def test_a_tag_cut_off_is_told():
    """With both lengths, by its number."""
    bodies = {1: struct.pack("<BH", 2, 50) + b"id", 2: STANDARD, 3: b"\1\4" + struct.pack("<IIB", 1, 5, 2)}
    bodies[6] = struct.pack("<HHBBH", 2500, 2000, 0, 0, 1) + huffman(np.zeros(5, dtype=int))
    fault = refused(scp_file(bodies))
    assert (fault.reason, "tag 2 of section 1 has" in fault.message) == (Reason.INCOMPLETE, True)


@pytest.mark.timeout(120)
def test_absurd_lengths_cost_no_time():
    """Two megabytes of leads whose codes have one bit, or go from table to table; a lead that promises far more than it has bytes."""
    n_leads = 30
    alone, other = bytes(65_535), (by_two_tables(np.full(65_000, 7)) + bytes(65_535))[:65_535]
    for tables, lead, n_samples in ((STANDARD, alone, MAX_SCP_SAMPLES // n_leads), (TWO_TABLES, other, 47_600)):
        section = struct.pack("<HHBB", 2500, 2000, 0, 0) + struct.pack("<H", len(lead)) * n_leads + lead * n_leads
        spans = b"".join(struct.pack("<IIB", 1, n_samples, 2) for _ in range(n_leads))
        assert len(recording(scp_file({2: tables, 3: bytes([n_leads, 4]) + spans, 6: section})).leads) == n_leads
    one = {2: STANDARD, 3: b"\1\4" + struct.pack("<IIB", 1, 2_000_000, 2), 6: struct.pack("<HHBBH", 2500, 2000, 0, 0, 4) + bytes(4)}
    assert "ends after 32 samples; section 3 says 2,000,000" in refused(scp_file(one)).message
    assert refused(scp(SMALL)[:22].ljust(5_000_000, b"\0")).reason is Reason.TOO_LARGE


def test_codes_that_only_change_tables_end():
    """A table whose every code leads to itself gives no value, and no endless loop."""
    tables = struct.pack("<H", 2) + own_table(("0", 1, 0, 2), ("1", 1, 0, 1)) + own_table(("0", 1, 0, 1))
    with pytest.raises(BadInputError, match="ends after 0 samples"):
        decode(bytes(5000), read_tables(tables, name="x"), n_samples=10, what="lead 1", name="x")
    with pytest.raises(BadInputError, match="not a Huffman code, at sample 0"):
        decode(packed_bits("01"), read_tables(tables, name="x"), n_samples=10, what="lead 1", name="x")


def test_a_file_is_known_by_section_0():
    """By its mark, and without it by its pointer to itself."""
    data = bytearray(scp(SMALL, Scp(**AS_SMALL)))
    assert READER.knows("x", bytes(data[:64]))
    data[16:22] = bytes(6)
    assert READER.knows("x", bytes(data[:64]))
    data[28] = 8
    assert not READER.knows("x.scp", bytes(data[:64]))
    assert not READER.knows("x.scp", b"")
