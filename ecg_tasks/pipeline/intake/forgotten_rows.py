"""Here: which rows of label tables speak of forgotten recordings. Not here: which recordings are refused (``archive.forgotten``)."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from ecg_tasks.archive import forgotten
from ecg_tasks.archive.documents import ArchiveCounts, RefusedName
from ecg_tasks.archive.forgotten import digest_of
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.pipeline.intake.label_tables import Staged, file_of, is_record_id, names_of
from ecg_tasks.readers.record_names import paths_meant

_CELL_ENDS = re.compile(r"[,;\t\r\n\"]+", re.ASCII)
_MOST_CELLS = 1_000_000
"""Of a table that cannot be read; each costs some microseconds."""


@dataclass(frozen=True, kw_only=True)
class ForgottenNames:
    """By what the recordings are called that intakes refuse.

    Parameters
    ----------
    names : how names are stored; their key is that of all digests here
    now : digests of the names of those that came in this run
    before : of names of those that came in earlier runs, or were forgotten a short while ago, as `archive.forgotten` keeps them
    records : digests of the ids of all
    """

    names: StoredNames
    now: Collection[str] = ()
    before: Mapping[str, RefusedName] = field(default_factory=dict)
    records: Collection[str] = ()

    def came(self, hashed: str) -> bool:
        """Tell whether the recording of a name, given by its digest, or the file of which it is a row, came in this run."""
        return hashed in self.now or file_of(hashed) in self.now

    def known(self, name: str) -> bool:
        """Tell whether a name, or an id, is that of a recording that was refused before, or was forgotten."""
        if not self.records:
            return False
        if is_record_id(name) and digest_of(name, key=self.names.key) in self.records:
            return True
        hashed = self.names.hashed(name)
        found = (self.before.get(digest_of(one, key=self.names.key)) for one in {hashed, file_of(hashed)})
        return any(one is not None and one.record in self.records for one in found)

    def named_in(self, text: str, *, folder: str) -> bool:
        """Tell whether a cell of a text is what one of them is called; ``folder`` is that of the table."""
        if not self.records:
            return False
        cells = {cell.strip() for cell in _CELL_ENDS.split(text, _MOST_CELLS)} - {""}
        return any(self._means(cell, folder) for cell in cells)

    def rows_in(self, table: Staged) -> bool:
        """Tell whether a row of a table can mean one of them."""
        paths = (name for row in table.rows for spellings in names_of(table, row) for name in spellings)
        return bool(self.records) and (
            any(self.came(self.names.hashed(name)) or self.known(name) for name in paths)
            or any(self.named_in(row.content, folder=table.folder) for row in table.rejected)
        )

    def _means(self, cell: str, folder: str) -> bool:
        paths = [name for spellings in paths_meant(cell, folder=folder) for name in spellings]
        return any(self.came(self.names.hashed(name)) or self.known(name) for name in (*paths, cell))


NONE_FORGOTTEN = ForgottenNames(names=StoredNames(key=b"", keep=True))


def refused_by(store: ObjectStore, names: StoredNames, *, now: Mapping[str, str]) -> ForgottenNames:
    """Return what a run knows of them, and write down for later ones what came in it.

    Parameters
    ----------
    now : digest of each name that came to that of its record
    """
    before = forgotten.remember_names(store, now, key=names.key)
    return ForgottenNames(names=names, now=now.keys(), before=before, records=forgotten.refused(store))


def archives_that_tell(opened: Iterable[ArchiveCounts], tables: Callable[[], Iterable[Staged]], refused: ForgottenNames) -> frozenset[str]:
    """Return the keys of the archives out of which a table was taken that speaks of them."""
    folders = {one.folder: one.key for one in opened}
    if not refused.records or not folders:
        return frozenset()
    parts = (table.folder.split("/") for table in tables() if refused.rows_in(table))
    above = {refused.names.shown("/".join(part[: n + 1])) for part in parts for n in range(len(part))}
    return frozenset(key for folder, key in folders.items() if folder in above)
