"""A row of a label table goes to its own recording, or nowhere."""

import json

import numpy as np
import pyarrow as pa
import pytest

from ecg_tasks.archive import catalog, keys, record_shards, tables, verdicts
from ecg_tasks.archive.class_lists import classes_in_force, stored_classes
from ecg_tasks.archive.descriptions import Descriptions, Person
from ecg_tasks.archive.labelling import labels_in_force, stored_labels
from ecg_tasks.archive.workspace import open_store, patient_bucket, patient_hash, public_patient
from ecg_tasks.evaluation.splits import split_bucket
from ecg_tasks.labels import in_order
from ecg_tasks.pipeline import ingest_records
from ecg_tasks.pipeline.intake import inbox, label_tables
from ecg_tasks.settings import Settings
from tests import hospital_files
from tests.hospital_files import PERSON


def run(run_id: str) -> dict:
    """One whole run of the DAG's tasks; returns the manifest."""
    jobs = ingest_records.plan(run_id)
    if jobs:
        ingest_records.publish(run_id, [ingest_records.ingest_batch(job) for job in jobs])
    return json.loads(open_store().get(keys.manifest("ingest_records", keys.run_key(run_id))))


def indexed(bucket) -> dict[tuple[str, int], dict]:
    """What is known by now of every record, by its name and the number of its intake."""
    late, found = Descriptions.read(bucket), {}
    for data in bucket.get_many(bucket.list_keys(keys.RECORD_INDEX)):
        columns = late.index(tables.load(data))
        for row in range(tables.n_rows(columns)):
            one = {name: columns[name][row] for name in columns}
            found[one["name"], int(one["received"])] = one
    return found


def labels(bucket) -> dict[tuple[str, int], str]:
    """The label in force of every record that has one, by its name and the number of its intake."""
    in_force = {record_id: entry.label for record_id, entry in labels_in_force(bucket).items()}
    return {key: in_force[one["record_id"]] for key, one in indexed(bucket).items() if one["record_id"] in in_force}


def why(manifest) -> dict[str, str]:
    """The sentence of each refused row."""
    return {entry["name"]: entry["message"] for entry in manifest["quarantined"] if entry["reason"] == "bad_label"}


@pytest.fixture
def put(make_wfdb):
    """Drop a recording under a path: ``put("w/r", seed=1)``; ``only`` names the one file to drop."""

    def drop(path: str, *, seed: int, only: tuple[str, ...] = (".hea", ".dat")) -> None:
        folder, _, name = path.rpartition("/")
        inbox.put_files((f"{folder}/{file}".lstrip("/"), data) for file, data in make_wfdb(name, seed=seed).items() if file.endswith(only))

    return drop


@pytest.fixture
def at_once(monkeypatch):
    """No grace period: what is not there is refused in the same run."""
    monkeypatch.setenv("ECG_WFDB_GRACE_S", "0")


def test_a_bare_name_goes_to_no_other_folder(bucket, put, at_once):
    """A row of ``clinicB/labels.csv`` never labels a recording of the inbox itself, whose name is the same."""
    put("site100", seed=1)
    inbox.put_files([("clinicB/labels.csv", b"record,label,patient_id\nsite100,abnormal,B-17\n")])
    manifest = run("r1")
    assert labels(bucket) == {}
    assert indexed(bucket)["site100", 1]["patient"] is None
    assert "looked for clinicB/site100" in why(manifest)["clinicB/labels.csv#2"]


@pytest.mark.parametrize("record", ["site100", "clinicB/site100", "/clinicB/site100.hea", ".\\site100.dat"])
def test_own_folder_or_full_path(bucket, put, record):
    """Both recordings are there; the row takes the one of its folder, by any spelling of its path."""
    put("site100", seed=1)
    put("clinicB/site100", seed=2)
    inbox.put_files([("clinicB/labels.csv", f"record,label\n{record},abnormal\n".encode())])
    run("r1")
    assert labels(bucket) == {("clinicB/site100", 1): "abnormal"}


def test_a_full_path_from_another_folder(bucket, put):
    """A table may speak of a recording elsewhere if it says where."""
    put("a/r", seed=1)
    inbox.put_files([("tables/labels.csv", b"record,label\na/r,normal\n")])
    run("r1")
    assert labels(bucket) == {("a/r", 1): "normal"}


