"""Here: the shell script ``ecg`` up to the moment when it hands over to Python. Not here: the commands (``tests/cli``).

A copy of the script runs against programs made up for the test, so nothing is installed.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


class Checkout:
    """A folder with the launcher, two locks, and a PATH of its own."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "locks").mkdir()
        (folder / "locks" / "cpu.txt").write_text("a==1\n")
        (folder / "locks" / "dev.txt").write_text("a==1\nb==1\n")
        shutil.copy(CHECKOUT / "ecg", folder / "ecg")
        self.programs = folder / "programs"
        self.programs.mkdir()
        for name in ("sh", "dirname", "df", "mkdir", "rm", "cp", "cmp", "cat", "grep", "flock"):
            path = shutil.which(name)
            if path:
                (self.programs / name).symlink_to(path)
        self.calls = folder / "calls"

    def program(self, name, script):
        """Put a program on the PATH."""
        file = self.programs / name
        file.unlink(missing_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def with_python(self, version="3.11"):
        """Put a ``python3`` on the PATH that says it is this version."""
        minor = int(version.split(".")[1])
        check = f'exec {sys.executable} -c "import sys; sys.exit(not 11 <= {minor} <= 13)"'
        self.program("python3", f'case "$*" in *sys.exit*) {check} ;; *) echo Python {version} ;; esac')

    def with_uv(self, install="true"):
        """Put a ``uv`` on the PATH that notes its calls."""
        venv = self.folder / ".venv"
        self.program(
            "uv",
            f"""echo "$1 $2" >>{self.calls}
if [ "$1" = venv ]; then mkdir -p {venv}/bin
printf '#!/bin/sh\\n[ "$1" = -c ] || echo handed over: "$@"\\n' >{venv}/bin/python; {shutil.which("chmod")} +x {venv}/bin/python; fi
if [ "$1" = pip ]; then {install}; fi""",
        )

    def run(self, *arguments):
        """Run ./ecg."""
        shell = shutil.which("dash") or shutil.which("sh")
        environment = {"PATH": str(self.programs), "HOME": os.environ.get("HOME", "/")}
        return subprocess.run([shell, str(self.folder / "ecg"), *arguments], env=environment, capture_output=True, text=True, check=False)

    def called(self):
        """What ``uv`` was asked for, call by call."""
        return self.calls.read_text().splitlines() if self.calls.exists() else []


@pytest.fixture
def checkout(tmp_path):
    """A checkout of which nothing is set up."""
    return Checkout(tmp_path)


def test_the_first_start_installs_and_hands_over(checkout):
    """One call makes the environment, installs the lock, and runs the command."""
    checkout.with_python()
    checkout.with_uv()
    done = checkout.run("status", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "handed over: -P -m ecg_tasks.cli status --json\n"
    assert checkout.called() == ["venv --no-python-downloads", "pip install"]


def test_the_second_start_installs_nothing(checkout):
    """What is there is used as it is, without a word."""
    checkout.with_python()
    checkout.with_uv()
    checkout.run("status")
    done = checkout.run("status")
    assert done.stderr == ""
    assert len(checkout.called()) == 2


def test_a_changed_lock_is_installed(checkout):
    """After an update of the checkout the new lock goes into the environment that is there."""
    checkout.with_python()
    checkout.with_uv()
    checkout.run("status")
    (checkout.folder / "locks" / "cpu.txt").write_text("a==2\n")
    assert checkout.run("status").returncode == 0
    assert checkout.called()[2:] == ["pip install"]


def test_tests_need_the_larger_lock_once(checkout):
    """``test`` and ``bench`` install the developers' lock, which holds all that the other commands need."""
    checkout.with_python()
    checkout.with_uv()
    checkout.run("test")
    checkout.run("bench")
    checkout.run("status")
    assert checkout.called() == ["venv --no-python-downloads", "pip install"]


def test_an_interrupted_setup_is_begun_anew(checkout):
    """An environment whose installation was cut off is thrown away, not used."""
    checkout.with_python()
    checkout.with_uv(install="kill -9 $PPID; exit 1")
    assert checkout.run("status").returncode != 0
    (checkout.folder / ".venv" / "half-installed").touch()
    checkout.with_uv()
    assert checkout.run("status").returncode == 0
    assert not (checkout.folder / ".venv" / "half-installed").exists()


@pytest.mark.parametrize("version", ["3.10", "3.14"])
def test_another_python_is_refused_in_words(checkout, version):
    """Without a fitting Python the script says which are."""
    checkout.with_python(version)
    checkout.with_uv()
    done = checkout.run("up")
    assert done.returncode == 1
    assert "Python 3.11, 3.12 or 3.13" in done.stderr


def test_a_python_that_does_not_run_is_passed_over(checkout):
    """A stub on the PATH that fails does not hide the Python behind it."""
    checkout.with_python()
    checkout.with_uv()
    checkout.program("python3.13", "exit 127")
    assert checkout.run("status").returncode == 0


def test_a_full_disk_is_told_in_words(checkout):
    """Too little space is said before anything is fetched."""
    checkout.with_python()
    checkout.with_uv()
    checkout.program("df", "echo Filesystem 1024-blocks Used Available Capacity Mounted on; echo /dev/x 9000000 8000000 1000000 89% /")
    done = checkout.run("up")
    assert done.returncode == 1
    assert "about 4 GB" in done.stderr
    assert "1000 MB are free" in done.stderr
    assert checkout.called() == []


def test_a_missing_network_is_told_in_words(checkout):
    """What the installer says of sockets is followed by a sentence that a person understands."""
    checkout.with_python()
    checkout.with_uv(install="echo 'error: dns error: failed to lookup address'; exit 2")
    done = checkout.run("up")
    assert done.returncode == 1
    assert "is this machine connected to the network?" in done.stderr
    assert not (checkout.folder / ".venv" / "installed-cpu.txt").exists()


def test_the_script_is_plain_sh():
    """The script parses in a shell without any of bash's own."""
    shell = shutil.which("dash") or shutil.which("sh")
    subprocess.run([shell, "-n", str(CHECKOUT / "ecg")], check=True)


def test_the_script_is_executable():
    """It is called as ./ecg."""
    assert os.access(CHECKOUT / "ecg", os.X_OK)
