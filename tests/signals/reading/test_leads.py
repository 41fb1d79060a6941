"""Signals made into leads: names, units, rates, and what a good recording needs."""

import numpy as np
import pytest

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.signals.reading import leads
from ecg_tasks.signals.reading.leads import Lead, assemble, distinct, standard_name
from ecg_tasks.signals.record import STANDARD_LEADS

FS = 250.0


def a_lead(name="II", *, units="mV", fs=FS, duration_s=10.0, samples=None):
    """A lead of a sine at 1 Hz."""
    times = np.arange(round(duration_s * fs)) / fs
    return Lead(name=name, units=units, fs=fs, samples=np.sin(2 * np.pi * times) if samples is None else samples)


@pytest.mark.parametrize("lead", STANDARD_LEADS)
def test_every_spelling_of_a_standard_lead(lead):
    """Upper case, lower case and blanks around it: the name is the one in STANDARD_LEADS."""
    assert {standard_name(spelling) for spelling in (lead, lead.upper(), lead.lower(), f" {lead} ")} == {lead}


def test_standard_leads_come_first_and_in_order():
    """The twelve are sorted; Frank leads and the like follow as they came, with their own names."""
    found = assemble([a_lead(name) for name in ("vx", "v6", "AVR", "ii", "i", "vy")], name="r")
    assert found.names == ("I", "II", "aVR", "V6", "vx", "vy")
    assert found.samples.dtype == np.float32
    assert found.samples.shape == (6, 2500)


def test_second_signal_of_a_lead_keeps_its_own_name():
    """MLII is lead II only where lead II is not there already, and no two leads have one name."""
    assert assemble([a_lead("II"), a_lead("MLII"), a_lead("II")], name="r").names == ("II", "MLII", "II (2)")
    assert assemble([a_lead("MLII"), a_lead("II")], name="r").names == ("II", "II (2)")


def test_distinct_names_never_collide():
    """A number is not given where the numbered name is taken."""
    assert distinct(["a", "a", "a (2)", "a"]) == ["a", "a (2)", "a (2) (2)", "a (3)"]


@pytest.mark.parametrize(("units", "factor"), [("mV", 1.0), ("uV", 1e-3), ("V", 1e3), ("nV", 1e-6), ("MV", 1.0)])
def test_units_become_millivolts(units, factor):
    """The samples are in mV whatever the file's unit."""
    found = assemble([a_lead(units=units, samples=a_lead().samples / factor)], name="r")
    np.testing.assert_allclose(found.samples[0], a_lead().samples, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("signals", "reason", "words"),
    [
        ([a_lead("I"), a_lead("V1")], Reason.MISSING_LEAD, "the signals are I, V1"),
        ([], Reason.MISSING_LEAD, "none"),
        ([a_lead(units="mmHg")], Reason.UNIT_UNKNOWN, "'mmHg'"),
        ([a_lead(duration_s=9.9)], Reason.TOO_SHORT, "9.900 s; a recording must last 10 s"),
        ([a_lead(fs=40.0)], Reason.OUT_OF_RANGE, "40 Hz; it must be 50 to 50000 Hz"),
        ([a_lead(samples=np.full(2500, 0.3))], Reason.FLAT, "lead II is 0.3 mV throughout"),
        ([a_lead(samples=np.r_[np.zeros(2499), 50.1])], Reason.OUT_OF_RANGE, "lead II reaches 50.1 mV; at most 50 mV"),
        ([a_lead(samples=np.r_[np.zeros(2499), -51])], Reason.OUT_OF_RANGE, "-51 mV"),
        ([a_lead(samples=np.r_[np.ones(2498), np.nan, np.nan])], Reason.NON_FINITE, "lead II has 2 invalid samples of 2500"),
        ([a_lead(), a_lead("V3", samples=np.r_[np.ones(2499), np.nan])], Reason.NON_FINITE, "lead V3"),
        ([a_lead(), a_lead("V3", units="%")], Reason.UNIT_UNKNOWN, "lead V3 is in '%'"),
    ],
)
def test_faults(signals, reason, words):
    """Each fault of one of the twelve leads has its reason, and the message has the lead, the value and the bound."""
    with pytest.raises(BadInputError, match=r"^dir/r: ") as caught:
        assemble(signals, name="dir/r")
    assert caught.value.reason is reason
    assert words in caught.value.message


@pytest.mark.parametrize(
    "other",
    [a_lead("RESP", units="Ohm"), a_lead("vx", samples=np.r_[np.ones(2499), np.nan]), a_lead("vx", samples=np.full(2500, 99.0))],
    ids=["unit", "invalid", "out of range"],
)
def test_other_signals_never_spoil_a_recording(other):
    """A signal outside the twelve leads that is not good is left out, and the recording is taken."""
    assert assemble([other, a_lead()], name="r").names == ("II",)


def test_a_flat_chest_lead_is_no_fault():
    """An electrode that fell off costs its lead, not the recording: quality is judged later."""
    assert assemble([a_lead(), a_lead("V1", samples=np.zeros(2500))], name="r").names == ("II", "V1")


def test_rates_meet_at_the_highest_of_the_twelve():
    """A lead at half the rate is resampled; a faster signal outside the twelve is brought down."""
    found = assemble([a_lead("I", fs=125.0), a_lead("II"), a_lead("vx", fs=500.0)], name="r")
    assert (found.fs, found.samples.shape) == (250.0, (3, 2500))
    inner = slice(250, -250)
    np.testing.assert_allclose(found.samples[0, inner], found.samples[1, inner], atol=0.01)
    np.testing.assert_allclose(found.samples[2, inner], found.samples[1, inner], atol=0.01)


def test_a_rate_too_far_from_the_others_is_the_datas_fault():
    """Rates that cannot be brought together refuse the recording where a standard lead has one, and cost another signal only itself."""
    slow = {"fs": 0.2, "duration_s": 20.0}
    assert assemble([a_lead(duration_s=20.0), a_lead("vx", **slow)], name="r").names == ("II",)
    with pytest.raises(BadInputError, match=r"lead V1 is sampled at 0\.2 Hz, the others at up to 250 Hz") as caught:
        assemble([a_lead(duration_s=20.0), a_lead("V1", **slow)], name="r")
    assert caught.value.reason is Reason.OUT_OF_RANGE


def test_size_is_bounded_after_resampling(monkeypatch):
    """Slow signals beside a fast one are held at the fast one's rate, and are counted so before memory is taken."""
    monkeypatch.setattr(leads, "MAX_VALUES", 7499)
    with pytest.raises(BadInputError, match="2500 samples at 250 Hz in each of 3 signals; at most 7499") as caught:
        assemble([a_lead(), a_lead("vx", fs=1.0), a_lead("vy", fs=1.0)], name="r")
    assert caught.value.reason is Reason.TOO_LARGE


def test_leads_at_odd_rates_end_together():
    """A ratio of large numbers is rounded, here to 31530/997, which may cost a long recording its last sample, but never all of it."""
    found = assemble([a_lead("I", fs=1_581.0, duration_s=20.0), a_lead("II", fs=49_999.0, duration_s=20.0)], name="r")
    assert found.samples.shape == (2, 20 * 49_999 - 1)
