"""Metrics against scikit-learn, an independent implementation, on random cases with ties and weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation import metrics


@st.composite
def cases(draw):
    """Labels with both classes, probabilities (often tied), and whole-number weights that leave both classes."""
    n = draw(st.integers(4, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = np.concatenate([[0, 1], rng.integers(0, 2, n - 2)])
    probabilities = rng.random(n)
    if draw(st.booleans()):
        probabilities = np.round(probabilities, 1)
    weights = rng.integers(0, 4, n).astype(float)
    weights[:2] = 1
    return labels, probabilities, weights


@given(cases())
def test_ranking_figures_agree_with_scikit_learn(case):
    """AUROC and average precision, plain and weighted, equal scikit-learn's to 1e-9, ties included."""
    labels, probabilities, weights = case
    assert metrics.roc_auc(labels, probabilities) == pytest.approx(reference.roc_auc_score(labels, probabilities), abs=1e-9)
    assert metrics.average_precision(labels, probabilities) == pytest.approx(
        reference.average_precision_score(labels, probabilities), abs=1e-9
    )
    both = np.stack([weights, np.ones_like(weights)])
    assert metrics.weighted_roc_auc(labels, probabilities, both) == pytest.approx(
        [reference.roc_auc_score(labels, probabilities, sample_weight=row) for row in both], abs=1e-9
    )
    assert metrics.weighted_average_precision(labels, probabilities, both) == pytest.approx(
        [reference.average_precision_score(labels, probabilities, sample_weight=row) for row in both], abs=1e-9
    )


@given(cases())
def test_decision_figures_agree_with_scikit_learn(case):
    """The confusion table, its six figures and the Brier score equal scikit-learn's to 1e-9."""
    labels, probabilities, weights = case
    called = probabilities >= 0.5
    confusion = metrics.weighted_confusion(labels, called, weights[None])
    (tn, fp), (fn, tp) = reference.confusion_matrix(labels, called, sample_weight=weights)
    assert confusion[0] == pytest.approx([tp, fp, tn, fn], abs=1e-9)
    expected = [
        reference.recall_score(labels, called, sample_weight=weights),
        reference.recall_score(labels, called, pos_label=0, sample_weight=weights),
        reference.precision_score(labels, called, sample_weight=weights, zero_division=np.nan),
        reference.precision_score(labels, called, pos_label=0, sample_weight=weights, zero_division=np.nan),
        reference.f1_score(labels, called, sample_weight=weights),
        reference.accuracy_score(labels, called, sample_weight=weights),
    ]
    assert metrics.confusion_figures(confusion)[0] == pytest.approx(expected, abs=1e-9, nan_ok=True)
    assert metrics.weighted_brier(labels, probabilities, weights[None])[0] == pytest.approx(
        reference.brier_score_loss(labels, probabilities, sample_weight=weights), abs=1e-9
    )


@given(cases())
def test_ece_agrees_with_a_loop_over_bins(case):
    """The calibration error equals its definition written out bin by bin, weighted or not."""
    labels, probabilities, weights = case
    bins = metrics.calibration_bins(probabilities)
    for row in (np.ones(labels.size), weights):
        total = 0.0
        for inside in (bins == number for number in np.unique(bins)):
            if row[inside].any():
                said, seen = (np.average(values[inside], weights=row[inside]) for values in (probabilities, labels))
                total += row[inside].sum() / row.sum() * abs(said - seen)
        assert metrics.weighted_ece(labels, probabilities, row[None])[0] == pytest.approx(total, abs=1e-9)
    assert metrics.ece(labels, probabilities) == metrics.weighted_ece(labels, probabilities, np.ones((1, labels.size)))[0]


@pytest.mark.parametrize(("n", "n_bins"), [(1, 1), (10, 2), (44, 2), (45, 3), (100, 6), (150, 10), (5000, 10)])
def test_bins_hold_equally_many_records(n, n_bins):
    """One bin for every fifteen records, two at least and ten at most, their sizes one apart at most."""
    sizes = np.bincount(metrics.calibration_bins(np.random.default_rng(0).random(n)))
    assert len(sizes) == n_bins
    assert np.ptp(sizes) <= 1


def test_equal_mass_finds_less_error_where_there_is_none():
    """In 300 perfectly calibrated samples of 45 the mean error is below 0.08; ten bins of equal width would find 0.13."""
    rng = np.random.default_rng(1)
    found, equal_width = [], []
    for _ in range(300):
        probabilities = 1 / (1 + np.exp(-rng.normal(0, 2.5, 45)))
        labels = (rng.random(45) < probabilities).astype(int)
        found.append(metrics.ece(labels, probabilities))
        bins = np.minimum((probabilities * 10).astype(int), 9)
        equal_width.append(np.abs(np.bincount(bins, probabilities - labels)).sum() / 45)
    assert np.mean(found) < 0.08
    assert np.mean(equal_width) > 0.12


def test_one_class_has_no_area():
    """AUROC of one class is nan, not an error and not one half, and so is average precision without an abnormal."""
    assert np.isnan(metrics.roc_auc([1, 1], [0.2, 0.9]))
    assert np.isnan(metrics.average_precision([0, 0], [0.2, 0.9]))
    assert np.isnan(metrics.roc_auc([], []))


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 2], [0.1, 0.2], "labels must be 0"),
        ([0, 1], [0.1], "2 labels, but scores of shape"),
        ([0, 1], [0.1, np.nan], "1 of 2 scores are not finite"),
        ([0, 1], [0.1, 1.2], "probabilities reach from 0.1 to 1.2"),
    ],
)
def test_impossible_arguments_are_refused(labels, scores, message):
    """Labels that are no labels, and scores that are missing or no probabilities, are named in the error."""
    with pytest.raises(SignalError, match=message):
        metrics.brier(labels, scores)


def test_confusion_refuses_a_different_number_of_decisions():
    """Labels and decisions of different length are refused."""
    with pytest.raises(SignalError, match="2 labels, but 1 decisions"):
        metrics.weighted_confusion([0, 1], [1], np.ones((1, 2)))
