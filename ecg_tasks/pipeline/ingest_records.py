"""Here: the tasks of the DAG ``ingest_records``: inbox/ to raw/, records/, labels/ and quarantine/. Not here: parsing (``taking``).

The commit point is `publish`: until it has run, nothing of the run is in ``records/`` and nothing is gone from ``inbox/``. A run is over
when its jobs and results are gone. One that has all its results and was given up is published by the next run: part of it may be in the
archive already, its files would all be duplicates then, and its records in no report.

One record costs few requests whatever the archive holds, for a store may be far away: a job and a result hold all that is small, and
nothing is asked for that the caller can know.
"""

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from msgspec import structs

from ecg_tasks.archive import audit, catalog, forgotten, keys, labelling, record_shards, taken_archives
from ecg_tasks.archive.catalog import Catalog
from ecg_tasks.archive.documents import (
    ArchiveBefore,
    IntakeJob,
    IntakeManifest,
    IntakeResult,
    LabelCounts,
    QuarantinedInput,
    StagedShard,
    find,
    load,
    plain,
    read,
    write,
)
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.parallel import bounded_parallel_map
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.archive.task_log import counted, logged
from ecg_tasks.archive.workspace import MAX_TASKS, open_store, result_key, write_jobs
from ecg_tasks.errors import MissingObjectError
from ecg_tasks.names import DagId
from ecg_tasks.parsing.asking import Parser
from ecg_tasks.pipeline.intake import (
    archives,
    aside,
    drops,
    headers,
    inbox,
    label_tables,
    looking,
    members,
    opening,
    publication,
    quarantining,
    reading,
    taking,
    waiting,
)
from ecg_tasks.pipeline.intake.copies import Lines
from ecg_tasks.pipeline.intake.keeping import Keeping
from ecg_tasks.pipeline.intake.publication import Account, tables_at
from ecg_tasks.pipeline.intake.results import Results
from ecg_tasks.pipeline.intake.tidying import tidy
from ecg_tasks.settings import Settings

DAG = DagId.INGEST_RECORDS
DROPS_AT_ONCE = 4
_OF_A_RUN = 4
"""Parts of a key before the name of a job: staging/intake/<run>/jobs/."""
_SMALL_BYTES = 1024 * 1024
"""Staged shards of so many bytes together stand in the result of their task."""


