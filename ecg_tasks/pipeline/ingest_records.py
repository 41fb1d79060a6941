"""Here: the tasks of the DAG ``ingest_records``: inbox/ to raw/, records/, labels/ and quarantine/. Not here: parsing (``taking``).

The commit point is `publish`: until it has run, nothing of the run is in ``records/`` and nothing is gone from ``inbox/``. One that
breaks off for good is ended by the next run: its files would all be duplicates then, and its records in no report.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from ecg_tasks.archive import audit, catalog, keys, labelling, record_shards, tables
from ecg_tasks.archive.catalog import Catalog
from ecg_tasks.archive.documents import (
    ArchiveBefore,
    CatalogHead,
    Code,
    DagId,
    Drop,
    Input,
    InputCounts,
    IntakeCounts,
    IntakeJob,
    IntakeManifest,
    IntakePlan,
    IntakeResult,
    IntakeTries,
    LabelCounts,
    QuarantinedInput,
    Refusal,
    find,
    load,
    plain,
    read,
    read_many,
    write,
    write_manifest,
)
from ecg_tasks.archive.object_store import MissingObjectError, ObjectStore
from ecg_tasks.archive.parallel import bounded_parallel_map
from ecg_tasks.archive.workspace import MAX_TASKS, open_store, result_key, write_jobs
from ecg_tasks.pipeline.intake import apart, describing, drops, label_tables, quarantining, taking, waiting
from ecg_tasks.pipeline.intake.describing import Arrived, Came
from ecg_tasks.settings import Settings

DAG = DagId.INGEST_RECORDS
DROPS_AT_ONCE = 4
_KEPT_INDEX_BYTES = 64 * 1024 * 1024
"""Staged indexes of so many bytes together are kept in memory; further ones are read twice."""


def plan(run_id: str) -> list[str]:
    """Sort the inbox into batches; returns the key of one job a batch, none if there is nothing to take over.

    A run that has its manifest is over: planned once more, it leaves its account as it is, and what came since to the next run.
    """
    settings = Settings.from_environment()
    store = open_store(settings)
    run = keys.run_key(run_id)
    ended = _end_broken_off(store)
    if store.exists(keys.CHECK_CATALOG):
        catalog.catch_up(store)
        store.delete(keys.CHECK_CATALOG)
    if store.exists(keys.manifest(DAG, run)):
        return []
    at = datetime.now(UTC)
    sorted_inbox = drops.sort_inbox(store, at=at, grace_s=settings.wfdb_grace_s, max_bytes=settings.max_object_bytes)
    if not (ended or sorted_inbox.drops or sorted_inbox.waiting or sorted_inbox.labels):
        return []  # nothing to account for: four times an hour nothing is written
    grace_ended = (at - timedelta(seconds=settings.wfdb_grace_s)).isoformat()
    work = list(drops.batches(sorted_inbox.drops, min_tasks=settings.min_tasks))
    work, left = work[:MAX_TASKS], work[MAX_TASKS:]
    planned = waiting.plan_of(sorted_inbox, work=work, left=left, grace_ended=grace_ended)
    write(store, _plan_key(run), planned)
    if not work and (ended or sorted_inbox.labels):
        work = [[]]  # whose publication lets the pictures of what was ended be drawn, too
    described = label_tables.stage(store, _tables_at(run), sorted_inbox.labels, batches=work, patient_key=settings.patient_key)
    if not work:
        _write_manifest(store, run, inputs=[], planned=planned, shards=[], quarantined=[], labels=LabelCounts())
    jobs = (IntakeJob(drops=tuple(batch), described=key) for batch, key in zip(work, described, strict=True))
    return write_jobs(store, dag=DAG, run=run, jobs=jobs)


def ingest_batch(job: str) -> str:
    """Read one batch of drops: keep the bytes in raw/, stage shards, quarantine what cannot be read; returns the result's key.

    A try after one that was ended in the middle first reads each drop in a process apart, and refuses what ends that.
    """
    settings = Settings.from_environment()
    store = open_store(settings)
    tries_key = job.replace("/jobs/", "/tries/")
    tries = find(store, IntakeTries, tries_key)
    if tries is not None and store.exists(result_key(job)):
        return result_key(job)
    work = read(store, IntakeJob, job)
    batch: Iterable[Drop] = work.drops
    if tries is None:
        write(store, tries_key, IntakeTries())
    else:
        batch = _read_apart(store, tries_key, work.drops, refused=dict(tries.refused))
    described = label_tables.load_described(store, work.described)
    prefix = job.replace("/jobs/", "/shards/").removesuffix(".json")
    inputs: list[Input] = []
    quarantined: list[QuarantinedInput] = []
    labels: list[labelling.LabelEntry] = []
    shards: list[str] = []

    def records() -> Iterator[record_shards.StoredRecord]:
        take = partial(taking.take, store, described=described, patient_key=settings.patient_key)
        for taken in bounded_parallel_map(take, batch, at_once=DROPS_AT_ONCE):  # most of a small recording's time is the store's
            inputs.append(taken.account)
            quarantined.extend(taken.quarantined)
            labels.extend(taken.labels)
            yield from taken.records

    for number, shard in enumerate(record_shards.split_into_shards(records())):  # memory holds a few drops and one shard
        key = f"{prefix}/{number:04d}"
        store.put(f"{key}.parquet", record_shards.dump_shard(shard))
        store.put(f"{key}.index", record_shards.dump_index(shard))
        shards.append(key)
    labels_key = f"{prefix}/labels" if labels else ""
    if labels:
        store.put(labels_key, labelling.dump_labels(labels))
    result = IntakeResult(inputs=tuple(inputs), quarantined=tuple(quarantined), shards=tuple(shards), labels=labels_key)
    return write(store, result_key(job), result)


def _read_apart(store: ObjectStore, key: str, batch: Sequence[Drop], *, refused: dict[str, Refusal]) -> Iterator[Drop]:
    """The drops of a batch; those that would end this process again are told as refused."""
    with apart.Trial() as trial:
        for drop in batch:
            known = drop.name in refused or drop.reason or drop.fate  # the latter two aren't read
            fault = None if known else taking.fault_apart(store, drop, trial)
            if fault is not None:
                refused[drop.name] = Refusal(reason=fault.reason.value, message=fault.message)
                write(store, key, IntakeTries(refused=refused))  # a further try begins with what this one learnt
            refusal = refused.get(drop.name)
            yield drop if refusal is None else structs.replace(drop, reason=refusal.reason, message=refusal.message)


def publish(run_id: str, results: Sequence[str]) -> str:
    """Let the staged shards in, less the duplicates; write labels and the manifest; then empty the inbox of what was taken.

    Returns the manifest's key.
    """
    store = open_store()
    run = keys.run_key(run_id)
    key = keys.manifest(DAG, run)
    try:
        data = store.get(key)
    except MissingObjectError:
        data = _publish(store, run_id, results).to_json()
    manifest, sha256 = load(IntakeManifest, data, name=key), hashlib.sha256(data).hexdigest()
    detail = {"account": plain(manifest.account), "labels": manifest.labels.stored, "manifest_sha256": sha256}
    audit.append(store, who=f"{DAG}/{run}", action=audit.Action.INGEST, subject=run, detail=detail)
    quarantining.settle(store, run, manifest)
    _tidy(store, run, manifest)
    return key


def _publish(store: ObjectStore, run_id: str, results: Sequence[str]) -> IntakeManifest:
    """Let everything in, and write the manifest last."""
    run = keys.run_key(run_id)
    before = _catalog_before(store, run).begin(run_id, results)
    parts = list(read_many(store, IntakeResult, results))
    planned = read(store, IntakePlan, _plan_key(run))
    if planned.needed is None and planned.labels:  # of version 0.1, whose plan staged no tables
        label_tables.stage(store, _tables_at(run), planned.labels, batches=[], patient_key=Settings.from_environment().patient_key)
    arrived = Arrived(number=before.head.number + 1)
    staged = [key for part in parts for key in part.shards]
    quarantined = [entry for part in parts for entry in part.quarantined]
    entries = [entry for part in parts if part.labels for entry in labelling.load_labels(store.get(part.labels))]
    with before.grow() as growing:
        shards = _let_in(store, staged, before=before, growing=growing, arrived=arrived, naming=bool(planned.labels))
        inputs = _less_duplicates([item for part in parts for item in part.inputs], (name for name, _ in arrived.duplicates))
        came = Came(arrived=arrived, inputs=inputs, quarantined=quarantined, labels=entries, waiting=waiting.recordings(planned))
        labels = describing.describe(store, _tables_at(run), planned, before=before, came=came)
        for rows in came.rows:
            growing.add(rows)
        growing.publish(number=arrived.number)
    return _write_manifest(store, run, inputs=inputs, planned=planned, shards=shards, quarantined=quarantined, labels=labels)


def _end_broken_off(store: ObjectStore) -> bool:
    """Publish what an earlier run began to publish and gave up (one run is active at a time); returns whether there was such a run.

    A publication is over when its plan is gone.
    """
    head = find(store, CatalogHead, keys.CATALOG_HEAD)
    if head is None:
        return _end_those_of_version_01(store)
    begun = head.publishing
    if begun is None or not store.exists(_plan_key(keys.run_key(begun.run))):
        return False
    publish(begun.run, begun.results)
    return True


def _end_those_of_version_01(store: ObjectStore) -> bool:
    """Publish what version 0.1 began to publish and gave up: it noted what was there before, and wrote no account."""
    staged = store.list_keys(f"{keys.STAGING}{DAG}/")
    begun = sorted(key.split("/")[2] for key in staged if key.endswith("/before.json"))
    ended = [run for run in begun if not store.exists(keys.manifest(DAG, run))]
    for run in ended:
        publish(run, [key for key in staged if key.startswith(keys.staging(DAG, run, "results/"))])
    return bool(ended)


def _catalog_before(store: ObjectStore, run: str) -> Catalog:
    """The catalogue; where an earlier version of this program began the publication, it is made of what that found before it."""
    found = Catalog.find(store)
    if found is not None:
        return found
    noted = find(store, ArchiveBefore, keys.staging(DAG, run, "before.json"))
    return catalog.rebuild(store, only=noted)


def _let_in(
    store: ObjectStore, staged: Sequence[str], *, before: Catalog, growing: catalog.Growing, arrived: Arrived, naming: bool
) -> list[str]:
    """Move staged shards to records/, without what the archive or an earlier shard holds; returns the shards' names.

    ``arrived`` and ``growing`` get what came; ``arrived`` all names and persons of it only if ``naming``.
    """
    shards: list[str] = []
    ids: list[NDArray[np.bytes_]] = []
    indexes: list[bytes | None] = []
    n_bytes = 0
    for data in store.get_many(f"{key}.index" for key in staged):
        ids.append(_ids(data))
        n_bytes += len(data)
        indexes.append(data if n_bytes <= _KEPT_INDEX_BYTES else None)
    for place, (key, own, repeated) in enumerate(zip(staged, ids, _seen_before(before, ids), strict=True)):
        index = indexes[place] or store.get(f"{key}.index")
        indexes[place] = None
        if naming or repeated.any():
            arrived.add(tables.load(index), repeated, naming=naming)
        if repeated.all():
            continue
        if repeated.any():
            whole = record_shards.load_shard(store.get(f"{key}.parquet"))
            kept = record_shards.without(whole, set(np.flatnonzero(repeated).tolist()))
            name = record_shards.shard_name(stored.record.record_id for stored in kept)
            numbered = record_shards.dump_index(kept, received=arrived.number)
            store.put(keys.record_index(name), numbered)
            store.put(keys.record_shard(name), record_shards.dump_shard(kept))
        else:
            name = record_shards.shard_name(own.astype(str).tolist())
            numbered = tables.dump_with(tables.RECORD_INDEX, index, "received", arrived.number)
            store.put(keys.record_index(name), numbered)
            store.copy(f"{key}.parquet", keys.record_shard(name))
        growing.add(catalog.of_index(name, numbered))
        shards.append(name)
    return shards


def _seen_before(before: Catalog, parts: Sequence[NDArray[np.bytes_]]) -> list[NDArray[np.bool_]]:
    """Which ids of each part are in the archive, or stand before in this part or an earlier one."""
    if not parts:
        return []
    whole = np.concatenate(parts)
    repeated = np.ones(len(whole), dtype=bool)
    repeated[np.unique(whole, return_index=True)[1]] = False
    repeated |= before.known(whole)
    ends = np.cumsum([0, *(len(part) for part in parts)])
    return [repeated[start:end] for start, end in pairwise(ends)]


def _ids(index: bytes) -> NDArray[np.bytes_]:
    """Ids of the records in an index, shape (n,), 32 bytes each."""
    return np.array(tables.load(index, ["record_id"])["record_id"], dtype="S32")


def _less_duplicates(inputs: Sequence[Input], duplicates: Iterable[str]) -> list[Input]:
    """Move duplicate records, given by name, from ``records`` to ``duplicates`` in the inputs' accounts."""
    place = {item.record_name: number for number, item in enumerate(inputs)}
    again = np.zeros(len(inputs), dtype=np.int64)
    for name in duplicates:
        file = name.rpartition("#")[0]
        again[place[file if file in place else name]] += 1
    return [
        structs.replace(item, records=item.records - n, duplicates=item.duplicates + n) if n else item
        for item, n in zip(inputs, again.tolist(), strict=True)
    ]


