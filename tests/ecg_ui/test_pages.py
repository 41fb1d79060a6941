"""Every page is valid, complete and harmless, whatever stood in the files."""

import csv
import io
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import html5lib
import pytest
from msgspec import structs

from ecg_tasks import report_columns
from ecg_tasks.archive import keys, verdicts
from ecg_tasks.archive.documents import ReportPin, read
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.pipeline import classify_records
from ecg_tasks.pipeline.reports import report_builder
from ecg_tasks.queries import models, quarantine, records, runs
from ecg_ui.rendering import DONE, SECTIONS, static_files, style
from tests.examples import example
from tests.untraced import untraced

CHECKOUT = Path(__file__).parents[2]
XHTML = "{http://www.w3.org/1999/xhtml}"


@pytest.fixture(scope="module")
def addresses(archive, rows):
    """An address of every kind of page."""
    twelve = next(row["record_id"] for row in rows if row["recipe"] == "twelve_lead")
    hostile = next(row["record_id"] for row in rows if "script" in row["name"])
    sources = [entry.id for entry in quarantine.entries(archive.store).entries]
    return [
        *(f"/ecg{path}" for _, path in SECTIONS),
        "/ecg/first-steps",
        *(f"/ecg/help/{name}" for name in ("pages", "operations", "decisions/README")),
        "/ecg/monitoring?recipe=heartbeat",
        "/ecg/run?dag_id=ingest_records&run_id=i",
        "/ecg/run?dag_id=classify_records&run_id=none",
        archive.report,
        f"{archive.report}?q=script&decision=abnormal&recipe=heartbeat&label=none&differs=true&sort=probability&descending=true",
        f"/ecg/records/{twelve}?date={archive.date}&run={archive.run}&sort=name",
        f"/ecg/records/{hostile}",
        f"/ecg/records/{twelve}?reading=true",
        "/ecg/review/verdicts?q=a&label=normal&disputed=true",
        *(f"/ecg/records/{one}/{view}" for one in (twelve, hostile) for view in ("beat", "earlier")),
        "/ecg/models/twelve_lead/aaaa00000001",
        "/ecg/quarantine?closed=true",
        *(f"/ecg/quarantine?reason={entry.group}" for entry in quarantine.entries(archive.store).entries),
        *(f"/ecg/quarantine/{source}" for source in sources),
        *(f"/ecg/models?done={done}" for done in DONE),
    ]


def test_the_pages_come_up_without_what_few_of_them_need():
    """Filters, networks and drawing wait for the page that asks for them: SciPy alone would take a quarter of the server's start."""
    heavy = ("ai_edge_litert", "cv2", "keras", "matplotlib", "pandas", "scipy", "tensorflow", "wfdb")
    script = f"import sys; import ecg_ui.app; print([name for name in {heavy} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script], env=untraced(), capture_output=True, text=True, check=True, cwd=CHECKOUT)
    assert loaded.stdout.splitlines()[-1] == "[]"


@pytest.fixture(scope="module")
def written(admin, addresses):
    """Every page by its address."""
    found = {}
    for path in addresses:
        answer = admin.get(path)
        assert answer.status_code == 200, (path, answer.text[-2000:])
        found[path] = answer.text
    return found


def test_every_page_parses_and_runs_nothing_inline(written):
    """Strict HTML; no style or handler in an attribute, no script but the file."""
    for path, text in written.items():
        tree = html5lib.HTMLParser(strict=True).parse(text)
        for element in tree.iter():
            assert "style" not in element.attrib, path
            assert not [name for name in element.attrib if str(name).startswith("on")], path
        scripts = list(tree.iter(f"{XHTML}script"))
        shows_a_trace = any(element.get("class") == "traces" for element in tree.iter())
        ours = ["/ecg/static/ui.js", "/ecg/static/trace.js"] if shows_a_trace else ["/ecg/static/ui.js"]
        assert [script.get("src", "").partition("?")[0] for script in scripts] == ours, path
        assert not list(tree.iter(f"{XHTML}style")), path


