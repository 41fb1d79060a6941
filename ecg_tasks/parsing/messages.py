"""Here: what a task and the process that reads its files say to one another, as bytes. Not here: who says it (``asking``, ``serving``).

A message on the socket is of fixed length. All that is long lies in two shared files in memory, which the task makes and hands over once:
the files that are to be read, and what was found. Nothing is unpickled, and what comes back is taken for what a stranger may have written.
"""

import errno
import os
import struct
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Literal

import msgspec
import numpy as np

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.labels import Label
from ecg_tasks.readers import Read, Rejected
from ecg_tasks.signals.record import Record, Unit

MESSAGE = struct.Struct("<cqq")
"""A letter and two numbers."""
READY, FILES, ASK, FOUND, ENDED = b"r", b"s", b"a", b"f", b"e"
"""The process stands behind its walls: its id, and which walls (Landlock's version, and 256 for seccomp). The task hands over the shared
files. It asks: bytes of the files to be read, and of the question after them. It is answered: bytes of samples and copies, and of the
answer after them. The process has ended: how.
"""
SECCOMP = 256
NO_ROOM = (errno.EFBIG, errno.ENOMEM, errno.ENOSPC)
"""Errors of a file in memory that may not grow any more."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A drop: its name, the sizes of its files in their order, and under which names a copy without identifiers is wanted; None: none."""

    name: str
    files: dict[str, int]
    called: dict[str, str] | None


class _Record(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A record without its samples, of which it has the shape."""

    n_leads: int
    n_samples: int
    fs: float
    leads: tuple[str, ...]
    unit: Unit
    name: str
    patient: str | None
    age: float | None
    sex: Literal["female", "male"] | None
    label: Label | None
    synthetic: bool
    recorded: str | None
    device: str | None
    filters: str | None
    source_format: str | None
    site: str | None
    issuer: str | None


class _Rejected(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    name: str
    reason: Reason
    message: str
    content: str


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What was found: a fault, or records, refused rows and the sizes of a copy's files; and what the readers logged meanwhile."""

    fault: tuple[Reason, str] | None = None
    records: tuple[_Record, ...] = ()
    rejected: tuple[_Rejected, ...] = ()
    copy: dict[str, int] | None = None
    logged: tuple[str, ...] = ()


_TOLD = tuple(field.name for field in fields(Record) if field.name != "samples")
_encode = msgspec.msgpack.Encoder(enc_hook=float).encode  # a number of NumPy's
_asked = msgspec.msgpack.Decoder(Question).decode
_answered = msgspec.msgpack.Decoder(Answered).decode


def shared_file() -> int:
    """Make a file in memory that another process may be given; elsewhere than on Linux one on the disk, without a name."""
    if sys.platform == "linux":
        return os.memfd_create("ecg", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:  # type: ignore[unreachable]  # not on the machine that checks
        return os.dup(file.fileno())


def write(file: int, parts: Iterable[bytes | memoryview], *, at: int = 0) -> int:
    """Write into a shared file from a place on; returns how many bytes."""
    n_bytes = 0
    for part in parts:
        rest = memoryview(part).cast("B")
        while rest:
            n = os.pwrite(file, rest, at + n_bytes)
            n_bytes, rest = n_bytes + n, rest[n:]
    return n_bytes


def content(file: int, n_bytes: int, *, at: int = 0) -> bytes:
    """Read so much of a shared file, from a place on: a copy, that nobody changes any more.

    Raises
    ------
    ValueError
        If the file is shorter.
    """
    if min(n_bytes, at) < 0 or at + n_bytes > os.fstat(file).st_size:
        raise ValueError("a shared file is shorter than was said")
    parts: list[bytes] = []
    while n_bytes:  # one call gives two gigabytes at most
        parts.append(os.pread(file, n_bytes, at))
        n_bytes, at = n_bytes - len(parts[-1]), at + len(parts[-1])
        if not parts[-1]:
            raise ValueError("a shared file has become shorter")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def asking(name: str, contents: Mapping[str, bytes], called: Mapping[str, str] | None) -> bytes:
    """Return the question for a drop."""
    files = {file: len(data) for file, data in contents.items()}
    return _encode(Question(name=name, files=files, called=None if called is None else dict(called)))


def asked(file: int, n_given: int, n_question: int) -> tuple[Question, dict[str, bytes]]:
    """Return the question in a shared file, and the files by name."""
    found = _asked(content(file, n_question, at=n_given))
    contents, at = {}, 0
    for name, size in found.files.items():
        contents[name], at = content(file, size, at=at), at + size
    return found, contents


def answering(read: Read, copy: Mapping[str, bytes] | None, *, logged: Iterable[str]) -> tuple[list[bytes | memoryview], bytes]:
    """Return what goes into the shared file before the answer, and the answer."""
    samples = [np.ascontiguousarray(record.samples, dtype="<f4") for record in read.records]
    records = tuple(
        _Record(n_leads=one.shape[0], n_samples=one.shape[1], **{name: getattr(record, name) for name in _TOLD})
        for one, record in zip(samples, read.records, strict=True)
    )
    rejected = tuple(_Rejected(name=one.name, reason=one.reason, message=one.message, content=one.content) for one in read.rejected)
    sizes = None if copy is None else {file: len(data) for file, data in copy.items()}
    parts: list[bytes | memoryview] = [one.data.cast("B") for one in samples]
    return [*parts, *(copy or {}).values()], _encode(Answered(records=records, rejected=rejected, copy=sizes, logged=tuple(logged)))


def refusing(fault: BadInputError, *, logged: Iterable[str]) -> bytes:
    """Return the answer where a file is refused."""
    return _encode(Answered(fault=(fault.reason, fault.message), logged=tuple(logged)))


def answered(file: int, n_found: int, n_answer: int, *, called: Mapping[str, str] | None) -> tuple[Answered, Read, dict[str, bytes] | None]:
    """Return the answer in a shared file, what was read, and the copy.

    Raises
    ------
    ValueError
        If it is no answer, or none to this question.
    """
    found = _answered(content(file, n_answer, at=n_found))
    records, at = [], 0
    for one in found.records:
        if min(one.n_leads, one.n_samples) < 0:
            raise ValueError("a record of a negative size")
        size = 4 * one.n_leads * one.n_samples
        samples = np.frombuffer(content(file, size, at=at), dtype="<f4").reshape(one.n_leads, one.n_samples)
        records.append(Record(samples=samples, **{name: getattr(one, name) for name in _TOLD}))
        at += size
    copy = None
    if found.copy is not None:
        if called is None or set(found.copy) != set(called.values()):
            raise ValueError("a copy that was not asked for")
        copy = {}
        for name, size in found.copy.items():
            copy[name], at = content(file, size, at=at), at + size
    if at != n_found:
        raise ValueError("more or less than the answer reports")
    rejected = tuple(Rejected(name=one.name, reason=one.reason, message=one.message, content=one.content) for one in found.rejected)
    return found, Read(records=tuple(records), rejected=rejected), copy
