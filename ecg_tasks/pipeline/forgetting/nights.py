"""Here: nights and their reports without forgotten recordings, and comparisons of versions. Not here: accounts of intakes (``accounts``).

A report is made again of its table and its summary; pages of other records lose their links to the ones that are gone. The manifest is
written last, and is what the counts start from: a report that was broken off in between gets the same counts. A comparison that has a
forgotten recording goes whole, as it can be made again by the same form.
"""

import re
from collections.abc import Iterable

from msgspec import structs

from ecg_tasks.archive import keys, tables
from ecg_tasks.archive.documents import BackfillManifest, ClassifyManifest, Pending, read_manifests, read_shown, write_manifest
from ecg_tasks.archive.forgotten import NAME
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.predictions import RunTable
from ecg_tasks.archive.run_table_writer import table_without
from ecg_tasks.archive.temporary_file import new_file
from ecg_tasks.counts import ReportCounts
from ecg_tasks.errors import SENTENCES, MissingObjectError, Reason
from ecg_tasks.labels import Decision
from ecg_tasks.pipeline.forgetting.gone import Gone, file_of
from ecg_tasks.reporting.again import changed_in, counts_of, refused_in, report_again
from ecg_tasks.reporting.model import ReportedInput
from ecg_tasks.reporting.pages import RECORD_PAGES, render_report_files

_TABLE, _CHANGES, _SUMMARY, _INDEX = "predictions.parquet", "changes.csv", "summary.json", "index.html"
_TYPES = {"html": "text/html; charset=utf-8", "csv": "text/csv; charset=utf-8", "json": "application/json"}
_LINK = re.compile(rb'<a href="([0-9a-f]{32})\.html" rel="(prev|next)">[^<]*</a>')


def without(table: RunTable, gone: Gone) -> RunTable:
    """Return a run's table less their rows."""
    return table_without(table, gone.ids)


def forget(store: ObjectStore, gone: Gone) -> int:
    """Make the reports and manifests again that have something of theirs; returns how many objects were changed."""
    told = {report.report.rpartition("/")[0]: report for report in read_manifests(store, ClassifyManifest)}
    n_changed = sum(_night(store, folder, manifest, gone) for folder, manifest in told.items())
    for folder in {"/".join(key.split("/")[:3]) for key in store.list_keys(keys.REPORTS)} - told.keys():
        listed = store.list_keys(f"{folder}/")  # of a run that was given up
        if any(_holds(store, key, gone) for key in listed):
            store.delete_many(listed)
            n_changed += len(listed)
    return n_changed


def forget_comparisons(store: ObjectStore, gone: Gone) -> int:
    """Delete the comparisons of versions that have something of theirs, with their manifests."""
    n_changed = 0
    runs: dict[str, list[BackfillManifest]] = {}
    for manifest in read_manifests(store, BackfillManifest):
        runs.setdefault(manifest.page.split("/")[1], []).append(manifest)
    for name in {*store.list_folders(keys.BACKFILLS), *runs}:
        listed = store.list_keys(keys.backfill(name, ""))
        shards = {one.shard for run in runs.get(name, ()) for one in run.shards}
        if shards & gone.empty_shards or any(_holds(store, key, gone) for key in listed):
            manifests = [keys.manifest(run.dag, run.run) for run in runs.get(name, ())]
            store.delete_many([*listed, *manifests])
            n_changed += len(listed) + len(manifests)
    return n_changed


def _holds(store: ObjectStore, key: str, gone: Gone) -> bool:
    data = store.get(key)
    if key.endswith(".parquet"):
        return tables.without_records(data, gone.ids) != data
    return any(one.encode() in data for one in gone.ids) or any(one in key for one in gone.ids)


def _night(store: ObjectStore, folder: str, manifest: ClassifyManifest, gone: Gone) -> int:
    pending = None if manifest.pending is None else _still_pending(manifest.pending, gone)
    was_here = gone.token in manifest.forgotten
    n_pending = sum(_n_pending(one, gone) for one in manifest.pending or () if one.records is not None or not was_here)
    carried = _still_pending(manifest.ingests.carried, gone)
    counts, n_changed, n_shown, decisions = _report(store, folder, manifest.counts, gone, n_pending=n_pending)
    after = structs.replace(
        manifest,
        counts=counts,
        shards=tuple(one for one in manifest.shards if one.shard not in gone.empty_shards),
        pending=pending,
        ingests=structs.replace(manifest.ingests, carried=carried),
        changed=manifest.changed if n_shown is None else n_shown,
        decisions=decisions if manifest.decisions and decisions else manifest.decisions,
    )
    if after != manifest:
        write_manifest(store, structs.replace(after, forgotten=tuple(dict.fromkeys((*manifest.forgotten, gone.token)))))
        n_changed += 1
    return n_changed


