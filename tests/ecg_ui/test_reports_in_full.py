"""The report inside Airflow tells what the offline one tells, and lists of runs tell when, why and with what result each was made."""

import json
import re
import time
from types import SimpleNamespace

import pytest
from msgspec import structs

from ecg_tasks.archive import keys, registry
from ecg_tasks.archive.documents import ClassifyManifest, read_manifest
from ecg_tasks.archive.workspace import now
from ecg_tasks.pipeline import classify_records
from ecg_tasks.queries import runs
from ecg_tasks.queries.overview import overview

EMPTY = "manual__2026-03-03T09:00:00+00:00"
NEWER = "scheduled__2026-03-04T02:00:00+00:00"
WHY = "it is better by 0.02 <i>"


def _run(run_id, *, date, scope, trigger):
    pin = classify_records.pin_champion(run_id, date=date, scope=scope, details=1, run_type=trigger)
    return classify_records.write_report(pin, [classify_records.classify_shard(job) for job in classify_records.plan(pin)])


def _next_second():
    """Wait until a run gets another time than the one before it: manifests have whole seconds, and lists put the newest first."""
    before = now()
    while now() == before:
        time.sleep(0.05)


@pytest.fixture(scope="module")
def later(archive):
    """After the first night a run by hand that found nothing new, and a night with another champion."""
    _next_second()
    _run(EMPTY, date="2026-03-03", scope="new", trigger="manual")
    registry.write_champion(archive.store, recipe="twelve_lead", version="aaaa00000002", since=now(), who="test", why=WHY)
    _next_second()
    _run(NEWER, date="2026-03-04", scope="all", trigger="scheduled")
    yield SimpleNamespace(
        empty=f"/ecg/reports/2026-03-03/{keys.run_key(EMPTY)}",
        newer=f"/ecg/reports/2026-03-04/{keys.run_key(NEWER)}",
    )
    registry.write_champion(archive.store, recipe="twelve_lead", version="aaaa00000001", since=now(), who="test", why="it is there")
    decided = [key for key in archive.store.list_keys(keys.PREDICTIONS) if "aaaa00000002" in key]
    archive.store.delete_many(decided)
    for run_id, date in ((EMPTY, "2026-03-03"), (NEWER, "2026-03-04")):
        run = keys.run_key(run_id)
        archive.store.delete_many(
            [
                keys.manifest("classify_records", run),
                *archive.store.list_keys(f"reports/{date}/"),
                *archive.store.list_keys(keys.staging("classify_records", run, "")),
            ]
        )


def _section(page, name):
    return page.partition(f'<section id="{name}"')[2].partition("</section>")[0]


