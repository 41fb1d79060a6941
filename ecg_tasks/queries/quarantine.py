"""Here: what could not be read, by reason and entry by entry. Not here: putting it there (``intake.taking``), acts (``actions``)."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ecg_tasks.archive import keys
from ecg_tasks.archive.cache import keep
from ecg_tasks.archive.documents import QuarantineReason, Retry, find, read
from ecg_tasks.archive.object_store import ObjectInfo, ObjectStore
from ecg_tasks.archive.parallel import bounded_parallel_map
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.errors import ADVICE, SENTENCES, MissingObjectError, Reason
from ecg_tasks.readers.file_names import holds_no_signal
from ecg_tasks.readers.text_file import GZIP_MAGIC, unpacked_head
from ecg_tasks.readers.unknown_file import is_text, kind_of
from ecg_tasks.settings import Settings

SHOWN_BYTES = 2000
"""Of a file's start or of a bad row, at most so much is shown."""
SHOWN_BINARY, _BYTES_A_LINE = 256, 16
"""Bytes of a file that is no text."""
SHOWN_FILES = 8
GROUPED = 2000
"""Entries that are grouped by reason: the newest; each was read once by this process."""
BESIDE = "beside"
"""The group of what holds no recording by its name, and lay beside some: documents, pictures and programs."""
_BESIDE_TITLE = "Documents, pictures and programs."
_BESIDE_ADVICE = (
    "They have no signal. If they were only beside recordings, hide them. If one is the picture of a recording, export the recording itself"
    " from the device, and drop that."
)


@dataclass(frozen=True, kw_only=True)
class QuarantineRow:
    """A bad row of a file that is good otherwise, or the file's start if all of it is bad.

    Parameters
    ----------
    content : text, or the first bytes of a file that is no text, in hexadecimal
    is_text : whether it is text
    kind : what a file that is no text seems to be, or how its text is packed; else empty
    """

    name: str
    reason: str
    message: str
    content: str
    is_text: bool = True
    kind: str = ""


@dataclass(frozen=True, kw_only=True)
class QuarantineEntry:
    """One drop in quarantine: the sentence for people, its bad rows, and who put it back when.

    Parameters
    ----------
    id : the entry's folder; ``source`` is the SHA-256 of its bytes
    group : its reason, or `BESIDE`
    closed : when nothing of it was left to be done (ISO 8601), or empty
    closed_by : the person who closed it; empty where an intake did, after it was put back
    closed_how : ``resolved`` or ``hidden`` by a person, else empty
    went_to : entries that hold what was still bad in it when it was put back
    """

    id: str
    source: str
    name: str
    reason: str
    message: str
    since: str
    n_rows: int
    group: str
    retried: tuple[Retry, ...]
    closed: str
    closed_by: str
    closed_how: str
    went_to: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Entries:
    """One page of entries, newest first: how many there are of the kind asked for, and how many are closed."""

    entries: tuple[QuarantineEntry, ...]
    total: int
    n_closed: int


@dataclass(frozen=True, kw_only=True)
class ReasonGroup:
    """Entries with one reason, the newest first: ``title`` says it in a sentence, ``advice`` what to do; ``n`` are there in all."""

    reason: str
    title: str
    advice: str
    entries: tuple[QuarantineEntry, ...]
    n: int


@dataclass(frozen=True, kw_only=True)
class Grouped:
    """All entries by reason, the most frequent first, `BESIDE` last; ``n_older`` are not among them, because there are too many."""

    groups: tuple[ReasonGroup, ...]
    n_open: int
    n_closed: int
    n_older: int


@dataclass(frozen=True, kw_only=True)
class QuarantinedFile:
    """A file of an entry: the name that it was dropped under, where it lies, and its size in bytes."""

    name: str
    key: str
    n_bytes: int


def entries(store: ObjectStore, *, closed: bool = False, reason: str = "", offset: int = 0, limit: int = 50, told: bool = True) -> Entries:
    """List the open or the closed entries; only the reasons of those asked for are read.

    Parameters
    ----------
    reason : a `Reason`, or `BESIDE`: those of one group, of the newest `GROUPED`; empty for all
    told : with names and sentences, which may hold anything that stands in a file; else with the digests of names
    """
    found, n_closed = _listed(store, closed=closed)[:2]
    if reason:
        chosen = [one for one in _read_all(store, found[:GROUPED]) if one.group == reason]
        total, page = len(chosen), chosen[offset : offset + limit]
    else:
        total, page = len(found), _read_all(store, found[offset : offset + limit])
    shown = tuple(page) if told else tuple(map(_for_all, page))
    return Entries(entries=shown, total=total, n_closed=n_closed)


def grouped(store: ObjectStore, *, closed: bool = False, limit: int = 10, told: bool = True) -> Grouped:
    """Return the open or the closed entries by reason, at most ``limit`` of each; ``told`` as in `entries`."""
    found, n_closed, n_open = _listed(store, closed=closed)
    known = _read_all(store, found[:GROUPED])
    counts = Counter(one.group for one in known)
    groups = []
    for name in sorted(counts, key=lambda name: (name == BESIDE, -counts[name], name)):
        some = [one for one in known if one.group == name][:limit]
        title, advice = (_BESIDE_TITLE, _BESIDE_ADVICE) if name == BESIDE else (SENTENCES[Reason(name)], ADVICE[Reason(name)])
        shown = tuple(some) if told else tuple(map(_for_all, some))
        groups.append(ReasonGroup(reason=name, title=title, advice=advice, entries=shown, n=counts[name]))
    return Grouped(groups=tuple(groups), n_open=n_open, n_closed=n_closed, n_older=max(len(found) - GROUPED, 0))


