"""One recording and its identity."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ecg_tasks.errors import SignalError
from ecg_tasks.labels import Label
from ecg_tasks.signals.record import Record


def a_record(**changes):
    """A recording of two leads of three samples at 125 Hz."""
    samples = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], dtype=np.float32)
    fields = {"samples": samples, "fs": 125.0, "leads": ("I", "II"), "unit": "mV", "name": "r"}
    return Record(**{**fields, **changes})


def test_identity_is_stable():
    """The identity of a recording is stored in the bucket, so it must never change from one version to the next.

    By hand: SHA-256 of ``struct.pack("<6f", 0, 1, 2, 3, 4, 5)`` and then of ``((2, 3), 125.0, ('I', 'II'))``, 32 hex digits of it.
    """
    assert a_record().record_id == "0c8ea7523228edb1d0b350abd8d1eb41"


def test_same_signal_is_the_same_record_whatever_is_said_of_it():
    """Name, patient, label and the rest are no part of the identity."""
    other = a_record(name="copy", patient="p", age=50.0, sex="male", label=Label.NORMAL, synthetic=True)
    assert other.record_id == a_record().record_id


@pytest.mark.parametrize(
    "changes",
    [
        {"fs": 126.0},
        {"leads": ("II", "I")},
        {"samples": np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.5]], dtype=np.float32)},
        {"samples": np.arange(6, dtype=np.float32).reshape(1, 6), "leads": ("I",)},
    ],
)
def test_another_signal_is_another_record(changes):
    """A changed sample, shape, rate or lead name makes another record."""
    assert a_record(**changes).record_id != a_record().record_id


@given(arrays.arrays(np.float32, (3, 5), elements=st.floats(-5, 5, width=32)))
def test_identity_does_not_depend_on_memory_layout(samples):
    """A view, a transposed copy and a big-endian origin of the same numbers are the same record."""
    record = a_record(samples=samples, leads=("I", "II", "III"))
    for same in (np.asfortranarray(samples), np.repeat(samples, 2, axis=1)[:, ::2], samples.astype(">f4").astype(np.float32)):
        assert replace(record, samples=same).record_id == record.record_id


@pytest.mark.parametrize(
    "changes",
    [
        {"samples": np.zeros((2, 3))},
        {"samples": np.zeros(3, dtype=np.float32)},
        {"leads": ("I",)},
        {"fs": 0.0},
        {"fs": float("nan")},
    ],
)
def test_an_impossible_record_is_refused(changes):
    """Another dtype, one axis, too few names, or a rate that is none is a fault of the caller."""
    with pytest.raises(SignalError):
        a_record(**changes)


def test_length():
    """The duration follows from samples and rate; only a relative record is a heartbeat."""
    assert (a_record().n_samples, a_record().duration_s) == (3, 0.024)
    assert a_record(unit="relative").is_heartbeat
    assert not a_record().is_heartbeat


def test_a_signal_that_is_described_otherwise_keeps_its_id():
    """The id is not computed again, and what would be another signal is refused."""
    one = Record(samples=np.ones((1, 50), np.float32), fs=50.0, leads=("II",), unit="mV", name="one", patient="7")
    one.__dict__["record_id"] = "as it was stored"
    one.known["rate"] = 70
    other = one.described(name="other", patient=None)
    assert (other.name, other.patient, other.record_id, other.known) == ("other", None, "as it was stored", {"rate": 70})
    assert (one.name, one.patient) == ("one", "7")
    for change in ({"fs": 60.0}, {"leads": ("I",)}, {"samples": one.samples}):
        with pytest.raises(SignalError, match="another record"):
            one.described(**change)
