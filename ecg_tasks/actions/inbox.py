"""Here: dropping many files into the inbox, in an order that is safe while it is watched. Not here: which files (``offline``, ``cli``)."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ecg_tasks.offline.labelled_folders import Content
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.readers.file_names import is_header, is_label_table, is_sidecar

FILES_AT_ONCE = 100
"""So many lie in memory together."""
PUT_AGAIN_S = 900.0
"""A label table is put again after so long, well within the hour that it waits for its recordings."""

File = tuple[str, Content]
"""Path below the inbox, and its bytes, where they lie, or what makes them."""


def put_in_order(files: Sequence[File], *, progress: Callable[[int], None] | None = None) -> int:
    """Put files into the inbox of the environment's bucket; returns how many.

    Label tables and sidecars come first, then one recording after the other, its header before its signals: so recordings become complete
    in the order in which they are put, and a header never waits for long. A table waits for its recordings for an hour after it came; where
    putting takes longer, it is put again meanwhile, which changes nothing but its time.

    Parameters
    ----------
    progress : called after every hundred files with how many are in the inbox
    """
    tables = [file for file in files if goes_first(file[0])]
    n_files, put_at = 0, time.monotonic()
    for part in (tables, _by_recording([file for file in files if not goes_first(file[0])])):
        for first in range(0, len(part), FILES_AT_ONCE):
            n_files += inbox.put_files(read_file(file) for file in part[first : first + FILES_AT_ONCE])
            if progress is not None:
                progress(n_files)
            if time.monotonic() - put_at > PUT_AGAIN_S:
                inbox.put_files(read_file(file) for file in tables)
                put_at = time.monotonic()
    return n_files


def goes_first(path: str) -> bool:
    """Tell whether a file is put before the recordings that it is about."""
    return is_label_table(path) or is_sidecar(path)


def read_file(file: File) -> tuple[str, bytes]:
    """Return a file's path and bytes."""
    name, content = file
    if isinstance(content, Path):
        return name, content.read_bytes()
    return name, content if isinstance(content, bytes) else content()


def _by_recording(files: Sequence[File]) -> list[File]:
    """Order the files, those of one stem together in the place of the first of them, a header before what it names."""
    together: dict[str, list[File]] = {}
    for file in files:
        together.setdefault(Path(file[0]).with_suffix("").as_posix(), []).append(file)
    return [file for same in together.values() for file in sorted(same, key=lambda one: not is_header(one[0]))]
