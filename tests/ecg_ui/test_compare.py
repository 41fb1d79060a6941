"""The page that shows two versions on the same patients, and the way to it."""

import re

import html5lib
import pytest

from ecg_tasks.archive import keys
from ecg_tasks.cli.__main__ import app
from ecg_tasks.pipeline import backfill_version
from ecg_tasks.queries.version_comparison import comparison

ONE, OTHER = "aaaa00000001", "aaaa00000002"
ADDRESS = f"/ecg/models/compare?recipe=heartbeat&one={ONE}&other={OTHER}"
XHTML = "{http://www.w3.org/1999/xhtml}"


@pytest.fixture(scope="module")
def decided(archive):
    """Let the other version decide on the beats too, as the DAG that compares would; afterwards it has not."""
    pin = backfill_version.pin_versions("compared", date="2026-03-05", recipe="heartbeat", version=OTHER)
    for job in backfill_version.plan(pin):
        backfill_version.classify_shard(job)
    yield archive.store
    said = [key for key in archive.store.list_keys(f"{keys.PREDICTIONS}heartbeat/") if keys.stem(key) == OTHER]
    archive.store.delete_many([*said, *archive.store.list_keys(keys.staging("backfill_version", "compared", ""))])


def test_before_both_have_decided_it_says_what_to_do(admin, archive):
    """No figure is made up, and no DAG is started."""
    text = admin.get(ADDRESS).text
    assert f"let the DAG backfill_version decide with {OTHER}, against {ONE}" in text
    assert "<polyline" not in text


@pytest.fixture
def page(admin, decided):
    """The page of two versions that have both decided."""
    answer = admin.get(ADDRESS)
    assert answer.status_code == 200, answer.text[-500:]
    return answer.text


def test_figures_curves_and_changed_decisions_stand_side_by_side(page, decided):
    """Each figure of either with its paired difference, two curves in each picture, and the records that are decided otherwise."""
    found = comparison(decided, "heartbeat", ONE, OTHER)
    one, other = (of.evaluation for of in found.figures)
    cells = f"<td>{one.sensitivity.text()}</td><td>{other.sensitivity.text()}</td><td>{found.differences['sensitivity'].text()}</td>"
    assert cells in page
    assert page.count('<polyline class="curve one"') == page.count('<polyline class="curve other"') == 2
    assert f"{one.n_records:,} records of {one.n_patients:,} patients" in page
    assert f"Decisions that differ: {found.decisions['changed']:,} of {found.n_records:,}" in page
    assert page.count("/ecg/records/") == len(found.decisions["listed"]) > 0
    assert "This is a backfill" not in page


def test_the_page_is_valid_and_has_names_for_all(page):
    """Strict HTML without style or script of its own; headings, fields and pictures have their texts."""
    tree = html5lib.HTMLParser(strict=True).parse(page)
    assert not [element for element in tree.iter() if "style" in element.attrib]
    assert len(list(tree.iter(f"{XHTML}h1"))) == 1
    assert all(table.find(f"{XHTML}caption") is not None for table in tree.iter(f"{XHTML}table"))
    labelled = {field for label in tree.iter(f"{XHTML}label") for field in label.iter()}
    assert all(field in labelled for field in tree.iter(f"{XHTML}select"))
    drawings = re.findall(r'<svg class="plot small square"[^>]*aria-label="([^"]+)"', page)
    assert len(drawings) == 2
    assert all(ONE in title and OTHER in title for title in drawings)


def test_the_models_page_leads_to_it(admin, archive):
    """A form of two choices, the champion with the newest other one; it asks and changes nothing."""
    text = admin.get("/ecg/models").text
    forms = re.findall(r'<form class="controls" method="get" action="/ecg/models/compare">.*?</form>', text, re.DOTALL)
    assert len(forms) == 2
    assert all(re.findall(r"<option selected>(\w+)</option>", form) == [ONE, OTHER] for form in forms)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        (f"recipe=heartbeat&one={ONE}&other=bbbb00000001", 404),
        (f"recipe=heartbeat&one={ONE}&other={ONE}", 409),
        (f"recipe=heartbeat&one={ONE}&other=..%2Fx", 400),
        (f"recipe=none&one={ONE}&other={OTHER}", 400),
        (f"recipe=heartbeat&one={ONE}", 400),
    ],
)
def test_what_cannot_be_compared_is_refused(admin, archive, query, status):
    """A version that is not there, the same twice, and what no version can be called."""
    assert admin.get(f"/ecg/models/compare?{query}").status_code == status


def test_the_command_tells_the_same(decided, environment, monkeypatch):
    """As a table, and as JSON for programs."""
    import json

    from typer.testing import CliRunner

    from ecg_tasks.cli import models as command

    monkeypatch.setattr(command, "open_bucket", lambda: decided)
    found = comparison(decided, "heartbeat", ONE, OTHER)
    done = CliRunner().invoke(app, ["models", "compare", "heartbeat", ONE, OTHER])
    assert done.exit_code == 0, done.output
    assert f"{found.decisions['changed']:,} of {found.n_records:,} decisions differ" in done.output
    assert found.differences["accuracy"].text() in " ".join(done.output.split())
    told = CliRunner().invoke(app, ["models", "compare", "heartbeat", ONE, OTHER, "--json"])
    assert json.loads(told.stdout)["n_changed"] == found.decisions["changed"]
