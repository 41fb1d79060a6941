"""What of requests to Airflow's whole application goes into the access log: logins, refusals, and every page of ours."""

import asyncio
import json
import re

import pytest
from fastapi.testclient import TestClient

from deploy.accounts.logins import THROTTLE
from deploy.accounts.throttle import FREE
from ecg_tasks.actions import access
from ecg_tasks.queries import access_report
from ecg_ui import watching
from tests.ecg_ui.conftest import PASSWORD
from tests.ecg_ui.test_access import MAY_FETCH, ROUTES, address

NEW = {"origin": "http://testserver"}


@pytest.fixture
def new(archive):
    """Function that gives what was logged since the test began, without the moment."""
    access.flush()
    before = sum(one.times for one in access_report.report(archive.store).accesses)

    def read():
        access.flush()
        found = [one for one in access_report.report(archive.store).accesses for _ in range(one.times)]
        return [(one.who, one.act, one.page, one.record, one.run, one.thing, one.outcome) for one in found[before:]]

    return read


@pytest.fixture
def passwords(admin):
    """The account ``ada`` with its password."""


@pytest.mark.parametrize("role", ["reader", None, "nobody"])
@pytest.mark.parametrize(("method", "path", "route"), ROUTES, ids=[f"{method} {path}" for method, path, _ in ROUTES])
def test_every_page_is_logged_with_who_and_outcome(method, path, route, *, role, client_of, archive, new):
    """One entry, by the route, and none of files that hold no data. Of a refused address only a record's id is kept."""
    answer = client_of(role, name=f"grace-{role}").request(method, address(path))
    found = new()
    if path.startswith("/static/") and answer.status_code == 200:
        assert found == []
        return
    ((who, act, page, record, run, thing, outcome),) = found
    assert page == f"/ecg{path}"
    assert who == ("" if role == "nobody" else f"grace-{role}")
    assert bool(record) == ("{record_id}" in path or (path, role, method) == ("/review", "reader", "GET"))
    if role == "reader" and method == "GET" and path not in MAY_FETCH:
        assert (act, outcome) == ("read", "shown" if answer.status_code < 400 else "absent")
    else:
        assert (act, outcome, run, thing) == ("request", "refused", "", "")


def test_a_read_says_which_record_run_and_file(viewer, archive, rows, new):
    """A record by itself and out of a report, a report, its files, and rows of it."""
    record, run = rows[0]["record_id"], f"{archive.date}/{archive.run}"
    viewer.get(f"/ecg/records/{record}")
    viewer.get(f"/ecg/records/{record}?date={archive.date}&run={archive.run}")
    viewer.get(archive.report)
    viewer.get(f"{archive.report}/files/predictions.csv")
    viewer.get(f"{archive.report}/rows.csv")
    page = "/ecg/reports/{date}/{run}"
    assert new() == [
        ("ada-reader", "read", "/ecg/records/{record_id}", record, "", "", "shown"),
        ("ada-reader", "read", "/ecg/records/{record_id}", record, run, "", "shown"),
        ("ada-reader", "read", page, "", run, "", "shown"),
        ("ada-reader", "read", f"{page}/files/{{kind}}", "", run, "predictions.csv", "shown"),
        ("ada-reader", "read", f"{page}/rows.csv", "", run, "", "shown"),
    ]


def test_the_record_of_the_reviewers_page_is_logged(viewer, archive, new):
    """Its address names none."""
    shown = viewer.get("/ecg/review").text
    ((_, _, page, record, *_),) = new()
    assert page == "/ecg/review"
    assert record
    assert record in shown


def test_what_a_visitor_makes_up_is_not_kept(viewer, archive, new):
    """A name in an address that leads nowhere, and a refused one of Airflow's own, leave no trace of it."""
    viewer.get("/ecg/records/Mustermann")
    viewer.get("/ecg/reports/2026-03-02/Mustermann")
    viewer.get("/ecg/quarantine/Mustermann")
    viewer.get("/ecg/Mustermann/Erika")
    viewer.get("/api/v2/variables/Mustermann")
    viewer.get(f"/ecg/records/{'0' * 32}?date=2026-03-02&run=Mustermann")
    found = new()
    assert "Mustermann" not in json.dumps(found)
    assert [one[-1] for one in found] == ["absent", "absent", "absent", "refused", "absent"]


