"""The worked examples of CONTRIBUTING.md do what is said there."""

import csv
import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from ecg_tasks import readers, report_columns
from ecg_tasks.archive import keys, record_shards, registry
from ecg_tasks.offline.classify_file import classify_file
from ecg_tasks.pipeline import classify_records, ingest_records, render_spectrograms
from ecg_tasks.pipeline.intake import inbox
from tests.archives import beat_rows, heartbeat_csv, make_wfdb
from tests.examples import example

__all__ = ["beat_rows", "heartbeat_csv", "make_wfdb"]


@pytest.fixture
def plain(monkeypatch, make_wfdb):
    """Let the example's format be read; returns a recording in it, made of one in WFDB."""
    monkeypatch.setattr(readers, "READERS", [*readers.READERS, example("reader")["PlainReader"]()])
    found = readers.read("r.hea", make_wfdb("r", seed=3)).records[0]
    lines = [
        f"Lead {lead}:{' '.join(f'{1000 * value:.4f}' for value in row)}" for lead, row in zip(found.leads, found.samples, strict=True)
    ]
    return "\n".join([f"PLAIN-ECG 61 female {found.fs:g}", *lines]).encode()


@pytest.mark.usefixtures("read_in_this_process")
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


@pytest.mark.usefixtures("read_in_this_process")
def test_a_new_readers_files_are_classified_without_a_stack(tmp_path, plain):
    """The same reader serves ``./ecg classify``."""
    (tmp_path / "first.ecg1").write_bytes(plain)
    (result,) = classify_file(tmp_path / "first.ecg1").results
    assert result.name == "first.ecg1"
    assert 0 <= result.probability <= 1


def test_a_new_readers_files_are_kept_without_identifiers(plain):
    """An age above 89 becomes 90; the record stays the same."""
    old = plain.replace(b"ECG 61 ", b"ECG 97 ")
    assert readers.deidentified("first.ecg1", {"first.ecg1": old}) == {"first.ecg1": plain.replace(b"ECG 61 ", b"ECG 90 ")}


def test_a_new_recipe_draws_pictures_of_its_own(make_wfdb):
    """It takes the recordings of its windowing, and its digest is that of no other recipe."""
    from ecg_tasks.signals.recipes import RECIPES

    recipe = example("recipe")["STRICT"]
    (record,) = readers.read("r.hea", make_wfdb("r", seed=3)).records
    assert recipe.accepts(record)
    rendered = recipe.render([record])
    assert recipe.decode([png for png in rendered.png if png]).shape[1:] == recipe.image_shape
    assert recipe.key not in {known.key for known in RECIPES.values()}


@pytest.fixture
def beats(beat_rows, heartbeat_csv):
    """A file of five beats."""
    return heartbeat_csv(beat_rows(5))


def test_a_new_column_is_in_every_form_of_a_report(bucket, beats, todays_version, monkeypatch):
    """A night later it is in the Parquet file, the CSV file, its schema and the offline page, computed to the last digit."""
    monkeypatch.setattr(report_columns, "COLUMNS", (*report_columns.COLUMNS, example("column")["MARGIN"]))
    monkeypatch.setenv("ECG_RECIPES", "heartbeat")
    registry.write_version(bucket, "heartbeat", "aaaa00000001", todays_version("heartbeat", "aaaa00000001"))
    registry.write_champion(bucket, recipe="heartbeat", version="aaaa00000001", since="2026-01-01T00:00:00+00:00", who="t", why="t")
    inbox.put_files([("a.csv", beats)])
    ingest_records.publish("r", [ingest_records.ingest_batch(job) for job in ingest_records.plan("r")])
    render_spectrograms.publish("r", [render_spectrograms.render_shard(job) for job in render_spectrograms.plan("r")])
    pin = classify_records.pin_champion("r", date="2026-01-02", details=0)
    index = classify_records.write_report(pin, [classify_records.classify_shard(job) for job in classify_records.plan(pin)])

    def written(name: str) -> bytes:
        return bucket.get(index.replace("index.html", name))

    rows = pq.read_table(io.BytesIO(written("predictions.parquet"))).to_pylist()
    assert len(rows) == 5
    expected = [None if row["probability"] is None else row["probability"] - row["threshold"] for row in rows]
    assert any(expected)
    assert [row["margin"] for row in rows] == expected
    cells = [row["margin"] for row in csv.DictReader(io.StringIO(written("predictions.csv").decode(), newline=""))]
    assert [float(cell) if cell else None for cell in cells] == expected
    described = {field["name"]: field for field in json.loads(written("predictions.schema.json"))["fields"]}
    assert described["margin"]["type"] == "number"
    assert described["margin"]["title"] == "Margin"
    page = written("index.html").decode()
    assert 'data-column="margin"' in page
    assert all(f'<td class="num">{"–" if value is None else f"{value:.3f}"}</td>' in page for value in expected)
