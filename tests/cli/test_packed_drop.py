"""A collection goes into the inbox as a few archives: the same records as its files would be, and nothing is sent twice."""

import io
import json
import zipfile

import pytest

from benchmarks import written_files as written
from ecg_tasks import readers
from ecg_tasks.actions import packed_drop
from ecg_tasks.actions.inbox import FILES_AT_ONCE, put_in_order
from ecg_tasks.actions.packed_drop import in_its_own_folder, put_packed
from ecg_tasks.archive import keys
from ecg_tasks.archive.labelling import labels_in_force
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.counts import number_of
from ecg_tasks.errors import StoreError
from ecg_tasks.offline.labelled_folders import LAYOUTS
from ecg_tasks.pipeline import ingest_records
from ecg_tasks.signals.sample_drop import sample_drop


@pytest.fixture
def files(tmp_path):
    """A collection on a disk with a table; some of it in memory."""
    made = sample_drop(seed=3, n_patients=4, recordings_per_patient=1)
    found = []
    for name, data in made.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        found.append((name, path if name.endswith(".dat") else data))
    return [*found, ("synthetic/deep/x.signals.json", b"{}"), ("readme.txt", b"x")]


def run(bucket, name):
    """One run of the intake; returns its manifest."""
    ingest_records.publish(name, [ingest_records.ingest_batch(job) for job in ingest_records.plan(name)])
    return json.loads(bucket.get(keys.manifest("ingest_records", name)))


def test_it_is_the_same_as_file_by_file(bucket, files, monkeypatch):
    """In several archives, each with whole recordings; records are called as if they had come alone, and get the table's labels."""
    monkeypatch.setattr(packed_drop, "FILES_AN_ARCHIVE", 3)
    told = []
    sent = put_packed(files, progress=lambda n_files, one: told.append((n_files, one)), at_once=2)
    assert [n_files for n_files, _ in told] == sorted(n_files for n_files, _ in told)
    assert (told[0][1], told[-1][0]) == (None, len(files))
    assert len(sent) > 2
    for one in sent:
        with zipfile.ZipFile(io.BytesIO(bucket.get(one.key))) as archive:
            stems = [name.rpartition(".")[0] for name in archive.namelist() if name.endswith((".hea", ".dat"))]
            assert all(stems.count(stem) == 2 for stem in stems)
    manifest = run(bucket, "r1")
    for key in bucket.list_keys(""):
        bucket.delete(key)
    put_in_order(files)
    loose = run(bucket, "r2")
    n_more = manifest["account"]["passed_over"] - loose["account"]["passed_over"]  # of a sidecar, a copy for each archive
    assert loose["account"] | {"passed_over": n_more, "waiting": 0} == manifest["account"] | {"passed_over": n_more}
    assert {one["record_name"]: one["records"] for one in manifest["inputs"] if one["records"]} == {
        one["record_name"]: one["records"] for one in loose["inputs"] if one["records"]
    }
    assert manifest["labels"]["stored"] == loose["labels"]["stored"] > 0


def test_a_drop_that_broke_off_is_begun_again(bucket, files, monkeypatch):
    """What is in the inbox, or was taken over whole already, is not sent a second time; what something was refused of is."""
    monkeypatch.setattr(packed_drop, "FILES_AN_ARCHIVE", 3)
    put, archives = ObjectStore.put, []

    def breaks(self, key, data, **more):
        if key.endswith(".zip"):
            archives.append(key)
            if len(archives) == 3:
                raise StoreError("the network went away")
        put(self, key, data, **more)

    monkeypatch.setattr(ObjectStore, "put", breaks)
    with pytest.raises(StoreError):
        put_packed(files, at_once=1)
    first = set(archives[:2])
    manifest = run(bucket, "r1")
    assert manifest["account"]["records"] > 0
    refused = {one["key"]: one["records"] for one in manifest["archives"] if one["quarantined"]}
    assert refused.keys() < first
    first -= refused.keys()
    del archives[:]
    monkeypatch.setattr(ObjectStore, "put", lambda self, key, data, **more: archives.append(key) or put(self, key, data, **more))
    sent = put_packed(files, at_once=1)
    assert {one.key for one in sent if not one.is_new} == first
    assert not first & set(archives)
    again = run(bucket, "r2")
    assert again["account"]["duplicates"] == sum(refused.values()) == 1
    refused |= {one["key"]: one["records"] for one in again["archives"] if one["quarantined"]}
    assert {one.key for one in put_packed(files) if one.is_new} == refused.keys()


def test_what_was_taken_over_before_is_told(bucket, files, monkeypatch, capsys):
    """A line for each archive says by which run, and the sum at the end counts only what is in the inbox."""
    from ecg_tasks.cli import inbox

    class NoStack:
        def environment(self):
            return {}

    monkeypatch.setattr("ecg_tasks.actions.inbox.FILES_AT_ONCE", 1)
    monkeypatch.setattr(packed_drop, "FILES_AN_ARCHIVE", 3)
    assert inbox.drop_packed(NoStack(), files) == len(files)
    assert "taken over" not in capsys.readouterr().out
    manifest = run(bucket, "r1")
    n_whole = sum(not one["quarantined"] for one in manifest["archives"])
    n_files = inbox.drop_packed(NoStack(), files)
    told = capsys.readouterr().out
    assert told.count("was taken over by r1") == n_whole > 0
    assert f"taken over before, and not sent again: {number_of(len(files) - n_files, 'file', 'files')}" in told
    assert 0 < n_files < len(files)


def test_two_imports_of_one_kind_keep_their_tables(bucket, tmp_path):
    """Their folders have files of the same names and lengths: neither table replaces the other, and each means its own recordings."""
    names = {}
    for seed, label in enumerate(("normal", "abnormal")):
        folder = tmp_path / str(seed)
        folder.mkdir()
        (data,) = written.edf(written.made(seed=seed)).values()
        (folder / "a.edf").write_bytes(data)
        (folder / "labels.csv").write_text(f"record,label\na.edf,{label}\n")
        put_in_order(in_its_own_folder(LAYOUTS["labelled"](folder).for_inbox()))
        (record,) = readers.read("a.edf", {"a.edf": data}).records
        names[record.record_id] = label
    assert len(bucket.list_keys(keys.INBOX)) == 4
    assert run(bucket, "r1")["account"]["records"] == 2
    assert {one: label.label for one, label in labels_in_force(bucket).items()} == names


def test_a_corrected_table_belongs_to_the_same_recordings(tmp_path):
    """They are not taken for others, and what they are is known of few files by all bytes, of many by names and lengths."""
    files = [(f"kind/{number}.csv", tmp_path / f"{number}.csv") for number in range(FILES_AT_ONCE)]
    for name, path in files:
        path.write_bytes(name.encode())
    table = ("kind/labels.csv", b"record,label\n")
    folders = [path.partition("/")[0] for path, _ in in_its_own_folder([*files, table])]
    assert len(set(folders)) == 1
    assert folders[0] == in_its_own_folder([*files, (table[0], b"record,label\n1.csv,normal\n")])[0][0].partition("/")[0]
    (few,) = {path.partition("/")[0] for path, _ in in_its_own_folder(files[:5])}
    files[0][1].write_bytes(b"k" * len(files[0][0]))
    assert few != in_its_own_folder(files[:5])[0][0].partition("/")[0]
    files[0][1].write_bytes(b"another length")
    assert folders[0] != in_its_own_folder([*files, table])[0][0].partition("/")[0]
