"""Here: the clock by which the embedded store numbers its writes, the gate of its inner servers, the proxy's memory, its chores.

Not here: the store at work (``test_stack``, ``tests/faults``).
"""

import subprocess
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy.embedded import object_store, store_packages
from deploy.embedded.swift_node import AGAIN_S, FORGOTTEN_S, Chores, ForwardClock, Gate, Memory, gate, lacks_a_write, mark, memory


@pytest.fixture
def clock(tmp_path):
    """Maker of a clock over a list of the machine's own times."""
    return lambda times: ForwardClock(tmp_path / "latest", wall=iter(times).__next__)


def test_it_is_the_machines_clock(clock):
    """As long as that goes forward, nothing is added to it."""
    assert [clock([100.0]).now(), *(one.now() for one in [clock([102.5, 200.0])] * 2)] == [100.0, 102.5, 200.0]


def test_it_never_goes_back(clock):
    """Set back by an hour, standing still, and set right again: every moment is after the one before, in steps that Swift can tell."""
    times = [7200.0, 3600.0, 3600.0, 3601.0, 7200.0, 7300.0]
    one = clock(times)
    given = [one.now() for _ in times]
    assert all(round(after, 5) > round(before, 5) for before, after in pairwise(given))
    assert given[0] == 7200.0
    assert given[-1] == 7300.0


def test_the_next_process_goes_on(clock):
    """A store that is started after the clock was set back still lets its new writes win."""
    last = clock([7200.0]).now()
    assert last < clock([3600.0]).now() < last + 2


def test_a_spoilt_note_is_no_reason_to_stop(clock, tmp_path):
    """A file that cannot be read is as good as none."""
    (tmp_path / "latest").write_text("")
    assert clock([5.0]).now() == 5.0


