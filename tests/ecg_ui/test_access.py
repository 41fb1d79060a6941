"""Who may see and change what: every route, with the roles of Airflow's own auth manager."""

import re

import pytest
from markupsafe import escape

from ecg_tasks.archive import keys
from ecg_tasks.queries import quarantine
from ecg_ui import rendering, security
from ecg_ui.app import create_app
from tests.examples import example, template

RECORD = "0" * 32
VALUES = {
    "date": "2026-03-02",
    "run": "some_run",
    "kind": "summary.json",
    "recipe": "twelve_lead",
    "version": "aaaa00000001",
    "source": "0" * 64,
    "record_id": RECORD,
    "name": "style.css",
    "plot": "roc.svg",
    "number": "0",
}
FIELDS = {
    "record_id": RECORD,
    "verdict": "normal",
    "at": "2026-03-02T00:00:00+00:00",
    "version": "aaaa00000001",
    "why": "a reason",
    "file": "0" * 24,
    "act": "hidden",
}
QUERIES = {
    "/answer": "?run=page__2026-03-02T00:00:00%2B00:00-ffffffff",
    "/models/compare": "?recipe=twelve_lead&one=aaaa00000001&other=aaaa00000002",
    "/run": "?dag_id=classify_records&run_id=r",
}


def checks(route):
    """Everything that a route depends on, however deep."""
    found, waiting = set(), [route.dependant]
    while waiting:
        one = waiting.pop()
        found.add(one.call)
        waiting += one.dependencies
    return found


def all_routes():
    """Method, path and route of everything that the application answers."""
    return [(method, route.path, route) for route in create_app().routes for method in sorted(route.methods)]


def address(path):
    """A possible address of a route."""
    return "/ecg" + re.sub(r"\{(\w+)(?::path)?\}", lambda found: VALUES[found[1]], path) + QUERIES.get(path, "")


ROUTES = all_routes()
IDS = [f"{method} {path}" for method, path, _ in ROUTES]


@pytest.mark.parametrize(("method", "path", "route"), ROUTES, ids=IDS)
def test_no_route_is_without_its_check(method, path, route):
    """Showing asks for reading, changing for editing and for a form of ours; only what holds no data asks for a session alone."""
    found = checks(route)
    if path.startswith("/static/"):
        assert security.signed_in in found
    elif method in {"GET", "HEAD"}:
        assert security.may_read in found
    else:
        assert security.sent_from_here in found
        rights = {security.may_decide, security.may_forget, security.may_label, security.may_put_back, security.may_run, security.may_ask}
        assert len(found & rights) == 1


def test_there_are_routes_of_every_kind():
    """The list that the tests of this file go through is not empty."""
    assert {"GET", "POST"} == {method for method, _, _ in ROUTES}
    assert len(ROUTES) > 15


@pytest.mark.parametrize(("method", "path", "route"), ROUTES, ids=IDS)
def test_without_a_session_nothing_is_answered(method, path, route, client_of, archive):
    """A person is led to the login page, which leads back; a program gets 401."""
    nobody = client_of("nobody")
    answer = nobody.request(method, address(path), data=FIELDS if method == "POST" else None)
    if method == "GET":
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/api/v2/auth/login?next=%2Fecg")
        assert nobody.get(address(path), headers={"accept": "application/json"}).status_code == 401
    else:
        assert answer.status_code == 401


@pytest.mark.parametrize(("method", "path", "route"), ROUTES, ids=IDS)
def test_without_a_role_everything_is_forbidden(method, path, route, client_of, archive):
    """Somebody whose session gives no right on the DAG gets 403, except for the style sheet."""
    answer = client_of(None).request(method, address(path), data=FIELDS if method == "POST" else None)
    assert answer.status_code == (200 if path.startswith("/static/") else 403)


OPERATING = {"operator", "admin"}
MAY_CHANGE = {
    "answer": OPERATING,
    "first-steps": OPERATING,
    "forget": {"admin"},
    "inbox": OPERATING,
    "models": {"admin"},
    "quarantine": OPERATING,
    "records": OPERATING,
    "review": {"reviewer", "admin"},
}
"""First part of a form's address -> who may send it."""
MAY_FETCH = {"/quarantine/{name}/files/{number}": {"operator", "admin"}}
"""What not everybody may read who may read."""


