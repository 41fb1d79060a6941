"""Here: where a record, a run, a model version or a dropped file comes from, each link checked.

Not here: the links of runs (``runs``) and of versions (``versions``).
"""

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from ecg_tasks.archive import account_lists, keys, record_shards, registry, tables
from ecg_tasks.archive.documents import (
    ClassifyManifest,
    Input,
    IntakeManifest,
    Manifest,
    QuarantineReason,
    RetrainManifest,
    find_manifest,
    read_manifests,
    read_many,
)
from ecg_tasks.archive.labelling import labels_in_force
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.parallel import bounded_parallel_map
from ecg_tasks.errors import ConfigurationError, offer
from ecg_tasks.names import DagId
from ecg_tasks.queries.lineage.links import Link, LinkState, raw_link
from ecg_tasks.queries.lineage.runs import RunLinks, unknown_run
from ecg_tasks.queries.lineage.versions import recipes_with, version_link
from ecg_tasks.queries.records import shard_of
from ecg_tasks.signals.recipes import RECIPES


def trace(store: ObjectStore, name: str) -> Link:
    """Follow a thing back to the dropped bytes, the code and the training; every digest on the way is recomputed.

    Parameters
    ----------
    name : a record's id (32 hex digits), a model's version (or ``recipe/version``), the SHA-256 of dropped bytes, or a run's id

    Raises
    ------
    ConfigurationError
        If the bucket has nothing of this name.
    """
    runs = RunLinks(store)
    found: Link | None = None
    if re.fullmatch("[0-9a-f]{64}", name):
        found = _dropped(store, runs, name)
    elif re.fullmatch("[0-9a-f]{32}", name):
        found = _record(store, runs, name)
    if found is None and re.fullmatch("([a-z_]+/)?[0-9a-z]+", name):
        recipe, _, version = name.rpartition("/")
        recipes = [one for one in recipes_with(store, version) if recipe in {"", one}]
        if len(recipes) > 1:
            raise ConfigurationError(f"{' and '.join(recipes)} have a version {version}; say which: {recipes[0]}/{version}")
        found = version_link(store, runs, recipes[0], version, deep=True) if recipes else None
    if found is None and "/" not in name:
        manifest = runs.named(name)
        found = None if manifest is None else _run(store, runs, manifest)
    if found is None:
        takes = "it takes a record's id, a model's version, a run's id or a file's SHA-256"
        raise ConfigurationError(f"nothing here is named {name!r}; {takes}{_offered(store, name)}")
    return found


def _offered(store: ObjectStore, name: str) -> str:
    """Return the versions and runs that are like a name; nothing for an id of which there may be millions."""
    if re.fullmatch("[0-9a-f]{32,}", name):
        return ""
    recipe, _, version = name.rpartition("/")
    versions = [one for of_one in RECIPES if recipe in {"", of_one} for one in registry.versions(store, of_one)]
    runs = [posixpath.splitext(posixpath.basename(key))[0] for key in store.list_keys(keys.MANIFESTS)]
    return offer(version, versions + runs)


def _record(store: ObjectStore, runs: RunLinks, record_id: str) -> Link | None:
    shard = shard_of(store, record_id)
    if shard is None:
        return None
    key = keys.record_shard(shard)
    columns = tables.load(store.get(key))
    stored = record_shards.find_record(columns, record_id)
    if stored is None:
        return Link(what="record", name=record_id, state=LinkState.BROKEN, sentence=f"{key} does not hold it")
    record = replace(stored.record)  # without the id that was stored
    state, sentence = LinkState.CHECKED, "its id is that of its samples, and its shard's name that of its records"
    if record.record_id != record_id:
        state, sentence = LinkState.BROKEN, "its samples have another id"
    elif record_shards.shard_name(columns["record_id"]) != shard:
        state, sentence = LinkState.BROKEN, "its shard has other records than its name says"
    label = labels_in_force(store).get(record_id)
    said = (
        ()
        if label is None
        else (Link(what="label", name=label.label, state=LinkState.RECORDED, metadata={"who": label.who, "when": label.when}),)
    )
    intake = runs.that(IntakeManifest, lambda one: shard in one.shards, wrote=key)
    return Link(
        what="record",
        name=record_id,
        state=state,
        sentence=sentence,
        metadata={
            "dropped as": record.name,
            "signal": f"{len(record.leads)} leads, {record.fs:g} Hz, {record.n_samples} samples",
            "synthetic": str(record.synthetic).lower(),
            "shard": shard,
        },
        beneath=(_source(store, runs, stored.source, intake, record_id=record_id), *said, *_said_of(store, runs, record_id, shard)),
    )


