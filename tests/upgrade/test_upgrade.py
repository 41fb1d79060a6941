"""A bucket of version 0.1 says to today's code what it said to its own, and goes on with nothing changed or lost."""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest

from ecg_tasks.archive import audit, documents, keys, registry, sources, tables
from ecg_tasks.archive.class_lists import stored_classes
from ecg_tasks.archive.labelling import labels_in_force
from ecg_tasks.pipeline import backfill_version, classify_records, ingest_records, maintain_store, render_spectrograms
from ecg_tasks.pipeline.intake import inbox, publication
from ecg_tasks.pipeline.maintenance.checksums import audit_checksums
from ecg_tasks.pipeline.maintenance.rules import RULES, judge
from ecg_tasks.pipeline.monitoring import monitoring_runs
from ecg_tasks.pipeline.preparation import prepare_bucket
from ecg_tasks.pipeline.training import dataset, grouping, promoting
from ecg_tasks.queries import audit_log, dag_runs, drift, exchange, models, quarantine, records, report_table, review_queue, runs
from ecg_tasks.queries.lineage import tracing
from ecg_tasks.queries.overview import overview
from ecg_tasks.signals import near_duplicates
from ecg_tasks.signals.recipes import get_recipe, recipe_of
from ecg_tasks.signals.sample_files import labels_csv
from tests.upgrade.old_bucket import PLANNED, STATES, contents, old_bucket, put, write_to

FOR_EVER = 1e9
"""Seconds. What waits in the inbox is of 2025."""
INTAKE = "scheduled__2025-01-16T10:45:00+00:00"
TRAINING = "manual__2025-01-16T09:00:00+00:00"
NIGHT = "manual__2025-01-16T10:30:00+00:00"
"""Also of the backfill and the maintenance that are under way."""
MEANT = {
    "inbox/late/[bs]*": "taken over by the intake under way; its label table and a header without its signal still wait",
    "inbox/ward/corrupt.csv.gz": "put back by version 0.1, and taken over too",
    "quarantine/d84aa143*/reason.json": "of the same, which was refused again: by today's sentence, and who put it back is kept",
    "staging/ingest_records/scheduled__2025-01-16T10-45*": "goes with the end of its intake",
    "models/heartbeat/champion.json": "the version that had passed the gate serves",
    "manifests/retrain_model/manual__2025-01-16T09-*.json": "the account of its training tells that",
    "reports/2025-01-0[78]/*": "what the maintenance under way had planned to delete",
    "staging/*/*2025-01-0[89]T*": "as before",
    "decided/*": "copies for quick reading, made into one with what came since",
}
"""Which objects of the old bucket are other, or gone, after everything that was under way has ended, and why; no others may be."""


@pytest.fixture(scope="module")
def said():
    """What version 0.1 told of its bucket."""
    return old_bucket().said


@pytest.fixture(scope="module")
def store(bucket_in):
    """The bucket as version 0.1 left it, to be read only."""
    with pytest.MonkeyPatch.context() as patch:
        made = bucket_in(patch)
        put(made)
        yield made


@pytest.fixture
def upgraded(bucket_in, monkeypatch):
    """Maker of the same bucket for a test of its own, and what is in it."""

    def make(state=PLANNED, **environment):
        made = bucket_in(monkeypatch, **{"ECG_WFDB_GRACE_S": str(FOR_EVER), **environment})
        return made, put(made, state)

    return make


def plain(value):
    """Return a value as it comes back from JSON."""
    return json.loads(json.dumps(value))


def manifests(dag):
    """Accounts of version 0.1, in the order of the runs' names."""
    return [json.loads(one.data) for key, one in sorted(old_bucket().states[PLANNED].items()) if key.startswith(f"manifests/{dag}/")]


def under_way(store, dag, name, run=NIGHT):
    """Keys of what a run left in staging, such as its ``jobs/``."""
    return [key for key in store.list_keys(keys.staging(dag, keys.run_key(run), "")) if f"/{name}" in key]


def record_ids(store):
    """Ids of all records, as often as they are there."""
    return [record_id for index in _indexes(store) for record_id in index["record_id"]]


def maintain(plan):
    """Run the tasks of the DAG ``maintain_store`` after its plan; returns the account."""
    deleted = maintain_store.delete(plan)
    return maintain_store.publish(plan, deleted, maintain_store.check_orphans(plan), maintain_store.check_contents(plan))


