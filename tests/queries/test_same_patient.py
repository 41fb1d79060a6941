"""Which recordings are the same patient's, and which of them came first: by dates as far as they are kept, then by intakes."""

import numpy as np
import pytest

from ecg_tasks.archive import catalog, descriptions, keys, record_shards
from ecg_tasks.archive.descriptions import Person
from ecg_tasks.archive.record_shards import StoredRecord
from ecg_tasks.queries import same_patient
from ecg_tasks.signals.record import Record

ME, YOU = "a" * 24, "b" * 24
"""Keyed hashes of two patients."""


@pytest.fixture
def put(bucket):
    """Function that stores recordings of one intake, given as name to patient and date, as a shard; returns their ids by name."""

    def store(recordings, *, received=0):
        shard = []
        for name, (patient, recorded) in recordings.items():
            samples = np.full((2, 100), sum(map(ord, name)), np.float32)
            record = Record(samples=samples, fs=100.0, leads=("I", "II"), unit="mV", name=name, recorded=recorded)
            shard.append(StoredRecord(record=record, source="ab" * 32, patient=patient, split_bucket=1 if patient else -1))
        ids = [one.record.record_id for one in shard]
        name = record_shards.shard_name(ids)
        bucket.put(keys.record_shard(name), record_shards.dump_shard(shard))
        bucket.put(keys.record_index(name), record_shards.dump_index(shard, received=received))
        return dict(zip(recordings, ids, strict=True))

    return store


def listed(bucket, record_id):
    """Name of each other recording, and whether it is earlier."""
    catalog.rebuild(bucket)
    found = same_patient.others(bucket, same_patient.find(bucket, record_id))
    return [(one.name, one.is_earlier) for one in found]


def test_the_latest_earlier_one_comes_first_and_nobody_elses_at_all(bucket, put):
    """Then what is not known to be earlier, then the later ones."""
    ids = put(
        {"this": (ME, "2020"), "of 2018": (ME, "2018-05-03"), "of 2019": (ME, "2019"), "of 2021": (ME, "2021"), "yours": (YOU, "2018")}
    )
    assert listed(bucket, ids["this"]) == [("of 2019", True), ("of 2018", True), ("of 2021", False)]
    found = same_patient.others(bucket, same_patient.find(bucket, ids["this"]))
    assert same_patient.nearest(found).recorded == "2019"
    assert same_patient.nearest([one for one in found if not one.is_earlier]) is None


def test_a_time_zone_counts(bucket, put):
    """Half past nine in London is later than ten o'clock in Paris of the same day; without a zone, clocks are compared as they stand."""
    ids = put(
        {
            "this": (ME, "2024-05-03T09:30:00+00:00"),
            "a quarter before": (ME, "2024-05-03T09:15:00+00:00"),
            "half an hour before": (ME, "2024-05-03T11:00:00+02:00"),
            "after": (ME, "2024-05-03T09:00:00-05:00"),
            "no zone": (ME, "2024-05-03T09:40:00"),
        }
    )
    assert listed(bucket, ids["this"]) == [("a quarter before", True), ("half an hour before", True), ("after", False), ("no zone", False)]


def test_dates_that_do_not_tell_give_way_to_intakes(bucket, put):
    """Of one year, or without a date: what came in before is earlier; what came in together is not known."""
    before = put({"before": (ME, "2020"), "before, no date": (ME, None)}, received=1)
    now = put({"this": (ME, "2020-03"), "beside": (ME, "2020")}, received=2)
    assert dict(listed(bucket, now["this"])) == {"before": True, "before, no date": True, "beside": None}
    assert dict(listed(bucket, before["before"])) == {"before, no date": None, "this": False, "beside": False}


def test_what_became_known_later_counts(bucket, put):
    """A recording that turned out to be mine is there; one that turned out to be yours is not."""
    ids = put({"this": (ME, "2020"), "turned mine": (None, "2018"), "turned yours": (ME, "2017")}, received=1)
    persons = {ids["turned mine"]: Person(patient=ME, bucket=1), ids["turned yours"]: Person(patient=YOU, bucket=2)}
    descriptions.write(bucket, persons, number=2)
    assert listed(bucket, ids["this"]) == [("turned mine", True)]
    assert listed(bucket, ids["turned yours"]) == []


def test_nobody_knows_whose_it_is(bucket, put):
    """Recordings without a patient are not the same person's."""
    ids = put({"this": (None, "2020"), "other": (None, "2019")})
    assert listed(bucket, ids["this"]) == []
    assert same_patient.find(bucket, "0" * 32) is None


def test_a_bucket_without_a_catalogue_has_none_and_gets_none_by_looking(bucket, put):
    """A page writes nothing."""
    ids = put({"this": (ME, "2020"), "other": (ME, "2019")})
    assert same_patient.others(bucket, same_patient.find(bucket, ids["this"])) == []
    assert not bucket.exists(keys.CATALOG_HEAD)


def test_many_recordings_are_listed_from_the_newest_intake_on(bucket, put, monkeypatch):
    """A list has an end."""
    monkeypatch.setattr(same_patient, "LISTED", 2)
    for number in range(1, 4):
        ids = put({f"of intake {number}": (ME, f"20{10 + number}")}, received=number)
    this = put({"this": (ME, "2020")}, received=9)
    assert listed(bucket, this["this"]) == [("of intake 3", True), ("of intake 2", True)]
    assert ids
