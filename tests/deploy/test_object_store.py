"""Here: the installation of the object store. Not here: the store at work (``test_stack``), its servers (``test_swift_node``)."""

import shutil
import subprocess

import pytest

from deploy.embedded import store_packages
from deploy.embedded.errors import StackError


def test_packages_stay_while_another_stack_runs_from_them(tmp_path, monkeypatch):
    """A start with a newer lock does not remove the packages under the store of another stack of this checkout."""
    environment = tmp_path / ".venv-objectstore"
    (environment / "bin").mkdir(parents=True)
    (environment / "installed-lock.txt").write_text("of an older checkout")
    monkeypatch.setattr(store_packages, "ENVIRONMENT", environment)
    monkeypatch.setattr(store_packages, "CHECKOUT", tmp_path)
    server = [str(environment / "bin" / "python"), "600"]
    with subprocess.Popen(server, executable=shutil.which("sleep")) as running:
        with pytest.raises(StackError, match="Nothing was changed"):
            store_packages.ensure_installed()
        running.terminate()
    assert (environment / "installed-lock.txt").exists()
