"""Here: the PTB Diagnostic ECG Database. Not here: reading its recordings, or what a reason for admission means (``header_comments``)."""

from pathlib import Path

from ecg_tasks.offline.collections.folder import Collection, LabelledFolder, comments_of, headers, not_empty, person_of, values_of
from ecg_tasks.offline.collections.statements import load_table, weigh
from ecg_tasks.readers.file_names import HEADER_SUFFIX
from ecg_tasks.readers.header_comments import ptb_diagnoses, read_comments
from ecg_tasks.readers.labels_csv import LabelRow
from ecg_tasks.readers.person import age_kept


def read_ptbdb(folder: Path) -> LabelledFolder:
    """Return the recordings below the patients' folders of the PTB Diagnostic database; the diagnosis is in each header.

    References
    ----------
    Bousseljot et al., Biomedizinische Technik 40(1), 1995.
    """
    files: dict[str, Path | None] = {}
    rows: dict[str, LabelRow] = {}
    table = load_table("ptbdb")
    for number, header in enumerate(headers(folder), start=1):
        patient = header.parent.name
        name = f"{patient}/{header.stem}"
        files[name] = header
        comments = comments_of(header)
        person = read_comments(comments)
        reason = values_of(comments).get("reason for admission", "")
        rows[name] = LabelRow(
            row=number,
            record=name,
            label=person.label,
            patient_id=person_of("ptbdb", patient),
            age=age_kept(person.age),
            sex=person.sex,
            classes=weigh(ptb_diagnoses(reason), table, says_all=False).classes if person.label else None,
        )
    return not_empty(LabelledFolder(kind="ptbdb", files=files, rows=rows), folder)


def _knows(folder: Path) -> bool:
    return next(folder.rglob(f"*{HEADER_SUFFIX}"), None) is not None


PTBDB = Collection(name="ptbdb", title="PTB Diagnostic ECG Database", knows=_knows, read=read_ptbdb)
