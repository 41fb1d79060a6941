"""The worked examples of CONTRIBUTING.md do what is said there."""

import numpy as np
import pytest

from ecg_tasks import readers
from ecg_tasks.archive import keys, record_shards
from ecg_tasks.offline.classify_file import classify_file
from ecg_tasks.pipeline import ingest_records
from ecg_tasks.pipeline.intake import inbox
from tests.archives import make_wfdb
from tests.examples import example

__all__ = ["make_wfdb"]


@pytest.fixture
def plain(monkeypatch, make_wfdb):
    """Let the example's format be read; returns a recording in it, made of one in WFDB."""
    monkeypatch.setattr(readers, "READERS", [*readers.READERS, example("reader")["PlainReader"]()])
    found = readers.read("r.hea", make_wfdb("r", seed=3)).records[0]
    lines = [
        f"Lead {lead}:{' '.join(f'{1000 * value:.4f}' for value in row)}" for lead, row in zip(found.leads, found.samples, strict=True)
    ]
    return "\n".join([f"PLAIN-ECG 61 female {found.fs:g}", *lines]).encode()


def test_a_new_readers_files_go_from_the_inbox_to_records(bucket, plain):
    """At once, whatever they are called, with standard leads in mV and the person; a bad one goes into quarantine."""
    inbox.put_files([("ward/first.ecg1", plain), ("ward/noname", plain + b"\n"), ("ward/bad", b"PLAIN-ECG 61 female 500")])
    ingest_records.publish("r", [ingest_records.ingest_batch(job) for job in ingest_records.plan("r")])
    (key,) = bucket.list_keys(keys.RECORDS)
    (stored,) = record_shards.load_shard(bucket.get(key))
    record = stored.record
    assert (record.name, record.leads[:2], record.fs, record.age, record.sex) == ("ward/first.ecg1", ("I", "II"), 250.0, 61.0, "female")
    assert 0.1 < np.abs(record.samples).max() < 5
    assert stored.patient
    assert [key.rsplit("/", 1)[-1] for key in bucket.list_keys(keys.QUARANTINE)] == ["bad", "reason.json"]
    assert bucket.list_keys(keys.INBOX) == []


def test_a_new_readers_files_are_classified_without_a_stack(tmp_path, plain):
    """The same reader serves ``./ecg classify``."""
    (tmp_path / "first.ecg1").write_bytes(plain)
    (result,) = classify_file(tmp_path / "first.ecg1").results
    assert result.name == "first.ecg1"
    assert 0 <= result.probability <= 1


def test_a_new_recipe_draws_pictures_of_its_own(make_wfdb):
    """It takes the recordings of its windowing, and its digest is that of no other recipe."""
    from ecg_tasks.signals.recipes import RECIPES

    recipe = example("recipe")["STRICT"]
    (record,) = readers.read("r.hea", make_wfdb("r", seed=3)).records
    assert recipe.accepts(record)
    rendered = recipe.render([record])
    assert recipe.decode([png for png in rendered.png if png]).shape[1:] == recipe.image_shape
    assert recipe.key not in {known.key for known in RECIPES.values()}
