"""Here: CODE-15, whose files hold 20,000 exams each and go into the inbox in pieces. Not here: reading a piece (``hdf5_arrays``)."""

import io
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.offline.collections.folder import Collection, LabelledFolder, age_of, agreed, has_columns, not_empty, person_of, table_rows
from ecg_tasks.offline.collections.statements import load_table, weigh
from ecg_tasks.readers.file_names import SIDECAR
from ecg_tasks.readers.hdf5_arrays import CODE15 as TRACINGS
from ecg_tasks.readers.hdf5_arrays import EXAMS as EXAM_ID
from ecg_tasks.readers.labels_csv import LabelRow
from ecg_tasks.readers.sidecar import read_sidecar

EXAMS = "exams.csv"
EXAMS_A_PIECE = 256
"""Of 197 kB each: a piece has 50 MB, and is read as a whole."""
_TRUE = frozenset({"true", "1", "1.0"})
_FALSE = frozenset({"false", "0", "0.0"})


def read_code15(folder: Path) -> LabelledFolder:
    """Return the exams of the ``exams_part*.hdf5`` that are there, in pieces; ``exams.csv`` has what was found, the patient, age and sex.

    The unit of the samples stands nowhere in CODE-15, and what its authors wrote elsewhere can be read as 1 mV and as 0.1 mV: it comes from
    a ``signals.json`` in the folder. The last row of a file, exam 0, is a filler.

    Raises
    ------
    BadInputError
        ``unit_unknown`` without it; ``incomplete`` or ``unreadable`` for a file that is no part of CODE-15.

    References
    ----------
    Ribeiro et al., CODE-15%: a large scale annotated dataset of 12-lead ECGs, 2021, doi 10.5281/zenodo.4916206.
    """
    sidecar = _sidecar(folder)
    listed: dict[str, list[tuple[int, dict[str, str]]]] = {}
    parts: dict[str, None] = {}
    for number, row in enumerate(table_rows(folder / EXAMS, "exam_id", "trace_file", "normal_ecg"), start=2):
        listed.setdefault(row["exam_id"].strip(), []).append((number, row))
        parts[row["trace_file"].strip()] = None
    files: dict[str, Path | None] = {}
    made: dict[str, Callable[[], bytes]] = {}
    said: dict[str, list[LabelRow]] = {}
    for part in parts:
        path = folder / Path(part).name
        if not path.is_file():
            files[part] = None
            continue
        exams = _exams(path)
        for first in range(0, len(exams), EXAMS_A_PIECE):
            piece = f"{path.stem}/{first // EXAMS_A_PIECE:03d}{path.suffix}"
            files[piece] = path
            some = exams[first : first + EXAMS_A_PIECE]
            made[piece] = partial(_cut, path, first, first + len(some))
            for exam in some:
                record = f"{piece}#{exam}"
                if exam in listed:
                    said[record] = [_row(row, number=number, record=record) for number, row in listed[exam]]
    rows, contradicted = agreed(said, table=EXAMS)
    found = LabelledFolder(kind="code15", files=files, rows=rows, rejected=tuple(contradicted), made=made, sidecar=sidecar)
    return not_empty(found, folder)


def _row(row: Mapping[str, str], *, number: int, record: str) -> LabelRow:
    table = load_table("code15")
    told = weigh([column for column in table if row.get(column, "").strip().lower() in _TRUE], table, says_all=False)
    male = row.get("is_male", "").strip().lower()
    return LabelRow(
        row=number,
        record=record,
        label=told.label,
        patient_id=person_of("code15", row.get("patient_id", "")),
        age=age_of(row.get("age", "")),
        sex="male" if male in _TRUE else "female" if male in _FALSE else None,
        classes=told.classes,
    )


def _sidecar(folder: Path) -> bytes:
    """Return the sidecar of the pieces."""
    path = folder / SIDECAR
    unit = read_sidecar(path.read_bytes(), name=SIDECAR).unit if path.is_file() else None
    if unit is None:
        sentence = (
            f"CODE-15 does not give the unit of its samples: its description can mean 1 mV or 0.1 mV. "
            f'Put {SIDECAR} into {folder}, with the true unit: {{"unit": "mV"}}'
        )
        raise BadInputError(Reason.UNIT_UNKNOWN, sentence)
    return json.dumps({"unit": unit}).encode()


def _exams(path: Path) -> list[str]:
    """Return the numbers of the exams of a file, in the order of their recordings, without the filler."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            numbers = [str(int(one)) for one in file[EXAM_ID][()]]
            n_recordings = len(file[TRACINGS])
    except (OSError, KeyError, TypeError, ValueError) as error:
        message = f"{path} is not a complete file of CODE-15 ({type(error).__name__}): unpack its .zip again"
        raise BadInputError(Reason.UNREADABLE, message) from None
    if len(numbers) != n_recordings:
        message = f"{path}: {len(numbers)} exam numbers for {n_recordings} recordings"
        raise BadInputError(Reason.UNREADABLE, message)
    return numbers[:-1] if numbers and numbers[-1] == "0" else numbers


def _cut(path: Path, first: int, end: int) -> bytes:
    """Return some of the exams of a file as a file of its own, the same bytes every time."""
    import h5py

    data = io.BytesIO()
    with h5py.File(path, "r") as whole, h5py.File(data, "w") as piece:
        for called in (TRACINGS, EXAM_ID):
            piece.create_dataset(called, data=whole[called][first:end])
    return data.getvalue()


CODE15 = Collection(
    name="code15", title="CODE-15%", knows=lambda folder: has_columns(folder / EXAMS, "exam_id", "trace_file"), read=read_code15
)
