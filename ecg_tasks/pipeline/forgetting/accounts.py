"""Here: accounts of intakes and of drawing without forgotten recordings. Not here: nights and their reports (``nights``).

Numbers stay: a record that was let in counts as forgotten from now on. Lines of nothing but forgotten recordings keep their numbers and
lose everything else; so do lines on further drops of the same recording.
"""

from collections.abc import Collection

from msgspec import structs

from ecg_tasks.archive import account_lists, keys, packed_copies
from ecg_tasks.archive.account_lists import writer_of_inputs, writer_of_quarantined
from ecg_tasks.archive.documents import (
    ArchiveCounts,
    Input,
    InputCounts,
    IntakeManifest,
    LabelTableFile,
    QuarantinedInput,
    RenderManifest,
    read_manifests,
    write_manifest,
)
from ecg_tasks.archive.forgotten import NAME
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import SENTENCES, BadInputError, Reason
from ecg_tasks.pipeline.forgetting.gone import Gone, file_of
from ecg_tasks.pipeline.forgetting.leftovers import is_theirs


def without(line: Input, gone: Gone, *, shards: Collection[str]) -> Input:
    """Return the line of a drop without forgotten recordings; ``shards`` are those that its run let in."""
    if gone.is_whole(line):
        return Input(
            name=NAME,
            record_name="",
            files=(),
            kept=line.kept,
            fate=line.fate,
            received=line.received,
            duplicates=line.duplicates,
            quarantined=line.quarantined,
            passed_over=line.passed_over,
            forgotten=line.forgotten + line.records,
        )
    if gone.shares(line) and line.records:
        there = sum(gone.left.rows[shard, line.source, line.record_name] for shard in shards)
        line = structs.replace(line, forgotten=line.forgotten + line.records - there, records=there)
    if gone.shares(line) or (line.source in gone.folders and not line.kept_in):
        line = structs.replace(line, kept="nothing", kept_in="")  # its bytes lay in one object with theirs
    return line


def quarantined_without(one: QuarantinedInput, gone: Gone) -> QuarantinedInput:
    """Return the line of a refused drop or row; of a forgotten one the reason alone."""
    if one.source not in gone.sources and file_of(one.name) not in gone.called:
        return one
    return QuarantinedInput(name=NAME, reason=one.reason, message=SENTENCES[Reason(one.reason)], source="")


def forget(store: ObjectStore, gone: Gone) -> int:
    """Write the accounts again that have something of theirs; returns how many objects were changed."""
    n_changed = sum(_intake(store, manifest, gone) for manifest in read_manifests(store, IntakeManifest))
    return n_changed + sum(_drawing(store, manifest, gone) for manifest in read_manifests(store, RenderManifest))


def _intake(store: ObjectStore, manifest: IntakeManifest, gone: Gone) -> int:
    sums = dict.fromkeys(InputCounts.__struct_fields__, 0)
    of_archives: dict[str, dict[str, int]] = {}
    changed = False
    copies = _Copies(store, gone)
    with writer_of_inputs() as inputs, writer_of_quarantined() as quarantined:
        for line in account_lists.inputs(store, manifest):
            kept = copies.found(without(line, gone, shards=manifest.shards))
            changed |= kept != line
            inputs.add([kept])
            of_archive = of_archives.setdefault(line.files[0].key, dict.fromkeys(sums, 0)) if line.files and line.files[0].member else {}
            for name in sums:
                sums[name] += getattr(kept, name)
                if of_archive:
                    of_archive[name] += getattr(kept, name)
        for one in account_lists.quarantined(store, manifest):
            told = quarantined_without(one, gone)
            changed |= told != one
            quarantined.add([told])
        bare = structs.replace(
            manifest,
            shards=tuple(shard for shard in manifest.shards if shard not in gone.empty_shards),
            waiting=_others(manifest.waiting, gone),
            needed=None if manifest.needed is None else _others(manifest.needed, gone),
            archives=tuple(_archive(one, of_archives, gone) for one in manifest.archives),
            labels=structs.replace(
                manifest.labels, tables=tuple(_table(one, gone, of_their_run=changed) for one in manifest.labels.tables)
            ),
        )
        if bare == manifest and not changed:
            return 0
        listed, table = inputs.put(store, dag=manifest.dag, run=manifest.run, name="inputs")
        refused, refused_table = quarantined.put(store, dag=manifest.dag, run=manifest.run, name="quarantined")
    counts = structs.replace(manifest.counts, **sums)
    if counts.received != counts.records + counts.duplicates + counts.quarantined + counts.forgotten:
        raise AssertionError(f"the counts of {manifest.run} do not add up: {counts}")
    write_manifest(
        store,
        structs.replace(
            bare,
            counts=counts,
            inputs=listed,
            inputs_table=table,
            quarantined=refused,
            quarantined_table=refused_table,
            forgotten=tuple(dict.fromkeys((*manifest.forgotten, gone.token))),
        ),
    )
    old = {manifest.inputs_table, manifest.quarantined_table} - {table, refused_table, ""}
    store.delete_many(sorted(old))
    return 1 + len(old)


