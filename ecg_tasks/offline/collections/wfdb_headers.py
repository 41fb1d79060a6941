"""Here: collections of WFDB recordings whose headers' comments say all that is known. Not here: what one collection's comments mean."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from ecg_tasks.offline.collections.folder import LabelledFolder, comments_of, headers, not_empty, path_in
from ecg_tasks.offline.collections.statements import Told
from ecg_tasks.readers.base import Patient
from ecg_tasks.readers.labels_csv import LabelRow
from ecg_tasks.readers.person import age_kept


def of_headers(folder: Path, *, kind: str, said: Callable[[Path, tuple[str, ...]], tuple[Told, Patient]]) -> LabelledFolder:
    """Return the recordings of all headers below a folder.

    Parameters
    ----------
    said : what a header and its comments say of the recording, and of the person
    """
    files: dict[str, Path | None] = {}
    rows: dict[str, LabelRow] = {}
    unknown: Counter[str] = Counter()
    for number, header in enumerate(headers(folder), start=1):
        name = path_in(folder, header)
        told, person = said(header, comments_of(header))
        unknown.update(told.unknown)
        files[name] = header
        rows[name] = LabelRow(
            row=number,
            record=name,
            label=told.label,
            patient_id=person.id,
            age=age_kept(person.age),
            sex=person.sex,
            classes=told.classes,
        )
    return not_empty(LabelledFolder(kind=kind, files=files, rows=rows, unknown=unknown), folder)
