"""Here: the log of who did what: appending to it and reading it. Not here: whether it was tampered with (``queries.audit_log``).

Every entry is a separate object that names the SHA-256 of those before it which no other entry named yet: one as a rule, several
after writers appended at once. So nothing is overwritten, a fork is joined by the next writer, and no lock is needed.
"""

import hashlib
import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

import msgspec

from ecg_tasks.archive import keys
from ecg_tasks.archive.documents import prepared
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.workspace import now
from ecg_tasks.errors import ConfigurationError, MissingObjectError

_appending = threading.Lock()
"""Within one process entries follow one another."""
_IN_A_FOLDER = 1000
_NAME = re.compile(rf"{keys.AUDIT}(\d{{6}})/(\d{{9}})-([0-9a-f]{{16}})-([0-9a-f]{{64}})\.json")


class Action(StrEnum):
    """What is logged. The values are stored."""

    INGEST = "ingest"
    CLASSIFY = "classify"
    ADD = "add"
    APPROVE = "approve"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    REJECT = "reject"
    VERDICT = "verdict"
    WITHDRAW = "withdraw"
    ASK = "ask"
    RETRY = "retry"
    CLOSE = "close"
    REOPEN = "reopen"
    DELETE = "delete"
    DEIDENTIFY = "deidentify"
    FORGET = "forget"
    ALLOW = "allow"
    TAKE_BACK = "take_back"
    RELEASE = "release"
    DROP = "drop"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One act.

    Parameters
    ----------
    number : one more than the highest that its writer saw; those who write at once may share one
    before : SHA-256 of the entries before that no entry named yet
    covers : how many entries its writer saw in each of the last two folders: all of them are before it, directly or by others
    when : by its writer's clock (ISO 8601, UTC); the order comes from ``before``, never from clocks
    who : a user, or ``<dag>/<run>``
    subject : what it was done to: a record, a version, a run, a digest
    detail : whatever else there is to know, as JSON
    """

    number: int
    before: tuple[str, ...]
    covers: Mapping[str, int]
    when: str
    who: str
    action: Action
    subject: str
    detail: Mapping[str, Any]

    def to_json(self) -> bytes:
        """Return the bytes that are stored, and whose digest is the entry's name."""
        return _canonical(asdict(self))

    @classmethod
    def from_json(cls, data: bytes) -> "Entry":
        """Read it back; `ValueError` if it is no entry."""
        stored = json.loads(data)
        if not isinstance(stored, dict) or stored.keys() != {field.name for field in fields(cls)}:
            raise ValueError("it is not an entry of the log")
        try:
            return msgspec.convert(stored, prepared(cls))
        except msgspec.ValidationError as error:
            raise ValueError(f"it is not an entry of the log: {error}") from None


@dataclass(frozen=True, kw_only=True, order=True)
class Name:
    """What an entry's key says: names sort as the entries follow one another."""

    number: int
    digest: str
    folder: str
    act: str
    key: str

    @classmethod
    def of(cls, key: str) -> "Name | None":
        """Read the name in a key; None if it is not the key of an entry."""
        found = _NAME.fullmatch(key)
        if found is None:
            return None
        folder, number, act, digest = found.groups()
        return cls(number=int(number), digest=digest, folder=folder, act=act, key=key)