def _source(store: ObjectStore, runs: RunLinks, sha256: str, intake: IntakeManifest | None, *, record_id: str = "") -> Link:
    """Return the dropped bytes, or those of one record among them, and beneath them the run that took them over."""
    if intake is None:
        return raw_link(store, sha256, record_id=record_id, beneath=(unknown_run(DagId.INGEST_RECORDS),))
    drop = next((one for one in account_lists.inputs(store, intake) if one.source == sha256), None)
    if drop is not None and drop.kept == "nothing":
        return _not_kept(sha256, beneath=(runs.link(intake),))
    return raw_link(store, sha256, order=_order(drop) if drop else (), record_id=record_id, beneath=(runs.link(intake),))


def _order(drop: Input) -> Sequence[str]:
    """Return the names of a drop's files in the order in which the intake took them."""
    return list(dict.fromkeys(posixpath.basename(file.key) for file in drop.files))  # members of one archive have its key


def _said_of(store: ObjectStore, runs: RunLinks, record_id: str, shard: str) -> Iterator[Link]:
    """Yield every decision on a record, with the run and the version that made it."""
    for recipe in RECIPES:
        for key in store.list_keys(f"{keys.PREDICTIONS}{recipe}/{shard}/"):
            columns = tables.load(store.get(key), ["record_id", "decision", "probability"])
            if record_id not in columns["record_id"]:
                continue
            row, version = columns["record_id"].index(record_id), keys.stem(key)
            probability = float(columns["probability"][row])
            yield Link(
                what="decision",
                name=columns["decision"][row],
                state=LinkState.RECORDED,
                metadata={"probability": "none" if np.isnan(probability) else f"{probability:.4f}", "key": key},
                beneath=(
                    _decided_in(runs, shard, recipe, version),
                    version_link(store, runs, recipe, version, deep=False),
                ),
            )


def _decided_in(runs: RunLinks, shard: str, recipe: str, version: str) -> Link:
    def decided(night: ClassifyManifest) -> bool:
        return any((one.shard, one.recipe, one.version) == (shard, recipe, version) for one in night.shards)

    return runs.made_by(ClassifyManifest, decided, wrote=keys.predictions(recipe, shard, version))


def _run(store: ObjectStore, runs: RunLinks, manifest: Manifest) -> Link:
    """Return a run, and what it worked on."""
    beneath: Iterable[Link] = ()
    if isinstance(manifest, IntakeManifest):
        beneath = _taken_over(store, manifest)
    elif isinstance(manifest, ClassifyManifest):
        beneath = _reported(store, runs, manifest)
    elif isinstance(manifest, RetrainManifest):
        beneath = [version_link(store, runs, manifest.recipe, manifest.version, deep=True)]
    return runs.link(manifest, beneath=beneath)


def _reported(store: ObjectStore, runs: RunLinks, night: ClassifyManifest) -> Iterator[Link]:
    """Yield a report, the versions that decided, and the intakes that it covers."""
    there = store.exists(night.report)
    yield Link(
        what="report", name=night.report, state=LinkState.RECORDED if there else LinkState.BROKEN, sentence="" if there else "it is gone"
    )
    for recipe, pinned in night.champions.items():
        yield version_link(store, runs, recipe, pinned.version, deep=False)
    for run in night.ingests.runs:
        intake = find_manifest(store, IntakeManifest, run)
        if intake is None:
            yield Link(what=DagId.INGEST_RECORDS, name=run, state=LinkState.BROKEN, sentence="its manifest is gone")
        elif intake.inputs or intake.inputs_table or intake.labels.tables:
            yield runs.link(intake, beneath=_taken_over(store, intake))