@logged
def plan(run_id: str) -> list[str]:
    """Sort the inbox into batches; returns the key of one job a batch, none if there is nothing to take over.

    A run that has its manifest is over: planned once more, it leaves its account as it is, and what came since to the next run.
    """
    settings = Settings.from_environment()
    store = open_store(settings)
    run = keys.run_key(run_id)
    listed, n_beyond = inbox.whole_folders(store.list_objects(keys.INBOX))
    first = store.list_keys(keys.INTAKES)  # after the inbox: whoever puts back what was in quarantine marks it before
    if keys.FORGETTING in first:
        forgotten.fail_if_under_way(store)
    ended = _end_broken_off(first)
    if keys.CHECK_CATALOG in first:
        ended = _check_catalog(store) or ended
        store.delete(keys.CHECK_CATALOG)
    if ended:
        listed, n_beyond = inbox.whole_folders(store.list_objects(keys.INBOX))
        first = store.list_keys(keys.INTAKES)
    if store.exists(keys.manifest(DAG, run)):
        return []
    at = datetime.now(UTC)
    grace_s, max_bytes = settings.wfdb_grace_s, settings.max_object_bytes
    notes, names = looking.released_notes(first), StoredNames.of(settings)
    released = looking.released(listed, notes, names=names)
    if not n_beyond:  # else they may be there
        store.delete_many(keys.released(digest) for digest in notes - released.keys())  # of files that are gone
    opened = archives.open_all(
        store,
        listed,
        limits=opening.ArchiveBounds.of(settings),
        min_tasks=settings.min_tasks,
        keeping=Keeping.of(settings),
    )
    sorted_inbox = drops.sort_inbox(
        store,
        opened.loose,
        at=at,
        grace_s=grace_s,
        max_bytes=max_bytes,
        remembered=headers.MEMO in first,
        released=released.values(),
    )
    refuses, keeping = keys.REFUSED in first, Keeping.of(settings)
    # Where raw/ keeps archives, one with a table that speaks of a forgotten recording must be known in its own run: tables are read whole.
    folders_left = frozenset[str]() if refuses and keeping.keeps == "as_dropped" else opened.folders_left
    sorted_inbox = waiting.with_archives(sorted_inbox, opened, folders_left=folders_left)
    if not (ended or opened.parts or opened.known or sorted_inbox.drops or sorted_inbox.waiting or sorted_inbox.labels):
        return []  # nothing to account for: four times an hour nothing is written
    # What a row of a label table means may lie behind the folders that are taken, or in an archive that was not opened yet: then no table
    # has waited long enough.
    grace_ended = "" if n_beyond or opened.left else (at - timedelta(seconds=settings.wfdb_grace_s)).isoformat()
    loose = list(drops.batches(sorted_inbox.drops, min_tasks=settings.min_tasks))
    most = MAX_TASKS - len(opened.parts)
    work, left = [*(part.drops for part in opened.parts), *loose[:most]], loose[most:]
    put_back = tuple(key.removeprefix(keys.put_back("")) for key in first if key.startswith(keys.put_back("")))
    planned = waiting.plan_of(
        store, tables_at(run), sorted_inbox, work=work, left=left, n_beyond=n_beyond, grace_ended=grace_ended, put_back=put_back
    )
    newest = max((item.modified for item in (*listed, *opened.loose)), default=at).isoformat()
    planned = structs.replace(planned, opened=tuple(opened.counts), known=tuple(opened.known), refuses=refuses, newest=newest)
    if not work and (ended or opened.known or sorted_inbox.labels):
        work = [[]]  # whose publication lets the pictures of what was ended be drawn, too
    described = label_tables.stage(
        store,
        tables_at(run),
        sorted_inbox.labels,
        batches=work,
        patient_key=settings.patient_key,
        keeping=keeping,
        folders_left=folders_left,
    )
    if not work:
        with Account(StoredNames.of(settings), planned) as counts:
            counts.write(store, run, shards=[], labels=LabelCounts())
    plans = [planned, *[None] * len(work)]
    bare = [*(part.job() for part in opened.parts), *(IntakeJob(drops=tuple(batch)) for batch in work[len(opened.parts) :])]
    jobs = (structs.replace(job, described=key, plan=told, refuses=refuses) for job, key, told in zip(bare, described, plans, strict=False))
    written = write_jobs(store, dag="intake", run=run, jobs=jobs)
    counted(
        files=len(listed), drops=sum(map(len, work)), archives=len(opened.counts), label_tables=len(sorted_inbox.labels), tasks=len(written)
    )
    store.delete_many({key for key in first if key.startswith(keys.intake(run, ""))} - set(written))  # of a try that was broken off
    return written


