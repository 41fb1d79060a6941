"""Here: the fuzz target of archives: any bytes opened as a ZIP, a tar or a tar.gz, and held against Python's own readers.

Not here: the other targets (``targets``), or what a member holds.
"""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.pipeline.intake.opening import ArchiveBounds, Opened, open_archive
from ecg_tasks.readers import packed
from ecg_tasks.readers.packed import Contents, Extent, Packing
from tests.fuzz.corpus import cases

BOUNDS = ArchiveBounds(n_bytes=1_000_000, n_members=200, member_bytes=200_000)
WORDS = (
    *(b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\7\x08", b"\xff\xff\xff\xff", b"\0\0\0\x80", b"\x08\0", b"\1\0"),
    *(b"ustar\x0000", b"ustar  \0", b"././@LongLink", b"../", b"/", b"GNU.sparse.map=", b"30 path=", b"17 size=999999\n", b"00000000000\0"),
    *(b"0", b"1", b"2", b"5", b"L", b"x", b"g", b"S", bytes(512)),
)
_PLAIN, _RIGHT_SUMS, _IN_GZIP, _CUT_GZIP = b"0", b"1", b"2", b"3"
_CHECKSUM = slice(148, 156)
_PIECE_BYTES = 700


class InMemory:
    """An archive's bytes as a source, in pieces that end within blocks."""

    def __init__(self, data: bytes) -> None:
        self._data, self.size = data, len(data)

    def pieces(self) -> Iterator[bytes]:
        """Return all of its bytes."""
        return (self._data[at : at + _PIECE_BYTES] for at in range(0, self.size, _PIECE_BYTES))

    def read_at(self, at: int, n_bytes: int) -> bytes:
        """Return a part of it."""
        return self._data[at : at + n_bytes]


def check(data: bytes) -> list[str]:
    """Open an archive and take out every member: each is whole, each stands in one drop, and zipfile and tarfile see the same bytes."""
    wrapped = _wrapped(data)
    source = InMemory(wrapped)
    packing = packed.packing_of(wrapped[:65_536])
    if packing is None:
        return [Reason.UNKNOWN_FORMAT.value]
    opened = open_archive(source, packing, name="w/x.zip", etag="e", modified=datetime(2026, 1, 2, tzinfo=UTC), settings=BOUNDS)
    in_drops = [file.member for drop in opened.drops for file in drop.files]
    assert set(in_drops) <= set(opened.members)
    assert len(opened.members) <= BOUNDS.n_members
    plain = b"".join(packed.gunzipped(source.pieces(), name="x")) if packing is Packing.TAR_GZ else wrapped
    taken, codes = _members(opened, plain)
    assert all(taken.get(path, table) == table for path, table in opened.tables.items())
    _held_against_python(taken, packing, plain)
    assert {drop.reason for drop in opened.drops} <= {"", *Reason}
    assert all(0 < len(drop.message) <= 3000 for drop in opened.drops if drop.reason)
    return codes + [drop.reason for drop in opened.drops if drop.reason]


def seeds() -> list[bytes]:
    """Small archives of every format, with their way of wrapping before them."""
    files = next(case.files for case in cases() if any(name.endswith(".hea") for name in case.files) and len(case.files) > 1)
    files = {f"w/{name}": content[:300] for name, content in files.items()} | {"w/labels.csv": b"record,label\nr,normal\n", "w/e.txt": b""}
    zips = [_zip(files, method) for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)]
    tars = [_tar(files | {"n" * 120: b"x"}, form) for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT)]
    few = _tar(dict(list(files.items())[:1]), tarfile.PAX_FORMAT)[:2560]
    return [_PLAIN + one for one in zips] + [how + one for one in (*tars, few) for how in (_RIGHT_SUMS, _IN_GZIP, _CUT_GZIP)]


def _wrapped(data: bytes) -> bytes:
    """Return what follows the first byte: as it is, with a tar's header sums made right, or so inside gzip, whole or cut off."""
    how, rest = data[:1], data[1:]
    if how == _PLAIN:
        return rest
    rest = _with_right_sums(rest)
    if how == _IN_GZIP:
        return gzip.compress(rest, 1, mtime=0)
    return gzip.compress(rest, 1, mtime=0)[: -1 - len(rest) % 9] if how == _CUT_GZIP else rest


def _with_right_sums(data: bytes) -> bytes:
    """Make the checksum right of every block that has the mark of a tar's header, so that what else is wrong is met."""
    blocks = bytearray(data)
    for at in range(0, len(blocks) - tarfile.BLOCKSIZE + 1, tarfile.BLOCKSIZE):
        block = blocks[at : at + tarfile.BLOCKSIZE]
        if block[257:262] == b"ustar":
            block[_CHECKSUM] = b" " * 8
            block[_CHECKSUM] = b"%06o\0 " % sum(block)
            blocks[at : at + tarfile.BLOCKSIZE] = block
    return bytes(blocks)


def _members(opened: Opened, plain: bytes) -> tuple[dict[str, bytes], list[str]]:
    contents = Contents(io.BytesIO(plain), opened.packing, [Extent(0, len(plain), 0)])
    taken: dict[str, bytes] = {}
    codes: list[str] = []
    for path, member in opened.members.items():
        path.encode()
        if path.endswith("/"):
            continue
        try:
            taken[path] = contents.get(member)
        except BadInputError as fault:
            codes.append(fault.reason.value)
        else:
            assert len(taken[path]) == member.size <= BOUNDS.n_bytes
    return taken, codes


def _held_against_python(taken: dict[str, bytes], packing: Packing, plain: bytes) -> None:
    """Compare with what Python's reader takes out by the same names, where it can: it forgives more than is forgiven here."""
    theirs: dict[str, bytes] = {}
    try:
        if packing is Packing.ZIP:
            with zipfile.ZipFile(io.BytesIO(plain)) as archive:
                theirs = {info.orig_filename: archive.read(info) for info in archive.infolist() if info.orig_filename in taken}
        else:
            with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as tar:
                theirs = {info.name: tar.extractfile(info).read() for info in tar if info.isreg() and info.name in taken}  # type: ignore[union-attr]
    except (zipfile.BadZipFile, tarfile.TarError, ValueError, OverflowError, NotImplementedError, RuntimeError, EOFError, OSError):
        return
    for path, content in theirs.items():
        assert content == taken[path], path


def _zip(files: dict[str, bytes], method: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return out.getvalue()


def _tar(files: dict[str, bytes], form: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, content in files.items():
            if len(name) > 99 and form == tarfile.USTAR_FORMAT:
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()
