"""Here: PTB-XL, of which a part will do, at 500 or at 100 Hz. Not here: reading its recordings."""

import ast
from collections.abc import Mapping
from pathlib import Path

from ecg_tasks.errors import Reason
from ecg_tasks.labels import ClassList, Label, Superclass
from ecg_tasks.offline.collections.folder import (
    Collection,
    LabelledFolder,
    age_of,
    agreed,
    inside,
    is_number,
    not_empty,
    person_of,
    table_rows,
)
from ecg_tasks.readers.base import Rejected
from ecg_tasks.readers.file_names import SIGNAL_SUFFIXES
from ecg_tasks.readers.labels_csv import LabelRow

DATABASE = "ptbxl_database.csv"
STATEMENTS = "scp_statements.csv"


def read_ptbxl(folder: Path) -> LabelledFolder:
    """Return the recordings of a PTB-XL folder, 500 Hz where that is whole, else 100 Hz; a part of the data set will do.

    A label is made of the statements with a likelihood above 0 that ``scp_statements.csv`` calls diagnostic:
    their classes {NORM} alone mean normal, any others without NORM abnormal, and a mixture or nothing has no label. A mixture has
    classes nevertheless; without any diagnostic statement they are not known.

    References
    ----------
    Wagner et al., Scientific Data 7:154, 2020.
    """
    statements = table_rows(folder / STATEMENTS)
    diagnostic = {next(iter(row.values())): row["diagnostic_class"] for row in statements if is_number(row, "diagnostic", 1)}
    files: dict[str, Path | None] = {}
    said: dict[str, list[LabelRow]] = {}
    rejected: list[Rejected] = []
    for number, row in enumerate(table_rows(folder / DATABASE), start=2):
        listed = [row.get(column) or "" for column in ("filename_hr", "filename_lr")]
        headers = [inside(folder, name) for name in listed if name]
        whole = [header for header in headers if header.is_file() and _has_signals(header)]
        found = next(iter([*whole, *(header for header in headers if header.is_file())]), None)
        name = found.stem if found else (Path(next(filter(None, listed), "")).name or f"row {number}")
        files[name] = found
        try:
            codes = {str(code): float(likelihood) for code, likelihood in ast.literal_eval(row["scp_codes"]).items()}
        except (ValueError, SyntaxError, TypeError, AttributeError, KeyError):
            message = f"{DATABASE}, row {number}: scp_codes is {row.get('scp_codes', '')[:40]!r}; it must map statements to likelihoods"
            rejected.append(Rejected(name=name, reason=Reason.BAD_LABEL, message=message))
            continue
        one = LabelRow(
            row=number,
            record=name,
            label=ptbxl_label(codes, diagnostic),
            patient_id=person_of("ptbxl", row.get("patient_id") or ""),
            age=age_of(row.get("age") or ""),
            sex="male" if is_number(row, "sex", 0) else "female" if is_number(row, "sex", 1) else None,
            classes=ClassList(names) if (names := ptbxl_classes(codes, diagnostic) & frozenset(Superclass)) else None,
            fold=_fold(row),
        )
        said.setdefault(name, []).append(one)
    rows, contradicted = agreed(said, table=DATABASE)
    return not_empty(LabelledFolder(kind="ptbxl", files=files, rows=rows, rejected=(*rejected, *contradicted)), folder)


def ptbxl_classes(scp_codes: Mapping[str, float], diagnostic: Mapping[str, str]) -> frozenset[str]:
    """Return the superclasses of one PTB-XL recording.

    Parameters
    ----------
    scp_codes : statement -> likelihood in percent
    diagnostic : diagnostic statement -> its superclass

    >>> sorted(ptbxl_classes({"NORM": 80.0, "NDT": 50.0, "IMI": 0.0}, {"NORM": "NORM", "NDT": "STTC", "IMI": "MI"}))
    ['NORM', 'STTC']
    """
    return frozenset(diagnostic[code] for code, likelihood in scp_codes.items() if likelihood > 0 and code in diagnostic)


def ptbxl_label(scp_codes: Mapping[str, float], diagnostic: Mapping[str, str]) -> Label | None:
    """Return the label of one PTB-XL recording; parameters as in `ptbxl_classes`.

    >>> ptbxl_label({"NORM": 100.0, "SR": 0.0}, {"NORM": "NORM"}).value
    'normal'
    """
    classes = ptbxl_classes(scp_codes, diagnostic)
    if classes == {"NORM"}:
        return Label.NORMAL
    return Label.ABNORMAL if classes and "NORM" not in classes else None


def _fold(row: Mapping[str, str]) -> int | None:
    return next((fold for fold in range(1, 11) if is_number(row, "strat_fold", fold)), None)


def _has_signals(header: Path) -> bool:
    return any(header.with_suffix(suffix).is_file() for suffix in SIGNAL_SUFFIXES)


PTBXL = Collection(name="ptbxl", title="PTB-XL", knows=lambda folder: (folder / DATABASE).is_file(), read=read_ptbxl)
