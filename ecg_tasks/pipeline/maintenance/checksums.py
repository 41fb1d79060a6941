"""Here: whether stored bytes still are what their names say, for a sample of each kind. Not here: which bytes may go.

A run draws its sample by a digest of its own name, so that a repeated task reads the same objects, and the next run others.
"""

import hashlib
import json
import posixpath
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from ecg_tasks.archive import keys, record_shards, registry, sources
from ecg_tasks.archive.object_store import MissingObjectError, ObjectStore
from ecg_tasks.readers.file_names import is_header
from ecg_tasks.signals.recipes import RECIPES

INGEST_DAG = "ingest_records"


@dataclass(frozen=True, kw_only=True)
class Damage:
    """An object whose content is not what its name, or the checksum beside it, says."""

    kind: str
    key: str
    found: str


@dataclass(frozen=True, kw_only=True)
class Audit:
    """How many of each kind there are and were read, and what was damaged."""

    there: dict[str, int]
    read: dict[str, int]
    damaged: list[Damage]


Check = Callable[[ObjectStore, str], str]
"""What is wrong with the thing of this name, as a sentence; nothing if it is whole."""


def audit_checksums(store: ObjectStore, *, run: str, sample: int) -> Audit:
    """Read ``sample`` things of each kind, drawn for this run, and compare them with their names."""
    of_source: dict[str, list[str]] = {}
    raw = sorted({key.split("/")[1] for key in store.list_keys(keys.RAW)})
    drawn_raw = _drawn(raw, run=run, sample=sample)
    _read_orders(store, set(drawn_raw), of_source)
    versions = [f"{recipe}/{version}" for recipe in RECIPES for version in registry.versions(store, recipe)]
    kinds: dict[str, tuple[Sequence[str], Check]] = {
        "raw": (raw, lambda store, source: _raw(store, source, of_source.get(source))),
        "records": (store.list_keys(keys.RECORDS), _records),
        "labels": (store.list_keys(keys.LABELS), _named_by_digest),
        "aliases": (store.list_keys(keys.ALIASES), _named_by_digest),
        "descriptions": (store.list_keys(keys.DESCRIPTIONS), _named_by_digest),
        "groups": (store.list_keys(keys.GROUPS), _named_by_digest),
        "datasets": ([key for key in store.list_keys(keys.DATASETS) if key.endswith("/manifest.json")], _dataset),
        "models": (versions, _version),
    }
    audit = Audit(there={}, read={}, damaged=[])
    for kind, (found, check) in kinds.items():
        drawn = _drawn(found, run=run, sample=sample)
        audit.there[kind], audit.read[kind] = len(found), len(drawn)
        for name in drawn:
            try:
                fault = check(store, name)
            except MissingObjectError as error:
                fault = str(error)
            except (ValueError, OSError) as error:  # Parquet or JSON that cannot be read: PyArrow raises both
                fault = f"it cannot be read: {error}"
            if fault:
                audit.damaged.append(Damage(kind=kind, key=name, found=fault))
    return audit


def _drawn(names: Iterable[str], *, run: str, sample: int) -> list[str]:
    return sorted(names, key=lambda name: hashlib.sha256(f"{run}\n{name}".encode()).digest())[:sample]


def _read_orders(store: ObjectStore, sources: set[str], found: dict[str, list[str]]) -> None:
    """In which order the files of a recording were digested: as the intake's accounts list them."""
    for data in store.get_many(store.list_keys(f"{keys.MANIFESTS}{INGEST_DAG}/")):
        for one in json.loads(data)["inputs"]:
            if one["source"] in sources:
                found[one["source"]] = list(dict.fromkeys(posixpath.basename(file["key"]) for file in one["files"]))


def _raw(store: ObjectStore, source: str, order: Sequence[str] | None) -> str:
    """A drop's list and its files; of version 0.1, whose drops have no list, the files one after another as the intake took them.

    Label tables and what no account tells of are digested in the order of their names, a header first.
    """
    files = sources.listed(store, source)
    if files is not None:
        return "; ".join(fault for file in files if (fault := sources.fault_of(store, file)))
    names = {key.split("/", 2)[2] for key in store.list_keys(f"{keys.RAW}{source}/")}
    # one digest may have come under several names: the same file, renamed
    if any(store.sha256([f"{keys.RAW}{source}/{name}"]) == source for name in sorted(names)):
        return ""
    ordered = sorted(names, key=lambda name: (not is_header(name), name)) if order is None else list(order)
    digest = store.sha256(keys.raw(source, name) for name in ordered)
    return "" if digest == source else f"its bytes have the SHA-256 {digest}"


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
    manifest = json.loads(store.get(key))
    split = store.get(keys.dataset(manifest["dataset_id"], "split.parquet"))
    digest = hashlib.sha256(manifest["recipe"].encode() + split).hexdigest()
    return "" if digest.startswith(key.split("/")[1]) else f"its rows make the name {digest[:20]}"


def _version(store: ObjectStore, name: str) -> str:
    recipe, version = name.split("/")
    sums = store.get(keys.model_file(recipe, version, registry.SUMS)).decode()
    wrong = []
    for line in filter(None, sums.splitlines()):
        digest, file = line.split(maxsplit=1)
        if store.sha256([keys.model_file(recipe, version, file.lstrip("*"))]) != digest:
            wrong.append(file)
    return f"other bytes than {registry.SUMS} says: {', '.join(wrong)}" if wrong else ""
