"""ISHNE Holter files: header, checksum, lead codes, and recordings of a day."""

import binascii
import struct
import tracemalloc

import numpy as np
import pytest

from ecg_tasks import readers
from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers.ishne import IshneReader
from ecg_tasks.readers.leads import MAX_VALUES
from ecg_tasks.signals.recipes import RECIPES
from tests.hospital_files import Strip, ishne, strip, wfdb_twin

SMALL = strip(leads=("I", "II", "V1"), seconds=5, fs=100)
READER = IshneReader()
PEAK_BYTES = 0.85e9
"""What reading may take, so that a process with its interpreter and libraries stays below 1 GB."""


def recording(data):
    """The recording of a file."""
    return READER.read({"x": data}, "x").recordings[0]


def refused(data):
    """The refusal of a file."""
    with pytest.raises(BadInputError) as caught:
        readers.read("x", {"x": data})
    return caught.value


def changed(data, at, fmt, *values, checked=True):
    """A file with other numbers in its header, and its checksum made right again."""
    new = bytearray(data)
    struct.pack_into(fmt, new, at, *values)
    if checked:
        struct.pack_into("<H", new, 8, binascii.crc_hqx(bytes(new[10:522]), 0xFFFF))
    return bytes(new)


def test_a_text_behind_the_header_is_passed_over():
    """The samples begin behind it; the checksum covers it with some writers and not with others."""
    data = ishne(SMALL, text=b"Holter of a quiet night\0")
    np.testing.assert_array_equal(recording(data).leads[0].samples, SMALL.uv[0])
    np.testing.assert_array_equal(recording(changed(data, 0, "8s", b"ISHNE1.0")).leads[0].samples, SMALL.uv[0])


def test_a_checksum_in_either_order_or_none():
    """The paper leaves the order of its bytes open; 0 is none; anything else is refused."""
    data = ishne(SMALL)
    (right,) = struct.unpack_from("<H", data, 8)
    for stored in (right, (right & 0xFF) << 8 | right >> 8, 0):
        assert recording(changed(data, 8, "<H", stored, checked=False)).leads[0].samples.size == 500
    fault = refused(changed(data, 8, "<H", right ^ 1, checked=False))
    assert fault.reason is Reason.CHECKSUM_MISMATCH


@pytest.mark.parametrize(
    ("data", "reason", "words"),
    [
        (ishne(SMALL)[:500], Reason.INCOMPLETE, "the file has 500 bytes, fewer than the 522 of a header"),
        (ishne(SMALL)[:-1], Reason.INCOMPLETE, "2,999 bytes hold 499 samples of each of 3 leads; the header says 500"),
        (ishne(SMALL)[:-6], Reason.INCOMPLETE, "hold 499 samples of each of 3 leads; the header says 500"),
        (ishne(SMALL) + bytes(6), Reason.INCOMPLETE, "hold 501 samples of each of 3 leads; the header says 500"),
        (ishne(SMALL, promised=-1), Reason.INCOMPLETE, "the header says -1"),
        (changed(ishne(SMALL), 10, "<i", 2**30), Reason.INCOMPLETE, "the text after the header should have 1,073,741,824 bytes"),
        (changed(ishne(SMALL), 10, "<i", -4), Reason.INCOMPLETE, "the text after the header should have -4 bytes"),
        (
            changed(ishne(SMALL), 22, "<i", 600),
            Reason.UNREADABLE,
            "the header says that the samples begin at byte 600, but by the lengths in it they begin at byte 522",
        ),
        (changed(ishne(SMALL), 156, "<h", 13), Reason.UNREADABLE, "13 leads at 100 Hz; there must be 1 to 12 leads"),
        (changed(ishne(SMALL), 156, "<h", -3), Reason.UNREADABLE, "-3 leads at 100 Hz"),
        (changed(ishne(SMALL), 272, "<h", 0), Reason.UNREADABLE, "3 leads at 0 Hz"),
        (ishne(SMALL, resolution_nv=(2500, 0, 2500)), Reason.UNIT_UNKNOWN, "lead 2 of 3 has a resolution of 0 nV"),
    ],
)
def test_a_fault_is_told_with_both_counts(data, reason, words):
    """Whatever the header says is held against the bytes that are there."""
    fault = refused(data)
    assert (fault.reason, words in fault.message) == (reason, True), fault.message


