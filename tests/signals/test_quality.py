"""Quality falls as faults grow, and each fault is called by its name."""

import numpy as np
import pytest

from ecg_tasks.signals.clipping import clipped_share
from ecg_tasks.signals.quality import _LEADS_AT_ONCE, BeatQuality, Flag, RecordingQuality
from ecg_tasks.signals.windowing import Windows

FS = 125.0
RECORDING, BEAT = RecordingQuality(), BeatQuality()
T = np.arange(1250) / FS


def clean(n=4, seed=0):
    """Twelve leads in mV with a QRS and a T wave every 0.8 s and very little noise, shape (n, 12, 1250)."""
    rng = np.random.default_rng(seed)
    beat = np.exp(-((((T % 0.8) - 0.2) / 0.02) ** 2)) + 0.25 * np.exp(-((((T % 0.8) - 0.5) / 0.05) ** 2))
    gain = rng.uniform(0.5, 1.5, (n, 12, 1)) * rng.choice([-1, 1], (n, 12, 1))
    return gain * beat + 0.005 * rng.normal(size=(n, 12, 1250))


def clean_beats(n=4, seed=0):
    """Beats in [0, 1] with 30 samples of padding and very little noise, shape (n, 1, 187)."""
    rng = np.random.default_rng(seed)
    t = np.arange(187) / FS
    beat = 0.2 + 0.8 * np.exp(-((t / 0.03) ** 2)) + 0.2 * np.exp(-(((t - 0.3) / 0.05) ** 2))
    return np.where(np.arange(187) < 157, beat + 0.003 * rng.normal(size=(n, 1, 187)), 0)


def assessed(quality, samples, n_real=None):
    """Quality of samples (n, n_leads, n_samples)."""
    n, _, n_samples = samples.shape
    n_real = np.full(n, n_samples if n_real is None else n_real, np.int32)
    windows = Windows(
        samples=samples.astype(np.float32),
        record=np.arange(n),
        window=np.zeros(n, np.int32),
        start_s=np.zeros(n, np.float32),
        n_real=n_real,
        clipped=clipped_share(samples, n_real[:, None]),
    )
    return quality.assess(windows, fs=FS)


def clipped(samples, share):
    """Cut off at a share of each lead's extremes."""
    high, low = samples.max(axis=-1, keepdims=True), samples.min(axis=-1, keepdims=True)
    return np.clip(samples, low * (1 - share), high * (1 - share))


def standing_still(samples, share):
    """Held at one value for a share of the window."""
    n_held = round(share * samples.shape[-1])
    held = samples.copy()
    held[..., :n_held] = held[..., [n_held]]
    return held


def test_a_clean_recording_is_clean():
    """Nothing is flagged, and quality is close to 1."""
    quality = assessed(RECORDING, clean())
    assert quality.flags == [""] * 4
    assert quality.values.min() > 0.9
    assert quality.values.max() <= 1
    assert quality.values.dtype == np.float32


@pytest.mark.parametrize("kind", ["white", "mains", "muscle"])
@pytest.mark.parametrize("seed", range(5))
def test_quality_falls_as_noise_is_added(kind, seed):
    """White noise, 50 Hz mains and muscle bands, in ever larger amounts: each step is worse than the one before."""
    rng = np.random.default_rng(seed)
    noise = {
        "white": rng.normal(size=(4, 12, 1250)),
        "mains": np.broadcast_to(2**0.5 * np.sin(2 * np.pi * 50 * T + seed), (4, 12, 1250)),
        "muscle": np.fft.irfft(np.fft.rfft(rng.normal(size=(4, 12, 1250))) * (np.fft.rfftfreq(1250, 1 / FS) > 20), 1250),
    }[kind]
    steps = [assessed(RECORDING, clean(seed=seed) + amount * noise) for amount in (0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8)]
    assert (np.diff([step.values for step in steps], axis=0) < 0).all()
    assert steps[-1].values.max() < 0.5
    assert all(("mains" if kind == "mains" else "noise") in flags.split(",") for flags in steps[-1].flags)