def test_two_recordings_that_a_row_could_mean(bucket, put, at_once):
    """A path that fits beside the table and from the inbox on is refused with both names; one with a leading slash is clear."""
    put("a/r", seed=1)
    put("a/a/r", seed=2)
    inbox.put_files([("a/labels.csv", b"record,label\na/r,normal\n")])
    manifest = run("r1")
    assert labels(bucket) == {}
    assert "a/a/r, a/r" in why(manifest)["a/labels.csv#2"]
    inbox.put_files([("a/labels.csv", b"record,label\n/a/r,normal\n")])
    run("r2")
    assert labels(bucket) == {("a/r", 1): "normal"}


def test_a_name_that_is_used_again_means_the_latest_drop(bucket, put):
    """Of several drops of one name the latest gets the labels that come after it, and keeps those of its own drop."""
    for number in range(1, 5):
        put("e1", seed=number)
        run(f"drop {number}")
        inbox.put_files([("labels.csv", f"record,label,patient_id\ne1,{('normal', 'abnormal')[number % 2]},X{number}\n".encode())])
        run(f"labels {number}")
        expected = {("e1", one["received"]): ("normal", "abnormal")[one_number % 2] for one_number, one in _in_order(bucket)}
        assert labels(bucket) == expected
    assert len({one["patient"] for one in indexed(bucket).values()}) == 4


def _in_order(bucket):
    found = sorted(indexed(bucket).values(), key=lambda one: one["received"])
    return list(enumerate(found, start=1))


def test_a_recording_that_is_dropped_again_is_the_latest(bucket, put):
    """Names go to what was dropped under them last, also where that was known before."""
    put("e1", seed=1)
    run("r1")
    put("e1", seed=2)
    run("r2")
    put("e1", seed=1)
    run("r3")
    inbox.put_files([("labels.csv", b"record,label\ne1,normal\n")])
    run("r4")
    assert labels(bucket) == {("e1", 1): "normal"}


def test_the_same_drop_goes_before_older_ones(bucket, put):
    """A table that comes with a recording is not used up on a namesake of the archive."""
    put("e1", seed=1)
    run("r1")
    put("e1", seed=2)
    inbox.put_files([("labels.csv", b"record,label,patient_id\ne1,abnormal,P2\n")])
    run("r2")
    assert labels(bucket) == {("e1", 2): "abnormal"}
    assert indexed(bucket)["e1", 1]["patient"] is None


def test_a_table_waits_for_a_recording_that_waits(bucket, put):
    """Between header and signal a table is not used up on a namesake of an earlier drop."""
    put("e1", seed=1)
    run("r1")
    put("e1", seed=2, only=(".hea",))
    inbox.put_files([("labels.csv", b"record,label\ne1,abnormal\n")])
    run("r2")
    assert labels(bucket) == {}
    assert "inbox/labels.csv" in bucket.list_keys(keys.INBOX)
    put("e1", seed=2, only=(".dat",))
    run("r3")
    assert [key for key, label in labels(bucket).items() if label == "abnormal"] == [("e1", indexed_last(bucket, "e1"))]
    assert bucket.list_keys(keys.INBOX) == []


def indexed_last(bucket, name):
    """Number of the latest intake that let this name in."""
    return max(number for known, number in indexed(bucket) if known == name)


def test_a_refused_recording_gives_its_label_to_no_namesake(bucket, put, at_once):
    """Where the recording of the drop cannot be read, its label is refused too, and says so."""
    put("e1", seed=1)
    run("r1")
    inbox.put_files([("e1.hea", b"nonsense"), ("labels.csv", b"record,label\ne1,abnormal\n")])
    manifest = run("r2")
    assert labels(bucket) == {}
    assert "which was refused; correct it" in why(manifest)["labels.csv#2"]


