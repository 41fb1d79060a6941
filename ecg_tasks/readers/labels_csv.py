"""Here: ``labels.csv``, the truth and the patient behind each recording. Not here: finding the recording that a row speaks of."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.labels import ClassList, Label
from ecg_tasks.names import CollectionName
from ecg_tasks.readers.base import MAX_CONTENT_CHARS, Rejected
from ecg_tasks.readers.file_names import LABEL_TABLE, is_header, is_label_table, is_like_a_label_table
from ecg_tasks.readers.person import UnclearError, age_kept, age_years, id_within, patient_id, sex_of
from ecg_tasks.readers.text_file import unpack, unpacked_head

MAX_TABLE_BYTES = 64 * 1024 * 1024
"""A table may have this many bytes once unpacked."""
MAX_ROWS = 250_000
"""Rows that one table may hold; PTB-XL's has 21,799."""
MAX_LINES = 2 * MAX_ROWS
"""Blank lines, and lines inside quotes, count too: tens of millions of them cost seconds."""
MAX_LINE_CHARS = 1024 * 1024
MAX_COLUMNS = 1000
_DELIMITERS = ",;\t"
_REQUIRED = ("record", "label")
_OPTIONAL = ("patient_id", "age", "sex", "classes", "fold", "collection")
_EARLIER_NAMES = {"superclasses": "classes"}
_FOLD = re.compile(r"(\d{1,4})(?:\.0*)?", re.ASCII)
_LABELS: Mapping[str, Label | None] = {
    "": None,
    "0": Label.NORMAL,
    "0.0": Label.NORMAL,
    "1": Label.ABNORMAL,
    "1.0": Label.ABNORMAL,
    **{label.value: label for label in Label},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelRow:
    """What one row says of one recording; None where it says nothing."""

    row: int
    """Line of the file on which the row ends; the line of column names is 1."""
    record: str
    """The recording as the file names it: a path relative to the file, with or without extension, or ``file.csv#row``."""
    label: Label | None
    patient_id: str | None
    age: float | None
    """Years; above 89 it is 90."""
    sex: Literal["female", "male"] | None
    classes: ClassList | None = None
    fold: int | None = None
    """Of the source's own protocol, from 1 on; it decides the split."""
    collection: CollectionName | None = None
    """The public collection that gave the patient's id."""
    dropped: tuple[str, ...] = ()
    """Columns whose text could not be used: an age that is none, a patient's id that was rounded, a class that is no name."""


@dataclass(frozen=True, kw_only=True)
class LabelTable:
    """The rows of one ``labels.csv``, in its order."""

    rows: tuple[LabelRow, ...]
    rejected: tuple[Rejected, ...] = ()


def read_labels(data: bytes, *, name: str) -> LabelTable:
    """Read ``labels.csv``: columns ``record`` and ``label``, and optional ones, in any order.

    Optional are ``patient_id``, ``age`` (years), ``sex``, ``classes``, ``fold`` and ``collection``.

    A label is ``0`` or ``normal``, ``1`` or ``abnormal``, ``uninterpretable``, or empty. Classes are a `ClassList`, such as ``MI STTC``; a
    fold is a whole number from 1 on; a collection is one of `CollectionName`, and then the patient's id is read with it before it. Other
    columns are passed over. The columns are parted by commas, semicolons or tabs. Ids and ages are read as ``person`` says; what cannot be
    used of the optional columns is dropped, never the row, but for a fold.
    A row is rejected by itself for a wrong number of fields, no record, an unknown label, classes that contradict the label, or a fold that
    is none: it would have decided what the recording is used for.

    Raises
    ------
    BadInputError
        ``unreadable`` when the file is no UTF-8 text, no CSV, lacks one of the two columns or has one twice; ``too_large``.
    """
    text = unpack(data, name=name, max_bytes=MAX_TABLE_BYTES)
    lines = csv.reader(_lines(text, name=name), delimiter=_header_delimiter(text) or _DELIMITERS[0], strict=True)
    rows: list[LabelRow] = []
    rejected: list[Rejected] = []
    columns: _Columns | None = None
    try:
        for fields in lines:
            if not fields or not any(field.strip() for field in fields):
                continue
            if columns is None:
                columns = _columns(fields, name=name)
                continue
            if len(rows) + len(rejected) == MAX_ROWS:
                raise BadInputError(Reason.TOO_LARGE, f"{name}: more than {MAX_ROWS:,} rows; split the table")
            try:
                rows.append(_row(fields, columns, row=lines.line_num, name=name))
            except BadInputError as error:
                content = ",".join(fields[:MAX_CONTENT_CHARS])[:MAX_CONTENT_CHARS]
                rejected.append(Rejected(name=f"{name}#{lines.line_num}", reason=error.reason, message=error.message, content=content))
    except csv.Error as error:
        raise BadInputError(Reason.UNREADABLE, f"{name}, line {lines.line_num} is not CSV ({error})") from None
    if columns is None:
        raise BadInputError(Reason.UNREADABLE, f"{name}: the file is empty")
    return LabelTable(rows=tuple(rows), rejected=tuple(rejected))


def _lines(text: bytes, *, name: str) -> Iterator[str]:
    """Yield the lines of the table, one in memory at a time, with their ends, which may stand inside quotes."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInputError(Reason.UNREADABLE, f"{name}: byte {error.start} is not UTF-8") from None
    for number, line in enumerate(io.TextIOWrapper(io.BytesIO(text), encoding="utf-8", newline=""), start=1):
        if number > MAX_LINES:
            raise BadInputError(Reason.TOO_LARGE, f"{name}: more than {MAX_LINES:,} lines; remove blank lines, or split the table")
        if len(line) > MAX_LINE_CHARS:
            raise BadInputError(Reason.TOO_LARGE, f"{name}, line {number}: {len(line)} characters; the limit is {MAX_LINE_CHARS:,}")
        yield line


def misnamed(path: str, head: bytes) -> BadInputError | None:
    """Tell what to call a file that is a label table under a name that is not read as one; None for any other file.

    Parameters
    ----------
    path : of a file that is to be read as a recording
    head : its first bytes
    """
    if is_header(path):
        return None
    text = unpacked_head(head)
    is_table = is_label_table(path) or is_like_a_label_table(path) or _header_delimiter(text.removeprefix(b"\xef\xbb\xbf"))
    if not is_table:
        return None
    sentence = f"{path} looks like a label table; save it as CSV (UTF-8), call it {LABEL_TABLE}, and drop it beside its recordings"
    return BadInputError(Reason.UNKNOWN_FORMAT, sentence)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Columns:
    """Where each column stands; -1 for one that is not there."""

    n: int
    record: int
    label: int
    patient_id: int
    age: int
    sex: int
    classes: int
    fold: int
    collection: int


def _header_delimiter(text: bytes) -> str | None:
    """Return the sign that parts the names of the columns that must be there, or None if the first line does not name them."""
    first = text.lstrip()[:MAX_LINE_CHARS].partition(b"\n")[0].decode("utf-8", "replace").lower()
    return next((sign for sign in _DELIMITERS if {*_REQUIRED} <= {cell.strip(' \r"') for cell in first.split(sign)}), None)


def _columns(fields: list[str], *, name: str) -> _Columns:
    if len(fields) > MAX_COLUMNS:
        raise BadInputError(Reason.TOO_LARGE, f"{name}: {len(fields)} columns; the limit is {MAX_COLUMNS:,}")
    columns = [_EARLIER_NAMES.get(column, column) for column in (field.strip().lower() for field in fields)]
    for required in _REQUIRED:
        if columns.count(required) != 1:
            shown = ", ".join(columns)[:200]
            raise BadInputError(
                Reason.UNREADABLE, f"{name}: the first line must have the column {required!r} once; its columns are: {shown}"
            )
    for optional in _OPTIONAL:
        if columns.count(optional) > 1:
            raise BadInputError(Reason.UNREADABLE, f"{name}: the first line has the column {optional!r} {columns.count(optional)} times")
    place = {column: columns.index(column) if column in columns else -1 for column in (*_REQUIRED, *_OPTIONAL)}
    return _Columns(n=len(columns), **place)


def _row(fields: Sequence[str], columns: _Columns, *, row: int, name: str) -> LabelRow:
    if len(fields) != columns.n:
        raise BadInputError(Reason.WRONG_WIDTH, f"{name}#{row}: the row has {len(fields)} fields; the first line has {columns.n}")
    record = fields[columns.record].strip()
    if not record:
        raise BadInputError(Reason.BAD_LABEL, f"{name}#{row}: the row names no record")
    label = fields[columns.label].strip().lower()
    if label not in _LABELS:
        known = ", ".join(repr(known) for known in _LABELS)
        raise BadInputError(Reason.BAD_LABEL, f"{name}#{row}: the label is {label[:40]!r}; it must be one of {known}")
    values: dict[str, Any] = {"patient_id": None, "age": None, "classes": None}
    dropped: tuple[str, ...] = ()
    for column, read in _READ.items():
        if (place := getattr(columns, column)) >= 0:
            try:
                values[column] = read(fields[place])
            except UnclearError:
                dropped += (column,)
    if (collection := values.get("collection")) and values["patient_id"]:
        values["patient_id"] = id_within(collection, values["patient_id"])
    if values["classes"] is not None and (contradiction := values["classes"].contradicts(_LABELS[label])):
        raise BadInputError(Reason.BAD_LABEL, f"{name}#{row}: {contradiction}; leave one of the two empty")
    return LabelRow(
        row=row,
        record=record,
        label=_LABELS[label],
        sex=sex_of(fields[columns.sex]) if columns.sex >= 0 else None,
        fold=_fold(fields[columns.fold], row=row, name=name) if columns.fold >= 0 else None,
        **values,
        dropped=dropped,
    )


def _age(text: str) -> float | None:
    return age_kept(age_years(text))


def _classes(text: str) -> ClassList | None:
    try:
        return ClassList.read(text)
    except ValueError as error:
        raise UnclearError(str(error)) from None


def _fold(text: str, *, row: int, name: str) -> int | None:
    if not text.strip():
        return None
    if (found := _FOLD.fullmatch(text.strip())) and int(found[1]) > 0:
        return int(found[1])
    message = f"{name}#{row}: the fold is {text.strip()[:40]!r}; it must be a whole number from 1 on, or empty"
    raise BadInputError(Reason.BAD_LABEL, message)


def _collection(text: str) -> CollectionName | None:
    if not text.strip():
        return None
    try:
        return CollectionName(text.strip().lower())
    except ValueError:
        raise UnclearError(f"a collection is one of {', '.join(CollectionName)}") from None


_READ: Mapping[str, Callable[[str], object]] = {
    "patient_id": patient_id,
    "age": _age,
    "classes": _classes,
    "collection": _collection,
}
"""Columns whose text may be unclear."""
