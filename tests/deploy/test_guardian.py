"""What the guardian takes for a hang, and what it does then. Not here: a whole stack that is halted (``tests.faults``)."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import psutil
import pytest

from deploy.embedded import Stack, guardian, health, postgres, processes, supervision, systemd
from deploy.embedded.errors import PortTakenError, StackError
from deploy.embedded.home import Home
from deploy.embedded.stack import _stopped

HALTED = health._HALTED
HANGS = "does not answer within 10 s"
CLOSED = "does not answer: [Errno 111] Connection refused"


@pytest.fixture
def home(tmp_path):
    """An empty state folder with ports and secrets."""
    made = Home(tmp_path)
    made.create()
    return made


@pytest.fixture
def watcher(home):
    """A guardian whose looks are told."""
    return guardian.Guardian(home)


def looks(watcher, faults, *, until, young=(), every=5):
    """Tell the same faults every five seconds; returns component and moment of each that was to be killed."""
    return [(name, now) for now in range(0, until + 1, every) for name in watcher.hanging(faults, young=set(young), now=float(now))]


def test_what_is_halted_is_killed_soon(watcher):
    """A signal's work is no slowness: ten seconds, however young the process is."""
    assert looks(watcher, {"store": HALTED}, until=14, young={"store"}) == [("store", 10)]


def test_what_hangs_is_killed_after_a_minute_and_more_patiently_each_time(watcher):
    """A machine that is only slow is not kept from ever starting."""
    assert looks(watcher, {"api-server": HANGS}, until=400) == [("api-server", 60), ("api-server", 185)]
    watcher.hanging({}, young=set(), now=400.0)
    assert looks(watcher, {"api-server": HANGS}, until=70) == [("api-server", 60)]


def test_an_answer_in_between_is_a_new_beginning(watcher):
    """Only what is wrong all the time is killed."""
    for now in range(0, 600, 50):
        assert watcher.hanging({"store": HANGS}, young=set(), now=float(now)) == []
        assert watcher.hanging({}, young=set(), now=float(now + 45)) == []


def test_what_is_young_or_not_open_yet_gets_time(watcher):
    """A server that refuses may be starting, which takes minutes on a busy machine."""
    assert looks(watcher, {"api-server": CLOSED}, until=595) == []
    assert looks(watcher, {"scheduler": HANGS}, until=595, young={"scheduler"}) == []


def test_nobody_is_blamed_for_the_database(watcher):
    """While PostgreSQL hangs, only PostgreSQL is restarted."""
    faults = {"postgres": HANGS, "api-server": HANGS, "scheduler": health._UNKNOWN}
    assert looks(watcher, faults, until=100) == [("postgres", 60)]


def test_a_few_looks_are_needed(watcher):
    """A machine that slept between two looks has not hung for the time that it slept."""
    assert watcher.hanging({"store": HANGS}, young=set(), now=0.0) == []
    assert watcher.hanging({"store": HANGS}, young=set(), now=10_000.0) == []


def test_a_halted_component_is_killed_with_its_children(home, monkeypatch):
    """Found by its state alone, and nothing of it is left."""
    script = "import subprocess, sys, time; print(subprocess.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)"
    environment = os.environ | processes.marks(home, "store-data")
    with subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True) as hung:
        child = psutil.Process(int(hung.stdout.readline()))
        hung.send_signal(signal.SIGSTOP)
        run = supervision.Program(state="RUNNING", pid=hung.pid, since_s=1.0)
        monkeypatch.setattr(supervision, "runs", lambda _home: {"store-data": run})
        monkeypatch.setattr(guardian, "HALTED_S", 0.0)
        watcher = guardian.Guardian(home)
        while psutil.Process(hung.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)
        found = [watcher.look()]
        while hung.poll() is None:
            watcher.look()
        assert found == [{"store-data": HALTED}]
        psutil.wait_procs([child], timeout=60)
        assert not child.is_running()


def test_the_stores_data_are_well_when_all_three_servers_answer(home):
    """They are one process with three ports: one that lets nobody in is a fault of it."""
    ports = home.ports()
    places = [ports.store_account, ports.store_container, ports.store_object]
    with contextlib.ExitStack() as running:
        for n, port in enumerate(places):
            assert "store-data" in health.faults(home, ["store-data"], most_s=10.0), n
            server = running.enter_context(HTTPServer(("127.0.0.1", port), _Refusing))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            running.callback(server.shutdown)
        assert health.faults(home, ["store-data"], most_s=10.0) == {}


class _Refusing(BaseHTTPRequestHandler):
    """A server that knows nobody."""

    def do_GET(self):
        self.send_error(403)

    def log_message(self, *_arguments):
        """Say nothing."""