def test_every_page_that_shows_a_decision_says_when_its_model_is_synthetic(admin, archive, written, monkeypatch):
    """Overview, report, recording, review, models and monitoring: nothing while no version is, and the sentence when one is."""
    monkeypatch.setenv("ECG_REVIEW_BLIND", "0")  # the page shows no decision otherwise
    record = next(path for path in written if path.startswith("/ecg/records/"))
    shown = ["/ecg/", "/ecg/review", "/ecg/models", "/ecg/monitoring?recipe=heartbeat", archive.report, record]
    said = "trained on synthetic recordings"
    assert [path for path in shown if said in written[path].lower()] == []
    one, head = models.version, runs.summary
    for module in (models, records):
        monkeypatch.setattr(module, "version", lambda *which: replace(one(*which), synthetic=True))

    def with_synthetic_models(*which):
        found = head(*which)
        return replace(found, models=tuple(structs.replace(model, synthetic=True) for model in found.models))

    monkeypatch.setattr(runs, "summary", with_synthetic_models)
    assert [path for path in shown if said not in admin.get(path).text.lower()] == []


def test_a_records_page_tells_the_person_and_how_it_was_recorded(written, rows):
    """And says aloud what its file did not tell."""
    twelve = next(row for row in rows if row["recipe"] == "twelve_lead")
    page = next(text for path, text in written.items() if f"/records/{twelve['record_id']}" in path)
    facts = dict(re.findall("<dt>([^<]*)</dt><dd><bdi>([^<]*)</bdi></dd>", page))
    assert facts["Person"] == f"{twelve['age']:.0f} years, {twelve['sex']}"
    assert facts["Recorded"] == (twelve["recorded"] or "not known")
    assert [facts[title] for title in ("Device", "Filters", "Format")] == ["not known", "not known", "WFDB"]
    assert re.search('<dt>Patient</dt><dd class="mono">[0-9a-f]{8,}</dd>', page)


def test_no_page_asks_another_host(written):
    """Nothing is loaded from elsewhere; the only links that lead out are text on a model's card."""
    for path, text in written.items():
        for found in re.findall(r'(?:src|href|action|formaction)="([^"]+)"', text):
            assert found.startswith(("/ecg/", "#", "data:image/png;base64,")) or "/models/" in path, (path, found)


def test_hostile_names_are_text(written):
    """A recording named as a script is a name."""
    with_name = [path for path, text in written.items() if "&lt;script&gt;" in text]
    assert len(with_name) >= 2
    assert not [path for path, text in written.items() if "<script>alert" in text]


def test_every_form_carries_its_token(written):
    """No form that changes something is without proof of where it comes from."""
    for path, text in written.items():
        forms = re.findall(r"<form[^>]*method=\"post\".*?</form>", text, re.DOTALL)
        assert all('name="token" value="' in form for form in forms), path


def test_every_id_is_one_and_headings_start_with_one(written):
    """One h1 a page, no id twice: what screen readers and keyboards go by."""
    for path, text in written.items():
        tree = html5lib.parse(text)
        ids = [element.get("id") for element in tree.iter() if element.get("id")]
        assert len(ids) == len(set(ids)), path
        assert len(list(tree.iter(f"{XHTML}h1"))) == 1, path


def test_controls_have_names(written):
    """Every field has a label, every table a caption."""
    for path, text in written.items():
        tree = html5lib.parse(text)
        labelled = {field for label in tree.iter(f"{XHTML}label") for field in label.iter()}
        for kind in ("input", "select", "textarea"):
            assert all(field in labelled or field.get("type") == "hidden" for field in tree.iter(f"{XHTML}{kind}")), path
        if "/models/" not in path and "/help/" not in path:  # which are written as Markdown
            assert all(table.find(f"{XHTML}caption") is not None for table in tree.iter(f"{XHTML}table")), path


def test_the_table_filters_sorts_and_pages(admin, archive, rows):
    """What the address asks for is what the rows show, and the CSV of the filter has the same rows in the same order."""
    text = admin.get(f"{archive.report}?recipe=heartbeat&sort=probability&descending=true").text
    listed = text.partition('<section id="rows"')[2].partition("</section>")[0]
    shown = re.findall(r'<td class="num">(0\.\d{3}|1\.000)</td>', listed)
    expected = sorted((row["probability"] for row in rows if row["recipe"] == "heartbeat" and row["probability"] is not None), reverse=True)
    assert shown == [f"{value:.3f}" for value in expected[:50]]
    assert f"Records 1 to 50 of {sum(row['recipe'] == 'heartbeat' for row in rows)}" in text
    saved = admin.get(f"{archive.report}/rows.csv?recipe=heartbeat&sort=probability&descending=true")
    table = list(csv.DictReader(io.StringIO(saved.text)))
    assert [float(row["probability"]) for row in table] == expected
    assert saved.headers["content-disposition"].startswith("attachment")


