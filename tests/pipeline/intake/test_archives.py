"""Many recordings in one file: each is read, refused or passed over as if it lay in a folder called like the archive, by few requests."""

import gzip
import hashlib
import io
import json
import tarfile
import zipfile
from collections import Counter

import numpy as np
import pytest
from botocore.client import BaseClient

from ecg_tasks.actions.quarantine import put_back
from ecg_tasks.archive import keys, record_shards
from ecg_tasks.archive.documents import IntakeJob, read
from ecg_tasks.archive.labelling import labels_in_force
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import ConfigurationError
from ecg_tasks.pipeline import ingest_records
from ecg_tasks.pipeline.intake import archives, inbox, label_tables, opening
from ecg_tasks.pipeline.maintenance import checksums, orphans
from ecg_tasks.queries.lineage.tracing import trace
from ecg_tasks.readers.labels_csv import read_labels
from tests.breaking import break_every_change, insist

NO_WAIT = ("ECG_WFDB_GRACE_S", "0")


def run(bucket: ObjectStore, name: str) -> dict:
    """One whole run of the DAG's tasks; returns the manifest, whose sums add up."""
    jobs = ingest_records.plan(name)
    if jobs:
        ingest_records.publish(name, [ingest_records.ingest_batch(job) for job in jobs])
    manifest = json.loads(bucket.get(keys.manifest("ingest_records", name)))
    counts = manifest["account"]
    assert counts["received"] == counts["records"] + counts["duplicates"] + counts["quarantined"]
    return manifest


def records(bucket: ObjectStore) -> dict[str, record_shards.StoredRecord]:
    """Every record of the archive by its name."""
    shards = (record_shards.load_shard(bucket.get(key)) for key in bucket.list_keys(keys.RECORDS))
    return {stored.record.name: stored for shard in shards for stored in shard}


def zipped(files, **more) -> bytes:
    """A ZIP of these files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, **more) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(files) -> bytes:
    """A tar of these files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


WAYS = {
    "zip": zipped,
    "tar": tarred,
    "tar.gz": lambda files: gzip.compress(tarred(files)),
    "tgz": lambda files: gzip.compress(tarred(files)),
}


@pytest.fixture
def files(make_wfdb, beat_rows, heartbeat_csv) -> dict[str, bytes]:
    """Two WFDB recordings, of which one lacks its signals, rows with a bad one, a table of labels, and files without a recording."""
    rows = heartbeat_csv(beat_rows(3)).replace(b"\n", b",1,2,3\n", 1)
    lone = {"inner/b.hea": make_wfdb("b", seed=2)["b.hea"]}
    table = b"record,label,patient_id\na,abnormal,SECRET-PERSON\ninner/rows.csv#2,normal,\n"
    return make_wfdb("a", seed=1) | lone | {"inner/rows.csv": rows, "labels.csv": table, "README": b"x", "photo.jpg": b"\xff\xd8\xff"}


@pytest.mark.parametrize("suffix", WAYS)
def test_an_archive_is_its_folder(bucket, files, suffix, monkeypatch):
    """Records, refusals, labels and counts are those of the same files in a folder; the archive is kept once, and leaves the inbox."""
    monkeypatch.setenv(*NO_WAIT)
    data = WAYS[suffix](files)
    inbox.put_files([(f"ward/night.{suffix}", data)])
    manifest = run(bucket, "r1")
    found, packed_raw = records(bucket), bucket.list_keys(keys.RAW)
    lines = {item["name"]: item for item in manifest["inputs"]}
    assert {file["member"] for item in lines.values() for file in item["files"]} == files.keys()
    assert {item["source"] for item in lines.values()} == {hashlib.sha256(data).hexdigest()}
    assert lines["ward/night/a.hea"]["files"][1]["sha256"] == hashlib.sha256(files["a.dat"]).hexdigest()
    assert bucket.list_keys(keys.INBOX) == []
    assert sum(f"night.{suffix}" in key for key in packed_raw) == 1
    assert orphans.find_orphans(bucket, at=next(iter(bucket.list_objects(keys.RAW))).modified) == []
    assert checksums.audit_checksums(bucket, run="x", sample=50).damaged == ()
    assert trace(bucket, found["ward/night/a"].record.record_id).state != "broken"
    labels = labels_in_force(bucket)
    for key in bucket.list_keys(""):
        bucket.delete(key)

    inbox.put_files((f"ward/night/{name}", content) for name, content in files.items())
    loose = run(bucket, "r2")
    assert loose["account"] | {"passed_over": 2} == manifest["account"]  # the table is a member too
    plain = [{(one["name"], one["reason"]) for one in told["quarantined"]} for told in (manifest, loose)]
    assert (
        plain[0]
        == plain[1]
        == {
            ("ward/night/inner/b.hea", "incomplete"),
            ("ward/night/inner/rows.csv#1", "wrong_width"),
            ("ward/night/photo.jpg", "unknown_format"),
        }
    )
    again = records(bucket)
    told = [{name: (one.record.record_id, one.patient) for name, one in some.items()} for some in (found, again)]
    assert told[0] == told[1]
    assert found["ward/night/a"].patient
    assert {one: label.label for one, label in labels.items()} == {one: label.label for one, label in labels_in_force(bucket).items()}


