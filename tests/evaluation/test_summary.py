"""The summary: figures where they belong, intervals by the right method, and a plain form that survives JSON."""

import json
import tracemalloc

import numpy as np
import pytest
from sklearn import metrics as reference

from ecg_tasks import disk_rows
from ecg_tasks.disk_rows import Rows
from ecg_tasks.errors import NotEnoughDataError, SignalError
from ecg_tasks.evaluation import intervals, many_records, metrics, summary
from ecg_tasks.evaluation.summary import Evaluation, evaluate, evaluate_rows
from ecg_tasks.evaluation.thresholds import AbstainBand


@pytest.fixture(scope="module")
def case():
    """Labels, probabilities and patients (two records each) of a fairly good model."""
    rng = np.random.default_rng(5)
    labels = np.repeat(np.arange(60) % 3 > 0, 2).astype(int)
    probabilities = 1 / (1 + np.exp(-(2 * labels - 1 + rng.normal(0, 1.2, labels.size))))
    return labels, probabilities, np.repeat([f"p{i}" for i in range(60)], 2)


def test_figures_agree_with_scikit_learn(case):
    """Every figure stands under its own name, with scikit-learn's value, inside its interval."""
    labels, probabilities, groups = case
    found = evaluate(labels, probabilities, groups, threshold=0.4, seed=0, n_resamples=200)
    called = probabilities >= 0.4
    expected = {
        "prevalence": labels.mean(),
        "auroc": reference.roc_auc_score(labels, probabilities),
        "average_precision": reference.average_precision_score(labels, probabilities),
        "sensitivity": reference.recall_score(labels, called),
        "specificity": reference.recall_score(labels, called, pos_label=0),
        "ppv": reference.precision_score(labels, called),
        "npv": reference.precision_score(labels, called, pos_label=0),
        "f1": reference.f1_score(labels, called),
        "accuracy": reference.accuracy_score(labels, called),
        "brier": reference.brier_score_loss(labels, probabilities),
        "coverage": 1.0,
        "accuracy_decided": reference.accuracy_score(labels, called),
    }
    assert {name: interval.value for name, interval in found.figures.items() if name != "ece"} == pytest.approx(expected, abs=1e-9)
    assert set(found.figures) == {*expected, "ece"}
    assert all(interval.low <= interval.value <= interval.high for interval in found.figures.values())
    assert (found.n_records, found.n_patients, found.n_abnormal) == (120, 60, 80)
    (tn, fp), (fn, tp) = reference.confusion_matrix(labels, called)
    cells = found.confusion
    assert (cells.true_positives, cells.false_positives, cells.true_negatives, cells.false_negatives) == (tp, fp, tn, fn)


def test_abstaining_is_counted(case):
    """Coverage and accuracy of decided records leave out the band; sensitivity still decides everything."""
    labels, probabilities, groups = case
    band = AbstainBand(lo=0.3, hi=0.6)
    found = evaluate(labels, probabilities, groups, threshold=0.4, abstain=band, seed=0, n_resamples=50)
    outside = (probabilities < 0.3) | (probabilities > 0.6)
    assert found.coverage.value == pytest.approx(outside.mean())
    assert found.accuracy_decided.value == pytest.approx(((probabilities >= 0.4) == labels)[outside].mean())
    assert found.sensitivity.value == pytest.approx((probabilities[labels == 1] >= 0.4).mean())


def test_perfect_proportions_get_wilsons_interval():
    """Twenty patients without an error give no interval of width 0, and copies of their records do not narrow it."""
    labels, probabilities = np.arange(20) % 2, np.arange(20) % 2 * 0.8 + 0.1
    groups = np.arange(20).astype(str)
    found = evaluate(labels, probabilities, groups, threshold=0.5, seed=0, n_resamples=50)
    assert found.sensitivity.method == "wilson"
    assert found.sensitivity.low == pytest.approx(0.7225, abs=1e-4)
    assert found.auroc.method == "newcombe"
    assert found.average_precision.method == found.f1.method == "wilson"
    assert found.brier.method == "bootstrap"
    assert found.auroc.low < 0.85
    copied = evaluate(np.repeat(labels, 9), np.repeat(probabilities, 9), np.repeat(groups, 9), threshold=0.5, seed=0, n_resamples=50)
    assert copied.sensitivity == found.sensitivity
    assert copied.auroc == found.auroc