def test_every_kind_of_key_is_there():
    """The old bucket has something below every prefix but those that came since."""
    prefixes = {
        f"{value.partition('/')[0]}/" for name, value in vars(keys).items() if name.isupper() and isinstance(value, str) and "/" in value
    }
    there = {f"{key.partition('/')[0]}/" for key in old_bucket().states[PLANNED]}
    since = {keys.DESCRIPTIONS, keys.CATALOG, keys.ACCOUNT_LISTS, keys.CLASSES, keys.TAKEN_OVER, keys.MEASUREMENTS, keys.ACCESS}
    assert prefixes - there == since | {keys.DEIDENTIFIED, keys.FORGOTTEN, keys.APPROVALS, keys.LOGS}


def test_names_are_the_same(store, said):
    """Recipes and signatures have the same digests; records, shards, raw files, labels, data sets and versions are what their names say."""
    assert {name: recipe_of(*key.split("@")).key for name, key in said["recipes"].items()} == said["recipes"]
    others = {name for name, key in said["recipes"].items() if get_recipe(name).key != key}
    assert others == {"twelve_lead"}  # finer pictures are drawn now; those of version 0.1 are read
    assert store.list_folders(keys.SIGNATURES) == [near_duplicates.KEY]
    found = audit_checksums(store, run="any", sample=10_000)
    assert found.damaged == ()
    assert found.read == found.there
    assert min(found.read[kind] for kind in ("raw", "records", "labels", "aliases", "groups", "datasets", "models")) > 0


def test_versions_and_what_was_decided_on_them(store, said):
    """Every version works, and the list tells the same of it; what serves, served and was rejected is the same."""
    assert {recipe: registry.versions(store, recipe) for recipe in said["versions"]} == said["versions"]
    for recipe, versions in said["versions"].items():
        for version in versions:
            assert classify_records.load_champion(store, recipe, version).spec.version == version
            assert models.plots(store, recipe, version) == set(models.PLOTS)
            assert models.card(store, recipe, version).startswith("#")
    assert {recipe: plain(asdict(registry.read_decisions(store, recipe))) for recipe in said["decisions"]} == said["decisions"]
    listed = {(found.recipe, one.version.version): one for found in models.models(store) for one in found.versions}
    assert listed.keys() == {(before["recipe"], before["version"]) for before in said["listing"]}
    for before in said["listing"]:
        one = listed[before["recipe"], before["version"]]
        assert (one.figures["auroc"].text(), one.standing, one.version.synthetic) == (before["auroc"], before["standing"], False)
        assert (one.verdict.kind if one.verdict else "not judged") == before["verdict"]
    serving = {one.recipe: [each.version.version for each in one.versions if each.serves] for one in models.models(store)}
    assert serving == {recipe: [decided["version"]] for recipe, decided in said["decisions"].items()}


def test_predictions(store, said):
    """Each record has the same decision by each version."""
    assert store.list_keys(keys.PREDICTIONS) == sorted(said["predictions"])
    for key, told in said["predictions"].items():
        found = tables.load(store.get(key))
        probabilities = [None if np.isnan(p) else float(p) for p in found["probability"]]
        rows = zip(found["record_id"], found["decision"], probabilities, found["n_used"].tolist(), strict=True)
        assert {record_id: list(row) for record_id, *row in rows} == told


def test_records_and_their_pages(store, said):
    """Every record has its origin and patient, and its page the same decisions; while one that serves has not decided, it says so since."""
    rows = [dict(zip(index, row, strict=True)) for index in _indexes(store) for row in zip(*index.values(), strict=True)]
    assert len(rows) == len(said["records"])
    for row in rows:
        told = said["records"][row["record_id"]]
        found = {name: row[name] for name in ("name", "source", "patient", "sex")} | {"bucket": row["split_bucket"]}
        assert found | {"age": None if np.isnan(row["age"]) else row["age"], "shard": told["shard"]} == told
    champions = [(recipe, decided["version"]) for recipe, decided in said["decisions"].items()]
    for record_id, told in list(said["records"].items())[::4]:
        page, before = records.record_page(store, record_id), said["pages"][record_id]
        assert (page.shard, page.stored.patient, sorted(key for key, _ in page.raw)) == (told["shard"], told["patient"], before["raw"])
        assert (page.stored.record.age, page.stored.record.sex, page.stored.record.recorded) == (told["age"], told["sex"], None)
        one, others = page.decided, sorted([other.version.key, other.decision] for other in page.others)
        waits_for = [recipe for recipe, version in champions if keys.predictions(recipe, page.shard, version) not in said["predictions"]]
        assert sorted(page.waits_for) == sorted(waits_for)
        if waits_for:
            assert one is None
            assert others == sorted([*before["others"], *([before["decided"][:2]] if before["decided"] else [])])
        else:
            assert [one.version.key, one.decision, one.probability, one.n_windows, one.n_used] == before["decided"]
            assert (others, len(page.windows)) == (before["others"], before["windows"])
            assert (page.pictures is None) == (before["windows"] == 0)


