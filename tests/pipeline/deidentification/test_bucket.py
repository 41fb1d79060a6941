"""A bucket that held names in the clear holds none afterwards, says the same of every record, and can be broken off anywhere."""

import hashlib
import io
import json
import re
import zipfile

import numpy as np
import pytest

from ecg_tasks import readers
from ecg_tasks.archive import audit, keys, registry, tables
from ecg_tasks.archive.documents import Deidentification, IntakeManifest, read, read_manifests
from ecg_tasks.archive.labelling import LabelEntry, dump_labels, in_force, labels_in_force, load_labels
from ecg_tasks.archive.object_store import forgetting
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.archive.workspace import now
from ecg_tasks.errors import ConfigurationError
from ecg_tasks.evaluation.splits import split_of
from ecg_tasks.pipeline import maintain_store
from ecg_tasks.pipeline.deidentification import bucket as whole
from ecg_tasks.pipeline.deidentification import known_names, stored
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.pipeline.maintenance.checksums import audit_checksums
from ecg_tasks.pipeline.maintenance.rules import RULES
from ecg_tasks.pipeline.training import dataset, grouping
from ecg_tasks.queries import audit_log, quarantine, records, report_table, runs
from ecg_tasks.queries.lineage import tracing
from ecg_tasks.queries.lineage.links import LinkState
from ecg_tasks.settings import Settings
from ecg_tasks.signals.sample_drop import sample_drop
from tests.breaking import break_every_change, insist
from tests.pipeline.test_identifiers import FOUND, dropped, intake, night, objects_with_words
from tests.scanned import objects_with, spellings
from tests.upgrade.old_bucket import contents, old_bucket, put

pytestmark = pytest.mark.slow

OF_VERSION_0_1 = "accounted"
"""The state of the old bucket in which nothing is under way."""
_LEFT = (keys.AUDIT, keys.DEIDENTIFIED)
"""Where moments stand that no two runs share."""


@pytest.fixture
def old(bucket, monkeypatch):
    """The bucket of version 0.1, in which everything stands by its name, with the settings of the door."""
    as_the_door(monkeypatch)
    put(bucket, OF_VERSION_0_1)
    bucket.delete_many(bucket.list_keys(keys.INBOX))
    return bucket


def as_the_door(monkeypatch):
    """Let nothing be set."""
    for name in ("ECG_KEEP_NAMES", "ECG_RAW_KEEPS", "ECG_DATES"):
        monkeypatch.delenv(name, raising=False)


def deidentify(store, run="one", **options):
    """Do it, and return the account."""
    return whole.deidentify(store, Settings.from_environment(), run=run, say=lambda _: None, **({"dry_run": False} | options))


def without_moments(store):
    """Contents of all objects but the log and the runs' own accounts."""
    return {key: data for key, data in contents(store).items() if not key.startswith(_LEFT)}


def said_of_records(store):
    """What stands of every record but names, sources and buckets: its split in place of the bucket."""
    found = {}
    for data in store.get_many(store.list_keys(keys.RECORD_INDEX)):
        index = tables.load(data)
        for row, record_id in enumerate(index["record_id"]):
            bucket = int(index["split_bucket"][row])
            split = split_of(bucket) if bucket >= 0 else None
            found[record_id] = (index["patient"][row], split, float(index["fs"][row]), index["sex"][row], tuple(index["leads"][row]))
    return found


def in_the_clear(store):
    """Every name in the bucket that tells something, with the bytes that it is searched by."""
    known = known_names.collect(store, StoredNames.of(Settings.from_environment()))
    paths = {name for name in known._files | known._ids.keys() if "/" in name}
    files = {name.rpartition("/")[2] for name in paths} - {"labels.csv"}
    return {name: spellings(name) for name in paths | {file for file in files if "." in file}}


