"""Here: tests that the drawings show the signal that they are given, at the scale that they tell."""

import base64
import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import cv2
import numpy as np
import pytest

from ecg_tasks.evaluation.intervals import Interval
from ecg_tasks.labels import Decision
from ecg_tasks.reporting.charts import HISTOGRAM_EDGES, count_scores, draw_decisions, draw_histogram, draw_interval, draw_probability
from ecg_tasks.reporting.model import SpectrogramView
from ecg_tasks.reporting.spectrogram import draw_spectrograms, has_masked_frames, views_of_picture
from ecg_tasks.reporting.svg import ticks, trace
from ecg_tasks.reporting.waveform import draw_waveform
from ecg_tasks.signals.imshow import MAGMA
from ecg_tasks.signals.recipes import get_recipe
from ecg_tasks.signals.record import STANDARD_LEADS, Record
from tests.run_tables import run_table

UNITS_PER_MM = 20


def _points(path):
    """Absolute points of a path of relative steps, shape (n_points, 2)."""
    numbers = [int(found) for found in re.findall(r"[-+]?\d+", path)]
    return np.cumsum(np.array(numbers).reshape(-1, 2), axis=0)


def _traces(drawing):
    """Points of each lead, its parts one after the other; y about its zero line."""
    leads = [found for found in ET.fromstring(drawing).iter("g") if re.fullmatch(r"ecg-\d+-0-4", found.get("id"))]  # noqa: S314  our own drawing
    return [np.concatenate([_points(path.get("d")) for path in lead.iter("path") if path.get("class") == "trace"]) for lead in leads]


def _zero_lines(drawing):
    """Every piece of a lead that is drawn: its id, and y of its zero line."""
    return [(use.get("href")[1:], int(use.get("y"))) for use in ET.fromstring(drawing).iter("use")]  # noqa: S314  our own drawing


def _texts(drawing):
    return ["".join(found.itertext()) for found in ET.fromstring(drawing).iter("text")]  # noqa: S314  our own drawing


def _mv_record(samples, *, fs, leads=("II",)):
    return Record(samples=np.asarray(samples, np.float32), fs=fs, leads=leads, unit="mV", name="x")


@pytest.mark.parametrize("largest", [3, 400, 5000])
def test_a_trace_reads_back_as_the_points_that_bend_it(largest):
    """Steps of any size are written so that the curve passes through every point; straight runs are merged."""
    rng = np.random.default_rng(0)
    x, y = np.cumsum(rng.integers(0, 3, 500)), rng.integers(-largest, largest, 500)
    found = _points(re.search(r' d="(.*)"', trace(x, y, kind="trace")).group(1))
    kept = {tuple(point) for point in found.tolist()}
    expected = np.stack([x, y], axis=1)
    assert np.array_equal(found[[0, -1]], expected[[0, -1]])
    assert kept <= {tuple(point) for point in expected.tolist()}
    straight = _points(re.search(r' d="(.*)"', trace(np.arange(100), np.zeros(100, int), kind="trace")).group(1))
    assert len(straight) == 2


def test_the_waveform_is_25_mm_a_second_and_10_mm_a_millivolt():
    """A 1 mV step after 1 s lies 25 mm from the start and is 10 mm tall, in units of 0.05 mm."""
    fs = 250.0
    samples = np.zeros((1, 2500))
    samples[0, 250:500] = 1.0
    (curve,) = _traces(draw_waveform(_mv_record(samples, fs=fs)).drawing)
    assert np.ptp(curve[:, 1]) == 10 * UNITS_PER_MM
    first_up = curve[np.flatnonzero(np.diff(curve[:, 1]) < 0)[0] + 1]
    assert first_up[0] - curve[0, 0] == pytest.approx(25 * UNITS_PER_MM, abs=1)
    assert curve[-1, 0] - curve[0, 0] == pytest.approx(250 * UNITS_PER_MM, abs=3)


@pytest.mark.parametrize("fs", [100.0, 360.0, 1000.0])
def test_no_peak_is_lost_at_any_rate(fs):
    """A spike of a single sample keeps its height however dense the samples are."""
    samples = np.zeros((1, int(10 * fs)))
    samples[0, int(3.217 * fs)] = 2.0
    (curve,) = _traces(draw_waveform(_mv_record(samples, fs=fs)).drawing)
    assert np.ptp(curve[:, 1]) == 20 * UNITS_PER_MM
    peak_s = (curve[curve[:, 1].argmin(), 0] - curve[0, 0]) / (25 * UNITS_PER_MM)
    assert peak_s == pytest.approx(int(3.217 * fs) / fs, abs=0.003)