def test_each_is_asked_by_itself(home):
    """What refuses answers; what lets nobody in does not; and what takes the call and says nothing holds up no other answer."""
    with HTTPServer(("127.0.0.1", 0), _Refusing) as well, closing(socket.socket()) as deaf:
        threading.Thread(target=well.serve_forever, daemon=True).start()
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        (home.path / "ports.json").write_text(json.dumps({"store": well.server_port, "ui": deaf.getsockname()[1]}))
        found = health.faults(home, ["store", "api-server", "store-data", "postgres", "scheduler"], most_s=8.0)
        well.shutdown()
    assert set(found) == {"api-server", "store-data", "postgres", "scheduler"}
    assert health.is_hang(found["api-server"])
    assert not health.is_hang(found["store-data"])
    assert not health.is_known(found["scheduler"])


class _Logging(BaseHTTPRequestHandler):
    """A server that says what it was told to a login."""

    answer = 200, b""

    def do_POST(self):
        status, body = self.answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        """Say nothing."""


@pytest.mark.parametrize(
    ("status", "body", "ours"),
    [(201, b'{"access_token": "x"}', True), (401, b"{}", False), (429, b"{}", True), (500, b"", True), (200, b"<html>", False)],
)
def test_another_password_is_known_by_the_answer(monkeypatch, status, body, ours):
    """A server that lets us wait, fails, or gives no answer, is asked again."""
    monkeypatch.setattr(_Logging, "answer", (status, body))
    with HTTPServer(("127.0.0.1", 0), _Logging) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ui = f"http://127.0.0.1:{server.server_port}"
        assert health.lets_us_in(ui, "admin", "secret", most_s=60.0) is ours
        server.shutdown()
    assert health.lets_us_in(ui, "admin", "secret", most_s=60.0)


def test_no_password_goes_to_another_program(home, monkeypatch):
    """Any user of the machine may listen on a port that our server has left, or has not opened yet."""
    told = []
    monkeypatch.setattr(_Logging, "do_POST", lambda self: told.append(self.path) or self.send_error(401))
    with HTTPServer(("127.0.0.1", 0), _Logging) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (home.path / "ports.json").write_text(json.dumps(asdict(home.ports()) | {"ui": server.server_port}))
        stack = Stack(home.path)
        run = supervision.Program(state="RUNNING", pid=os.getpid(), since_s=1.0)
        monkeypatch.setattr(supervision, "runs", lambda _home, **_more: {"api-server": run})
        with pytest.raises(StackError, match=r"does not know the password.*users passwd admin"):
            stack._check_port()
        assert told == ["/auth/token"]
        for other in (0, os.getppid()):
            run = replace(run, pid=other)
            with pytest.raises(PortTakenError):
                stack._check_port()
            with pytest.raises(PortTakenError), stack.airflow() as api:
                api.dags()
        server.shutdown()
    assert told == ["/auth/token"]
    assert stack._not_ours(most_s=60.0) == ""  # nobody is there: the next start opens it


def test_somebody_who_waits_gets_what_is_left_of_two_seconds(monkeypatch):
    """Counted from the start of the process, whatever the clock says; a machine that was slow to start it still asks."""
    monkeypatch.setattr(health.sys, "platform", "darwin")
    began = psutil.Process().create_time()
    for age_s, left_s in ((0.5, health.MOST_S - 0.5), (60, health.LEAST_S)):
        monkeypatch.setattr(health.time, "time", lambda age_s=age_s: began + age_s)
        assert health.left_s() == pytest.approx(left_s)
    monkeypatch.undo()
    if sys.platform != "linux":
        return
    monkeypatch.setattr(health.time, "time", lambda: 0.0)
    monkeypatch.setattr(health.time, "clock_gettime", lambda _clock: 0.0)
    began = -health._age_s()
    for age_s, left_s in ((0.5, health.MOST_S - 0.5), (60, health.LEAST_S)):
        monkeypatch.setattr(health.time, "clock_gettime", lambda _clock, age_s=age_s: began + age_s)
        assert health.left_s() == pytest.approx(left_s, abs=1e-6)


def test_what_is_left_is_not_more_than_a_person_waits():
    """The start may be slow, and then the rest takes its time all the same."""
    assert health.MOST_S + health.LEAST_S <= 2


def test_an_old_sign_of_life_is_none(home, monkeypatch):
    """Airflow's parts are judged by what they wrote into their table; one without a row has given no sign."""
    monkeypatch.setattr(postgres, "signs_of_life", lambda _home: {"SchedulerJob": 3.0, "TriggererJob": 31.0})
    found = health.faults(home, list(health.JOBS), most_s=60.0)
    assert set(found) == {"triggerer", "dag-processor"}
    assert all(map(health.is_hang, found.values()))


