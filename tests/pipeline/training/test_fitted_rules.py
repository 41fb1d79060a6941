"""Rules of sites and of classes, fitted on calibration records: which records and patients count, and what is held back."""

from dataclasses import replace

import numpy as np
import pytest

from ecg_tasks.evaluation.calibration import Calibration, fit_calibration, sigmoid
from ecg_tasks.evaluation.metrics import brier
from ecg_tasks.evaluation.splits import Split
from ecg_tasks.evaluation.summary import evaluate
from ecg_tasks.evaluation.thresholds import AbstainBand, abstain_band, threshold_for_sensitivity
from ecg_tasks.learning.decisions import ClassDecisions, ClassRule, DecisionRule, RecordDecisions, SiteRule
from ecg_tasks.pipeline.training import class_rules, sites
from ecg_tasks.pipeline.training.candidate import MIN_TYPICAL, typical_picture
from ecg_tasks.pipeline.training.class_rules import MIN_PATIENTS, Asked, fit_classes, in_common
from ecg_tasks.pipeline.training.dataset import DatasetRow, Pictures

ASKED = Asked(sensitivity=0.9, accuracy=0.9, coverage=0.7)
POOLED = Calibration(temperature=2.0, bias=0.5)


def row(number, *, group="", label="normal", has="", lacks=""):
    """A record of the calibration split, of a patient of its own unless a group is given."""
    return DatasetRow(
        record_id=f"{number:04d}",
        shard="s",
        group=group or f"p{number}",
        patient_bucket=1,
        split_bucket=7500,
        split=Split.CALIBRATION,
        label=label,
        synthetic=False,
        has=has,
        lacks=lacks,
    )


def pictures(rows, *, quality=None):
    """Records of one window each; nobody looks at its picture."""
    n = len(rows)
    return Pictures(
        rows=rows,
        images=np.empty((n, 0, 0, 0), np.uint8),
        record=np.arange(n),
        quality=np.ones(n, np.float32) if quality is None else np.asarray(quality, np.float32),
        beat_s=np.full(n, np.nan, np.float32),
        mean_quality=np.ones(n, np.float32),
    )


@pytest.fixture
def hospital():
    """Of 300 patients with two records each, two of three in the north; what the network says of the north is 1.5 too high."""
    rng = np.random.default_rng(0)
    place = np.array([("north", "south", "north")[number % 3] for number in range(300) for _ in range(2)], dtype=object)
    z = np.repeat(rng.normal(0, 2, 300), 2) + rng.normal(0, 0.3, 600)
    abnormal = np.repeat(rng.random(300) < sigmoid(z[::2]), 2)
    labels = np.where(abnormal, "abnormal", "normal")
    rows = [row(number, group=f"p{number // 2}", label=str(label)) for number, label in enumerate(labels)]
    return pictures(rows), sigmoid(z + 1.5 * (place == "north")), place


def test_a_site_has_the_calibration_of_its_own_records(hospital, monkeypatch):
    """Fitted from the version's on, and told as one calibration of the network's own numbers; threshold and band follow from it."""
    calibration, raw, place = hospital
    monkeypatch.setattr(sites, "MIN_PATIENTS_OF_A_SITE", 150)
    found = sites.fit_sites(calibration, raw, place, pooled=POOLED, asked=ASKED)
    (own,) = found.rules
    here = place == "north"
    labels, before = calibration.labels[here], POOLED.apply(raw[here])
    expected = fit_calibration(labels, before).apply(before)
    assert own.site == "north"
    assert own.calibration.apply(raw[here]) == pytest.approx(expected)
    assert own.threshold == pytest.approx(threshold_for_sensitivity(expected, sensitivity=0.9))
    band = abstain_band(labels, expected, threshold=own.threshold, target_accuracy=0.9, min_coverage=0.7)
    assert own.abstain == pytest.approx((band.lo, band.hi))