def _words(section):
    """Return what a reader sees: no tags, no drawings."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<svg.*?</svg>", " ", section, flags=re.DOTALL))).strip()


@pytest.mark.parametrize("name", ["scores", "models", "labelled", "since", "changes"])
def test_a_report_has_the_sections_of_the_offline_one(admin, archive, later, name):
    """Scores, models with their figures, agreement with labels, and what changed: word for word."""
    offline = archive.store.get(later.newer.removeprefix("/ecg/") + "/index.html").decode()
    here, there = (_words(_section(page, name)) for page in (admin.get(later.newer).text, offline))
    assert there
    assert here.replace(" ", "") == there.replace(" ", "")
    assert name in {"since", "changes"} or "aaaa00000002" in here or "No record of this run has a label" in here


def test_a_report_tells_what_changed_since_the_last_one_and_why(admin, archive, later):
    """Numbers side by side, the new version with the reason of its promotion, and a link to the report before that had records."""
    text = admin.get(later.newer).text
    since = _section(text, "since")
    assert f'<a href="{archive.report}">{archive.date}</a>' in since
    assert "twelve_lead: aaaa00000002 decides in place of aaaa00000001, because: it is better by 0.02 &lt;i&gt;." in since
    table = re.findall(r'<th scope="row" class="plain">(\w+)</th><td class="num">([\d,–]+)</td><td class="num">([\d,]+)</td>', since)
    for column, (date, run) in enumerate(((archive.date, archive.run), ("2026-03-04", keys.run_key(NEWER))), start=1):
        head = runs.summary(archive.store, date, run)
        assert {row[0]: int(row[column].replace(",", "")) for row in table} == {
            **{name: getattr(head.counts, name) for name in ("received", "duplicates", "quarantined", "records", "pending")},
            **head.decisions,
        }


def test_drift_stands_with_the_model_that_it_is_about(admin, archive, later):
    """Not among the notes on what came in."""
    models = _section(admin.get(later.newer).text, "models")
    assert re.search(r'<span class="tag">drift: unknown</span> <span class="muted">\d+ records so far; \d+ are needed', models)
    assert "drift" not in _section(admin.get(later.newer).text, "decisions").lower()


def test_a_run_by_hand_that_found_nothing_does_not_hide_the_night(admin, archive, later):
    """The overview shows the last run with records, and tells of those after it."""
    key = keys.manifest("classify_records", keys.run_key(NEWER))
    manifest = archive.store.get(key)
    archive.store.delete(key)
    try:
        seen = overview(archive.store)
        assert seen.last.run == archive.run
        assert [run.run for run in seen.empty_since] == [keys.run_key(EMPTY)]
        tile = admin.get("/ecg/").text.partition('id="last-h"')[2].partition("</section>")[0]
        assert f'<a href="{archive.report}">{archive.date}</a>' in tile
        assert re.search(rf'Since then, 1 run without a record: <a href="{later.empty}">by hand \d{{4}}-\d\d-\d\d \d\d:\d\d UTC</a>', tile)
    finally:
        archive.store.put(key, manifest)


def test_lists_of_runs_tell_hour_trigger_and_abnormal_records(admin, archive, later):
    """On Reports and on Overview; a run without a record gives its reason in place of zeros."""
    head = runs.summary(archive.store, "2026-03-04", keys.run_key(NEWER))
    for page, where in (("/ecg/reports", "Normal</th>"), ("/ecg/", "abnormal</th>")):
        text = admin.get(page).text
        assert where in text
        row = next(part for part in text.split("<tr>") if part.startswith("<th") and f'<a href="{later.newer}">' in part)
        assert re.search(r"on schedule.*\d{4}-\d\d-\d\d \d\d:\d\d UTC<|\d{4}-\d\d-\d\d \d\d:\d\d UTC<.*on schedule", row)
        assert f'<td class="num">{head.decisions["abnormal"]:,}</td>' in row
    listed = admin.get("/ecg/reports").text
    empty = next(part for part in listed.split("<tr>") if f'<a href="{later.empty}">' in part)
    assert "by hand, " in empty
    assert "No record is listed: nothing was received since the report before." in empty


def test_manifests_and_summaries_of_before_are_read(admin, archive, later):
    """A night that an earlier version wrote does not tell decisions, trigger, drift or the report before: summary and name are asked."""
    run = keys.run_key(NEWER)
    manifest, key_of_manifest = read_manifest(archive.store, ClassifyManifest, run), keys.manifest("classify_records", run)
    key = keys.report("2026-03-04", run, "summary.json")
    summary = json.loads(archive.store.get(key))
    archive.store.replace(key_of_manifest, structs.replace(manifest, decisions={}, trigger="", scope="").to_json())
    archive.store.put(key, json.dumps({name: part for name, part in summary.items() if name not in {"since", "drift"}}).encode())
    try:
        found = next(one for one in runs.runs(archive.store).runs if one.run == run)
        assert (found.abnormal, found.trigger) == (summary["decisions"]["abnormal"], "scheduled")
        text = admin.get(later.newer).text
        assert 'id="since"' not in text
        assert "Threshold" in _section(text, "models")
        early = summary | {"models": [{"recipe": "twelve_lead", "version": "aaaa00000002", "synthetic": False}]}
        archive.store.put(key, json.dumps(early).encode())
        text = admin.get(later.newer).text
        assert "This report was written by an early version" in text
        assert "Recordings</h2>" in text
    finally:
        archive.store.replace(key_of_manifest, manifest.to_json())
        archive.store.put(key, json.dumps(summary).encode())


def test_a_report_before_that_was_deleted_is_no_link(admin, archive, later):
    """Old reports may go; the numbers of the one before stay, without an address that leads nowhere."""
    key = keys.report(archive.date, archive.run, "summary.json")
    stored = archive.store.get(key)
    archive.store.delete(key)
    try:
        assert f"Since the report of {archive.date}" in _words(_section(admin.get(later.newer).text, "since"))
    finally:
        archive.store.put(key, stored)


def test_an_empty_page_says_the_true_reason(admin, archive, later):
    """Filters of a table without rows would look as if one of them hid them; an intake without results may have had nothing to do."""
    text = admin.get(later.empty).text
    assert "No record is listed: nothing was received since the report before." in _section(text, "rows")
    assert "<select" not in _section(text, "rows")
    assert "<select" in _section(admin.get(later.newer).text, "rows")
    intake = admin.get("/ecg/run?dag_id=ingest_records&run_id=none").text
    assert "If it ended in success, there was nothing to take over." in intake
    assert "This run has not written its results yet." in admin.get("/ecg/run?dag_id=classify_records&run_id=none").text
