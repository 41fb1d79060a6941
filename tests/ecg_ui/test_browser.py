"""Here: the pages in a real browser, served on loopback without a stack: axe in every look, and what people click there.

Not here: what needs a scheduler (``end_to_end/test_ui``), and the trace by itself (``reporting/test_trace_browser``).
"""

import re
import threading
import time
from contextlib import contextmanager
from urllib.parse import urlencode

import pytest
import uvicorn
from playwright.sync_api import expect

from ecg_tasks.archive import audit, keys, verdicts
from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.pipeline import backfill_version, classify_records
from ecg_tasks.pipeline.intake.quarantining import quarantine_contents
from ecg_tasks.queries import review_queue
from ecg_ui import deciding
from ecg_ui.rendering import DONE
from tests.accessibility import faults, faults_in_all_looks
from tests.browsers import IN_A_BROWSER
from tests.ecg_ui.conftest import HALF

pytestmark = [*IN_A_BROWSER]
ONE, OTHER = "aaaa00000001", "aaaa00000002"
REFUSED = {
    "x/scan.dcm": (Reason.UNREADABLE, b"\x89HDF\r\n\x1a\n" + bytes(range(256))),
    "x/a.csv": (Reason.WRONG_WIDTH, b"1,2,3\n4,5,6\n"),
    "x/b.csv": (Reason.WRONG_WIDTH, b"1;2\n"),
    "x/letter.pdf": (Reason.UNKNOWN_FORMAT, b"%PDF-1.7 \xff\xfe"),
}
RUN = "page__2026-03-02T00:00:00+00:00-0123abcd"


