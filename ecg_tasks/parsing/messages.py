"""Here: what a task and the process that reads its files say to one another, as bytes. Not here: who says it (``asking``, ``serving``).

A message on the socket is of fixed length. All that is long lies in a file in memory, which the task makes and hands over once: the files
that are to be read, the questions, and behind them what was found. Who reads maps that file; the task does not, so that all it takes from
there is a copy before it is looked at. Nothing is unpickled, and what comes back is taken for what a stranger may have written.
"""

import contextlib
import math
import mmap
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
SHARED, READY, ASK, FOUND, LACKS, ENDED = b"s", b"r", b"a", b"f", b"l", b"e"
"""The task hands over the shared file: its bytes. The process stands behind its walls: its id, and which walls (Landlock's version, and 256
for seccomp). The task asks: bytes of the files to be read, and of the questions after them. It is answered: bytes of samples and copies,
which begin where the questions end, and of the answers after them; or that the process lacks a library that one of the files needs. The
process has ended: how.
"""
SECCOMP = 256
AS_GIVEN = -1
_AT_ONCE = 512
"""Parts that are written by one call; systems take 1,024."""


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
_BLOCK_BYTES = 16 * 1024 * 1024
"""Of memory for samples: some large pages of 2 MB."""
_TOLD = tuple(field.name for field in fields(Record) if field.name != "samples")
_encode = msgspec.msgpack.Encoder(enc_hook=float).encode  # a number of NumPy's
_asked = msgspec.msgpack.Decoder(tuple[Question, ...]).decode
_answered = msgspec.msgpack.Decoder(tuple[Answered, ...]).decode


