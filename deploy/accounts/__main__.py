"""Here: ``python -m deploy.accounts``: the accounts' commands, where Airflow's settings are in the environment (in a container).

Not here: ``./ecg users``, which runs this for the embedded stack.
"""

import argparse
import logging
import sys
import warnings

from deploy.accounts import passwords
from deploy.accounts.roles import Role


def parser() -> argparse.ArgumentParser:
    """Return the commands' parser."""
    made = argparse.ArgumentParser(prog="python -m deploy.accounts", description="Manage who may log in.")
    commands = made.add_subparsers(dest="command", required=True)
    for name, text in {
        "add": "Make an account.",
        "role": "Give another role.",
        "passwd": "Give a new password; sessions opened with the old one end.",
        "disable": "Let somebody in no longer; open sessions end.",
        "enable": "Let somebody in again.",
    }.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("name")
        if name in {"add", "role"}:
            command.add_argument("--role", required=True, choices=[role.value for role in Role])
        if name in {"add", "passwd"}:
            command.add_argument("--make", action="store_true", help="make a password and show it once")
    commands.add_parser("list", help="Show all accounts.")
    commands.add_parser("first", help="Make the roles and, unless there is one of this name, an admin, whose password comes in.").add_argument("name")
    return made


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    asked = parser().parse_args(arguments)
    password = ""
    if asked.command in {"add", "passwd"}:
        try:
            password = passwords.make() if asked.make else passwords.ask()
        except passwords.PasswordRefusedError as error:
            return _complain(str(error))
    warnings.simplefilter("ignore")  # of the provider's own packages
    logging.disable(logging.ERROR)
    from deploy.accounts.people import AccountError, opened

    try:
        with opened() as people:
            if asked.command == "list":
                for one in people.everybody():
                    seen = f"last login {one.last_login:%Y-%m-%d %H:%M} UTC" if one.last_login else "never logged in"
                    told = (one.name, ", ".join(one.roles) or "no role", "active" if one.active else "disabled", seen)
                    print("\t".join(told).lower())  # noqa: T201 - a command
            elif asked.command == "first":
                people.ensure_admin(asked.name, sys.stdin.read())
            elif asked.command == "add":
                people.add(asked.name, Role(asked.role), password)
            elif asked.command == "role":
                people.set_role(asked.name, Role(asked.role))
            elif asked.command == "passwd":
                people.set_password(asked.name, password)
            else:
                people.set_active(asked.name, active=asked.command == "enable")
    except AccountError as error:
        return _complain(str(error))
    if password and asked.make:
        print(f"password of {asked.name}: {password}")  # noqa: T201 - shown this once
    return 0


def _complain(sentence: str) -> int:
    print(sentence, file=sys.stderr)  # noqa: T201 - a command
    return 1


if __name__ == "__main__":
    sys.exit(main())
