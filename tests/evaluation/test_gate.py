"""The gate: who passes, who does not, and that the reason says why."""

import numpy as np
import pytest

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation.gate import (
    MANY_CANDIDATES,
    GatePolicy,
    NewData,
    PromotionPolicy,
    Scored,
    ScoredClass,
    VerdictKind,
    evaluate_candidate,
    note_on_test_set,
)

REFRESH = GatePolicy(promotion=PromotionPolicy.REFRESH, max_ece=1, min_sensitivity=0)
LENIENT = GatePolicy(max_ece=1, min_sensitivity=0)
MUCH_NEW = NewData(n_training=100, n_new=60)


def scored(n, *, seed, shift):
    """Labels, well calibrated scores that separate the classes by ``shift`` standard deviations, and a patient a record."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    log_odds = shift * rng.normal((2 * labels - 1) * shift / 2)
    return labels, Scored(probabilities=1 / (1 + np.exp(-log_odds)), threshold=0.2), np.arange(n).astype(str)


def test_first_champion_must_beat_guessing_with_its_interval():
    """A model that ranks is promoted as first; one that guesses is not, though its AUROC may lie above one half."""
    labels, good, patients = scored(60, seed=0, shift=2.0)
    verdict = evaluate_candidate(labels, good, None, patients, seed=0)
    assert (verdict.promote, verdict.kind) == (True, VerdictKind.FIRST)
    assert verdict.figures["candidate_auroc"].low > 0.5
    assert "a later candidate would be rejected" not in verdict.reason
    _, guessing, _ = scored(60, seed=2, shift=0.1)
    verdict = evaluate_candidate(labels, guessing, None, patients, seed=0)
    assert (verdict.promote, verdict.kind) == (False, VerdictKind.REJECTED)
    assert verdict.figures["candidate_auroc"].value > 0.5
    assert "a part of the interval is not above 0.5" in verdict.reason


def test_chance_hardly_ever_passes():
    """Of 200 models that guess, as first champions or against one that guesses too, at most 5 % pass."""
    rng = np.random.default_rng(0)
    labels, patients = np.arange(44) % 2, np.arange(44).astype(str)
    passed = {"first": 0, "better": 0}
    for seed in range(200):
        guess, other = (Scored(probabilities=rng.random(44), threshold=0.0) for _ in range(2))
        passed["first"] += evaluate_candidate(labels, guess, None, patients, seed=seed, n_resamples=300).promote
        passed["better"] += evaluate_candidate(labels, guess, other, patients, seed=seed, n_resamples=300, policy=LENIENT).promote
    assert max(passed.values()) <= 10


def test_first_champion_that_misses_a_floor_says_so():
    """Without anything better to serve it is promoted all the same, and its reason tells what is wrong with it."""
    labels, good, patients = scored(60, seed=0, shift=3.0)
    deaf = Scored(probabilities=good.probabilities, threshold=0.999999)
    verdict = evaluate_candidate(labels, deaf, None, patients, seed=0)
    assert verdict.promote
    assert "a later candidate would be rejected" in verdict.reason
    assert f"sensitivity of {verdict.sensitivity:.3f} is below the minimum of 0.75" in verdict.reason


def test_better_candidate_replaces_the_champion():
    """A difference whose interval lies above 0 promotes, and the reason tells both areas and the paired interval."""
    labels, good, patients = scored(60, seed=0, shift=3.0)
    _, poor, _ = scored(60, seed=1, shift=0.5)
    verdict = evaluate_candidate(labels, good, poor, patients, seed=0)
    assert (verdict.promote, verdict.kind) == (True, VerdictKind.BETTER)
    assert verdict.figures["auroc_difference"].low > 0
    areas = [verdict.figures[f"{who}_auroc"].value for who in ("candidate", "champion")]
    assert f"AUROC {areas[0]:.3f} against the champion's {areas[1]:.3f}" in verdict.reason
    assert verdict.figures["auroc_difference"].text() in verdict.reason


def test_a_higher_area_alone_is_not_better():
    """A candidate whose AUROC is higher by what chance explains is rejected, unless the policy is a refresh and it knows more data."""
    labels, champion, patients = scored(60, seed=3, shift=2.5)
    noise = np.random.default_rng(1).normal(0, 0.3, 60)
    log_odds = np.log(champion.probabilities / (1 - champion.probabilities)) + 0.05 * (2 * labels - 1) + 0.2 * noise
    candidate = Scored(probabilities=1 / (1 + np.exp(-log_odds)), threshold=0.2)
    plain = evaluate_candidate(labels, candidate, champion, patients, seed=0, policy=LENIENT)
    assert plain.figures["auroc_difference"].value > 0
    assert (plain.promote, plain.kind) == (False, VerdictKind.REJECTED)
    assert "not shown to be better" in plain.reason
    refresh = evaluate_candidate(labels, candidate, champion, patients, seed=0, policy=REFRESH, new_data=MUCH_NEW)
    assert (refresh.promote, refresh.kind) == (True, VerdictKind.REFRESH)
    assert "60 of its 100 training records are new to the champion" in refresh.reason
    for too_little in (None, NewData(n_training=100, n_new=0), NewData(n_training=100, n_new=4)):
        verdict = evaluate_candidate(labels, candidate, champion, patients, seed=0, policy=REFRESH, new_data=too_little)
        assert (verdict.promote, verdict.kind) == (False, VerdictKind.REJECTED)
        assert "it is not a refresh" in verdict.reason


def test_a_refresh_may_not_be_worse_than_the_margin():
    """More data does not excuse a difference whose lower bound lies below minus the margin."""
    labels, good, patients = scored(60, seed=0, shift=3.0)
    _, poor, _ = scored(60, seed=1, shift=0.5)
    verdict = evaluate_candidate(labels, poor, good, patients, seed=0, policy=REFRESH, new_data=MUCH_NEW)
    assert (verdict.promote, verdict.kind) == (False, VerdictKind.REJECTED)
    assert "may be worse by more than 0.05" in verdict.reason


@pytest.mark.parametrize("promotion", PromotionPolicy)
@pytest.mark.parametrize("fault", ["sensitivity", "calibration"])
def test_floors_hold_for_better_and_refresh(promotion, fault):
    """A candidate that ranks far better is rejected for a threshold that finds too few, and for probabilities that are far off."""
    labels, good, patients = scored(60, seed=0, shift=3.0)
    _, poor, _ = scored(60, seed=1, shift=0.5)
    shifted = Scored(probabilities=0.6 + 0.4 * np.asarray(good.probabilities), threshold=0.6)
    candidate = Scored(probabilities=good.probabilities, threshold=0.9999) if fault == "sensitivity" else shifted
    verdict = evaluate_candidate(labels, candidate, poor, patients, seed=0, policy=GatePolicy(promotion=promotion), new_data=MUCH_NEW)
    assert verdict.figures["auroc_difference"].low > 0
    assert (verdict.promote, verdict.kind) == (False, VerdictKind.REJECTED)
    assert {"sensitivity": "below the minimum of 0.75", "calibration": "above the maximum of 0.2"}[fault] in verdict.reason


@pytest.mark.parametrize("equal", [True, False])
def test_candidate_that_is_no_better_is_rejected(equal):
    """A worse candidate, and the champion itself, are rejected with the difference in the reason."""
    labels, good, patients = scored(60, seed=0, shift=3.0)
    _, poor, _ = scored(60, seed=1, shift=0.5)
    verdict = evaluate_candidate(labels, good if equal else poor, good, patients, seed=0)
    assert (verdict.promote, verdict.kind) == (False, VerdictKind.REJECTED)
    assert verdict.reason.startswith("it is not shown to be better than the champion: AUROC")


def test_too_few_patients_reject():
    """A perfect candidate on four abnormal patients, however many records these have, is rejected with the counts."""
    labels = np.array([0] * 30 + [1] * 40)
    patients = np.array([f"n{i}" for i in range(30)] + [f"a{i % 4}" for i in range(40)])
    perfect = Scored(probabilities=labels * 0.8 + 0.1, threshold=0.5)
    verdict = evaluate_candidate(labels, perfect, None, patients, seed=0)
    assert not verdict.promote
    assert "30 normal and 4 abnormal patients; at least 5 of each" in verdict.reason
    assert evaluate_candidate(labels, perfect, None, patients, seed=0, policy=GatePolicy(min_patients_per_class=4)).promote


def test_the_note_warns_where_many_were_evaluated():
    """From twenty candidates on the note warns; before it only counts."""
    assert "chance" not in note_on_test_set(MANY_CANDIDATES - 1)
    assert "20 candidates have been evaluated" in note_on_test_set(20)
    assert "looks better than it is" in note_on_test_set(20)
    assert "1 candidate has" in note_on_test_set(1)


def test_impossible_arguments_are_refused():
    """A missing group, and a policy that asks for no patient or a share above 1, are refused."""
    with pytest.raises(SignalError, match="2 labels, but groups"):
        evaluate_candidate([0, 1], Scored(probabilities=[0.1, 0.2], threshold=0.5), None, ["a"], seed=0)
    with pytest.raises(SignalError, match="min_patients_per_class=0"):
        GatePolicy(min_patients_per_class=0)
    with pytest.raises(SignalError, match=r"max_ece=1\.5"):
        GatePolicy(max_ece=1.5)


def _better():
    """Labels, a candidate that is better at normal and abnormal, its champion, and patients."""
    labels, good, patients = scored(60, seed=0, shift=3.0)
    _, poor, _ = scored(60, seed=1, shift=0.5)
    return labels, good, poor, patients


def _of_class(*, candidate, champion, n=400, prevalence=0.3):
    """A class that n patients may have, with scores that lie so far apart."""
    rng = np.random.default_rng(5)
    truth = (np.arange(n) < prevalence * n).astype(int)
    scores = [1 / (1 + np.exp(-(rng.normal(size=n) + shift * (2 * truth - 1) / 2))) for shift in (candidate, champion)]
    return ScoredClass(labels=truth, candidate=scores[0], champion=scores[1], groups=np.arange(n).astype(str))


def test_no_class_may_fall_by_more_than_its_margin():
    """A candidate that is better at abnormal is rejected for the one class that fell, by its name; within the margin it passes."""
    labels, good, poor, patients = _better()
    classes = {"MI": _of_class(candidate=2.5, champion=2.0), "HYP": _of_class(candidate=1.0, champion=3.0)}
    verdict = evaluate_candidate(labels, good, poor, patients, seed=0, classes=classes)
    assert (verdict.promote, verdict.kind) == (False, VerdictKind.REJECTED)
    assert verdict.reason.startswith("its AUROC of HYP may be worse by more than 0.05: difference -")
    assert "nothing else makes up for that: it is better than the champion" in verdict.reason
    assert "MI may be worse" not in verdict.reason
    assert verdict.figures["auroc_difference_HYP"].text() in verdict.reason
    held = evaluate_candidate(labels, good, poor, patients, seed=0, classes=classes, policy=GatePolicy(class_margin=0.5))
    assert held.promote
    assert held.reason.endswith("; not worse by more than 0.5 in MI, HYP")


def test_a_class_of_too_few_patients_is_not_compared_however_many_records_they_have():
    """Neither where few patients have it nor where few have it not; the reason says which it is."""
    labels, good, poor, patients = _better()
    one = _of_class(candidate=1.0, champion=3.0)
    has = np.asarray(one.labels) == 1
    four = np.arange(400) % 4
    for few in (has, ~has):
        named = ScoredClass(
            labels=one.labels, candidate=one.candidate, champion=one.champion, groups=np.where(few, four, 4 + np.arange(400)).astype(str)
        )
        verdict = evaluate_candidate(labels, good, poor, patients, seed=0, classes={"MI": named})
        assert verdict.promote
        assert verdict.reason.endswith("; too few test patients to compare MI")


def test_the_whole_interval_of_a_class_must_lie_above_the_margin():
    """A difference within the margin on few patients is not enough to say that a class has not fallen; on many it is."""
    labels, good, poor, patients = _better()
    few, many = ({"MI": _of_class(candidate=1.9, champion=2.0, n=n)} for n in (400, 4000))
    verdict = evaluate_candidate(labels, good, poor, patients, seed=0, classes=few)
    difference = verdict.figures["auroc_difference_MI"]
    assert difference.low < -0.05 < difference.value
    assert not verdict.promote
    assert evaluate_candidate(labels, good, poor, patients, seed=0, classes=many).promote


def test_classes_help_no_candidate():
    """Normal and abnormal are judged first: a candidate that is no better there is rejected for that, however good its classes are."""
    labels, good, poor, patients = _better()
    classes = {"MI": _of_class(candidate=3.0, champion=1.0)}
    verdict = evaluate_candidate(labels, poor, good, patients, seed=0, classes=classes)
    assert verdict.reason == evaluate_candidate(labels, poor, good, patients, seed=0).reason
    assert "auroc_difference_MI" not in verdict.figures


def test_a_class_that_few_test_patients_have_is_not_compared():
    """Four patients say nothing of a class; the reason says so, and which classes are no longer reported."""
    labels, good, poor, patients = _better()
    classes = {"CD": _of_class(candidate=1.0, champion=3.0, prevalence=0.01)}
    verdict = evaluate_candidate(labels, good, poor, patients, seed=0, classes=classes, lost=("HYP",))
    assert verdict.promote
    assert verdict.reason.endswith("; too few test patients to compare CD; it no longer reports HYP")
    rejected = evaluate_candidate(labels, poor, good, patients, seed=0, classes=classes, lost=("HYP",))
    assert not rejected.promote
    assert "HYP" not in rejected.reason  # nothing is lost by what does not serve
