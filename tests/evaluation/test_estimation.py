"""Figures estimated without labels: right while calibration holds, and told to be outside where it does not."""

from math import isnan

import numpy as np
import pytest

from ecg_tasks.evaluation.estimation import FIGURES, estimate, hold_against
from ecg_tasks.evaluation.intervals import wilson


def test_it_is_the_expected_confusion_table():
    """Three records called abnormal and two not, by hand."""
    found = estimate([0.9, 0.8, 0.4, 0.2, 0.1], threshold=0.4, seed=0)
    assert found["sensitivity"].value == pytest.approx(2.1 / 2.4)
    assert found["specificity"].value == pytest.approx(1.7 / 2.6)
    assert found["accuracy"].value == pytest.approx((2.1 + 1.7) / 5)
    assert all(one.low <= one.value <= one.high and one.method == "drawn" for one in found.values())


def test_what_labels_say_is_counted_of_the_records_that_each_figure_is_about():
    """A probability of the threshold itself is called abnormal; the interval is that of the abnormal, of the normal, or of all records."""
    found = hold_against([1, 1, 0, 0, 0], [0.5, 0.2, 0.5, 0.1, 0.3], threshold=0.5, seed=0)
    counted = {"sensitivity": (1, 2), "specificity": (2, 3), "accuracy": (3, 5)}
    assert {name: one.measured for name, one in found.items()} == {name: wilson(right / n, n) for name, (right, n) in counted.items()}


def test_each_record_may_have_a_threshold_of_its_own():
    """As records of different sites have."""
    p = [0.9, 0.4, 0.4, 0.1]
    assert estimate(p, threshold=[0.5, 0.3, 0.5, 0.5], seed=0)["sensitivity"].value == pytest.approx(1.3 / 1.8)


def test_the_interval_holds_what_labels_say_while_calibration_holds():
    """In about 95 of 100 sets of 200 records whose labels are drawn by their probabilities."""
    rng, inside = np.random.default_rng(0), np.zeros(len(FIGURES))
    for number in range(200):
        p = rng.beta(0.4, 0.8, 200)
        found = hold_against(rng.random(200) < p, p, threshold=0.3, seed=number)
        inside += [one.inside is True for one in found.values()]
    assert (inside / 200 > 0.9).all(), inside
    assert (inside / 200 < 0.99).all(), inside


def test_it_is_outside_where_calibration_no_longer_holds():
    """Abnormal records have become rarer than their probabilities say, as where a version comes to a screening."""
    rng, outside = np.random.default_rng(0), np.zeros(len(FIGURES))
    for number in range(50):
        p = rng.beta(0.4, 0.8, 500)
        found = hold_against(rng.random(500) < p**2, p, threshold=0.3, seed=number)
        outside += [one.inside is False for one in found.values()]
    assert (outside[:2] >= 45).all(), outside


def test_records_chosen_for_review_by_their_probability_do_not_mislead():
    """The queue shows those near the threshold first: the estimate is of the same records, and not of the night."""
    rng, inside = np.random.default_rng(0), np.zeros(len(FIGURES))
    for number in range(100):
        p = rng.beta(0.4, 0.8, 1000)
        p = p[np.abs(p - 0.3) < 0.1]
        found = hold_against(rng.random(len(p)) < p, p, threshold=0.3, seed=number)
        inside += [one.inside is True for one in found.values()]
    assert (inside >= 88).all(), inside


def test_what_there_is_none_of_is_not_defined():
    """No record at all, and labels of one class."""
    assert all(isnan(one.value) for one in estimate([], threshold=0.5, seed=0).values())
    found = hold_against([0, 0, 0], [0.1, 0.2, 0.9], threshold=0.5, seed=0)
    assert found["sensitivity"].inside is None
    assert found["specificity"].measured.value == pytest.approx(2 / 3)


def test_the_same_records_give_the_same_interval():
    """A night that is made again is the same to the byte."""
    p = np.random.default_rng(0).random(300)
    assert estimate(p, threshold=0.5, seed=1) == estimate(p, threshold=0.5, seed=1)