def _indexes(store):
    return [tables.load(data) for data in store.get_many(store.list_keys(keys.RECORD_INDEX))]


def test_labels_and_reviews(store, said):
    """The labels in force, what was said of each record, each reviewer's queue and the agreement are the same."""
    assert {record_id: [one.label, one.who, one.when] for record_id, one in labels_in_force(store).items()} == said["labels"]
    for record_id, statements in said["statements"].items():
        assert [asdict(one) for one in review_queue.history(store, record_id)] == [one | {"classes": ""} for one in statements]
    for user, queue in said["queues"].items():
        items = review_queue.queue(store, user=user, limit=500).items
        found = [[one.record_id, one.recipe, one.version, one.decision, one.probability, one.label, one.labelled_by] for one in items]
        # a disputed record went back to whom it came from, and goes to a third person now
        assert found == [one for one in queue if not review_queue.has_verdict(store, one[0], user=user)]
    assert _progress(store) == said["progress"]
    assert [[one.first, one.second, one.n, one.observed] for one in review_queue.agreement(store)] == said["agreement"]


def _progress(store):
    """How far the review has come, as earlier versions know it: to whom further readings go is newer."""
    return {name: value for name, value in asdict(review_queue.progress(store)).items() if name != "assigned"}


def _one(sentence):
    """A sentence of version 0.1, which said "1 records"."""
    return re.sub(r"\b1 records\b", "1 record", sentence)


def test_reports_and_runs(store, said):
    """Every report has the same account, decisions and rows; it can be exported; every run has its account."""
    assert {run.run for run in runs.runs(store).runs} == set(said["reports"])
    for run, told in said["reports"].items():
        summary, rows = runs.summary(store, told["date"], run), report_table.table(store, told["date"], run)
        assert {name: ({"forgotten": 0} | told["account"])[name] for name in documents.plain(summary.counts)} == documents.plain(
            summary.counts
        )
        assert (dict(summary.decisions), dict(summary.reasons), summary.changes) == (told["decisions"], told["reasons"], None)
        assert [row["record_id"] for row in rows.all_rows()] == told["order"]
        exported = zipfile.ZipFile(io.BytesIO(b"".join(exchange.report_zip(store, *exchange.find_report(store, run)))))
        assert {"index.html", "predictions.parquet"} <= {name.rpartition("/")[2] for name in exported.namelist()}
    assert {key: runs.headline(key) for key in said["headlines"]} == {key: _one(told) for key, told in said["headlines"].items()}
    for key, counts in said["accounts"].items():
        _, dag, run = key.removesuffix(".json").split("/")
        assert dict(runs.run_of(store, dag, run)[0]) == counts
    assert {key: dag_runs.decision(store, keys.stem(key)) for key in said["outcomes"]} == said["outcomes"]
    compared = dag_runs.backfill(store, manifests("backfill_version")[0]["run"])
    assert compared["changed"] == manifests("backfill_version")[0]["account"]["changed"]


