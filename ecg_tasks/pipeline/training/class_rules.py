"""Here: how a version decides on each class, fitted on calibration patients, and what it says of records, made ready to be assessed.

Not here: which classes a dataset teaches (``classes``), or their figures (``evaluation.classes``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.evaluation.calibration import fit_calibration
from ecg_tasks.evaluation.classes import ClassLimits, ScoredClasses
from ecg_tasks.evaluation.gate import ScoredClass
from ecg_tasks.evaluation.thresholds import abstain_band, threshold_for_sensitivity
from ecg_tasks.labels import Superclass
from ecg_tasks.learning.dataset import NOT_KNOWN
from ecg_tasks.learning.decisions import ClassRule, RecordDecisions, record_probabilities
from ecg_tasks.pipeline.training.classes import class_matrix
from ecg_tasks.pipeline.training.dataset import DatasetRow, Pictures

MIN_PATIENTS = 10
"""Calibration patients with a class, and without it: of fewer, one record moves the sensitivity by more than a tenth, so the class is not
served."""
SNOMED_CT = "http://snomed.info/sct"
CODES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        Superclass.NORM.value: ("164854000", "Electrocardiogram normal"),
        Superclass.MI.value: ("164865005", "ECG: myocardial infarction"),
        Superclass.STTC.value: ("428750005", "Nonspecific ST-T abnormality on electrocardiogram"),
        Superclass.CD.value: ("44808001", "Conduction disorder of the heart"),
        Superclass.HYP.value: ("266249003", "Ventricular hypertrophy"),
    }
)
"""What the superclasses are in SNOMED CT, as near as it has them; a version keeps the codes that it was made with."""


class Asked(NamedTuple):
    """What a rule shall reach on the calibration records: see ``candidate``."""

    sensitivity: float
    accuracy: float
    coverage: float


@dataclass(frozen=True, kw_only=True)
class FittedClasses:
    """The rules of a version's classes, on how many records each was fitted, and why others are not served, as the end of a sentence."""

    rules: tuple[ClassRule, ...]
    counts: Mapping[str, Mapping[str, int]]
    left_out: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers and texts for ``metrics.json``."""
        return {"calibration": {name: dict(one) for name, one in self.counts.items()}, "left_out": dict(self.left_out)}


def fit_classes(
    calibration: Pictures, outputs: NDArray[np.floating], names: Sequence[str], *, min_quality: float, asked: Asked
) -> FittedClasses:
    """Fit temperature, bias, threshold and band of each class, as those of abnormal are, on the records of which it is known.

    Parameters
    ----------
    outputs : ndarray, shape (n_windows, n_outputs), what the network says of the calibration windows: abnormal, then each class
    names : of the classes, in the order of the outputs
    """
    truth = class_matrix(calibration.rows, names)
    groups = np.asarray(calibration.groups)
    rules, counts, left_out = [], {}, {}
    for column, name in enumerate(names):
        raw = record_probabilities(
            calibration.record, outputs[:, 1 + column], calibration.quality, n_records=len(calibration.rows), min_quality=min_quality
        )
        known = (truth[:, column] != NOT_KNOWN) & ~np.isnan(raw)
        has = truth[known, column] == 1
        n_with, n_without = (np.unique(groups[known][some]).size for some in (has, ~has))
        if min(n_with, n_without) < MIN_PATIENTS:
            left_out[name] = f"{n_with} calibration patients have it and {n_without} have not; at least {MIN_PATIENTS} of each are needed"
            continue
        labels = has.astype(np.uint8)
        correction = fit_calibration(labels, raw[known])
        calibrated = correction.apply(raw[known])
        threshold = threshold_for_sensitivity(calibrated, sensitivity=asked.sensitivity)
        band = abstain_band(labels, calibrated, threshold=threshold, target_accuracy=asked.accuracy, min_coverage=asked.coverage)
        code, display = CODES.get(name, ("", ""))
        rules.append(
            ClassRule(
                name=name,
                output=1 + column,
                temperature=correction.temperature,
                bias=correction.bias,
                threshold=threshold,
                abstain=(band.lo, band.hi),
                system=SNOMED_CT if code else "",
                code=code,
                display=display,
            )
        )
        counts[name] = {"n_records": int(known.sum()), "n_patients": np.unique(groups[known]).size, "n_present": int(has.sum())}
    return FittedClasses(rules=tuple(rules), counts=counts, left_out=left_out)


def scored_classes(decided: RecordDecisions, rows: Sequence[DatasetRow]) -> ScoredClasses:
    """Return what a version said of the classes of these records, ready to be assessed."""
    limits = tuple(ClassLimits(name=one.rule.name, threshold=one.rule.threshold, abstain=one.rule.band) for one in decided.classes)
    return ScoredClasses(
        record_ids=[row.record_id for row in rows],
        groups=[row.group for row in rows],
        limits=limits,
        truth=known_truth(rows, [one.name for one in limits]),
        probabilities=np.column_stack([one.probability for one in decided.classes]),
    )


def known_truth(rows: Sequence[DatasetRow], names: Sequence[str]) -> NDArray[np.float64]:
    """Return 1 where a record has a class, 0 where it has not, and nan where that is not known, shape (n_records, n_classes)."""
    matrix = class_matrix(rows, names)
    return np.where(matrix == NOT_KNOWN, np.nan, matrix.astype(np.float64))


def in_common(rows: Sequence[DatasetRow], candidate: RecordDecisions, champion: RecordDecisions) -> dict[str, ScoredClass]:
    """Return what both versions said of the classes that both report, on the records of which these are known."""
    theirs = {one.rule.name: one.probability for one in champion.classes}
    ours = {one.rule.name: one.probability for one in candidate.classes if one.rule.name in theirs}
    truth = known_truth(rows, list(ours))
    groups = np.array([row.group for row in rows])
    found = {}
    for column, (name, probability) in enumerate(ours.items()):
        known = ~np.isnan(truth[:, column])
        found[name] = ScoredClass(
            labels=truth[known, column].astype(np.uint8),
            candidate=probability[known],
            champion=theirs[name][known],
            groups=groups[known],
        )
    return found
