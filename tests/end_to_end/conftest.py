"""Here: a stack of its own for whole runs, driven as a person does. Not here: what a single component promises (``tests/deploy``)."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def stack(clean_environment):
    """A stack with a fresh state folder, which the test starts; it is stopped and removed at the end."""
    from deploy.embedded import Stack

    with tempfile.TemporaryDirectory(prefix="ecg-e2e-", ignore_cleanup_errors=True) as folder:
        stack = Stack(Path(folder) / "home")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ECG_HOME", str(stack.home))
            yield stack
            if stack.home.exists:
                stack.down()


@pytest.fixture(scope="module")
def ecg(stack):
    """Run a command of the launcher's command line against this stack; it must succeed."""

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "ecg_tasks.cli", *arguments]
        environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=CHECKOUT)
        assert done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    return run


@pytest.fixture(scope="module")
def objects(stack):
    """The stack's bucket; the stack must be up."""

    def open_bucket():
        from ecg_tasks.steps.workspace import open_store

        os.environ.update(stack.environment())
        return open_store()

    before = dict(os.environ)
    yield open_bucket
    os.environ.clear()
    os.environ.update(before)