@pytest.mark.parametrize(
    "said",
    [("normal,P1,50,f", "abnormal,P1,50,f"), ("normal,P1,50,f", "normal,P2,50,f"), ("normal,P1,50,f", "normal,P1,51,f"), (",,,m", ",,,f")],
)
@pytest.mark.parametrize("tables_", [1, 2])
def test_rows_that_contradict_each_other_are_refused(bucket, put, at_once, said, tables_):
    """Neither holds, and each sentence names the other, within a table or between two."""
    first, second = said
    put("w/r", seed=1)
    head = "record,label,patient_id,age,sex\n"
    if tables_ == 1:
        files = [("w/labels.csv", f"{head}r,{first}\nr,{second}\n")]
    else:
        files = [("w/labels.csv", f"{head}r,{first}\n"), ("labels.csv", f"{head}w/r,{second}\n")]
    inbox.put_files((name, text.encode()) for name, text in files)
    refused = why(run("r1"))
    assert len(refused) == 2
    assert all(name.replace("#", ", row ") in message for name, message in zip(refused, list(refused.values())[::-1], strict=True))
    assert labels(bucket) == {}
    assert indexed(bucket)["w/r", 1]["patient"] is None
    assert indexed(bucket)["w/r", 1]["sex"] is None


def test_contradictions_by_two_names_of_one_signal(bucket, put, make_wfdb, at_once):
    """One signal under two names is one record: what two tables say of it must agree, or it keeps neither."""
    files = make_wfdb("r", seed=1)
    inbox.put_files([*((f"a/{name}", data) for name, data in files.items()), *((f"b/{name}", data) for name, data in files.items())])
    inbox.put_files(
        [("a/labels.csv", b"record,label,patient_id\nr,normal,P1\n"), ("b/labels.csv", b"record,label,patient_id\nr,normal,P2\n")]
    )
    assert len(why(run("r1"))) == 2
    (one,) = indexed(bucket).values()
    assert (one["patient"], int(one["split_bucket"])) == (None, -1)
    assert labels(bucket) == {}


def test_rows_that_agree_are_added_up(bucket, put):
    """What one row leaves open another may say."""
    put("w/r", seed=1)
    inbox.put_files(
        [("w/labels.csv", b"record,label,patient_id,age\nr,normal,,50\n"), ("labels.csv", b"record,label,patient_id\nw/r,,P1\n")]
    )
    manifest = run("r1")
    assert manifest["quarantined"] == []
    one = indexed(bucket)["w/r", 1]
    assert (one["patient"] is not None, float(one["age"]), labels(bucket)) == (True, 50.0, {("w/r", 1): "normal"})


def test_ids_of_a_table_program(bucket, put):
    """15709 and 15709.0 are one patient, and nan is none."""
    for number in range(1, 5):
        put(f"r{number}", seed=number)
    inbox.put_files([("labels.csv", b"record,label,patient_id\nr1,0,15709\nr2,0,15709.0\nr3,0,nan\nr4,0,nan\n")])
    run("r1")
    patients = [indexed(bucket)[f"r{number}", 1]["patient"] for number in range(1, 5)]
    assert patients[0] == patients[1] is not None
    assert patients[2:] == [None, None]


def test_dropped_values_are_in_the_account(bucket, put):
    """An age that is none costs neither label nor recording, and is counted."""
    put("r", seed=1)
    inbox.put_files([("labels.csv", b"record,label,age\nr,1,very old\n")])
    counts = run("r1")["labels"]
    assert (counts["stored"], counts["quarantined"], counts["dropped"]) == (1, 0, {"age": 1})


def test_a_patient_that_comes_after_the_recording(bucket, put):
    """Its patient, age and sex are applied wherever they are read, and nothing else of the record changes."""
    put("r", seed=1)
    run("r1")
    before = {item.key: item.etag for item in bucket.list_objects("records/")}
    inbox.put_files([("labels.csv", b"record,label,patient_id,age,sex\nr,,P1,061Y,F\n")])
    assert run("r2")["labels"]["described"] == 1
    assert {item.key: item.etag for item in bucket.list_objects("records/")} == before
    one = indexed(bucket)["r", 1]
    assert (one["patient"] is not None, one["split_bucket"] >= 0, float(one["age"]), one["sex"]) == (True, True, 61.0, "female")
    (shard,) = bucket.list_keys(keys.RECORDS)
    (stored,) = record_shards.load_shard(bucket.get(shard))
    late = Descriptions.read(bucket).stored(stored)
    assert (late.patient, late.split_bucket, late.record.age) == (one["patient"], one["split_bucket"], 61.0)
    assert late.record.record_id == stored.record.record_id
    assert not any(b"P1" in bucket.get(key) for key in bucket.list_keys(keys.DESCRIPTIONS))


