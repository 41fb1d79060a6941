"""Here: ``python -m deploy.accounts``: the accounts' commands, where Airflow's settings are in the environment (in a container).

Not here: ``./ecg users``, which runs this for the embedded stack.
"""

import argparse
import logging
import sys
import warnings
from typing import TYPE_CHECKING

from deploy.accounts import passwords
from deploy.accounts.roles import AccountError, Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from deploy.accounts.people import AccountEntry


def parser() -> argparse.ArgumentParser:
    """Return the commands' parser."""
    made = argparse.ArgumentParser(prog="python -m deploy.accounts", description="Manage who may log in.")
    commands = made.add_subparsers(dest="command", required=True)
    for name, text in {
        "add": "Make an account.",
        "role": "Give another role.",
        "passwd": "Give a new password; sessions opened with the old one end.",
        "disable": "Disable an account; open sessions end.",
        "enable": "Enable an account again.",
    }.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("name")
        if name in {"add", "role"}:
            command.add_argument("--role", required=True, choices=[role.value for role in Role])
        if name in {"add", "passwd"}:
            command.add_argument("--make", action="store_true", help="make a password and show it once")
    commands.add_parser("list", help="Show all accounts.")
    commands.add_parser(
        "first", help="Make the roles and, unless there is one of this name, an admin, whose password comes in."
    ).add_argument("name")
    return made


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    asked = parser().parse_args(arguments)
    try:
        _run(asked, _password(asked))
    except (passwords.PasswordRefusedError, AccountError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command
        return 1
    return 0


def _password(asked: argparse.Namespace) -> str:
    if asked.command == "first":
        return sys.stdin.read()
    if asked.command not in {"add", "passwd"}:
        return ""
    return passwords.make() if asked.make else passwords.ask()


def _run(asked: argparse.Namespace, password: str) -> None:
    warnings.simplefilter("ignore")  # of the provider's own packages
    logging.disable(logging.ERROR)
    from deploy.accounts.people import opened

    with opened() as people:
        if asked.command == "list":
            for one in people.everybody():
                print("\t".join(_told(one)))  # noqa: T201 - a command
            return
        acts: dict[str, Callable[[], object]] = {
            "first": lambda: people.ensure_admin(asked.name, password),
            "add": lambda: people.add(asked.name, Role(asked.role), password),
            "role": lambda: people.set_role(asked.name, Role(asked.role)),
            "passwd": lambda: people.set_password(asked.name, password),
            "disable": lambda: people.set_active(asked.name, active=False),
            "enable": lambda: people.set_active(asked.name, active=True),
        }
        acts[asked.command]()
    if getattr(asked, "make", False):
        print(f"password of {asked.name}, shown this once: {password}")  # noqa: T201 - a command


def _told(one: "AccountEntry") -> tuple[str, str, str, str]:
    roles = ", ".join(role.lower() for role in one.roles) or "no role"
    seen = f"last login {one.last_login:%Y-%m-%d %H:%M} UTC" if one.last_login else "never logged in"
    return one.name, roles, "active" if one.active else "disabled", seen


if __name__ == "__main__":
    sys.exit(main())
