"""The labelled windows that training takes: what is refused, and what each counts."""

import numpy as np
import pytest

from ecg_tasks.errors import NotEnoughDataError, SignalError
from ecg_tasks.learning.dataset import NOT_KNOWN, TrainingSet, rotating_folds


def _make(labels, records, changed=None):
    arrays = {"images": np.zeros((len(labels), 4, 5, 1), np.uint8), "labels": np.array(labels, np.uint8), "records": np.array(records)}
    return TrainingSet(**(arrays | (changed or {})))


def test_every_record_counts_the_same():
    """Three windows of one record weigh as much together as the single window of another."""
    weights = _make([0, 0, 0, 1], [7, 7, 7, 3]).weights(balance=False)
    assert weights[:3].sum() == pytest.approx(weights[3])
    assert weights.mean() == pytest.approx(1)


def test_balanced_classes_count_the_same():
    """With balance, one abnormal record weighs as much as three normal ones."""
    weights = _make([0, 0, 0, 1], [1, 2, 3, 4]).weights(balance=True)
    assert weights[:3].sum() == pytest.approx(weights[3])


def test_record_labels_follow_record_index():
    """The label of a window's record is the window's own, whatever the order of the windows."""
    windows = _make([1, 0, 1, 0], [9, 2, 9, 5])
    assert windows.record_labels.tolist() == [0, 0, 1]
    assert windows.record_labels[windows.record_index].tolist() == [1, 0, 1, 0]


def test_one_class_is_not_enough():
    """A set without a normal record cannot train anything."""
    with pytest.raises(NotEnoughDataError, match="2 abnormal among 2 records"):
        _make([1, 1], [0, 1])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"images": np.zeros((2, 4, 5, 1), np.float32)}, "uint8"),
        ({"images": np.zeros((2, 4, 5), np.uint8)}, "shape"),
        ({"records": np.array([0])}, "2 images"),
        ({"labels": np.array([0, 2], np.uint8)}, "labels must be 0"),
        ({"records": np.array([4, 4])}, "different labels"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changed, message):
    """Wrong types, shapes, labels, and a record with two labels are told apart."""
    with pytest.raises(SignalError, match=message):
        _make([0, 1], [0, 1], changed)


def test_a_subset_shares_the_pictures():
    """Labels, records and pictures of a subset, and of a subset of that, are those of the windows chosen; no picture is copied."""
    images = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 5, 1), np.uint8)
    windows = _make([0, 1, 0, 1, 0, 1], [0, 1, 2, 3, 4, 5], {"images": images})
    part = windows.subset(np.array([False, True, True, False, True, True])).subset(np.array([True, True, False, True]))
    assert part.records.tolist() == [1, 2, 5]
    assert part.labels.tolist() == [1, 0, 1]
    assert part.pictures(np.array([0, 2]))[:, 0, 0, 0].tolist() == [1, 5]
    assert part.pictures(slice(None))[:, 0, 0, 0].tolist() == [1, 2, 5]
    assert part.images is windows.images
    assert len(part) == 3


def test_folds_rotate_over_patients():
    """Every member is stopped on another tenth of the patients, with all their records; one without a patient is never held out."""
    buckets = np.append(np.arange(1000), -1)
    labels = (buckets // 10 % 2).astype(np.uint8)
    folds = rotating_folds(np.tile(labels, 2), np.tile(buckets, 2), ensemble_size=5, held_out=np.zeros(2002, bool))
    assert [fold.sum() for fold in folds] == [200] * 5
    assert np.sum(folds, axis=0).max() == 1
    assert all(set(np.tile(buckets, 2)[fold] % 10) == {member} for member, fold in enumerate(folds))


def test_members_become_fewer_where_a_fold_would_lack_a_class():
    """Two abnormal patients a fold are needed; with hardly any, a single member is left with the validation split."""
    buckets = np.arange(20)
    held_out = buckets > 15
    labels = (buckets // 4 % 2).astype(np.uint8)
    assert len(rotating_folds(labels, buckets, ensemble_size=5, held_out=held_out)) == 2
    few = (buckets == 3).astype(np.uint8)
    assert rotating_folds(few, buckets, ensemble_size=5, held_out=held_out) == [held_out]


def _with_classes(labels, classes, records=None, names=("MI", "CD")):
    records = range(len(labels)) if records is None else records
    return _make(labels, list(records), {"class_names": names, "classes": np.array(classes, np.uint8)})


def test_a_subset_keeps_the_classes():
    """What each output should say follows the windows chosen; without classes there is one output."""
    windows = _with_classes([0, 1, NOT_KNOWN, 1, 0], [[0, 0], [1, 0], [0, 1], [NOT_KNOWN, 1], [0, NOT_KNOWN]])
    part = windows.subset(np.array([True, False, True, True, False]))
    assert (part.n_outputs, part.class_names) == (3, ("MI", "CD"))
    assert part.truth.tolist() == [[0, 0, 0], [NOT_KNOWN, 0, 1], [1, NOT_KNOWN, 1]]
    assert _make([0, 1], [0, 1]).truth.tolist() == [[0], [1]]


def test_a_record_of_which_only_classes_are_known_is_neither_normal_nor_abnormal():
    """It does not count where both are needed, not in balancing, and not where folds are made."""
    with pytest.raises(NotEnoughDataError, match="2 abnormal among 2 records"):
        _with_classes([1, 1, NOT_KNOWN], [[1, 0]] * 3)
    weights = _with_classes([0, 0, 0, 1, NOT_KNOWN], [[0, 0]] * 5).weights(balance=True)
    assert weights[:3].sum() == pytest.approx(weights[3])
    assert weights[4] == pytest.approx(1)
    labels = np.array([0, 0, 1, 1, NOT_KNOWN] * 4, np.uint8)
    buckets = np.repeat(np.arange(4), 5)
    assert len(rotating_folds(labels, buckets, ensemble_size=2, held_out=np.zeros(20, bool))) == 2


@pytest.mark.parametrize(
    ("classes", "names", "message"),
    [
        ([[0], [1]], ("MI", "CD"), "n_classes"),
        ([[0, 2], [1, 0]], ("MI", "CD"), "not known"),
        ([[0, 0], [1, 0]], ("MI", "MI"), "repeat a name"),
        ([[0, 0], [1, 0]], (), "do not fit"),
        ([[NOT_KNOWN, NOT_KNOWN], [1, 0]], ("MI", "CD"), "nothing is known"),
    ],
)
def test_classes_that_do_not_fit_are_refused(classes, names, message):
    """Wrong shapes, values and names of classes are told apart; so is a window that teaches nothing."""
    with pytest.raises(SignalError, match=message):
        _with_classes([NOT_KNOWN, 1], classes, names=names)


def test_a_record_with_two_answers_about_a_class_is_refused():
    """Windows of one record agree on every class."""
    with pytest.raises(SignalError, match="different labels"):
        _with_classes([0, 0, 1], [[0, 0], [1, 0], [1, 1]], records=[4, 4, 5])
