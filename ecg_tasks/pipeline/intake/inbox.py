"""Here: dropping files into the inbox, and listing what waits there. Not here: taking them over (``ingest_records``)."""

import hashlib
from collections.abc import Iterable

from ecg_tasks.archive import keys
from ecg_tasks.archive.object_store import ObjectInfo
from ecg_tasks.archive.workspace import open_store
from ecg_tasks.errors import BadInputError, Reason

MAX_KEY_BYTES = 900
"""Keys grow when a file moves to raw/ or quarantine/; S3 allows 1,024 bytes."""

MOST_FILES = 400_000
"""Of one plan, which has 1.3 kB of memory for each; all folders behind them are left to the next run."""
MOST_COUNTED = 4_000_000
"""Files behind those that are counted, one request for a thousand."""


def put_files(files: Iterable[tuple[str, bytes]]) -> int:
    """Drop files, given as path below the inbox and content; returns how many."""
    return open_store().put_many((keys.INBOX + checked_path(path), data, "application/octet-stream") for path, data in files)


def waiting() -> str:
    """Return a short digest of what waits in the inbox; empty when nothing does.

    It changes when a file comes, changes or goes, and at no other time.
    """
    digest, n_files = hashlib.sha256(), 0
    for item in open_store().list_objects(keys.INBOX):
        if not item.key.endswith("/"):
            digest.update(f"{item.key}\n{item.size}\n{item.etag}\n".encode())
            n_files += 1
    return digest.hexdigest()[:16] if n_files else ""


def whole_folders(
    listed: Iterable[ObjectInfo], *, most: int = MOST_FILES, most_counted: int = MOST_COUNTED
) -> tuple[list[ObjectInfo], int]:
    """Return the files of the first folders, and how many are behind them, in other folders.

    The files of a recording lie in one folder, so each folder is taken whole or not at all, and another one while there are fewer files
    than ``most``. The listing ends where nothing of these folders can follow and ``most_counted`` others were counted: there may be more.

    Parameters
    ----------
    listed : the inbox, in the order of its keys
    """
    taken, folders, end, n_beyond = list[ObjectInfo](), set[str](), "", 0
    for item in listed:
        folder = item.key.rpartition("/")[0]
        if folder not in folders:
            if item.key == keys.INBOX:
                continue
            if len(taken) >= most:
                n_beyond += 1
                if n_beyond >= most_counted and item.key >= end:
                    break
                continue
            folders.add(folder)
            end = max(end, f"{folder}0")  # the first key behind all that begin with the folder and a slash
        taken.append(item)
    return taken, n_beyond


def checked_path(path: str) -> str:
    """Return the path if it is a plain relative one that fits into a key.

    >>> checked_path("ward/100.hea")
    'ward/100.hea'

    Raises
    ------
    BadInputError
        ``unsafe_path`` if a part is empty, ``.`` or ``..``, holds a control character or a backslash, or the path is too long.
    """
    parts = path.split("/")
    unsafe = any(part in {"", ".", ".."} for part in parts) or "\\" in path or not path.isprintable()
    if unsafe:
        raise BadInputError(Reason.UNSAFE_PATH, f"{path[:200]!r} is not a plain relative path")
    if len(path.encode()) > MAX_KEY_BYTES:
        raise BadInputError(Reason.UNSAFE_PATH, f"{path[:80]!r}… has {len(path.encode())} bytes; the limit is {MAX_KEY_BYTES:,}")
    return path
