"""Here: the folders of the PhysioNet/Computing in Cardiology Challenges 2020 and 2021. Not here: what their codes mean (``statements``)."""

from collections.abc import Callable
from pathlib import Path

from ecg_tasks.offline.collections.folder import (
    Collection,
    LabelledFolder,
    first_comments,
    values_of,
)
from ecg_tasks.offline.collections.statements import Told, load_table, weigh
from ecg_tasks.offline.collections.wfdb_headers import of_headers
from ecg_tasks.readers.base import Patient
from ecg_tasks.readers.header_comments import read_comments

DX = "dx"
_NO_CODES = frozenset({"", "unknown", "nan", "none"})


def read_cinc(folder: Path) -> LabelledFolder:
    """Return the recordings of a Challenge's folder; their SNOMED codes stand in the line ``#Dx:`` of each header.

    Which recordings are of one patient stands nowhere in it.

    References
    ----------
    Perez Alday et al., Physiological Measurement 41:124003, 2020; Reyna et al., Physiological Measurement 43:084001, 2022.
    """
    return with_snomed(folder, kind="cinc")


def with_snomed(folder: Path, *, kind: str, patient: Callable[[Path], str | None] = lambda _header: None) -> LabelledFolder:
    """Return the WFDB recordings of a folder whose headers have SNOMED codes; ``patient`` tells whose recording a header is."""
    table = load_table("snomed")

    def said(header: Path, comments: tuple[str, ...]) -> tuple[Told, Patient]:
        person = read_comments(comments)
        return weigh(codes_of(values_of(comments).get(DX, "")), table), Patient(id=patient(header), age=person.age, sex=person.sex)

    return of_headers(folder, kind=kind, said=said)


def codes_of(text: str) -> list[str]:
    """Return the codes of a ``#Dx:`` line.

    >>> codes_of("164889003, 59118001"), codes_of("Unknown")
    (['164889003', '59118001'], [])
    """
    return [code for one in text.split(",") if (code := one.strip()).lower() not in _NO_CODES]


def _knows(folder: Path) -> bool:
    return DX in values_of(first_comments(folder))


CINC = Collection(name="cinc", title="PhysioNet/Computing in Cardiology Challenges 2020 and 2021", knows=_knows, read=read_cinc)
