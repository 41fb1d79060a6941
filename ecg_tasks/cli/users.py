"""Here: ``users``: who may log in to the embedded stack, and with which role. Not here: how accounts are kept (``deploy.accounts``)."""

import os
import subprocess
import sys
from typing import Annotated

import typer

from deploy.accounts import passwords
from deploy.accounts.roles import Role
from ecg_tasks.cli.stack import running_stack
from ecg_tasks.cli.terminal import complain

app = typer.Typer(help="Manage who may log in, and with which role.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The account's name; it stands beside what the person does.")]
RoleOption = Annotated[
    Role,
    typer.Option(
        help="reader: pages and reports. reviewer: labels, too. operator: runs, tasks, connections, inbox. admin: all, models and people."
    ),
]
Make = Annotated[bool, typer.Option("--make", help="Make a password and show it once, instead of asking for one.")]


@app.command("list")
def list_() -> None:
    """Show all accounts with their roles, disabled ones too."""
    _run("list")


@app.command("add")
def add(name: Name, *, role: RoleOption, make: Make = False) -> None:
    """Make an account. The password is asked for, or read from the first line that comes in."""
    password = _password(make=make)
    _run("add", name, "--role", role.value, password=password)
    _show(name, password, made=make)


@app.command("role")
def change_role(name: Name, *, role: RoleOption) -> None:
    """Give somebody another role."""
    _keep_for_commands(name, "keeps its role")
    _run("role", name, "--role", role.value)


@app.command("passwd")
def passwd(name: Name, *, make: Make = False) -> None:
    """Give a new password; sessions that were opened with the old one end within seconds."""
    password = _password(make=make)
    _run("passwd", name, password=password)
    stack = running_stack()
    if name.casefold() == stack.login:
        stack.home.keep_admin_password(password)
    _show(name, password, made=make)


@app.command("disable")
def disable(name: Name) -> None:
    """Disable an account; open sessions end within seconds. The name stays beside what the person did."""
    _keep_for_commands(name, "stays")
    _run("disable", name)


@app.command("enable")
def enable(name: Name) -> None:
    """Enable an account again."""
    _run("enable", name)


def _show(name: str, password: str, *, made: bool) -> None:
    if made:
        print(f"password of {name}, shown this once: {password}")  # noqa: T201 - for a program, too


def _password(*, make: bool) -> str:
    running_stack()
    try:
        return passwords.make() if make else passwords.ask()
    except passwords.PasswordRefusedError as error:
        complain(str(error))
        raise typer.Exit(1) from None


def _keep_for_commands(name: str, does: str) -> None:
    login = running_stack().login
    if name.casefold() == login:
        complain(f"{login} {does}: the commands of this stack log in as {login}")
        raise typer.Exit(1)


def _run(*arguments: str, password: str = "") -> None:
    """Run a command of the accounts' own program, which needs Airflow's settings; a password goes through its input."""
    from deploy.embedded import airflow

    environment = airflow.clean_environment(os.environ) | airflow.environment(running_stack().home)
    done = subprocess.run(  # noqa: S603 - our own program, and no shell
        [sys.executable, "-m", "deploy.accounts", *arguments], env=environment, input=password.encode(), check=False
    )
    if done.returncode:
        raise typer.Exit(done.returncode)
