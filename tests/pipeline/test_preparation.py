"""A stack that starts finds its bucket ready, whoever worked on it before, and whatever was broken off in it."""

import json

import pytest

from ecg_tasks.archive import keys, registry
from ecg_tasks.archive.catalog import RECORD, Catalog
from ecg_tasks.pipeline import ingest_records
from ecg_tasks.pipeline.intake import describing, inbox
from ecg_tasks.pipeline.preparation import prepare_bucket


def take_in(name):
    """One whole intake; returns its account."""
    key = ingest_records.publish(name, [ingest_records.ingest_batch(job) for job in ingest_records.plan(name)])
    return json.loads(ingest_records.open_store().get(key))["account"]


def n_known(bucket):
    """Records that the catalogue knows."""
    return sum(len(part["record_id"]) for part in Catalog.open(bucket).rows(["record_id"], kind=RECORD))


def test_shipped_champions_serve_once(bucket):
    """Where nothing serves they do; a second start changes nothing."""
    assert sorted(prepare_bucket()) == ["heartbeat", "twelve_lead"]
    assert prepare_bucket() == []
    assert registry.read_champion(bucket, "heartbeat") is not None


def test_what_an_earlier_program_let_in_is_known_to_the_next_intake(bucket, beat_rows, heartbeat_csv):
    """It knows no catalogue and leaves shards that are in no segment: after a start the next intake takes them for what they are."""
    rows = heartbeat_csv(beat_rows(3))
    inbox.put_files([("first.csv", heartbeat_csv(beat_rows(2, seed=1)))])
    take_in("r0")
    before = {key: bucket.get(key) for key in bucket.list_keys(keys.CATALOG)}
    inbox.put_files([("a.csv", rows)])
    take_in("r1")
    for key, data in before.items():  # as if the other program had taken it in
        bucket.put(key, data)
    assert n_known(bucket) == 2
    prepare_bucket()
    inbox.put_files([("again.csv", rows)])
    counts = take_in("r2")
    assert (counts["records"], counts["duplicates"]) == (0, 3)
    assert n_known(bucket) == 5


def test_a_start_spares_a_publication_that_was_broken_off(bucket, beat_rows, heartbeat_csv, monkeypatch):
    """Its shards are in the archive and not yet in the catalogue: tried again after the start, it does not take them for duplicates."""
    inbox.put_files([("a.csv", heartbeat_csv(beat_rows(3)))])
    results = [ingest_records.ingest_batch(job) for job in ingest_records.plan("r1")]
    with monkeypatch.context() as patch:
        patch.setattr(describing, "describe", lambda *_args, **_more: pytest.fail("the stack is killed"))
        with pytest.raises(pytest.fail.Exception):
            ingest_records.publish("r1", results)
    assert bucket.list_keys(keys.RECORDS) != []
    prepare_bucket()
    counts = json.loads(bucket.get(ingest_records.publish("r1", results)))["account"]
    assert (counts["records"], counts["duplicates"]) == (3, 0)
    assert n_known(bucket) == 3
    assert ingest_records.plan("r2") == []
    assert n_known(bucket) == 3
