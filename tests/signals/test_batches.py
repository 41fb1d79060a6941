"""A shard at once gives each recording what it gets alone, to the last bit, whatever stands beside it and whatever was asked before."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from ecg_tasks.labels import CLASS_ORDER
from ecg_tasks.signals.beat_length import beat_lengths_s
from ecg_tasks.signals.clipping import NEAR, clipped_share
from ecg_tasks.signals.delineation import _heights, _Slopes, bounds
from ecg_tasks.signals.lead_checks import check_leads, leads_checked
from ecg_tasks.signals.measurements import measure, measure_all
from ecg_tasks.signals.preparing import prepare
from ecg_tasks.signals.recipes import RECIPES
from ecg_tasks.signals.record import STANDARD_LEADS, Record
from ecg_tasks.signals.synthesis import draw_heart, synthesize
from ecg_tasks.signals.typical_beat import typical_beat, typical_beats


def fresh(record: Record) -> Record:
    """Return the same recording, of which nothing is known yet."""
    return replace(record)


@pytest.fixture(scope="module")
def mixed() -> list[Record]:
    """Recordings of several rates and lengths: ordinary ones, and each with a fault."""
    rng = np.random.default_rng(8)
    found = []
    for at in range(24):
        fs, seconds = (500.0, 100.0, 250.0)[at % 3], (10.0, 10.0, 23.0, 7.0)[at % 4]
        heart = draw_heart(rng, label=CLASS_ORDER[at % 2])
        samples = synthesize(heart, fs=fs, duration_s=seconds, rng=rng).astype(np.float32)
        leads = STANDARD_LEADS
        if at % 8 == 1:
            samples[at % 12, 40 : 40 + round(0.3 * fs)] = np.nan
        elif at % 8 == 3:
            samples[3] = 0
        elif at % 8 == 5:
            samples, leads = samples[[1, 0, 7]], ("II", "I", "V2")
        elif at % 8 == 7:
            samples[6] = np.clip(samples[6], -0.2, 0.2)
        found.append(Record(samples=samples, fs=fs, leads=leads, unit="mV", name=f"recording {at}"))
    return found


@pytest.mark.parametrize("name", list(RECIPES))
def test_a_recording_is_drawn_as_it_is_alone(mixed, name):
    """Pictures, quality, flags and seconds that were read."""
    recipe = RECIPES[name]
    taken = [one for one in map(fresh, mixed) if recipe.accepts(one)]
    assert len(taken) > 4
    together = recipe.render(taken)
    for at, record in enumerate(taken):
        alone, rows = recipe.render([fresh(record)]), np.flatnonzero(together.record == at)
        assert [together.png[row] for row in rows] == alone.png
        assert [together.flags[row] for row in rows] == alone.flags
        assert [together.read[row] for row in rows] == alone.read
        assert together.quality[rows].tobytes() == alone.quality.tobytes()
        assert together.start_s[rows].tobytes() == alone.start_s.tobytes()


def test_leads_are_checked_as_they_are_alone(mixed):
    """Ordinary ones and those with faults, in one batch: a lead twice, two exchanged, and what is far too large."""
    faulty = []
    for at, rows in enumerate(([0, 1, 2, 3, 4, 5, 6, 6, 8, 9, 10, 11], [1, 0, *range(2, 12)], list(range(12)))):
        samples = mixed[0].samples[rows] * (20 if at == 2 else 1)
        faulty.append(replace(mixed[0], samples=samples))
    ready = [prepare(fresh(one)) for one in [*mixed, *faulty]]
    together = check_leads(ready)
    assert together == [check_leads([one])[0] for one in ready]
    assert all(found.flags for found in together[-3:])
    assert len({found.flags for found in together}) > 3


def test_shares_at_an_extreme_are_those_of_a_plain_count():
    """Of rows beyond those that are looked at together, of whole steps, of which not all samples count."""
    rows = np.round(np.random.default_rng(4).normal(size=(3, 250, 200)) * 2)
    rows[1, 7], rows[2, :, 50:90] = 1.0, 9.0
    n_real = np.random.default_rng(5).integers(0, 201, size=(3, 250))
    near = NEAR * np.ptp(rows, axis=2, keepdims=True)
    n_staying = np.zeros(n_real.shape)
    for extreme in (rows >= rows.max(axis=2, keepdims=True) - near, rows <= rows.min(axis=2, keepdims=True) + near):
        counted = extreme & (np.arange(200) < n_real[..., None])
        n_staying += (counted[..., 2:] & counted[..., 1:-1] & counted[..., :-2]).sum(axis=2)
    assert np.array_equal(clipped_share(rows, n_real), (n_staying / np.maximum(n_real, 1)).astype(np.float32))


def test_beats_are_as_long_as_they_are_alone(mixed):
    """Recordings of one rate and length are filtered together; a second question is answered from the first."""
    records = [*map(fresh, mixed), Record(samples=np.ones((1, 187), np.float32), fs=125.0, leads=("II",), unit="relative", name="row")]
    together = beat_lengths_s(records)
    assert together.tobytes() == np.concatenate([beat_lengths_s([fresh(one)]) for one in records]).tobytes()
    assert beat_lengths_s(records[::-1]).tobytes() == together[::-1].tobytes()


def test_what_is_known_of_a_recording_is_what_would_be_found(mixed):
    """Whatever was prepared and checked before, and for which leads: nothing depends on the order of questions."""
    for record in map(fresh, mixed):
        prepare(record, leads=("II",))
        for leads in (STANDARD_LEADS, ("II",), ("aVR", "V1")):
            again, first = prepare(record, leads=leads), prepare(fresh(record), leads=leads)
            assert np.array_equal(again.record.samples, first.record.samples)
            assert (again.stored_s, again.silent, again.derived, again.interpolated) == (
                first.stored_s,
                first.silent,
                first.derived,
                first.interpolated,
            )
        assert leads_checked([record]) == leads_checked([record]) == check_leads([prepare(fresh(record))])
    assert replace(record).known == {}


def test_a_recording_is_measured_as_it_is_alone(mixed):
    """Intervals, rhythm, and why something is not measurable."""
    row = Record(samples=np.ones((1, 187), np.float32), fs=125.0, leads=("II",), unit="relative", name="row")
    together = measure_all([*map(fresh, mixed), row])
    assert [repr(one.row) for one in together] == [repr(measure(fresh(one)).row) for one in [*mixed, row]]
    assert sum(one.rate_bpm > 0 for one in together) > len(mixed) / 2


def test_a_typical_beat_is_the_one_that_is_found_alone():
    """Whatever number of beats the others have; one lead is noise, one recording has too few beats, and one beat is another's."""
    rng = np.random.default_rng(5)
    hearts = [draw_heart(rng, label=CLASS_ORDER[at % 2]) for at in range(12)]
    samples = np.stack([synthesize(heart, fs=250.0, duration_s=10.0, rng=rng).astype(np.float32) for heart in hearts])
    samples[1, 4] = rng.normal(size=2500)
    samples[2, :, 600:] = 0.001 * rng.normal(size=1900)
    samples[3, :, 1000:1250] = samples[4, ::-1, 1000:1250]
    together = typical_beats(list(samples), fs=250.0)
    assert together[2] is None
    assert len({beat.beats.shape for beat in together if beat}) > 2
    for beat, one in zip(together, samples, strict=True):
        alone = typical_beat(one, fs=250.0)
        assert (beat is None) == (alone is None)
        for name in ("leads", "r_peaks_s", "beats", "median") if beat else ():
            assert np.array_equal(getattr(beat, name), getattr(alone, name))
    found = [beat for beat in together if beat]
    assert bounds(found) == [bounds([beat])[0] for beat in found]
    assert any(len(beat.leads) < 12 for beat in found)


