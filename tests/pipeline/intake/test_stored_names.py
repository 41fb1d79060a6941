"""Without a setting no name of a file or a folder is stored, and labels that come later still find their recordings."""

import pytest

from ecg_tasks.actions.quarantine import put_back
from ecg_tasks.archive import account_lists, audit, keys, tables
from ecg_tasks.archive.documents import IntakeManifest, QuarantineReason, read, read_manifest
from ecg_tasks.archive.labelling import labels_in_force
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.errors import SENTENCES, Reason
from ecg_tasks.pipeline import ingest_records
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.queries import quarantine
from ecg_tasks.settings import Settings

FOLDER, NAME = "Mustermann", "Erika_M"
SAID = (FOLDER.encode(), NAME.encode(), FOLDER.lower().encode())


@pytest.fixture
def store(bucket, monkeypatch):
    """A bucket in which nobody has asked for names to be kept."""
    monkeypatch.delenv("ECG_KEEP_NAMES")
    return bucket


@pytest.fixture
def put(make_wfdb):
    """Drop a recording under a path."""

    def drop(path: str, *, seed: int) -> None:
        folder, _, name = path.rpartition("/")
        inbox.put_files((f"{folder}/{file}".lstrip("/"), data) for file, data in make_wfdb(name, seed=seed).items())

    return drop


def run(name: str) -> IntakeManifest:
    """One whole run of the DAG's tasks."""
    from ecg_tasks.archive.workspace import open_store

    ingest_records.publish(name, [ingest_records.ingest_batch(job) for job in ingest_records.plan(name)])
    return read_manifest(open_store(), IntakeManifest, name)


