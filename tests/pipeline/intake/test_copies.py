"""The copies without identifiers of an archive's recordings: one object, in which accounts, lineage, pages and maintenance find each."""

import hashlib
import io
import json
import zipfile
from datetime import UTC, datetime, timedelta

import pytest

from benchmarks import written_files as written
from ecg_tasks import readers
from ecg_tasks.actions.quarantine import put_back
from ecg_tasks.archive import account_lists, keys, tables
from ecg_tasks.archive.documents import IntakeJob, IntakeManifest, TakenArchive, read, read_manifest, write
from ecg_tasks.archive.labelling import labels_in_force
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.pipeline import ingest_records
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.pipeline.maintenance.checksums import audit_checksums
from ecg_tasks.pipeline.maintenance.orphans import find_orphans
from ecg_tasks.pipeline.maintenance.rules import checked_days, judge
from ecg_tasks.queries import quarantine, records
from ecg_tasks.queries.lineage import tracing
from ecg_tasks.queries.lineage.links import LinkState

LATER = datetime.now(UTC) + timedelta(days=365)


@pytest.fixture
def store(bucket, monkeypatch) -> ObjectStore:
    """A bucket in which nobody has asked for anything to be kept."""
    for name in ("ECG_KEEP_NAMES", "ECG_RAW_KEEPS"):
        monkeypatch.delenv(name)
    return bucket


def run(store: ObjectStore, name: str) -> IntakeManifest:
    """One whole run of the DAG's tasks."""
    ingest_records.publish(name, [ingest_records.ingest_batch(job) for job in ingest_records.plan(name)])
    return read_manifest(store, IntakeManifest, name)


def sha256(data: bytes) -> str:
    """Digest of bytes."""
    return hashlib.sha256(data).hexdigest()


