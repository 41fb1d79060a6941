"""The whole assessment: the same whatever the order, subgroups that are held back, and baselines beside the model."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as reference

from ecg_tasks.errors import NotEnoughDataError, SignalError
from ecg_tasks.evaluation.assessment import ScoredRecords, assess
from ecg_tasks.evaluation.intervals import Interval
from ecg_tasks.evaluation.subgroups import MIN_PATIENTS, Subgroup, shortfalls
from ecg_tasks.evaluation.summary import Evaluation
from ecg_tasks.evaluation.thresholds import AbstainBand

N = 90
BAND = AbstainBand(lo=0.35, hi=0.5)


def judge(scored):
    """Assess with the same rule and few resamples."""
    return assess(scored, threshold=0.4, abstain=BAND, split_unit="patient", n_resamples=100)


@pytest.fixture(scope="module")
def scored():
    """Ninety records of 60 patients; six are of unknown sex, and two people are under 40."""
    rng = np.random.default_rng(5)
    labels = np.arange(N) % 3 > 0
    log_odds = 2 * labels - 1 + rng.normal(0, 1.2, N)
    ages = np.where(np.arange(N) < 2, 30.0, rng.uniform(40, 95, N))
    ages[80:] = np.nan
    return ScoredRecords(
        record_ids=[f"{number:032x}" for number in rng.permutation(N)],
        labels=labels.astype(np.uint8),
        probabilities=1 / (1 + np.exp(-log_odds)),
        groups=[f"p{number % 60}" for number in range(N)],
        quality=rng.random(N),
        ages=ages,
        sexes=[None if number < 6 else ("female", "male")[number % 2] for number in range(N)],
        baselines={"beat_length": rng.random(N), "itself": 1 / (1 + np.exp(-log_odds))},
        origins={"device": [None] * N, "site": [("north", "south", None)[number // 3 % 3] for number in range(N)]},
    )


@pytest.fixture(scope="module")
def found(scored):
    """What is found of them."""
    return judge(scored)


def test_order_and_names_play_no_part(scored, found):
    """The same records in another order, their patients under other names, give the same to the last digit."""
    order = np.random.default_rng(0).permutation(N)
    names = {name: f"{hash(name) % 1009}-{name}" for name in scored.groups}
    shuffled = ScoredRecords(
        record_ids=[scored.record_ids[row] for row in order],
        labels=scored.labels[order],
        probabilities=scored.probabilities[order],
        groups=[names[scored.groups[row]] for row in order],
        quality=scored.quality[order],
        ages=scored.ages[order],
        sexes=[scored.sexes[row] for row in order],
        baselines={name: values[order] for name, values in scored.baselines.items()},
        origins={name: [values[row] for row in order] for name, values in scored.origins.items()},
    )
    assert judge(shuffled).as_dict() == found.as_dict()


def test_subgroups_count_everybody_once(found):
    """Each attribute's groups hold every record once; small groups are counted but not judged."""
    for attribute in ("sex", "age", "quality", "site"):
        assert sum(group.n_records for group in found.subgroups if group.attribute == attribute) == N
    told = {(group.attribute, group.value): group for group in found.subgroups}
    assert told["sex", "unknown"].n_records == 6
    assert told["sex", "unknown"].figures == {}
    assert told["age", "under 40"].as_dict()["suppressed"]
    assert all(bool(group.figures) == (group.n_patients >= MIN_PATIENTS) for group in found.subgroups)


def test_figures_of_a_subgroup_are_those_of_its_records(scored, found):
    """AUROC, sensitivity and Brier score of the women equal scikit-learn's on the women."""
    women = np.array([sex == "female" for sex in scored.sexes])
    (group,) = [one for one in found.subgroups if one.value == "female"]
    labels, probabilities = scored.labels[women], scored.probabilities[women]
    assert group.figures["auroc"].value == pytest.approx(reference.roc_auc_score(labels, probabilities), abs=1e-9)
    assert group.figures["sensitivity"].value == pytest.approx(reference.recall_score(labels, probabilities >= 0.4), abs=1e-9)
    assert group.figures["brier"].value == pytest.approx(reference.brier_score_loss(labels, probabilities), abs=1e-9)
    assert group.n_abnormal == labels.sum()


