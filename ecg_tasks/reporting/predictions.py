"""Here: what a run says of each record, as a table on the disk. Not here: the CSV file and the list made from it (``tables``)."""

import math
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.labels import Decision, Label

_RECORD_ID = re.compile(r"[0-9a-f]{32}")
ROWS_AT_ONCE = 4096
"""Rows that are in memory together."""


@dataclass(frozen=True, kw_only=True)
class PredictionRow:
    """What the run says of one record; ``probability`` is P(abnormal), None when no window could be used."""

    record_id: str
    name: str
    source_sha256: str
    decision: Decision
    probability: float | None
    recipe: str
    version: str
    n_windows: int
    n_used: int
    quality: float
    """Mean signal quality of the windows, 0 (useless) to 1."""
    flags: str
    """Why the quality is low, and what was done to the recording: comma-joined codes, or empty."""
    seconds_read: str
    """The seconds that the decision rests on, such as ``0-20 of 25 s``; empty for a heartbeat row, and in older tables."""
    label: Label | None
    synthetic: bool

    def __post_init__(self) -> None:
        if not _RECORD_ID.fullmatch(self.record_id):
            raise ValueError(f"record_id is {self.record_id!r}; it must be 32 lower-case hex digits")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "PredictionRow":
        """Take one row of a table, where NaN, None and the empty text all mean "none"."""
        probability = values["probability"]
        label = values["label"]
        return cls(
            record_id=str(values["record_id"]),
            name=str(values["name"]),
            source_sha256=str(values["source_sha256"]),
            decision=Decision(values["decision"]),
            probability=None if probability is None or math.isnan(probability) else float(probability),
            recipe=str(values["recipe"]),
            version=str(values["version"]),
            n_windows=int(values["n_windows"]),
            n_used=int(values["n_used"]),
            quality=float(values["quality"]),
            flags=_text(values["flags"]),
            seconds_read=_text(values["seconds_read"]),
            label=Label(label) if _text(label) else None,
            synthetic=bool(values["synthetic"]),
        )


PREDICTION_COLUMNS = tuple(column.name for column in fields(PredictionRow))
"""Columns of the predictions, one row a record."""


class Predictions:
    """Rows of ``PREDICTION_COLUMNS``, in the order in which they were added.

    A night of a million records takes no more memory here than one of a thousand: the rows lie in a database of SQLite that has no
    name and goes with this object. It belongs to the thread that made it.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("")  # the empty name: on the disk, for as long as it is open
        self._database.execute(f"CREATE TABLE predictions ({', '.join(PREDICTION_COLUMNS)})")

    def __len__(self) -> int:
        return int(next(self.select(("count(*)",)))[0])

    def __del__(self) -> None:
        self._database.close()

    def add(self, columns: Mapping[str, Sequence[Any] | NDArray[Any]]) -> None:
        """Append rows, given as columns of plain Python or NumPy values; a NaN and None are the same.

        Raises
        ------
        ValueError
            If a column is missing, or the columns are not of one length.
        """
        if missing := [name for name in PREDICTION_COLUMNS if name not in columns]:
            raise ValueError(f"predictions lack the columns {missing}")
        plain = [value.tolist() if isinstance(value := columns[name], np.ndarray) else value for name in PREDICTION_COLUMNS]
        marks = ", ".join("?" * len(PREDICTION_COLUMNS))
        with self._database:
            self._database.executemany(f"INSERT INTO predictions VALUES ({marks})", zip(*plain, strict=True))  # noqa: S608 - marks only

    def select(self, columns: Sequence[str], then: str = "", *parameters: object) -> Iterator[tuple[Any, ...]]:
        """Rows as tuples, a few at a time; ``then`` is what follows the table's name in SQL, with ``parameters`` for its marks."""
        cursor = self._database.execute(f"SELECT {', '.join(columns)} FROM predictions {then}", parameters)  # noqa: S608 - our own words
        cursor.arraysize = ROWS_AT_ONCE
        while block := cursor.fetchmany():
            yield from block

    @property
    def decisions(self) -> dict[Decision, int]:
        """How many records got each decision; every decision is there, with 0 where it did not occur."""
        counts = dict(self.select(("decision", "count(*)"), "GROUP BY decision"))
        if unknown := counts.keys() - {str(decision) for decision in Decision}:
            raise ValueError(f"unknown decisions {sorted(unknown)}")
        return {decision: counts.get(str(decision), 0) for decision in Decision}

    @property
    def n_synthetic(self) -> int:
        """How many of the records were made by a program."""
        return int(next(self.select(("count(*)",), "WHERE synthetic"))[0])

    @property
    def n_by_model(self) -> dict[tuple[str, str], int]:
        """How many records each (recipe, version) decided on."""
        return {(recipe, version): n for recipe, version, n in self.select(("recipe", "version", "count(*)"), "GROUP BY recipe, version")}

    def repeated(self) -> str | None:
        """The id of a record that has more than one row, if there is any."""
        found = next(self.select(("record_id",), "GROUP BY record_id HAVING count(*) > 1 ORDER BY record_id LIMIT 1"), None)
        return None if found is None else str(found[0])

    def scores(self, recipe: str, version: str) -> Iterator[tuple[NDArray[np.object_], NDArray[np.float64]]]:
        """Decisions and probabilities (NaN for none) of the records that a model decided on, some thousand at a time."""
        rows = self.select(("decision", "probability"), "WHERE recipe = ? AND version = ?", recipe, version)
        while block := list(islice(rows, ROWS_AT_ONCE)):
            decision, probability = zip(*block, strict=True)
            yield np.array(decision, dtype=object), np.array(probability, dtype=np.float64)

    def rows(self, record_ids: Sequence[str]) -> list[PredictionRow]:
        """Rows of the given records, in the order asked for; a ``KeyError`` names what is missing."""
        found = {row.record_id: row for row in map(_row, self._among(PREDICTION_COLUMNS, record_ids))}
        return [found[record_id] for record_id in record_ids]

    def numbers(self, record_ids: Sequence[str]) -> dict[str, int]:
        """At which place, from 0, the rows of the given records were added."""
        return {record_id: number - 1 for record_id, number in self._among(("record_id", "rowid"), record_ids)}

    def _among(self, columns: Sequence[str], record_ids: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        with self._database:
            self._database.execute("CREATE TEMP TABLE IF NOT EXISTS wanted (record_id)")
            self._database.execute("DELETE FROM wanted")
            self._database.executemany("INSERT INTO wanted VALUES (?)", ((record_id,) for record_id in record_ids))
        return self.select(columns, "WHERE record_id IN (SELECT record_id FROM wanted)")


def _row(values: Sequence[Any]) -> PredictionRow:
    return PredictionRow.from_mapping(dict(zip(PREDICTION_COLUMNS, values, strict=True)))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
