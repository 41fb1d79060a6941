"""A stack with a night's work: backed up, wiped, restored, and the same to the byte. Everything is the real thing."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.embedded import Stack, processes
from ecg_tasks.signals.sample_drop import sample_drop
from ecg_tasks.steps.workspace import open_store
from ecg_tasks.storage import keys

CHECKOUT = Path(__file__).parents[2]

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def folder(clean_environment):
    """A folder for the state and its backup, removed at the end, and nothing left running."""
    path = Path(tempfile.mkdtemp(prefix="ecg-backup-"))
    try:
        yield path
    finally:
        Stack(path / "home").down()
        shutil.rmtree(path)


def ecg(home, *arguments) -> str:
    """What a command prints; it must succeed."""
    environment = os.environ | {"ECG_HOME": str(home), "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-P", "-m", "ecg_tasks.cli", *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def bucket_of(stack):
    """The stack's bucket; outside the block no command sees its address, or the next start would take it for a bucket elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stack.environment().items():
            patch.setenv(name, value)
        yield open_store()


def seen(stack) -> dict[str, tuple[str, str, str]]:
    """Every object with the digest of its bytes, its time and its type."""
    found = {}
    with bucket_of(stack) as store:
        for item in store.list_objects(""):
            head = store._client.head_object(Bucket=store.bucket, Key=item.key)
            found[item.key] = (store.sha256([item.key]), head["LastModified"].isoformat(), head["ContentType"])
    return found


def history(stack) -> dict[str, dict[str, str]]:
    """Every run of every DAG, with its state."""
    with stack.airflow() as api:
        return {dag: api.runs(dag) for dag in sorted(api.dags())}


def by_hand(runs) -> set[str]:
    """Classifications that the test asked for; at 02:00 the schedule has one of its own."""
    return {run for run in runs["classify_records"] if run.startswith("manual")}


def task_log(stack, dag: str, run: str, task: str) -> str:
    """The log of a task, as the web interface asks for it."""
    with stack.airflow() as api:
        return api._request("GET", f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}/logs/1").text


def test_back_up_wipe_restore(folder):
    """The restored stack has every object with its time and type, every run, their logs, the same login, and goes on working."""
    home, file = folder / "home", folder / "backup.tar"
    for path, content in sample_drop(seed=5, n_patients=3, recordings_per_patient=1).items():
        (folder / "drop" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "drop" / path).write_bytes(content)
    stack = Stack(home)
    ecg(home, "up")
    ecg(home, "put", folder / "drop" / "synthetic")
    ecg(home, "run", "ingest_records", "--wait")
    ecg(home, "run", "render_spectrograms", "--wait")
    ecg(home, "run", "classify_records", "--wait")
    # what is there now must be there again; a scheduled run may add to it before the stack has stopped
    before, runs, password = seen(stack), history(stack), stack.password
    (classified,) = by_hand(runs)
    log = task_log(stack, "classify_records", classified, "write_report")
    assert len([key for key in before if key.startswith("reports/")]) > 3
    ecg(home, "down")
    ecg(home, "backup", file)
    assert file.stat().st_mode & 0o077 == 0
    assert not processes.of_stack(stack.home)
    shutil.rmtree(home)

    ecg(home, "restore", file)
    ecg(home, "up")
    after = seen(stack)
    lasting = {key: told for key, told in before.items() if not key.startswith(("manifests/ingest_records/", "staging/"))}
    assert {key: after.get(key) for key in lasting} == lasting
    restored = history(stack)
    assert {dag: {run: restored[dag].get(run) for run in runs[dag]} for dag in runs} == runs
    assert task_log(stack, "classify_records", classified, "write_report") == log
    assert stack.password == password
    ecg(home, "run", "classify_records", "--wait")
    assert {key: told for key, told in seen(stack).items() if key in lasting and not key.startswith("decided/")} == {
        key: told for key, told in lasting.items() if not key.startswith("decided/")
    }
    (again,) = by_hand(history(stack)) - {classified}
    with bucket_of(stack) as store:
        manifest = json.loads(store.get(keys.manifest("classify_records", keys.run_key(again))))
    assert manifest["account"]["records"] == 0  # what was reported before the backup is not reported again
