"""The pages inside Airflow, in a real browser, over the demonstration's stack: what a reviewer and whoever runs the models do in a day.

Needs Chromium (Debian's ``chromium``); where there is none, these tests say so and skip.
"""

import io
import json
import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from ecg_tasks.archive import keys, registry
from ecg_tasks.archive.documents import StoredVerdict, write
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.signals.sample_drop import sample_drop
from tests.browsers import IN_A_BROWSER

pytestmark = [
    pytest.mark.stack,
    *IN_A_BROWSER,
    pytest.mark.chain("demo"),
    pytest.mark.timeout(3600),
]
FIRST, SECOND = "aaaa00000001", "aaaa00000002"
PICTURES = os.environ.get("ECG_PICTURES", "")
"""A folder: the tests write a picture of every page there, in light, dark and as on a phone."""
expect.set_options(timeout=60_000)
SECTIONS = ("overview", "inbox", "reports", "review", "models", "monitoring", "quarantine")


@pytest.fixture(scope="module")
def night(demo, ecg, stack, objects, todays_version):
    """The demonstration's recordings after one more report, by a version that serves; of another one the gate says that it may."""
    if not stack.is_up():
        ecg("up")
    with objects() as store:
        for recipe in ("twelve_lead", "heartbeat"):
            for version in (FIRST, SECOND):
                registry.write_version(store, recipe, version, todays_version(recipe, version))
            reason = "AUROC +0.02 (0.01 to 0.03) on the same patients"
            verdict = StoredVerdict(recipe=recipe, version=SECOND, promote=True, kind="better", reason=reason, champion=FIRST)
            write(store, keys.model_file(recipe, SECOND, registry.VERDICT), verdict)
            registry.write_champion(store, recipe=recipe, version=FIRST, since="2026-01-01T00:00:00+00:00", who="test", why="the first one")
        ecg("run", "classify_records", "--wait", "--conf", '{"scope": "all"}')
        yield store


@pytest.fixture(scope="module")
def session(browser, stack, night):
    """What a browser remembers after a login by hand, as the administrator; no script can read the session."""
    context = browser.new_context()
    page = context.new_page()
    complaints = []
    page.on("console", lambda message: complaints.append(message.text) if is_ours(message) else None)
    log_in(page, stack, stack.login, stack.password)
    (cookie,) = [cookie for cookie in context.cookies() if cookie["name"] == "_token"]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
    assert "_token" not in page.evaluate("document.cookie")
    assert complaints == []
    remembered = context.storage_state()
    context.close()
    return remembered


def log_in(page, stack, name, password):
    """Log in by hand; the login page leads to where one wanted to go."""
    page.goto(f"{stack.ui}/ecg/review")
    page.fill("input[name=username]", name)
    page.fill("input[name=password]", password)
    page.click("input[type=submit]")
    expect(page.get_by_role("heading", name="Review", exact=True)).to_be_visible()


@pytest.fixture
def opened(browser, stack, session):
    """A page of somebody who is logged in; afterwards nothing may have been complained about, or asked of another host."""
    context = browser.new_context(storage_state=session, base_url=stack.ui)
    page = context.new_page()
    complaints, asked = [], []
    page.on("console", lambda message: complaints.append(f"{page.url}: {message.text}") if is_ours(message) else None)
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
    page.on("request", lambda request: asked.append(request.url))
    page.set_default_timeout(60_000)
    yield page
    context.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith((stack.ui, "data:", "blob:", "about:"))] == []


def is_ours(message):
    """Whether one of our pages is complained about, or the policy that all pages have; scripts in the frame are Airflow's own choice."""
    if "Content Security Policy" in message.text:
        return True
    return message.type in {"error", "warning"} and "/ecg/" in message.location["url"] and "sandbox attribute" not in message.text


def run_by_hand(stack):
    """The classification that these tests asked for, the newest by hand; at 02:00 the schedule has one of its own."""
    with stack.airflow() as api:
        return next(run for run in api.runs("classify_records") if run.startswith("manual"))


def report(page):
    """Go to the newest report."""
    page.goto("/ecg/reports")
    page.locator("tbody th a").first.click()
    expect(page.get_by_role("heading", name="Recordings", exact=True)).to_be_visible()


def test_without_a_login_nothing_is_shown(browser, stack, night):
    """Every section leads a stranger to the login page, and answers a program with 401."""
    context = browser.new_context(base_url=stack.ui)
    page = context.new_page()
    for section in ("", "reports", "review", "models", "monitoring", "quarantine"):
        page.goto(f"/ecg/{section}")
        expect(page.locator("input[name=password]")).to_be_visible()
        assert context.request.get(f"/ecg/{section}", headers={"accept": "*/*"}).status == 401
    refused = context.request.post("/ecg/review", form={"record_id": "0" * 32, "verdict": "normal"})
    assert refused.status == 401
    context.close()


