"""Here: whether anything is lost that cannot be made again, and every dropped file has a fate. Not here: what is too old (``rules``).

What is made of something is listed before it, so a run at work makes no false orphan: its source stood before it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby

from ecg_tasks.archive import account_lists, keys, registry, tables
from ecg_tasks.archive.documents import ClassifyManifest, IntakeManifest, Orphan, read_manifests
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.names import DagId
from ecg_tasks.pipeline.maintenance.rules import INDEX
from ecg_tasks.readers.file_names import LABEL_TABLE
from ecg_tasks.signals.recipes import RECIPES

AT_WORK = timedelta(hours=12)
"""So long a run may have something in the bucket before its account names it."""


def find_orphans(store: ObjectStore, *, at: datetime) -> list[Orphan]:
    """Find all in the bucket that lacks what it was made from, and every dropped file that no record, entry or account names."""
    raw = {
        folder: max(item.modified for item in items)
        for folder, items in groupby(store.list_objects(keys.RAW), key=lambda item: item.key.split("/")[1])
    }
    copies = {item.key: item.modified for item in store.list_objects(keys.RAW) if keys.digest_of_copies(item.key)}
    label_tables = {key.split("/")[1] for key in store.list_keys(keys.RAW) if key.endswith(f"/{LABEL_TABLE}")}
    return [
        *_reports(store, at=at),
        *_champions(store),
        *_predictions(store),
        *_records(store, raw, copies, at=at, listed=label_tables),
    ]


def _reports(store: ObjectStore, *, at: datetime) -> Iterator[Orphan]:
    """Compare reports with their manifests and predictions."""
    written = [item for item in store.list_objects(keys.REPORTS) if item.key.endswith(f"/{INDEX}")]
    manifests = {night.run: night for night in read_manifests(store, ClassifyManifest)}
    shards_of = {intake.run: intake.shards for intake in read_manifests(store, IntakeManifest)}
    predictions = set(store.list_keys(keys.PREDICTIONS))
    for item in written:
        run = item.key.split("/")[2]
        manifest = manifests.get(run)
        if manifest is None:
            if item.modified < at - AT_WORK:
                yield Orphan(kind="report without a manifest", key=item.key, lacks=keys.manifest(DagId.CLASSIFY_RECORDS, run))
            continue
        covered: set[str] = set()
        if not manifest.counts.pending:
            covered.update(
                *(shards_of.get(intake, ()) for intake in manifest.ingests.runs), (one.shard for one in manifest.ingests.carried)
            )
        needed = {keys.predictions(one.recipe, one.shard, one.version) for one in manifest.shards}
        needed |= {keys.predictions(recipe, shard, one.version) for recipe, one in manifest.champions.items() for shard in covered}
        for key in sorted(needed - predictions):
            yield Orphan(kind="report without its predictions", key=item.key, lacks=key)


def _champions(store: ObjectStore) -> Iterator[Orphan]:
    for recipe in RECIPES:
        champion = registry.read_champion(store, recipe)
        if champion is not None and not registry.has_version(store, recipe, champion.version):
            yield Orphan(
                kind="champion without its version",
                key=keys.champion(recipe),
                lacks=keys.model_file(recipe, champion.version, registry.SUMS),
            )


def _predictions(store: ObjectStore) -> Iterator[Orphan]:
    """Compare predictions with the versions that made them."""
    there: dict[tuple[str, str], bool] = {}
    for key in store.list_keys(keys.PREDICTIONS):
        version = key.split("/")[1], keys.stem(key)
        if version not in there:
            there[version] = registry.has_version(store, *version)
        if not there[version]:
            yield Orphan(kind="predictions without their version", key=key, lacks=keys.model_file(*version, registry.SUMS))


def _records(
    store: ObjectStore, raw: Mapping[str, datetime], copies: Mapping[str, datetime], *, at: datetime, listed: Iterable[str]
) -> Iterator[Orphan]:
    """Compare shards with their indexes and back; records with the dropped files, and these, and objects of copies, with a fate."""
    indexes = list(store.list_objects(keys.RECORD_INDEX))
    shards = {keys.stem(key) for key in store.list_keys(keys.RECORDS)}
    for item in indexes:
        if keys.stem(item.key) not in shards and item.modified < at - AT_WORK:
            yield Orphan(kind="index without its records", key=item.key, lacks=keys.record_shard(keys.stem(item.key)))
    for shard in sorted(shards - {keys.stem(item.key) for item in indexes}):
        if not store.exists(keys.record_index(shard)):
            yield Orphan(kind="records without their index", key=keys.record_shard(shard), lacks=keys.record_index(shard))
    sources: set[str] = set(listed)
    told = _told(store)
    for item, data in zip(indexes, store.get_many(item.key for item in indexes), strict=True):
        named = set(tables.load(data, ["source"])["source"])
        sources |= named
        for source in sorted(named - raw.keys() - told.unkept):
            if not store.list_keys(f"{keys.RAW}{source}/"):  # it may have come since the listing
                yield Orphan(
                    kind="records without the dropped file", key=keys.record_shard(keys.stem(item.key)), lacks=keys.raw(source, "")
                )
    yield from _without_fate(raw, copies, told, named=sources | told.named, at=at)


def _without_fate(
    raw: Mapping[str, datetime], copies: Mapping[str, datetime], told: "_Told", *, named: set[str], at: datetime
) -> Iterator[Orphan]:
    """Yield what no record, entry or account names: folders of raw/, and objects of copies in one that is named."""
    for source in sorted(raw.keys() - named):
        if raw[source] < at - AT_WORK:
            yield Orphan(kind="dropped file without any fate", key=keys.raw(source, ""), lacks="a record, a quarantine entry or an account")
    for key in sorted(copies.keys() - told.kept_in):
        if copies[key] < at - AT_WORK and key.split("/")[1] in named:
            yield Orphan(kind="copies without any fate", key=key, lacks="an account")


@dataclass(frozen=True, kw_only=True)
class _Told:
    """What accounts name: dropped files (so does the quarantine), sources of which nothing is kept, and objects of copies."""

    named: set[str]
    unkept: set[str] = field(default_factory=set)
    kept_in: set[str] = field(default_factory=set)


def _told(store: ObjectStore) -> _Told:
    told = _Told(named={folder.partition("-")[0] for folder in store.list_folders(keys.QUARANTINE)})
    for intake in read_manifests(store, IntakeManifest):
        for one in account_lists.inputs(store, intake):
            told.named.update((one.source, *(file.sha256 for file in one.files)))
            if one.kept == "nothing":
                told.unkept.add(one.source)
            if one.kept_in:
                told.kept_in.add(one.kept_in)
    return told
