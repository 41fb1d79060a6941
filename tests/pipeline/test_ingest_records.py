"""Taking drops over: accounts that add up, nothing lost, nothing twice."""

import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from botocore.client import BaseClient

from ecg_tasks.archive import catalog, keys, record_shards, tables
from ecg_tasks.archive.labelling import labels_in_force
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.pipeline import ingest_records
from ecg_tasks.pipeline.intake import inbox, publication
from ecg_tasks.signals.record import Record
from tests.breaking import break_every_change, insist
from tests.short_way import server


def run(run_id: str) -> dict:
    """One whole run of the DAG's tasks, as the scheduler would call them; returns the manifest."""
    from ecg_tasks.archive.workspace import open_store

    jobs = ingest_records.plan(run_id)
    if jobs:
        ingest_records.publish(run_id, [ingest_records.ingest_batch(job) for job in jobs])
    return json.loads(open_store().get(keys.manifest("ingest_records", keys.run_key(run_id))))


def archive(bucket: ObjectStore) -> dict[str, dict]:
    """Every record of the archive by its name."""
    found = {}
    for key in bucket.list_keys(keys.RECORDS):
        for stored in record_shards.load_shard(bucket.get(key)):
            found[stored.record.name] = stored
    return found


def snapshot(bucket: ObjectStore) -> dict[str, str]:
    """ETags of everything but what tells of the runs themselves, and work in progress; the catalogue names the last run."""
    runs = (keys.MANIFESTS, keys.AUDIT, keys.STAGING, keys.CATALOG)
    return {item.key: item.etag for item in bucket.list_objects("") if not item.key.startswith(runs)}


def catalog_rows(bucket: ObjectStore) -> list[tuple]:
    """Every row of the catalogue."""
    found = catalog.Catalog.open(bucket)
    parts = [part for kind in range(4) for part in found.rows(tables.CATALOG.names, kind=kind)]
    return sorted(tuple(map(str, row)) for part in parts for row in zip(*part.values(), strict=True))


@pytest.fixture
def drop(beat_rows, heartbeat_csv, make_wfdb) -> dict[str, bytes]:
    """Good rows, a bad row, a renamed copy, a corrupt file, two WFDB recordings with labels, one of them broken off."""
    rows = beat_rows(6)
    bad = heartbeat_csv(rows[3:]).replace(b"\n", b",1,2,3\n", 1)
    recordings = make_wfdb("a1", seed=1) | make_wfdb("a2", seed=2)
    return {
        "ward/beats.csv": heartbeat_csv(rows[:3], np.array([0, 1, 0])),
        "ward/again.csv": heartbeat_csv(rows[:3], np.array([0, 1, 0])),
        "ward/one_bad_row.csv": bad,
        "ward/corrupt.csv": bytes(range(256)) * 20,
        "wfdb/labels.csv": b"record,label,patient_id\na1,abnormal,PATIENT-SEVEN\na2,normal,P8\n",
        **{f"wfdb/{name}": data for name, data in recordings.items()},
    }


def test_account_adds_up(bucket, drop):
    """Every input is counted once: as a record, a duplicate, or in quarantine with its code."""
    inbox.put_files(drop.items())
    manifest = run("r1")
    assert manifest["account"] == {
        "received": 12,
        "records": 7,
        "duplicates": 3,
        "quarantined": 2,
        "passed_over": 0,
        "forgotten": 0,
        "waiting": 0,
    }
    assert {(entry["name"], entry["reason"]) for entry in manifest["quarantined"]} == {
        ("ward/one_bad_row.csv#1", "wrong_width"),
        ("ward/corrupt.csv", "unreadable"),
    }
    assert bucket.list_keys(keys.INBOX) == []


def test_records_keep_what_the_label_table_says(bucket, drop):
    """Patient, bucket and label of a recording come from the table beside it, and the patient id is stored nowhere."""
    inbox.put_files(drop.items())
    run("r1")
    found = archive(bucket)
    assert found["wfdb/a1"].patient
    assert found["wfdb/a1"].patient != found["wfdb/a2"].patient
    assert 0 <= found["wfdb/a1"].split_bucket < 10_000
    labels = labels_in_force(bucket)
    assert labels[found["wfdb/a1"].record.record_id].label == "abnormal"
    assert labels[found["ward/again.csv#2"].record.record_id].label == "abnormal"
    stored = [bucket.get(key) for key in bucket.list_keys("") if not key.startswith(keys.RAW)]
    assert not any(b"PATIENT-SEVEN" in data for data in stored)