def test_one_patient_is_no_certainty():
    """Resamples of one patient, or of one abnormal patient among others, are alike: the interval is the formula's, or there is none."""
    labels, probabilities = [1, 1, 0, 0, 0, 0], [0.2, 0.9, 0.1, 0.8, 0.3, 0.4]
    found = evaluate(labels, probabilities, ["a"] * 6, threshold=0.5, seed=0, n_resamples=100)
    assert found.sensitivity == intervals.wilson(0.5, 1)
    assert found.auroc == intervals.newcombe(0.625, n_abnormal=1, n_normal=1)
    assert np.isnan([found.brier.low, found.brier.high]).all()
    among_others = evaluate(labels, probabilities, ["a", "a", "b", "c", "d", "e"], threshold=0.5, seed=0, n_resamples=100)
    assert among_others.sensitivity == intervals.wilson(0.5, 1)
    assert among_others.brier.low < among_others.brier.value < among_others.brier.high


def test_roundtrip_through_json(case):
    """An evaluation, nan included, is the same after JSON without any NaN in the text."""
    labels, probabilities, groups = case
    full = evaluate(labels, probabilities, groups, threshold=0.4, abstain=AbstainBand(lo=0.35, hi=0.5), seed=0, n_resamples=50)
    assert Evaluation.from_dict(json.loads(json.dumps(full.as_dict(), allow_nan=False))) == full
    normals = labels == 0
    one_class = evaluate(labels[normals], probabilities[normals], groups[normals], threshold=0.4, seed=0, n_resamples=50)
    text = json.dumps(one_class.as_dict(), allow_nan=False)
    again = Evaluation.from_dict(json.loads(text))
    assert np.isnan(again.auroc.value)
    assert np.isnan(again.sensitivity.low)
    assert json.dumps(again.as_dict(), allow_nan=False) == text


def test_same_seed_same_figures(case):
    """Two evaluations with one seed are equal in every digit."""
    labels, probabilities, groups = case
    first, second = (evaluate(labels, probabilities, groups, threshold=0.4, seed=9, n_resamples=100) for _ in range(2))
    assert first == second


def test_impossible_arguments_are_refused():
    """No record, and a missing group, are refused."""
    with pytest.raises(NotEnoughDataError, match="no labelled record"):
        evaluate([], [], [], threshold=0.5, seed=0)
    with pytest.raises(SignalError, match="2 labels, but groups"):
        evaluate([0, 1], [0.1, 0.2], ["a"], threshold=0.5, seed=0)


@pytest.mark.parametrize("n_digits", [2, 17])
@pytest.mark.parametrize("of_sites", [False, True])
def test_many_records_are_summed_as_few_are(monkeypatch, n_digits, of_sites):
    """Many records are gone through in passing; every figure and interval is that of few, with equal probabilities or limits of sites."""
    rng = np.random.default_rng(7)
    truth = rng.random(3000) < 0.4
    probability = np.clip(rng.normal(0.35 + 0.3 * truth, 0.2), 0, 1).round(n_digits)
    patients = rng.integers(0, 800, truth.size)
    arguments = {"threshold": 0.5, "abstain": AbstainBand(lo=0.45, hi=0.55), "seed": 3, "n_resamples": 40}
    if of_sites:
        limits = rng.choice([0.4, 0.6], truth.size)
        arguments |= {"called": probability >= limits, "firm": np.abs(probability - limits) > 0.05}
    few = evaluate(truth, probability, patients, **arguments)
    monkeypatch.setattr(summary, "MANY", 1000)
    for n_at_once, n_sorted in ((97, 5000), (5000, 5000), (97, 400)):
        monkeypatch.setattr(many_records, "BLOCK", n_at_once)
        monkeypatch.setattr(disk_rows, "SORTED_AT_ONCE", n_sorted)
        monkeypatch.setattr(many_records, "_SAMPLED", n_sorted)
        many = evaluate(truth, probability, patients, **arguments)
        assert many.confusion == few.confusion
        for name, figure in few.figures.items():
            np.testing.assert_allclose(
                [many.figures[name].value, many.figures[name].low, many.figures[name].high],
                [figure.value, figure.low, figure.high],
                rtol=0,
                atol=1e-12,
            )