def test_the_gain_is_halved_for_large_signals_and_said():
    """A 12 mV signal does not burst the paper; the scale that is told follows."""
    samples = 6 * np.sin(np.linspace(0, 60, 5000))[np.newaxis]
    waveform = draw_waveform(_mv_record(samples, fs=500.0))
    assert "2.5 mm/mV" in waveform.on_paper
    (curve,) = _traces(waveform.drawing)
    assert np.ptp(curve[:, 1]) == pytest.approx(12 * 2.5 * UNITS_PER_MM, abs=3)


def test_every_layout_has_all_leads_where_a_cardiologist_looks_for_them(records):
    """Four columns with a rhythm strip, two columns, one; the traces stand in the page once."""
    four, two, one = draw_waveform(records[0]).layouts
    assert len(_traces(four.drawing)) == 12
    assert _traces(two.drawing) == _traces(one.drawing) == []

    def rows(layout):
        names = [text for text in _texts(layout.drawing) if text in STANDARD_LEADS]
        found = {}
        for name, (_, zero) in zip(names, _zero_lines(layout.drawing), strict=True):
            found.setdefault(zero, []).append(name)
        assert list(found) == sorted(found)
        return [" ".join(row) for row in found.values()]

    assert rows(four) == ["I aVR V1 V4", "II aVL V2 V5", "III aVF V3 V6", "II"]
    assert rows(two) == ["I V1", "II V2", "III V3", "aVR V4", "aVL V5", "aVF V6"]
    assert rows(one) == list(STANDARD_LEADS)
    assert [layout.title for layout in (four, two, one)] == ["4×3 with rhythm strip", "6×2", "12×1"]


def _beating(*, height_mv, leads=STANDARD_LEADS, seconds=10.0, fs=250.0):
    """A recording of spikes 60 ms wide of this height in mV, up and down in turn, of leads one after the other."""
    samples = np.zeros((len(leads), round(seconds * fs)), np.float32)
    for lead in range(len(leads)):
        for number, at in enumerate(range(20 + 3 * lead, samples.shape[1] - 15, 200)):
            samples[lead, at : at + 15] = height_mv * (1 - 2 * (number % 2))
    return _mv_record(samples, fs=fs, leads=leads)


@pytest.mark.parametrize("height_mv", [0.3, 1.0, 3.0, 10.0, 40.0])
def test_rows_never_collide_and_names_hide_no_trace(height_mv):
    """In every layout a row's lowest point is above all that the next row draws, its name included, at any amplitude."""
    waveform = draw_waveform(_beating(height_mv=height_mv))
    for layout in waveform.layouts:
        extents = _extents(waveform.drawing, layout.drawing)
        assert all(name_top >= bottom for (_, bottom, _), (name_top, _, _) in pairwise(extents)), layout.title
        assert all(top >= name_bottom for _, _, (top, name_bottom) in extents), layout.title
    paper = next(found for found in ET.fromstring(waveform.drawing).iter("rect") if found.get("class") == "paper")  # noqa: S314
    assert float(paper.get("height")) <= 165 * UNITS_PER_MM, "it would not fit the sheet"


def _extents(traces, drawing):
    """For each row, in order: top of the names' letters, lowest point of its traces, and their highest point with the letters' foot."""
    drawn = {}
    for group in ET.fromstring(traces).iter("g"):  # noqa: S314  our own drawing
        drawn[group.get("id")] = np.concatenate(
            [_points(path.get("d"))[:, 1] for path in group.iter("path") if path.get("class") == "trace"]
        )
    names = {}
    for text in ET.fromstring(drawing).iter("text"):  # noqa: S314  our own drawing
        if text.get("class") == "lead":
            names.setdefault(float(text.get("y")), []).append(text)
    feet = sorted(names)
    rows = {}
    for piece, zero in _zero_lines(drawing):
        rows.setdefault(zero, []).append(drawn[piece] + zero)
    found = []
    for foot, zero in zip(feet, sorted(rows), strict=True):
        y = np.concatenate(rows[zero])
        found.append((foot - 50, y.max(), (y.min(), foot)))
    return found


