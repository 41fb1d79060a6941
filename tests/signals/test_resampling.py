"""Resampling keeps what a lower rate can hold, and nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg_tasks.errors import SignalError
from ecg_tasks.signals.resampling import resample

RATES = [1000.0, 500.0, 360.0, 250.0, 100.0]


def component(signal, *, fs, frequency):
    """The complex amplitude of a sine in a signal, by least squares: its size and its phase."""
    angle = 2 * np.pi * frequency * np.arange(signal.size) / fs
    basis = np.column_stack([np.cos(angle), np.sin(angle), np.ones_like(angle)])
    cosine, sine, _ = np.linalg.lstsq(basis, signal, rcond=None)[0]
    return complex(cosine, -sine)


@pytest.mark.parametrize("fs", RATES)
@pytest.mark.parametrize("phase", [0.0, 1.0, np.pi / 2, 4.0])
def test_sine_of_10_hz_keeps_amplitude_and_phase(fs, phase):
    """From 1000, 500, 360, 250 and 100 Hz to 125 Hz a sine at 10 Hz changes by less than 1 % in amplitude and in phase."""
    times = np.arange(round(10 * fs)) / fs
    resampled = resample(2.0 * np.cos(2 * np.pi * 10 * times + phase), fs=fs, target_fs=125.0)
    assert resampled.shape == (1250,)
    found = component(resampled.astype(np.float64), fs=125.0, frequency=10.0)
    assert abs(found) == pytest.approx(2.0, rel=0.01)
    assert abs(np.angle(found * np.exp(-1j * phase))) < 0.01 * 2 * np.pi
    assert abs(found - 2.0 * np.exp(1j * phase)) < 0.01 * 2.0  # both at once, so that neither hides behind the other


@pytest.mark.parametrize("fs", RATES)
def test_every_sample_lies_on_the_sine(fs):
    """Away from the ends each sample is that of the sine itself at the new times, within 1 % of its amplitude."""
    resampled = resample(np.sin(2 * np.pi * 10 * np.arange(round(10 * fs)) / fs), fs=fs, target_fs=125.0)
    expected = np.sin(2 * np.pi * 10 * np.arange(1250) / 125)
    np.testing.assert_allclose(resampled[50:-50], expected[50:-50], atol=0.01)


def test_what_the_new_rate_cannot_hold_is_removed():
    """A hum at 100 Hz, above 62.5 Hz, is damped a hundredfold instead of folding down to 25 Hz."""
    resampled = resample(np.sin(2 * np.pi * 100 * np.arange(5000) / 500), fs=500, target_fs=125)
    assert np.abs(resampled[50:-50]).max() < 0.01


@pytest.mark.parametrize("fs", RATES)
def test_offset_makes_no_step_at_the_ends(fs):
    """A constant, however large, stays that constant to its first and last sample."""
    np.testing.assert_allclose(resample(np.full(round(10 * fs), 40.0), fs=fs, target_fs=125), 40.0, rtol=1e-5)


def test_leads_are_resampled_each_by_itself():
    """Only the last axis is time; every other one is kept."""
    signals = np.random.default_rng(0).standard_normal((2, 3, 500))
    resampled = resample(signals, fs=500, target_fs=125)
    assert (resampled.shape, resampled.dtype) == ((2, 3, 125), np.float32)
    np.testing.assert_array_equal(resampled[1, 2], resample(signals[1, 2], fs=500, target_fs=125))


def test_same_rate_is_a_copy():
    """Nothing changes at the same rate, and the caller's array is not handed back."""
    signal = np.arange(5, dtype=np.float32)
    same = resample(signal, fs=125, target_fs=125)
    np.testing.assert_array_equal(same, signal)
    assert not np.shares_memory(same, signal)


@given(st.integers(0, 400), st.sampled_from([*RATES, 128.0, 257.0, 977.5]))
def test_length_follows_from_the_rates(n_samples, fs):
    """The result lasts as long as the signal did, to the next whole sample."""
    assert resample(np.ones(n_samples), fs=fs, target_fs=125).size == int(np.ceil(round(n_samples * 125 / fs, 6)))


@pytest.mark.parametrize("rates", [(0, 125), (125, 0), (-1, 125), (np.nan, 125), (np.inf, 125), (1e6, 1), (1, 1e6)])
def test_impossible_rates(rates):
    """A rate that is none, or too far from the other, is a fault of the caller."""
    with pytest.raises(SignalError, match="Hz"):
        resample(np.ones(10), fs=rates[0], target_fs=rates[1])
