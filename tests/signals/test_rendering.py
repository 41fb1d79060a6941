"""What can be read off each recipe's picture."""

import numpy as np
import pytest

from ecg_tasks.signals.rendering import BeatSpectrogram, LeadSpectrograms, NotebookPicture, SignScale
from ecg_tasks.signals.windowing import Windows

BEAT, LEADS, NOTEBOOK = BeatSpectrogram(), LeadSpectrograms(), NotebookPicture()


def windows(samples, n_real=None):
    """Windows of samples (n, n_leads, n_samples)."""
    n, _, n_samples = samples.shape
    return Windows(
        samples=samples.astype(np.float32),
        record=np.arange(n),
        window=np.zeros(n, np.int32),
        start_s=np.zeros(n, np.float32),
        n_real=np.full(n, n_samples, np.int32) if n_real is None else np.array(n_real, np.int32),
        clipped=np.zeros(samples.shape[:2], np.float32),
    )


def drawn(picture, samples, n_real=None):
    """What the network sees of them."""
    return picture.decode(picture.encode(windows(samples, n_real)))


def bumps(delay_s=0.0, width_s=0.02):
    """Ten seconds at 125 Hz with a bump of 1 every 0.8 s, as narrow as an R wave unless told otherwise."""
    since_r = (np.arange(1250) / 125 - 0.4 - delay_s) % 0.8
    return np.exp(-0.5 * (np.minimum(since_r, 0.8 - since_r) / width_s) ** 2)


def sine(freq, amplitude, n_samples):
    """A sine at ``freq`` Hz, sampled at 125 Hz."""
    return amplitude * np.sin(2 * np.pi * freq * np.arange(n_samples) / 125)


@pytest.mark.parametrize("picture", [BEAT, LEADS, NOTEBOOK], ids=lambda picture: type(picture).__name__)
def test_shapes_and_axes_agree(picture):
    """The decoded picture has the promised shape, and the axes have a value for each row, column and channel of a spectrogram."""
    n_leads, n_samples = (12, 1250) if picture is LEADS else (1, 187)
    images = drawn(picture, np.random.default_rng(0).uniform(0, 1, (3, n_leads, n_samples)))
    assert images.shape == (3, *picture.image_shape)
    assert images.dtype == np.uint8
    axes = picture.axes()
    assert len(axes.channels) == picture.image_shape[2] // (1 if picture is NOTEBOOK else 2)  # the other half carries signs
    if picture is not NOTEBOOK:  # whose spectrogram has been stretched
        assert (axes.freqs.size, axes.times.size) == picture.image_shape[:2]
    assert axes.freqs[0] == 0
    assert (np.diff(axes.freqs) > 0).all()


def test_a_lead_is_its_own_channel():
    """Beats in V3 alone show in V3's level and sign alone."""
    samples = np.zeros((1, 12, 1250))
    samples[0, 8] = bumps()
    (image,) = drawn(LEADS, samples)
    assert LEADS.axes().channels[8] == "V3"
    levels, signs = image[..., :12], image[..., 12:]
    assert levels[..., 8].max() > 150
    assert np.delete(levels, 8, axis=-1).max() == 0
    assert (signs[..., 8] != 128).any()
    assert (np.delete(signs, 8, axis=-1) == 128).all()


@pytest.mark.parametrize(("amplitude", "level_db"), [(1, 0), (0.1, -20), (0.01, -40)])
def test_a_grey_level_is_an_absolute_level(amplitude, level_db):
    """A sine of known amplitude has the grey of its level re full scale, in the row of its frequency: no picture has its own range."""
    axes = BEAT.axes()
    freq = axes.freqs[4]
    (image,) = drawn(BEAT, (0.5 + sine(freq, amplitude, 187))[None, None])
    row = BEAT.image_shape[0] - 1 - 4  # the lowest frequency is the bottom row
    inner = image[:, 4:, 0]  # frames without the repeated first sample
    assert inner.max() == inner[row].max()
    expected = 255 * (level_db - axes.low_db) / (axes.high_db - axes.low_db)
    assert inner[row] == pytest.approx(expected, abs=1)


def test_twice_the_voltage_is_six_db_more():
    """The leads' levels are absolute too: doubling a recording lifts every grey inside the range by 6 dB."""
    axes = LEADS.axes()
    samples = np.tile(bumps(), (1, 12, 1))
    once, twice = (drawn(LEADS, samples * factor)[..., :12].astype(float) for factor in (0.25, 0.5))
    inside = (once > 0) & (twice < 255)
    assert inside.sum() > 100
    assert (twice - once)[inside] == pytest.approx(255 * 20 * np.log10(2) / (axes.high_db - axes.low_db), abs=1.01)


def test_upside_down_shows_in_the_sign_alone():
    """A recording and its mirror image have the same levels and opposite signs."""
    samples = np.tile(bumps(), (1, 12, 1))
    upright, inverted = drawn(LEADS, samples).astype(int), drawn(LEADS, -samples).astype(int)
    assert np.array_equal(upright[..., :12], inverted[..., :12])
    assert np.array_equal(upright[..., 12:] - 128, 128 - inverted[..., 12:])
    assert upright[..., 12:].max() > 200


