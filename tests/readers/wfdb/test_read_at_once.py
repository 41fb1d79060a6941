"""What is done once, or in one step, gives what was done signal by signal; of a header that was read before, the same is told."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from ecg_tasks import readers
from ecg_tasks.errors import BadInputError
from ecg_tasks.readers import blanking
from ecg_tasks.readers.wfdb import record
from ecg_tasks.readers.wfdb.header import parse_header
from ecg_tasks.signals.record import Record


def files(*, checksum: str = "0", gains: tuple[str, ...] = ("1000/mV", "200.5(-17)/mV", "1e-3(3)/uV")) -> dict[str, bytes]:
    """Three signals of one file, with gains, baselines and samples that are marked as invalid."""
    stored = np.random.default_rng(5).integers(-900, 900, size=(5000, 3)).astype("<i2")
    stored[70:74, 1] = -32768
    stored[:, 2] //= 100
    lines = [f"a.dat 16 {gain} 16 0 0 {checksum} 0 {lead}" for gain, lead in zip(gains, ("I", "II", "V1"), strict=True)]
    return {"a.hea": "\n".join(["a 3 500 5000", *lines, ""]).encode(), "a.dat": stored.tobytes()}


def test_signals_in_one_step_are_those_one_by_one(monkeypatch):
    """Samples to the last bit, gaps included."""
    together = readers.read("w/a.hea", files()).records[0]
    monkeypatch.setattr(record, "_MOST_TOGETHER", 0)
    single = readers.read("w/a.hea", files()).records[0]
    assert together.samples.tobytes() == single.samples.tobytes()
    assert np.isnan(together.samples[1]).sum() == 4
    assert together.record_id == single.record_id


@pytest.mark.parametrize("wrong", [{"checksum": "7"}, {"gains": ("1000/mV", f"200({'9' * 400})/mV", "1000/mV")}])
def test_faults_are_told_alike(wrong, monkeypatch):
    """A wrong checksum, and a baseline that no number holds."""
    said = []
    for most in (2**20, 0):
        monkeypatch.setattr(record, "_MOST_TOGETHER", most)
        with pytest.raises(BadInputError) as fault:
            readers.read("w/a.hea", files(**wrong))
        said.append((fault.value.reason, fault.value.message))
    assert said[0] == said[1]


def test_a_header_that_was_read_before_is_the_same():
    """Under any name; a damaged one is refused under the name that it has now."""
    data = files()["a.hea"]
    assert parse_header(data, name="w/a") == parse_header(data, name="other")
    for name in ("first", "second"):
        with pytest.raises(BadInputError, match=name):
            parse_header(b"a 3 500 5000\na.dat 16\n", name=name)


def test_records_have_one_signal_if_they_have_one_id():
    """In samples, also where they are no numbers, and rate, leads and shape."""
    samples = np.random.default_rng(1).normal(size=(2, 50)).astype(np.float32)
    samples[0, 3] = np.nan
    one = Record(samples=samples, fs=500.0, leads=("I", "II"), unit="mV", name="one")
    other_sample = samples.copy()
    other_sample[1, 7] = np.nextafter(other_sample[1, 7], np.float32(9))
    others = [
        replace(one, samples=np.asfortranarray(samples)),
        replace(one, samples=other_sample),
        replace(one, fs=250.0),
        replace(one, leads=("II", "I")),
        replace(one, samples=samples.reshape(1, 100), leads=("I",)),
        replace(one, samples=-np.abs(samples) * 0),
    ]
    for other in others:
        assert blanking.is_same(other, one) == (one.record_id == other.record_id)
    assert blanking.is_same(others[0], one)


def test_headers_are_read_by_several_threads():
    """Each gets its own, however many were read meanwhile."""
    headers = [f"a {number} 500 5000\n".encode() + b"a.dat 16 1000/mV\n" * number for number in range(1, 40)] * 8
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda data: parse_header(data, name="a"), headers))
    assert [header.n_signals for header in found] == [len(data.splitlines()) - 1 for data in headers]
