"""Here: the copies of many recordings in one object of raw/: writing it, and finding one recording's in it. Not here: single ones.

It is a ZIP without compression, so the same copies always make the same bytes. Each file is the member ``<its SHA-256>/<its name>``, as it
would be called below raw/, and a file that belongs to several recordings is in it once. The last member says which files are whose. The
object has its own SHA-256 in its name, and lies below the source of all these recordings: this is made of what was dropped, for
``sources`` must be known before the copies are.
"""

import hashlib
import tempfile
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import BinaryIO, Self, cast

from ecg_tasks.archive import keys
from ecg_tasks.archive.cache import keep
from ecg_tasks.archive.documents import CopiedDrop, CopiedDrops, ListedFile, load
from ecg_tasks.archive.object_store import ObjectInfo, ObjectStore
from ecg_tasks.archive.sources import File, file_of
from ecg_tasks.errors import BadInputError
from ecg_tasks.readers import packed
from ecg_tasks.readers.packed import Limits, PackedMember

_LIST = "drops.json"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The time that a ZIP's members have at least."""
_PLAIN_FILE = 0o644 << 16
_SPOOLED_BYTES = 8 * 1024 * 1024
_PIECE_BYTES = 1024 * 1024
_LIMITS = Limits(n_bytes=1 << 50, n_members=1 << 24)
"""Of what was written here."""


def source_of(archive: str, number: int, n_parts: int) -> str:
    """Return the source of the recordings in one part of an archive, given by its SHA-256.

    >>> source_of("0" * 64, 0, 2) == source_of("0" * 64, 1, 2)
    False
    """
    return hashlib.sha256(f"{archive} {number} of {n_parts}".encode()).hexdigest()


