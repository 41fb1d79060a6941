"""Here: files beside recordings, staged until it is known whether their recording was forgotten. Not here: which ones are (``drops``)."""

import hashlib
from collections.abc import Mapping

from ecg_tasks.archive import keys, sources
from ecg_tasks.archive.documents import Input
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.names import DagId


def of_run(run: str) -> str:
    """Return the prefix of all of a run."""
    return keys.staging(DagId.INGEST_RECORDS, run, "aside/")


def put(store: ObjectStore, prefix: str, line: Input, files: Mapping[sources.File, bytes]) -> str:
    """Stage the one file of a line of the account, as `sources.keep` keeps it; returns the same."""
    ((file, data),) = files.items()
    store.put(f"{prefix}{_of(line)}/{file.name}", data)
    return sources.source_of([file])


def keep(store: ObjectStore, run: str, line: Input) -> None:
    """Keep in raw/ what was staged for a line."""
    for key in store.list_keys(f"{of_run(run)}{_of(line)}/"):
        store.copy(key, keys.raw(line.files[0].sha256, key.rpartition("/")[2]))


def _of(line: Input) -> str:
    return hashlib.blake2b(line.files[0].key.encode(), digest_size=16).hexdigest()
