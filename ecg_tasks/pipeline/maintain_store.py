"""Here: the tasks of the DAG ``maintain_store``. Not here: what may go, what is an orphan, what is damaged (the modules beside).

Nothing is deleted that was not planned and written down before, and is still not needed by anything when its turn comes.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec import structs

from ecg_tasks.archive import access_log, audit, forgotten, keys
from ecg_tasks.archive.documents import (
    ContentCheck,
    Deletable,
    DeletionList,
    Deletions,
    MaintenanceCounts,
    MaintenanceManifest,
    MaintenancePlan,
    OrphanList,
    end_run,
    find,
    read,
    write,
)
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.archive.task_log import counted, logged
from ecg_tasks.archive.workspace import now, open_store
from ecg_tasks.errors import DamagedStoreError
from ecg_tasks.names import DagId
from ecg_tasks.pipeline.maintenance.checksums import audit_checksums
from ecg_tasks.pipeline.maintenance.orphans import find_orphans
from ecg_tasks.pipeline.maintenance.rules import DEADLINES, INDEX, RULES, checked_days, judge
from ecg_tasks.settings import Settings, retention_days

DAG = DagId.MAINTAIN_STORE
MAX_DELETED = 200_000
"""Objects that one run deletes at most; what is left goes with the next."""
LISTED = 1000
"""Of every list, so many stand in the manifest; all of them beside it."""


@logged
def pack_access_log() -> int:
    """Put the access log of each day that is over into one object; returns how many objects went. Run again, it goes on."""
    # a day later than it is over: so far may a writer's clock, or its way to the bucket, be behind
    until = datetime.fromisoformat(now()) - timedelta(days=1)
    n_gone = access_log.pack(open_store(), until=f"{until:%Y-%m-%d}")
    counted(objects_packed=n_gone)
    return n_gone


@logged
def plan(run_id: str, *, days: Mapping[str, float], dry_run: bool, sample: int, due: Iterable[str] = ()) -> str:
    """Write down what is too old and needed by nothing; returns the key of this plan. Only what stands there can be deleted.

    Parameters
    ----------
    days : for how long each prefix is kept, 0 for ever; `rules.RULES` names those that there are rules for
    dry_run : nothing is deleted, but for what is below the prefixes ``due``, whose deadline is over
    sample : of every kind of object that is named by its content, so many are read again
    """
    store = open_store()
    run = keys.run_key(run_id)
    key = keys.staging(DAG, run, "plan.json")
    forgotten.fail_if_under_way(store)
    if find(store, MaintenancePlan, key) is None:
        at, kept = now(), checked_days(days)
        judged = judge(store, kept, at=datetime.fromisoformat(at))
        # the first page of a report goes first: where it is not there, nothing is taken for a whole report
        chosen = sorted(judged.deletable.values(), key=lambda item: (not item.key.endswith(f"/{INDEX}"), item.key))[:MAX_DELETED]
        counted(objects=sum(one.objects for one in judged.tallies.values()), deletable=len(chosen))
        planned = MaintenancePlan(
            run=run,
            at=at,
            days=kept,
            dry_run=dry_run,
            sample=sample,
            due=tuple(due),
            prefixes=judged.tallies,
            left_for_next=len(judged.deletable) - len(chosen),
            objects=tuple((item.key, item.size, item.etag) for item in chosen),
        )
        write(store, key, planned)
    return key


@logged
def delete(plan_key: str) -> str:
    """Delete what was planned and is still needed by nothing, and log it first; in a dry run only what is due. Returns the result's key."""
    store = open_store()
    planned = read(store, MaintenancePlan, plan_key)
    key = keys.staging(DAG, planned.run, "deleted.json")
    if find(store, Deletions, key) is not None:
        return key
    stays: list[str] = []
    asked = _asked(planned)
    if asked:
        judged = judge(store, planned.days, at=datetime.fromisoformat(planned.at))
        going = [name for name, _, etag in asked if name in judged.deletable and judged.deletable[name].etag == etag]
        stays = sorted(judged.present.intersection(name for name, _, _ in asked).difference(going))
        detail = {
            "objects": len(asked),
            "bytes": sum(size for _, size, _ in asked),
            "days": planned.days,
            "list": write(store, keys.manifest_list(DAG, planned.run, "deletions"), DeletionList(objects=_told(asked))),
            "list_sha256": hashlib.sha256(json.dumps(_told(asked)).encode()).hexdigest(),
        }
        audit.append(store, who=f"{DAG}/{planned.run}", action=audit.Action.DELETE, subject=planned.run, detail=detail)
        first = [name for name in going if name.endswith(f"/{INDEX}")]
        store.delete_many(first)
        store.delete_many(going[len(first) :])
        counted(deleted=len(going), needed_again=len(stays))
    return write(store, key, Deletions(stays=tuple(stays)))


@logged
def check_orphans(plan_key: str) -> str:
    """Look whether everything derived has its source, and every dropped file a fate; returns the result's key."""
    store = open_store()
    planned = read(store, MaintenancePlan, plan_key)
    key = keys.staging(DAG, planned.run, "orphans.json")
    if find(store, OrphanList, key) is None:
        orphans = tuple(find_orphans(store, at=datetime.fromisoformat(planned.at)))
        counted(orphans=len(orphans))
        write(store, key, OrphanList(orphans=orphans))
    return key


