"""Here: dropping a collection into the inbox as a few ZIP archives, several at once. Not here: which files (``offline``, ``cli``).

An archive's bytes follow from the files in it alone, and its name from its bytes. So a drop that broke off is begun again, and what still
is in the inbox is packed once more and not sent; nor is what was taken over whole. What something was refused of is sent again.
"""

import hashlib
import os
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from ecg_tasks.actions.inbox import FILES_AT_ONCE, PUT_AGAIN_S, File, goes_first, put_in_order, read_file
from ecg_tasks.archive import keys
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.parallel import bounded_parallel_map
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.archive.taken_archives import taken_before
from ecg_tasks.archive.workspace import open_store
from ecg_tasks.pipeline.intake import filling
from ecg_tasks.pipeline.intake.inbox import checked_path
from ecg_tasks.readers.file_names import header_of_segments, is_label_table
from ecg_tasks.settings import Settings

BYTES_AN_ARCHIVE = 64 * 1024 * 1024
"""Of its files, before they are packed: some seconds of packing, and one or a few tasks of an intake."""
FILES_AN_ARCHIVE = 8192
_SPOOLED_BYTES = 8 * 1024 * 1024
_LEVEL = 1
"""Of Deflate: samples shrink by a third with any level, and with this one at the speed of a disk."""
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The time that a ZIP's members have at least."""
_PLAIN_FILE = 0o644 << 16


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What became of one archive; ``is_new`` tells whether it was sent now, ``before`` which run has taken it over already."""

    key: str
    n_files: int
    n_bytes: int
    is_new: bool
    before: str = ""


def put_packed(
    files: Sequence[File], *, progress: Callable[[int, Sent | None], None] | None = None, at_once: int | None = None
) -> list[Sent]:
    """Put files into the inbox of the environment's bucket, packed; returns the archives.

    Each lies in the inbox as a part of the folder that its files are in, so recordings are called as if they had been put one by one. Label
    tables come first and by themselves, for they speak of recordings in any archive, and again where putting takes longer than they wait.
    So do files that are in no folder. Files of a recording stay in one archive, and a sidecar goes into each that has files of its folder.

    Parameters
    ----------
    files : path below the inbox, and bytes or where they lie
    progress : called with the number of files that are there, and the archive that came last; None after the loose files
    at_once : archives that are packed and sent side by side; None for one a core
    """
    settings = Settings.from_environment()
    store = open_store(settings)
    loose = [file for file in files if is_label_table(file[0]) or "/" not in file[0]]
    n_files, put_at = put_in_order(loose), time.monotonic()
    if progress is not None:
        progress(n_files, None)
    sent: list[Sent] = []
    tables = [file for file in loose if is_label_table(file[0])]
    packing = bounded_parallel_map(
        lambda group: _send(store, settings, group[0], group[1], n_files=group[2]), _groups(files), at_once=at_once or os.cpu_count() or 1
    )
    for one in packing:
        sent.append(one)
        n_files += one.n_files
        if progress is not None:
            progress(n_files, one)
        if time.monotonic() - put_at > PUT_AGAIN_S:
            put_in_order(tables)
            put_at = time.monotonic()
    return sent


def in_its_own_folder(files: Sequence[File]) -> list[File]:
    """Return a collection's files in a folder called after what they are, so that no other one takes their names in the inbox.

    Two imports of one kind would have a ``labels.csv`` of one name, of which the second replaced the first, and recordings of one name, of
    which a table could mean either. The folder's name has a digest of the files' names and lengths, and of their bytes where they are few
    or lie in no file; not of the label tables, so a corrected one belongs to the same recordings.
    """
    digest = hashlib.sha256()
    is_small = len(files) < FILES_AT_ONCE
    for path, content in sorted(files, key=lambda file: file[0]):
        if is_label_table(path):
            continue
        size = content.stat().st_size if isinstance(content, Path) else -1
        digest.update(f"{path}\n{size}\n".encode(errors="surrogatepass"))
        if is_small or isinstance(content, bytes):
            digest.update(hashlib.sha256(read_file((path, content))[1]).digest())
    own = digest.hexdigest()[:8]
    return [(f"{folder}-{own}/{inside}", content) for (folder, _, inside), content in ((path.partition("/"), data) for path, data in files)]


def _groups(files: Iterable[File]) -> Iterator[tuple[str, list[File], int]]:
    """Yield the files of each archive: its folder, the files, and how many of them are in no archive before."""
    by_folder: dict[str, list[File]] = {}
    for path, content in files:
        folder, _, inside = checked_path(path).partition("/")
        if inside and not is_label_table(path):
            by_folder.setdefault(folder, []).append((path, content))
    for folder, some in by_folder.items():
        aside: dict[str, list[File]] = {}
        for file in filter(lambda file: goes_first(file[0]), some):
            aside.setdefault(file[0].rpartition("/")[0], []).append(file)
        told: set[str] = set()
        for part in _parts(_by_recording([file for file in some if not goes_first(file[0])])):
            inner = sorted({path.rpartition("/")[0] for path, _ in part})
            sidecars = [file for one in inner for file in aside.get(one, [])]
            yield folder, [*sidecars, *part], len(part) + sum(path not in told for path, _ in sidecars)
            told.update(path for path, _ in sidecars)
        alone = [file for inside in aside.values() for file in inside if file[0] not in told]
        if alone:
            yield folder, alone, len(alone)


def _by_recording(files: Sequence[File]) -> list[list[File]]:
    """Return the files of each recording, by their names alone: those of one stem, and the segments of a header."""
    there = {path for path, _ in files}
    together: dict[str, list[File]] = {}
    for path, content in sorted(files, key=lambda file: file[0]):
        whole = header_of_segments(path)
        header = whole if whole in there else path
        together.setdefault(header.rpartition(".")[0] or header, []).append((path, content))
    return list(together.values())


def _parts(recordings: Iterable[Sequence[File]]) -> Iterator[list[File]]:
    def weights(files: Sequence[File]) -> tuple[int, int]:
        return sum(_size(content) for _, content in files), len(files)

    for part in filling.groups(recordings, weights, most=(BYTES_AN_ARCHIVE, FILES_AN_ARCHIVE)):
        yield [file for files in part for file in files]


def _size(content: object) -> int:
    return content.stat().st_size if isinstance(content, Path) else len(content) if isinstance(content, bytes) else 0


def _send(store: ObjectStore, settings: Settings, folder: str, files: Sequence[File], *, n_files: int) -> Sent:
    """Pack files and put the archive into the inbox, unless it is there or was taken over."""
    names = StoredNames.of(settings)
    with tempfile.SpooledTemporaryFile(max_size=_SPOOLED_BYTES) as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
            for one in files:
                path, data = read_file(one)
                info = zipfile.ZipInfo(path.removeprefix(f"{folder}/"), _LONG_AGO)
                info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, _PLAIN_FILE
                archive.writestr(info, data, compresslevel=_LEVEL)
        n_bytes = file.tell()
        file.seek(0)
        digest = hashlib.sha256()
        for piece in iter(lambda: file.read(_SPOOLED_BYTES), b""):
            digest.update(piece)
        name = f"{folder}.part-{digest.hexdigest()[:16]}.zip"
        key = f"{keys.INBOX}{name}"
        before = taken_before(store, digest.hexdigest(), names.shown(folder), kept=settings.raw_keeps)
        is_new = before is None and not store.exists(key)
        if is_new:
            file.seek(0)
            store.put(key, cast("BinaryIO", file), content_type="application/zip")
    return Sent(key=key, n_files=n_files, n_bytes=n_bytes, is_new=is_new, before="" if before is None else before.run)
