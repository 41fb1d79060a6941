"""Here: what PTB-XL, the PTB Diagnostic database and the heartbeat CSVs look like on a disk. Not here: the inbox (``inbox``)."""

import ast
import csv
import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.labels import Label

Content = bytes | Path
"""A file's bytes, or where to read them when their turn comes."""

_COLUMNS = ("record", "label", "patient_id", "age", "sex")


def ptbxl(folder: Path) -> list[tuple[str, Content]]:
    """The recordings of a PTB-XL folder that are there, and their labels.

    A label is made of the statements with a likelihood above 0 that ``scp_statements.csv`` calls diagnostic:
    their classes {NORM} alone mean normal, any others without NORM abnormal, and a mixture or nothing has no label.

    References
    ----------
    Wagner et al., Scientific Data 7:154, 2020.
    """
    diagnostic = {row[""]: row["diagnostic_class"] for row in _rows(folder / "scp_statements.csv") if row["diagnostic"] == "1.0"}
    files: list[tuple[str, Content]] = []
    labels = []
    for row in _rows(folder / "ptbxl_database.csv"):
        found = next(
            (path for path in (folder / row["filename_hr"], folder / row["filename_lr"]) if path.with_suffix(".hea").is_file()), None
        )
        if found is None:
            continue
        files += [(f"ptbxl/{found.name}{suffix}", found.with_suffix(suffix)) for suffix in (".hea", ".dat")]
        label = ptbxl_label(ast.literal_eval(row["scp_codes"]), diagnostic)
        sex = {"0": "male", "1": "female"}.get(row["sex"], "")
        patient = row["patient_id"].removesuffix(".0")
        labels.append((found.name, label or "", f"ptbxl-{patient}" if patient else "", row["age"].removesuffix(".0"), sex))
    return _with_labels("ptbxl", files, labels, folder)


def ptbxl_label(scp_codes: Mapping[str, float], diagnostic: Mapping[str, str]) -> Label | None:
    """The label of one PTB-XL recording.

    Parameters
    ----------
    scp_codes : statement -> likelihood in percent
    diagnostic : diagnostic statement -> its superclass

    >>> ptbxl_label({"NORM": 100.0, "SR": 0.0}, {"NORM": "NORM"}).value
    'normal'
    """
    classes = {diagnostic[code] for code, likelihood in scp_codes.items() if likelihood > 0 and code in diagnostic}
    if classes == {"NORM"}:
        return Label.NORMAL
    return Label.ABNORMAL if classes and "NORM" not in classes else None


def ptbdb(folder: Path) -> list[tuple[str, Content]]:
    """The recordings below the patients' folders of the PTB Diagnostic database; the diagnosis stands in each header.

    References
    ----------
    Bousseljot et al., Biomedizinische Technik 40(1), 1995.
    """
    files: list[tuple[str, Content]] = []
    labels = []
    for header in sorted(folder.rglob("*.hea")):
        patient = header.parent.name
        files += [
            (f"ptbdb/{patient}/{file.name}", file) for file in sorted(header.parent.glob(f"{header.stem}.*")) if file.suffix in _PTBDB
        ]
        label, age, sex = ptbdb_facts(header.read_text(encoding="latin-1"))
        labels.append((f"{patient}/{header.stem}", label or "", f"ptbdb-{patient}", age, sex))
    return _with_labels("ptbdb", files, labels, folder)


_PTBDB = {".hea", ".dat", ".xyz"}


def ptbdb_facts(header: str) -> tuple[Label | None, str, str]:
    """Label, age and sex as the comments of a PTB header give them; empty where they do not."""
    comments = dict(line.lstrip("# ").split(":", 1) for line in header.splitlines() if line.startswith("#") and ":" in line)
    facts = {name.strip().lower(): value.strip() for name, value in comments.items()}
    reason = facts.get("reason for admission", "n/a").lower()
    label = None if reason in {"", "n/a"} else Label.NORMAL if reason.startswith("healthy control") else Label.ABNORMAL
    age = facts.get("age", "")
    sex = facts.get("sex", "").lower()
    return label, age if age.isdecimal() else "", sex if sex in {"female", "male"} else ""


def heartbeats(folder: Path) -> list[tuple[str, Content]]:
    """The heartbeat CSVs of a folder; each row brings its label in its last column, and no patient."""
    files: list[tuple[str, Content]] = [
        (f"heartbeats/{file.name}", file) for pattern in ("*.csv", "*.csv.gz") for file in sorted(folder.glob(pattern))
    ]
    return _not_empty(files, folder, "heartbeat CSV")


def detect(folder: Path) -> str | None:
    """Which of the data sets lies in a folder, or None.

    >>> detect(Path("/nowhere")) is None
    True
    """
    if (folder / "ptbxl_database.csv").is_file():
        return "ptbxl"
    if next(folder.rglob("*.hea"), None) is not None:
        return "ptbdb"
    return "heartbeats" if any(folder.glob("*.csv")) or any(folder.glob("*.csv.gz")) else None


IMPORTERS: Mapping[str, Callable[[Path], list[tuple[str, Content]]]] = {"ptbxl": ptbxl, "ptbdb": ptbdb, "heartbeats": heartbeats}


def _with_labels(
    name: str, files: list[tuple[str, Content]], labels: Iterable[tuple[str, str, str, str, str]], folder: Path
) -> list[tuple[str, Content]]:
    _not_empty(files, folder, f"{name} recording")
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(_COLUMNS)
    table.writerows(labels)
    return [*files, (f"{name}/labels.csv", text.getvalue().encode())]


def _not_empty(files: list[tuple[str, Content]], folder: Path, what: str) -> list[tuple[str, Content]]:
    if not files:
        raise BadInputError(Reason.INCOMPLETE, f"there is no {what} in {folder}")
    return files


def _rows(file: Path) -> Iterable[dict[str, str]]:
    if not file.is_file():
        raise BadInputError(Reason.INCOMPLETE, f"{file} is missing; it comes with the data set")
    with file.open(newline="", encoding="utf-8") as lines:
        yield from csv.DictReader(lines)
