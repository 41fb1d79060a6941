"""What holds for every answer of Airflow's whole application: names, headers, cookies; with the execution API that tasks ask."""

import asyncio
import re

import pytest

from ecg_ui import doors

ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
CSP = "content-security-policy"
OURS = "/ecg/reports"
OTHERS = ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "", "[::1", "two words", "ä"]


def paths(airflow):
    """One address of every route and mount of the application, with a value for each part."""
    found = {re.sub(r"\{[^}]*\}", "1", route.path) or "/" for route in airflow.routes}
    return sorted(found | {"/execution/health", "/execution/task-instances/1/state", "/auth/static/nowhere", "/static/nowhere.js"})


def checked(answer, *, ours=False):
    """Fail where an answer lacks what all of them have; FAB's own pages, below ``/auth/``, have scripts in them."""
    assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS, answer.url
    assert "camera=()" in answer.headers["permissions-policy"]
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'self'" in policy
    assert policy.startswith("default-src 'none'" if ours else "default-src 'self'")
    if answer.url.path.startswith("/auth/"):
        policy = policy.replace(" 'unsafe-inline'", "", 1)
    assert not re.search(r"script-src[^;]*('unsafe-(inline|eval)'|https?:|\*)", policy)
    assert "strict-transport-security" not in answer.headers


@pytest.mark.parametrize("role", ["admin", "nobody"])
def test_every_answer_has_the_headers(airflow, client_of, archive, role):
    """Pages, files, APIs of people and of tasks, redirects and refusals, to everybody."""
    client = client_of(role)
    statuses = set()
    for path in paths(airflow):
        answer = client.get(path)
        statuses.add(answer.status_code)
        checked(answer, ours=path.startswith("/ecg/"))
    assert {200, 404, 401 if role == "nobody" else 403} <= statuses


def test_a_page_that_fails_has_the_headers(airflow, archive, monkeypatch):
    """Starlette answers 500 outside of everything that a plugin may add, and so does what fails there."""
    from airflow.api_fastapi.auth.middlewares.refresh_token import JWTRefreshMiddleware
    from fastapi.testclient import TestClient

    client = TestClient(airflow, base_url="http://testserver", raise_server_exceptions=False)
    client.get("/")

    async def fails(*_arguments):
        raise RuntimeError("broken")

    monkeypatch.setattr(JWTRefreshMiddleware, "dispatch", fails)
    fresh = [one for one in walk(airflow.middleware_stack) if isinstance(one, JWTRefreshMiddleware)]
    for one in fresh:
        monkeypatch.setattr(one, "dispatch_func", fails)
    answer = client.get("/api/v2/version")
    assert (len(fresh), answer.status_code) == (1, 500)
    checked(answer)


def walk(app):
    """A layer of an application and all within it."""
    while app is not None:
        yield app
        app = getattr(app, "app", None) or getattr(app, "_app", None)


@pytest.mark.parametrize("host", OTHERS)
def test_a_request_for_another_host_is_refused(admin, archive, host):
    """Also one of somebody who is signed in, of a task, and for a file; a browser that was led here by another name sends that name."""
    for path in (OURS, "/", "/api/v2/version", "/execution/health", "/static/pin_32.png"):
        answer = admin.get(path, headers={"host": host.encode()})
        assert answer.status_code == 400
        assert "does not answer under this name" in answer.text
        assert host not in answer.text or not host
        checked(answer)


@pytest.mark.parametrize(
    "host", ["testserver:99", "LOCALHOST", "localhost.:8080", "127.0.0.1:8080", "[::1]:8080", "10.1.2.3:8080", "api-server:8080"]
)
def test_the_servers_own_names_are_accepted(admin, archive, host, monkeypatch):
    """Loopback, what is configured, whatever the port, and an address of digits, which no name server can make lead elsewhere."""
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "http://api-server:8080/execution/")
    monkeypatch.setattr(outermost(admin), "_hosts", doors.allowed_hosts())
    assert admin.get(OURS, headers={"host": host}).status_code == 200


