"""What Airflow loads in every process is light, and says where the pages are."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import ecg_pages
import pytest
import run_note
from report_link import OpenReport

ROOT = Path(__file__).parents[2]
LOAD = """
import json, sys
from airflow.plugins_manager import _get_plugins
plugins, errors = _get_plugins()
light = sorted({name.split(".")[0] for name in sys.modules} & {"ecg_ui", "ecg_tasks", "numpy", "boto3", "pandas", "pyarrow", "fastapi"})
print("\\n" + json.dumps({"names": [plugin.name for plugin in plugins], "errors": errors, "loaded": light}))
"""


def test_loading_the_plugins_imports_nothing_heavy():
    """Every task and the dag-processor load them: neither the pages nor what they need may come along."""
    done = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, cwd=ROOT, check=False, timeout=900)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["names"].count("ecg_pages") == 1
    assert found["errors"] == {}
    assert "ecg_ui" not in found["loaded"]
    assert not {"numpy", "boto3", "pandas", "pyarrow"} & set(found["loaded"]), found["loaded"]


@pytest.mark.parametrize(("base_url", "prefix"), [("http://127.0.0.1:8080", ""), ("https://host/airflow/", "/airflow")])
def test_views_and_links_know_where_airflow_is_served(monkeypatch, base_url, prefix):
    """At the root or below a path; Airflow puts a run's ids in place of the words in braces."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    views = {view["destination"]: view["href"] for view in ecg_pages.EcgPages().external_views}
    assert views == {"nav": f"{prefix}/ecg/", "dag_run": f"{prefix}/ecg/run?dag_id={{DAG_ID}}&run_id={{RUN_ID}}"}
    key = SimpleNamespace(dag_id="classify_records", run_id="manual__2026-01-01T00:00:00+00:00&x=1")
    link = OpenReport().get_link(None, ti_key=key)
    assert link == f"{prefix}/plugin/ecg/ecg/run?dag_id=classify_records&run_id=manual__2026-01-01T00%3A00%3A00%2B00%3A00%26x%3D1"


def test_only_the_task_that_writes_the_report_has_the_button(monkeypatch):
    """The link is the operator's own, so no other task shows an empty heading."""
    monkeypatch.syspath_prepend(str(ROOT / "dags"))
    import classify_records

    with_link = [task.task_id for task in classify_records.classify_records().tasks if task.operator_extra_links]
    assert with_link == ["write_report"]


@pytest.mark.parametrize("run", [{"dag_id": "somebody_elses", "note": None}, {"dag_id": "classify_records", "note": "by hand"}])
def test_other_notes_are_left_alone(run):
    """No other DAG gets a note, and what a person wrote stays."""
    dag_run = SimpleNamespace(**run)
    run_note.on_dag_run_success(dag_run, msg="")
    assert dag_run.note == run["note"]
