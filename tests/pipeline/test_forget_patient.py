"""A patient is forgotten: nothing that a bucket holds tells of them, other people keep what they had, and every sum holds."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator

import pytest
from msgspec import structs

from ecg_tasks.actions import verdicts
from ecg_tasks.archive import audit, catalog, class_lists, descriptions, forgotten, keys, object_store, record_shards, registry, tables
from ecg_tasks.archive.class_lists import ClassEntry
from ecg_tasks.archive.descriptions import Descriptions, Person
from ecg_tasks.archive.documents import (
    BackfillCounts,
    BackfillManifest,
    ClassifyManifest,
    DatasetManifest,
    Forgetting,
    ForgettingManifest,
    IntakeManifest,
    find,
    read,
    read_manifest,
    read_manifests,
    write,
    write_manifest,
)
from ecg_tasks.archive.workspace import now
from ecg_tasks.errors import ConfigurationError, ForgettingError, Reason
from ecg_tasks.learning.version import SUMS, TRAINING_PATIENTS, TRAINING_RECORDS, checksums
from ecg_tasks.names import DagId
from ecg_tasks.pipeline import classify_records, forget_patient, ingest_records, maintain_store, render_spectrograms
from ecg_tasks.pipeline.champions.versions import TrainedOn
from ecg_tasks.pipeline.forgetting.kinds import KEEPS, KINDS
from ecg_tasks.pipeline.intake import headers, inbox
from ecg_tasks.pipeline.maintenance.rules import RULES
from ecg_tasks.pipeline.training import grouping
from ecg_tasks.queries import audit_log, downloads, records, review_queue, runs
from ecg_tasks.queries.lineage import tracing
from ecg_tasks.signals import near_duplicates
from tests.breaking import break_every_change, insist
from tests.scanned import found_in, objects_with, spellings, unkeyed

pytestmark = pytest.mark.slow

ERIKA, ANNA = "Erika-4711", "Anna-4712"
VERSION = "aaaa00000001"


def zipped(files: dict[str, bytes]) -> bytes:
    """A ZIP of files."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def take_over(name: str) -> str:
    """One run of ``ingest_records``."""
    jobs = ingest_records.plan(name)
    return ingest_records.publish(name, [ingest_records.ingest_batch(job) for job in jobs]) if jobs else ""


def night(name: str, *, scope: str = "new") -> str:
    """One run of ``render_spectrograms`` and one of ``classify_records``; returns the key of the report."""
    drawn = [render_spectrograms.render_shard(job) for job in render_spectrograms.plan(name)]
    if drawn:
        render_spectrograms.publish(name, drawn)
    pin = classify_records.pin_champion(name, date="2026-03-02", scope=scope, details=20)
    return classify_records.write_report(pin, [classify_records.classify_shard(job) for job in classify_records.plan(pin)])


def maintenance(name: str) -> list[str]:
    """What a run of ``maintain_store`` finds wrong."""
    planned = maintain_store.plan(name, days=dict.fromkeys(RULES, 0.0), dry_run=True, sample=1000)
    parts = [maintain_store.delete(planned), maintain_store.check_orphans(planned), maintain_store.check_contents(planned)]
    manifest = json.loads(maintain_store.open_store().get(maintain_store.publish(planned, *parts)))
    return [str(one) for one in (*manifest["orphans"], *manifest["contents"]["damaged"])]


