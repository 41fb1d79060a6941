"""Here: what the commands say and refuse without a stack. Not here: the stack itself (``tests/deploy``)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ecg_tasks
from ecg_tasks.cli import models, service, users, waiting
from ecg_tasks.cli.__main__ import app

CHECKOUT = Path(__file__).parents[2]
COMMANDS = (
    *("demo", "up", "down", "status", "logs", "open", "put", "import", "download", "run"),
    *("classify", "evaluate", "export-report", "export-labels", "export", "test", "bench", "setup", "completion"),
    *("promote", "rollback", "reject", "secrets"),
    *("audit", "lineage", "deidentify", "backup", "backup-key", "restore", "kept", "forget", "allow-again"),
)
GROUPS = {"inbox": waiting.app, "models": models.app, "service": service.app, "users": users.app}
"""Commands that have commands of their own."""
HEAVY = ("numpy", "pandas", "boto3", "airflow", "tensorflow", "matplotlib", "wfdb", "psycopg", "httpx", "ai_edge_litert", "onnxruntime")


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch, tmp_path):
    monkeypatch.setenv("ECG_HOME", str(tmp_path / "home"))


def invoke(*arguments):
    """Run one command inside this process."""
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})


def test_every_command_is_listed():
    """The help lists each command once, and no others exist."""
    listed = {command.name or command.callback.__name__.rstrip("_") for command in app.registered_commands}
    assert listed == set(COMMANDS)
    assert {group.name: group.typer_instance for group in app.registered_groups} == GROUPS
    shown = invoke("--help").output
    assert all(f" {command} " in shown for command in (*COMMANDS, *GROUPS))


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("test", "bench")])
def test_every_command_explains_itself(command):
    """Each command and each of its arguments has a sentence."""
    shown = invoke(command, "--help")
    assert shown.exit_code == 0
    (registered,) = [one for one in app.registered_commands if (one.name or one.callback.__name__) == command]
    assert registered.callback.__doc__.split(".")[0].split("\n")[0][:30] in shown.output
    import typer

    (parsed,) = [one for name, one in typer.main.get_command(app).commands.items() if name == command]
    assert not [parameter.name for parameter in parsed.params if not getattr(parameter, "help", "x")]


@pytest.mark.parametrize(("group", "command"), [(name, one.name) for name, group in GROUPS.items() for one in group.registered_commands])
def test_every_command_of_a_group_explains_itself(group, command):
    """As the others do."""
    shown = invoke(group, command, "--help")
    assert shown.exit_code == 0
    (registered,) = [one for one in GROUPS[group].registered_commands if one.name == command]
    assert registered.callback.__doc__.split(".")[0].split("\n")[0][:30] in shown.output


@pytest.mark.parametrize("arguments", [(), ("heartbeat",), ("list",), ("list", "heartbeat")])
def test_models_lists_where_nothing_else_is_asked(arguments):
    """A recipe may follow the command itself, as it always could."""
    refused = invoke("models", *arguments)
    assert refused.exit_code == 1
    assert "is not running" in refused.output or "./ecg up" in refused.output


def test_a_network_is_handed_in_and_its_run_followed(monkeypatch, tmp_path):
    """The form of the run has what was handed in; what came of it is a sentence; a run that failed ends with 1."""
    from ecg_tasks.actions import adding
    from ecg_tasks.queries import dag_runs

    class Api:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def trigger(self, dag, values):
            asked.append((dag, values))
            return "run 1"

    class Stack:
        airflow = Api

    asked, ended = [], ["success", "failed"]
    handed_in = adding.HandedIn(name="Theirs", recipe="heartbeat", given_as="onnx", digest="ab" * 32)
    for file in ("n.onnx", "n.toml"):
        (tmp_path / file).write_text("x")
    monkeypatch.setattr(models, "running_stack", Stack)
    monkeypatch.setattr(models, "open_bucket", lambda: "bucket")
    monkeypatch.setattr(models.runs, "follow", lambda *_: ended.pop(0))
    monkeypatch.setattr(adding, "hand_in", lambda *given: (asked.append(given), handed_in)[1])
    monkeypatch.setattr(dag_runs, "training", lambda *_: "heartbeat 0123 is first: it serves.")
    arguments = ("models", "add", str(tmp_path / "n.onnx"), "--description", str(tmp_path / "n.toml"), "--approval")
    shown = invoke(*arguments)
    assert shown.exit_code == 0
    assert "Theirs (onnx) can be loaded and reads the pictures of heartbeat" in shown.output
    assert "heartbeat 0123 is first: it serves." in shown.output
    assert asked[0] == ("bucket", tmp_path / "n.onnx", tmp_path / "n.toml")
    assert asked[1] == ("retrain_model", {"recipe": "heartbeat", "added": "ab" * 32, "approval": True, "policy": "better"})
    assert invoke(*arguments).exit_code == 1


def test_the_version_is_one_line():
    """A program reads which version this is, and which commit where it is a checkout."""
    describe = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    commit = subprocess.run(describe, capture_output=True, text=True, check=False, cwd=CHECKOUT).stdout.strip()
    assert invoke("--version").output == f"ecg {ecg_tasks.__version__}{f' ({commit})' if commit else ''}\n"


def test_setup_says_what_is_installed(monkeypatch, tmp_path):
    """The lock that the launcher installed is named; in a Python that it did not set up, the command says so."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert invoke("setup").exit_code == 1
    (tmp_path / "installed-cpu.txt").touch()
    assert "locks/cpu.txt are installed" in invoke("setup").output
    assert invoke("setup", "--dev").exit_code == 1
    (tmp_path / "installed-dev.txt").touch()
    assert "locks/dev.txt are installed" in invoke("setup", "--dev").output