@pytest.mark.parametrize("part", [(0, 280), (60, 151), (0, 97), (115, 400)])
def test_slopes_are_those_of_scipys_filter(part):
    """The weights of the derivative are kept, and give what SciPy gives of the whole beat to the last bit, at its ends too.

    A beat may have fewer leads.
    """
    leads = np.random.default_rng(3).normal(size=(3, 12, 280)).astype(np.float32)
    leads[1, 7:] = 0
    slopes = _Slopes(leads, np.array([12, 7, 12]), fs=250.0, part=part)
    for smooth_s in (0.006, 0.014, 0.032):
        expected = (gaussian_filter1d(leads.astype(np.float64), smooth_s * 250.0, axis=2, order=1) * 250.0)[:, :, slice(*part)]
        assert np.array_equal(slopes.leads(smooth_s), expected)
        for row, n_leads in enumerate((12, 7, 12)):
            assert np.array_equal(slopes.together(smooth_s)[row], np.sqrt((expected[row, :n_leads] ** 2).mean(axis=0)))


def test_heights_are_those_of_each_part_alone():
    """Parts of several lengths, smoothed as SciPy smooths each by itself, which goes on at its ends as in a mirror."""
    median = np.random.default_rng(4).normal(size=(3, 12, 280)).astype(np.float32)
    begin, end = np.array([3, 40, 60]), np.array([20, 99, 84])
    found = _heights(median, begin, end, width=2.5, n_leads=np.array([12, 12, 12]))
    for row, (first, last) in enumerate(zip(begin, end, strict=True)):
        smooth = gaussian_filter1d(median[row, :, first : last + 1], 2.5, axis=1)
        line = np.linspace(0, 1, smooth.shape[1], dtype=np.float32)
        apart = smooth - smooth[:, :1] * (1 - line) - smooth[:, -1:] * line
        assert np.array_equal(found[row, : len(line)], np.sqrt((apart**2).mean(axis=0)).astype(np.float64))