@pytest.fixture(scope="module")
def address(airflow):
    """Where Airflow's application answers."""
    server = uvicorn.Server(uvicorn.Config(airflow, host="127.0.0.1", port=0, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    (port,) = {one.getsockname()[1] for one in server.servers[0].sockets}
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def page_of(browser, address, client_of):
    """Context manager that gives somebody's window; afterwards the browser may have complained of nothing, and asked no other host."""

    @contextmanager
    def opened(role, *, name="", **how):
        context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 900}, **how)
        context.add_cookies([{"name": "_token", "value": client_of(role, name=name).cookies["_token"], "url": address}])
        page = context.new_page()
        complaints, asked = [], []
        page.on("console", lambda message: None if is_answer(message, page) else complaints.append(f"{page.url}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
        page.on("request", lambda request: asked.append(request.url))
        yield page
        context.close()
        assert complaints == []
        assert [url for url in asked if not url.startswith((address, "data:"))] == []

    return opened


def is_answer(message, page):
    """Whether the browser only tells the status of the page itself, as of one that says what is wrong."""
    return message.text.startswith("Failed to load resource") and message.location["url"] == page.url


@pytest.fixture
def admin_page(page_of):
    """The window of somebody who may do everything."""
    with page_of("admin") as page:
        yield page


@pytest.fixture
def refused(archive):
    """Entries of the quarantine of some reasons; their ids by name."""
    from ecg_tasks.archive.stored_names import StoredNames
    from ecg_tasks.settings import Settings

    store, before, names = archive.store, set(archive.store.list_keys(keys.QUARANTINE)), StoredNames.of(Settings.from_environment())
    found = {}
    for number, (name, (reason, data)) in enumerate(REFUSED.items()):
        fault = BadInputError(reason, f"{name} is bad")
        one = quarantine_contents(store, name=name, source=f"{number:064x}", fault=fault, contents={name: data}, names=names)
        found[name] = one.entry
    yield found
    store.delete_many(key for key in store.list_keys(keys.QUARANTINE) if key not in before)


@pytest.fixture
def both_decided(archive):
    """Let the other version decide on the beats, too."""
    pin = backfill_version.pin_versions("compared", date="2026-03-05", recipe="heartbeat", version=OTHER)
    for job in backfill_version.plan(pin):
        backfill_version.classify_shard(job)
    yield
    said = [key for key in archive.store.list_keys(f"{keys.PREDICTIONS}heartbeat/") if keys.stem(key) == OTHER]
    archive.store.delete_many([*said, *archive.store.list_keys(keys.staging("backfill_version", "compared", ""))])


@pytest.fixture
def started(monkeypatch):
    """Runs that pages start, by their DAG and id; each is at work until the test ends it."""
    runs = {}
    monkeypatch.setattr(deciding, "trigger_dag", lambda *, dag_id, run_id, **_: runs.setdefault(dag_id, run_id))
    monkeypatch.setattr(deciding, "state_of", lambda dag, run: "running" if runs.get(dag.value) == run else "")
    return runs


@pytest.fixture
def ids(archive, rows):
    """Records by what is special about them."""
    by_year = {row["recorded"]: row["record_id"] for row in rows if row["recipe"] == "twelve_lead"}
    return {
        "earlier": by_year["2019"],
        "later": by_year["2023"],
        "beat": next(row["record_id"] for row in rows if row["recipe"] == "heartbeat"),
    }


@pytest.fixture
def taken_back(archive):
    """Takes back every verdict that a test gives."""
    yield
    for entry in verdicts.standing(verdicts.read_labels(archive.store).reviews):
        verdicts.withdraw(archive.store, entry.record_id, user=entry.who.partition(":")[2], when=entry.when)


@pytest.fixture
def full(waiting, refused, both_decided):
    """A bucket in which every page has something to show; the quarantine's entries by name."""
    return refused


def test_every_page_stands_axe_in_every_look(admin_page, archive, full, ids, started):
    """Light, dark and as on a phone: no rule of WCAG A or AA is broken, and no page is wider than its window."""
    started["classify_records"] = RUN
    from_report = f"date={archive.date}&run={archive.run}"
    addresses = [
        "/",
        "/inbox",
        "/first-steps",
        "/reports",
        archive.report.removeprefix("/ecg"),
        f"/records/{ids['later']}?{from_report}",
        f"/records/{ids['beat']}",
        f"/records/{ids['later']}?reading=true",
        f"/records/{ids['later']}/beat",
        f"/records/{ids['later']}/earlier",
        f"/records/{ids['earlier']}/earlier",
        "/review",
        "/review/verdicts",
        "/models",
        f"/models/heartbeat/{ONE}",
        f"/models/compare?recipe=heartbeat&one={ONE}&other={OTHER}",
        f"/models/compare?recipe=twelve_lead&one={ONE}&other={OTHER}",
        "/monitoring",
        "/run?dag_id=ingest_records&run_id=i",
        "/quarantine",
        "/quarantine?reason=wrong_width",
        "/quarantine?closed=true",
        *(f"/quarantine/{full[name]}" for name in ("x/a.csv", "x/scan.dcm")),
        "/forget",
        f"/answer?{urlencode({'run': RUN})}",
        "/help/pages",
        "/help/accounts",
        "/help/operations",
    ]
    found = {}
    for one in addresses:
        answer = admin_page.goto(f"/ecg{one}")
        assert answer.ok, one
        found[one] = faults_in_all_looks(admin_page)
    wrong = {one: said for one, said in found.items() if said}
    assert wrong == {}, wrong


def test_what_a_form_answers_stands_axe_too(admin_page, archive, rows, taken_back):
    """After a verdict, of a record whose reading is somebody's, what would be forgotten, and what cannot be found."""
    first = review_queue.queue(archive.store, user="ada", limit=1).items[0].record_id
    verdicts.save_verdict(archive.store, first, verdict="normal", user="bea")
    found = {}
    admin_page.goto("/ecg/review")
    admin_page.get_by_role("button", name="abnormal").first.click()
    expect(admin_page.get_by_text("Saved.")).to_be_visible()
    found["saved"] = faults_in_all_looks(admin_page)
    admin_page.get_by_role("link", name="Show the record").click()
    found["record with a verdict"] = faults_in_all_looks(admin_page)
    admin_page.goto("/ecg/review/verdicts")
    found["verdicts"] = faults_in_all_looks(admin_page)
    for said, shown in ((rows[0]["record_id"], "1 record would be forgotten"), ("0" * 32, "Who or what")):
        admin_page.goto("/ecg/forget")
        admin_page.get_by_label("Or the id of one record").fill(said)
        admin_page.get_by_role("button", name="Show what is found").click()
        expect(admin_page.get_by_role("heading", name=shown)).to_be_visible()
        found[shown] = faults_in_all_looks(admin_page)
    admin_page.goto("/ecg/help/nothing")
    found["error"] = faults_in_all_looks(admin_page)
    wrong = {one: said for one, said in found.items() if said}
    assert wrong == {}, wrong


def test_a_record_stands_axe_in_every_layout_and_with_its_explanation(admin_page, archive, ids):
    """Each layout, zoom, lead and the calipers in turn, and with the switch on or off."""
    admin_page.goto(f"/ecg/records/{ids['later']}?date={archive.date}&run={archive.run}")
    found = []
    for group in ("layout", "zoom"):
        for choice in admin_page.locator(f".traces input[name$='{group}']").all():
            choice.check()
            found += faults(admin_page, anew=True)
    admin_page.get_by_role("radio", name="aVR").check()
    admin_page.get_by_role("button", name="Calipers").click()
    found += faults(admin_page)
    admin_page.keyboard.press("Escape")
    admin_page.get_by_role("checkbox", name="Show what the decision is based on").click()
    found += faults(admin_page)
    assert found == []


def measured(page):
    """What the calipers tell: ms, beats a minute, level."""
    text = page.locator(".caliper-tools output").first.inner_text()
    ms, rate, level = re.fullmatch(r"(\d+) ms, (\d+|–) 1/min, ([+−]\d+\.\d\d) mV", text).groups()
    return int(ms), int(rate), float(level.replace("−", "-"))


def place(page, *, s, mv):
    """Where on the window a time and a level of the first lead are."""
    drawing = page.locator(".traces .sheet > .ecg").first
    drawing.scroll_into_view_if_needed()
    box, data = (
        drawing.bounding_box(),
        drawing.evaluate("(one) => [one.dataset.box, one.dataset.perS, one.dataset.perLevel, one.viewBox.baseVal.width]"),
    )
    left, top = map(float, data[0].split()[:2])
    scale = box["width"] / data[3]
    return box["x"] + (left + s * float(data[1])) * scale, box["y"] + (top + (2 - mv) * float(data[2])) * scale


def test_calipers_measure_on_the_page_by_mouse_and_by_keys(admin_page, ids):
    """A drag over 0.4 s and 1 mV is 400 ms, 150 a minute and +1 mV; each arrow is 4 ms or 0.01 mV; c and escape begin and end."""
    admin_page.goto(f"/ecg/records/{ids['later']}")
    admin_page.keyboard.press("c")
    start, end = place(admin_page, s=0.4, mv=0), place(admin_page, s=0.8, mv=1)
    admin_page.mouse.move(*start)
    admin_page.mouse.down()
    admin_page.mouse.move(*end)
    admin_page.mouse.up()
    ms, rate, level = measured(admin_page)
    assert (ms, rate, level) == (pytest.approx(400, abs=5), pytest.approx(150, abs=2), pytest.approx(1, abs=0.03))
    admin_page.keyboard.press("Shift+ArrowRight")
    admin_page.keyboard.press("ArrowDown")
    assert measured(admin_page) == (pytest.approx(ms + 40, abs=1), round(60000 / (ms + 40)), pytest.approx(level - 0.01, abs=0.001))
    admin_page.keyboard.press("Escape")
    assert admin_page.locator(".calipers").count() == 0


def test_files_of_the_inbox_are_deleted_and_released(admin_page, waiting, started):
    """Whoever ticks a file and presses a button is told what became of it; the log has the name, and the intake is started."""
    admin_page.goto("/ecg/inbox")
    admin_page.get_by_label(HALF).check()
    admin_page.get_by_role("button", name="Release").click()
    expect(admin_page.get_by_role("status")).to_contain_text(DONE["released"])
    expect(admin_page.get_by_role("row", name=HALF)).to_contain_text("the next run")
    assert list(started) == ["ingest_records"]
    admin_page.get_by_label("late.edf.part").check()
    admin_page.get_by_role("button", name="Delete").click()
    expect(admin_page.get_by_role("status")).to_contain_text(DONE["deleted"])
    expect(admin_page.get_by_role("row", name="late.edf.part")).to_have_count(0)
    assert waiting.list_keys(keys.INBOX) == [f"{keys.INBOX}{HALF}"]
    acts = [(entry.action, entry.who, entry.detail["inbox"]) for _, entry in audit.entries(waiting) if entry.subject == keys.INBOX][-2:]
    assert acts == [("release", "ada", [HALF]), ("delete", "ada", ["late.edf.part"])]


def test_two_versions_are_chosen_and_compared(admin_page, both_decided):
    """From the models' page; the curves are there, and a record whose decision differs is one click away."""
    admin_page.goto("/ecg/models")
    form = admin_page.locator("form", has=admin_page.locator("input[value=heartbeat]"), has_text="Compare on the same patients")
    form.get_by_label("Version").select_option(OTHER)
    form.get_by_label("with").select_option(ONE)
    form.get_by_role("button").click()
    expect(admin_page.get_by_role("heading", level=1)).to_have_text("Two versions on the same patients")
    expect(admin_page.locator("h1 + p")).to_contain_text(OTHER)
    expect(admin_page.get_by_role("img", name=re.compile(ONE))).to_have_count(2)
    admin_page.locator("a[href*='/records/']").first.click()
    expect(admin_page.get_by_role("heading", name="Waveform")).to_be_visible()


def test_decide_now_leads_to_the_report_by_itself(admin_page, archive, waiting, started):
    """The page that waits tells what is left in the inbox, asks again by itself, and becomes the report when that is written."""
    admin_page.goto("/ecg/inbox")
    admin_page.get_by_role("button", name="Decide now").click()
    expect(admin_page.get_by_role("status")).to_contain_text("The run is active")
    expect(admin_page.locator("main")).to_contain_text("2 files wait")
    assert list(started) == ["classify_records", "ingest_records"]
    run = started["classify_records"]
    pin = classify_records.pin_champion(run, date="2026-03-05", details=0)
    classify_records.write_report(pin, [])
    try:
        admin_page.wait_for_url(f"**/ecg/reports/2026-03-05/{keys.run_key(run)}", timeout=60_000)
        expect(admin_page.get_by_role("heading", level=1)).to_contain_text("2026-03-05")
    finally:  # the bucket is other tests', too
        archive.store.delete_many([keys.manifest("classify_records", keys.run_key(run)), *archive.store.list_keys("reports/2026-03-05/")])


def test_an_operator_gives_a_reading_to_a_reviewer(page_of, archive, rows, taken_back):
    """On the record's page, from the names of those who read; the reviewer's queue has it, and the page says so."""
    record_id, other = rows[0]["record_id"], rows[1]["record_id"]
    verdicts.save_verdict(archive.store, record_id, verdict="normal", user="bea")
    verdicts.save_verdict(archive.store, other, verdict="normal", user="ben")
    with page_of("operator") as page:
        page.goto(f"/ecg/records/{record_id}")
        assert page.get_by_label("Reader").locator("option").all_inner_texts() == ["by rule", "ben"]
        page.get_by_label("Reader").select_option("ben")
        page.get_by_role("button", name="Give the reading").click()
        expect(page.get_by_text(DONE["asked"])).to_be_visible()
        expect(page.locator("main")).to_contain_text("ben reads it next, asked by name.")
        assert faults_in_all_looks(page) == []
    assert review_queue.queue(archive.store, user="ben", blind=True).items
    assert record_id in [item.record_id for item in review_queue.queue(archive.store, user="ben", blind=True).items]
    with page_of("reader") as page:
        page.goto(f"/ecg/records/{record_id}")
        expect(page.get_by_role("button", name="Give the reading")).to_have_count(0)
