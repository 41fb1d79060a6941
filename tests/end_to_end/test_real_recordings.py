"""Real recordings of three public collections go in, and all of them come out in one report.

Of PTB-XL every tenth at 500 Hz goes this way, and the doubles; of its ninth fold at 100 Hz every tenth. More are read in ``tests/signals``.
With ``ECG_EVERY_RECORDING=1 ./ecg test tests/end_to_end/test_real_recordings.py`` all of them do; all nine folds, by hand:
``python -m benchmarks.stack_night FOLDER DIR``.
"""

import csv
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ecg_tasks.archive import keys

DATA = Path(__file__).parents[2].parent / "shared/data"
PTBXL = DATA / "ptbxl"
EVERY = 1 if os.environ.get("ECG_EVERY_RECORDING") else 10
N_PTBDB, N_HEARTBEATS = 2, 120
DOUBLES = {"137", "138"}

pytestmark = [
    pytest.mark.stack,
    pytest.mark.chain("stack"),
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not DATA.is_dir(), reason="the real recordings are not beside this checkout (../shared/data)"),
]


@pytest.fixture(scope="module")
def ptbxl(tmp_path_factory):
    """PTB-XL at 500 Hz with those that it holds twice, and its ninth fold at 100 Hz: of each every tenth recording, or all."""
    whole = tmp_path_factory.mktemp("ninth_fold")
    subprocess.run([sys.executable, DATA / "ptbxl100" / "unpack.py", whole, "9"], check=True, capture_output=True)
    return [_part(PTBXL, "filename_hr", tmp_path_factory.mktemp("ptbxl")), _part(whole, "filename_lr", tmp_path_factory.mktemp("ptbxl"))]


def _part(whole, column, folder):
    """Lay out a part of PTB-XL; returns its folder, how many recordings it has, and how many different ones."""
    shutil.copy(whole / "scp_statements.csv", folder)
    with (whole / "ptbxl_database.csv").open(newline="") as file:
        names, *rows = list(csv.reader(file))
    chosen = [row for number, row in enumerate(rows) if number % EVERY == 0 or row[0] in DOUBLES]
    with (folder / "ptbxl_database.csv").open("w", newline="") as file:
        csv.writer(file).writerows([names, *chosen])
    signals = [Path(f"{row[names.index(column)]}.dat") for row in chosen]
    for file in [*signals, *(signal.with_suffix(".hea") for signal in signals)]:  # a link out of the folder is refused
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(whole / file, folder / file)
    return folder, len(signals), len({hashlib.sha256((folder / signal).read_bytes()).hexdigest() for signal in signals})


@pytest.fixture(scope="module")
def bucket(ptbxl, ecg, objects, wait_until):
    """The bucket after all three collections were imported, taken over, rendered and classified by the shipped champions."""
    ecg("up")
    of_ptbxl = [("ptbxl", folder) for folder, _, _ in ptbxl]
    for collection, folder in (*of_ptbxl, ("ptbdb", DATA / "ptbdb"), ("heartbeats", DATA / "heartbeats")):
        ecg("import", collection, folder)
    ecg("run", "ingest_records", "--wait")
    with objects() as store:
        wait_until(lambda: not store.list_keys(keys.INBOX), "an empty inbox")  # the watcher's own run may have taken a part of it
        ecg("run", "render_spectrograms", "--wait")
        ecg("run", "classify_records", "--wait", "--conf", json.dumps({"scope": "all"}))
        yield store


def test_every_recording_is_taken_over(bucket, ptbxl):
    """All inputs are read: none is quarantined, the PTB-XL recordings that are published twice count as duplicates."""
    n_ptbxl, n_different = (sum(part[at] for part in ptbxl) for at in (1, 2))
    assert n_ptbxl > n_different > 2400 / EVERY
    runs = [json.loads(bucket.get(key)) for key in bucket.list_keys(f"{keys.MANIFESTS}ingest_records/")]
    total = {name: sum(run["account"][name] for run in runs) for name in ("received", "records", "duplicates", "quarantined")}
    records = n_different + N_PTBDB + N_HEARTBEATS
    assert total == {"received": records + n_ptbxl - n_different, "records": records, "duplicates": n_ptbxl - n_different, "quarantined": 0}
    assert bucket.list_keys(keys.INBOX) == []


def test_every_record_is_in_the_report(bucket, ptbxl):
    """The report has one decision a record, by models whose test patients were kept apart from their training."""
    # at 02:00 the schedule writes one of its own
    (index,) = [key for key in bucket.list_keys(keys.REPORTS) if "/manual" in key and key.endswith("/index.html")]
    folder = index.removesuffix("index.html")
    rows = list(csv.DictReader(io.StringIO(bucket.get(f"{folder}predictions.csv").decode("utf-8-sig"))))
    summary = json.loads(bucket.get(f"{folder}summary.json"))
    n_twelve = sum(n_different for _, _, n_different in ptbxl) + N_PTBDB
    assert len(rows) == n_twelve + N_HEARTBEATS
    assert sum(row["recipe"] == "twelve_lead" for row in rows) == n_twelve
    assert sum(row["recipe"] == "heartbeat" for row in rows) == N_HEARTBEATS
    assert summary["counts"]["pending"] == 0
    assert [model["test"]["split_unit"] for model in summary["models"]] == ["patient", "patient"]
