"""Here: what PTB-XL, the PTB Diagnostic database, heartbeat CSVs and labelled folders look like on a disk.

Not here: reading the recordings (``readers``), or what is done with them (``cli.inbox``, ``evaluate_folder``).
"""

import ast
import csv
import io
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.labels import Label
from ecg_tasks.readers.base import Rejected
from ecg_tasks.readers.file_names import (
    CSV_SUFFIXES,
    HEADER_SUFFIX,
    LABEL_TABLE,
    SIGNAL_SUFFIXES,
    is_header,
    is_matlab,
    is_signal,
    sidecars_of,
)
from ecg_tasks.readers.header_comments import read_comments
from ecg_tasks.readers.labels_csv import LabelRow, read_labels
from ecg_tasks.readers.person import UnclearError, age_kept, age_years, patient_id
from ecg_tasks.readers.record_names import paths_meant
from ecg_tasks.readers.table_notation import read_number
from ecg_tasks.readers.wfdb.header import comment_lines

Content = bytes | Path
"""A file's bytes, or where to read them when their turn comes."""

_COLUMNS = ("record", "label", "patient_id", "age", "sex")


@dataclass(frozen=True, kw_only=True)
class LabelledFolder:
    """A data set on a disk.

    Parameters
    ----------
    kind : its layout, and the folder that it gets in the inbox
    files : name of a recording (of WFDB its header without extension) or a heartbeat CSV, to where it lies; None where it is not there
    rows : name of a record to its row in the dataset's table; rows of a heartbeat CSV may have none
    rejected : what the data set says of a recording and cannot be understood
    """

    kind: str
    files: Mapping[str, Path | None]
    rows: Mapping[str, LabelRow]
    rejected: tuple[Rejected, ...] = field(default=())

    def for_inbox(self) -> list[tuple[str, Content]]:
        """Return the files that are there, named as in the inbox, and a ``labels.csv`` about them."""
        found: list[tuple[str, Content]] = []
        text = io.StringIO()
        table = csv.writer(text)
        table.writerow(_COLUMNS)
        for name, path in self.files.items():
            if path is None:
                continue
            if not is_header(path.name):
                beside = [path.with_name(sidecar) for sidecar in sidecars_of(path.name)]
                found.append((f"{self.kind}/{name}", path))
                found += [((Path(self.kind) / name).with_name(file.name).as_posix(), file) for file in beside if file.is_file()]
                continue
            beside = [path.with_suffix(suffix) for suffix in (HEADER_SUFFIX, *SIGNAL_SUFFIXES)]
            found += [(f"{self.kind}/{name}{file.suffix}", file) for file in beside if file.is_file()]
        for name, row in self.rows.items():
            if self.files[file_of(name)] is not None:
                age = "" if row.age is None else f"{row.age:g}"
                table.writerow((name, row.label or "", row.patient_id or "", age, row.sex or ""))
        found = list(dict(found).items())  # a sidecar may speak of several files
        return [*found, (f"{self.kind}/{LABEL_TABLE}", text.getvalue().encode())] if self.rows else found


def file_of(record: str) -> str:
    """Return the recording or the CSV that a record is in.

    >>> file_of("beats.csv#12"), file_of("patient001/s0010_re")
    ('beats.csv', 'patient001/s0010_re')
    """
    return record.rpartition("#")[0] or record


