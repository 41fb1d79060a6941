"""Here: what is kept in raw/ of a drop, and under which names. Not here: reading it (``readers``), or what a source is (``sources``)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from msgspec import structs

from ecg_tasks import readers
from ecg_tasks.archive import sources
from ecg_tasks.archive.documents import Input
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.errors import BadInputError
from ecg_tasks.readers.file_names import is_header
from ecg_tasks.readers.wfdb.renaming import renamed
from ecg_tasks.settings import RawKeeps, Settings


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """What the settings say of the bytes of dropped files and of their names.

    ``deidentified`` keeps a copy without identifiers, and nothing where none can be made; ``as_dropped`` the bytes; ``nothing`` none.
    ``refused`` are the digests of records that were forgotten, of which nothing is kept.
    """

    keeps: RawKeeps
    names: StoredNames
    refused: frozenset[str] = frozenset()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return what the settings say."""
        return cls(keeps=settings.raw_keeps, names=StoredNames.of(settings))

    def keep(
        self,
        outcome: Input,
        contents: Mapping[str, bytes],
        *,
        reading: readers.Read | None,
        name: str,
        put: Callable[[Mapping[str, bytes]], tuple[str, list[sources.File]]],
    ) -> Input:
        """Keep what may be kept of a drop; returns its line with the digests of what is stored, and of what was dropped.

        Parameters
        ----------
        contents : bytes by file name, the drop's first file first
        reading : what was read of them; None where nothing was, of which no copy without identifiers can be made
        name : path below the inbox
        put : takes what is kept, by the name that is stored; returns its source and its files
        """
        called = {file: self.names.file(file) for file in contents}
        dropped = [sources.file_of(called[file], data) for file, data in contents.items()]
        copy: Mapping[str, bytes] | None = None
        if self.keeps == "as_dropped":
            copy = {called[file]: data for file, data in contents.items()}
        elif self.keeps == "deidentified" and reading is not None:
            copy = self._deidentified(contents, called, reading=reading, name=name)
        if copy is None:
            return with_digests(outcome, sources.source_of(dropped), dropped, kept="nothing")
        source, stored = put(copy)
        line = with_digests(outcome, source, stored, kept=self.keeps)
        if self.keeps == "as_dropped":
            return line
        files = tuple(structs.replace(one, dropped=file.sha256) for one, file in zip(line.files, dropped, strict=True))
        return structs.replace(line, files=files, dropped=sources.source_of(dropped))

    @staticmethod
    def _deidentified(
        contents: Mapping[str, bytes], called: Mapping[str, str], *, reading: readers.Read, name: str
    ) -> Mapping[str, bytes] | None:
        """Return a copy without identifiers under the names that are stored, or None where none can be made."""
        try:
            copy = readers.deidentified(name, contents, before=reading)
            if any(map(is_header, copy)):
                return renamed(copy, called)
            return {called[file]: data for file, data in copy.items()}
        except BadInputError:
            return None


def with_digests(outcome: Input, source: str, files: list[sources.File], *, kept: RawKeeps) -> Input:
    """Return the line of a drop with the digests of the drop and its files, and what is kept of it."""
    digested = tuple(structs.replace(one, sha256=file.sha256) for one, file in zip(outcome.files, files, strict=True))
    return structs.replace(outcome, source=source, files=digested, kept=kept)
