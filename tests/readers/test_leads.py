"""Signals made into leads: names, units, rates, and what a good recording needs."""

import numpy as np
import pytest

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers import leads, unwarned
from ecg_tasks.readers.leads import Lead, assemble, distinct
from ecg_tasks.signals.record import Record

FS = 250.0
GAPPED = np.where(np.arange(2500) % 1000 < 50, np.nan, np.arange(2500) % 7)
"""A gap of 0.2 s every four seconds."""


def a_lead(name="II", *, units="mV", fs=FS, duration_s=10.0, samples=None):
    """A lead of a sine at 1 Hz."""
    times = np.arange(round(duration_s * fs)) / fs
    return Lead(name=name, units=units, fs=fs, samples=np.sin(2 * np.pi * times) if samples is None else samples)


def test_standard_leads_come_first_and_in_order():
    """The twelve are sorted; Frank leads and the like follow as they came, with their own names."""
    found = assemble([a_lead(name) for name in ("vx", "v6", "AVR", "ii", "i", "vy")], name="r")
    assert found.names == ("I", "II", "aVR", "V6", "vx", "vy")
    assert found.samples.dtype == np.float32
    assert found.samples.shape == (6, 2500)


@pytest.mark.parametrize("names", [("v6", "ii", "I"), ("DII", "resp", "-V1", "vx", "aVF")], ids=["ordinary", "with others, one turned"])
def test_leads_are_put_together_as_one_by_one(monkeypatch, names):
    """Leads in mV at one rate go into the array in one step: the names, their order and every bit are the same."""
    rng = np.random.default_rng(len(names))
    signals = [a_lead(name, samples=rng.normal(scale=10, size=2500)) for name in names]
    at_once = assemble(signals, name="r")
    assert leads._ordinary(signals, fs=FS, n_samples=2500) is not None
    monkeypatch.setattr(leads, "_ordinary", lambda *_, **__: None)
    alone = assemble(signals, name="r")
    assert (at_once.names, at_once.samples.tobytes()) == (alone.names, alone.samples.tobytes())


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
        ([a_lead(duration_s=4.9)], Reason.TOO_SHORT, "the recording lasts 4.900 s; it must last at least 5 s"),
        ([a_lead(fs=40.0)], Reason.OUT_OF_RANGE, "40 Hz; it must be 50 to 50000 Hz"),
        ([a_lead(samples=np.full(2500, 0.3))], Reason.FLAT, "lead II has the value 0.3 mV all the time"),
        ([a_lead(samples=np.r_[np.zeros(2499), 50.1])], Reason.OUT_OF_RANGE, "lead II reaches 50.1 mV from its median; more than 50 mV"),
        ([a_lead(samples=np.r_[np.zeros(2499), -51])], Reason.OUT_OF_RANGE, "-51 mV"),
        ([a_lead(samples=np.r_[np.zeros(2499), 1e300])], Reason.OUT_OF_RANGE, "1e+300 mV"),
        ([a_lead(samples=np.r_[np.zeros(2499), 1e307], units="V")], Reason.NON_FINITE, "1 of 2,500 samples are invalid"),
        ([a_lead(samples=np.full(2500, 5001.0))], Reason.OUT_OF_RANGE, "lead II has an offset of 5001 mV; more than 5000 mV"),
        ([a_lead(samples=np.full(2500, np.nan))], Reason.NON_FINITE, "2,500 of 2,500 samples are invalid; lead II needs 5 s"),
        (
            [a_lead(samples=np.where(np.arange(2500) % 1000 < 50, np.nan, 1.0 * (np.arange(2500) % 7)))],
            Reason.NON_FINITE,
            "a gap of more than 40 ms",
        ),
        ([a_lead(), a_lead("V3", units="%")], Reason.UNIT_UNKNOWN, "lead V3 is in '%'"),
    ],
)
def test_faults(signals, reason, words):
    """Each fault of one of the twelve leads has its reason, and the message has the lead, the value and the bound."""
    with unwarned(), pytest.raises(BadInputError, match=r"^dir/r: ") as caught:
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


IDS_OF_VERSION_0_1 = {
    ("II",): "1422a581638ada57f060eb6e8df93f2e",
    ("i", "ii", "III", "avr", "AVL", "aVF", "v1", "V2", "V3", "V4", "V5", "V6"): "ecbba48430098c6b8e342ff8effdf6f3",
    ("MLII", "V5"): "f03ca2e374f343dfcc5a5dc050f48576",
    ("DI", "II", "DIII"): "81dd68c9206ed182bc676db6ac244675",
    ("II", "-aVR", "ECG II", "V1"): "33084e7ef040477a93600d37f7f04e7b",
    ("II", "MLII", "II"): "002260d37078f9d1d433a97596e0dfad",
    (" ii ", "vx"): "afdcdb41e5711cce42d74f81a3380132",
}
"""Written down from version 0.1, with the samples that ``test_ids_stay`` makes."""


