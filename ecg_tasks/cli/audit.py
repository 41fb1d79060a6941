"""Here: ``audit``: the log of who did what, and whether it was tampered with. Not here: writing it (``archive.audit``)."""

import json
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from ecg_tasks.cli.stack import open_bucket
from ecg_tasks.cli.terminal import complain, console, say

if TYPE_CHECKING:
    from ecg_tasks.queries.store import ObjectStore


class What(StrEnum):
    """What to do with the log."""

    SHOW = "show"
    VERIFY = "verify"


def audit(
    what: Annotated[
        What, typer.Argument(help="show, or verify: look for entries changed, removed, inserted, reordered or cut off.")
    ] = What.SHOW,
    *,
    last: Annotated[int, typer.Option("--last", "-n", min=1, help="show: so many of the latest entries.")] = 50,
    known: Annotated[list[str] | None, typer.Option(help="verify: a digest kept from an earlier time; it must be in the log.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show who promoted, rejected, reviewed, deleted or published what, or verify that the log was not tampered with."""
    store = open_bucket()
    if what is What.SHOW:
        _show(store, last, as_json=as_json)
    elif not _is_sound(store, known or [], as_json=as_json):
        raise typer.Exit(1)


def _show(store: "ObjectStore", last: int, *, as_json: bool) -> None:
    from rich.markup import escape

    from ecg_tasks.queries import audit_log

    found = audit_log.latest(store, last)
    if as_json:
        print(json.dumps([{"digest": digest} | asdict(entry) for digest, entry in found], indent=1))  # noqa: T201 - for a program
        return
    for digest, entry in found:
        detail = json.dumps(entry.detail, ensure_ascii=False)
        first = f"{entry.number:>6}  {digest[:12]}  {entry.when}  {escape(entry.who)}  [bold]{entry.action}[/]"
        console().print(f"{first}  {escape(entry.subject)}" + (f"\n        [dim]{escape(detail)}[/]" if entry.detail else ""))


def _is_sound(store: "ObjectStore", known: list[str], *, as_json: bool) -> bool:
    from ecg_tasks.queries import audit_log

    found = audit_log.check(store, known=known)
    if as_json:
        print(json.dumps(asdict(found), indent=1))  # noqa: T201 - for a program
        return not found.faults
    for fault in found.faults:
        complain(f"{fault.kind}: {fault.sentence}")
    if not found.faults:
        say(f"{found.n_entries} entries, each as it was written; {found.n_anchors} digests kept outside the log are in it")
    for end in found.ends:
        say(f"the log ends in {end}; kept elsewhere, it proves later that nothing before it was cut off (--known)")
    return not found.faults
