"""Real recordings of three public collections go in, and all of them come out in one report."""

import csv
import io
import json
from pathlib import Path

import pytest

from ecg_tasks.storage import keys

DATA = Path(__file__).parents[2].parent / "shared/data"
N_PTBXL, N_PTBDB, N_HEARTBEATS = 353, 2, 120

pytestmark = [
    pytest.mark.stack,
    pytest.mark.chain("stack"),
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not DATA.is_dir(), reason="the real recordings are not beside this checkout (../shared/data)"),
]


@pytest.fixture(scope="module")
def bucket(ecg, objects, wait_until):
    """The bucket after all three collections were imported, taken over, rendered and classified by the shipped champions."""
    ecg("up")
    for collection in ("ptbxl", "ptbdb", "heartbeats"):
        ecg("import", collection, DATA / collection)
    ecg("run", "ingest_records", "--wait")
    with objects() as store:
        wait_until(lambda: not store.list_keys(keys.INBOX), "an empty inbox")  # the watcher's own run may have taken a part of it
        ecg("run", "render_spectrograms", "--wait")
        ecg("run", "classify_records", "--wait", "--conf", json.dumps({"scope": "all"}))
        yield store


def test_every_recording_is_taken_over(bucket):
    """All 475 inputs are read: none is quarantined, the four PTB-XL recordings that are published twice count as duplicates."""
    runs = [json.loads(bucket.get(key)) for key in bucket.list_keys(f"{keys.MANIFESTS}ingest_records/")]
    total = {name: sum(run["account"][name] for run in runs) for name in ("received", "records", "duplicates", "quarantined")}
    assert total == {"received": N_PTBXL + N_PTBDB + N_HEARTBEATS, "records": 471, "duplicates": 4, "quarantined": 0}
    assert bucket.list_keys(keys.INBOX) == []


def test_every_record_is_in_the_report(bucket):
    """The report has one decision a record, by models whose test patients were kept apart from their training."""
    # at 02:00 the schedule writes one of its own
    (index,) = [key for key in bucket.list_keys(keys.REPORTS) if "/manual" in key and key.endswith("/index.html")]
    folder = index.removesuffix("index.html")
    rows = list(csv.DictReader(io.StringIO(bucket.get(f"{folder}predictions.csv").decode("utf-8-sig"))))
    summary = json.loads(bucket.get(f"{folder}summary.json"))
    assert len(rows) == 471
    assert sum(row["recipe"] == "twelve_lead" for row in rows) == 351
    assert sum(row["recipe"] == "heartbeat" for row in rows) == N_HEARTBEATS
    assert summary["counts"]["pending"] == 0
    assert [model["test"]["split_unit"] for model in summary["models"]] == ["patient", "patient"]