def put_version(store, todays_version, ids: dict[str, str]) -> None:
    """Write a version of ``heartbeat`` that learnt from these records, and from a data set of them."""
    files = todays_version("heartbeat", VERSION)
    rows = "".join(f"{record_id},train,{17 + place}\n" for place, record_id in enumerate(sorted(ids)))
    files[TRAINING_RECORDS] = f"record_id,side,bucket\n{rows}".encode()
    people = "".join(f"{patient},78a0e71cb720,,17\n" for patient in sorted(set(ids.values())))
    files[TRAINING_PATIENTS] = f"patient,key,public_patient,bucket\n{people}".encode()
    files[SUMS] = checksums({name: data for name, data in files.items() if name != SUMS})
    registry.write_version(store, "heartbeat", VERSION, files, anew=True)
    lies = {
        record_id: keys.stem(key)
        for key in store.list_keys(keys.RECORD_INDEX)
        for record_id in tables.load(store.get(key), ["record_id"])["record_id"]
    }
    n = len(ids)
    columns = {
        "record_id": sorted(ids),
        "shard": [lies[one] for one in sorted(ids)],
        "group": [ids[one] for one in sorted(ids)],
        "bucket": [1] * n,
        "place": [1] * n,
        "side": ["train"] * n,
        "label": ["normal"] * n,
        "labelled_by": ["source:x"] * n,
        "synthetic": [False] * n,
    }
    split = tables.dump(tables.SPLIT, columns)
    dataset_id = hashlib.sha256(b"heartbeat@0" + split).hexdigest()[:20]
    store.put(keys.dataset(dataset_id, "split.parquet"), split)
    made = DatasetManifest(
        dataset_id=dataset_id,
        recipe="heartbeat@0",
        split_unit="patient",
        shards=tuple(sorted(set(lies.values()))),
        synthetic_records=0,
        labelled_by={},
        counts={},
    )
    write(store, keys.dataset(dataset_id, "manifest.json"), made)
    resembles = {min(one for one in ids if ids[one] != person): person for person in set(ids.values()) if person}  # whose signal one shows
    groups = [resembles.get(one, min(ids)) for one in sorted(ids)]
    group = tables.dump(tables.GROUPS, {"record_id": sorted(ids), "group": groups, "place": [1] * n})
    store.put(keys.groups(hashlib.sha256(group).hexdigest()[:20]), group)


def settings(patch: pytest.MonkeyPatch, *, keeps: bool = False) -> None:
    """Nothing is kept that has to be asked for, or names and bytes are."""
    for name in () if keeps else ("ECG_KEEP_NAMES", "ECG_RAW_KEEPS"):
        patch.delenv(name)
    patch.setenv("ECG_WFDB_GRACE_S", "0")


def built(bucket_in, patch: pytest.MonkeyPatch, *makers, keeps: bool) -> list[tuple[str, bytes]]:
    """All objects of a bucket that was filled, in the order in which they came to be."""
    bucket = bucket_in(patch)
    settings(patch, keeps=keeps)
    fill(bucket, *makers)
    return [(item.key, bucket.get(item.key)) for item in sorted(bucket.list_objects(""), key=lambda item: item.modified)]


@pytest.fixture(scope="module")
def nothing_kept(bucket_in, todays_version, make_wfdb, beat_rows, heartbeat_csv):
    """A bucket that keeps neither names nor bytes as they came."""
    with pytest.MonkeyPatch.context() as patch:
        return built(bucket_in, patch, todays_version, make_wfdb, beat_rows, heartbeat_csv, keeps=False)


@pytest.fixture(scope="module")
def all_kept(bucket_in, todays_version, make_wfdb, beat_rows, heartbeat_csv):
    """A bucket that keeps both."""
    with pytest.MonkeyPatch.context() as patch:
        return built(bucket_in, patch, todays_version, make_wfdb, beat_rows, heartbeat_csv, keeps=True)


@pytest.fixture
def store(nothing_kept, bucket_in, monkeypatch):
    """A copy of the first."""
    bucket = bucket_in(monkeypatch)
    settings(monkeypatch)
    for key, data in nothing_kept:
        bucket.put(key, data)
    return bucket


@pytest.fixture(params=["nothing_kept", "all_kept"])
def either(request, bucket_in, monkeypatch):
    """A copy of the one, then of the other."""
    bucket = bucket_in(monkeypatch)
    settings(monkeypatch, keeps=request.param == "all_kept")
    for key, data in request.getfixturevalue(request.param):
        bucket.put(key, data)
    return bucket


