"""Here: the trace of a record in a real browser: layouts, zoom, names in sight, calipers, a phone. Not here: its print (``test_print``)."""

import re

import numpy as np
import pytest

from ecg_tasks.reporting.model import RecordDetail
from ecg_tasks.reporting.pages import record_page
from ecg_tasks.signals.record import STANDARD_LEADS, Record
from tests.browsers import IN_A_BROWSER
from tests.reporting.conftest import heartbeat_record, prediction, run_report

pytestmark = [*IN_A_BROWSER]
LEFT, TOP = 160, 40
"""Where the paper begins, in units of the drawing, of which a second has 500 and a mV 200."""


def page_of(record):
    """The page of a record in a report."""
    report = run_report([prediction(record, "normal", 0.1)])
    (row,) = report.predictions.find([record.record_id])
    return record_page(report, RecordDetail(record=record, row=row)).decode()


@pytest.fixture(scope="module")
def twelve():
    """A page of twelve leads, 10 s, with a step of 1 mV from 1.0 to 1.4 s in all leads."""
    samples = np.zeros((12, 5000), np.float32)
    samples[:, 500:700] = 1.0
    return page_of(Record(samples=samples, fs=500.0, leads=STANDARD_LEADS, unit="mV", name="steps"))


@pytest.fixture
def opened(browser, twelve):
    """Function that opens a page in a window of a size; nothing may be complained about."""
    contexts, complaints = [], []

    def open_(content=twelve, *, width=1280, height=900, **how):
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, **how))
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.set_content(content)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def shown(page):
    """The drawing that is seen of the layouts."""
    found = [one for one in page.locator(".waveform .sheet > .ecg").all() if one.is_visible()]
    assert len(found) == 1
    return found[0]


def at(page, *, s, mv, zero=None):
    """Where a point of the first row lies in the window: seconds from the paper's start, mV above the zero line."""
    drawing = shown(page)
    if zero is None:
        zero = float(drawing.locator("use").first.get_attribute("y"))
    box, wide = drawing.bounding_box(), float(drawing.get_attribute("viewBox").split()[2])
    scale = box["width"] / wide
    return box["x"] + (LEFT + 500 * s) * scale, box["y"] + (zero - 200 * mv) * scale


def drag(page, start, end):
    """Drag with the mouse."""
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*[(a + b) / 2 for a, b in zip(start, end, strict=True)])
    page.mouse.move(*end)
    page.mouse.up()


def measured(page):
    """What the calipers say: ms, beats a minute, and the level."""
    found = re.fullmatch(r"(\d+) ms, (\d+) 1/min, ([+−][\d.]+) (.*)", page.locator(".waveform output").inner_text())
    return int(found[1]), int(found[2]), float(found[3].replace("−", "-")), found[4]


def test_each_layout_is_one_click_away_and_shows_its_leads(opened):
    """Four columns at first; the others on demand, from the same traces; each piece of a lead is drawn where it belongs."""
    page = opened()
    assert "columns-4" in shown(page).get_attribute("class")
    for title, columns, pieces in (("6×2", 2, 12), ("12×1", 1, 12), ("4×3 with rhythm strip", 4, 13)):
        page.get_by_role("radio", name=title).check()
        drawing = shown(page)
        assert f"columns-{columns}" in drawing.get_attribute("class")
        boxes = [use.bounding_box() for use in drawing.locator("use").all()]
        assert len(boxes) == pieces
        paper = drawing.locator(".paper").bounding_box()
        assert all(box["width"] > 0.9 * paper["width"] / columns for box in boxes[:12]), "a trace is not drawn"


def test_the_calipers_measure_a_drag_with_the_mouse(opened):
    """From 1.0 s at 0 mV to 1.4 s at 1 mV: 400 ms, 150 a minute, +1.00 mV; back down it is negative; a point is moved by its handle."""
    page = opened()
    page.get_by_role("button", name="Calipers").click()
    drag(page, at(page, s=1.0, mv=0), at(page, s=1.4, mv=1))
    ms, rate, level, unit = measured(page)
    assert ms == pytest.approx(400, abs=3)
    assert rate == pytest.approx(150, abs=2)
    assert level == pytest.approx(1.0, abs=0.02)
    assert unit == "mV"
    drag(page, at(page, s=1.4, mv=1), at(page, s=2.0, mv=-0.5))
    ms, rate, level, _ = measured(page)
    assert (ms, rate, level) == (pytest.approx(1000, abs=3), pytest.approx(60, abs=1), pytest.approx(-0.5, abs=0.02))
    page.get_by_role("button", name="Calipers").click()
    assert page.locator(".calipers").count() == 0
    assert page.locator(".waveform output").inner_text() == ""


