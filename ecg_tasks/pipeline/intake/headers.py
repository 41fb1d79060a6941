"""Here: which files each WFDB header in the inbox names, each header read once. Not here: which of them are there (``drops``).

Where something waits, what was read is kept in one object in staging/, by key and ETag. It is a copy that may be lost: headers are read
again then. It has names of files as they were dropped, so it holds nothing but what is in the inbox, and goes when nothing waits.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ecg_tasks.archive import keys, tables
from ecg_tasks.archive.object_store import ObjectInfo, ObjectStore
from ecg_tasks.errors import BadInputError, MissingObjectError
from ecg_tasks.readers import HEAD_BYTES, Companions, reader_of
from ecg_tasks.readers.file_names import Kind, kind_of
from ecg_tasks.readers.wfdb.header import MAX_HEADER_BYTES

MAX_UNREAD = 20_000
"""Headers that one run reads again. On a busy machine one takes up to 40 ms, so this is a quarter of an hour at most."""
MEMO = f"{keys.INTAKES}headers.parquet"


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What a file says of itself."""

    etag: str
    names: tuple[str, ...] = ()
    """Files that a header names, in its own folder; headers of segments where ``segments``. Of another file, the sidecars it may need."""
    segments: bool = False
    fault: str = ""
    """Why it is refused unread, as a reason's code."""
    message: str = ""
    is_table: bool = False
    """Whether a reader knows a file, whose name says nothing, by its first bytes; the name in the table is older."""


def read_once(
    store: ObjectStore,
    found: Mapping[str, ObjectInfo],
    wanted: Sequence[str],
    *,
    before: Mapping[str, Said],
    max_unread: int = MAX_UNREAD,
) -> dict[str, Said]:
    """Return what these files say, of those that were read before or are among the ``max_unread`` that came first.

    Parameters
    ----------
    found : the whole inbox by key
    wanted : keys of headers, of files whose names say nothing, and of those that may need a sidecar
    before : what was `remembered`
    """
    said = {key: before[key] for key in wanted if key in before and before[key].etag == found[key].etag}
    unread = sorted((key for key in wanted if key not in said), key=lambda key: (found[key].modified, key))[:max_unread]
    said.update(_read(store, found, unread))
    return said


def remember(store: ObjectStore, said: Mapping[str, Said], *, before: Mapping[str, Said], some_wait: bool) -> None:
    """Keep what files say for the next run, where ``some_wait`` and it is not kept yet; let go of it where no file says anything."""
    if said and some_wait and said != before:
        _keep(store, said)
    elif before and not said:
        store.delete(MEMO)


def delete_files(store: ObjectStore, gone: Iterable[str]) -> None:
    """Delete files from the inbox while others wait there, and what is kept of them."""
    before = remembered(store)
    said = dict(before)

    def let_go() -> Iterator[str]:
        for key in gone:
            said.pop(key, None)
            yield key

    store.delete_many(let_go())
    remember(store, said, before=before, some_wait=True)


def _keep(store: ObjectStore, said: Mapping[str, Said]) -> None:
    columns = {name: [getattr(one, name) for one in said.values()] for name in tables.INBOX_READ.names[1:]}
    store.put(MEMO, tables.dump(tables.INBOX_READ, {"key": list(said)} | columns))


def _read(store: ObjectStore, found: Mapping[str, ObjectInfo], wanted: Sequence[str]) -> Iterator[tuple[str, Said]]:
    def is_asked(key: str) -> bool:
        """Return whether a file's size doesn't say it all."""
        return bool(found[key].size) and (kind_of(key) is not Kind.HEADER or found[key].size <= MAX_HEADER_BYTES)

    contents = store.heads(filter(is_asked, wanted), n_bytes=MAX_HEADER_BYTES)
    for key in wanted:
        data = next(contents) if is_asked(key) else bytes(min(found[key].size, MAX_HEADER_BYTES + 1))
        if data is not None:  # else its owner took it back
            yield key, said_by(key, found[key].etag, data)


def said_by(key: str, etag: str, data: bytes) -> Said:
    """Return what a file says of itself, by its first bytes: of a header all of them, or more than ``MAX_HEADER_BYTES``."""
    if kind_of(key) is Kind.HEADER:
        return _of_header(key, etag, data)
    name = key.removeprefix(keys.INBOX)
    known = reader_of(name, data[:HEAD_BYTES])
    needed = Companions() if known is None else known.companions(name, data)
    return Said(etag=etag, is_table=known is not None, names=needed.optional)


def _of_header(key: str, etag: str, data: bytes) -> Said:
    name = key.removeprefix(keys.INBOX)
    reader = reader_of(name, data[:HEAD_BYTES])
    try:
        needed = Companions() if reader is None else reader.companions(name, data)
        return Said(etag=etag, names=needed.names, segments=needed.nested)
    except BadInputError as error:
        return Said(etag=etag, fault=error.reason.value, message=error.message)


def remembered(store: ObjectStore) -> dict[str, Said]:
    """Return what an earlier run kept, by key."""
    try:
        columns = tables.load(store.get(MEMO))
        rows = zip(*(columns[name] for name in tables.INBOX_READ.names), strict=True)
        return {
            key: Said(etag=etag, names=tuple(names), segments=bool(segments), fault=fault, message=message, is_table=bool(is_table))
            for key, etag, names, segments, fault, message, is_table in rows
        }
    except (MissingObjectError, KeyError, ValueError, OSError):  # lost or damaged: what it told is read again
        return {}
