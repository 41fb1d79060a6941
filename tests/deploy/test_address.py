"""Where people reach the web interface, and the certificate that is made, renewed and served beside the plain door."""

import signal
import ssl
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from deploy.embedded import address, airflow, certificate
from deploy.embedded.errors import StackError
from deploy.embedded.home import Home, is_free
from tests.stacks import _PORTS

NAMES = ("localhost", "127.0.0.1", "::1")


@pytest.fixture
def home(tmp_path):
    """An empty state folder."""
    home = Home(tmp_path / "home")
    home.create()
    return home


@pytest.fixture
def ports():
    """Two free ports."""
    return [port for port in reversed(_PORTS) if is_free(port)][:2]


def test_nothing_is_served_by_tls_unless_it_is_asked_for(home):
    """The address on this machine, and the same program."""
    address.choose(home, {})
    assert airflow.shown_ui(home) == airflow.ui(home) == airflow.environment(home)["AIRFLOW__API__BASE_URL"]
    assert airflow.server_command(home, "api-server") == [*airflow.COMPONENT, "deploy.embedded.api_server", "--port", str(home.ports().ui)]


def test_an_address_behind_a_proxy_is_what_people_enter(home):
    """Tasks stay on this machine."""
    address.choose(home, {"ECG_UI_URL": "https://ecg.hospital.example/"})
    given = airflow.environment(home)
    assert given["AIRFLOW__API__BASE_URL"] == airflow.shown_ui(home) == "https://ecg.hospital.example"
    assert given["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == f"{airflow.ui(home)}/execution/"


def test_a_made_certificate_names_the_machine_and_is_kept(home, ports):
    """For every name by which it is reached; only its owner may read the key; a second start serves the same one."""
    asked = {
        "ECG_TLS": "made",
        "ECG_UI_ADDRESS": "0.0.0.0",  # noqa: S104 - not served
        "ECG_UI_URL": f"https://ecg.hospital.example:{ports[0]}",
        "ECG_UI_PORT": str(ports[0]),
    }
    address.choose(home, asked)
    first = address.chosen(home)
    assert {*NAMES, "ecg.hospital.example"} <= set(first.made_for)
    assert stat.S_IMODE(Path(first.key).stat().st_mode) == 0o600
    served = certificate.fingerprint(Path(first.cert))
    address.choose(home, asked)
    assert certificate.fingerprint(Path(address.chosen(home).cert)) == served
    assert airflow.shown_ui(home) == f"https://ecg.hospital.example:{ports[0]}"
    assert "deploy.embedded.api_server" in airflow.server_command(home, "api-server")


def test_a_made_certificate_is_renewed_in_time(tmp_path, monkeypatch):
    """A month before its end, for other names, and where a file of it is damaged."""
    cert, _ = certificate.ensure_made(tmp_path, NAMES)
    prints = [certificate.fingerprint(cert)]
    assert certificate.ends(cert) - datetime.now(UTC) > timedelta(days=390)
    for names, lifetime in ((NAMES[:2], 29), (NAMES[:2], 31), (NAMES[:2], 31)):
        monkeypatch.setattr(certificate, "LIFETIME", timedelta(days=lifetime))
        certificate.ensure_made(tmp_path, names)
        prints.append(certificate.fingerprint(cert))
    assert len(set(prints)) == 3
    assert prints[2] == prints[3]
    cert.write_text("damaged")
    certificate.ensure_made(tmp_path, NAMES)
    assert certificate.fingerprint(cert) not in prints


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"ECG_TLS": "yes"}, "must be made"),
        ({"ECG_TLS_CERT": "a.pem"}, "both ECG_TLS_CERT and ECG_TLS_KEY"),
        ({"ECG_TLS": "made", "ECG_TLS_CERT": "a", "ECG_TLS_KEY": "b"}, "either"),
        ({"ECG_TLS_CERT": "/nowhere.pem", "ECG_TLS_KEY": "/nowhere.key"}, "are no certificate with its key"),
        ({"ECG_UI_ADDRESS": "0.0.0.0"}, "needs TLS"),  # noqa: S104 - refused
        ({"ECG_UI_ADDRESS": "ecg.hospital.example"}, "needs TLS"),
        ({"ECG_UI_URL": "ecg.hospital.example"}, "must be such as"),
        ({"ECG_UI_URL": "https://hospital.example/ecg"}, "without a path"),
    ],
)
def test_settings_that_contradict_are_refused(home, asked, sentence):
    """At the start, by their names; nothing goes through a network without TLS."""
    with pytest.raises(StackError, match=sentence):
        address.choose(home, asked)