def test_second_run_changes_nothing(bucket, drop):
    """The same files dropped again are all duplicates, and the bucket stays as it was."""
    inbox.put_files(drop.items())
    run("r1")
    before = snapshot(bucket)
    inbox.put_files(drop.items())
    manifest = run("r2")
    assert manifest["account"]["records"] == 0
    assert manifest["account"]["duplicates"] == 10
    assert snapshot(bucket) == before


def test_a_published_run_planned_once_more_keeps_its_account(bucket, drop):
    """Clearing the first task of a run that is over changes nothing, whatever has come into the inbox since."""
    inbox.put_files(drop.items())
    run("r1")
    before = bucket.get(keys.manifest("ingest_records", "r1"))
    inbox.put_files(drop.items())
    assert ingest_records.plan("r1") == []
    assert bucket.get(keys.manifest("ingest_records", "r1")) == before
    assert run("r2")["account"]["received"] > 0


def test_an_empty_inbox_writes_nothing(bucket):
    """With nothing to do there are no jobs, and no object is written: an idle stack plans four times an hour."""
    assert ingest_records.plan("r1") == []
    assert bucket.list_keys("") == []


def test_recording_waits_for_its_files(bucket, make_wfdb):
    """A header without its signal file stays in the inbox, with its label table, until the file comes."""
    files = make_wfdb("b1", seed=3)
    inbox.put_files([("w/b1.hea", files["b1.hea"]), ("w/labels.csv", b"record,label,patient_id\nb1,normal,P1\n")])
    manifest = run("r1")
    assert manifest["account"] == {
        "received": 0,
        "records": 0,
        "duplicates": 0,
        "quarantined": 0,
        "passed_over": 0,
        "forgotten": 0,
        "waiting": 1,
    }
    assert bucket.list_keys(keys.INBOX) == ["inbox/w/b1.hea", "inbox/w/labels.csv"]
    inbox.put_files([("w/b1.dat", files["b1.dat"])])
    assert run("r2")["account"]["records"] == 1
    assert bucket.list_keys(keys.INBOX) == []
    assert archive(bucket)["w/b1"].patient is not None


def test_incomplete_recording_is_quarantined_after_the_grace_period(bucket, make_wfdb, monkeypatch):
    """When the signal file does not come in time, the header goes to quarantine as incomplete."""
    monkeypatch.setenv("ECG_WFDB_GRACE_S", "0")
    inbox.put_files([("w/b1.hea", make_wfdb("b1", seed=3)["b1.hea"])])
    manifest = run("r1")
    assert [entry["reason"] for entry in manifest["quarantined"]] == ["incomplete"]
    assert bucket.list_keys(keys.INBOX) == []


def test_label_table_waits_for_its_recordings(bucket, make_wfdb):
    """A table that came before its recordings stays in the inbox, so that they get their patient; then it goes."""
    inbox.put_files([("w/labels.csv", b"record,label,patient_id\nd1,normal,P1\n")])
    assert run("r1")["account"]["quarantined"] == 0
    assert bucket.list_keys(keys.INBOX) == ["inbox/w/labels.csv"]
    inbox.put_files((f"w/{name}", data) for name, data in make_wfdb("d1", seed=6).items())
    assert run("r2")["labels"]["stored"] == 1
    assert bucket.list_keys(keys.INBOX) == []
    assert archive(bucket)["w/d1"].patient is not None


def test_label_table_remembers_a_duplicate_of_an_earlier_run(bucket, make_wfdb):
    """A recording that was a duplicate when the table still waited for others does not hold the table for ever."""
    first, second = make_wfdb("e1", seed=7), make_wfdb("e2", seed=8)
    renamed = {"a/copy.hea": first["e1.hea"].replace(b"e1", b"copy"), "a/copy.dat": first["e1.dat"]}
    table = b"record,label,patient_id\ne1,normal,P1\ne2,abnormal,P2\n"
    inbox.put_files([*renamed.items(), ("w/labels.csv", table), *((f"w/{name}", data) for name, data in first.items())])
    assert run("r1")["account"]["duplicates"] == 1
    assert bucket.list_keys(keys.INBOX) == ["inbox/w/labels.csv"]
    inbox.put_files((f"w/{name}", data) for name, data in second.items())
    run("r2")
    assert bucket.list_keys(keys.INBOX) == []
    assert sorted(entry.label for entry in labels_in_force(bucket).values()) == ["abnormal", "normal"]


