"""The model card: everything that a reader must be told is there, and nothing breaks it."""

import re

import numpy as np
import pytest

from ecg_tasks.evaluation.assessment import ScoredRecords, assess
from ecg_tasks.evaluation.thresholds import AbstainBand
from ecg_tasks.learning.card import PICTURES, SYNTHETIC_NOTICE, model_card
from ecg_tasks.reporting import performance

SPEC = {
    "recipe": "heartbeat",
    "recipe_digest": "0123456789ab",
    "version": "v1",
    "dataset_id": "d1",
    "class_order": ("normal", "abnormal"),
    "threshold": 0.4375,
    "abstain": (0.25, 0.625),
    "temperature": 1.5,
    "min_quality": 0.3,
    "image_shape": (17, 39, 1),
    "network": "compact",
    "n_weights": 50041,
    "seed": 3,
    "synthetic": False,
    "training": {"params": {"epochs": 2}, "epochs": [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}]},
    "environment": {"keras": "3.15.1"},
    "sources": ("A collection, CC-BY 4.0",),
}
SPLITS = {"a": "train", "b": "train", "c": "test"}


@pytest.fixture(scope="module")
def metrics():
    """What stands in ``metrics.json``, of sixty made-up records."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    probabilities = 1 / (1 + np.exp(-(2 * labels - 1 + rng.normal(0, 1, 60))))
    scored = ScoredRecords(
        record_ids=[f"{number:032x}" for number in range(60)],
        labels=labels,
        probabilities=probabilities,
        groups=[f"p{number}" for number in range(60)],
        quality=rng.random(60),
        ages=np.where(np.arange(60) < 4, 30.0, 70.0),
        sexes=["female", "male"] * 30,
        origins={"device": [None] * 60, "site": ["north"] * 40 + ["south"] * 20},
        baselines={"beat_length": rng.random(60)},
    )
    found = assess(scored, threshold=0.4375, abstain=AbstainBand(lo=0.25, hi=0.625), split_unit="patient", n_resamples=50)
    split = {"records": 60, "groups": 59, "normal": 30, "abnormal": 30}
    return found.as_dict() | {
        "data": dict.fromkeys(("train", "validation", "calibration", "test"), split),
        "calibration": {
            "method": "temperature scaling",
            "sides": ["calibration"],
            "n_records": 46,
            "n_patients": 44,
            "n_abnormal": 13,
            "sensitivity_asked": 0.9,
            "accuracy_asked": 0.95,
            "coverage_asked": 0.8,
            "coverage_curve": {},
        },
        "baseline_models": {"beat_length": {"features": ["beat_length_s"], "n_records": 212}},
        "candidates_judged": 3,
        "ages": {"low": 18.0, "high": 88.0, "n_patients": 1212},
        "provenance": {"manifest_sha256": "m" * 64, "split_sha256": "s" * 64},
    }


@pytest.mark.parametrize(
    "told",
    [
        "Research use only",
        "not a medical device",
        "50,041 weights",
        "heartbeat@0123456789ab",
        "temperature 1.5",
        "uncertain from 0.25 to 0.625",
        "abnormal from 0.4375 on",
        "find 90 % of the abnormal calibration records",
        "| test | 60 | 59 | 30 | 30 | 50 % |",
        "Split by patient",
        "| AUROC | 0.",
        "| Prevalence | 0.500 | ",
        "95 % interval",
        "| prevalence | share called abnormal | positive predictive value | negative predictive value |",
        "| 10 % | 0.",
        "| 60 % | 0.",
        "3 candidates have been evaluated on these test patients so far",
        "T = 1.5, b = 0, fitted on 46 records of 44 patients (13 abnormal) of the calibration split",
        "bins of equal mass",
        "| Length of a beat alone | ",
        "`beat_length_s`, on 212 records",
        "| sex: female | 30 | 30 | ",
        "| age: under 40 | 4 | 4 | 2 | held back | held back | held back |",
        "| site: south | 20 | 20 | ",
        "### Where it fails",
        "one in forty is so by chance",
        "1,212 training patients of known age were 18 to 88 years old",
        "the flag *age outside*",
        "10.1016/j.bspc.2021.102683",
        "accuracy 0.8956 ± 0.0279",
        "ML-ResNet",
        "0.959 to 0.999",
        "| 2 | 0.25 |",
        "| keras | 3.15.1 |",
        "- A collection, CC-BY 4.0",
        "Seed 3.",
        "s" * 64,
        "m" * 64,
        "SHA256SUMS",
        "./ecg evaluate",
    ],
)
def test_the_card_tells(metrics, told):
    """Use, rule, data, split, figures, calibration, baselines, subgroups, yardsticks, training, digests and credits are on the card."""
    assert told in model_card(SPEC, metrics=metrics, splits=SPLITS)


def test_every_figure_has_its_interval(metrics):
    """Each figure of ``metrics.json`` is a row of the card, with the value, both ends and the method."""
    card = model_card(SPEC, metrics=metrics, splits=SPLITS)
    rows = re.findall(r"^\| [^|]+ \| \d\.\d{3} \| \d\.\d{3} to \d\.\d{3} \| (bootstrap|wilson|newcombe) \|$", card, re.MULTILINE)
    assert len(rows) == sum(isinstance(value, dict) and "low" in value for value in metrics["test"].values()) == 13


def test_every_picture_is_shown(metrics):
    """The card shows exactly the pictures that are drawn, under the names that they are stored by."""
    shown = re.findall(r"!\[[^\]]+\]\(([^)]+)\.svg\)", model_card(SPEC, metrics=metrics, splits=SPLITS))
    assert tuple(shown) == performance.PICTURES == tuple(name for name, _ in PICTURES)


def test_tables_are_whole(metrics):
    """Every row of every table has as many cells as its head."""
    blocks = re.findall(r"(?:^\|.*\|\n)+", model_card(SPEC, metrics=metrics, splits=SPLITS), re.MULTILINE)
    assert len(blocks) > 8
    for block in blocks:
        widths = {line.replace(r"\|", "").count("|") for line in block.splitlines()}
        assert len(widths) == 1, block


@pytest.mark.parametrize(("n_evaluated", "warned"), [(1, False), (19, False), (20, True), (45, True)])
def test_a_test_set_of_many_candidates_says_so(metrics, n_evaluated, warned):
    """From twenty candidates on, the card says that the best of them looks better than it is."""
    card = model_card(SPEC, metrics=metrics | {"candidates_judged": n_evaluated}, splits=SPLITS)
    assert ("20 or more" in card) == warned
    assert (f"{n_evaluated} candidates have" if n_evaluated > 1 else "1 candidate has") in card


def test_without_patients_the_figures_are_said_to_look_too_good(metrics):
    """A split by record warns that the figures look too good; one by patient does not."""
    by_record = metrics | {"test": metrics["test"] | {"split_unit": "record"}}
    assert "makes every figure look too good" in model_card(SPEC, metrics=by_record, splits=SPLITS)
    assert "makes every figure look too good" not in model_card(SPEC, metrics=metrics, splits=SPLITS)


def test_synthetic_training_is_said_first(metrics):
    """A model that learnt from a program's recordings says so before anything else, and no other model does."""
    assert SYNTHETIC_NOTICE in model_card(SPEC | {"synthetic": True}, metrics=metrics, splits=SPLITS).splitlines()[2]
    assert SYNTHETIC_NOTICE not in model_card(SPEC, metrics=metrics, splits=SPLITS)


