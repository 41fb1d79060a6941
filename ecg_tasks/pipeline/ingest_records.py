"""Here: the tasks of the DAG ``ingest_records``: inbox/ to raw/, records/, labels/ and quarantine/. Not here: parsing (``taking``).

The commit point is `publish`: until it has run, nothing of the run is in ``records/`` and nothing is gone from ``inbox/``. One that
breaks off for good is ended by the next run: its files would all be duplicates then, and its records in no report.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.archive import audit, keys, labelling, record_shards, tables
from ecg_tasks.archive.ahead import map_ahead
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.workspace import MAX_TASKS, find_json, get_json, open_store, put_json, put_manifest, result_key, write_jobs
from ecg_tasks.pipeline.intake import apart, describing, drops, label_tables, names, quarantining, taking, waiting
from ecg_tasks.pipeline.intake.describing import Arrived, Came
from ecg_tasks.settings import Settings

DAG = "ingest_records"
PUBLISHING = f"{DAG}.publishing"
DROPS_AT_ONCE = 4


def plan(run_id: str) -> list[str]:
    """Sort the inbox into batches; returns the key of one job a batch, none if there is nothing to take over.

    A run that has its manifest is over: planned once more, it leaves its account as it is, and what came since to the next run.
    """
    settings = Settings.from_environment()
    store = open_store(settings)
    run = keys.run_key(run_id)
    if store.exists(keys.manifest(DAG, run)):
        return []
    ended = _end_broken_off(store)
    at = datetime.now(UTC)
    sorted_inbox = drops.sort_inbox(store, at=at, grace_s=settings.wfdb_grace_s, max_bytes=settings.max_object_bytes)
    if not (ended or sorted_inbox.drops or sorted_inbox.waiting or sorted_inbox.labels):
        return []  # nothing to account for: four times an hour nothing is written
    grace_ended = (at - timedelta(seconds=settings.wfdb_grace_s)).isoformat()
    work = list(drops.batches(sorted_inbox.drops, spread=settings.spread))
    work, left = work[:MAX_TASKS], work[MAX_TASKS:]
    waits = waiting.plan_of(sorted_inbox, work=work, left=left)
    planned = waits | {"labels": sorted_inbox.labels, "grace_ended": grace_ended}
    store.put(_plan_key(run), json.dumps(planned).encode(), content_type="application/json")  # in one piece: a million keys may wait
    if not work and (ended or sorted_inbox.labels):
        work = [[]]  # whose publication lets the pictures of what was ended be drawn, too
    described = label_tables.stage(store, _tables_at(run), sorted_inbox.labels, batches=work, patient_key=settings.patient_key)
    if not work:
        _write_manifest(store, run, inputs=[], waits=waits, shards=[], quarantined=[], labels=describing.no_labels())
    jobs = [{"drops": batch, "described": key} for batch, key in zip(work, described, strict=True)]
    return write_jobs(store, dag=DAG, run=run, jobs=jobs)


def ingest_batch(job: str) -> str:
    """Read one batch of drops: keep the bytes in raw/, stage shards, quarantine what cannot be read; returns the result's key.

    A try after one that was ended in the middle first reads each drop in a process apart, and refuses what ends that.
    """
    settings = Settings.from_environment()
    store = open_store(settings)
    if find_json(store, result_key(job)) is not None:
        return result_key(job)
    work = get_json(store, job)
    batch = _tried_before(store, job, work["drops"])
    described = label_tables.load_described(store, work["described"])
    prefix = job.replace("/jobs/", "/shards/").removesuffix(".json")
    result: dict[str, Any] = {"inputs": [], "quarantined": [], "shards": [], "labels": f"{prefix}/labels"}
    labels: list[labelling.LabelEntry] = []

    def records() -> Iterator[record_shards.StoredRecord]:
        take = partial(taking.take, store, described=described, patient_key=settings.patient_key)
        for taken in map_ahead(take, batch, at_once=DROPS_AT_ONCE):  # most of a small recording's time is the store's
            result["inputs"].append(taken.account)
            result["quarantined"] += taken.quarantined
            labels.extend(taken.labels)
            yield from taken.records

    for number, shard in enumerate(record_shards.split_into_shards(records())):  # memory holds a few drops and one shard
        key = f"{prefix}/{number:04d}"
        store.put(f"{key}.parquet", record_shards.dump_shard(shard))
        store.put(f"{key}.index", record_shards.dump_index(shard))
        result["shards"].append(key)
    store.put(result["labels"], labelling.dump_labels(labels))
    return put_json(store, result_key(job), result)


def _tried_before(store: ObjectStore, job: str, batch: Sequence[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """The drops of a batch. From the second try on, those that would end this process again are told as refused."""
    key = job.replace("/jobs/", "/tries/")
    refused: dict[str, Any] | None = find_json(store, key)
    if refused is None:
        put_json(store, key, {})
        return batch
    return _read_apart(store, key, batch, refused=refused)


def _read_apart(store: ObjectStore, key: str, batch: Sequence[dict[str, Any]], *, refused: dict[str, Any]) -> Iterator[dict[str, Any]]:
    with apart.Trial() as trial:
        for drop in batch:
            known = drop["name"] in refused or "reason" in drop or "fate" in drop  # the latter two aren't read
            fault = None if known else taking.fault_apart(store, drop, trial)
            if fault is not None:
                refused[drop["name"]] = {"reason": fault.reason.value, "message": fault.message}
                put_json(store, key, refused)  # a further try begins with what this one learnt
            yield drop | refused.get(drop["name"], {})


def publish(run_id: str, results: Sequence[str]) -> str:
    """Let the staged shards in, less the duplicates; write labels and the manifest; then empty the inbox of what was taken.

    Returns the manifest's key.
    """
    store = open_store()
    run = keys.run_key(run_id)
    manifest_key = keys.manifest(DAG, run)
    manifest = find_json(store, manifest_key)
    if manifest is None:
        put_json(store, _begun_key(run), {"run": run_id, "results": list(results)})
        parts = [json.loads(data) for data in store.get_many(results)]
        planned = get_json(store, _plan_key(run))
        before = _archive_before(store, run)
        inputs = [item for part in parts for item in part["inputs"]]
        shards, arrived = _let_in(store, [key for part in parts for key in part["shards"]], before=before, naming=bool(planned["labels"]))
        _count_duplicates(inputs, (name for name, _ in arrived.duplicates))
        quarantined = [entry for part in parts for entry in part["quarantined"]]
        entries = [entry for part in parts for entry in labelling.load_labels(store.get(part["labels"]))]
        came = Came(arrived=arrived, inputs=inputs, quarantined=quarantined, labels=entries, waiting=waiting.recordings(planned))
        labels = describing.describe(store, _tables_at(run), planned, before=before, came=came)
        manifest = _write_manifest(store, run, inputs=inputs, waits=planned, shards=shards, quarantined=quarantined, labels=labels)
    detail = {"account": manifest["account"], "labels": manifest["labels"]["stored"], "manifest_sha256": store.sha256([manifest_key])}
    audit.append(store, who=f"{DAG}/{run}", action=audit.Action.INGEST, subject=run, detail=detail)
    quarantining.settle(store, run, manifest)
    _tidy(store, run, manifest)
    store.delete(_begun_key(run))
    return manifest_key


def _end_broken_off(store: ObjectStore) -> list[str]:
    """Publish what earlier runs began to publish and gave up (one run is active at a time); returns their manifests' keys."""
    begun = [get_json(store, key) for key in store.list_keys(f"{keys.STAGING}{PUBLISHING}/")]
    return [publish(one["run"], one["results"]) for one in begun]