def _write_manifest(
    store: ObjectStore,
    run: str,
    *,
    inputs: Sequence[Input],
    planned: IntakePlan,
    shards: Sequence[str],
    quarantined: Sequence[QuarantinedInput],
    labels: LabelCounts,
) -> IntakeManifest:
    sums = {name: sum(getattr(item, name) for item in inputs) for name in InputCounts.__struct_fields__}
    account = IntakeCounts(**sums, waiting=len(planned.waiting))
    if account.received != account.records + account.duplicates + account.quarantined:
        raise AssertionError(f"the account of {run} does not add up: {account}")
    manifest = IntakeManifest(
        dag=DAG,
        run=run,
        code=Code.running(),
        account=account,
        inputs=tuple(inputs),
        waiting=waiting.named(planned),
        waiting_for=planned.waiting_for,
        needed=planned.waiting if planned.needed is None else planned.needed,
        left=planned.left,
        shards=tuple(shards),
        quarantined=tuple(quarantined),
        labels=labels,
    )
    write_manifest(store, manifest)
    return manifest


def _tidy(store: ObjectStore, run: str, manifest: IntakeManifest) -> None:
    """Remove what was taken from the inbox unless it changed since or something waiting needs it; then what was staged, the plan last."""
    needed = set(manifest.waiting if manifest.needed is None else manifest.needed)
    gone = {file.key: file.etag for item in manifest.inputs for file in item.files if file.key not in needed}
    gone |= {table.key: table.etag for table in manifest.labels.tables if table.key not in needed}
    # listed, and not asked for one by one: what lies there now may be another content
    store.delete_many([item.key for item in store.list_objects(keys.INBOX) if gone.get(item.key) == item.etag])
    staged = store.list_keys(keys.staging(DAG, run, ""))
    store.delete_many([key for key in staged if key.startswith((keys.staging(DAG, run, "shards/"), f"{_tables_at(run)}/"))])
    store.delete(_plan_key(run))


def _plan_key(run: str) -> str:
    return keys.staging(DAG, run, "plan.json")


def _tables_at(run: str) -> str:
    return keys.staging(DAG, run, "tables")