def test_help_imports_nothing_heavy():
    """The command line answers at once: what is slow to import waits for the command that needs it."""
    script = f"import sys; import ecg_tasks.cli.__main__; print([name for name in {HEAVY} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=CHECKOUT)
    assert loaded.stdout.strip() == "[]"


def test_status_of_no_stack_is_json():
    """A program learns from the same JSON that nothing runs, and the exit status says so too."""
    shown = invoke("status", "--json")
    assert shown.exit_code == 1
    status = json.loads(shown.output)
    assert status["healthy"] is False
    assert status["ui"] is status["bucket"] is status["endpoint"] is None
    assert set(status["components"].values()) == {"stopped"}


def test_status_of_no_stack_says_how_to_start_one():
    """A person is told the command to start it."""
    assert "./ecg up" in invoke("status").output


def test_asking_for_the_status_creates_nothing(tmp_path):
    """Looking leaves no state folder behind."""
    invoke("status")
    invoke("down")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("models",),
        ("promote", "heartbeat", "ab", "--why", "x"),
        ("rollback", "heartbeat", "--why", "x"),
        ("reject", "heartbeat", "ab", "--why", "x"),
        ("open",),
        ("put", __file__),
        ("put", __file__, "--wait"),
        ("inbox",),
        ("inbox", "release", "x"),
        ("inbox", "delete", "x", "--yes"),
        ("run", "ingest_records"),
        ("import", "heartbeats", "."),
        ("export-report", "x", "x.zip"),
        ("export-report", "x", "x.pdf", "--pdf", "--paper", "letter"),
    ],
)
def test_what_needs_the_stack_says_so(arguments):
    """Without a stack the commands end with 1 and name the command that starts it."""
    done = invoke(*arguments)
    assert done.exit_code == 1
    assert "./ecg up" in done.output


@pytest.mark.parametrize("option", [("--record", "ab"), ("--paper", "letter")])
def test_what_is_for_a_pdf_alone_asks_for_one(option):
    """A ZIP file has every record, and no paper."""
    done = invoke("export-report", "x", "x.zip", *option)
    assert done.exit_code == 2
    assert "--pdf" in done.output


@pytest.mark.parametrize("arguments", [("promote", "heartbeat", "ab"), ("rollback", "heartbeat"), ("reject", "heartbeat", "ab")])
def test_a_decision_needs_a_reason(arguments):
    """Without --why nothing is decided."""
    done = invoke(*arguments)
    assert done.exit_code == 2
    assert "--why" in done.output


def test_a_form_must_be_a_json_object():
    """A broken --conf is refused before anything is asked of Airflow."""
    assert "is not JSON" in invoke("run", "retrain_model", "--conf", "{recipe: 1}").output
    assert "must be a JSON object" in invoke("run", "retrain_model", "--conf", "[1]").output


def test_unknown_logs_are_refused(tmp_path):
    """A component without a log is answered with those that have one."""
    (tmp_path / "home" / "logs").mkdir(parents=True)
    (tmp_path / "home" / "logs" / "scheduler.log").write_text("a line\n")
    done = invoke("logs", "schedular")
    assert done.exit_code == 1
    assert "there are: scheduler" in done.output


def test_demo_refuses_a_folder_without_recordings(tmp_path):
    """A folder that is none of the known data sets is refused before the stack is started."""
    done = invoke("demo", "--data", str(tmp_path))
    assert done.exit_code == 1
    assert "neither heartbeat CSVs" in str(done.exception)  # which main() shows as a sentence


def test_tests_are_handed_to_pytest():
    """Every argument of ``test`` goes to pytest, options too, and its exit status comes back."""
    done = subprocess.run(
        [sys.executable, "-m", "ecg_tasks.cli", "test", "--version"], capture_output=True, text=True, check=True, cwd=CHECKOUT
    )
    assert "pytest" in done.stdout + done.stderr


def test_a_foreseen_error_is_a_sentence(tmp_path):
    """An error of the data ends with 1 and one line on stderr, not a traceback."""
    file = tmp_path / "photo.jpg"
    file.write_bytes(b"\xff\xd8\xff")
    command = [sys.executable, "-m", "ecg_tasks.cli", "classify", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=CHECKOUT)
    assert done.returncode == 1
    assert done.stderr.startswith("ecg: ")
    assert "Traceback" not in done.stderr
