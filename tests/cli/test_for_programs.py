"""Here: what programs read of the commands: one JSON document on stdout, and nothing else. Not here: ``classify`` (``test_classify``)."""

import json

import pytest
from typer.testing import CliRunner

from ecg_tasks.cli import inbox, models, runs
from ecg_tasks.cli.__main__ import app
from ecg_tasks.errors import ConfigurationError
from ecg_tasks.queries import exchange
from ecg_tasks.queries.lineage import tracing


class _Airflow:
    """Runs that end at the third look, with a note."""

    looks = 0
    started = False
    end = "success"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def dags(self):
        return ["maintain_store", "classify_records"]

    def fields(self, _dag):
        return ["dry_run", "ensemble_size", "sample"]

    def trigger(self, dag, values):
        self.started = True
        return f"manual of {dag} {values}"

    def run_state(self, _dag, _run):
        self.looks += 1
        return ["queued", "running"][self.looks - 1] if self.looks < 3 else self.end

    def task_states(self, _dag, _run):
        states = ["none", "success"] if self.looks > 1 else ["none", "none"]
        return [("plan", "success"), ("work", "running"), *(("work", state) for state in states)]

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
    assert "maintain_store: work (1 of 4 tasks done)" in done.stderr


def test_a_log_has_the_rate_of_a_run_and_the_time_left(airflow, monkeypatch):
    """At each change of what works, and every ten seconds; of parts of one task, by those that were done meanwhile."""
    clock = iter([0.0, 5.0, 5.0, 30.0, 30.0, 60.0, 60.0])
    monkeypatch.setattr(runs.time, "monotonic", lambda: next(clock))
    done = invoke("run", "maintain_store", "--wait")
    assert [line for line in done.stdout.splitlines() if line.startswith("maintain_store: ")] == [
        "maintain_store: work (1 of 4 tasks done)",
        "maintain_store: work (2 of 4 tasks done, work at 2.0 a minute, 1 min 0 s left)",
        "maintain_store: success (2 of 4 tasks done)",
    ]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("maintain_stor",), "there is no DAG 'maintain_stor'; did you mean maintain_store?"),
        (("nightly",), "there is no DAG 'nightly'; there are classify_records, maintain_store"),
        (("maintain_store", "--conf", '{"dryrun": true}'), "has no field 'dryrun' in its form; did you mean dry_run?"),
        (("maintain_store", "--conf", '{"days": 3}'), "has no field 'days' in its form; there are dry_run, ensemble_size, sample"),
    ],
)
def test_what_is_misspelt_starts_nothing(airflow, arguments, sentence):
    """The names that are like it, or those there are; the exit status is 2."""
    done = invoke("run", *arguments, "--json")
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert not airflow.started


def test_the_old_name_of_a_field_is_taken(airflow):
    """As the DAG itself takes it."""
    assert invoke("run", "maintain_store", "--conf", '{"members": 1}').exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("promote", "heartbeet", "x"), "there is no recipe 'heartbeet'; did you mean heartbeat?"),
        (("promote", "heartbeat", "0000"), "there is no heartbeat version '0000'; there are "),
        (("reject", "heartbeat", "0000"), "there is no heartbeat version '0000'; there are "),
        (("rollback", "x"), "there is no recipe 'x'; there are "),
    ],
)
def test_a_decision_on_what_is_not_there_starts_nothing(evaluated_versions, airflow, monkeypatch, arguments, sentence):
    """The versions that there are stand in the sentence."""
    monkeypatch.setattr(models, "open_bucket", lambda: evaluated_versions)
    done = invoke(*arguments, "--why", "x")
    assert done.exit_code == 1
    assert sentence in str(done.exception)  # which main() shows
    assert not airflow.started


def test_a_report_or_a_thing_that_is_not_there(evaluated_versions):
    """The nearest is offered."""
    evaluated_versions.put("reports/2026-11-29/scheduled__2026-11-29/index.html", b"x")
    with pytest.raises(ConfigurationError, match=r"did you mean scheduled__2026-11-29\?"):
        exchange.find_report(evaluated_versions, "scheduled__2026-11-28")
    with pytest.raises(ConfigurationError, match="there are "):
        tracing.trace(evaluated_versions, "no such thing")


def test_what_was_put(airflow, monkeypatch, tmp_path):
    """How many files and bytes, and the names that they have; a person is shown count and size."""
    (tmp_path / "ward").mkdir()
    (tmp_path / "ward" / "1.csv").write_bytes(bytes(1500))
    (tmp_path / "2.csv").write_bytes(bytes(500))
    monkeypatch.setattr(inbox, "drop", lambda _stack, files: len(files))
    done = invoke("put", tmp_path / "ward", tmp_path / "2.csv", "--under", "north", "--json")
    assert json.loads(done.stdout) == {"files": 2, "bytes": 2000, "names": ["north/ward/1.csv", "north/2.csv"]}
    assert "2 files are in the inbox (2.0 kB)" in done.stderr
    assert "2 files are in the inbox (2.0 kB)" in invoke("put", tmp_path / "ward", tmp_path / "2.csv").stdout


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
