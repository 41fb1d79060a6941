"""Here: how much of the source the tests run: lines and branches, in every process that they start. Not here: the tests (``checks``).

Every Python process that descends from the tests measures itself, because ``coverage`` starts in each by an environment variable: those of
pytest, of the command line, of what both run. Stacks do not: they run the same code again, and a tracer would double their time
(``tests/end_to_end/conftest.py``). Each process leaves a file when it ends; of one that is killed while it writes, the file is no use.
The settings are in ``pyproject.toml``.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from ecg_tasks.cli.checkout import CHECKOUT

OPTION = "--cov"

FOLDER = CHECKOUT / ".coverage"
"""The measurement, kept until the next one, so that `coverage html` and the like can read it."""
_SETTINGS = f"--rcfile={CHECKOUT / 'pyproject.toml'}"
_NOTE = """
import sys
from coverage import CoverageData
data = CoverageData(sys.argv[1], suffix="all")
data.add_arcs({})
data.touch_files(sys.argv[2:])
"""
"""Note files without a line that ran: what the tests import adds its lines, and the rest stays as it is."""


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
    for file in FOLDER.glob("data.*"):
        if not _is_whole(file):
            file.unlink()
    _call([sys.executable, "-c", _NOTE, str(FOLDER / "data"), *_files()], environment)
    _call([*coverage, "combine", _SETTINGS, "--quiet", str(FOLDER)], environment)
    least = [] if whole else ["--fail-under=0"]
    covered = _call([*coverage, "report", _SETTINGS, "--skip-covered", "--sort=cover", *least], environment)
    return tested or covered


def _files() -> list[str]:
    """Return every file that counts, by the folders that ``pyproject.toml`` names."""
    settings = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = [Path(pattern).parent.name for pattern in settings["tool"]["coverage"]["run"]["include"]]
    return [str(file) for folder in folders for file in sorted((CHECKOUT / folder).rglob("*.py"))]


def _is_whole(file: Path) -> bool:
    """Return whether a file of measurements was written to its end; ``coverage`` does so without a journal."""
    try:
        with closing(sqlite3.connect(file)) as data:
            sound = data.execute("pragma quick_check").fetchone() == ("ok",)
            return sound and data.execute("select version from coverage_schema").fetchone() is not None
    except sqlite3.DatabaseError:
        return False


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    variables = {"PYTHONPATH": str(CHECKOUT), "ECG_COVERAGE_FOLDER": str(FOLDER), "ECG_COVERAGE_SOURCE": str(CHECKOUT)}
    kept = {name: value for name, value in environ.items() if name != "PYTHONDONTWRITEBYTECODE" and not name.startswith("COVERAGE_")}
    return kept | variables


def _call(command: list[str], environment: dict[str, str]) -> int:
    return subprocess.run(command, cwd=CHECKOUT, env=environment, check=False).returncode  # noqa: S603 - our own programs, no shell
