"""Here: emptying the inbox of what a run took over, and removing what was staged. Not here: taking it over (``publication``)."""

import hashlib
import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.archive import account_lists, keys
from ecg_tasks.archive.documents import Input, IntakeManifest, LabelTableFile
from ecg_tasks.archive.forgotten import NAME
from ecg_tasks.archive.object_store import ObjectInfo, ObjectStore
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.names import DagId
from ecg_tasks.pipeline.intake import headers

DAG = DagId.INGEST_RECORDS
_AT_ONCE = 1000


class TakenFiles:
    """Digests of key, as the account has it, and ETag of every file that a run took, 16 bytes each: a million take 16 MB.

    What its owner took back, or replaced, was not taken: the same bytes may be there again, or another file of the recording still.
    ``needed`` are the keys of what something that waits needs, as the account has them.
    """

    def __init__(self, needed: Iterable[str], names: StoredNames) -> None:
        self._needed, self._names = frozenset(needed), names
        self._found, self._lost = bytearray(), bytearray()

    def add(self, inputs: Iterable[Input]) -> None:
        """Take in lines of the account."""
        for item in inputs:
            if item.fate == "gone":
                self._lost += b"".join(_digest(file.key, file.etag) for file in item.files)
                continue
            for file in item.files:
                self._take(file.key, file.etag)

    def with_tables(self, tables: Iterable[LabelTableFile]) -> NDArray[np.bytes_]:
        """Return all of them and these label tables, sorted."""
        for table in tables:
            self._take(table.key, table.etag)
        return np.setdiff1d(np.frombuffer(self._found, dtype="S16"), np.frombuffer(self._lost, dtype="S16"))

    def _take(self, key: str, etag: str) -> None:
        # a task of an earlier version gave the key itself
        if not self._needed or self._needed.isdisjoint({key, self._names.in_inbox(key)}):
            self._found += _digest(key, etag)


def tidy(
    store: ObjectStore, manifest: IntakeManifest, staged: Iterable[str] | None, *, names: StoredNames, taken: TakenFiles | None = None
) -> None:
    """Remove what was taken from the inbox unless it was put again since or something waiting needs it; then what was staged.

    The same bytes, too: who puts a recording again that was mended puts again what belongs to it, as its label table, and that may be as
    it was before.

    A run whose jobs and results are all there is not over, so they go last. ``staged`` is None where it is not known what is left,
    ``taken`` where the account is still to be read for it.
    """
    if taken is None:
        taken = TakenFiles(_needed(manifest), names)
        taken.add(account_lists.inputs(store, manifest))
    digests = taken.with_tables(manifest.labels.tables)
    there = (item for item in store.list_objects(keys.INBOX) if not _is_newer(item, manifest.newest))
    gone = _unchanged(digests, there, names, needed=_needed(manifest))
    if staged is None:
        left = [*store.list_keys(keys.staging(DAG, manifest.run, "")), *store.list_keys(keys.intake(manifest.run, ""))]
        staged = sorted(left, key=lambda key: "/results/" in key)
    if manifest.counts.waiting:
        headers.delete_files(store, gone)
        store.delete_many(staged)
    else:  # what headers said is of files that are gone
        store.delete_many(itertools.chain(gone, [headers.MEMO], staged))


def _needed(manifest: IntakeManifest) -> set[str]:
    return set(manifest.waiting if manifest.needed is None else manifest.needed)


def _is_newer(item: ObjectInfo, newest: str) -> bool:
    """Tell whether a file came after the newest that a run found, to the second: of one request a server may tell more than of another."""
    return bool(newest) and int(item.modified.timestamp()) > int(datetime.fromisoformat(newest).timestamp())


def _unchanged(taken: NDArray[np.bytes_], listed: Iterable[ObjectInfo], names: StoredNames, *, needed: Collection[str]) -> Iterator[str]:
    """Yield the keys listed with the content that was taken; they are not asked for one by one, as what lies there now may have changed."""
    items = iter(listed)
    while page := list(itertools.islice(items, _AT_ONCE)):
        as_listed = [item.key for item in page]  # as older accounts have them
        as_told = [names.in_inbox(key) for key in as_listed]
        gone = np.zeros(len(page), dtype=bool)
        for called in (as_listed, as_told):
            gone |= _among(taken, [_digest(key, item.etag) for key, item in zip(called, page, strict=True)])
        # What lay beside a forgotten recording is told by its digest; that of the others would be computed for nothing.
        left = [row for row in np.flatnonzero(~gone) if as_told[row] not in needed]
        for called in (as_listed, as_told):
            bare = [names.of_a_forgotten(called[row], page[row].etag) for row in left]
            gone[left] |= _among(taken, [_digest(f"{keys.INBOX}{NAME}", told) for told in bare])
        yield from (as_listed[row] for row in np.flatnonzero(gone))


def _among(wanted: NDArray[np.bytes_], digests: Sequence[bytes]) -> NDArray[np.bool_]:
    """Tell which digests are among the sorted ones."""
    asked = np.frombuffer(b"".join(digests), dtype="S16")
    place = np.minimum(np.searchsorted(wanted, asked), len(wanted) - 1)
    return np.asarray(wanted[place] == asked) if len(wanted) else np.zeros(len(asked), dtype=bool)


def _digest(key: str, etag: str) -> bytes:
    return hashlib.blake2b(f"{key}\n{etag}".encode(), digest_size=16).digest()
