"""Here: the way from a drop to its decisions, for ``put --wait``. Not here: dropping (``inbox``), or a file's fate (``answers``)."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ecg_tasks.cli import runs
from ecg_tasks.cli.terminal import console, say, table_of
from ecg_tasks.names import DagId

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from deploy.embedded import Stack
    from ecg_tasks.queries.answers import Answers

_MOST_SHOWN = 100


@dataclass(frozen=True, kw_only=True)
class DecidedDrop:
    """The run that decided, how it ended, its note, and what became of each recording."""

    run: str
    state: str
    note: str
    answers: "Answers"

    def as_json(self) -> dict[str, Any]:
        """Return what a program is told."""
        from dataclasses import asdict

        return {"run": self.run, "state": self.state, "note": self.note, "answers": [asdict(one) for one in self.answers.found]}

    def show(self) -> None:
        """Print a line a recording, then all of it in numbers, and what the run says of what still waits."""
        from rich.markup import escape

        table = table_of("recording", "decision", "P(abnormal)", "record")
        for one in self.answers.found[:_MOST_SHOWN]:
            until = f", until {one.until}" if one.until else ""
            decision = one.decision or f"{one.fate.value}: {one.why}{until}"
            table.add_row(escape(one.name), escape(decision), "" if one.probability is None else f"{one.probability:.3f}", one.record_id)
        if self.answers.found:
            console().print(table)
        if len(self.answers.found) > _MOST_SHOWN:
            say(f"{len(self.answers.found) - _MOST_SHOWN:,} more: --json has all of them")
        say(self.answers.sentence)
        if self.note:
            say(f"the report: {self.note}")


def before_a_drop(stack: "Stack") -> frozenset[str]:
    """Return what `wait_for_them` has to know of the bucket as it is before the drop."""
    from ecg_tasks.queries.answers import accounts
    from ecg_tasks.queries.store import open_store

    os.environ.update(stack.environment())
    return accounts(open_store())


def wait_for_them(stack: "Stack", names: "Sequence[str]", *, before: "Collection[str]") -> DecidedDrop:
    """Start the intake, and a run that waits for it and decides; follow that until there is an answer to each of the files.

    A run waits for an hour at most, so a large drop takes several; the last that brings nothing new ends it.
    """
    from ecg_tasks.actions import access
    from ecg_tasks.queries.answers import answers
    from ecg_tasks.queries.store import open_store

    store, found = open_store(), None
    with stack.airflow() as api, runs.progress() as bars:
        while True:
            run = api.trigger(DagId.CLASSIFY_RECORDS, {"after_intake": True})
            api.trigger(DagId.INGEST_RECORDS)
            state = runs.follow(api, DagId.CLASSIFY_RECORDS, run, bars)
            access.read_by_command("put", thing=run)
            latest = answers(store, names, before=before)
            if state != "success" or latest.is_whole or latest == found:
                return DecidedDrop(run=run, state=state, note=api.note(DagId.CLASSIFY_RECORDS, run), answers=latest)
            found = latest
