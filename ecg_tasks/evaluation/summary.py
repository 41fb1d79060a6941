"""Here: every figure of one model on one set of records, with intervals, as one object. Not here: the verdict on it (``gate``)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecg_tasks.errors import NotEnoughDataError, SignalError
from ecg_tasks.evaluation.intervals import (
    MANY,
    N_RESAMPLES,
    Interval,
    bootstrap,
    nan_to_none,
    near_the_edge,
    newcombe,
    percentile_interval,
    wilson,
)
from ecg_tasks.evaluation.metrics import (
    CONFUSION_FIGURES,
    MAX_BINS,
    MassByScore,
    as_labels,
    as_probabilities,
    auroc_of,
    average_precision_of,
    calibration_bins,
    confusion_cells,
    confusion_figures,
    excess_by_bin,
    ratio,
    weighted_confusion,
)
from ecg_tasks.evaluation.thresholds import AbstainBand

_Sums = Callable[[NDArray[np.float64]], NDArray[np.float64]]
SplitUnit = Literal["patient", "record"]
"""What was kept together when the splits were made: figures split by record look too good where a patient has several."""

FIGURE_TITLES = {
    "prevalence": "Prevalence",
    "auroc": "AUROC",
    "auroc_difference": "AUROC of the model less this",
    "average_precision": "AUPRC",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "Positive predictive value",
    "npv": "Negative predictive value",
    "f1": "F1",
    "accuracy": "Accuracy",
    "brier": "Brier score",
    "ece": "Calibration error (ECE)",
    "coverage": "Share decided (outside the abstain band)",
    "accuracy_decided": "Accuracy of what is decided",
}
"""Titles of the figures for people."""


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """The confusion table at the threshold."""

    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All figures of one model on one set of labelled records.

    ``prevalence`` is the share of abnormal records: chance level of ``average_precision``. ``sensitivity`` to
    ``accuracy`` decide every record by the threshold alone; ``coverage`` is the share of records outside the abstain
    band, and ``accuracy_decided`` the accuracy among these. Where a class is absent, a figure that needs it is nan
    (None in a plain dict).
    """

    n_records: int
    n_patients: int
    n_abnormal: int
    split_unit: SplitUnit
    threshold: float
    abstain: AbstainBand
    seed: int
    n_resamples: int
    confusion: Confusion
    prevalence: Interval
    auroc: Interval
    average_precision: Interval
    sensitivity: Interval
    specificity: Interval
    ppv: Interval
    npv: Interval
    f1: Interval
    accuracy: Interval
    brier: Interval
    ece: Interval
    coverage: Interval
    accuracy_decided: Interval

    @property
    def figures(self) -> dict[str, Interval]:
        """The figures that have an interval, by name, in the order of the fields."""
        return {field.name: value for field in fields(self) if isinstance(value := getattr(self, field.name), Interval)}

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers, strings and dicts for ``metrics.json``; nan becomes None, which JSON has."""
        return {name: _plain(value) for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Read what ``as_dict`` returned."""
        built: dict[str, Any] = {}
        for field in fields(cls):
            value = plain[field.name]
            if field.type is Interval:
                value = Interval.from_dict(value)
            elif field.type is Confusion:
                value = Confusion(**value)
            elif field.type is AbstainBand:
                value = AbstainBand(**value)
            built[field.name] = value
        return cls(**built)


