"""Paired comparison: sees a real difference, is not fooled by none, and uses the pairing."""

import numpy as np
import pytest

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation.comparison import auroc_difference
from ecg_tasks.evaluation.intervals import auroc_interval
from ecg_tasks.evaluation.metrics import roc_auc


def two_models(n, *, seed, gain):
    """A champion and a candidate that see the same noisy signal, the candidate with ``gain`` more of it."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    shared = labels + rng.normal(0, 1, n)
    return labels, shared + gain * labels + rng.normal(0, 0.3, n), shared + rng.normal(0, 0.3, n), np.arange(n).astype(str)


def test_difference_is_candidate_minus_champion():
    """The value is the difference of the two areas, positive where the candidate is better, and the interval holds it."""
    labels, candidate, champion, groups = two_models(200, seed=0, gain=1.0)
    found = auroc_difference(labels, candidate, champion, groups, seed=0)
    assert found.value == pytest.approx(roc_auc(labels, candidate) - roc_auc(labels, champion), abs=1e-12)
    assert 0 < found.low < found.value < found.high


def test_equal_models_are_seldom_told_apart():
    """Of 100 pairs that differ by noise alone, the interval excludes 0 in at most 12."""
    excluded = 0
    for seed in range(100):
        found = auroc_difference(*two_models(80, seed=seed, gain=0.0), seed=seed, n_resamples=300)
        excluded += not found.low <= 0 <= found.high
    assert excluded <= 12


def test_pairing_narrows_the_interval():
    """Models that err on the same patients are compared more sharply than their own intervals would allow."""
    labels, candidate, champion, groups = two_models(100, seed=2, gain=0.2)
    paired = auroc_difference(labels, candidate, champion, groups, seed=0)
    alone = auroc_interval(labels, candidate, groups, seed=0)
    assert paired.high - paired.low < 0.7 * (alone.high - alone.low)


def test_missing_groups_are_refused():
    """A group for each record is needed."""
    with pytest.raises(SignalError, match="2 labels, but 1 groups"):
        auroc_difference([0, 1], [0.1, 0.2], [0.1, 0.2], ["a"], seed=0)
