"""Here: tests of the report in a real browser: sorting, filters, paging, and that no request leaves the page."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ecg_tasks.labels import Decision
from ecg_tasks.reporting.difference import render_difference
from ecg_tasks.reporting.model import ReportedClass
from ecg_tasks.reporting.pages import record_page, render_report
from tests.accessibility import faults, faults_in_all_looks
from tests.browsers import IN_A_BROWSER
from tests.reporting.test_attribution import attribution
from tests.reporting.test_difference import _changed, _difference

pytestmark = [*IN_A_BROWSER]


@pytest.fixture
def opened(browser, folder):
    """The index of the example, with what the browser complained about and what it asked for."""
    context = browser.new_context()
    page = context.new_page()
    complaints, requests = [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((folder / "index.html").as_uri())
    yield page, complaints, requests
    context.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, report, details):
    """The example's report on disk."""
    place = tmp_path_factory.mktemp("report")
    for path, content in render_report(report, details):
        (place / path).parent.mkdir(exist_ok=True)
        (place / path).write_bytes(content if isinstance(content, bytes) else content.read())
    return place


def _column(page, number):
    return [cell.strip() for cell in page.locator(f"#table tbody tr > :nth-child({number})").all_inner_texts()]


def test_a_click_on_a_head_sorts_and_a_second_turns_the_order(opened):
    """Probabilities fall, then rise; the head tells a screen reader so."""
    page, complaints, _ = opened
    page.get_by_role("button", name="P(abnormal)").click()
    assert _column(page, 3) == ["1.000", "0.910", "0.500", "0.100", "0.000", "–"]
    page.get_by_role("button", name="P(abnormal)").click()
    assert _column(page, 3) == ["–", "0.000", "0.100", "0.500", "0.910", "1.000"]
    assert page.locator("#table thead th").nth(2).get_attribute("aria-sort") == "ascending"
    assert complaints == []


def test_the_filters_leave_the_rows_that_pass(opened):
    """Words, a decision, a recipe, a label that differs; the status line counts."""
    page, complaints, _ = opened
    page.get_by_role("combobox", name="Decision").select_option(str(Decision.ABNORMAL))
    assert _column(page, 2) == ["abnormal", "abnormal"]
    page.get_by_label("label differs").check()
    assert _column(page, 6) == ["normal"]
    page.get_by_label("Search").fill("nothing like this")
    assert "No row passes the filter" in page.get_by_role("status").inner_text()
    assert complaints == []


def test_the_record_page_is_one_click_away_and_nothing_leaves(opened):
    """From the table to the record's page and back, with files of the report and data addresses only."""
    page, complaints, requests = opened
    page.get_by_role("link", name="plain").click()
    page.get_by_role("heading", name="plain").wait_for()
    page.get_by_role("link", name="All recordings").click()
    page.get_by_role("heading", name="2026-03-02").wait_for()
    assert all(url.startswith(("file://", "data:")) for url in requests)
    assert complaints == []


def test_no_page_is_wider_than_a_phone(browser, folder):
    """At 390 px nothing makes the page itself scroll sideways; wide figures and tables scroll within."""
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    for path in sorted(folder.rglob("*.html")):
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == 390, path.name
    context.close()


def test_the_report_stands_axe_in_every_look(browser, folder):
    """Its index with the table, a page of each kind of recording, and that of two versions: light, dark and as on a phone."""
    context = browser.new_context()
    page = context.new_page()
    found = {}
    for path in [folder / "index.html", *sorted(folder.glob("records/*.html"))[:3]]:
        page.goto(path.as_uri())
        found[path.name] = faults_in_all_looks(page)
    page.set_content(dict(render_difference(_difference([_changed(1), _changed(2, None)])))["index.html"].decode())
    found["difference"] = faults_in_all_looks(page)
    context.close()
    assert {name: said for name, said in found.items() if said} == {}