def test_no_name_of_version_0_1_is_left_and_everything_says_the_same(old):
    """Names in paths, headers, tables, reports, pages, the log; decisions, labels, reports' rows and numbers are as version 0.1 said."""
    wanted = in_the_clear(old)
    assert len(wanted) > 150
    assert {key.partition("/")[0] for key in objects_with(old, wanted)} >= {
        "raw",
        "records",
        "record_index",
        "aliases",
        "labels",
        "reports",
    }
    before, n_entries = said_of_records(old), len(audit.entries(old))
    labels = {record_id: (one.label, one.when) for record_id, one in labels_in_force(old).items()}
    groups = {
        record_id: (one.name, one.split_bucket < 0 or split_of(one.split_bucket)) for record_id, one in grouping.read_groups(old).items()
    }
    splits = {
        key.split("/")[1]: dataset.load_rows(old, key.split("/")[1])
        for key in old.list_keys(keys.DATASETS)
        if key.endswith("split.parquet")
    }
    account = deidentify(old)
    assert objects_with(old, wanted) == {}
    assert account.copies.drops == account.copies.copied + account.copies.withheld == 38
    assert account.copies.why == {"it was refused": 6}
    assert said_of_records(old) == before
    assert {record_id: (one.label, one.when) for record_id, one in labels_in_force(old).items()} == labels
    now = {
        record_id: (one.name, one.split_bucket < 0 or split_of(one.split_bucket)) for record_id, one in grouping.read_groups(old).items()
    }
    assert now == groups
    for dataset_id, rows in splits.items():
        told = [(row.record_id, row.group, row.split, row.label, split_of(max(row.split_bucket, 0))) for row in rows]
        found = dataset.load_rows(old, dataset_id)
        assert [(row.record_id, row.group, row.split, row.label, split_of(max(row.split_bucket, 0))) for row in found] == told
        assert [row.split_bucket for row in found] != [row.split_bucket for row in rows]
    assert audit_log.check(old).faults == ()
    assert len(audit.entries(old)) == n_entries + 2


def test_reports_of_version_0_1_have_the_same_rows_and_numbers(old):
    """Each row of a report stands under the record's id; accounts, decisions and reasons are the same."""
    said = old_bucket().said
    deidentify(old)
    there = {run.run for run in runs.runs(old).runs}
    assert len(there) >= 2
    for run in there:
        told = said["reports"][run]
        summary, rows = runs.summary(old, told["date"], run), report_table.table(old, told["date"], run)
        assert (dict(summary.decisions), dict(summary.reasons)) == (told["decisions"], told["reasons"])
        assert [row["record_id"] for row in rows.all_rows()] == told["order"]
        assert all(row["name"] == row["record_id"] for row in rows.all_rows())
        page = old.get(keys.report(told["date"], run, "index.html")).decode()
        assert re.findall(r'<td class="num">([^<]*)', page) == re.findall(
            r'<td class="num">([^<]*)', old_bucket().states[OF_VERSION_0_1][keys.report(told["date"], run, "index.html")].data.decode()
        )


def test_nothing_is_damaged_or_lost_and_lineage_still_holds(old):
    """Every digest is right; what has a copy is found from its record; a changed account is the one that the log vouches for."""
    orphans = {(one.kind, one.key) for one in maintain(old, "before").orphans}
    states = {manifest.run: tracing.trace(old, manifest.run).state for manifest in read_manifests(old, IntakeManifest)}
    assert list(states.values()).count(LinkState.CHECKED) >= 5
    deidentify(old)
    found = audit_checksums(old, run="any", sample=10_000)
    assert found.damaged == ()
    assert min(found.read[kind] for kind in ("raw", "records", "labels", "aliases", "groups", "datasets", "models")) > 0
    assert {(one.kind, one.key) for one in maintain(old, "after").orphans} <= orphans
    for manifest in read_manifests(old, IntakeManifest):
        assert tracing.trace(old, manifest.run).state is states[manifest.run]
    for record_id in list(said_of_records(old))[::9]:
        assert records.record_page(old, record_id).raw


def maintain(store, run):
    """Look for orphans, and read again."""
    plan = maintain_store.plan(run, days=dict.fromkeys(RULES, 0.0), dry_run=True, sample=0)
    parts = [maintain_store.delete(plan), maintain_store.check_orphans(plan), maintain_store.check_contents(plan)]
    return read(store, maintain_store.MaintenanceManifest, maintain_store.publish(plan, *parts))


