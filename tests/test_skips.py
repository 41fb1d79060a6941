"""Here: a run under ``CI`` fails for a test that was skipped without leave. Not here: which may be skipped (``allowed_skips.toml``)."""

import os
import subprocess
import sys

import pytest

from tests.skips import ROOT, leaves, without_leave

TEST = """
import pytest

@pytest.mark.skipif(True, reason="{reason}")
def test_one():
    pass

def test_two():
    pass
"""


def run(folder, *arguments, ci="true"):
    """Pytest in a folder of its own, with the plugin and the arguments."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    environment = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("PYTEST_")}
    command = [sys.executable, "-P", "-m", "pytest", "-p", "tests.skips", "-p", "no:cacheprovider", *arguments, str(folder)]
    environment |= {"PYTHONPATH": str(ROOT)} | ({"CI": ci} if ci else {})
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_skip_without_leave_fails_the_run(tmp_path, processes):
    """In one process or in several the run fails, and names the test and its reason."""
    (tmp_path / "test_x.py").write_text(TEST.format(reason="nobody knows why"))
    done = run(tmp_path, "-n", processes)
    assert done.returncode == 1, done.stdout
    assert "test_x.py::test_one: nobody knows why" in done.stdout
    assert "1 passed, 1 skipped" in done.stdout


def test_a_whole_file_needs_leave_too(tmp_path):
    """A file whose import is skipped counts as well."""
    (tmp_path / "test_x.py").write_text("import pytest\npytest.importorskip('no_such_module')\n")
    (tmp_path / "test_y.py").write_text("def test_y():\n    pass\n")
    done = run(tmp_path)
    assert done.returncode == 1, done.stdout
    assert "test_x.py: could not import 'no_such_module'" in done.stdout


def test_without_ci_nothing_is_asked(tmp_path):
    """Who runs the tests by hand sees the skips, and decides."""
    (tmp_path / "test_x.py").write_text(TEST.format(reason="nobody knows why"))
    assert run(tmp_path, ci="").returncode == 0


def test_leave_ends_where_the_thing_is_there(tmp_path, monkeypatch):
    """Real recordings beside the checkout must be read; without them the tests may be skipped."""
    skipped = {"tests/signals/test_recipes.py::test_real": "no PTB-XL recordings in ../shared/data"}
    monkeypatch.setattr("tests.skips.ROOT", tmp_path / "checkout")
    assert without_leave(skipped, leaves()) == []
    (tmp_path / "shared" / "data").mkdir(parents=True)
    (tmp_path / "checkout").mkdir()
    assert without_leave(skipped, leaves()) == ["tests/signals/test_recipes.py::test_real: no PTB-XL recordings in ../shared/data"]


def test_every_entry_has_its_reason():
    """Each says in a sentence why nothing is lost, and names tests that are there."""
    for leave in leaves():
        assert len(leave.why) > 20
        assert (ROOT / leave.test).exists()
