"""A stack that starts finds its bucket ready, whoever worked on it before."""

from ecg_tasks.archive import keys, registry
from ecg_tasks.archive.catalog import Catalog
from ecg_tasks.pipeline import ingest_records
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.pipeline.preparation import prepare_bucket


def test_what_an_earlier_program_let_in_is_known(bucket, beat_rows, heartbeat_csv):
    """Its shards are in no segment; after a start they are, and the same recordings again are duplicates."""
    inbox.put_files([("a.csv", heartbeat_csv(beat_rows(3)))])
    ingest_records.publish("r1", [ingest_records.ingest_batch(job) for job in ingest_records.plan("r1")])
    bucket.delete_many(bucket.list_keys(keys.CATALOG))
    assert sorted(prepare_bucket()) == ["heartbeat", "twelve_lead"]
    assert prepare_bucket() == []
    assert registry.read_champion(bucket, "heartbeat") is not None
    assert sum(segment.n_records for segment in Catalog.open(bucket).head.segments) == 3
