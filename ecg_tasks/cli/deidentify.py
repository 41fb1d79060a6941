"""Here: ``deidentify``: for what the bucket holds, what the door does for new drops. Not here: how (``pipeline.deidentification``)."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecg_tasks.cli.stack import open_bucket, running_stack
from ecg_tasks.cli.terminal import complain, say

if TYPE_CHECKING:
    from deploy.embedded import Stack

_NOT_REACHED = (
    "not reached: backups and exports that were made before, copies of the bucket, logs of tasks from before names were kept out of them, "
    "comments of reviewers, and ages and dates within the pages of old reports (their tables are rewritten)"
)


def deidentify(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    give_up: Annotated[
        bool, typer.Option("--give-up", help="Remove what unfinished intakes left; the next one reads their files again.")
    ] = False,
) -> None:
    """Take identifiers out of the bucket of an earlier version: names, bytes in raw/, dates, buckets, accounts, reports, quarantine.

    Nothing else may run meanwhile: DAGs are paused, and it refuses to start while a run is active. If it is interrupted, run it again.
    """
    from ecg_tasks.actions import deidentifying

    stack = running_stack()
    store = open_bucket()
    run = f"deidentify-{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}"
    if not dry_run:
        _pause(stack)
    try:
        planned = deidentifying.deidentify(store, run=run, dry_run=True, say=say, give_up=give_up)
        for sentence in deidentifying.headline(planned):
            say(sentence)
        say(_NOT_REACHED)
        if dry_run:
            return
        if not yes:
            typer.confirm("Do it? What is withheld or removed does not come back.", abort=True)
        done = deidentifying.deidentify(store, run=run, dry_run=False, say=say, give_up=give_up)
        for sentence in deidentifying.headline(done):
            say(sentence)
        say("pages may still show what they read before: ./ecg down, then ./ecg up. Make a new backup, and delete the old ones")
    finally:
        if not dry_run:
            _resume(stack)


def _pause(stack: "Stack") -> None:
    """Pause every DAG, so that no run begins; ends the command where one is at work.

    Which ones were not paused before is written down first, so that a command that was killed does not leave them paused for good.
    """
    note = _note(stack)
    with stack.airflow() as api:
        active = {*api.active_dags(), *(json.loads(note.read_text()) if note.exists() else ())}
        note.write_text(json.dumps(sorted(active)))
        for dag in sorted(active):
            api.pause(dag, paused=True)
        at_work = [f"{dag} {run}" for dag in api.dags() for run, state in api.runs(dag).items() if state in {"running", "queued"}]
    if at_work:
        _resume(stack)
        complain(f"{at_work[0]} is active; run the command again when no run is active")
        raise typer.Exit(1)


def _resume(stack: "Stack") -> None:
    note = _note(stack)
    with stack.airflow() as api:
        for dag in json.loads(note.read_text()) if note.exists() else ():
            api.pause(dag, paused=False)
    note.unlink(missing_ok=True)


def _note(stack: "Stack") -> Path:
    return stack.home.path / "paused-dags.json"
