"""Here: a run's table as CSV with its schema, and as XLSX. Not here: its columns (``report_columns``), HTML, or Parquet."""

import csv
import io
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, BinaryIO, cast

from ecg_tasks import report_columns
from ecg_tasks.reporting.escaping import cell, printable

ROWS_A_SHEET = 1_048_575
"""Rows of one sheet of XLSX, without its head: the format allows no more."""
TYPES = {str: "string", float: "number", int: "integer", bool: "boolean", date: "date"}
"""What the type of a column is called in the schema and in the data dictionary."""

Parts = Iterable[Mapping[str, Sequence[Any]]]
"""Columns of a table, some thousand rows at a time."""


def csv_pieces(parts: Parts, classes: Sequence[str] = ()) -> Iterator[bytes]:
    """Yield rows as CSV (UTF-8, commas, line feeds), head first; a missing value is an empty cell, a number has all its digits.

    Cells that a spreadsheet would run as a formula have an apostrophe in front. ``classes`` are those that the table reports.
    """
    columns = report_columns.columns_with(classes)
    yield csv_lines([[column.name for column in columns]])
    for part in parts:
        written = (part[column.name] if column.type in {int, float} else _column(part[column.name]) for column in columns)
        lines = io.StringIO(newline="")
        csv.writer(lines, lineterminator="\n").writerows(zip(*written, strict=True))  # which writes numbers and None as `_written` does
        yield lines.getvalue().encode()


def csv_lines(rows: Iterable[Iterable[Any]]) -> bytes:
    """Return rows of any table as lines of a CSV file, written as in ``csv_pieces``."""
    lines = io.StringIO(newline="")
    csv.writer(lines, lineterminator="\n").writerows([_written(value) for value in row] for row in rows)
    return lines.getvalue().encode()


def csv_file(parts: Parts, classes: Sequence[str] = ()) -> BinaryIO:
    """Write ``csv_pieces`` into a file without a name, to be read from its start; the taker closes it."""
    file = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - the taker closes it
    file.writelines(csv_pieces(parts, classes))
    file.seek(0)
    return file


def csv_schema(classes: Sequence[str] = ()) -> bytes:
    """Return what the columns of the CSV file of a table that reports these classes are, as a Table Schema.

    References
    ----------
    Frictionless Data, "Table Schema", version 1.
    """
    fields = [
        {"name": column.name, "type": TYPES[column.type], "description": column.description}
        | ({"title": column.head} if column.head else {})
        | ({"trueValues": ["yes"], "falseValues": ["no"]} if column.type is bool else {})
        for column in report_columns.columns_with(classes)
    ]
    schema = {"fields": fields, "primaryKey": ["record_id"], "missingValues": [""]}
    return (json.dumps(schema, indent=2, ensure_ascii=False) + "\n").encode()


def dictionary(classes: Iterable[str] = ()) -> Iterator[tuple[str, str, str]]:
    """Yield name, type and description of every column of a table that reports these classes, in the order of the files."""
    for column in report_columns.columns_with(classes):
        yield column.name, TYPES[column.type], column.description


def dictionary_csv(classes: Iterable[str] = ()) -> bytes:
    """Return the data dictionary of a table that reports these classes as CSV."""
    return csv_lines([("column", "type", "description"), *dictionary(classes)])


def xlsx_file(parts: Parts, classes: Sequence[str] = ()) -> BinaryIO:
    """Write rows as a workbook into a file without a name, to be read from its start; the taker closes it.

    Texts are texts, never formulas or links. Memory holds one row; a table of more than ``ROWS_A_SHEET`` rows goes on in a next sheet.
    """
    import xlsxwriter

    file = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - the taker closes it
    plain = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    names = [column.name for column in report_columns.columns_with(classes)]
    rows = (row for part in parts for row in zip(*(part[name] for name in names), strict=True))
    with xlsxwriter.Workbook(file, plain) as book:
        sheet, at = None, 0
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        for row in rows:
            if sheet is None or at > ROWS_A_SHEET:
                sheet, at = _sheet(book, names), 1
            for place, value in enumerate(row):
                if isinstance(value, str):
                    sheet.write_string(at, place, printable(value))
                elif isinstance(value, date):
                    sheet.write_datetime(at, place, value, day)
                elif value is not None:
                    sheet.write(at, place, value)
            at += 1
        if sheet is None:
            _sheet(book, names)
    file.seek(0)
    return file


def _sheet(book: Any, names: Sequence[str]) -> Any:
    sheet = book.add_worksheet()
    sheet.freeze_panes(1, 0)
    sheet.write_row(0, 0, names)
    return sheet


def _column(values: Sequence[Any]) -> list[str]:
    """Return the values of a column of texts, days, or yes and no as cells; few of them differ in most."""
    known: dict[Any, str] = {value: _written(value) for value in set(values)}
    return [known[value] for value in values]


def _written(value: str | float | bool | date | None) -> str:  # noqa: FBT001 - a value of a column
    """Return one value as a cell."""
    if value is None:
        return ""
    if isinstance(value, str):
        return cell(value)
    if isinstance(value, date):
        return value.isoformat()
    return ("yes" if value else "no") if isinstance(value, bool) else repr(value)
