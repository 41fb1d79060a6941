"""What reviewers said can be looked through, and goes out as a label table that our own intake reads."""

import json

import pytest

from ecg_tasks.archive import keys, tables, verdicts
from ecg_tasks.archive.class_lists import ClassEntry, classes_in_force, stored_classes, write_classes
from ecg_tasks.archive.labelling import LabelEntry, labels_in_force, stored_labels, write_labels
from ecg_tasks.labels import ClassList
from ecg_tasks.pipeline import ingest_records
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.queries import reviewed_records
from ecg_tasks.readers.labels_csv import read_labels

OWN = {"AF": "AF ?", "none": "? -MI -AF", "both": "MI -CD ?"}


def run(store, run_id):
    """A whole intake; returns its manifest."""
    jobs = ingest_records.plan(run_id)
    ingest_records.publish(run_id, [ingest_records.ingest_batch(job) for job in jobs])
    return json.loads(store.get(keys.manifest("ingest_records", run_id)))


@pytest.fixture
def spoken(bucket, make_wfdb):
    """Five recordings, four of them with verdicts: one by two who differ, one with a skip alone; the fifth has the source's label."""
    inbox.put_files([(f"w/{name}", data) for seed in range(5) for name, data in make_wfdb(f"r{seed}", seed=seed).items()])
    run(bucket, "r1")
    index = tables.load(b"".join(bucket.get_many(bucket.list_keys(keys.RECORD_INDEX))))
    ids = [record_id for _, record_id in sorted(zip(index["name"], index["record_id"], strict=True))]

    def give(place, user, verdict, classes="", comment=""):
        verdicts.save_verdict(bucket, ids[place], verdict=verdict, user=user, comment=comment, classes=ClassList.read(classes))

    give(0, "anna", "abnormal", OWN["both"], comment="Mrs Miller's")
    give(1, "anna", "normal")
    give(1, "bert", "uninterpretable")
    give(2, "=bert", "abnormal", OWN["none"])
    give(3, "anna", "skip")
    write_labels(bucket, [LabelEntry(record_id=ids[4], label="normal", who="source:x.csv", when="2026-01-01T00:00:00+00:00")])
    write_classes(bucket, [ClassEntry(record_id=ids[0], classes="HYP", who="source:x.csv", when="2090-01-01T00:00:00+00:00")])
    return bucket, ids


def exported(store, **asked):
    """The exported table as our reader reads it."""
    return read_labels(b"".join(reviewed_records.labels_csv(store, **asked)), name="labels.csv")


def test_the_export_is_read_by_our_own_reader(spoken):
    """What reviewers said and nothing else: the latest verdict, classes present and absent, no comment unless asked for."""
    store, ids = spoken
    table = exported(store)
    assert table.rejected == ()
    assert {row.record: (row.label, str(row.classes or "")) for row in table.rows} == {
        ids[0]: ("abnormal", "MI -CD ?"),
        ids[1]: ("uninterpretable", ""),
        ids[2]: ("abnormal", "-MI -AF ?"),
    }
    text = b"".join(reviewed_records.labels_csv(store)).decode()
    assert "Miller" not in text
    assert not [cell for line in text.splitlines() for cell in line.split(",") if cell[:1] in set("=+-@")]
    assert "Mrs Miller's" in b"".join(reviewed_records.labels_csv(store, comments=True)).decode()
    assert exported(store, comments=True) == table


def test_the_export_dropped_into_another_bucket_gives_the_same_labels(spoken, bucket_in, monkeypatch, make_wfdb):
    """Round trip: the same recordings there get the same labels and classes, by their ids, and nothing is refused."""
    store, ids = spoken
    table = b"".join(reviewed_records.labels_csv(store, comments=True))
    other = bucket_in(monkeypatch)
    inbox.put_files([(f"elsewhere/{name}", data) for seed in range(5) for name, data in make_wfdb(f"r{seed}", seed=seed).items()])
    run(other, "r1")
    inbox.put_files([("labels.csv", table)])
    manifest = run(other, "r2")
    assert manifest["quarantined"] == []
    assert {one: entry.label for one, entry in labels_in_force(other).items()} == {
        ids[0]: "abnormal",
        ids[1]: "uninterpretable",
        ids[2]: "abnormal",
    }
    known = classes_in_force(stored_classes(other), labels=stored_labels(other))
    assert {one: (set(found.has), set(found.lacks)) for one, found in known.items()} == {
        ids[0]: ({"MI"}, {"CD"}),
        ids[2]: (set(), {"MI", "AF"}),
    }


def test_nothing_said_is_a_table_without_rows(bucket):
    """With its columns, as a program expects."""
    assert b"".join(reviewed_records.labels_csv(bucket)).decode().split() == [",".join(reviewed_records.COLUMNS)]
    assert exported(bucket).rows == ()


def test_a_search_is_by_class_comment_person_and_verdict(spoken):
    """Words in any order and case; what waits for a blind reader's own verdict is left out and counted."""
    store, ids = spoken

    def found(**asked):
        return {one.record_id for one in reviewed_records.search(store, **asked).records}

    assert found() == {ids[0], ids[1], ids[2]}
    assert found(text="miller MI") == {ids[0]}
    assert found(text="bert") == {ids[1], ids[2]}
    assert found(label="uninterpretable") == found(disputed=True) == {ids[1]}
    assert found(text="nobody") == set()
    page = reviewed_records.search(store, limit=1, offset=1)
    assert (len(page.records), page.found, page.hidden) == (1, 3, 0)
    blind = reviewed_records.search(store, unseen_by="=bert")
    assert blind.hidden == 1
    assert ids[1] not in {one.record_id for one in blind.records}
    assert reviewed_records.search(store, unseen_by="anna").hidden == 0
