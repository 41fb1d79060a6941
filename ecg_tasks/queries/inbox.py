"""Here: the inbox as pages and commands list it. Not here: what a file waits for (``intake.looking``), or taking it away (``actions``)."""

from dataclasses import dataclass

from ecg_tasks.archive import keys
from ecg_tasks.archive.documents import InboxWait
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.pipeline.intake import looking
from ecg_tasks.pipeline.intake.looking import WaitingFile
from ecg_tasks.settings import Settings


@dataclass(frozen=True, kw_only=True)
class InboxEntry:
    """A file that waits: its name below the inbox, or its digest for those who may not see names; times are ISO 8601.

    Parameters
    ----------
    id : by which forms name it
    why : what it waits for, in words
    until : when it does so no longer, and is refused or passed over; empty: its turn only
    """

    id: str
    name: str
    size: int
    since: str
    why: str
    until: str


@dataclass(frozen=True, kw_only=True)
class WaitingFiles:
    """One page of the inbox, what came first in front.

    Parameters
    ----------
    n_files : how many wait in all
    n_listed : how many of them can be paged through: fewer where there are very many
    waits_for : how many wait for what
    """

    files: tuple[InboxEntry, ...]
    n_files: int
    n_listed: int
    waits_for: tuple[InboxWait, ...]


def waiting(store: ObjectStore, *, offset: int = 0, limit: int | None = None, told: bool = True) -> WaitingFiles:
    """List what waits; without ``told`` files are named by digests."""
    found, names = looking.look(store), StoredNames.of(Settings.from_environment())
    page = found.files[offset : None if limit is None else offset + limit]
    return WaitingFiles(
        files=tuple(_file(one, names=None if told else names) for one in page),
        n_files=found.n_files,
        n_listed=len(found.files),
        waits_for=looking.waits_for(store, found.n_files, found.files),
    )


def has_files(store: ObjectStore) -> bool:
    """Return whether any file is in the inbox."""
    return any(not item.key.endswith("/") for item in store.list_objects(keys.INBOX))


def _file(one: WaitingFile, *, names: StoredNames | None) -> InboxEntry:
    key, until = one.key if names is None else names.in_inbox(one.key), one.wait.until
    return InboxEntry(
        id=one.id,
        name=key.removeprefix(keys.INBOX),
        size=one.size,
        since=one.since.isoformat(timespec="seconds"),
        why=one.wait.why,
        until="" if until is None else until.isoformat(timespec="seconds"),
    )