def evaluate(
    labels: ArrayLike,
    probabilities: ArrayLike,
    groups: Sequence[str] | NDArray[np.generic],
    *,
    threshold: float,
    called: NDArray[np.bool_] | None = None,
    firm: NDArray[np.bool_] | None = None,
    abstain: AbstainBand | None = None,
    split_unit: SplitUnit = "patient",
    seed: int,
    n_resamples: int = N_RESAMPLES,
) -> Evaluation:
    """Evaluate calibrated record probabilities by every figure, with 95 % intervals by bootstrap over patients.

    A proportion within ``NEAR_THE_EDGE`` of 0 or 1 gets Wilson's interval instead, counted over the patients (not the
    records) that it was measured on, so that several records of a patient do not narrow it; the AUROC gets Newcombe's, and
    the average precision is taken for a proportion of the abnormal (Boyd, Eng and Page, ECML PKDD 2013).

    Parameters
    ----------
    labels : array_like, shape (n_records,), 0 normal or 1 abnormal
    probabilities : array_like, shape (n_records,), P(abnormal) of the record; leave out records without any
    groups : one patient a record, shape (n_records,)
    threshold : ``probability >= threshold`` is abnormal; fitted elsewhere, on calibration patients
    called, firm : which records are called abnormal, and which are not uncertain, shape (n_records,), where sites have other limits
    abstain : the band of ``uncertain``, fitted there too; None for no band
    split_unit : what the splits were made by, to be printed beside the figures
    seed : of the bootstrap
    n_resamples : of the bootstrap; larger makes the ends of intervals more stable

    Raises
    ------
    NotEnoughDataError
        If there is no record at all.
    """
    truth = as_labels(labels)
    probability = as_probabilities(probabilities, like=truth)
    patients = np.asarray(groups)
    if patients.shape != truth.shape:
        raise SignalError(f"{truth.size} labels, but groups of shape {patients.shape}")
    if truth.size == 0:
        raise NotEnoughDataError("there is no labelled record with a probability to evaluate")
    patients = np.unique(patients, return_inverse=True)[1].astype(np.int32)  # numbers: ids of millions would be copied again and again
    band = abstain or AbstainBand(lo=threshold, hi=threshold)
    called = probability >= threshold if called is None else called
    firm = ~band.holds(probability) if abstain and firm is None else firm
    decided = np.ones_like(truth) if firm is None else firm
    # Many records are taken in the order of their probabilities, which saves a look-up for each in every resample; few in their own
    # order: the last digits of stored figures depend on the order in which numbers are added.
    arranged = np.argsort(probability, kind="stable") if truth.size >= MANY else None
    taken = slice(None) if arranged is None else arranged
    figures = _figures(truth[taken], probability[taken], called[taken], decided[taken])

    names = ("prevalence", "auroc", "average_precision", *CONFUSION_FIGURES, "brier", "ece", "coverage", "accuracy_decided")
    measured_on = {
        "prevalence": np.ones_like(truth),
        "average_precision": truth,
        "sensitivity": truth,
        "specificity": ~truth,
        "ppv": called,
        "npv": ~called,
        "f1": truth | called,
        "accuracy": np.ones_like(truth),
        "coverage": np.ones_like(truth),
        "accuracy_decided": decided,
    }
    ones = np.ones((1, truth.size))
    values = figures(ones)[0]
    resampled = bootstrap(figures, patients, seed=seed, n_resamples=n_resamples, arranged=arranged)
    intervals = {}
    for column, name in enumerate(names):
        value = float(values[column])
        if name == "auroc" and near_the_edge(value):
            n_abnormal, n_normal = np.unique(patients[truth]).size, np.unique(patients[~truth]).size
            intervals[name] = newcombe(value, n_abnormal=n_abnormal, n_normal=n_normal)
        elif name in measured_on and near_the_edge(value):
            intervals[name] = wilson(value, np.unique(patients[measured_on[name]]).size)
        else:
            intervals[name] = percentile_interval(value, resampled[:, column])
    tp, fp, tn, fn = (int(count) for count in weighted_confusion(truth, called, ones)[0])
    return Evaluation(
        n_records=int(truth.size),
        n_patients=int(np.unique(patients).size),
        n_abnormal=int(truth.sum()),
        split_unit=split_unit,
        threshold=threshold,
        abstain=band,
        seed=seed,
        n_resamples=n_resamples,
        confusion=Confusion(true_positives=tp, false_positives=fp, true_negatives=tn, false_negatives=fn),
        **intervals,
    )


def _figures(
    truth: NDArray[np.bool_], probability: NDArray[np.float64], called: NDArray[np.bool_], decided: NDArray[np.bool_]
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Return a function from weights, shape (n_weightings, n_records), to all figures; what depends on no weight is computed once, here."""
    abnormal, is_decided = truth.astype(np.float64), decided.astype(np.float64)
    right_and_decided = (decided & (called == truth)).astype(np.float64)
    mass, squared = MassByScore(truth, probability), (probability - truth) ** 2
    confusion, excess = _sums(truth, probability, called)

    def figures(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        total, n_decided, masses = weights.sum(axis=1), weights @ is_decided, mass(weights)
        columns = [
            weights @ abnormal / total,
            auroc_of(*masses),
            average_precision_of(*masses),
            *confusion_figures(confusion(weights)).T,
            ratio(weights @ squared, total),
            ratio(np.abs(excess(weights)).sum(axis=1), total),
            n_decided / total,
            ratio(weights @ right_and_decided, n_decided),
        ]
        return np.stack(columns, axis=1)

    return figures


def _sums(truth: NDArray[np.bool_], probability: NDArray[np.float64], called: NDArray[np.bool_]) -> tuple[_Sums, _Sums]:
    """Return functions from weights to the confusion table, shape (n_weightings, 4), and to the excess of each bin, (n_weightings, 10).

    Of few records a table of all cells is multiplied; of many it would take 112 bytes a record, so each is added to its own cell.
    """
    if truth.size < MANY:
        cells, excess = confusion_cells(truth, called), excess_by_bin(truth, probability)
        return lambda weights: weights @ cells, lambda weights: weights @ excess
    bin_of, more = calibration_bins(probability).astype(np.int8), probability - truth
    cell_of = (2 * ~called + (called != truth)).astype(np.int8)  # as `confusion_cells` has them: tp, fp, tn, fn
    return (
        lambda weights: np.stack([np.bincount(cell_of, weights=row, minlength=4) for row in weights]),
        lambda weights: np.stack([np.bincount(bin_of, weights=row * more, minlength=MAX_BINS) for row in weights]),
    )


def plain_interval(interval: Interval) -> dict[str, Any]:
    """Return a figure with its interval for JSON; nan becomes None."""
    return {name: _plain(value) for name, value in asdict(interval).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return nan_to_none(value) if isinstance(value, float) else value
