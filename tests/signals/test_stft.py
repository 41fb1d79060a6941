"""The transform against SciPy's ShortTimeFFT, an independent implementation, and against the sum that defines it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import ShortTimeFFT, get_window

from ecg_tasks.errors import SignalError
from ecg_tasks.signals.stft import StftParams, stft_magnitude_db

PARAMS = [
    StftParams(n_fft=125, hop_length=64, window="boxcar", floor_db=-np.inf),
    StftParams(n_fft=64, hop_length=16, window="hann", floor_db=-120.0, scaling="amplitude"),
    StftParams(n_fft=64, win_length=16, hop_length=1, window="hann", floor_db=-120.0, scaling="amplitude"),
    StftParams(n_fft=33, win_length=7, hop_length=5, window="boxcar", floor_db=-200.0, scaling="amplitude"),
]


@pytest.mark.parametrize("params", PARAMS, ids=str)
def test_agrees_with_scipy(params):
    """Every frame equals the slice of SciPy's ShortTimeFFT that starts at the same sample."""
    signal = np.random.default_rng(0).normal(size=700)
    weights = get_window(params.window, params.frame_length, fftbins=True)
    if params.scaling == "amplitude":
        weights = weights * 2 / weights.sum()
    scipy_stft = ShortTimeFFT(weights, hop=params.hop_length, fs=125, mfft=params.n_fft, phase_shift=None)
    expected = np.abs(scipy_stft.stft(signal, p0=0, p1=params.n_frames(700), k_offset=scipy_stft.m_num_mid))
    level_db = stft_magnitude_db(signal, params=params)
    assert level_db == pytest.approx(np.maximum(20 * np.log10(expected), params.floor_db), abs=1e-6)
    assert params.freqs(fs=125) == pytest.approx(scipy_stft.f)


@pytest.mark.parametrize("params", PARAMS, ids=str)
def test_agrees_with_the_defining_sum(params):
    """One bin of one frame equals the sum of samples times weights times a complex exponential, at every frequency."""
    signal = np.random.default_rng(1).normal(size=400)
    frame = min(2, params.n_frames(400) - 1)
    at = frame * params.hop_length + np.arange(params.frame_length)
    weights = get_window(params.window, params.frame_length)
    scale = 2 / weights.sum() if params.scaling == "amplitude" else 1
    for bin_ in range(params.n_freqs):
        turned = np.exp(-2j * np.pi * bin_ * np.arange(params.frame_length) / params.n_fft)
        expected = 20 * np.log10(abs((signal[at] * weights * scale * turned).sum()))
        assert stft_magnitude_db(signal, params=params)[bin_, frame] == pytest.approx(max(expected, params.floor_db), abs=1e-6)


def test_a_sine_reads_its_amplitude_at_its_frequency_and_time():
    """A sine of 0.1 mV at 20 Hz in the last second reads -20 dB there, and nothing else comes near."""
    params = StftParams(n_fft=100, hop_length=50, window="hann", floor_db=-90.0, scaling="amplitude")
    t = np.arange(1250) / 125
    level_db = stft_magnitude_db(np.where(t >= 9, 0.1 * np.sin(2 * np.pi * 20 * t), 0), params=params)
    bin_, frame = np.unravel_index(level_db.argmax(), level_db.shape)
    assert params.freqs(fs=125)[bin_] == 20
    assert params.times(1250, fs=125)[frame] == pytest.approx(9.6)
    assert level_db.max() == pytest.approx(-20, abs=1e-6)
    assert (level_db[:, params.times(1250, fs=125) < 8.6] == -90).all()


@settings(deadline=None)
@given(
    frame_length=st.integers(2, 40),
    padding=st.integers(0, 30),
    n_extra=st.integers(0, 90),
    batch=st.lists(st.integers(1, 3), max_size=2),
    data=st.data(),
)
def test_shape_follows_from_the_parameters(frame_length, padding, n_extra, batch, data):
    """The shape is (..., n_fft // 2 + 1, 1 + (n_samples - frame_length) // hop_length), and freqs and times match it."""
    params = StftParams(
        n_fft=frame_length + padding,
        win_length=frame_length,
        hop_length=data.draw(st.integers(1, frame_length)),
        window=data.draw(st.sampled_from(["boxcar", "hann"])),
        floor_db=-100.0,
    )
    n_samples = frame_length + n_extra
    level_db = stft_magnitude_db(np.ones((*batch, n_samples), np.float32), params=params)
    assert level_db.shape == (*batch, (frame_length + padding) // 2 + 1, 1 + n_extra // params.hop_length)
    assert level_db.shape[-2:] == (params.freqs(fs=125).size, params.times(n_samples, fs=125).size)
    assert level_db.dtype == np.float32


@pytest.mark.parametrize("params", PARAMS, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_batch_equals_its_rows_bit_for_bit(params, dtype):
    """What stands beside a window changes nothing of it."""
    signals = np.random.default_rng(2).normal(size=(37, 3, 187)).astype(dtype)
    together = stft_magnitude_db(signals, params=params)
    apart = np.array([[stft_magnitude_db(lead, params=params) for lead in window] for window in signals])
    assert np.array_equal(together, apart)


def test_exact_zeros_fall_to_the_floor():
    """Silence reads the floor, which may be minus infinity, and no warning is given."""
    silence = np.zeros(125)
    assert (stft_magnitude_db(silence, params=PARAMS[0]) == -np.inf).all()
    assert (stft_magnitude_db(silence, params=PARAMS[1]) == -120).all()


@pytest.mark.parametrize(
    ("signal", "said"),
    [
        (np.zeros(124), "124 samples; one frame takes 125"),
        (np.full(200, np.nan), "not finite"),
        (np.r_[np.zeros(199), np.inf], "not finite"),
        (np.zeros(200, np.int16), "int16"),
    ],
)
def test_signals_that_cannot_be_transformed_are_refused(signal, said):
    """The message names what is wrong and its value."""
    with pytest.raises(SignalError, match=said):
        stft_magnitude_db(signal, params=PARAMS[0])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"n_fft": 1}, "1 samples"),
        ({"win_length": 65}, "65 samples"),
        ({"hop_length": 0}, "hop_length=0"),
        ({"hop_length": 65}, "hop_length=65"),
        ({"win_length": 16, "hop_length": 17}, r"1\.\.16"),
    ],
)
def test_impossible_parameters_are_refused(changed, said):
    """Parameters are checked where they are made, and the message carries the value."""
    with pytest.raises(SignalError, match=said):
        StftParams(**({"n_fft": 64, "hop_length": 16, "window": "hann", "floor_db": -100.0} | changed))