@logged
def ingest_batch(job: str, *, tried_before: bool = False) -> str:
    """Read one batch of drops: keep the bytes in raw/, stage shards, quarantine what cannot be read; returns the result's key.

    Files are read behind walls, in a process that knows no secret: what ends it, or takes too much, is refused, and costs nobody else.
    """
    settings = Settings.from_environment()
    store = open_store(settings)
    run = job.split("/")[2]
    if tried_before and (store.exists(result_key(job)) or store.exists(keys.manifest(DAG, run))):
        return result_key(job)
    work = read(store, IntakeJob, job)
    with ExitStack() as while_read:
        archived = None
        if work.archive is not None:
            try:
                archived = while_read.enter_context(members.fetched(store, work.archive, work.drops, work.members))
            except MissingObjectError:
                if not work.archive.etag:
                    raise  # it is ours, and should be there
                lost = members.gone(work.drops, names=StoredNames.of(settings))
                return write(store, result_key(job), IntakeResult(inputs=lost, quarantined=(), shards=(), plan=work.plan))
        parser = while_read.enter_context(Parser(required=settings.sandbox == "required"))
        described = label_tables.load_described(store, work.described)
        prefix = keys.staging(DAG, run, f"shards/{keys.stem(job)}")
        lines = while_read.enter_context(Lines(store, "" if work.archive is None else work.archive.copies))
        quarantined: list[QuarantinedInput] = []
        labels: list[labelling.LabelEntry] = []
        called: dict[str, str] = {}

        def records() -> Iterator[record_shards.StoredRecord]:
            get = partial(taking.get, store) if archived is None else partial(members.get, archived)
            take_one = partial(taking.take, store) if archived is None else partial(members.take, store, batch=archived)
            refused = forgotten.refused(store) if work.refuses else frozenset()
            keeping = replace(Keeping.of(settings), refused=refused, aside=aside.of_run(run) if work.refuses else "")
            take = partial(
                take_one,
                described=described,
                patient_key=settings.patient_key,
                dates=settings.dates,
                keeping=keeping,
            )
            there = reading.read_drops(work.drops, get=get, parse=parser.read_all, keeping=keeping)
            for taken in bounded_parallel_map(take, there, at_once=DROPS_AT_ONCE):  # most of a small recording's time is the store's
                lines.add(taken)
                quarantined.extend(taken.quarantined)
                called.update(taken.forgotten)
                labels.extend(taken.labels)
                yield from taken.records

        shards: list[StagedShard] = []
        n_bytes = 0
        for number, shard in enumerate(record_shards.split_into_shards(records())):  # memory holds a few drops and one shard
            key, data = f"{prefix}/{number:04d}", record_shards.dump_shard(shard)
            n_bytes += len(data)
            if n_bytes > _SMALL_BYTES:
                store.put(f"{key}.parquet", data)
            records_here = data if n_bytes <= _SMALL_BYTES else b""
            shards.append(StagedShard(key=key, index=record_shards.dump_index(shard), records=records_here))
        inputs = lines.finished()
    counted(drops=len(work.drops), shards=len(shards), refused=len(quarantined), labels=len(labels))
    result = IntakeResult(
        inputs=inputs,
        quarantined=tuple(quarantined),
        shards=tuple(shards),
        label_rows=labelling.dump_labels(labels) if labels else b"",
        plan=work.plan,
        forgotten=called,
    )
    return write(store, result_key(job), result)


@logged
def publish(run_id: str, results: Sequence[str]) -> str:
    """Let the staged shards in, less the duplicates; write labels and the manifest; then empty the inbox of what was taken.

    Returns the manifest's key. A publication that is tried again ends what the one before began; one that is over changes nothing.
    """
    settings = Settings.from_environment()
    store, names = open_store(settings), StoredNames.of(settings)
    run = keys.run_key(run_id)
    key = keys.manifest(DAG, run)
    staged = Results(store, run, results)
    found, planned = Catalog.find(store), staged.plan()
    was_last = found is not None and found.took_in_last(run)
    data = None
    if planned is None or planned.put_back is None or found is None or was_last:  # it may have come so far before
        data = _get(store, key)
    if planned is None and data is None:
        raise MissingObjectError(f"of the intake {run}, neither what was staged nor its account is there")
    if planned is None and not was_last:
        return key
    if planned is None or data is not None:
        manifest = load(IntakeManifest, data or b"", name=key)
        _log(store, manifest, data or b"")
        taken_archives.note_archives(store, manifest)
        quarantining.settle(store, manifest, put_back=None, names=names)
        tidy(store, manifest, None, names=names)
    else:
        manifest, logged, taken = publication.let_in(store, staged, planned, before=_catalog_before(store, run, found))
        _log(store, manifest, manifest.to_json(), listed=logged)
        taken_archives.note_archives(store, manifest)
        quarantining.settle(store, manifest, put_back=planned.put_back, names=names)
        tables = store.list_keys(f"{tables_at(run)}/") if planned.labels else []
        tables += store.list_keys(aside.of_run(run)) if planned.refuses else []
        counted(**_numbers(manifest))
        tidy(
            store,
            manifest,
            itertools.chain(tables, planned.archives, staged.staged()) if planned.put_back is not None else None,
            names=names,
            taken=taken,
        )
    return key