def test_spreadsheets_run_nothing(admin, archive):
    """A file named as a formula is text in every CSV that can be downloaded."""
    for path in ("/files/predictions.csv", "/rows.csv"):
        cells = [cell for row in csv.reader(io.StringIO(admin.get(archive.report + path).text)) for cell in row]
        assert any("cmd|" in cell for cell in cells)
        assert not [cell for cell in cells if cell[:1] in "=+@\t\r" and cell]


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [
        ("predictions.parquet", "parquet"),
        ("predictions.xlsx", "sheet"),
        ("summary.json", "json"),
        ("fhir-R5.ndjson", "fhir"),
        ("report.zip", "zip"),
    ],
)
def test_downloads(admin, archive, kind, media_type):
    """Each format comes as a file to be saved."""
    answer = admin.get(f"{archive.report}/files/{kind}")
    assert answer.status_code == 200
    assert media_type in answer.headers["content-type"]
    assert "attachment" in answer.headers["content-disposition"]
    assert len(answer.content) > 100


def test_a_column_of_the_worked_example_is_on_the_page(admin, archive, monkeypatch):
    """A report that has it shows, sorts and downloads it; one of before has a dash in its place."""
    monkeypatch.setattr(report_columns, "COLUMNS", (*report_columns.COLUMNS, example("column")["MARGIN"]))
    pin = classify_records.pin_champion("columns", date="2026-03-04", scope="all", details=0)
    report_builder.write_report(archive.store, read(archive.store, ReportPin, pin))
    try:
        text = admin.get("/ecg/reports/2026-03-04/columns?sort=margin&descending=true").text
        saved = admin.get("/ecg/reports/2026-03-04/columns/rows.csv?sort=margin&descending=true").text
        margins = [float(row["margin"]) for row in csv.DictReader(io.StringIO(saved, newline="")) if row["margin"]]
        assert margins == sorted(margins, reverse=True)
        shown = re.findall(r'<td class="num">(-?\d\.\d{3})</td></tr>', text)
        assert shown == [f"{value:.3f}" for value in margins[:50]]
        assert "Margin</a></th>" in text
    finally:
        archive.store.delete_many([pin, *archive.store.list_keys("reports/2026-03-04/")])
    assert '<td class="num">–</td></tr>' in admin.get(archive.report).text


def test_a_run_in_airflow_leads_to_its_report(admin, archive):
    """The view beside a DAG run, and the button on the task, end at the report."""
    answer = admin.get("/ecg/run", params={"dag_id": "classify_records", "run_id": archive.run_id})
    assert (answer.status_code, answer.headers["location"]) == (303, archive.report)


def test_tables_of_a_card_scroll_within_and_keep_their_numbers_whole(admin, archive):
    """Figures of many classes are wider than a window: the page itself does not scroll sideways, and no figure is broken in its middle."""
    card = admin.get("/ecg/models/twelve_lead/aaaa00000001").text
    names = re.findall(r'<div class="scroll" role="region" aria-label="(Table \d+)" tabindex="0"><table>', card)
    assert len(names) == len(set(names)) == card.count("<table") == card.count("</table></div>") > 3
    (style,) = re.findall(r'<link rel="stylesheet" href="([^"]+)"', card)
    assert ".ui-card th, .ui-card td { overflow-wrap: normal; white-space: normal; }" in admin.get(style).text


@pytest.mark.parametrize(
    "path",
    [
        "/reports/2026-03-02/%2e%2e",
        "/reports/2026-03-02/a%2fb",
        "/reports/2026-3-2/run",
        "/reports/2026-03-02/run/files/index.html",
        "/reports/2026-03-02/run/files/..%2f..%2fsecrets.json",
        "/records/..%2f..%2fchampion",
        "/records/" + "A" * 32,
        "/records/" + "0" * 31,
        "/models/nothing/aaaa00000001",
        "/models/twelve_lead/%2e%2e",
        "/models/twelve_lead/a.b",
        "/quarantine/" + "0" * 63 + "/",
        "/quarantine/%2e%2e%2fraw",
        "/static/..%2fsecurity.py",
        "/static/%2e%2e/security.py",
    ],
)
def test_impossible_addresses_lead_nowhere(admin, archive, path):
    """Nothing that is no id becomes part of a key."""
    answer = admin.get(f"/ecg{path}")
    assert answer.status_code == 404
    assert "secret" not in answer.text


