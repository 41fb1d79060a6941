"""People with accounts: logging in by form and by API, waiting, the end of sessions. Not here: what a role may (``test_rest_roles``)."""

import re
import warnings

import pytest
from sqlalchemy import select

from deploy.accounts import __main__ as commands
from deploy.accounts.logins import THROTTLE
from deploy.accounts.roles import RIGHTS, AccountError, Role
from deploy.accounts.throttle import FREE
from tests.ecg_ui.conftest import PASSWORD

OTHER = "another long password"


@pytest.fixture
def anna(people):
    """A reader's name; her account as it was made, whatever a test before did to it."""
    with people() as accounts:
        try:
            accounts.add("anna", Role.READER, PASSWORD)
        except AccountError:
            accounts.set_active("anna", active=True)
            accounts.set_role("anna", Role.READER)
            accounts.set_password("anna", PASSWORD)
    THROTTLE.right("anna")
    return "anna"


def token(client, name, password):
    """The answer of the API's door."""
    return client.post("/auth/token", json={"username": name, "password": password})


def by_form(client, name, password):
    """Log in by the page, as a browser does; the answer to the form."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the packages behind the form
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get("/auth/login/?next=/ecg/").text)
        assert found
        fields = {"csrf_token": found[1], "username": name, "password": password}
        return client.post("/auth/login/?next=/ecg/", data=fields)


def forget():
    """Let the api-server forget what it remembers of accounts, as it does after five seconds."""
    from airflow.api_fastapi.app import get_auth_manager

    get_auth_manager().cache.clear()


def test_passwords_are_kept_as_salted_hashes(people, anna):
    """Two accounts with one password have nothing in common in the database."""
    with people() as accounts:
        with pytest.raises(AccountError, match="already"):
            accounts.add("ANNA", Role.ADMIN, PASSWORD)
        try:
            accounts.add("bert", Role.READER, PASSWORD)
        except AccountError:
            accounts.set_password("bert", PASSWORD)
        model = accounts._manager.user_model
        kept = accounts._manager.session.scalars(select(model.password).where(model.username.in_(("anna", "bert")))).all()
    assert len(set(kept)) == 2
    assert all(one.startswith("scrypt:") and PASSWORD not in one for one in kept)


def test_both_doors_let_in_and_the_pages_open(client_of, anna, archive):
    """By the form a browser gets a session that opens the pages; by the API a program gets a token."""
    browser = client_of("nobody")
    answer = by_form(browser, anna, PASSWORD)
    assert answer.status_code == 302
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith("_token="))
    assert "HttpOnly" in cookie
    page = browser.get("/ecg/")
    assert page.status_code == 200
    assert "anna, read-only" in page.text
    program = client_of("nobody")
    given = token(program, anna, PASSWORD)
    assert given.status_code == 201
    assert program.get("/ecg/", headers={"authorization": f"Bearer {given.json()['access_token']}"}).status_code == 200


@pytest.mark.parametrize("door", [token, by_form])
def test_wrong_passwords_have_to_wait(door, client_of, anna, caplog):
    """After five, even the right one is refused with 429 and how long to wait; no log has a password."""
    refused = [door(client_of("nobody"), anna, "a wrong password") for _ in range(FREE)]
    waits = door(client_of("nobody"), anna, PASSWORD)
    assert {one.status_code for one in refused} <= {401, 302, 200}
    assert waits.status_code == 429
    assert int(waits.headers["retry-after"]) > 0
    assert "Too many wrong passwords" in waits.text
    assert PASSWORD not in caplog.text
    THROTTLE.right(anna)


def test_unknown_names_and_wrong_passwords_look_alike(client_of, anna):
    """Nobody learns by trying which accounts there are."""
    answers = [token(client_of("nobody"), name, "a wrong password") for name in (anna, "no such person")]
    assert [(one.status_code, one.text) for one in answers] == [(answers[0].status_code, answers[0].text)] * 2
    assert answers[0].status_code == 401


def test_a_disabled_account_is_out_and_may_come_back(client_of, people, anna, archive):
    """Its open session ends within the five seconds that an api-server remembers accounts, and no door opens."""
    browser = client_of("nobody")
    by_form(browser, anna, PASSWORD)
    assert browser.get("/ecg/").status_code == 200
    with people() as accounts:
        accounts.set_active(anna, active=False)
    forget()
    assert browser.get("/ecg/").status_code in {303, 401, 403}
    assert browser.get("/api/v2/dags").status_code in {401, 403}
    assert token(client_of("nobody"), anna, PASSWORD).status_code == 401
    with people() as accounts:
        accounts.set_active(anna, active=True)
    THROTTLE.right(anna)
    assert token(client_of("nobody"), anna, PASSWORD).status_code == 201


def test_a_new_password_ends_the_sessions_of_the_old_one(client_of, people, anna, archive):
    """What is opened with the new one holds at once, though the api-server may remember the old account."""
    old, new = client_of("nobody"), client_of("nobody")
    by_form(old, anna, PASSWORD)
    assert old.get("/ecg/").status_code == 200
    with people() as accounts:
        accounts.set_password(anna, OTHER)
    by_form(new, anna, OTHER)
    assert new.get("/ecg/").status_code == 200
    assert old.get("/ecg/").status_code in {303, 401, 403}
    assert token(client_of("nobody"), anna, PASSWORD).status_code == 401


def test_another_role_holds_for_open_sessions(client_of, people, anna, archive):
    """What somebody may do is asked of the database, not of the token."""
    browser = client_of("nobody")
    by_form(browser, anna, PASSWORD)
    assert "read-only" in browser.get("/ecg/").text
    with people() as accounts:
        accounts.set_role(anna, Role.REVIEWER)
    forget()
    assert "read-only" not in browser.get("/ecg/").text


def test_one_admin_always_stays(people):
    """The last one can neither be disabled nor given another role."""
    with people() as accounts:
        admins = [one.name for one in accounts.everybody() if one.active and Role.ADMIN.stored in one.roles]
        if not admins:
            accounts.add("root", Role.ADMIN, PASSWORD)
            admins = ["root"]
        for name in admins[1:]:
            accounts.set_active(name, active=False)
        try:
            with pytest.raises(AccountError, match="last admin"):
                accounts.set_active(admins[0], active=False)
            with pytest.raises(AccountError, match="last admin"):
                accounts.set_role(admins[0], Role.READER)
        finally:
            for name in admins[1:]:
                accounts.set_active(name, active=True)


def test_the_first_administrator_is_made_once(people):
    """Roles and account stand after the first start; a second one changes neither the password nor anything else."""
    with people() as accounts:
        accounts.ensure_admin("chief", PASSWORD)
        kept = accounts._find("chief").password
        assert accounts.ensure_admin("chief", OTHER) is False
        assert accounts._find("chief").password == kept


def test_a_right_that_a_role_should_not_have_goes(people):
    """What somebody added to one of our roles by hand is gone after the next start; the roles stay as the table has them."""
    with people() as accounts:
        manager = accounts._manager
        role = manager.find_role("reader")
        manager.add_permission_to_role(role, manager.create_permission("can_edit", "DAGs"))
        manager.sync_roles()
        for one in (Role.READER, Role.REVIEWER, Role.OPERATOR):
            stored = {(each.action.name, each.resource.name) for each in manager.find_role(one.stored).permissions}
            assert stored == RIGHTS[one]
        assert manager.find_role("Op") is None


@pytest.mark.parametrize("name", ["", "a b", "-anna", "../x", "x" * 65, "anna\n"])
def test_names_that_could_mislead_are_refused(people, name):
    """A name stands in logs and beside verdicts: no blanks, no line ends, nothing that looks like an option or a path."""
    with people() as accounts, pytest.raises(AccountError, match="a name has"):
        accounts.add(name, Role.READER, PASSWORD)


def test_a_password_is_no_argument():
    """No command takes one, and the roles are the four."""
    parser = commands.parser()
    with pytest.raises(SystemExit):
        parser.parse_args(["add", "anna", "--role", "reader", "--password", "x"])
    with pytest.raises(SystemExit):
        parser.parse_args(["add", "anna", "--role", "superuser"])
    assert parser.parse_args(["add", "anna", "--role", "reviewer"]).role == "reviewer"


@pytest.mark.parametrize("groups", [{"groups": ["ecg-reviewers"]}, {"roles": ["ecg-reviewers"]}, {"groups": "ecg-reviewers"}])
def test_openid_connects_claims_become_a_person(people, groups):
    """Name, address and groups, by whichever claim a provider gives them; without a name of one's own the subject stands for it."""
    claims = {"sub": "u1", "preferred_username": "oda", "email": "oda@example.org", "given_name": "Oda", "family_name": "O"} | groups
    with people() as accounts:
        found = accounts._manager.get_oauth_user_info("oidc", {"userinfo": claims})
        unnamed = accounts._manager.get_oauth_user_info("oidc", {"userinfo": {"sub": "u2"}})
    assert found == {
        "username": "oda",
        "email": "oda@example.org",
        "first_name": "Oda",
        "last_name": "O",
        "role_keys": ["ecg-reviewers"],
    }
    assert (unnamed["username"], unnamed["role_keys"]) == ("u2", [])


def test_a_copied_session_ends_with_the_logout(client_of, anna, archive):
    """Neither the token opens a page any more, nor does the session of the login page give a new one."""
    browser = client_of("nobody")
    assert by_form(browser, anna, PASSWORD).status_code == 302
    copied = dict(browser.cookies)
    assert {"_token", "session"} <= copied.keys()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the packages behind the logout
        left = browser.get("/api/v2/auth/logout")
        while left.is_redirect:
            left = browser.get(left.headers["location"])
        thief = client_of("nobody")
        for name, value in copied.items():
            thief.cookies.set(name, value)
        assert thief.get("/ecg/").status_code in {303, 401, 403}
        thief = client_of("nobody")
        thief.cookies.set("session", copied["session"])
        answer = thief.get("/auth/login/?next=/ecg/")
    assert "_token" not in thief.cookies
    assert answer.status_code == 200
