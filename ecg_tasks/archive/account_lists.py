"""Here: the lists of an intake's account, which may be long: its inputs, and what went into quarantine. Not here: the account itself.

A short list stands in the manifest, as every list did in version 0.1. A long one is a separate Parquet table, named by its content, so
that who reads the account, or only walks through the list, never holds all of it.
"""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any, Generic, Self, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import structs

from ecg_tasks.archive import keys, tables
from ecg_tasks.archive.documents import Input, IntakeManifest, QuarantinedInput, prepared
from ecg_tasks.archive.object_store import ObjectStore

INLINE = 1000
"""So many entries at most stand in the manifest itself."""
_GROUP_ROWS = 4096

Entry = TypeVar("Entry", Input, QuarantinedInput)


def inputs(store: ObjectStore, manifest: IntakeManifest) -> Iterator[Input]:
    """Yield every input of an intake; memory holds some thousands."""
    yield from manifest.inputs
    if manifest.inputs_table:
        yield from _read(store, manifest.inputs_table, Input)


def quarantined(store: ObjectStore, manifest: IntakeManifest) -> Iterator[QuarantinedInput]:
    """Yield everything that an intake put into quarantine; memory holds some thousands."""
    yield from manifest.quarantined
    if manifest.quarantined_table:
        yield from _read(store, manifest.quarantined_table, QuarantinedInput)


class ListWriter(Generic[Entry]):
    """A list while it comes in, in a temporary file that goes at the end; memory holds some thousands of its entries."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - `__exit__` closes it
        self._writer = pq.ParquetWriter(self._file, schema, compression="zstd")
        self._waiting: list[Entry] = []
        self._n_written = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
        self._file.close()

    def add(self, entries: Iterable[Entry]) -> None:
        """Take entries in."""
        for entry in entries:
            self._waiting.append(entry)
            if len(self._waiting) == _GROUP_ROWS:
                self._flush()

    def put(self, store: ObjectStore, *, dag: str, run: str, name: str) -> tuple[tuple[Entry, ...], str]:
        """Return the entries themselves, if there are few, or the key of the table that holds them; nothing can be added afterwards."""
        if not self._n_written and len(self._waiting) <= INLINE:
            return tuple(self._waiting), ""
        self._flush()
        self._writer.close()
        self._file.seek(0)
        key = keys.account_list(dag, run, name, hashlib.file_digest(self._file, "sha256").hexdigest()[:20])
        self._file.seek(0)
        store.put(key, self._file)
        return (), key

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_pylist([_row(entry) for entry in self._waiting], schema=self._schema))
            self._n_written += len(self._waiting)
            self._waiting = []


def writer_of_inputs() -> ListWriter[Input]:
    """Begin a list of inputs."""
    return ListWriter(tables.INPUTS)


def writer_of_quarantined() -> ListWriter[QuarantinedInput]:
    """Begin a list of what went into quarantine."""
    return ListWriter(tables.QUARANTINED)


def _row(entry: Input | QuarantinedInput) -> dict[str, Any]:
    row = structs.asdict(entry)
    return row | {"files": [structs.asdict(file) for file in entry.files]} if isinstance(entry, Input) else row


def _read(store: ObjectStore, key: str, kind: type[Entry]) -> Iterator[Entry]:
    with store.spool(key) as file:
        table = pq.ParquetFile(file)
        for batch in table.iter_batches(batch_size=_GROUP_ROWS, use_threads=False):
            yield from msgspec.convert(batch.to_pylist(), prepared(list[kind]))  # type: ignore[valid-type]  # of the argument