@pytest.mark.parametrize("role", ["reader", "reviewer", "operator", "admin"])
@pytest.mark.parametrize(("method", "path", "route"), ROUTES, ids=IDS)
def test_roles(method, path, route, *, role, client_of, archive):
    """Everybody with a role may read; only some may change what a form changes, and nobody without a form of ours."""
    answer = client_of(role).request(method, address(path), data=FIELDS if method == "POST" else None)
    if method == "GET":
        allowed = role in MAY_FETCH.get(path, {role})
        assert answer.status_code in ({200, 404} if allowed else {403})
    else:
        assert answer.status_code == 403
        assert ("more rights" in answer.text) == (role not in MAY_CHANGE[path.split("/")[1]])


def test_a_forged_session_is_refused(client_of, archive):
    """A token that Airflow has not signed opens nothing."""
    forger = client_of("nobody")
    forger.cookies.set("_token", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEiLCJyb2xlIjoiQURNSU4ifQ.")
    assert forger.get("/ecg/").status_code in {303, 401, 403}


@pytest.mark.parametrize("path", ["/ecg/", "/ecg/static/style.css", "/ecg/nowhere", "/ecg/records/zzz"])
def test_headers_are_on_every_answer(path, admin, archive):
    """Pages, files and errors: nothing from elsewhere, nothing inline, no frame but Airflow's, no guessing of types."""
    headers = admin.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'self'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert ("no-store" in headers["cache-control"]) == ("static" not in path)


def test_only_who_may_edit_sees_the_names_of_files_and_what_stands_in_them(viewer, admin, archive, monkeypatch):
    """A file in quarantine or in the inbox is named by a digest to everybody else; its sentence and its content may hold anything."""
    monkeypatch.delenv("ECG_KEEP_NAMES")
    entries = quarantine.entries(archive.store).entries
    assert entries
    assert viewer.get(f"/ecg/quarantine/{entries[0].id}/files/0").status_code == 403
    waits = f"{keys.INBOX}Mustermann/Erika.hea"
    archive.store.put(waits, b"Erika 1 500 5000")
    try:
        assert "Mustermann" in admin.get("/ecg/").text
        assert "Mustermann" not in viewer.get("/ecg/").text
    finally:
        archive.store.delete(waits)
    for path in ("/ecg/quarantine", *(f"/ecg/quarantine/{one.id}" for one in entries)):
        seen, all_of_it = viewer.get(path).text, admin.get(path).text
        shown = [one for one in entries if path.endswith(("/quarantine", one.id))]
        assert all(escape(one.name) in all_of_it and escape(one.message) in all_of_it for one in shown)
        assert not any(escape(text) in seen for one in shown for text in (one.name, one.message, one.name.rpartition("/")[2]))
        assert "<pre" not in seen


def test_viewers_see_no_forms(viewer, archive, rows):
    """What one may not do is not offered."""
    for path in ("/ecg/review", "/ecg/models", f"/ecg/records/{rows[0]['record_id']}"):
        assert 'method="post"' not in viewer.get(path).text


def test_the_page_of_the_worked_example_is_shown_to_who_may_read(pages, client_of, archive, monkeypatch):
    """A route that is listed with those that show stands behind their check."""
    from fastapi import Depends
    from jinja2 import ChoiceLoader, DictLoader

    from ecg_ui.app import _include

    environment = rendering._environment()
    added = DictLoader({"ui/waiting.html": template("waiting.html")})
    monkeypatch.setattr(environment, "loader", ChoiceLoader([environment.loader, added]))

    _include(pages, (example("page")["router"],), Depends(security.may_read))
    try:
        assert re.search(r"Files that wait: \d+<", client_of("reader").get("/ecg/waiting").text)
        assert client_of("nobody").get("/ecg/waiting").status_code in {303, 401}
    finally:
        pages.router.routes.pop()
