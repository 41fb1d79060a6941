"""The gate: who passes, who does not, and that the reason says why."""

import numpy as np
import pytest

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation.gate import GatePolicy, VerdictKind, judge


def scored(n, *, seed, shift):
    """Labels, probabilities that separate the classes by ``shift`` standard deviations, and a patient a record."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    return labels, 1 / (1 + np.exp(-rng.normal((2 * labels - 1) * shift / 2))), np.arange(n).astype(str)


def test_first_champion_must_beat_guessing_with_its_interval():
    """A model that ranks is promoted as first; one that guesses is not, though its AUROC may lie above one half."""
    labels, good, patients = scored(60, seed=0, shift=2.0)
    verdict = judge(labels, good, None, patients, seed=0)
    assert (verdict.promote, verdict.kind) == (True, VerdictKind.FIRST)
    assert verdict.figures["candidate_auroc"].low > 0.5
    _, guessing, _ = scored(60, seed=2, shift=0.1)
    verdict = judge(labels, guessing, None, patients, seed=0)
    assert (verdict.promote, verdict.kind) == (False, VerdictKind.REJECTED)
    assert verdict.figures["candidate_auroc"].value > 0.5
    assert "the interval does not lie above 0.5" in verdict.reason


def test_better_candidate_replaces_the_champion():
    """A higher AUROC on the same patients promotes, and the reason tells both areas and the paired interval."""
    labels, good, patients = scored(60, seed=0, shift=3.0)
    _, poor, _ = scored(60, seed=1, shift=0.5)
    verdict = judge(labels, good, poor, patients, seed=0)
    assert (verdict.promote, verdict.kind) == (True, VerdictKind.BETTER)
    assert (
        f"AUROC {verdict.figures['candidate_auroc'].value:.3f} against the champion's {verdict.figures['champion_auroc'].value:.3f}"
        in verdict.reason
    )
    assert verdict.figures["auroc_difference"].text() in verdict.reason


@pytest.mark.parametrize("equal", [True, False])
def test_candidate_that_is_no_better_is_rejected(equal):
    """A worse candidate, and the champion itself, are rejected with the difference in the reason."""
    labels, good, patients = scored(60, seed=0, shift=3.0)
    _, poor, _ = scored(60, seed=1, shift=0.5)
    verdict = judge(labels, good if equal else poor, good, patients, seed=0)
    assert (verdict.promote, verdict.kind) == (False, VerdictKind.REJECTED)
    assert verdict.reason.startswith("it does not beat the champion: AUROC")


def test_too_few_patients_judge_nothing():
    """A perfect candidate on four abnormal patients, however many records these have, is rejected with the counts."""
    labels = np.array([0] * 30 + [1] * 40)
    patients = np.array([f"n{i}" for i in range(30)] + [f"a{i % 4}" for i in range(40)])
    verdict = judge(labels, labels * 0.8 + 0.1, None, patients, seed=0)
    assert not verdict.promote
    assert "30 normal and 4 abnormal patients; at least 5 of each" in verdict.reason
    assert judge(labels, labels * 0.8 + 0.1, None, patients, seed=0, policy=GatePolicy(min_patients_per_class=4)).promote


def test_impossible_arguments_are_refused():
    """A missing group and a policy that asks for no patient are refused."""
    with pytest.raises(SignalError, match="2 labels, but groups"):
        judge([0, 1], [0.1, 0.2], None, ["a"], seed=0)
    with pytest.raises(SignalError, match="min_patients_per_class=0"):
        GatePolicy(min_patients_per_class=0)
