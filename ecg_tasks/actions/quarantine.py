"""Here: what people do with entries of the quarantine: putting files back into the inbox, closing and reopening, one or many at once.

Not here: what lies in quarantine (``queries.quarantine``).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from msgspec import structs

from ecg_tasks.archive import audit, keys
from ecg_tasks.archive.documents import Closing, PutBack, QuarantineReason, Retry, find, write
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.archive.workspace import now
from ecg_tasks.errors import BadInputError, ConfigurationError
from ecg_tasks.pipeline.intake.inbox import checked_path
from ecg_tasks.queries import quarantine
from ecg_tasks.settings import Settings

AT_ONCE = 200
"""Entries that one call works on."""


class EntryAct(StrEnum):
    """What may be done with an entry. Those that close it are stored as ``how``."""

    PUT_BACK = "put-back"
    RESOLVED = "resolved"
    """What was bad has been mended and dropped again, under whatever name."""
    HIDDEN = "hidden"
    """Nobody is going to mend it."""
    REOPEN = "reopen"


@dataclass(frozen=True, kw_only=True)
class ManyDone:
    """What became of many entries: how many were worked on, why others were not (a sentence each), and how many were left for later."""

    done: int
    refused: tuple[str, ...]
    left: int


def do_with_many(store: ObjectStore, names: Sequence[str], *, act: EntryAct, who: str) -> ManyDone:
    """Do something with many entries, at most `AT_ONCE`; one that cannot be done does not keep the others from it."""
    work: dict[EntryAct, Callable[[str], object]] = {
        EntryAct.PUT_BACK: lambda name: put_back(store, name, who=who),
        EntryAct.RESOLVED: lambda name: close(store, name, how=EntryAct.RESOLVED, who=who),
        EntryAct.HIDDEN: lambda name: close(store, name, how=EntryAct.HIDDEN, who=who),
        EntryAct.REOPEN: lambda name: reopen(store, name, who=who),
    }
    chosen = list(dict.fromkeys(names))
    refused = []
    for name in chosen[:AT_ONCE]:
        try:
            work[act](name)
        except ConfigurationError as error:
            refused.append(str(error))
    return ManyDone(done=min(len(chosen), AT_ONCE) - len(refused), refused=tuple(refused), left=max(len(chosen) - AT_ONCE, 0))


def put_back(store: ObjectStore, name: str, *, who: str) -> tuple[str, ...]:
    """Copy an entry's files to where they lay in the inbox, and note who did; the next intake reads them again, and closes it if it can.

    Returns the paths below the inbox.

    Raises
    ------
    ConfigurationError
        If there is no such entry, or something else waits in the inbox under one of its names.
    """
    folder, reason = _entry(store, name)
    if reason.closed:
        raise ConfigurationError(f"{reason.name} is closed since {reason.closed.when}: nothing of it is left to be read")
    if not reason.inbox:
        raise ConfigurationError(
            f"{reason.name} cannot go back: its bytes stand in the archive that it came in, or went with ./ecg deidentify"
        )
    try:
        paths = [checked_path(path) for path in reason.inbox]
    except BadInputError as error:
        raise ConfigurationError(f"it cannot go back: {error.message}") from None
    taken = [path for path in paths if store.exists(f"{keys.INBOX}{path}")]
    if taken:
        raise ConfigurationError(f"{', '.join(taken)} already waits in the inbox; let it be taken over first")
    tried = Retry(who=who, when=now())
    # First who and when: an intake may take the files over as soon as they are in the inbox, and looks for this mark after them.
    store.put(keys.put_back(folder), b"")
    write(store, keys.quarantined_mark(folder, keys.PUT_BACK), PutBack(inbox=tuple(paths), who=who, when=tried.when))
    write(store, keys.quarantine_reason(folder), structs.replace(reason, retried=(*reason.retried, tried)))
    for path, file in zip(paths, reason.stored, strict=True):
        store.copy(keys.quarantined(folder, file), f"{keys.INBOX}{path}")
    # The moment is in it: the same entry may be put back more than once, and each time is an act.
    names = StoredNames.of(Settings.from_environment())
    told = [names.in_inbox(f"{keys.INBOX}{path}").removeprefix(keys.INBOX) for path in paths]
    detail = {"entry": folder, "inbox": told, "times_before": len(reason.retried), "when": tried.when}
    audit.append(store, who=who, action=audit.Action.RETRY, subject=reason.source, detail=detail)
    return tuple(paths)


def close(store: ObjectStore, name: str, *, how: EntryAct, who: str) -> None:
    """Close an entry: its files were mended and dropped again (``RESOLVED``), or nobody is going to (``HIDDEN``). Its bytes stay.

    Raises
    ------
    ConfigurationError
        If there is no such entry, it is closed already, or its files wait in the inbox.
    """
    folder, reason = _entry(store, name)
    if reason.closed:
        raise ConfigurationError(f"{reason.name} is closed since {reason.closed.when}")
    if store.exists(keys.quarantined_mark(folder, keys.PUT_BACK)):
        raise ConfigurationError(f"{reason.name} waits in the inbox; the next intake reads it, and closes the entry if it can")
    closed = Closing(when=now(), run="", who=who, how=how.value)
    write(store, keys.quarantine_reason(folder), structs.replace(reason, closed=closed))
    write(store, keys.quarantined_mark(folder, keys.CLOSED), closed)
    detail = {"entry": folder, "how": how.value, "when": closed.when}
    audit.append(store, who=who, action=audit.Action.CLOSE, subject=reason.source, detail=detail)


def reopen(store: ObjectStore, name: str, *, who: str) -> None:
    """Open an entry again that somebody, or an intake, closed.

    Raises
    ------
    ConfigurationError
        If there is no such entry, or it is open.
    """
    folder, reason = _entry(store, name)
    if not reason.closed:
        raise ConfigurationError(f"{reason.name} is open already")
    store.delete(keys.quarantined_mark(folder, keys.CLOSED))
    write(store, keys.quarantine_reason(folder), structs.replace(reason, closed=None))
    detail = {"entry": folder, "closed_when": reason.closed.when}
    audit.append(store, who=who, action=audit.Action.REOPEN, subject=reason.source, detail=detail)


def _entry(store: ObjectStore, name: str) -> tuple[str, QuarantineReason]:
    """Return an entry's folder and its reason."""
    key = quarantine.reason_key(store, name)
    reason = find(store, QuarantineReason, key) if key else None
    if reason is None:
        raise ConfigurationError(f"nothing is in quarantine under {name}")
    return key.split("/")[1], reason
