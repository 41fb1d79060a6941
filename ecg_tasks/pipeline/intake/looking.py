"""Here: a look at the inbox that changes nothing: what waits there, for what, and until when. Not here: sorting it (``drops``)."""

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ecg_tasks.archive import keys
from ecg_tasks.archive.documents import InboxWait, IntakeManifest, read
from ecg_tasks.archive.object_store import ObjectInfo, ObjectStore
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.names import DagId
from ecg_tasks.pipeline.intake import drops
from ecg_tasks.pipeline.intake.archives import may_be_one
from ecg_tasks.pipeline.intake.drops import NEXT_RUN, Sorted, Wait
from ecg_tasks.settings import Settings

MOST = 20_000
"""Of more files a look takes no account one by one: a million would take a gigabyte of memory."""
SHOWN = 1_000
"""So many are named then: those that came first."""
_MAX_UNREAD = 500
"""Headers that a look reads which no run has read yet; the others are told to wait for their turn, as they do."""
_ROWS = "the next run, or recordings that its rows mean"


@dataclass(frozen=True, kw_only=True)
class WaitingFile:
    """A file of the inbox.

    Parameters
    ----------
    id : `StoredNames.waiting_id`
    since : when it came
    wait : what it waits for, and until when
    """

    id: str
    key: str
    size: int
    since: datetime
    wait: Wait


@dataclass(frozen=True, kw_only=True)
class InboxLook:
    """The inbox: how many files wait, and which, what came first in front; the first ``SHOWN`` where there are more than ``MOST``."""

    n_files: int
    files: list[WaitingFile]


def look(store: ObjectStore) -> InboxLook:
    """List the whole inbox."""
    settings = Settings.from_environment()
    names, n_files = StoredNames.of(settings), count(store)
    if n_files > MOST:
        listed = heapq.nsmallest(SHOWN, _listed(store), key=_came)
        waits: Mapping[str, Wait] = {}
    else:
        listed = sorted(_listed(store), key=_came)
        waits = _waits(store, listed, settings=settings) if listed else {}
    files = [
        WaitingFile(
            id=names.waiting_id(item.key, item.etag),
            key=item.key,
            size=item.size,
            since=item.modified,
            wait=waits.get(item.key, Wait(why=NEXT_RUN)),
        )
        for item in listed
    ]
    return InboxLook(n_files=n_files, files=files)


def count(store: ObjectStore) -> int:
    """Return how many files are in the inbox."""
    return sum(1 for _ in _listed(store))


def waits_for(store: ObjectStore, n_files: int, files: Iterable[WaitingFile] | None = None) -> tuple[InboxWait, ...]:
    """Count how many files of the inbox wait for what; of more than ``MOST`` it is told as the last intake has counted them.

    Parameters
    ----------
    n_files : how many there are
    files : all of them, if they were looked at
    """
    if n_files <= MOST:
        return _sums(look(store).files if files is None else files) if n_files else ()
    last = max(store.list_objects(f"{keys.MANIFESTS}{DagId.INGEST_RECORDS}/"), key=lambda item: (item.modified, item.key), default=None)
    told = Counter({} if last is None else read(store, IntakeManifest, last.key).waiting_for)
    return tuple(InboxWait(why=why, files=files) for why, files in told.most_common())


def is_taken_over(store: ObjectStore) -> bool:
    """Return whether nothing in the inbox lacks only its turn; what waits for other files may be there."""
    found = look(store)
    return found.n_files <= MOST and all(one.wait.until is not None for one in found.files)


def _listed(store: ObjectStore) -> Iterator[ObjectInfo]:
    return (item for item in store.list_objects(keys.INBOX) if not item.key.endswith("/"))


def _came(item: ObjectInfo) -> tuple[datetime, str]:
    return item.modified, item.key


def _sums(files: Iterable[WaitingFile]) -> tuple[InboxWait, ...]:
    """Count how many files wait for what, the most first, with the moment after which the last of them waits no longer."""
    counts: Counter[str] = Counter()
    until: dict[str, datetime] = {}
    for one in files:
        counts[one.wait.why] += 1
        if one.wait.until is not None:
            until[one.wait.why] = max(one.wait.until, until.get(one.wait.why, one.wait.until))
    return tuple(
        InboxWait(why=why, files=count, until=until[why].isoformat(timespec="seconds") if why in until else "")
        for why, count in counts.most_common()
    )


def released_notes(listed: Iterable[str]) -> set[str]:
    """Return which files people let wait no longer, by what stands below ``keys.INTAKES``."""
    prefix = keys.released("")
    return {key.removeprefix(prefix) for key in listed if key.startswith(prefix)}


def released(listed: Iterable[ObjectInfo], notes: Collection[str], *, names: StoredNames) -> dict[str, str]:
    """Return the keys of the files that the notes mean, by note; a note on bytes that are not there any more means none."""
    if not notes:
        return {}
    ids = ((names.waiting_id(item.key, item.etag), item.key) for item in listed)
    return {digest: key for digest, key in ids if digest in notes}


def _waits(store: ObjectStore, listed: Sequence[ObjectInfo], *, settings: Settings) -> Mapping[str, Wait]:
    """Return what the files that are not taken over by the next run wait for, by key."""
    at = datetime.now(UTC)
    notes = released_notes(store.list_keys(keys.INTAKES))
    found = drops.sort_inbox(
        store,
        [item for item in listed if not may_be_one(item)],
        at=at,
        grace_s=settings.wfdb_grace_s,
        max_bytes=settings.max_object_bytes,
        max_unread=_MAX_UNREAD,
        released=released(listed, notes, names=StoredNames.of(settings)).values(),
        looks_only=True,
    )
    return found.waits | _of_tables(found, at=at, grace=timedelta(seconds=settings.wfdb_grace_s))


def _of_tables(found: Sorted, *, at: datetime, grace: timedelta) -> dict[str, Wait]:
    ends = {table.key: datetime.fromisoformat(table.modified) + grace for table in found.labels if not table.released}
    return {key: Wait(why=_ROWS, until=end) for key, end in ends.items() if end > at}