def test_every_section_opens_from_the_menu(opened):
    """From the overview through all sections by their links."""
    opened.goto("/ecg/")
    for section in SECTIONS:
        opened.get_by_role("navigation", name="ECG").get_by_role("link", name=section.title()).click()
        expect(opened.get_by_role("heading", level=1)).to_have_text(section.title())
    expect(opened.locator("main")).not_to_be_empty()


def test_airflows_own_pages_stand_the_policy(opened):
    """Its lists, a DAG with its graph and its code, whose editor runs WebAssembly and workers: nothing is blocked."""
    for address, shown in (("/", "#root"), ("/dags", "text=classify_records"), ("/dags/classify_records/code", ".view-line")):
        opened.goto(address)
        expect(opened.locator(shown).first).to_be_visible()


def test_what_was_seen_is_in_the_access_log(opened, ecg, night):
    """A record of the report, by the name of who looked at it."""
    report(opened)
    opened.locator("tbody th a").first.click()
    opened.wait_for_url("**/records/*")
    record = re.search(r"/records/([0-9a-f]{32})", opened.url)[1]
    opened.wait_for_timeout(3000)  # a second, and the way to the bucket
    found = json.loads(ecg("audit", "access", "--record", record, "--who", "admin", "--json"))
    assert {(one["act"], one["page"], one["outcome"]) for one in found["accesses"]} == {("read", "/ecg/records/{record_id}", "shown")}
    logins = json.loads(ecg("audit", "access", "--who", "admin", "--json"))["accesses"]
    assert ("login", "shown") in {(one["act"], one["outcome"]) for one in logins}


def test_airflow_shows_the_pages_in_its_own_frame(opened, stack):
    """The menu entry, and the report beside the run that wrote it; the address can be shared."""
    opened.goto("/plugin/ecg")
    expect(opened.frame_locator("iframe").get_by_role("heading", name="Overview")).to_be_visible()
    opened.goto(f"/dags/classify_records/runs/{run_by_hand(stack)}/plugin/ecg-report")
    expect(opened.frame_locator("iframe").get_by_role("heading", name="Recordings", exact=True)).to_be_visible()


def test_the_run_has_its_headline_and_the_task_its_button(opened, stack):
    """The note tells the counts; Open report leads to the report, inside Airflow's frame."""
    run = run_by_hand(stack)
    opened.goto(f"/dags/classify_records/runs/{run}")
    note = opened.request.get(f"/api/v2/dags/classify_records/dagRuns/{run.replace('+', '%2B')}").json()["note"]
    assert re.match(r"[\d,]+ records: [\d,]+ normal, [\d,]+ abnormal, [\d,]+ uncertain, [\d,]+ uninterpretable", note)
    opened.goto(f"/dags/classify_records/runs/{run}/tasks/write_report/details")
    opened.get_by_role("link", name="Open report").click()
    expect(opened.frame_locator("iframe").get_by_role("heading", name="Recordings", exact=True)).to_be_visible()


def test_a_report_is_filtered_and_a_record_opened(opened):
    """Words and a decision leave the rows that pass; the record has its signal, pictures and origin; next and back work by key."""
    report(opened)
    opened.get_by_label("Search").fill("synthetic_0")
    opened.get_by_label("Recipe").select_option("twelve_lead")
    opened.get_by_role("button", name="Show").click()
    names = opened.locator("#rows tbody th a").all_inner_texts()
    assert names
    assert all("synthetic_0" in name for name in names)
    opened.get_by_role("link", name="P(abnormal)").click()
    shown = [float(text) for text in opened.locator("#rows tbody td:nth-child(3)").all_inner_texts() if text != "–"]
    assert shown == sorted(shown, reverse=True)
    opened.locator("#rows tbody th a").first.click()
    expect(opened.get_by_role("heading", name="Waveform")).to_be_visible()
    assert opened.locator("svg.ecg").count() >= 1
    whole = opened.locator("svg.ecg").first.bounding_box()["width"]
    opened.get_by_label("2 ×").check()
    assert opened.locator("svg.ecg").first.bounding_box()["width"] == pytest.approx(2 * whole, rel=0.05)
    first = opened.get_by_role("heading", level=1).inner_text()
    opened.keyboard.press("j")
    expect(opened.get_by_role("heading", level=1)).not_to_have_text(first)
    opened.keyboard.press("k")
    expect(opened.get_by_role("heading", level=1)).to_have_text(first)


