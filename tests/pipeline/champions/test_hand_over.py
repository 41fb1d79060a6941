"""A champion whose files are damaged falls back to the version before, aloud; people and pages are told, and nothing else changes."""

import csv
import io
from collections import Counter

import pytest

from ecg_tasks.archive import audit, keys, registry
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import StoreError
from ecg_tasks.pipeline import classify_records, ingest_records, render_spectrograms
from ecg_tasks.pipeline.champions import hand_over, seed
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.queries import models, overview
from ecg_tasks.queries.stand_ins import stand_ins
from ecg_tasks.signals.recipes import get_recipe
from tests.plain_json import get_json

RECIPE = "heartbeat"
BEFORE, CHAMPION = "0123456789ab", "aaaa00000001"
NETWORK = "model.tflite"


@pytest.fixture
def served(bucket_in, monkeypatch, todays_version):
    """A bucket in which one version serves after another."""
    bucket = bucket_in(monkeypatch, ECG_RECIPES=RECIPE)
    for version in (BEFORE, CHAMPION):
        registry.write_version(bucket, RECIPE, version, todays_version(RECIPE, version))
        registry.write_champion(bucket, recipe=RECIPE, version=version, since=f"since {version}", who="test", why="better")
    return bucket


def _cut_off(store, version, name=NETWORK):
    key = keys.model_file(RECIPE, version, name)
    store.replace(key, store.get(key)[:-1])


