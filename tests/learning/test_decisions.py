"""From window probabilities to decisions: the contract's arithmetic, its edges, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation.calibration import Calibration
from ecg_tasks.evaluation.thresholds import AbstainBand
from ecg_tasks.labels import Decision
from ecg_tasks.learning.decisions import ClassRule, DecisionRule, SiteRule, decide, record_probabilities

AS_IT_IS = Calibration(temperature=1.0, bias=0.0)
RULE = DecisionRule(calibration=AS_IT_IS, threshold=0.5, abstain=AbstainBand(lo=0.4, hi=0.5), min_quality=0.3)


def _decisions(record, p, quality, *, n_records, rule=RULE):
    return decide(np.array(record, np.int64), np.array(p, np.float32), np.array(quality, np.float32), n_records=n_records, rule=rule)


def test_a_record_has_the_sigmoid_of_its_mean_log_odds():
    """Three windows of 0.9, 0.9 and 0.1 give log-odds of a third of those of 0.9; calibration halves them and takes 1 off."""
    record, p, quality = np.zeros(3, int), np.array([0.9, 0.9, 0.1]), np.ones(3)
    raw = record_probabilities(record, p, quality, n_records=1, min_quality=0.0)
    assert raw[0] == pytest.approx(1 / (1 + np.exp(-np.log(9) / 3)))
    rule = replace(RULE, calibration=Calibration(temperature=2.0, bias=-1.0))
    assert decide(record, p, quality, n_records=1, rule=rule).probability[0] == pytest.approx(1 / (1 + np.exp(-np.log(9) / 3 / 2 + 1)))


def test_each_decision_is_reached():
    """One record for each of the four decisions, the end of the abstain band included."""
    found = _decisions([0, 1, 2, 3, 4], [0.1, 0.9, 0.45, 0.5, 0.9], [1, 1, 1, 1, 0.2], n_records=6)
    assert found.decision == [
        Decision.NORMAL, Decision.ABNORMAL, Decision.UNCERTAIN, Decision.UNCERTAIN, Decision.UNINTERPRETABLE, Decision.UNINTERPRETABLE,
    ]  # fmt: skip
    assert found.n_windows.tolist() == [1, 1, 1, 1, 1, 0]
    assert found.n_used.tolist() == [1, 1, 1, 1, 0, 0]
    assert np.isnan(found.probability[4:]).all()


def test_the_threshold_itself_is_abnormal():
    """A probability that equals the threshold is abnormal when no band holds it."""
    rule = DecisionRule(calibration=AS_IT_IS, threshold=0.5, abstain=AbstainBand(lo=0.1, hi=0.2), min_quality=0.0)
    assert _decisions([0, 1], [0.5, 0.49], [1, 1], n_records=2, rule=rule).decision == [Decision.ABNORMAL, Decision.NORMAL]


def test_bad_windows_do_not_count():
    """A window below the quality limit changes nothing, not even with a probability that is none."""
    with_bad = _decisions([0, 0], [0.8, np.nan], [1, 0], n_records=1)
    assert with_bad.probability[0] == pytest.approx(0.8)


def test_order_of_windows_does_not_matter():
    """Shuffled windows give the same decisions."""
    rng = np.random.default_rng(2)
    record, p, order = rng.integers(0, 9, 200), rng.random(200), rng.permutation(200)
    one, other = _decisions(record, p, np.ones(200), n_records=9), _decisions(record[order], p[order], np.ones(200), n_records=9)
    assert one.probability == pytest.approx(other.probability)


def test_sure_windows_stay_finite():
    """Probabilities of exactly 0 and 1 do not make a record's probability nan."""
    assert _decisions([0, 0], [0.0, 1.0], [1, 1], n_records=1).probability[0] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("record", "p", "message"),
    [
        ([0, 3], [0.5, 0.5], "there are 2 records"),
        ([0, 1], [0.5, 1.5], "outside"),
        ([0, 1], [0.5, np.nan], "outside"),
        ([0], [0.5, 0.5], "shapes"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(record, p, message):
    """An index beyond the records, a probability above 1, or none, and unequal lengths are faults of the caller."""
    with pytest.raises(SignalError, match=message):
        _decisions(record, p, [1, 1], n_records=2)


CLASS = ClassRule(name="MI", output=2, temperature=2.0, bias=-1.0, threshold=0.3, abstain=(0.25, 0.3))


def test_a_class_is_decided_by_its_own_output_and_rule():
    """Each decision on a class, from the mean log-odds of its own column; what is decided on abnormal stays as it is."""
    outputs = np.full((7, 3), 0.9)
    outputs[:, 2] = [0.9, 0.9, 0.1, 0.3, 0.56, 0.9, 0.5]
    record, quality = np.array([0, 0, 0, 1, 2, 3, 4]), np.array([1, 1, 1, 1, 1, 0.2, 1])
    rule = replace(RULE, classes=(CLASS,))
    found = decide(record, outputs, quality, n_records=5, rule=rule)
    (one,) = found.classes
    assert one.rule is CLASS
    assert one.probability[0] == pytest.approx(1 / (1 + np.exp(-np.log(9) / 3 / 2 + 1)))
    assert one.decision == ["present", "absent", "uncertain", "uninterpretable", "uncertain"]
    alone = decide(record, outputs[:, 0], quality, n_records=5, rule=rule)
    assert (alone.decision, alone.classes) == (found.decision, ())
    assert alone.probability == pytest.approx(found.probability, nan_ok=True)


def test_a_class_is_present_from_its_threshold_on():
    """The threshold itself included, where the band does not hold it; probabilities below are absent."""
    rule = replace(CLASS, threshold=0.5, abstain=(0.2, 0.2))
    assert rule.decide(np.array([0.5, np.nextafter(0.5, 0), 0.2])) == ["present", "absent", "uncertain"]


def test_a_site_decides_by_its_own_rule():
    """Calibration, threshold and band; records of other sites, and of none, by those of all, as if there were no sites."""
    own = SiteRule(site="north", temperature=1.0, bias=-np.log(9), threshold=0.3, abstain=(0.15, 0.2))
    rule = replace(RULE, sites=(own,))
    record, p = np.arange(4), np.array([0.9, 0.9, 0.9, 0.6], np.float32)
    found = decide(record, p, np.ones(4), n_records=4, rule=rule, sites=["north", "south", None, "north"])
    assert found.probability == pytest.approx([0.5, 0.9, 0.9, 1 / 7])
    assert found.decision == [Decision.ABNORMAL, Decision.ABNORMAL, Decision.ABNORMAL, Decision.NORMAL]
    wider = replace(rule, sites=(replace(own, abstain=(0.1, 0.2)),))
    assert decide(record, p, np.ones(4), n_records=4, rule=wider, sites=["north"] * 4).decision[3] == Decision.UNCERTAIN
    of_all = decide(record, p, np.ones(4), n_records=4, rule=rule)
    assert of_all.probability.tolist() == decide(record, p, np.ones(4), n_records=4, rule=RULE).probability.tolist()
    limits = rule.limits(["north", None])
    assert limits.threshold.tolist() == [0.3, 0.5]
    assert [limits.band(0), limits.band(1)] == [(0.15, 0.2), (0.4, 0.5)]
    assert replace(rule, sites=(replace(own, abstain=(0.3, 0.3)),)).limits(["north"]).band(0) is None
