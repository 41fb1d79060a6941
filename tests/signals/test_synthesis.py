"""Synthetic hearts: the same from the same seed, consistent between leads, and neither trivial nor hopeless to tell apart."""

import numpy as np
import pytest
from scipy.signal import find_peaks
from scipy.stats import rankdata

from ecg_tasks.errors import SignalError
from ecg_tasks.labels import Label
from ecg_tasks.signals.record import STANDARD_LEADS
from ecg_tasks.signals.synthesis import TERRITORIES, draw_heart, synthesize

FS = 250.0


def a_recording(seed=0, *, label=Label.NORMAL, fs=FS, duration_s=10.0):
    """A heart and a recording of it."""
    rng = np.random.default_rng(seed)
    heart = draw_heart(rng, label=label)
    return heart, synthesize(heart, fs=fs, duration_s=duration_s, rng=rng)


def lead(samples, name):
    """One lead of a recording."""
    return samples[STANDARD_LEADS.index(name)]


def mean_beat(samples, *, fs=FS):
    """The average beat, from 0.25 s before the R peak to 0.45 s after it: shape (12, n_samples)."""
    slope = np.sqrt((np.diff(samples, axis=1) ** 2).sum(axis=0))
    peaks, _ = find_peaks(slope, height=0.5 * slope.max(), distance=round(0.35 * fs))
    before, after = round(0.25 * fs), round(0.45 * fs)
    inside = [peak for peak in peaks if before <= peak < samples.shape[1] - after]
    beat = np.mean([samples[:, peak - before : peak + after] for peak in inside], axis=0)
    return beat - beat[:, : round(0.04 * fs)].mean(axis=1, keepdims=True)


def test_shape_unit_and_range():
    """Twelve leads of 10 s in mV, finite, and no larger than an ECG is."""
    _, samples = a_recording()
    assert (samples.shape, samples.dtype) == ((12, 2500), np.float32)
    assert np.isfinite(samples).all()
    assert 0.5 < np.ptp(lead(samples, "II")) < 6


def test_same_seed_same_heart():
    """A seed decides everything; another makes another recording."""
    np.testing.assert_array_equal(a_recording(1)[1], a_recording(1)[1])
    assert not np.array_equal(a_recording(1)[1], a_recording(2)[1])


def test_leads_are_consistent():
    """Einthoven's and Goldberger's laws hold in every sample, noise included."""
    _, samples = a_recording()
    one, two = lead(samples, "I"), lead(samples, "II")
    np.testing.assert_allclose(lead(samples, "III"), two - one, atol=1e-5)
    np.testing.assert_allclose(lead(samples, "aVR"), -(one + two) / 2, atol=1e-5)
    np.testing.assert_allclose(lead(samples, "aVL"), one - two / 2, atol=1e-5)
    np.testing.assert_allclose(lead(samples, "aVF"), two - one / 2, atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_heart_rate_and_its_variation(seed):
    """The beats come at the heart's rate, and their intervals vary by some per cent, as a heart's do."""
    heart, samples = a_recording(seed, duration_s=60.0)
    slope = np.sqrt((np.diff(samples, axis=1) ** 2).sum(axis=0))
    peaks, _ = find_peaks(slope, height=0.5 * slope.max(), distance=round(0.35 * FS))
    intervals = np.diff(peaks) / FS
    assert 60 / intervals.mean() == pytest.approx(heart.rate_bpm, rel=0.05)
    assert 0.01 < intervals.std() / intervals.mean() < 0.10


def test_lead_two_of_a_healthy_heart_looks_like_one():
    """Averaged over healthy hearts, lead II has an upright P, a tall R and an upright T wave, and V1 a negative QRS complex."""
    beats = np.mean([mean_beat(a_recording(seed)[1]) for seed in range(20)], axis=0)
    two, v1 = lead(beats, "II"), lead(beats, "V1")
    r_peak = int(np.argmax(two))
    p_wave = two[: r_peak - round(0.08 * FS)].max()
    t_wave = two[r_peak + round(0.15 * FS) :].max()
    assert two[r_peak] > 0.7
    assert 0.03 < p_wave < t_wave < two[r_peak]
    assert v1.min() < -0.3


def test_infarct_has_a_place_and_a_grade():
    """An abnormal heart has a territory and a severity above 0, a normal one has neither."""
    abnormal = [a_recording(seed, label=Label.ABNORMAL)[0] for seed in range(60)]
    assert {heart.territory for heart in abnormal} == set(TERRITORIES)
    assert min(heart.severity for heart in abnormal) < 0.3
    assert max(heart.severity for heart in abnormal) > 0.8
    assert {(heart.territory, heart.severity) for heart in (a_recording(seed)[0] for seed in range(5))} == {("", 0.0)}


def test_classes_overlap_but_differ():
    """The best single number (distance of the T wave from the healthy mean) tells the classes apart well, and not perfectly."""
    beats = np.array([mean_beat(a_recording(seed, label=list(Label)[seed % 2])[1]) for seed in range(160)])
    is_abnormal = np.arange(160) % 2 == 1
    t_waves = beats[:, :, round(0.42 * FS) : round(0.62 * FS)].mean(axis=2)
    healthy = t_waves[~is_abnormal][::2]
    score = np.linalg.norm((t_waves - healthy.mean(axis=0)) / healthy.std(axis=0), axis=1)
    kept = np.r_[np.flatnonzero(is_abnormal), np.flatnonzero(~is_abnormal)[1::2]]
    ranks = rankdata(score[kept])
    n_abnormal, n_normal = is_abnormal.sum(), len(kept) - is_abnormal.sum()
    auroc = (ranks[:n_abnormal].sum() - n_abnormal * (n_abnormal + 1) / 2) / (n_abnormal * n_normal)
    assert 0.75 < auroc < 0.99


def test_impossible_wishes():
    """No heart is uninterpretable, and no recording has a rate or a length of 0."""
    rng = np.random.default_rng(0)
    with pytest.raises(SignalError, match="uninterpretable"):
        draw_heart(rng, label=Label.UNINTERPRETABLE)
    heart = draw_heart(rng, label=Label.NORMAL)
    for fs, duration_s in ((0, 10), (500, 0)):
        with pytest.raises(SignalError, match="above 0"):
            synthesize(heart, fs=fs, duration_s=duration_s, rng=rng)