class CopiesWriter:
    """An object of copies while they come in, in a file on the disk where it is not small; memory holds the list of its files."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_SPOOLED_BYTES)  # noqa: SIM115 - `__exit__` closes it
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_STORED)
        self._there: set[str] = set()
        self._drops: list[CopiedDrop] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()  # else it writes to the file when it goes
        self._file.close()

    @property
    def n_bytes(self) -> int:
        """How large it is by now."""
        return self._file.tell()

    def add(self, contents: Mapping[File, bytes], *, records: Sequence[str]) -> None:
        """Take in the copies of one drop, given by what `sources.file_of` says of each, and the ids of its records."""
        for file, data in contents.items():
            if (path := _path_of(file)) not in self._there:
                self._write(path, data)
                self._there.add(path)
        listed = tuple(ListedFile(name=file.name, bytes=file.n_bytes, sha256=file.sha256) for file in contents)
        self._drops.append(CopiedDrop(records=tuple(records), files=listed))

    def put(self, store: ObjectStore, source: str) -> str:
        """End it and put it into raw/; returns its key."""
        self._write(_LIST, CopiedDrops(drops=tuple(self._drops)).to_json())
        self._zip.close()
        digest = hashlib.sha256()
        self._file.seek(0)
        for piece in iter(lambda: self._file.read(_PIECE_BYTES), b""):
            digest.update(piece)
        key = keys.raw_copies(source, digest.hexdigest())
        self._file.seek(0)
        store.put(key, cast("BinaryIO", self._file), content_type="application/zip")
        return key

    def _write(self, path: str, data: bytes) -> None:
        info = zipfile.ZipInfo(path, _LONG_AGO)
        info.external_attr = _PLAIN_FILE
        self._zip.writestr(info, data)


def files_of(store: ObjectStore, item: ObjectInfo, record_id: str) -> list[File]:
    """Return the files in an object of copies that a record was read from.

    Raises
    ------
    BadInputError
        If it is no whole ZIP, or its list is damaged.
    """
    drops = [drop for drop in _drops(store, item.key, etag=item.etag, size=item.size) if record_id in drop.records]
    return [File(name=file.name, n_bytes=file.bytes, sha256=file.sha256) for drop in drops for file in drop.files]


def names_in(store: ObjectStore, item: ObjectInfo) -> set[str]:
    """Return the names of all files in an object of copies."""
    return {file.name for drop in _drops(store, item.key, etag=item.etag, size=item.size) for file in drop.files}


def checked(store: ObjectStore, item: ObjectInfo, wanted: Collection[str]) -> dict[str, tuple[int, str]]:
    """Return, by its path, each file of the ``wanted`` digests: its length, and what is wrong with it, empty where it is whole.

    Raises
    ------
    BadInputError
        If it is no whole ZIP.
    """
    found = {}
    for path, member in _members(store, item.key, etag=item.etag, size=item.size).items():
        sha256 = path.partition("/")[0]
        if sha256 in wanted:
            try:
                is_whole = hashlib.sha256(_get(store, item.key, member)).hexdigest() == sha256
                found[path] = member.size, "" if is_whole else f"{item.key}/{path} has another SHA-256"
            except BadInputError as error:
                found[path] = member.size, f"{item.key}: {error}"
    return found


def rewrite_without(store: ObjectStore, item: ObjectInfo, record_ids: Collection[str]) -> str:
    """Put an object of copies again without the drops of these records; returns its new key, the old one where it has none of them.

    A drop goes with all its records. The new key is empty where nothing is left. The old object stays: it is the caller's to delete.

    Raises
    ------
    BadInputError
        If it is no whole ZIP.
    """
    drops = _drops(store, item.key, etag=item.etag, size=item.size)
    kept = [drop for drop in drops if not set(drop.records) & set(record_ids)]
    if len(kept) == len(drops) or not kept:
        return item.key if kept else ""
    members = _members(store, item.key, etag=item.etag, size=item.size)
    with CopiesWriter() as writer:
        for drop in kept:
            files = (File(name=file.name, n_bytes=file.bytes, sha256=file.sha256) for file in drop.files)
            there = [(file.name, _get(store, item.key, members[_path_of(file)])) for file in files]
            writer.add({file_of(name, data): data for name, data in there}, records=drop.records)
        return writer.put(store, item.key.split("/")[1])


def digests_in(store: ObjectStore, item: ObjectInfo) -> set[str]:
    """Return the SHA-256 of every file in an object of copies."""
    return {path.partition("/")[0] for path in _members(store, item.key, etag=item.etag, size=item.size)}


def path_in(item: ObjectInfo, file: File) -> str:
    """Return a file's place as if the object were a folder."""
    return f"{item.key}/{_path_of(file)}"


class _StoredCopies:
    """An object as the source of an archive of which parts are read."""

    def __init__(self, store: ObjectStore, key: str, size: int) -> None:
        self._store, self._key = store, key
        self.size = size

    def pieces(self) -> Iterator[bytes]:
        """Return all of its bytes, in pieces."""
        return self._store.stream(self._key)

    def read_at(self, at: int, n_bytes: int) -> bytes:
        """Return a part of it; fewer bytes at its end."""
        end = min(at + n_bytes, self.size)
        return b"".join(self._store.stream(self._key, at=at, end=end)) if end > at else b""


@keep(8)
def _members(store: ObjectStore, key: str, *, etag: str, size: int) -> dict[str, PackedMember]:
    del etag  # of which the answer is
    source = _StoredCopies(store, key, size)
    return {member.path: member for member in packed.zip_directory(source, name=key, limits=_LIMITS)}


@keep(8)
def _drops(store: ObjectStore, key: str, *, etag: str, size: int) -> tuple[CopiedDrop, ...]:
    members = _members(store, key, etag=etag, size=size)
    return load(CopiedDrops, _get(store, key, members[_LIST]), name=f"{key}/{_LIST}").drops if _LIST in members else ()


def _get(store: ObjectStore, key: str, member: PackedMember) -> bytes:
    return packed.unzipped(b"".join(store.stream(key, at=member.at, end=member.end)), member)


def _path_of(file: File) -> str:
    return f"{file.sha256}/{file.name}"
