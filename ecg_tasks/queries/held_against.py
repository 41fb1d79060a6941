"""Here: what a serving version's probabilities let expect, against the labels that came later. Not here: the nights (``drift``)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ecg_tasks.archive import verdicts
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.evaluation.assessment import BOOTSTRAP_SEED
from ecg_tasks.evaluation.estimation import Comparison, hold_against
from ecg_tasks.labels import CLASS_ORDER, Label
from ecg_tasks.pipeline.decided import serving
from ecg_tasks.queries.unseen import unseen_by

MIN_LABELS = 10
"""Labelled records of different patients below which nothing is compared."""


@dataclass(frozen=True, kw_only=True)
class HeldAgainst:
    """Figures by name, estimated and measured on the same records, one a patient."""

    n_records: int
    n_abnormal: int
    figures: Mapping[str, Comparison]


def held_against(store: ObjectStore, recipe: str) -> HeldAgainst | None:
    """Hold the estimate against the labels in force of all decided records that the serving version was not trained on.

    None where fewer than `MIN_LABELS` patients have one, or there is no serving version.
    """
    for decided in serving(store, [recipe]):
        known = verdicts.read_labels(store)
        in_force = {**known.sources, **known.in_force()}
        labels = {one: entry.label for one, entry in in_force.items() if entry.label in CLASS_ORDER}
        ids = np.array(sorted(labels), dtype="S32")
        at = decided.rows(ids)
        usable = [one.decode() for one, row in zip(ids, at, strict=True) if row >= 0 and not np.isnan(decided.probability[row])]
        by_patient: dict[str, str] = {}  # of each patient the record with the smallest id
        for record_id, patient in unseen_by(store, decided.recipe, [decided.version], usable).items():
            by_patient.setdefault(patient, record_id)
        chosen = list(by_patient.values())
        if len(chosen) < MIN_LABELS:
            return None
        at = decided.rows(np.array(chosen, dtype="S32"))
        truth = np.array([labels[one] == Label.ABNORMAL for one in chosen], dtype=np.int64)
        found = hold_against(truth, decided.probability[at].astype(np.float64), threshold=decided.threshold[at], seed=BOOTSTRAP_SEED)
        return HeldAgainst(n_records=len(chosen), n_abnormal=int(truth.sum()), figures=found)
    return None