@pytest.mark.parametrize("query", ["offset=-1", "offset=x", "sort=secret", "decision=maybe", "recipe=../x", "label=%3Cb%3E"])
def test_impossible_questions_are_refused(admin, archive, query):
    """A filter that cannot be meant is a 400 that names the field."""
    answer = admin.get(f"{archive.report}?{query}")
    assert answer.status_code == 400
    assert query.split("=")[0] in answer.text


def test_a_page_beyond_the_end_is_empty(admin, archive):
    """No error, no row."""
    assert "This page is beyond the last of" in admin.get(f"{archive.report}?offset=9000000").text


def test_a_store_that_is_away_is_told(admin, archive, monkeypatch):
    """503 with a sentence, no trace."""
    from ecg_tasks.archive.object_store import ObjectStore
    from ecg_tasks.errors import StoreError

    def away(*arguments, **named):
        raise StoreError("could not read: secret-host:1234")

    monkeypatch.setattr(ObjectStore, "list_objects", away)
    answer = admin.get("/ecg/")
    assert answer.status_code == 503
    assert "secret-host" not in answer.text


def test_airflow_knows_the_views(admin, archive):
    """The menu and the page of a run have them, and no plugin failed to load."""
    admin.headers["accept"] = "application/json"
    try:
        plugins = admin.get("/api/v2/plugins").json()["plugins"]
        errors = admin.get("/api/v2/plugins/importErrors").json()
    finally:
        admin.headers["accept"] = "text/html"
    views = [view for plugin in plugins for view in plugin["external_views"]]
    assert {(view["destination"], view["url_route"]) for view in views} == {("nav", "ecg"), ("dag_run", "ecg-report")}
    assert errors["total_entries"] == 0


def test_the_style_sheet_is_dark_where_airflow_is():
    """The dark colours stand twice: for Airflow's choice, and for the system's unless Airflow chose light."""
    sheet = style()
    blocks = re.findall(r":root(?:\S*) \{([^}]*--page[^}]*)\}", sheet)
    assert len(blocks) == 3
    assert ":root[data-theme=dark]" in sheet
    assert ":root:not([data-theme=light])" in sheet
    assert "url(" not in sheet
    assert "@import" not in sheet


def test_text_has_enough_contrast_in_light_and_dark(contrast):
    """WCAG AA: 4.5 to 1 for the pairs of text and background that these pages add to the report's."""
    themes = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", block)) for block in re.findall(r":root(?:\S*) \{([^}]*--page[^}]*)\}", style())
    ]
    pairs = [("ink", "card"), ("muted", "card"), ("muted", "page"), ("accent", "card"), ("ink", "page"), ("ink", "hover")]
    pairs += [(name, f"{name}-soft") for name in ("normal", "abnormal", "uncertain", "uninterpretable")]
    for theme in themes:
        for ink, ground in pairs:
            assert contrast(theme[ink], theme[ground]) >= 4.5, (ink, ground)
        assert contrast(theme["accent"], theme["card"]) >= 3


def test_static_files_are_few_and_small():
    """One style sheet, a script, two icons; the script is smaller than this page. Only pages with a trace load another one."""
    assert sorted(static_files()) == ["icon-dark.svg", "icon.svg", "style.css", "trace.js", "ui.js"]
    assert len(static_files()["ui.js"][0]) < 3000


def test_the_monitoring_page_tells_what_is_estimated_without_labels(written):
    """A table, with the sentence that says on what it rests."""
    page = written["/ecg/monitoring?recipe=heartbeat"]
    assert "Estimated without labels" in page
    assert "the interval does not show it" in page


def test_a_page_lists_once_what_its_questions_begin_with(admin, archive, rows, monkeypatch):
    """Labels, classes and forgettings, however many questions of a page ask for them; what came since is on the next page."""
    listed = []
    whole = ObjectStore.list_objects
    monkeypatch.setattr(ObjectStore, "list_objects", lambda self, prefix, **more: listed.append(prefix) or whole(self, prefix, **more))
    record_id = rows[0]["record_id"]
    for path in (f"/ecg/records/{record_id}?date={archive.date}&run={archive.run}", "/ecg/review"):
        listed.clear()
        assert admin.get(path).status_code == 200
        assert {listed.count(prefix) for prefix in (keys.LABELS, keys.CLASSES, keys.FORGOTTEN)} == {1}, path
    said = verdicts.save_verdict(archive.store, record_id, verdict="normal", user="bea")
    assert "<bdi>bea</bdi>" in admin.get(f"/ecg/records/{record_id}").text
    verdicts.withdraw(archive.store, record_id, user="bea", when=said.when)