def test_refusals_of_airflows_own_api_are_logged(client_of, archive, new):
    """By the first parts of the address; who had a valid session is named."""
    client_of("nobody").get("/api/v2/dags/classify_records/dagRuns")
    client_of("reader", name="grace").get("/api/v2/connections")
    client_of("reader", name="grace").get("/api/v2/dags")
    assert new() == [
        ("", "request", "/api/v2", "", "", "", "refused"),
        ("grace", "request", "/api/v2", "", "", "", "refused"),
    ]


def test_another_host_is_logged(viewer, archive, new):
    """It is a refusal, too."""
    viewer.get("/ecg/", headers={"host": "evil.example"})
    assert new() == [("", "request", "another host", "", "", "", "refused")]


@pytest.mark.parametrize("path", ["/auth/token", "/auth/token/cli"])
@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
def test_logins_are_logged_with_the_name_that_was_entered(path, password, client_of, passwords, new):
    """Those that succeed and those that don't; never the password."""
    answer = client_of("nobody").post(path, json={"username": "ada", "password": password})
    right = password == PASSWORD
    assert answer.status_code == (201 if right else 401)
    assert new() == [("ada", "login", path.replace("/cli", ""), "", "", "", "shown" if right else "refused")]


def test_a_login_that_has_to_wait_is_logged(client_of, passwords, new):
    """Even with the right password it is refused."""
    for _ in range(FREE):
        THROTTLE.begin("ada")
    answer = client_of("nobody").post("/auth/token", json={"username": "ada", "password": PASSWORD})
    THROTTLE.right("ada")
    assert answer.status_code == 429
    assert new() == [("ada", "login", "/auth/token", "", "", "", "refused")]


@pytest.mark.parametrize(("target", "logged"), [("/auth/login/", [("", "login", "refused")]), ("/auth/", [])])
def test_whom_a_provider_of_identities_does_not_let_in_is_logged(target, logged, archive, new):
    """FAB sends the person back to its login; whom it lets in gets a session with the next answer, which is noted then."""

    async def sent_back(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 302, "headers": [(b"location", target.encode())]})
        await send({"type": "http.response.body"})

    TestClient(watching.Watch(sent_back), follow_redirects=False).get("/auth/oauth-authorized/oidc?code=x&state=y")
    assert [(one[0], one[1], one[-1]) for one in new()] == logged


def test_a_form_is_a_login_too(client_of, passwords, new):
    """As the login page sends it; an odd body has no name."""
    nobody = client_of("nobody")
    assert nobody.post("/auth/token", data={"username": "ada", "password": "wrong"}).status_code >= 400
    assert nobody.post("/auth/token", data={"password": PASSWORD}).status_code >= 400
    assert [(one[0], one[1], one[-1]) for one in new()] == [("ada", "login", "refused"), ("", "login", "refused")]


@pytest.mark.parametrize(("password", "outcome"), [(PASSWORD, "shown"), ("wrong", "refused")])
def test_the_login_page_is_logged(password, outcome, client_of, passwords, new):
    """Of its several answers, one entry; the session that it gives no script can read."""
    client = client_of("nobody")
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get("/auth/login/").text)[1]
    answer = client.post("/auth/login/", data={"username": "ada", "password": password, "csrf_token": token})
    cookies = answer.headers.get_list("set-cookie")
    for _ in range(3):
        if answer.status_code in {302, 303, 307}:
            answer = client.get(answer.headers["location"])
            cookies += answer.headers.get_list("set-cookie")
    assert [(one[0], one[1], one[-1]) for one in new()] == [("ada", "login", outcome)]
    assert any(cookie.startswith("_token=") for cookie in cookies) == (outcome == "shown")
    assert all("httponly" in cookie.lower() and "samesite=lax" in cookie.lower() for cookie in cookies)


