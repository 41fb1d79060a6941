"""Here: the label in force of every record, in some twenty bytes a record. Not here: who said it, and when (``labelling``)."""

from collections.abc import Mapping, Sequence
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
        ids, moments, labels = [np.empty(0, f"S{N_BYTES}")], [np.empty(0, np.int32)], [np.empty(0, np.uint8)]
        all_moments: dict[str, int] = {}
        words: dict[str, int] = {}
        unsure: set[str] = set()
        for data in store.get_many(listed):
            for rows in tables.parts(data, ("record_id", "label", "who", "when")):
                is_review = pc.starts_with(rows["who"], REVIEW)
                unsure.update(rows["record_id"].filter(is_review).to_pylist())
                said = latest_labels(rows.filter(pc.and_(pc.invert(is_review), is_id(rows["record_id"]))))
                ids.append(packed(said["record_id"]))
                moments.append(_places(said["when"], all_moments).astype(np.int32))
                labels.append(_places(said["label"], words).astype(np.uint8))
        rank = np.argsort(np.argsort(np.array(list(all_moments), dtype=str), kind="stable")).astype(np.int32)
        all_ids, at, all_labels = _joined(ids), rank[_joined(moments)], _joined(labels)
        order = np.lexsort((at, all_ids))
        all_ids = all_ids[order]
        at, all_labels = at[order], all_labels[order]
        del order
        same = all_ids[1:] == all_ids[:-1]
        is_last = np.append(~same, np.ones(min(len(all_ids), 1), bool))
        unsure.update(unpacked(all_ids[1:][same & (at[1:] == at[:-1]) & is_last[1:]]))
        found = in_force(entry for data in store.get_many(listed if unsure else ()) for entry in load_labels(data, of_records=unsure))
        exact = {record_id: found[record_id].label if record_id in found else None for record_id in unsure}
        if not is_last.all():
            all_ids, all_labels = all_ids[is_last], all_labels[is_last]
        return cls(ids=all_ids, labels=all_labels, words=tuple(words), exact=exact)

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


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    """Return the parts as one, and let go of them."""
    found = np.concatenate(parts)
    parts.clear()
    return found
