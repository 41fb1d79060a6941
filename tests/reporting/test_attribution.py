"""What an answer rests on, drawn: the right colour in the right place, in words too, and nothing where nothing is known."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import html5lib
import numpy as np
import pytest

from ecg_tasks.reporting.attribution import Attribution, draw_attribution, shading
from ecg_tasks.reporting.pages import record_page
from ecg_tasks.reporting.spectrogram import draw_spectrograms
from ecg_tasks.reporting.waveform import draw_waveform
from ecg_tasks.signals.record import STANDARD_LEADS, Record


def attribution(**changes):
    """Twelve leads, of which V2 supports abnormal from 2 to 2.2 s, and III for normal from 4 to 4.2 s half as strongly."""
    over_time, strips = np.zeros((12, 500)), np.zeros((12, 15))
    over_time[7, 100:110], over_time[2, 200:210] = 0.8, -0.4
    strips[7, 5], strips[2, 9] = 0.8, -0.4
    cells = np.zeros((9, 15))
    cells[0, 5], cells[8, 9] = 0.8, -0.4
    values = {
        "leads": STANDARD_LEADS,
        "over_time": over_time,
        "step_s": 0.02,
        "cells": cells,
        "strips": strips,
        "levels": np.full((9, 15), 100, np.uint8),
        "freqs_hz": np.arange(9) * 7.8125,
        "times_s": -0.3 + 0.064 * np.arange(15),
        "log_odds": -0.4,
        "n_windows": 1,
    }
    return Attribution(**(values | changes))


def boxes(drawing, kind):
    """Left, top, width and bottom of every box of a kind, and its opacity."""
    found = []
    for path in ET.fromstring(str(drawing)).iter():  # noqa: S314  our own drawing
        if path.get("class") == kind:
            corners = re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)V([\d.]+)", path.get("d"))
            found += [(*map(float, box), float(path.get("fill-opacity"))) for box in corners]
    return found


def boxes_on(waveform, title, kind):
    """The boxes of a kind that a layout shows, each where its piece of a lead stands."""
    pieces = {found.get("id"): found for found in ET.fromstring(str(waveform.drawing)).iter("g")}  # noqa: S314  our own drawing
    layout = next(one for one in waveform.layouts if one.title == title)
    found = []
    for use in ET.fromstring(str(layout.drawing)).iter("use"):  # noqa: S314  our own drawing
        zero = float(use.get("y"))
        for path in pieces[use.get("href")[1:]].iter():
            if path.get("class") == kind:
                corners = re.findall(r"M([\d.]+) (-?[\d.]+)h([\d.]+)V(-?[\d.]+)", path.get("d"))
                opacity = float(path.get("fill-opacity"))
                found += [(float(x), float(top) + zero, float(width), float(foot) + zero, opacity) for x, top, width, foot in corners]
    return found


def test_shades_lie_behind_the_lead_and_second_that_they_tell_of(records):
    """Where leads are seen whole, 2.0 to 2.2 s of V2 is red at full strength, 4 to 4.2 s of III blue at half; nothing else is coloured."""
    waveform = draw_waveform(records[0], attribution=attribution())
    (red,), (blue,) = boxes_on(waveform, "12×1", "toward"), boxes_on(waveform, "12×1", "away")
    second = 25 * 20  # units of the view box
    assert red[0] == pytest.approx(8 * 20 + 2 * second)
    assert red[2] == pytest.approx(0.2 * second)
    assert blue[0] == pytest.approx(8 * 20 + 4 * second)
    assert red[4] == pytest.approx(2 * blue[4], abs=0.01)
    assert red[1] > blue[3], "V2 stands below III"
    assert boxes_on(waveform, "6×2", "toward") == [], "V2 is not seen before 5 s there"
    assert len(boxes_on(waveform, "6×2", "away")) == 1
    assert "toward" not in draw_waveform(records[0]).drawing


def test_a_part_of_a_long_recording_takes_its_own_part_of_the_shades(records):
    """From the 20th second on, what happened in the second one is not to be seen."""
    long = attribution(over_time=np.where(np.arange(1750) == 1100, 0.8, 0)[None].repeat(12, axis=0))
    shown = boxes_on(draw_waveform(records[3], from_s=20.0, attribution=long), "12×1", "toward")
    assert len(shown) == 12
    assert {box[0] for box in shown} == {8 * 20 + 2 * 25 * 20}
    assert boxes_on(draw_waveform(records[3], from_s=0.0, attribution=long), "12×1", "toward") == []


def test_a_shade_at_the_end_of_a_column_goes_on_in_the_next():
    """From 2.4 to 2.6 s, a column of four ends at 2.5 s: what is left of it there is in the layout of one column in full."""
    long = attribution(
        leads=STANDARD_LEADS, over_time=np.where((np.arange(500) >= 120) & (np.arange(500) < 130), 0.8, 0)[None].repeat(12, axis=0)
    )
    record = Record(samples=np.zeros((12, 5000), np.float32), fs=500.0, leads=STANDARD_LEADS, unit="mV", name="x")
    waveform = draw_waveform(record, attribution=long)
    four, one = (boxes_on(waveform, title, "toward") for title in ("4×3 with rhythm strip", "12×1"))
    assert sorted({(box[0], box[2]) for box in one}) == [(160 + 1200, 50), (160 + 1250, 50)]
    assert len(one) == 24
    assert len([box for box in four if box[0] == 160 + 1200]) == 3 + 1
    assert len([box for box in four if box[0] == 160 + 1250]) == 3 + 1


def test_cells_lie_where_the_axes_say(details):
    """The lowest frequency is drawn at the bottom, the cells in their columns; strips lie on the spectrogram of their lead."""
    drawing = draw_attribution(attribution())
    red = max(boxes(drawing, "toward"), key=lambda box: box[2])
    blue = max(boxes(drawing, "away"), key=lambda box: box[2])
    assert red[1] > blue[1]
    assert red[0] < blue[0]
    strips = draw_spectrograms(details[0].spectrograms, attribution=attribution())
    assert len(boxes(strips, "toward")) == len(boxes(strips, "away")) == 1


def test_faint_effects_are_left_blank():
    """Of the strongest, a twentieth is not drawn, and all of nothing is nothing."""
    x, rows = np.arange(4.0), [(0.0, 1.0)]
    assert shading(np.array([[1.0, 0.05, 0.0]]), x=x, rows=rows, scale=1.0).count("h1V1") == 1
    assert shading(np.zeros((1, 3)), x=x, rows=rows, scale=0.0) == ""


def test_the_page_shows_and_says_it(report, details):
    """A record's page has the drawing, a legend and a sentence, as valid HTML; without an explanation it has none of them."""
    page = record_page(report, replace(details[0], attribution=attribution())).decode()
    html5lib.HTMLParser(strict=True).parse(page)
    assert "What the decision is based on" in page
    assert "supports abnormal" in page
    assert "change the log-odds by −0.40, towards normal" in page
    assert "What supports normal is mostly the time from 0.24 to 0.31 s after the R peak in III." in page
    without = record_page(report, details[0]).decode()
    assert 'class="explain"' not in without
    assert "What the decision is based on" not in without


def test_a_heartbeat_row_is_shaded_too(records):
    """One beat, one lead, its own time axis."""
    beat = attribution(leads=("II",), over_time=np.where(np.arange(75) < 10, 0.5, 0)[None], strips=np.zeros((1, 15)))
    assert len(boxes(draw_waveform(records[4], attribution=beat).drawing, "toward")) == 1


def test_what_does_not_fit_together_is_refused():
    """Cells that are not those of the axes, and leads without a row."""
    with pytest.raises(ValueError, match=r"cells have shape \(3, 3\)"):
        attribution(cells=np.zeros((3, 3)))
    with pytest.raises(ValueError, match="1 leads"):
        attribution(leads=("II",))
