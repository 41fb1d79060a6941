"""Here: the Lobachevsky University Database. Not here: its marks of waves, which nothing here reads."""

from collections.abc import Iterable
from pathlib import Path

from ecg_tasks.offline.collections.folder import (
    Collection,
    LabelledFolder,
    age_of,
    first_comments,
    has_columns,
    values_of,
)
from ecg_tasks.offline.collections.statements import Told, load_table, weigh
from ecg_tasks.offline.collections.wfdb_headers import of_headers
from ecg_tasks.readers.base import Patient
from ecg_tasks.readers.person import sex_of

DIAGNOSES = "<diagnoses>"


def read_ludb(folder: Path) -> LabelledFolder:
    """Return the recordings of LUDB, each of another person; all that was found stands in a header's comments behind ``<diagnoses>``.

    References
    ----------
    Kalyakulina et al., IEEE Access 8:186181, 2020.
    """
    table = load_table("ludb")

    def said(header: Path, comments: tuple[str, ...]) -> tuple[Told, Patient]:
        values = values_of(comments)
        person = Patient(id=f"ludb-{header.stem}", age=age_of(values.get("<age>", "")), sex=sex_of(values.get("<sex>", "")))
        return weigh([_in_table(one, table) for one in diagnoses_of(comments)], table), person

    return of_headers(folder, kind="ludb", said=said)


def diagnoses_of(comments: Iterable[str]) -> list[str]:
    """Return the diagnoses of a header, in lower case, without the full stop.

    >>> diagnoses_of(["<age>: 51", "<diagnoses>:", "Rhythm: Sinus rhythm.", "Left atrial hypertrophy. "])
    ['rhythm: sinus rhythm', 'left atrial hypertrophy']
    """
    lines = [" ".join(comment.lower().split()).rstrip(".") for comment in comments]
    start = next((at for at, line in enumerate(lines) if line.startswith(DIAGNOSES)), len(lines))
    first = lines[start].removeprefix(DIAGNOSES).lstrip(": ") if start < len(lines) else ""
    return [line for line in (first, *lines[start + 1 :]) if line]


def _in_table(diagnosis: str, table: Iterable[str]) -> str:
    """Return the diagnosis as the table has it: the whole of it, else less what follows a comma or a colon."""
    parts = (diagnosis, diagnosis.partition(",")[0], diagnosis.partition(":")[0].partition(",")[0])
    return next((part for part in parts if part in table), diagnosis)


def _knows(folder: Path) -> bool:
    return has_columns(folder / "ludb.csv", "Rhythms") or DIAGNOSES in values_of(first_comments(folder))


LUDB = Collection(name="ludb", title="Lobachevsky University Database", knows=_knows, read=read_ludb)
