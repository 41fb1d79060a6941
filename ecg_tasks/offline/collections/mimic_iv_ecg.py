"""Here: MIMIC-IV-ECG, with the reports that the machines wrote. Not here: the cardiologists' reports, which are not open."""

import re
from collections import Counter
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from ecg_tasks.offline.collections.folder import Collection, LabelledFolder, agreed, has_columns, inside, not_empty, person_of, table_rows
from ecg_tasks.offline.collections.statements import TableStatement, Told, decide, doubtful, load_table
from ecg_tasks.readers.labels_csv import LabelRow

RECORDS = "record_list.csv"
MEASUREMENTS = "machine_measurements.csv"
_REPORTS = tuple(f"report_{number}" for number in range(18))
_NOTHING = Told(label=None, classes=None)
_DOUBT = re.compile(r"\b(?:possible|probable|prob|consider|cannot rule out|borderline|or)\b")


def read_mimic_iv_ecg(folder: Path) -> LabelledFolder:
    """Return the recordings that ``record_list.csv`` lists, with labels of the machine's own conclusions; age and sex are in MIMIC-IV.

    References
    ----------
    Gow et al., MIMIC-IV-ECG: Diagnostic Electrocardiogram Matched Subset (version 1.0), PhysioNet, 2023, doi 10.13026/4nqg-sb35.
    """
    told: dict[str, list[Told]] = {}
    for row in table_rows(folder / MEASUREMENTS, "study_id", _REPORTS[0]):
        told.setdefault(row["study_id"].strip(), []).append(mimic_label(row.get(column) or "" for column in _REPORTS))
    files: dict[str, Path | None] = {}
    rows: dict[str, list[LabelRow]] = {}
    unknown: Counter[str] = Counter()
    for number, row in enumerate(table_rows(folder / RECORDS, "study_id", "path"), start=2):
        name = row["path"].strip()
        header = inside(folder, name)
        files[name] = header if header.is_file() else None
        for said in told.get(row["study_id"].strip(), [_NOTHING]):
            unknown.update(said.unknown if files[name] else ())
            one = LabelRow(
                row=number,
                record=name,
                label=said.label,
                patient_id=person_of("mimic", row.get("subject_id", "")),
                age=None,
                sex=None,
                classes=said.classes,
            )
            rows.setdefault(name, []).append(one)
    known, contradicted = agreed(rows, table=RECORDS)
    found = LabelledFolder(kind="mimic_iv_ecg", files=files, rows=known, rejected=tuple(contradicted), unknown=unknown)
    return not_empty(found, folder)


def mimic_label(reports: Iterable[str]) -> Told:
    """Return what a machine's report says together.

    >>> told = mimic_label(["Sinus rhythm", "Inferior infarct - age undetermined", "Abnormal ECG"])
    >>> told.label.value, str(told.classes)
    ('abnormal', 'MI')
    >>> mimic_label(["Sinus rhythm", "Possible left atrial abnormality", "Normal ECG"]).label is None
    True
    """
    written = [text for report in reports if (text := " ".join(report.lower().strip(" .-*").split()))]
    found = {text: _statement(text) for text in written}
    known = [one for one in found.values() if one is not None]
    return decide(known, unknown=[text for text, one in found.items() if one is None])


@lru_cache(maxsize=65536)
def _statement(text: str) -> TableStatement | None:
    """Return the first row of the table that a statement fits; without superclass where it has a word of doubt."""
    one = next((row for pattern, row in load_table("mimic_iv_ecg").items() if fnmatchcase(text, pattern)), None)
    return doubtful(one) if one is not None and _DOUBT.search(text) else one


MIMIC_IV_ECG = Collection(
    name="mimic_iv_ecg",
    title="MIMIC-IV-ECG",
    knows=lambda folder: has_columns(folder / RECORDS, "study_id", "path"),
    read=read_mimic_iv_ecg,
)
