"""Here: the columns of a run's table, an entry each, and which of its rows one may ask for. Not here: the table (``archive.predictions``).

Each class that a version of the run reports has five columns more, behind all others; a table without classes has none of them.

A column is computed once, when the run's table is written. The Parquet file, the CSV file and its schema, the XLSX file and the pages
have the columns of this list. Those that have a ``head`` are shown on pages, in the order of their ``place``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, TypeAlias

import numpy as np

from ecg_tasks.labels import Decision
from ecg_tasks.signals.flags import words

Joined: TypeAlias = Mapping[str, Any]
"""Rows of a shard as `archive.predictions.join` gives them, with label and model: column name to a list (texts) or an array (numbers)."""
Row: TypeAlias = Mapping[str, Any]
"""One row of the table: column name to a value; None where there is none."""

NONE = "–"
"""What a page shows where there is no value."""
ATTENTION = (Decision.UNCERTAIN, Decision.ABNORMAL, Decision.UNINTERPRETABLE, Decision.NORMAL)
"""The order of the table: what needs eyes first; among equals the highest P(abnormal) first, then by id."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column.

    Parameters
    ----------
    name : in every file
    type : of its values in every file; a float is written with all its digits, and an empty text is no value
    description : what it says, with its unit, in a sentence that stands in the schema
    value : computes it of joined rows; without it the joined rows have it under its name
    head : what stands above it on pages; empty for a column that is in files only
    place : from left to right on pages
    cell : what a page shows of a row, by default its value, a float with three decimals
    dress : how a page dresses the cell: ``name`` leads to the record, ``decision`` is a chip, ``label`` may contradict the decision,
        ``words`` may take several lines, ``id`` is set in a type of one width
    searched : whether the search on the page looks into it
    """

    name: str
    type: type[str | int | float | bool | date]
    description: str
    value: Callable[[Joined], Sequence[Any]] | None = None
    head: str = ""
    place: int = 0
    cell: Callable[[Row], str] | None = None
    dress: Literal["", "name", "decision", "label", "words", "id"] = ""
    searched: bool = False

    @property
    def is_number(self) -> bool:
        """Whether a page sorts it by size, the largest first."""
        return self.type in {int, float}

    def values(self, joined: Joined) -> Sequence[Any]:
        """Compute the column of joined rows."""
        found: Sequence[Any] = joined[self.name] if self.value is None else self.value(joined)
        return found

    def text(self, row: Row) -> str:
        """Return what a page shows of a row.

        >>> Column(name="age", type=float, description="").text({"age": None})
        '–'
        """
        if self.cell is not None:
            return self.cell(row)
        value = row[self.name]
        if value is None:
            return NONE
        return f"{value:.3f}" if self.type is float else str(value)


_MEASURED = {
    "rate_bpm": "Heart rate in beats a minute, from the median R-R interval of the first ten seconds that could be read. Beats less than"
    " 0.3 s apart count as one: above 195 a minute it may be half of what it is.",
    "pr_ms": "PR interval of the median beat in ms; none where no P wave repeats.",
    "qrs_ms": "QRS duration of the median beat in ms, from the earliest begin to the latest end over all leads.",
    "qt_ms": "QT interval of the median beat in ms.",
    "qtc_fridericia_ms": "QT in ms, corrected for the rate by Fridericia; none where the rhythm is irregular.",
    "qtc_bazett_ms": "QT in ms, corrected for the rate by Bazett; none where the rhythm is irregular.",
    "axis_deg": "Electrical axis of the QRS complex in the frontal plane in degrees, above -180 to 180.",
}


def _measured(name: str, description: str) -> Column:
    return Column(
        name=name, type=float, description=description, value=lambda rows: np.round(np.asarray(rows[name], dtype=np.float64), 1).tolist()
    )


COLUMNS: tuple[Column, ...] = (
    Column(
        name="record_id",
        type=str,
        description="Id of the recording: the first 32 hex digits of the SHA-256 over its samples, sampling rate and leads.",
        head="Record",
        place=9,
        cell=lambda row: str(row["record_id"])[:8],
        dress="id",
        searched=True,
    ),
    Column(
        name="name",
        type=str,
        description="Name of the dropped file or row; the id of the recording where names are not stored.",
        head="Recording",
        place=1,
        dress="name",
        searched=True,
    ),
    Column(
        name="source_sha256",
        type=str,
        description="SHA-256 of the file as raw/ keeps it: the copy without identifiers, or the dropped bytes where there is no copy;"
        " of a recording of several files, of their list.",
        value=lambda rows: rows["source"],
    ),
    Column(
        name="decision",
        type=str,
        description="normal, abnormal, uncertain or uninterpretable.",
        head="Decision",
        place=2,
        dress="decision",
    ),
    Column(
        name="probability",
        type=float,
        description="P(abnormal), 0 to 1; none where no window could be used.",
        head="P(abnormal)",
        place=3,
    ),
    Column(name="recipe", type=str, description="Recipe of the model that decided.", head="Recipe", place=7),
    Column(name="version", type=str, description="Version of the model that decided."),
    Column(name="n_windows", type=int, description="Windows that the recording was cut into."),
    Column(
        name="n_used",
        type=int,
        description="Windows whose quality was good enough to use.",
        head="Windows",
        place=5,
        cell=lambda row: f"{row['n_used']} / {row['n_windows']}",
    ),
    Column(
        name="quality",
        type=float,
        description="Mean signal quality of the windows, 0 (useless) to 1 (clean).",
        head="Quality",
        place=4,
        cell=lambda row: f"{row['quality']:.2f}",
    ),
    Column(
        name="flags",
        type=str,
        description="Why the quality is low, and what was done to the recording: codes separated by commas.",
        head="Flags",
        place=8,
        cell=lambda row: ", ".join(words(row["flags"] or "")),
        dress="words",
        searched=True,
    ),
    Column(
        name="seconds_read",
        type=str,
        description="The seconds that the decision is based on, such as `0-20 of 25 s`; none for a heartbeat row.",
    ),
    Column(name="label", type=str, description="Label in force when the report was written.", head="Label", place=6, dress="label"),
    Column(name="synthetic", type=bool, description="Whether a program made the recording."),
    Column(
        name="age",
        type=float,
        description="Age of the person in years; 90 for all above 89, none where it is not known.",
        value=lambda rows: np.round(np.asarray(rows["age"], dtype=np.float64), 4).tolist(),  # it is stored with seven digits
    ),
    Column(name="sex", type=str, description="Sex of the person, female or male; none where it is not known."),
    Column(
        name="recorded",
        type=str,
        description="When the recording began, ISO 8601: the year, the month or all of it, as the settings keep dates; with a time zone"
        " only where the file gives one, else on the clock of the device; none where it is not known.",
    ),
    Column(name="device", type=str, description="Maker and model of the device that recorded; none where they are not known."),
    Column(
        name="filters",
        type=str,
        description="Filters that the signal went through before it was stored, such as `0.05 to 150 Hz, notch 50 Hz`; none where they are"
        " not known.",
    ),
    Column(name="source_format", type=str, description="Format of the file that was dropped, with its version where that is known."),
    Column(name="site", type=str, description="Site that the recording comes from; none where it is not known."),
    *(_measured(name, description) for name, description in _MEASURED.items()),
    Column(
        name="rhythm",
        type=str,
        description="regular or irregular: whether the middle half of the R-R intervals lies within 10 % of their median; no diagnosis.",
    ),
    Column(
        name="not_measurable",
        type=str,
        description="Why a measurement is none: name and reason of each, separated by commas; none where all are there, or nothing was"
        " measured yet.",
    ),
    Column(name="model_digest", type=str, description="Digest of the files of the model that decided."),
    Column(name="threshold", type=float, description="P(abnormal) from which on the decision is abnormal."),
    Column(name="abstain_low", type=float, description="Lower end of the band in which the model abstains; none without a band."),
    Column(name="abstain_high", type=float, description="Upper end of the band in which the model abstains; none without a band."),
    Column(name="shard", type=str, description="Where the signal is stored in the archive: records/<shard>.parquet."),
    Column(
        name="patient",
        type=str,
        description="Key of the person: equal for all recordings of one person in this installation, and of no use without its secret;"
        " none where no patient is known.",
        value=lambda rows: [one or other for one, other in zip(rows["patient"], rows["public_patient"], strict=True)],
    ),
    Column(name="run", type=str, description="Run that decided, as it stands in the address of its report."),
    Column(name="date", type=date, description="Day of the report (UTC)."),
    Column(name="page", type=str, description="Address of the recording's page in the web interface, as this run decided on it."),
)
"""All columns, in the order of the files."""


_OF_A_CLASS: tuple[tuple[str, type[str | float], str], ...] = (
    ("p", float, "P({}), 0 to 1, calibrated; none where no window could be used, or the model that decided does not report it."),
    ("class", str, "Decision on {}: present, absent, uncertain or uninterpretable; none where the model that decided does not report it."),
    ("threshold", float, "P({}) from which on the model says present."),
    ("abstain_low", float, "Lower end of the band in which the model abstains from {}; none without a band."),
    ("abstain_high", float, "Upper end of the band in which the model abstains from {}; none without a band."),
)


def of_class(name: str) -> tuple[Column, ...]:
    """Return the columns of a class: its probability, the decision, threshold and band.

    >>> [column.name for column in of_class("MI")]
    ['p_MI', 'class_MI', 'threshold_MI', 'abstain_low_MI', 'abstain_high_MI']
    """
    return tuple(Column(name=f"{what}_{name}", type=kind, description=text.format(name)) for what, kind, text in _OF_A_CLASS)


def columns_with(classes: Iterable[str]) -> tuple[Column, ...]:
    """Return all columns of a table that reports these classes, in the order of the files."""
    return (*COLUMNS, *(column for name in classes for column in of_class(name)))


def classes_in(names: Iterable[str]) -> tuple[str, ...]:
    """Return the classes that a table with these columns reports, in its order.

    >>> classes_in(["record_id", "p_MI", "class_MI", "class_AF"])
    ('MI', 'AF')
    """
    return tuple(name.removeprefix("class_") for name in names if name.startswith("class_"))


def shown() -> list[Column]:
    """Return the columns of the pages, from left to right."""
    return sorted((column for column in COLUMNS if column.head), key=lambda column: column.place)


def sorts() -> list[str]:
    """Return what rows can be sorted by; ``attention`` is the table's own order."""
    return ["attention", *(column.name for column in shown())]


def differs(decision: str, label: str | None) -> bool:
    """Tell whether a firm decision contradicts the label; an uncertain one contradicts nothing."""
    return {decision, label} == {Decision.NORMAL.value, Decision.ABNORMAL.value}


@dataclass(frozen=True, kw_only=True)
class Query:
    """Which rows, in which order; an empty text asks for nothing.

    Parameters
    ----------
    text : words that must all occur in the columns that are searched
    decision, recipe : the only one
    label : a label, or ``none``
    differs : keep firm decisions that contradict their label
    sort : one of `sorts`
    descending : turn the order round
    """

    text: str = ""
    decision: str = ""
    recipe: str = ""
    label: str = ""
    differs: bool = False
    sort: str = "attention"
    descending: bool = False
