"""Here: how much of the source the tests run: lines and branches, in every process that they start. Not here: the tests (``checks``).

Every Python process that descends from the tests measures itself, because ``coverage`` starts in each by an environment variable: those of
pytest, of the stack, of its tasks, of the command line. Each leaves a file when it ends; killed ones leave none. The settings are
in ``pyproject.toml``.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence

from ecg_tasks.cli.checkout import CHECKOUT

OPTION = "--cov"

FOLDER = CHECKOUT / ".coverage"
"""The measurement, kept until the next one, so that `coverage html` and the like can read it."""
_SETTINGS = f"--rcfile={CHECKOUT / 'pyproject.toml'}"


def run(arguments: Sequence[str], *, whole: bool) -> int:
    """Run pytest, print the figures of each file that is not covered wholly, and their sum; returns the exit status.

    Parameters
    ----------
    arguments : of pytest
    whole : all tests are asked for, so that the sum has to reach the least that ``pyproject.toml`` asks for
    """
    if FOLDER.is_dir():
        shutil.rmtree(FOLDER)
    FOLDER.unlink(missing_ok=True)  # what `coverage` writes where nobody tells it a folder
    FOLDER.mkdir()
    environment = _environment(os.environ)
    coverage = [sys.executable, "-m", "coverage"]
    tested = _call([*coverage, "run", _SETTINGS, "-m", "pytest", *arguments], environment)
    _call([*coverage, "combine", _SETTINGS, "--quiet", str(FOLDER)], environment)
    least = [] if whole else ["--fail-under=0"]
    covered = _call([*coverage, "report", _SETTINGS, "--skip-covered", "--sort=cover", *least], environment)
    return tested or covered


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    variables = {"PYTHONPATH": str(CHECKOUT), "ECG_COVERAGE_FOLDER": str(FOLDER), "ECG_COVERAGE_SOURCE": str(CHECKOUT)}
    kept = {name: value for name, value in environ.items() if name != "PYTHONDONTWRITEBYTECODE" and not name.startswith("COVERAGE_")}
    return kept | variables


def _call(command: list[str], environment: dict[str, str]) -> int:
    return subprocess.run(command, cwd=CHECKOUT, env=environment, check=False).returncode  # noqa: S603 - our own programs, no shell