def test_quarantine_and_overview(store, said):
    """Every entry is there with its rows, open, and found by the digest of its bytes; the first page counts the same."""
    told = {one["source"]: one for one in said["quarantine"]}
    found = quarantine.entries(store)
    assert {one.source: one.id for one in found.entries} == {source: source for source in told}
    for one in found.entries:
        before = told[one.source]
        assert (one.name, one.reason, one.message, one.n_rows) == tuple(before[name] for name in ("name", "reason", "message", "n_rows"))
        assert (len(one.retried), one.closed) == (before["retried"], "")
        rows = quarantine.entry(store, one.source)[1]
        assert [[row.name, row.reason] for row in rows] == [row[:2] for row in before["rows"]]
        assert all(row.content == text for row, (*_, text) in zip(rows, before["rows"], strict=True) if not row.kind)
        assert not [row.name for row in rows if row.kind and "\ufffd" in row.content]  # bytes that are no text were shown as if they were
    seen = overview(store)
    assert {"n_runs": seen.n_runs, "n_waiting": seen.n_waiting, "n_quarantined": seen.n_quarantined} == said["overview"]


def test_watched_nights(store, said):
    """The drift watch goes on from the same nights, and draws them."""
    assert list(documents.plain(drift.lights(store))) == said["lights"]
    for recipe, watched in said["nights"].items():
        found = monitoring_runs.all_nights(store, recipe)
        assert [[night.run, night.version, night.number, night.watched_so_far] for night in found] == watched
        assert drift.page(store, recipe).figures


def test_data_sets_and_groups(store, said):
    """Every record is in the split that it was in; records without a patient keep their groups."""
    for dataset_id, splits in said["splits"].items():
        assert {row.record_id: row.split for row in dataset.load_rows(store, dataset_id)} == splits
        assert dataset.load_manifest(store, dataset_id).dataset_id == dataset_id
    assert {record_id: [one.name, one.split_bucket] for record_id, one in grouping.read_groups(store).items()} == said["groups"]


def test_log(store, said):
    """Nobody has been at the log, and it tells the same acts."""
    found = audit_log.check(store, known=said["audit"]["ends"])
    assert (found.faults, found.n_entries, list(found.ends)) == ((), said["audit"]["n_entries"], said["audit"]["ends"])
    acts = [[entry.number, entry.when, entry.who, entry.action, entry.subject] for _, entry in audit.entries(store)]
    assert acts == said["audit"]["acts"]


def test_lineage(store, said):
    """A recording, a beat, a champion, an intake and a report lead back to dropped bytes; no link of them is broken.

    Version 0.1 also told of each decision on a record its pictures, the run that drew them and its code, none of them checked.
    """
    by_name = {told["name"]: record_id for record_id, told in said["records"].items()}
    traced = [by_name["ward/copy_of_p01"], by_name["ward/beats.csv#2"], f"heartbeat/{said['decisions']['heartbeat']['version']}"]
    for name in [*traced, manifests("ingest_records")[1]["run"], manifests("classify_records")[1]["run"]]:
        links = list(tracing.trace(store, name).all())
        states = Counter(link.state for link in links)
        states["recorded"] += 3 * sum(link.what == "decision" and "probability" in link.metadata for link in links)
        assert [states[state] for state in ("checked", "recorded", "absent", "broken")] == said["lineage"][name]
        assert states["checked"] > 0
        assert states["broken"] == 0


def test_reading_changed_nothing(store):
    """All that was read above is as it was."""
    old = old_bucket().states[PLANNED]
    assert {item.key: item.modified for item in store.list_objects("")} == {key: one.modified for key, one in old.items()}
    assert contents(store) == {key: one.data for key, one in old.items()}


def test_same_files_again_are_duplicates(upgraded):
    """Whatever version 0.1 took over, dropped again, gives no record, no name and no label; what it refused is refused again."""
    store, before = upgraded(ECG_WFDB_GRACE_S="0")
    store.delete_many(store.list_keys(keys.INBOX))
    bytes_of = {
        (key.rpartition("/")[2], hashlib.md5(data, usedforsecurity=False).hexdigest()): data
        for key, data in before.items()
        if key.startswith((keys.RAW, keys.QUARANTINE))
    }
    n_described = []
    for number, counts in enumerate(manifests("ingest_records")):
        files = [file for item in counts["inputs"] for file in item["files"]] + counts["labels"]["tables"]
        inbox.put_files((file["key"].removeprefix(keys.INBOX), bytes_of[file["key"].rpartition("/")[2], file["etag"]]) for file in files)
        jobs = ingest_records.plan(f"again-{number}")
        if not jobs:
            assert not files
            continue
        found = json.loads(store.get(ingest_records.publish(f"again-{number}", [ingest_records.ingest_batch(job) for job in jobs])))
        was = {item["name"]: item for item in counts["inputs"]}
        assert {item["name"] for item in found["inputs"]} == set(was)
        for item in found["inputs"]:
            one = was[item["name"]]
            assert (item["received"], item["quarantined"], item["records"]) == (one["received"], one["quarantined"], 0)
            assert item["duplicates"] == one["records"] + one["duplicates"]
        assert (found["labels"]["stored"], found["shards"]) == (0, [])
        n_described.append(found["labels"]["described"])
        assert store.list_keys(keys.INBOX) == []
    # what version 0.1 left out: the patient of p01, whose recording was let in as copy_of_p01; and of q03, whose row has an age of 400
    assert n_described == [1, 0, 1, 0]
    for prefix in (keys.RECORDS, keys.RECORD_INDEX, keys.LABELS):
        assert store.list_keys(prefix) == sorted(key for key in before if key.startswith(prefix))
    # of two recordings of one name, the one that was dropped again is the latest now
    names = [name for key in store.list_keys(keys.ALIASES) if key not in before for name in tables.load(store.get(key))["name"]]
    assert set(names) == {"ward/p02"}


