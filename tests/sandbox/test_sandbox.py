"""Each wall by itself, where the kernel has it. What a file meets behind all of them: ``tests/parsing``."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ecg_tasks import sandbox
from ecg_tasks.sandbox import seccomp

TRIES = """
import os, socket, sys
from pathlib import Path
folder = Path(sys.argv[1])
(folder / "inside").write_text("x")
deeds = {
    "read": lambda: Path("/etc/passwd").read_text(),
    "write": lambda: Path(sys.argv[2], "outside").write_text("x"),
    "connect": lambda: socket.socket(),
    "fork": lambda: os.fork() or os._exit(0),
    "program": lambda: os.execv("/bin/true", ["true"]),
    "kill": lambda: os.kill(os.getppid(), 0),
}
for name, deed in deeds.items():
    try:
        deed()
    except PermissionError:
        continue
    print(name)
"""


@pytest.mark.skipif(bool(sandbox.possible().missing), reason="this kernel has no Landlock or no seccomp")
def test_a_module_within_has_one_folder_and_no_way_out(tmp_path):
    """It reads libraries, writes into its folder, and everything else is refused."""
    within, outside = tmp_path / "within", tmp_path / "outside"
    for folder in (within, outside):
        folder.mkdir()
    (within / "tries.py").write_text(TRIES)
    command = [sys.executable, "-m", "ecg_tasks.sandbox.within", str(within), "tries", str(within), str(outside)]
    path = os.pathsep.join([str(Path(__file__).parents[2]), str(within)])
    done = subprocess.run(command, env=sandbox.bare_environment() | {"PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (within / "inside").exists()
    assert not (outside / "outside").exists()


def test_every_jump_of_the_filter_leads_into_it():
    """On both machines, and for both rules; what is left at the end is refused, or, for libraries, allowed."""
    for rule in seccomp.Calls:
        for column, machine in seccomp._MACHINES.values():
            steps = seccomp._steps(rule, column, machine, pid=7)
            for place, (code, then, otherwise, _) in enumerate(steps):
                if code in {seccomp._EQUAL, seccomp._AT_LEAST, seccomp._ANY_BIT}:
                    assert place + 1 + max(then, otherwise) < len(steps)
            assert steps[-1][0] == seccomp._RETURN
            assert (steps[-1][3] == seccomp._ALLOW) is (rule is seccomp.NO_NETWORK)


def test_a_bare_environment_holds_no_secret(monkeypatch):
    """What tells where programs are stays; nothing else does."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("ECG_PATIENT_KEY", "secret")
    monkeypatch.setenv("TZ", "UTC")
    found = sandbox.bare_environment()
    assert "secret" not in found.values()
    assert found["TZ"] == "UTC"
