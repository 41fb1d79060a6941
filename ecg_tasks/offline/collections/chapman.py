"""Here: Chapman-Shaoxing, as PhysioNet has it (ecg-arrhythmia, with Ningbo's) and as figshare has it. Not here: SNOMED (``statements``)."""

import json
from collections import Counter
from pathlib import Path

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.offline.collections.cinc import with_snomed
from ecg_tasks.offline.collections.folder import (
    Collection,
    LabelledFolder,
    age_of,
    agreed,
    inside,
    not_empty,
    table_rows,
)
from ecg_tasks.offline.collections.statements import load_table, weigh
from ecg_tasks.readers.labels_csv import LabelRow
from ecg_tasks.readers.person import sex_of

DIAGNOSTICS = "Diagnostics.csv"
RECORDINGS = "ECGData"
CONDITIONS = "ConditionNames_SNOMED-CT.csv"
WFDB_FOLDER = "WFDBRecords"
_SIDECAR = json.dumps({"fs": 500, "unit": "uV"}).encode()
"""Five thousand samples in ten seconds, in microvolts: Zheng et al., Scientific Data 7:48, 2020. The leads stand in the first line."""


def read_chapman(folder: Path) -> LabelledFolder:
    """Return the recordings of PhysioNet's or figshare's folder; every recording is of another patient.

    Of figshare's files ``ECGData/`` is read, which has the recordings as they were made.

    References
    ----------
    Zheng et al., Scientific Data 7:48, 2020; Zheng et al., A large scale 12-lead electrocardiogram database for arrhythmia study,
    PhysioNet, 2022, doi 10.13026/wgex-er52.
    """
    if _is_figshare(folder):
        return _read_figshare(folder)
    return with_snomed(folder, kind="chapman", patient=lambda header: f"chapman-{header.stem}")


def _read_figshare(folder: Path) -> LabelledFolder:
    if not (folder / DIAGNOSTICS).is_file():
        message = f"{folder} has Diagnostics.xlsx, which cannot be read: save it as {DIAGNOSTICS}, a CSV in UTF-8, in the same folder"
        raise BadInputError(Reason.UNKNOWN_FORMAT, message)
    table = load_table("chapman")
    files: dict[str, Path | None] = {}
    rows: dict[str, list[LabelRow]] = {}
    unknown: Counter[str] = Counter()
    for number, row in enumerate(table_rows(folder / DIAGNOSTICS, "FileName", "Rhythm", "Beat"), start=2):
        stem = row["FileName"].strip().removesuffix(".csv")
        name = f"{RECORDINGS}/{stem}.csv"
        path = inside(folder, name, suffix="")
        files[name] = path if path.is_file() else None
        beats = [beat for beat in row["Beat"].split() if beat.upper() != "NONE"]
        said = weigh([row["Rhythm"].strip(), *beats], table)
        unknown.update(said.unknown)
        one = LabelRow(
            row=number,
            record=name,
            label=said.label,
            patient_id=f"chapman-{stem}",
            age=age_of(row.get("PatientAge", "")),
            sex=sex_of(row.get("Gender", "")),
            classes=said.classes,
        )
        rows.setdefault(name, []).append(one)
    known, contradicted = agreed(rows, table=DIAGNOSTICS)
    found = LabelledFolder(kind="chapman", files=files, rows=known, rejected=tuple(contradicted), sidecar=_SIDECAR, unknown=unknown)
    return not_empty(found, folder)


def _is_figshare(folder: Path) -> bool:
    there = (folder / DIAGNOSTICS).is_file() or (folder / "Diagnostics.xlsx").is_file()
    return there and (folder / RECORDINGS).is_dir()


def _knows(folder: Path) -> bool:
    return (folder / CONDITIONS).is_file() or (folder / WFDB_FOLDER).is_dir() or folder.name == WFDB_FOLDER or _is_figshare(folder)


CHAPMAN = Collection(name="chapman", title="Chapman-Shaoxing and Ningbo", knows=_knows, read=read_chapman)