def append(
    store: ObjectStore,
    *,
    who: str,
    action: str,
    subject: str,
    detail: Mapping[str, Any] | None = None,
    listed: Sequence[Name] | None = None,
) -> str:
    """Append one act to the log; returns the digest of its entry.

    The same act in the same words is logged once, as far as the last thousand entries or more go back: a task that runs twice logs once.
    So ``detail`` holds no time made at the call, and what may rightly happen twice has the run or the moment in it.
    Call it after the act, on the way of a repeated task too; before it only where the act destroys something.

    Parameters
    ----------
    who : a user, or ``<dag>/<run>``
    action : an `Action`
    subject : what it is done to, as ``./ecg lineage`` takes it where it does: a record, a version, a run, a digest
    detail : anything that JSON can hold; no patient, no secret
    listed : what `recent` found a moment ago

    Raises
    ------
    ConfigurationError
        If no person is named, nothing is named, or there is no such action.
    """
    if not who.strip() or not subject.strip() or action not in set(Action):
        raise ConfigurationError(f"{who=}, {action=}, {subject=}: a log entry needs a name, one of {', '.join(Action)}, and a subject")
    content = {"who": who, "subject": subject, "detail": json.loads(_canonical(detail or {}))}
    act = act_of(who=who, action=action, subject=subject, detail=detail)
    with _appending:
        listed = recent(store) if listed is None else listed
        same = next((name for name in reversed(listed) if name.act == act), None)
        if same is not None:
            return same.digest
        entry = Entry(
            number=listed[-1].number + 1 if listed else 1,
            before=tuple(_open_ends(store, listed)),
            covers={folder: sum(name.folder == folder for name in listed) for folder in sorted({name.folder for name in listed})},
            when=now(),
            action=Action(action),
            **content,
        )
        data = entry.to_json()
        digest = hashlib.sha256(data).hexdigest()
        store.put(keys.audit_entry(entry.number, act=act, digest=digest), data, content_type="application/json")
        return digest


def act_of(*, who: str, action: str, subject: str, detail: Mapping[str, Any] | None = None) -> str:
    """Return the digest of what was done that stands in an entry's name."""
    content = {"who": who, "action": str(action), "subject": subject, "detail": detail or {}}
    return hashlib.sha256(_canonical(content)).hexdigest()[:16]


def entries(store: ObjectStore) -> list[tuple[Name, Entry]]:
    """Return the whole log, in order, as far as it can be read."""
    names = sorted(name for key in store.list_keys(keys.AUDIT) if (name := Name.of(key)))
    found = []
    for name, data in zip(names, store.get_many(name.key for name in names), strict=True):
        try:
            found.append((name, Entry.from_json(data)))
        except ValueError:
            continue
    return found


def recent(store: ObjectStore, *, since: int = 0) -> list[Name]:
    """Return the names in the last two folders, in order: a writer that appends at once lies within them.

    ``since`` is a number that the log had before, 0 where none is known: then one listing is enough, from the folder before that number's.
    """
    found: list[Name] = []
    if since:
        first = keys.audit_folder(max(since - _IN_A_FOLDER, 0))
        found = [name for item in store.list_objects(keys.AUDIT, after=first) if (name := Name.of(item.key))]
    if found:
        folders = sorted({name.folder for name in found})[-2:]
        return sorted(name for name in found if name.folder in folders)
    folders = sorted(folder for folder in store.list_folders(keys.AUDIT) if folder.isdigit())[-2:]
    return sorted(name for folder in folders for key in store.list_keys(f"{keys.AUDIT}{folder}/") if (name := Name.of(key)))


def _open_ends(store: ObjectStore, listed: Sequence[Name]) -> list[str]:
    """Return digests of the listed entries that no other one names; read from the newest back to one that covers everything before it.

    An entry has the number after the highest that its writer saw, and names that one or what names it. So where each number stands once
    and none is left out, only the last is open, and nothing is read.
    """
    if [name.number for name in listed] == list(range(listed[0].number, listed[0].number + len(listed)) if listed else ()):
        return [name.digest for name in listed[-1:]]
    named: set[str] = set()
    read = []
    for place in reversed(range(len(listed))):
        read.append(listed[place].digest)
        try:
            entry = Entry.from_json(store.get(listed[place].key))
        except (ValueError, MissingObjectError):
            continue  # it is named all the same, so that whoever checks the log finds what is wrong with it
        named.update(entry.before)
        before: dict[str, int] = {}
        for name in listed[:place]:
            before[name.folder] = before.get(name.folder, 0) + 1
        if all(entry.covers.get(folder, 0) == n for folder, n in before.items()):
            break
    return sorted(digest for digest in read if digest not in named)


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
