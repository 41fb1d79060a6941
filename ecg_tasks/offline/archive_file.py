"""Here: an archive on a disk: its drops read one after the other, or unpacked into a folder. Not here: what is in it (``opening``)."""

import posixpath
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.offline import behind_walls
from ecg_tasks.pipeline.intake.drops import PASSED_OVER
from ecg_tasks.pipeline.intake.inbox import checked_path
from ecg_tasks.pipeline.intake.opening import ArchiveBounds, Opened, open_archive
from ecg_tasks.readers import Read, Rejected, packed
from ecg_tasks.readers.file_names import recording_name
from ecg_tasks.readers.packed import Contents, Extent, Packing
from ecg_tasks.readers.packed.recognising import HEAD_BYTES
from ecg_tasks.settings import Settings

_PIECE_BYTES = 1024 * 1024


class _OnDisk:
    """A file as the source of an archive."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.size = path.stat().st_size

    def pieces(self) -> Iterator[bytes]:
        """Return all of its bytes, in pieces."""
        with self._path.open("rb") as file:
            yield from iter(lambda: file.read(_PIECE_BYTES), b"")

    def read_at(self, at: int, n_bytes: int) -> bytes:
        """Return a part of it; fewer bytes at its end."""
        with self._path.open("rb") as file:
            file.seek(at)
            return file.read(n_bytes)


def is_archive(path: Path) -> bool:
    """Tell whether a file is an archive, by its name and its content, as in the inbox."""
    return path.is_file() and packed.is_called_an_archive(path.name) and _packing(path) is not None


def read_archive(path: Path, *, name: str = "", counted: Callable[[int], None] = lambda _n: None) -> Iterator[Read]:
    """Read an archive's drops one after the other, as the intake takes them over; memory holds one. One that is refused has no record.

    Parameters
    ----------
    name : below the inbox; by default that of the file
    counted : called once before the first, with how many there are

    Raises
    ------
    BadInputError
        If the archive as a whole is refused.
    """
    opened = _open(path, name or path.name)
    drops = [drop for drop in opened.drops if drop.fate != PASSED_OVER]
    counted(len(drops))
    with _contents(path, opened) as contents:
        for drop in drops:
            called = recording_name(drop.name)
            if drop.reason:
                yield Read(records=(), rejected=(Rejected(name=called, reason=Reason(drop.reason), message=drop.message),))
                continue
            try:
                files = {posixpath.basename(file.member): contents.get(opened.members[file.member]) for file in drop.files}
                yield behind_walls.read(drop.name, files)
            except BadInputError as fault:
                yield Read(records=(), rejected=(Rejected(name=called, reason=fault.reason, message=fault.message),))


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Unpack an archive into a folder that goes at the end; what cannot be taken out of it, or has no plain path, is not there.

    A single folder that holds everything is given itself.
    """
    opened = _open(path, path.name)
    with tempfile.TemporaryDirectory(prefix="ecg-archive-") as found, _contents(path, opened) as contents:
        root = Path(found)
        for member in opened.members.values():
            if member.path.endswith("/"):
                continue
            try:
                target = root / checked_path(member.path)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(contents.get(member))
            except (BadInputError, OSError):  # a file where another member needs a folder
                continue
        inside = list(root.iterdir())
        yield inside[0] if len(inside) == 1 and inside[0].is_dir() else root


def _packing(path: Path) -> Packing | None:
    return packed.packing_of(_OnDisk(path).read_at(0, HEAD_BYTES))


def _open(path: Path, name: str) -> Opened:
    packing = _packing(path)
    if packing is None:
        raise BadInputError(Reason.UNKNOWN_FORMAT, f"{path.name} is not a ZIP, tar or tar.gz archive")
    modified = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return open_archive(_OnDisk(path), packing, name=name, etag="", modified=modified, settings=ArchiveBounds.of(Settings))


@contextmanager
def _contents(path: Path, opened: Opened) -> Iterator[Contents]:
    """Open the file, or what it holds where it is packed with gzip, on the disk."""
    if opened.packing is not Packing.TAR_GZ:
        with path.open("rb") as file:
            yield Contents(file, opened.packing, [Extent(0, path.stat().st_size, 0)])
        return
    with tempfile.TemporaryFile() as plain:
        for piece in packed.gunzipped(_OnDisk(path).pieces(), name=path.name):
            plain.write(piece)
        yield Contents(cast("BinaryIO", plain), opened.packing, [Extent(0, plain.tell(), 0)])
