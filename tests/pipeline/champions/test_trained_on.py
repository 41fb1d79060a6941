"""Who has been seen by a version is told by who, whatever bucket the patient is in; only a version that names nobody is told by buckets."""

import numpy as np
import pytest

from ecg_tasks.archive import keys
from ecg_tasks.archive.descriptions import Descriptions, Person
from ecg_tasks.archive.workspace import key_digest, patient_hash, public_patient
from ecg_tasks.evaluation.many_records import ABNORMAL, CALLED, DECIDED
from ecg_tasks.evaluation.splits import N_BUCKETS, Split, keyed_bucket, split_bucket
from ecg_tasks.learning.version import SUMS, TRAINING_PATIENTS, TRAINING_RECORDS, TrainingPatient, checksums, training_patients_csv
from ecg_tasks.pipeline.champions.versions import TrainedOn, left_out_by_bucket, not_compared
from ecg_tasks.pipeline.reports import report_builder
from ecg_tasks.pipeline.training.candidate import training_patients_of
from ecg_tasks.pipeline.training.dataset import DatasetRow
from ecg_tasks.settings import Settings
from tests.versions import patients_with_buckets

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
N_TRAINED, N_STRANGERS = 15_000, 10_000
HEAD = "record_id,side,bucket\n"


def person(number: int, *, key: bytes = KEY, public: bool) -> Person:
    """The patient of this number, of a public collection or of a hospital."""
    name = f"sph-{number}" if public else f"{number}"
    return Person(
        patient_hash(name, key=key), split_bucket(name), public_patient=public_patient(name, collection="sph") if public else None
    )


def files_of(persons, *, key: bytes = KEY, with_buckets: bool = True) -> dict[str, bytes]:
    """The two lists of a version that was trained on a record of each; until 2026-11-30 they told buckets."""
    records = "".join(f"{number:032x},train,{one.bucket}\n" for number, one in enumerate(persons))
    named = [TrainingPatient(one.patient, key_digest(key), one.public_patient, one.bucket) for one in persons]
    return {
        TRAINING_RECORDS: (HEAD + records).encode(),
        TRAINING_PATIENTS: patients_with_buckets(named) if with_buckets else training_patients_csv(named),
    }


