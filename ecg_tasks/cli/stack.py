"""Here: ``down``, ``status``, ``logs``, ``open``; ``up`` is in ``starting``. Not here: how the stack does it (``deploy.embedded``)."""

import os
import subprocess
import sys
import webbrowser
from typing import TYPE_CHECKING, Annotated

import typer

from ecg_tasks.cli.terminal import complain, console, say

if TYPE_CHECKING:
    from deploy.embedded import Stack
    from ecg_tasks.queries.store import ObjectStore


def running_stack() -> "Stack":
    """Return the stack of ``ECG_HOME``; end the command when it is not up."""
    from deploy.embedded import Stack

    stack = Stack()
    if not stack.is_up():
        complain(f"the stack of {stack.home} is not up; start it with: ./ecg up")
        raise typer.Exit(1)
    return stack


def open_bucket() -> "ObjectStore":
    """Open the bucket of the running stack; ends the command when it is not up."""
    from ecg_tasks.queries.store import open_store

    os.environ.update(running_stack().environment())
    return open_store()


def down() -> None:
    """Stop everything in order. The bucket, the models and the history of runs stay."""
    from deploy.embedded import Stack

    stack = Stack()
    stack.down()
    say(f"nothing runs any more; the state stays in {stack.home}")


def status(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: healthy, ui, login, bucket, endpoint, components, advice.")] = False,
) -> None:
    """Tell within two seconds whether the stack is healthy, component by component, and what to do. Exits with 0 when it is, else 1."""
    from ecg_tasks.cli.status import show

    raise typer.Exit(0 if show(as_json=as_json) else 1)


def logs(
    component: Annotated[str | None, typer.Argument(help="One component, as ./ecg status names it; default: all.")] = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing what is added, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Lines from the end of each log.")] = 50,
) -> None:
    """Print the logs of the components (a task's own log is in the web interface)."""
    from deploy.embedded import Stack

    home = Stack().home
    known = {file.stem: file for file in sorted(home.logs.glob("*.log"))}
    if component and component not in known:
        complain(f"there is no log of {component!r}; there are: {', '.join(known) or 'none yet'}")
        raise typer.Exit(1)
    files = [str(known[component])] if component else [str(file) for file in known.values()]
    if not files:
        complain(f"there are no logs in {home.logs}; the stack was never started")
        raise typer.Exit(1)
    command = ["tail", "-n", str(lines), *(["-F"] if follow else []), "--", *files]
    sys.exit(subprocess.run(command, check=False).returncode)  # noqa: S603 - tail, and no shell


def open_ui() -> None:
    """Print the address, the login and, in a terminal, the password of the web interface, and open it in a browser if there is one."""
    stack = running_stack()
    describe(stack)
    webbrowser.open(stack.ui)


def describe(stack: "Stack") -> None:
    """Print what a person needs to use a running stack; a secret goes to a terminal only, not into a file, a pipe or a log of CI."""
    environment = stack.environment()
    where = f"(its password: ./ecg open in a terminal, or admin_password in {stack.home}/secrets.json)"
    secret = f"password [bold]{stack.password}[/]" if console().is_terminal else where
    console().print(f"web interface  {stack.ui}  login [bold]{stack.login}[/]  {secret}")
    endpoint = environment.get("AWS_ENDPOINT_URL_S3", "AWS")
    console().print(f"bucket         s3://{environment['ECG_BUCKET']}  at {endpoint}")
    if prints := stack.certificate:
        console().print(f"certificate    SHA-256 {prints}, made by itself: compare it with what the browser shows, once")
    console().print("drop a file    ./ecg put FILE…    stop  ./ecg down")
