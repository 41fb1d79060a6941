"""Calibration: recovers a known one, agrees with SciPy's optimiser, keeps every order, and stays sober on few records."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.metrics import log_loss

from ecg_tasks.errors import NotEnoughDataError, SignalError
from ecg_tasks.evaluation.calibration import PRIOR_SD, Calibration, fit_calibration, logit, sigmoid
from ecg_tasks.evaluation.metrics import ece


def spoilt(n, *, temperature, bias, seed):
    """Labels drawn from a true probability, and the probability of a model that is too sure and leans to one side."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 1.5, n)
    return (rng.random(n) < sigmoid(truth)).astype(int), sigmoid((truth - bias) * temperature)


@pytest.mark.parametrize(("temperature", "bias"), [(0.5, 0.7), (1.0, 0.0), (3.0, -1.0)])
def test_a_known_calibration_is_recovered(temperature, bias):
    """From 20,000 records what the scores were spoilt with comes back within 5 %, and calibration improves."""
    labels, reported = spoilt(20_000, temperature=temperature, bias=bias, seed=0)
    found = fit_calibration(labels, reported)
    assert found.temperature == pytest.approx(temperature, rel=0.05)
    assert found.bias == pytest.approx(bias, abs=0.05)
    assert ece(labels, found.apply(reported)) < 0.02


@pytest.mark.parametrize("seed", range(5))
def test_the_fit_agrees_with_scipy(seed):
    """On 40 records it finds the minimum of scikit-learn's log loss and the priors that SciPy's simplex search finds."""
    labels, reported = spoilt(40, temperature=2.0, bias=0.5, seed=seed)

    def loss(at):
        corrected = Calibration(temperature=np.exp(-at[0]), bias=at[1]).apply(reported)
        return log_loss(labels, corrected, normalize=False) + (at**2).sum() / (2 * PRIOR_SD**2)

    best = minimize(loss, [0, 0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    found = fit_calibration(labels, reported)
    assert np.array([-np.log(found.temperature), found.bias]) == pytest.approx(best.x, abs=1e-5)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30), st.floats(0.1, 10), st.floats(-3, 3))
def test_calibration_keeps_the_order(probabilities, temperature, bias):
    """Whatever the calibration, a record that scored higher never scores lower after it."""
    order = np.argsort(probabilities)
    assert (np.diff(Calibration(temperature=temperature, bias=bias).apply(probabilities)[order]) >= 0).all()


@given(st.floats(0.001, 0.999))
def test_sigmoid_inverts_logit(probability):
    """Probability to log-odds and back is the same probability, to 1e-9."""
    assert float(sigmoid(logit(probability))) == pytest.approx(probability, abs=1e-9)


@given(st.integers(1, 30), st.integers(1, 30), st.floats(0, 1), st.floats(0, 1))
def test_any_scores_give_a_sober_calibration(n_normal, n_abnormal, low, high):
    """Separated, inverted or useless scores, at the very ends too, drive neither number away: at most 60 records are no proof."""
    found = fit_calibration([0] * n_normal + [1] * n_abnormal, [low] * n_normal + [high] * n_abnormal)
    assert 1e-3 < found.temperature < 1e3
    assert abs(found.bias) < 5


def test_what_cannot_be_calibrated_is_refused():
    """One class, or a temperature that is not positive, is refused."""
    with pytest.raises(NotEnoughDataError, match="2 abnormal among 2 records"):
        fit_calibration([1, 1], [0.5, 0.6])
    with pytest.raises(SignalError, match="temperature=0"):
        Calibration(temperature=0, bias=0.0)