def test_the_sign_scale_is_a_logarithm_beyond_its_knee():
    """0, the top and beyond, and half-way in the logarithm have their greys, on both sides."""
    scale = SignScale(knee=0.1, top=9.9)  # 1 + top / knee = 100
    assert scale.grey(np.array([0, 9.9, -9.9, 50, -50, 0.9, -0.9])).tolist() == [128, 255, 1, 255, 1, 192, 64]


def test_what_follows_the_r_peak_shows_to_its_right():
    """The R peak is loudest at time 0, and a T wave 0.3 s later around 0.3 s."""
    axes = LEADS.axes()
    at_8_hz = LEADS.image_shape[0] - 1 - 1
    r_alone, r_and_t = (
        drawn(LEADS, np.tile(each, (1, 12, 1)))[0, at_8_hz, :, 0].astype(int) for each in (bumps(), bumps() + bumps(0.3, 0.03) / 2)
    )
    assert abs(axes.times[r_alone.argmax()]) < 0.07
    assert axes.times[(r_and_t - r_alone).argmax()] == pytest.approx(0.3, abs=0.07)


def test_heart_rate_does_not_show_in_a_beat():
    """Beats of one shape but of different length, and so with more or less padding, give the same picture."""
    shape = np.random.default_rng(1).uniform(0.1, 1, 187)
    lengths = [63, 64, 90, 120, 187]
    samples = np.stack([np.where(np.arange(187) < length, shape, 0) for length in lengths])[:, None]
    images = drawn(BEAT, samples, lengths)
    assert (images == images[0]).all()
    assert images[..., 0].min() > 0


def test_frames_that_reach_into_the_padding_are_masked():
    """In a beat of 50 samples the frames that end later have level 0 and no sign, and no other has level 0."""
    shape = np.random.default_rng(2).uniform(0.1, 1, 187)
    shape[50:] = 0
    (image,) = drawn(BEAT, shape[None, None], [50])
    last_s = BEAT.axes().times + BEAT.stft.frame_length / 2 / BEAT.fs
    padded = last_s > 50 / 125 + 1e-9
    assert np.array_equal((image[..., 0] == 0).all(axis=0), padded)
    assert np.array_equal((image[..., 0] == 0).any(axis=0), padded)
    assert (image[:, padded, 1] == 128).all()


def test_a_beat_without_a_sample_is_all_masked():
    """A row of zeros gives levels of zero without a sign, not an error."""
    image = drawn(BEAT, np.zeros((1, 1, 187)), [0])
    assert image[..., 0].max() == 0
    assert (image[..., 1] == 128).all()


def test_an_offset_of_a_beat_does_not_show():
    """A beat's zero is the lowest value of ten seconds, which is chance: moving it leaves the picture as it is."""
    beat = np.random.default_rng(3).uniform(0.1, 0.6, (1, 1, 187)).astype(np.float32)
    first, moved = (drawn(BEAT, beat + offset).astype(int) for offset in (0.0, 0.25))
    assert np.abs(first - moved).max() <= 1


def test_the_notebooks_picture_is_scaled_down_bilinearly():
    """Each pixel the network sees lies between the four it is made from, where half-pixel centres put it, rounded."""
    from ecg_tasks.signals.pictures import decode_rgb

    samples = np.random.default_rng(3).uniform(0, 1, (2, 1, 187))
    pngs = NOTEBOOK.encode(windows(samples))
    full = decode_rgb(pngs, shape=NOTEBOOK.png_shape).astype(float)
    for axis in (1, 2):
        at = np.clip((np.arange(256) + 0.5) * full.shape[axis] / 256 - 0.5, 0, full.shape[axis] - 1)
        below = np.floor(at).astype(int)
        share = (at - below).reshape([-1 if each == axis else 1 for each in range(4)])
        above = np.minimum(below + 1, full.shape[axis] - 1)
        full = full.take(below, axis) * (1 - share) + full.take(above, axis) * share
    assert NOTEBOOK.decode(pngs) == pytest.approx(full, abs=1.01)


def test_the_notebook_never_sees_what_follows_the_first_second():
    """Samples after the 125th change nothing: that is what the other recipes are for."""
    samples = np.random.default_rng(4).uniform(0, 1, (1, 1, 187))
    changed = samples.copy()
    changed[..., 125:] = 0
    assert NOTEBOOK.encode(windows(samples)) == NOTEBOOK.encode(windows(changed))


def test_the_notebook_loses_the_level():
    """Twice the amplitude gives the same picture: each has its own range."""
    samples = np.random.default_rng(5).uniform(0, 1, (1, 1, 187))
    assert np.array_equal(drawn(NOTEBOOK, samples), drawn(NOTEBOOK, 2 * samples))