@pytest.mark.parametrize(("layout", "zoom"), [("6×2", "whole"), ("12×1", "2 ×"), ("4×3 with rhythm strip", "4 ×")])
def test_the_calipers_measure_the_same_in_every_layout_and_zoom(opened, layout, zoom):
    """A second and half a mV."""
    page = opened()
    page.get_by_role("radio", name=layout).check()
    page.get_by_role("radio", name=zoom).check()
    page.get_by_role("button", name="Calipers").click()
    drag(page, at(page, s=0.5, mv=0), at(page, s=1.5, mv=0.5))
    assert measured(page) == (pytest.approx(1000, abs=3), 60, pytest.approx(0.5, abs=0.02), "mV")


def test_the_calipers_work_by_keys_alone(opened):
    """Tab and space switch them on; arrows move a point by 4 ms and 0.01 mV, with shift by ten times as much; escape ends."""
    page = opened()
    page.locator(".waveform input").first.focus()
    while page.evaluate("document.activeElement.textContent") != "Calipers":
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert measured(page) == (200, 300, 0.5, "mV")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Second point"
    for _ in range(5):
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("Shift+ArrowUp")
    assert measured(page) == (400, 150, 1.0, "mV")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    assert measured(page) == (396, 152, 0.99, "mV")
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "First point"
    page.keyboard.press("ArrowRight")
    assert measured(page)[0] == 392
    assert re.fullmatch(
        r"\d\.\d{3} s; 392 ms, 153 1/min, \+0\.99 mV", page.evaluate("document.activeElement.getAttribute('aria-valuetext')")
    )
    page.keyboard.press("Escape")
    assert page.locator(".calipers").count() == 0
    assert page.evaluate("document.activeElement.textContent") == "Calipers"


def test_the_points_stay_on_the_paper(opened):
    """A drag beyond its end ends there: from 9 s on there is one second."""
    page = opened()
    page.get_by_role("button", name="Calipers").click()
    drag(page, at(page, s=9, mv=0), at(page, s=10.3, mv=0))
    assert measured(page)[0] == pytest.approx(1000, abs=3)


def test_a_heartbeat_row_is_measured_in_parts_of_its_range(opened):
    """Its level in mV is not known."""
    page = opened(page_of(heartbeat_record("beat")))
    page.get_by_role("button", name="Calipers").click()
    ms, rate, level, unit = measured(page)
    assert (ms, rate, level, unit) == (200, 300, 0.5, "of the range")


def letters(page):
    """Height of the letters of each text of the drawing, px."""
    return page.evaluate(
        "Array.from(document.querySelectorAll('.waveform .columns-4 text'), (one) => one.getBBox().height * one.getScreenCTM().d)"
    )


def test_zoom_enlarges_the_trace_and_not_the_letters(opened):
    """Twice and four times as wide; names and axis keep their size."""
    page = opened()
    width, before = shown(page).bounding_box()["width"], letters(page)
    for zoom in (2, 4):
        page.get_by_label(f"{zoom} ×", exact=True).check()
        assert shown(page).bounding_box()["width"] == pytest.approx(zoom * width, rel=0.01)
        assert letters(page) == pytest.approx(before, rel=0.05)


