"""Paired comparison: sees a real difference, is not fooled by none, and uses the pairing."""

import numpy as np
import pytest

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation.comparison import Called, auroc_difference, paired_differences
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


def _called(scores, threshold):
    return Called(np.asarray(scores, dtype=float), np.asarray(scores) >= threshold)


@pytest.fixture(scope="module")
def some_patients():
    """Sixty records of twenty patients, and what two models say of them."""
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 2, 60)
    groups = np.repeat([f"p{number}" for number in range(20)], 3)
    one = np.clip(labels * 0.3 + rng.random(60) * 0.7, 0, 1)
    other = np.clip(labels * 0.5 + rng.random(60) * 0.5, 0, 1)
    return labels, _called(one, 0.5), _called(other, 0.6), groups


def test_the_paired_auroc_is_the_one_of_the_gate(some_patients):
    """The same resamples, so the same interval to the last digit."""
    labels, one, other, groups = some_patients
    found = paired_differences(labels, one, other, groups, seed=1, n_resamples=300)["auroc"]
    assert found == auroc_difference(labels, other.probability, one.probability, groups, seed=1, n_resamples=300)


def test_paired_differences_are_those_of_counting(some_patients):
    """A second way: patients drawn one by one, their records counted; the interval is near, the value the same."""
    labels, one, other, groups = some_patients
    found = paired_differences(labels, one, other, groups, seed=1)
    rng, names = np.random.default_rng(9), np.unique(groups)
    truth = labels.astype(bool)

    def counted(rows):
        right = {"sensitivity": truth[rows], "specificity": ~truth[rows], "accuracy": np.ones(len(rows), bool)}
        return {
            name: ((other.is_abnormal[rows] == truth[rows])[of].mean() - (one.is_abnormal[rows] == truth[rows])[of].mean())
            for name, of in right.items()
        }

    whole = counted(np.arange(60))
    drawn = [counted(np.concatenate([np.flatnonzero(groups == name) for name in rng.choice(names, 20)])) for _ in range(800)]
    for name, value in whole.items():
        low, high = np.percentile([one[name] for one in drawn], (2.5, 97.5))
        assert found[name].value == pytest.approx(value)
        assert (found[name].low, found[name].high) == (pytest.approx(low, abs=0.04), pytest.approx(high, abs=0.04))


def test_a_model_does_not_differ_from_itself(some_patients):
    """Nor has the difference a width: that is what pairing is for."""
    labels, one, _, groups = some_patients
    for interval in paired_differences(labels, one, one, groups, seed=1, n_resamples=50).values():
        assert (interval.value, interval.low, interval.high) == (0, 0, 0)


def test_a_group_too_few_is_refused(some_patients):
    """As many patients as labels."""
    labels, one, other, groups = some_patients
    with pytest.raises(SignalError, match="60 labels, but 59 groups"):
        paired_differences(labels, one, other, groups[1:], seed=1)
