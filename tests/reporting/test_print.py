"""Here: the record page printed by a real browser and measured in the PDF. Not here: the page on a screen (``test_browser``)."""

import ctypes
from dataclasses import replace

import numpy as np
import pypdfium2
import pytest

from ecg_tasks.reporting.pages import record_page
from ecg_tasks.signals.record import STANDARD_LEADS
from tests.browsers import IN_A_BROWSER, chromium
from tests.reporting.test_attribution import attribution

pytestmark = [*IN_A_BROWSER]
MM_PER_POINT = 25.4 / 72
A4_LANDSCAPE_MM = (297, 210)


US_LETTER_LANDSCAPE_MM = (279, 216)
SHADES = {(0xD2, 0x35, 0x0F), (0x12, 0x68, 0xD8)}
"""Colours of what supports abnormal, and normal."""


@pytest.fixture(scope="module")
def printed(report, details):
    """Function that prints the page of the twelve-lead recording of ten seconds, explained; returns the PDF's bytes."""
    detail = next(one for one in details if len(one.record.leads) == 12 and one.record.duration_s == 10)
    over_time = np.zeros((12, 500))
    over_time[1, 100:110], over_time[1, 300:310] = 0.8, -0.8  # of lead II, whose ten seconds are all shown
    content = record_page(report, replace(detail, attribution=attribution(over_time=over_time))).decode()
    with chromium() as browser:
        page = browser.new_page()
        page.set_content(content)
        yield lambda paper: page.pdf(print_background=True, prefer_css_page_size=True, format=paper)


def _paths_mm(pdf: bytes) -> list[tuple[tuple[float, float], np.ndarray]]:
    """Every page: its size, and the boxes (left, bottom, right, top) of the paths on it, mm."""
    found = []
    document = pypdfium2.PdfDocument(pdf)
    for page in document:
        paths = list(page.get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_PATH], max_depth=8))
        boxes = np.array([one.get_bounds() for one in paths]).reshape(-1, 4) * MM_PER_POINT
        found.append((tuple(round(side * MM_PER_POINT) for side in page.get_size()), boxes))
        for one in paths:
            one.close()
        page.close()
    document.close()
    return found


def _paper_mm(pdf: bytes) -> tuple[tuple[float, float], float, str]:
    """Size of the sheet that holds the ECG paper, the paper's width, and all text of the document."""
    document = pypdfium2.PdfDocument(pdf)
    text = " ".join(" ".join(page.get_textpage().get_text_bounded() for page in document).split())
    document.close()
    sheets = [(size, boxes) for size, boxes in _paths_mm(pdf) if size[0] > size[1]]
    widths = np.concatenate([boxes[:, 2] - boxes[:, 0] for _, boxes in sheets])
    drawn = widths[widths < 0.95 * widths.max()]  # the widest box is the sheet's background
    a_column = np.abs(drawn - drawn.max() / 4) < 0.01 * drawn.max()
    assert a_column.sum() >= len(STANDARD_LEADS) + 4  # every lead's trace is a quarter of the paper, and the rhythm strip is four of these
    return sheets[0][0], float(drawn.max()), text


@pytest.mark.parametrize(("paper", "sheet_mm"), [("A4", A4_LANDSCAPE_MM), ("Letter", US_LETTER_LANDSCAPE_MM)])
def test_a_print_is_to_scale(printed, paper, sheet_mm):
    """Ten seconds at 25 mm/s are 250 mm on the sheet, in landscape on both papers: half a line's width more, for bounds hold the stroke."""
    size, width_mm, text = _paper_mm(printed(paper))
    assert size == sheet_mm
    assert width_mm == pytest.approx(250, abs=0.6)
    assert "25 mm/s and 10 mm/mV on A4 and US Letter in landscape, printed at 100 %" in text


@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_a_print_has_neither_controls_nor_explanation_nor_a_page_of_two_lines(printed, paper):
    """Nothing to click and no shade; what stands on the last page fills a third of it at least, as on every page."""
    pdf = printed(paper)
    text = _paper_mm(pdf)[2]
    for control in ("Layout", "Zoom", "Calipers", "Show what", "What supports", "What the decision is based on", "supports abnormal"):
        assert control not in text
    document = pypdfium2.PdfDocument(pdf)
    assert len(document) <= 3
    for page in document:
        found = list(page.get_objects(max_depth=8))
        colours = {_fill(one) for one in found if one.type == pypdfium2.raw.FPDF_PAGEOBJ_PATH}
        assert not colours & SHADES
        bottoms = [one.get_bounds()[1] for one in found if one.type != pypdfium2.raw.FPDF_PAGEOBJ_PATH]
        assert min(bottoms) < 0.67 * page.get_height()
    document.close()


def _fill(one):
    """Return the colour that an object is filled with, red, green and blue."""
    channels = [ctypes.c_uint() for _ in range(4)]
    assert pypdfium2.raw.FPDFPageObj_GetFillColor(one, *map(ctypes.byref, channels))
    return tuple(channel.value for channel in channels[:3])
