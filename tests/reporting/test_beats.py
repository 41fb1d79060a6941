"""The median beat on paper: its marks are the measurements, its curve the beat, and an earlier one lies where it was."""

import re
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from ecg_tasks.reporting.beats import draw_beats
from ecg_tasks.reporting.measured import compared_lines, measured_lines
from ecg_tasks.reporting.model import RecordDetail
from ecg_tasks.reporting.overlay import draw_over
from ecg_tasks.reporting.pages import record_page
from ecg_tasks.signals.measurements import VALUES, measure, measured_beat
from ecg_tasks.signals.record import STANDARD_LEADS, Record
from ecg_tasks.signals.synthesis import draw_heart, synthesize
from tests.reporting.conftest import heartbeat_record, prediction, run_report
from tests.reporting.test_figures import _points


def recording(*, seed=3, leads=STANDARD_LEADS, factor=1.0):
    """A synthetic recording of ten seconds."""
    rng = np.random.default_rng(seed)
    samples = factor * synthesize(draw_heart(rng, label="normal"), fs=500.0, duration_s=10.0, rng=rng)
    kept = [STANDARD_LEADS.index(lead) for lead in leads]
    return Record(samples=samples[kept].astype(np.float32), fs=500.0, leads=tuple(leads), unit="mV", name=f"seed {seed}")


@pytest.fixture(scope="module")
def record():
    """One recording."""
    return recording()


@pytest.fixture(scope="module")
def beat(record):
    """What is measured on it."""
    return measured_beat(record)


def marks(drawing, kind="now"):
    """Return x of the lines of the first column, by the order of the waves."""
    lines = [float(found.get("x1")) for found in ET.fromstring(drawing).iter("line") if found.get("class") == f"mark {kind}"]  # noqa: S314
    return [x for x in lines if x < (8 + 60) * 20]


def curves(drawing, kind="trace"):
    """Points of every curve."""
    return [_points(found.get("d")) for found in ET.fromstring(drawing).iter("path") if found.get("class") == kind]  # noqa: S314


def test_the_marks_are_the_measurements(record, beat):
    """PR, QRS and QT are the distances of the lines, to a unit of the drawing (1 ms); letters and the caption say so."""
    shown = draw_beats(beat)
    p, q, j, t = marks(shown.drawing)
    values = measure(record)
    assert (q - p, j - q, t - q) == pytest.approx((values.pr_ms, values.qrs_ms, values.qt_ms), abs=1.1)
    letters = [found for found in ET.fromstring(shown.drawing).iter("text") if found.text in tuple("PQJT")]  # noqa: S314
    assert [(one.text, float(one.get("x"))) for one in letters if float(one.get("x")) < (8 + 60) * 20] == [
        *zip("PQJT", (p, q, j, t), strict=True)
    ]
    spoken = {line.title: line.text for line in measured_lines(values.row)}
    assert f"PR {spoken['PR interval']}, QRS {spoken['QRS duration']}, QT {spoken['QT interval']}." in shown.scale


def test_a_wave_that_is_not_found_has_no_mark(beat):
    """Nothing is drawn, and nothing said, of what was not measured."""
    without = replace(beat, at=replace(beat.at, p_on_s=None), values=replace(beat.values, pr_ms=np.nan))
    shown = draw_beats(without)
    assert len(marks(shown.drawing)) == 3
    assert "PR " not in shown.scale


def test_the_curve_is_the_median_beat_about_its_level_before_the_qrs_complex(beat):
    """At 50 mm/s and 20 mm/mV; the R peak of every lead is where the beats are in step."""
    drawing = draw_beats(beat).drawing
    found = curves(drawing)
    assert len(found) == 12
    for lead, curve in zip(beat.leads, found, strict=True):
        samples = beat.beat.median[beat.leads.index(lead)]
        assert np.ptp(curve[:, 1]) == pytest.approx(np.ptp(samples) * 20 * 20, abs=2), lead
    names = [one.text for one in ET.fromstring(drawing).iter("text") if one.get("class") == "lead"]  # noqa: S314
    assert names == list(STANDARD_LEADS)


