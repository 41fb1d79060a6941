"""Here: what could not be read, entry by entry, and putting it back into the inbox. Not here: putting it into quarantine (``intake``)."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ecg_tasks.errors import BadInputError, ConfigurationError
from ecg_tasks.steps import audit
from ecg_tasks.steps.ingesting.inbox import checked_path
from ecg_tasks.steps.workspace import find_json, get_json, now, put_json
from ecg_tasks.storage import keys
from ecg_tasks.storage.ahead import map_ahead
from ecg_tasks.storage.object_store import MissingObjectError, ObjectInfo, ObjectStore

_AT_ONCE = 8
_REASON = "reason.json"
SHOWN_BYTES = 2000
"""Of a file's start or of a bad row, at most so much is shown."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A bad row of a file that is good otherwise, or the file's start if all of it is bad."""

    name: str
    reason: str
    message: str
    content: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One drop in quarantine: the sentence for people, its bad rows, and who put it back when."""

    source: str
    name: str
    reason: str
    message: str
    since: str
    n_rows: int
    retried: tuple[dict[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Entries:
    """One page of entries, newest first, and how many there are in all."""

    entries: tuple[Entry, ...]
    total: int


def entries(store: ObjectStore, *, offset: int = 0, limit: int = 50) -> Entries:
    """List the quarantine; only the reasons of those asked for are read."""
    found = [item for item in store.list_objects(keys.QUARANTINE) if item.key.endswith(f"/{_REASON}")]
    found.sort(key=lambda item: item.modified, reverse=True)
    page = found[offset : offset + limit]
    return Entries(entries=tuple(map_ahead(lambda item: _entry(store, item), page, at_once=_AT_ONCE)), total=len(found))


def entry(store: ObjectStore, source: str) -> tuple[Entry, tuple[Row, ...]] | None:
    """One entry with what is bad in it, or None if there is none of this digest."""
    info = store.info(keys.quarantine_reason(source))
    if info is None:
        return None
    return _entry(store, info), _rows(store, get_json(store, info.key))


def put_back(store: ObjectStore, source: str, *, who: str) -> tuple[str, ...]:
    """Copy an entry's files to where they lay in the inbox, and note who did; the entry stays until the next intake judges them anew.

    Returns the paths below the inbox.

    Raises
    ------
    ConfigurationError
        If there is no such entry, or something else waits in the inbox under one of its names.
    """
    key = keys.quarantine_reason(source)
    reason = find_json(store, key)
    if reason is None:
        raise ConfigurationError(f"nothing is in quarantine under {source}")
    try:
        paths = [checked_path(path) for path in reason["inbox"]]
    except BadInputError as error:
        raise ConfigurationError(f"it cannot go back: {error.message}") from None
    taken = [path for path in paths if store.exists(f"{keys.INBOX}{path}")]
    if taken:
        raise ConfigurationError(f"{', '.join(taken)} already waits in the inbox; let it be taken over first")
    for path in paths:
        store.copy(keys.quarantined(source, path.rsplit("/", 1)[-1]), f"{keys.INBOX}{path}")
    detail = {"inbox": paths, "times_before": len(reason.get("retried", []))}
    audit.append(store, who=who, action=audit.Action.RETRY, subject=source, detail=detail)
    put_json(store, key, reason | {"retried": [*reason.get("retried", []), {"who": who, "when": now()}]})
    return tuple(paths)


def _entry(store: ObjectStore, info: ObjectInfo) -> Entry:
    return _read(store, info.key, info.etag, info.modified.isoformat(timespec="seconds"))


@lru_cache(maxsize=2048)
def _read(store: ObjectStore, key: str, _etag: str, since: str) -> Entry:
    reason = get_json(store, key)
    return Entry(
        source=reason["source"],
        name=reason["name"],
        reason=reason["reason"],
        message=reason["message"],
        since=since,
        n_rows=len(reason.get("rows", [])),
        retried=tuple(reason.get("retried", [])),
    )


def _rows(store: ObjectStore, reason: dict[str, Any]) -> tuple[Row, ...]:
    """The bad rows with their content, line by line; of a file that is bad as a whole, its start."""
    if not reason["inbox"]:
        return ()
    key = keys.quarantined(reason["source"], reason["inbox"][0].rsplit("/", 1)[-1])
    try:
        if "rows" not in reason:
            # one piece of it, for what was refused as too large may have any size
            start = next(store.stream(key), b"")[:SHOWN_BYTES].decode("utf-8", errors="replace")
            return (Row(name=reason["inbox"][0], reason=reason["reason"], message=reason["message"], content=start),)
        data = store.get(key)
    except MissingObjectError:
        return ()
    lines = data.decode("utf-8", errors="replace").splitlines()
    lines += [""] * (len(reason["rows"]) - len(lines))
    return tuple(
        Row(name=row["name"], reason=row["reason"], message=row["message"], content=line[:SHOWN_BYTES])
        for row, line in zip(reason["rows"], lines, strict=False)
    )
