"""Leads that contradict one another, copies, exchanged electrodes and amplitudes that no ECG has."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import wfdb

from ecg_tasks.signals.flags import SENTENCES, Flag, sentences
from ecg_tasks.signals.lead_checks import check_leads
from ecg_tasks.signals.preparing import prepare
from ecg_tasks.signals.recipes import RECIPES
from ecg_tasks.signals.record import STANDARD_LEADS, Record
from tests.signals.test_preparing import changed, only, recording

DATA = Path(__file__).parents[2] / "../shared/data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"there are no real recordings in {DATA}")
TWELVE, BEATS = RECIPES["twelve_lead"], RECIPES["heartbeat"]
ELECTRODES = {"RA and LA": ((-1, 0), (-1, 1)), "RA and LL": ((1, -1), (0, -1)), "turned": ((-1, 1), (-1, 0))}
"""I and II as they are recorded, from the true I and II, when electrodes are exchanged."""


@cache
def real(folder):
    """Twelve-lead recordings of a folder."""
    return tuple(_read(folder))


def _read(folder):
    spelled = {lead.lower(): lead for lead in STANDARD_LEADS}
    for header in sorted((DATA / folder).rglob("*.hea")):
        read = wfdb.rdrecord(str(header.with_suffix("")))
        rows = [read.sig_name.index(name) for name in read.sig_name if name.lower() in spelled]
        leads = tuple(spelled[read.sig_name[row].lower()] for row in rows)
        samples = np.ascontiguousarray(read.p_signal.T[rows], dtype=np.float32)
        yield Record(samples=samples, fs=float(read.fs), leads=leads, unit="mV", name=header.stem)


def checked(record):
    """What is found in a stored record's leads."""
    return check_leads([prepare(record)])[0]


def exchanged(record, how):
    """The record as it would be with limb electrodes exchanged."""
    first, second = np.array(ELECTRODES[how], np.float32) @ record.samples[:2]
    limb = np.stack([first, second, second - first, -(first + second) / 2, first - second / 2, second - first / 2])
    return replace(record, samples=np.concatenate([limb, record.samples[6:]]).astype(np.float32))


def test_leads_that_add_up_are_not_flagged():
    """A clean recording has nothing to be told of."""
    assert checked(recording()).flags == ()


@pytest.mark.parametrize("lead", STANDARD_LEADS[:6])
def test_a_turned_limb_lead_is_found_and_named(lead):
    """It contradicts the others; a recipe that rests on it does not decide."""
    record = recording()
    turned = changed(record, lead, -record.samples[record.leads.index(lead)])
    assert checked(turned) == type(checked(turned))(flags=(Flag.LEADS_CONTRADICT,), suspects=frozenset({lead}))
    assert (TWELVE.render([turned]).quality == 0).all()
    assert (BEATS.render([turned]).quality == 0).all() == (lead == "II")


@pytest.mark.parametrize("pair", [("I", "II"), ("II", "III"), ("aVR", "aVL"), ("II", "V1")])
def test_exchanged_leads_are_found(pair):
    """Two limb leads, or a limb lead and a chest lead, whose cables were exchanged."""
    record = recording()
    rows = [record.leads.index(lead) for lead in pair]
    samples = record.samples.copy()
    samples[rows] = samples[rows[::-1]]
    found = checked(replace(record, samples=samples))
    assert found.flags == (Flag.LEADS_CONTRADICT,)
    assert set(pair) & set(STANDARD_LEADS[:6]) <= found.suspects


def test_three_limb_leads_are_enough():
    """With I, II and III alone, no one can say which is turned: none is believed."""
    record = only(recording(), ("I", "II", "III"))
    assert checked(record).flags == ()
    assert checked(changed(record, "I", -record.samples[0])).suspects == {"I", "II", "III"}


