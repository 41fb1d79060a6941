"""Here: the recordings of a file or an archive classified without any stack. Not here: deciding (``classify_file``)."""

from pathlib import Path
from typing import TYPE_CHECKING

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.offline import classify_file
from ecg_tasks.offline.archive_file import is_archive, read_archive
from ecg_tasks.offline.classify_file import Classified, FileClassified, decide_records, read_path, recipe_for
from ecg_tasks.pipeline.champions.seed import SHIPPED_MODELS
from ecg_tasks.readers import Rejected
from ecg_tasks.settings import Settings

if TYPE_CHECKING:
    from ecg_tasks.signals.record import Record

_AT_ONCE = 64
"""Recordings of an archive that are decided on together."""


def classify(path: Path, *, recipe: str | None = None, models: Path = SHIPPED_MODELS) -> FileClassified:
    """Classify every recording of a file, as ``classify_file`` does, or of an archive: what cannot be read or decided there is rejected.

    Raises
    ------
    BadInputError
        If the file, or the archive as a whole, cannot be read.
    """
    if not is_archive(path):
        return classify_file.classify_file(path, recipe=recipe, models=models)
    names = (recipe,) if recipe else Settings.recipes
    results: list[Classified] = []
    rejected: list[Rejected] = []
    waiting: list[Record] = []
    for reading in read_archive(path):
        rejected.extend(reading.rejected)
        for record in reading.records:
            try:
                recipe_for(record, names)
            except BadInputError as fault:
                rejected.append(Rejected(name=record.name, reason=fault.reason, message=fault.message))
                continue
            waiting.append(record)
        if len(waiting) >= _AT_ONCE:
            results.extend(decide_records(waiting, names, models))
            waiting.clear()
    results.extend(decide_records(waiting, names, models))
    return FileClassified(results=tuple(results), rejected=tuple(rejected))


def plot(path: Path, *, recipe: str | None = None, out: Path, models: Path = SHIPPED_MODELS) -> Classified:
    """Classify the first recording of a file or an archive, and draw its first picture."""
    readings = read_archive(path) if is_archive(path) else iter([read_path(path)])
    first = next((record for reading in readings for record in reading.records), None)
    if first is None:
        raise BadInputError(Reason.INCOMPLETE, f"{path.name} holds no recording that can be read")
    return classify_file.plot(first, recipe=recipe, out=out, models=models)