@logged
def check_contents(plan_key: str) -> str:
    """Read a sample of what is named by its content, and compare; returns the result's key."""
    store = open_store()
    planned = read(store, MaintenancePlan, plan_key)
    key = keys.staging(DAG, planned.run, "contents.json")
    if find(store, ContentCheck, key) is None:
        checked = audit_checksums(store, run=planned.run, sample=planned.sample)
        counted(read_again=sum(checked.read.values()), damaged=len(checked.damaged))
        write(store, key, checked)
    return key


@logged
def publish(plan_key: str, deleted: str, orphans: str, contents: str) -> str:
    """Write the run's account; returns its key."""
    store = open_store()
    planned, found, checked = read(store, MaintenancePlan, plan_key), read(store, OrphanList, orphans), read(store, ContentCheck, contents)
    run, objects, stays = planned.run, planned.objects, set(read(store, Deletions, deleted).stays)
    asked = _asked(planned)
    gone = [size for name, size, _ in asked if name not in stays]
    dry = "dry run: nothing was deleted" if not asked else "dry run: only what has a deadline was deleted"
    counts = MaintenanceCounts(
        mode=dry if planned.dry_run else "for real",
        objects=sum(one.objects for one in planned.prefixes.values()),
        deletable=len(objects),
        deletable_bytes=sum(size for _, size, _ in objects),
        left_for_next=planned.left_for_next,
        deleted=len(gone),
        deleted_bytes=sum(gone),
        kept_since=len(stays),
        orphans=len(found.orphans),
        read_again=sum(checked.read.values()),
        damaged=len(checked.damaged),
    )
    manifest = MaintenanceManifest(
        dag=DAG,
        run=run,
        at=planned.at,
        counts=counts,
        days=planned.days,
        prefixes=planned.prefixes,
        deletable=tuple(Deletable(key=name, bytes=size) for name, size, _ in _told(objects[:LISTED])),
        kept_since=tuple(map(_names().in_list, sorted(stays)[:LISTED])),
        orphans=found.orphans[:LISTED],
        contents=checked,
    )
    counted(**{name: n for name, n in structs.asdict(counts).items() if isinstance(n, int)})
    write(store, keys.manifest_list(DAG, run, "deletions"), DeletionList(objects=_told(objects)))
    write(store, keys.manifest_list(DAG, run, "orphans"), found)
    return end_run(store, manifest)


def fail_if_damaged(manifest_key: str) -> None:
    """Let a run be seen that found changed bytes.

    Raises
    ------
    DamagedStoreError
        Names the first of them; the account has all.
    """
    damaged = read(open_store(), MaintenanceManifest, manifest_key).contents.damaged
    if damaged:
        first = damaged[0]
        raise DamagedStoreError(f"{len(damaged)} damaged, first of them {first.kind} {first.key}: {first.found}; {manifest_key} has all")


def headline(manifest_key: str) -> str:
    """Return one sentence of a run's account."""
    counts = read(open_store(), MaintenanceManifest, manifest_key).counts
    did = (
        f"dry run: {counts.deletable - counts.deleted:,} objects ({(counts.deletable_bytes - counts.deleted_bytes) / 1e6:,.1f} MB) would go"
        if counts.mode.startswith("dry")
        else ""
    )
    if counts.deleted or not did:
        did += f"{', ' * bool(did)}{counts.deleted:,} objects deleted ({counts.deleted_bytes / 1e6:,.1f} MB)"
    return f"{did}; {counts.orphans:,} orphans; {counts.read_again:,} read again, {counts.damaged:,} damaged"


def form(texts: Mapping[str, str], *, scheduled: bool = False) -> dict[str, Any]:
    """Turn the DAG's form, whose templates give texts, into arguments of `plan`.

    A scheduled run has no user to fill in the form: it deletes what the setting ``ECG_RETENTION`` names, and what has a deadline.
    """
    sample = int(texts["sample"])
    if scheduled and (retention := retention_days()):
        return {"days": DEADLINES | retention, "dry_run": False, "sample": sample, "due": ()}
    days = {name: float(texts[f"{name}_days"]) for name in RULES}
    if scheduled:
        return {"days": days | DEADLINES, "dry_run": True, "sample": sample, "due": tuple(DEADLINES)}
    return {"days": days, "dry_run": texts["dry_run"] != "False", "sample": sample, "due": ()}


def _names() -> StoredNames:
    return StoredNames.of(Settings.from_environment())


def _told(objects: Iterable[tuple[str, int, str]]) -> tuple[tuple[str, int, str], ...]:
    """Return objects as lists have them, which stay when the objects are gone: without the names of files."""
    names = _names()
    return tuple((names.in_list(key), size, etag) for key, size, etag in objects)


def _asked(planned: MaintenancePlan) -> tuple[tuple[str, int, str], ...]:
    """Return the planned objects that this run is to delete."""
    if not planned.dry_run:
        return planned.objects
    due = tuple(RULES[name].prefix for name in planned.due)
    return tuple(item for item in planned.objects if item[0].startswith(due)) if due else ()
