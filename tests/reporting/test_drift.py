"""Each picture of monitoring has a table that holds the same numbers, and is well-formed."""

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
