"""Known intervals are measured, at any rate of sampling; what is not there is not measurable, and says why."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecg_tasks.signals import measurements
from ecg_tasks.signals.lead_names import STANDARD_LEADS
from ecg_tasks.signals.measurements import VALUES, Measurements, NotMeasurable, Rhythm, measure, reasons
from ecg_tasks.signals.record import Record
from ecg_tasks.signals.typical_beat import typical_beat, without_wander

pytestmark = pytest.mark.slow

LUDB = Path(__file__).parents[2] / "../shared/data/ludb/data"
P, QRS, T = (-0.2, -0.1), (-0.05, 0.05), (0.15, 0.36)
"""Begin and end of the waves, s from the R peak."""
PR_MS, QRS_MS, QT_MS = 135.0, 140.0, 440.0
"""What marks like those of LUDB's cardiologists say of it: 20 ms before the first and after the last movement of the QRS complex."""
_I_AND_AVF = {"I": (1.0, 0.0), "II": (0.5, 1.0), "III": (-0.5, 1.0), "aVR": (-0.75, -0.5), "aVL": (0.75, -0.5), "aVF": (0.0, 1.0)}
_CHEST = {"V1": -0.7, "V2": -0.4, "V3": 0.3, "V4": 0.9, "V5": 1.1, "V6": 0.8}


def hump(t, begin, end):
    """A wave that begins and ends at these seconds: a raised cosine, flat outside."""
    phase = np.clip((t - begin) / (end - begin), 0, 1)
    return (1 - np.cos(2 * np.pi * phase)) / 2


def heart(r_peaks, *, fs, seconds, p=0.12, qrs=1.0, t_wave=0.3, stretch=1.0):
    """One lead of beats with exact bounds, mV; ``qrs`` and ``stretch`` are height and length of all QRS complexes, or of each."""
    t = np.arange(round(seconds * fs)) / fs
    found = np.zeros(t.size)
    for at, longer, height in zip(r_peaks, *(np.broadcast_to(one, len(r_peaks)) for one in (stretch, qrs)), strict=True):
        found += p * hump(t, at + P[0], at + P[1]) + t_wave * hump(t, at + T[0], at + T[1])
        found += height * hump(t, at + QRS[0] * longer, at + QRS[1] * longer)
    return found


def recording(r_peaks=None, *, fs=500.0, seconds=10.0, axis_deg=50.0, noise=0.004, seed=0, **changes):
    """Twelve leads of that heart: limb leads of one axis that add up, chest leads from inverted to upright."""
    r_peaks = np.arange(0.5, seconds, 0.8) if r_peaks is None else r_peaks
    beat = heart(r_peaks, fs=fs, seconds=seconds, **changes)
    x, y = np.cos(np.radians(axis_deg)), np.sin(np.radians(axis_deg)) * 3**0.5 / 2
    weights = [i * x + avf * y for i, avf in _I_AND_AVF.values()] + list(_CHEST.values())
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=(8, beat.size)) * noise
    limb = np.array([i * drawn[0] + avf * drawn[1] for i, avf in _I_AND_AVF.values()])
    samples = np.array(weights)[:, None] * beat + np.concatenate([limb, drawn[2:]])
    return Record(samples=samples.astype(np.float32), fs=fs, leads=STANDARD_LEADS, unit="mV", name="a")


@pytest.mark.parametrize("fs", [1000.0, 500.0, 360.0, 250.0, 128.0, 100.0])
def test_known_intervals_are_found_at_every_rate(fs):
    """Within 8 ms of such marks, and of 500 Hz within 3 ms."""
    found, reference = measure(recording(fs=fs)), measure(recording())
    assert found.rate_bpm == pytest.approx(75, abs=0.5)
    assert found.pr_ms == pytest.approx(PR_MS, abs=8)
    assert found.qrs_ms == pytest.approx(QRS_MS, abs=8)
    assert found.qt_ms == pytest.approx(QT_MS, abs=8)
    assert found.rhythm == Rhythm.REGULAR
    assert found.why == {}
    for name in ("pr_ms", "qrs_ms", "qt_ms"):
        assert getattr(found, name) == pytest.approx(getattr(reference, name), abs=3), name
    assert found.axis_deg == pytest.approx(50, abs=3)


