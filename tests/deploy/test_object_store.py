"""Here: the installation of the object store. Not here: the store at work (``test_stack``), its servers (``test_swift_node``)."""

import shutil
import subprocess

import pytest

from deploy.embedded import store_packages
from deploy.embedded.errors import StackError


def test_elsewhere_than_on_linux_a_bucket_is_asked_for(tmp_path, monkeypatch):
    """What Swift keeps in extended attributes would be lost there in a backup, so nothing is installed."""
    monkeypatch.setattr(store_packages, "CHECKOUT", tmp_path)
    monkeypatch.setattr(store_packages.sys, "platform", "darwin")
    with pytest.raises(StackError, match="ECG_BUCKET"):
        store_packages.ensure_installed()
    assert list(tmp_path.iterdir()) == []


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
