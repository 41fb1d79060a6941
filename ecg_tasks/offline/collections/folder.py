"""Here: a data set on a disk as files, labels and what goes into the inbox; what a collection is. Not here: any one collection's layout."""

import csv
import io
import posixpath
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.names import CollectionName
from ecg_tasks.readers.base import Rejected
from ecg_tasks.readers.file_names import HEADER_SUFFIX, LABEL_TABLE, SIDECAR, SIGNAL_SUFFIXES, is_header, sidecars_of
from ecg_tasks.readers.labels_csv import LabelRow
from ecg_tasks.readers.person import UnclearError, age_kept, age_years, id_within, patient_id
from ecg_tasks.readers.table_notation import read_number
from ecg_tasks.readers.wfdb.header import comment_lines

Content = bytes | Path | Callable[[], bytes]
"""A file's bytes, where to read them when their turn comes, or what makes them then."""

MOST_ROWS = 100_000
"""Rows of one label table in the inbox; more go into further ones."""
_COLUMNS = ("record", "label", "patient_id", "age", "sex")
_MORE_COLUMNS = ("classes", "fold", "collection")
_HEADERS_LOOKED_AT = 5


@dataclass(frozen=True, kw_only=True)
class LabelledFolder:
    """A data set on a disk.

    Parameters
    ----------
    kind : its layout, and how its folder in the inbox is called
    files : name of a recording (of WFDB its header without extension) or of a file, to where it lies; None where it is not there
    rows : name of a record to its row in the dataset's table; rows of a heartbeat CSV may have none
    rejected : what the data set says of a recording and cannot be understood
    made : name of a file that is cut out of the one where it lies, to what makes its bytes
    sidecar : of every file that is no WFDB recording and has none beside it on the disk; empty where they need none
    unknown : statement that the collection's table does not have, to the number of recordings with it
    """

    kind: str
    files: Mapping[str, Path | None]
    rows: Mapping[str, LabelRow]
    rejected: tuple[Rejected, ...] = field(default=())
    made: Mapping[str, Callable[[], bytes]] = field(default_factory=dict)
    sidecar: bytes = b""
    unknown: Mapping[str, int] = field(default_factory=dict)

    def for_inbox(self) -> list[tuple[str, Content]]:
        """Return the files that are there, named as in the inbox, and ``labels.csv`` about them."""
        found: dict[str, Content] = {}
        for name, path in self.files.items():
            if path is None:
                continue
            if not is_header(path.name):
                place = posixpath.dirname(f"{self.kind}/{name}")
                beside = [file for sidecar in sidecars_of(path.name) if (file := path.with_name(sidecar)).is_file()]
                found[f"{self.kind}/{name}"] = self.made.get(name, path)
                if beside and name not in self.made:
                    found |= {f"{place}/{file.name}": file for file in beside}
                elif self.sidecar:
                    found[f"{place}/{SIDECAR}"] = self.sidecar
                continue
            for suffix in (HEADER_SUFFIX, *SIGNAL_SUFFIXES):
                if (file := path.with_suffix(suffix)).is_file():
                    found[f"{self.kind}/{name}{suffix}"] = file
        return [*found.items(), *self._label_tables()]

    def collection_of(self, row: LabelRow) -> CollectionName | None:
        """Return the public collection that gave the patient's id of a row; None where no patient is known, or the id is private."""
        if row.patient_id is None:
            return None
        return row.collection or (CollectionName(self.kind) if self.kind in set(CollectionName) else None)

    def counts(self) -> Counter[str]:
        """Count the recordings that are there by label, and by class; without a label as ``without label``."""
        there = [row for name, row in self.rows.items() if self.files[file_of(name)] is not None]
        found = Counter(row.label.value if row.label else "without label" for row in there)
        return found + Counter(name for row in there if row.classes for name in row.classes.names)

    def _label_tables(self) -> Iterator[tuple[str, bytes]]:
        """Yield the tables, each read by itself; the second is called as a browser calls a second copy, which is read as well."""
        there = [(name, row) for name, row in self.rows.items() if self.files[file_of(name)] is not None]
        rows = [(name, replace(row, collection=self.collection_of(row))) for name, row in there]
        more = [column for column in _MORE_COLUMNS if any(getattr(row, column) is not None for _, row in rows)]
        for number, first in enumerate(range(0, len(rows), MOST_ROWS)):
            text = io.StringIO()
            table = csv.writer(text)
            table.writerow((*_COLUMNS, *more))
            table.writerows(_cells(name, row, more) for name, row in rows[first : first + MOST_ROWS])
            stem, dot, suffix = LABEL_TABLE.partition(".")
            yield f"{self.kind}/{stem}{f' ({number})' if number else ''}{dot}{suffix}", text.getvalue().encode()


