"""Here: what could not be read, entry by entry, and putting it back into the inbox. Not here: putting it into quarantine (``taking``)."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from msgspec import structs

from ecg_tasks.archive import audit, keys
from ecg_tasks.archive.documents import PutBack, QuarantineReason, Retry, find, read, write
from ecg_tasks.archive.object_store import MissingObjectError, ObjectInfo, ObjectStore
from ecg_tasks.archive.parallel import bounded_parallel_map
from ecg_tasks.archive.workspace import now
from ecg_tasks.errors import BadInputError, ConfigurationError
from ecg_tasks.pipeline.intake.inbox import checked_path

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


def entries(store: ObjectStore, *, closed: bool = False, offset: int = 0, limit: int = 50) -> Entries:
    """List the open or the closed entries; only the reasons of those asked for are read."""
    listed = list(store.list_objects(keys.QUARANTINE))
    done = _folders(listed, keys.CLOSED)
    found = [item for item in listed if item.key.endswith(f"/{keys.REASON}") and (item.key.split("/")[1] in done) == closed]
    found.sort(key=lambda item: item.modified, reverse=True)
    page = found[offset : offset + limit]
    read = tuple(bounded_parallel_map(lambda item: _entry(store, item), page))
    return Entries(entries=read, total=len(found), n_closed=len(done))


def count_open(store: ObjectStore) -> int:
    """Count the entries that are not closed, by one listing."""
    listed = list(store.list_objects(keys.QUARANTINE))
    return len(_folders(listed, keys.REASON) - _folders(listed, keys.CLOSED))


def _folders(listed: Iterable[ObjectInfo], name: str) -> set[str]:
    """Entries that hold an object of this name."""
    return {item.key.split("/")[1] for item in listed if item.key.endswith(f"/{name}")}


def entry(store: ObjectStore, name: str) -> tuple[QuarantineEntry, tuple[QuarantineRow, ...]] | None:
    """One entry with what is bad in it, or None if there is none; ``name`` is an entry's folder, or a SHA-256 that has a single one."""
    found = _reason_key(store, name)
    info = store.info(found) if found else None
    if info is None:
        return None
    return _entry(store, info), _rows(store, info.key.split("/")[1], read(store, QuarantineReason, info.key))


def put_back(store: ObjectStore, name: str, *, who: str) -> tuple[str, ...]:
    """Copy an entry's files to where they lay in the inbox, and note who did; the next intake judges them anew, and closes it if it can.

    Returns the paths below the inbox.

    Raises
    ------
    ConfigurationError
        If there is no such entry, or something else waits in the inbox under one of its names.
    """
    key = _reason_key(store, name)
    reason = find(store, QuarantineReason, key) if key else None
    if reason is None:
        raise ConfigurationError(f"nothing is in quarantine under {name}")
    folder = key.split("/")[1]
    if reason.closed:
        raise ConfigurationError(f"{reason.name} is closed since {reason.closed.when}: nothing of it is left to be read")
    try:
        paths = [checked_path(path) for path in reason.inbox]
    except BadInputError as error:
        raise ConfigurationError(f"it cannot go back: {error.message}") from None
    taken = [path for path in paths if store.exists(f"{keys.INBOX}{path}")]
    if taken:
        raise ConfigurationError(f"{', '.join(taken)} already waits in the inbox; let it be taken over first")
    tried = Retry(who=who, when=now())
    # First who and when: an intake may take the files over as soon as they are in the inbox.
    write(store, keys.quarantined_mark(folder, keys.PUT_BACK), PutBack(inbox=tuple(paths), who=who, when=tried.when))
    write(store, key, structs.replace(reason, retried=(*reason.retried, tried)))
    for path in paths:
        store.copy(keys.quarantined(folder, path.rsplit("/", 1)[-1]), f"{keys.INBOX}{path}")
    # The moment is in it: the same entry may be put back more than once, and each time is an act.
    detail = {"entry": folder, "inbox": paths, "times_before": len(reason.retried), "when": tried.when}
    audit.append(store, who=who, action=audit.Action.RETRY, subject=reason.source, detail=detail)
    return tuple(paths)


def _reason_key(store: ObjectStore, name: str) -> str:
    """The key of an entry's reason, given its folder or the SHA-256 of its bytes where these have a single entry; empty without one."""
    exact = keys.quarantine_reason(name)
    if store.exists(exact):
        return exact
    found = [key for key in store.list_keys(f"{keys.QUARANTINE}{name}-") if key.endswith(f"/{keys.REASON}")]
    return found[0] if len(found) == 1 else ""


def _entry(store: ObjectStore, info: ObjectInfo) -> QuarantineEntry:
    return _read(store, info.key, info.etag, info.modified.isoformat(timespec="seconds"))


@lru_cache(maxsize=2048)
def _read(store: ObjectStore, key: str, _etag: str, since: str) -> QuarantineEntry:
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


def _rows(store: ObjectStore, entry: str, reason: QuarantineReason) -> tuple[QuarantineRow, ...]:
    """The bad rows with their content, line by line; of a file that is bad as a whole, its start."""
    if not reason.inbox:
        return ()
    key = keys.quarantined(entry, reason.inbox[0].rsplit("/", 1)[-1])
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
