"""Here: what ``./ecg test`` tells pytest. Not here: how tests are shared among processes (``tests/conftest.py``)."""

import os

import pytest

from ecg_tasks.cli import checks


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


def test_all_tests_share_the_cores():
    """More processes than cores, because those that drive a stack wait; other options reach pytest."""
    given = checks.pytest_arguments(["--durations=30"])
    assert given == ["-n", "6", "--dist", "loadgroup", "--no-loadscope-reorder", "--durations=30"]


def test_fast_leaves_out_stack_and_browser():
    """``--fast`` is ours: pytest gets the marks, and fewer processes, as nothing waits."""
    given = checks.pytest_arguments(["--fast", "-x"])
    assert given == ["-n", "3", "--dist", "loadgroup", "--no-loadscope-reorder", "-m", "not stack and not browser", "-x"]


@pytest.mark.parametrize("asked", [["tests/cli"], ["tests/cli/test_checks.py::test_x"], ["-n2"], ["--version"], ["--help"], ["--pdb"]])
def test_what_the_caller_chose_is_left_alone(asked):
    """A path, a number of processes, or a question to pytest itself is passed on as it is."""
    assert checks.pytest_arguments(asked) == asked


def test_a_word_is_no_path():
    """The value of ``-k`` is not taken for a folder, so the tests it picks still run side by side."""
    assert checks.pytest_arguments(["-k", "leads"])[-2:] == ["-k", "leads"]
    assert "-n" in checks.pytest_arguments(["-k", "leads"])