def test_a_longer_qrs_complex_is_measured_longer():
    """Half as long again: 50 ms more, within 10 ms."""
    longer = measure(recording(stretch=1.5))
    assert longer.qrs_ms - measure(recording()).qrs_ms == pytest.approx(50, abs=10)


def test_qtc_is_that_of_the_formulas():
    """At 75 beats a minute R-R is 0.8 s."""
    found = measure(recording())
    assert found.qtc_fridericia_ms == pytest.approx(found.qt_ms / 0.8 ** (1 / 3), rel=0.005)
    assert found.qtc_bazett_ms == pytest.approx(found.qt_ms / 0.8**0.5, rel=0.005)


@pytest.mark.parametrize("axis_deg", [-150.0, -60.0, 0.0, 90.0, 135.0, 180.0])
def test_the_axis_is_found_all_round(axis_deg):
    """Within 3 degrees, between -180 and 180."""
    found = measure(recording(axis_deg=axis_deg)).axis_deg
    assert -180 <= found <= 180
    assert abs((found - axis_deg + 180) % 360 - 180) < 3


def test_scale_of_single_leads_does_not_matter_to_intervals_but_to_the_axis():
    """Leads scaled singly, as in LUDB: intervals within 15 ms; limb leads that do not add up have no axis."""
    plain = recording()
    scales = np.random.default_rng(1).uniform(0.5, 2, size=(12, 1)).astype(np.float32)
    found, reference = measure(replace(plain, samples=plain.samples * scales)), measure(plain)
    for name in ("pr_ms", "qrs_ms", "qt_ms"):
        assert getattr(found, name) == pytest.approx(getattr(reference, name), abs=15), name
    assert np.isnan(found.axis_deg)
    assert found.why["axis_deg"] == NotMeasurable.LIMB_LEADS


def test_a_beat_of_another_shape_changes_nothing_but_the_intervals_beside_it():
    """Two extrasystoles, early, longer and upside down, among twelve beats: the same intervals, and still a regular rhythm."""
    r_peaks = np.arange(0.5, 10, 0.8)
    early = r_peaks.copy()
    early[[4, 8]] -= 0.2
    odd = np.ones(len(early))
    odd[[4, 8]] = 2.2
    found, reference = measure(recording(early, stretch=odd, qrs=np.where(odd > 1, -2.0, 1.0))), measure(recording())
    for name in ("rate_bpm", "pr_ms", "qrs_ms", "qt_ms"):
        assert getattr(found, name) == pytest.approx(getattr(reference, name), abs=6), name


def irregular(seconds=10.0):
    """R peaks as in atrial fibrillation."""
    at = np.cumsum(np.r_[0.5, np.random.default_rng(3).uniform(0.5, 1.1, 30)])
    return at[at < seconds - 0.5]


@pytest.mark.parametrize(("n_beats", "rhythm"), [(4, ""), (5, Rhythm.REGULAR)])
def test_the_rhythm_is_told_by_four_intervals(n_beats, rhythm):
    """Those of five beats; of fewer the rate is measured, and the rhythm is not."""
    found = measure(recording(1 + 1.6 * np.arange(n_beats)))
    assert found.rate_bpm == pytest.approx(37.5, abs=0.5)
    assert (found.rhythm, found.why) == (rhythm, {} if rhythm else {"rhythm": NotMeasurable.FEW_BEATS})


def test_atrial_fibrillation_has_no_pr_and_no_qtc():
    """Waves of 6 a second in place of P, and intervals of any length: rate, QRS and QT are measured all the same."""
    plain = recording(irregular(), p=0.0)
    waves = 0.03 * np.sin(2 * np.pi * 6.1 * np.arange(5000) / 500)
    found = measure(replace(plain, samples=(plain.samples + waves * np.linspace(0.3, 1, 12)[:, None]).astype(np.float32)))
    assert found.rhythm == Rhythm.IRREGULAR
    assert found.why["pr_ms"] == NotMeasurable.NO_P
    assert found.why["qtc_bazett_ms"] == found.why["qtc_fridericia_ms"] == NotMeasurable.IRREGULAR
    assert not np.isnan([found.rate_bpm, found.qrs_ms, found.qt_ms]).any()


