"""Here: the members of a ZIP: its directory, and one pass over its bytes. Not here: what they hold."""

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers.packed.base import Limits, PackedMember, Packing, Source, check_totals, plain_path
from ecg_tasks.readers.packed.contents import LOCAL_HEADER, local_length, unzipped
from ecg_tasks.readers.packed.forward import Forward

_TAIL_BYTES = 1024 * 1024
"""Read from the end at once: of most archives the whole directory."""
_BYTES_AN_ENTRY = 320
"""Of the directory, for each member that is allowed."""
_END = struct.Struct("<4s4H2LH")
_END_MAGIC = b"PK\5\6"
_IN_ZIP64 = 0xFFFF
_MOST_OVERHEAD = 2 * 65_535
"""Name and extra field of a local header."""
_BEST_RATIO = 1032
"""Deflate makes at most so many bytes of one."""
_WORST_RATIO = 2
_BLOCK = 4096
"""So many packed bytes beyond twice the content are no Deflate of any program."""
_ENCRYPTED = 0x1
_METHODS = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 20: "Zstandard", 93: "Zstandard", 95: "XZ", 98: "PPMd", 99: "AES encryption"}


def walk_zip(
    source: Source, packing: Packing, *, name: str, limits: Limits, wanted: Callable[[str], int]
) -> Iterator[tuple[PackedMember, bytes]]:
    """Yield every member with the start of its content, in the order in which they lie; see ``packed.walk``."""
    del packing
    stream = Forward(source.pieces(), name=name, most=LOCAL_HEADER.size)
    for member in zip_directory(source, name=name, limits=limits):
        n_asked = 0 if member.fault else wanted(member.path)
        if not n_asked:
            yield member, b""
            continue
        stream.seek(member.at)
        if member.size <= n_asked:
            try:
                yield member, unzipped(stream.take(member.end - member.at), member)
            except BadInputError as fault:
                yield replace(member, fault=fault), b""
        else:
            yield member, _start(stream, member, n_asked)
    for _ in stream.rest():
        pass


def _start(stream: Forward, member: PackedMember, n_bytes: int) -> bytes:
    """Return the start of a member's content; what is wrong with it shows when all of it is unpacked."""
    try:
        stream.seek(member.at + LOCAL_HEADER.size + local_length(stream.take(LOCAL_HEADER.size), member))
    except BadInputError:
        return b""
    packed = stream.take(min(_WORST_RATIO * n_bytes + _BLOCK, max(member.end - stream.tell(), 0)))
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, n_bytes) if member.deflated else packed[:n_bytes]
    except zlib.error:
        return b""


class _At(io.RawIOBase):
    """A source as a file for ``zipfile``, which reads its end and its directory; no more than ``most`` bytes at once."""

    def __init__(self, source: Source, *, name: str, most: int) -> None:
        self._source, self._name, self._most = source, name, most
        self._at = 0
        self._kept_at = max(source.size - _TAIL_BYTES, 0)
        self._kept = source.read_at(self._kept_at, _TAIL_BYTES)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, at: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence]
        if base + at < 0:
            raise OSError("before its start")  # as of a file on a disk, which zipfile expects
        self._at = base + at
        return self._at

    def read(self, n_bytes: int | None = -1, /) -> bytes:
        left = max(self._source.size - self._at, 0)
        wanted = left if n_bytes is None or n_bytes < 0 else min(n_bytes, left)
        if wanted > self._most:
            sentence = f"{self._name} has a directory of {wanted:,} bytes; the limit is {self._most:,}. Pack it into several archives"
            raise BadInputError(Reason.TOO_LARGE, sentence)
        at = self._at - self._kept_at
        data = self._kept[at : at + wanted] if at >= 0 else self._source.read_at(self._at, wanted)
        self._at += len(data)
        return data