def test_the_same_said_again_changes_nothing(bucket, put):
    """A table that is dropped once more leaves no second account of the same patient."""
    put("r", seed=1)
    run("r1")
    for number in (2, 3):
        inbox.put_files([("labels.csv", b"record,label,patient_id\nr,normal,P1\n")])
        run(f"r{number}")
    assert len(bucket.list_keys(keys.DESCRIPTIONS)) == 1
    assert len(bucket.list_keys(keys.LABELS)) == 1


def test_a_patient_is_never_exchanged(bucket, put):
    """Sides of data sets hang on the patient: another one is refused aloud, whichever way the first became known."""
    put("r", seed=1)
    inbox.put_files([("labels.csv", b"record,label,patient_id\nr,normal,P1\n")])
    run("r1")
    before = indexed(bucket)["r", 1]["patient"]
    inbox.put_files([("labels.csv", b"record,label,patient_id\nr,abnormal,P2\n")])
    assert "another patient" in why(run("r2"))["labels.csv#2"]
    assert indexed(bucket)["r", 1]["patient"] == before
    assert labels(bucket) == {("r", 1): "normal"}


def aecg(seed: int, issuer: str, patient: str = PERSON) -> bytes:
    """An annotated ECG of a person whose id was given by ``issuer``."""
    return hospital_files.aecg(hospital_files.strip(seed=seed), changes=[("1.2.3.400", issuer), (PERSON, patient)])


def test_the_same_id_of_two_issuers_is_two_patients(bucket):
    """Two hospitals count their patients from one each; a filler is nobody, whoever gave it."""
    files = {"a": aecg(1, "1.2.3"), "b": aecg(2, "1.2.3"), "c": aecg(3, "1.2.4"), "d": aecg(4, "1.2.3", "0000")}
    inbox.put_files((f"{name}.xml", data) for name, data in files.items())
    run("r1")
    found = {name: indexed(bucket)[f"{name}.xml", 1] for name in files}
    patients = {name: one["patient"] for name, one in found.items()}
    assert patients["a"] == patients["b"] is not None
    assert (patients["c"] != patients["a"], patients["d"]) == (True, None)
    assert patients["a"] != patient_hash(PERSON, key=Settings.from_environment().patient_key)
    bucket_of = patient_bucket(PERSON, key=Settings.from_environment().patient_key)
    assert found["a"]["split_bucket"] == found["c"]["split_bucket"] == bucket_of != split_bucket(PERSON)


@pytest.mark.parametrize("later", [False, True])
def test_a_table_names_the_patient_of_an_issuer_by_the_id(bucket, later):
    """A table says no issuer; the patient stays the one whom the recording names, and the rest of the row holds."""
    table = ("labels.csv", f"record,label,patient_id,age\na.xml,abnormal,{PERSON},61\n".encode())
    inbox.put_files([("a.xml", aecg(1, "1.2.3")), *([] if later else [table])])
    run("r1")
    if later:
        inbox.put_files([table])
        assert why(run("r2")) == {}
    one = indexed(bucket)["a.xml", 1]
    assert one["patient"] == patient_hash(PERSON, key=Settings.from_environment().patient_key, issuer="1.2.3")
    assert (float(one["age"]), labels(bucket)) == (61.0, {("a.xml", 1): "abnormal"})


