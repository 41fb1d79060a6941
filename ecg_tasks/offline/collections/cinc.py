"""Here: the folders of the PhysioNet/Computing in Cardiology Challenges 2020 and 2021. Not here: what their codes mean (``statements``)."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from ecg_tasks.offline.collections.folder import (
    Collection,
    LabelledFolder,
    comments_of,
    first_comments,
    headers,
    not_empty,
    path_in,
    values_of,
)
from ecg_tasks.offline.collections.statements import load_table, weigh
from ecg_tasks.readers.header_comments import read_comments
from ecg_tasks.readers.labels_csv import LabelRow
from ecg_tasks.readers.person import age_kept

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
    files: dict[str, Path | None] = {}
    rows: dict[str, LabelRow] = {}
    unknown: Counter[str] = Counter()
    for number, header in enumerate(headers(folder), start=1):
        name = path_in(folder, header)
        comments = comments_of(header)
        person = read_comments(comments)
        said = weigh(codes_of(values_of(comments).get(DX, "")), table)
        unknown.update(said.unknown)
        files[name] = header
        rows[name] = LabelRow(
            row=number,
            record=name,
            label=said.label,
            patient_id=patient(header),
            age=age_kept(person.age),
            sex=person.sex,
            superclasses=said.superclasses,
        )
    return not_empty(LabelledFolder(kind=kind, files=files, rows=rows, unknown=unknown), folder)


def codes_of(text: str) -> list[str]:
    """Return the codes of a ``#Dx:`` line.

    >>> codes_of("164889003, 59118001"), codes_of("Unknown")
    (['164889003', '59118001'], [])
    """
    return [code for one in text.split(",") if (code := one.strip()).lower() not in _NO_CODES]


def _knows(folder: Path) -> bool:
    return DX in values_of(first_comments(folder))


CINC = Collection(name="cinc", title="PhysioNet/Computing in Cardiology Challenges 2020 and 2021", knows=_knows, read=read_cinc)