def _archive_before(store: ObjectStore, run: str) -> dict[str, list[str]]:
    """What was there before this run, written down once: a repeated publish must not meet its own work as duplicates."""
    key = keys.staging(DAG, run, "before.json")
    before: dict[str, list[str]] | None = find_json(store, key)
    if before is None:
        shards = [keys.stem(shard) for shard in store.list_keys(keys.RECORDS)]
        before = {"shards": shards, "labels": store.list_keys(keys.LABELS), "aliases": store.list_keys(keys.ALIASES)}
        before |= {"descriptions": store.list_keys(keys.DESCRIPTIONS)}
        put_json(store, key, before)
    return before


def _let_in(store: ObjectStore, staged: Sequence[str], *, before: dict[str, list[str]], naming: bool) -> tuple[list[str], Arrived]:
    """Move staged shards to records/, without what the archive or an earlier shard holds.

    Returns the shards' names and what arrived; all names and persons of it only if ``naming``.
    """
    shards: list[str] = []
    indexes = list(store.get_many(keys.record_index(shard) for shard in before["shards"])) if staged or naming else []
    number = names.next_number(store, indexes, aliases=before["aliases"], descriptions=before["descriptions"])
    arrived = Arrived(number=number)
    known = np.concatenate([np.empty(0, dtype="S32"), *map(_ids, indexes)])
    del indexes
    ids = [_ids(data) for data in store.get_many(f"{key}.index" for key in staged)]
    for key, own, repeated in zip(staged, ids, _seen_before(known, ids), strict=True):
        index = store.get(f"{key}.index")
        if naming or repeated.any():
            arrived.add(tables.load(index), repeated, naming=naming)
        if repeated.all():
            continue
        if repeated.any():
            whole = record_shards.load_shard(store.get(f"{key}.parquet"))
            kept = record_shards.without(whole, set(np.flatnonzero(repeated).tolist()))
            name = record_shards.shard_name(stored.record.record_id for stored in kept)
            store.put(keys.record_index(name), record_shards.dump_index(kept, received=number))
            store.put(keys.record_shard(name), record_shards.dump_shard(kept))
        else:
            name = record_shards.shard_name(own.astype(str).tolist())
            store.put(keys.record_index(name), tables.dump_with(tables.RECORD_INDEX, index, "received", number))
            store.copy(f"{key}.parquet", keys.record_shard(name))
        shards.append(name)
    return shards, arrived


