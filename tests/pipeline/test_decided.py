"""Here: reading what a version said of the whole archive. Not here: the queue made of it (``test_review``)."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ecg_tasks.archive import keys, tables
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
    spool, asked = type(bucket).spool, []

    def replaced_meanwhile(store, key):
        asked.append(key)
        if key == copy:
            store.delete(copy)
            store.put(keys.decided("heartbeat", "v1", "other"), whole)
        return spool(store, key)

    monkeypatch.setattr(type(bucket), "spool", replaced_meanwhile)
    (found,) = decided.serving(bucket, ["heartbeat"])
    assert len(found.ids) == 3
    assert asked.count(copy) == 1


def test_parts_of_a_copy_are_written_together(archive, bucket, monkeypatch):
    """Parquet keeps a description of every group of rows, so that a group for each of many small shards would fill memory."""
    archive.put_model("heartbeat")
    for number in range(5):
        archive.put_shard(f"shard{number}", archive.ids(3, first=3 * number), [0.1, 0.5, 0.9])
    monkeypatch.setattr(tables, "_ROWS_AT_ONCE", 6)
    decided.write_snapshot(bucket, "heartbeat", "v1")
    (copy,) = bucket.list_keys(keys.DECIDED)
    groups = pq.ParquetFile(pa.BufferReader(bucket.get(copy))).metadata
    assert [groups.row_group(number).num_rows for number in range(groups.num_row_groups)] == [6, 6, 3]
    assert sorted(decided.of_version(bucket, "heartbeat", "v1").shard) == [f"shard{number}" for number in range(5) for _ in range(3)]
    archive.put_shard("another", archive.ids(2, first=15), [0.1, 0.5])
    decided.write_snapshot(bucket, "heartbeat", "v1")
    (new,) = set(bucket.list_keys(keys.DECIDED)) - {copy}
    assert set(tables.load(bucket.get(new))["shard"]) == {"another"}
