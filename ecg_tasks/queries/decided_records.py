"""Here: all records that a serving model has decided on, a row each, to order them in memory. Not here: their order (``review_queue``)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.archive.cache import keep
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.evaluation.priority import centred, uncertainty
from ecg_tasks.pipeline.decided import Decided, serving
from ecg_tasks.settings import Settings


@dataclass(frozen=True, kw_only=True, eq=False)
class DecidedRecords:
    """All decided records, one row each: which model decides on it (index into ``models``), and where it stands there."""

    models: Sequence[Decided]
    ids: NDArray[np.bytes_]
    model: NDArray[np.int64]
    row: NDArray[np.int64]
    scores: NDArray[np.float64]
    uncertain: NDArray[np.float64]
    quality: NDArray[np.float64]

    def rows(self, record_ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the rows of those of these records that are among them, in their order."""
        if not len(self.ids) or not record_ids:
            return np.empty(0, dtype=np.int64)
        wanted = np.array(record_ids, dtype="S32")
        at = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
        return np.asarray(at[self.ids[at] == wanted], dtype=np.int64)

    def flags(self, record_ids: Sequence[str]) -> NDArray[np.bool_]:
        """Return for each row whether its record is one of these, shape (n,)."""
        flags = np.zeros(len(self.ids), dtype=bool)
        flags[self.rows(record_ids)] = True
        return flags


def decided_records(store: ObjectStore) -> DecidedRecords:
    """Return every decided record once: the first recipe that takes it decides on it."""
    return _merged(store, models=tuple(serving(store, Settings.from_environment().recipes)))


@keep(1)
def _merged(_store: ObjectStore, *, models: Sequence[Decided]) -> DecidedRecords:
    ids = np.unique(np.concatenate([np.empty(0, dtype="S32"), *(model.ids for model in models)]))
    places = [model.rows(ids) for model in models]
    chosen, row = np.full(len(ids), -1), np.full(len(ids), -1)
    for index in reversed(range(len(models))):
        here = places[index] >= 0
        chosen[here], row[here] = index, places[index][here]
    scores = np.full((max(len(models), 1), len(ids)), np.nan)
    uncertain, quality = np.zeros(len(ids)), np.ones(len(ids))
    for index, model in enumerate(models):
        here = places[index] >= 0
        at = places[index][here]
        scores[index, here] = centred(model.probability[at], threshold=model.threshold[at])
        mine = chosen == index
        of_mine = model.probability[row[mine]]
        limits = (model.low[row[mine]], model.high[row[mine]])
        uncertain[mine] = uncertainty(of_mine, threshold=model.threshold[row[mine]], abstain=limits)
        quality[mine] = model.quality[row[mine]]
    return DecidedRecords(models=models, ids=ids, model=chosen, row=row, scores=scores, uncertain=uncertain, quality=quality)