@pytest.mark.parametrize("state", [*STATES, "given up"])
def test_intake_under_way_ends(upgraded, state):
    """However far version 0.1 had come with it, the intake ends with the same account and everything known; given up, the next has it."""
    store, _ = upgraded(PLANNED if state == "given up" else state)
    run = "next" if state == "given up" else INTAKE
    jobs = ingest_records.plan(run) if state == "given up" else under_way(store, ingest_records.DAG, "jobs/", INTAKE)
    found = json.loads(store.get(ingest_records.publish(run, [ingest_records.ingest_batch(job) for job in jobs])))
    counts = {name: found["account"][name] for name in ("received", "records", "duplicates", "quarantined", "waiting")}
    assert counts == {"received": 6, "records": 4, "duplicates": 1, "quarantined": 1, "waiting": 1}
    assert found["labels"]["stored"] == 4
    assert store.list_keys(keys.INBOX) == ["inbox/late/labels.csv", "inbox/late/waits.hea"]
    ids = record_ids(store)
    assert len(set(ids)) == len(ids) == len(old_bucket().said["records"]) + 4
    new = [records.record_page(store, record_id).stored for shard in found["shards"] for record_id in _ids(store, shard)]
    by_name = {one.record.name: one for one in new}
    assert sorted(by_name) == ["late/beats.csv#2", "late/beats.csv#3", "late/s01", "late/s02"]
    recording = by_name["late/s01"]
    assert (recording.record.age, recording.record.sex, recording.split_bucket >= 0) == (55, "male", True)
    assert by_name["late/beats.csv#2"].patient not in {None, recording.patient}
    labels = labels_in_force(store)
    kinds = [labels[by_name[name].record.record_id].label for name in ("late/s01", "late/s02", "late/beats.csv#2")]
    assert kinds == ["abnormal", "normal", "normal"]
    (entry,) = [one for one in quarantine.entries(store).entries if one.name == "ward/corrupt.csv.gz"]
    assert entry.id == entry.source
    assert under_way(store, ingest_records.DAG, "plan.json", run) == []  # or every later run would end it once more


def test_a_publication_that_version_01_gave_up_is_ended(upgraded):
    """Its records were let in and no account was written; the next plan writes it, and the run has nothing left to take over."""
    store, _ = upgraded("let_in")
    prepare_bucket()
    (job,) = ingest_records.plan("next")
    told = json.loads(store.get(keys.manifest(ingest_records.DAG, keys.run_key(INTAKE))))["account"]
    counts = {name: told[name] for name in ("received", "records", "duplicates", "quarantined")}
    assert counts == {"received": 6, "records": 4, "duplicates": 1, "quarantined": 1}
    found = json.loads(store.get(ingest_records.publish("next", [ingest_records.ingest_batch(job)])))
    assert (found["account"]["received"], found["account"]["waiting"], found["shards"]) == (0, 1, [])
    assert len(record_ids(store)) == len(old_bucket().said["records"]) + 4
    assert under_way(store, ingest_records.DAG, "plan.json", INTAKE) == []  # or every later run would end it once more