def test_what_comes_again_is_a_duplicate_and_labels_find_their_records(old):
    """The same bytes under the same names, and a label by the name that a record had."""
    one = next(line for manifest in read_manifests(old, IntakeManifest) for line in manifest.inputs if line.name == "ward/p02.hea")
    files = {file.key: old_bucket().states[OF_VERSION_0_1][f"raw/{one.source}/{file.key.rpartition('/')[2]}"].data for file in one.files}
    deidentify(old)
    inbox.put_files((key.removeprefix(keys.INBOX), data) for key, data in files.items())
    inbox.put_files([("ward/labels.csv", b"record,label\np03,abnormal\n")])
    list(intake("again"))
    manifest = read_manifest(old, "again")
    assert (manifest.counts.duplicates, manifest.counts.records) == (1, 0)
    assert manifest.quarantined == ()
    assert manifest.labels.rows == 1


def read_manifest(store, run):
    """The account of an intake."""
    return read(store, IntakeManifest, keys.manifest("ingest_records", run))


def test_bytes_are_read_behind_walls(old, monkeypatch):
    """Files of strangers, alone and in archives, are parsed in no process that has the keys."""

    def refuse(*_, **__):
        raise AssertionError("a file is parsed here")

    monkeypatch.setattr(readers, "read", refuse)
    assert deidentify(old).copies.copied == 32


def test_a_dry_run_changes_nothing_and_says_the_same(old):
    """What it would do is what is done."""
    before = contents(old)
    dry = deidentify(old, dry_run=True)
    assert contents(old) == before
    done = deidentify(old)
    assert dry.copies == done.copies
    same = {"records", "record_index", "aliases", "labels", "reports", "quarantine", "accounts", "datasets", "groups", "decided"}
    assert {kind: dry.kinds[kind] for kind in same} == {kind: done.kinds[kind] for kind in same}
    assert "would be withheld" in whole.headline(dry)[0]
    account = read(old, Deidentification, keys.deidentified("one", "account.json"))
    assert account.copies == done.copies


def test_a_second_time_changes_nothing(old):
    """Not even the log."""
    deidentify(old)
    before = contents(old)
    again = deidentify(old, run="two")
    assert contents(old) == before
    assert again.copies.as_they_were == again.copies.drops
    assert all(one.objects == one.unchanged for one in again.kinds.values())


def small(patch, store, *, keep_names="1", raw_keeps="as_dropped"):
    """Fill a bucket while everything is kept: recordings, beats with a bad row, a duplicate, labels, an archive, and a written report."""
    for name, value in (("ECG_KEEP_NAMES", keep_names), ("ECG_RAW_KEEPS", raw_keeps), ("ECG_WFDB_GRACE_S", "0")):
        patch.setenv(name, value)
    drop = sample_drop(seed=3, n_patients=2, recordings_per_patient=1)
    one, other, *_ = sorted({name.rpartition(".")[0] for name in drop if name.endswith(".hea")})
    loose = {name: data for name, data in drop.items() if name.startswith(one)}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in drop.items():
            if name.startswith(other):
                archive.writestr(f"Mustermann Erika/{name.rpartition('/')[2]}", data)
    beats = "\n".join(",".join(f"{value:.3f}" for value in row) for row in np.random.default_rng(1).random((2, 187)))
    files = {f"Mustermann_Erika/{name.rpartition('/')[2]}": data for name, data in loose.items()}
    files |= {"Mustermann_Erika/beats.csv": f"{beats}\n1,2\n".encode(), "4711081/again.csv": f"{beats}\n".encode()}
    files |= {
        "Mustermann.zip": packed.getvalue(),
        "Mustermann_Erika/labels.csv": b"record,label,patient_id\nbeats.csv#1,abnormal,4711081\n",
    }
    inbox.put_files(files.items())
    list(intake("first"))
    index = tables.load(store.get(store.list_keys(keys.RECORD_INDEX)[0]))
    record_id, name = index["record_id"][0], index["name"][0]
    report = {
        "index.html": f'<title>{name}: normal</title><td class="num">4711</td><bdi>{name}</bdi><td>{name}: it is odd</td>',
        "summary.json": json.dumps({"inputs": [{"name": name, "record_id": record_id}, "inbox/Mustermann_Erika/beats.csv"]}),
        "predictions.csv": f"record_id,name,probability\n{record_id},{name},0.5\n",
    }
    store.put_many((keys.report("2026-01-01", "r", path), text.encode(), "text/plain") for path, text in report.items())
    as_the_door(patch)


