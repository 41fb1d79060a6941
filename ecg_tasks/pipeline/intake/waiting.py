"""Here: what a run leaves in the inbox, written down for the steps after its plan. Not here: what must wait (``drops``)."""

import posixpath
from collections.abc import Collection, Sequence
from dataclasses import replace

from ecg_tasks.archive import keys, tables
from ecg_tasks.archive.documents import Drop, IntakeManifest, IntakePlan, find_manifest
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.workspace import open_store
from ecg_tasks.pipeline.intake.archives import OpenedInbox
from ecg_tasks.pipeline.intake.drops import NEXT_RUN, Sorted, Wait
from ecg_tasks.pipeline.intake.label_tables import is_about
from ecg_tasks.readers.file_names import Kind, kind_of

_NAMED = 1000
"""So many keys stand in a run's plan and in its manifest."""


def plan_of(
    store: ObjectStore,
    at: str,
    inbox: Sorted,
    *,
    work: Sequence[Sequence[Drop]],
    left: Sequence[Sequence[Drop]],
    n_beyond: int = 0,
    grace_ended: str,
    put_back: tuple[str, ...] = (),
) -> IntakePlan:
    """Return a run's plan; where label tables may mean what waits, and this is long, it is listed below ``at``.

    Parameters
    ----------
    work : drops that this run takes over, in batches
    left : batches that are left to the next run, because a run has its number of tasks
    n_beyond : files in folders that are left to the next run. Where this run takes over nothing, the next one, which would come to the
        same folders, need not follow at once
    grace_ended : what came before this moment (ISO 8601) has waited long enough
    put_back : quarantine entries whose files are in the inbox again
    """
    turn = [file.key for batch in left for drop in batch for file in drop.files]
    all_keys = list(dict.fromkeys([*inbox.waiting, *turn]))
    waits_for = inbox.waiting_for
    if turn or n_beyond:
        waits_for[NEXT_RUN] += len(turn) + n_beyond
    at_work = {file.key for batch in work for drop in batch for file in drop.files}
    listed = f"{at}/waiting.parquet" if inbox.labels and len(all_keys) > _NAMED else ""
    if listed:
        store.put(listed, tables.dump(tables.INBOX_KEYS, {"key": all_keys}))
    return IntakePlan(
        waiting=tuple(all_keys[:_NAMED]),
        n_waiting=len(all_keys) + n_beyond,
        all_waiting=listed,
        waiting_for=dict(waits_for),
        needed=tuple(sorted(at_work.intersection(all_keys))),
        left=inbox.left + sum(len(batch) for batch in left) + (n_beyond if at_work else 0),
        labels=tuple(inbox.labels),
        grace_ended=grace_ended,
        put_back=put_back,
    )


def with_archives(inbox: Sorted, opened: OpenedInbox, *, folders_left: Collection[str]) -> Sorted:
    """Return the sorted inbox with the archives that are refused, or left to the next run.

    Tables beside archives of which none has its turn are left, too: ``folders_left`` are the folders of what is left.
    """
    inbox.drops.extend(opened.refused)
    taken = {posixpath.dirname(drop.name) for drop in (*inbox.drops, *(drop for part in opened.parts for drop in part.drops))}
    unread = {one.key for one in inbox.labels if is_about(one.key, folders_left) and not is_about(one.key, taken)}
    left = [*opened.left, *sorted(unread)]
    inbox.waits.update(dict.fromkeys(left, Wait(why=NEXT_RUN)))
    return replace(inbox, left=inbox.left + len(left), labels=[one for one in inbox.labels if one.key not in unread])


def named(plan: IntakePlan) -> tuple[str, ...]:
    """Return the first keys of what waits, as a run's manifest names them."""
    return plan.waiting[:_NAMED]


def count(plan: IntakePlan) -> int:
    """Return how many files a run left in the inbox."""
    return len(plan.waiting) if plan.n_waiting is None else plan.n_waiting


def rest(run_id: str) -> str:
    """Tell what a run left to the next one, as a sentence; nothing where all that is left waits for files, or nothing was there."""
    manifest = find_manifest(open_store(), IntakeManifest, keys.run_key(run_id))
    left = 0 if manifest is None else manifest.left
    return f"{left:,} recordings or files are left for the next run" if left else ""


def recordings(store: ObjectStore, plan: IntakePlan) -> set[str]:
    """Return the names of what a run left in the inbox, from its plan, as paths with and without suffix: a row may mean one of them."""
    found = set()
    all_keys = tables.load(store.get(plan.all_waiting))["key"] if plan.all_waiting else plan.waiting
    for key in all_keys:
        if kind_of(key) in {Kind.HEADER, Kind.SIGNAL, Kind.ARRAY, Kind.OTHER}:
            name = key.removeprefix(keys.INBOX)
            found |= {name, name.rpartition(".")[0]}
    return found
