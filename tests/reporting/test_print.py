"""Here: the record page printed by a real browser and measured in the PDF. Not here: the page on a screen (``test_browser``)."""

import shutil

import numpy as np
import pypdfium2
import pytest
from playwright.sync_api import sync_playwright

from ecg_tasks.reporting.pages import record_page
from ecg_tasks.signals.record import STANDARD_LEADS

CHROMIUM = shutil.which("chromium")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")]
MM_PER_POINT = 25.4 / 72
A4_LANDSCAPE_MM = (297, 210)


@pytest.fixture(scope="module")
def printed(report, details):
    """Function that prints the page of the twelve-lead recording of ten seconds; returns the PDF's bytes."""
    detail = next(one for one in details if len(one.record.leads) == 12 and one.record.duration_s == 10)
    content = record_page(report, detail).decode()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.set_content(content)
        yield lambda **paper: page.pdf(print_background=True, **paper)
        browser.close()


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


def test_a_print_on_a4_is_to_scale(printed):
    """Ten seconds at 25 mm/s are 250 mm on the sheet, on A4 landscape: half a line's width more, for bounds hold the stroke."""
    size, width_mm, text = _paper_mm(printed(prefer_css_page_size=True))
    assert size == A4_LANDSCAPE_MM
    assert width_mm == pytest.approx(250, abs=0.6)
    assert "25 mm/s and 10 mm/mV only on A4 landscape, printed at 100 %" in text


def test_a_print_on_us_letter_claims_no_scale(printed):
    """On the smaller sheet the drawing may be smaller, and the page says that the millimetres hold on A4 only."""
    size, width_mm, text = _paper_mm(printed(format="Letter", landscape=True))
    assert size == (279, 216)
    assert width_mm < 245
    assert "On any other paper, US Letter too, it may be smaller: read the boxes." in text
    assert "25 mm/s" not in text.replace("25 mm/s and 10 mm/mV only on A4 landscape", "")
