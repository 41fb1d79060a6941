"""Here: whether stored bytes still are what their names say, for a sample of each kind. Not here: which bytes may go.

A run draws its sample by a digest of its own name, so that a repeated task reads the same objects, and the next run others.
"""

import hashlib
import posixpath
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from ecg_tasks.archive import account_lists, keys, raw_check, record_shards, registry
from ecg_tasks.archive.documents import ContentCheck, Damage, DatasetManifest, IntakeManifest, read, read_manifests
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.replaced import Replacements
from ecg_tasks.errors import DamagedStoreError, MissingObjectError
from ecg_tasks.signals.recipes import RECIPES

Check = Callable[[ObjectStore, str], str]
"""What is wrong with the thing of this name, as a sentence; nothing if it is whole."""


def audit_checksums(store: ObjectStore, *, run: str, sample: int) -> ContentCheck:
    """Read ``sample`` things of each kind, drawn for this run, and compare them with their names."""
    raw = sorted({key.split("/")[1] for key in store.list_keys(keys.RAW)})
    orders = _orders(store, _drawn(raw, run=run, sample=sample))
    kinds: dict[str, tuple[Sequence[str], Check]] = {
        "raw": (raw, lambda store, source: raw_check.look(store, source, order=orders.get(source, ())).fault),
        "records": (store.list_keys(keys.RECORDS), _records),
        "labels": (store.list_keys(keys.LABELS), _named_by_digest),
        "classes": (store.list_keys(keys.CLASSES), _named_by_digest),
        "aliases": (store.list_keys(keys.ALIASES), _named_by_digest),
        "descriptions": (store.list_keys(keys.DESCRIPTIONS), _named_by_digest),
        "groups": (store.list_keys(keys.GROUPS), _named_by_digest),
        "datasets": ([key for key in store.list_keys(keys.DATASETS) if key.endswith("/manifest.json")], _dataset),
        "models": ([f"{recipe}/{version}" for recipe in RECIPES for version in registry.versions(store, recipe)], _version),
    }
    drawn = {kind: _drawn(found, run=run, sample=sample) for kind, (found, _) in kinds.items()}
    faults = ((kind, name, _fault(store, name, kinds[kind][1])) for kind, names in drawn.items() for name in names)
    return ContentCheck(
        there={kind: len(found) for kind, (found, _) in kinds.items()},
        read={kind: len(names) for kind, names in drawn.items()},
        damaged=tuple(Damage(kind=kind, key=name, found=fault) for kind, name, fault in faults if fault),
    )


def _drawn(names: Iterable[str], *, run: str, sample: int) -> list[str]:
    return sorted(names, key=lambda name: hashlib.sha256(f"{run}\n{name}".encode()).digest())[:sample]


def _fault(store: ObjectStore, name: str, check: Check) -> str:
    try:
        return check(store, name)
    except MissingObjectError as error:
        return str(error)
    except (ValueError, OSError, DamagedStoreError) as error:  # Parquet or JSON that cannot be read: PyArrow raises the first two
        return f"it cannot be read: {error}"


def _orders(store: ObjectStore, sources: Collection[str]) -> dict[str, list[str]]:
    """Return the order in which version 0.1 digested the files of a recording: as its intakes' accounts list them."""
    inputs = (
        one for intake in read_manifests(store, IntakeManifest) for one in account_lists.inputs(store, intake) if one.source in sources
    )
    return {one.source: list(dict.fromkeys(posixpath.basename(file.key) for file in one.files)) for one in inputs}


def _records(store: ObjectStore, key: str) -> str:
    stored = record_shards.load_shard(store.get(key))
    name = record_shards.shard_name(one.record.record_id for one in stored)
    if name != keys.stem(key):
        return f"its records make the name {name}"
    for one in stored:
        again = replace(one.record)  # without the id that was stored
        if again.record_id != one.record.record_id:
            return f"the samples of {one.record.record_id} make the id {again.record_id}"
    return ""


def _named_by_digest(store: ObjectStore, key: str) -> str:
    digest = store.sha256([key])
    return "" if digest.startswith(keys.stem(key).rpartition("-")[2]) else f"its bytes have the SHA-256 {digest}"


def _dataset(store: ObjectStore, key: str) -> str:
    made = read(store, DatasetManifest, key)
    split_key = keys.dataset(made.dataset_id, "split.parquet")
    split = store.get(split_key)
    sha256 = hashlib.sha256(split).hexdigest()
    if Replacements.read(store).digest_before(split_key, sha256) != sha256:
        return ""  # it had the digest that the name is made of, and the log has the one that it has now
    digest = hashlib.sha256(made.recipe.encode() + split).hexdigest()
    return "" if digest.startswith(key.split("/")[1]) else f"its rows make the name {digest[:20]}"


def _version(store: ObjectStore, name: str) -> str:
    changed = registry.changed_files(registry.read_version(store, *name.split("/")))
    return f"other bytes than {registry.SUMS} says: {', '.join(changed)}" if changed else ""