def ptbxl(folder: Path) -> LabelledFolder:
    """Return the recordings of a PTB-XL folder, 500 Hz where that is whole, else 100 Hz; a part of the data set will do.

    A label is made of the statements with a likelihood above 0 that ``scp_statements.csv`` calls diagnostic:
    their classes {NORM} alone mean normal, any others without NORM abnormal, and a mixture or nothing has no label.

    References
    ----------
    Wagner et al., Scientific Data 7:154, 2020.
    """
    statements = _rows(folder / "scp_statements.csv")
    diagnostic = {next(iter(row.values())): row["diagnostic_class"] for row in statements if _is(row, "diagnostic", 1)}
    files: dict[str, Path | None] = {}
    said: dict[str, list[LabelRow]] = {}
    rejected: list[Rejected] = []
    for number, row in enumerate(_rows(folder / "ptbxl_database.csv"), start=2):
        listed = [row.get(column) or "" for column in ("filename_hr", "filename_lr")]
        headers = [_inside(folder, name) for name in listed if name]
        whole = [header for header in headers if header.is_file() and _has_signals(header)]
        found = next(iter([*whole, *(header for header in headers if header.is_file())]), None)
        name = found.stem if found else (Path(next(filter(None, listed), "")).name or f"row {number}")
        files[name] = found
        try:
            codes = {str(code): float(likelihood) for code, likelihood in ast.literal_eval(row["scp_codes"]).items()}
        except (ValueError, SyntaxError, TypeError, AttributeError, KeyError):
            message = (
                f"ptbxl_database.csv, row {number}: scp_codes is {row.get('scp_codes', '')[:40]!r}; it must map statements to likelihoods"
            )
            rejected.append(Rejected(name=name, reason=Reason.BAD_LABEL, message=message))
            continue
        patient = patient_id(row.get("patient_id") or "")
        one = LabelRow(
            row=number,
            record=name,
            label=ptbxl_label(codes, diagnostic),
            patient_id=f"ptbxl-{patient}" if patient else None,
            age=_age(row.get("age") or ""),
            sex="male" if _is(row, "sex", 0) else "female" if _is(row, "sex", 1) else None,
        )
        said.setdefault(name, []).append(one)
    rows, contradicted = _agreed(said, table="ptbxl_database.csv")
    return _not_empty(LabelledFolder(kind="ptbxl", files=files, rows=rows, rejected=(*rejected, *contradicted)), folder)


def _has_signals(header: Path) -> bool:
    return any(header.with_suffix(suffix).is_file() for suffix in SIGNAL_SUFFIXES)


def ptbxl_label(scp_codes: Mapping[str, float], diagnostic: Mapping[str, str]) -> Label | None:
    """Return the label of one PTB-XL recording.

    Parameters
    ----------
    scp_codes : statement -> likelihood in percent
    diagnostic : diagnostic statement -> its superclass

    >>> ptbxl_label({"NORM": 100.0, "SR": 0.0}, {"NORM": "NORM"}).value
    'normal'
    """
    classes = {diagnostic[code] for code, likelihood in scp_codes.items() if likelihood > 0 and code in diagnostic}
    if classes == {"NORM"}:
        return Label.NORMAL
    return Label.ABNORMAL if classes and "NORM" not in classes else None


def ptbdb(folder: Path) -> LabelledFolder:
    """Return the recordings below the patients' folders of the PTB Diagnostic database; the diagnosis is in each header.

    References
    ----------
    Bousseljot et al., Biomedizinische Technik 40(1), 1995.
    """
    files: dict[str, Path | None] = {}
    rows: dict[str, LabelRow] = {}
    for number, header in enumerate(sorted(folder.rglob(f"*{HEADER_SUFFIX}")), start=1):
        patient = header.parent.name
        name = f"{patient}/{header.stem}"
        files[name] = header
        person = read_comments(comment_lines(header.read_text(encoding="latin-1")))
        rows[name] = LabelRow(
            row=number,
            record=name,
            label=person.label,
            patient_id=f"ptbdb-{patient}" if patient_id(patient) else None,
            age=age_kept(person.age),
            sex=person.sex,
        )
    return _not_empty(LabelledFolder(kind="ptbdb", files=files, rows=rows), folder)


def heartbeats(folder: Path) -> LabelledFolder:
    """Return the heartbeat CSVs of a folder; each row brings its label in its last column, and no patient."""
    found = [file for suffix in CSV_SUFFIXES for file in sorted(folder.glob(f"*{suffix}"))]
    return _not_empty(LabelledFolder(kind="heartbeats", files={file.name: file for file in found}, rows={}), folder)


def labelled(folder: Path) -> LabelledFolder:
    """Read recordings of any format with a ``labels.csv``, laid out as for the inbox."""
    table = read_labels((folder / LABEL_TABLE).read_bytes(), name=LABEL_TABLE)
    said: dict[str, list[LabelRow]] = {}
    files: dict[str, Path | None] = {}
    for row in table.rows:
        name = _name_in(folder, row.record)
        path = _inside(folder, file_of(name), suffix=_ending(folder, name))
        said.setdefault(name, []).append(row)
        files[file_of(name)] = path if path.is_file() else None
    rows, contradicted = _agreed(said, table=LABEL_TABLE)
    return _not_empty(LabelledFolder(kind="labelled", files=files, rows=rows, rejected=(*table.rejected, *contradicted)), folder)