def shared_file(n_bytes: int) -> int:
    """Make a file in memory that another process may be given; elsewhere than on Linux one on the disk, without a name.

    Only what is written of it takes memory.
    """
    if sys.platform == "linux":
        file = os.memfd_create("ecg", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as made:  # type: ignore[unreachable]  # not on the machine that checks
            file = os.dup(made.fileno())
    os.ftruncate(file, n_bytes)
    return file


def give(file: int, parts: Iterable[bytes]) -> None:
    """Write into a shared file from its beginning on."""
    rest, at = [memoryview(part) for part in parts if part], 0
    while rest:
        n_bytes = os.pwritev(file, rest[:_AT_ONCE], at)  # two gigabytes at most
        rest, at = _behind(rest, n_bytes), at + n_bytes


def _behind(parts: Sequence[memoryview], n_bytes: int) -> list[memoryview]:
    """Return what is left of parts behind so many bytes.

    >>> [bytes(part) for part in _behind([memoryview(b"ab"), memoryview(b"cde"), memoryview(b"f")], 3)]
    [b'de', b'f']
    """
    for number, part in enumerate(parts):
        if n_bytes < len(part):
            return [part[n_bytes:], *parts[number + 1 :]]
        n_bytes -= len(part)
    return []


def content(file: int, n_bytes: int, *, at: int) -> bytes:
    """Read so much of a shared file, from a place on: a copy, that nobody changes any more.

    Raises
    ------
    ValueError
        If the file ends before.
    """
    parts: list[bytes] = []
    while n_bytes:  # one call gives two gigabytes at most
        parts.append(os.pread(file, n_bytes, at))
        n_bytes, at = n_bytes - len(parts[-1]), at + len(parts[-1])
        if not parts[-1]:
            raise ValueError("a shared file is shorter than was said")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _fill(rooms: Sequence[memoryview], file: int, *, at: int) -> None:
    """Read a shared file from a place on, until the rooms are full, as `content` does."""
    rest = list(rooms)
    while rest:
        n_bytes = os.preadv(file, rest[:_AT_ONCE], at)
        if not n_bytes:
            raise ValueError("a shared file is shorter than was said")
        rest, at = _behind(rest, n_bytes), at + n_bytes


class Room:
    """Memory for the samples of a batch, in blocks for which the kernel may take large pages: it clears them in half the time."""

    def __init__(self) -> None:
        self._rest = np.empty(0, dtype=_SAMPLE)

    def take(self, n_samples: int) -> Samples:
        """Return memory for so many samples."""
        if n_samples > self._rest.size:
            self._rest = np.frombuffer(_block(_SAMPLE.itemsize * n_samples), dtype=_SAMPLE)
        taken, self._rest = self._rest[:n_samples], self._rest[n_samples:]
        return taken


def _block(n_bytes: int) -> mmap.mmap:
    block = mmap.mmap(-1, -(-n_bytes // _BLOCK_BYTES) * _BLOCK_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # the kernel has none
            block.madvise(mmap.MADV_HUGEPAGE)
    return block


def put(shared: mmap.mmap, parts: Iterable[bytes | memoryview], *, at: int) -> int:
    """Write into the shared file, where it is mapped, from a place on; returns where that ends.

    Raises
    ------
    MemoryError
        If it has no room for that.
    """
    for part in parts:
        if at + len(part) > len(shared):
            raise MemoryError
        shared[at : at + len(part)] = part
        at += len(part)
    return at


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


def asked(shared: mmap.mmap, n_given: int, n_question: int) -> Iterator[AskedDrop]:
    """Yield the drops in the shared file, where it is mapped; memory of the process holds one at a time."""
    at = 0
    for one in _asked(shared[n_given : n_given + n_question]):
        contents = {}
        for name, size in one.files.items():
            contents[name], at = shared[at : at + size], at + size
        yield AskedDrop(one.name, contents, one.called)


def answering(
    drop: AskedDrop, read: Read, copy: Mapping[str, bytes] | None, *, logged: Iterable[str]
) -> tuple[list[memoryview], list[bytes], Answered]:
    """Return the samples, the files of a copy that are not as they were given, and the answer for a drop."""
    samples = [np.ascontiguousarray(record.samples, dtype=_SAMPLE) for record in read.records]
    records = tuple(
        _Record(n_leads=one.shape[0], n_samples=one.shape[1], **{name: getattr(record, name) for name in _TOLD})
        for one, record in zip(samples, read.records, strict=True)
    )
    rejected = tuple(_Rejected(name=one.name, reason=one.reason, message=one.message, content=one.content) for one in read.rejected)
    given = _given(drop)
    sizes = None if copy is None else {file: AS_GIVEN if data == given.get(file) else len(data) for file, data in copy.items()}
    changed = [copy[file] for file, size in (sizes or {}).items() if copy is not None and size != AS_GIVEN]
    answer = Answered(records=records, rejected=rejected, copy=sizes, logged=tuple(logged))
    return [one.data.cast("B") for one in samples], changed, answer


def refusing(fault: BadInputError, *, logged: Iterable[str]) -> Answered:
    """Return the answer where a file is refused."""
    return Answered(fault=(fault.reason, fault.message), logged=tuple(logged))


def packed(answers: Sequence[Answered]) -> bytes:
    """Return answers as they go into the shared file."""
    return _encode(answers)


def answered(
    file: int, at: int, n_found: int, n_answer: int, drops: Sequence[AskedDrop], *, room: Room
) -> list[tuple[Answered, Read, dict[str, bytes] | None]]:
    """Return the answers in a shared file, of each drop with what was read, and the copy.

    Parameters
    ----------
    at : where what was found begins: the samples of all drops, then the files of their copies, then the answers
    room : memory for the samples

    Raises
    ------
    ValueError
        If it is no answer, or none to these questions.
    """
    end = at + n_found
    if min(n_found, n_answer) < 0 or end + n_answer > os.fstat(file).st_size:
        raise ValueError("more than a shared file has")
    answers = _answered(content(file, n_answer, at=end))
    shapes = [(one.n_leads, one.n_samples) for answer in answers for one in answer.records]
    if min(map(min, shapes), default=0) < 0 or _SAMPLE.itemsize * sum(map(math.prod, shapes)) > n_found:
        raise ValueError("more samples than bytes, or fewer than none")
    samples = [room.take(math.prod(shape)).reshape(shape) for shape in shapes]
    _fill([one.data.cast("B") for one in samples if one.size], file, at=at)
    at += sum(one.nbytes for one in samples)
    left, found = iter(samples), []
    for drop, one in zip(drops, answers, strict=True):
        copy, at = _copy(file, at, end, one.copy, drop)
        found.append((one, _read(one, left), copy))
    if at != end:
        raise ValueError("more than the answers report")
    return found


def _read(found: Answered, samples: Iterator[Samples]) -> Read:
    """Return what was read of a drop, whose samples come next."""
    records = []
    for one in found.records:
        own = next(samples)
        own.flags.writeable = False
        records.append(Record(samples=own, **{name: getattr(one, name) for name in _TOLD}))
    rejected = tuple(Rejected(name=one.name, reason=one.reason, message=one.message, content=one.content) for one in found.rejected)
    return Read(records=tuple(records), rejected=rejected)


def _copy(file: int, at: int, end: int, sizes: Mapping[str, int] | None, drop: AskedDrop) -> tuple[dict[str, bytes] | None, int]:
    """Return the copy of a drop, which lies in the shared file before ``end``, and where the next one begins."""
    if sizes is None:
        return None, at
    given = _given(drop)
    if drop.called is None or set(sizes) != set(given):
        raise ValueError("a copy that was not asked for")
    copy = {}
    for name, size in sizes.items():
        if size == AS_GIVEN:
            copy[name] = given[name]
        elif 0 <= size <= end - at:
            copy[name], at = content(file, size, at=at), at + size
        else:
            raise ValueError("less than the answers report")
    return copy, at


def _given(drop: AskedDrop) -> dict[str, bytes]:
    """Return the files of a drop by the names that they have in its copy."""
    return {called: drop.contents[file] for file, called in (drop.called or {}).items()}
