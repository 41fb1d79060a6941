"""Here: what a run leaves in the inbox, written down for the steps after its plan. Not here: what must wait (``drops``)."""

from collections.abc import Mapping, Sequence
from typing import Any

from ecg_tasks.steps.ingesting.drops import Sorted
from ecg_tasks.steps.ingesting.kinds import Kind, kind_of
from ecg_tasks.steps.workspace import get_json, open_store
from ecg_tasks.storage import keys
from ecg_tasks.storage.object_store import MissingObjectError, ObjectStore

DAG = "ingest_records"
_NAMED = 1000
"""So many keys stand in a run's manifest; a list beside the plan has all of them."""


def keep(
    store: ObjectStore, run: str, inbox: Sorted, *, work: Sequence[Sequence[Mapping[str, Any]]], left: Sequence[Sequence[Mapping[str, Any]]]
) -> dict[str, Any]:
    """Write the list of what waits, and return what the plan says of it.

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
    data = "\n".join(key.encode("unicode_escape").decode() for key in all_keys)
    store.put(_list_key(run), data.encode(), content_type="text/plain; charset=utf-8")
    at_work = {file["key"] for batch in work for drop in batch for file in drop["files"]}
    return {
        "waiting": all_keys[:_NAMED],
        "waiting_total": len(all_keys),
        "waiting_for": waits_for,
        "needed": sorted(at_work.intersection(all_keys)),
        "left": inbox.left + sum(len(batch) for batch in left),
    }


def number(plan: Mapping[str, Any]) -> int:
    """How many files wait, by a plan; version 0.1 listed them all."""
    return int(plan.get("waiting_total", len(plan["waiting"])))


def told(plan: Mapping[str, Any]) -> dict[str, Any]:
    """What a run's manifest says of what waits: the first keys, for what, which of them others need, and how many only lack their turn."""
    return {
        "waiting": plan["waiting"],
        "waiting_for": plan.get("waiting_for", {}),
        "needed": plan.get("needed", plan["waiting"]),
        "left": plan.get("left", 0),
    }


def rest(run_id: str) -> str:
    """Tell what a run left to the next one, as a sentence; nothing where all that is left waits for files."""
    left = get_json(open_store(), keys.manifest(DAG, keys.run_key(run_id))).get("left", 0)
    return f"{left:,} recordings or files are left to the next run" if left else ""


def waiting_recordings(store: ObjectStore, run: str) -> set[str]:
    """Names of the recordings that this run left in the inbox, as paths below it without ``.hea``: a row may mean one of them."""
    found = set()
    for line in _list(store, run):
        key = line.encode("ascii", "backslashreplace").decode("unicode_escape")
        if kind_of(key) is Kind.HEADER:
            found.add(key.removeprefix(keys.INBOX)[: -len(".hea")])
        elif kind_of(key) in {Kind.SIGNAL, Kind.OTHER}:
            found.add(key.removeprefix(keys.INBOX).rpartition(".")[0])
    return found


def _list(store: ObjectStore, run: str) -> list[str]:
    try:
        return store.get(_list_key(run)).decode().splitlines()
    except MissingObjectError:
        return []


def _list_key(run: str) -> str:
    return keys.staging(DAG, run, "waiting.txt")
