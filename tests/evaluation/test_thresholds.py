"""Thresholds: the stated sensitivity is kept as specifically as it can be; the abstain band does what it says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_tasks.errors import NotEnoughDataError, SignalError
from ecg_tasks.evaluation.thresholds import AbstainBand, abstain_band, coverage_accuracy, threshold_for_sensitivity


@st.composite
def cases(draw):
    """Labels with an abnormal among them, and probabilities, often tied."""
    n = draw(st.integers(2, 50))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = np.concatenate([[1], rng.integers(0, 2, n - 1)])
    return labels, np.round(rng.random(n), draw(st.sampled_from([1, 2, 8])))


@given(cases(), st.floats(0.05, 1.0))
@settings(max_examples=200)
def test_threshold_keeps_the_expected_sensitivity_and_is_the_largest(case, sensitivity):
    """From the threshold on lies the stated share of the probability that there is; above the lowest record it keeps, less."""
    _, probabilities = case
    if probabilities.max() == 0:
        return
    threshold = threshold_for_sensitivity(probabilities, sensitivity=sensitivity)
    assert probabilities[probabilities >= threshold].sum() >= (sensitivity - 1e-8) * probabilities.sum()
    lowest_kept = probabilities[probabilities >= threshold].min()
    assert probabilities[probabilities > lowest_kept].sum() < sensitivity * probabilities.sum()
    assert ((probabilities >= threshold) == (probabilities >= lowest_kept)).all()


@pytest.mark.parametrize("seed", range(3))
def test_threshold_of_calibrated_scores_catches_the_stated_share_of_others(seed):
    """Of 50 records, the rule comes nearer to the stated sensitivity on other patients than the order of the abnormal ones does."""
    rng = np.random.default_rng(seed)
    rule, order = [], []
    for _ in range(200):
        z = rng.normal(-0.7, 2, 2050)
        labels, p = rng.random(2050) < 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(-z))
        abnormal = np.sort(p[:50][labels[:50]])[::-1]
        caught = p[50:][labels[50:]]
        rule.append((caught >= threshold_for_sensitivity(p[:50], sensitivity=0.9)).mean())
        order.append((caught >= abnormal[int(np.ceil(0.9 * abnormal.size)) - 1]).mean())
    assert np.mean(rule) == pytest.approx(0.9, abs=0.02)
    assert np.abs(np.array(rule) - 0.9).mean() < 0.8 * np.abs(np.array(order) - 0.9).mean()


def test_threshold_lies_clear_of_every_record():
    """A rounding of 1e-4 in another runtime changes no decision where records lie further apart than that."""
    threshold = threshold_for_sensitivity([0.1, 0.3, 0.6, 0.9], sensitivity=0.75)
    assert 0.31 < threshold < 0.59


@given(cases(), st.floats(0.1, 0.9))
@settings(max_examples=200)
def test_curve_agrees_with_counting(case, threshold):
    """Each point of the curve equals the coverage and accuracy counted over the records outside its band."""
    labels, probabilities = case
    curve = coverage_accuracy(labels, probabilities, threshold=threshold)
    assert curve.coverage[0] == 1.0
    assert (np.diff(curve.coverage) < 0).all()
    p = np.clip(probabilities, 1e-6, 1 - 1e-6)
    distance = np.abs(np.log(p / (1 - p)) - np.log(threshold / (1 - threshold)))
    right = (probabilities >= threshold) == labels
    for index in range(1, curve.half_width.size):
        outside = distance > curve.half_width[index]
        assert curve.coverage[index] == pytest.approx(outside.mean())
        assert curve.accuracy[index] == pytest.approx(right[outside].mean())


@given(cases(), st.floats(0.1, 0.9), st.floats(0.3, 1.0))
@settings(max_examples=200)
def test_band_leaves_enough_decided_and_never_hurts(case, threshold, min_coverage):
    """The band decides on at least the share asked for, holds the threshold, and accuracy outside is no worse than without it."""
    labels, probabilities = case
    band = abstain_band(labels, probabilities, threshold=threshold, target_accuracy=0.95, min_coverage=min_coverage)
    assert band.lo <= threshold <= band.hi
    right = (probabilities >= threshold) == labels
    if band.lo == band.hi:
        return
    outside = ~band.holds(probabilities)
    assert outside.mean() >= min_coverage - 1e-9
    assert right[outside].mean() >= right.mean() - 1e-9


def test_band_is_empty_where_accuracy_is_reached_without_it():
    """Separated classes need no abstaining: the band shrinks to the threshold."""
    band = abstain_band([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], threshold=0.5, target_accuracy=0.95, min_coverage=0.5)
    assert band == AbstainBand(lo=0.5, hi=0.5)


def test_impossible_arguments_are_refused():
    """A reversed band, a sensitivity of 0, no abnormal record and no record at all are refused."""
    with pytest.raises(SignalError, match=r"abstain band from 0.6 to 0.4"):
        AbstainBand(lo=0.6, hi=0.4)
    with pytest.raises(SignalError, match="sensitivity=0"):
        threshold_for_sensitivity([0.5], sensitivity=0)
    with pytest.raises(NotEnoughDataError, match="may be abnormal"):
        threshold_for_sensitivity([], sensitivity=0.9)
    with pytest.raises(NotEnoughDataError, match="at least one record"):
        coverage_accuracy([], [], threshold=0.5)
