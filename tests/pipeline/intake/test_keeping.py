"""What is kept in raw/: a copy without identifiers, what came, or nothing; and what accounts, lineage and maintenance say then."""

import hashlib
import io
import zipfile
from datetime import UTC, datetime, timedelta

import pytest

from benchmarks import written_files as written
from ecg_tasks import readers
from ecg_tasks.archive import keys, packed_copies, sources
from ecg_tasks.archive.documents import IntakeManifest, read_manifest
from ecg_tasks.pipeline import ingest_records
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.pipeline.maintenance.checksums import audit_checksums
from ecg_tasks.pipeline.maintenance.orphans import find_orphans
from ecg_tasks.pipeline.maintenance.rules import checked_days, judge
from ecg_tasks.queries import records
from ecg_tasks.queries.lineage import tracing
from ecg_tasks.queries.lineage.links import LinkState

LATER = datetime.now(UTC) + timedelta(days=365)


@pytest.fixture
def store(bucket, monkeypatch):
    """A bucket in which nobody has asked for anything to be kept."""
    for name in ("ECG_KEEP_NAMES", "ECG_RAW_KEEPS"):
        monkeypatch.delenv(name)
    return bucket


def run(name: str) -> IntakeManifest:
    """One whole run of the DAG's tasks."""
    from ecg_tasks.archive.workspace import open_store

    ingest_records.publish(name, [ingest_records.ingest_batch(job) for job in ingest_records.plan(name)])
    return read_manifest(open_store(), IntakeManifest, name)


def is_whole(store) -> bool:
    """Whether maintenance finds every object's source and every content as its name says, and all sources are still needed."""
    checked = audit_checksums(store, run="m", sample=1000)
    behind_records = {f"{keys.RAW}{one}/" for one in store.list_folders(keys.RAW)}
    old = judge(store, checked_days({"raw": 7.0}), at=LATER).deletable
    assert not [key for key in old if key.startswith(tuple(behind_records))]
    return find_orphans(store, at=LATER) == [] and checked.damaged == ()


def states(store, name: str) -> dict[str, LinkState]:
    """What lineage says of raw bytes and what they were dropped as."""
    return {link.what: link.state for link in tracing.trace(store, name).all() if link.what in {"raw", "dropped"}}


def sha256(data: bytes) -> str:
    """Digest of bytes."""
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("packed", [False, True], ids=["files", "an archive"])
def test_no_bytes_are_digested_twice(store, monkeypatch, packed):
    """The signals of a recording are in its copy as they came: their digest is known, and no file of the copy is looked at again."""
    files, digested = written.wfdb(written.made()), []
    with io.BytesIO() as archive:
        with zipfile.ZipFile(archive, "w") as writer:
            for name, data in files.items():
                writer.writestr(name, data)
        inbox.put_files([("w/all.zip", archive.getvalue())] if packed else [(f"w/{name}", data) for name, data in files.items()])
    file_of = sources.file_of
    for module in (sources, packed_copies):
        monkeypatch.setattr(module, "file_of", lambda name, data: digested.append(data) or file_of(name, data))
    assert run("r1").counts.records == 1
    assert sorted(map(len, digested)) == sorted({len(data) for data in digested})
    assert digested.count(files["r.dat"]) == 1


def test_a_copy_without_identifiers_is_kept(store):
    """It is named by the digest of its own bytes; the account has that of what came, too, by which its lineage is found."""
    (data,) = written.edf(written.made(), patient="CANARY-4711").values()
    inbox.put_files([("ward/Nobody.edf", data)])
    (drop,) = run("r1").inputs
    (key,) = store.list_keys(keys.RAW)
    copy = store.get(key)
    assert (drop.source, drop.files[0].sha256, drop.kept) == (sha256(copy), sha256(copy), "deidentified")
    assert (drop.dropped, drop.files[0].dropped) == (sha256(data), sha256(data))
    assert b"CANARY" in data
    assert b"CANARY" not in copy
    (before,), (after,) = readers.read("a.edf", {"a.edf": data}).records, readers.read("a.edf", {"a.edf": copy}).records
    assert after.record_id == before.record_id
    assert records.record_page(store, before.record_id).raw == ((key, len(copy)),)
    assert states(store, before.record_id) == {"raw": LinkState.CHECKED}
    assert states(store, sha256(data)) == {"dropped": LinkState.RECORDED, "raw": LinkState.CHECKED}
    assert is_whole(store)


def test_what_is_dropped_again_changes_nothing(store):
    """The same copy is made of the same bytes, and the record is a duplicate."""
    files = {f"ward/{name}": data for name, data in written.edf(written.made()).items()}
    inbox.put_files(files.items())
    first = run("r1")
    before = {item.key: item.etag for item in store.list_objects(keys.RAW)}
    inbox.put_files(files.items())
    again = run("r2")
    assert (again.counts.duplicates, again.inputs[0].source) == (1, first.inputs[0].source)
    assert {item.key: item.etag for item in store.list_objects(keys.RAW)} == before