def test_an_old_index_has_its_order_from_the_log(bucket, put):
    """Records of before intakes had numbers are told apart by the log of acts, and are refused as ambiguous where that is gone."""
    for number in (1, 2):
        put("e1", seed=number)
        run(f"r{number}")
    for key in bucket.list_keys(keys.RECORD_INDEX):
        columns = tables.load(bucket.get(key))
        columns["age"] = [None] * tables.n_rows(columns)
        old = tables.RECORD_INDEX.remove(tables.RECORD_INDEX.get_field_index("received"))
        bucket.put(key, tables.dump(old, {name: columns[name] for name in old.names}))
    bucket.delete_many(bucket.list_keys(keys.CATALOG))  # so old a bucket has none
    second = json.loads(bucket.get(keys.manifest("ingest_records", "r2")))["shards"]
    inbox.put_files([("labels.csv", b"record,label\ne1,abnormal\n")])
    run("r3")
    (labelled,) = labels_in_force(bucket)
    assert labelled in tables.load(bucket.get(keys.record_index(second[0])))["record_id"]
    bucket.delete_many(bucket.list_keys(keys.AUDIT))
    inbox.put_files([("labels.csv", b"record,label\ne1,normal\n")])
    assert "ambiguous: 2 recordings have the name e1" in why(run("r4"))["labels.csv#2"]


FOLDED = "record,label,patient_id,fold,collection\n"


def test_fold_and_collection_are_kept_with_the_record(bucket, put):
    """Also where the table comes after the recording; a table of a private patient names nobody publicly."""
    put("a", seed=1)
    put("b", seed=2)
    inbox.put_files([("labels.csv", f"{FOLDED}a,normal,15709,9,PTBXL\n".encode())])
    run("r1")
    inbox.put_files([("labels.csv", f"{FOLDED}b,normal,15709,3,\n".encode())])
    run("r2")
    one, other = indexed(bucket)["a", 1], indexed(bucket)["b", 1]
    assert (one["fold"], one["public_patient"]) == (9, public_patient("15709", collection="ptbxl"))
    assert one["split_bucket"] == split_bucket("ptbxl-15709")
    own = patient_bucket("15709", key=Settings.from_environment().patient_key)
    assert (other["fold"], other["public_patient"], other["split_bucket"]) == (3, None, own)
    (shard,) = bucket.list_keys(keys.RECORDS)
    found = {stored.record.name: stored for stored in map(Descriptions.read(bucket).stored, record_shards.load_shard(bucket.get(shard)))}
    assert {name: stored.fold for name, stored in found.items()} == {"a": 9, "b": 3}
    assert {name: stored.public_patient is None for name, stored in found.items()} == {"a": False, "b": True}


def test_a_collection_that_is_imported_again_names_its_patients(bucket, put):
    """What an earlier version received gets fold and public name by the same table; the keyed hash stays."""
    put("a", seed=1)
    inbox.put_files([("labels.csv", b"record,label,patient_id\na,normal,ptbxl-15709\n")])
    run("r1")
    before = indexed(bucket)["a", 1]
    assert (before["fold"], before["public_patient"]) == (0, None)
    inbox.put_files([("labels.csv", f"{FOLDED}a,normal,ptbxl-15709,9,ptbxl\n".encode())])
    assert run("r2")["labels"]["described"] == 1
    after = indexed(bucket)["a", 1]
    assert (after["fold"], after["public_patient"]) == (9, public_patient("15709", collection="ptbxl"))
    assert (after["patient"], after["split_bucket"]) == (before["patient"], before["split_bucket"])


def test_a_patient_in_two_folds_is_refused_with_both_rows(bucket, put):
    """Neither row is applied, and nothing of them stays with the recordings; who is in one fold is not concerned."""
    for number, name in enumerate("abcd"):
        put(name, seed=number)
    inbox.put_files([("labels.csv", f"{FOLDED}a,normal,P1,9,\nb,normal,P1,3,\nc,normal,P2,3,\nd,normal,P1,,\n".encode())])
    refused = why(run("r1"))
    assert refused.keys() == {"labels.csv#2", "labels.csv#3"}
    assert "is in fold 9 here, and in fold 3 by labels.csv, row 3" in refused["labels.csv#2"]
    assert "is in fold 3 here, and in fold 9 by labels.csv, row 2" in refused["labels.csv#3"]
    found = indexed(bucket)
    assert {name: (one["fold"], one["patient"] is None) for (name, _), one in found.items()} == {
        "a": (0, True),
        "b": (0, True),
        "c": (3, False),
        "d": (0, False),
    }
    assert labels(bucket) == {("c", 1): "normal", ("d", 1): "normal"}