@pytest.mark.parametrize("is_tried_again", [True, False])
def test_a_publication_that_the_first_catalogue_saw_is_ended(upgraded, monkeypatch, is_tried_again):
    """The program after 0.1 named the run as Airflow does, in the head alone: its records are none that were there before."""
    store, _ = upgraded("let_in")
    results = under_way(store, ingest_records.DAG, "results/", INTAKE)
    with monkeypatch.context() as patch:
        patch.setattr(publication, "write_manifest", lambda *_: pytest.fail("the task is killed"))
        with pytest.raises(pytest.fail.Exception):
            ingest_records.publish(INTAKE, results)
    head = json.loads(store.get(keys.CATALOG_HEAD))
    head["publishing"] |= {"run": INTAKE, "results": results}
    store.put(keys.CATALOG_HEAD, json.dumps(head).encode())
    store.delete(keys.staging(ingest_records.DAG, keys.run_key(INTAKE), "before.json"))
    if is_tried_again:
        ingest_records.publish(INTAKE, results)
    else:
        prepare_bucket()
        ingest_records.plan("next")
    told = json.loads(store.get(keys.manifest(ingest_records.DAG, keys.run_key(INTAKE))))["account"]
    counts = {name: told[name] for name in ("received", "records", "duplicates", "quarantined")}
    assert counts == {"received": 6, "records": 4, "duplicates": 1, "quarantined": 1}
    assert under_way(store, ingest_records.DAG, "plan.json", INTAKE) == []


def _ids(store, shard):
    return tables.load(store.get(keys.record_index(shard)))["record_id"]


def test_all_under_way_ends_and_the_next_day_adds_up(upgraded, said, tmp_path):
    """What version 0.1 had begun ends; a day of today's follows, which version 0.1 reads, too; only what may be other of the old is."""
    store, before = upgraded()
    ingest_records.publish(INTAKE, [ingest_records.ingest_batch(job) for job in under_way(store, ingest_records.DAG, "jobs/", INTAKE)])
    (pin,) = under_way(store, classify_records.DAG, "pin.json")
    assert classify_records.pin_champion(NIGHT, date="2025-01-16") == pin
    report = classify_records.write_report(
        pin, [classify_records.classify_shard(job) for job in under_way(store, classify_records.DAG, "jobs/")]
    )
    last = manifests("ingest_records")[-1]["account"]
    _adds_up(store, report, received=last["received"], records=last["records"])
    assert _formats(store, report) == {None: last["records"]}  # version 0.1 stored none
    (pin,) = under_way(store, backfill_version.DAG, "pin.json")
    page = backfill_version.write_difference(
        pin, [backfill_version.classify_shard(job) for job in under_way(store, backfill_version.DAG, "jobs/")]
    )
    assert f"by twelve_lead {said['named']['twelve_lead 2']} than by {said['named']['twelve_lead 1']}" in backfill_version.headline(page)
    assert promoting.is_promotable(TRAINING)
    assert promoting.promote(TRAINING, asked=False) == keys.champion("heartbeat")
    champion = registry.read_champion(store, "heartbeat")
    assert champion.version == said["named"]["heartbeat 3"]
    assert plain(documents.plain(champion.history[1:])) == said["decisions"]["heartbeat"]["history"]
    old = {told["name"]: record_id for record_id, told in said["records"].items()}
    _drop_of_the_next_day(before)
    manifest = ingest_records.publish("next", [ingest_records.ingest_batch(job) for job in ingest_records.plan("next")])
    assert json.loads(store.get(manifest))["account"]["records"] == 14
    render_spectrograms.publish("next", [render_spectrograms.render_shard(job) for job in render_spectrograms.plan("next")])
    pin = classify_records.pin_champion("night", date="2025-01-17", details=0)
    report = classify_records.write_report(pin, [classify_records.classify_shard(job) for job in classify_records.plan(pin)])
    _adds_up(store, report, received=14 + 6, records=14 + 4)  # the intake that was under way came after the last report
    assert json.loads(store.get(report.replace("index.html", "summary.json")))["changes"] is not None
    assert _formats(store, report) == {"heartbeat CSV": 14 + 2, "WFDB": 2}
    labels = labels_in_force(store)
    assert labels[old["ward/beats.csv#2"]].who == "source:icu/labels.csv"  # by a name that version 0.1 kept of a duplicate
    assert [(one.record_id, one.classes) for one in stored_classes(store)] == [(old["ward/beats.csv#2"], "NORM")]
    again = [record_id for record_id, told in said["records"].items() if told["name"] == "ward/p02"]
    by_day = {one: (labels[one].label if one in labels else None, records.record_page(store, one).stored.patient) for one in again}
    assert sorted(kind for kind, _ in by_day.values()) == ["abnormal", "normal"]
    assert labels[max(again, key=lambda one: said["records"][one]["patient"] is None)].label == "abnormal"  # the later of the two
    assert all(patient is not None for _, patient in by_day.values())
    assert review_queue.progress(store).records == len(said["records"]) + 4 + 14
    old_enough = judge(store, dict.fromkeys(RULES, 7.0) | {"reports": 0.0, "backfills": 0.0}, at=datetime.now(UTC)).deletable
    assert {key.partition("/")[0] for key in old_enough} == {"checkpoints", "quarantine", "raw", "staging"}
    assert {key.split("/")[1] for key in old_enough if key.startswith(keys.RAW)}.isdisjoint(
        one["source"] for one in said["records"].values()
    )
    plan, planned = _planned_deletions(before)
    counts = json.loads(store.get(maintain(plan)))
    assert (counts["account"]["deleted"], counts["orphans"], counts["contents"]["damaged"]) == (len(planned), [], [])
    found = audit_log.check(store, known=said["audit"]["ends"])
    assert (found.faults, len(found.ends)) == ((), 1)
    assert [link for link in tracing.trace(store, old["ward/beats.csv#2"]).all() if link.state == "broken"] == []
    _nothing_else_changed(store, before, deleted=planned)
    _version_0_1_reads_it(store, _read_by_version_0_1(store, tmp_path), said)


