"""Here: what the supervisor is told. Not here: the supervisor at work (``test_stack``)."""

import configparser
import socket
import threading

import pytest

from deploy.embedded import supervision
from deploy.embedded.home import Home

A_NIGHT_S = 12 * 3600


@pytest.fixture
def programs(tmp_path):
    """The sections of all components."""
    home = Home(tmp_path)
    home.create()
    supervision.write_configuration(home)
    written = configparser.RawConfigParser()
    written.read(home.path / "supervisor.conf")
    return {name.removeprefix("program:"): written[name] for name in written.sections() if name.startswith("program:")}


def test_no_component_is_given_up_within_a_night(programs):
    """What cannot start while a disk is full is started when there is room again, without anybody's help."""
    assert set(programs) == set(supervision.COMPONENTS)
    for program in programs.values():
        assert program.getboolean("autorestart")
        assert sum(range(program.getint("startretries"))) > A_NIGHT_S  # the n-th retry waits n seconds


@pytest.fixture
def dying(tmp_path, monkeypatch):
    """A home whose supervisor dies in the middle of every answer: its header is there, and half of its text."""
    home = Home(tmp_path)
    home.create()
    supervision.write_configuration(home)
    monkeypatch.setattr(supervision, "pid", lambda _home: 4242)
    half = b"<?xml version='1.0'?><methodResponse><params><param><value><arr"
    with socket.create_server(("127.0.0.1", home.ports().control)) as server:

        def answer():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 8000\r\n\r\n" + half)

        thread = threading.Thread(target=answer)
        thread.start()
        yield home
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_half_an_answer_is_none(dying):
    """A supervisor that is killed while it answers has not answered."""
    with pytest.raises(supervision.UNANSWERED):
        supervision.runs(dying)
    assert supervision.states(dying) == {}


def test_the_control_password_goes_to_our_supervisor_only(tmp_path):
    """While there is none, whoever listens at its port is told nothing."""
    home = Home(tmp_path)
    home.create()
    supervision.write_configuration(home)
    with socket.create_server(("127.0.0.1", home.ports().control)) as other:
        assert supervision.states(home) == {}
        supervision.shut_down(home, timeout_s=60)
        other.settimeout(0)
        with pytest.raises(BlockingIOError):
            other.accept()