def test_a_login_that_nobody_can_read_is_logged_too(client_of, passwords, new):
    """Its name is unknown; however deep its body is, it is no way around the log."""
    deep = "[" * 5000 + "]" * 5000
    answer = client_of("nobody").post("/auth/token", data={"password": deep}, headers={"content-type": "application/x-www-form-urlencoded"})
    assert answer.status_code >= 400
    login = watching._Login({"headers": [(b"content-type", b"application/json")]}, None, None)
    login._body += b'{"username":' + deep.encode() + b"}"
    assert len(login.name) <= watching.MAX_NAME
    assert [(one[0], one[1], one[-1]) for one in new()] == [("", "login", "refused")]


def test_a_download_is_logged_before_its_first_byte(airflow, client_of, archive, new, monkeypatch):
    """It may last for minutes, and the server be killed meanwhile."""
    from ecg_ui.pages import files

    def breaks():
        yield b"first"
        raise RuntimeError("killed")

    monkeypatch.setattr(files.downloads, "download", lambda *_: breaks())
    with pytest.raises(RuntimeError, match="killed"):
        client_of("reader").get(f"{archive.report}/files/predictions.csv")
    assert [(one[-2], one[-1]) for one in new()] == [("predictions.csv", "shown")]


def test_what_fails_before_it_answers_is_logged(archive, new):
    """A login that breaks is one that failed, under the name that was entered."""

    async def breaks(_scope, receive, _send):
        await receive()
        raise RuntimeError("broken")

    async def receive():
        return {"type": "http.request", "body": b"username=grace%0Aroot&password=x"}

    scope = {"type": "http", "method": "POST", "path": "/auth/token", "query_string": b"", "headers": []}
    with pytest.raises(RuntimeError, match="broken"):
        asyncio.run(watching.Watch(breaks)(scope, receive, None))
    assert [(one[0], one[1], one[-1]) for one in new()] == [("graceroot", "login", "failed")]


def test_a_refused_token_names_its_user(client_of, archive, new):
    """A program comes with a header, and may have somebody else's cookie beside it: Airflow looks at the header, and so does the log."""
    token = client_of("reader", name="oda").cookies["_token"]
    client_of("reader", name="grace").get("/api/v2/connections", headers={"authorization": f"Bearer {token}"})
    assert [(one[0], one[-1]) for one in new()] == [("oda", "refused")]


def test_a_pages_login_gets_a_cookie_that_no_script_can_read(client_of, passwords):
    """Airflow's login page would let a script write it; a program that asks for a token gets no cookie."""
    body = {"username": "ada", "password": PASSWORD}
    answer = client_of("nobody").post("/auth/token", json=body, headers=NEW)
    token = answer.json()["access_token"]
    assert answer.headers["set-cookie"] == f"_token={token}; HttpOnly; Path=/; SameSite=lax"
    assert "set-cookie" not in client_of("nobody").post("/auth/token", json=body).headers
    wrong = client_of("nobody").post("/auth/token", json=body | {"password": "wrong"}, headers=NEW)
    assert (wrong.status_code, wrong.json()["detail"]) == (401, "Invalid credentials")
    assert "set-cookie" not in wrong.headers


def test_no_page_waits_for_the_log(viewer, archive, monkeypatch, caplog):
    """A bucket that takes no entries stops no page; what was seen is written when it does again."""
    from ecg_tasks.archive.object_store import ObjectStore
    from ecg_tasks.errors import StoreError

    access.flush()
    before = len(access_report.report(archive.store).accesses)

    def refuses(*_arguments, **_more):
        raise StoreError("the bucket is full")

    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "put", refuses)
        assert viewer.get(archive.report).status_code == 200
        with pytest.raises(StoreError):
            access.flush()
    access.flush()
    assert len(access_report.report(archive.store).accesses) == before + 1


def test_what_waits_is_written_when_the_server_stops(airflow, archive):
    """The server says that it ends before it ends. What a stranger asked of the API of tasks is a refusal, too."""
    access.flush()
    before = len(access_report.report(archive.store).accesses)
    with TestClient(airflow, base_url="http://testserver") as server:
        assert server.get("/execution/variables/x").status_code in {401, 403}
    (added,) = access_report.report(archive.store).accesses[before:]
    assert (added.page, added.outcome) == ("/execution/variables", "refused")