def zip_directory(source: Source, *, name: str, limits: Limits) -> list[PackedMember]:
    """Return the members in the order in which they lie, by one request to the end of a ZIP, or a few where that is long.

    Raises
    ------
    BadInputError
        If the archive as a whole cannot be trusted.
    """
    file = _At(source, name=name, most=max(limits.n_members * _BYTES_AN_ENTRY, _TAIL_BYTES))
    try:
        with zipfile.ZipFile(file) as archive:
            infos, end, extra = archive.infolist(), archive.start_dir, archive.comment
    except BadInputError:
        raise
    except (zipfile.BadZipFile, ValueError, OverflowError, NotImplementedError, struct.error, IndexError, EOFError) as error:
        if "not a zip file" in str(error):
            sentence = f"{name} has {source.size:,} bytes and no ZIP directory at its end: it was cut off. Upload the whole file again"
            raise BadInputError(Reason.INCOMPLETE, sentence) from None
        raise BadInputError(Reason.UNREADABLE, f"{name} is a damaged ZIP archive: {error}") from None
    said = _number_said(file, source.size, len(extra))
    if said not in {_IN_ZIP64, len(infos) % (_IN_ZIP64 + 1)}:
        sentence = (
            f"{name}: the directory of the ZIP archive should have {said:,} members, but has {len(infos):,}. Upload the whole file again"
        )
        raise BadInputError(Reason.INCOMPLETE, sentence)
    check_totals(limits, name=name, n_members=len(infos), n_bytes=sum(info.file_size for info in infos))
    infos.sort(key=lambda info: info.header_offset)
    if infos and infos[0].header_offset < 0:
        sentence = (
            f"{name} is a damaged ZIP archive: by its directory, {plain_path(infos[0].orig_filename)} is before the start of the archive"
        )
        raise BadInputError(Reason.UNREADABLE, f"{sentence}; pack it again")
    ends = [*(info.header_offset for info in infos), end][1:]
    members = [_member(info, before) for info, before in zip(infos, ends, strict=True)]
    for one, other in pairwise([*members, None]):
        if one is not None and one.at + LOCAL_HEADER.size + one.packed > (other.at if other else end):
            sentence = f"{name} is a damaged ZIP archive: {one.path} overlaps with what follows it; pack it again"
            raise BadInputError(Reason.UNREADABLE, sentence)
    return members


def _number_said(file: _At, size: int, n_comment: int) -> int:
    """Return the number of members that the end of a directory tells."""
    file.seek(max(size - _END.size - n_comment, 0))
    found = file.read(_END.size)
    whole = len(found) == _END.size and found.startswith(_END_MAGIC)
    return int(_END.unpack(found)[4]) if whole else _IN_ZIP64


def _member(info: zipfile.ZipInfo, before: int) -> PackedMember:
    path = plain_path(info.orig_filename)
    end = min(before, info.header_offset + LOCAL_HEADER.size + _MOST_OVERHEAD + info.compress_size)
    deflated = info.compress_type == zipfile.ZIP_DEFLATED
    packed, size = info.compress_size, info.file_size
    fault: BadInputError | None = None
    if stat.S_ISLNK(info.external_attr >> 16):
        fault = BadInputError(Reason.UNSAFE_PATH, f"{path} is a symbolic link; pack the file itself")
    elif info.flag_bits & _ENCRYPTED:
        fault = BadInputError(Reason.UNREADABLE, f"{path} is encrypted; pack it without a password")
    elif info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        method = _METHODS.get(info.compress_type, f"method {info.compress_type}")
        fault = BadInputError(Reason.UNREADABLE, f"{path} is packed with {method}; pack it with Deflate, or store it")
    elif not (packed // _WORST_RATIO - _BLOCK <= size <= _BEST_RATIO * (packed + 1) if deflated else size == packed):
        sentence = f"{path} has {packed:,} packed bytes, too few for its {size:,} bytes; pack it again"
        fault = BadInputError(Reason.UNREADABLE, sentence)
    return PackedMember(path=path, size=size, at=info.header_offset, end=end, packed=packed, crc=info.CRC, deflated=deflated, fault=fault)