def test_systemd_is_told(tmp_path, monkeypatch):
    """What is said goes to the socket that systemd names; without one nothing is said."""
    systemd.notify("READY=1")
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as ear:
        ear.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        assert systemd.is_asked()
        systemd.notify("WATCHDOG=1", "STATUS=healthy")
        assert ear.recv(100) == b"WATCHDOG=1\nSTATUS=healthy"


def test_it_starts_the_stack_again_when_its_supervisor_is_dead(home):
    """Also though its last look fails, the first start does too, and nobody reads what it says: the pipe died with the supervisor."""
    script = """
import os, sys
from xml.parsers.expat import ExpatError
from deploy.embedded import guardian, supervision

def look(self):
    os.getppid = lambda: 1
    raise ExpatError("half an answer")

def begin(self, say):
    if not (self.home.path / "tried").exists():
        (self.home.path / "tried").touch()
        raise KeyError("the first start")
    say("it starts")

supervision.pid = lambda home: os.getppid()
guardian.Guardian.look, guardian.Stack.begin, guardian.AGAIN_S = look, begin, 0
sys.argv = ["guardian", sys.argv[1]]
sys.stdin.readline()
guardian.main()
"""
    supervision.write_configuration(home)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen([sys.executable, "-c", script, str(home)], **pipes, text=True) as alone:
        alone.stdout.close()
        alone.stdin.write("go\n")
        alone.stdin.close()
        assert alone.wait(120) == 0
    said = home.log("guardian").read_text()
    words = ("ExpatError: half an answer", "the supervisor is gone", "did not start: 'the first start'", "it starts")
    assert sorted(words, key=said.find) == list(words)
    assert all(word in said for word in words)


@pytest.fixture
def main(home, monkeypatch):
    """The guardian's program, whose watch ends at once: returns what it asked of the stack, and how often, for a state of the scheduler."""

    def run(scheduler, *, fails=None, guarded=True):
        asked = []
        supervision.write_configuration(home, guarded=guarded)

        def start(what, **more):
            asked.append((what, more))
            if fails and len(asked) == 1:
                raise fails

        monkeypatch.setattr(sys, "argv", ["guardian", str(home)])
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        monkeypatch.setattr(supervision, "states", lambda _home: {"scheduler": scheduler})
        monkeypatch.setattr(guardian.Guardian, "watch", lambda _self: asked.append("watch"))
        monkeypatch.setattr(Stack, "up", lambda _self, _say, **more: start("up", **more))
        monkeypatch.setattr(Stack, "begin", lambda _self, _say: start("begin"))
        monkeypatch.setattr(guardian, "AGAIN_S", 0.0)
        guardian.main()
        return [one if isinstance(one, str) else one[0] for one in asked]

    return run


def test_a_guardian_goes_on_with_the_start_of_one_that_was_killed(main):
    """It finds what the supervisor has not started yet, and starts it; where all was started, it only watches."""
    assert main("STOPPED") == ["up", "watch", "begin"]
    assert main("STOPPED", fails=StackError("the disk is full")) == ["up", "up", "watch", "begin"]
    for state in ("RUNNING", "STARTING", "BACKOFF", "FATAL"):
        assert main(state) == ["watch", "begin"]
    assert main("STOPPED", guarded=False) == ["watch", "begin"]  # somebody else starts what is to run, or does not want it to


def test_a_new_supervisor_has_a_guardian_from_its_beginning(home, monkeypatch):
    """So nobody has to come who starts one later; one that runs already is left alone."""
    asked, running = [], []
    monkeypatch.setattr(supervision, "is_running", lambda _home: bool(running))
    monkeypatch.setattr(Stack, "prepare", lambda _self, _say, *, guarded: asked.append(guarded))
    monkeypatch.setattr(supervision, "start", lambda _home: running.append("supervisor"))
    Stack(home.path).begin()
    Stack(home.path).begin()
    assert asked == [True]
    assert running == ["supervisor"]


def test_a_guardian_whose_port_is_taken_does_not_end_itself(home, main, monkeypatch):
    """A stop of the stack would stop the guardian first: it kills the supervisor instead, and the next one has another port."""
    killed = []
    monkeypatch.setattr(supervision, "pid", lambda _home: 4242)
    monkeypatch.setattr(guardian, "_kill", killed.append)
    assert main("STOPPED", fails=PortTakenError("another program")) == ["up", "watch", "begin"]
    assert killed == [4242]
    monkeypatch.undo()
    monkeypatch.setattr(Stack, "status", lambda _self: _stopped([]))
    monkeypatch.setattr(Stack, "_start", lambda _self, _say: (_ for _ in ()).throw(PortTakenError("another program")))
    monkeypatch.setattr(Stack, "_stop", lambda _self: killed.append("all"))
    with pytest.raises(PortTakenError):
        Stack(home.path).up(by_guardian=True)
    assert killed == [4242]
    with pytest.raises(PortTakenError):
        Stack(home.path).up()
    assert killed == [4242, "all"]
