"""Here: ``test`` and ``bench``: both pass their arguments on. Not here: the tests and the benchmarks."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from ecg_tasks.cli import covered
from ecg_tasks.cli.checkout import CHECKOUT, needed_for

PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""Every argument, ``--help`` too, belongs to the program behind the command."""

FAST = "--fast"
QUICK = "not stack and not browser and not slow"

_WAITING = 2
"""Test processes beyond one a core: those that drive a stack wait for it most of the time."""
_MOST_PROCESSES = 16
"""Each takes some hundred megabytes, and there are no more chains of tests to keep them busy."""
_ALONE = ("-n", "--numprocesses", "--dist", "-h", "--help", "-V", "--version", "--co", "--markers", "--fixtures", "--pdb", "--trace", "-s")
"""With one of these the tests run in one process, or the caller says himself in how many."""


def test(context: typer.Context) -> None:
    """Run the tests, several at once; --fast leaves out those with a stack or a browser and the slowest, --cov measures coverage.

    Every other argument goes to pytest.
    """
    needed_for("test")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # several processes share the cores (decision 0185)
    asked = [argument for argument in context.args if argument != covered.OPTION]
    if covered.OPTION in context.args:
        whole = not any(argument == FAST or argument.startswith(("-m", "-k")) or _is_place(argument) for argument in asked)
        raise typer.Exit(covered.run(pytest_arguments(asked), whole=whole))
    _become([sys.executable, "-m", "pytest", *pytest_arguments(asked)])


def bench(context: typer.Context) -> None:
    """Run the benchmarks against the notebook's method; every argument goes to them (--json FILE writes the figures for a program)."""
    needed_for("bench")
    _become([sys.executable, "-m", "benchmarks", *context.args])


def pytest_arguments(asked: Sequence[str]) -> list[str]:
    """Return pytest's arguments: the caller's arguments, and in how many processes it runs.

    Tests that are named by their path run in one process, as with pytest itself. Tests of one group (`tests/conftest.py`) stay in one
    process, in their order.
    """
    fast = FAST in asked
    passed = [argument for argument in asked if argument != FAST]
    marks = ["-m", QUICK] if fast else []
    if any(argument.startswith(_ALONE) or _is_place(argument) for argument in passed):
        return [*marks, *passed]
    processes = min((os.cpu_count() or 1) + (1 if fast else _WAITING), _MOST_PROCESSES)
    return ["-n", str(processes), "--dist", "loadscope", "--no-loadscope-reorder", *marks, *passed]


def _is_place(argument: str) -> bool:
    return not argument.startswith("-") and (CHECKOUT / argument.partition("::")[0]).exists()


def _become(command: list[str]) -> None:
    # Paths among the arguments are the caller's, so only pytest, which looks for its settings, is started in the checkout.
    folder = CHECKOUT if "pytest" in command else Path.cwd()
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # each test process would compile every module again
    raise typer.Exit(subprocess.run(command, cwd=folder, env=environment, check=False).returncode)  # noqa: S603 - that is its purpose
