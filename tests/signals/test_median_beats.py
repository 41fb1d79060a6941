"""The average beat: where it stands, what it drops, and that a window's does not depend on its neighbours."""

import numpy as np
import pytest
from scipy.signal import find_peaks

from ecg_tasks.errors import SignalError
from ecg_tasks.signals.median_beats import median_beats, without_wander

FS = 125.0
BEAT = {"fs": FS, "before_s": 0.32, "after_s": 0.64}
R = round(0.32 * FS)


def heart(r_peaks, *, height=1.0, n_samples=1250):
    """A lead with an R wave at these samples, and a T wave half as high 0.3 s after each."""
    at = np.arange(n_samples) - np.asarray(r_peaks)[:, None]
    return height * (np.exp(-0.5 * (at / 2) ** 2) + 0.5 * np.exp(-0.5 * ((at - 37) / 6) ** 2)).sum(axis=0)


def twelve(r_peaks, *, noise=0.0, seed=0):
    """Twelve leads of one heart, from upright to inverted."""
    return np.linspace(1.5, -1, 12)[:, None] * heart(r_peaks) + noise * np.random.default_rng(seed).normal(size=(12, 1250))


def test_the_r_peak_stands_where_it_was_asked_for():
    """In any rhythm the R peak is at ``before_s``, within 4 samples (a quarter of a QRS complex), and the T wave keeps its distance."""
    for r_peaks in (np.arange(60, 1200, 100), np.array([60, 140, 250, 330, 470, 560, 640, 760, 850, 960, 1080])):
        (beat,) = median_beats(twelve(r_peaks)[None], **BEAT)
        assert beat.shape == (12, R + round(0.64 * FS))
        assert abs(beat[0].argmax() - R) <= 4
        assert abs(beat[11].argmin() - R) <= 4
        (t_wave,) = find_peaks(beat[0], height=0.3, distance=20, prominence=0.3)[0][1:]
        assert t_wave - beat[0].argmax() == pytest.approx(37, abs=2)


def test_averaging_takes_noise_and_single_events_away():
    """Eleven beats under noise give a beat with less than half of it, and one odd beat among them hardly shows."""
    r_peaks = np.arange(60, 1200, 100)
    (clean,) = median_beats(twelve(r_peaks)[None], **BEAT)
    (noisy,) = median_beats(twelve(r_peaks, noise=0.05)[None], **BEAT)
    assert (noisy - clean).std() < 0.5 * 0.05
    odd = twelve(r_peaks)
    odd[:, 590:640] += 2 * np.hanning(50)
    (with_odd,) = median_beats(odd[None], **BEAT)
    assert np.abs(with_odd - clean).max() < 0.2


def test_wander_and_offset_do_not_show():
    """A slow swing of the baseline and a constant change the beat by less than a twentieth of them."""
    r_peaks = np.arange(60, 1200, 100)
    swing = 1 + np.sin(2 * np.pi * 0.15 * np.arange(1250) / FS)
    plain, swung = median_beats(np.stack([twelve(r_peaks), twelve(r_peaks) + swing]), **BEAT)
    assert np.abs(swung - plain).max() < 0.05


def test_waves_are_not_delayed():
    """A 10 Hz sine keeps its amplitude and phase within 1 % when wander is taken off."""
    sine = np.sin(2 * np.pi * 10 * np.arange(5000) / FS)
    assert without_wander(sine, fs=FS)[500:-500] == pytest.approx(sine[500:-500], abs=0.01)


def test_a_window_does_not_depend_on_its_neighbours():
    """Alone, first or last, a window has the same beat to the last bit."""
    windows = np.stack([twelve(np.arange(60, 1200, step), noise=0.05, seed=step) for step in (70, 100, 130)])
    together = median_beats(windows, **BEAT)
    for index, window in enumerate(windows):
        assert np.array_equal(median_beats(window[None], **BEAT)[0], together[index])
    assert np.array_equal(median_beats(windows[::-1], **BEAT), together[::-1])


def test_a_flat_window_gives_a_flat_beat():
    """No lead carries anything: no error, and nothing is made up; one dead lead among twelve stays flat."""
    assert not median_beats(np.zeros((1, 12, 1250)), **BEAT).any()
    windows = twelve(np.arange(60, 1200, 100))[None]
    windows[0, 3] = 0
    assert not median_beats(windows, **BEAT)[0, 3].any()
    assert median_beats(np.empty((0, 12, 1250)), **BEAT).shape == (0, 12, 120)


def test_a_window_shorter_than_a_beat_is_refused():
    """The message says how long a beat is."""
    with pytest.raises(SignalError, match=r"100 samples; .* takes 120"):
        median_beats(np.zeros((1, 12, 100)), **BEAT)
