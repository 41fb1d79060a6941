"""Here: the bytes of single members of an archive, checked. Not here: which members there are (``zipped``, ``tarred``)."""

import struct
import zlib
from bisect import bisect_right
from collections.abc import Sequence
from threading import Lock
from typing import BinaryIO, NamedTuple

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers.packed.base import PackedMember, Packing, plain_path

LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_LOCAL_MAGIC = b"PK\3\4"
_UTF8 = 0x800


class Extent(NamedTuple):
    """A part of an archive, from ``at`` to before ``end``, that stands at ``kept`` in a file."""

    at: int
    end: int
    kept: int


class Contents:
    """Members by their place, out of a file that has the parts of the archive in which they lie; several threads may read."""

    def __init__(self, file: BinaryIO, packing: Packing, extents: Sequence[Extent]) -> None:
        self._file, self._packing = file, packing
        self._extents = sorted(extents)
        self._turn = Lock()

    def get(self, member: PackedMember) -> bytes:
        """Return the content of a member.

        Raises
        ------
        BadInputError
            If it has a fault, is not what the directory says of it, or is cut off: never less than all of it is returned.
        """
        if member.fault is not None:
            raise member.fault
        if self._packing is not Packing.ZIP:
            data = self._read(member.at, member.end)
            if len(data) != member.size:
                sentence = f"{member.path}: {len(data):,} of {member.size:,} bytes are there; upload the archive again"
                raise BadInputError(Reason.INCOMPLETE, sentence)
            return data
        return unzipped(self._read(member.at, member.end), member)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _read(self, at: int, end: int) -> bytes:
        place = bisect_right(self._extents, at, key=lambda extent: extent.at) - 1
        if place < 0 or self._extents[place].end < end:
            raise AssertionError(f"bytes {at} to {end} were not fetched")
        with self._turn:
            self._file.seek(self._extents[place].kept + at - self._extents[place].at)
            return self._file.read(end - at)


def local_length(header: bytes, member: PackedMember) -> int:
    """Return the length of name and extra field behind a member's local header."""
    if len(header) < LOCAL_HEADER.size or not header.startswith(_LOCAL_MAGIC):
        raise BadInputError(Reason.UNREADABLE, f"{member.path} is not where the directory of the ZIP archive says; pack it again")
    _, _, _, _, _, _, _, _, _, n_name, n_extra = LOCAL_HEADER.unpack(header)
    return int(n_name + n_extra)


def unzipped(extent: bytes, member: PackedMember) -> bytes:
    """Return a member's content out of its part of a ZIP, its local header first.

    Raises
    ------
    BadInputError
        ``incomplete`` (with both counts), ``checksum_mismatch``, or ``unreadable``.
    """
    header = extent[: LOCAL_HEADER.size]
    start = LOCAL_HEADER.size + local_length(header, member)
    _, _, flags, _, _, _, _, _, _, n_name, _ = LOCAL_HEADER.unpack(header)
    name = extent[LOCAL_HEADER.size : LOCAL_HEADER.size + n_name].decode("utf-8" if flags & _UTF8 else "cp437", "replace")
    if plain_path(name) != member.path:
        raise BadInputError(Reason.UNREADABLE, f"{member.path} has another name before its content than in the directory; pack it again")
    packed = extent[start : start + member.packed]
    if len(packed) < member.packed:
        sentence = f"{member.path}: {len(packed):,} of {member.packed:,} packed bytes are there; upload the archive again"
        raise BadInputError(Reason.INCOMPLETE, sentence)
    data = _inflated(packed, member) if member.deflated else packed
    if len(data) < member.size:
        sentence = f"{member.path}: {len(data):,} of {member.size:,} bytes are there; upload the archive again"
        raise BadInputError(Reason.INCOMPLETE, sentence)
    if len(data) > member.size:
        sentence = f"{member.path} has more than the {member.size:,} bytes that the directory of the ZIP archive gives; pack it again"
        raise BadInputError(Reason.UNREADABLE, sentence)
    if zlib.crc32(data) != member.crc:
        raise BadInputError(Reason.CHECKSUM_MISMATCH, f"{member.path}: its bytes do not match its checksum; upload the archive again")
    return data


def _inflated(packed: bytes, member: PackedMember) -> bytes:
    """Return what Deflate gives, a byte more than there should be at most."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, member.size + 1)
    except zlib.error as error:
        raise BadInputError(Reason.UNREADABLE, f"{member.path} is damaged ({error}); upload the archive again") from None
