"""Figures of classes: each on the records of which it is known, their mean, and its interval."""

from dataclasses import replace

import numpy as np
import pytest

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation.classes import ClassAssessment, ClassLimits, ScoredClasses, assess_classes
from ecg_tasks.evaluation.intervals import auroc_interval, bootstrap, percentile_interval
from ecg_tasks.evaluation.metrics import roc_auc
from ecg_tasks.evaluation.thresholds import AbstainBand

ASKED = {"split_unit": "patient", "seed": 3, "n_resamples": 300}


def _scored(n=200, *, unknown=0.2):
    """Two classes, the first told well and the second badly, each not known of some records; two records a patient."""
    rng = np.random.default_rng(1)
    truth = (rng.random((n, 2)) < [0.4, 0.2]).astype(float)
    log_odds = rng.normal(size=(n, 2)) + (truth - 0.5) * [3.0, 1.0]
    truth[rng.random((n, 2)) < unknown] = np.nan
    limits = tuple(ClassLimits(name=name, threshold=0.5, abstain=AbstainBand(lo=0.4, hi=0.6)) for name in ("MI", "CD"))
    ids = [f"{number:04}" for number in range(n)]
    groups = [f"p{number // 2}" for number in range(n)]
    return ScoredClasses(record_ids=ids, groups=groups, limits=limits, truth=truth, probabilities=1 / (1 + np.exp(-log_odds)))


def test_each_class_has_the_figures_of_the_records_that_are_known():
    """AUROC with its interval, sensitivity and specificity, counted by hand; the mean is that of the two AUROCs."""
    scored = _scored()
    found = assess_classes(scored, **ASKED)
    assert list(found.evaluations) == ["MI", "CD"]
    for column, one in enumerate(found.evaluations.values()):
        known = ~np.isnan(scored.truth[:, column])
        truth, p = scored.truth[known, column].astype(int), scored.probabilities[known, column]
        assert one.n_records == known.sum() < 200
        assert one.auroc.value == pytest.approx(roc_auc(truth, p))
        assert one.sensitivity.value == pytest.approx((p[truth == 1] >= 0.5).mean())
        assert one.specificity.value == pytest.approx((p[truth == 0] < 0.5).mean())
        assert one.coverage.value == pytest.approx(((p < 0.4) | (p > 0.6)).mean())
        groups = np.array(scored.groups)[known]
        assert one.auroc == auroc_interval(truth, p, groups, seed=3, n_resamples=300)
    assert found.macro_auroc.value == pytest.approx(np.mean([one.auroc.value for one in found.evaluations.values()]))
    assert found.macro_auroc.low < found.macro_auroc.value < found.macro_auroc.high


def test_the_mean_of_one_class_is_that_class():
    """Its interval is the class's own, by the same resamples."""
    scored = _scored(unknown=0.0)
    alone = replace(scored, limits=scored.limits[1:], truth=scored.truth[:, 1:], probabilities=scored.probabilities[:, 1:])
    found = assess_classes(alone, **ASKED)
    assert found.macro_auroc.low == pytest.approx(found.evaluations["CD"].auroc.low)
    assert found.macro_auroc.high == pytest.approx(found.evaluations["CD"].auroc.high)


def test_the_interval_of_the_mean_is_of_resampled_patients():
    """Each class on its own records, of the patients drawn: here records are written out as often as their patient was drawn."""
    scored = _scored()

    def mean(weights):
        found = []
        for drawn in weights.astype(int):
            rows = np.repeat(np.arange(200), drawn)
            truth, p = scored.truth[rows], scored.probabilities[rows]
            known = ~np.isnan(truth)
            found.append(np.mean([roc_auc(truth[known[:, one], one].astype(int), p[known[:, one], one]) for one in (0, 1)]))
        return np.array(found)

    asked = {"seed": 3, "n_resamples": 300}
    expected = percentile_interval(mean(np.ones((1, 200)))[0], bootstrap(mean, np.array(scored.groups), **asked))
    found = assess_classes(scored, **ASKED).macro_auroc
    assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))


def test_a_record_without_a_usable_window_is_in_no_figure_of_a_class():
    """It has no probability of any class; the other records give the figures that they give alone."""
    scored = _scored()
    none = np.arange(200) % 50 == 7
    found = assess_classes(replace(scored, probabilities=np.where(none[:, None], np.nan, scored.probabilities)), **ASKED)
    alone = assess_classes(replace(scored, truth=np.where(none[:, None], np.nan, scored.truth)), **ASKED)
    assert found.as_dict() == alone.as_dict()


def test_what_is_not_known_or_never_there_is_left_out():
    """A class known of no record has no figures; one that no record has is in no mean; without any there is no mean."""
    scored = _scored()
    truth = scored.truth.copy()
    truth[:, 1] = np.nan
    found = assess_classes(replace(scored, truth=truth), **ASKED)
    assert list(found.evaluations) == ["MI"]
    truth[:, 1] = 0
    found = assess_classes(replace(scored, truth=truth), **ASKED)
    assert np.isnan(found.evaluations["CD"].auroc.value)
    assert found.macro_auroc.value == found.evaluations["MI"].auroc.value
    none = assess_classes(replace(scored, truth=truth * 0), **ASKED)
    assert np.isnan(none.macro_auroc.value)
    assert ClassAssessment.from_dict(none.as_dict()).as_dict() == none.as_dict()


def test_order_and_parts_do_not_matter():
    """Records in another order, and in two parts, give the same figures, which come back from JSON."""
    scored = _scored()
    order = np.random.default_rng(0).permutation(200)

    def part(rows):
        return replace(
            scored,
            record_ids=[scored.record_ids[row] for row in rows],
            groups=[scored.groups[row] for row in rows],
            truth=scored.truth[rows],
            probabilities=scored.probabilities[rows],
        )

    whole = assess_classes(scored, **ASKED).as_dict()
    assert assess_classes(ScoredClasses.joined([part(order[:70]), part(order[70:])]), **ASKED).as_dict() == whole
    assert ClassAssessment.from_dict(whole).as_dict() == whole


def test_columns_that_do_not_fit_are_refused():
    """Fewer truths than records are a fault of the caller."""
    scored = _scored()
    with pytest.raises(SignalError, match="200 records and 2 classes"):
        replace(scored, truth=scored.truth[:5])