@pytest.mark.parametrize("known_later", [False, True])
def test_a_fold_is_never_exchanged(bucket, put, known_later):
    """A table that puts a patient into another fold than an earlier one is refused, also by another recording of the patient."""
    put("a", seed=1)
    if known_later:
        run("r0")
    inbox.put_files([("labels.csv", f"{FOLDED}a,normal,P1,9,\n".encode())])
    run("r1")
    put("b", seed=2)
    inbox.put_files([("labels.csv", f"{FOLDED}a,abnormal,P1,3,\nb,abnormal,P1,3,\n".encode())])
    refused = why(run("r2"))
    assert refused.keys() == {"labels.csv#2", "labels.csv#3"}
    record_id = indexed(bucket)["a", 1]["record_id"]
    assert f"in fold 3 here, and in fold 9 by the record {record_id}, which was received before" in refused["labels.csv#3"]
    found = {name: (one["fold"], one["patient"] is None) for (name, _), one in indexed(bucket).items()}
    assert found == {"a": (9, False), "b": (0, True)}
    assert labels(bucket) == {("a", 1): "normal"}
    inbox.put_files([("labels.csv", f"{FOLDED}b,abnormal,P1,9,\n".encode())])
    assert why(run("r3")) == {}
    assert {name: one["fold"] for (name, _), one in indexed(bucket).items()} == {"a": 9, "b": 9}


def test_a_record_without_a_patient_keeps_its_fold(bucket, put):
    """The first fold holds, as of a patient."""
    put("a", seed=1)
    inbox.put_files([("labels.csv", b"record,label,fold\na,normal,9\n")])
    run("r1")
    inbox.put_files([("labels.csv", b"record,label,fold\na,normal,3\n")])
    assert "is in fold 3 here, and in fold 9" in why(run("r2"))["labels.csv#2"]
    assert indexed(bucket)["a", 1]["fold"] == 9


def test_a_patient_that_becomes_known_is_in_one_fold(bucket, put):
    """A record has its fold before its patient is known: neither is the fold exchanged then, nor does the patient get a second one."""
    for number, name in enumerate("abc"):
        put(name, seed=number)
    inbox.put_files([("labels.csv", f"{FOLDED}a,normal,,3,\nb,normal,P1,9,\nc,normal,,9,\n".encode())])
    run("r1")
    before, ids = indexed(bucket), {name: one["record_id"] for (name, _), one in indexed(bucket).items()}
    inbox.put_files([("labels.csv", b"record,label,patient_id,fold\na,abnormal,P1,\nc,abnormal,P2,3\n")])
    refused = why(run("r2"))
    assert f"is in fold 3 by what is stored with it, and in fold 9 by the record {ids['b']}, which" in refused["labels.csv#2"]
    assert f"is in fold 3 here, and in fold 9 by the record {ids['c']}, which" in refused["labels.csv#3"]
    after = indexed(bucket)
    assert {key: (one["fold"], one["patient"]) for key, one in after.items()} == {
        key: (one["fold"], one["patient"]) for key, one in before.items()
    }
    assert set(labels(bucket).values()) == {"normal"}
    inbox.put_files([("labels.csv", b"record,label,patient_id\na,abnormal,P3\nc,abnormal,P1\n")])
    assert why(run("r3")) == {}
    assert {name: (one["fold"], one["patient"] is None) for (name, _), one in indexed(bucket).items()} == {
        "a": (3, False),
        "b": (9, False),
        "c": (9, False),
    }


def test_every_row_about_a_recording_in_two_folds_is_refused(bucket, put):
    """Also one that gives no fold: what is not applied is told."""
    put("w/a", seed=1)
    put("w/b", seed=2)
    inbox.put_files([("w/labels.csv", f"{FOLDED}a,,P1,9,\nb,,P1,3,\n".encode()), ("labels.csv", b"record,label\nw/a,abnormal\n")])
    refused = why(run("r1"))
    assert refused.keys() == {"w/labels.csv#2", "w/labels.csv#3", "labels.csv#2"}
    assert "is in fold 9 by what is stored with it, and in fold 3 by w/labels.csv, row 3" in refused["labels.csv#2"]
    assert labels(bucket) == {}


