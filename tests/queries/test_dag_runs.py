"""One sentence of a run, as its note in Airflow has it."""

import pytest

from ecg_tasks.pipeline import ingest_records, render_spectrograms
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.queries import dag_runs


@pytest.fixture
def drop(heartbeat_csv, beat_rows):
    """A table of three beats, one of which is no number, as it is dropped."""
    rows = heartbeat_csv(beat_rows(3))
    return {"ward/beats.csv": rows + rows.splitlines()[0].replace(b"0.", b"x.") + b"\n"}


def _take(run):
    ingest_records.publish(run, [ingest_records.ingest_batch(job) for job in ingest_records.plan(run)])


def test_an_intake_tells_its_counts_and_one_without_work_that(bucket, drop):
    """What was received and what became of it; the same again are all duplicates."""
    assert dag_runs.headline("ingest_records", "none") == "nothing to take over"
    for run, sentence in (("first", "4 received: 3 records, 1 quarantined"), ("again", "4 received: 3 duplicates, 1 quarantined")):
        inbox.put_files(drop.items())
        _take(run)
        assert dag_runs.headline("ingest_records", run).startswith(sentence)


def test_a_drawing_tells_its_pictures(bucket, drop):
    """Shards, pictures and records; and where there was nothing to draw, that."""
    inbox.put_files(drop.items())
    _take("first")
    render_spectrograms.publish("r", [render_spectrograms.render_shard(job) for job in render_spectrograms.plan("r")])
    assert dag_runs.headline("render_spectrograms", "r") == "3 pictures of 3 records in 1 shard"
    assert render_spectrograms.plan("again") == []
    assert dag_runs.headline("render_spectrograms", "again") == "nothing to draw"
    assert dag_runs.headline("render_spectrograms", "not yet") == ""


def test_a_run_that_has_decided_nothing_has_no_sentence(bucket):
    """Its note stays empty, rather than telling of another one."""
    assert dag_runs.headline("retrain_model", "r") == dag_runs.headline("decide_champion", "r") == ""