def test_what_goes_too_far_is_cut_off_and_marked_and_nothing_else_is():
    """A spike of a single sample does not make the rest small: 40 mm of it are drawn, with a mark, and the page says what that means."""
    samples = _beating(height_mv=1.0).samples.copy()
    samples[4, 1111] = -30.0
    waveform = draw_waveform(_mv_record(samples, fs=250.0, leads=STANDARD_LEADS))
    assert "10 mm/mV" in waveform.on_paper
    curves = _traces(waveform.drawing)
    assert [round(curve[:, 1].max() / UNITS_PER_MM) for curve in curves] == [10] * 4 + [40] + [10] * 7
    (mark,) = [found for found in ET.fromstring(waveform.drawing).iter("path") if found.get("class") == "further"]  # noqa: S314
    x, y = map(int, re.match(r"M(-?\d+) (-?\d+)", mark.get("d")).groups())
    assert x == pytest.approx((8 + 1111 / 250 * 25) * UNITS_PER_MM, abs=2)
    assert y == 40 * UNITS_PER_MM
    assert "it goes further and is cut off" in waveform.scale
    whole = draw_waveform(_beating(height_mv=1.0))
    assert 'class="further"' not in whole.drawing
    assert "cut off" not in whole.scale


def test_a_lone_high_beat_is_drawn_whole():
    """An extrasystole of 3 mV among beats of 1 mV is no artefact: nothing of it is cut, and the amplitude stays."""
    samples = _beating(height_mv=1.0).samples.copy()
    samples[7, 1100:1140] = 3.0
    waveform = draw_waveform(_mv_record(samples, fs=250.0, leads=STANDARD_LEADS))
    assert 'class="further"' not in waveform.drawing
    assert _traces(waveform.drawing)[7][:, 1].min() == -30 * UNITS_PER_MM


@pytest.mark.parametrize(
    ("leads", "seconds", "titles"),
    [
        (("II",), 10.0, ["1×1"]),
        (("I", "II", "III"), 10.0, ["3×1"]),
        (("I", "II", "V1", "V2", "V3", "V4", "V5", "V6"), 10.0, ["8×1", "4×2"]),
        (STANDARD_LEADS[:11], 10.0, ["6×2", "11×1"]),
        ((*STANDARD_LEADS, "X", "Y", "Z"), 10.0, ["4×3 with rhythm strip", "6×2", "15×1"]),
        (STANDARD_LEADS, 5.0, ["6×2", "12×1"]),
        (STANDARD_LEADS, 1.0, ["12×1"]),
    ],
)
def test_fewer_leads_or_seconds_get_the_layouts_that_make_sense(leads, seconds, titles):
    """No lead is left out of any of them."""
    waveform = draw_waveform(_beating(height_mv=1.0, leads=leads, seconds=seconds))
    assert [layout.title for layout in waveform.layouts] == titles
    for layout in waveform.layouts:
        assert {text for text in _texts(layout.drawing) if text in leads} == set(leads)


@pytest.mark.parametrize(
    ("leads", "seconds", "gain"),
    [
        ((*STANDARD_LEADS[:6], "C1", "C2", "C3", "C4", "C5", "C6"), 10.0, "10 mm/mV"),
        (STANDARD_LEADS[:11], 10.0, "10 mm/mV"),
        (STANDARD_LEADS, 3.0, "2.5 mm/mV"),
        (("II", *(f"EEG {number}" for number in range(29))), 10.0, "2.5 mm/mV"),
        ((*STANDARD_LEADS, *(f"EEG {number}" for number in range(12))), 10.0, "2.5 mm/mV"),
    ],
)
def test_many_leads_can_be_read(leads, seconds, gain):
    """Where the rows alone are more than the sheet holds, they are as low as rows are, and not flat."""
    waveform = draw_waveform(_beating(height_mv=1.0, leads=leads, seconds=seconds))
    assert gain in waveform.on_paper
    assert 'class="further"' not in waveform.drawing


