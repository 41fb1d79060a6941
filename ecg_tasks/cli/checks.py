"""Here: ``test`` and ``bench``: both pass their arguments on. Not here: the tests and the benchmarks."""

import os
import subprocess
import sys
from pathlib import Path

import typer

PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""Every argument, ``--help`` too, belongs to the program behind the command."""

_CHECKOUT = Path(__file__).parents[2]


def test(context: typer.Context) -> None:
    """Run the tests; every argument goes to pytest (default: all tests; -m "not stack" leaves out those that start the stack)."""
    _become([sys.executable, "-m", "pytest", *context.args])


def bench(context: typer.Context) -> None:
    """Run the benchmarks against the notebook's method; every argument goes to them (--json FILE writes the figures for a program)."""
    _become([sys.executable, "-m", "benchmarks", *context.args])


def _become(command: list[str]) -> None:
    # Paths among the arguments are the caller's, so only pytest, which looks for its settings, is started in the checkout.
    folder = _CHECKOUT if "pytest" in command else Path.cwd()
    environment = os.environ | {"PYTHONPATH": str(_CHECKOUT)}
    raise typer.Exit(subprocess.run(command, cwd=folder, env=environment, check=False).returncode)  # noqa: S603 - that is its purpose