def _seen_before(known: NDArray[np.bytes_], parts: Sequence[NDArray[np.bytes_]]) -> list[NDArray[np.bool_]]:
    """Which ids of each part are among the known ones, or stand before in this part or an earlier one: one sort for all of them."""
    whole = np.concatenate([known, *parts])
    repeated = np.ones(len(whole), dtype=bool)
    repeated[np.unique(whole, return_index=True)[1]] = False
    ends = len(known) + np.cumsum([0, *(len(part) for part in parts)])
    return [repeated[start:end] for start, end in pairwise(ends)]


def _ids(index: bytes) -> NDArray[np.bytes_]:
    """Ids of the records in an index, shape (n,), 32 bytes each."""
    return np.array(tables.load(index, ["record_id"])["record_id"], dtype="S32")


def _count_duplicates(inputs: list[dict[str, Any]], duplicates: Iterable[str]) -> None:
    """Move duplicate records, given by name, from ``records`` to ``duplicates`` in the inputs' accounts."""
    by_name = {item["record_name"]: item for item in inputs}
    for name in duplicates:
        item = by_name[name.rpartition("#")[0] if name.rpartition("#")[0] in by_name else name]
        item["records"] -= 1
        item["duplicates"] += 1


def _write_manifest(
    store: ObjectStore,
    run: str,
    *,
    inputs: list[dict[str, Any]],
    waits: Mapping[str, Any],
    shards: list[str],
    quarantined: list[dict[str, Any]],
    labels: dict[str, Any],
) -> dict[str, Any]:
    account = {name: sum(item[name] for item in inputs) for name in ("received", "records", "duplicates", "quarantined")}
    account[drops.PASSED_OVER] = sum(item.get(drops.PASSED_OVER, 0) for item in inputs)
    account["waiting"] = len(waits["waiting"])
    if account["received"] != account["records"] + account["duplicates"] + account["quarantined"]:
        raise AssertionError(f"the account of {run} does not add up: {account}")
    manifest = {
        "dag": DAG,
        "run": run,
        "account": account,
        "inputs": inputs,
        **waiting.told(waits),
        "shards": shards,
        "quarantined": quarantined,
        "labels": labels,
    }
    put_manifest(store, manifest)
    return manifest


def _tidy(store: ObjectStore, run: str, manifest: dict[str, Any]) -> None:
    """Remove what was taken from the inbox, unless it changed since or something that waits needs it, and the staged shards."""
    needed = set(manifest["needed"] if "needed" in manifest else manifest["waiting"])
    taken = [file for item in manifest["inputs"] for file in item["files"]] + manifest["labels"]["tables"]
    gone = {file["key"]: file["etag"] for file in taken if file["key"] not in needed}
    # listed, and not asked for one by one: what lies there now may be another content
    store.delete_many([item.key for item in store.list_objects(keys.INBOX) if gone.get(item.key) == item.etag])
    store.delete_many([*store.list_keys(keys.staging(DAG, run, "shards/")), *store.list_keys(f"{_tables_at(run)}/")])


def _begun_key(run: str) -> str:
    """Key of the note that a run's publication has begun, which is removed when it is over."""
    return keys.staging(PUBLISHING, run, "begun.json")


def _plan_key(run: str) -> str:
    return keys.staging(DAG, run, "plan.json")


def _tables_at(run: str) -> str:
    return keys.staging(DAG, run, "tables")