def test_devices_and_sites_are_groups_where_any_is_known(scored, found):
    """The most frequent ones by their names, the others together, and those not known; nothing where none is known at all."""
    assert [group.value for group in found.subgroups if group.attribute == "site"] == ["north", "south", "unknown"]
    assert [group for group in found.subgroups if group.attribute == "device"] == []
    many = [f"device {min(number // 7, 12):02d}" for number in range(N)]
    groups = [one for one in judge(replace(scored, origins={"device": many})).subgroups if one.attribute == "device"]
    assert [one.value for one in groups] == [*(f"device {number:02d}" for number in range(10)), "others"]
    assert sum(one.n_records for one in groups) == N
    assert ScoredRecords.joined([scored, scored]).origins["site"] == [*scored.origins["site"]] * 2


def test_where_it_fails_is_told_in_order_and_clear_only_by_the_whole_interval():
    """A group that is better is left out, as are figures that are held back; of two that are worse the farther one is first."""

    def group(value, **figures):
        return Subgroup(attribute="site", value=value, n_records=50, n_patients=50, n_abnormal=20, figures=figures)

    whole = {"auroc": Interval(0.9, 0.85, 0.95), "sensitivity": Interval(0.8, 0.7, 0.9), "brier": Interval(0.1, 0.05, 0.2)}
    groups = [
        group("near", auroc=Interval(0.89, 0.8, 0.95), sensitivity=Interval(0.85, 0.7, 0.9)),
        group("far", auroc=Interval(0.7, 0.6, 0.89), sensitivity=Interval(0.6, 0.4, 0.81), brier=Interval(0.3, 0.2, 0.4)),
        group("small"),
    ]
    found = shortfalls(whole, [Subgroup.from_dict(json.loads(json.dumps(one.as_dict()))) for one in groups])
    assert [(one.value, one.figure, one.clear) for one in found] == [
        ("far", "auroc", True),
        ("far", "sensitivity", False),
        ("near", "auroc", False),
    ]


def test_baselines_stand_beside_the_model(scored, found):
    """A baseline has the figures of its own probabilities; against itself the model's lead is zero, without any width."""
    guess = found.baselines["beat_length"]
    assert guess.figures["auroc"].value == pytest.approx(reference.roc_auc_score(scored.labels, scored.baselines["beat_length"]), abs=1e-9)
    assert guess.auroc_difference.value == pytest.approx(found.evaluation.auroc.value - guess.figures["auroc"].value, abs=1e-9)
    same = found.baselines["itself"].auroc_difference
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_it_is_plain_json(found):
    """No nan is in the text, and the figures come back from it."""
    again = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert again.keys() == {"test", "curves", "baselines", "subgroups"}
    assert again["curves"].keys() == {"roc", "precision_recall", "reliability", "coverage"}
    assert Evaluation.from_dict(again["test"]) == found.evaluation


def test_impossible_arguments_are_refused(scored):
    """A column of another length is refused, and so is nothing at all."""
    with pytest.raises(SignalError, match="90 records, but columns of"):
        replace(scored, ages=scored.ages[:-1])
    nothing = np.zeros(0)
    with pytest.raises(NotEnoughDataError, match="no labelled record"):
        judge(
            ScoredRecords(
                record_ids=[], labels=nothing.astype(int), probabilities=nothing, groups=[], quality=nothing, ages=nothing, sexes=[]
            )
        )


def test_records_may_have_limits_of_their_own(scored, found):
    """The model's own for each record change nothing; others decide what is called abnormal and what is firm, in groups too."""
    same = replace(scored, thresholds=np.full(N, 0.4), firm=(scored.probabilities < BAND.lo) | (scored.probabilities > BAND.hi))
    assert judge(same).as_dict() == found.as_dict()
    north = np.array([one == "north" for one in scored.origins["site"]])
    other = replace(scored, thresholds=np.where(north, 0.9, 0.4), firm=~north | (scored.probabilities > 0.95))
    assessed = judge(ScoredRecords.joined([other]))
    called = scored.probabilities >= np.where(north, 0.9, 0.4)
    assert assessed.evaluation.confusion.true_positives == int((called & (scored.labels == 1)).sum())
    assert assessed.evaluation.coverage.value == pytest.approx(np.mean(other.firm))
    assert assessed.coverage.accuracy[0] == pytest.approx(np.mean(called == (scored.labels == 1)))
    of_site = {group.value: group for group in assessed.subgroups if group.attribute == "site"}
    ill = north & (scored.labels == 1)
    assert of_site["north"].figures["sensitivity"].value == pytest.approx(called[ill].mean())
    before = {group.value: group for group in found.subgroups if group.attribute == "site"}
    assert of_site["south"].figures["sensitivity"].value == before["south"].figures["sensitivity"].value
    with pytest.raises(SignalError, match="90 records, but columns of"):
        replace(scored, thresholds=np.zeros(3), firm=np.zeros(N, dtype=bool))
