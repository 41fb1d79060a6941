"""Curves against scikit-learn, an independent implementation, on random cases with ties."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from ecg_tasks.evaluation import curves
from ecg_tasks.evaluation.metrics import ece


@st.composite
def cases(draw):
    """Labels with both classes and probabilities, often tied."""
    n = draw(st.integers(4, 80))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = np.concatenate([[0, 1], rng.integers(0, 2, n - 2)])
    probabilities = rng.random(n)
    return labels, np.round(probabilities, 1) if draw(st.booleans()) else probabilities


@given(cases())
def test_roc_agrees_with_scikit_learn(case):
    """Points and thresholds equal scikit-learn's, collinear points left out by both."""
    labels, probabilities = case
    found = curves.roc_curve(labels, probabilities)
    expected = reference.roc_curve(labels, probabilities, drop_intermediate=True)
    for mine, theirs in zip((found.false_positive_rate, found.sensitivity, found.threshold), expected, strict=True):
        assert mine == pytest.approx(theirs, abs=1e-9)
    assert reference.auc(found.false_positive_rate, found.sensitivity) == pytest.approx(
        reference.roc_auc_score(labels, probabilities), abs=1e-9
    )


@given(cases())
def test_precision_and_recall_agree_with_scikit_learn(case):
    """Points equal scikit-learn's (which runs the other way and ends with a made-up point), and their steps add up to the AUPRC."""
    labels, probabilities = case
    found = curves.precision_recall_curve(labels, probabilities)
    precision, recall, threshold = reference.precision_recall_curve(labels, probabilities, drop_intermediate=True)
    assert found.precision == pytest.approx(precision[-2::-1], abs=1e-9)
    assert found.recall == pytest.approx(recall[-2::-1], abs=1e-9)
    assert found.threshold == pytest.approx(threshold[::-1], abs=1e-9)
    whole = reference.precision_recall_curve(labels, probabilities)
    assert set(zip(found.recall, found.precision, strict=True)) <= set(zip(whole[1], whole[0], strict=True))


@given(cases())
def test_reliability_agrees_with_scikit_learn(case):
    """Mean probability and share in bins of equal mass equal scikit-learn's; weighted by their counts they give the ECE."""
    labels, probabilities = case
    found = curves.reliability(labels, probabilities, np.arange(labels.size))
    n_bins = int(np.clip(labels.size // 15, 2, 10))
    share, mean = calibration_curve(labels, probabilities, n_bins=n_bins, strategy="quantile")
    assert found.share_abnormal == pytest.approx(share, abs=1e-9)
    assert found.mean_probability == pytest.approx(mean, abs=1e-9)
    assert found.n_records.sum() == labels.size
    error = np.average(np.abs(found.mean_probability - found.share_abnormal), weights=found.n_records)
    assert error == pytest.approx(ece(labels, probabilities), abs=1e-9)
    for n, seen, low, high in zip(found.n_records, found.share_abnormal, found.low, found.high, strict=True):
        interval = binomtest(round(seen * n), int(n)).proportion_ci(method="wilson")
        assert (low, high) == pytest.approx((interval.low, interval.high), abs=1e-9)


def test_intervals_of_a_bin_count_patients():
    """Ten records of one patient are one patient's worth of evidence."""
    labels, probabilities = np.array([1] * 10 + [0] * 10), np.array([0.9] * 10 + [0.1] * 10)
    alone = curves.reliability(labels, probabilities, np.arange(20))
    shared = curves.reliability(labels, probabilities, np.repeat(["a", "b"], 10))
    assert (alone.high - alone.low < shared.high - shared.low).all()


def test_one_class_only():
    """Without abnormal records the sensitivity is nan, None in JSON, and no warning is given."""
    found = curves.plain(curves.roc_curve([0, 0], [0.1, 0.2]))
    assert found["sensitivity"][1:] == [None, None]
    assert found["threshold"][0] is None
    json.dumps([found, curves.plain(curves.precision_recall_curve([0, 0], [0.1, 0.2]))], allow_nan=False)