def _taken_over(store: ObjectStore, intake: IntakeManifest) -> Iterator[Link]:
    """Yield the dropped bytes of a run, each once; what was refused unread lies in quarantine only."""
    drops = {drop.source: drop for drop in account_lists.inputs(store, intake) if drop.source}

    def link(source: str) -> Link:
        if drops[source].before:
            sentence = f"an archive that was taken over by {drops[source].before}, {drops[source].before_at}"
            return Link(what="dropped", name=source, state=LinkState.RECORDED, sentence=sentence)
        if drops[source].fate == "quarantined" and not store.list_keys(f"{keys.RAW}{source}/"):
            return Link(what="quarantine", name=source, state=LinkState.RECORDED, sentence="refused unread: it lies in quarantine only")
        if drops[source].kept == "nothing":
            return _not_kept(source)
        return raw_link(store, source, order=_order(drops[source]))

    yield from bounded_parallel_map(link, sorted(drops))


def _dropped(store: ObjectStore, runs: RunLinks, sha256: str) -> Link | None:
    """Trace dropped bytes: who took them over, what became of them."""
    found = store.list_keys(f"{keys.RAW}{sha256}/")
    reasons = [key for key in store.list_keys(f"{keys.QUARANTINE}{sha256}") if key.endswith(f"/{keys.REASON}")]
    if not found and not reasons:
        return _as_it_came(store, runs, sha256)
    became: list[Link] = []
    for shard in map(keys.stem, store.list_keys(keys.RECORD_INDEX)):
        index = tables.load(store.get(keys.record_index(shard)), ["record_id", "source"])
        ids = [record_id for record_id, source in zip(index["record_id"], index["source"], strict=True) if source == sha256]
        became += [Link(what="record", name=record_id, state=LinkState.RECORDED, metadata={"shard": shard}) for record_id in ids]
    for one in read_many(store, QuarantineReason, reasons):
        became.append(
            Link(what="quarantine", name=one.name, state=LinkState.RECORDED, metadata={"reason": one.reason, "message": one.message})
        )
    if not found:
        return Link(what="quarantine", name=sha256, state=LinkState.RECORDED, sentence="refused unread", beneath=became)
    whole = runs.that(IntakeManifest, lambda one: any(drop.source == sha256 for drop in account_lists.inputs(store, one)), wrote=found[0])
    if whole is None:  # one file of a drop of several
        part = runs.that(IntakeManifest, lambda one: any(_holds(drop, sha256) for drop in account_lists.inputs(store, one)), wrote=found[0])
        if part is not None:
            of = dict.fromkeys(drop.source for drop in account_lists.inputs(store, part) if _holds(drop, sha256))
            return raw_link(store, sha256, beneath=(*(_source(store, runs, source, part) for source in of), *became))
    taken = _source(store, runs, sha256, whole)
    return replace(taken, beneath=(*taken.beneath, *became))


def _not_kept(source: str, *, beneath: Sequence[Link] = ()) -> Link:
    return Link(what="raw", name=source, state=LinkState.ABSENT, sentence="its bytes were not kept", beneath=beneath)


def _as_it_came(store: ObjectStore, runs: RunLinks, sha256: str) -> Link | None:
    """Trace bytes that have no object of their own in raw/, by the accounts: as they came, one file of them, or one of several copies."""
    for intake in read_manifests(store, IntakeManifest):
        if any(one.source == sha256 for one in intake.archives):
            return Link(what="dropped", name=sha256, state=LinkState.RECORDED, sentence="an archive", beneath=(runs.link(intake),))
        for drop in account_lists.inputs(store, intake):
            if not drop.before and sha256 in {
                drop.source,
                drop.dropped,
                *(digest for file in drop.files for digest in (file.sha256, file.dropped)),
            } - {""}:
                if drop.kept_in:
                    digests = {file.sha256 for file in drop.files}
                    kept = raw_link(store, drop.source, digests=digests, beneath=(runs.link(intake),))
                else:
                    kept = _source(store, runs, drop.source, intake)
                is_stored = sha256 in {drop.source, *(file.sha256 for file in drop.files)}
                return kept if is_stored else Link(what="dropped", name=sha256, state=LinkState.RECORDED, beneath=(kept,))
    return None


def _holds(drop: Input, sha256: str) -> bool:
    """Return whether a drop has a file of this digest; version 0.1 wrote down none."""
    return any(file.sha256 == sha256 for file in drop.files)
