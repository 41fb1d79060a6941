"""Splits: fixed for ever, near the stated shares, and independent folds."""

import hashlib
from collections import Counter

import pytest

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation.splits import N_BUCKETS, SIDE_ENDS, Side, fold_of, side_of, split_bucket


def test_bucket_is_the_documented_hash():
    """The bucket is the first 8 bytes of SHA-256, big endian, modulo 10,000: values stored by older versions stay right."""
    for patient in ("13243", "patient001", "ä", "f" * 64):
        assert split_bucket(patient) == int(hashlib.sha256(patient.encode("utf-8")).hexdigest()[:16], 16) % 10_000
    assert split_bucket("13243") == 237


def test_sides_have_their_shares():
    """Of 20,000 patients 60, 10, 15 and 15 % fall on train, validation, calibration and test, within one per cent."""
    counts = Counter(side_of(split_bucket(f"patient{i}")) for i in range(20_000))
    for side, share in {Side.TRAIN: 0.60, Side.VALIDATION: 0.10, Side.CALIBRATION: 0.15, Side.TEST: 0.15}.items():
        assert counts[side] / 20_000 == pytest.approx(share, abs=0.01)


def test_every_bucket_has_exactly_one_side():
    """The ranges of the sides follow one another and end at the last bucket."""
    assert list(SIDE_ENDS) == list(Side)
    assert sorted(SIDE_ENDS.values()) == list(SIDE_ENDS.values())
    assert [side_of(0), side_of(5999), side_of(6000), side_of(6999), side_of(7000), side_of(8499), side_of(8500), side_of(9999)] == [
        Side.TRAIN,
        Side.TRAIN,
        Side.VALIDATION,
        Side.VALIDATION,
        Side.CALIBRATION,
        Side.CALIBRATION,
        Side.TEST,
        Side.TEST,
    ]


def test_folds_cut_across_sides():
    """Within the test side alone, each of five folds holds a fifth of the patients, within two per cent."""
    buckets = [split_bucket(f"patient{i}") for i in range(20_000)]
    folds = Counter(fold_of(bucket, 5) for bucket in buckets if side_of(bucket) is Side.TEST)
    total = sum(folds.values())
    assert all(folds[fold] / total == pytest.approx(0.2, abs=0.02) for fold in range(5))


def test_impossible_arguments_are_refused():
    """An empty patient, a bucket outside its range and no fold at all are refused with the value."""
    with pytest.raises(SignalError, match="must not be empty"):
        split_bucket("")
    with pytest.raises(SignalError, match=f"bucket={N_BUCKETS}"):
        side_of(N_BUCKETS)
    with pytest.raises(SignalError, match="bucket=-1"):
        fold_of(-1, 5)
    with pytest.raises(SignalError, match="n_folds=0"):
        fold_of(0, 0)
