"""Here: what a run leaves in the inbox, written down for the steps after its plan. Not here: what must wait (``drops``)."""

from collections.abc import Mapping, Sequence
from typing import Any

from ecg_tasks.archive import keys
from ecg_tasks.archive.workspace import find_json, open_store
from ecg_tasks.pipeline.intake.drops import Sorted
from ecg_tasks.readers.file_names import Kind, kind_of

DAG = "ingest_records"
_NAMED = 1000
"""So many keys stand in a run's manifest; its plan has all of them."""


def plan_of(inbox: Sorted, *, work: Sequence[Sequence[Mapping[str, Any]]], left: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Return what a run's plan says of what it leaves.

    Parameters
    ----------
    work : drops that this run takes over, in batches
    left : batches that are left to the next run, because a run has its number of tasks
    """
    turn = [file["key"] for batch in left for drop in batch for file in drop["files"]]
    all_keys = list(dict.fromkeys([*inbox.waiting, *turn]))
    waits_for = dict(inbox.waiting_for)
    if turn:
        waits_for["the next run"] = waits_for.get("the next run", 0) + len(turn)
    at_work = {file["key"] for batch in work for drop in batch for file in drop["files"]}
    return {
        "waiting": all_keys,
        "waiting_for": waits_for,
        "needed": sorted(at_work.intersection(all_keys)),
        "left": inbox.left + sum(len(batch) for batch in left),
    }


def told(plan: Mapping[str, Any]) -> dict[str, Any]:
    """What a run's manifest says of what waits: the first keys, for what, which of them others need, and how many only lack their turn."""
    return {
        "waiting": plan["waiting"][:_NAMED],
        "waiting_for": plan.get("waiting_for", {}),
        "needed": plan.get("needed", plan["waiting"]),
        "left": plan.get("left", 0),
    }


def rest(run_id: str) -> str:
    """Tell what a run left to the next one, as a sentence; nothing where all that is left waits for files, or nothing was there."""
    manifest = find_json(open_store(), keys.manifest(DAG, keys.run_key(run_id)))
    left = 0 if manifest is None else manifest.get("left", 0)
    return f"{left:,} recordings or files are left to the next run" if left else ""


def recordings(plan: Mapping[str, Any]) -> set[str]:
    """Names of what a run left in the inbox, by its plan, as paths below it with and without suffix: a row may mean one of them."""
    found = set()
    for key in plan["waiting"]:
        if kind_of(key) in {Kind.HEADER, Kind.SIGNAL, Kind.OTHER}:
            name = key.removeprefix(keys.INBOX)
            found |= {name, name.rpartition(".")[0]}
    return found