def _numbers(manifest: IntakeManifest) -> dict[str, int]:
    """Return the counts of an intake that are not zero; what it received always is there."""
    counts = {name: n for name, n in plain(manifest.counts).items() if isinstance(n, int)}
    return {name: n for name, n in (counts | {"labels": manifest.labels.stored}).items() if n or name == "received"}


def _log(store: ObjectStore, manifest: IntakeManifest, data: bytes, *, listed: Sequence[audit.Name] | None = None) -> None:
    """Write into the log what a run took over; ``data`` is its manifest as it is stored."""
    detail = {"account": plain(manifest.counts), "labels": manifest.labels.stored, "manifest_sha256": hashlib.sha256(data).hexdigest()}
    audit.append(store, who=f"{DAG}/{manifest.run}", action=audit.Action.INGEST, subject=manifest.run, detail=detail, listed=listed)


def _get(store: ObjectStore, key: str) -> bytes | None:
    try:
        return store.get(key)
    except MissingObjectError:
        return None


def end_broken_off(store: ObjectStore) -> None:
    """Publish what earlier runs have all results of and gave up, as the next plan would. No run may be at work."""
    _end_broken_off(store.list_keys(keys.INTAKES))


def _end_broken_off(listed: Iterable[str]) -> bool:
    """Publish what an earlier run has all results of and gave up (one run is active at a time); returns whether there was such a run."""
    parts = [key.split("/") for key in listed]
    there = {"/".join(part) for part in parts}
    jobs: dict[str, list[str]] = {}
    for part in parts:
        if len(part) > _OF_A_RUN and part[_OF_A_RUN - 1] == "jobs":
            jobs.setdefault(part[2], []).append("/".join(part))
    done = {run: results for run, own in jobs.items() if there.issuperset(results := [result_key(job) for job in sorted(own)])}
    for run, results in done.items():
        publish(run, results)
    return bool(done)


def _check_catalog(store: ObjectStore) -> bool:
    """Take in what an earlier version of this program left; returns whether a publication was ended."""
    ended = _end_those_of_earlier_versions(store)
    for entry in quarantining.list_put_back(store):
        store.put(keys.put_back(entry), b"")
    catalog.catch_up(store)
    return ended


def _end_those_of_earlier_versions(store: ObjectStore) -> bool:
    """Publish what an earlier version began to publish and gave up; returns whether there was such a run.

    Version 0.1 noted what was there before, the one after it the run in the catalogue's head; neither had written a manifest yet.
    """
    staged, found = store.list_keys(f"{keys.STAGING}{DAG}/"), Catalog.find(store)
    noted = {key.split("/")[2] for key in staged if key.endswith("/before.json")}
    named = {run for key in staged if key.endswith("/plan.json") and found is not None and found.took_in_last(run := key.split("/")[2])}
    ended = [run for run in sorted(noted | named) if not store.exists(keys.manifest(DAG, run))]
    for run in ended:
        publish(run, [key for key in staged if key.startswith(keys.staging(DAG, run, "results/"))])
    return bool(ended)


def _catalog_before(store: ObjectStore, run: str, found: Catalog | None) -> Catalog:
    """Return the catalogue before a run's publication; where an earlier version began that, it is rebuilt from what was there then."""
    if found is not None:
        return found.before(run)
    return catalog.rebuild(store, only=find(store, ArchiveBefore, keys.staging(DAG, run, "before.json")))