def test_a_full_disk_stops_no_clock(clock, tmp_path, monkeypatch):
    """Where its file cannot be written, it goes on, and writes it as soon as it can."""
    one = clock([100.0, 100.0, 100.0])
    with monkeypatch.context() as full:
        full.setattr("pathlib.Path.write_text", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        assert one.now() < one.now()
    assert not (tmp_path / "latest").exists()
    one.now()
    assert float((tmp_path / "latest").read_text()) > 100.0


def asked(gate, **headers):
    """Status and body of a request through the gate of a server that says yes to everybody."""
    told = []
    environ = {f"HTTP_{name}": value for name, value in headers.items()}
    body = b"".join(gate(environ, lambda status, _headers: told.append(status)))
    return told[0], body


def server(_environ, start_response):
    """An inner server of the store."""
    start_response("200 OK", [])
    return [b"objects"]


@pytest.mark.parametrize("secret", [None, "", "wrong", "the secret ", "THE SECRET", "thé secret"])
def test_the_gate_is_shut(secret):
    """Without the secret, or with another, an inner server answers 403 and nothing else."""
    headers = {} if secret is None else {"X_ECG_INNER_SECRET": secret}
    assert asked(Gate(server, "the secret"), **headers) == ("403 Forbidden", b"")


def test_the_gate_opens_to_the_secret():
    """With the secret the request goes on to the server."""
    assert asked(Gate(server, "the secret"), X_ECG_INNER_SECRET="the secret") == ("200 OK", b"objects")


def test_an_empty_secret_is_refused(tmp_path):
    """A secret that is missing lets the server not start, instead of letting everybody in."""
    (tmp_path / "inner.secret").write_text("")
    with pytest.raises(ValueError, match="empty"):
        gate({}, secret_file=str(tmp_path / "inner.secret"))(server)


def test_what_is_kept_is_kept_for_its_time():
    """A value comes back as a copy until its time is over or it is forgotten."""
    times = iter([0.0, 59.0, 59.5, 60.0, 61.0, 62.0])
    kept = Memory(lambda: next(times))
    kept.set("container/a", {"status": 204, "sysmeta": {}}, time=60, serialize=True)
    first = kept.get("container/a", raise_on_error=True)
    first["status"] = 404
    assert kept.get("container/a") == {"status": 204, "sysmeta": {}}
    assert kept.get("container/a") is None
    kept.set("container/a", {"status": 204}, time=60)
    kept.delete("container/a")
    assert kept.get("container/a") is None


def test_the_memory_does_not_grow():
    """A client that asks for ever more buckets that there are not fills nothing."""
    kept = Memory()
    for number in range(10 * Memory.MOST):
        kept.set(f"container/{number}", None, time=6)
    assert len(kept._kept) <= Memory.MOST


def test_every_request_meets_the_same_memory():
    """The filter hands one memory to all requests of the process; those that write find no bucket in it, and may forget one."""
    met = []
    proxy = memory({})(lambda environ, _start: met.append(environ["swift.cache"]) or [b""])
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        assert proxy({"REQUEST_METHOD": method}, None) == [b""]
    reading, again, *writing = met
    assert reading is again
    reading.set("account/a", {"status": 204}, time=60)
    reading.set("container/a/b", {"status": 204}, time=60)
    for one in writing:
        assert (one.get("account/a"), one.get("container/a/b")) == ({"status": 204}, None)
    writing[0].delete("container/a/b")
    assert reading.get("container/a/b") is None


@pytest.mark.parametrize(("method", "marks"), [("GET", 0), ("HEAD", 0), ("PUT", 1), ("POST", 1), ("DELETE", 1)])
def test_a_change_is_marked_when_it_is_done(tmp_path, method, marks):
    """After the last word of the answer, in which Swift still works on some requests; one that fails may have changed something, too."""

    class Answer:
        closed = 0

        def __iter__(self):
            assert changed() == before
            yield b"one"
            assert changed() == before
            if environ.get("fails"):
                raise OSError("the client has gone")

        def close(self):
            self.closed += 1

    file = tmp_path / "changed"
    answers = [Answer(), Answer()]
    proxy = mark({}, file=str(file))(lambda _environ, _start: answers[-1])

    def changed():
        return file.stat().st_mtime_ns

    environ = {"REQUEST_METHOD": method}
    before = changed()
    assert list(proxy(environ, None)) == [b"one"]
    assert (changed() != before, answers.pop().closed) == (bool(marks), marks)
    before, environ["fails"] = changed(), "yes"
    with pytest.raises(OSError, match="gone"):
        list(proxy(environ, None))
    assert (changed() != before, answers.pop().closed) == (bool(marks), marks)


def test_listings_are_updated_where_one_lacks_something(tmp_path):
    """Not while nothing waits, though folders of an earlier time are left; for every object that waits, of any policy, at each look."""
    devices = tmp_path / "devices"
    assert not lacks_a_write(devices)  # before the first start made the folder
    (devices / "disk" / "objects" / "1" / "abc").mkdir(parents=True)
    (devices / "disk" / "async_pending" / "abc").mkdir(parents=True)
    chores = Chores(tmp_path, lambda: 0.0)
    assert chores.due() == []
    for place in ("async_pending/abc", "async_pending-1/def"):
        file = devices / "disk" / place / f"{'0' * 32}-1700000000.00000"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        assert [chores.due(), chores.due()] == [["update"], ["update"]]
        file.unlink()
    assert chores.due() == []


_WRITE = """
import sys, time
from swift.container.backend import ContainerBroker
broker = ContainerBroker(sys.argv[1], account="a", container="c")
broker.initialize("1700000000.00000", 0)
for number in range(300):
    broker.put_object(f"inbox/Mustermann{number:03}/Erika.hea", f"17000000{number % 90:02}.00000", 1, "t", "e" * 32)
broker.put_object("records/kept.parquet", "1700000001.00000", 1, "t", "e" * 32)
broker.get_info()
for number in range(300):
    broker.delete_object(f"inbox/Mustermann{number:03}/Erika.hea", "1700000100.00000")
broker.get_info()
"""
_LIST = """
import sys
from swift.container.backend import ContainerBroker
print([row[0] for row in ContainerBroker(sys.argv[1], account="a", container="c").list_objects_iter(1000, "", "", None, None)])
"""


@pytest.mark.stack
def test_the_names_of_deleted_objects_are_forgotten(tmp_path):
    """A store that is not at work has none in its files any more, and lists what is there; while a listing lacks a write, all stays."""
    store_packages.ensure_installed()
    home = SimpleNamespace(store=tmp_path)
    python = str(object_store.ENVIRONMENT / "bin" / "python")
    database = tmp_path / "devices/disk/containers/1/abc/0123abc/0123abc.db"
    mark = tmp_path / "devices/disk/objects/1/abc/0123abc/1700000100.00000.ts"
    late = tmp_path / "devices/disk/async_pending/abc/0123abc-1700000100.00000"
    for file in (database, mark, late):
        file.parent.mkdir(parents=True)
    mark.touch()
    late.touch()
    subprocess.run([python, "-c", _WRITE, str(database)], check=True)

    def kept() -> list[bool]:
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        return [any(b"Mustermann" in path.read_bytes() for path in files), mark.exists()]

    assert kept() == [True, True]
    object_store.forget_deleted(home)
    assert kept() == [True, True]
    late.unlink()
    object_store.forget_deleted(home)
    assert kept() == [False, False]
    listed = subprocess.run([python, "-c", _LIST, str(database)], check=True, capture_output=True, text=True).stdout
    assert listed.strip() == "['records/kept.parquet']"


def test_a_store_at_work_forgets_once_a_day(tmp_path):
    """What was deleted a day ago, and the copies that are too old; of these at once after a start, and soon again where that failed."""
    now = [1000.0]
    chores = Chores(tmp_path, lambda: now[0])
    day = FORGOTTEN_S
    found = {}
    for later in (5.0, 10.0, AGAIN_S, AGAIN_S + 6, day + 1, day + 6, day + AGAIN_S + 20, 2 * day + 2, 2 * day + 5):
        now[0] = 1000.0 + later
        found[later] = chores.due()
        if later == 5.0:
            chores.put_off(found[later])
    twice = {5.0: ["expire"], AGAIN_S + 6: ["expire"], day + 1: ["forget"], day + AGAIN_S + 20: ["expire"], 2 * day + 2: ["forget"]}
    assert found == {later: twice.get(later, []) for later in found}


_LOG = """
import os, sys, swift_node
swift_node.log_here_only()
from swift.common.utils import get_logger
get_logger({"log_address": "/dev/null"}, log_to_console=True).warning("a key")
print([os.readlink(f"/proc/self/fd/{number}") for number in range(3, 64) if os.path.lexists(f"/proc/self/fd/{number}")])
"""


@pytest.mark.stack
def test_the_store_logs_into_its_own_output_only():
    """It opens no socket to log through: Swift would send each line to a port of this machine."""
    store_packages.ensure_installed()
    folder, python = Path(object_store.__file__).parent, str(object_store.ENVIRONMENT / "bin" / "python")
    done = subprocess.run([python, "-c", _LOG], cwd=folder, check=True, capture_output=True, text=True)
    assert "a key" in done.stderr
    assert "socket" not in done.stdout
