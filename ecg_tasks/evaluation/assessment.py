"""Here: the whole evaluation of a model on labelled records: figures, curves, baselines, subgroups. Not here: scoring (``pipeline``).

A model's card and ``ecg evaluate`` both come from here, so that they cannot differ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation import curves
from ecg_tasks.evaluation.comparison import auroc_difference
from ecg_tasks.evaluation.intervals import N_RESAMPLES, Interval
from ecg_tasks.evaluation.subgroups import Subgroup, evaluate_subgroups
from ecg_tasks.evaluation.summary import Evaluation, SplitUnit, evaluate, plain_interval
from ecg_tasks.evaluation.thresholds import AbstainBand, CoverageCurve, coverage_accuracy

BOOTSTRAP_SEED = 20180501
MAX_DRAWN_RECORDS = 10_000_000
"""Records in all bootstrap resamples together: with more than 5,000 records, fewer resamples are enough."""
MIN_RESAMPLES = 200
BASELINE_FIGURES = ("auroc", "average_precision", "brier")


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoredRecords:
    """Labelled records that a model gave a probability; every field holds one value a record.

    Parameters
    ----------
    record_ids : records are taken in the order of their ids, so that the same records give the same resamples anywhere
    labels : ndarray, shape (n_records,), 0 normal or 1 abnormal
    probabilities : ndarray, shape (n_records,), calibrated P(abnormal)
    groups : the patient of each record, or else the record
    quality : ndarray, shape (n_records,), mean quality of the windows used, 0 to 1
    ages : ndarray, shape (n_records,), years, nan where not known
    sexes : ``female``, ``male`` or None
    baselines : name of a baseline to its P(abnormal), each of shape (n_records,)
    origins : ``device`` and ``site`` to one text a record, None where not known
    thresholds, firm : ndarray, shape (n_records,), the threshold of each record, and whether it is outside its band, where sites have
        others than the model; None where all records have the model's
    """

    record_ids: Sequence[str]
    labels: NDArray[np.integer]
    probabilities: NDArray[np.float64]
    groups: Sequence[str]
    quality: NDArray[np.floating]
    ages: NDArray[np.floating]
    sexes: Sequence[str | None]
    baselines: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    origins: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    thresholds: NDArray[np.float64] | None = None
    firm: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        columns = (self.labels, self.probabilities, self.groups, self.quality, self.ages, self.sexes, *self.baselines.values())
        limits = (column for column in (self.thresholds, self.firm) if column is not None)
        if any(len(column) != len(self.record_ids) for column in (*columns, *self.origins.values(), *limits)):
            raise SignalError(f"{len(self.record_ids)} records, but columns of {sorted({len(column) for column in columns})} values")

    @classmethod
    def joined(cls, parts: "Sequence[ScoredRecords]") -> "ScoredRecords":
        """Join several sets of records, one after the other; at least one set."""
        return cls(
            record_ids=[one for part in parts for one in part.record_ids],
            labels=np.concatenate([part.labels for part in parts]),
            probabilities=np.concatenate([part.probabilities for part in parts]),
            groups=[one for part in parts for one in part.groups],
            quality=np.concatenate([part.quality for part in parts]),
            ages=np.concatenate([part.ages for part in parts]),
            sexes=[one for part in parts for one in part.sexes],
            baselines={name: np.concatenate([part.baselines[name] for part in parts]) for name in parts[0].baselines},
            origins={name: [one for part in parts for one in part.origins[name]] for name in parts[0].origins},
            thresholds=None
            if parts[0].thresholds is None
            else np.concatenate([part.thresholds for part in parts if part.thresholds is not None]),
            firm=None if parts[0].firm is None else np.concatenate([part.firm for part in parts if part.firm is not None]),
        )

    def in_order(self) -> "ScoredRecords":
        """Return the same records, ordered by their ids."""
        order = sorted(range(len(self.record_ids)), key=lambda row: self.record_ids[row])
        return ScoredRecords(
            record_ids=[self.record_ids[row] for row in order],
            labels=self.labels[order],
            probabilities=self.probabilities[order],
            groups=[self.groups[row] for row in order],
            quality=self.quality[order],
            ages=self.ages[order],
            sexes=[self.sexes[row] for row in order],
            baselines={name: values[order] for name, values in self.baselines.items()},
            origins={name: [values[row] for row in order] for name, values in self.origins.items()},
            thresholds=None if self.thresholds is None else self.thresholds[order],
            firm=None if self.firm is None else self.firm[order],
        )


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A simpler method on the same records; ``auroc_difference`` is the model's AUROC less the baseline's, paired."""

    figures: dict[str, Interval]
    auroc_difference: Interval


