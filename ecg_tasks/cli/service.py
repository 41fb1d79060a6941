"""Here: ``service install``, ``remove`` and ``status``, for systemd. Not here: the unit (``deploy.embedded.service``)."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from ecg_tasks.cli.terminal import complain, console, say

if TYPE_CHECKING:
    from deploy.embedded.service import Scope

app = typer.Typer(
    help="Let systemd start the stack at boot, and again after any failure.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

System = Annotated[
    bool | None,
    typer.Option(
        "--system/--user", help="A service of the machine, which root installs, or of your own user.", show_default="system for root"
    ),
]


def _scope(system: bool | None) -> "Scope":  # noqa: FBT001 - as typer gives it
    return "system" if (os.geteuid() == 0 if system is None else system) else "user"


@app.command("install")
def install(*, system: System = None) -> None:
    """Write a unit for this checkout and ECG_HOME, start the stack under it now, and at every boot.

    A stack that runs already is stopped in order first. Variables that steer the stack are kept as they are now, in a file of the
    state folder that only its owner may read; install again after changing one.
    """
    from deploy.embedded import Stack, service

    stack, scope = Stack(), _scope(system)
    say("starting the stack under systemd")
    said = service.install(stack.home, scope)
    name = service.unit_name(stack.home)
    say(f"the unit: {service.unit_file(stack.home, scope)}")
    if scope == "user" and not service.lingers():
        say("your services start when you log in, and end when you log out; to have them start at boot: loginctl enable-linger")
    if said:
        complain(f"systemd did not start {name}: {said}; see: {_journal(scope, name)}")
        raise typer.Exit(1)
    say(f"{name} runs, and starts at every {'boot' if scope == 'system' or service.lingers() else 'login'}")


@app.command("remove")
def remove(*, system: System = None) -> None:
    """Stop the service and take its unit away. The bucket, the models and the history of runs stay."""
    from deploy.embedded import Stack, service

    stack, scope = Stack(), _scope(system)
    name = service.unit_name(stack.home)
    if not service.remove(stack.home, scope):
        complain(f"there is no service {name}")
        raise typer.Exit(1)
    say(f"{name} is gone; the state stays in {stack.home}")


@app.command("status")
def status(*, system: System = None) -> None:
    """Tell what systemd says of the service. Exits with 0 when it runs, else with 1."""
    from deploy.embedded import Stack, service

    stack, scope = Stack(), _scope(system)
    name = service.unit_name(stack.home)
    found = service.state(stack.home, scope)
    if not found:
        complain(f"there is no service {name}; ./ecg service install makes one")
        raise typer.Exit(1)
    active = found.get("ActiveState") == "active"
    console().print(
        f"{name}  [{'green' if active else 'red'}]{found.get('ActiveState')} ({found.get('SubState')})[/]  {found.get('StatusText')}"
    )
    console().print(f"starts at boot  {_at_boot(found)}")
    console().print(f"restarted       {found.get('NRestarts')} times by systemd since it was started")
    console().print(f"its log         {_journal(scope, name)}")
    if not active:
        console().print(f"start it with   systemctl{' --user' if scope == 'user' else ''} start {name}")
    raise typer.Exit(0 if active else 1)


def _at_boot(found: dict[str, str]) -> str:
    if found.get("UnitFileState") != "enabled":
        return "no: ./ecg service install"
    return "yes" if found.get("Linger", "yes") == "yes" else "no, at login only; at boot after: loginctl enable-linger"


def _journal(scope: "Scope", name: str) -> str:
    return f"journalctl {'--user ' if scope == 'user' else ''}-u {name}"
