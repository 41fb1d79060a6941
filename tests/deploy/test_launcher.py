"""Here: the shell script ``ecg`` up to the moment when it hands over to Python. Not here: the commands (``tests/cli``).

A copy of the script runs against programs made up for the test, so nothing is installed.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import supervisor

import ecg_tasks

CHECKOUT = Path(__file__).parents[2]


class Checkout:
    """A folder with the launcher, two locks, and a PATH of its own."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "locks").mkdir()
        (folder / "locks" / "cpu.txt").write_text("a==1\n    --hash=sha256:1\n")
        (folder / "locks" / "dev.txt").write_text("a==1\n    --hash=sha256:1\nb==1\n    --hash=sha256:2\n")
        shutil.copy(CHECKOUT / "ecg", folder / "ecg")
        self.programs = folder / "programs"
        self.programs.mkdir()
        for name in ("sh", "dirname", "df", "mkdir", "rm", "cp", "cmp", "cat", "grep", "flock", "awk"):
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

    def with_source(self):
        """Put into the checkout what the help is read from."""
        for name in ("ecg_tasks/__init__.py", "docs/cli.md"):
            (self.folder / name).parent.mkdir()
            shutil.copy(CHECKOUT / name, self.folder / name)

    def with_uv(self, install="true"):
        """Put a ``uv`` on the PATH that notes its calls."""
        self.program(
            "uv",
            f"""for last in "$@"; do :; done
if [ "$1" = venv ]; then
    echo "venv ${{last##*/}}" >>{self.calls}
    mkdir -p "$last/bin"
    printf '#!/bin/sh\\n[ "$1" = -c ] || echo handed over by %s: "$@"\\n' "${{last##*/}}" >"$last/bin/python"
    {shutil.which("chmod")} +x "$last/bin/python"
fi
if [ "$1" = pip ]; then
    echo "install ${{last##*/}}" >>{self.calls}
    {install}
fi""",
        )

    def run(self, *arguments, **variables):
        """Run ./ecg."""
        shell = shutil.which("dash") or shutil.which("sh")
        environment = {"PATH": str(self.programs), "HOME": os.environ.get("HOME", "/"), **variables}
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
    assert done.stdout == "handed over by .venv: -P -m ecg_tasks.cli.status status --json\n"
    assert checkout.called() == ["venv .venv", "install cpu.txt"]


def test_the_second_start_installs_nothing(checkout):
    """What is there is used as it is, without a word."""
    checkout.with_python()
    checkout.with_uv()
    checkout.run("status")
    done = checkout.run("status")
    assert done.stderr == ""
    assert len(checkout.called()) == 2


def test_only_a_look_at_the_stack_has_a_program_of_its_own(checkout):
    """All else that begins so goes to the commands, which know what is wrong with it."""
    checkout.with_python()
    checkout.with_uv()
    checkout.run("status")
    for arguments in (["status", "--wrong"], ["status", "--json", "more"], ["stop"]):
        assert checkout.run(*arguments).stdout == f"handed over by .venv: -P -m ecg_tasks.cli {' '.join(arguments)}\n"


def test_a_changed_lock_is_installed(checkout):
    """After an update of the checkout the new lock goes into the environment that is there."""
    checkout.with_python()
    checkout.with_uv()
    checkout.run("status")
    (checkout.folder / "locks" / "cpu.txt").write_text("a==2\n")
    assert checkout.run("status").returncode == 0
    assert checkout.called()[2:] == ["install cpu.txt"]


def test_tests_have_an_environment_of_their_own(checkout):
    """``test`` and ``bench`` put what only they need beside the users' packages, once, and run from there."""
    checkout.with_python()
    checkout.with_uv()
    assert checkout.run("test").stdout == "handed over by .venv-dev: -P -m ecg_tasks.cli test\n"
    checkout.run("bench")
    assert checkout.run("status").stdout == "handed over by .venv: -P -m ecg_tasks.cli.status status\n"
    assert checkout.called() == ["venv .venv", "install cpu.txt", "venv .venv-dev", "install dev-only.txt"]
    assert (checkout.folder / ".venv-setup" / "dev-only.txt").read_text() == "b==1\n    --hash=sha256:2\n"


@pytest.mark.parametrize("lock", ["cpu.txt", "dev.txt"])
def test_a_changed_lock_renews_the_tests_environment(checkout, lock):
    """What the tests need follows from both locks."""
    checkout.with_python()
    checkout.with_uv()
    checkout.run("test")
    with (checkout.folder / "locks" / lock).open("a") as file:
        file.write("c==1 \\\n    --hash=sha256:3\n")
    checkout.run("test")
    assert checkout.called()[-2:] == ["venv .venv-dev", "install dev-only.txt"]


