"""What can be read off each recipe's picture."""

import numpy as np
import pytest

from ecg_tasks.signals.rendering import BeatSpectrogram, LeadSpectrograms, NotebookPicture
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
    )


def drawn(picture, samples, n_real=None):
    """What the network sees of them."""
    return picture.decode(picture.encode(windows(samples, n_real)))


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
    assert len(axes.channels) == picture.image_shape[2]
    if picture is not NOTEBOOK:  # whose spectrogram has been stretched
        assert (axes.freqs.size, axes.times.size) == picture.image_shape[:2]
    assert axes.freqs[0] == 0
    assert (np.diff(axes.freqs) > 0).all()


def test_a_lead_is_its_own_channel():
    """A sine in V3 alone shows in V3's channel alone."""
    samples = np.zeros((1, 12, 1250))
    samples[0, 8] = sine(20, 1, 1250)
    (image,) = drawn(LEADS, samples)
    assert LEADS.axes().channels[8] == "V3"
    assert image[..., 8].max() > 250
    assert np.delete(image, 8, axis=-1).max() == 0


@pytest.mark.parametrize(("amplitude_mv", "level_db"), [(1, 0), (0.1, -20), (0.01, -40)])
def test_a_grey_level_is_an_absolute_level(amplitude_mv, level_db):
    """A sine of known amplitude has the grey of its level re 1 mV, in the row of its frequency: no picture has its own range."""
    axes = LEADS.axes()
    freq = axes.freqs[10]
    (image,) = drawn(LEADS, np.tile(sine(freq, amplitude_mv, 1250), (1, 12, 1)))
    row = LEADS.image_shape[0] - 1 - 10  # the lowest frequency is the bottom row
    assert image.max() == image[row].max()
    expected = 255 * (level_db - axes.low_db) / (axes.high_db - axes.low_db)
    assert image[row] == pytest.approx(expected, abs=1)


def test_time_runs_from_left_to_right():
    """What happens in the last second shows in the columns of the last second."""
    samples = np.zeros((1, 12, 1250))
    samples[..., 1125:] = sine(20, 1, 125)
    (image,) = drawn(LEADS, samples)
    loud = (image > 128).any(axis=(0, 2))
    assert LEADS.axes().times[loud].min() > 8.5
    assert not loud[:60].any()


def test_heart_rate_does_not_show_in_a_beat():
    """Beats of one shape but of different length, and so with more or less padding, give the same picture."""
    shape = np.random.default_rng(1).uniform(0.1, 1, 187)
    lengths = [63, 64, 90, 120, 187]
    samples = np.stack([np.where(np.arange(187) < length, shape, 0) for length in lengths])[:, None]
    images = drawn(BEAT, samples, lengths)
    assert (images == images[0]).all()
    assert images.min() > 0


def test_frames_that_reach_into_the_padding_are_masked():
    """In a beat of 50 samples the frames that end later are 0, and no other is."""
    shape = np.random.default_rng(2).uniform(0.1, 1, 187)
    shape[50:] = 0
    (image,) = drawn(BEAT, shape[None, None], [50])
    last_s = BEAT.axes().times + BEAT.stft.frame_length / 2 / BEAT.fs
    assert np.array_equal((image == 0).all(axis=(0, 2)), last_s > 50 / 125 + 1e-9)
    assert np.array_equal((image == 0).any(axis=(0, 2)), last_s > 50 / 125 + 1e-9)


def test_a_beat_without_a_sample_is_all_masked():
    """A row of zeros gives a picture of zeros, not an error."""
    assert drawn(BEAT, np.zeros((1, 1, 187)), [0]).max() == 0


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
