"""Here: which recordings lie in files and folders of a disk, sorted as the intake sorts its inbox. Not here: labelled collections."""

import posixpath
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from ecg_tasks.archive import keys
from ecg_tasks.archive.object_store import ObjectInfo
from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.offline import behind_walls
from ecg_tasks.offline.archive_file import is_archive, read_archive
from ecg_tasks.offline.classify_file import read_path
from ecg_tasks.pipeline.intake.drops import PASSED_OVER, sort_members
from ecg_tasks.pipeline.intake.headers import Said, said_by
from ecg_tasks.readers import Read, Rejected
from ecg_tasks.readers.file_names import Kind, is_csv, is_matlab, kind_of, recording_name
from ecg_tasks.readers.wfdb.header import MAX_HEADER_BYTES
from ecg_tasks.settings import Settings

Counted = Callable[[int], None]
"""Called with how many recordings and tables more there are than were known."""
Opens = Callable[[Counted], Iterator[Read]]
"""Reads one file, or the files of one recording."""


def read_all(paths: Sequence[Path], *, counted: Counted) -> Iterator[Read]:
    """Read the recordings of files and folders, one file after the other; what cannot be read is rejected, and the next one follows.

    A recording of a folder is called as in the inbox after `put`: by its path from the folder on. What lies in a folder and holds no
    recording by its name is passed over; a file that is named is read whatever it is called.

    Raises
    ------
    BadInputError
        If there is one file only, and it cannot be read as a whole.
    """
    found = [one for path in paths for one in (_in_folder(path) if path.is_dir() else [(path.name, partial(_one_file, path, ""))])]
    counted(len(found))
    alone = len(paths) == 1 and not paths[0].is_dir()
    for name, opens in found:
        try:
            yield from opens(lambda n_inside: counted(n_inside - 1))
        except BadInputError as fault:
            if alone:
                raise
            yield _rejected(name, fault.reason, fault.message)
        except OSError as error:
            if alone:
                raise BadInputError(Reason.UNREADABLE, f"{name} cannot be opened: {error.strerror}") from error
            yield _rejected(name, Reason.UNREADABLE, f"{name} cannot be opened: {error.strerror}")


def _one_file(path: Path, name: str, counted: Counted) -> Iterator[Read]:
    """Read a file; the members of an archive are counted when it is opened."""
    if is_archive(path):
        yield from read_archive(path, name=name, counted=counted)
    else:
        yield read_path(path, name=name)


def _in_folder(folder: Path) -> list[tuple[str, Opens]]:
    """Return what lies in a folder, by name, and how each is read."""
    folder = folder.resolve()
    files = {f"{keys.INBOX}{file.relative_to(folder.parent).as_posix()}": file for file in sorted(folder.rglob("*")) if file.is_file()}
    at = datetime.now(UTC)
    listed = [ObjectInfo(key=key, size=file.stat().st_size, etag="", modified=at) for key, file in files.items()]
    said = {key: answer for key, file in files.items() if (answer := _says(key, file)) is not None}
    found: list[tuple[str, Opens]] = []
    for drop in sort_members(listed, said, archive=folder.name, max_bytes=Settings.max_object_bytes):
        if drop.fate == PASSED_OVER:
            continue
        if drop.reason:
            refused = _rejected(recording_name(drop.name), Reason(drop.reason), drop.message)
            found.append((recording_name(drop.name), partial(_again, refused)))
        elif len(drop.files) == 1 and is_archive(files[drop.files[0].key]):
            found.append((drop.name, partial(_one_file, files[drop.files[0].key], drop.name)))
        else:
            of_drop = {posixpath.basename(file.key): files[file.key] for file in drop.files}
            found.append((recording_name(drop.name), partial(_drop, drop.name, of_drop)))
    return sorted(found, key=lambda one: one[0])


def _says(key: str, file: Path) -> Said | None:
    """Return what a file says of itself, where it can: which files a header names, and which an array may need."""
    kind = kind_of(key)
    if not (kind in {Kind.HEADER, Kind.ARRAY} or is_matlab(key) or (is_csv(key) and kind is Kind.OTHER)):
        return None
    try:
        with file.open("rb") as opened:
            head = opened.read(MAX_HEADER_BYTES + 1)
    except OSError:  # which is reported when its turn comes
        return None
    return said_by(key, "", head) if head else None


def _drop(name: str, files: dict[str, Path], _counted: Counted) -> Iterator[Read]:
    yield behind_walls.read(name, {called: path.read_bytes() for called, path in files.items()})


def _again(refused: Read, _counted: Counted) -> Iterator[Read]:
    yield refused


def _rejected(name: str, reason: Reason, message: str) -> Read:
    return Read(records=(), rejected=(Rejected(name=name, reason=reason, message=message),))