def test_a_verdict_is_one_key_and_is_counted(opened):
    """Pressing a key judges the record, the count rises by one; z takes it back."""
    opened.goto("/ecg/review")
    before = opened.locator("#reviewed").inner_text()
    name = opened.locator("#item-h").inner_text()
    opened.get_by_label("Comment").fill("a note with n, a, u and s in it")
    assert opened.locator("#item-h").inner_text() == name, "keys must not judge while somebody writes"
    opened.keyboard.press("Escape")
    opened.keyboard.press("a")
    expect(opened.get_by_text("Saved.")).to_be_visible()
    expect(opened.locator("#item-h")).not_to_have_text(name)
    assert int(opened.locator("#reviewed").inner_text()) == int(before) + 1
    opened.keyboard.press("z")
    expect(opened.get_by_text("Your verdict is taken back.")).to_be_visible()
    expect(opened.locator("#item-h")).to_have_text(name)
    assert opened.locator("#reviewed").inner_text() == before


def test_two_people_read_a_record_blind(browser, stack, account):
    """Neither sees a decision, a label or what the other said before the own verdict; then the page says it, and that they differ."""
    record, second_reading = None, re.compile(r"/records/([0-9a-f]{7}[02468ace][0-9a-f]{24})")
    for name, verdict in (("bea", "normal"), ("ben", "abnormal")):
        context = browser.new_context(base_url=stack.ui)
        page = context.new_page()
        log_in(page, stack, name, account(name, "reviewer"))
        for place in range(50):
            page.goto(f"/ecg/review?offset={place}")
            address = page.locator("#item-h a").get_attribute("href")
            found = second_reading.search(address)
            if found and int(found[1][:8], 16) % 10 == 0 and record in {None, found[1]}:
                record = found[1]
                break
        assert record, "none of the batch is due for a second reading"
        assert record in address, f"{name} is not asked to read {record}"
        page.locator("#item-h a").click()
        for path in (f"/ecg/records/{record}?reading=true", f"/ecg/review?offset={place}"):
            page.goto(path)
            expect(page.get_by_role("heading", name="Waveform")).to_be_visible()
            expect(page.locator("main .chip")).to_have_count(0)
            expect(page.get_by_role("heading", name="Decision", exact=True)).to_have_count(0)
            shown = page.locator("main").inner_text()
            assert not re.search(r"threshold|P\(abnormal\)|atrial|synthetic_0", shown)
        if name == "bea":
            page.keyboard.press("t")
            page.keyboard.type("AF")
            page.keyboard.press("Escape")
            page.keyboard.press("m")
            page.keyboard.type("atrial?")
            page.keyboard.press("Escape")
            page.keyboard.press("n")
        else:
            page.get_by_role("button", name=verdict).first.click()
        expect(page.get_by_role("heading", name=f"You said {verdict}")).to_be_visible()
        expect(page.locator("section", has=page.get_by_role("heading", name="You said"))).to_contain_text("says")
        page.get_by_role("link", name="Show the record").click()
        expect(page.get_by_role("heading", name="Decision", exact=True, level=2)).to_be_visible()
        page.goto("/ecg/review")
        if name == "ben":
            expect(page.get_by_role("row", name="bea and ben")).to_contain_text("0%")
            expect(page.get_by_text("another person")).to_be_visible()
            page.goto("/ecg/review/verdicts?q=af%20ben")
            expect(page.get_by_role("row", name=record[:8])).to_contain_text("disputed")
            table = context.request.get("/ecg/review/labels.csv").text()
            assert f"{record},abnormal," in table
            assert "atrial" not in table
        context.close()


def test_two_people_agree_or_not(browser, stack, account):
    """Two reviewers log in under their own names and judge the same two records: the page tells how far they agree."""
    judged = None
    for name, verdicts in (("rita", ("normal", "abnormal")), ("rolf", ("normal", "normal"))):
        context = browser.new_context(base_url=stack.ui)
        page = context.new_page()
        log_in(page, stack, name, account(name, "reviewer"))
        if judged is None:
            report(page)
            links = page.locator("tbody a[href*='/records/']").evaluate_all("all => all.map(one => one.getAttribute('href'))")
            judged = list(dict.fromkeys(links))[:2]
        for address, verdict in zip(judged, verdicts, strict=True):
            page.goto(address)
            page.get_by_role("button", name=verdict, exact=True).click()
            expect(page.get_by_text("Saved.")).to_be_visible()
        page.goto("/ecg/models")
        expect(page.get_by_role("button", name="Promote")).to_have_count(0)
        page.goto("/ecg/review")
        if name == "rolf":
            row = page.get_by_role("row", name="rita and rolf")
            expect(row).to_contain_text("2")
            expect(row).to_contain_text("50%")
        context.close()