@dataclass(frozen=True, kw_only=True, eq=False)
class Assessment:
    """The evaluation of a model on labelled records."""

    evaluation: Evaluation
    roc: curves.RocCurve
    precision_recall: curves.PrecisionRecallCurve
    reliability: curves.Reliability
    coverage: CoverageCurve
    baselines: dict[str, Baseline]
    subgroups: list[Subgroup]

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers, texts, lists and objects, for ``metrics.json``."""
        return {
            "test": self.evaluation.as_dict(),
            "curves": {
                name: curves.plain(curve)
                for name, curve in (
                    ("roc", self.roc),
                    ("precision_recall", self.precision_recall),
                    ("reliability", self.reliability),
                    ("coverage", self.coverage),
                )
            },
            "baselines": {
                name: {figure: plain_interval(interval) for figure, interval in baseline.figures.items()}
                | {"auroc_difference": plain_interval(baseline.auroc_difference)}
                for name, baseline in self.baselines.items()
            },
            "subgroups": [group.as_dict() for group in self.subgroups],
        }


def assess(
    scored: ScoredRecords,
    *,
    threshold: float,
    abstain: AbstainBand | None,
    split_unit: SplitUnit,
    seed: int = BOOTSTRAP_SEED,
    n_resamples: int | None = None,
) -> Assessment:
    """Evaluate a model by every figure, with 95 % intervals by bootstrap over patients; parameters as in ``summary.evaluate``.

    The same records give the same answer to the last digit, in any order and with any patient ids.
    Without ``n_resamples`` there are 2,000, or fewer because of ``MAX_DRAWN_RECORDS``.

    Raises
    ------
    NotEnoughDataError
        If there is no record at all.
    """
    records = scored.in_order()
    groups = np.asarray(records.groups)
    if n_resamples is None:
        n_resamples = int(np.clip(MAX_DRAWN_RECORDS // max(1, len(groups)), MIN_RESAMPLES, N_RESAMPLES))
    called = None if records.thresholds is None else records.probabilities >= records.thresholds
    evaluation = evaluate(
        records.labels,
        records.probabilities,
        groups,
        threshold=threshold,
        called=called,
        firm=records.firm,
        abstain=abstain,
        split_unit=split_unit,
        seed=seed,
        n_resamples=n_resamples,
    )
    labels = records.labels.astype(bool)
    return Assessment(
        evaluation=evaluation,
        roc=curves.thinned(curves.roc_curve(labels, records.probabilities)),
        precision_recall=curves.thinned(curves.precision_recall_curve(labels, records.probabilities)),
        reliability=curves.reliability(labels, records.probabilities, groups),
        coverage=curves.thinned(
            coverage_accuracy(labels, records.probabilities, threshold=threshold if records.thresholds is None else records.thresholds)
        ),
        baselines={
            name: _baseline(records, groups, probabilities, seed=seed, n_resamples=n_resamples)
            for name, probabilities in records.baselines.items()
        },
        subgroups=evaluate_subgroups(
            labels,
            records.probabilities,
            groups,
            sexes=records.sexes,
            ages=np.asarray(records.ages, dtype=np.float64),
            quality=np.asarray(records.quality, dtype=np.float64),
            origins=records.origins,
            threshold=threshold,
            called=called,
            seed=seed,
            n_resamples=n_resamples,
        ),
    )


def _baseline(
    records: ScoredRecords, groups: NDArray[np.generic], probabilities: NDArray[np.float64], *, seed: int, n_resamples: int
) -> Baseline:
    whole = evaluate(records.labels, probabilities, groups, threshold=0.5, seed=seed, n_resamples=n_resamples).figures
    difference = auroc_difference(records.labels, records.probabilities, probabilities, groups, seed=seed, n_resamples=n_resamples)
    return Baseline(figures={name: whole[name] for name in BASELINE_FIGURES}, auroc_difference=difference)
