"""Here: what a collection's statements mean, by tables with their source, and the one rule that makes a label of them.

Not here: where a collection writes its statements (a module each), or PTB-XL's own table, which comes with that data set.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from pathlib import Path

from ecg_tasks.labels import ClassList, Label, Superclass

TABLES = Path(__file__).parent / "tables"


class Meaning(StrEnum):
    """What a statement says of the whole recording."""

    NORMAL = "normal"
    """It says that the recording is normal."""
    NORMAL_ALONE = "normal_alone"
    """Sinus rhythm: where nothing else is stated, nothing else was found."""
    ABNORMAL = "abnormal"
    UNCERTAIN = "uncertain"
    """Found in healthy people too, or not said for certain: neither normal nor abnormal."""
    NEUTRAL = "neutral"
    """It says nothing about normal or abnormal."""
    DOUBT = "doubt"
    """A modifier: the statement that it belongs to is uncertain, and names no superclass."""


@dataclass(frozen=True, kw_only=True)
class TableStatement:
    """A row of a table."""

    code: str
    term: str
    meaning: Meaning
    superclasses: frozenset[Superclass]
    source: str
    """What meaning and superclass are taken from, such as ``scp:LVH``: see the head of the table."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the statements about a recording say together; ``unknown`` are those that the table does not have."""

    label: Label | None
    classes: ClassList | None
    unknown: tuple[str, ...] = ()


@cache
def load_table(name: str) -> Mapping[str, TableStatement]:
    """Return a table of the package, by code; lines that begin with ``#`` cite its sources."""
    with (TABLES / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    found = [
        TableStatement(
            code=row["code"],
            term=row["term"],
            meaning=Meaning(row["meaning"]),
            superclasses=frozenset(map(Superclass, row["superclasses"].split())),
            source=row["source"],
        )
        for row in rows
    ]
    return {one.code: one for one in found}


def weigh(codes: Iterable[str], table: Mapping[str, TableStatement], *, says_all: bool = True) -> Told:
    """Make a label of the codes of one recording, as `decide` does of its statements.

    >>> weigh(["426783006", "164873001"], load_table("snomed"))
    Told(label=<Label.ABNORMAL: 'abnormal'>, classes=ClassList(names=frozenset({'HYP'}), is_whole=True, absent=frozenset()), unknown=())
    >>> weigh(["426783006", "1"], load_table("snomed"))
    Told(label=None, classes=None, unknown=('1',))
    """
    written = list(dict.fromkeys(codes))
    known = [table[code] for code in written if code in table]
    return decide(known, unknown=[code for code in written if code not in table], says_all=says_all)


def decide(statements: Iterable[TableStatement], *, unknown: Iterable[str] = (), says_all: bool = True) -> Told:
    """Make a label of the statements about one recording.

    Abnormal beside normal has no label, as in PTB-XL. An uncertain statement, or one that the table does not have, is in the way of
    normal, and never in the way of abnormal. NORM is a class where the recording is said to be normal.

    What is not among the classes is absent if ``says_all``: the collection states whatever was found. It is not known beside a statement
    that the table does not have, or an uncertain one without a superclass. Where a source names no superclass, classes are not known.
    """
    known, strange = list(statements), tuple(unknown)
    meanings = {one.meaning for one in known}
    names = frozenset[str]().union(*(map(str, one.superclasses) for one in known))
    label = None
    if Meaning.ABNORMAL in meanings:
        label = None if Meaning.NORMAL in meanings else Label.ABNORMAL
    elif Meaning.UNCERTAIN not in meanings and not strange and meanings & {Meaning.NORMAL, Meaning.NORMAL_ALONE}:
        label = Label.NORMAL
    if label == Label.NORMAL or Meaning.NORMAL in meanings:
        names |= {Superclass.NORM.value}
    doubt = bool(strange) or any(one.meaning == Meaning.UNCERTAIN and not one.superclasses for one in known)
    is_whole = label == Label.NORMAL or (says_all and not doubt)
    return Told(label=label, classes=ClassList(names, is_whole) if names else None, unknown=strange)


def doubtful(statement: TableStatement) -> TableStatement:
    """Return a statement as one that is not said for certain."""
    return replace(statement, meaning=Meaning.UNCERTAIN, superclasses=frozenset())