def test_a_given_certificate_must_be_valid_with_its_key(home, tmp_path, monkeypatch, ports):
    """One of another key or one that has ended is refused before anything is served with it."""
    cert, key = certificate.ensure_made(tmp_path / "one", NAMES)
    _, other = certificate.ensure_made(tmp_path / "two", NAMES)
    asked = {"ECG_TLS_CERT": str(cert), "ECG_TLS_KEY": str(key), "ECG_UI_PORT": str(ports[0])}
    address.choose(home, asked)
    assert address.chosen(home).made_for == ()
    with pytest.raises(StackError, match="are no certificate with its key"):
        address.choose(home, asked | {"ECG_TLS_KEY": str(other)})
    monkeypatch.setattr(certificate, "LIFETIME", timedelta(hours=-1, minutes=30))
    monkeypatch.setattr(certificate, "RENEWED", timedelta(days=-1000))
    cert, key = certificate.ensure_made(tmp_path / "old", NAMES)
    with pytest.raises(StackError, match="ended on"):
        address.choose(home, asked | {"ECG_TLS_CERT": str(cert), "ECG_TLS_KEY": str(key)})


APP = """
import asyncio, sys, types
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        print("ended", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(scope["scheme"])).encode())]})
    await send({"type": "http.response.body", "body": scope["scheme"].encode()})
sys.modules["airflow.api_fastapi.main"] = types.SimpleNamespace(app=app)
from deploy.embedded import api_server
api_server.LOOK_S = 0.1
api_server.main()
"""


def test_one_application_is_served_plain_and_by_tls(tmp_path, ports):
    """A renewed certificate is served without a restart; a stop ends both doors and the application once."""
    cert, key = certificate.ensure_made(tmp_path, NAMES)
    options = ["--port", str(ports[0]), "--tls-host", "127.0.0.1", "--tls-port", str(ports[1]), "--cert", str(cert), "--key", str(key)]
    with subprocess.Popen(
        [sys.executable, "-c", APP, *options], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as server:
        try:
            assert answer(server, f"https://127.0.0.1:{ports[1]}/", cert) == "https"
            assert answer(server, f"http://127.0.0.1:{ports[0]}/", cert) == "http"
            certificate.ensure_made(tmp_path, NAMES[:2])
            while served(ports[1]) != certificate.fingerprint(cert):
                assert server.poll() is None
                time.sleep(0.1)
            assert answer(server, f"https://127.0.0.1:{ports[1]}/", cert) == "https"
        finally:
            server.send_signal(signal.SIGTERM)
        assert server.wait() == 0
        assert server.stdout.read() == "ended\n"


def test_without_tls_the_same_program_serves_plain(ports):
    """As Airflow's own command does; a stop ends the application, too."""
    with subprocess.Popen(
        [sys.executable, "-c", APP, "--port", str(ports[0])], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as server:
        try:
            assert answer(server, f"http://127.0.0.1:{ports[0]}/", None) == "http"
        finally:
            server.send_signal(signal.SIGTERM)
        assert server.wait() == 0
        assert server.stdout.read() == "ended\n"


def answer(server, url, cert):
    """What is answered, as soon as anything is."""
    context = ssl.create_default_context(cafile=cert)
    while True:
        assert server.poll() is None
        try:
            return httpx.get(url, verify=context, trust_env=False, timeout=60).text
        except httpx.ConnectError as error:
            if "CERTIFICATE" in str(error):
                raise
            time.sleep(0.1)


def served(port):
    """SHA-256 of the certificate that a server shows."""
    import hashlib

    data = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))
    return hashlib.sha256(data).digest().hex(":").upper()
