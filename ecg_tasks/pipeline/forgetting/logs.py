"""Here: what logs say of forgotten recordings, in the bucket and in a folder of this machine. Not here: how logs come there.

A log keeps its length: a process may be about to write at its end. Only what stands for them is overwritten, each byte by an ``x``.
"""

import mmap
import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from ecg_tasks.archive import keys
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.parallel import bounded_parallel_map
from ecg_tasks.errors import MissingObjectError
from ecg_tasks.pipeline.forgetting.gone import Gone

_SHORTEST = 8
"""A name of fewer letters may be any word or number of a log. Names as they are stand nowhere unless they are nobody's."""
_LETTER = b"x"


def words_of(gone: Gone) -> tuple[bytes, ...]:
    """Return all that stands for them in a log, the longest first: digests and names, and names as an address has them."""
    found = {one for one in gone.words if len(one) >= _SHORTEST}
    spelled = {spelling for one in found for spelling in (one, quote(one), quote(one, safe=""))}
    return tuple(sorted(map(str.encode, spelled), key=lambda one: (-len(one), one)))


def tells(data: bytes, words: Collection[bytes]) -> bool:
    """Tell whether a log has any of these words."""
    return any(word in data for word in words)


def blanked(data: bytes, words: Collection[bytes]) -> bytes:
    """Return a log without these words.

    >>> blanked(b"read 0a1b2c3d, and wrote it", [b"0a1b2c3d"])
    b'read xxxxxxxx, and wrote it'
    """
    for word in words:
        data = data.replace(word, _LETTER * len(word))
    return data


def forget(store: ObjectStore, gone: Gone) -> int:
    """Blank them in the logs of tasks that lie in the bucket; returns in how many they stood."""
    words = words_of(gone)

    def blank(key: str) -> bool:
        try:
            data = store.get(key)
        except MissingObjectError:  # the daily sweep took it
            return False
        found = tells(data, words)
        if found:
            store.replace(key, blanked(data, words), content_type="text/plain")
        return found

    return sum(bounded_parallel_map(blank, store.list_keys(keys.LOGS)))


def forget_in_folder(folder: Path, gone: Gone) -> int:
    """Blank them in all files of a folder, in place; returns in how many they stood."""
    words = words_of(gone)
    files = sorted(one for one in folder.rglob("*") if one.is_file() and not one.is_symlink())
    return sum(_blank(one, words) for one in files)


def _blank(path: Path, words: Collection[bytes]) -> bool:
    with suppress(FileNotFoundError), path.open("r+b", buffering=0) as log:  # one that goes meanwhile tells nothing any more
        if os.fstat(log.fileno()).st_size:
            with mmap.mmap(log.fileno(), 0, access=mmap.ACCESS_READ) as content:
                places = [(at, word) for word in words for at in _places(content, word)]
            for at, word in places:
                os.pwrite(log.fileno(), _LETTER * len(word), at)
            return bool(places)
    return False


def _places(content: mmap.mmap, word: bytes) -> list[int]:
    found, at = [], content.find(word)
    while at >= 0:
        found.append(at)
        at = content.find(word, at + len(word))
    return found