def test_no_t_wave_no_qt():
    """A T wave that is lost in noise is not measurable, and so are QTc by both formulas."""
    found = measure(recording(t_wave=0.0, noise=0.02))
    assert found.why["qt_ms"] == found.why["qtc_bazett_ms"] == NotMeasurable.NO_T
    assert np.isnan(found.qt_ms)
    assert found.qrs_ms == pytest.approx(QRS_MS, abs=30)


def nothing(found: Measurements, reason: NotMeasurable) -> bool:
    """Whether nothing was measured, for this reason."""
    return set(found.why) == {*VALUES, "rhythm"} and set(found.why.values()) == {reason} and found.not_measurable == f"all:{reason}"


def test_what_has_no_beats_has_no_measurements():
    """A heartbeat row, a low rate, a short or flat recording, one beat, two beats, and noise."""
    assert nothing(
        measure(Record(samples=np.ones((1, 187), np.float32), fs=125.0, leads=("II",), unit="relative", name="a")), NotMeasurable.ONE_BEAT
    )
    assert nothing(measure(recording(fs=60.0)), NotMeasurable.LOW_RATE)
    assert nothing(measure(recording(seconds=4.0)), NotMeasurable.NO_STRETCH)
    assert nothing(measure(replace(recording(), samples=np.zeros((12, 5000), np.float32))), NotMeasurable.NO_STRETCH)
    assert nothing(measure(recording(np.array([5.0]))), NotMeasurable.FEW_BEATS)
    assert nothing(measure(recording(np.array([3.0, 6.0]))), NotMeasurable.FEW_BEATS)
    assert nothing(measure(recording(np.array([]), noise=0.1)), NotMeasurable.FEW_BEATS)


@pytest.mark.parametrize("fs", [100.0, 125.0, 250.0, 500.0, 1000.0])
@pytest.mark.parametrize("leads", [STANDARD_LEADS, ("II",)])
def test_a_recording_that_begins_flat_has_no_measurements(fs, leads):
    """No beats are made of rounding before the electrodes are on; recordings that are measured with it are measured all the same."""
    plain = recording(fs=fs)
    for level in (0.0, 1.5, -5.0, 49.0, np.linspace(-1, 1, len(leads))):
        late = recording(fs=fs, seconds=30.0)
        samples = late.samples[[STANDARD_LEADS.index(lead) for lead in leads]]
        samples[:, : round(12 * fs)] = np.broadcast_to(level, len(leads))[:, None]
        found, beside = measurements.measure_all([replace(late, samples=samples, leads=leads), plain])
        assert nothing(found, NotMeasurable.FEW_BEATS)
        assert beside.row == measure(plain).row


def test_a_lead_with_a_gap_is_left_out_and_not_its_seconds():
    """The beats of all ten seconds are measured in the other leads; where every lead has the gap, what is beside it is."""
    plain, reference = recording(), measure(recording())
    one, every = plain.samples.copy(), plain.samples.copy()
    one[7, 1000:4000] = every[:, 3500:4000] = np.nan
    found = measure(replace(plain, samples=one))
    for name in ("rate_bpm", "pr_ms", "qrs_ms", "qt_ms", "axis_deg"):
        assert getattr(found, name) == pytest.approx(getattr(reference, name), abs=3), name
    assert measure(replace(plain, samples=every)).rate_bpm == pytest.approx(75, abs=0.5)


def test_a_qrs_complex_that_goes_up_as_far_as_down_has_no_axis():
    """Its net area points nowhere; the intervals are measured all the same."""
    plain = recording(qrs=0.0)
    t, at = np.arange(5000) / 500, np.arange(0.5, 10, 0.8)
    both = sum(hump(t, one + QRS[0], one) - hump(t, one, one + QRS[1]) for one in at)
    weights = np.r_[[i * 0.6 + avf * 0.7 for i, avf in _I_AND_AVF.values()], [*_CHEST.values()]]
    found = measure(replace(plain, samples=(plain.samples + weights[:, None] * both).astype(np.float32)))
    assert found.why.get("axis_deg") == NotMeasurable.NO_NET
    assert np.isnan(found.axis_deg)
    assert found.qrs_ms == pytest.approx(QRS_MS, abs=30)


def test_five_seconds_are_enough():
    """The same intervals as of ten."""
    found, reference = measure(recording(seconds=5.0)), measure(recording())
    for name in ("pr_ms", "qrs_ms", "qt_ms"):
        assert getattr(found, name) == pytest.approx(getattr(reference, name), abs=10), name