def test_broken_off_at_every_write_it_ends_the_same(bucket_in, monkeypatch):
    """Each change of the store fails once before it is made, and the command is given again: the same objects, and a log that holds."""
    ended = []
    for is_broken in (False, True):
        with monkeypatch.context() as patch:
            store = bucket_in(patch)
            if not is_broken:
                small(patch, store)
                filled = contents(store)
            else:
                as_the_door(patch)
                store.put_many((key, data, "") for key, data in filled.items())
            wanted = {name: spellings(name) for name in ("Mustermann", "Erika", "4711081")}
            before = objects_with(store, wanted)
            assert {key.partition("/")[0] for key in before} >= {
                "raw",
                "records",
                "record_index",
                "aliases",
                "labels",
                "reports",
                "manifests",
            }
            if is_broken:
                broken = break_every_change(patch)
                insist(deidentify, store)
                assert len(broken) > len(before)
            else:
                account = deidentify(store)
                assert (account.copies.copied, account.copies.withheld) == (4, 0)
            ended.append(without_moments(store))
            assert audit_log.check(store).faults == ()
            assert objects_with(store, wanted) == {}
            (packed,) = [key for key in store.list_keys(keys.RAW) if keys.digest_of_copies(key)]
            assert store.sha256([packed]) == keys.digest_of_copies(packed)
    assert ended[0].keys() == ended[1].keys()
    same = {key for key in ended[0] if ended[0][key] == ended[1][key]}
    assert ended[0].keys() - same == {key for key in ended[0] if key == keys.CATALOG_HEAD and key not in same}


KEPT = {
    ("0", "as_dropped"): (4, {}),
    ("1", "deidentified"): (3, {"no copy can be made": 1}),
    ("1", "nothing"): (0, {}),
    ("0", "deidentified"): (0, {}),
}
"""What names and bytes were kept by, to the copies that are made, and why others are not."""


@pytest.mark.parametrize("kept", KEPT)
def test_whatever_was_kept_ends_as_the_door_would_have_it(bucket, monkeypatch, kept):
    """Bytes under digests of names, copies under names, no bytes at all; copies of an archive that lie together by name are withheld."""
    keep_names, raw_keeps = kept
    small(monkeypatch, bucket, keep_names=keep_names, raw_keeps=raw_keeps)
    before, account = said_of_records(bucket), deidentify(bucket)
    assert (account.copies.copied, account.copies.why) == KEPT[kept]
    wanted = {name: spellings(name) for name in ("Mustermann", "Erika", "4711081")}
    of_today = {key for key in objects_with(bucket, wanted) if key.startswith(keys.QUARANTINE)}
    assert objects_with(bucket, wanted).keys() == of_today
    assert bool(of_today) == (keep_names == "0")  # today's door has a refused row there for its days
    assert said_of_records(bucket) == before
    assert audit_checksums(bucket, run="any", sample=10_000).damaged == ()
    assert audit_log.check(bucket).faults == ()
    again = deidentify(bucket, run="two")
    assert all(one.objects == one.unchanged for one in again.kinds.values())


def test_of_two_sources_at_one_moment_the_same_one_holds():
    """Names of files are in another order than their digests; the label in force stays."""
    known = known_names.KnownNames(StoredNames(key=b"k" * 32, keep=False))
    for last in ("b.csv", "c.csv", "d.csv", "e.csv"):
        entries = [
            LabelEntry(record_id="r", label=label, who=f"source:{file}", when="2025-01-01T00:00:00+00:00")
            for file, label in (("a.csv", "normal"), (last, "abnormal"))
        ]
        parts = {"labels/1.parquet": dump_labels(entries[:1]), "labels/2.parquet": dump_labels(entries[1:])}
        made = stored.said(parts, known)
        found = in_force(entry for data in made.values() for entry in load_labels(data))
        assert found["r"].label == "abnormal"
        assert stored.said(made, known) == made


