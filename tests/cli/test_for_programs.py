"""Here: what programs read of the commands: one JSON document on stdout, and nothing else. Not here: ``classify`` (``test_classify``)."""

import json

import pytest
from typer.testing import CliRunner

from ecg_tasks.cli import inbox, models, runs
from ecg_tasks.cli.__main__ import app


class _Airflow:
    """Runs that end at the third look, with a note."""

    looks = 0
    end = "success"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def trigger(self, dag, values):
        return f"manual of {dag} {values}"

    def run_state(self, _dag, _run):
        self.looks += 1
        return ["queued", "running"][self.looks - 1] if self.looks < 3 else self.end

    def task_states(self, _dag, _run):
        return [("plan", "success"), ("work", "running"), ("work", "none")]

    def note(self, _dag, _run):
        return "3 records"


@pytest.fixture
def airflow(monkeypatch):
    """A stack with such an Airflow."""
    api = _Airflow()

    class Stack:
        def airflow(self):
            return api

        def environment(self):
            return {}

    for module in (runs, inbox):
        monkeypatch.setattr(module, "running_stack", Stack)
    monkeypatch.setattr(runs, "_POLL_S", 0.0)
    monkeypatch.setattr(runs, "_MOST_S", 0.0)
    return api


def invoke(*arguments):
    """Run one command inside this process."""
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_a_run_that_is_started(airflow):
    """Its id is there at once, with the state that it has."""
    done = invoke("run", "maintain_store", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {"dag": "maintain_store", "run": "manual of maintain_store {}", "state": "queued", "note": ""}
    assert "was started" in done.stderr


@pytest.mark.parametrize(("end", "status"), [("success", 0), ("failed", 1)])
def test_a_run_that_is_waited_for(airflow, end, status):
    """The state at the end, and the note; a run that failed ends with 1, and stdout has the document nevertheless."""
    airflow.end = end
    done = invoke("run", "maintain_store", "--wait", "--json")
    assert done.exit_code == status
    found = json.loads(done.stdout)
    assert (found["state"], found["note"]) == (end, "3 records")
    assert "maintain_store: work (1 of 3 tasks done, " in done.stderr


def test_a_log_has_the_rate_of_a_run_and_the_time_left(airflow, monkeypatch):
    """At each change of what works, and every ten seconds."""
    clock = iter([0.0, 30.0, 30.0, 35.0, 35.0, 60.0, 60.0, 70.0])
    monkeypatch.setattr(runs.time, "monotonic", lambda: next(clock))
    done = invoke("run", "maintain_store", "--wait")
    told = [line for line in done.stdout.splitlines() if line.startswith("maintain_store: ")]
    assert told[0] == "maintain_store: work (1 of 3 tasks done, 2.0 a minute, 1 min 0 s left)"
    assert told[-1] == "maintain_store: success (1 of 3 tasks done)"


def test_what_was_put(airflow, monkeypatch, tmp_path):
    """How many files and bytes, and the names that they have; a person is shown count and size."""
    (tmp_path / "ward").mkdir()
    (tmp_path / "ward" / "1.csv").write_bytes(bytes(1500))
    (tmp_path / "2.csv").write_bytes(bytes(500))
    monkeypatch.setattr(inbox, "drop", lambda _stack, files: len(files))
    done = invoke("put", tmp_path / "ward", tmp_path / "2.csv", "--under", "north", "--json")
    assert json.loads(done.stdout) == {"files": 2, "bytes": 2000, "names": ["north/ward/1.csv", "north/2.csv"]}
    assert "2 files (2.0 kB) are in the inbox" in done.stderr
    assert "2 files (2.0 kB) are in the inbox" in invoke("put", tmp_path / "ward", tmp_path / "2.csv").stdout


def test_every_version(evaluated_versions, monkeypatch):
    """With its figures, the verdict, and whether it serves; one recipe only where that is asked."""
    monkeypatch.setattr(models, "open_bucket", lambda: evaluated_versions)
    done = invoke("models", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["models"]
    assert [one["serves"] for one in found].count(True) == 1
    assert {one["recipe"] for one in found} == {"heartbeat"}
    assert len(found) == 4
    (first, *_) = found
    assert {"version", "digest", "threshold", "written", "standing", "verdict", "n_records", "n_patients", "figures"} <= set(first)
    assert json.loads(invoke("models", "list", "twelve_lead", "--json").stdout) == {"models": []}


@pytest.mark.parametrize("arguments", [("models", "--json"), ("run", "maintain_store", "--json"), ("put", __file__, "--json")])
def test_without_a_stack_stdout_is_empty(arguments, monkeypatch, tmp_path):
    """The sentence is on stderr, and the exit status is 1."""
    monkeypatch.setenv("ECG_HOME", str(tmp_path / "home"))
    done = invoke(*arguments)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "./ecg up" in done.stderr
