"""Here: ``inbox`` and ``put --wait`` over a real bucket, with runs that do at once what the DAGs do. Not here: a stack (``end_to_end``)."""

import json

import pytest
from typer.testing import CliRunner

from ecg_tasks.archive import audit, keys, registry
from ecg_tasks.archive.workspace import now
from ecg_tasks.cli import decisions, inbox, runs, waiting
from ecg_tasks.cli.__main__ import app
from ecg_tasks.pipeline import classify_records, ingest_records, render_spectrograms
from ecg_tasks.queries.runs import headline
from tests.archives import beat_rows, heartbeat_csv

__all__ = ["beat_rows", "heartbeat_csv"]


class _Airflow:
    """Runs of the intake, of drawing and of deciding, done as soon as somebody looks at them."""

    def __init__(self):
        self.asked, self.notes, self.end = [], {}, "success"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def trigger(self, dag, conf=None):
        self.asked.append((dag, dict(conf or {})))
        return f"run-{len(self.asked)}"

    def run_state(self, _dag, run):
        if run not in self.notes:
            for step, results in ((ingest_records, "ingest_batch"), (render_spectrograms, "render_shard")):
                if jobs := step.plan(run):
                    step.publish(run, [getattr(step, results)(job) for job in jobs])
            pin = classify_records.pin_champion(run, date="2026-01-02", details=0)
            report = classify_records.write_report(pin, [classify_records.classify_shard(job) for job in classify_records.plan(pin)])
            self.notes[run] = headline(report)
        return self.end

    def task_states(self, _dag, _run):
        return []

    def note(self, _dag, run):
        return self.notes.get(run, "")


@pytest.fixture
def airflow(bucket, todays_version, monkeypatch):
    """A stack with such an Airflow, whose bucket has a champion for beats."""
    monkeypatch.setenv("ECG_RECIPES", "heartbeat")
    registry.write_version(bucket, "heartbeat", "aaaa00000001", todays_version("heartbeat", "aaaa00000001"))
    registry.write_champion(bucket, recipe="heartbeat", version="aaaa00000001", since=now(), who="test", why="it is there")
    api = _Airflow()

    class Stack:
        home = "here"

        def airflow(self):
            return api

        def environment(self):
            return {}

    for module in (inbox, waiting, runs):
        monkeypatch.setattr(module, "running_stack", Stack)
    monkeypatch.setattr(waiting, "open_bucket", lambda: bucket)
    monkeypatch.setattr(runs, "_POLL_S", 0.0)
    return api


def invoke(*arguments, answer=None):
    """Run one command inside this process."""
    return CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "200"}, input=answer)


@pytest.fixture
def folder(tmp_path, beat_rows, heartbeat_csv):
    """What somebody drops: two beats, a file that is none, and an upload that goes on."""
    (tmp_path / "ward").mkdir()
    for name, data in {"beats.csv": heartbeat_csv(beat_rows(2)), "bad.csv": b"no numbers\n", "late.edf.part": b"0"}.items():
        (tmp_path / "ward" / name).write_bytes(data)
    return tmp_path / "ward"


def test_a_drop_ends_with_its_decisions(airflow, folder, bucket):
    """One run that waits for the intake, which is started; a line a recording, what is refused or waits says why, then the run's note."""
    done = invoke("put", folder, "--wait")
    assert done.exit_code == 0, done.output
    assert airflow.asked == [("classify_records", {"after_intake": True}), ("ingest_records", {})]
    lines = done.stdout.splitlines()
    assert len([line for line in lines if "ward/beats.csv#" in line and ("normal" in line or "uncertain" in line)]) == 2
    assert any("ward/bad.csv" in line and "quarantined: (" in line for line in lines)
    assert any("ward/late.edf.part" in line and "waits: the end of its upload, until 20" in line for line in lines)
    assert any(
        line.startswith("· the report: 2 records") and "1 file still in the inbox: 1 for the end of its upload" in line for line in lines
    )
    assert any("./ecg put" in json.dumps(json.loads(bucket.get(key))) for key in bucket.list_keys(keys.ACCESS))


def test_a_program_gets_one_document(airflow, folder):
    """With the run, its note, and an answer a recording."""
    done = invoke("put", folder, "--wait", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["run"], found["state"], found["files"]) == ("run-1", "success", 3)
    assert sorted(one["fate"] for one in found["answers"]) == ["decided", "decided", "quarantined", "waits"]
    assert "waiting for the decisions" in done.stderr


def test_a_run_that_failed_ends_with_1(airflow, folder):
    """What became of the files is told nevertheless."""
    airflow.end = "failed"
    done = invoke("put", folder, "--wait", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["state"] == "failed"


def test_a_drop_that_one_run_does_not_end_is_followed_further(airflow, folder, monkeypatch):
    """A large one takes longer than a run waits; a run that brings nothing new is the last."""
    whole = airflow.run_state

    def later(dag, run):
        return whole(dag, run) if len(airflow.asked) > 2 else "success"

    monkeypatch.setattr(airflow, "run_state", later)
    assert invoke("put", folder, "--wait").exit_code == 0
    assert [dag for dag, _ in airflow.asked] == ["classify_records", "ingest_records"] * 2
    assert decisions.DagId.CLASSIFY_RECORDS == "classify_records"


def test_what_waits_is_listed(airflow, folder):
    """For people as a table with sums below, for programs as one document."""
    invoke("put", folder)
    done = invoke("inbox")
    assert "ward/late.edf.part" in done.stdout
    assert "1 file waits for the end of its upload, until 20" in done.stdout
    found = json.loads(invoke("inbox", "list", "--json").stdout)
    assert found["n_files"] == 3
    assert {one["why"] for one in found["waits_for"]} == {"the next run", "the end of its upload"}
    assert {one["name"] for one in found["files"]} == {"ward/bad.csv", "ward/beats.csv", "ward/late.edf.part"}


def test_files_are_deleted_and_released_by_their_names(airflow, folder, bucket):
    """A folder is meant with all in it; a name that is not there is answered with the nearest, and nothing is done."""
    invoke("put", folder)
    refused = invoke("inbox", "delete", "ward/bad.cvs", "--yes")
    assert refused.exit_code == 1
    assert "did you mean ward/bad.csv" in refused.output
    assert invoke("inbox", "delete", "ward/", answer="n\n").exit_code == 1
    assert len(bucket.list_keys(keys.INBOX)) == 3
    released = invoke("inbox", "release", "ward/late.edf.part")
    assert released.exit_code == 0, released.output
    assert airflow.asked == [("ingest_records", {})]
    assert "1 file released" in released.output
    assert invoke("inbox", "delete", "ward/", "--yes").exit_code == 0
    assert bucket.list_keys(keys.INBOX) == []
    acts = sorted(entry.action for _, entry in audit.entries(bucket))
    assert acts == [audit.Action.DELETE, audit.Action.RELEASE]
    assert "no file is waiting" in invoke("inbox").stdout