def test_settings_that_keep_and_intakes_that_are_not_over_are_refused(bucket, monkeypatch):
    """It does what the door does, so the door must be shut; what an intake has not taken over is not taken from it unasked."""
    put(bucket, "planned")
    for name, value in (("ECG_KEEP_NAMES", "1"), ("ECG_RAW_KEEPS", "as_dropped")):
        as_the_door(monkeypatch)
        monkeypatch.setenv(name, value)
        with pytest.raises(ConfigurationError, match=name):
            deidentify(bucket)
    as_the_door(monkeypatch)
    with pytest.raises(ConfigurationError, match="not over"):
        deidentify(bucket)
    waiting = bucket.list_keys(keys.INBOX)
    deidentify(bucket, give_up=True)
    assert bucket.list_keys(keys.INBOX) == waiting
    assert bucket.list_keys("staging/ingest_records/") == []


@pytest.fixture
def in_the_open(bucket, todays_version, monkeypatch):
    """A bucket that today's program filled while names, bytes and dates were kept: every format, planted everywhere, and a night."""
    for name, value in (("ECG_KEEP_NAMES", "1"), ("ECG_RAW_KEEPS", "as_dropped"), ("ECG_DATES", "exact"), ("ECG_WFDB_GRACE_S", "0")):
        monkeypatch.setenv(name, value)
    for recipe in ("twelve_lead", "heartbeat"):
        registry.write_version(bucket, recipe, "aaaa00000001", todays_version(recipe, "aaaa00000001"))
        registry.write_champion(bucket, recipe=recipe, version="aaaa00000001", since=now(), who="test", why="it is there")
    inbox.put_files(dropped().items())
    list(intake("first"))
    list(night("n"))
    as_the_door(monkeypatch)
    return bucket


def test_no_planted_word_of_any_format_is_left(in_the_open):
    """In headers, DICOM, EDF, XML, arrays, names, aliases, manifests, tables, reports and the quarantine there is none of the words."""
    store = in_the_open
    before, counts = objects_with_words(store), [manifest.counts for manifest in read_manifests(store, IntakeManifest)]
    assert {key.partition("/")[0] for key in before} >= {"raw", "records", "record_index", "manifests", "quarantine", "reports", "catalog"}
    words = {word.decode() for found in before.values() for word in found}
    records_before, n_open = said_of_records(store), quarantine.count_open(store)
    summaries = [runs.summary(store, run.date, run.run).counts for run in runs.runs(store).runs]
    account = deidentify(store)
    assert objects_with_words(store) == {}
    assert objects_with(store, {word: spellings(word) for word in words if FOUND.fullmatch(word.encode())}) == {}
    assert account.copies.copied > 15
    assert said_of_records(store) == records_before
    assert [manifest.counts for manifest in read_manifests(store, IntakeManifest)] == counts
    assert quarantine.count_open(store) == n_open
    assert [runs.summary(store, run.date, run.run).counts for run in runs.runs(store).runs] == summaries
    for data in store.get_many(store.list_keys(keys.RECORD_INDEX)):
        index = tables.load(data)
        assert not [one for one in index["recorded"] if one is not None and len(one) > len("2024")]
        assert np.nanmax(index["age"], initial=0) <= 90
    assert audit_checksums(store, run="any", sample=10_000).damaged == ()
    assert audit_log.check(store).faults == ()
    again = deidentify(store, run="two")
    assert all(one.objects == one.unchanged for one in again.kinds.values())


def test_a_replaced_entry_that_the_log_does_not_vouch_for_is_a_fault(old):
    """Names are taken from entries of the log by an entry that says so; whoever changes another word is found."""
    deidentify(old)
    key = next(key for key in old.list_keys(keys.AUDIT) if b'"retry"' in old.get(key))
    assert hashlib.sha256(old.get(key)).hexdigest() not in key
    entry = json.loads(old.get(key))
    with forgetting():
        old.replace(key, json.dumps(entry | {"who": "somebody"}, sort_keys=True, separators=(",", ":")).encode())
    assert [one.kind for one in audit_log.check(old).faults] == ["changed"]
    listed = keys.deidentified("one", "replaced.json")
    with forgetting():
        old.replace(listed, old.get(listed).replace(b'"run": "one"', b'"run":  "one"'))  # another list than the log has the digest of
    assert [one.kind for one in audit_log.check(old).faults].count("changed") == 2
