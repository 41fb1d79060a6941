"""Here: what a task and the process that reads its files say to one another, as bytes. Not here: who says it (``asking``, ``serving``).

A message on the socket is of fixed length. All that is long lies in two shared files in memory, which the task makes and hands over once:
the files that are to be read, and what was found. Nothing is unpickled, and what comes back is taken for what a stranger may have written.
"""

import errno
import os
import struct
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.labels import Label
from ecg_tasks.parsing.here import AskedDrop
from ecg_tasks.readers import Read, Rejected
from ecg_tasks.signals.record import Record, Unit

MESSAGE = struct.Struct("<cqq")
"""A letter and two numbers."""
READY, FILES, ASK, FOUND, LACKS, ENDED = b"r", b"s", b"a", b"f", b"l", b"e"
"""The process stands behind its walls: its id, and which walls (Landlock's version, and 256 for seccomp). The task hands over the shared
files. It asks: bytes of the files to be read, and of the questions after them. It is answered: bytes of samples and copies, and of the
answers after them; or that the process lacks a library that one of the files needs. The process has ended: how.
"""
SECCOMP = 256
AS_GIVEN = -1
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
    """What was found: a fault, or records, refused rows and the sizes of a copy's files; and what the readers logged meanwhile.

    Of a file that a copy has as it was given there is no size but ``AS_GIVEN``, and its bytes do not come back.
    """

    fault: tuple[Reason, str] | None = None
    records: tuple[_Record, ...] = ()
    rejected: tuple[_Rejected, ...] = ()
    copy: dict[str, int] | None = None
    logged: tuple[str, ...] = ()


_SAMPLE = np.dtype("<f4")
Samples = NDArray[np.float32]
_TOLD = tuple(field.name for field in fields(Record) if field.name != "samples")
_encode = msgspec.msgpack.Encoder(enc_hook=float).encode  # a number of NumPy's
_asked = msgspec.msgpack.Decoder(tuple[Question, ...]).decode
_answered = msgspec.msgpack.Decoder(tuple[Answered, ...]).decode


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


def fill(room: Samples, file: int, *, at: int) -> None:
    """Read samples of a shared file, from a place on, as `content` reads bytes.

    Raises
    ------
    ValueError
        If the file is shorter.
    """
    rest = room.data.cast("B") if room.size else memoryview(b"")
    while rest:
        n_bytes = os.preadv(file, [rest], at)
        if not n_bytes:
            raise ValueError("a shared file has become shorter")
        rest, at = rest[n_bytes:], at + n_bytes


def asking(drops: Sequence[AskedDrop]) -> bytes:
    """Return the questions for some drops."""
    return _encode(
        [
            Question(
                name=one.name,
                files={file: len(data) for file, data in one.contents.items()},
                called=None if one.called is None else dict(one.called),
            )
            for one in drops
        ]
    )


def asked(file: int, n_given: int, n_question: int) -> Iterator[AskedDrop]:
    """Yield the drops in a shared file, of which memory holds one at a time."""
    at = 0
    for one in _asked(content(file, n_question, at=n_given)):
        contents = {}
        for name, size in one.files.items():
            contents[name], at = content(file, size, at=at), at + size
        yield AskedDrop(one.name, contents, one.called)


def answering(
    drop: AskedDrop, read: Read, copy: Mapping[str, bytes] | None, *, logged: Iterable[str]
) -> tuple[list[bytes | memoryview], Answered]:
    """Return what goes into the shared file before the answers, and the answer for a drop."""
    samples = [np.ascontiguousarray(record.samples, dtype=_SAMPLE) for record in read.records]
    records = tuple(
        _Record(n_leads=one.shape[0], n_samples=one.shape[1], **{name: getattr(record, name) for name in _TOLD})
        for one, record in zip(samples, read.records, strict=True)
    )
    rejected = tuple(_Rejected(name=one.name, reason=one.reason, message=one.message, content=one.content) for one in read.rejected)
    given = _given(drop)
    sizes = None if copy is None else {file: AS_GIVEN if data == given.get(file) else len(data) for file, data in copy.items()}
    parts: list[bytes | memoryview] = [one.data.cast("B") for one in samples]
    parts += [copy[file] for file, size in (sizes or {}).items() if copy is not None and size != AS_GIVEN]
    return parts, Answered(records=records, rejected=rejected, copy=sizes, logged=tuple(logged))


def refusing(fault: BadInputError, *, logged: Iterable[str]) -> Answered:
    """Return the answer where a file is refused."""
    return Answered(fault=(fault.reason, fault.message), logged=tuple(logged))


def packed(answers: Sequence[Answered]) -> bytes:
    """Return answers as they go into the shared file."""
    return _encode(answers)


def answered(file: int, n_found: int, n_answer: int, drops: Sequence[AskedDrop]) -> list[tuple[Answered, Read, dict[str, bytes] | None]]:
    """Return the answers in a shared file, of each drop with what was read, and the copy.

    Raises
    ------
    ValueError
        If it is no answer, or none to these questions.
    """
    answers = _answered(content(file, n_answer, at=n_found))
    room = _room([one for answer in answers for one in answer.records], most=n_found)
    found, at = [], 0
    for drop, one in zip(drops, answers, strict=True):
        read, copy, room, at = _taken(file, at, one, drop, room)
        found.append((one, read, copy))
    if at != n_found:
        raise ValueError("more or less than the answers report")
    return found


def _room(records: Iterable[_Record], *, most: int) -> Samples:
    """Return memory for the samples of these records: of one piece, for which the kernel may take large pages."""
    n_samples = 0
    for one in records:
        if min(one.n_leads, one.n_samples) < 0:
            raise ValueError("a record of a negative size")
        n_samples += one.n_leads * one.n_samples
    if _SAMPLE.itemsize * n_samples > most:
        raise ValueError("more samples than bytes")
    return np.empty(n_samples, dtype=_SAMPLE)


def _taken(file: int, at: int, found: Answered, drop: AskedDrop, room: Samples) -> tuple[Read, dict[str, bytes] | None, Samples, int]:
    """Return what lies in the shared file of one drop, the room that is left, and where the next one begins."""
    records = []
    for one in found.records:
        n_samples = one.n_leads * one.n_samples
        samples, room = room[:n_samples], room[n_samples:]
        fill(samples, file, at=at)
        samples.flags.writeable = False
        records.append(Record(samples=samples.reshape(one.n_leads, one.n_samples), **{name: getattr(one, name) for name in _TOLD}))
        at += samples.nbytes
    copy = None
    if found.copy is not None:
        given = _given(drop)
        if drop.called is None or set(found.copy) != set(given):
            raise ValueError("a copy that was not asked for")
        copy = {}
        for name, size in found.copy.items():
            if size == AS_GIVEN:
                copy[name] = given[name]
            else:
                copy[name], at = content(file, size, at=at), at + size
    rejected = tuple(Rejected(name=one.name, reason=one.reason, message=one.message, content=one.content) for one in found.rejected)
    return Read(records=tuple(records), rejected=rejected), copy, room, at


def _given(drop: AskedDrop) -> dict[str, bytes]:
    """Return the files of a drop by the names that they have in its copy."""
    return {called: drop.contents[file] for file, called in (drop.called or {}).items()}