@pytest.mark.parametrize(
    ("spoil", "amounts", "flag"),
    [
        (lambda x, a: x + a * np.sin(2 * np.pi * 0.2 * T), (0, 0.1, 0.3, 0.6, 1.5, 3), Flag.BASELINE_WANDER),
        (clipped, (0.3, 0.6, 0.9), Flag.CLIPPED),
        (standing_still, (0, 0.15, 0.3, 0.6, 0.9), Flag.FLAT),
    ],
    ids=["wander", "clipping", "standing still"],
)
def test_quality_falls_as_other_faults_grow(spoil, amounts, flag):
    """Each step is worse than the one before, and the last is flagged by its name and useless."""
    steps = [assessed(RECORDING, spoil(clean(), amount)) for amount in amounts]
    assert (np.diff([step.values for step in steps], axis=0) < 0).all()
    assert all(flag in flags.split(",") for flags in steps[-1].flags)
    assert all(flag not in flags.split(",") for flags in assessed(RECORDING, clean()).flags)
    assert steps[-1].values.max() < 0.5


def test_a_lead_that_is_off_costs_more_than_its_share():
    """One dead lead of twelve is flagged and takes more than a twelfth of the quality away; from the fourth on a window is useless."""
    samples = clean()
    values = [assessed(RECORDING, samples).values]
    for lead in (3, 7, 0, 11, 5):
        samples[:, lead] = 0.7
        found = assessed(RECORDING, samples)
        assert found.flags == ["lead_off"] * 4
        values.append(found.values)
    assert (np.diff(values, axis=0) < -1 / 12).all()
    assert values[3].min() > 0.5 > values[4].max()


def test_a_recording_without_any_signal_is_flat():
    """With all leads dead nothing is left, and the fault is called flat."""
    all_off = assessed(RECORDING, np.ones((1, 12, 1250)))
    assert (all_off.flags, all_off.values.tolist()) == (["flat"], [0])


def test_several_faults_are_all_named():
    """Flags are joined with commas, in one order."""
    samples = clean() + 2 * np.sin(2 * np.pi * 0.2 * T) + 0.4 * np.random.default_rng(0).normal(size=(4, 12, 1250))
    samples[:, 0] = 0
    assert assessed(RECORDING, samples).flags == ["baseline_wander,noise,lead_off"] * 4


def test_quality_of_beats_falls_as_noise_is_added():
    """Each step is worse than the one before; padding does not count as flat or clipped."""
    noise = np.random.default_rng(1).normal(size=(4, 1, 187))
    steps = [assessed(BEAT, clean_beats() + amount * noise, 157) for amount in (0, 0.03, 0.08, 0.2, 0.5)]
    assert steps[0].flags == [""] * 4
    assert steps[0].values.min() > 0.9
    assert (np.diff([step.values for step in steps], axis=0) < 0).all()
    assert steps[-1].flags == ["noise"] * 4


def test_a_clipped_and_a_flat_beat_are_named():
    """A beat that is cut off below the top of its T wave is clipped; one without any variation is flat and useless; so is an empty row."""
    assert assessed(BEAT, np.minimum(clean_beats(), 0.3), 157).flags == ["clipped"] * 4
    flat = np.where(np.arange(187) < 100, 0.5, 0)[None, None]
    for n_real in (100, 0):
        quality = assessed(BEAT, flat * (n_real > 0), n_real)
        assert (quality.flags, quality.values.tolist()) == (["flat"], [0])


def test_a_window_is_judged_by_itself():
    """What stands beside a window changes nothing of its quality, bit for bit."""
    samples = np.concatenate([clean(), clean() + np.random.default_rng(2).normal(size=(4, 12, 1250)), np.zeros((1, 12, 1250))])
    for windows in (samples, samples.reshape(-1, 1, 1250)):  # more of either than are assessed at once
        assert windows.shape[0] * windows.shape[1] > _LEADS_AT_ONCE
        together = assessed(RECORDING, windows)
        apart = [assessed(RECORDING, one[None]) for one in windows]
        assert np.array_equal(together.values, np.concatenate([one.values for one in apart]))
        assert together.flags == [flag for one in apart for flag in one.flags]
    beats = clean_beats(9)
    beat_values = np.concatenate([assessed(BEAT, one[None], 157).values for one in beats])
    assert np.array_equal(assessed(BEAT, beats, 157).values, beat_values)