def zipped(files: dict[str, bytes]) -> bytes:
    """A ZIP of these files, the same whenever it is made."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return out.getvalue()


def edf(seed: int) -> bytes:
    """A recording of its own in one file, with a name in it."""
    (data,) = written.edf(written.made(seed=seed), patient="CANARY-4711").values()
    return data


@pytest.fixture
def dropped(make_wfdb) -> dict[str, bytes]:
    """A recording of one file, one of two, two of which a third file tells the units, and one that cannot be read."""
    arrays = {f"arrays/{number}.npy": written.npy(written.made(seed=number))["r.npy"] for number in (3, 4)}
    sidecar = {"arrays/signals.json": written.sidecar(written.made())}
    return {"a.edf": edf(1)} | make_wfdb("b", seed=2) | arrays | sidecar | {"photo.jpg": b"\xff\xd8\xff"}


def copies_of(store: ObjectStore) -> dict[str, bytes]:
    """The members of the only object of copies, by path."""
    (key,) = store.list_keys(keys.RAW)
    with zipfile.ZipFile(io.BytesIO(store.get(key))) as found:
        return {name: found.read(name) for name in found.namelist()}


def states(store: ObjectStore, name: str) -> dict[str, LinkState]:
    """What lineage says of raw bytes and what they were dropped as."""
    return {link.what: link.state for link in tracing.trace(store, name).all() if link.what in {"raw", "dropped"}}


def is_whole(store: ObjectStore) -> bool:
    """Whether maintenance finds nothing damaged, nothing without a fate, and nothing of a record that may go."""
    checked = audit_checksums(store, run="m", sample=1000)
    old = judge(store, checked_days({"raw": 7.0}), at=LATER).deletable
    return find_orphans(store, at=LATER) == [] and checked.damaged == () and not any(key.startswith(keys.RAW) for key in old)


def test_the_copies_are_one_object(store, dropped):
    """Each file lies in a folder called by its digest, one that two recordings need once; the account names object and digests."""
    inbox.put_files([("ward/night.zip", zipped(dropped))])
    manifest = run(store, "r1")
    (key,) = store.list_keys(keys.RAW)
    assert sha256(store.get(key)) == keys.digest_of_copies(key)
    members = copies_of(store)
    *files, listed = members
    assert all(sha256(members[name]) == name.partition("/")[0] for name in files)
    assert [name.partition("/")[2] for name in files].count("signals.json") == 1
    assert not any(b"CANARY" in data or b"ward" in data for data in members.values())
    lines = [one for one in manifest.inputs if one.records]
    assert len(lines) == 4
    assert {(one.source, one.kept, one.kept_in) for one in lines} == {(key.split("/")[1], "deidentified", key)}
    assert {file.sha256 for one in lines for file in one.files} == {name.partition("/")[0] for name in files}
    assert {file.dropped for one in lines for file in one.files} == {sha256(data) for name, data in dropped.items() if name != "photo.jpg"}
    drops = json.loads(members[listed])["drops"]
    assert sorted((len(drop["records"]), len(drop["files"])) for drop in drops) == [(1, 1), (1, 2), (1, 2), (1, 2)]
    assert is_whole(store)


def test_a_record_is_traced_to_its_own_copy(store, dropped):
    """By its id, by the digest of what was dropped, of its copy, of all copies, and of the archive; the page names its files alone."""
    archive = zipped(dropped)
    inbox.put_files([("w.zip", archive)])
    manifest = run(store, "r1")
    (record,) = readers.read("a.edf", {"a.edf": dropped["a.edf"]}).records
    (key,) = store.list_keys(keys.RAW)
    copy = next(data for name, data in copies_of(store).items() if name.endswith(".edf"))
    assert records.record_page(store, record.record_id).raw == ((f"{key}/{sha256(copy)}/{key_name(store, '.edf')}", len(copy)),)
    raw = next(link for link in tracing.trace(store, record.record_id).all() if link.what == "raw")
    assert list(raw.metadata.values()) == [f"{len(copy):,} bytes"]
    assert states(store, record.record_id) == states(store, sha256(copy)) == {"raw": LinkState.CHECKED}
    assert states(store, sha256(dropped["a.edf"])) == {"dropped": LinkState.RECORDED, "raw": LinkState.CHECKED}
    assert states(store, key.split("/")[1]) == {"raw": LinkState.CHECKED}
    assert states(store, sha256(archive)) == {"dropped": LinkState.RECORDED}
    assert not [link for link in tracing.trace(store, manifest.run).all() if link.state is LinkState.BROKEN]


def key_name(store: ObjectStore, suffix: str) -> str:
    """The name of the only copy with this ending."""
    (name,) = [name.partition("/")[2] for name in copies_of(store) if name.endswith(suffix)]
    return name


def test_a_copy_can_be_read_again(store, dropped):
    """What a record's page names is what its reader needs, and any program that knows ZIP takes it out."""
    inbox.put_files([("w.zip", zipped(dropped))])
    run(store, "r1")
    members = copies_of(store)
    for record_id in ids_of_all(store):
        files = [name.rpartition(".zip/")[2] for name, _ in records.record_page(store, record_id).raw]
        contents = {name.partition("/")[2]: members[name] for name in files}
        (record,) = readers.read(next(iter(contents)), contents).records
        assert record.record_id == record_id