def index_of(persons) -> dict:
    """As a shard of labelled decisions looks to a report."""
    n = len(persons)
    return {
        "record_id": [f"s{number:031x}" for number in range(n)],
        "recipe": ["heartbeat"] * n,
        "probability": np.linspace(0, 1, n),
        "threshold": np.full(n, 0.5),
        "decision": ["normal", "abnormal"] * (n // 2),
        "label": ["normal", "abnormal"] * (n // 2),
        "patient": [one.patient for one in persons],
        "public_patient": [one.public_patient for one in persons],
        "split_bucket": np.array([one.bucket for one in persons]),
    }


def not_seen(rows, trained_on):
    """What a report makes of one shard, for the figures of the version."""
    found = report_builder._Unseen()
    report_builder._add_not_seen(found, rows, "heartbeat", trained_on)
    return found


@pytest.mark.parametrize("public", [False, True])
def test_of_ten_thousand_strangers_nobody_is_left_out_and_of_the_seen_everybody(public):
    """15,000 training patients fill three of four buckets; a night's figures are over all strangers, and over none of those."""
    trained = [person(number, public=public) for number in range(N_TRAINED)]
    strangers = [person(number, public=public) for number in range(N_TRAINED, N_TRAINED + N_STRANGERS)]
    taken = {one.bucket for one in trained}
    assert sum(one.bucket in taken for one in strangers) > 0.7 * N_STRANGERS  # so many a bucket would leave out
    trained_on = TrainedOn.of_version(files_of(trained), key=KEY)
    found = not_seen(index_of(strangers), trained_on)
    assert (len(found.records), found.n_by_bucket) == (N_STRANGERS, 0)
    found = not_seen(index_of(trained), trained_on)
    assert (len(found.records), found.n_by_bucket) == (0, 0)


def test_a_labelled_row_is_counted_by_threshold_decision_and_patient():
    """Abnormal from the threshold on; firm unless it is uncertain; of a known patient where there is a bucket, the first one too."""
    rows = index_of([Person(), Person("p", 0)] * 2) | {
        "probability": np.array([0.5, 0.49, 0.7, 0.2]),
        "decision": ["abnormal", "uncertain", "uncertain", "normal"],
    }
    found = not_seen(rows, TrainedOn(record_ids=frozenset()))
    records = found.records.read()
    assert (records["kind"] & CALLED > 0).tolist() == [True, False, True, False]
    assert (records["kind"] & DECIDED > 0).tolist() == [True, False, False, True]
    assert (records["kind"] & ABNORMAL > 0).tolist() == [False, True, False, True]
    assert np.unique(records["patient"]).size == 3
    assert (found.n_abnormal, found.is_patient_known) == (2, False)
    known = not_seen({name: values[1:2] for name, values in rows.items()}, TrainedOn(record_ids=frozenset()))
    assert (known.n_abnormal, known.is_patient_known) == (1, True)


def test_a_public_patient_is_the_same_on_every_installation():
    """Hashes by another key say nothing, the collection and the id say all: strangers in the same bucket are judged."""
    here, there = person(7, public=True), person(7, key=OTHER_KEY, public=True)
    assert here.patient != there.patient
    trained_on = TrainedOn.of_version(files_of([there], key=OTHER_KEY), key=KEY)
    assert trained_on.why("x" * 32, here.bucket, here.patient, here.public_patient) == "patient"
    assert trained_on.why("x" * 32, here.bucket, *person(8, public=True)[::5]) is None
    assert TrainedOn.of_version(files_of([there], key=OTHER_KEY), key=None).why("x" * 32, here.bucket, here.public_patient) == "patient"


@pytest.mark.parametrize("key", [KEY, None])
def test_private_patients_of_another_key_are_told_by_their_buckets(key):
    """Two keys cannot be compared, so nobody who may have been seen is judged; the sentence says so."""
    seen = person(7, key=OTHER_KEY, public=False)
    trained_on = TrainedOn.of_version(files_of([seen], key=OTHER_KEY), key=key)
    assert trained_on.why("x" * 32, seen.bucket, person(7, public=False).patient) == "bucket"
    assert trained_on.why("x" * 32, seen.bucket + 1, None) is None
    assert trained_on.why("x" * 32, -1, None) is None
    assert trained_on.why(f"{0:032x}", -1, None) == "record"
    assert "2,000 records are left out by their buckets alone" in left_out_by_bucket(2000)
    assert left_out_by_bucket(0) == ""


def test_stored_buckets_are_known_in_either_form():
    """An archive may hold a patient's bucket as it was before there was a key for it, or after."""
    seen = person(7, key=OTHER_KEY, public=False)
    trained_on = TrainedOn.of_version(files_of([seen], key=OTHER_KEY), Descriptions({}), key=KEY)
    stored = {seen.bucket, keyed_bucket(seen.bucket, key=KEY)}
    assert {bucket for bucket in range(N_BUCKETS) if trained_on.why("x" * 32, bucket, None)} == stored


def test_private_patients_of_another_key_without_buckets_are_counted():
    """They cannot be known here, and the sentence says so; public ones are known, and one's own by the key."""
    persons = [person(7, key=OTHER_KEY, public=False), person(8, key=OTHER_KEY, public=True)]
    files = files_of(persons, key=OTHER_KEY, with_buckets=False)
    trained_on = TrainedOn.of_version(files, key=KEY)
    assert (trained_on.buckets, trained_on.n_unknown) == (frozenset(), 1)
    assert trained_on.why("x" * 32, persons[1].bucket, persons[1].public_patient) == "patient"
    assert TrainedOn.of_version(files, key=OTHER_KEY).n_unknown == 0
    assert "2,000 private patients" in not_compared(2000)
    assert not_compared(0) == ""


def test_a_version_of_before_is_told_by_buckets():
    """It does not name its patients; of them only the test patients are strangers."""
    files = {TRAINING_RECORDS: f"{HEAD}{'a' * 32},train,5\n{'b' * 32},test,6\n{'c' * 32},calibration,-1\n".encode()}
    trained_on = TrainedOn.of_version(files, key=KEY)
    assert [trained_on.why("x" * 32, bucket, "somebody") for bucket in (5, 6, -1)] == ["bucket", None, None]
    assert trained_on.why("c" * 32, -1, None) == "record"
    late = Descriptions({"c" * 32: Person("somebody", 7), "d" * 32: Person("another", 8)})
    since = TrainedOn.of_version(files, late, key=KEY)
    assert [since.why("x" * 32, bucket, "somebody") for bucket in (5, 7, 8)] == ["bucket", "bucket", None]


def test_why_a_record_has_been_seen_is_told_by_what_is_surest():
    """Itself before its patient, and its patient before a bucket."""
    one = person(7, public=True)
    trained_on = TrainedOn(record_ids=frozenset({"a" * 32}), patients=frozenset({one.patient}), buckets=frozenset({one.bucket}))
    assert trained_on.why("a" * 32, one.bucket, one.patient) == "record"
    assert trained_on.why("b" * 32, one.bucket, one.patient) == "patient"
    assert trained_on.why("b" * 32, one.bucket, "somebody") == "bucket"


def test_a_patient_that_became_known_later_has_been_seen():
    """Neither the record's own list nor the version's knew whose record it was."""
    files = files_of([Person()])
    late = Descriptions({f"{0:032x}": person(7, public=True)})
    trained_on = TrainedOn.of_version(files, late, key=KEY)
    for name in (person(7, public=True).patient, person(7, public=True).public_patient):
        assert trained_on.why("x" * 32, person(7, public=True).bucket, name) == "patient"
    assert trained_on.why("x" * 32, person(7, public=True).bucket, "somebody") is None


def test_a_version_names_whom_it_has_seen_before_its_test(bucket):
    """Test patients and records without a patient are not among them; the key is told apart, and not told."""
    rows = [
        DatasetRow(record_id=f"{number:032x}", shard="s", group=group, patient_bucket=place, split_bucket=max(place, 0), split=split,
                   label="normal", synthetic=False, public_patient=public)
        for number, (group, place, split, public) in enumerate([
            ("p", 5, Split.TRAIN, None), ("p", 5, Split.TRAIN, None), ("q", 6, Split.CALIBRATION, "public"), ("r", 9000, Split.TEST, None),
            ("a" * 32, -1, Split.TRAIN, None),
        ])
    ]  # fmt: skip
    digest = key_digest(Settings.from_environment().patient_key)
    assert set(training_patients_of(rows)) == {TrainingPatient("p", digest, None), TrainingPatient("q", digest, "public")}
    assert Settings.from_environment().patient_key.hex() not in digest


def test_a_night_asks_the_version_in_the_bucket(bucket):
    """With the list of its patients, and without it as a version of before."""
    one = person(3, key=Settings.from_environment().patient_key, public=False)
    files = files_of([one], key=Settings.from_environment().patient_key)
    for name, data in (files | {SUMS: checksums(files)}).items():
        bucket.put(keys.model_file("heartbeat", "v1", name), data)
    assert TrainedOn.read(bucket, "heartbeat", "v1", Descriptions({})).why("x" * 32, one.bucket, "another") is None
    assert TrainedOn.read(bucket, "heartbeat", "v1", Descriptions({})).why("x" * 32, one.bucket, one.patient) == "patient"
    bucket.delete(keys.model_file("heartbeat", "v1", TRAINING_PATIENTS))
    assert TrainedOn.read(bucket, "heartbeat", "v1", Descriptions({})).why("x" * 32, one.bucket, "another") == "bucket"
