"""Here: the inbox page, the button that decides, the first steps and the help, in Airflow's own application. Not here: a browser."""

import re

import html5lib
import pytest

from ecg_tasks.archive import audit, keys
from ecg_tasks.names import DagId
from ecg_tasks.pipeline import classify_records
from ecg_tasks.queries import first_steps, inbox
from ecg_ui import deciding, rendering
from ecg_ui.app import create_app
from ecg_ui.pages import help_pages
from tests.ecg_ui.conftest import HALF

OWN = {"sec-fetch-site": "same-origin"}
RUN = "page__2026-03-02T00:00:00+00:00-0123abcd"


@pytest.fixture
def started(monkeypatch):
    """Runs that pages start: DAG, form, and in whose name."""
    runs = []
    monkeypatch.setattr(
        deciding, "trigger_dag", lambda *, dag_id, conf, triggering_user_name, **_: runs.append((dag_id, conf, triggering_user_name))
    )
    return runs


def ids(store, name=HALF) -> list[str]:
    """By which id forms name a file."""
    return [one.id for one in inbox.waiting(store).files if one.name == name]


def test_it_says_what_each_file_waits_for_and_until_when(admin, viewer, waiting, monkeypatch):
    """With names for those who may change it only; the id in a form says nothing."""
    monkeypatch.delenv("ECG_KEEP_NAMES")
    text, seen = admin.get("/ecg/inbox").text, viewer.get("/ecg/inbox").text
    for page in (text, seen, admin.get("/ecg/").text):
        assert "1 file waits for the other files that its header names, until 20" in page
    assert HALF in text
    assert 'name="file"' in text
    assert "Mustermann" not in seen
    assert "late.edf" not in seen
    assert 'method="post"' not in seen
    assert len(re.findall(r"<bdi>~[0-9a-f]{24}</bdi>", seen)) == 2


def test_a_file_is_deleted_by_an_operator(client_of, waiting, token_of):
    """It is gone, the others stay, and the log has who did it."""
    operator = client_of("operator")
    fields = {"token": token_of(operator, "/ecg/inbox"), "file": ids(waiting)}
    answer = operator.post("/ecg/inbox/delete", data=fields, headers=OWN)
    assert answer.headers["location"] == "/ecg/inbox?done=deleted"
    assert waiting.list_keys(keys.INBOX) == [f"{keys.INBOX}late.edf.part"]
    latest = max(audit.entries(waiting), key=lambda one: one[0].number)[1]
    assert (latest.action, latest.who, latest.detail["files"]) == (audit.Action.DELETE, "ada-operator", 1)
    again = operator.post("/ecg/inbox/delete", data=fields, headers=OWN)
    assert again.status_code == 409
    assert "look again" in again.text


def test_a_released_file_goes_with_the_intake_that_is_started(admin, waiting, token_of, started):
    """The page starts the run, so that nobody waits for the next quarter of an hour."""
    fields = {"token": token_of(admin, "/ecg/inbox"), "file": ids(waiting, "late.edf.part")}
    assert admin.post("/ecg/inbox/release", data=fields, headers=OWN).headers["location"] == "/ecg/inbox?done=released"
    assert started == [("ingest_records", {}, "ada")]
    assert inbox.waiting(waiting).files[-1].why == "the next run"


@pytest.mark.parametrize("role", ["reader", "reviewer"])
@pytest.mark.parametrize("path", ["/ecg/inbox/delete", "/ecg/inbox/release", "/ecg/answer", "/ecg/first-steps/drop"])
def test_who_only_reads_changes_nothing(client_of, waiting, token_of, started, *, path, role):
    """Not with a form of somebody else either."""
    fields = {"token": token_of(client_of("admin"), "/ecg/inbox"), "file": ids(waiting)}
    assert client_of(role).post(path, data=fields, headers=OWN).status_code == 403
    assert len(waiting.list_keys(keys.INBOX)) == 2
    assert started == []