def _report(
    store: ObjectStore, folder: str, before: ReportCounts, gone: Gone, *, n_pending: int
) -> tuple[ReportCounts, int, int | None, dict[str, int]]:
    """Make a report again; returns its counts, how many objects and decisions of a new champion changed, and records by decision."""
    listed = store.list_keys(f"{folder}/")
    summary = read_shown(store, f"{folder}/{_SUMMARY}")
    if summary is None or f"{folder}/{_TABLE}" not in listed:
        return _moved(before, None, n_pending=n_pending), _delete_whole(store, listed, gone), None, {}
    table = _open(store, f"{folder}/{_TABLE}")
    kept = without(table, gone)
    refused = refused_in(summary)
    told = [_refused(one, gone) for one in refused]
    changed = changed_in(store.get(f"{folder}/{_CHANGES}")) if f"{folder}/{_CHANGES}" in listed else []
    still = [one for one in changed if one.record_id not in gone.ids]
    counts = _moved(before, kept, n_pending=n_pending)
    decisions = {kind.value: n for kind, n in kept.decisions.items()}
    pages = {key.rpartition("/")[2].removesuffix(".html") for key in listed if f"/{RECORD_PAGES}" in key}
    index = f"{folder}/{_INDEX}"
    same = (len(kept), told, still, counts) == (len(table), refused, changed, counts_of(summary))
    if same and index in listed and not pages & gone.ids:
        return counts, 0, None, decisions
    store.delete(index)  # where it is not there, the report is not whole, and is made again
    report = report_again(summary, kept, counts=counts, quarantined=told, changed=still)
    _relink(store, folder, sorted(pages & gone.ids))
    n_changed = 0
    for path, content in render_report_files(report, pages=sorted(pages - gone.ids)):
        store.put(f"{folder}/{path}", content, content_type=_TYPES.get(path.rsplit(".", 1)[-1], "application/vnd.apache.parquet"))
        n_changed += 1
    return counts, n_changed + len(pages & gone.ids), len(still) if changed else None, decisions


def _moved(before: ReportCounts, table: RunTable | None, *, n_pending: int) -> ReportCounts:
    """Return the counts of a report whose table has fewer rows, and of which so many pending records are gone."""
    found = None if table is None else table.decisions
    changed = structs.replace(before, pending=before.pending - n_pending)
    if found is not None:
        changed = structs.replace(
            changed,
            classified=found[Decision.NORMAL] + found[Decision.ABNORMAL],
            uncertain=found[Decision.UNCERTAIN],
            uninterpretable=found[Decision.UNINTERPRETABLE],
        )
    n_records = changed.classified + changed.uncertain + changed.uninterpretable + changed.pending
    return structs.replace(changed, records=n_records, forgotten=before.forgotten + before.records - n_records)


def _relink(store: ObjectStore, folder: str, going: Iterable[str]) -> None:
    """Delete pages of records, each after its neighbours lead past it."""
    for record_id in going:
        key = f"{folder}/{RECORD_PAGES}{record_id}.html"
        beside = {way.decode(): page.decode() for page, way in _LINK.findall(store.get(key))}
        for way, page in beside.items():
            there = f"{folder}/{RECORD_PAGES}{page}.html"
            other = beside.get("next" if way == "prev" else "prev", "")
            try:
                data = store.get(there)
            except MissingObjectError:
                continue  # it is gone, too
            past = _past(data, record_id, other)
            store.put(there, past, content_type=_TYPES["html"])
        store.delete(key)


def _past(page: bytes, record_id: str, other: str) -> bytes:
    """Return a page whose link to a record leads to another one, or is not there any more."""
    old = f"{record_id}.html".encode()
    return page.replace(old, f"{other}.html".encode()) if other else _LINK.sub(lambda link: b"" if old in link[0] else link[0], page)


def _delete_whole(store: ObjectStore, listed: list[str], gone: Gone) -> int:
    """Delete a report that an early version wrote, which cannot be made again, if it has something of theirs; its manifest stays."""
    if not any(_holds(store, key, gone) for key in listed):
        return 0
    store.delete_many(listed)
    return len(listed)


def _refused(one: ReportedInput, gone: Gone) -> ReportedInput:
    if one.sha256 not in gone.sources and file_of(one.name) not in gone.called:
        return one
    return ReportedInput(name=NAME, reason=one.reason, message=SENTENCES[Reason(one.reason)], sha256="")


def _n_pending(one: Pending, gone: Gone) -> int:
    own = {record.record_id for record in gone.forgetting.records if record.shard == one.shard}
    return len(own if one.records is None else own.intersection(one.records))


def _still_pending(listed: Iterable[Pending], gone: Gone) -> tuple[Pending, ...]:
    found = (
        one if one.records is None else structs.replace(one, records=tuple(record for record in one.records if record not in gone.ids))
        for one in listed
        if one.shard not in gone.empty_shards
    )
    return tuple(one for one in found if one.records != ())


def _open(store: ObjectStore, key: str) -> RunTable:
    return RunTable.copied(store.stream(key), new_file())
