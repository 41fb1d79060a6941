"""Here: dropping files into the inbox, and telling what waits there. Not here: taking them over (``ingest_records``)."""

import hashlib
from collections.abc import Iterable

from ecg_tasks.archive import keys
from ecg_tasks.archive.workspace import open_store
from ecg_tasks.errors import BadInputError, Reason

MAX_KEY_BYTES = 900
"""Keys grow when a file moves to raw/ or quarantine/; S3 allows 1,024 bytes."""


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
