"""Here: the members of a tar, plain or inside gzip, in one pass. Not here: what they hold."""

import tarfile
import zlib
from collections.abc import Callable, Iterator

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers.packed.base import Limits, PackedMember, Packing, Source, check_totals, plain_path
from ecg_tasks.readers.packed.forward import Forward

MAX_HEADER_BYTES = 1024 * 1024
"""Of one extended header, which holds a long name."""
_PIECE_BYTES = 64 * 1024
_MOST_UNPACKED = 1024 * 1024
_FREE_GZIP_MEMBERS = 10_000
_BYTES_OF_A_GZIP_MEMBER = 512
"""Beyond the free ones, gzip members unpack to so many bytes on average: empty ones would only cost time."""
_KINDS = {
    tarfile.LNKTYPE: "a link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}


def walk_tar(
    source: Source, packing: Packing, *, name: str, limits: Limits, wanted: Callable[[str], int]
) -> Iterator[tuple[PackedMember, bytes]]:
    """Yield every member with the start of its content; see ``packed.walk``."""
    pieces = source.pieces()
    stream = Forward(gunzipped(pieces, name=name) if packing is Packing.TAR_GZ else pieces, name=name, most=MAX_HEADER_BYTES)
    n_members = n_bytes = 0
    for info in _headers(stream, name=name):
        n_members += 1
        n_bytes += max(info.size, 0)
        check_totals(limits, name=name, n_members=n_members, n_bytes=max(n_bytes, stream.tell()))
        member = _member(info, stream.tell(), archive=name)
        n_asked = 0 if member.fault else min(wanted(member.path), member.size)
        head = stream.take(n_asked)
        if len(head) < n_asked:
            raise _cut_off(name, member, stream.tell())
        yield member, head
    for piece in stream.rest():
        if piece.strip(b"\0"):
            raise BadInputError(Reason.UNREADABLE, f"{name} continues after the end of the tar archive; pack it again as one archive")
        check_totals(limits, name=name, n_members=n_members, n_bytes=stream.tell())


def gunzipped(pieces: Iterator[bytes], *, name: str) -> Iterator[bytes]:
    """Unpack a gzip stream piece by piece.

    Raises
    ------
    BadInputError
        ``incomplete`` where it is cut off, ``checksum_mismatch`` where its sum is wrong, ``unreadable`` where it is damaged otherwise.
    """
    n_members = n_bytes = n_packed = 0
    unpacker = None
    for piece in (whole[at : at + _PIECE_BYTES] for whole in pieces for at in range(0, len(whole), _PIECE_BYTES)):
        n_packed += len(piece)
        left = piece
        while left:
            if unpacker is None:
                left = left.lstrip(b"\0") if n_members else left  # padding between members
                if not left:
                    break
                unpacker = zlib.decompressobj(31)
                n_members += 1
                if n_members > _FREE_GZIP_MEMBERS + n_bytes // _BYTES_OF_A_GZIP_MEMBER:
                    raise BadInputError(Reason.TOO_LARGE, f"{name} has {n_members:,} gzip members with almost no content; pack it again")
            try:
                data = unpacker.decompress(left, _MOST_UNPACKED)
                while data and not unpacker.eof and not unpacker.unconsumed_tail:
                    n_bytes += len(data)
                    yield data
                    data = unpacker.decompress(b"", _MOST_UNPACKED)
            except zlib.error as error:
                is_sum = "check" in str(error)
                reason = Reason.CHECKSUM_MISMATCH if is_sum and "data" in str(error) else Reason.UNREADABLE
                sentence = f"{name}: the gzip stream is damaged in its first {n_packed:,} bytes ({error}); pack it again"
                raise BadInputError(reason, sentence) from None
            if data:
                n_bytes += len(data)
                yield data
            left = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
            unpacker = None if unpacker.eof else unpacker
    if unpacker is not None:
        sentence = f"{name}: it was cut off after {n_packed:,} bytes ({n_bytes:,} unpacked). Upload the whole file again"
        raise BadInputError(Reason.INCOMPLETE, sentence)


def _headers(stream: Forward, *, name: str) -> Iterator[tarfile.TarInfo]:
    """Yield the header of every member while the stream stands at its content."""
    member: PackedMember | None = None
    try:
        tar = tarfile.TarFile(fileobj=stream, mode="r")  # only reads, and seeks forward
        while (info := tar.next()) is not None:
            tar.members.clear()  # type: ignore[attr-defined]  # it would keep a million of them
            member = _member(info, stream.tell(), archive=name)
            yield info
    except BadInputError:
        raise
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        if member is not None and stream.tell() < member.at + member.size:
            raise _cut_off(name, member, stream.tell()) from None
        if not stream.last or len(stream.last) % tarfile.BLOCKSIZE:
            raise _no_end(name, stream.tell()) from None
        why = "too many headers for one member" if isinstance(error, RecursionError) else str(error)
        raise BadInputError(Reason.UNREADABLE, f"{name} is damaged at byte {stream.tell()}: {why}") from None
    if len(stream.last) < tarfile.BLOCKSIZE:
        raise _no_end(name, stream.tell())
    if stream.last.strip(b"\0"):
        raise BadInputError(Reason.UNREADABLE, f"{name} is damaged: at byte {stream.tell() - tarfile.BLOCKSIZE} there is no header")


def _no_end(name: str, at: int) -> BadInputError:
    sentence = f"{name} ends at byte {at:,} without an end mark: it was cut off. Upload the whole file again"
    return BadInputError(Reason.INCOMPLETE, sentence)


def _cut_off(name: str, member: PackedMember, at: int) -> BadInputError:
    sentence = (
        f"{name} is cut off: it has {max(at - member.at, 0):,} of the {member.size:,} bytes of {member.path}. Upload the whole file again"
    )
    return BadInputError(Reason.INCOMPLETE, sentence)


def _member(info: tarfile.TarInfo, at: int, *, archive: str) -> PackedMember:
    if info.size < 0:
        raise BadInputError(Reason.UNREADABLE, f"{archive} is damaged: by its header, a member has {info.size:,} bytes")
    path = plain_path(info.name)
    if info.isdir():
        return PackedMember(path=f"{path.rstrip('/')}/", size=0)
    kind = _KINDS.get(tarfile.GNUTYPE_SPARSE if info.issparse() else info.type)
    if kind is None and not info.isreg():
        kind = "of a kind that is not known"
    if kind is not None:
        reason = Reason.UNREADABLE if "file" in kind or "known" in kind else Reason.UNSAFE_PATH
        return PackedMember(path=path, size=0, fault=BadInputError(reason, f"{path} is {kind}; pack the file itself"))
    return PackedMember(path=path, size=info.size, at=at, end=at + info.size)
