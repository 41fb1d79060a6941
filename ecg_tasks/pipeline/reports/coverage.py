"""Here: which records a report covers, and what still waits before it. Not here: what a report says of them (``report_builder``)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from ecg_tasks.archive import forgotten, keys, tables
from ecg_tasks.archive.documents import (
    ClassifyManifest,
    Ingests,
    IntakeManifest,
    Pending,
    PinnedVersion,
    ReportPin,
    Waiting,
    find_manifest,
    read,
    read_manifest,
)
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.names import DagId
from ecg_tasks.pipeline.intake import looking
from ecg_tasks.signals.recipes import get_recipe


def waiting_sentences(waits: Waiting) -> list[str]:
    """Say what is in no decision yet, a sentence for each that is not zero."""
    found = []
    if waits.inbox_files:
        are = "file is" if waits.inbox_files == 1 else "files are"
        found.append(
            f"{waits.inbox_files:,} {are} still in the inbox and not in this report{reasons(waits)}; ingest_records reads what is complete."
        )
    if waits.records_without_pictures:
        have = "record has" if waits.records_without_pictures == 1 else "records have"
        found.append(f"{waits.records_without_pictures:,} {have} no pictures yet; render_spectrograms draws them.")
    return found


def reasons(waits: Waiting) -> str:
    """Say what the files of the inbox wait for, and until when, behind how many they are; empty where an older account does not know.

    >>> from ecg_tasks.archive.documents.classifying import InboxWait
    >>> reasons(Waiting(inbox_files=1, inbox=(InboxWait(why="its content", files=1, until="2026-11-30T01:02:03+00:00"),)))
    ': 1 for its content (until 2026-11-30 01:02 UTC)'
    """
    said = [f"{one.files:,} for {one.why}{f' (until {_moment(one.until)})' * bool(one.until)}" for one in waits.inbox]
    return f": {', '.join(said)}" if said else ""


def _moment(when: str) -> str:
    return f"{datetime.fromisoformat(when).astimezone(UTC):%Y-%m-%d %H:%M} UTC" if when else ""


def last_report(store: ObjectStore, *, with_records: bool = False) -> ClassifyManifest | None:
    """Return the manifest of the newest report, or of the newest that had records; None where there is none."""
    found, written = store.list_objects(f"{keys.MANIFESTS}{DagId.CLASSIFY_RECORDS}/"), forgotten.first_written(store)
    newest = sorted(found, key=lambda item: (written(item), item.key), reverse=True)
    manifests = (read(store, ClassifyManifest, item.key) for item in newest)
    return next((one for one in manifests if one.counts.records or not with_records), None)


def ingests_to_report(store: ObjectStore, *, scope: str, last: ClassifyManifest | None) -> Ingests:
    """Find what a report covers: everything, or what came since the last report and the records that it left pending."""
    listed = store.list_objects(f"{keys.MANIFESTS}{DagId.INGEST_RECORDS}/")
    written = forgotten.first_written(store)
    found = [(written(item).isoformat(), keys.stem(item.key)) for item in listed]
    through = max((modified for modified, _ in found), default="")
    at_through = tuple(run for at, run in found if at == through)
    if scope == "all" or last is None:
        return Ingests(runs=tuple(sorted(run for _, run in found)), through=through, at_through=at_through)
    seen = last.ingests
    new = [run for at, run in found if at > seen.through or (at == seen.through and run not in seen.at_through)]
    return Ingests(runs=tuple(sorted(new)), through=through, at_through=at_through, carried=_left_pending(store, last))


def shards_to_report(store: ObjectStore, pinned: ReportPin) -> dict[str, tuple[str, ...] | None]:
    """Return the shards that a report covers, with the ids of the records, or None for all of a shard."""
    found: dict[str, tuple[str, ...] | None] = {one.shard: one.records for one in pinned.ingests.carried}
    for run in pinned.ingests.runs:
        found |= dict.fromkeys(read_manifest(store, IntakeManifest, run).shards)
    return found


def waiting(store: ObjectStore, *, recipes: Iterable[str]) -> Waiting:
    """Count what is in no decision yet, by listings; indexes are read of shards without pictures only."""
    indexes = store.get_many(keys.record_index(shard) for shard in sorted(_bare(store, recipes)))
    n_files = looking.count(store)
    return Waiting(
        inbox_files=n_files,
        inbox=looking.waits_for(store, n_files),
        records_without_pictures=sum(len(tables.load(data, ["record_id"])["record_id"]) for data in indexes),
    )


def is_intake_over(store: ObjectStore, *, recipes: Iterable[str]) -> bool:
    """Return whether all that lay complete in the inbox is taken over, and has its pictures; what waits for other files may be there."""
    return looking.is_taken_over(store) and not _bare(store, recipes)


def _bare(store: ObjectStore, recipes: Iterable[str]) -> set[str]:
    """Return the shards that lack the pictures of a recipe."""
    shards = {keys.stem(key) for key in store.list_keys(keys.RECORDS)}
    bare: set[str] = set()
    for name in recipes:
        bare |= shards - {keys.stem(key) for key in store.list_keys(keys.spectrograms_of(get_recipe(name).key))}
    return bare


def _left_pending(store: ObjectStore, last: ClassifyManifest) -> tuple[Pending, ...]:
    """Return what the last report left pending; one of before 2026-11-28 names whole intake runs, of which the undecided shards count."""
    if last.pending is not None:
        return last.pending
    manifests = [find_manifest(store, IntakeManifest, run) for run in last.pending_ingests]
    shards = {shard for manifest in manifests if manifest is not None for shard in manifest.shards}
    return tuple(Pending(shard=shard) for shard in sorted(shards) if not _was_decided(store, shard, last.champions))


def _was_decided(store: ObjectStore, shard: str, champions: Mapping[str, PinnedVersion]) -> bool:
    predictions: Sequence[str] = [keys.predictions(name, shard, one.version) for name, one in champions.items()]
    return bool(predictions) and all(store.exists(key) for key in predictions)
