"""Here: secrets and ports of the state folder. Not here: the programs that use them (``test_stack``)."""

import base64
import json
import os
import socket
import stat
from dataclasses import asdict

import pytest

from deploy.embedded import Stack
from deploy.embedded.home import LOOPBACK, Home, Ports, Secrets, choose_ports, is_free, write_private


@pytest.fixture
def home(tmp_path):
    """An empty state folder."""
    return Home(tmp_path / "state")


def test_the_state_folder_is_closed_to_others(home):
    """Only its owner may look into the state folder and its secrets."""
    home.create()
    home.secrets()
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700
    assert stat.S_IMODE((home.path / "secrets.json").stat().st_mode) == 0o600


def test_nobody_else_can_hold_up_a_start(home):
    """The lock is private, too, also in a folder that was there before and that others may enter: who opens it can keep it for ever."""
    home.path.mkdir(mode=0o755)
    with Stack(home.path).alone():
        assert stat.S_IMODE((home.path / "lock").stat().st_mode) == 0o600


def test_secrets_are_made_once(home):
    """The second question gets the same secrets as the first, and another home gets others."""
    first = home.secrets()
    assert Home(home.path).secrets() == first
    other = Secrets.generate()
    same = {name for name, value in asdict(first).items() if getattr(other, name) == value}
    assert same == {"s3_access_key"}


def test_secrets_are_long_enough(home):
    """Airflow wants 64 bytes for its tokens and a Fernet key of 32; the patient key is 32 bytes or more."""
    secrets = home.secrets()
    assert len(secrets.jwt_secret.encode()) >= 64
    assert len(base64.urlsafe_b64decode(secrets.fernet_key)) == 32
    assert len(secrets.patient_key.encode()) >= 32


def test_a_secret_of_a_later_version_is_added(home):
    """A state folder from before a secret existed keeps its secrets and gets the new one."""
    known = asdict(home.secrets())
    del known["patient_key"]
    write_private(home.path / "secrets.json", json.dumps(known))
    again = asdict(home.secrets())
    assert again.pop("patient_key")
    assert again == known


def test_ports_are_kept(home):
    """The same ports at every start: bookmarks and DAG links stay valid."""
    first = home.ports()
    assert len(set(asdict(first).values())) == len(asdict(first))
    assert home.refresh_ports() == first == home.ports()


def test_a_port_that_another_program_took_is_replaced(home):
    """A stack whose port was taken while it was down starts on another."""
    first = home.ports()
    with socket.socket() as other:
        other.bind((LOOPBACK, first.store))
        other.listen()
        assert not is_free(first.store)
        second = home.refresh_ports()
    assert second.store != first.store
    assert asdict(second) | {"store": 0} == asdict(first) | {"store": 0}


def test_a_taken_8080_is_left_alone():
    """The web interface goes to another port when something else serves 8080."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind((LOOPBACK, 8080))
            other.listen()
        except OSError:
            pass  # something serves it already: as well
        assert choose_ports({}).ui != 8080


def test_ports_stay_below_the_range_of_outgoing_connections():
    """A port that the system may give to an outgoing connection could not be kept."""
    ports = choose_ports(
        asdict(Ports(ui=1, control=2, postgres=3, store=4, store_account=5, store_container=6, store_object=7)) | {"ui": 9}
    )
    assert ports.ui == 9
    drawn = [port for name, port in asdict(choose_ports({"ui": 9})).items() if name != "ui"]
    assert all(20_000 <= port < 30_000 for port in drawn)


def test_the_state_folder_comes_from_the_environment(monkeypatch, tmp_path):
    """ECG_HOME names the state folder; without it, it lies in the checkout."""
    monkeypatch.setenv("ECG_HOME", str(tmp_path / "elsewhere"))
    assert Home().path == tmp_path / "elsewhere"
    monkeypatch.delenv("ECG_HOME")
    assert Home().path.name == ".ecg"


def test_a_power_cut_leaves_the_old_file_or_the_new_one(home, monkeypatch):
    """What the new name stands for is on the disk before the name is: without its secrets a bucket is lost."""
    home.secrets()
    file, on_the_disk = home.path / "secrets.json", []

    def synced(descriptor, sync=os.fsync):
        sync(descriptor)
        on_the_disk.append((os.fstat(descriptor).st_size, file.read_bytes()))

    monkeypatch.setattr(os, "fsync", synced)
    old = file.read_bytes()
    write_private(file, "new")
    assert on_the_disk == [(3, old)]
    assert file.read_bytes() == b"new"
