"""Here: ``kept``: what the embedded store set aside before it was overwritten or deleted, and taking it back. Not here: how it does so."""

import getpass
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from ecg_tasks.cli.stack import open_bucket, running_stack
from ecg_tasks.cli.terminal import complain, console, say
from ecg_tasks.counts import number_of


def kept(
    prefix: Annotated[str, typer.Argument(help="List only what begins so, such as labels/.")] = "",
    *,
    back: Annotated[str, typer.Option(help="Put the copy of this object back: the latest one, or the one of --stamp.")] = "",
    stamp: Annotated[str, typer.Option(help="With --back: which copy, as the list names it.")] = "",
    why: Annotated[str, typer.Option(help="With --back: why; it is logged.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what was overwritten or deleted in the last days (ECG_STORE_KEEPS_DAYS, 30), or put one object back.

    The object that is there now is kept as a copy first, so you can undo this.
    """
    from deploy.embedded import bucket, object_store

    home = running_stack().home
    if not bucket.is_embedded(home):
        complain("the bucket is elsewhere: its own versions are there")
        raise typer.Exit(1)
    if back:
        from ecg_tasks.actions.taken_back import log_taken_back

        if not why.strip():
            complain("give a reason with --why; it is logged")
            raise typer.Exit(2)
        taken = object_store.take_back(home, back, stamp)
        log_taken_back(open_bucket(), back, stamp=taken, who=getpass.getuser(), why=why)
        say(f"{back} is back as it was at {_when(taken)}; the object that was there is kept as a copy")
        return
    found = list(object_store.kept_copies(home, prefix))
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=1))  # noqa: T201 - for a program
        return
    for one in found:
        console().print(f"{_when(one.stamp)}  {one.n_bytes:>13,}  {one.key}  --stamp {one.stamp}", markup=False, soft_wrap=True)
    say(number_of(len(found), "copy", "copies"))


def _when(stamp: str) -> str:
    return datetime.fromtimestamp(float(stamp), UTC).isoformat(timespec="seconds")