def advice_on(one: QuarantineEntry) -> str:
    """Return what to do about an entry."""
    return _BESIDE_ADVICE if one.group == BESIDE else ADVICE[Reason(one.reason)]


def _listed(store: ObjectStore, *, closed: bool) -> tuple[list[ObjectInfo], int, int]:
    """Return the reasons of the open or the closed entries, newest first, and how many are closed and open."""
    listed = list(store.list_objects(keys.QUARANTINE))
    done = _folders(listed, keys.CLOSED)
    reasons = [item for item in listed if item.key.endswith(f"/{keys.REASON}")]
    found = [item for item in reasons if (item.key.split("/")[1] in done) == closed]
    n_found, n_others = len(found), len(reasons) - len(found)
    return sorted(found, key=lambda item: item.modified, reverse=True), *((n_found, n_others) if closed else (n_others, n_found))


def _read_all(store: ObjectStore, found: Sequence[ObjectInfo]) -> list[QuarantineEntry]:
    return list(bounded_parallel_map(lambda item: _entry(store, item), found))


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


def files(store: ObjectStore, name: str) -> tuple[QuarantinedFile, ...]:
    """Return the files of an entry that are there, in the order in which they go back; of bad rows the one file that has them."""
    key = reason_key(store, name)
    reason = find(store, QuarantineReason, key) if key else None
    if reason is None:
        return ()
    folder = key.split("/")[1]
    sizes = {item.key: item.size for item in store.list_objects(f"{keys.QUARANTINE}{folder}/")}
    found = [(path, keys.quarantined(folder, file)) for path, file in zip(reason.inbox, reason.stored, strict=True)]
    return tuple(QuarantinedFile(name=path, key=at, n_bytes=sizes[at]) for path, at in found if at in sizes)


def content(store: ObjectStore, file: QuarantinedFile) -> Iterator[bytes]:
    """Yield a file's bytes as they were dropped."""
    return store.stream(file.key)


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
        group=_group(reason),
        retried=reason.retried,
        closed=reason.closed.when if reason.closed else "",
        closed_by=reason.closed.who if reason.closed else "",
        closed_how=reason.closed.how if reason.closed else "",
        went_to=reason.closed.entries if reason.closed else (),
    )


def _for_all(one: QuarantineEntry) -> QuarantineEntry:
    """Return an entry as those may see it who only read."""
    names = StoredNames.of(Settings.from_environment())
    return replace(one, name=names.shown(one.name), message=one.message if names.keep else SENTENCES[Reason(one.reason)])


def _group(reason: QuarantineReason) -> str:
    """Return an entry's group: its reason, but for what no reader takes and holds no signal by its name."""
    beside = reason.reason == Reason.UNKNOWN_FORMAT and not reason.rows and holds_no_signal(reason.name)
    return BESIDE if beside else reason.reason


def _rows(store: ObjectStore, entry: str, reason: QuarantineReason) -> tuple[QuarantineRow, ...]:
    """Return the bad rows with their content, line by line; of files that are bad as a whole, the start of each."""
    if not reason.inbox:
        return ()
    at = [keys.quarantined(entry, file) for file in reason.stored]
    if not reason.rows:
        return tuple(_starts(store, at[:SHOWN_FILES], reason))
    try:
        data = store.get(at[0])
    except MissingObjectError:
        return ()
    lines = data.decode("utf-8", errors="replace").splitlines()
    lines += [""] * (len(reason.rows) - len(lines))
    return tuple(
        QuarantineRow(name=row.name, reason=row.reason, message=row.message, content=line[:SHOWN_BYTES])
        for row, line in zip(reason.rows, lines, strict=False)
    )


def _starts(store: ObjectStore, at: Sequence[str], reason: QuarantineReason) -> Iterator[QuarantineRow]:
    for path, key in zip(reason.inbox, at, strict=False):
        try:
            head = next(store.stream(key), b"")[:SHOWN_BYTES]  # one piece of it, for what was refused as too large may have any size
        except MissingObjectError:
            continue
        is_shown_as_text, shown, kind = _shown(head)
        yield QuarantineRow(name=path, reason=reason.reason, message=reason.message, content=shown, is_text=is_shown_as_text, kind=kind)


def _shown(head: bytes) -> tuple[bool, str, str]:
    r"""Return whether a file's start is text, that start for people, and what the file seems to be.

    >>> _shown(b"I,II")
    (True, 'I,II', '')
    >>> print(*_shown(b"\x89HDF\r\n\x1a\n" + bytes(10)), sep="\n")
    False
    00000000  89 48 44 46 0d 0a 1a 0a 00 00 00 00 00 00 00 00  .HDF............
    00000010  00 00                                            ..
    HDF5
    """
    text = unpacked_head(head)
    if not head or (text and is_text(text)):
        return True, text.decode("utf-8", errors="replace")[:SHOWN_BYTES], "packed with gzip" if head.startswith(GZIP_MAGIC) else ""
    lines = []
    for first in range(0, min(len(head), SHOWN_BINARY), _BYTES_A_LINE):
        some = head[first : min(first + _BYTES_A_LINE, SHOWN_BINARY)]
        signs = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in some)  # noqa: PLR2004 - what ASCII prints
        lines.append(f"{first:08x}  {some.hex(' '):<47}  {signs}")
    return False, "\n".join(lines), (kind_of(head) or "of no format that is known here").partition(";")[0]