def forget_lists(store: ObjectStore, gone: Gone) -> int:
    """Delete lists of accounts that no account names any more, as a forgetting leaves them that was broken off."""
    del gone
    named = {key for manifest in read_manifests(store, IntakeManifest) for key in (manifest.inputs_table, manifest.quarantined_table)}
    left = [key for key in store.list_keys(keys.ACCOUNT_LISTS) if key not in named]
    store.delete_many(left)
    return len(left)


def _others(listed: tuple[str, ...], gone: Gone) -> tuple[str, ...]:
    paths = {key: key.removeprefix(keys.INBOX) for key in listed}
    return tuple(key for key, path in paths.items() if path not in gone.called and not is_theirs(path, gone))


def _table(one: LabelTableFile, gone: Gone, *, of_their_run: bool) -> LabelTableFile:
    """Return what is told of a label table; of one that came with theirs, or lay beside them, no name and no digest of its bytes."""
    folder = one.key.removeprefix(keys.INBOX).rpartition("/")[0]
    is_beside = bool(folder) and any(name.startswith(f"{folder}/") for name in gone.called)
    return structs.replace(one, key=NAME, etag="") if of_their_run or is_beside else one


def _archive(one: ArchiveCounts, sums: dict[str, dict[str, int]], gone: Gone) -> ArchiveCounts:
    if one.source in gone.sources:
        return structs.replace(one, key=NAME, source="", folder="", forgotten=one.forgotten + one.records, records=0)
    return structs.replace(one, **sums[one.key]) if one.key in sums else one


class _Copies:
    """Where the copies of other recordings lie by now, whose object was written again."""

    def __init__(self, store: ObjectStore, gone: Gone) -> None:
        self._store, self._gone = store, gone
        self._there: dict[str, dict[str, str]] = {}

    def found(self, line: Input) -> Input:
        folder = line.kept_in.split("/")[1] if line.kept_in else ""
        if folder not in self._gone.folders:
            return line
        if folder not in self._there:
            self._there[folder] = dict(self._digests(folder))
        places = {self._there[folder].get(file.sha256, "") for file in line.files} - {""}
        if line.kept_in in places or len(places) != 1:
            return line
        return structs.replace(line, kept_in=places.pop())

    def _digests(self, folder: str) -> list[tuple[str, str]]:
        found = []
        for item in self._store.list_objects(f"{keys.RAW}{folder}/"):
            if keys.digest_of_copies(item.key):
                try:
                    found += [(digest, item.key) for digest in packed_copies.digests_in(self._store, item)]
                except BadInputError:
                    continue  # lineage says that it cannot be read
        return found


def _drawing(store: ObjectStore, manifest: RenderManifest, gone: Gone) -> int:
    kept = tuple(one for one in manifest.shards if one.shard not in gone.empty_shards)
    if kept == manifest.shards:
        return 0
    write_manifest(store, structs.replace(manifest, shards=kept, forgotten=(*manifest.forgotten, gone.token)))
    return 1
