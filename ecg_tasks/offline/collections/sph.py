"""Here: the database of the Shandong Provincial Hospital (SPH). Not here: what its codes mean (``statements``)."""

import json
from collections import Counter
from pathlib import Path

from ecg_tasks.offline.collections.folder import (
    Collection,
    LabelledFolder,
    age_of,
    agreed,
    has_columns,
    inside,
    not_empty,
    person_of,
    table_rows,
)
from ecg_tasks.offline.collections.statements import Meaning, TableStatement, Told, decide, doubtful, load_table
from ecg_tasks.readers.labels_csv import LabelRow
from ecg_tasks.readers.person import sex_of
from ecg_tasks.signals.record import STANDARD_LEADS

METADATA = "metadata.csv"
RECORDINGS = "records"
_SIDECAR = json.dumps({"fs": 500, "unit": "mV", "leads": list(STANDARD_LEADS), "axis": 1}).encode()
"""Liu et al., Scientific Data 9:272, 2022; its array has an axis of leads and one of time."""


def read_sph(folder: Path) -> LabelledFolder:
    """Return the recordings of ``records/``; ``metadata.csv`` has their codes, patients, ages and sexes.

    References
    ----------
    Liu et al., Scientific Data 9:272, 2022.
    """
    files: dict[str, Path | None] = {}
    said: dict[str, list[LabelRow]] = {}
    unknown: Counter[str] = Counter()
    for number, row in enumerate(table_rows(folder / METADATA, "ECG_ID", "AHA_Code"), start=2):
        name = f"{RECORDINGS}/{row['ECG_ID'].strip()}.h5"
        path = inside(folder, name, suffix="")
        files[name] = path if path.is_file() else None
        told = sph_label(row["AHA_Code"])
        unknown.update(told.unknown)
        one = LabelRow(
            row=number,
            record=name,
            label=told.label,
            patient_id=person_of("sph", row.get("Patient_ID", "")),
            age=age_of(row.get("Age", "")),
            sex=sex_of(row.get("Sex", "")),
            classes=told.classes,
        )
        said.setdefault(name, []).append(one)
    rows, contradicted = agreed(said, table=METADATA)
    found = LabelledFolder(kind="sph", files=files, rows=rows, rejected=tuple(contradicted), sidecar=_SIDECAR, unknown=unknown)
    return not_empty(found, folder)


def sph_label(codes: str) -> Told:
    """Return what the codes of a recording say: statements parted by ``;``, each with modifiers behind ``+``.

    >>> sph_label("60+310;22").label.value, sph_label("161+312").label, sph_label("1").label.value
    ('abnormal', None, 'normal')
    """
    table = load_table("aha")
    statements: list[TableStatement] = []
    unknown: list[str] = []
    for one in codes.split(";"):
        parts = [part.strip() for part in one.split("+") if part.strip()]
        unknown += [part for part in parts if part not in table]
        known = [table[part] for part in parts if part in table]
        doubted = any(part.meaning is Meaning.DOUBT for part in known)
        statements += [doubtful(part) for part in known] if doubted else known
    return decide(statements, unknown=dict.fromkeys(unknown))


SPH = Collection(
    name="sph",
    title="Shandong Provincial Hospital",
    knows=lambda folder: has_columns(folder / METADATA, "ECG_ID", "AHA_Code"),
    read=read_sph,
)
