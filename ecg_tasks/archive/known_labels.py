"""Here: the label in force of every record, in some fifty bytes a record. Not here: who said it, and when (``labelling``)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from ecg_tasks.archive import keys, tables
from ecg_tasks.archive.labelling import REVIEW, in_force, latest_labels, load_labels
from ecg_tasks.archive.object_store import ObjectStore


@dataclass(frozen=True, kw_only=True, eq=False)
class KnownLabels:
    """The label in force of each record that has one.

    Parameters
    ----------
    ids : ndarray, shape (n,), ascending, each once
    labels : ndarray of texts, shape (n,), what the source of each record said last
    exact : of the records of which that is not all: what is in force, or None
    """

    ids: NDArray[np.bytes_]
    labels: NDArray[np.object_]
    exact: Mapping[str, str | None]

    @classmethod
    def read(cls, store: ObjectStore) -> "KnownLabels":
        """Read all label tables, one after the other, and those once more that reviewers or two sources at one moment speak in."""
        listed = store.list_keys(keys.LABELS)
        ids, moments, labels = [np.empty(0, "S1")], [np.empty(0, "S1")], [np.empty(0, object)]
        words: dict[str, str] = {}
        unsure: set[str] = set()
        for data in store.get_many(listed):
            table = tables.load_table(data)
            is_review = pc.starts_with(table["who"], REVIEW)
            unsure.update(table["record_id"].filter(is_review).to_pylist())
            said = latest_labels(table.filter(pc.invert(is_review)))
            ids.append(np.array(said["record_id"].to_pylist(), dtype="S"))
            moments.append(np.array(said["when"].to_pylist(), dtype="S"))
            labels.append(np.array([words.setdefault(word, word) for word in said["label"].to_pylist()], dtype=object))
        all_ids, at = np.concatenate(ids), np.concatenate(moments)
        order = np.lexsort((at, all_ids))
        all_ids, at = all_ids[order], at[order]
        same = all_ids[1:] == all_ids[:-1]
        is_last = np.append(~same, np.ones(min(len(all_ids), 1), bool))
        unsure.update(one.decode() for one in all_ids[1:][same & (at[1:] == at[:-1]) & is_last[1:]])
        found = in_force(entry for data in store.get_many(listed if unsure else ()) for entry in load_labels(data, of_records=unsure))
        exact = {record_id: found[record_id].label if record_id in found else None for record_id in unsure}
        return cls(ids=all_ids[is_last], labels=np.concatenate(labels)[order][is_last], exact=exact)

    def of(self, record_ids: Sequence[str]) -> list[str | None]:
        """Return the label of each of these records, None where it has none."""
        wanted = np.array(record_ids, dtype="S")
        place = np.minimum(np.searchsorted(self.ids, wanted), max(len(self.ids) - 1, 0))
        is_known = self.ids[place] == wanted if len(self.ids) else np.zeros(len(wanted), bool)
        said = (self.labels[row] if known else None for row, known in zip(place.tolist(), is_known.tolist(), strict=True))
        return [self.exact.get(record_id, label) for record_id, label in zip(record_ids, said, strict=True)]
