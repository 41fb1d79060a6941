"""Here: passwords, waiting after wrong ones, and the table of roles. Not here: accounts at work (``tests/ecg_ui/test_accounts``)."""

import io

import pytest

from deploy.accounts import logins, passwords, roles
from deploy.accounts.roles import RIGHTS, Role
from deploy.accounts.throttle import FIRST_WAIT_S, FREE, LONGEST_WAIT_S, Throttle
from ecg_tasks.names import DagId


class Clock:
    """A clock that is moved by hand."""

    now = 1000.0

    def __call__(self):
        """Tell the time."""
        return self.now


def test_wrong_passwords_cost_more_and_more_time():
    """Five are free; from then on each try has to wait, twice as long each time up to a quarter of an hour."""
    clock = Clock()
    throttle = Throttle(clock)
    assert [throttle.begin("anna") for _ in range(FREE)] == [0.0] * FREE
    waits = []
    for _ in range(8):
        waits.append(throttle.begin("anna"))
        assert throttle.begin("ANNA") == waits[-1], "another spelling is the same account"
        clock.now += waits[-1]
        assert throttle.begin("anna") == 0.0, "after the wait one try is let through"
    assert waits == [min(FIRST_WAIT_S * 2**n, LONGEST_WAIT_S) for n in range(8)]
    assert throttle.begin("bert") == 0.0, "others do not wait"


def test_the_right_password_forgets_the_wrong_ones():
    """Who mistyped four times and then got it right may mistype again."""
    throttle = Throttle(Clock())
    for _ in range(3):
        for _ in range(FREE - 1):
            assert throttle.begin("anna") == 0.0
        throttle.right("anna")


def test_a_quiet_time_forgets_the_wrong_ones():
    """A quarter of an hour after the last wait is over, the count begins anew."""
    clock = Clock()
    throttle = Throttle(clock)
    for _ in range(FREE):
        throttle.begin("anna")
    clock.now += FIRST_WAIT_S + LONGEST_WAIT_S + 1
    assert [throttle.begin("anna") for _ in range(FREE)] == [0.0] * FREE


def test_made_up_names_fill_no_memory():
    """Only the names that were tried last are remembered."""
    throttle = Throttle(Clock())
    for number in range(10_050):
        throttle.begin(f"name{number}")
    assert len(throttle._tries) == 10_000


def test_whoever_gets_in_never_waits(monkeypatch):
    """A right password forgets the tries before it, its own too; another name's it does not."""
    monkeypatch.setattr(logins, "THROTTLE", Throttle(Clock()))
    for _ in range(2 * FREE):
        assert logins.counted("anna", lambda: "anna") == "anna"
    for _ in range(FREE):
        assert logins.counted("bert", lambda: None) is None
    logins.counted("anna", lambda: "anna")
    with pytest.raises(logins.TooManyError):
        logins.counted("bert", lambda: pytest.fail("nobody is asked while a name waits"))


def test_which_passwords_are_taken(monkeypatch):
    """Long ones; a made one is long and different each time; what comes in without a terminal is its first line."""
    for refused in ("short", "elevenchars", "aaaaaaaaaaaaaaa", "abababababab", "abcabcabcabc"):
        with pytest.raises(passwords.PasswordRefusedError):
            passwords.check(refused)
    assert passwords.make() != passwords.make()
    passwords.check(passwords.make())
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery\nsecond line\n"))
    assert passwords.ask() == "correct horse battery"


def test_roles_separate_duties():
    """Who labels runs nothing, who runs labels nothing, and neither decides which model serves or manages people."""
    reader, reviewer, operator, admin = (RIGHTS[role] for role in Role)
    assert reviewer - reader == {("can_edit", roles.LABELS)}
    assert reader < operator < admin
    assert ("can_edit", roles.LABELS) not in operator
    changing = {right for right in reader if right[0] in {"can_create", "can_edit", "can_delete"}}
    assert changing == {("can_edit", "My Password"), ("can_edit", "My Profile")}
    assert ("can_edit", "DAGs") not in operator
    assert {dag for dag in DagId if ("can_edit", f"DAG:{dag}") in operator} == set(DagId) - {DagId.DECIDE_CHAMPION, DagId.FORGET_PATIENT}
    assert ("can_edit", "HITL Detail") not in operator
