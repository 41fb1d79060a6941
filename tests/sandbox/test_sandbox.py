"""Each wall by itself, where the kernel has it. What a file meets behind all of them: ``tests/parsing``."""

import errno
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


def outcome(rule, name, *arguments, machine="x86_64", pid=7, also=None, high=0, bits=0):
    """What the filter answers to a call, as the kernel would run it: 0, or an error's number; None where a machine has no such call."""
    calls = {**seccomp._PLAIN, **seccomp._REACHING, **NUMBERS}
    column, code_of_machine = seccomp._MACHINES[machine]
    number = calls[name][column] if isinstance(name, str) else name
    if number is None:
        return None
    words = {seccomp._NUMBER: number | bits, seccomp._MACHINE: code_of_machine if also is None else also}
    for place, value in enumerate((*arguments, *[0] * (6 - len(arguments)))):
        words |= {seccomp._ARGUMENTS + 8 * place: value, seccomp._ARGUMENTS + 8 * place + 4: high}
    steps, at, loaded = seccomp._steps(rule, column, code_of_machine, pid=pid), 0, 0
    while True:
        code, then, otherwise, value = steps[at]
        at += 1
        if code == seccomp._RETURN:
            return 0 if value == seccomp._ALLOW else value & 0xFFFF
        if code == seccomp._LOAD:
            loaded = words[value]
        else:
            tests = {seccomp._EQUAL: loaded == value, seccomp._AT_LEAST: loaded >= value, seccomp._ANY_BIT: bool(loaded & value)}
            at += then if tests[code] else otherwise


NUMBERS = {
    "open": seccomp._OPEN, "openat": seccomp._OPENAT, "ioctl": seccomp._IOCTL, "fcntl": seccomp._FCNTL_CALL, "clone": seccomp._CLONE,
    "clone3": seccomp._CLONE3, "kill": seccomp._KILL, "tgkill": seccomp._TGKILL, "prlimit64": seccomp._PRLIMIT,
}  # fmt: skip
NO_WAY_OUT = [
    "socket", "connect", "accept", "accept4", "bind", "listen", "fork", "vfork", "execve", "execveat", "ptrace", "process_vm_readv",
    "process_vm_writev", "tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_open", "pidfd_getfd", "pidfd_send_signal",
    "io_uring_setup", "io_uring_enter", "io_uring_register", "mount", "umount2", "unshare", "setns", "chroot", "pivot_root", "add_key",
    "request_key", "keyctl", "bpf", "perf_event_open", "userfaultfd", "open_by_handle_at", "init_module", "finit_module", "kexec_load",
    "reboot",
]  # fmt: skip
"""Calls to the network, to other processes and to the system, by their names in the kernel."""


@pytest.mark.parametrize("machine", seccomp._MACHINES)
@pytest.mark.parametrize("rule", seccomp.Calls)
def test_no_call_leads_out(rule, machine):
    """By neither rule, on neither machine: no network, no other process, no signal to one, and no call by another machine's numbers."""
    refused = {name: outcome(rule, name, machine=machine) for name in NO_WAY_OUT}
    older = {"fork", "vfork"} if machine == "aarch64" else set()  # it has clone alone
    assert {name for name, said in refused.items() if said != errno.EPERM} == older
    assert {name for name, said in refused.items() if said is None} == older
    assert outcome(rule, "clone", 0x11, machine=machine) == errno.EPERM  # a process, as fork makes it
    assert outcome(rule, "clone", 0x3D0F00, machine=machine) == 0  # a thread
    assert outcome(rule, "clone3", machine=machine) == errno.ENOSYS
    for name in ("kill", "tgkill"):
        assert outcome(rule, name, 7, machine=machine) == 0
        assert {outcome(rule, name, other, machine=machine) for other in (0, 1, 8, 2**32 - 1)} == {errno.EPERM}
    assert outcome(rule, "read", machine=machine) == 0
    assert outcome(rule, "read", machine=machine, also=0x40000003) == errno.EPERM  # 32 bits, where numbers mean other calls
    assert outcome(rule, "read", machine=machine, bits=0x40000000) == errno.EPERM  # x32


@pytest.mark.parametrize("machine", seccomp._MACHINES)
def test_who_only_computes_opens_nothing_to_write(machine):
    """Nor does it change a limit, ask a device, or let a descriptor send signals; a call that nobody thought of is refused."""

    def said(name, *arguments, **more):
        return outcome(seccomp.ONLY_COMPUTING, name, *arguments, machine=machine, **more)

    for flags in (os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC, os.O_APPEND, os.O_RDONLY | os.O_CREAT):
        assert said("openat", 0, 0, flags) == errno.EPERM
        assert said("open", 0, flags) in {errno.EPERM, None}
    assert said("openat", 2**32 - 100, 2**20 + os.O_RDWR, os.O_RDONLY | os.O_CLOEXEC) == 0
    assert said("open", 2**20 + os.O_RDWR, os.O_RDONLY | os.O_CLOEXEC) in {0, None}
    assert [said("ioctl", 0, request) for request in (0x5401, 0x5412, 0x541B)] == [0, errno.EPERM, errno.EPERM]
    assert {said("fcntl", 0, command) for command in (0, 1, 2, 3, 1030)} == {0}
    assert {said("fcntl", 0, command) for command in (4, 8, 10, 15, 1031)} == {errno.EPERM}
    assert said("prlimit64", 0, 7, 0) == 0
    assert said("prlimit64", 0, 7, 4096) == said("prlimit64", 0, 7, 0, high=1) == errno.EPERM
    assert said(1000) == errno.EPERM


def test_a_bare_environment_holds_no_secret(monkeypatch):
    """What tells where programs are stays; nothing else does."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("ECG_PATIENT_KEY", "secret")
    monkeypatch.setenv("TZ", "UTC")
    found = sandbox.bare_environment()
    assert "secret" not in found.values()
    assert found["TZ"] == "UTC"