def test_label_table_that_comes_later_may_name_a_duplicate(bucket, make_wfdb, monkeypatch):
    """The name by which a recording was a duplicate is a name that was received; nothing is kept of it twice."""
    monkeypatch.setenv("ECG_WFDB_GRACE_S", "0")
    first = make_wfdb("e1", seed=7)
    renamed = {"a/copy.hea": first["e1.hea"].replace(b"e1", b"copy"), "a/copy.dat": first["e1.dat"]}
    inbox.put_files([*renamed.items(), *((f"w/{name}", data) for name, data in first.items())])
    assert run("r1")["account"]["duplicates"] == 1
    inbox.put_files([("w/labels.csv", b"record,label\ne1,normal\n"), ("a/labels.csv", b"record,label\ncopy,normal\n")])
    manifest = run("r2")
    assert (manifest["quarantined"], manifest["labels"]["stored"]) == ([], 1)
    assert bucket.list_keys(keys.INBOX) == []
    inbox.put_files(renamed.items())
    run("r3")
    assert len(bucket.list_keys(keys.ALIASES)) == 1


def test_label_of_an_archived_recording_may_come_later(bucket, make_wfdb, monkeypatch):
    """A label table without recordings finds them in the archive by name; after the grace period an unknown name goes to quarantine."""
    monkeypatch.setenv("ECG_WFDB_GRACE_S", "0")
    inbox.put_files((f"w/{name}", data) for name, data in make_wfdb("c1", seed=4).items())
    run("r1")
    inbox.put_files([("w/labels.csv", b"record,label\nc1,abnormal\nnobody,normal\n")])
    manifest = run("r2")
    assert manifest["labels"]["stored"] == 1
    assert [entry["reason"] for entry in manifest["quarantined"]] == ["bad_label"]
    assert [entry.label for entry in labels_in_force(bucket).values()] == ["abnormal"]


def test_file_that_changed_meanwhile_stays(bucket, beat_rows, heartbeat_csv):
    """A file that its owner replaced after the plan is not removed: the next run takes the new content."""
    inbox.put_files([("f.csv", heartbeat_csv(beat_rows(2)))])
    jobs = ingest_records.plan("r1")
    results = [ingest_records.ingest_batch(job) for job in jobs]
    inbox.put_files([("f.csv", heartbeat_csv(beat_rows(2, seed=9)))])
    ingest_records.publish("r1", results)
    assert bucket.list_keys(keys.INBOX) == ["inbox/f.csv"]
    run("r2")
    assert len(archive(bucket)) == 2
    assert sum(tables.n_rows(tables.load(bucket.get(key))) for key in bucket.list_keys(keys.RECORDS)) == 4


def test_killed_anywhere_and_run_again_gives_the_same(bucket, drop, monkeypatch):
    """Break every single change of the store once, run the task again: the outcome is that of an undisturbed run."""
    inbox.put_files(drop.items())
    times = {item.key: item.modified for item in bucket.list_objects(keys.INBOX)}
    undisturbed = run("r1")
    expected = {key: etag for key, etag in snapshot(bucket).items() if not key.startswith(keys.LABELS)}
    for item in bucket.list_keys(""):
        bucket.delete(item)
    inbox.put_files(drop.items())
    assert set(times) == set(bucket.list_keys(keys.INBOX))

    broken = break_every_change(monkeypatch)
    jobs = insist(ingest_records.plan, "r1")
    manifest_key = insist(ingest_records.publish, "r1", [insist(ingest_records.ingest_batch, job) for job in jobs])
    assert len(broken) > 20
    manifest = json.loads(bucket.get(manifest_key))
    assert manifest["account"] == undisturbed["account"]
    assert {key: etag for key, etag in snapshot(bucket).items() if not key.startswith(keys.LABELS)} == expected
    assert len(bucket.list_keys(keys.LABELS)) == 1
    stands = catalog_rows(bucket)
    insist(catalog.rebuild, bucket)
    assert catalog_rows(bucket) == stands


