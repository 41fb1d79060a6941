"""Files that are put again, or replaced, while a run is at work that has found them: nothing is mixed, nothing goes unread."""

import json
from datetime import timedelta

import pytest

from benchmarks import written_files as written
from ecg_tasks.archive import keys, record_shards
from ecg_tasks.archive.labelling import labels_in_force
from ecg_tasks.archive.record_shards import StoredRecord
from ecg_tasks.pipeline import ingest_records
from ecg_tasks.pipeline.intake import inbox
from tests.short_way import server

TABLE = b"record,label,patient_id\na,abnormal,P7\n"


def run(bucket, name: str, *, before_tasks=lambda: None, before_the_end=lambda: None) -> dict:
    """One whole run of the DAG's tasks, with what happens meanwhile; returns its manifest."""
    jobs = ingest_records.plan(name)
    before_tasks()
    results = [ingest_records.ingest_batch(job) for job in jobs]
    before_the_end()
    return json.loads(bucket.get(ingest_records.publish(name, results)))


@pytest.fixture
def put(bucket):
    """Put files into the inbox a second after all that is there."""

    def files(some) -> None:
        there = server().buckets[bucket.bucket].keys
        last = max((there[key].last_modified for key in bucket.list_keys(keys.INBOX)), default=None)
        inbox.put_files(some.items())
        for name in some if last is not None else ():
            there[f"{keys.INBOX}{name}"].last_modified = last + timedelta(seconds=1)

    return files


def records(bucket) -> list[StoredRecord]:
    """All records of the archive."""
    return [one for data in bucket.get_many(bucket.list_keys(keys.RECORDS)) for one in record_shards.load_shard(data)]


def test_a_recording_that_is_mended_keeps_the_table_that_comes_with_it_again(bucket, make_wfdb, put):
    """The table is as it was, and was taken once: it says label and patient of the second recording, too."""
    first, mended = ({f"w/{name}": data for name, data in make_wfdb("a", seed=seed).items()} for seed in (1, 2))
    put(first | {"w/labels.csv": TABLE})
    run(bucket, "r1", before_the_end=lambda: put(mended | {"w/labels.csv": TABLE}))
    run(bucket, "r2")
    assert bucket.list_keys(keys.INBOX) == []
    found = records(bucket)
    assert len({one.record.record_id for one in found}) == 2
    assert len({one.patient for one in found} - {None}) == 1
    assert {record_id: one.label for record_id, one in labels_in_force(bucket).items()} == {
        one.record.record_id: "abnormal" for one in found if one.patient
    }
    assert all(one.patient for one in found)


def test_a_signal_that_is_put_again_with_its_mended_header_stays_with_it(bucket, make_wfdb, put):
    """The header is another, the signal the same: both are read together."""
    files = make_wfdb("a", seed=1)
    mended = files | {"a.hea": files["a.hea"].replace(b" 250 ", b" 500 ")}
    put(files)
    run(bucket, "r1", before_the_end=lambda: put(mended))
    assert run(bucket, "r2")["account"]["records"] == 1
    assert bucket.list_keys(keys.INBOX) == []
    assert {one.record.fs for one in records(bucket)} == {250.0, 500.0}


def test_the_same_bytes_again_are_a_duplicate(bucket, make_wfdb, put):
    """They were put a second time, and are counted so, by the run that finds them."""
    files = make_wfdb("a", seed=1)
    put(files)
    run(bucket, "r1", before_the_end=lambda: put(files))
    account = run(bucket, "r2")["account"]
    assert (account["received"], account["records"], account["duplicates"]) == (1, 0, 1)
    assert bucket.list_keys(keys.INBOX) == []


def test_a_file_is_not_read_with_what_belonged_to_another_of_its_name(bucket, put):
    """An array was replaced, and what says its rate is about to be: one that is half replaced is no recording."""
    one, other = written.made(), written.made(1)
    told = json.loads(written.sidecar(one))
    put({"w/a.npy": written.npy(one)["r.npy"], "w/signals.json": json.dumps(told).encode()})
    replaced = {"w/a.npy": written.npy(other)["r.npy"]}
    manifest = run(bucket, "r1", before_tasks=lambda: put(replaced))
    assert ([line["fate"] for line in manifest["inputs"]], records(bucket)) == (["gone"], [])
    put(replaced | {"w/signals.json": json.dumps(told | {"fs": told["fs"] * 2}).encode()})
    run(bucket, "r2")
    assert [one.record.fs for one in records(bucket)] == [told["fs"] * 2]
