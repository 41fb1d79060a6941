"""Cohen's kappa is scikit-learn's, and its interval holds what it promises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation.agreement import cohens_kappa

WORDS = ("normal", "abnormal", "uninterpretable")


@given(st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(WORDS)), min_size=2, max_size=60))
def test_kappa_is_that_of_scikit_learn(pairs):
    """On any verdicts of which not all are one word."""
    first, second = zip(*pairs, strict=True)
    if len(set(first) | set(second)) == 1:
        assert np.isnan(cohens_kappa(first, second).kappa.value)
        return
    assert cohens_kappa(first, second).kappa.value == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)


@pytest.mark.parametrize(("n", "same"), [(20, 0.9), (50, 0.8), (200, 0.8), (200, 0.6)])
def test_the_interval_holds_the_true_kappa_nineteen_times_of_twenty(n, same):
    """Over 2,000 simulated pairs of reviewers; between 0.92 and 0.985 of the intervals hold the value that was drawn from."""
    rng = np.random.default_rng(11)
    share = np.array([0.6, 0.3, 0.1])
    joint = same * np.diag(share) + (1 - same) * np.outer(share, share)
    true = same  # with these joint shares kappa is the part that does not come from drawing lots
    words = np.array(WORDS)
    held = 0
    for _ in range(2000):
        drawn = rng.choice(9, size=n, p=joint.ravel())
        found = cohens_kappa(words[drawn // 3].tolist(), words[drawn % 3].tolist()).kappa
        held += bool(found.low <= true <= found.high)
    assert 0.92 <= held / 2000 <= 0.985


def test_never_differing_on_five_recordings_is_no_certainty():
    """The interval of a perfect but short agreement is wide."""
    kappa = cohens_kappa(["normal", "abnormal"] * 3, ["normal", "abnormal"] * 3).kappa
    assert kappa.value == 1
    assert kappa.low < 0.3
    assert kappa.high == 1


def test_no_recording_in_common_gives_no_figure_and_unequal_lists_are_refused():
    """Nothing is made up."""
    assert np.isnan(cohens_kappa([], []).kappa.value)
    with pytest.raises(SignalError, match="2 verdicts"):
        cohens_kappa(["normal", "normal"], ["normal"])
