"""What teaches most comes first."""

import numpy as np
import pytest

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation.priority import REASONS, PriorityWeights, centred, prioritise, uncertainty


def one(**changes):
    """The priority of one recording: a sure one, well recorded and without a label, but for the changes."""
    plain = {"scores": [[0.01]], "uncertain": [0.0], "quality": [1.0], "label": [-1], "disputed": [False]}
    return prioritise(**{name: np.array(value) for name, value in (plain | changes).items()})


def test_a_sure_and_clean_recording_has_no_priority():
    """Nothing is learned from it."""
    assert one().total[0] == 0
    assert one(label=[0]).total[0] == 0


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("disputed", {"disputed": [True]}),
        ("contradicts_label", {"scores": [[1.0]], "label": [0]}),
        ("uncertain", {"uncertain": [1.0]}),
        ("recipes_disagree", {"scores": [[0.0], [1.0]]}),
        ("low_quality", {"quality": [0.0]}),
    ],
)
def test_each_reason_at_its_strongest_adds_its_weight_and_no_other_does(reason, changes):
    """The parts of the sum can be told apart."""
    found = one(**changes)
    assert found.total[0] == pytest.approx(getattr(PriorityWeights(), reason))
    assert {name for name in REASONS if found.shares[name][0] > 0} == {reason}


def test_every_reason_is_tested():
    """A reason that is added later needs its line above."""
    assert set(REASONS) == {"disputed", "contradicts_label", "uncertain", "recipes_disagree", "low_quality"}


def test_the_first_recipe_that_speaks_decides_what_contradicts_the_label():
    """A recipe that says nothing of a recording neither decides nor disagrees."""
    found = one(scores=[[np.nan], [0.9]], label=[0])
    assert found.shares["contradicts_label"][0] == pytest.approx(0.8)
    assert found.shares["recipes_disagree"][0] == 0
    assert one(scores=[[np.nan]], label=[1]).total[0] == 0


def test_uncertainty_is_whole_in_the_band_and_halves_with_each_unit_of_log_odds():
    """On both sides alike; a recording without a probability has none."""
    e = np.e
    p = np.array([0.4, 0.5, 0.6, 1.5 * e / (1 + 1.5 * e), (2 / 3) / e / (1 + (2 / 3) / e), np.nan])
    assert uncertainty(p, threshold=0.5, abstain=(0.4, 0.6)).tolist() == pytest.approx([1, 1, 1, 0.5, 0.5, 0])


def test_an_empty_band_leaves_the_threshold():
    """A model that never abstains is least sure at its threshold."""
    at = uncertainty(np.array([0.1, 0.2, 0.3]), threshold=0.2, abstain=(0.2, 0.2))
    assert at[1] == 1
    assert at[0] < 1
    assert at[2] < 1


def test_models_with_different_thresholds_agree_where_both_are_at_theirs():
    """Log-odds are counted from the threshold."""
    assert centred(np.array([0.2]), threshold=0.2) == pytest.approx(centred(np.array([0.7]), threshold=0.7))


def test_shapes_that_do_not_fit_are_refused():
    """Nothing is stretched in silence."""
    with pytest.raises(SignalError, match="scores are of 2"):
        one(scores=[[0.1, 0.2]])


def test_planted_wrong_labels_are_found_sooner_than_by_chance():
    """A tenth of 2,000 labels is turned; with a model of AUROC 0.9 nine tenths of them are found within a quarter of the queue."""
    rng = np.random.default_rng(3)
    true = rng.integers(0, 2, 2000)
    scores = 1 / (1 + np.exp(-(rng.normal(0, 1, 2000) * 1.8 + np.where(true == 1, 1.65, -1.65))))
    wrong = rng.permutation(2000) < 200
    label = np.where(wrong, 1 - true, true)
    found = prioritise(
        scores=scores[None],
        uncertain=uncertainty(scores, threshold=0.5, abstain=(0.45, 0.55)),
        quality=rng.uniform(0.7, 1, 2000),
        label=label,
        disputed=np.zeros(2000, dtype=bool),
    )
    curve = np.cumsum(wrong[np.argsort(-found.total, kind="stable")]) / 200
    by_chance = np.cumsum(wrong[rng.permutation(2000)]) / 200
    assert curve.mean() > 0.85
    assert by_chance.mean() < 0.6
    assert curve[500] > 0.75