@pytest.mark.parametrize("wrong", [{"token": "none"}, {"file": "../x"}, {"file": []}])
def test_a_form_that_is_none_of_ours_changes_nothing(admin, waiting, token_of, wrong):
    """A token that is none, an id that is none, or nothing chosen."""
    fields = {"token": token_of(admin, "/ecg/inbox"), "file": ids(waiting)} | wrong
    assert admin.post("/ecg/inbox/delete", data=fields, headers=OWN).status_code in {400, 403}
    fields["token"] = token_of(admin, "/ecg/inbox")
    assert admin.post("/ecg/inbox/delete", data=fields, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert len(waiting.list_keys(keys.INBOX)) == 2


def test_the_button_starts_the_intake_and_a_run_that_waits_for_it(client_of, waiting, token_of, started):
    """In the operator's name; the page that follows leads to the report when it is there."""
    operator = client_of("operator")
    answer = operator.post("/ecg/answer", data={"token": token_of(operator, "/ecg/")}, headers=OWN)
    assert re.fullmatch(r"/ecg/answer\?run=page__.*", answer.headers["location"])
    assert started == [("classify_records", {"after_intake": True}, "ada-operator"), ("ingest_records", {}, "ada-operator")]


@pytest.mark.parametrize(
    ("state", "says", "again"),
    [("queued", "waits for another", True), ("running", "The run is active", True), ("failed", "The run failed", False)],
)
def test_the_answer_waits_for_its_run(viewer, waiting, monkeypatch, *, state, says, again):
    """It tells how the run stands and what lies in the inbox, and asks again until there is nothing to wait for."""
    monkeypatch.setattr(deciding, "state_of", lambda dag, run: state if (dag, run) == (DagId.CLASSIFY_RECORDS, RUN) else "")
    answer = viewer.get("/ecg/answer", params={"run": RUN})
    assert says in answer.text
    assert "1 file waits for the end of its upload" in answer.text
    assert ("refresh" in answer.headers) == again


def test_the_answer_is_the_report(viewer, archive):
    """A run that Airflow does not know is no page; one that has reported leads to its report."""
    assert viewer.get("/ecg/answer", params={"run": RUN}).status_code == 404
    pin = classify_records.pin_champion(RUN, date="2026-03-05", details=0)
    classify_records.write_report(pin, [])
    try:
        answer = viewer.get("/ecg/answer", params={"run": RUN})
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/ecg/reports/2026-03-05/page__2026-03-02T00-00-00-00-00")
        assert viewer.get(answer.headers["location"]).status_code == 200
    finally:  # the bucket is other tests', too
        archive.store.delete_many([keys.manifest("classify_records", keys.run_key(RUN)), *archive.store.list_keys("reports/2026-03-05/")])


def test_an_empty_bucket_names_three_ways_to_begin(admin, archive, monkeypatch):
    """And no others do; each way names a command."""
    assert "three ways to begin" not in admin.get("/ecg/").text
    monkeypatch.setattr(type(archive.store), "list_objects", lambda _self, _prefix, **_: iter(()))
    text = admin.get("/ecg/").text
    assert "three ways to begin" in text
    for command in ("./ecg demo", "./ecg put FOLDER --wait", "./ecg download ptbxl FOLDER"):
        assert command in text


def test_first_steps_offer_made_up_recordings_in_a_bucket_without_real_ones(client_of, archive, token_of, monkeypatch):
    """They come with what goes wrong in real life, are logged, and are refused where real recordings lie."""
    operator, store = client_of("operator"), archive.store
    monkeypatch.setattr("ecg_tasks.pipeline.champions.synthetic.holds_real", lambda _store: False)
    text = operator.get("/ecg/first-steps").text
    assert text.count('class="tag">done') == 4
    assert 'role="status"' not in text
    assert "Drop made-up recordings" in text
    assert "Drop made-up recordings" not in client_of("reader").get("/ecg/first-steps").text
    fields = {"token": token_of(operator, "/ecg/first-steps")}
    answer = operator.post("/ecg/first-steps/drop", data=fields, headers=OWN)
    assert answer.headers["location"] == "/ecg/first-steps?done=dropped"
    dropped = store.list_keys(keys.INBOX)
    try:
        assert any("corrupt" in key for key in dropped)
        assert len(dropped) > 20
        assert max(audit.entries(store), key=lambda one: one[0].number)[1].action == audit.Action.DROP
    finally:
        store.delete_many(dropped)
    monkeypatch.setattr("ecg_tasks.pipeline.champions.synthetic.holds_real", lambda _store: True)
    assert operator.post("/ecg/first-steps/drop", data=fields, headers=OWN).status_code == 409
    assert first_steps.first_steps(store).holds_real
    assert "Drop made-up recordings" not in operator.get("/ecg/first-steps").text


def anchors(text: str) -> set[str]:
    """The ids of a page."""
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)
    return {element.get("id") for element in tree.iter() if element.get("id")}


