"""The logistic baseline against scikit-learn's."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from ecg_tasks.errors import NotEnoughDataError, SignalError
from ecg_tasks.evaluation.baselines import LogisticBaseline, fit_logistic


@st.composite
def cases(draw):
    """Labels and features of several scales, one of them perhaps constant."""
    n, n_features = draw(st.integers(5, 80)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = np.concatenate([[0, 1], rng.integers(0, 2, n - 2)])
    features = rng.normal(size=(n, n_features)) * 10.0 ** rng.integers(-3, 3, n_features) + rng.normal(size=n_features)
    features += labels[:, None] * rng.normal(size=n_features)
    if draw(st.booleans()):
        features[:, 0] = 0.25
    return labels, features


@pytest.mark.filterwarnings("ignore:Line search of Newton solver")  # of its own solver's, which goes on with another
@given(cases())
@settings(max_examples=60, deadline=None)
def test_probabilities_agree_with_scikit_learn(case):
    """The same penalised likelihood has one maximum: probabilities equal scikit-learn's to 1e-6, its solver's own precision."""
    labels, features = case
    names = [f"f{column}" for column in range(features.shape[1])]
    standard = StandardScaler().fit(features)
    theirs = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000, solver="newton-cholesky").fit(standard.transform(features), labels)
    found = fit_logistic(labels, features, names=names)
    assert found.probabilities(features) == pytest.approx(theirs.predict_proba(standard.transform(features))[:, 1], abs=1e-6)


def test_what_was_not_measured_counts_as_the_mean():
    """A missing feature neither spoils the fit nor moves a record from its other features."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    features = np.column_stack([labels + rng.normal(size=60), rng.normal(size=60)])
    features[::7, 0] = np.nan
    found = fit_logistic(labels, features, names=("a", "b"))
    assert np.isfinite(found.probabilities(features)).all()
    assert found.mean[0] == pytest.approx(np.nanmean(features[:, 0]))
    missing, mean = np.array([[np.nan, 0.3]]), np.array([[found.mean[0], 0.3]])
    assert found.probabilities(missing) == found.probabilities(mean)


def test_roundtrip_through_json():
    """A baseline that was stored gives the same probabilities to the last bit."""
    rng = np.random.default_rng(1)
    features = rng.normal(size=(30, 2))
    found = fit_logistic(np.arange(30) % 2, features, names=("a", "b"))
    again = LogisticBaseline.from_dict(json.loads(json.dumps(found.as_dict())))
    assert again == found
    assert np.array_equal(again.probabilities(features), found.probabilities(features))


def test_impossible_arguments_are_refused():
    """One class, and features that do not fit, are refused."""
    with pytest.raises(NotEnoughDataError, match="2 abnormal among 2"):
        fit_logistic([1, 1], np.zeros((2, 1)), names=("a",))
    with pytest.raises(SignalError, match="2 records by 1 features"):
        fit_logistic([0, 1], np.zeros((2, 2)), names=("a",))
    fitted = fit_logistic([0, 1], np.array([[0.0], [1.0]]), names=("a",))
    with pytest.raises(SignalError, match="reads"):
        fitted.probabilities(np.zeros((1, 3)))