def test_a_drawing_tells_a_script_how_to_read_it(records):
    """Where the paper lies, units for a second and for a mV, and the first second."""
    drawing = ET.fromstring(draw_waveform(records[3], from_s=5.0).drawing)  # noqa: S314  our own drawing
    paper = next(found for found in drawing.iter("rect") if found.get("class") == "paper")
    left, top, right, bottom = map(float, drawing.get("data-box").split())
    assert (left, top) == (float(paper.get("x")), float(paper.get("y")))
    assert (right - left, bottom - top) == (float(paper.get("width")), float(paper.get("height")))
    assert (drawing.get("data-per-s"), drawing.get("data-per-level"), drawing.get("data-from-s")) == ("500", "200", "5")
    beat = ET.fromstring(draw_waveform(records[4]).drawing)  # noqa: S314  our own drawing
    assert (beat.get("data-per-s"), beat.get("data-per-level"), beat.get("data-unit")) == ("2000", "800", "of the range")


def test_a_long_recording_shows_ten_seconds_and_an_overview(records):
    """35 s at 1,000 Hz: the 10 s asked for, moved back from the end, with R peaks inside them only."""
    long = records[3]
    waveform = draw_waveform(long, from_s=30.0, beats_s=(0.5, 26.0, 34.0))
    assert waveform.overview is not None
    labels = [text for text in _texts(waveform.drawing) if text.endswith(" s") or text.isdigit()]
    assert labels[-1] == "35 s"
    assert waveform.drawing.count('class="beat"') == 2
    assert draw_waveform(records[0]).overview is None


def test_a_heartbeat_is_drawn_in_relative_amplitude_with_its_padding_shaded(records):
    """No mV anywhere; the shade begins where the beat ends."""
    waveform = draw_waveform(records[4])
    assert not any("mV" in text for text in _texts(waveform.drawing))
    assert "padding" in _texts(waveform.drawing)
    shade = next(found for found in ET.fromstring(waveform.drawing).iter("rect") if found.get("class") == "padding")  # noqa: S314
    start_s = (int(shade.get("x")) / UNITS_PER_MM - 8) / 100
    assert start_s == pytest.approx(120 / 125, abs=0.005)


@pytest.mark.parametrize("samples", [np.zeros((2, 1)), np.zeros((2, 2)), np.full((2, 900), np.nan), np.full((2, 900), 1e4)])
def test_odd_signals_are_drawn_without_a_fault(samples):
    """One sample, two, not a number, far too large: the page is still made."""
    assert len(_traces(draw_waveform(_mv_record(samples, fs=100.0, leads=("I", "II"))).drawing)) == 2


def test_a_spectrogram_has_the_colours_of_magma_with_low_frequencies_below():
    """Decoded by OpenCV, the picture is the colour map of the level, the lowest frequency in the last row."""
    values = np.array([[-70.0, -30.0], [10.0, np.nan], [99.0, -99.0]])
    view = SpectrogramView(title="V1", values=values, freqs_hz=np.arange(3.0), times_s=np.arange(2.0), db_range=(-70.0, 10.0))
    picture = re.search(r'href="data:image/png;base64,([^"]+)"', draw_spectrograms([view])).group(1)
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(picture), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.array_equal(pixels[::-1], MAGMA[[[0, 128], [255, 0], [255, 0]]])


def test_a_spectrogram_tells_its_units(details):
    """Hz, s and dB stand at the axes and at the colour bar, a title over each lead."""
    texts = _texts(draw_spectrograms(details[0].spectrograms))
    assert {"frequency, Hz", "time, s", "level, dB", *STANDARD_LEADS} <= set(texts)


def test_twelve_leads_stand_as_on_a_clinical_print(details):
    """Columns of three: I, II, III on the left, V4, V5, V6 on the right."""
    root = ET.fromstring(draw_spectrograms(details[0].spectrograms))  # noqa: S314  our own drawing
    place = {found.text: (float(found.get("x")), float(found.get("y"))) for found in root.iter("text") if found.text in STANDARD_LEADS}
    assert place["I"][0] == place["II"][0] == place["III"][0] < place["aVR"][0] < place["V1"][0] < place["V4"][0]
    assert place["I"][1] == place["V4"][1] < place["V5"][1] < place["V6"][1]


def test_a_picture_coloured_over_its_own_range_gives_its_levels_back(records):
    """The notebook's picture: one view whose levels rise with the magnitude, no dB numbers at the colour bar, time from 0 to 1 s."""
    recipe = get_recipe("notebook")
    picture = recipe.decode(recipe.render([records[4]]).png)[0]
    (view,) = views_of_picture(picture, axes=recipe.axes(), title="beat")
    drawing = draw_spectrograms([view])
    assert view.title == "beat"
    assert np.abs(MAGMA[view.values[::-1]].astype(int) - picture).max() < 40
    assert view.times_s[0] == pytest.approx(1 / 512)
    assert {"highest", "lowest", "level"} <= set(_texts(drawing))
    assert "level, dB" not in _texts(drawing)