def test_two_collections_of_one_recording_contradict_each_other(bucket, put):
    """A recording belongs to one patient of one collection."""
    put("a", seed=1)
    inbox.put_files([("labels.csv", f"{FOLDED}a,normal,P1,9,ptbxl\na,normal,ptbxl-P1,9,\n".encode())])
    assert why(run("r1")) == {}
    inbox.put_files([("labels.csv", f"{FOLDED}a,normal,P1,9,sph\n".encode())])
    assert "another patient" in why(run("r2"))["labels.csv#2"]


def classes(bucket) -> dict[str, str]:
    """What is known of the classes of every record, by its name: those that it has."""
    found = classes_in_force(stored_classes(bucket), labels=stored_labels(bucket))
    return {
        name: " ".join(in_order(found[one["record_id"]].has)) for (name, _), one in indexed(bucket).items() if one["record_id"] in found
    }


TWO = b"record,label,classes\na,normal,NORM\nb,,NORM CD\n"
"""A record with a label and classes, and one with classes alone."""


def test_classes_come_with_labels_and_alone(bucket, put, at_once):
    """They are kept with who said so; what says the same again adds nothing, in the catalogue made anew as well."""
    put("a", seed=1)
    put("b", seed=2)
    inbox.put_files([("labels.csv", TWO)])
    first = run("r1")
    assert (first["labels"]["stored"], first["labels"]["classes"], why(first)) == (1, 2, {})
    assert (labels(bucket), classes(bucket)) == ({("a", 1): "normal"}, {"a": "NORM", "b": "NORM CD"})
    before = bucket.list_keys(keys.LABELS), bucket.list_keys(keys.CLASSES)
    inbox.put_files([("labels.csv", TWO)])
    again = run("r2")
    assert (again["labels"]["stored"], again["labels"]["classes"]) == (0, 0)
    catalog.rebuild(bucket)
    inbox.put_files([("labels.csv", TWO)])
    assert run("r3")["labels"]["classes"] == 0
    assert (bucket.list_keys(keys.LABELS), bucket.list_keys(keys.CLASSES)) == before


def test_classes_that_come_later_leave_a_reviewers_label_alone(bucket, put, at_once):
    """A table that was dropped before is dropped with classes: the label in it is nothing new, and does not undo the verdict."""
    put("a", seed=1)
    inbox.put_files([("labels.csv", b"record,label\na,abnormal\n")])
    run("r1")
    (record_id,) = labels_in_force(bucket)
    verdicts.save_verdict(bucket, record_id, verdict="normal", user="ada")
    inbox.put_files([("labels.csv", b"record,label,classes\na,abnormal,MI\n")])
    assert run("r2")["labels"]["classes"] == 1
    assert (labels(bucket), classes(bucket)) == ({("a", 1): "normal"}, {})


def test_the_label_inside_a_recording_stays_beside_classes_from_a_table(bucket, heartbeat_csv, beat_rows, at_once):
    """The row says nothing of the label, so what the file says of it holds."""
    inbox.put_files([("beats.csv", heartbeat_csv(beat_rows(1), np.zeros(1))), ("labels.csv", b"record,label,classes\nbeats.csv#1,,NORM\n")])
    run("r1")
    assert (labels(bucket), classes(bucket)) == ({("beats.csv#1", 1): "normal"}, {"beats.csv#1": "NORM"})


def test_two_lists_of_one_record_are_refused(bucket, put, at_once):
    """Neither holds, and nor does the label beside it."""
    put("a", seed=1)
    inbox.put_files([("labels.csv", b"record,label,classes\na,1,MI\na,1,CD\n")])
    sentences = why(run("r1"))
    assert "in the classes of the recording" in sentences["labels.csv#2"]
    assert (labels(bucket), classes(bucket)) == ({}, {})


def test_rows_that_an_earlier_version_staged_are_read():
    """They have no column of classes: nothing is known of them."""
    row = label_tables.Row(2, "a", "normal", Person())
    old = tables.load_table(label_tables._dump([row])).drop_columns("classes")
    schema = pa.schema([field for field in tables.LABEL_ROWS if field.name != "classes"])
    assert list(label_tables._load(tables.dump_table(schema, old))) == [row]
