"""Here: ``labels.csv``, the truth and the patient behind each recording. Not here: finding the recording that a row speaks of."""

import csv
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.labels import Label
from ecg_tasks.signals.reading.results import MAX_CONTENT_CHARS, Rejected
from ecg_tasks.signals.reading.text_file import unpack

MAX_TABLE_BYTES = 64 * 1024 * 1024
"""A table may have this many bytes once unpacked."""
MAX_ROWS = 250_000
"""Rows that one table may hold; PTB-XL's has 21,799."""
MAX_LINE_CHARS = 1024 * 1024
MAX_COLUMNS = 1000
MAX_AGE_YEARS = 130
HIDDEN_AGE = 300
"""PTB-XL gives this age to everybody above 89, for privacy; it is read as unknown."""

_REQUIRED = ("record", "label")
_LABELS: Mapping[str, Label | None] = {
    "": None,
    "0": Label.NORMAL,
    "0.0": Label.NORMAL,
    "1": Label.ABNORMAL,
    "1.0": Label.ABNORMAL,
    **{label.value: label for label in Label},
}
_SEXES: Mapping[str, Literal["female", "male"]] = {"f": "female", "female": "female", "m": "male", "male": "male"}


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
    """Years."""
    sex: Literal["female", "male"] | None


@dataclass(frozen=True, kw_only=True)
class LabelTable:
    """The rows of one ``labels.csv``, in its order; where two speak of one recording, the later one holds."""

    rows: tuple[LabelRow, ...]
    rejected: tuple[Rejected, ...] = ()


def read_labels(data: bytes, *, name: str) -> LabelTable:
    """Read ``labels.csv``: columns ``record`` and ``label``, optionally ``patient_id``, ``age`` (years) and ``sex``, in any order.

    A label is ``0`` or ``normal``, ``1`` or ``abnormal``, ``uninterpretable``, or empty. Other columns are passed over.
    A row is rejected by itself for a wrong number of fields, no record, an unknown label, or an age that is none.

    Raises
    ------
    BadInputError
        ``unreadable`` when the file is no UTF-8 text, no CSV, or lacks one of the two columns; ``too_large``.
    """
    lines = csv.reader(_lines(unpack(data, name=name, max_bytes=MAX_TABLE_BYTES), name=name), strict=True)
    rows: list[LabelRow] = []
    rejected: list[Rejected] = []
    columns: list[str] | None = None
    try:
        for fields in lines:
            if not any(field.strip() for field in fields):
                continue
            if columns is None:
                columns = _columns(fields, name=name)
                continue
            if len(rows) + len(rejected) == MAX_ROWS:
                raise BadInputError(Reason.TOO_LARGE, f"{name}: more than {MAX_ROWS} rows; split the table")
            try:
                rows.append(_row(fields, columns, row=lines.line_num, name=name))
            except BadInputError as error:
                content = ",".join(fields[:MAX_CONTENT_CHARS])[:MAX_CONTENT_CHARS]
                rejected.append(Rejected(name=f"{name}#{lines.line_num}", reason=error.reason, message=error.message, content=content))
    except csv.Error as error:
        raise BadInputError(Reason.UNREADABLE, f"{name}, line {lines.line_num}: not CSV ({error})") from None
    return LabelTable(rows=tuple(rows), rejected=tuple(rejected))


def _lines(text: bytes, *, name: str) -> Iterator[str]:
    """The lines of the table, one in memory at a time, with their ends, which may stand inside quotes."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInputError(Reason.UNREADABLE, f"{name}: byte {error.start} is not UTF-8") from None
    for number, line in enumerate(io.TextIOWrapper(io.BytesIO(text), encoding="utf-8", newline=""), start=1):
        if len(line) > MAX_LINE_CHARS:
            raise BadInputError(Reason.TOO_LARGE, f"{name}, line {number}: {len(line)} characters; at most {MAX_LINE_CHARS} are read")
        yield line


def _columns(fields: list[str], *, name: str) -> list[str]:
    if len(fields) > MAX_COLUMNS:
        raise BadInputError(Reason.TOO_LARGE, f"{name}: {len(fields)} columns; at most {MAX_COLUMNS} are read")
    columns = [field.strip().lower() for field in fields]
    for required in _REQUIRED:
        if columns.count(required) != 1:
            shown = ", ".join(columns)[:200]
            raise BadInputError(Reason.UNREADABLE, f"{name}: the first line must name the column {required!r} once; it names: {shown}")
    return columns


def _row(fields: list[str], columns: list[str], *, row: int, name: str) -> LabelRow:
    where = f"{name}#{row}"
    if len(fields) != len(columns):
        raise BadInputError(Reason.WRONG_WIDTH, f"{where}: {len(fields)} fields; the first line names {len(columns)} columns")
    values = dict(zip(columns, (field.strip() for field in fields), strict=True))
    if not values["record"]:
        raise BadInputError(Reason.BAD_LABEL, f"{where}: the record is not named")
    label = values["label"].lower()
    if label not in _LABELS:
        known = ", ".join(repr(known) for known in _LABELS)
        raise BadInputError(Reason.BAD_LABEL, f"{where}: the label is {label[:40]!r}; it must be one of {known}")
    return LabelRow(
        row=row,
        record=values["record"],
        label=_LABELS[label],
        patient_id=values.get("patient_id") or None,
        age=_age(values.get("age", ""), where=where),
        sex=_SEXES.get(values.get("sex", "").lower()),
    )


def _age(text: str, *, where: str) -> float | None:
    if not text:
        return None
    try:
        age = float(text)
    except ValueError:
        raise BadInputError(Reason.NOT_NUMERIC, f"{where}: the age is {text[:40]!r}; it must be a number of years, or empty") from None
    if age == HIDDEN_AGE or math.isnan(age):
        return None
    if not 0 <= age <= MAX_AGE_YEARS:
        raise BadInputError(Reason.OUT_OF_RANGE, f"{where}: the age is {age:g} years; it must be 0 to {MAX_AGE_YEARS}")
    return age
