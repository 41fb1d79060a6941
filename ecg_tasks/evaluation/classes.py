"""Here: the figures of each class that a model reports, and their mean, on one set of records. Not here: abnormal (``assessment``).

A record counts for the classes of which it is known whether it has them, and for no other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation.intervals import Interval, bootstrap, percentile_interval
from ecg_tasks.evaluation.metrics import MassByScore, auroc_of
from ecg_tasks.evaluation.summary import Evaluation, SplitUnit, evaluate, plain_interval
from ecg_tasks.evaluation.thresholds import AbstainBand

CLASS_FIGURES = ("auroc", "average_precision", "sensitivity", "specificity", "ppv", "ece", "coverage", "accuracy_decided")
"""Figures of a class that are shown, in their order."""


@dataclass(frozen=True, kw_only=True)
class ClassLimits:
    """How a model decides on a class: present from the threshold on, uncertain in the band."""

    name: str
    threshold: float
    abstain: AbstainBand


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoredClasses:
    """Records that a model gave probabilities of classes.

    Parameters
    ----------
    record_ids : records are taken in the order of their ids, so that the same records give the same resamples anywhere
    groups : the patient of each record, or else the record
    limits : of each class
    truth : ndarray, shape (n_records, n_classes), float: 1 for a record that has the class, 0 for one that has not, nan where not known
    probabilities : ndarray, shape (n_records, n_classes), calibrated
    """

    record_ids: Sequence[str]
    groups: Sequence[str]
    limits: tuple[ClassLimits, ...]
    truth: NDArray[np.float64]
    probabilities: NDArray[np.float64]

    def __post_init__(self) -> None:
        shape = (len(self.record_ids), len(self.limits))
        if not self.truth.shape == self.probabilities.shape == shape or len(self.groups) != shape[0]:
            raise SignalError(f"{shape[0]} records and {shape[1]} classes, but {self.truth.shape}, {self.probabilities.shape}")

    @classmethod
    def joined(cls, parts: "Sequence[ScoredClasses]") -> "ScoredClasses":
        """Join several sets of records of the same classes, one after the other; at least one set."""
        return cls(
            record_ids=[one for part in parts for one in part.record_ids],
            groups=[one for part in parts for one in part.groups],
            limits=parts[0].limits,
            truth=np.concatenate([part.truth for part in parts]),
            probabilities=np.concatenate([part.probabilities for part in parts]),
        )

    def in_order(self) -> "ScoredClasses":
        """Return the same records, ordered by their ids."""
        order = sorted(range(len(self.record_ids)), key=lambda row: self.record_ids[row])
        return replace(
            self,
            record_ids=[self.record_ids[row] for row in order],
            groups=[self.groups[row] for row in order],
            truth=self.truth[order],
            probabilities=self.probabilities[order],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassAssessment:
    """The figures of each class, as those of abnormal are, and the mean of their AUROCs.

    In an `Evaluation` of a class, ``n_abnormal`` counts the records that have it, and ``prevalence`` is their share.
    """

    evaluations: Mapping[str, Evaluation]
    macro_auroc: Interval

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers, texts and objects, for ``metrics.json``."""
        return {
            "macro_auroc": plain_interval(self.macro_auroc),
            "figures": {name: one.as_dict() for name, one in self.evaluations.items()},
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Read what ``as_dict`` returned."""
        return cls(
            evaluations={name: Evaluation.from_dict(one) for name, one in plain["figures"].items()},
            macro_auroc=Interval.from_dict(plain["macro_auroc"]),
        )


def assess_classes(scored: ScoredClasses, *, split_unit: SplitUnit, seed: int, n_resamples: int) -> ClassAssessment:
    """Evaluate each class on the records of which it is known; a class that is known of none is left out.

    The mean AUROC is that of the classes that some records have and others have not. Its interval is by bootstrap over patients, who
    are drawn for all classes together, as one record says something of several.

    Parameters
    ----------
    seed, n_resamples : of the bootstrap
    """
    records = scored.in_order()
    groups = np.asarray(records.groups)
    evaluations: dict[str, Evaluation] = {}
    masses: list[tuple[NDArray[np.bool_], MassByScore]] = []
    for column, limits in enumerate(records.limits):
        truth, probability = records.truth[:, column], records.probabilities[:, column]
        known = ~np.isnan(truth) & ~np.isnan(probability)
        if not known.any():
            continue
        evaluations[limits.name] = evaluate(
            truth[known].astype(np.uint8),
            probability[known],
            groups[known],
            threshold=limits.threshold,
            abstain=limits.abstain,
            split_unit=split_unit,
            seed=seed,
            n_resamples=n_resamples,
        )
        if 0 < truth[known].mean() < 1:
            masses.append((known, MassByScore(truth[known].astype(np.uint8), probability[known])))

    def macro(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.mean([auroc_of(*mass(weights[:, known])) for known, mass in masses], axis=0))

    if not masses:
        return ClassAssessment(evaluations=evaluations, macro_auroc=Interval(float("nan"), float("nan"), float("nan")))
    value = float(macro(np.ones((1, len(groups))))[0])
    resampled = bootstrap(macro, groups, seed=seed, n_resamples=n_resamples)
    return ClassAssessment(evaluations=evaluations, macro_auroc=percentile_interval(value, resampled))
