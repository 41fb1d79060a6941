"""Intervals: coverage, clustering, determinism, and Wilson's formula against SciPy."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binomtest

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation import intervals
from ecg_tasks.evaluation.intervals import auroc_interval, bootstrap, drawings, newcombe, percentile_interval, wilson


def overlapping(n, *, seed, shift=1.0):
    """Labels and scores of two overlapping normal distributions, and a group a record."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    return labels, rng.normal(labels * shift), np.array([f"p{i}" for i in range(n)])


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (10, 10), (3, 10), (97, 100), (1, 2)])
def test_wilson_agrees_with_scipy(successes, n):
    """Wilson's interval equals SciPy's without continuity correction."""
    expected = binomtest(successes, n).proportion_ci(method="wilson")
    found = wilson(successes / n, n)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("auroc", [0.0, 0.03, 0.5, 0.97, 1.0])
@pytest.mark.parametrize(("n_abnormal", "n_normal"), [(5, 5), (19, 22), (300, 40)])
def test_newcombe_inverts_hanley_and_mcneils_variance(auroc, n_abnormal, n_normal):
    """At both ends of the interval the area found is 1.96 standard errors away, by SciPy's root finder."""

    def excess(area):
        q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
        halves = (n_abnormal + n_normal) / 2 - 1
        variance = (area * (1 - area) + halves * (q1 - area**2) + halves * (q2 - area**2)) / (n_abnormal * n_normal)
        return abs(auroc - area) - 1.959963984540054 * np.sqrt(max(variance, 0))

    found = newcombe(auroc, n_abnormal=n_abnormal, n_normal=n_normal)
    assert found.low == pytest.approx(brentq(excess, 0, auroc - 1e-9, xtol=1e-14) if auroc else 0, abs=1e-9)
    assert found.high == pytest.approx(brentq(excess, auroc + 1e-9, 1, xtol=1e-14) if auroc < 1 else 1, abs=1e-9)


def test_perfect_separation_of_few_still_has_an_interval():
    """In 200 samples of 12 from classes 3 s.d. apart (true area 0.983) the interval by formula holds the truth in 92 % or more."""
    held = 0
    for seed in range(200):
        found = auroc_interval(*overlapping(12, seed=seed, shift=3.0), seed=0, n_resamples=200)
        held += found.low <= 0.9831 <= found.high
    assert held >= 184


def test_auroc_interval_covers_the_truth():
    """In 200 samples of 100 the 95 % interval holds the true area (0.7602 for a shift of 1 s.d.) in 90 to 99 %."""
    held = 0
    for seed in range(200):
        labels, scores, groups = overlapping(100, seed=seed)
        found = auroc_interval(labels, scores, groups, seed=seed, n_resamples=300)
        held += found.low <= 0.7602 <= found.high
    assert 180 <= held <= 198


def test_records_of_a_patient_do_not_narrow_the_interval():
    """Ten copies of every record under the same patient leave the interval as it was; as patients of their own they narrow it."""
    labels, scores, groups = overlapping(60, seed=1)
    once = auroc_interval(labels, scores, groups, seed=0)
    copies = [np.repeat(array, 10) for array in (labels, scores, groups)]
    clustered = auroc_interval(*copies, seed=0)
    assert (clustered.low, clustered.high) == pytest.approx((once.low, once.high), abs=1e-9)
    loose = auroc_interval(copies[0], copies[1], np.arange(600).astype(str), seed=0)
    assert loose.high - loose.low < 0.5 * (once.high - once.low)


def test_bootstrap_draws_whole_groups_as_often_as_there_are_groups(monkeypatch):
    """Every resample weighs the records of a group alike and draws three groups of three, in however many chunks."""
    groups = ["a", "b", "a", "c"]
    whole = bootstrap(lambda weights: weights, groups, seed=7, n_resamples=50)
    assert (whole[:, 0] == whole[:, 2]).all()
    assert (whole[:, [0, 1, 3]].sum(axis=1) == 3).all()
    monkeypatch.setattr(intervals, "_MAX_CELLS", 12)
    assert np.array_equal(bootstrap(lambda weights: weights, groups, seed=7, n_resamples=50), whole)


def test_many_groups_are_drawn_as_ever(monkeypatch):
    """Stored intervals of many patients come from these random numbers, whether resamples are taken together or one by one."""
    monkeypatch.setattr(intervals, "MANY", 10)
    monkeypatch.setattr(intervals, "_DRAWN_AT_ONCE", 7)
    rng = np.random.default_rng(4)
    expected = [np.bincount(rng.integers(30, size=30), minlength=30).tolist() for _ in range(5)]
    assert [drawn.tolist() for drawn in drawings(30, seed=4, n_resamples=5)] == expected
    assert bootstrap(lambda weights: weights, np.arange(30), seed=4, n_resamples=5).tolist() == expected


def test_few_groups_are_drawn_one_by_one_as_together():
    """The resamples are the same."""
    together = bootstrap(lambda weights: weights, ["a", "b", "c"], seed=7, n_resamples=20)
    assert [drawn.tolist() for drawn in drawings(3, seed=7, n_resamples=20)] == together.tolist()


def test_names_of_groups_play_no_part():
    """Patients under other names, in another alphabetical order, give the same resamples to the last digit."""
    labels, scores, groups = overlapping(40, seed=3)
    renamed = np.array([f"{hash(name) % 97:02d}-{name}" for name in groups])
    assert auroc_interval(labels, scores, renamed, seed=1) == auroc_interval(labels, scores, groups, seed=1)


def test_interval_is_the_same_for_a_seed_and_moves_with_it():
    """The same seed gives the same interval, another seed another one."""
    labels, scores, groups = overlapping(40, seed=3)
    assert auroc_interval(labels, scores, groups, seed=1) == auroc_interval(labels, scores, groups, seed=1)
    assert auroc_interval(labels, scores, groups, seed=1) != auroc_interval(labels, scores, groups, seed=2)


def test_undefined_figures_stay_undefined():
    """One class only: value and interval are nan, and the text says so."""
    found = auroc_interval([1, 1, 1], [0.1, 0.2, 0.3], ["a", "b", "c"], seed=0)
    assert np.isnan([found.value, found.low, found.high]).all()
    assert found.text() == "not defined"
    assert np.isnan(wilson(float("nan"), 0).low)


def test_one_patient_does_not_tell_how_others_vary():
    """All resamples of one patient are the same: there is no interval, and the text says so."""
    found = percentile_interval(0.25, bootstrap(lambda weights: weights.mean(axis=1), ["a", "a"], seed=0))
    assert np.isnan([found.low, found.high]).all()
    assert (found.text(), found.ends()) == ("0.250 (interval not defined)", "not defined")


def test_interval_holds_its_value():
    """A resampled figure that lies wholly above the value still gives an interval that holds it."""
    found = percentile_interval(0.1, np.array([0.2, 0.3, np.nan]))
    assert (found.low, found.high) == pytest.approx((0.1, 0.29750), abs=1e-9)


def test_impossible_arguments_are_refused():
    """No record, no resample, a missing group or an impossible proportion are refused with the value."""
    with pytest.raises(SignalError, match="no record to resample"):
        bootstrap(lambda weights: weights, [], seed=0)
    with pytest.raises(SignalError, match="n_resamples=0"):
        bootstrap(lambda weights: weights, ["a"], seed=0, n_resamples=0)
    with pytest.raises(SignalError, match="2 labels, but 1 groups"):
        auroc_interval([0, 1], [0.1, 0.2], ["a"], seed=0)
    with pytest.raises(SignalError, match=r"proportion=1\.5"):
        wilson(1.5, 10)
