"""Lineage events: none unless an address is set, and then a run's are sent there, by Airflow's own provider."""

import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploy.embedded import outlets

pytest.importorskip("airflow.providers.openlineage", reason="locked, but not installed in this environment")
ROOT = Path(__file__).parents[2]
LISTENERS = (
    "from airflow.providers.openlineage.plugins.openlineage import OpenLineageProviderPlugin as plugin; print(len(plugin.listeners))"
)
RUN = "from render_spectrograms import render_spectrograms; render_spectrograms().test()"
NIGHT = "from classify_records import classify_records; dag = classify_records(); dag.deadline = None; dag.test()"


def python(script: str, environment: dict[str, str]) -> str:
    """What a fresh process prints: the provider decides at its import whether it is on."""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture
def environment(tmp_path):
    """Of a process with an Airflow of its own, without lineage."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "dags"), str(ROOT / "plugins")])
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENLINEAGE", "AIRFLOW", "COVERAGE_"))}
    return kept | {
        "PYTHONPATH": paths,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
    }


@pytest.fixture
def receiver():
    """A real server on this machine; ``events`` are those that it was sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.server.events.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.events = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_nothing_listens_unless_an_address_is_set(environment):
    """Off by default: the provider is there, and hears nothing; that it does with an address is seen by the events below."""
    assert python(LISTENERS, environment).strip() == "0"


@pytest.mark.slow
def test_the_events_of_a_run_are_sent_to_the_address(bucket, environment, receiver, migrated_database, tmp_path):
    """The start and the end of each task arrive under the stack's namespace, with the run they are part of, and no source code."""
    asked = {outlets.LINEAGE: f"http://127.0.0.1:{receiver.server_port}"}
    section = outlets.settings(asked, bucket="b")["openlineage"]
    switched_on = environment | asked | {f"AIRFLOW__OPENLINEAGE__{name.upper()}": str(value) for name, value in section.items()}
    store = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "ECG_"))}
    shutil.copy(migrated_database, tmp_path / "airflow.db")
    python(RUN, switched_on | store)
    told = {(event["eventType"], event["job"]["namespace"], event["job"]["name"]) for event in receiver.events}
    assert {("START", "ecg", "render_spectrograms.plan"), ("COMPLETE", "ecg", "render_spectrograms.plan")} <= told
    plan = [event for event in receiver.events if event["job"]["name"] == "render_spectrograms.plan"]
    assert {event["run"]["facets"]["parent"]["job"]["name"] for event in plan} == {"render_spectrograms"}
    assert not [event for event in receiver.events if "sourceCode" in event["job"].get("facets", {})]


@pytest.mark.slow
def test_a_night_names_what_it_reads_and_writes(bucket, environment, receiver, migrated_database, tmp_path):
    """Data sets are the parts of the bucket under its address, and no object in them."""
    asked = {outlets.LINEAGE: f"http://127.0.0.1:{receiver.server_port}"}
    section = outlets.settings(asked, bucket="b")["openlineage"]
    switched_on = environment | asked | {f"AIRFLOW__OPENLINEAGE__{name.upper()}": str(value) for name, value in section.items()}
    store = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "ECG_"))}
    shutil.copy(migrated_database, tmp_path / "airflow.db")
    python(NIGHT, switched_on | store)
    told = [event for event in receiver.events if event["job"]["name"] == "classify_records.write_report"]
    named = {(place, one["namespace"], one["name"]) for event in told for place in ("inputs", "outputs") for one in event.get(place, [])}
    where = f"s3://{bucket.bucket}"
    assert named == {("inputs", where, "spectrograms"), ("outputs", where, "reports")}