@pytest.mark.parametrize("name", ["twelve_lead", "heartbeat"])
def test_views_of_a_recipes_picture_have_its_axes(name, records):
    """What a recipe draws comes back as one view a channel that shows a level, lowest frequency first."""
    recipe = get_recipe(name)
    record = records[0] if name == "twelve_lead" else records[4]
    picture = recipe.decode(recipe.render([record]).png)[0]
    views = views_of_picture(picture, axes=recipe.axes())
    assert [view.title for view in views] == list(recipe.axes().channels)
    assert len(views) == recipe.image_shape[2] // 2  # the other half carries signs
    assert np.array_equal(views[0].values[0], picture[-1, :, 0])


def test_a_frame_that_is_dark_throughout_is_noticed():
    """One such frame is enough; a dark cell is not."""
    values = np.full((3, 4), 9, np.uint8)
    view = SpectrogramView(title="x", values=values, freqs_hz=np.arange(3.0), times_s=np.arange(4.0), db_range=(0, 1))
    values[1] = 0
    assert not has_masked_frames([view])
    values[:, 2] = 0
    assert has_masked_frames([view])


def scored(probabilities, decisions):
    """Predictions of the first model of the report."""
    return run_table(
        {"record_id": f"{row:032x}", "recipe": "twelve_lead", "probability": probability, "decision": decision}
        for row, (probability, decision) in enumerate(zip(probabilities, decisions, strict=True))
    )


def test_the_histogram_counts_every_record_with_a_probability(report):
    """0 and 1 fall into the outer bins, NaN into none, a record at an edge into one bin only."""
    counts = count_scores(
        scored([0.0, 1.0, 0.5, None, 0.025], ["normal", "abnormal", "uncertain", "uninterpretable", "normal"]), model=report.models[0]
    )
    assert counts[Decision.NORMAL][0] == 1
    assert counts[Decision.NORMAL][1] == 1
    assert counts[Decision.ABNORMAL][-1] == 1
    assert sum(int(bins.sum()) for bins in counts.values()) == 4
    assert len(HISTOGRAM_EDGES) == 41


def test_the_histogram_has_a_bar_for_each_filled_bin(report):
    """Bars are as tall as their counts."""
    counts = count_scores(scored([0.1, 0.11, 0.9], ["normal", "normal", "abnormal"]), model=report.models[0])
    root = ET.fromstring(draw_histogram(counts, model=report.models[0]))  # noqa: S314  our own drawing
    bars = {found.get("class"): float(found.get("height")) for found in root.iter("rect") if found.get("class").startswith("bar")}
    assert bars["bar normal"] == pytest.approx(2 * bars["bar abnormal"])


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_the_probability_bar_marks_value_threshold_and_band(probability, report):
    """The marker stands at the probability on the scale that the threshold stands on."""
    model = report.models[0]
    root = ET.fromstring(draw_probability(probability, model=model))  # noqa: S314  our own drawing
    lines = {found.get("class"): float(found.get("x1")) for found in root.iter("line")}
    assert lines["threshold"] - lines["marker-line"] == pytest.approx((model.threshold - probability) * 688)
    band = next(found for found in root.iter("rect") if found.get("class") == "zone uncertain")
    assert float(band.get("width")) == pytest.approx(0.1 * 688)


def test_an_undefined_figure_has_no_picture():
    """NaN is not drawn as a dot somewhere."""
    assert draw_interval(Interval(float("nan"), 0.1, 0.2)) == ""
    assert "whisker" not in draw_interval(Interval(0.5, float("nan"), float("nan")))
    assert "whisker" in draw_interval(Interval(0.5, 0.4, 0.6))


def test_shares_of_nothing_are_an_empty_bar():
    """A run without records divides by no zero."""
    assert "rect" not in draw_decisions(dict.fromkeys(Decision, 0))


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 0.003), (-70, 10), (0, 62.5), (20, 30), (0, 1e6), (3, 3)])
def test_ticks_are_few_and_inside(low, high):
    """Between one and the number asked for, plus one, and none outside the axis."""
    found = ticks(low, high, at_most=5)
    assert 1 <= len(found) <= 6
    assert all(low <= tick <= high for tick in found)
