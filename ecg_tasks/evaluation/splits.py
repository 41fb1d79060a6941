"""Here: which split a patient is in, for ever. Not here: who the patient of a record is, or data sets."""

import hashlib
import hmac
from enum import StrEnum
from functools import lru_cache

from ecg_tasks.errors import SignalError

N_BUCKETS = 10_000
"""A patient's bucket is one of so many; a split is a range of them."""


class Split(StrEnum):
    """What a patient's recordings are used for, and for nothing else. The values are stored."""

    TRAIN = "train"
    VALIDATION = "validation"
    CALIBRATION = "calibration"
    TEST = "test"


SPLIT_ENDS = {Split.TRAIN: 6000, Split.VALIDATION: 7000, Split.CALIBRATION: 8500, Split.TEST: N_BUCKETS}
"""Where each split's range of buckets ends: 60 % train, 10 % validation (early stopping), 15 % calibration, 15 % test.

Do not move the start of the test split: patients would enter or leave it, and earlier test figures could not be compared any more.
"""


LEARNT_FOLDS = 8
"""The first so many folds of a collection are learnt from; those after them are only tested on. PTB-XL's protocol has ten."""


def split_bucket(patient: str) -> int:
    """Return the patient's bucket, 0 to ``N_BUCKETS - 1``: from the id alone, hence the same on every machine and with any other data.

    It is stored of public patients alone: who knows the id can compute it. Of private ones `keyed_bucket` is.

    >>> split_bucket("patient001")
    3838
    """
    if not patient:
        raise SignalError("a patient id must not be empty: all records without one would be one patient")
    return int.from_bytes(hashlib.sha256(patient.encode()).digest()[:8], "big") % N_BUCKETS


def keyed_bucket(bucket: int, *, key: bytes) -> int:
    """Return what is stored in place of a private patient's bucket: another one of the same split, which nobody can tell without the key.

    Each key exchanges the buckets of a split in an order of its own. So all recordings of a patient stay in one split, whether their
    buckets were stored before or after there was a key, or the patient belongs to a public collection, whose buckets have none.

    >>> other = keyed_bucket(3838, key=b"0" * 32)
    >>> other, split_of(other)
    (5075, <Split.TRAIN: 'train'>)
    """
    _check_bucket(bucket)
    return _exchanged(key)[bucket]


@lru_cache(maxsize=4)
def _exchanged(key: bytes) -> tuple[int, ...]:
    """Return the bucket that stands for each one: within a split in an order that the key alone gives."""
    drawn = hashlib.shake_256(hmac.digest(key, b"\0buckets", "sha256")).digest(16 * N_BUCKETS)
    exchanged: list[int] = []
    for end in SPLIT_ENDS.values():
        exchanged += sorted(range(len(exchanged), end), key=lambda one: drawn[16 * one : 16 * one + 16])
    return tuple(exchanged)


def same_bucket(one: int, other: int, *, key: bytes) -> bool:
    """Tell whether two stored buckets may be one patient's: either may be of before there was a key, or of a public collection.

    >>> same_bucket(3838, keyed_bucket(3838, key=b"0" * 32), key=b"0" * 32), same_bucket(-1, -1, key=b"0" * 32)
    (True, False)
    """
    if min(one, other) < 0:
        return False
    return one == other or keyed_bucket(one, key=key) == other or one == keyed_bucket(other, key=key)


def placed(bucket: int, fold: int | None) -> int:
    """Return the bucket that decides the split: the patient's own, unless the fold that the collection gives wants another split.

    A patient of folds 1 to 8 is never tested on, one of fold 9 or more only ever tested on. Who stays in the split of the own bucket keeps
    the bucket; the others are spread over the buckets of the wanted splits, by the own bucket alone.

    Parameters
    ----------
    bucket : 0 to ``N_BUCKETS - 1``
    fold : 1 or more; None where the collection gives none

    Examples
    --------
    >>> placed(17, None), placed(17, 3), placed(17, 10), placed(9999, 3)
    (17, 17, 8503, 8494)

    References
    ----------
    Wagner et al., Scientific Data 7:154, 2020: folds 9 and 10 of PTB-XL are validated by people and meant for validation and test.
    """
    _check_bucket(bucket)
    if fold is None:
        return bucket
    if fold < 1:
        raise SignalError(f"{fold=}; it must be 1 or more")
    learnt = SPLIT_ENDS[Split.CALIBRATION]
    if fold > LEARNT_FOLDS:
        return bucket if bucket >= learnt else learnt + bucket * (N_BUCKETS - learnt) // learnt
    return bucket if bucket < learnt else (bucket - learnt) * learnt // (N_BUCKETS - learnt)


def split_of(bucket: int) -> Split:
    """Return the split that a bucket belongs to.

    >>> split_of(0), split_of(9999)
    (<Split.TRAIN: 'train'>, <Split.TEST: 'test'>)
    """
    _check_bucket(bucket)
    return next(split for split, end in SPLIT_ENDS.items() if bucket < end)


def fold_of(bucket: int, n_folds: int) -> int:
    """Return the cross-validation fold, 0 to ``n_folds - 1``, of a bucket; every split is spread over all folds.

    >>> [fold_of(bucket, 5) for bucket in (0, 1, 5, 9999)]
    [0, 1, 0, 4]
    """
    _check_bucket(bucket)
    if not 1 <= n_folds <= N_BUCKETS:
        raise SignalError(f"{n_folds=}; it must lie between 1 and {N_BUCKETS}")
    return bucket % n_folds


def _check_bucket(bucket: int) -> None:
    if not 0 <= bucket < N_BUCKETS:
        raise SignalError(f"{bucket=}; it must lie between 0 and {N_BUCKETS - 1}")