def test_members_are_told_by_their_last_epoch(metrics):
    """Of several members the card shows the last epoch of each."""
    epochs = [{"member": member, "epoch": epoch, "loss": member + epoch / 8} for member in (1, 2) for epoch in (1, 2)]
    card = model_card(SPEC | {"training": {"epochs": epochs}}, metrics=metrics, splits=SPLITS)
    assert "| 1 | 2 | 1.25 |" in card
    assert "| 2 | 2 | 2.25 |" in card
    assert "| 1 | 1 | 1.125 |" not in card


def test_parts_that_are_missing_are_left_out():
    """A version with a single figure still has a card; splits are counted, and other figures are listed as they are."""
    card = model_card(SPEC, metrics={"test": {"auroc": {"value": 0.8765432, "low": 0.81, "high": None}}, "more": {"n": 3}}, splits=SPLITS)
    assert "| AUROC | 0.877 | 0.810 to – |" in card
    assert "| train | 2 |" in card
    assert "| n | 3 |" in card


def test_a_name_cannot_break_a_table(metrics):
    """A vertical bar or a line break from outside stays inside its cell."""
    card = model_card(SPEC | {"environment": {"machine": "a|b\nc"}}, metrics=metrics, splits=SPLITS)
    assert r"| machine | a\|b c |" in card