def fill(bucket, todays_version, make_wfdb, beat_rows, heartbeat_csv) -> None:
    """Take over recordings of Erika and of others: alone, among rows of a table, in an archive, twice, cut off; three nights, verdicts."""
    for recipe in ("twelve_lead", "heartbeat"):
        registry.write_version(bucket, recipe, VERSION, todays_version(recipe, VERSION))
        registry.write_champion(bucket, recipe=recipe, version=VERSION, since=now(), who="test", why="it is there")
    ward = {f"ward/{name}": data for name, data in make_wfdb("Erika", seed=1).items()}
    ward |= {f"ward/{name}": data for name, data in make_wfdb("Anna", seed=2).items()}
    ward["ward/beats.csv"] = heartbeat_csv(beat_rows(6))
    lines = ["Erika", "Anna", *(f"beats.csv#{row + 1}" for row in range(6))]
    people = [ERIKA, ANNA, ANNA, ERIKA, ANNA, ANNA, ANNA, ANNA]
    told = "".join(f"{line},abnormal,{person}\n" for line, person in zip(lines, people, strict=True))
    ward["ward/labels.csv"] = f"record,label,patient_id\n{told}".encode()
    packed = make_wfdb("Erika2", seed=3) | make_wfdb("Berta", seed=4)
    ward["labels.csv"] = f"record,label,patient_id\nnight/Erika2,normal,{ERIKA}\nnight/Berta,normal,Berta-1\n".encode()
    inbox.put_files([*ward.items(), ("night.zip", zipped(packed))])
    take_over("first")
    night("n1")
    again = {f"other/{name.replace('Erika', 'copy')}": data.replace(b"Erika", b"copy") for name, data in make_wfdb("Erika", seed=1).items()}
    alone = {f"{ERIKA}/{name}": data for name, data in make_wfdb("solo", seed=5).items()}
    alone[f"{ERIKA}/labels.csv"] = f"record,label,patient_id\nsolo,normal,{ERIKA}\n".encode()
    cut_off = {f"ward/{name}": data[: len(data) // 2] for name, data in make_wfdb("Erika", seed=1).items()}
    inbox.put_files([*again.items(), *alone.items(), *cut_off.items()])
    take_over("second")
    night("n2")
    for record_id in persons(bucket):
        verdicts.save_verdict(bucket, record_id, user="ada", verdict="normal", comment="looks fine")
    night("n3", scope="all")
    put_version(bucket, todays_version, persons(bucket))
    put_comparison(bucket)


def put_comparison(store) -> None:
    """Write what a comparison of two versions leaves, and a report whose run was given up, by what the third night has."""
    told = read_manifest(store, ClassifyManifest, "n3")
    for key in store.list_keys(f"{told.report.rpartition('/')[0]}/"):
        path = key.partition("/n3/")[2]
        store.put(keys.backfill("a-against-b", f"report/{path}"), store.get(key))
        store.put(keys.report("2026-03-03", "lost", path), store.get(key))
    manifest = BackfillManifest(
        dag=DagId.BACKFILL_VERSION,
        run="b",
        counts=BackfillCounts(records=11, compared=11, changed=0, pending=0),
        recipe="heartbeat",
        version=VERSION,
        against="b",
        champions={},
        shards=(),
        report=keys.backfill("a-against-b", "report/index.html"),
        page=keys.backfill("a-against-b", "index.html"),
    )
    write_manifest(store, manifest)


def persons(store) -> dict[str, str]:
    """The patient of each record, by its keyed hash."""
    found = {}
    for data in store.get_many(store.list_keys(keys.RECORD_INDEX)):
        columns = tables.load(data, ["record_id", "patient"])
        found |= dict(zip(columns["record_id"], columns["patient"], strict=True))
    return found


def as_written(name: str) -> bytes:
    """How a stored name is looked for: a digest by its beginning."""
    return name[1:13].encode() if name.startswith("~") else name.encode()


def told_of(store, who: str) -> tuple[list[str], dict[str, set[bytes]]]:
    """Ids of a person's records, and all by which these could be known: ids, names, digests of bytes, samples."""
    meant = forget_patient.find_meant(store, patient=who)
    found, _ = forget_patient.look(store, meant)
    ids = sorted(one.record_id for one in found.records)
    wanted = {f"id {one}": {one[:12].encode(), *unkeyed(one)} for one in ids}
    wanted |= {f"patient {one}": {one[:12].encode()} for one in (*found.persons, *found.patients)}
    wanted |= {f"name {one}": {as_written(one)} for one in found.names}
    called = {one.called for one in found.records if "#" not in one.called}
    wanted |= {f"called {one}": {as_written(one)} for one in called}
    wanted |= {f"bytes {one}": {one[:12].encode()} for one in found.sources}
    wanted["id as it is"] = spellings(who)
    for data in store.get_many(store.list_keys(keys.RECORDS)):
        for one in record_shards.load_shard(data):
            if one.record.record_id in ids:
                wanted[f"samples {one.record.record_id}"] = {one.record.samples.astype("<f4").tobytes()[400:480]}
    return ids, wanted


def forget(store, who: str = ERIKA, *, run: str = "f") -> str:
    """All that the DAG does; returns the key of its manifest."""
    token = forget_patient.ask(store, forget_patient.find_meant(store, patient=who), who="dpo", why="she asked for it")
    forget_patient.begin(token)
    manifest = forget_patient.carry_out(run, token)
    forget_patient.end()
    return manifest


def others_of(store, ids) -> dict[str, object]:
    """What a bucket has of other people: records, decisions, labels, pictures."""
    found: dict[str, object] = {}
    for prefix in (keys.RECORDS, keys.PREDICTIONS, keys.SPECTROGRAMS, keys.MEASUREMENTS, keys.LABELS, keys.CLASSES):
        for key in store.list_keys(prefix):
            columns = tables.load(store.get(key))
            place = key if prefix not in {keys.LABELS, keys.CLASSES} else prefix
            for row, record_id in enumerate(columns["record_id"]):
                if record_id not in ids:
                    found.setdefault(f"{place} {record_id}", []).append(str([values[row] for values in columns.values()]))
    return {name: sorted(rows) for name, rows in found.items()}


def shown(store) -> Iterator[bytes]:
    """What a person who reads sees or downloads."""
    for run in runs.runs(store).runs:
        for kind in ("predictions.csv", "predictions.parquet", "predictions.xlsx", "summary.json", "fhir-R5.ndjson", "report.zip"):
            yield b"".join(downloads.download(store, run.date, run.run, kind))
    yield str(review_queue.queue(store, user="eve")).encode()


def test_every_prefix_is_thought_of():
    """A prefix that a new kind of object gets is one where something is forgotten, or where it is said why nothing is."""
    prefixes = {
        value
        for name, value in vars(keys).items()
        if name[0].isalpha() and name.isupper() and isinstance(value, str) and value.endswith("/")
    }
    assert {kind.prefix for kind in KINDS} | KEEPS.keys() == prefixes - {keys.INTAKES, keys.APPROVALS}
    assert {kind.prefix for kind in KINDS}.isdisjoint(KEEPS)


def test_nothing_tells_of_a_forgotten_patient(either):
    """No object, page or file has an id, a name, a digest or a sample; all others' are the same; every sum holds."""
    store = either
    ids, wanted = told_of(store, ERIKA)
    assert len(ids) == 4
    before, others = objects_with(store, wanted), others_of(store, ids)
    assert {key.partition("/")[0] + "/" for key in before} >= {kind.prefix for kind in KINDS} - {
        keys.INBOX,
        keys.ACCOUNT_LISTS,
        keys.CLASSES,
        keys.TAKEN_OVER,
        keys.DESCRIPTIONS,
        keys.SIGNATURES,
        keys.LOGS,
    }
    assert store.list_keys(keys.TAKEN_OVER)
    order = [run.run for run in runs.runs(store).runs]
    assert records.record_page(store, ids[0]) is not None
    manifest = read(store, ForgettingManifest, forget(store))
    left = objects_with(store, wanted)
    assert store.list_keys(keys.TAKEN_OVER) == []
    assert {key: names for key, names in left.items() if not key.startswith(keys.AUDIT)} == {}
    assert {name.partition(" ")[0] for names in left.values() for name in names} == {"id"}  # verdicts in the log name a record by its id
    assert others_of(store, ids) == others
    for page in shown(store):
        assert not any(one.encode() in page for one in ids)
    assert [run.run for run in runs.runs(store).runs] == order
    assert all(records.record_page(store, one) is None for one in ids)
    assert manifest.counts.records == 4
    assert [(one.recipe, one.version, one.records, one.serves) for one in manifest.learnt_by] == [("heartbeat", VERSION, 4, True)]
    assert "retrain_model" in manifest.outcome


def test_what_headers_said_in_the_inbox_goes_too(store):
    """It has names as they were dropped, which no digest leads to, of files that an intake saw and a person may have deleted since."""
    said = {f"{keys.INBOX}{ERIKA}/solo.hea": headers.Said(etag="1", names=(f"{ERIKA}.dat",))}
    headers.remember(store, said, before={}, some_wait=True)
    forget(store)
    assert headers.MEMO not in store.list_keys(keys.STAGING)


def test_what_an_intake_staged_that_gave_up_goes_too(store, make_wfdb):
    """Its jobs and tables have names as they were dropped, without any id; who waits is taken over by the next run."""
    again = {f"ward/{name}": data for name, data in make_wfdb("Erika", seed=1).items()}
    other = {f"ward/{name}": data for name, data in make_wfdb("Clara", seed=9).items()}
    inbox.put_files([*again.items(), *other.items(), ("ward/labels.csv", b"record,label\nErika,abnormal\nClara,normal\n")])
    ingest_records.plan("lost")
    words = {"name": spellings("Erika")}
    assert {key.split("/")[1] for key in objects_with(store, words) if key.startswith(keys.STAGING)} == {"intake", "ingest_records"}
    forget(store)
    assert [key for key in objects_with(store, words) if not key.startswith(keys.INBOX)] == []
    take_over("next")
    assert read_manifest(store, IntakeManifest, "next").counts.records == 1


def test_what_was_written_over_or_deleted_before_goes_too(store):
    """Versions that a bucket keeps of what tells of them are gone, of keys that are there no more too; those of others stay."""
    _, wanted = told_of(store, ERIKA)
    telling = objects_with(store, wanted)
    store._client.put_bucket_versioning(Bucket=store.bucket, VersioningConfiguration={"Status": "Enabled"})
    listed = [key for prefix in (keys.RAW, keys.LABELS, keys.REPORTS, keys.SIGNATURES, keys.MANIFESTS) for key in store.list_keys(prefix)]
    for key in listed:
        store.replace(key, store.get(key))
    deleted = [next(key for key in listed if key.startswith(prefix) and key in telling) for prefix in (keys.RAW, keys.REPORTS)]
    store.delete_many(deleted)

    def kept() -> dict[str, set[str]]:
        with object_store.forgetting():
            listed = [one for one in store.earlier() if not one.key.startswith(keys.AUDIT)]
        found: dict[str, set[str]] = {one.key: set() for one in listed}
        for one in listed:
            found[one.key] |= found_in(wanted, one.key.encode(), one.read())
        return found

    before = kept()
    assert {key for key, names in before.items() if names} >= {*deleted}
    assert set() in before.values()
    manifest = read(store, ForgettingManifest, forget(store))
    left = kept()
    assert {key: names for key, names in left.items() if names} == {}
    assert left
    assert manifest.objects["earlier"] > 2
    assert not store.exists(deleted[0])


def test_logs_tell_nothing_of_it_any_more(store, tmp_path, monkeypatch):
    """Those of the stack's folder and of tasks in the bucket, with their versions, keep their lengths and all that is said of others."""
    ids, wanted = told_of(store, ERIKA)
    other = next(one for one in persons(store) if one not in ids)
    words = sorted({*ids, *(name.partition(" ")[2] for name in wanted if name.split()[0] in {"patient", "called", "bytes"})})
    line = f"GET /ecg/records/{ids[0]}?next=%2Fecg%2Frecords%2F{ids[1]} and {' '.join(words)} beside {other}\n".encode()
    folder, others = tmp_path / "logs", b"nothing of it\n"
    for name, data in {"tasks/dag_id=x/attempt=1.log": line * 3, "api-server.log.1": line, "store.log": others, "new.log": b""}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    before = (folder / "store.log").stat().st_mtime_ns
    store._client.put_bucket_versioning(Bucket=store.bucket, VersioningConfiguration={"Status": "Enabled"})
    for name, data in {"a.log": line, "b.log": others, "c.log": others}.items():
        store.put(f"{keys.LOGS}dag_id=x/{name}", data)
    store.replace(f"{keys.LOGS}dag_id=x/c.log", line)
    store.replace(f"{keys.LOGS}dag_id=x/c.log", others)
    monkeypatch.setenv("ECG_LOGS", str(folder))
    manifest = read(store, ForgettingManifest, forget(store))
    assert (manifest.objects[keys.LOGS], manifest.objects["log_files"]) == (1, 2)
    on_disk = [path.read_bytes() for path in folder.rglob("*.log*") if path.is_file()]
    in_bucket = [store.get(key) for key in store.list_keys(keys.LOGS)]
    with object_store.forgetting():
        kept = [one.read() for one in store.earlier() if one.key.startswith(keys.LOGS)]
    for data in on_disk + in_bucket + kept:
        assert found_in(wanted, data) == set()
    blank = line
    for word in words:
        blank = blank.replace(word.encode(), b"x" * len(word))
    assert sorted(on_disk) == sorted([blank * 3, blank, others, b""])
    assert sorted(in_bucket) == sorted([blank, others, others])
    assert other.encode() in blank
    assert (folder / "store.log").stat().st_mtime_ns == before


def test_what_three_nights_do_not_write_is_forgotten_too(store):
    """Classes, what became known later, signatures, and files that lie in the inbox; those of others stay."""
    ids, wanted = told_of(store, ERIKA)
    people = persons(store)
    other = next(one for one in people if one not in ids)
    both = [ids[0], other]
    said = [ClassEntry(record_id=one, classes="MI", who="source:labels.csv", when="2026-03-01T00:00:00+00:00") for one in both]
    class_lists.write_classes(store, said)
    descriptions.write(store, {one: Person(people[one], 1) for one in both}, number=9)
    for key in store.list_keys(keys.RECORD_INDEX):
        listed = tables.load(store.get(key), ["record_id"])["record_id"]
        made = {"record_id": listed, "kind": ["row"] * len(listed), "values": [b"1234"] * len(listed)}
        store.put(keys.signatures(near_duplicates.KEY, keys.stem(key)), tables.dump(tables.SIGNATURES, made))
    store.put_many((f"{keys.INBOX}{name}", b"x", "text/plain") for name in ("ward/Erika.hea", "ward/Erika.dat", "ward/Anna.dat"))
    catalog.rebuild(store)
    forget(store)
    assert {key for key in objects_with(store, wanted) if not key.startswith(keys.AUDIT)} == set()
    assert store.list_keys(keys.INBOX) == [f"{keys.INBOX}ward/Anna.dat"]
    left = {
        prefix: {one for data in store.get_many(store.list_keys(prefix)) for one in tables.load(data)["record_id"]}
        for prefix in (keys.CLASSES, keys.DESCRIPTIONS, keys.SIGNATURES)
    }
    assert left == {keys.CLASSES: {other}, keys.DESCRIPTIONS: {other}, keys.SIGNATURES: people.keys() - set(ids)}


def test_sums_hold_and_say_how_many_were_forgotten(store):
    """Accounts and reports count the forgotten beside the rest; the next report is of what is new, and the log is whole."""
    night("n4", scope="all")  # in a copied bucket all is new once
    counts = {one.run: one.counts for one in read_manifests(store, IntakeManifest)}
    nights = {one.run: one.counts for one in read_manifests(store, ClassifyManifest)}
    forget(store)
    for one in read_manifests(store, IntakeManifest):
        now_, before = one.counts, counts[one.run]
        assert now_.received == before.received == now_.records + now_.duplicates + now_.quarantined + now_.forgotten
        assert now_.forgotten == {"first": 3, "second": 1}[one.run]
    for one in read_manifests(store, ClassifyManifest):
        one.counts.check()
        assert one.counts.received == nights[one.run].received
        assert one.counts.forgotten == {"n1": 3, "n2": 1, "n3": 4, "n4": 4}[one.run]
        folder = one.report.rpartition("/")[0]
        page = store.get(one.report).decode()
        assert f"<dt>forgotten</dt><dd>{one.counts.forgotten}</dd>" in page
        summary = json.loads(store.get(f"{folder}/summary.json"))
        assert summary["counts"]["forgotten"] == one.counts.forgotten
        listed = list(store.list_keys(f"{folder}/records/"))
        assert summary["files"]["n_record_pages"] == len(listed)
        there = {key.rpartition("/")[2] for key in listed}
        for key in listed:
            links = {part.partition('"')[0] for part in store.get(key).decode().split('<a href="')[1:]}
            assert {link for link in links if len(link) == len("0" * 32 + ".html")} <= there
    assert audit_log.check(store).faults == ()
    assert [entry.action for _, entry in audit.entries(store)][-1] is audit.Action.FORGET
    assert maintenance("m") == []
    for run in ("first", "second", "n1", "n2", "n3", "n4"):
        assert "BROKEN" not in str(tracing.trace(store, run)).upper().replace("BROKEN OFF", "")
    key = night("n5")
    assert read_manifest(store, ClassifyManifest, key.split("/")[2]).counts.received == 0
    night("whole", scope="all")
    whole = read_manifest(store, ClassifyManifest, "whole").counts
    assert (whole.forgotten, whole.records) == (4, len(persons(store)))
    assert set(store.list_keys(keys.FORGOTTEN)) == {keys.forgotten(one.token) for one in forgotten.forgettings(store)}


def test_a_second_drop_is_refused_until_it_is_allowed(either, make_wfdb):
    """It gets a reason of its own, and nothing of it is stored; the file leaves the inbox; once it is allowed it is taken over."""
    store = either
    ids, wanted = told_of(store, ERIKA)
    forget(store)
    again = {f"new/{name}": data for name, data in make_wfdb("Erika", seed=1).items()}
    packed = zipped(make_wfdb("Erika2", seed=3) | make_wfdb("Berta", seed=4))
    inbox.put_files([*again.items(), ("again.zip", packed)])
    take_over("third")
    assert store.list_keys(keys.INBOX) == []
    counts = read_manifest(store, IntakeManifest, "third").counts
    assert (counts.received, counts.records, counts.duplicates, counts.quarantined) == (3, 0, 1, 2)
    refused = read_manifest(store, IntakeManifest, "third").quarantined
    assert {(one.name, one.reason, one.source, one.entry) for one in refused} == {("forgotten", Reason.FORGOTTEN.value, "", "")}
    assert {key for key in objects_with(store, wanted) if not key.startswith(keys.AUDIT)} == set()
    night("n4")
    assert read_manifest(store, ClassifyManifest, "n4").counts.quarantined == 3  # with the one that was cut off, before
    token = next(forgotten.forgettings(store)).token
    with pytest.raises(ConfigurationError):
        forget_patient.allow_again(store, who="dpo", why="", record=ids[0])
    forget_patient.allow_again(store, who="dpo", why="she came back", token=token)
    assert not store.exists(keys.REFUSED)
    inbox.put_files(again.items())
    take_over("fourth")
    assert read_manifest(store, IntakeManifest, "fourth").counts.records == 1
    trained_on = TrainedOn.read(store, "heartbeat", VERSION, Descriptions({}))
    assert all(trained_on.why(one, -1) == "record" for one in ids)


def test_broken_anywhere_it_ends_the_same(store, monkeypatch):
    """Each fourth change fails once; what stands in the end is what a run without a fault leaves."""
    ids, wanted = told_of(store, ERIKA)
    token = forget_patient.ask(store, forget_patient.find_meant(store, patient=ERIKA), who="dpo", why="she asked for it")
    with monkeypatch.context() as patch:
        broken = break_every_change(patch, nth=4)
        insist(forget_patient.begin, token)
        insist(forget_patient.carry_out, "f", token)
        insist(forget_patient.end)
    assert len(broken) > 50
    assert {key for key in objects_with(store, wanted) if not key.startswith(keys.AUDIT)} == set()
    for one in read_manifests(store, ClassifyManifest):
        one.counts.check()
        assert one.counts.forgotten == {"n1": 3, "n2": 1, "n3": 4}[one.run]
    assert {one.run: one.counts.forgotten for one in read_manifests(store, IntakeManifest)} == {"first": 3, "second": 1}
    assert audit_log.check(store).faults == ()
    assert maintenance("m") == []
    assert len([entry for _, entry in audit.entries(store) if entry.action is audit.Action.FORGET]) == 1
    assert not set(ids) & set(persons(store))


def test_one_record_is_forgotten_and_its_patient_is_not(store):
    """The patient's other records stay, with the patient's hash."""
    ids, _ = told_of(store, ERIKA)
    meant = forget_patient.find_meant(store, record=ids[0])
    token = forget_patient.ask(store, meant, who="dpo", why="a mix-up")
    assert forget_patient.ask(store, meant, who="dpo", why="once more") == token
    told = forget_patient.sentence(token)
    assert told.startswith(
        "**1 record would be removed for good** from everything in the bucket; versions that learned from this: heartbeat"
    )
    assert "**Reject**, or no answer in two days: nothing changes, and the request is deleted." in told
    forget_patient.carry_out("f", token)
    assert set(ids) & set(persons(store)) == set(ids[1:])
    patient = persons(store)[ids[1]]
    assert patient in store.get(keys.model_file("heartbeat", VERSION, TRAINING_PATIENTS)).decode()
    assert read(store, Forgetting, keys.forgotten(token)).records == ()
    assert maintenance("m") == []


def test_other_runs_wait_meanwhile(store):
    """What would read half of it does not begin; what was begun is not disturbed, for the DAG waits for it."""
    token = forget_patient.ask(store, forget_patient.find_meant(store, patient=ERIKA), who="dpo", why="she asked for it")
    forget_patient.begin(token)
    for begin in (
        lambda: ingest_records.plan("x"),
        lambda: render_spectrograms.plan("x"),
        lambda: classify_records.pin_champion("x", date="2026-03-02"),
        lambda: maintain_store.plan("x", days={}, dry_run=True, sample=0),
    ):
        with pytest.raises(ForgettingError, match="forgotten"):
            begin()
    forget_patient.end()
    assert ingest_records.plan("x") == []


def test_a_backup_is_told_what_to_forget(store):
    """By digests alone, which name nobody, the same records are found in another bucket that still has them."""
    ids, _ = told_of(store, ERIKA)
    copies = {key: store.get(key) for key in store.list_keys("")}
    forget(store)
    listed = forget_patient.digests(store)
    assert len(listed) == len(ids)
    assert not set(listed) & set(ids)
    assert forget_patient.meant_by(store, listed) is None
    store.delete_many(store.list_keys(""))
    store.put_many((key, data, "application/octet-stream") for key, data in copies.items())  # as a restored backup
    meant = forget_patient.meant_by(store, listed)
    assert meant is not None
    assert set(meant.record_ids) == set(ids)
    token = forget_patient.ask(store, meant, who="dpo", why="a backup was restored")
    forget_patient.carry_out("f", token)
    assert not set(ids) & set(persons(store))


def test_what_is_not_there_is_said(store):
    """A patient of whom nothing is found is no success."""
    with pytest.raises(ConfigurationError, match="issuer"):
        forget_patient.find_meant(store, patient="nobody")
    with pytest.raises(ConfigurationError, match="either"):
        forget_patient.find_meant(store, patient="a", record="b")
    with pytest.raises(ConfigurationError, match="no request"):
        forget_patient.carry_out("f", "none")
    assert find(store, Forgetting, keys.forgotten("none")) is None
    assert structs.asdict(catalog.Catalog.open(store).head)["segments"] == ()
    assert grouping.read_groups(store)