def test_derived_leads_prove_nothing():
    """What was computed from two leads fits them by itself: it is not looked at."""
    record = only(recording(), ("I", "II", *STANDARD_LEADS[6:]))
    assert checked(changed(record, "II", -record.samples[1])).flags in ((), (Flag.SUSPECTED_REVERSAL,))


@pytest.mark.parametrize("lead", STANDARD_LEADS[:6])
def test_a_gap_in_one_limb_lead_contradicts_nothing(lead):
    """Four seconds are missing in one lead: the six before are judged, and a lead that is turned is found in them."""
    record = changed(recording(), lead, np.nan, at=slice(3000, None))
    assert (checked(record).flags, checked(record).suspects) == ((), frozenset())
    assert (TWELVE.render([record]).quality > TWELVE.min_quality).all()
    turned = changed(record, "II", -record.samples[1])
    assert checked(turned).suspects == {"II"}


def test_leads_whose_gaps_leave_nothing_in_common_are_no_copies():
    """What cannot be compared is looked at as it is."""
    record = changed(changed(recording(), "I", np.nan, at=slice(2600, None)), "aVL", np.nan, at=slice(2400))
    assert Flag.COPIED_LEAD not in checked(record).flags


def test_leads_of_differing_scale_are_told_and_judged():
    """Leads that were scaled one by one keep their shapes: the decision stands."""
    record = recording()
    scaled = replace(record, samples=record.samples / np.ptp(record.samples, axis=1, keepdims=True))
    found = checked(scaled)
    assert (found.flags, found.suspects) == ((Flag.LEADS_DISAGREE,), frozenset())


def test_a_copied_lead_is_found():
    """Two chest leads with one signal, up to rounding and an offset; lead II is not touched by it."""
    record = recording()
    copied = changed(record, "V2", np.round(record.samples[6], 3) + 0.2)
    found = checked(copied)
    assert (found.flags, found.suspects) == ((Flag.COPIED_LEAD,), frozenset({"V1", "V2"}))


@pytest.mark.parametrize(("factor", "is_told"), [(1, False), (5, True), (10, True)])
def test_an_ecg_many_times_too_large_is_told(factor, is_told):
    """A gain that is wrong by five or ten gives a flag, and no more."""
    record = recording(seed=4)
    found = checked(replace(record, samples=record.samples * np.float32(factor)))
    assert ((Flag.LARGE_AMPLITUDE in found.flags), found.suspects) == (is_told, frozenset())


def test_a_minute_is_looked_at():
    """A recording of an hour is checked as quickly as one of a minute: what comes later does not count."""
    record = recording(seconds=70.0, fs=100.0)
    assert checked(changed(record, "II", -record.samples[1, 6100:], at=slice(6100, None))).flags == ()


def test_every_flag_has_a_sentence():
    """Pages and the command line tell each flag in words; one from a later version is told by its name."""
    assert set(SENTENCES) == set(Flag)
    assert len(set(SENTENCES.values())) == len(Flag)
    assert sentences("noise,from_later") == [SENTENCES[Flag.NOISE], "from later"]


@needs_data
def test_real_recordings_are_believed():
    """Of 353 recordings of PTB-XL and 2 of PTB none is doubted; of LUDB, whose leads are scaled singly, none loses its decision."""
    for folder in ("ptbxl", "ptbdb"):
        doubted = {record.name: found.flags for record in real(folder) if (found := checked(record)).suspects}
        assert doubted == {}
    assert [record.name for record in real("ludb") if checked(record).suspects] == []


@needs_data
@pytest.mark.parametrize(("how", "share"), [("RA and LA", 0.8), ("RA and LL", 0.7), ("turned", 0.8)])
def test_exchanged_electrodes_are_found_in_real_recordings(how, share):
    """The chest leads foretell the limb leads: most exchanges that involve the right arm are found, in every third recording of PTB-XL."""
    found = [Flag.SUSPECTED_REVERSAL in checked(exchanged(record, how)).flags for record in real("ptbxl")[::3]]
    assert len(found) == 118
    assert np.mean(found) >= share