RULE = {"name": "MI", "output": 1, "temperature": 1.25, "bias": 0.5, "threshold": 0.125, "abstain": (0.0625, 0.25)}
CODE = {"system": "http://snomed.info/sct", "code": "164865005", "display": "ECG: myocardial infarction"}
UNKNOWN_CODE = {"system": "", "code": "", "display": ""}


@pytest.mark.parametrize(
    "told",
    [
        "| MI | 164865005 (ECG: myocardial infarction) | 0.125 | 0.0625 to 0.25 | 1.25 | 0.5 | 46 | 9 |",
        "| AF | – | 0.125 |",
        "Codes are of `http://snomed.info/sct`.",
        "| MI | 60 | 30 | 0.",
        "Mean of the AUROCs: 0.900 (0.800 to 0.950).",
        "- HYP was trained and is not served: 2 calibration patients have it.",
        "not a diagnosis of a person",
    ],
)
def test_the_card_tells_of_classes(metrics, told):
    """Rule, code, records and figures of each class, the mean, what is not served and why, and what a class is not."""
    classes = {
        "calibration": {"MI": {"n_records": 46, "n_patients": 44, "n_present": 9}},
        "left_out": {"HYP": "2 calibration patients have it"},
        "macro_auroc": {"value": 0.9, "low": 0.8, "high": 0.95},
        "figures": {"MI": metrics["test"]},
    }
    spec = SPEC | {"classes": (RULE | CODE, RULE | UNKNOWN_CODE | {"name": "AF", "output": 2})}
    card = model_card(spec, metrics=metrics | {"classes": classes}, splits=SPLITS)
    assert told in card
    assert "names no disease" not in card
    for block in re.findall(r"(?:^\|.*\|\n)+", card, re.MULTILINE):
        assert len({line.count("|") for line in block.splitlines()}) == 1, block


def test_a_card_without_classes_has_no_word_of_them(metrics):
    """It is what it was, and says that it names no disease."""
    card = model_card(SPEC, metrics=metrics, splits=SPLITS)
    assert "## Classes" not in card
    assert card == model_card(SPEC | {"classes": ()}, metrics=metrics, splits=SPLITS)
    assert "it names no disease" in card


def test_a_site_that_was_not_learnt_from_has_a_section_where_it_was_asked_for(metrics):
    """Of a version with one network nothing is said of a first one; where no site could be measured the card says that, too."""
    figure = {"value": 0.9, "low": 0.8, "high": 0.95, "method": "bootstrap"}
    of_site = {"n_records": 30, "n_patients": 28, "n_abnormal": 11, "left_out": {"n_records": 1200, "n_patients": 1100}}
    figures = {"auroc_with": figure, "auroc_without": figure | {"value": 0.85}, "auroc_difference": figure | {"value": 0.05, "low": -0.01}}
    told = {"sites": {"north": of_site | figures}, "not_measured": {}, "n_site_unknown": 0}
    card = model_card(SPEC, metrics=metrics | {"leave_one_site_out": told}, splits=SPLITS)
    assert "| north | 1,100 | 30 | 28 | 11 | 0.900 (0.800 to 0.950) | 0.850 (0.800 to 0.950) | 0.050 (-0.010 to 0.950) |" in card
    assert "The network was trained once more without the patients of each site" in card
    assert "training records is not known" not in card
    nothing = {"sites": {}, "not_measured": {"north": "no other site has enough test patients"}, "n_site_unknown": 4}
    card = model_card(SPEC, metrics=metrics | {"leave_one_site_out": nothing}, splits=SPLITS)
    assert "This was asked for, but could not be measured at any site." in card
    assert "- north: not measured, no other site has enough test patients." in card
    assert "At a site that it was not trained on" not in model_card(SPEC, metrics=metrics, splits=SPLITS)