def test_patients_of_a_site_are_counted_once_and_by_usable_records(hospital, monkeypatch):
    """A record without any probability is no record; a site just large enough has a rule, of either class too."""
    calibration, raw, place = hospital
    raw = raw.copy()
    raw[:4] = np.nan  # both records of a patient in the north, and of one in the south
    n_abnormal = int(calibration.labels[4::2][place[4::2] == "north"].sum())
    n_least = min(n_abnormal, 199 - n_abnormal)
    for n_patients, n_of_class, has_one in ((199, n_least, True), (200, n_least, False), (199, n_least + 1, False)):
        monkeypatch.setattr(sites, "MIN_PATIENTS_OF_A_SITE", n_patients)
        monkeypatch.setattr(sites, "MIN_OF_A_CLASS_AT_A_SITE", n_of_class)
        found = sites.fit_sites(calibration, raw, [None if one == "south" else one for one in place], pooled=POOLED, asked=ASKED)
        assert [one.site for one in found.rules] == ["north"] * has_one
        assert found.counts == {"north": {"n_records": 398, "n_patients": 199, "n_abnormal": n_abnormal}}


def test_both_rules_of_a_site_are_compared_on_its_own_test_records(hospital):
    """By the site's calibration with its threshold, and by the version's with that of the version."""
    test, raw, place = hospital
    raw = np.where(np.arange(600) < 6, np.nan, raw)
    own = SiteRule(site="north", temperature=2.0, bias=-0.25, threshold=0.4, abstain=(0.4, 0.4))
    rule = DecisionRule(calibration=POOLED, threshold=0.6, abstain=AbstainBand(lo=0.6, hi=0.6), min_quality=0.5, sites=(own,))
    like = evaluate([0, 1] * 20, [0.2, 0.8] * 20, np.arange(40), threshold=0.5, seed=0, n_resamples=50)
    found = sites.compared(test, raw, place, rule=rule, like=like)["north"]
    here = (place == "north") & ~np.isnan(raw)
    truth = test.labels[here] == 1
    assert found["n_records"] == here.sum() == 396
    for name, calibration, threshold in (("pooled", POOLED, 0.6), ("own", own.calibration, 0.4)):
        p = calibration.apply(raw[here])
        assert found[name]["sensitivity"]["value"] == pytest.approx((p[truth] >= threshold).mean())
        assert found[name]["specificity"]["value"] == pytest.approx((p[~truth] < threshold).mean())
        assert found[name]["brier"]["value"] == pytest.approx(brier(truth, p))


@pytest.mark.parametrize(("n_normal", "n_abnormal", "told"), [(6, 4, True), (5, 4, False), (3, 7, True), (2, 8, False)])
def test_a_site_of_few_test_patients_is_not_told(hospital, n_normal, n_abnormal, told):
    """Fewer than ten patients, or than three of a class, however many records they have, would be chance."""
    test, raw, place = hospital
    of_class = {label: np.flatnonzero((place == "north") & (test.labels == label)) for label in (0, 1)}
    kept = np.concatenate([of_class[0][: 2 * n_normal], of_class[1][: 2 * n_abnormal]])
    own = SiteRule(site="north", temperature=1.0, bias=0.0, threshold=0.5, abstain=(0.5, 0.5))
    rule = DecisionRule(calibration=POOLED, threshold=0.6, abstain=AbstainBand(lo=0.6, hi=0.6), min_quality=0.5, sites=(own,))
    like = evaluate([0, 1] * 20, [0.2, 0.8] * 20, np.arange(40), threshold=0.5, seed=0, n_resamples=50)
    found = sites.compared(test, raw, ["north" if one in kept else None for one in range(600)], rule=rule, like=like)
    assert list(found) == ["north"] * told


