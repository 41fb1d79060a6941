"""Here: ``inbox``: what waits there, and taking it away or letting it go. Not here: dropping files (``inbox``)."""

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from ecg_tasks.cli.groups import ListsByDefault
from ecg_tasks.cli.stack import open_bucket, running_stack
from ecg_tasks.cli.terminal import complain, console, for_a_program, say, table_of
from ecg_tasks.counts import number_of
from ecg_tasks.names import DagId

if TYPE_CHECKING:
    from ecg_tasks.queries.inbox import InboxEntry

_MOST_SHOWN = 100


app = typer.Typer(cls=ListsByDefault, help="List what waits in the inbox, for what and until when; delete or release files there.")

Names = Annotated[list[str], typer.Argument(help="Paths below inbox/, as in the list; a path that ends with / means a whole folder.")]


@app.command("list")
def inbox(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON: n_files, waits_for, files.")] = False) -> None:
    """List what waits in the inbox, for what and until when."""
    from dataclasses import asdict

    from ecg_tasks.queries import inbox

    with for_a_program(as_json) as answer:
        found = inbox.waiting(open_bucket())
        sums = [{"why": one.why, "files": one.files, "until": one.until} for one in found.waits_for]
        if as_json:
            answer({"n_files": found.n_files, "waits_for": sums, "files": [asdict(one) for one in found.files]})
            return
        _show(found.files)
        if len(found.files) > _MOST_SHOWN:
            say(f"{len(found.files) - _MOST_SHOWN:,} more: --json has all of them")
        for one in found.waits_for:
            say(f"{number_of(one.files, 'file waits', 'files wait')} for {one.why}{f', until {one.until} at the latest' * bool(one.until)}")
        if not found.n_files:
            say("no file is waiting")


@app.command("delete")
def delete(
    names: Names, *, yes: Annotated[bool, typer.Option("--yes", help="Do not ask for a confirmation; nothing of a file is kept.")] = False
) -> None:
    """Delete files from the inbox; it is logged, and nothing of them is kept."""
    from ecg_tasks.actions import waiting_files

    ids = _ids(names)
    if not yes:
        typer.confirm(f"Delete {len(ids):,} {_files(len(ids))} from the inbox?", abort=True)
    gone = waiting_files.delete(open_bucket(), ids, who=getpass.getuser())
    say(f"{len(gone):,} {_files(len(gone))} deleted")


@app.command("release")
def release(names: Names) -> None:
    """Let files wait no longer: the intake, which is started, takes them or refuses them with a reason. It is logged."""
    from ecg_tasks.actions import waiting_files

    released = waiting_files.release(open_bucket(), _ids(names), who=getpass.getuser())
    with running_stack().airflow() as api:
        run = api.trigger(DagId.INGEST_RECORDS)
    say(f"{len(released):,} {_files(len(released))} released; {DagId.INGEST_RECORDS} takes them over: {run}")


def _ids(names: list[str]) -> list[str]:
    """Return the ids of the files that are meant; ends the command where a name means none."""
    from ecg_tasks.errors import offer
    from ecg_tasks.queries import inbox

    files = inbox.waiting(open_bucket()).files
    found: dict[str, None] = {}
    for name in names:
        meant = [one.id for one in files if one.name == name or (name.endswith("/") and one.name.startswith(name))]
        if not meant:
            complain(f"no file {name!r} waits in the inbox{offer(name, [one.name for one in files])}")
            raise typer.Exit(1)
        found |= dict.fromkeys(meant)
    return list(found)


def _files(number: int) -> str:
    return "file" if number == 1 else "files"


def _show(files: "tuple[InboxEntry, ...]") -> None:
    from rich.markup import escape

    table = table_of("file", "bytes", "since (UTC)", "waits for", "until (UTC)")
    for one in files[:_MOST_SHOWN]:
        table.add_row(escape(one.name), f"{one.size:,}", _moment(one.since), one.why, _moment(one.until) or "its turn")
    if files:
        console().print(table)


def _moment(when: str) -> str:
    return when[:16].replace("T", " ")
