"""What becomes known of patients after their recordings."""

import numpy as np

from ecg_tasks.archive import descriptions, keys
from ecg_tasks.archive.descriptions import Descriptions, Person
from ecg_tasks.learning.version import TRAINING_RECORDS
from ecg_tasks.pipeline.champions.versions import TrainedOn

INDEX = {
    "record_id": ["a", "b"],
    "patient": [None, "p"],
    "split_bucket": np.array([-1, 7], np.int32),
    "age": np.array([np.nan, 40], np.float32),
    "sex": [None, "male"],
}


def test_the_latest_intake_holds(bucket):
    """Of two tables the one with the higher number counts, whatever their digests; other records are left as they are."""
    descriptions.write(bucket, {"a": Person("q", 5, None, None)}, number=9)
    descriptions.write(bucket, {"a": Person("q", 5, 61.0, "female")}, number=10)
    found = Descriptions.read(bucket).index(INDEX)
    assert (found["patient"], found["split_bucket"].tolist(), found["sex"]) == (["q", "p"], [5, 7], ["female", "male"])
    assert found["age"].tolist() == [61.0, 40.0]
    assert INDEX["patient"] == [None, "p"]
    assert Descriptions.read(bucket, ["b"]).persons == {}
    assert len(bucket.list_keys(keys.DESCRIPTIONS)) == 2


def test_a_version_knows_patients_that_became_known_later():
    """A version that was trained on a record has seen its patient, also where nobody knew then whose record it was."""
    files = {TRAINING_RECORDS: b"record_id,side,bucket\na,train,-1\nb,test,-1\n"}
    late = Descriptions({"a": Person("q", 5), "b": Person("r", 6)})
    assert TrainedOn.of_version(files, key=None).why("c", 5) is None
    assert TrainedOn.of_version(files, late, key=None).why("c", 5) == "bucket"
    assert TrainedOn.of_version(files, late, key=None).why("d", 6) is None
    assert TrainedOn.of_version(files, late, key=None).why("a", -1) == "record"