def test_the_classes_take_a_line_or_two_each_on_a_phone(browser, report, details):
    """A cell that has to be scrolled to is not squeezed into a column of words beside empty rows."""
    known = ReportedClass(
        name="STTC", threshold=0.5, abstain=(0.4, 0.6), code="428750005", display="Nonspecific ST-T abnormality on electrocardiogram"
    )
    (model, *others), (detail, *_) = report.models, details
    shown = replace(report, models=[replace(model, classes=(known,)), *others])
    row = detail.row | {"p_STTC": 0.75, "class_STTC": "present"}
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.set_content(record_page(shown, replace(detail, row=row)).decode())
    line, height = (page.locator(f".classes {part} tr").bounding_box()["height"] for part in ("thead", "tbody"))
    assert height < 2 * line
    page.close()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_a_probability_at_an_end_is_not_cut_off(browser, report, details, width, probability):
    """On a phone its letters are larger, since the drawing is smaller."""
    page = browser.new_page(viewport={"width": width, "height": 844})
    page.set_content(record_page(report, replace(details[0], row=details[0].row | {"probability": probability})).decode())
    value = page.locator(".plot .value")
    text, drawing = value.bounding_box(), value.locator("xpath=ancestor::*[local-name()='svg']").bounding_box()
    assert drawing["x"] <= text["x"] < text["x"] + text["width"] <= drawing["x"] + drawing["width"]
    page.close()


@pytest.fixture
def explained(browser, report, details):
    """The page of a recording of twelve leads with what its decision is based on."""
    detail = next(one for one in details if len(one.record.leads) == 12 and one.record.duration_s == 10)
    over_time = np.zeros((12, 500))
    over_time[1, 100:110] = 0.8  # of lead II, whose ten seconds are all shown
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_content(record_page(report, replace(detail, attribution=attribution(over_time=over_time))).decode())
    yield page
    page.close()


def red_pixels(page):
    """How many pixels of the trace are as red as a shade; boxes and beats are paler."""
    with Image.open(io.BytesIO(page.locator(".sheet").first.screenshot())) as shot:
        pixels = np.asarray(shot.convert("RGB")).astype(int)
    return int((pixels[..., 0] - pixels[..., 1] > 100).sum())


def test_what_the_decision_is_based_on_can_be_switched_off(explained):
    """Sentence, shades on the trace, strips, legend and map go, by one click or key, and come back; no script is asked."""
    switch = explained.get_by_role("checkbox", name="Show what the decision is based on")
    sentence, section = explained.locator(".plainly"), explained.get_by_role("heading", name="What the decision is based on")
    assert switch.is_checked()
    assert sentence.is_visible()
    assert section.is_visible()
    assert red_pixels(explained) > 50
    switch.focus()
    explained.keyboard.press("Space")
    assert not switch.is_checked()
    for gone in explained.locator(".why").all():
        assert not gone.is_visible()
    assert not section.is_visible()
    assert red_pixels(explained) == 0
    switch.click()
    assert sentence.is_visible()
    assert red_pixels(explained) > 50


def test_one_leads_spectrogram_is_shown_and_it_is_chosen_without_a_script(explained):
    """II at first, then whichever is chosen, by mouse or arrow; the trace's paper is there in each."""
    shown = explained.locator(".with-spectrogram")
    labels = [one.get_attribute("aria-label") for one in shown.all() if one.is_visible()]
    assert [label.partition(",")[0] for label in labels] == ["Lead II"]
    explained.get_by_role("radio", name="V3").click()
    assert [one.get_attribute("aria-label").partition(",")[0] for one in shown.all() if one.is_visible()] == ["Lead V3"]
    explained.keyboard.press("ArrowRight")
    (now,) = [one for one in shown.all() if one.is_visible()]
    assert now.get_attribute("aria-label").startswith("Lead V4, 10 s from 0 s on")
    with Image.open(io.BytesIO(now.screenshot())) as shot:
        pixels = np.asarray(shot.convert("RGB")).astype(int)
    pale = (pixels[..., 0] > 230) & (pixels[..., 0] - pixels[..., 1] > 15)
    assert pale.any(axis=1).sum() > 50, "the paper is drawn once, and every drawing refers to it"


def test_an_explained_record_stands_axe_in_every_layout(explained):
    """Each layout and zoom, another lead, and the calipers; with the explanation, and without."""
    found = faults_in_all_looks(explained)
    explained.set_viewport_size({"width": 1280, "height": 900})
    for choice in explained.locator(".trace-tools input").all():
        choice.check()
        found += faults(explained, anew=True)
    explained.get_by_role("radio", name="aVR").check()
    explained.get_by_role("button", name="Calipers").click()
    found += faults(explained)
    explained.get_by_role("checkbox", name="Show what the decision is based on").click()
    assert found + faults(explained) == []
