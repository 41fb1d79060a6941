"""Here: reports of before 2026-11-29, which have no table but a CSV file: it is made into one. Not here: reports that have a table.

This is the only place where a CSV file that this program wrote is read back. Its numbers have the six decimals that it was written with.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from itertools import islice
from typing import Any

from ecg_tasks import report_columns
from ecg_tasks.archive.predictions import ROWS_AT_ONCE, RunTable
from ecg_tasks.archive.run_table_writer import RunTableWriter
from ecg_tasks.reporting.escaping import uncell

_READERS: Mapping[type, Callable[[str], Any]] = {float: float, int: int, bool: lambda cell: cell == "yes", date: date.fromisoformat}


def table_of_csv(pieces: Iterable[bytes]) -> RunTable:
    """Make the table of a report's CSV file; a column that it lacks is none."""
    rows = csv.DictReader(_lines(pieces))
    with RunTableWriter() as writer:
        while some := list(islice(rows, ROWS_AT_ONCE)):
            columns = report_columns.COLUMNS
            writer.append({column.name: [_typed(row.get(column.name), column.type) for row in some] for column in columns})
        return writer.finish()


def _typed(cell: str | None, kind: type) -> Any:
    if not cell:
        return None
    return uncell(cell) if kind is str else _READERS[kind](cell)


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """Yield lines with their ends; a line break inside a quoted cell is the CSV reader's business."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line.decode() + "\n" for line in whole)
    if rest:
        yield rest.decode()