QUESTIONS = (
    (),
    ("--help",),
    ("--version",),
    ("test", "--help"),
    ("test", "-h"),
    ("bench", "--help"),
    ("test", "--version"),
    ("put", "--help"),
)


@pytest.mark.parametrize("question", QUESTIONS, ids=" ".join)
def test_a_question_installs_nothing(checkout, question):
    """Help and versions need no Python, and nothing but the checkout."""
    checkout.with_source()
    checkout.with_uv()
    done = checkout.run(*question)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert checkout.called() == []
    assert not (checkout.folder / ".venv").exists()
    assert not (checkout.folder / ".venv-setup").exists()
    expected = "pytest " if question == ("test", "--version") else "ecg "
    assert done.stdout.startswith((expected, "Usage: ./ecg", "## `./ecg"))


def test_a_shell_never_waits_for_a_set_up(checkout):
    """While nothing is installed the completion offers nothing, and its script says in a sentence what to do."""
    checkout.with_source()
    checkout.with_uv()
    done = checkout.run(_ECG_COMPLETE="complete_bash", COMP_WORDS="./ecg cla", COMP_CWORD="1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = checkout.run("completion", "bash")
    assert (done.returncode, done.stdout) == (1, "")
    assert "./ecg setup" in done.stderr
    assert checkout.called() == []


def test_the_bare_version_has_the_commit(checkout):
    """As the installed one has; without git, or without a checkout of it, the version stands alone."""
    checkout.with_source()
    checkout.program("git", "echo 0123abc")
    assert checkout.run("--version").stdout == f"ecg {ecg_tasks.__version__}\n"
    (checkout.folder / ".git").mkdir()
    assert checkout.run("--version").stdout == f"ecg {ecg_tasks.__version__} (0123abc)\n"
    checkout.program("git", "exit 1")
    assert checkout.run("--version").stdout == f"ecg {ecg_tasks.__version__}\n"


def test_the_bare_help_tells_every_command_and_argument(checkout):
    """It names the commands and the arguments that the installed help names, with their sentences."""
    import typer

    from ecg_tasks.cli.__main__ import app

    checkout.with_source()
    overview = checkout.run("--help").stdout
    for name, command in typer.main.get_command(app).commands.items():
        assert f"\n  {name} " in overview
        told = " ".join(checkout.run(name, "--help").stdout.split())
        for one in getattr(command, "commands", {name: command}).values():
            assert " ".join(one.callback.__doc__.split()) in told
            for parameter in one.params:
                assert parameter.opts[0] in told or parameter.param_type_name == "argument"
                assert not parameter.help or " ".join(parameter.help.split()) in told


def test_an_unknown_command_is_no_question(checkout):
    """The help of a command that is not there is refused."""
    checkout.with_source()
    done = checkout.run("tset", "--help")
    assert done.returncode == 2
    assert "no command 'tset'" in done.stderr


def test_help_after_an_update_installs_nothing(checkout):
    """Packages that are older than the lock are left as they are, and not asked for the help either."""
    checkout.with_python()
    checkout.with_uv()
    checkout.run("status")
    (checkout.folder / "locks" / "cpu.txt").write_text("a==2\n")
    checkout.with_source()
    assert "  demo " in checkout.run("--help").stdout
    assert len(checkout.called()) == 2


def test_setup_is_a_step_of_its_own(checkout):
    """``setup`` installs the users' lock, ``setup --dev`` the developers', and no command needs more after that."""
    checkout.with_python()
    checkout.with_uv()
    assert checkout.run("setup").stdout == "handed over by .venv: -P -m ecg_tasks.cli setup\n"
    assert (checkout.folder / ".venv" / "installed-cpu.txt").exists()
    assert not (checkout.folder / ".venv-dev").exists()
    assert checkout.run("setup", "--dev").stdout == "handed over by .venv-dev: -P -m ecg_tasks.cli setup --dev\n"
    assert (checkout.folder / ".venv-dev" / "installed-dev.txt").exists()
    checkout.run("test")
    assert checkout.called() == ["venv .venv", "install cpu.txt", "venv .venv-dev", "install dev-only.txt"]


@pytest.fixture
def running_stack(checkout):
    """A checkout with the users' set, from which a supervisor runs as that of a stack does."""
    checkout.with_python()
    checkout.with_uv()
    checkout.run("status")
    settings = checkout.folder / "supervisor.conf"
    settings.write_text(f"[supervisord]\nnodaemon=true\npidfile={checkout.folder}/pid\nlogfile={checkout.folder}/log\n")
    command = [str(checkout.folder / ".venv" / "bin" / "python"), "-m", "supervisor.supervisord", "-c", str(settings)]
    environment = os.environ | {"PYTHONPATH": str(Path(supervisor.__file__).parents[1])}
    with subprocess.Popen(command, executable=sys.executable, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as running:
        while b"supervisord started" not in running.stdout.readline():
            assert running.poll() is None
        yield checkout
        running.terminate()
        running.communicate(timeout=30)


@pytest.mark.parametrize("command", ["up", "put", "run", "setup"])
def test_packages_stay_while_a_stack_runs(running_stack, command):
    """After an update of the checkout nothing is installed under a running stack; the sentence says how to stop it."""
    (running_stack.folder / "locks" / "cpu.txt").write_text("a==2\n")
    done = running_stack.run(command)
    assert done.returncode == 1
    assert "locks/cpu.txt asks for other packages" in done.stderr
    assert "./ecg down" in done.stderr
    assert len(running_stack.called()) == 2
    assert "a==1\n" in (running_stack.folder / ".venv" / "installed-cpu.txt").read_text()


@pytest.mark.parametrize("command", ["test", "bench"])
def test_tests_leave_the_packages_of_a_running_stack_alone(running_stack, command):
    """Beside a demonstration that still runs the tests can be set up and run: nothing goes into the environment of the stack."""
    done = running_stack.run(command, "--fast")
    assert done.stdout == f"handed over by .venv-dev: -P -m ecg_tasks.cli {command} --fast\n"
    assert running_stack.called()[2:] == ["venv .venv-dev", "install dev-only.txt"]


def test_tests_change_no_outdated_packages_under_a_stack(running_stack):
    """After an update of the users' lock the tests, too, have to wait until the stack is stopped."""
    (running_stack.folder / "locks" / "cpu.txt").write_text("a==2\n")
    done = running_stack.run("test")
    assert done.returncode == 1
    assert "./ecg down" in done.stderr


@pytest.mark.parametrize("command", ["down", "status", "logs", "open"])
def test_a_running_stack_can_be_stopped_and_looked_at_after_an_update(running_stack, command):
    """What stops the stack works with the packages that the stack runs from: else nobody could follow the sentence."""
    (running_stack.folder / "locks" / "cpu.txt").write_text("a==2\n")
    done = running_stack.run(command)
    program = "ecg_tasks.cli.status" if command == "status" else "ecg_tasks.cli"
    assert done.stdout == f"handed over by .venv: -P -m {program} {command}\n"
    assert len(running_stack.called()) == 2


def test_a_stack_of_another_checkout_is_no_hindrance(running_stack, tmp_path_factory):
    """Only the packages that a stack runs from are left alone."""
    other = Checkout(tmp_path_factory.mktemp("other"))
    other.with_python()
    other.with_uv()
    assert other.run("test").returncode == 0
    assert other.called() == ["venv .venv", "install cpu.txt", "venv .venv-dev", "install dev-only.txt"]


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


@pytest.mark.parametrize("machine", ["Linux x86_64", "Linux aarch64", "Darwin arm64"])
def test_machines_with_packages(checkout, machine):
    """Linux on both processors and a Mac of today are set up in the same way."""
    checkout.with_python()
    checkout.with_uv()
    checkout.program("uname", f"echo {machine}")
    checkout.program("sw_vers", "echo 14.6.1")
    assert checkout.run("status").returncode == 0
    assert checkout.called() == ["venv .venv", "install cpu.txt"]


@pytest.mark.parametrize(
    ("machine", "system", "told"),
    [
        ("Darwin x86_64", "15.0", "no packages for this machine (Darwin x86_64)"),
        ("Linux armv7l", "", "no packages for this machine (Linux armv7l)"),
        ("Darwin arm64", "13.7", "macOS 14 or newer is needed, and this is macOS 13.7"),
        ("Darwin arm64", "", "macOS 14 or newer is needed, and this is macOS of an unknown version"),
    ],
)
def test_another_machine_is_refused_in_words(checkout, machine, system, told):
    """Where the locks have no packages, nothing is fetched."""
    checkout.with_python()
    checkout.with_uv()
    checkout.program("uname", f"echo {machine}")
    checkout.program("sw_vers", f"echo {system}" if system else "exit 1")
    done = checkout.run("up")
    assert done.returncode == 1
    assert told in done.stderr
    assert checkout.called() == []


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
