"""Here: the label in force of every record, in some twenty bytes a record. Not here: who said it, and when (``labelling``)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ecg_tasks.archive import keys, tables
from ecg_tasks.archive.labelling import REVIEW, in_force, latest_labels, load_labels
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.packed_ids import N_BYTES, is_id, packed, unpacked
from ecg_tasks.archive.temporary_file import new_file

_ENTRY = np.dtype([("id", f"S{N_BYTES}"), ("moment", ">u4"), ("label", np.uint8)])
"""What a source said of a record: bytes that have the order of id and moment."""


@dataclass(frozen=True, kw_only=True, eq=False)
class KnownLabels:
    """The label in force of each record that has one.

    Parameters
    ----------
    ids : ndarray, shape (n,), as `packed` makes them, ascending, each once
    labels : ndarray, shape (n,): the place in ``words`` of what the source of each record said last
    words : all labels that occur
    exact : of the records of which that is not all: what is in force, or None
    """

    ids: NDArray[np.bytes_]
    labels: NDArray[np.uint8]
    words: tuple[str, ...]
    exact: Mapping[str, str | None]

    @classmethod
    def read(cls, store: ObjectStore) -> "KnownLabels":
        """Read all label tables, and once more what they say of records of which reviewers, or two sources at one moment, speak."""
        listed = store.list_keys(keys.LABELS)
        moments: dict[str, int] = {}
        words: dict[str, int] = {}
        unsure: set[str] = set()
        with new_file() as file:  # twice in memory is more than once on the disk
            for data in store.get_many(listed):
                for rows in tables.parts(data, ("record_id", "label", "who", "when")):
                    is_review = pc.starts_with(rows["who"], REVIEW)
                    unsure.update(rows["record_id"].filter(is_review).to_pylist())
                    said = latest_labels(rows.filter(pc.and_(pc.invert(is_review), is_id(rows["record_id"]))))
                    entries = np.empty(said.num_rows, _ENTRY)
                    entries["id"], entries["label"] = packed(said["record_id"]), _places(said["label"], words)
                    entries["moment"] = _places(said["when"], moments)
                    file.write(entries.tobytes())
            file.seek(0)
            entries = np.fromfile(file, _ENTRY)
        entries["moment"] = np.argsort(np.argsort(np.array(list(moments), dtype=str), kind="stable"))[entries["moment"]]
        entries.view(f"S{_ENTRY.itemsize}").sort()  # by id, then by moment
        ids = np.ascontiguousarray(entries["id"])
        same, at_once = ids[1:] == ids[:-1], entries["moment"][1:] == entries["moment"][:-1]
        is_last = np.append(~same, np.ones(min(len(ids), 1), bool))
        unsure.update(unpacked(ids[1:][same & at_once & is_last[1:]]))
        labels = np.ascontiguousarray(entries["label"])
        del entries
        if not is_last.all():
            ids, labels = ids[is_last], labels[is_last]
        found = in_force(entry for data in store.get_many(listed if unsure else ()) for entry in load_labels(data, of_records=unsure))
        exact = {record_id: found[record_id].label if record_id in found else None for record_id in unsure}
        return cls(ids=ids, labels=labels, words=tuple(words), exact=exact)

    def of(self, record_ids: Sequence[str]) -> list[str | None]:
        """Return the label of each of these records, None where it has none."""
        if not len(self.ids) or not record_ids:
            return [self.exact.get(record_id) for record_id in record_ids]
        wanted = packed(pa.chunked_array([record_ids], type=pa.string()))
        place = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
        label = np.where(self.ids[place] == wanted, self.labels[place], len(self.words))
        words = (*self.words, None)
        said = [words[one] for one in label.tolist()]
        return [self.exact.get(record_id, one) for record_id, one in zip(record_ids, said, strict=True)] if self.exact else said


def _places(texts: pa.ChunkedArray, known: dict[str, int]) -> NDArray[np.int64]:
    """Return the place of each text among the known ones, to which new ones are added."""
    found = texts.combine_chunks().dictionary_encode()
    places = np.array([known.setdefault(text, len(known)) for text in found.dictionary.to_pylist()], dtype=np.int64)
    of_rows: NDArray[np.int64] = places[found.indices.to_numpy()]
    return of_rows