def test_every_page_has_help(viewer, archive):
    """Every template has a chapter, every chapter is there, and the link is on the page."""
    templates = {file.name for file in (rendering.HERE / "templates").glob("*.html")} - {"base.html", "parts.html", "error.html"}
    assert set(rendering.HELP) == templates
    assert {chapter for chapter in rendering.HELP.values() if chapter} <= anchors(viewer.get("/ecg/help/pages").text)
    for path, chapter in {"/ecg/": "overview", "/ecg/inbox": "inbox", archive.report: "reports", "/ecg/models": "models"}.items():
        assert f'<a href="/ecg/help/pages#{chapter}">Help</a>' in viewer.get(path).text


@pytest.mark.parametrize("file", sorted(help_pages.DOCS.glob("*.md")) + sorted((help_pages.DOCS / "formats").glob("*.md")), ids=str)
def test_every_page_of_the_documentation_is_shown_and_its_links_lead_somewhere(file):
    """To another shipped page and a heading of it; what is not shipped, or on another host, is no link."""
    _, written = help_pages.rendered(file, base="/ecg/help")
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parseFragment(written)
    own = {element.get("id") for element in tree.iter() if element.get("id")}
    for link in tree.iter("a"):
        address, _, anchor = link.get("href").partition("#")
        assert address.startswith("/ecg/help/") or (not address and anchor)
        there = help_pages.DOCS / f"{address.removeprefix('/ecg/help/')}.md" if address else file
        assert there.is_file()
        if anchor:
            assert anchor in own if there == file else anchor in written_ids(there)


def written_ids(file) -> set[str]:
    """Headings of another page."""
    return set(re.findall(r'id="([^"]+)"', help_pages.rendered(file, base="/ecg/help")[1]))


def test_every_page_of_the_documentation_has_an_address(viewer, archive):
    """The name of each file is accepted, so that the links of the help lead to a page."""
    names = [file.relative_to(help_pages.DOCS).with_suffix("").as_posix() for file in help_pages.DOCS.rglob("*.md")]
    assert [name for name in names if not re.match(help_pages.NAME, name)] == []
    assert viewer.get("/ecg/help/formats/signals_json").status_code == 200


@pytest.mark.parametrize("name", ["nothing", "../README", "decisions/../../README", "conf.py", "x/y/z"])
def test_nothing_else_is_shown_as_help(viewer, archive, name):
    """No file beside the documentation can be reached by its address."""
    assert viewer.get(f"/ecg/help/{name}").status_code == 404


def test_the_routes_are_there():
    """Each group has its new ones."""
    paths = {route.path for route in create_app().routes}
    assert paths >= {"/inbox", "/inbox/delete", "/inbox/release", "/answer", "/first-steps", "/first-steps/drop", "/help/{name:path}"}
