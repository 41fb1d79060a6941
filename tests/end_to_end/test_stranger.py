"""Here: what another user of the same machine gets from a stack: nothing. Not here: what he tries (``intruder``)."""

import ipaddress
import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from deploy.embedded import processes
from ecg_tasks.archive import keys

pytestmark = [pytest.mark.stack, pytest.mark.chain("stack"), pytest.mark.timeout(3600)]
SCRIPT = Path(__file__).with_name("intruder.py")
STRANGER = 12345
PUBLIC = {"/", "/healthcheck", "/api/v2/monitor/health", "/auth/login", "/auth/login/", "/auth/token"}
"""What may be answered without credentials: health, the login page, and that a login was refused."""


def python_of_a_stranger():
    """A Python that the stranger may run, and how; where this is not root's machine, the same user without any credential."""
    for python in ("/usr/bin/python3", sys.executable):
        as_stranger = {"user": STRANGER, "group": STRANGER, "extra_groups": []}
        with suppress(OSError):
            done = subprocess.run([python, "-I", "-c", ""], **as_stranger, check=False, cwd="/", capture_output=True)
            if done.returncode == 0:
                return python, as_stranger
    return sys.executable, {}


@dataclass(frozen=True)
class Socket:
    """A socket that takes connections or packets: ``tcp``, ``udp`` or ``unix``, its address and port, or its path."""

    kind: str
    address: str
    port: int = 0


def open_sockets(pids):
    """All sockets of these processes that somebody else can send to, as the kernel lists them (``/proc/net``)."""
    held = set()
    for pid in pids:
        with suppress(OSError):
            for one in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    held.add(str(one.readlink()).removeprefix("socket:[").removesuffix("]"))
    found = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, here, there, state, *_rest = words = line.split()
            takes = state == "0A" if table.startswith("tcp") else there.endswith(":0000")
            if takes and words[9] in held:
                address, _, port = here.partition(":")
                raw = b"".join(bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8))
                found.add(Socket(table[:3], str(ipaddress.ip_address(raw)), int(port, 16)))
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        _, _, _, flags, _, _, inode, *path = line.split(maxsplit=7)
        if int(flags, 16) & 0x10000 and inode in held:
            found.add(Socket("unix", path[0] if path else ""))
    return found


@pytest.fixture(scope="module")
def sockets(stack, ecg):
    """The sockets of all processes of the stack, and these processes."""
    ecg("up")
    pids = [process.pid for process in processes.of_stack(stack.home)]
    return open_sockets(pids), pids


@pytest.fixture(scope="module")
def got(stack, sockets):
    """Everything that the stranger got, from each port that any process of the stack listens on."""
    found, pids = sockets
    listening = {one.port for one in found if one.kind == "tcp"}
    assert listening >= set(asdict(stack.home.ports()).values())
    python, stranger = python_of_a_stranger()
    postgres = stack.home.ports().postgres
    told = {
        "http": sorted(listening - {postgres}),
        "postgres": postgres,
        "folder": str(stack.home),
        "pids": pids,
        "unix": sorted(one.address for one in found if one.kind == "unix"),
        "same_user": not stranger,
    }
    done = subprocess.run(
        [python, "-I", "-c", SCRIPT.read_text()], input=json.dumps(told), **stranger, capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_every_socket_is_of_this_machine_alone(sockets):
    """Whatever listens does so on the loopback or in the file system; nothing waits for packets, and no unix socket has a mere name."""
    found, _ = sockets
    inet = [one for one in found if one.kind != "unix"]
    assert inet
    assert [one for one in inet if not ipaddress.ip_address(one.address).is_loopback] == []
    assert [one for one in found if one.kind == "unix" and not one.address.startswith("/")] == []


def test_no_unix_socket_lets_the_stranger_in(got):
    """The file system keeps him from each: he cannot even connect."""
    assert got["connected"] == []


def test_no_answer_holds_a_secret_or_a_name(stack, got, objects):
    """No secret, no key of the bucket that was not asked for, and no line of a log stands in any answer."""
    secrets = [value for name, value in asdict(stack.home.secrets()).items() if name != "s3_access_key"]
    with objects() as store:
        stored = {key for key in store.list_keys("") if not key.endswith("champion.json")}
    assert stored
    told = [answer["body"] for answer in got["answers"]] + got["database"]
    for body in told:
        assert not [secret for secret in secrets if secret in body]
        assert not [key for key in stored if key in body or (keys.stem(key) in body and len(keys.stem(key)) > 11)]
        assert "Traceback" not in body
        assert "INFO" not in body


def test_inner_servers_let_nobody_in(stack, got):
    """The store's account, container and object servers answer every read and write of a stranger with 403 and nothing else."""
    ports = stack.home.ports()
    inner = {ports.store_account, ports.store_container, ports.store_object}
    answers = [answer for answer in got["answers"] if answer["port"] in inner]
    assert len(answers) > 3 * 500
    assert {(answer["status"], answer["body"]) for answer in answers} == {(403, "")}


def test_nothing_is_answered_but_health_and_login(stack, got):
    """Every other request without credentials is refused, or answered with the page that asks for them."""
    answered = [answer for answer in got["answers"] if 200 <= answer["status"] < 300]
    ui = stack.home.ports().ui
    pages = {answer["body"] for answer in answered if answer["port"] == ui and answer["path"] in {"/", "/auth/login"}}
    unexpected = {
        (answer["port"], answer["method"], answer["path"], answer["body"][:200])
        for answer in answered
        if answer["path"] not in PUBLIC and not (answer["port"] == ui and answer["body"] in pages)
    }
    assert unexpected == set()


def test_nothing_was_written(got, objects):
    """After all that the stranger tried, the shipped champion serves and nothing new lies in the inbox."""
    with objects() as store:
        assert store.list_keys(f"{keys.INBOX}intruder") == []
        assert json.loads(store.get(keys.champion("heartbeat")))["version"]


def test_the_database_asks_for_a_password(got):
    """PostgreSQL asks each of its users for a password, and refuses a wrong one."""
    for answer in got["database"]:
        assert "SCRAM-SHA-256" in answer
        assert "FATAL" in answer


def test_files_and_environments_are_closed(got):
    """Another user can read no file of the state folder and no process's environment."""
    assert got["files"] == []
    assert got["environments"] == []


def test_what_somebody_deleted_by_hand_is_taken_back(ecg, try_ecg, objects):
    """The bucket's key deletes a file of the champion; the command shows it, puts it back, asks why, and logs it."""
    with objects() as store:
        key = next(key for key in store.list_keys(keys.MODELS) if key.endswith("SHA256SUMS"))
        before = store.get(key)
        store.delete(key)
        assert f"  {key}  --stamp " in ecg("kept", keys.MODELS)
        assert try_ecg("kept", "--back", key).returncode == 2
        ecg("kept", "--back", key, "--why", "deleted by mistake")
        assert store.get(key) == before
        assert json.loads(ecg("audit", "--json", "--last", "1"))[-1]["subject"] == key
    assert try_ecg("kept", "--back", "models/never", "--why", "a try").returncode == 1