@pytest.mark.parametrize("n_digits", [1, 17])
def test_records_lie_on_the_disk_as_they_would_in_memory(monkeypatch, n_digits):
    """By falling probability, of equals the last first, whatever fits into memory; patients are numbered as they first occur."""
    rng = np.random.default_rng(9)
    n_records, numbers = 3000, rng.integers(2**63, size=700, dtype=np.uint64)
    probability, patients = rng.random(n_records).round(n_digits), numbers[rng.integers(700, size=n_records)]
    kind = rng.integers(8, size=n_records).astype(np.uint8)
    probability[rng.random(n_records) < 0.5] = 0.25  # so many that they are more than a part
    records = Rows(many_records.LABELLED)
    of = {name: kind & bit > 0 for name, bit in (("is_abnormal", 1), ("is_called", 2), ("is_decided", 4))}
    records.append(many_records.labelled(probability=probability, patients=patients, **of))
    monkeypatch.setattr(many_records, "ROWS_AT_ONCE", 11)
    for n_sorted in (5000, 400, 90):
        monkeypatch.setattr(disk_rows, "SORTED_AT_ONCE", n_sorted)
        numbered, n_patients = many_records._numbered(records)
        there = many_records._by_probability(numbered).read()
        order = np.argsort(probability, kind="stable")[::-1]
        assert there["probability"].tolist() == probability[order].tolist()
        assert there["patient"].tolist() == intervals.numbered(patients)[order].tolist()
        assert there["kind"].tolist() == kind[order].tolist()
        assert n_patients == np.unique(patients).size
        many = many_records.ManyRecords(records)
        assert many.n_records.tolist() == np.bincount(kind, minlength=8).tolist()
        for name, is_in in many_records.GROUPS.items():
            assert many.n_patients_of[name] == np.unique(patients[is_in[kind]]).size, name


def test_many_records_take_no_more_memory_than_fewer_of_as_many_patients(monkeypatch):
    """What is as long as all records lies on the disk, while they are put in order as well as while they are gone through."""
    for module, name, value in ((disk_rows, "ROWS_AT_ONCE", 500), (many_records, "ROWS_AT_ONCE", 500), (disk_rows, "SORTED_AT_ONCE", 1000)):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(many_records, "BLOCK", 500)
    monkeypatch.setattr(many_records, "_SAMPLED", 500)
    peaks = []
    for n_records in (1000, 20_000, 80_000):  # the first imports what is needed
        rng = np.random.default_rng(1)
        records = Rows(many_records.LABELLED)
        for _ in range(n_records // 500):
            some, patients = rng.random(500), rng.integers(300, size=500)
            of = {"is_abnormal": some > 0.5, "is_called": some > 0.4, "is_decided": some > 0.1}
            records.append(many_records.labelled(probability=some, patients=patients, **of))
        tracemalloc.start()
        many_records.ManyRecords(records).figures(np.ones(300, np.uint8))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # 17 bytes of a record are on the disk. What is in memory tells of parts and blocks, which are small here: some kilobytes for each.
    assert (peaks[2] - peaks[1]) / 60_000 < 6, peaks


@pytest.mark.parametrize("n", [1, 2, 29, 30, 151, 4000])
def test_bins_have_the_same_edges_where_probabilities_are_not_in_memory(n):
    """To the last bit, as those that NumPy finds among all of them."""
    rng = np.random.default_rng(n)
    for probability in (rng.random(n), rng.random(n).round(1), np.full(n, 0.3)):
        rising = np.sort(probability)
        edges = metrics.bin_edges(n, lambda place, rising=rising: float(rising[place]))
        n_bins = len(edges) + 1
        assert edges.tolist() == np.percentile(probability, np.linspace(0, 1, n_bins + 1)[1:-1] * 100).tolist()
        assert np.searchsorted(edges, probability).tolist() == metrics.calibration_bins(probability).tolist()


def test_records_on_the_disk_are_evaluated_as_those_in_memory(monkeypatch):
    """Every figure is the same, whether they are few or many."""
    rng = np.random.default_rng(3)
    truth = rng.random(500) < 0.4
    probability, patients = np.clip(rng.normal(0.3 + 0.4 * truth, 0.2), 0, 1), rng.integers(200, size=500)
    band = AbstainBand(lo=0.45, hi=0.55)
    of_all = {"threshold": 0.5, "abstain": band, "seed": 3, "n_resamples": 20}
    records = Rows(many_records.LABELLED)
    of = {"is_abnormal": truth, "is_called": probability >= 0.5, "is_decided": ~band.holds(probability)}
    records.append(many_records.labelled(probability=probability, patients=patients, **of))
    assert evaluate_rows(records, split_unit="patient", **of_all) == evaluate(truth, probability, patients, **of_all)
    monkeypatch.setattr(summary, "MANY", 100)
    assert evaluate_rows(records, split_unit="patient", **of_all) == evaluate(truth, probability, patients, **of_all)


def test_many_records_of_one_class_have_what_can_be_told_of_them(monkeypatch):
    """A figure that needs the other class is not defined, as of few records."""
    probability, arguments = np.linspace(0, 1, 200), {"threshold": 0.5, "seed": 3, "n_resamples": 5}
    few = evaluate(np.ones(200, bool), probability, np.arange(200), **arguments)
    monkeypatch.setattr(summary, "MANY", 100)
    many = evaluate(np.ones(200, bool), probability, np.arange(200), **arguments)
    assert np.isnan([many.auroc.value, many.auroc.low, many.specificity.value]).all()
    assert many.sensitivity == few.sensitivity
    assert many.average_precision == few.average_precision