def test_one_flat_and_one_noisy_lead_do_no_harm():
    """The other ten are measured."""
    plain, reference = recording(), measure(recording())
    spoilt = plain.samples.copy()
    spoilt[7] = 0
    spoilt[9] = np.random.default_rng(5).normal(size=5000)
    found = measure(replace(plain, samples=spoilt))
    for name in ("rate_bpm", "pr_ms", "qrs_ms", "qt_ms", "axis_deg"):
        assert getattr(found, name) == pytest.approx(getattr(reference, name), abs=8), name


def test_one_lead_has_intervals_and_no_axis():
    """Lead II alone."""
    plain = recording()
    found = measure(replace(plain, samples=plain.samples[1:2], leads=("II",)))
    assert found.qrs_ms == pytest.approx(QRS_MS, abs=30)
    assert found.why == {"axis_deg": NotMeasurable.LIMB_LEADS}


def test_missing_limb_leads_are_derived_for_the_axis():
    """I, II and the chest leads."""
    plain = recording()
    rows = [0, 1, *range(6, 12)]
    found = measure(replace(plain, samples=plain.samples[rows], leads=tuple(STANDARD_LEADS[row] for row in rows)))
    assert found.axis_deg == pytest.approx(50, abs=3)


def test_a_pacemakers_stimulus_begins_the_qrs_complex():
    """A spike of 2 ms, 40 ms before it: the QRS complex is longer by that, within 25 ms, and hardly so without the spike."""
    plain = recording(p=0.0)
    spiked = plain.samples.copy()
    at = np.rint((np.arange(0.5, 10, 0.8) - 0.09) * 500).astype(int)
    spiked[:, at] += np.linspace(-1.5, 2, 12, dtype=np.float32)[:, None]
    longer = measure(replace(plain, samples=spiked)).qrs_ms - measure(plain).qrs_ms
    assert longer == pytest.approx(22, abs=12)  # the mark of an ordinary QRS complex lies outside it by some 18 ms


def test_wander_is_taken_off_as_by_the_slow_filter():
    """Half a millivolt at 0.2 Hz: less than a twentieth is left, and 5 Hz stay."""
    t = np.arange(5000) / 500
    slow, fast = 0.5 * np.sin(2 * np.pi * 0.2 * t), 0.5 * np.sin(2 * np.pi * 5 * t)
    left = without_wander(np.stack([slow, slow + fast]).astype(np.float32), fs=500.0)[:, 750:-750]
    assert np.abs(left[0]).max() < 0.025
    assert np.abs(left[1] - left[0] - fast[750:-750]).max() < 0.02


def test_the_most_frequent_beats_are_typical():
    """Of twelve beats three are others: the R peaks are those of all."""
    odd = np.ones(12)
    odd[[2, 5, 8]] = 2.2
    beat = typical_beat(recording(stretch=odd, qrs=np.where(odd > 1, -2.0, 1.0)).samples, fs=500.0)
    assert beat.beats.shape[1] in {7, 8}  # the first and the last are not wholly inside
    assert len(beat.r_peaks_s) == 12
    assert beat.rr_s == pytest.approx(0.8, abs=0.004)


def test_every_reason_has_a_sentence():
    """What is stored can be told in words, one reason for all values too."""
    assert set(measurements.SENTENCES) == set(NotMeasurable)
    assert reasons("all:one_beat") == dict.fromkeys((*VALUES, "rhythm"), measurements.SENTENCES[NotMeasurable.ONE_BEAT])
    assert reasons("") == {}


@pytest.mark.skipif(not LUDB.is_dir(), reason="LUDB is not beside the checkout (shared/data/ludb)")
def test_ludbs_marks_are_met():
    """On the half that levels were fitted on: every marked recording is measured, and the mean absolute errors are those of the docs."""
    from research.measurements import FIGURES, HALVES, compare

    for gains in (False, True):
        found = compare(LUDB, HALVES["tune"], gains=gains)
        assert all(one.share_measured >= 0.9 for one in found.values())
        assert all(found[name].mean_absolute <= wanted for name, wanted in FIGURES.items()), {
            name: one.mean_absolute for name, one in found.items()
        }