def test_what_is_loose_and_in_an_archive_is_one_record(bucket, files):
    """In one run, and in the next."""
    pair = {name: files[name] for name in ("a.hea", "a.dat")}
    inbox.put_files([("one.zip", zipped(pair)), *((f"w/{name}", data) for name, data in pair.items())])
    counts = run(bucket, "r1")["account"]
    assert (counts["records"], counts["duplicates"]) == (1, 1)
    inbox.put_files([("two.tar", tarred(pair))])
    assert run(bucket, "r2")["account"]["duplicates"] == 1
    assert len(records(bucket)) == 1


def test_the_table_of_an_archive_waits_for_what_comes_later(bucket, make_wfdb):
    """It lies in the inbox from then on, beside what the archive would have been unpacked to."""
    table = b"record,label\na,normal\nb,abnormal\n"
    inbox.put_files([("w.part-1.zip", zipped(make_wfdb("a", seed=1) | {"labels.csv": table}))])
    assert run(bucket, "r1")["account"]["records"] == 1
    assert bucket.list_keys(keys.INBOX) == ["inbox/w/labels.csv"]
    inbox.put_files([("w.part-2.zip", zipped(make_wfdb("b", seed=2)))])
    run(bucket, "r2")
    assert sorted(label.label for label in labels_in_force(bucket).values()) == ["abnormal", "normal"]
    assert bucket.list_keys(keys.INBOX) == []
    assert sorted(records(bucket)) == ["w/a", "w/b"]


@pytest.fixture
def one_at_a_time(monkeypatch):
    """A run takes one recording out of archives, and no file waits for another one."""
    monkeypatch.setitem(archives.open_all.__kwdefaults__, "max_drops", 1)
    monkeypatch.setenv(*NO_WAIT)


@pytest.mark.parametrize("folder", ["w", "."], ids=["beside", "above"])
def test_a_row_waits_for_its_turn_with_its_archive(bucket, make_wfdb, one_at_a_time, folder):
    """However long it takes: what is in an archive that no run has opened yet is not known, and each run says what it can say."""
    table = b"record,label,patient_id\nw/a,normal,p1\nw/b,abnormal,p2\n"
    parts = [(f"w.part-{name}.zip", zipped(make_wfdb(name, seed=seed))) for seed, name in enumerate("ab")]
    inbox.put_files([*parts, (f"{folder}/labels.csv".removeprefix("./"), table.replace(b"w/", b"") if folder == "w" else table)])
    told = [run(bucket, "r1"), run(bucket, "r2")]
    assert [one["account"]["records"] for one in told] == [1, 1]
    assert [one["labels"]["stored"] for one in told] == [1, 1]
    assert [one["quarantined"] for one in told] == [[], []]
    assert sorted(label.label for label in labels_in_force(bucket).values()) == ["abnormal", "normal"]
    assert all(one.patient for one in records(bucket).values())
    assert bucket.list_keys(keys.INBOX) == []