def test_a_model_is_promoted_and_rolled_back(opened, night):
    """With a reason, in the user's name; the overview tells what serves."""
    opened.goto("/ecg/models")
    assert set(opened.locator("svg.interval").evaluate_all("all => all.map(one => one.getBoundingClientRect().width)")) == {160}
    section = opened.locator("section", has=opened.get_by_role("heading", name="twelve_lead"))
    section.get_by_role("row", name=SECOND).get_by_text("Promote or reject").click()
    change = section.get_by_role("row", name=SECOND)
    change.get_by_label("Why", exact=True).fill("the gate lets it pass")
    change.get_by_role("button", name="Promote").click()
    expect(opened.get_by_text(f"{SECOND} serves from now on, in place of {FIRST}.")).to_be_visible(timeout=120_000)
    champion = registry.read_champion(night, "twelve_lead")
    assert (champion.version, champion.who, champion.why) == (SECOND, "admin", "the gate lets it pass")
    section.get_by_text("Roll back:").click()
    section.get_by_role("button", name="Roll back").locator("xpath=ancestor::form").get_by_label("Why").fill("second thoughts")
    section.get_by_role("button", name="Roll back").click()
    expect(opened.get_by_text(f"{FIRST} serves again; {SECOND} is rejected.")).to_be_visible(timeout=120_000)
    assert registry.read_champion(night, "twelve_lead").version == FIRST


def test_pages_follow_airflows_theme(opened):
    """Dark when Airflow is dark, whatever the system is, and light again."""
    opened.emulate_media(color_scheme="light")
    opened.goto("/ecg/")
    light = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    opened.evaluate("localStorage.setItem('theme', 'dark')")
    opened.reload()
    dark = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    assert light != dark
    opened.evaluate("localStorage.setItem('theme', 'light')")
    opened.emulate_media(color_scheme="dark")
    opened.reload()
    assert opened.evaluate("getComputedStyle(document.body).backgroundColor") == light


LOOKS = {"phone": (390, 844, "light"), "light": (1280, 900, "light"), "dark": (1280, 900, "dark")}
"""Width, height and colours of a window. A page is loaded in the first, and then looked at in the others."""


def test_no_page_is_wider_than_its_window(opened):
    """At 390 px nothing makes a page scroll sideways; wide tables and figures scroll within. Pictures are kept where asked for."""
    report(opened)
    addresses = {"report": opened.url}
    opened.get_by_label("Search").fill("synthetic_0")
    opened.get_by_role("button", name="Show").click()
    opened.locator("#rows tbody th a").first.click()
    addresses["record"] = opened.url
    addresses |= {section: f"/ecg/{section}" for section in (*SECTIONS[1:], "forget")} | {"overview": "/ecg/"}
    addresses |= {"first steps": "/ecg/first-steps", "help": "/ecg/help/operations"}
    opened.goto(addresses["models"])
    addresses["card"] = opened.locator("a[href*='/ecg/models/twelve_lead/']").first.get_attribute("href")
    for name, address in addresses.items():
        opened.set_viewport_size({"width": LOOKS["phone"][0], "height": LOOKS["phone"][1]})
        opened.goto(address)
        for look, (width, height, colours) in LOOKS.items():
            opened.set_viewport_size({"width": width, "height": height})
            opened.emulate_media(color_scheme=colours)
            widest = opened.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            assert widest[0] <= widest[1] == width, f"{name}, {look}"
            if PICTURES:
                save(opened, Path(PICTURES) / f"ui-{name}-{look}.png")


def save(page, path):
    """Keep a picture of what the window shows, in few colours."""
    from PIL import Image

    Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(128).save(path, optimize=True)


def test_a_drop_is_answered_by_the_button(opened, night):
    """A recording in the inbox, and *Decide now*: the page that waits becomes the report by itself, with the recording in it."""
    made = sample_drop(seed=11, n_patients=2, recordings_per_patient=1)
    inbox.put_files(
        (name.replace("synthetic/", "button/"), data) for name, data in made.items() if name.startswith("synthetic/synthetic_0001")
    )
    opened.goto("/ecg/inbox")
    expect(opened.locator("main")).to_contain_text("2 files wait")
    opened.get_by_role("button", name="Decide now").click()
    expect(opened.get_by_role("heading", level=1)).to_have_text("Decide now")
    opened.wait_for_url("**/ecg/reports/*/page__*", timeout=600_000)
    opened.get_by_label("Search").fill("button/")
    opened.get_by_role("button", name="Show").click()
    expect(opened.locator("#rows tbody th a")).to_have_text(["button/synthetic_0001_1"])
    assert night.list_keys(keys.INBOX) == []
