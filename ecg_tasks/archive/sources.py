"""Here: what a drop is called, and the keeping of its bytes in raw/. Not here: reading them.

The source of a single file is its SHA-256. That of several is the SHA-256 of their list: name, length and SHA-256 of each. Every file lies
under its own SHA-256, so a signal file that many headers name is kept once; the list lies under the source. Version 0.1 digested the files
one after another and kept them together; what it kept is read as it is.
"""

import hashlib
import json
import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from ecg_tasks.archive import keys
from ecg_tasks.archive.documents import DropList, prepared
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import MissingObjectError


@dataclass(frozen=True, kw_only=True)
class File:
    """One dropped file."""

    name: str
    n_bytes: int
    sha256: str

    @property
    def key(self) -> str:
        """Where its bytes are kept."""
        return keys.raw(self.sha256, self.name)


def file_of(name: str, data: bytes) -> File:
    """Describe a file by its content."""
    return File(name=name, n_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def source_of(files: Sequence[File]) -> str:
    """Return the name of a drop.

    >>> source_of([file_of("a.csv", b"1")]) == hashlib.sha256(b"1").hexdigest()
    True
    >>> source_of([file_of("a", b"1"), file_of("b", b"23")]) == source_of([file_of("a", b"12"), file_of("b", b"3")])
    False
    """
    return files[0].sha256 if len(files) == 1 else hashlib.sha256(_list_of(files)).hexdigest()


def keep(store: ObjectStore, contents: Mapping[File, bytes]) -> str:
    """Keep a drop's bytes, given by what `file_of` says of each, in raw/ for ever; returns its source."""
    for file, data in contents.items():
        store.put(file.key, data)
    files = list(contents)
    source = source_of(files)
    if len(files) > 1:
        store.put(keys.raw_list(source), _list_of(files), content_type="application/json")
    return source


def described(
    store: ObjectStore, inbox_keys: Sequence[str], sizes: Sequence[int], *, called: Callable[[str], str] = str
) -> tuple[str, list[File]]:
    """Return source and files of a drop without holding its bytes in memory, or keeping them; ``called`` gives the name that is stored."""
    files = [
        File(name=called(posixpath.basename(key.rstrip("/"))), n_bytes=size, sha256=store.sha256([key]))
        for key, size in zip(inbox_keys, sizes, strict=True)
    ]
    return source_of(files), files


def listed(store: ObjectStore, source: str) -> list[File] | None:
    """Return the files of a drop by its list; None where it has none: a single file, or one that version 0.1 kept.

    Raises
    ------
    ValueError
        If the list is not the one whose SHA-256 the source is, or cannot be read.
    """
    try:
        data = store.get(keys.raw_list(source))
    except MissingObjectError:
        return None
    if hashlib.sha256(data).hexdigest() != source:
        raise ValueError(f"{keys.raw_list(source)} has another SHA-256")
    try:
        stored = msgspec.json.decode(data, type=prepared(DropList))
    except msgspec.DecodeError as error:
        raise ValueError(f"{keys.raw_list(source)} cannot be read: {error}") from None
    return [File(name=file.name, n_bytes=file.bytes, sha256=file.sha256) for file in stored.files]


def fault_of(store: ObjectStore, file: File) -> str:
    """Return what is wrong with a kept file, as a sentence; empty if it is whole."""
    try:
        return "" if store.sha256([file.key]) == file.sha256 else f"{file.key} has another SHA-256"
    except MissingObjectError:
        return f"{file.key} is gone"


def _list_of(files: Sequence[File]) -> bytes:
    """Return the list of a drop's files; it has the bytes that ``json.dumps`` with an indent of 1 and sorted keys writes."""
    stored = ",\n".join(
        f'  {{\n   "bytes": {file.n_bytes},\n   "name": {json.dumps(file.name)},\n   "sha256": "{file.sha256}"\n  }}' for file in files
    )
    return f'{{\n "files": [\n{stored}\n ]\n}}'.encode()