def index(store) -> list[dict]:
    """Every row of the shards' indexes, in the order of their intakes."""
    rows = []
    for data in store.get_many(store.list_keys(keys.RECORD_INDEX)):
        columns = tables.load(data)
        rows += [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return sorted(rows, key=lambda row: row["received"])


def refused(store, manifest) -> list[str]:
    """The sentences that the quarantine has for the entries of a run."""
    folders = dict.fromkeys(one.folder for one in manifest.quarantined)
    reasons = [read(store, QuarantineReason, keys.quarantine_reason(folder)) for folder in folders]
    return [row.message for reason in reasons for row in reason.rows or (reason,)]


def told(store) -> list[str]:
    """Where a name stands, in a key or in what is stored there, but for the bytes of files."""
    found = []
    for item in store.list_objects(""):
        is_bytes = item.key.startswith((keys.RAW, keys.QUARANTINE)) and not item.key.endswith(f"/{keys.DROP}")
        content = b"" if is_bytes else store.get(item.key)
        if any(word in item.key.encode() + b"\n" + content for word in SAID):
            found.append(item.key)
    return found


def test_a_record_is_called_by_its_id(store, put, beat_rows, heartbeat_csv):
    """No key, account, index, alias or label has a name; that the bytes of files may have one is another matter."""
    put(f"{FOLDER}/{NAME}", seed=1)
    rows = heartbeat_csv(beat_rows(2), [0, 1])
    inbox.put_files([(f"{FOLDER}/beats.csv", rows), (f"again/{NAME}.csv", rows), (f"{FOLDER}/{NAME}.jpg", b"\xff\xd8 no ECG")])
    inbox.put_files([(f"{FOLDER}/labels.csv", f"record,label\n{NAME},abnormal\nbeats.csv#2,normal\n".encode())])
    manifest = run("r1")
    assert (manifest.counts.records, manifest.counts.duplicates, manifest.counts.quarantined) == (3, 2, 1)
    assert all(row["name"] == row["record_id"] for row in index(store))
    assert told(store) == []
    assert store.list_keys(keys.INBOX) == store.list_keys(keys.STAGING) == []
    assert len(labels_in_force(store)) == 3
    (entry,) = manifest.quarantined
    assert entry.message == SENTENCES[Reason.UNKNOWN_FORMAT]
    assert entry.name == StoredNames.of(Settings.from_environment()).hashed(f"{FOLDER}/{NAME}.jpg")
    (reason,) = refused(store, manifest)
    assert NAME in reason


@pytest.mark.parametrize(
    "kept", [(False, False), (True, False), (False, True), (True, True)], ids=["never", "before", "afterwards", "always"]
)
@pytest.mark.parametrize("record", [NAME, f"{FOLDER}/{NAME}.hea", f"./{NAME}.dat"])
def test_a_label_that_comes_later_finds_its_recording(store, put, monkeypatch, kept, record):
    """By the name beside it or the full path, whether names were stored when the recording came, or are when the label does."""
    monkeypatch.setenv("ECG_WFDB_GRACE_S", "0")
    monkeypatch.setenv("ECG_KEEP_NAMES", str(int(kept[0])))
    put(f"{FOLDER}/{NAME}", seed=1)
    put(f"other/{NAME}", seed=2)
    run("r1")
    monkeypatch.setenv("ECG_KEEP_NAMES", str(int(kept[1])))
    inbox.put_files([(f"{FOLDER}/labels.csv", f"record,label,patient_id\n{record},abnormal,P1\n".encode())])
    manifest = run("r2")
    assert (manifest.labels.stored, manifest.labels.described, manifest.quarantined) == (1, 1, ())
    (entry,) = labels_in_force(store).values()
    assert (entry.label, FOLDER in entry.who) == ("abnormal", kept[1])


def test_a_row_of_a_table_and_an_id_are_found_later(store, beat_rows, heartbeat_csv):
    """A beat by its file and row, in any spelling of the file's ending; a record by its id."""
    inbox.put_files([(f"{FOLDER}/Beats.CSV", heartbeat_csv(beat_rows(3)))])
    run("r1")
    first, second, third = (row["record_id"] for row in sorted(index(store), key=lambda row: row["called"][-1]))
    table = f"record,label\nBeats.csv#2,abnormal\n{third},normal\n"
    inbox.put_files([(f"{FOLDER}/labels.csv", table.encode())])
    assert run("r2").labels.stored == 2
    assert {one: entry.label for one, entry in labels_in_force(store).items()} == {second: "abnormal", third: "normal"}
    assert first not in labels_in_force(store)


def test_the_name_of_a_duplicate_is_found_later(store, put, make_wfdb):
    """A recording that came again under another name has that digest, too; nothing is kept of it twice."""
    put(f"ward/{NAME}", seed=7)
    renamed = {f"a/copy{file[len(NAME) :]}": data.replace(NAME.encode(), b"copy") for file, data in make_wfdb(NAME, seed=7).items()}
    inbox.put_files(renamed.items())
    assert run("r1").counts.duplicates == 1
    inbox.put_files([("a/labels.csv", b"record,label\ncopy,normal\n")])
    assert run("r2").labels.stored == 1
    for name in ("r3", "r4"):
        inbox.put_files(renamed.items())
        put(f"ward/{NAME}", seed=7)
        assert run(name).counts.duplicates == 2
    assert len(store.list_keys(keys.ALIASES)) == 1


def test_a_name_that_is_used_again_means_the_latest_drop(store, put, monkeypatch):
    """Of a recording stored with its name and one that came after it without, the label goes to the later one."""
    monkeypatch.setenv("ECG_KEEP_NAMES", "1")
    put("w/r", seed=1)
    run("r1")
    monkeypatch.delenv("ECG_KEEP_NAMES")
    put("w/r", seed=2)
    run("r2")
    inbox.put_files([("w/labels.csv", b"record,label\nr,abnormal\n")])
    run("r3")
    assert [*labels_in_force(store)] == [index(store)[-1]["record_id"]]


def test_a_table_waits_for_its_recordings_and_is_told_in_the_quarantine_alone(store, put, make_wfdb, monkeypatch):
    """While its recording waits, a table waits; what no recording fits is refused, with its row in the quarantine and in no account."""
    files = make_wfdb(NAME, seed=1)
    inbox.put_files([(f"{FOLDER}/{NAME}.hea", files[f"{NAME}.hea"]), (f"{FOLDER}/labels.csv", f"record,label\n{NAME},1\n".encode())])
    manifest = run("r1")
    assert (manifest.counts.waiting, len(manifest.waiting)) == (1, 1)
    assert [key for key in told(store) if not key.startswith((keys.INBOX, keys.STAGING))] == []
    monkeypatch.setenv("ECG_WFDB_GRACE_S", "0")
    inbox.put_files([("w/labels.csv", f"record,label\n{NAME},1\n".encode())])
    manifest = run("r2")
    assert sorted(one.reason for one in manifest.quarantined) == ["bad_label", "bad_label", "incomplete"]
    assert told(store) == []
    assert all(NAME in sentence for sentence in refused(store, manifest))


@pytest.mark.usefixtures("read_in_this_process")
def test_what_is_put_back_is_closed(store, put, monkeypatch, beat_rows, heartbeat_csv):
    """An entry's files go back under their names, and it is closed once they are read; the log has the digests."""
    from ecg_tasks import readers

    whole = readers.read
    inbox.put_files([(f"{FOLDER}/{NAME}.csv", heartbeat_csv(beat_rows(1)))])
    with monkeypatch.context() as patch:
        patch.setattr(readers, "read", lambda *_: whole("x.jpg", {"x.jpg": b"\xff\xd8"}))
        run("r1")
    (entry,) = quarantine.entries(store).entries
    assert put_back(store, entry.id, who="ada") == (f"{FOLDER}/{NAME}.csv",)
    assert store.list_keys(keys.INBOX) == [f"inbox/{FOLDER}/{NAME}.csv"]
    assert run("r2").counts.records == 1
    (closed,) = quarantine.entries(store, closed=True).entries
    assert (closed.id, closed.name) == (entry.id, f"{FOLDER}/{NAME}.csv")
    assert told(store) == []
    (act,) = [one for _, one in audit.entries(store) if one.action == audit.Action.RETRY]
    assert len(act.detail["inbox"]) == 1


def test_who_only_reads_sees_digests(store):
    """An entry of the quarantine is named by its digest, with what may be said of its reason, and without what stands in it."""
    inbox.put_files([(f"{FOLDER}/{NAME}.csv", f"{NAME};is;no;ECG\n".encode())])
    run("r1")
    (seen,) = quarantine.entries(store, told=False).entries
    assert (seen.name[0], seen.message in SENTENCES.values()) == ("~", True)
    assert quarantine.entry(store, seen.id, told=False) == (seen, ())
    ((for_editors, rows),) = [quarantine.entry(store, seen.id)]
    assert (for_editors.name, NAME in rows[0].content) == (f"{FOLDER}/{NAME}.csv", True)


def test_a_publication_that_is_tried_again_empties_the_inbox(store, put):
    """By the account alone, which has digests of the keys; a file that was replaced meanwhile stays."""
    put(f"{FOLDER}/{NAME}", seed=1)
    put("ward/other", seed=2)
    jobs = ingest_records.plan("r1")
    results = [ingest_records.ingest_batch(job) for job in jobs]
    dropped = {item.key: store.get(item.key) for item in store.list_objects(keys.INBOX)}
    staged = {key: store.get(key) for key in store.list_keys(keys.STAGING)}
    ingest_records.publish("r1", results)
    store.put_many((key, data, "") for key, data in (dropped | staged).items())
    put("ward/other", seed=3)
    ingest_records.publish("r1", results)
    assert [key.removeprefix(keys.INBOX) for key in store.list_keys(keys.INBOX)] == ["ward/other.dat", "ward/other.hea"]
    manifest = read_manifest(store, IntakeManifest, "r1")
    assert all("~" in file.key for one in account_lists.inputs(store, manifest) for file in one.files)


def test_what_waiting_files_need_stays_where_names_were_kept_when_the_run_began(store, make_wfdb, monkeypatch):
    """A run that an earlier version or setting began is ended by this one: a signal file that a waiting header names, too, stays."""
    files = make_wfdb(NAME, seed=1)
    lines = files[f"{NAME}.hea"].decode().splitlines()
    waits = "\n".join([lines[0].replace(NAME, "other"), *lines[1:-1], lines[-1].replace(f"{NAME}.dat", "late.dat"), ""])
    inbox.put_files([*((f"w/{name}", data) for name, data in files.items()), ("w/other.hea", waits.encode())])
    monkeypatch.setenv("ECG_KEEP_NAMES", "1")
    results = [ingest_records.ingest_batch(job) for job in ingest_records.plan("r1")]
    monkeypatch.delenv("ECG_KEEP_NAMES")
    ingest_records.publish("r1", results)
    assert store.list_keys(keys.INBOX) == [f"inbox/w/{NAME}.dat", "inbox/w/other.hea"]
