"""Splits: fixed for ever, near the stated shares, and independent folds."""

import hashlib
from collections import Counter

import pytest

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation.splits import N_BUCKETS, SPLIT_ENDS, Split, fold_of, placed, split_bucket, split_of


def test_bucket_is_the_documented_hash():
    """The bucket is the first 8 bytes of SHA-256, big endian, modulo 10,000: values stored by older versions stay right."""
    for patient in ("13243", "patient001", "ä", "f" * 64):
        assert split_bucket(patient) == int(hashlib.sha256(patient.encode("utf-8")).hexdigest()[:16], 16) % 10_000
    assert split_bucket("13243") == 237


def test_sides_have_their_shares():
    """Of 20,000 patients 60, 10, 15 and 15 % fall on train, validation, calibration and test, within one per cent."""
    counts = Counter(split_of(split_bucket(f"patient{i}")) for i in range(20_000))
    for split, share in {Split.TRAIN: 0.60, Split.VALIDATION: 0.10, Split.CALIBRATION: 0.15, Split.TEST: 0.15}.items():
        assert counts[split] / 20_000 == pytest.approx(share, abs=0.01)


def test_every_bucket_has_exactly_one_side():
    """The ranges of the splits follow one another and end at the last bucket."""
    assert list(SPLIT_ENDS) == list(Split)
    assert sorted(SPLIT_ENDS.values()) == list(SPLIT_ENDS.values())
    assert [
        split_of(0),
        split_of(5999),
        split_of(6000),
        split_of(6999),
        split_of(7000),
        split_of(8499),
        split_of(8500),
        split_of(9999),
    ] == [
        Split.TRAIN,
        Split.TRAIN,
        Split.VALIDATION,
        Split.VALIDATION,
        Split.CALIBRATION,
        Split.CALIBRATION,
        Split.TEST,
        Split.TEST,
    ]


def test_folds_cut_across_sides():
    """Within the test split alone, each of five folds holds a fifth of the patients, within two per cent."""
    buckets = [split_bucket(f"patient{i}") for i in range(20_000)]
    folds = Counter(fold_of(bucket, 5) for bucket in buckets if split_of(bucket) is Split.TEST)
    total = sum(folds.values())
    assert all(folds[fold] / total == pytest.approx(0.2, abs=0.02) for fold in range(5))


@pytest.mark.parametrize("fold", range(1, 13))
def test_a_fold_decides_the_split(fold):
    """Folds 1 to 8 are learnt from, in the shares that the three splits have among themselves; those after them are tested on."""
    patients = [split_bucket(f"patient{i}") for i in range(20_000)]
    counts = Counter(split_of(placed(bucket, fold)) for bucket in patients)
    if fold > 8:
        assert counts == {Split.TEST: 20_000}
        return
    assert counts[Split.TEST] == 0
    for split, share in {Split.TRAIN: 60 / 85, Split.VALIDATION: 10 / 85, Split.CALIBRATION: 15 / 85}.items():
        assert counts[split] / 20_000 == pytest.approx(share, abs=0.01)


def test_who_is_where_the_fold_wants_stays():
    """Only patients in a split that their fold does not allow are moved, by their bucket alone, and their members are spread as before."""
    for bucket in range(0, N_BUCKETS, 7):
        assert placed(bucket, None) == bucket
        for fold in (1, 8, 9, 10):
            found = placed(bucket, fold)
            assert 0 <= found < N_BUCKETS
            assert (found == bucket) == ((split_of(bucket) is Split.TEST) == (fold > 8))
    moved = Counter(placed(bucket, 1) % 8 for bucket in range(8500, N_BUCKETS))
    assert min(moved.values()) > 0.9 * 1500 / 8


def test_impossible_arguments_are_refused():
    """An empty patient, a bucket outside its range and no fold at all are refused with the value."""
    with pytest.raises(SignalError, match="must not be empty"):
        split_bucket("")
    with pytest.raises(SignalError, match=f"bucket={N_BUCKETS}"):
        split_of(N_BUCKETS)
    with pytest.raises(SignalError, match="bucket=-1"):
        fold_of(-1, 5)
    with pytest.raises(SignalError, match="bucket=-1"):
        placed(-1, None)
    with pytest.raises(SignalError, match="fold=0"):
        placed(0, 0)
    with pytest.raises(SignalError, match="n_folds=0"):
        fold_of(0, 0)