def test_files_that_belong_together_are_kept_together(store):
    """Each under its own digest, and a list of them, whose digest is the drop's source."""
    one = written.made()
    files = {"r.npy": written.npy(one)["r.npy"], "signals.json": written.sidecar(one)}
    inbox.put_files((f"ward/{name}", data) for name, data in files.items())
    (drop,) = [one for one in run("r1").inputs if one.records]
    assert [file.dropped for file in drop.files] == [sha256(files["r.npy"]), sha256(files["signals.json"])]
    kept = {name: store.get(next(iter(store.list_keys(f"{keys.RAW}{file.sha256}/")))) for name, file in zip(files, drop.files, strict=True)}
    (record,) = readers.read("r.npy", kept).records
    assert records.shard_of(store, record.record_id)
    assert is_whole(store)


@pytest.mark.parametrize("setting", ["deidentified", "nothing"])
@pytest.mark.usefixtures("read_in_this_process")
def test_nothing_is_kept_where_no_copy_can_be_made(store, monkeypatch, setting):
    """A reader that can make none, what holds no recording, a label table and what cannot be read: the record is there, and no bytes."""
    monkeypatch.setenv("ECG_RAW_KEEPS", setting)
    monkeypatch.setattr("ecg_tasks.readers.edf.EdfReader.deidentified", lambda *_, **_more: {})
    (data,) = written.edf(written.made()).values()
    inbox.put_files(
        [("w/a.edf", data), ("w/a.atr", b"notes"), ("w/photo.jpg", b"\xff\xd8\xff"), ("w/labels.csv", b"record,label\na.edf,1\n")]
    )
    manifest = run("r1")
    assert (manifest.counts.records, manifest.counts.passed_over, manifest.counts.quarantined, manifest.labels.stored) == (1, 1, 1, 1)
    assert {one.kept for one in manifest.inputs} == {"nothing"}
    assert store.list_keys(keys.RAW) == store.list_keys(keys.INBOX) == []
    (record,) = readers.read("a.edf", {"a.edf": data}).records
    assert records.record_page(store, record.record_id).raw == ()
    for name in (record.record_id, sha256(data)):
        assert states(store, name) == {"raw": LinkState.ABSENT}
    assert not [link for link in tracing.trace(store, "r1").all() if link.state is LinkState.BROKEN]
    assert is_whole(store)


def test_what_came_is_kept_where_a_site_asks_for_it(store, monkeypatch):
    """Byte by byte, also what cannot be read and what is passed over, and none of it under its name."""
    monkeypatch.setenv("ECG_RAW_KEEPS", "as_dropped")
    (data,) = written.edf(written.made()).values()
    dropped = {"w/Erika.edf": data, "w/Erika.atr": b"notes", "w/Erika.jpg": b"\xff\xd8\xff", "w/labels.csv": b"record,label\nErika.edf,1\n"}
    inbox.put_files(dropped.items())
    manifest = run("r1")
    assert {store.get(key) for key in store.list_keys(keys.RAW)} == set(dropped.values())
    assert not [key for key in store.list_keys(keys.RAW) if "Erika" in key]
    assert {one.kept for one in manifest.inputs} == {"as_dropped"}
    assert states(store, sha256(data)) == {"raw": LinkState.CHECKED}
    assert find_orphans(store, at=LATER) == []


@pytest.mark.usefixtures("read_in_this_process")
def test_a_wfdb_recording_is_kept_under_names_that_say_nothing(store, monkeypatch, make_wfdb):
    """Its header names its signal file by the name under which that is kept."""
    monkeypatch.setattr("ecg_tasks.readers.wfdb.record.WfdbReader.deidentified", lambda _reader, files, _name: dict(files))
    files = make_wfdb("Erika", seed=1)
    inbox.put_files((f"ward/{name}", data) for name, data in files.items())
    (drop,) = run("r1").inputs
    kept = {key.rpartition("/")[2]: store.get(key) for key in store.list_keys(keys.RAW) if not key.endswith(keys.DROP)}
    assert not [key for key in store.list_keys(keys.RAW) if b"Erika" in key.encode() + store.get(key)]
    (header,) = [name for name in kept if name.endswith(".hea")]
    (record,) = readers.read(header, {header: kept.pop(header), **kept}).records
    assert records.shard_of(store, record.record_id)
    assert (drop.kept, [file.dropped for file in drop.files]) == ("deidentified", [sha256(data) for data in files.values()])
    assert is_whole(store)