def test_a_table_is_left_unread_with_its_archives(bucket, make_wfdb, one_at_a_time, monkeypatch):
    """So a run reads the tables of its own recordings, however many wait."""
    files = {f"{name}.zip": zipped(make_wfdb("r", seed=seed)) for seed, name in enumerate("uvw")}
    inbox.put_files([*files.items(), *((f"{name}/labels.csv", b"record,label\nr,normal\nnobody,normal\n") for name in "uvw")])
    read = []
    monkeypatch.setattr(label_tables, "read_labels", lambda data, *, name: read.append(name) or read_labels(data, name=name))
    for number, name in enumerate("uvw"):
        told = run(bucket, f"r{number}")
        assert (told["labels"]["stored"], told["labels"]["quarantined"]) == (1, 3 if name == "w" else 0)
        assert f"{name}/labels.csv" in read
        assert not {f"{later}/labels.csv" for later in "uvw" if later > name} & set(read)
    assert [one["name"] for one in told["quarantined"]] == [f"{name}/labels.csv#3" for name in "uvw"]
    assert bucket.list_keys(keys.INBOX) == []


def test_another_table_of_that_name_stays_beside_it(bucket, make_wfdb):
    """Neither is written over."""
    archive = zipped(make_wfdb("a", seed=1) | {"labels.csv": b"record,label\na,normal\n"})
    inbox.put_files(
        [("w.zip", archive), ("w/labels.csv", b"record,label\nb,abnormal\n"), *((f"w/{n}", d) for n, d in make_wfdb("b", seed=2).items())]
    )
    manifest = run(bucket, "r1")
    assert (manifest["account"]["records"], manifest["labels"]["stored"]) == (2, 2)
    assert bucket.list_keys(keys.INBOX) == []


def test_a_table_that_comes_while_the_archive_is_read_stays(bucket, make_wfdb, monkeypatch):
    """It is not written over by the archive's own: the next run finds both, and says that they contradict each other."""
    inbox.put_files([("w.zip", zipped(make_wfdb("a", seed=1) | {"labels.csv": b"record,label\na,normal\n"}))])
    opened = opening.open_archive

    def meanwhile(*given, **more):
        inbox.put_files([("w/labels.csv", b"record,label\na,abnormal\n")])
        return opened(*given, **more)

    with monkeypatch.context() as patch:
        patch.setattr("ecg_tasks.pipeline.intake.archives.open_archive", meanwhile)
        manifest = run(bucket, "r1")
    assert (manifest["account"]["received"], manifest["left"]) == (0, 1)
    assert bucket.get("inbox/w/labels.csv") == b"record,label\na,abnormal\n"
    manifest = run(bucket, "r2")
    assert manifest["account"]["records"] == 1
    assert [one["reason"] for one in manifest["quarantined"]] == ["bad_label"] * 2
    assert labels_in_force(bucket) == {}
    assert bucket.list_keys(keys.INBOX) == []