def test_a_class_is_fitted_on_the_records_of_which_it_is_known():
    """By its own output, after abnormal's; a window of too poor a quality does not count."""
    rng = np.random.default_rng(1)
    rows = [row(n, has="MI" * (n % 3 == 0), lacks="MI" * (n % 3 == 1)) for n in range(120)]
    outputs = rng.random((120, 3))
    quality = np.where(np.arange(120) < 6, 0.1, 1.0)
    found = fit_classes(pictures(rows, quality=quality), outputs, ["CD", "MI"], min_quality=0.5, asked=ASKED)
    known = np.array([n for n in range(6, 120) if n % 3 < 2])
    labels, raw = (known % 3 == 0).astype(np.uint8), outputs[known, 2]
    correction = fit_calibration(labels, raw)
    (rule,) = found.rules
    assert (rule.name, rule.output, rule.code) == ("MI", 2, class_rules.CODES["MI"][0])
    assert (rule.temperature, rule.bias) == pytest.approx((correction.temperature, correction.bias))
    assert rule.threshold == pytest.approx(threshold_for_sensitivity(correction.apply(raw), sensitivity=0.9))
    assert found.counts == {"MI": {"n_records": 76, "n_patients": 76, "n_present": 38}}
    assert found.left_out == {"CD": f"0 calibration patients have it and 0 have not; at least {MIN_PATIENTS} of each are needed"}


def test_patients_of_a_class_are_counted_and_not_their_records():
    """Ten of each are enough, however many records they have; nine are too few."""

    def fitted(n_with, n_without):
        named = [("MI", "", n % n_with) for n in range(30)] + [("", "MI", 100 + n % n_without) for n in range(30)]
        rows = [row(n, group=f"p{patient}", has=has, lacks=lacks) for n, (has, lacks, patient) in enumerate(named)]
        outputs = np.random.default_rng(0).random((60, 2))
        return fit_classes(pictures(rows), outputs, ["MI"], min_quality=0.5, asked=ASKED)

    assert fitted(MIN_PATIENTS, MIN_PATIENTS).counts == {"MI": {"n_records": 60, "n_patients": 20, "n_present": 30}}
    for few in ((MIN_PATIENTS - 1, 30), (30, MIN_PATIENTS - 1)):
        found = fitted(*few)
        assert (found.rules, found.counts) == ((), {})
        assert found.left_out["MI"].startswith(f"{few[0]} calibration patients have it and {few[1]} have not")


@pytest.mark.parametrize("n_patients", [MIN_TYPICAL - 1, MIN_TYPICAL])
def test_a_typical_picture_is_of_several_people(n_patients):
    """However many normal records there are: one of too few patients would show whose they are, so the version has none."""
    rows = [row(number, group=f"p{number % n_patients}") for number in range(20)]
    rows += [row(number, label="abnormal") for number in range(20, 30)]
    found = typical_picture(replace(pictures(rows), images=np.full((30, 2, 2, 1), 7, np.uint8)))
    assert (found is not None) == (n_patients == MIN_TYPICAL)


def test_two_versions_are_compared_in_the_classes_of_both():
    """Each by its own numbers of the same records, whatever the order of its classes; records of which a class is not known are out."""

    def said(names, p):
        rule = ClassRule(name="", output=1, temperature=1.0, bias=0.0, threshold=0.5, abstain=(0.5, 0.5))
        classes = tuple(
            ClassDecisions(rule=ClassRule(**{**vars(rule), "name": name}), probability=p[:, column], decision=[])
            for column, name in enumerate(names)
        )
        n = np.ones(len(p), np.int64)
        return RecordDecisions(probability=p[:, 0], decision=[], n_windows=n, n_used=n, classes=classes)

    rows = [row(0, has="MI", lacks="CD"), row(1, lacks="MI"), row(2, has="CD"), row(3, has="CD MI")]
    ours, theirs = np.random.default_rng(0).random((2, 4, 3))
    found = in_common(rows, said(["CD", "MI", "AF"], ours), said(["MI", "HYP", "CD"], theirs))
    assert list(found) == ["CD", "MI"]
    for name, known, labels, our, their in (("CD", [0, 2, 3], [0, 1, 1], 0, 2), ("MI", [0, 1, 3], [1, 0, 1], 1, 0)):
        assert found[name].labels.tolist() == labels
        assert found[name].candidate.tolist() == ours[known, our].tolist()
        assert found[name].champion.tolist() == theirs[known, their].tolist()
        assert found[name].groups.tolist() == [f"p{one}" for one in known]