def test_samples_in_all_leads_may_be_what_is_counted():
    """The paper does not say whether a lead's samples are counted or all of them."""
    assert recording(ishne(SMALL, promised=1500)).leads[0].samples.size == 500


def test_leads_have_codes_and_steps_of_their_own():
    """A lead that is said not to be there is left out, with its resolution; a code that is none of the twelve keeps a name."""
    data = ishne(SMALL, resolution_nv=(1000, 2500, 5000))
    assert [lead.samples[7] for lead in recording(data).leads] == [SMALL.counts[0, 7], SMALL.counts[1, 7] * 2.5, SMALL.counts[2, 7] * 5]
    found = recording(changed(ishne(SMALL, resolution_nv=(2500, 2500, 0)), 158, "<3h", 1, 6, -9))
    assert [lead.name for lead in found.leads] == ["generic bipolar", "II"]
    found = recording(changed(ishne(SMALL), 158, "<3h", 99, 6, 4))
    assert [lead.name for lead in found.leads] == ["ISHNE lead 99", "II", "Z"]


def test_a_lead_at_fault_is_missing():
    """-32768 is no sample."""
    counts = SMALL.counts.copy()
    counts[1, 5:8] = -32768
    samples = recording(ishne(Strip(counts=counts, leads=SMALL.leads, fs=100.0))).leads[1].samples
    assert np.flatnonzero(np.isnan(samples)).tolist() == [5, 6, 7]


def test_what_is_not_said_of_the_person_is_not_known():
    """A year 0, a sex 0, and a recorder that is digital."""
    data = changed(ishne(SMALL), 128, "<hh3h", 0, 0, 0, 0, 0)
    data = changed(data, 232, "40s", b"digital")
    found = recording(changed(data, 138, "<3h", -9, -9, -9))
    assert (found.patient.age, found.patient.sex, found.acquisition.recorded, found.acquisition.device) == (None, None, None, None)


@pytest.mark.slow
def test_a_day_of_three_leads_is_read_whole_and_judged_window_by_window():
    """33 million samples at 128 Hz, in some 0.6 GB; the same record as in WFDB."""
    hour = strip(leads=("I", "II", "V1"), seconds=3600, fs=128)
    day = Strip(counts=np.tile(hour.counts, 24), leads=hour.leads, fs=128.0)
    data = ishne(day)
    tracemalloc.start()
    (record,) = readers.read("x", {"x": data}).records
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < PEAK_BYTES
    assert record.duration_s == 86_400
    ten = Strip(counts=day.counts[:, : 10 * 128], leads=hour.leads, fs=128.0)
    (short,) = readers.read("x", {"x": ishne(ten)}).records
    np.testing.assert_array_equal(record.samples[:, : 10 * 128], short.samples)
    (twin,) = readers.read("r.hea", wfdb_twin(ten)).records
    assert short.record_id == twin.record_id
    assert RECIPES["heartbeat"].accepts(record)


def test_a_day_without_lead_ii_and_with_faults_takes_no_more_than_a_gigabyte():
    """The worst that as many samples can hold: lead II is computed of two others, whose gaps are filled; told by a share of a day."""
    hour = strip(leads=("I", "III"), seconds=3600, fs=128)
    hour.counts[:, ::100] = -32768
    data = ishne(hour)
    readers.read("x", {"x": ishne(SMALL)})  # imports are no part of it
    tracemalloc.start()
    (record,) = readers.read("x", {"x": data}).records
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.isnan(record.samples).any()
    assert peak / record.samples.size < PEAK_BYTES / MAX_VALUES


@pytest.mark.timeout(120)
def test_more_samples_than_are_held_are_refused_before_memory_is_taken():
    """A day of three leads at 200 Hz."""
    n = 200 * 86_400
    data = ishne(Strip(counts=np.zeros((3, 1), dtype=int), leads=SMALL.leads, fs=200.0), promised=n)[:522] + bytes(6 * n)
    fault = refused(data)
    assert (fault.reason, f"{3 * n:,} samples in all leads; the limit is 33,554,432" in fault.message) == (Reason.TOO_LARGE, True)
