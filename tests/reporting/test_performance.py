"""Pictures of a model's performance: well-formed, told to a screen reader, drawn from the points, the same every time."""

from xml.etree import ElementTree as ET

import numpy as np
import pytest

from ecg_tasks.evaluation.assessment import ScoredRecords, assess
from ecg_tasks.evaluation.thresholds import AbstainBand, coverage_accuracy
from ecg_tasks.reporting.performance import PICTURES, performance_pictures

SVG = "{http://www.w3.org/2000/svg}"


def found_of(labels, probabilities):
    """An assessment of these records, a patient each."""
    n = len(labels)
    scored = ScoredRecords(
        record_ids=[f"{number:032x}" for number in range(n)],
        labels=np.asarray(labels, dtype=np.uint8),
        probabilities=np.asarray(probabilities, dtype=float),
        groups=[f"p{number}" for number in range(n)],
        quality=np.linspace(0.6, 1, n),
        ages=np.full(n, np.nan),
        sexes=[None] * n,
    )
    return assess(scored, threshold=0.4, abstain=AbstainBand(lo=0.35, hi=0.5), split_unit="patient", n_resamples=50)


@pytest.fixture(scope="module")
def found():
    """Sixty records of a fairly good model."""
    rng = np.random.default_rng(2)
    labels = np.arange(60) % 3 > 0
    return found_of(labels, 1 / (1 + np.exp(-(2 * labels - 1 + rng.normal(0, 1.2, 60)))))


@pytest.fixture(scope="module")
def pictures(found):
    """Their pictures, parsed."""
    curve = coverage_accuracy([0, 1, 1, 0], [0.2, 0.6, 0.9, 0.45], threshold=0.4)
    return {name: ET.fromstring(data) for name, data in performance_pictures(found, calibration=curve).items()}  # noqa: S314  our own drawing


def texts(picture):
    """Every word that is drawn."""
    return [text.text for text in picture.iter(f"{SVG}text")]


def points(picture, *, kind="curve"):
    """Points of the first curve of a class, in units of the view box."""
    line = next(line for line in picture.iter(f"{SVG}polyline") if line.get("class") == kind)
    return np.array([[float(value) for value in point.split(",")] for point in line.get("points").split()])


def test_every_picture_tells_itself(pictures):
    """Each of the five has a role, a title and a description that are not empty, and names its axes."""
    assert tuple(pictures) == PICTURES
    for picture in pictures.values():
        assert picture.get("role") == "img"
        assert picture.find(f"{SVG}title").text
        assert len(picture.find(f"{SVG}desc").text) > 40
        assert {picture.find(f"{SVG}{name}").get("id") for name in ("title", "desc")} == set(picture.get("aria-labelledby").split())
    assert "1 − specificity" in texts(pictures["roc"])


def test_the_same_bytes_every_time(found):
    """Nothing depends on when a picture is drawn, and nothing is loaded from elsewhere."""
    assert performance_pictures(found) == performance_pictures(found)
    assert all(b"href" not in data and b"url(" not in data for data in performance_pictures(found).values())


def test_the_curve_encloses_the_area(found, pictures):
    """The ROC curve as drawn encloses the AUROC that is written beside it."""
    drawn = points(pictures["roc"])
    side = drawn[:, 0].max() - drawn[:, 0].min()
    area = np.trapezoid(drawn[:, 1].max() - drawn[:, 1], drawn[:, 0]) / side**2
    assert area == pytest.approx(found.evaluation.auroc.value, abs=0.002)
    assert f"AUROC {found.evaluation.auroc.text()}" in texts(pictures["roc"])


def test_the_steps_add_up_to_the_auprc(found, pictures):
    """The area under the precision-recall steps as drawn is the average precision: nothing is interpolated between points."""
    drawn = points(pictures["precision_recall"])
    across, up = (drawn[:, 0] - 66) / 360, (380 - drawn[:, 1]) / 360
    assert np.trapezoid(up, across) == pytest.approx(found.evaluation.average_precision.value, abs=0.01)


def test_reliability_shows_counts_and_intervals(found, pictures):
    """Each bin has its count and a whisker; the counts add up to all records."""
    counts = [int(text[2:]) for text in texts(pictures["reliability"]) if text.startswith("n=")]
    assert counts == found.reliability.n_records.tolist()
    assert sum(counts) == 60
    whiskers = [line for line in pictures["reliability"].iter(f"{SVG}line") if line.get("class") == "whisker"]
    assert len(whiskers) == len(counts)


def test_confusion_shows_all_four_cells(found, pictures):
    """The four numbers stand in the order normal, abnormal for truth and call."""
    cells = found.evaluation.confusion
    expected = [cells.true_negatives, cells.false_positives, cells.false_negatives, cells.true_positives]
    big = [int(text.text) for text in pictures["confusion"].iter(f"{SVG}text") if text.get("class") == "big"]
    assert big == expected


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_is_drawn_too(label):
    """Where a class is absent its figures are called not defined, and no picture fails."""
    drawn = performance_pictures(found_of([label] * 20, np.linspace(0, 1, 20)))
    assert any("not defined" in text for text in texts(ET.fromstring(drawn["roc"])))  # noqa: S314  our own drawing


def test_labels_of_many_bins_do_not_cover_one_another():
    """Bins that crowd at one end have their counts in several rows."""
    rng = np.random.default_rng(0)
    labels = rng.random(400) < 0.1
    picture = ET.fromstring(performance_pictures(found_of(labels, np.clip(rng.normal(0.1, 0.03, 400), 0, 1)))["reliability"])  # noqa: S314
    places = [(float(text.get("x")), float(text.get("y"))) for text in picture.iter(f"{SVG}text") if (text.text or "").startswith("n=")]
    assert len(places) == 10
    for first in range(10):
        for second in range(first):
            (x1, y1), (x2, y2) = places[first], places[second]
            assert abs(y1 - y2) > 14 or abs(x1 - x2) > 30