def _flip(store, version, name=NETWORK):
    key = keys.model_file(RECIPE, version, name)
    data = bytearray(store.get(key))
    data[len(data) // 2] ^= 1
    store.replace(key, bytes(data))


def _lose(store, version, name=NETWORK):
    store.delete(keys.model_file(RECIPE, version, name))


def _night(store, run, beat_rows, heartbeat_csv):
    inbox.put_files([("beats.csv", heartbeat_csv(beat_rows(3, seed=9)))])
    ingest_records.publish(run, [ingest_records.ingest_batch(job) for job in ingest_records.plan(run)])
    render_spectrograms.publish(run, [render_spectrograms.render_shard(job) for job in render_spectrograms.plan(run)])
    return _report(store, run)


def _report(store, run):
    pin = classify_records.pin_champion(run, date="2026-01-02", scope="all", details=1)
    page = classify_records.write_report(pin, [classify_records.classify_shard(job) for job in classify_records.plan(pin)])
    table = store.get(page.replace("index.html", "predictions.csv")).decode()
    deciders = {row["version"] for row in csv.DictReader(io.StringIO(table, newline=""))}
    return page, get_json(store, page.replace("index.html", "summary.json"))["notes"], deciders


@pytest.mark.parametrize("harm", [_cut_off, _flip, _lose])
def test_the_version_before_decides_and_everybody_is_told(served, beat_rows, heartbeat_csv, harm, caplog):
    """Notes of this and every further report, both logs, champion and pages say it; the account names the version that decided."""
    harm(served, CHAMPION)
    page, notes, deciders = _night(served, "night", beat_rows, heartbeat_csv)
    champion = registry.read_champion(served, RECIPE)
    assert (champion.version, champion.who, champion.stands_in) == (BEFORE, "classify_records/night", True)
    assert champion.why.startswith(f"{CHAMPION} (")
    assert NETWORK in champion.why
    assert deciders == {BEFORE}
    assert notes == [f"The {RECIPE} model {BEFORE} serves from now on: {champion.why}."]
    assert f"serves from now on: {CHAMPION}" in served.get(page).decode()
    assert f"{RECIPE} {BEFORE} serves from now on: {champion.why}" in caplog.text
    (entry,) = [entry for _, entry in audit.entries(served) if entry.action == audit.Action.PROMOTE]
    assert (entry.who, entry.subject, entry.detail["why"]) == ("classify_records/night", f"{RECIPE}/{BEFORE}", champion.why)
    assert overview.overview(served).champions == (champion,)
    assert [one.decided for one in models.models(served)] == [champion]
    (sentence,) = stand_ins(served)
    assert f"{BEFORE} stands in since {champion.since}: {champion.why}." in sentence
    manifest = get_json(served, keys.manifest("classify_records", "night"))
    assert manifest["champions"][RECIPE]["version"] == BEFORE
    _, later, _ = _report(served, "later")
    assert later == [f"The {RECIPE} model {BEFORE} stands in: {champion.why}."]
    assert registry.read_champion(served, RECIPE) == champion


def test_no_file_may_be_damaged(served, todays_version):
    """Whichever file of the champion is not what was written, another version serves."""
    whole = todays_version(RECIPE, CHAMPION)
    for name in (registry.SUMS, "model.json", "golden.npz", "metrics.json"):
        for harm in (_cut_off, _flip, _lose):
            registry.write_version(served, RECIPE, CHAMPION, whole, anew=True)
            assert not hand_over.damage(served, RECIPE, CHAMPION)
            harm(served, CHAMPION, name)
            assert hand_over.damage(served, RECIPE, CHAMPION), (name, harm)


def test_a_whole_champion_stays(served):
    """Nothing is written where nothing is wrong."""
    before = served.get(keys.champion(RECIPE))
    assert hand_over.hand_over(served, RECIPE, who="test/1").version == CHAMPION
    assert served.get(keys.champion(RECIPE)) == before
    assert list(audit.entries(served)) == []
    assert stand_ins(served) == []


def test_a_store_that_does_not_answer_is_no_damage(served, monkeypatch):
    """Its error is the task's, which is tried again; the champion stays."""
    monkeypatch.setattr(ObjectStore, "get_many", lambda *_: (_ for _ in ()).throw(StoreError("away")))
    with pytest.raises(StoreError, match="away"):
        hand_over.hand_over(served, RECIPE, who="test/1")
    monkeypatch.undo()


def test_a_damaged_or_rejected_version_is_passed_over(served, todays_version):
    """Of those that served before, the newest that is whole and was not rejected takes over."""
    for version in ("bbbb00000001", "cccc00000001", "dddd00000001"):
        registry.write_version(served, RECIPE, version, todays_version(RECIPE, version))
        registry.write_champion(served, recipe=RECIPE, version=version, since="later", who="test", why="better")
    registry.reject(served, recipe=RECIPE, version="cccc00000001", when="now", who="test", why="unwanted")
    for version in ("dddd00000001", "bbbb00000001", CHAMPION):
        _flip(served, version)
    assert hand_over.hand_over(served, RECIPE, who="test/1").version == BEFORE


def test_without_a_version_before_the_shipped_one_serves(served):
    """What the project ships is whole: it is written anew, also where its own copy in the bucket is the damaged champion."""
    shipped = seed.install_version(served, RECIPE)
    served.delete(keys.champion(RECIPE))
    registry.write_champion(served, recipe=RECIPE, version=CHAMPION, since="t", who="test", why="better")
    _flip(served, CHAMPION)
    _lose(served, shipped)
    fits = get_json(served, keys.model_file(RECIPE, shipped, "model.json"))["recipe_digest"] == get_recipe(RECIPE).digest
    assert fits, "the shipped version reads the pictures that are made now"
    assert hand_over.hand_over(served, RECIPE, who="test/1").version == shipped
    _cut_off(served, shipped)
    again = hand_over.hand_over(served, RECIPE, who="test/2")
    assert (again.version, again.who, again.stands_in) == (shipped, "test/2", True)
    assert hand_over.damage(served, RECIPE, shipped) == ""


def test_where_nothing_can_serve_records_wait(served, beat_rows, heartbeat_csv, monkeypatch):
    """They are pending, and the report says why."""
    monkeypatch.setattr(seed, "shipped_version", lambda *_: None)
    for version in (BEFORE, CHAMPION):
        _lose(served, version)
    page, notes, deciders = _night(served, "night", beat_rows, heartbeat_csv)
    assert notes[0].startswith(f"The {RECIPE} model {CHAMPION} (")
    assert notes[0].endswith(f"{registry.DAMAGED}.")
    assert deciders <= {""}
    assert get_json(served, page.replace("index.html", "summary.json"))["counts"]["pending"] == 3


def test_a_run_reads_a_version_whole_once_and_each_task_what_it_decides_with(served, beat_rows, heartbeat_csv, monkeypatch):
    """The files of a champion are many, most of them for people: the pin compares all of them once, before it is used."""
    whole = registry.read_version(served, RECIPE, CHAMPION)
    asked = Counter()
    get = ObjectStore.get

    def counting(self, key, **more):
        if key.startswith(keys.model_file(RECIPE, CHAMPION, "")):
            asked[key.rpartition("/")[2]] += 1
        return get(self, key, **more)

    monkeypatch.setattr(ObjectStore, "get", counting)
    inbox.put_files([("beats.csv", heartbeat_csv(beat_rows(3, seed=9)))])
    ingest_records.publish("r", [ingest_records.ingest_batch(job) for job in ingest_records.plan("r")])
    render_spectrograms.publish("r", [render_spectrograms.render_shard(job) for job in render_spectrograms.plan("r")])
    pin = classify_records.pin_champion("r", date="2026-01-02")
    assert asked == dict.fromkeys(whole, 1) | {"model.json": 3}
    (job,) = classify_records.plan(pin)
    asked.clear()
    classify_records.classify_shard(job)
    assert asked == {"SHA256SUMS": 1, "model.json": 2, "golden.npz": 1, NETWORK: 1}
