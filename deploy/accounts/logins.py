"""Here: a try to log in, by whichever door: it waits after too many wrong ones.

Not here: whether a password is right (FAB), the doors (``auth_manager``: the API's; ``security_manager``: the page's), or the log
of logins (``ecg_ui.watching``).
"""

import math
from collections.abc import Callable
from typing import TypeVar

from deploy.accounts.throttle import Throttle

User = TypeVar("User")

THROTTLE = Throttle()


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
        raise TooManyError(math.ceil(wait_s))
    user = ask()
    if user is not None:
        THROTTLE.right(name)
    return user
