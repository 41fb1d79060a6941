"""Here: what the manifest of every run has in common, and finding it. Not here: what a DAG's own account tells (the modules beside)."""

import json
import logging
from collections.abc import Iterator
from typing import Any, ClassVar, TypeVar

import msgspec
from msgspec import structs

from ecg_tasks.archive import keys
from ecg_tasks.archive.code_version import code_version
from ecg_tasks.archive.documents.base import Document, Part, find, prepared, read, read_many, write
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import MissingObjectError, StoreConflictError
from ecg_tasks.names import DagId


class Code(Part, frozen=True, kw_only=True):
    """Which code ran: the package's version, and git's name for the tree of its files."""

    version: str
    tree: str

    @classmethod
    def running(cls) -> "Code":
        """Tell which code runs now."""
        return cls(**code_version())


class Manifest(Document, frozen=True, kw_only=True):
    """The manifest of one run of a DAG; ``code`` is None in manifests before 2026-11-20."""

    DAG: ClassVar[DagId]

    dag: DagId
    run: str
    code: Code | None = None


AnyManifest = TypeVar("AnyManifest", bound=Manifest)


def read_manifest(store: ObjectStore, kind: type[AnyManifest], run: str) -> AnyManifest:
    """Read a run's manifest; ``run`` is as `keys.run_key` gives it. `MissingObjectError` if it is not there."""
    return read(store, kind, keys.manifest(kind.DAG, run))


def find_manifest(store: ObjectStore, kind: type[AnyManifest], run: str) -> AnyManifest | None:
    """Read a run's manifest, or None if it is not written (yet)."""
    return find(store, kind, keys.manifest(kind.DAG, run))


def read_manifests(store: ObjectStore, kind: type[AnyManifest]) -> Iterator[AnyManifest]:
    """Read the accounts of all runs of a DAG; lists that stand beside one are passed over."""
    listed = store.list_keys(f"{keys.MANIFESTS}{kind.DAG}/")
    return read_many(store, kind, (key for key in listed if key == keys.manifest(kind.DAG, keys.stem(key))))


def write_manifest(store: ObjectStore, manifest: Manifest) -> str:
    """Write a run's manifest, with the code that runs; returns its key."""
    coded = manifest if manifest.code else structs.replace(manifest, code=Code.running())
    return write(store, keys.manifest(manifest.dag, manifest.run), coded)


def end_run(store: ObjectStore, manifest: Manifest) -> str:
    """Write the manifest with which a run is over; returns its key. A task that runs again after that changes no account."""
    try:
        return write_manifest(store, manifest)
    except StoreConflictError as error:
        logging.getLogger(__name__).warning("this run has its account already, and it stays: %s", error)
        return keys.manifest(manifest.dag, manifest.run)


def read_counts(store: ObjectStore, dag: str, run: str) -> dict[str, Any] | None:
    """Read the sums of a run of any DAG as a page lists them, or None if nothing is written (yet)."""
    try:
        counts: dict[str, Any] = json.loads(store.get(keys.manifest(dag, run))).get("account", {})
    except MissingObjectError:
        return None
    return counts


class _Stored(msgspec.Struct, frozen=True):
    counts: object = msgspec.field(name="account", default=None)


def with_counts_as_stored(manifest: Manifest, before: bytes) -> bytes:
    """Return a manifest as JSON with the counts as they were written before: the log has these, and older ones have fewer fields."""
    stored, made = json.loads(before), json.loads(manifest.to_json())
    return json.dumps(made | {"account": stored["account"]}, indent=1, sort_keys=True, ensure_ascii=False).encode()


def counts_as_stored(manifest: bytes) -> object:
    """Return the counts of a manifest as they were written, without fields that their type has got since."""
    return msgspec.json.decode(manifest, type=prepared(_Stored)).counts
