"""Here: the label in force of every record, kept on the disk. Not here: who said it, and when (``labelling``)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ecg_tasks.archive import keys, tables
from ecg_tasks.archive.labelling import REVIEW, in_force, latest_labels, load_labels
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.packed_ids import N_BYTES, is_id, packed, unpacked
from ecg_tasks.disk_rows import Rows, dealt, n_parts_of

_MOMENT_BYTES = 32
"""Of a moment in ISO 8601 with microseconds and an offset."""
_ENTRY = np.dtype([("id", f"S{N_BYTES}"), ("moment", f"S{_MOMENT_BYTES}"), ("label", np.uint8)])
"""What a source said of a record: bytes that have the order of id and moment."""
_IN_FORCE = np.dtype([("id", f"S{N_BYTES}"), ("label", np.uint8)])
_EVERY = 128
"""The id of every so many labels is in memory: an eighth of a byte for each label."""


@dataclass(frozen=True, kw_only=True, eq=False)
class KnownLabels:
    """The label in force of each record that has one.

    Parameters
    ----------
    rows : id, as `packed` makes it, and the place in ``words`` of what the source of the record said last; by id, each once
    heads : ndarray, the ids of every so many of them (`_EVERY`)
    words : all labels that occur
    exact : of the records of which that is not all: what is in force, or None
    """

    rows: Rows
    heads: NDArray[np.bytes_]
    words: tuple[str, ...]
    exact: Mapping[str, str | None]

    @classmethod
    def read(cls, store: ObjectStore) -> "KnownLabels":
        """Read all label tables, and once more what they say of records of which reviewers, or two sources at one moment, speak."""
        listed = store.list_keys(keys.LABELS)
        words: dict[str, int] = {}
        unsure: set[str] = set()
        said = Rows(_ENTRY)
        for data in store.get_many(listed):
            for part in tables.parts(data, ("record_id", "label", "who", "when")):
                is_exact = pc.or_(pc.starts_with(part["who"], REVIEW), pc.greater(pc.binary_length(part["when"]), _MOMENT_BYTES))
                unsure.update(part["record_id"].filter(is_exact).to_pylist())
                latest = latest_labels(part.filter(pc.and_(pc.invert(is_exact), is_id(part["record_id"]))))
                entries = np.empty(latest.num_rows, _ENTRY)
                entries["id"], entries["label"] = packed(latest["record_id"]), _places(latest["label"], words)
                entries["moment"] = _texts(latest["when"])
                said.append(entries)
        rows, heads = Rows(_IN_FORCE), [np.empty(0, f"S{N_BYTES}")]
        for part in _by_id(said):
            entries = part.read()
            entries.view(f"S{_ENTRY.itemsize}").sort()  # by id, then by moment
            ids = np.ascontiguousarray(entries["id"])
            same, at_once = ids[1:] == ids[:-1], entries["moment"][1:] == entries["moment"][:-1]
            is_last = np.append(~same, np.ones(min(len(ids), 1), bool))
            unsure.update(unpacked(ids[1:][same & at_once & is_last[1:]]))
            heads.append(ids[is_last][-len(rows) % _EVERY :: _EVERY].copy())  # not a view, which would keep all of them
            rows.append(entries[is_last][["id", "label"]].astype(_IN_FORCE))
        found = in_force(entry for data in store.get_many(listed if unsure else ()) for entry in load_labels(data, of_records=unsure))
        exact = {record_id: found[record_id].label if record_id in found else None for record_id in unsure}
        pa.default_memory_pool().release_unused()  # four times what the reading takes at a time, and the report asks for less
        return cls(rows=rows, heads=np.concatenate(heads), words=tuple(words), exact=exact)

    def of(self, record_ids: Sequence[str]) -> list[str | None]:
        """Return the label of each of these records, None where it has none."""
        if not len(self.rows) or not record_ids:
            return [self.exact.get(record_id) for record_id in record_ids]
        wanted = packed(pa.chunked_array([record_ids], type=pa.string()))
        ids, labels = self._around(wanted)
        place = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
        label = np.where(ids[place] == wanted, labels[place], len(self.words))
        words = (*self.words, None)
        said = [words[one] for one in label.tolist()]
        return [self.exact.get(record_id, one) for record_id, one in zip(record_ids, said, strict=True)] if self.exact else said

    def _around(self, wanted: NDArray[np.bytes_]) -> tuple[NDArray[np.bytes_], NDArray[np.uint8]]:
        """Return ids and labels, by id, from every stretch of rows in which one of these ids may be; one row at least."""
        stretches = np.unique(np.maximum(np.searchsorted(self.heads, wanted, side="right") - 1, 0))
        runs = np.split(stretches, np.flatnonzero(np.diff(stretches) > 1) + 1)
        read = np.concatenate([self.rows.read(int(run[0]) * _EVERY, (int(run[-1]) + 1) * _EVERY) for run in runs])
        return np.ascontiguousarray(read["id"]), np.ascontiguousarray(read["label"])


def _by_id(said: Rows) -> Iterator[Rows]:
    """Deal what was said into parts, each of which has all of a record, and comes wholly before the next."""
    n_parts = n_parts_of(len(said))

    def part_of(entries: NDArray[Any]) -> NDArray[np.integer]:
        first = np.ascontiguousarray(entries["id"]).view(">u4")[:: N_BYTES // 4].astype(np.int64)
        return first * n_parts >> 32

    return dealt(said, part_of, n_parts)


def _texts(texts: pa.ChunkedArray) -> NDArray[np.bytes_]:
    """Return texts as bytes, which have their order."""
    found = texts.combine_chunks().dictionary_encode()
    known = np.array([text.encode() for text in found.dictionary.to_pylist()], dtype=f"S{_MOMENT_BYTES}")
    of_rows: NDArray[np.bytes_] = known[found.indices.to_numpy()]
    return of_rows


def _places(texts: pa.ChunkedArray, known: dict[str, int]) -> NDArray[np.int64]:
    """Return the place of each text among the known ones, to which new ones are added."""
    found = texts.combine_chunks().dictionary_encode()
    places = np.array([known.setdefault(text, len(known)) for text in found.dictionary.to_pylist()], dtype=np.int64)
    of_rows: NDArray[np.int64] = places[found.indices.to_numpy()]
    return of_rows
