"""Here: what ``./ecg test`` tells pytest, and that the tests of a file stay together (``tests/conftest.py``). Not here: any other test."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ecg_tasks.cli import checks
from tests.patience import NICENESS

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


def test_all_tests_share_the_cores():
    """More processes than cores, because those that drive a stack wait; other options reach pytest."""
    given = checks.pytest_arguments(["--durations=30"])
    assert given == ["-n", "4", "--dist", "loadscope", "--no-loadscope-reorder", "--durations=30"]


def test_fast_leaves_out_stack_and_browser():
    """``--fast`` is ours: pytest gets the marks, and fewer processes, as nothing waits."""
    given = checks.pytest_arguments(["--fast", "-x"])
    assert given == ["-n", "3", "--dist", "loadscope", "--no-loadscope-reorder", "-m", checks.QUICK, "-x"]


@pytest.mark.parametrize("asked", [["tests/cli"], ["tests/cli/test_checks.py::test_x"], ["-n2"], ["--version"], ["--help"], ["--pdb"]])
def test_what_the_caller_chose_is_left_alone(asked):
    """A path, a number of processes, or a question to pytest itself is passed on as it is."""
    assert checks.pytest_arguments(asked) == asked


def test_a_word_is_no_path():
    """The value of ``-k`` is not taken for a folder, so the tests it picks still run side by side."""
    assert checks.pytest_arguments(["-k", "leads"])[-2:] == ["-k", "leads"]
    assert "-n" in checks.pytest_arguments(["-k", "leads"])


def test_the_tests_of_a_file_stay_in_one_process():
    """Every test is sent to the process of its file: spread over several, each would start the file's stack anew."""
    files = ["tests/evaluation/test_splits.py", "tests/test_locks.py"]
    command = [sys.executable, "-m", "pytest", *checks.pytest_arguments(["-v"]), "-n", "2", *files]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    places = set(re.findall(r"^\[(gw\d)\] .* PASSED (\S+?)::", done.stdout, re.MULTILINE))
    assert sorted(file for _, file in places) == files


def test_giving_way_reaches_beyond_the_session():
    """A process that gives way is nice to its session's others and, where the kernel shares the cores by session, in one that is nice."""
    script = """
import json, os
from tests.patience import _AUTOGROUP, give_way
before = os.getsid(0), os.nice(0)
give_way()
shared = _AUTOGROUP.read_text().split() if _AUTOGROUP.exists() else []
print(json.dumps([before, (os.getsid(0), os.nice(0)), shared[-1:]]))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    (session, nice), (own_session, nicer), shared = json.loads(done.stdout)
    assert nicer == min(nice + NICENESS, 19)
    assert shared in ([], [str(NICENESS)])
    assert (own_session != session) == bool(shared)