def test_a_publication_that_gave_up_is_ended_by_the_next_run(bucket, drop, monkeypatch):
    """Shards stood in the archive and no manifest named them: all files would be duplicates, and no report cover their records."""
    inbox.put_files(drop.items())
    undisturbed = run("r1")
    for item in bucket.list_keys(""):
        bucket.delete(item)
    inbox.put_files(drop.items())
    results = [ingest_records.ingest_batch(job) for job in ingest_records.plan("r1")]
    with monkeypatch.context() as patch:
        patch.setattr(publication, "write_manifest", lambda *_args, **_more: pytest.fail("the store is away"))
        with pytest.raises(pytest.fail.Exception):
            ingest_records.publish("r1", results)
    assert bucket.list_keys(keys.RECORDS) != []
    (job,) = ingest_records.plan("r2")
    ingest_records.publish("r2", [ingest_records.ingest_batch(job)])
    told = {name: json.loads(bucket.get(keys.manifest("ingest_records", name))) for name in ("r1", "r2")}
    assert (told["r1"]["account"], told["r1"]["shards"]) == (undisturbed["account"], undisturbed["shards"])
    assert set(told["r2"]["account"].values()) == {0}
    assert bucket.list_keys(keys.INBOX) == []
    assert ingest_records.plan("r3") == []


def fill_archive(store: ObjectStore, n: int) -> None:
    """Put ``n`` shards of one record each into the archive and its catalogue, all with the bytes of one shard."""
    record = Record(samples=np.ones((1, 5), np.float32), fs=125.0, leads=("II",), unit="relative", name="w/0")
    shard = [record_shards.StoredRecord(record=record, source="0" * 64, patient=None, split_bucket=-1)]
    index, data = record_shards.dump_index(shard), record_shards.dump_shard(shard)
    record_ids = [f"{number:032x}" for number in range(n)]
    names = [record_shards.shard_name([record_id]) for record_id in record_ids]
    for name in names:
        server().put_object(store.bucket, keys.record_index(name), index)
        server().put_object(store.bucket, keys.record_shard(name), data)
    rows = pa.concat_tables([catalog.of_index("", index)] * n)
    for column, values in {"record_id": record_ids, "shard": names, "called": names}.items():
        rows = rows.set_column(rows.column_names.index(column), rows.schema.field(column), pa.array(values, rows.schema.field(column).type))
    found = catalog.Catalog.open(store)
    with found.grow() as growing:
        growing.add(rows)
        growing.publish(run="earlier", number=found.head.number, logged=found.head.logged)


def test_an_intake_costs_the_same_over_any_archive(bucket, beat_rows, heartbeat_csv, make_wfdb, monkeypatch):
    """A record more over 2,000 shards of one record each takes at most 20 requests, listings included, and as many as over a few."""
    asked: list[str] = []
    call = BaseClient._make_api_call
    monkeypatch.setattr(BaseClient, "_make_api_call", lambda self, name, given: asked.append(name) or call(self, name, given))

    def requests(files: dict[str, bytes]) -> int:
        inbox.put_files(files.items())
        run_id = min(files)
        del asked[:]
        ingest_records.publish(run_id, [ingest_records.ingest_batch(job) for job in ingest_records.plan(run_id)])
        return len(asked)

    def beat(seed: int, labels: np.ndarray | None = None) -> dict[str, bytes]:
        return {f"{seed}.csv": heartbeat_csv(beat_rows(1, seed=seed), labels)}

    requests(beat(1))
    requests(beat(2))  # the log of acts has no entry before this one
    few = requests(beat(3))
    fill_archive(bucket, 2000)
    assert len(catalog_rows(bucket)) == 2003
    assert few == requests(beat(4)) <= 20, Counter(asked)
    assert requests(beat(5, labels=np.array([1]))) <= 20, Counter(asked)
    assert requests(make_wfdb("twelve", seed=1)) <= 23, Counter(asked)  # a header read twice, a signal, and the list of both