def _read_by_version_0_1(store, folder):
    """Return what version 0.1's own code reads of the bucket, in a process of its own."""
    write_to(folder, store)
    here = Path(__file__).parent
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ECG_", "AWS_"))}
    environment |= {"PYTHONPATH": str(here / "version-0.1.zip"), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-P", here / "read_by_version_0_1.py", folder]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _version_0_1_reads_it(store, told, said):
    """Hold what version 0.1 reads against what today's code reads; where they differ, docs/operations.md says so."""
    recipes = list(told["versions"])
    assert told["decisions"] == {recipe: (found := registry.read_decisions(store, recipe)) and plain(asdict(found)) for recipe in recipes}
    assert told["versions"] == {recipe: registry.versions(store, recipe) for recipe in recipes}
    assert told["standing"] == {
        f"{found.recipe}/{one.version.version}": one.standing for found in models.models(store) for one in found.versions
    }
    assert sorted(told["records"]) == sorted(record_ids(store))
    assert told["labels"] == {record_id: [one.label, one.who, one.when] for record_id, one in labels_in_force(store).items()}
    stored = dict(row for index in _indexes(store) for row in zip(index["record_id"], index["patient"], strict=True))
    for record_id, before in told["pages"].items():
        page = records.record_page(store, record_id)
        assert before["patient"] == stored[record_id]
        if page.waits_for:  # a recording of the next day: what serves reads pictures that are made no more, which version 0.1 passes over
            assert (page.waits_for, record_id in said["records"], len(page.others)) == (("twelve_lead",), False, 1)
        decided = page.others[0] if page.waits_for else page.decided
        assert before["decided"] == [decided.version.key, decided.decision, decided.probability]
        assert page.waits_for or before["windows"] == len(page.windows)
    # Of runs that were written within one second either may come first: here the store's times count, there those of files.
    assert sorted(told["reports"]) == sorted(run.run for run in runs.runs(store).runs)
    for run in runs.runs(store).runs:
        before = told["reports"][run.run]
        summary, rows = runs.summary(store, run.date, run.run), report_table.table(store, run.date, run.run)
        assert before["account"] | {"forgotten": 0} == documents.plain(run.counts)  # which version 0.1 does not know
        assert before["decisions"] == (summary and dict(summary.decisions))
        assert before["order"] == (rows and [row["record_id"] for row in rows.all_rows()])
    for key, sentence in told["headlines"].items():  # today's tells more of what waits
        assert _one(sentence).partition(";")[0] == runs.headline(key).partition(";")[0]
    for one in quarantine.entries(store).entries:
        assert told["quarantine"].pop(one.source) == [one.name, one.reason, len(quarantine.entry(store, one.id)[1])]
    assert told["quarantine"] == {}
    assert told["overview"] == {"n_runs": overview(store).n_runs, "n_waiting": overview(store).n_waiting}
    queue = [item.record_id for item in review_queue.queue(store, user="ada", limit=500).items]
    assert queue == [one for one in told["queue"] if not review_queue.has_verdict(store, one, user="ada")]
    assert told["progress"] == _progress(store)
    assert told["lights"] == list(documents.plain(drift.lights(store)))
    assert told["nights"] == {recipe: [night.run for night in monitoring_runs.all_nights(store, recipe)] for recipe in recipes}
    assert told["groups"] == {record_id: [one.name, one.split_bucket] for record_id, one in grouping.read_groups(store).items()}
    found = audit_log.check(store)
    assert told["log"] == {"n_entries": found.n_entries, "ends": list(found.ends), "faults": []}
    gone = {run.run for run in runs.runs(store).runs if report_table.table(store, run.date, run.run) is None}
    assert {name.split("/")[2] for name in told["broken"]} == gone
    of_several = {key.split("/")[1] for key in store.list_keys(keys.RAW) if key == keys.raw_list(key.split("/")[1])}
    files = {file.sha256 for source in of_several for file in sources.listed(store, source)}
    assert of_several
    assert told["damaged"] == dict.fromkeys(of_several, "raw")
    assert set(told["raw_in_danger"]) >= files
    assert {key.split("/")[1] for key in told["orphans"]} == files


def _planned_deletions(before):
    """Key of the plan of the maintenance under way, and what is to be deleted by it."""
    plan = keys.staging(maintain_store.DAG, keys.run_key(NIGHT), "plan.json")
    return plan, {key for key, *_ in json.loads(before[plan])["objects"]}


def _drop_of_the_next_day(before):
    """Drop new beats, and labels for records of before: one by a duplicate's name and with classes, one by the name of two recordings."""
    (beats,) = [data for key, data in before.items() if key.endswith("/more.csv")]
    named = b"record,label,classes\nagain.csv#2,normal,NORM\n"
    ward = [{"record": "p02", "label": "abnormal", "patient_id": "someone"}]
    files = {"next/beats.csv": beats.replace(b"0.8", b"0.81"), "icu/labels.csv": named, "ward/labels.csv": labels_csv(ward)}
    inbox.put_files(files.items())


def _adds_up(store, report, *, received, records):
    """Every file and record has one fate."""
    counts = json.loads(store.get(report.replace("index.html", "summary.json")))["counts"]
    assert (counts["received"], counts["records"], counts["pending"]) == (received, records, 0)
    assert counts["received"] == counts["records"] + counts["duplicates"] + counts["quarantined"]
    assert counts["records"] == counts["classified"] + counts["uncertain"] + counts["uninterpretable"]


def _formats(store, report):
    """Formats of a report's records; nothing else is known of how they were made, in the table or in FHIR."""
    _, date, run, _ = report.split("/")
    rows = list(report_table.table(store, date, run).all_rows())
    assert {(row["recorded"], row["device"], row["filters"], row["site"]) for row in rows} == {(None, None, None, None)}
    assert b"effectiveDateTime" not in b"".join(exchange.fhir_ndjson(store, date, run))
    return Counter(row["source_format"] for row in rows)


def _nothing_else_changed(store, before, *, deleted):
    """Every old object has its bytes, but for those that are meant to be other."""
    now = contents(store)
    other = {key for key, data in before.items() if now.get(key) != data}
    gone = other - now.keys()
    of_intake = {key for key in before if key.startswith(keys.staging(ingest_records.DAG, keys.run_key(INTAKE), ""))}
    assert {key for key in gone if not key.startswith((keys.INBOX, keys.DECIDED))} == deleted | of_intake
    assert sorted(key for key in other if not any(fnmatch(key, one) for one in MEANT)) == []
    assert [one for one in MEANT if not any(fnmatch(key, one) for key in other)] == []
    for key in other - gone:
        if key.startswith(keys.PREDICTIONS):
            found, was = tables.load(now[key]), tables.load(before[key])
            assert all(np.array_equal(found[name], was[name]) for name in ("record_id", "decision", "n_windows", "n_used"))
            assert np.array_equal(found["probability"], was["probability"], equal_nan=True)