def outermost(client):
    """The layer around the application."""
    client.get("/api/v2/version")
    found = client.app.middleware_stack
    assert isinstance(found, doors.Doors)
    return found


def test_two_hosts_are_none(admin, archive):
    """A request that names two servers is refused, whichever comes first."""
    assert admin.get(OURS, headers=[("host", "testserver"), ("host", "evil.example")]).status_code == 400


def test_the_names_come_from_the_settings(monkeypatch):
    """The address for people, that for tasks, and a list."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://ECG.hospital.example:8443/airflow")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "http://api-server:8080/execution/")
    monkeypatch.setenv("ECG_ALLOWED_HOSTS", " one.example, Two.example ,")
    assert doors.allowed_hosts() == {"ecg.hospital.example", "api-server", "one.example", "two.example", *doors.LOOPBACK}


def test_a_server_with_tls_says_so(admin, archive, monkeypatch):
    """Where people come by TLS, browsers are told to stay with it, and cookies go by nothing else."""
    monkeypatch.setattr(outermost(admin), "_https", True)
    assert admin.get("/").headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize(
    ("given", "https", "kept"),
    [
        ("a=b", False, "a=b; HttpOnly; SameSite=lax"),
        ("a=b; Path=/; httponly; samesite=strict", False, "a=b; Path=/; httponly; samesite=strict"),
        ("a=httponly", True, "a=httponly; HttpOnly; SameSite=lax; Secure"),
        ("a=; Max-Age=0; Secure; HttpOnly", True, "a=; Max-Age=0; Secure; HttpOnly; SameSite=lax"),
    ],
)
def test_a_cookie_is_kept_from_scripts_and_other_sites(given, https, kept):
    """Whoever sets it: what it says itself stays."""
    found = dict(doors._headers([(b"Set-Cookie", given.encode())], https=https))
    assert found[b"Set-Cookie"] == kept.encode()


def test_only_fabs_own_pages_may_have_scripts_in_them(admin, archive, monkeypatch):
    """Its login and its accounts, where it is the auth manager, a class of ours over it too; no other page."""
    ours = type("Ours", (type("Fab", (), {"__module__": f"{doors.FAB}.auth_manager"}),), {})
    assert doors.login_policy(ours) == doors.FAB_POLICY
    assert doors.login_policy(dict) == doors.POLICY
    monkeypatch.setattr(outermost(admin), "_login_policy", doors.FAB_POLICY)
    having = {path for path in ("/", "/auth/login", "/auth", "/authors", "/ecg/") if "unsafe-inline' 'wasm" in admin.get(path).headers[CSP]}
    assert having == {"/auth/login"}


def through(kind, *, host="localhost", scheme):
    """What comes out of the layer where everything within sets a cookie: its messages, and whether anything within was asked."""
    asked, sent = [], []

    async def app(scope, _receive, send):
        asked.append(scope["type"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"set-cookie", b"a=b")]})

    async def send(message):
        sent.append(message)

    scope = {"type": kind, "scheme": scheme, "method": "GET", "path": "/", "query_string": b"", "headers": [(b"host", host.encode())]}
    asyncio.run(doors.Doors(app)(scope, None, send))
    return sent, asked


def test_a_websocket_for_another_host_is_closed(airflow):
    """Before anything within hears of it."""
    assert through("websocket", host="evil.example", scheme="ws") == ([{"type": "websocket.close", "code": 1008}], [])
    assert through("websocket", scheme="ws")[1] == ["websocket"]


@pytest.mark.parametrize(("scheme", "safe"), [("http", False), ("https", True)])
def test_who_came_by_tls_stays_with_it(airflow, scheme, safe):
    """Whatever address is configured."""
    headers = dict(through("http", scheme=scheme)[0][0]["headers"])
    assert (b"strict-transport-security" in headers) is safe
    assert headers[b"set-cookie"].endswith(b"; Secure") is safe
