"""Here: the recordings of files, folders and archives classified without any stack. Not here: deciding (``classify_file``)."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.offline import classify_file
from ecg_tasks.offline.archive_file import is_archive, read_archive
from ecg_tasks.offline.classify_file import Classified, FileClassified, decide_records, read_path, recipe_for
from ecg_tasks.offline.files_on_disk import read_all
from ecg_tasks.pipeline.champions.seed import SHIPPED_MODELS
from ecg_tasks.readers import Rejected
from ecg_tasks.settings import Settings
from ecg_tasks.signals.recipes import get_recipe

if TYPE_CHECKING:
    from ecg_tasks.signals.record import Record

_AT_ONCE = 32
"""Recordings that are decided on together."""
_AT_ONCE_BYTES = 256 * 1024 * 1024
"""Of their samples: long recordings are decided on earlier."""


def classify_all(
    paths: Sequence[Path],
    *,
    recipe: str | None = None,
    models: Path = SHIPPED_MODELS,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Iterator[FileClassified]:
    """Classify every recording of files, folders and archives, some at a time; what cannot be read or decided is rejected.

    Parameters
    ----------
    progress : called with how many files are done (those of one recording count as one, and so does a member of an archive), and of
        how many

    Raises
    ------
    BadInputError
        If there is one file only, and it cannot be read as a whole, or the only recording in it is of no recipe.
    ConfigurationError
        If there is no such recipe, or no model of it.
    """
    names = (recipe,) if recipe else Settings.recipes
    for name in names:
        get_recipe(name)
    alone = len(paths) == 1 and paths[0].is_file() and not is_archive(paths[0])
    n_total = n_read = 0

    def count(n_more: int) -> None:
        nonlocal n_total
        n_total += n_more

    rejected: list[Rejected] = []
    waiting: list[Record] = []
    for reading in read_all(paths, counted=count):
        rejected.extend(reading.rejected)
        for record in reading.records:
            try:
                recipe_for(record, names)
            except BadInputError as fault:
                if alone:
                    raise
                rejected.append(Rejected(name=record.name, reason=fault.reason, message=fault.message))
                continue
            waiting.append(record)
        n_read += 1
        if len(waiting) + len(rejected) >= _AT_ONCE or sum(one.samples.nbytes for one in waiting) >= _AT_ONCE_BYTES:
            yield FileClassified(results=decide_records(waiting, names, models), rejected=tuple(rejected))
            waiting, rejected = [], []
            progress(n_read, n_total)
    yield FileClassified(results=decide_records(waiting, names, models), rejected=tuple(rejected))
    progress(n_read, n_total)


def classify(path: Path, *, recipe: str | None = None, models: Path = SHIPPED_MODELS) -> FileClassified:
    """Classify every recording of one path, as `classify_all` does."""
    parts = list(classify_all([path], recipe=recipe, models=models))
    return FileClassified(
        results=tuple(one for part in parts for one in part.results), rejected=tuple(one for part in parts for one in part.rejected)
    )


def plot(path: Path, *, recipe: str | None = None, out: Path, models: Path = SHIPPED_MODELS) -> Classified:
    """Classify the first recording of a file or an archive, and draw its first picture."""
    readings = read_archive(path) if is_archive(path) else iter([read_path(path)])
    first = next((record for reading in readings for record in reading.records), None)
    if first is None:
        raise BadInputError(Reason.INCOMPLETE, f"{path.name} has no recording that can be read")
    return classify_file.plot(first, recipe=recipe, out=out, models=models)
