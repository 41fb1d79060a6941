"""Temperature: recovers a known one, agrees with SciPy's optimiser, and never changes an order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss

from ecg_tasks.errors import NotEnoughDataError, SignalError
from ecg_tasks.evaluation.calibration import TEMPERATURE_BOUNDS, apply_temperature, fit_temperature, logit, sigmoid
from ecg_tasks.evaluation.metrics import ece


def overconfident(n, *, temperature, seed):
    """Labels drawn from a true probability, and the probability that a model too sure by ``temperature`` reports."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 1.5, n)
    return (rng.random(n) < sigmoid(truth)).astype(int), sigmoid(truth * temperature)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_known_temperature_is_recovered(temperature):
    """From 20,000 records the temperature that the scores were spoilt with comes back within 5 %, and calibration improves."""
    labels, reported = overconfident(20_000, temperature=temperature, seed=0)
    found = fit_temperature(labels, reported)
    assert found == pytest.approx(temperature, rel=0.05)
    assert ece(labels, apply_temperature(reported, found)) < 0.02


@pytest.mark.parametrize("seed", range(5))
def test_fit_agrees_with_scipy(seed):
    """On 40 records, the fit reaches the minimum that SciPy's bounded search over scikit-learn's log loss finds."""
    labels, reported = overconfident(40, temperature=2.0, seed=seed)
    best = minimize_scalar(lambda log_t: log_loss(labels, apply_temperature(reported, np.exp(log_t))), bounds=np.log(TEMPERATURE_BOUNDS))
    assert log_loss(labels, apply_temperature(reported, fit_temperature(labels, reported))) == pytest.approx(best.fun, abs=1e-6)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30), st.floats(0.1, 10))
def test_temperature_keeps_the_order(probabilities, temperature):
    """Whatever the temperature, a record that scored higher never scores lower after it."""
    order = np.argsort(probabilities)
    assert (np.diff(apply_temperature(probabilities, temperature)[order]) >= 0).all()


@given(st.floats(0.001, 0.999))
def test_sigmoid_inverts_logit(probability):
    """Probability to log-odds and back is the same probability, to 1e-9."""
    assert float(sigmoid(logit(probability))) == pytest.approx(probability, abs=1e-9)


def test_perfect_and_useless_scores_stay_within_the_bounds():
    """Separated classes drive the temperature to its lower bound, inverted ones to the upper; neither overflows."""
    assert fit_temperature([0, 1], [0.4, 0.6]) == pytest.approx(TEMPERATURE_BOUNDS[0], rel=1e-3)
    assert fit_temperature([0, 1], [0.9, 0.1]) == pytest.approx(TEMPERATURE_BOUNDS[1], rel=1e-3)


def test_what_cannot_be_calibrated_is_refused():
    """One class, or a temperature that is not positive, is refused."""
    with pytest.raises(NotEnoughDataError, match="2 abnormal among 2 records"):
        fit_temperature([1, 1], [0.5, 0.6])
    with pytest.raises(SignalError, match="temperature=0"):
        apply_temperature([0.5], 0)
