"""The unit of systemd: what it holds, and that systemd takes it. Not here: systemd at work (``docs/faults.md`` tells of it)."""

import configparser
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import closing

import pytest

from deploy.embedded import service, supervision
from deploy.embedded.errors import StackError
from deploy.embedded.home import CHECKOUT, Home

NO_SYSTEMD = "systemd-analyze is not there"


@pytest.fixture(params=["ecg", "my state $1 %n"])
def home(request, tmp_path):
    """A state folder, also with a name that systemd would expand."""
    made = Home(tmp_path / request.param)
    made.create()
    return made


def section(text, name):
    """One section of a unit; of what stands there twice, both."""
    lines = text.split(f"[{name}]\n")[1].split("\n[")[0].splitlines()
    found = {}
    for key, _, value in (line.partition("=") for line in lines if "=" in line and not line.startswith("#")):
        found[key] = f"{found[key]} {value}" if key in found else value
    return found


@pytest.mark.parametrize("scope", ["system", "user"])
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason=NO_SYSTEMD)
def test_systemd_takes_the_unit(home, scope):
    """Every word of it is known to systemd's own checker, which would find a wrong one, or a program that is not there."""
    text = service.unit(home, scope, user="root")
    assert service.complaints(text, "ecg-test.service", scope) == []
    wrong = text.replace(sys.executable, "/no/such/python").replace("WatchdogSec", "WatchdogSek")
    assert len(service.complaints(wrong, "ecg-test.service", scope)) >= 2


@pytest.mark.parametrize("scope", ["system", "user"])
def test_the_unit_mends_and_holds_no_secret(home, scope):
    """It tells readiness and health, restarts whatever was not asked for, starts at boot, and is closed; for this checkout and home."""
    text = service.unit(home, scope, user="ecg")
    unit = section(text, "Service")
    assert (unit["Type"], unit["NotifyAccess"], unit["Restart"], unit["RestartPreventExitStatus"]) == ("notify", "all", "always", "0")
    assert int(unit["WatchdogSec"]) > 3 * (2 * 10 + 5), "three looks of a busy machine"
    assert unit["NoNewPrivileges"] == "yes"
    assert section(text, "Install")["WantedBy"] == {"system": "multi-user.target", "user": "default.target"}[scope]
    assert str(CHECKOUT) in unit["Environment"]
    assert ("ProtectSystem" in unit) is ("User" in unit) is (scope == "system")
    assert not [secret for secret in vars(home.secrets()).values() if secret in text]


def test_units_of_two_homes_are_two(tmp_path):
    """The usual state folder has the short name."""
    assert service.unit_name(Home(CHECKOUT / ".ecg")) == "ecg.service"
    assert service.unit_name(Home(tmp_path / "a")) != service.unit_name(Home(tmp_path / "b"))


def test_the_settings_are_kept(monkeypatch):
    """What steers the stack is kept as systemd reads it; a person's own AWS keys are not, unless the bucket is there."""
    environ = {"ECG_SITES": 'a "b" $c', "AWS_SECRET_ACCESS_KEY": "s", "PATH": "/bin", "https_proxy": "http://p", "ECG_HOME": "/srv"}
    assert service.settings_text(environ) == 'ECG_SITES="a \\"b\\" \\$c"\nhttps_proxy="http://p"\n'
    assert 'AWS_SECRET_ACCESS_KEY="s"' in service.settings_text(environ | {"ECG_BUCKET": "there"})


def test_without_systemd_or_rights_it_is_said(home, monkeypatch):
    """A sentence says what to do instead, and nothing is written."""
    monkeypatch.setattr(service.shutil, "which", lambda _name: None)
    with pytest.raises(StackError, match="no systemd"):
        service.install(home, "user")
    monkeypatch.undo()
    monkeypatch.setattr(service.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(StackError, match="sudo"):
        service.install(home, "system")
    assert not (home.path / service.SETTINGS).exists()


def test_install_and_remove(tmp_path, monkeypatch):
    """The unit is written, enabled and started, and goes with its settings; a second removal finds nothing."""
    home = Home(tmp_path / "home")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("ECG_SITES", "north")
    monkeypatch.setattr(service.store_packages, "ensure_installed", lambda: None)
    monkeypatch.setattr(service.shutil, "which", lambda name: f"/bin/{name}" if name == "systemctl" else None)
    orders = []
    monkeypatch.setattr(service, "_systemctl", lambda scope, *words: orders.append((scope, *words)) or "")
    service.install(home, "user")
    file = service.unit_file(home, "user")
    assert file.read_text() == service.unit(home, "user", user="")
    assert (home.path / service.SETTINGS).stat().st_mode & 0o077 == 0
    assert "ECG_SITES" in (home.path / service.SETTINGS).read_text()
    assert [path.name for path in home.path.iterdir()] == [service.SETTINGS], "a folder that root makes there is closed to the owner"
    assert service.remove(home, "user")
    assert not service.remove(home, "user")
    assert not file.exists()
    assert orders == [
        ("user", "daemon-reload"),
        ("user", "enable", file.name),
        ("user", "restart", file.name),
        ("user", "disable", "--now", file.name),
        ("user", "daemon-reload"),
    ]


def test_only_the_guardian_starts_with_the_supervisor(tmp_path):
    """Under systemd it starts the rest; by hand ``up`` starts all, and it last."""
    home = Home(tmp_path)
    home.create()
    for guarded in (True, False):
        supervision.write_configuration(home, guarded=guarded)
        written = configparser.RawConfigParser()
        written.read(home.path / "supervisor.conf")
        starting = {name for name in written.sections() if written.has_option(name, "autostart") and written[name].getboolean("autostart")}
        assert starting == ({"program:guardian"} if guarded else set())


def test_a_supervisor_that_hangs_holds_nobody_up(tmp_path, monkeypatch):
    """A question to it ends, and finds no state."""
    home = Home(tmp_path)
    home.create()
    supervision.write_configuration(home)
    monkeypatch.setattr(supervision, "pid", lambda _home: 4242)
    with closing(socket.socket()) as deaf:
        deaf.bind(("127.0.0.1", home.ports().control))
        deaf.listen()
        with pytest.raises(supervision.UNANSWERED):
            supervision.runs(home, most_s=0.2)


def test_a_process_with_the_supervisors_number_is_not_the_supervisor(tmp_path):
    """After a reboot its number may be another program's, which is left alone."""
    with subprocess.Popen(["sleep", "60"]) as other:
        (tmp_path / "supervisor.pid").write_text(f"{other.pid}\n")
        assert supervision.pid(Home(tmp_path)) == 0
        other.send_signal(signal.SIGKILL)


def test_the_supervisor_of_another_stack_is_not_ours(tmp_path):
    """After a power cut it may have got the number that ours had; that of a state folder that was moved is ours still."""
    homes = Home(tmp_path / "ours"), Home(tmp_path / "theirs")
    for home in homes:
        home.create()
        (home.path / "supervisor.conf").touch()
    script = "import time; print(flush=True); time.sleep(60)"
    command = [sys.executable, "-c", script, *supervision.command(homes[1])[2:]]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as supervisor:
        supervisor.stdout.readline()
        for home in homes:
            (home.path / "supervisor.pid").write_text(f"{supervisor.pid}\n")
        assert [supervision.pid(home) for home in homes] == [0, supervisor.pid]
        homes[1].path.rename(tmp_path / "moved")
        assert supervision.pid(Home(tmp_path / "moved")) == supervisor.pid
        supervisor.kill()