@dataclass(frozen=True, kw_only=True)
class Collection:
    """A public data set: how its folder is recognised, and what is in it.

    Parameters
    ----------
    name : what it is called in commands, and how its folder in the inbox is called
    title : its own name
    knows : tells whether a folder is laid out as this data set
    read : returns its recordings and labels; raises `BadInputError` where a file is missing that comes with the data set
    """

    name: str
    title: str
    knows: Callable[[Path], bool]
    read: Callable[[Path], LabelledFolder]


def file_of(record: str) -> str:
    """Return the recording or the file that a record is in.

    >>> file_of("beats.csv#12"), file_of("patient001/s0010_re")
    ('beats.csv', 'patient001/s0010_re')
    """
    return record.rpartition("#")[0] or record


def agreed(said: Mapping[str, Sequence[LabelRow]], *, table: str) -> tuple[dict[str, LabelRow], list[Rejected]]:
    """Return what the rows about each record say together; records whose rows contradict one another are rejected, and have none."""
    rows: dict[str, LabelRow] = {}
    contradicted: list[Rejected] = []
    for name, some in said.items():
        found = {column: {getattr(row, column) for row in some} - {None} for column in (*_COLUMNS[1:], *_MORE_COLUMNS)}
        if all(len(values) <= 1 for values in found.values()):
            one = {column: next(iter(values)) for column, values in found.items() if values}
            rows[name] = replace(some[0], **one)
        else:
            numbers = ", ".join(str(row.row) for row in some)
            message = f"{table}, rows {numbers}: they contradict each other about {name}; keep the right one"
            contradicted.append(Rejected(name=name, reason=Reason.BAD_LABEL, message=message))
    for name, message in _in_two_folds(rows, table=table).items():
        del rows[name]
        contradicted.append(Rejected(name=name, reason=Reason.BAD_LABEL, message=message))
    return rows, contradicted


def _in_two_folds(rows: Mapping[str, LabelRow], *, table: str) -> dict[str, str]:
    """Return the records whose patients are in two folds, and a sentence for each."""
    of_patient: dict[str, dict[int, LabelRow]] = {}
    for row in rows.values():
        if row.patient_id and row.fold:
            of_patient.setdefault(row.patient_id, {}).setdefault(row.fold, row)
    found = {}
    for name, row in rows.items():
        folds = of_patient.get(row.patient_id or "", {})
        if len(folds) > 1:
            said = " and ".join(f"{fold} in row {one.row}" for fold, one in sorted(folds.items()))
            found[name] = f"{table}, row {row.row}: the patient of {name} is in two folds, {said}; keep the right one"
    return found


def not_empty(found: LabelledFolder, folder: Path) -> LabelledFolder:
    """Return what was found, if there is any recording in it."""
    if not any(found.files.values()):
        raise BadInputError(Reason.INCOMPLETE, f"there is no {found.kind} recording in {folder}")
    return found


