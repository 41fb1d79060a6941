"""Augmentation: each change does what it says and nothing else, and can be switched off."""

import numpy as np
import pytest

from ecg_tasks.errors import ConfigurationError
from ecg_tasks.learning.augmentation import NO_AUGMENTATION, Augmentation, Batch, augment

N, HEIGHT, WIDTH, CHANNELS = 40, 10, 20, 4


@pytest.fixture
def batch():
    """Random pictures without a zero, so that whatever is zero was blanked."""
    rng = np.random.default_rng(5)
    images = rng.integers(1, 256, (N, HEIGHT, WIDTH, CHANNELS), dtype=np.uint8)
    targets, weights = (np.arange(N) % 2).astype(np.float32), np.linspace(0.5, 1.5, N, dtype=np.float32)
    return Batch(images=images, targets=targets[:, None], weights=weights[:, None])


def _changed(batch, **params):
    return augment(batch, params=Augmentation(**params), rng=np.random.default_rng(1))


def test_off_means_untouched(batch):
    """Without any change the batch comes back equal, as a copy."""
    same = augment(batch, params=NO_AUGMENTATION, rng=np.random.default_rng(1))
    assert np.array_equal(same.images, batch.images)
    assert same.images is not batch.images


def test_a_shift_rotates_each_picture_by_whole_columns(batch):
    """Each picture is its own rotation along time, by no more than was allowed, and not all by the same."""
    images = _changed(batch, time_shift=0.25).images
    steps = []
    for before, after in zip(batch.images, images, strict=True):
        steps.append(next(step for step in range(-5, 6) if np.array_equal(np.roll(before, step, axis=1), after)))
    assert len(set(steps)) > 3


def test_a_frequency_mask_blanks_one_band_of_rows(batch):
    """Blank rows go through all columns and channels, stand together, and are at most the stated share."""
    blank = _changed(batch, frequency_mask=0.3).images == 0
    rows = blank.any(axis=(2, 3))
    assert (blank == rows[:, :, None, None]).all()
    assert 0 < rows.sum(axis=1).max() <= 3
    assert (np.abs(np.diff(rows.astype(int), axis=1, prepend=0, append=0)).sum(axis=1) <= 2).all()


def test_a_time_mask_blanks_one_stretch_of_columns(batch):
    """Blank columns go through all rows and channels, stand together, and are at most the stated share."""
    blank = _changed(batch, time_mask=0.2).images == 0
    columns = blank.any(axis=(1, 3))
    assert (blank == columns[:, None, :, None]).all()
    assert 0 < columns.sum(axis=1).max() <= 4
    assert (np.abs(np.diff(columns.astype(int), axis=1, prepend=0, append=0)).sum(axis=1) <= 2).all()


def test_lead_dropout_never_blanks_the_last_lead(batch):
    """Whole channels are blanked, but one is always left, even when nearly all are to go."""
    images = _changed(batch, lead_dropout=0.99).images
    kept = images.any(axis=(1, 2))
    assert (kept.sum(axis=1) >= 1).all()
    assert kept.sum() < kept.size / 2
    assert (images == batch.images * kept[:, None, None, :]).all()


def test_mixup_mixes_pictures_targets_and_weights_alike(batch):
    """One share, recovered from the targets' line, explains pictures, targets and weights."""
    flat = Batch(
        images=np.where(np.arange(N)[:, None, None, None] % 2, 200, 100) * np.ones_like(batch.images),
        targets=batch.targets,
        weights=batch.targets + 1,
    )
    mixed = _changed(flat, mixup=1.0)
    assert np.abs(mixed.images[:, 0, 0, 0] - (100 + 100 * mixed.targets[:, 0])).max() <= 0.5 + 1e-4
    assert mixed.weights == pytest.approx(mixed.targets + 1)
    assert ((mixed.targets > 0.05) & (mixed.targets < 0.95)).any()


def test_a_mixture_with_what_is_not_known_is_not_known(batch):
    """Of two outputs, the second is not known of every third picture: it counts nowhere where either of a pair is one of them."""
    known = np.arange(N) % 3 > 0
    targets = np.column_stack([batch.targets[:, 0], known.astype(np.float32)])
    weights = np.column_stack([np.ones(N), known]).astype(np.float32)
    two = Batch(images=batch.images, targets=targets, weights=weights)
    mixed = _changed(two, mixup=1.0)
    assert mixed.weights[:, 0] == pytest.approx(1)
    assert set(mixed.weights[:, 1].round(6).tolist()) == {0, 1}
    assert (mixed.weights[~known, 1] == 0).all()
    assert mixed.targets[mixed.weights[:, 1] > 0, 1] == pytest.approx(1)  # all that is known is of the class


def test_the_same_generator_gives_the_same_batch(batch):
    """Nothing is drawn from anywhere but the generator that is given."""
    every = {"time_shift": 0.2, "frequency_mask": 0.2, "time_mask": 0.2, "lead_dropout": 0.2, "mixup": 0.3}
    assert np.array_equal(_changed(batch, **every).images, _changed(batch, **every).images)


@pytest.mark.parametrize("name", ["time_shift", "frequency_mask", "time_mask", "lead_dropout", "mixup"])
def test_impossible_amounts_are_refused(name):
    """A negative amount is refused by its name."""
    with pytest.raises(ConfigurationError, match=name):
        Augmentation(**{name: -0.1})
