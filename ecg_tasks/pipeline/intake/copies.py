"""Here: the lines of one task in the account, and the copies that it keeps together. Not here: making a copy (``keeping``)."""

from typing import Self

from msgspec import structs

from ecg_tasks.archive.documents import Input
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.packed_copies import CopiesWriter
from ecg_tasks.pipeline.intake.taking import Taken

_MOST_BYTES = 1_000_000_000
"""Of one object of copies, and a recording more: S3 takes five times as much at once."""


class Lines:
    """The lines of the drops that a task has taken; their copies go into one object below the source, or into a few where they are large.

    They are packed in the order of the lines, so a task that is tried again makes the same bytes and the same keys.
    """

    def __init__(self, store: ObjectStore, source: str) -> None:
        self._store, self._source = store, source
        self._lines: list[Input] = []
        self._writer: CopiesWriter | None = None
        self._open: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer is not None:
            self._writer.__exit__(*error)

    def add(self, taken: Taken) -> None:
        """Take in what became of a drop."""
        if taken.copy:
            self._writer = self._writer or CopiesWriter()
            self._writer.add(taken.copy, records=[stored.record.record_id for stored in taken.records])
            self._open.append(len(self._lines))
        self._lines.append(taken.outcome)
        if self._writer is not None and self._writer.n_bytes >= _MOST_BYTES:
            self._put(self._writer)

    def finished(self) -> tuple[Input, ...]:
        """Return the lines, after all copies are in raw/."""
        if self._writer is not None:
            self._put(self._writer)
        return tuple(self._lines)

    def _put(self, writer: CopiesWriter) -> None:
        with writer:
            key = writer.put(self._store, self._source)
        for number in self._open:
            self._lines[number] = structs.replace(self._lines[number], kept_in=key)
        self._writer, self._open = None, []
