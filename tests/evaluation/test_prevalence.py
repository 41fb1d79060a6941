"""What a threshold gives at another prevalence, and how sure that is."""

from math import isnan

import numpy as np
import pytest

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation.intervals import Interval, wilson
from ecg_tasks.evaluation.prevalence import PREVALENCES, at_prevalence

NAMES = ("called", "ppv", "npv")


@pytest.mark.parametrize("prevalence", PREVALENCES)
def test_it_is_bayes_rule(prevalence):
    """Of 1,000 records, counted."""
    found = at_prevalence(Interval(0.9, 0.85, 0.95), Interval(0.8, 0.75, 0.85), prevalence=prevalence)
    ill, well = 1000 * prevalence, 1000 * (1 - prevalence)
    assert found.called.value == pytest.approx((0.9 * ill + 0.2 * well) / 1000)
    assert found.ppv.value == pytest.approx(0.9 * ill / (0.9 * ill + 0.2 * well))
    assert found.npv.value == pytest.approx(0.8 * well / (0.8 * well + 0.1 * ill))


@pytest.mark.parametrize("prevalence", PREVALENCES)
def test_intervals_hold_the_truth_about_as_often_as_they_say(prevalence):
    """Drawn again and again of a known sensitivity and specificity; each interval is of that of two proportions."""
    rng, sensitivity, specificity, n = np.random.default_rng(0), 0.9, 0.8, 400
    called = prevalence * sensitivity + (1 - prevalence) * (1 - specificity)
    truth = (called, prevalence * sensitivity / called, (1 - prevalence) * specificity / (1 - called))
    held = np.zeros(len(NAMES))
    for ill, well in zip(rng.binomial(60, sensitivity, n), rng.binomial(120, specificity, n), strict=True):
        found = at_prevalence(wilson(ill / 60, 60), wilson(well / 120, 120), prevalence=prevalence)
        held += [getattr(found, name).low <= true <= getattr(found, name).high for name, true in zip(NAMES, truth, strict=True)]
    assert (held / n > 0.91).all(), held / n
    assert (held / n < 0.99).all(), held / n


def test_ends_stay_shares_and_what_is_not_defined_stays_so():
    """A perfect model has an interval on one side; without an abnormal test record there is no predictive value."""
    perfect = at_prevalence(Interval(1.0, 0.85, 1.0), Interval(1.0, 0.75, 1.0), prevalence=0.1)
    assert perfect.ppv.value == perfect.ppv.high == 1.0
    assert perfect.ppv.low == pytest.approx(0.1 / (0.1 + 0.25 * 0.9))
    anything = at_prevalence(Interval(0.9, 0.0, 1.0), Interval(0.9, 0.0, 1.0), prevalence=0.6)
    assert (anything.ppv.high, anything.npv.low, anything.npv.high) == (1.0, 0.0, 1.0)
    nothing = Interval(float("nan"), float("nan"), float("nan"))
    assert isnan(at_prevalence(nothing, Interval(0.8, 0.7, 0.9), prevalence=0.1).ppv.value)
    assert at_prevalence(nothing, Interval(0.8, 0.7, 0.9), prevalence=0.1).called.text() == "not defined"


@pytest.mark.parametrize("prevalence", [0.0, 1.0, -0.1, float("nan")])
def test_a_prevalence_lies_between(prevalence):
    """Where all records are of one class there is nothing to predict."""
    with pytest.raises(SignalError, match="must lie between 0 and 1"):
        at_prevalence(Interval(0.9, 0.8, 1.0), Interval(0.8, 0.7, 0.9), prevalence=prevalence)
