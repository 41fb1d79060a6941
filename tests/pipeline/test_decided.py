"""Here: reading what a version said of the whole archive. Not here: the queue made of it (``test_review``)."""

import pytest

from ecg_tasks.archive import keys
from ecg_tasks.errors import MissingObjectError
from ecg_tasks.pipeline import decided


def test_a_missing_index_is_an_error(archive, bucket):
    """Predictions whose shard has no index any more are told by the index's key, not asked for again and again."""
    archive.put_model("heartbeat")
    archive.put_shard("shard", archive.ids(3), [0.1, 0.5, 0.9])
    bucket.delete(keys.record_index("shard"))
    with pytest.raises(MissingObjectError, match=keys.record_index("shard")):
        decided.serving(bucket, ["heartbeat"])


def test_copies_made_into_one_meanwhile_are_read_again(archive, bucket, monkeypatch):
    """A copy that another process replaced between listing and reading is looked for again, once."""
    archive.put_model("heartbeat")
    archive.put_shard("shard", archive.ids(3), [0.1, 0.5, 0.9])
    decided.write_snapshot(bucket, "heartbeat", "v1")
    (copy,) = bucket.list_keys(keys.DECIDED)
    whole = bucket.get(copy)
    get, asked = type(bucket).get, []

    def replaced_meanwhile(store, key):
        asked.append(key)
        if key == copy:
            store.delete(copy)
            store.put(keys.decided("heartbeat", "v1", "other"), whole)
        return get(store, key)

    monkeypatch.setattr(type(bucket), "get", replaced_meanwhile)
    (found,) = decided.serving(bucket, ["heartbeat"])
    assert len(found.ids) == 3
    assert asked.count(copy) == 1
