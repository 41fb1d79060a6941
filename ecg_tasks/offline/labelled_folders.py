"""Here: folders of labelled recordings: public collections, heartbeat CSVs, and files with a ``labels.csv``; which of them a folder is.

Not here: reading the recordings (``readers``), a collection's layout (``collections``), or what is done with them (``cli.inbox``,
``evaluate_folder``).
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ecg_tasks.archive.stored_names import site_in
from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.offline.collections import COLLECTIONS
from ecg_tasks.offline.collections.folder import Content, LabelledFolder, agreed, file_of, inside, not_empty
from ecg_tasks.readers.file_names import CSV_SUFFIXES, HEADER_SUFFIX, LABEL_TABLE, is_matlab, is_signal
from ecg_tasks.readers.labels_csv import LabelRow, read_labels
from ecg_tasks.readers.record_names import paths_meant

__all__ = ["LAYOUTS", "Content", "LabelledFolder", "detect", "file_of", "heartbeats", "labelled", "open_folder", "open_parts"]

LABELLED, HEARTBEATS = "labelled", "heartbeats"


def heartbeats(folder: Path) -> LabelledFolder:
    """Return the heartbeat CSVs of a folder; each row brings its label in its last column, and no patient."""
    found = [file for suffix in CSV_SUFFIXES for file in sorted(folder.glob(f"*{suffix}"))]
    return not_empty(LabelledFolder(kind="heartbeats", files={file.name: file for file in found}, rows={}), folder)


def labelled(folder: Path) -> LabelledFolder:
    """Read recordings of any format with a ``labels.csv``, laid out as for the inbox."""
    table = read_labels((folder / LABEL_TABLE).read_bytes(), name=LABEL_TABLE)
    said: dict[str, list[LabelRow]] = {}
    files: dict[str, Path | None] = {}
    for row in table.rows:
        name = _name_in(folder, row.record)
        path = inside(folder, file_of(name), suffix=_ending(folder, name))
        said.setdefault(name, []).append(row)
        files[file_of(name)] = path if path.is_file() else None
    rows, contradicted = agreed(said, table=LABEL_TABLE)
    return not_empty(LabelledFolder(kind="labelled", files=files, rows=rows, rejected=(*table.rejected, *contradicted)), folder)


def _name_in(folder: Path, record: str) -> str:
    """Return the name of the record that a row means, spelt as the file on the disk is where there is one."""
    spellings = next(iter(paths_meant(record, folder="")), (record,))
    for name in spellings[::-1]:
        for spelt in (name, unicodedata.normalize("NFD", name)):
            if (folder / f"{file_of(spelt)}{_ending(folder, spelt)}").is_file():
                return spelt
    return spellings[-1]


def _ending(folder: Path, name: str) -> str:
    """Return what follows a record's name in its file's name: a WFDB header's ending, or nothing for a file of any other format."""
    if "#" in name:
        return ""
    has_header = (folder / f"{name}{HEADER_SUFFIX}").is_file() or (is_signal(name) and not is_matlab(name))
    return "" if not has_header and (folder / name).is_file() else HEADER_SUFFIX


def detect(folder: Path) -> str | None:
    """Detect the layout of a folder, or return None; a ``labels.csv`` goes before all but PTB-XL's own table.

    >>> detect(Path("/nowhere")) is None
    True
    """
    first, *others = COLLECTIONS
    if first.knows(folder):
        return first.name
    if (folder / LABEL_TABLE).is_file():
        return LABELLED
    found = next((collection.name for collection in others if collection.knows(folder)), None)
    return found or (HEARTBEATS if any(any(folder.glob(f"*{suffix}")) for suffix in CSV_SUFFIXES) else None)


def open_folder(folder: Path) -> LabelledFolder:
    """Open a labelled folder of any known layout.

    Raises
    ------
    BadInputError
        If its layout is not known, or there is no recording in it.
    """
    layout = detect(folder)
    if layout is None:
        known = ", ".join(collection.title for collection in COLLECTIONS)
        raise BadInputError(
            Reason.UNKNOWN_FORMAT, f"{folder} has the layout of none of these: {known}; and it has neither heartbeat CSVs nor {LABEL_TABLE}"
        )
    return LAYOUTS[layout](folder)


def open_parts(folder: Path, sites: Sequence[str] = ()) -> dict[str, LabelledFolder]:
    """Open a labelled folder, or, where its own layout is not known and a site's folder lies in it, each folder in it.

    By the folder's name, which is empty for one that is opened whole. A folder in it that is no site, and whose layout is not known
    either, is passed over.

    Raises
    ------
    BadInputError
        As `open_folder` does.
    """
    if detect(folder) is None:
        inside_it = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}
        of_sites = {name for name in inside_it if site_in(sites, f"{name}/")}
        if of_sites:
            return {name: open_folder(path) for name, path in inside_it.items() if name in of_sites or detect(path) is not None}
    return {"": open_folder(folder)}


LAYOUTS: Mapping[str, Callable[[Path], LabelledFolder]] = {
    **{collection.name: collection.read for collection in COLLECTIONS},
    HEARTBEATS: heartbeats,
    LABELLED: labelled,
}