@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0, 15.0])
def test_rows_never_collide(factor):
    """The lowest point of a row is above the next one's names, and all fit the paper, at any amplitude."""
    shown = draw_beats(measured_beat(recording(factor=factor)), earlier=measured_beat(recording(seed=5, factor=2 * factor)))
    both = curves(shown.drawing), curves(shown.drawing, "trace earlier")
    tops, bottoms = (np.array([[extreme(curve[:, 1]) for curve in one] for one in both]) for extreme in (np.min, np.max))
    names = [float(one.get("y")) for one in ET.fromstring(shown.drawing).iter("text") if one.get("class") == "lead"]  # noqa: S314
    rows = [[index for index in range(12) if index % 3 == row] for row in range(3)]  # three rows, down one column and then the next
    for row in rows:
        assert tops[:, row].min() >= max(names[index] for index in row)
    for above, below in pairwise(rows):
        assert bottoms[:, above].max() <= min(names[index] for index in below) - 50
    paper = next(found for found in ET.fromstring(shown.drawing).iter("rect") if found.get("class") == "paper")  # noqa: S314
    assert bottoms.max() <= float(paper.get("y")) + float(paper.get("height"))
    assert float(paper.get("height")) <= 165 * 20


def test_leads_that_were_derived_are_told_and_the_columns_are_as_many_as_are_needed():
    """Of I, II and III the other limb leads follow."""
    drawing = draw_beats(measured_beat(recording(leads=("I", "II", "III")))).drawing
    names = [one.text for one in ET.fromstring(drawing).iter("text") if one.get("class") == "lead"]  # noqa: S314
    assert names == ["I", "II", "III", "aVR, derived", "aVL, derived", "aVF, derived"]
    stops = ET.fromstring(drawing).get("data-stops").split()  # noqa: S314
    assert len(stops) == 4


def test_an_earlier_one_lies_behind_r_peak_on_r_peak_with_its_own_marks(beat):
    """Its lines are as far apart as its own measurements."""
    before = measured_beat(recording(seed=5))
    shown = draw_beats(beat, earlier=before)
    assert len(curves(shown.drawing, "trace earlier")) == 12
    p, q, j, t = marks(shown.drawing, "earlier")
    values = before.values
    assert (q - p, j - q, t - q) == pytest.approx((values.pr_ms, values.qrs_ms, values.qt_ms), abs=1.1)
    zero = (8 + 2) * 20 + 400  # 0.4 s
    assert q - zero == pytest.approx(1000 * before.at.qrs_on_s, abs=1)
    assert marks(shown.drawing)[1] - zero == pytest.approx(1000 * beat.at.qrs_on_s, abs=1)


def test_heartbeat_rows_are_laid_over_one_another_and_nothing_else_is_laid_over_them(record):
    """Their beats in relative amplitude; a recording and a row say why not, and one without beats too."""
    over = draw_over(heartbeat_record("now", seed=1), heartbeat_record("before", seed=2))
    assert over.drawing.drawing.count('class="trace earlier"') == 1
    assert "mV" not in re.sub("level in mV", "", over.drawing.scale)
    mixed = draw_over(record, heartbeat_record("before"))
    assert (mixed.drawing, mixed.why) == (None, "One of them is a single beat without its scale.")
    flat = Record(samples=np.zeros((12, 5000), np.float32), fs=500.0, leads=STANDARD_LEADS, unit="mV", name="flat")
    assert draw_over(record, flat).why.startswith("The other recording has no median beat: ")


def test_measurements_of_two_recordings_stand_side_by_side():
    """The difference is that of the numbers shown; an angle takes the shorter way round; without a value there is none."""
    nothing = dict.fromkeys(VALUES, np.nan) | {"rhythm": "", "not_measurable": "all:few_beats"}
    now = nothing | {"rate_bpm": 61.8, "qt_ms": 399.6, "axis_deg": -170.0, "rhythm": "regular"}
    before = nothing | {"rate_bpm": 70.2, "qt_ms": 400.4, "axis_deg": 170.0, "rhythm": "irregular"}
    found = {line.title: line[1:] for line in compared_lines(now, before)}
    assert found["Heart rate"] == ("62 /min", "70 /min", "−8 /min")
    assert found["QT interval"] == ("400 ms", "400 ms", "0 ms")
    assert found["QRS axis"] == ("-170°", "170°", "+20°")
    assert found["PR interval"] == ("not measurable", "not measurable", "")
    assert found["Rhythm"] == ("regular", "irregular", "")


def test_the_report_has_the_median_beat_with_the_measurements(record):
    """A recording has it; a heartbeat row has none."""

    def page(one):
        report = run_report([prediction(one, "normal", 0.1)])
        (row,) = report.predictions.find([one.record_id])
        return record_page(report, RecordDetail(record=one, row=row)).decode()

    assert '<h2 id="beats-h">Median beat</h2>' in page(record)
    assert '<h2 id="beats-h">Median beat</h2>' not in page(heartbeat_record("beat"))