def inside(folder: Path, name: str, *, suffix: str = HEADER_SUFFIX) -> Path:
    """Return the file that a table names, which must lie in the folder."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BadInputError(Reason.UNSAFE_PATH, f"{folder} names {name}, which is outside of it")
    return path.with_name(path.name + suffix)


def table_rows(file: Path, *columns: str) -> Iterator[dict[str, str]]:
    """Yield the rows of a data set's table, by the names of its columns; a cell that is not there is empty.

    Raises
    ------
    BadInputError
        ``incomplete`` where the file is missing; ``unreadable`` where it is no CSV in UTF-8, or lacks one of ``columns``.
    """
    if not file.is_file():
        raise BadInputError(Reason.INCOMPLETE, f"{file} is missing; it comes with the data set")
    with file.open(newline="", encoding="utf-8-sig") as lines:
        try:
            table = csv.DictReader(lines, restval="")
            if lacking := [column for column in columns if column not in (table.fieldnames or ())]:
                message = f"{file} has no column {', '.join(lacking)}, so it is not this data set's table"
                raise BadInputError(Reason.UNREADABLE, message)
            yield from table
        except (UnicodeDecodeError, csv.Error) as error:
            raise BadInputError(Reason.UNREADABLE, f"{file} is not CSV in UTF-8 ({type(error).__name__}); save it as that") from None


def has_columns(file: Path, *columns: str) -> bool:
    """Tell whether a file is there and its first line names these columns."""
    if not file.is_file():
        return False
    with file.open(newline="", encoding="utf-8-sig", errors="replace") as lines:
        return {*columns} <= {cell.strip() for cell in next(csv.reader(lines), [])}


def headers(folder: Path) -> list[Path]:
    """Return all WFDB headers below a folder, in the order of their paths."""
    return sorted(folder.rglob(f"*{HEADER_SUFFIX}"))


def comments_of(header: Path) -> tuple[str, ...]:
    """Return the comments of a WFDB header on the disk."""
    return comment_lines(header.read_text(encoding="latin-1"))


def first_comments(folder: Path) -> list[str]:
    """Return the comments of the first WFDB headers that are found below a folder."""
    some = [header for header, _ in zip(folder.rglob(f"*{HEADER_SUFFIX}"), range(_HEADERS_LOOKED_AT), strict=False)]
    return [comment for header in some for comment in comments_of(header)]


def values_of(comments: Iterable[str]) -> dict[str, str]:
    """Return the comments that are ``key: value``, by the key in lower case; of several with one key the first.

    >>> values_of(["<age>: 51", "Dx: 426783006", "no key"])
    {'<age>': '51', 'dx': '426783006'}
    """
    found: dict[str, str] = {}
    for comment in comments:
        key, colon, value = comment.partition(":")
        if colon:
            found.setdefault(key.strip().lower(), value.strip())
    return found


def path_in(folder: Path, header: Path) -> str:
    """Return the name of a WFDB recording: its path below the folder, without the ending."""
    return header.relative_to(folder).with_suffix("").as_posix()


def age_of(text: str) -> float | None:
    """Return an age in years, 90 for all above 89, or None where the text is none."""
    try:
        return age_kept(age_years(text))
    except UnclearError:
        return None


def person_of(collection: str, text: str) -> str | None:
    """Return a patient's id with the collection that gave it, or None where the text names no person."""
    try:
        found = patient_id(text)
    except UnclearError:
        return None
    return id_within(collection, found) if found else None


def is_number(row: Mapping[str, str], column: str, value: float) -> bool:
    """Return whether a cell holds this number, written as ``1`` or as ``1.0``."""
    found = read_number((row.get(column) or "").encode())
    return found is not None and found == value


def _cells(name: str, row: LabelRow, more: Sequence[str]) -> tuple[str, ...]:
    age = "" if row.age is None else f"{row.age:g}"
    own = {name: "" if (value := getattr(row, name)) is None else str(value) for name in more}
    return name, row.label or "", row.patient_id or "", age, row.sex or "", *(own[column] for column in more)