@pytest.mark.parametrize("names", IDS_OF_VERSION_0_1)
def test_ids_stay(names):
    """A recording that version 0.1 took has the id that version 0.1 gave it, whatever its leads are called."""
    at = np.arange(2500)
    signals = [a_lead(name, samples=((at * (k + 3)) % 101 - 50) / 64.0) for k, name in enumerate(names)]
    found = assemble(signals, name="r")
    record = Record(samples=found.samples, fs=found.fs, leads=found.names, unit="mV", name="r")
    assert record.record_id == IDS_OF_VERSION_0_1[names]


def test_samples_stay_as_the_file_has_them():
    """Invalid samples are NaN with one bit pattern, an offset stays, a turned lead stays turned: only then is an id that of the file."""
    ramp = np.sin(np.arange(2500) / 40.0)
    holed = np.where(np.arange(2500) == 700, np.inf, ramp - 120.0)
    found = assemble([a_lead("DI"), a_lead("DII", samples=holed), a_lead("-aVR", samples=ramp)], name="r")
    assert found.names == ("I", "II", "-aVR")
    assert np.flatnonzero(np.isnan(found.samples)).tolist() == [2500 + 700]
    assert found.samples[1, 700:701].tobytes() == np.float32(np.nan).tobytes()
    np.testing.assert_allclose(np.delete(found.samples[1], 700), np.delete(ramp - 120.0, 700), rtol=1e-6)
    np.testing.assert_array_equal(found.samples[2], ramp.astype(np.float32))


def test_an_offset_is_no_amplitude():
    """The level is counted from the median; what version 0.1 took is taken still."""
    assert assemble([a_lead(samples=a_lead().samples + 299.0)], name="r").names == ("II",)
    assert assemble([a_lead(samples=np.r_[np.full(2000, -45.0), np.full(500, 45.0)])], name="r").names == ("II",)


def test_gaps_stay_where_they_are_at_another_rate():
    """A slower lead with a gap is resampled around it: neither does the gap spread nor is it filled."""
    slow = a_lead("I", fs=125.0)
    slow.samples[500:600] = np.nan
    found = assemble([slow, a_lead("II")], name="r")
    missing = np.flatnonzero(np.isnan(found.samples[0]))
    assert missing[[0, -1]] == pytest.approx([1000, 1199], abs=2)
    assert len(missing) == missing[-1] - missing[0] + 1


def test_two_other_limb_leads_stand_for_lead_ii():
    """Where lead II is missing or flat, any two other limb leads give it; one does not."""
    assert assemble([a_lead("I"), a_lead("aVF")], name="r").names == ("I", "aVF")
    assert assemble([a_lead("I"), a_lead("II", samples=np.zeros(2500)), a_lead("III")], name="r").names == ("I", "II", "III")
    with pytest.raises(BadInputError, match="lead II is needed, or two other limb leads; the signals are I, V1, V3R") as caught:
        assemble([a_lead("DI"), a_lead("V3R"), a_lead("ECG V1")], name="r")
    assert caught.value.reason is Reason.MISSING_LEAD


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
    with pytest.raises(BadInputError, match=r"lead V1 is sampled at 0\.2 Hz, another one at 250 Hz") as caught:
        assemble([a_lead(duration_s=20.0), a_lead("V1", **slow)], name="r")
    assert caught.value.reason is Reason.OUT_OF_RANGE


def test_size_is_bounded_after_resampling(monkeypatch):
    """Slow signals beside a fast one are held at the fast one's rate, and are counted so before memory is taken."""
    monkeypatch.setattr(leads, "MAX_VALUES", 7499)
    with pytest.raises(BadInputError, match="2,500 samples at 250 Hz in each of 3 signals; the limit is 7,499") as caught:
        assemble([a_lead(), a_lead("vx", fs=1.0), a_lead("vy", fs=1.0)], name="r")
    assert caught.value.reason is Reason.TOO_LARGE


def test_leads_at_odd_rates_end_together():
    """A ratio of large numbers is rounded, here to 31530/997, which may cost a long recording its last sample, but never all of it."""
    found = assemble([a_lead("I", fs=1_581.0, duration_s=20.0), a_lead("II", fs=49_999.0, duration_s=20.0)], name="r")
    assert found.samples.shape == (2, 20 * 49_999 - 1)
