"""Here: what could not be read, entry by entry. Not here: putting it into quarantine (``intake.taking``), or back (``actions``)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ecg_tasks.archive import keys
from ecg_tasks.archive.cache import keep
from ecg_tasks.archive.documents import QuarantineReason, Retry, read
from ecg_tasks.archive.object_store import ObjectInfo, ObjectStore
from ecg_tasks.archive.parallel import bounded_parallel_map
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.errors import SENTENCES, MissingObjectError, Reason
from ecg_tasks.settings import Settings

SHOWN_BYTES = 2000
"""Of a file's start or of a bad row, at most so much is shown."""


@dataclass(frozen=True, kw_only=True)
class QuarantineRow:
    """A bad row of a file that is good otherwise, or the file's start if all of it is bad."""

    name: str
    reason: str
    message: str
    content: str


@dataclass(frozen=True, kw_only=True)
class QuarantineEntry:
    """One drop in quarantine: the sentence for people, its bad rows, and who put it back when.

    Parameters
    ----------
    id : the entry's folder; ``source`` is the SHA-256 of its bytes
    closed : when nothing of it was left to be done (ISO 8601), or empty
    went_to : entries that hold what was still bad in it when it was put back
    """

    id: str
    source: str
    name: str
    reason: str
    message: str
    since: str
    n_rows: int
    retried: tuple[Retry, ...]
    closed: str
    went_to: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Entries:
    """One page of entries, newest first: how many there are of the kind asked for, and how many are closed."""

    entries: tuple[QuarantineEntry, ...]
    total: int
    n_closed: int


def entries(store: ObjectStore, *, closed: bool = False, offset: int = 0, limit: int = 50, told: bool = True) -> Entries:
    """List the open or the closed entries; only the reasons of those asked for are read.

    Parameters
    ----------
    told : with names and sentences, which may hold anything that stands in a file; else with the digests of names
    """
    listed = list(store.list_objects(keys.QUARANTINE))
    done = _folders(listed, keys.CLOSED)
    found = [item for item in listed if item.key.endswith(f"/{keys.REASON}") and (item.key.split("/")[1] in done) == closed]
    found.sort(key=lambda item: item.modified, reverse=True)
    page = found[offset : offset + limit]
    read = tuple(bounded_parallel_map(lambda item: _entry(store, item), page))
    read = read if told else tuple(map(_for_all, read))
    return Entries(entries=read, total=len(found), n_closed=len(done))


def count_open(store: ObjectStore) -> int:
    """Count the entries that are not closed, by one listing."""
    listed = list(store.list_objects(keys.QUARANTINE))
    return len(_folders(listed, keys.REASON) - _folders(listed, keys.CLOSED))


def _folders(listed: Iterable[ObjectInfo], name: str) -> set[str]:
    """Return the entries that hold an object of this name."""
    return {item.key.split("/")[1] for item in listed if item.key.endswith(f"/{name}")}


def entry(store: ObjectStore, name: str, *, told: bool = True) -> tuple[QuarantineEntry, tuple[QuarantineRow, ...]] | None:
    """Return one entry with what is bad in it, or None without one; ``name`` is an entry's folder, or a SHA-256 that has a single one.

    Without ``told`` nothing that stands in the file is among it.
    """
    found = reason_key(store, name)
    info = store.info(found) if found else None
    if info is None:
        return None
    if not told:
        return _for_all(_entry(store, info)), ()
    return _entry(store, info), _rows(store, info.key.split("/")[1], read(store, QuarantineReason, info.key))


def reason_key(store: ObjectStore, name: str) -> str:
    """Return the key of an entry's reason, given its folder or the SHA-256 of its bytes if these have a single entry; else empty."""
    exact = keys.quarantine_reason(name)
    if store.exists(exact):
        return exact
    found = [key for key in store.list_keys(f"{keys.QUARANTINE}{name}-") if key.endswith(f"/{keys.REASON}")]
    return found[0] if len(found) == 1 else ""


def _entry(store: ObjectStore, info: ObjectInfo) -> QuarantineEntry:
    return _read(store, info.key, etag=info.etag, since=info.modified.isoformat(timespec="seconds"))


@keep(2048)
def _read(store: ObjectStore, key: str, *, etag: str, since: str) -> QuarantineEntry:  # noqa: ARG001 - a generation
    reason = read(store, QuarantineReason, key)
    return QuarantineEntry(
        id=key.split("/")[1],
        source=reason.source,
        name=reason.name,
        reason=reason.reason,
        message=reason.message,
        since=since,
        n_rows=len(reason.rows),
        retried=reason.retried,
        closed=reason.closed.when if reason.closed else "",
        went_to=reason.closed.entries if reason.closed else (),
    )


def _for_all(one: QuarantineEntry) -> QuarantineEntry:
    """Return an entry as those may see it who only read."""
    names = StoredNames.of(Settings.from_environment())
    return replace(one, name=names.shown(one.name), message=one.message if names.keep else SENTENCES[Reason(one.reason)])


def _rows(store: ObjectStore, entry: str, reason: QuarantineReason) -> tuple[QuarantineRow, ...]:
    """Return the bad rows with their content, line by line; of a file that is bad as a whole, its start."""
    if not reason.inbox:
        return ()
    key = keys.quarantined(entry, reason.stored[0])
    try:
        if not reason.rows:
            # one piece of it, for what was refused as too large may have any size
            start = next(store.stream(key), b"")[:SHOWN_BYTES].decode("utf-8", errors="replace")
            return (QuarantineRow(name=reason.inbox[0], reason=reason.reason, message=reason.message, content=start),)
        data = store.get(key)
    except MissingObjectError:
        return ()
    lines = data.decode("utf-8", errors="replace").splitlines()
    lines += [""] * (len(reason.rows) - len(lines))
    return tuple(
        QuarantineRow(name=row.name, reason=row.reason, message=row.message, content=line[:SHOWN_BYTES])
        for row, line in zip(reason.rows, lines, strict=False)
    )