def _agreed(said: Mapping[str, Sequence[LabelRow]], *, table: str) -> tuple[dict[str, LabelRow], list[Rejected]]:
    """Return what the rows about each record say together; records whose rows contradict one another are rejected, and have none."""
    rows: dict[str, LabelRow] = {}
    contradicted: list[Rejected] = []
    for name, some in said.items():
        found = {column: {getattr(row, column) for row in some} - {None} for column in _COLUMNS[1:]}
        if all(len(values) <= 1 for values in found.values()):
            one = {column: next(iter(values), None) for column, values in found.items()}
            rows[name] = replace(some[0], label=one["label"], patient_id=one["patient_id"], age=one["age"], sex=one["sex"])
        else:
            numbers = ", ".join(str(row.row) for row in some)
            message = f"{table}, rows {numbers}: they contradict one another about {name}; keep those that are right"
            contradicted.append(Rejected(name=name, reason=Reason.BAD_LABEL, message=message))
    return rows, contradicted


def _name_in(folder: Path, record: str) -> str:
    """Return the name of the record that a row means, spelt as the file on the disk is where there is one."""
    spellings = next(iter(paths_meant(record, folder="")), (record,))
    for name in spellings[::-1]:
        for spelt in (name, unicodedata.normalize("NFD", name)):
            if (folder / f"{file_of(spelt)}{_ending(folder, spelt)}").is_file():
                return spelt
    return spellings[-1]


def _ending(folder: Path, name: str) -> str:
    """Return what follows a record's name in its file's name: a WFDB header's ending, or nothing for a file of any other format."""
    if "#" in name:
        return ""
    has_header = (folder / f"{name}{HEADER_SUFFIX}").is_file() or (is_signal(name) and not is_matlab(name))
    return "" if not has_header and (folder / name).is_file() else HEADER_SUFFIX


def detect(folder: Path) -> str | None:
    """Detect the layout of a folder, or return None.

    >>> detect(Path("/nowhere")) is None
    True
    """
    if (folder / "ptbxl_database.csv").is_file():
        return "ptbxl"
    if (folder / LABEL_TABLE).is_file():
        return "labelled"
    if next(folder.rglob(f"*{HEADER_SUFFIX}"), None) is not None:
        return "ptbdb"
    return "heartbeats" if any(any(folder.glob(f"*{suffix}")) for suffix in CSV_SUFFIXES) else None


def open_folder(folder: Path) -> LabelledFolder:
    """Open a labelled folder of any known layout.

    Raises
    ------
    BadInputError
        If its layout is not known, or there is no recording in it.
    """
    layout = detect(folder)
    if layout is None:
        raise BadInputError(
            Reason.UNKNOWN_FORMAT,
            f"{folder} has neither ptbxl_database.csv, nor {LABEL_TABLE}, nor WFDB headers as in the PTB database, nor heartbeat CSVs",
        )
    return LAYOUTS[layout](folder)


LAYOUTS: Mapping[str, Callable[[Path], LabelledFolder]] = {"ptbxl": ptbxl, "ptbdb": ptbdb, "heartbeats": heartbeats, "labelled": labelled}


def _not_empty(found: LabelledFolder, folder: Path) -> LabelledFolder:
    if not any(found.files.values()):
        raise BadInputError(Reason.INCOMPLETE, f"there is no {found.kind} recording in {folder}")
    return found


def _inside(folder: Path, name: str, *, suffix: str = HEADER_SUFFIX) -> Path:
    """Return the file that a table names, which must lie in the folder."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BadInputError(Reason.UNSAFE_PATH, f"{folder} names {name}, which points out of it")
    return path.with_name(path.name + suffix)


def _rows(file: Path) -> Iterator[dict[str, str]]:
    if not file.is_file():
        raise BadInputError(Reason.INCOMPLETE, f"{file} is missing; it comes with the data set")
    with file.open(newline="", encoding="utf-8-sig") as lines:
        yield from csv.DictReader(lines)


def _is(row: Mapping[str, str], column: str, value: float) -> bool:
    """Return whether a cell holds this number, written as ``1`` or as ``1.0``."""
    found = read_number((row.get(column) or "").encode())
    return found is not None and found == value


def _age(text: str) -> float | None:
    try:
        return age_kept(age_years(text))
    except UnclearError:
        return None
