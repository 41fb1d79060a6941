"""Stored recordings made ready: what is derived, turned, filled and padded, and what of it is told."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from ecg_tasks.labels import Label
from ecg_tasks.signals.limb_leads import LIMB_LEADS
from ecg_tasks.signals.preparing import Stretch, prepare, seconds_read
from ecg_tasks.signals.recipes import RECIPES
from ecg_tasks.signals.record import STANDARD_LEADS, Record
from ecg_tasks.signals.synthesis import draw_heart, synthesize

TWELVE, BEATS = RECIPES["twelve_lead"], RECIPES["heartbeat"]


def recording(*, seconds=10.0, fs=500.0, seed=0):
    """Twelve leads of a person who does not exist; the limb leads add up."""
    rng = np.random.default_rng(seed)
    samples = synthesize(draw_heart(rng, label=Label.NORMAL), fs=fs, duration_s=seconds, rng=rng).astype(np.float64)
    first, second = samples[0], samples[1]
    samples[2:6] = second - first, -(first + second) / 2, first - second / 2, second - first / 2
    return Record(samples=samples.astype(np.float32), fs=fs, leads=STANDARD_LEADS, unit="mV", name="r")


def only(record, leads, *, names=None):
    """The record with these leads alone, under other names where they are given."""
    rows = [record.leads.index(lead) for lead in leads]
    return replace(record, samples=np.ascontiguousarray(record.samples[rows]), leads=tuple(names or leads))


def changed(record, lead, values, *, at=slice(None)):
    """The record with other samples in a part of a lead."""
    samples = record.samples.copy()
    samples[record.leads.index(lead), at] = values
    return replace(record, samples=samples)


def flags(recipe, record):
    """All flags that a recipe tells of a record."""
    return {flag for text in recipe.render([record]).flags for flag in text.split(",") if flag}


@pytest.mark.parametrize("seconds", [10.0, 12.5, 30.0])
def test_an_ordinary_recording_is_left_alone(seconds):
    """It is the same object, so its pictures are those of version 0.1, bit for bit."""
    record = recording(seconds=seconds)
    assert prepare(record).record is record


def test_nothing_that_is_made_enters_the_id():
    """The stored record keeps its samples and its id, however much was done to make it ready."""
    record = only(recording(seconds=9.95), ("I", "II", "V1"), names=("DI", "DII", "V1"))
    record = changed(record, "DII", np.nan, at=slice(100, 105))
    before = record.samples.copy()
    fresh = replace(record).record_id
    BEATS.render([record])
    np.testing.assert_array_equal(record.samples, before)
    assert record.record_id == fresh != prepare(record).record.record_id


@pytest.mark.parametrize("pair", list(combinations(LIMB_LEADS, 2)))
def test_any_two_limb_leads_give_the_others(pair):
    """Einthoven's and Goldberger's equations, solved for whichever two there are."""
    whole = recording()
    ready = prepare(only(whole, (*pair, *STANDARD_LEADS[6:])))
    assert ready.record.leads == STANDARD_LEADS
    assert set(ready.derived) == set(LIMB_LEADS) - set(pair)
    np.testing.assert_allclose(ready.record.samples, whole.samples, atol=2e-5)


def test_eight_leads_are_judged_as_twelve():
    """The pictures are those of the twelve leads, and it is told."""
    whole = recording()
    eight = only(whole, ("I", "II", *STANDARD_LEADS[6:]))
    assert TWELVE.accepts(eight)
    rendered = TWELVE.render([eight])
    apart = TWELVE.decode(rendered.png).astype(int) - TWELVE.decode(TWELVE.render([whole]).png).astype(int)
    assert np.abs(apart).max() <= 1
    assert flags(TWELVE, eight) == flags(TWELVE, whole) | {"derived_leads"}


def test_a_turned_lead_is_turned_and_told():
    """-aVR gives the pictures of aVR."""
    whole = recording()
    names = [f"-{lead}" if lead == "aVR" else lead for lead in STANDARD_LEADS]
    turned = replace(changed(whole, "aVR", -whole.samples[3]), leads=tuple(names))
    np.testing.assert_array_equal(prepare(turned).record.samples, whole.samples)
    assert TWELVE.render([turned]).png == TWELVE.render([whole]).png
    assert "turned_lead" in flags(TWELVE, turned)


def test_old_names_are_understood_too():
    """A record that was stored under names that version 0.1 did not understand is judged by all its leads."""
    whole = recording()
    stored = replace(whole, leads=tuple(lead if lead == "II" else f"ECG {lead}" for lead in STANDARD_LEADS))
    assert TWELVE.render([stored]).png == TWELVE.render([whole]).png


@pytest.mark.parametrize(("n_samples", "is_filled"), [(1, True), (20, True), (21, False)])
def test_gaps_of_up_to_forty_milliseconds_are_filled(n_samples, is_filled):
    """At 500 Hz that is 20 samples; a longer gap costs the seconds around it."""
    record = recording()
    holed = changed(record, "V6", np.nan, at=slice(2000, 2000 + n_samples))
    ready = prepare(holed)
    assert ready.interpolated == (("V6",) if is_filled else ())
    assert set(ready.gaps) == (set() if is_filled else {"V6"})
    told = flags(TWELVE, holed)
    assert ("interpolated" in told, "gap" in told) == (is_filled, not is_filled)
    line = np.linspace(record.samples[-1, 1999], record.samples[-1, 2000 + n_samples], n_samples + 2)
    np.testing.assert_allclose(ready.record.samples[-1, 1999 : 2001 + n_samples], line, atol=1e-6)


def test_a_longer_gap_costs_its_window_alone():
    """Of thirty seconds the ten with the gap are lost, and the seconds read say so."""
    record = changed(recording(seconds=30.0), "II", np.nan, at=slice(6000, 6100))
    whole = recording(seconds=30.0)
    for recipe in (TWELVE, BEATS):
        rendered = recipe.render([record])
        assert set((rendered.start_s // 10).astype(int)) == {0, 2}
        assert set(rendered.read) == {"0-10 and 20-30 of 30 s"}
        assert flags(recipe, record) >= {"gap", "partly_read"}
    kept = TWELVE.render([whole]).png
    assert TWELVE.render([record]).png == [kept[0], kept[2]]


def test_a_gap_in_one_lead_costs_nothing_of_the_others():
    """Beats come from lead II: what V6 lacks does not matter to them."""
    record = recording(seconds=20.0)
    holed = changed(record, "V6", np.nan, at=slice(1000, 2000))
    assert BEATS.render([holed]).png == BEATS.render([record]).png
    assert len(TWELVE.render([holed])) == 1


def test_the_longest_stretch_is_read_where_no_window_is_whole():
    """Ten seconds with a gap at eight are judged by the first eight."""
    holed = changed(recording(), "V6", np.nan, at=slice(4000, 4100))
    assert TWELVE.accepts(holed)
    rendered = TWELVE.render([holed])
    assert rendered.read == ["0-8 of 10 s"]
    assert {"gap", "short", "partly_read"} <= flags(TWELVE, holed)
    cut = TWELVE.render([replace(holed, samples=recording().samples[:, :4000])])
    assert np.abs(TWELVE.decode(rendered.png).astype(int) - TWELVE.decode(cut.png).astype(int)).mean() < 1


@pytest.mark.parametrize("lost", ["missing", "flat", "invalid"])
def test_a_lost_chest_lead_costs_its_recipe_alone(lost):
    """Without V3 there are no twelve leads, and the beats of lead II are what they were."""
    record = recording()
    if lost == "missing":
        without = only(record, [lead for lead in STANDARD_LEADS if lead != "V3"])
    else:
        without = changed(record, "V3", 0.3 if lost == "flat" else np.nan)
    assert not TWELVE.accepts(without)
    assert BEATS.accepts(without)
    assert BEATS.render([without]).png == BEATS.render([record]).png
    assert ("lead_off" in flags(BEATS, without)) == (lost != "missing")


def test_a_lost_limb_lead_is_derived():
    """A flat or invalid limb lead is computed from two others, lead II as well."""
    record = recording()
    for spoilt in (changed(record, "II", 0.0), changed(record, "II", np.nan)):
        ready = prepare(spoilt)
        assert (ready.derived, ready.silent) == (("II",), frozenset())
        np.testing.assert_allclose(ready.record.samples[1], record.samples[1], atol=1e-5)
        assert TWELVE.accepts(spoilt)


@pytest.mark.parametrize("leads", [("II",), ("I", "II", "V1")])
@pytest.mark.parametrize("lost", [(), ("II",), ("II", "aVF")])
def test_leads_that_are_wanted_are_prepared_as_all_are(leads, lost):
    """With gaps short and long, a turned lead and a short end; no other lead is computed."""
    record = recording(seconds=9.95)
    record = changed(record, "I", np.nan, at=slice(100, 110))
    record = changed(record, "III", np.nan, at=slice(4000, 4100))
    names = ["-aVR" if lead == "aVR" else lead for lead in STANDARD_LEADS if lead not in lost]
    record = only(record, [lead for lead in STANDARD_LEADS if lead not in lost], names=names)
    some, every = prepare(record, leads=leads), prepare(record)
    assert set(some.derived) <= set(leads) <= set(some.record.leads)
    for lead in leads:
        np.testing.assert_array_equal(*(one.record.samples[one.record.leads.index(lead)] for one in (some, every)))
        np.testing.assert_array_equal(*(one.gaps.get(lead, np.zeros(1)) for one in (some, every)))
    assert (some.stored_s, some.is_padded) == (every.stored_s, every.is_padded)
    assert some.stretches(leads, fs=125.0) == every.stretches(leads, fs=125.0)
    assert some.flags(leads, some.stretches(leads, fs=125.0)) == every.flags(leads, every.stretches(leads, fs=125.0))


@pytest.mark.parametrize(("seconds", "is_padded"), [(9.98, True), (9.9, True), (9.88, False)])
def test_a_hundredth_short_is_padded(seconds, is_padded):
    """Up to one sample in a hundred is held to the end; what is shorter is judged as it is, and both are told."""
    record = recording(seconds=seconds)
    ready = prepare(record)
    assert ready.is_padded == is_padded
    assert ready.record.n_samples == (5000 if is_padded else record.n_samples)
    assert np.ptp(ready.record.samples[:, record.n_samples - 1 :], axis=1).max() == 0
    for recipe in (TWELVE, BEATS):
        assert recipe.accepts(record)
        told = flags(recipe, record)
        assert ("padded" in told, "short" in told) == (is_padded, not is_padded)
        assert set(recipe.render([record]).read) == {f"0-{seconds:g} of {seconds:g} s"}


@pytest.mark.parametrize("seconds", [5.0, 6.5, 8.0])
def test_five_seconds_and_more_are_judged(seconds):
    """The average beat is much that of ten seconds; the beats of lead II end inside what there is."""
    whole, part = recording(seconds=10.0), replace(recording(), samples=recording().samples[:, : round(500 * seconds)])
    assert TWELVE.accepts(part)
    apart = TWELVE.decode(TWELVE.render([part]).png).astype(int) - TWELVE.decode(TWELVE.render([whole]).png).astype(int)
    assert np.abs(apart).mean() < 10
    rendered = BEATS.render([part])
    assert len(rendered) >= 3
    assert (rendered.start_s < seconds).all()
    assert (rendered.quality >= BEATS.min_quality).all()


def test_too_few_beats_leave_the_twelve_leads_out():
    """The average beat of a short recording takes four beats; with fewer, the beats of lead II decide."""
    rng = np.random.default_rng(1)
    slow = replace(draw_heart(rng, label=Label.NORMAL), rate_bpm=42.0)
    record = Record(samples=synthesize(slow, fs=500.0, duration_s=5.0, rng=rng), fs=500.0, leads=STANDARD_LEADS, unit="mV", name="r")
    assert not TWELVE.accepts(record)
    assert BEATS.accepts(record)


def test_less_than_five_seconds_are_not_judged():
    """Neither recipe takes them."""
    record = replace(recording(), samples=recording().samples[:, :2400])
    assert not TWELVE.accepts(record)
    assert not BEATS.accepts(record)


def test_an_end_without_any_lead_is_no_gap():
    """Seconds in which every lead is invalid up to the end are as if the recording ended before."""
    record = recording()
    samples = record.samples.copy()
    samples[:, 4960:] = np.nan
    ready = prepare(replace(record, samples=samples))
    assert (ready.gaps, ready.is_padded, ready.stored_s) == ({}, True, 9.92)


def test_what_is_left_at_the_end_is_told():
    """Of 25 s twenty are judged."""
    rendered = TWELVE.render([recording(seconds=25.0)])
    assert rendered.read == ["0-20 of 25 s"] * 2
    assert all("partly_read" in text.split(",") for text in rendered.flags)
    assert "partly_read" not in TWELVE.render([recording(seconds=20.0)]).flags[0]


def test_an_offset_changes_no_picture():
    """Offsets of 120 mV, as amplifiers with a direct input have, one a lead."""
    record = recording()
    offset = replace(record, samples=record.samples + np.linspace(-120, 120, 12, dtype=np.float32)[:, None])
    for recipe in (TWELVE, BEATS):
        plain, shifted = recipe.render([record]), recipe.render([offset])
        apart = recipe.decode(plain.png).astype(int) - recipe.decode(shifted.png).astype(int)
        assert np.abs(apart).max() <= 3
        np.testing.assert_allclose(plain.quality, shifted.quality, atol=0.01)


def test_seconds_in_words():
    """Neighbouring windows are one stretch, and no end lies behind the recording's."""
    found = seconds_read([Stretch(start_s=0, length_s=10), Stretch(start_s=20, length_s=10)], stored_s=29.98)
    assert found == "0-10 and 20-29.98 of 29.98 s"
