"""What ``./ecg status`` costs before it asks, and its look at the bucket. Not here: a whole stack (``end_to_end``)."""

import json
import os
import subprocess
import sys

import pytest

from deploy.embedded import bucket
from deploy.embedded.bucket_look import BucketLook
from deploy.embedded.home import CHECKOUT, Home

HEAVY = ("psycopg", "boto3", "botocore", "httpx", "cryptography", "numpy", "pyarrow", "asyncio", "typer", "pydantic")


def test_nothing_heavy_is_imported():
    """On a busy machine an import takes longer than all questions: half a second of work is three seconds beside ten others."""
    asked = "import json, sys; from ecg_tasks.cli import status; import deploy.embedded.stack, deploy.embedded.bucket_look"
    program = f"{asked}; print(json.dumps(sorted(set(sys.modules) & set({HEAVY!r}))))"
    done = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_the_program_says_what_the_command_says(tmp_path, more):
    """Of a stack that was never started: each component, what to do, and 1."""
    environment = os.environ | {"ECG_HOME": str(tmp_path)}
    said = [
        subprocess.run([sys.executable, "-m", *program, *more], cwd=CHECKOUT, env=environment, capture_output=True, check=False)
        for program in (["ecg_tasks.cli.status"], ["ecg_tasks.cli", "status"])
    ]
    assert [one.returncode for one in said] == [1, 1]
    assert said[0].stdout == said[1].stdout
    assert b"does not run: ./ecg up" in said[0].stdout
    assert [one.stderr for one in said] == [b"", b""]


@pytest.fixture
def elsewhere(tmp_path, bucket_in, monkeypatch):
    """A home whose stack works in a bucket elsewhere, and that bucket."""
    store = bucket_in(monkeypatch)
    home = Home(tmp_path)
    home.create()
    home.secrets()
    bucket.choose(home, os.environ)
    return home, store


def test_the_bucket_is_asked_in_a_process_of_its_own(elsewhere):
    """What is wrong comes first, then which models stand in; nothing is wrong, and none does."""
    home, _ = elsewhere
    with BucketLook(home.path) as look:
        assert look.fault() == ""
        assert look.has_asked
        assert look.rest() == ""
        assert look.stand_ins == []


def test_a_bucket_that_does_not_open_is_told(elsewhere):
    """As it would be to a task."""
    home, _ = elsewhere
    chosen = bucket.chosen(home) | {"ECG_BUCKET": "another"}
    (home.path / "bucket.json").write_text(json.dumps(chosen))
    with BucketLook(home.path) as look:
        assert look.fault() == "does not open the bucket for our key"


def test_nobody_waits_for_a_look_that_has_no_home(tmp_path):
    """It ends at once, writes nothing, and says that nothing was asked."""
    with BucketLook(tmp_path / "none") as look:
        assert look.fault() == "cannot be asked"
        assert look.rest() == ""
        assert not look.has_asked
    assert not (tmp_path / "none").exists()