@pytest.mark.parametrize("size", [0, 10**9], ids=["streamed", "from the disk"])
def test_by_itself_no_archive_is_kept(bucket, files, monkeypatch, size):
    """Its bytes hold identifiers: one object has the copies without them, and no name of a member is readable anywhere."""
    for name in ("ECG_KEEP_NAMES", "ECG_RAW_KEEPS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv(*NO_WAIT)
    monkeypatch.setattr("ecg_tasks.pipeline.intake.archives._ON_DISK_BYTES", size)
    renamed = {name.replace("inner/rows", "Erika-Mustermann/rows"): data for name, data in files.items()}
    inbox.put_files([("Erika-Mustermann.zip", zipped(renamed))])
    manifest = run(bucket, "r1")
    assert (manifest["account"]["records"], manifest["account"]["quarantined"]) == (3, 3)
    kept = bucket.list_keys("")
    assert not [key for key in kept if key.startswith((keys.STAGING, keys.INBOX)) or "Erika" in key]
    (copies,) = [key for key in kept if key.startswith(keys.RAW) or key.endswith(".zip")]
    assert keys.digest_of_copies(copies)
    assert b"Erika" not in bucket.get(copies)
    told = [bucket.get(key) for key in kept if key.startswith((keys.MANIFESTS, keys.RECORDS, keys.RECORD_INDEX, keys.CATALOG))]
    assert not any(b"Erika" in data for data in told)
    assert {one.source for one in records(bucket).values()} <= {key.split("/")[1] for key in kept if key.startswith(keys.RAW)}
    assert orphans.find_orphans(bucket, at=next(iter(bucket.list_objects(keys.RAW))).modified) == []


def corrupted(data: bytes, what: bytes) -> bytes:
    """An archive in which a stored member was changed."""
    at = data.index(what)
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_a_bad_member_is_refused_by_itself(bucket, files, make_wfdb):
    """With its reason and what can be taken out of it; the others are records."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in {**make_wfdb("c", seed=3), **make_wfdb("a", seed=1)}.items():
            archive.writestr(name, data)
        archive.writestr("../../evil.csv", b"1,2")
        archive.writestr("/abs.csv", b"1,2")
        archive.writestr("inner.zip", zipped({"x": b"1"}))
        archive.writestr("twice.csv", b"1,2")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("twice.csv", b"3,4")
        link = zipfile.ZipInfo("link.csv")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("bzip.csv", b"1,2", compress_type=zipfile.ZIP_BZIP2)
    inbox.put_files([("w.zip", corrupted(out.getvalue(), files["a.dat"][:400]))])
    manifest = run(bucket, "r1")
    assert {one["name"]: one["reason"] for one in manifest["quarantined"]} == {
        "w/a.hea": "checksum_mismatch",
        "w/../../evil.csv": "unsafe_path",
        "w//abs.csv": "unsafe_path",
        "w/inner.zip": "unknown_format",
        "w/twice.csv": "unreadable",
        "w/link.csv": "unsafe_path",
        "w/bzip.csv": "unreadable",
    }
    assert "not inside another archive" in next(one["message"] for one in manifest["quarantined"] if one["name"] == "w/inner.zip")
    assert manifest["account"]["records"] == 1
    entries = {one["name"]: one["entry"] for one in manifest["quarantined"]}
    assert bucket.get(keys.quarantined(entries["w/a.hea"], "a.hea")) == files["a.hea"]
    with pytest.raises(ConfigurationError, match="stand in the archive"):
        put_back(bucket, entries["w/bzip.csv"], who="test")
    assert put_back(bucket, entries["w/a.hea"], who="test") == ("w/a.hea",)
    inbox.put_files([("w/a.dat", files["a.dat"])])
    assert run(bucket, "r2")["account"]["records"] == 1
    assert bucket.exists(keys.quarantined_mark(entries["w/a.hea"], keys.CLOSED))


BAD = {
    "cut off": (lambda whole: whole[:-30], "incomplete"),
    "without members": (lambda _: zipped({}), "incomplete"),
    "many members": (lambda _: zipped({f"{number}.csv": b"" for number in range(41)}), "too_large"),
    "a bomb": (lambda _: zipped({"a.csv": bytes(3_000_000)}), "too_large"),
    "a web page": (lambda _: b"<!doctype html><html>", "unknown_format"),
    "a document": (lambda _: zipped({"word/document.xml": b"<x/>"}), "unknown_format"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_archive_is_refused_whole(bucket, files, what, monkeypatch):
    """It is in quarantine as it came, can be put back, and once it is mended its entry is closed."""
    monkeypatch.setenv("ECG_MAX_ARCHIVE_BYTES", "2000000")
    monkeypatch.setenv("ECG_MAX_ARCHIVE_MEMBERS", "40")
    monkeypatch.setenv(*NO_WAIT)
    whole = zipped({name: files[name] for name in ("a.hea", "a.dat")})
    make, reason = BAD[what]
    dropped = make(whole)
    inbox.put_files([("w.zip", dropped)])
    manifest = run(bucket, "r1")
    ((name, told, entry),) = [(one["name"], one["reason"], one["entry"]) for one in manifest["quarantined"]]
    assert (name, told, manifest["account"]["received"]) == ("w.zip", reason, 1)
    assert bucket.get(keys.quarantined(entry, "w.zip")) == dropped
    assert bucket.list_keys(keys.INBOX) == []
    put_back(bucket, entry, who="test")
    inbox.put_files([("w.zip", whole)])  # mended where it lies
    assert run(bucket, "r2")["account"]["records"] == 1
    assert bucket.exists(keys.quarantined_mark(entry, keys.CLOSED))


def test_a_recording_too_large_is_named_and_never_unpacked(bucket, files, monkeypatch):
    """Its bytes stay in the archive."""
    monkeypatch.setenv("ECG_MAX_OBJECT_BYTES", "50000")
    rows = {"big.csv": bytes(60_000)}
    inbox.put_files([("w.zip", zipped(rows | {"small.csv": files["inner/rows.csv"]}))])
    manifest = run(bucket, "r1")
    assert {one["name"]: one["reason"] for one in manifest["quarantined"]} == {"w/big.csv": "too_large", "w/small.csv#1": "wrong_width"}
    assert manifest["account"]["records"] == 2


def test_an_archive_that_changed_while_it_was_read_is_left(bucket, files, monkeypatch):
    """The next run reads the new one whole; of one that is read from the disk, what was read is kept."""
    monkeypatch.setattr("ecg_tasks.pipeline.intake.archives._ON_DISK_BYTES", 0)
    inbox.put_files([("w.zip", zipped({"a.csv": files["inner/rows.csv"]}))])
    copy = ObjectStore.copy

    def replaced(self, source, target, **more):
        copy(self, source, target, **more)
        if source.startswith(keys.INBOX):
            inbox.put_files([("w.zip", zipped({name: files[name] for name in ("a.hea", "a.dat")}))])

    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "copy", replaced)
        manifest = run(bucket, "r1")
    assert (manifest["account"]["received"], manifest["waiting"], manifest["left"]) == (0, ["inbox/w.zip"], 1)
    assert run(bucket, "r2")["account"]["records"] == 1


def test_an_archive_that_is_replaced_before_it_is_copied_is_not_kept_under_the_digest_of_the_old_one(bucket, files, monkeypatch):
    """Else the old one could never come again: other bytes would stand in its place, and every intake fail."""
    monkeypatch.setattr("ecg_tasks.pipeline.intake.archives._ON_DISK_BYTES", 0)
    old, new = zipped({"a.csv": files["inner/rows.csv"]}), zipped({name: files[name] for name in ("a.hea", "a.dat")})
    inbox.put_files([("w.zip", old)])
    copy = ObjectStore.copy

    def replaced(self, source, target, **more):
        if source.startswith(keys.INBOX):
            inbox.put_files([("w.zip", new)])
        copy(self, source, target, **more)

    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "copy", replaced)
        assert ingest_records.plan("r1") == []
    assert bucket.list_keys(keys.RAW) == []
    assert run(bucket, "r2")["account"]["records"] == 1
    inbox.put_files([("w.zip", old)])
    run(bucket, "r3")
    kept = {key.split("/")[1]: bucket.get(key) for key in bucket.list_keys(keys.RAW)}
    assert kept == {hashlib.sha256(data).hexdigest(): data for data in (old, new)}


def small_recordings(n: int) -> dict[str, bytes]:
    """Recordings of five seconds of two leads at 50 Hz, each another one."""
    noise = np.random.default_rng(5)
    found = {}
    for number in range(n):
        samples = noise.integers(-900, 900, (250, 2)).astype("<i2")
        sums = [int(np.int16(lead.sum())) for lead in samples.T]
        first = samples[0]
        head = f"r{number:05d} 2 50 250\n" + "".join(
            f"r{number:05d}.dat 16 1000 16 0 {first[lead]} {sums[lead]} 0 {name}\n" for lead, name in enumerate(("I", "II"))
        )
        found[f"{number % 10}/r{number:05d}.hea"] = head.encode()
        found[f"{number % 10}/r{number:05d}.dat"] = samples.tobytes()
    return found


def requests_of(bucket, monkeypatch, name: str) -> list[tuple[str, str]]:
    """What a run asks the store for, beside its shards."""
    asked: list[tuple[str, str]] = []
    call = BaseClient._make_api_call

    def counted(self, name, given):
        asked.append((name, str(given.get("Key") or given.get("Prefix"))))
        return call(self, name, given)

    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", counted)
        ingest_records.publish(name, [ingest_records.ingest_batch(job) for job in ingest_records.plan(name)])
    of_shards = (keys.RECORDS, keys.RECORD_INDEX, keys.staging("ingest_records", name, "shards"))
    return [one for one in asked if not one[1].startswith(of_shards)]


@pytest.mark.parametrize("keeps", ["deidentified", "as_dropped", "nothing"])
def test_recordings_of_an_archive_cost_a_few_requests(bucket, monkeypatch, beat_rows, heartbeat_csv, keeps):
    """Beside those of their shards, in any order of members; one is of the account, which is a table, two of the archive's note.

    2,000 take as many, counted by hand: one in a hundred recordings. Most are the run's, whatever came: a file of one heartbeat takes 16.
    Once more, they take fewer than any file does.
    """
    monkeypatch.setenv("ECG_RAW_KEEPS", keeps)
    monkeypatch.delenv("ECG_KEEP_NAMES")
    for number in range(2):  # the first intakes of a bucket make its catalogue and its log
        inbox.put_files([("x.csv", bytes([number]))])
        run(bucket, f"b{number}")
    inbox.put_files([("one.csv", heartbeat_csv(beat_rows(1)))])
    alone = requests_of(bucket, monkeypatch, "r0")
    assert len(alone) <= (15 if keeps == "nothing" else 16), Counter(alone)
    assert opening._BATCH_DROPS >= 2000  # so one task takes them as it takes those here
    monkeypatch.setattr("ecg_tasks.archive.account_lists.INLINE", 100)  # and their account is a table
    made = small_recordings(200)
    shuffled = [sorted(made)[place] for place in np.random.default_rng(1).permutation(len(made))]
    archive = zipped({name: made[name] for name in shuffled})
    inbox.put_files([("w.zip", archive)])
    beside = requests_of(bucket, monkeypatch, "r1")
    assert len(beside) <= len(alone) + 4, Counter(beside)
    assert len(beside) <= 0.01 * 2000, Counter(beside)
    assert len(records(bucket)) == 201
    inbox.put_files([("w.zip", archive)])
    assert len(again := requests_of(bucket, monkeypatch, "r2")) <= 16, Counter(again)


def test_a_large_archive_is_shared_by_tasks(bucket, monkeypatch):
    """Each reads its own part of it and no more."""
    monkeypatch.setenv("ECG_MIN_TASKS", "4")
    monkeypatch.setattr("ecg_tasks.pipeline.intake.opening._LEAST_BATCH_BYTES", 1000)
    made = small_recordings(80)
    for suffix in ("zip", "tar", "tar.gz"):
        inbox.put_files([(f"w.{suffix}", WAYS[suffix](made))])
        jobs = ingest_records.plan(suffix.replace(".", ""))
        work = [read(bucket, IntakeJob, job) for job in jobs]
        assert 4 <= len(jobs) <= 6
        assert sum(len(job.drops) for job in work) == 80
        assert all(len(job.members) == 2 * len(job.drops) for job in work)
        read_bytes = Counter()
        stream = ObjectStore.stream

        def counted(self, key, *, at=0, end=None, etag="", read_bytes=read_bytes, stream=stream):
            read_bytes[key] += (end or 10**9) - at
            return stream(self, key, at=at, end=end, etag=etag)

        with monkeypatch.context() as patch:
            patch.setattr(ObjectStore, "stream", counted)
            results = [ingest_records.ingest_batch(job) for job in jobs]
        if suffix != "tar.gz":
            assert sum(read_bytes.values()) <= len(WAYS[suffix](made))
        ingest_records.publish(suffix.replace(".", ""), results)
    assert len(records(bucket)) == 80


@pytest.mark.parametrize("keeps", ["deidentified", "as_dropped"])
def test_killed_anywhere_and_run_again_gives_the_same(bucket, files, monkeypatch, keeps):
    """Break every single change of the store once, run the task again: the outcome is that of an undisturbed run."""
    monkeypatch.setenv(*NO_WAIT)
    monkeypatch.setenv("ECG_RAW_KEEPS", keeps)

    def left() -> dict[str, str]:
        runs = (keys.MANIFESTS, keys.AUDIT, keys.STAGING, keys.CATALOG, keys.LABELS)
        return {item.key: item.etag for item in bucket.list_objects("") if not item.key.startswith(runs)}

    archive = zipped(files)
    inbox.put_files([("w.zip", archive)])
    undisturbed = run(bucket, "r1")
    assert any(map(keys.digest_of_copies, left())) == (keeps == "deidentified")
    expected = left()
    for key in bucket.list_keys(""):
        bucket.delete(key)
    inbox.put_files([("w.zip", archive)])
    broken = break_every_change(monkeypatch)
    jobs = insist(ingest_records.plan, "r1")
    key = insist(ingest_records.publish, "r1", [insist(ingest_records.ingest_batch, job) for job in jobs])
    assert len(broken) > 15
    assert json.loads(bucket.get(key))["account"] == undisturbed["account"]
    assert left() == expected
