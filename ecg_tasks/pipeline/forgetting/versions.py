"""Here: data sets and model versions without forgotten recordings, and which versions learnt from them. Not here: training again.

A version's list of its training has the digests of what is forgotten in place of ids, so that its lengths stay, and a recording that
is allowed again still counts as seen. Its weights stay as they are.
"""

import csv
import hashlib
import io
from collections.abc import Iterator
from contextlib import suppress

from msgspec import structs

from ecg_tasks.archive import keys, registry, tables
from ecg_tasks.archive.documents import DatasetManifest, LearntBy, find, write
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import MissingObjectError
from ecg_tasks.evaluation.splits import Split
from ecg_tasks.learning.version import TRAINING_PATIENTS, TRAINING_RECORDS
from ecg_tasks.pipeline.forgetting.gone import Gone
from ecg_tasks.signals.recipes import RECIPES


def without(listed: bytes, gone: Gone) -> bytes:
    """Return a list of a version, as CSV, with digests in place of all that is forgotten."""
    head, *rows = csv.reader(io.StringIO(listed.decode(), newline=""))
    own = gone.ids | gone.patients
    changed = [[gone.digest(cell) if cell in own else cell for cell in row] for row in rows]
    if changed == rows:
        return listed
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(sorted(changed))
    return text.getvalue().encode()


def learnt_by(store: ObjectStore, gone: Gone) -> tuple[LearntBy, ...]:
    """Return the versions that have seen the records before their test, also where their lists were changed already."""
    ids = gone.ids | {gone.digest(one) for one in gone.ids}
    found = []
    for recipe, version in _versions(store):
        champion = registry.read_champion(store, recipe)
        with suppress(MissingObjectError):
            rows = csv.reader(io.StringIO(store.get(keys.model_file(recipe, version, TRAINING_RECORDS)).decode()))
            n_seen = sum(row[0] in ids and row[1] != Split.TEST for row in rows)
            if n_seen:
                serves = champion is not None and champion.version == version
                found.append(LearntBy(recipe=recipe, version=version, records=n_seen, serves=serves))
    return tuple(found)


def forget(store: ObjectStore, gone: Gone) -> int:
    """Write the lists of versions again that name them, the checksums last; returns how many objects were changed."""
    n_changed = 0
    for recipe, version in _versions(store):
        sums_key = keys.model_file(recipe, version, registry.SUMS)
        sums = store.get(sums_key).decode()
        after = sums
        for name in (TRAINING_RECORDS, TRAINING_PATIENTS):
            key = keys.model_file(recipe, version, name)
            with suppress(MissingObjectError):
                data = store.get(key)
                kept = without(data, gone)
                if kept != data:
                    store.put(key, kept)
                    n_changed += 1
                after = _summed(after, name, hashlib.sha256(kept).hexdigest(), only=kept != data or _names_digests(kept, gone))
        if after != sums:
            store.put(sums_key, after.encode())
            n_changed += 1
    return n_changed


def forget_in_datasets(store: ObjectStore, gone: Gone) -> int:
    """Take their rows out of data sets; a data set keeps its name, and its manifest the numbers of before, and notes it."""
    n_changed = 0
    names = {one: gone.digest(one) for one in gone.ids | gone.patients}
    for dataset_id in store.list_folders(keys.DATASETS):
        split_key, manifest_key = keys.dataset(dataset_id, "split.parquet"), keys.dataset(dataset_id, "manifest.json")
        made = find(store, DatasetManifest, manifest_key)
        try:
            data = store.get(split_key)
        except MissingObjectError:
            continue
        kept = tables.without_records(data, gone.ids)
        kept = kept if kept is None else tables.replaced(kept, "group", names)
        if kept == data and (made is None or gone.empty_shards.isdisjoint(made.shards)):
            continue
        if made is not None:
            shards = tuple(shard for shard in made.shards if shard not in gone.empty_shards)
            write(store, manifest_key, structs.replace(made, shards=shards, forgotten=tuple(dict.fromkeys((*made.forgotten, gone.token)))))
        if kept is None:
            store.delete_many(store.list_keys(f"{keys.DATASETS}{dataset_id}/"))
        else:
            store.put(split_key, kept)
        n_changed += 2
    return n_changed


def _versions(store: ObjectStore) -> Iterator[tuple[str, str]]:
    for recipe in RECIPES:
        for version in registry.versions(store, recipe):
            yield recipe, version


def _names_digests(listed: bytes, gone: Gone) -> bool:
    """Return whether a list was changed already, and its checksum perhaps was not."""
    return any(gone.digest(one).encode() in listed for one in gone.ids | gone.patients)


def _summed(sums: str, name: str, sha256: str, *, only: bool) -> str:
    if not only:
        return sums
    lines = [f"{sha256}  {name}" if line.split(maxsplit=1)[1:] == [name] else line for line in sums.splitlines()]
    return "\n".join(lines) + "\n" * sums.endswith("\n")
