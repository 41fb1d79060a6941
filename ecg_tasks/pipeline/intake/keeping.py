"""Here: what is kept in raw/ of a drop, and under which names. Not here: making a copy (``parsing``), or what a source is (``sources``)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from msgspec import structs

from ecg_tasks.archive import sources
from ecg_tasks.archive.documents import Input
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.settings import RawKeeps, Settings


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """What the settings say of the bytes of dropped files and of their names.

    ``deidentified`` keeps a copy without identifiers, and nothing where none can be made; ``as_dropped`` the bytes; ``nothing`` none.
    ``refused`` are the digests of records that were forgotten, of which nothing is kept.
    ``aside`` is where files that are passed over lie until it is known whether they belong to such a record; empty where none is refused.
    """

    keeps: RawKeeps
    names: StoredNames
    refused: frozenset[str] = frozenset()
    aside: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return what the settings say."""
        return cls(keeps=settings.raw_keeps, names=StoredNames.of(settings))

    def keep(
        self,
        outcome: Input,
        contents: Mapping[str, bytes],
        *,
        copy: Mapping[str, bytes] | None,
        put: Callable[[Mapping[sources.File, bytes]], str],
    ) -> Input:
        """Keep what may be kept of a drop; returns its line with the digests of what is stored, and of what was dropped.

        Parameters
        ----------
        contents : bytes by file name, the drop's first file first
        copy : one without identifiers, under the names that `called` gives; None where there is none
        put : takes what is kept, by the name that is stored and its digest; returns its source
        """
        called = self._called(contents)
        dropped = [sources.file_of(called[file], data) for file, data in contents.items()]
        given = {file.name: (file, data) for file, data in zip(dropped, contents.values(), strict=True)}
        if self.keeps == "as_dropped":
            copy = {name: data for name, (_, data) in given.items()}
        if copy is None:
            return with_digests(outcome, sources.source_of(dropped), dropped, kept="nothing")
        stored = {
            given[name][0] if name in given and data is given[name][1] else sources.file_of(name, data): data for name, data in copy.items()
        }
        line = with_digests(outcome, put(stored), list(stored), kept=self.keeps)
        if self.keeps == "as_dropped":
            return line
        files = tuple(structs.replace(one, dropped=file.sha256) for one, file in zip(line.files, dropped, strict=True))
        return structs.replace(line, files=files, dropped=sources.source_of(dropped))

    def called(self, contents: Mapping[str, bytes]) -> dict[str, str] | None:
        """Return under which names a copy without identifiers is kept, by file; None where none is."""
        return self._called(contents) if self.keeps == "deidentified" else None

    def _called(self, contents: Mapping[str, bytes]) -> dict[str, str]:
        return {file: self.names.file(file) for file in contents}


def with_digests(outcome: Input, source: str, files: list[sources.File], *, kept: RawKeeps) -> Input:
    """Return the line of a drop with the digests of the drop and its files, and what is kept of it."""
    digested = tuple(structs.replace(one, sha256=file.sha256) for one, file in zip(outcome.files, files, strict=True))
    return structs.replace(outcome, source=source, files=digested, kept=kept)
