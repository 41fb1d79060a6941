"""The main job by one command, on made-up recordings, through the real scheduler, store and database.

After ``test_backup`` all of it is looked at in the stack that was restored from the demonstration's backup.
"""

import csv
import io
import json
import re

import pytest

from deploy.embedded import supervision
from ecg_tasks.archive import keys

pytestmark = [pytest.mark.stack, pytest.mark.chain("demo"), pytest.mark.timeout(3600)]
DAGS = ("ingest_records", "render_spectrograms", "classify_records")
"""Those that are run once more here; ``test_roles`` runs ``retrain_model`` once more."""


@pytest.fixture(scope="module")
def bucket(demo, stack, ecg, objects):
    """The bucket after the demonstration; the stack is up again."""
    if not stack.is_up():
        ecg("up")
    with objects() as store:
        yield store


@pytest.fixture(scope="module")
def report(demo):
    """Folder of the report that the demonstration names; the schedule may have written another one meanwhile."""
    (named,) = re.findall(rf"s3://\S+?/({keys.REPORTS}\S+/)index\.html", demo)
    return named


def manifests(bucket, dag):
    """Manifests of all runs of a DAG, oldest first."""
    found = sorted(bucket.list_objects(f"{keys.MANIFESTS}{dag}/"), key=lambda item: item.modified)
    return [json.loads(bucket.get(item.key)) for item in found]


def test_it_says_where_everything_is(demo, chain, stack):
    """The last lines name the report, and the report is there as a file; no secret is printed where nobody sees a terminal."""
    assert "index.html" in demo
    assert chain.done["local report"].count("index.html") == 1
    assert not [name for name, secret in vars(stack.home.secrets()).items() if name != "s3_access_key" and secret in demo]


def test_every_input_has_its_fate(bucket):
    """The account of the intake adds up: one duplicate, one corrupt file, one bad row, and an empty inbox."""
    runs = manifests(bucket, "ingest_records")
    total = {name: sum(run["account"][name] for run in runs) for name in ("received", "records", "duplicates", "quarantined")}
    assert total["received"] == total["records"] + total["duplicates"] + total["quarantined"]
    assert total["duplicates"] == 1
    reasons = sorted(entry["reason"] for run in runs for entry in run["quarantined"])
    assert reasons == ["not_numeric", "unreadable"]
    assert bucket.list_keys(keys.INBOX) == []
    for folder in bucket.list_folders(keys.QUARANTINE):
        assert json.loads(bucket.get(keys.quarantine_reason(folder)))["message"]


def test_one_decision_per_record(bucket, report):
    """The report's table has every record once, and its counts agree with the archive."""
    rows = list(csv.DictReader(io.StringIO(bucket.get(f"{report}predictions.csv").decode("utf-8-sig"))))
    counts = json.loads(bucket.get(f"{report}summary.json"))["counts"]
    records = sum(run["account"]["records"] for run in manifests(bucket, "ingest_records"))
    assert len(rows) == len({row["record_id"] for row in rows}) == counts["records"] == records
    assert {row["decision"] for row in rows} <= {"normal", "abnormal", "uncertain", "uninterpretable"}
    assert counts["pending"] == 0


def test_report_says_that_it_is_synthetic_and_for_research(bucket, report):
    """Nobody can take the demonstration's report for one about people."""
    page = bucket.get(f"{report}index.html").decode()
    assert "synthetic" in page.lower()
    assert "not a medical device" in page


def test_a_model_was_trained_and_judged(bucket):
    """The retraining ended in a promoted version that says it was trained on synthetic recordings."""
    manifest = manifests(bucket, "retrain_model")[0]
    assert manifest["verdict"]["promote"], manifest["verdict"]["reason"]
    assert manifest["serving"] == manifest["version"]
    spec = json.loads(bucket.get(keys.model_file(manifest["recipe"], manifest["version"], "model.json")))
    assert spec["synthetic"] is True


def test_second_run_of_every_dag_changes_nothing(bucket, stack, ecg, data):
    """Each DAG run once more, by hand, leaves all data as they were and reports nothing again; no component breaks down on the way."""
    components = supervision.pids(stack.home)
    before = data(bucket)
    for dag in DAGS:
        ecg("run", dag, "--wait")
    assert manifests(bucket, "classify_records")[-1]["account"]["records"] == 0
    assert data(bucket) == before
    assert supervision.pids(stack.home) == components
