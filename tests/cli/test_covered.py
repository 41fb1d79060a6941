"""Here: that coverage counts what runs in other processes, and that too little of it fails. Not here: the figure of this project."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ecg_tasks.cli import covered

CHECKOUT = Path(__file__).parents[2]
WORK = """
import os
import signal


def in_this_process():
    return 1


def in_a_command():
    return 2


def in_a_fork():
    return 3


def before_exec():
    return 8


def after_exec():
    return 4


def until_it_is_stopped():
    os.kill(os.getpid(), signal.SIGTERM)


def never():
    return 6


def never_either():
    return 7
"""
TEST = """
import os
import signal
import subprocess
import sys
from pathlib import Path

from ecg_tasks import work

CALL = [sys.executable, "-c"]


def test_everything_else(tmp_path):
    work.in_this_process()
    subprocess.run([*CALL, "from ecg_tasks import work; work.in_a_command()"], cwd=tmp_path, check=True)
    if not os.fork():
        work.in_a_fork()
        os._exit(0)
    os.wait()
    if not os.fork():
        work.before_exec()
        os.execv(sys.executable, [*CALL, "from ecg_tasks import work; work.after_exec()"])
    os.wait()
    folder = Path(os.environ["ECG_COVERAGE_FOLDER"])
    (folder / "data.here.pid1.Xabcdefx").touch()
    (folder / "data.here.pid2.Xabcdefx").write_bytes(b"SQLite format 3\\0 and no more")
    stopped = subprocess.run([*CALL, "from ecg_tasks import work; work.until_it_is_stopped()"], check=False)
    assert stopped.returncode == -signal.SIGTERM
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A small project with this one's settings, most of whose code runs in other processes than its test."""
    for folder in ("dags", "deploy", "ecg_tasks", "ecg_ui", "plugins", "tests"):
        (tmp_path / folder).mkdir()
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    (tmp_path / "ecg_tasks" / "__init__.py").touch()
    (tmp_path / "ecg_tasks" / "work.py").write_text(WORK)
    (tmp_path / "ecg_ui" / "pages").mkdir()
    (tmp_path / "ecg_ui" / "pages" / "nowhere.py").write_text("print()\n")
    (tmp_path / "tests" / "test_work.py").write_text(TEST)
    monkeypatch.setattr(covered, "CHECKOUT", tmp_path)
    monkeypatch.setattr(covered, "_SETTINGS", f"--rcfile={tmp_path / 'pyproject.toml'}")
    monkeypatch.setattr(covered, "FOLDER", tmp_path / ".coverage")
    (tmp_path / ".coverage").write_text("of an earlier measurement without a folder")
    return tmp_path


def test_every_process_is_counted(project, capfd):
    """Commands, forks that end by `os._exit`, programs after `exec` and those that SIGTERM stops: all lines that ran count, no other.

    The unfinished files of processes that were killed are left out without a word. A file that nothing imports counts, and no test does.
    """
    assert covered.run(["-q", "-p", "no:cacheprovider"], whole=False) == 0
    printed, complained = capfd.readouterr()
    assert "error" not in printed + complained  # of what a killed process left
    command = [sys.executable, "-m", "coverage", "report", f"--data-file={project / '.coverage' / 'data'}", "-m", "--fail-under=0"]
    told = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True).stdout
    (line,) = [line for line in told.splitlines() if "work.py" in line]
    lines = WORK.splitlines()
    missed = [lines.index(text) + 1 for text in ("    return 6", "    return 7")]
    assert line.split("%")[1].split(", ") == [f"   {missed[0]}", str(missed[1])]
    assert "TOTAL" in printed
    (unknown,) = [line.split() for line in told.splitlines() if "nowhere.py" in line]
    assert unknown[1:3] == ["1", "1"]
    assert "test_work.py" not in told


def test_too_little_fails_the_whole(project, capfd):
    """Where all tests were asked for, less than 90 % is an exit status of its own; tests that fail come before it."""
    assert covered.run(["-q", "-p", "no:cacheprovider"], whole=True) == 2
    assert "less than fail-under=90" in capfd.readouterr().out
    (project / "tests" / "test_work.py").write_text("def test_nothing():\n    assert False\n")
    assert covered.run(["-q", "-p", "no:cacheprovider"], whole=True) == 1
