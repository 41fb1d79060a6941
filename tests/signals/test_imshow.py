"""The notebook's picture against matplotlib itself, pixel for pixel: 205 pictures are drawn both ways."""

import io

import cv2
import matplotlib as mpl
import numpy as np
import PIL.Image
import pytest

from ecg_tasks.errors import SignalError
from ecg_tasks.signals import imshow
from ecg_tasks.signals.rendering import NOTEBOOK_STFT
from ecg_tasks.signals.stft import stft_magnitude_db

N_FREQS = 63


def drawn_by_matplotlib(level_db):
    """The PNG that the notebook's own calls write."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    with mpl.rc_context(mpl.rcParamsDefault):
        figure = plt.figure()
        plt.imshow(level_db, cmap="magma", origin="lower", aspect="auto")
        plt.axis("off")
        file = io.BytesIO()
        figure.savefig(file, format="png", bbox_inches="tight", pad_inches=0, dpi=100)
        plt.close(figure)
    return file.getvalue()


def pixels(png):
    """RGB as OpenCV reads it."""
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR_RGB)


def assert_same_picture(level_db):
    """Ours has the pixels of matplotlib's, as OpenCV and as Pillow read them."""
    (ours,) = imshow.encode_imshow(level_db[None])
    theirs = drawn_by_matplotlib(level_db)
    assert np.array_equal(pixels(ours), pixels(theirs))
    assert np.array_equal(*(np.asarray(PIL.Image.open(io.BytesIO(png)).convert("RGBA")) for png in (ours, theirs)))


def signal(kind, n_samples, seed):
    """A window of one kind, made from its seed."""
    rng = np.random.default_rng(seed)
    t = np.arange(n_samples) / 125
    beat = np.exp(-(((t % 0.8) / 0.03) ** 2)) + 0.3 * np.exp(-((((t % 0.8) - 0.3) / 0.05) ** 2))
    match kind:
        case "beat":
            return beat + 0.02 * rng.normal(size=n_samples)
        case "padded beat":
            return np.where(t < rng.uniform(0.5, 0.9), beat, 0.0)
        case "noise":
            return rng.normal(size=n_samples) * 10 ** rng.uniform(-6, 6)
        case "constant":
            return np.full(n_samples, rng.normal())
        case "impulse":
            return np.eye(n_samples)[rng.integers(n_samples)]
        case "zeros":
            return np.zeros(n_samples)
    raise AssertionError(kind)


def test_the_version_held_against_is_the_one_that_is_stated():
    """The module says which matplotlib its pixels are equal to: the one installed here."""
    assert f"matplotlib {mpl.__version__}" in imshow.__doc__


def test_the_colour_map_is_matplotlibs():
    """All 256 colours of magma are matplotlib's."""
    assert np.array_equal(imshow.MAGMA, mpl.colormaps["magma"](np.arange(256), bytes=True)[:, :3])


@pytest.mark.parametrize("kind", ["beat", "padded beat", "noise", "constant", "impulse", "zeros"])
def test_one_frame_is_drawn_as_matplotlib_draws_it(kind):
    """Twenty windows of each kind, 187 samples long, which give one frame."""
    for seed in range(20):
        level_db = stft_magnitude_db(signal(kind, 187, seed), params=NOTEBOOK_STFT)
        assert level_db.shape == (N_FREQS, 1)
        assert_same_picture(level_db)


@pytest.mark.parametrize("kind", ["beat", "padded beat", "noise", "constant", "zeros"])
@pytest.mark.parametrize("n_frames", [2, 3, 4, 5, 7, 19, 64, 149, 165])
def test_many_frames_are_drawn_as_matplotlib_draws_them(kind, n_frames):
    """Cells of more than 3 pixels are drawn as they are, and columns of exact zeros stay white."""
    level_db = stft_magnitude_db(signal(kind, 125 + 64 * (n_frames - 1), n_frames), params=NOTEBOOK_STFT)
    assert level_db.shape == (N_FREQS, n_frames)
    assert_same_picture(level_db)


@pytest.mark.parametrize("kind", ["beat", "padded beat", "noise", "zeros"])
@pytest.mark.parametrize("n_frames", [166, 248, 311, 496, 700])
def test_small_cells_are_smoothed_as_matplotlib_smooths_them(kind, n_frames):
    """From 166 frames on matplotlib smooths, but where a cell is exactly one or two pixels wide (496 and 248 frames)."""
    assert_same_picture(stft_magnitude_db(signal(kind, 125 + 64 * (n_frames - 1), n_frames), params=NOTEBOOK_STFT))


@pytest.mark.parametrize("n_frames", [1, 4, 5, 60, 200, 248])
def test_scattered_exact_zeros_are_drawn_as_matplotlib_draws_them(n_frames):
    """Levels of minus infinity are white, or fade to it where cells are smoothed; a lone finite level has the first colour."""
    rng = np.random.default_rng(n_frames)
    level_db = rng.normal(size=(N_FREQS, n_frames))
    level_db[rng.random(level_db.shape) < 0.1] = -np.inf
    assert_same_picture(level_db)
    assert_same_picture(np.where(level_db == level_db.max(), level_db, -np.inf))


@pytest.mark.parametrize(("n_freqs", "n_frames"), [(1, 1), (2, 130), (33, 75), (123, 3), (124, 3), (370, 20), (129, 200), (500, 496)])
def test_other_shapes_are_drawn_as_matplotlib_draws_them(n_freqs, n_frames):
    """Nothing depends on there being 63 frequencies."""
    assert_same_picture(np.random.default_rng(n_freqs).normal(size=(n_freqs, n_frames)))


@pytest.mark.parametrize("n_frames", [1, 9, 180])
def test_a_batch_equals_its_pictures_one_by_one(n_frames):
    """Each picture has its own range of levels, whatever stands beside it."""
    level_db = np.random.default_rng(3).normal(size=(5, N_FREQS, n_frames)) * np.arange(5)[:, None, None]
    level_db[2, 10] = -np.inf
    assert imshow.encode_imshow(level_db) == [imshow.encode_imshow(one[None])[0] for one in level_db]


@pytest.mark.parametrize("level_db", [np.zeros((63, 1)), np.zeros((1, 63, 0)), np.zeros((1, 63, 1), np.float32)])
def test_what_is_no_batch_of_spectrograms_is_refused(level_db):
    """The message names the shape and the type."""
    with pytest.raises(SignalError, match="levels are"):
        imshow.encode_imshow(level_db)