def test_damage_is_told(store, dropped):
    """Of the object as a whole, and of the record whose copy it is, but of no other; so is an object that is gone."""
    inbox.put_files([("w.zip", zipped(dropped))])
    run(store, "r1")
    (key,) = store.list_keys(keys.RAW)
    whole, member = store.get(key), next(data for name, data in copies_of(store).items() if name.endswith(".edf"))
    ids = [readers.read(name, {name: dropped[name]}).records[0].record_id for name in ("a.edf",)]
    other = next(one for one in ids_of_all(store) if one not in ids)
    at = whole.index(member) + len(member) // 2
    store.replace(key, whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    assert [one.kind for one in audit_checksums(store, run="m", sample=1000).damaged] == ["raw"]
    assert states(store, ids[0]) == {"raw": LinkState.BROKEN}
    assert states(store, other) == {"raw": LinkState.CHECKED}
    store.replace(key, whole[:-100])
    assert states(store, ids[0]) == {"raw": LinkState.BROKEN}
    assert records.record_page(store, other).raw == ((key, len(whole) - 100),)
    store.delete(key)
    assert states(store, ids[0]) == {"raw": LinkState.BROKEN}
    assert {one.kind for one in find_orphans(store, at=LATER)} == {"records without the dropped file"}


def test_a_copy_that_was_exchanged_is_told(store, dropped):
    """Also in a ZIP that is whole: what counts is the digest that the account has."""
    inbox.put_files([("w.zip", zipped(dropped))])
    run(store, "r1")
    (key,) = store.list_keys(keys.RAW)
    (record,) = readers.read("a.edf", {"a.edf": dropped["a.edf"]}).records
    store.replace(key, zipped({name: data + b"x" if name.endswith(".edf") else data for name, data in copies_of(store).items()}))
    assert states(store, record.record_id) == {"raw": LinkState.BROKEN}
    assert all(states(store, one) == {"raw": LinkState.CHECKED} for one in ids_of_all(store) if one != record.record_id)


def test_a_file_that_is_not_among_the_copies_is_told(store, make_wfdb):
    """The list names two files of the recording, and one is there."""
    inbox.put_files([("w.zip", zipped(make_wfdb("b", seed=2)))])
    run(store, "r1")
    (record_id,), (key,), members = ids_of_all(store), store.list_keys(keys.RAW), copies_of(store)
    assert states(store, record_id) == {"raw": LinkState.CHECKED}
    fewer = zipped({name: data for name, data in members.items() if not name.endswith(".dat")})
    store.delete(key)
    store.replace(keys.raw_copies(key.split("/")[1], sha256(fewer)), fewer)
    assert states(store, record_id) == {"raw": LinkState.BROKEN}


def ids_of_all(store: ObjectStore) -> list[str]:
    """The ids of all records."""
    return [one for key in store.list_keys(keys.RECORD_INDEX) for one in tables.load(store.get(key), ["record_id"])["record_id"]]


def test_copies_without_any_fate_are_told(store, dropped):
    """Those of a task whose run was given up, and a second object beside one that an account names."""
    inbox.put_files([("w.zip", zipped(dropped))])
    for job in ingest_records.plan("given up"):
        ingest_records.ingest_batch(job)
        store.delete(job.replace("/jobs/", "/results/"))
    assert [one.kind for one in find_orphans(store, at=LATER)] == ["dropped file without any fate"]
    run(store, "r1")
    (key,) = store.list_keys(keys.RAW)  # the same bytes under the same key
    assert is_whole(store)
    store.replace(keys.raw_copies(key.split("/")[1], "0" * 64), b"x")
    assert [(one.kind, one.key) for one in find_orphans(store, at=LATER)] == [
        ("copies without any fate", keys.raw_copies(key.split("/")[1], "0" * 64))
    ]


def test_copies_go_when_no_record_needs_them(store, dropped):
    """All of them are duplicates: their object goes with the days that a form asks for, and that of the records stays."""
    inbox.put_files([("w.zip", zipped(dropped))])
    run(store, "r1")
    before = store.list_keys(keys.RAW)
    inbox.put_files([("w2.zip", zipped(dropped | {"README": b"x"}))])
    assert run(store, "r2").counts.duplicates == 4
    old = judge(store, checked_days({"raw": 7.0}), at=LATER).deletable
    assert set(store.list_keys(keys.RAW)) - set(before) == {key for key in old if key.startswith(keys.RAW)} != set()


def test_large_copies_are_several_objects(store, dropped, monkeypatch):
    """Below one source; each record is found in its own."""
    monkeypatch.setattr("ecg_tasks.pipeline.intake.copies._MOST_BYTES", 1)
    inbox.put_files([("w.zip", zipped(dropped))])
    manifest = run(store, "r1")
    found = store.list_keys(keys.RAW)
    assert len(found) == 4
    assert len({key.split("/")[1] for key in found}) == 1
    assert {one.kept_in for one in manifest.inputs if one.records} == set(found)
    for record_id in ids_of_all(store):
        assert states(store, record_id) == {"raw": LinkState.CHECKED}
        assert len({key.rpartition("/")[0].rpartition("/")[0] for key, _ in records.record_page(store, record_id).raw}) == 1
    assert is_whole(store)


def test_a_job_of_an_earlier_version_keeps_each_copy_by_itself(store, dropped):
    """It names no source for them; and it read the archive in staging/."""
    inbox.put_files([("w.zip", zipped(dropped))])
    (job,) = ingest_records.plan("r1")
    planned = read(store, IntakeJob, job)
    staged = keys.staging("ingest_records", "r1", "archives/x")
    store.copy("inbox/w.zip", staged)
    older = json.loads(planned.to_json())
    older["archive"] |= {"key": staged}
    del older["archive"]["copies"], older["archive"]["etag"], older["plan"]["opened"], older["plan"]["known"]
    older["plan"]["archives"] = [staged]
    store.put(job, json.dumps(older).encode())
    ingest_records.publish("r1", [ingest_records.ingest_batch(job)])
    assert not any(map(keys.digest_of_copies, store.list_keys(keys.RAW)))
    assert store.list_keys(keys.STAGING) == store.list_keys(keys.INBOX) == []
    assert is_whole(store)


def test_a_dropped_file_is_not_taken_for_copies(store, monkeypatch):
    """Whatever it is called."""
    monkeypatch.setenv("ECG_KEEP_NAMES", "1")
    monkeypatch.setenv("ECG_RAW_KEEPS", "as_dropped")
    inbox.put_files([(f"copies-{'0' * 64}.zip", zipped({"a.edf": edf(1)}))])
    run(store, "r1")
    assert is_whole(store)


def test_an_archive_that_was_taken_over_is_known(store, dropped):
    """One line says by which run and when; nothing of it is read again, and the sums are right. Under another name it is another."""
    archive = zipped({name: data for name, data in dropped.items() if name != "photo.jpg"})
    inbox.put_files([("w.zip", archive)])
    first = run(store, "r1")
    kept = {item.key: item.etag for item in store.list_objects(keys.RAW)}
    inbox.put_files([("w.part-2.zip", archive)])
    again = run(store, "r2")
    (line,) = again.inputs
    assert (line.received, line.records, line.duplicates, line.before) == (4, 0, 4, first.run)
    assert datetime.fromisoformat(line.before_at) <= datetime.now(UTC)
    assert (again.counts.received, again.counts.duplicates, again.archives) == (4, 4, ())
    assert store.list_keys(keys.INBOX) == store.list_keys(keys.STAGING) == []
    assert {item.key: item.etag for item in store.list_objects(keys.RAW)} == kept
    assert [link.sentence for link in tracing.trace(store, "r2").all() if link.what == "dropped"] == [
        f"an archive that was taken over by r1, {line.before_at}"
    ]
    assert is_whole(store)
    inbox.put_files([("other.zip", archive)])
    assert len([one for one in run(store, "r3").inputs if one.duplicates]) == 4


def test_the_account_of_a_known_archive_may_be_a_table(store, monkeypatch):
    """It says the same there."""
    monkeypatch.setattr("ecg_tasks.archive.account_lists.INLINE", 0)
    for name in ("r1", "r2"):
        inbox.put_files([("w.zip", zipped({"a.edf": edf(1)}))])
        manifest = run(store, name)
    (line,) = account_lists.inputs(store, manifest)
    assert (line.before, line.duplicates, bool(manifest.inputs_table)) == ("r1", 1, True)


def test_a_known_archive_with_a_label_table_is_read_again(store, dropped):
    """Its rows may mean recordings that came since, and where others of the same names did, they mean its own."""
    archive = zipped({"a.edf": dropped["a.edf"], "labels.csv": b"record,label\na.edf,normal\nc.edf,abnormal\n"})
    inbox.put_files([("w.zip", archive)])
    run(store, "r1")
    for key in store.list_keys(keys.INBOX):
        store.delete(key)
    inbox.put_files([("w/c.edf", edf(7))])
    run(store, "r2")
    (own,) = labels_in_force(store)
    inbox.put_files([("w.zip", zipped({"a.edf": edf(8), "labels.csv": b"record,label\na.edf,abnormal\n"}))])
    run(store, "r3")
    inbox.put_files([("w.zip", archive)])
    run(store, "r4")
    found = labels_in_force(store)
    assert (found.pop(own).label, sorted(one.label for one in found.values())) == ("normal", ["abnormal", "abnormal"])


@pytest.mark.parametrize("why", ["refused", "kept", "killed"])
def test_an_archive_is_read_again_where_that_may_say_more(store, dropped, monkeypatch, why):
    """Something of it was refused, which a later reader may read; raw/ is to keep something else; or its run did not end."""
    archive = zipped(dropped if why == "refused" else {"a.edf": dropped["a.edf"]})
    inbox.put_files([("w.zip", archive)])
    if why == "killed":
        [ingest_records.ingest_batch(job) for job in ingest_records.plan("r1")]
        for key in store.list_keys(keys.STAGING):
            store.delete(key)
    else:
        run(store, "r1")
    if why == "kept":
        monkeypatch.setenv("ECG_RAW_KEEPS", "as_dropped")
    inbox.put_files([("w.zip", archive)])
    assert not any(one.before for one in run(store, "r2").inputs)


def test_a_publication_that_is_tried_again_notes_the_archive(store, dropped, monkeypatch):
    """The note is written after the account and before what was staged goes."""
    from ecg_tasks.archive import taken_archives

    inbox.put_files([("w.zip", zipped({"a.edf": dropped["a.edf"]}))])
    results = [ingest_records.ingest_batch(job) for job in ingest_records.plan("r1")]
    with monkeypatch.context() as patch:
        patch.setattr(taken_archives, "note_archives", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ingest_records.publish("r1", results)
    ingest_records.publish("r1", results)
    (key,) = store.list_keys(keys.TAKEN_OVER)
    noted = read(store, TakenArchive, key)
    assert (noted.run, noted.counts.records) == ("r1", 1)
    assert read_manifest(store, IntakeManifest, "r1").archives == (noted.counts,)
    write(store, key, noted)


@pytest.mark.parametrize("replaced", [True, False], ids=["replaced", "taken back"])
def test_an_archive_that_is_gone_before_a_task_reads_it(store, dropped, replaced):
    """Its drops are gone, and nothing is noted of it; what lies there now is taken by the next run."""
    inbox.put_files([("w.zip", zipped({"a.edf": dropped["a.edf"]}))])
    jobs = ingest_records.plan("r1")
    store.delete("inbox/w.zip")
    if replaced:
        inbox.put_files([("w.zip", zipped({"b.edf": edf(9)}))])
    ingest_records.publish("r1", [ingest_records.ingest_batch(job) for job in jobs])
    manifest = read_manifest(store, IntakeManifest, "r1")
    assert ([one.fate for one in manifest.inputs], manifest.counts.received, manifest.archives) == (["gone"], 0, ())
    assert store.list_keys(keys.TAKEN_OVER) == []
    assert (store.list_keys(keys.INBOX) == ["inbox/w.zip"]) == replaced
    if replaced:
        assert run(store, "r2").counts.records == 1


@pytest.mark.parametrize("name", ["w.zip", "a.edf"])
def test_what_is_put_again_before_the_end_of_a_run_that_did_not_read_it(store, dropped, name):
    """The same bytes under the same name were not taken: they stay for the next run."""
    data = zipped({"a.edf": dropped["a.edf"]}) if name == "w.zip" else dropped["a.edf"]
    inbox.put_files([(name, data)])
    jobs = ingest_records.plan("r1")
    store.delete(f"inbox/{name}")
    results = [ingest_records.ingest_batch(job) for job in jobs]
    inbox.put_files([(name, data)])
    ingest_records.publish("r1", results)
    assert store.list_keys(keys.INBOX) == [f"inbox/{name}"]
    assert run(store, "r2").counts.records == 1
    assert store.list_keys(keys.INBOX) == []


def test_what_is_left_of_a_recording_that_is_gone_stays(store, make_wfdb):
    """Its owner took back one of two files: nobody has read the other one."""
    files = make_wfdb("b", seed=2)
    inbox.put_files(files.items())
    jobs = ingest_records.plan("r1")
    store.delete("inbox/b.dat")
    ingest_records.publish("r1", [ingest_records.ingest_batch(job) for job in jobs])
    assert store.list_keys(keys.INBOX) == ["inbox/b.hea"]
    inbox.put_files([("b.dat", files["b.dat"])])
    assert run(store, "r2").counts.records == 1


def test_an_archive_that_was_put_back_and_is_gone_again_leaves_its_entry_open(store, monkeypatch):
    """It was taken out of the inbox before its tasks read it: its bytes are in quarantine only, and it can be put back once more."""
    with monkeypatch.context() as patch:
        patch.setenv("ECG_MAX_ARCHIVE_MEMBERS", "1")
        inbox.put_files([("w.zip", zipped({"a.edf": edf(1), "b.edf": edf(2)}))])
        run(store, "r1")
    (entry,) = quarantine.entries(store).entries
    put_back(store, entry.id, who="ada")
    jobs = ingest_records.plan("r2")
    store.delete("inbox/w.zip")
    ingest_records.publish("r2", [ingest_records.ingest_batch(job) for job in jobs])
    (entry,) = quarantine.entries(store).entries
    assert [one.outcome for one in entry.retried] == ["gone before it was read"]
    put_back(store, entry.id, who="ada")
    assert run(store, "r3").counts.records == 2
    assert quarantine.entries(store).entries == ()
