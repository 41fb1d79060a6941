"""Each picture of monitoring has a table that holds the same numbers, and is well-formed."""

import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from ecg_tasks.reporting.drift import Course, Spread, drift_figures


def figures(nights: int = 3):
    """The figures of some nights and two measures, one of them with a name that must be escaped."""
    course = Course(
        nights=tuple(f"2026-01-{night + 1:02d}" for night in range(nights)),
        records=(120,) * nights,
        abnormal=(0.25, float("nan"), 0.5)[:nights],
        abnormal_then=0.3,
        evidence={"all together": tuple(np.linspace(-1, 4, nights)), "P(abnormal)": tuple(np.linspace(0, 2, nights))},
        bound=float(np.log(20)),
    )
    spreads = [
        Spread(title="P(abnormal)", names=("below 0.5", "0.5 and above"), then=(50, 50), now=(90, 10), psi=0.9, psi_by_chance=0.05),
        Spread(title="<b>", names=("<script>",), then=(0,), now=(0,), psi=None, psi_by_chance=None),
    ]
    return list(drift_figures(course, spreads))


@pytest.mark.parametrize("nights", [1, 3])
def test_every_drawing_is_well_formed_and_every_table_fits_its_head(nights):
    """Text from outside is escaped; no value is nan in the drawing."""
    found = figures(nights)
    assert [one.title for one in found] == ["Evidence that something has changed", "Share called abnormal", "P(abnormal)", "<b>"]
    for one in found:
        ET.fromstring(str(one.drawing))  # noqa: S314  # our own drawing
        assert "nan" not in str(one.drawing)
        assert "<script>" not in str(one.drawing)
        assert one.note
        assert all(len(row) == len(one.columns) for row in one.rows)


def test_the_tables_hold_the_numbers():
    """Capital by night and measure, shares then and now, a dash where nothing came."""
    evidence, share, spread, _ = figures()
    assert evidence.columns == ("night", "records", "all together", "P(abnormal)")
    assert evidence.rows[-1] == ("2026-01-03", "120", "54.6", "7.39")
    assert [row[2] for row in share.rows] == ["25.0%", "–", "50.0%"]
    assert spread.rows[0] == ("below 0.5", "50", "50.0%", "90", "90.0%")
    assert "0.900" in spread.note


def test_a_night_beyond_the_bound_is_drawn_in_the_alarm_colour():
    """The last of three nights has a capital of 55."""
    drawing = str(figures()[0].drawing)
    assert drawing.count('class="bar abnormal"') == 1
    assert drawing.count('class="bar normal"') == 2
    assert 'class="bar abnormal"' not in str(figures()[1].drawing)  # a share above the one at the test is no alarm


def test_every_colour_has_a_legend_and_every_bin_its_name():
    """What is drawn in a colour is in the legend, in words; a bin's name stands below its bars, not the first and last alone."""
    for one in figures():
        drawn = set(re.findall(r'class="bar (\w+)"', str(one.drawing)))
        assert drawn <= {kind for kind, _ in one.legend}
        assert all(words for _, words in one.legend)
    names = ("below 0.1", "0.1 to 0.2", "0.2 to 0.3", "0.3 and above")
    spread = Spread(title="P", names=names, then=(1, 2, 3, 4), now=(4, 3, 2, 1), psi=None, psi_by_chance=None)
    course = Course(
        nights=("2026-01-01",), records=(1,), abnormal=(0.1,), abnormal_then=0.1, evidence={"all": (0.0,)}, bound=float(np.log(20))
    )
    *_, drawn = drift_figures(course, [spread])
    words = [text.text for text in ET.fromstring(str(drawn.drawing)).iter("text")]  # noqa: S314  # our own drawing
    assert set(names) <= set(words) | {" ".join(pair) for pair in pairwise(words)}


def test_axis_and_text_have_one_number():
    """What the table and the note say of evidence and shares stands on the drawing too: bound, last night, powers as numbers."""
    evidence, share, *_ = figures()
    for one, wanted in ((evidence, {"1", "10", "20", "54.6"}), (share, {"30.0%", "50.0%"})):
        words = {text.text for text in ET.fromstring(str(one.drawing)).iter("text")}  # noqa: S314  # our own drawing
        assert wanted <= words
    assert "reaches 20, the dashed line, is at most 5%" in evidence.note
    assert evidence.rows[-1][2] == "54.6"
    assert ("bound", "dashed: 30.0%, when the model was tested") in share.legend
