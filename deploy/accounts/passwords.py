"""Here: which passwords are taken, and how they are asked for. Not here: how they are kept (hashed by FAB)."""

import getpass
import secrets
import sys

SHORTEST = 12
"""Characters. Length is all that is asked for: rules on kinds of characters lead to worse passwords (NIST SP 800-63B)."""


class PasswordRefusedError(ValueError):
    """A password is not taken; says why."""


def check(password: str) -> None:
    """Refuse a password that is too short, or one character repeated.

    Raises
    ------
    PasswordRefusedError
    """
    if len(password) < SHORTEST:
        raise PasswordRefusedError(f"a password has at least {SHORTEST} characters")
    if len(set(password)) < 4:  # noqa: PLR2004 - "aaaaaaaaaaab" is none
        raise PasswordRefusedError("this password is too easy to guess")


def make() -> str:
    """Draw one of 16 characters without those that look like others."""
    return "".join(secrets.choice("abcdefghkmnpqrstuvwxyzABCDEFGHKMNPQRSTUVWXYZ23456789") for _ in range(16))


def ask() -> str:
    """Ask twice at a terminal without showing it; otherwise take the first line that comes in.

    Raises
    ------
    PasswordRefusedError
    """
    if sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != password:
            raise PasswordRefusedError("the two passwords differ")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    check(password)
    return password
