"""Here: ``audit``: the log of who did what, whether it was tampered with, and the access log. Not here: writing them (``archive``)."""

import json
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecg_tasks.cli.stack import open_bucket
from ecg_tasks.cli.terminal import complain, console, say
from ecg_tasks.counts import number_of

if TYPE_CHECKING:
    from ecg_tasks.queries.store import ObjectStore


class What(StrEnum):
    """What to do with the log."""

    SHOW = "show"
    VERIFY = "verify"
    ACCESS = "access"


def audit(
    what: Annotated[
        What,
        typer.Argument(
            help="show; verify: look for entries that were changed, removed, inserted or reordered; access: who logged in, was refused, "
            "or saw what."
        ),
    ] = What.SHOW,
    *,
    last: Annotated[int, typer.Option("--last", "-n", min=1, help="show: number of entries, from the end of the log.")] = 50,
    known: Annotated[list[str] | None, typer.Option(help="verify: a digest kept from an earlier time; it must be in the log.")] = None,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], metavar="DAY", help="access: the first day (UTC).")
    ] = None,
    until: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], metavar="DAY", help="access: the last day (UTC).")] = None,
    who: Annotated[str, typer.Option(help="access: of this user only.")] = "",
    record: Annotated[str, typer.Option(help="access: of this record only; a user who saw a report saw all records of its run.")] = "",
    out: Annotated[Path | None, typer.Option(help="access: write it into this CSV file.", dir_okay=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show who promoted, rejected, reviewed, deleted or published what, verify that the log was not tampered with, or show who saw what."""
    store = open_bucket()
    if what is What.ACCESS:
        days = {"first": _day(first), "last": _day(until)}
        if not _show_access(store, days, who=who, record=record, out=out, as_json=as_json):
            raise typer.Exit(1)
        return
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
        say(f"the log ends in {end}; keep this digest elsewhere: with --known it proves later that nothing before it was removed")
    return not found.faults


def _show_access(store: "ObjectStore", days: dict[str, str], *, who: str, record: str, out: Path | None, as_json: bool) -> bool:
    """Show the access log, or write it into a file; returns whether all of it is there. That it was read is in it, too."""
    from rich.markup import escape

    from ecg_tasks.actions import access
    from ecg_tasks.queries import access_report

    access.read_by_command("audit access", record=record)
    found = access_report.report(store, who=who, record=record, **days)
    if out is not None:
        out.write_text(access_report.as_csv(found.accesses), encoding="utf-8")
        say(f"{number_of(len(found.accesses), 'line', 'lines')} written to {out}")
    elif as_json:
        print(json.dumps(access_report.as_plain(found), indent=1))  # noqa: T201 - for a program
    else:
        for one in found.accesses:
            what = "  ".join(filter(None, (one.record, one.run, one.thing)))
            times = f"  {one.times} times" if one.times > 1 else ""
            line = f"{one.when}  {one.who or '(nobody known)'}  {one.act}  {one.outcome}  {one.page}  {what}{times}"
            console().print(escape(line.rstrip()))
    if found.left_out:
        complain(f"accesses that were only counted, because the bucket did not answer for long: {found.left_out:,}")
    for fault in found.faults:
        complain(fault)
    return not found.faults


def _day(given: datetime | None) -> str:
    return f"{given:%Y-%m-%d}" if given else ""