@pytest.mark.parametrize(("layout", "names"), [("12×1", list(STANDARD_LEADS)), ("4×3 with rhythm strip", ["V1", "V2", "V3", "II"])])
def test_the_name_of_each_lead_stays_in_sight(opened, layout, names):
    """Scrolled to 6 s at four times, each row shows at its left edge which lead that is; scrolled back, names stand where they were."""
    page = opened()
    page.get_by_role("radio", name=layout).check()
    page.get_by_label("4 ×", exact=True).check()
    before = shown(page).locator(".lead").evaluate_all("all => all.map((one) => one.getAttribute('x'))")
    window = page.locator(".waveform .scroll")
    window.evaluate("(one) => { one.scrollLeft = one.querySelector('.sheet').clientWidth * 0.6; }")
    page.wait_for_function("() => document.querySelector('.waveform .scroll').scrollLeft > 0")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    box = window.bounding_box()
    inside = [
        lead.inner_html()
        for lead in shown(page).locator(".lead").all()
        if (place := lead.bounding_box())["x"] >= box["x"] and place["x"] + place["width"] < box["x"] + 60
    ]
    assert inside == names
    window.evaluate("(one) => { one.scrollLeft = 0; }")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert shown(page).locator(".lead").evaluate_all("all => all.map((one) => one.getAttribute('x'))") == before


def test_on_a_phone_ten_seconds_are_reached_by_swipe(opened):
    """The paper is at least as large as in print, the page no wider than the phone, and a finger moves to the tenth second."""
    page = opened(width=390, height=844, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    drawing = shown(page)
    assert drawing.bounding_box()["width"] >= 261 * 96 / 25.4
    assert min(letters(page)) >= 9
    window = page.locator(".waveform .scroll")
    window.scroll_into_view_if_needed()
    box = window.bounding_box()
    last = drawing.locator("text", has_text=re.compile("^10 s$"))
    assert last.bounding_box()["x"] > 390
    for _ in range(3):
        right, left = box["x"] + 0.95 * box["width"], box["x"] + 0.05 * box["width"]
        swipe(page, y=box["y"] + box["height"] / 2, from_x=right, to_x=left)
    place = last.bounding_box()
    assert place["x"] + place["width"] <= box["x"] + box["width"] + 1
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def swipe(page, *, y, from_x, to_x):
    """Move a finger over the screen, and wait until what it moved stands still."""
    touch = page.context.new_cdp_session(page)
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": from_x, "y": y}]})
    for x in np.linspace(from_x, to_x, 12)[1:]:
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": float(x), "y": y}]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.evaluate(
        """() => new Promise((done) => {
          const window = document.querySelector(".waveform .scroll");
          let last = -1, still = 0;
          const look = () => {
            still = window.scrollLeft === last ? still + 1 : 0;
            last = window.scrollLeft;
            if (still > 5) done(); else requestAnimationFrame(look);
          };
          look();
        })"""
    )


def test_a_finger_measures_while_the_calipers_are_on(opened):
    """Then a drag on the paper does not scroll."""
    page = opened(width=390, height=844, has_touch=True, is_mobile=True)
    page.get_by_role("button", name="Calipers").tap()
    page.locator(".waveform .scroll").scroll_into_view_if_needed()
    start, end = at(page, s=1.0, mv=0), at(page, s=1.5, mv=0.5)
    touch = page.context.new_cdp_session(page)
    for kind, points in (("touchStart", [start]), ("touchMove", [end]), ("touchEnd", [])):
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})
    assert measured(page) == (pytest.approx(500, abs=8), pytest.approx(120, abs=2), pytest.approx(0.5, abs=0.05), "mV")
    assert page.locator(".waveform .scroll").evaluate("(one) => one.scrollLeft") == 0


def test_without_scripts_layouts_and_zoom_work_and_no_calipers_are_offered(opened):
    """They are style alone."""
    page = opened(java_script_enabled=False)
    page.get_by_role("radio", name="12×1").check()
    assert shown(page).is_visible()
    assert "columns-1" in shown(page).get_attribute("class")
    assert not page.locator(".caliper-tools").is_visible()


def test_in_print_it_is_the_first_layout_to_scale_whatever_was_chosen(opened):
    """Ten seconds are 250 mm; no control, caliper or moved name is printed."""
    page = opened()
    page.get_by_role("radio", name="12×1").check()
    page.get_by_role("radio", name="4 ×").check()
    page.get_by_role("button", name="Calipers").click()
    page.emulate_media(media="print")
    assert "columns-4" in shown(page).get_attribute("class")
    assert shown(page).locator(".paper").bounding_box()["width"] == pytest.approx(250 * 96 / 25.4, abs=1)
    assert not page.locator(".trace-tools").is_visible()
    assert not page.locator(".calipers").is_visible()
