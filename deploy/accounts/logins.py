"""Here: a try to log in, by whichever door: it waits after too many wrong ones, and is told in one place.

Not here: whether a password is right (FAB), or the doors (``auth_manager``: the API's; ``security_manager``: the page's).
"""

import logging
import math
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

from deploy.accounts.throttle import Throttle

User = TypeVar("User")

log = logging.getLogger(__name__)
THROTTLE = Throttle()


class LoginOutcome(StrEnum):
    """How it ended."""

    IN = "logged in"
    REFUSED = "refused"
    WAITS = "refused: too many wrong passwords"


class TooManyError(Exception):
    """A name has to wait."""

    def __init__(self, wait_s: int) -> None:
        super().__init__(f"Too many wrong passwords for this name. Try again in {wait_s} seconds.")
        self.wait_s = wait_s


def counted(name: str | None, ask: Callable[[], User | None]) -> User | None:
    """Ask for the user of a name and its password, unless too many tries were wrong.

    Raises
    ------
    TooManyError
    """
    name = name or ""
    if wait_s := THROTTLE.begin(name):
        note(name, LoginOutcome.WAITS)
        raise TooManyError(math.ceil(wait_s))
    user = ask()
    if user is not None:
        THROTTLE.right(name)
    note(name, LoginOutcome.IN if user is not None else LoginOutcome.REFUSED)
    return user


def note(name: str, outcome: LoginOutcome) -> None:
    """Tell that somebody tried to log in under a name; the name is whatever was typed, so it is quoted and cut."""
    log.log(logging.INFO if outcome is LoginOutcome.IN else logging.WARNING, "login of %r: %s", name[:64], outcome)
