"""Here: every figure of one model on one set of records, with intervals, as one object. Not here: the verdict on it (``gate``)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecg_tasks.disk_rows import Rows
from ecg_tasks.errors import NotEnoughDataError, SignalError
from ecg_tasks.evaluation.intervals import (
    MANY,
    N_RESAMPLES,
    Interval,
    bootstrap,
    drawings,
    nan_to_none,
    near_the_edge,
    newcombe,
    numbered,
    percentile_interval,
    wilson,
)
from ecg_tasks.evaluation.many_records import ABNORMAL, CALLED, DECIDED, LABELLED, ManyRecords, labelled
from ecg_tasks.evaluation.metrics import (
    FIGURES,
    MassByScore,
    as_labels,
    as_probabilities,
    auroc_of,
    average_precision_of,
    confusion_cells,
    confusion_figures,
    excess_by_bin,
    ratio,
)
from ecg_tasks.evaluation.thresholds import AbstainBand

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

    A proportion within ``NEAR_THE_EDGE`` of 0 or 1, or of one patient, gets Wilson's interval instead, counted over the
    patients (not the records) that it was measured on, so that several records of a patient do not narrow it; the AUROC
    gets Newcombe's, and the average precision is taken for a proportion of the abnormal (Boyd, Eng and Page, ECML PKDD
    2013).

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
    patients = numbered(patients)
    band = abstain or AbstainBand(lo=threshold, hi=threshold)
    called = probability >= threshold if called is None else called
    firm = ~band.holds(probability) if abstain and firm is None else firm
    decided = np.ones_like(truth) if firm is None else firm
    if truth.size >= MANY:
        records = Rows(LABELLED)
        records.append(labelled(probability=probability, patients=patients, is_abnormal=truth, is_called=called, is_decided=decided))
        del probability, patients  # they are on the disk
        return _evaluation_of_many(records, threshold=threshold, band=band, split_unit=split_unit, seed=seed, n_resamples=n_resamples)
    values, resampled = _resampled(truth, probability, called, decided, patients, seed=seed, n_resamples=n_resamples)
    groups_of_records = {
        "": np.ones_like(truth),
        "abnormal": truth,
        "normal": ~truth,
        "called": called,
        "not called": ~called,
        "abnormal or called": truth | called,
        "decided": decided,
    }
    cells = {"true_positives": truth & called, "false_positives": ~truth & called}
    cells |= {"true_negatives": ~truth & ~called, "false_negatives": truth & ~called}
    return Evaluation(
        n_records=int(truth.size),
        n_patients=int(patients.max()) + 1,
        n_abnormal=int(truth.sum()),
        split_unit=split_unit,
        threshold=threshold,
        abstain=band,
        seed=seed,
        n_resamples=n_resamples,
        confusion=Confusion(**{name: int(np.count_nonzero(cell)) for name, cell in cells.items()}),
        **_intervals(values, resampled, lambda name: np.unique(patients[groups_of_records[name]]).size),
    )


def evaluate_rows(
    records: Rows, *, threshold: float, abstain: AbstainBand | None, split_unit: SplitUnit, seed: int, n_resamples: int = N_RESAMPLES
) -> Evaluation:
    """Evaluate records that lie on the disk as `many_records.LABELLED`, as `evaluate` does; memory holds a byte or two of each patient."""
    band = abstain or AbstainBand(lo=threshold, hi=threshold)
    if len(records) >= MANY:
        return _evaluation_of_many(records, threshold=threshold, band=band, split_unit=split_unit, seed=seed, n_resamples=n_resamples)
    rows = records.read()
    return evaluate(
        rows["kind"] & ABNORMAL > 0,
        rows["probability"],
        rows["patient"],
        threshold=threshold,
        called=rows["kind"] & CALLED > 0,
        firm=rows["kind"] & DECIDED > 0,
        abstain=band,
        split_unit=split_unit,
        seed=seed,
        n_resamples=n_resamples,
    )


def _evaluation_of_many(
    records: Rows, *, threshold: float, band: AbstainBand, split_unit: SplitUnit, seed: int, n_resamples: int
) -> Evaluation:
    """Return the same of so many records that none of them can be looked at in every resample but in passing."""
    many = ManyRecords(records)
    drawn = drawings(many.n_patients, seed=seed, n_resamples=n_resamples)
    values, resampled = many.figures(np.ones(many.n_patients, np.uint8)), np.stack([many.figures(times) for times in drawn])
    n_by_kind = dict(enumerate(many.n_records.tolist()))
    return Evaluation(
        n_records=len(records),
        n_patients=many.n_patients,
        n_abnormal=sum(n for kind, n in n_by_kind.items() if kind & ABNORMAL),
        split_unit=split_unit,
        threshold=threshold,
        abstain=band,
        seed=seed,
        n_resamples=n_resamples,
        confusion=Confusion(
            true_positives=sum(n for kind, n in n_by_kind.items() if kind & ABNORMAL and kind & CALLED),
            false_positives=sum(n for kind, n in n_by_kind.items() if not kind & ABNORMAL and kind & CALLED),
            true_negatives=sum(n for kind, n in n_by_kind.items() if not kind & ABNORMAL and not kind & CALLED),
            false_negatives=sum(n for kind, n in n_by_kind.items() if kind & ABNORMAL and not kind & CALLED),
        ),
        **_intervals(values, resampled, lambda name: many.n_patients_of.get(name, many.n_patients)),
    )


_MEASURED_ON = {
    "prevalence": "",
    "average_precision": "abnormal",
    "sensitivity": "abnormal",
    "specificity": "normal",
    "ppv": "called",
    "npv": "not called",
    "f1": "abnormal or called",
    "accuracy": "",
    "coverage": "",
    "accuracy_decided": "decided",
}
"""The group of records (`many_records.GROUPS`, or all) over whose patients a proportion is counted."""


def _intervals(values: NDArray[np.float64], resampled: NDArray[np.float64], n_patients_of: Callable[[str], int]) -> dict[str, Interval]:
    """Return the figures, shape (13,), with their intervals by resamples, shape (n_resamples, 13).

    Near 0 and 1, and of one patient, whose resamples are all the same, they come from a formula.
    """
    intervals = {}
    n_abnormal, n_normal = n_patients_of("abnormal"), n_patients_of("normal")
    for column, name in enumerate(FIGURES):
        value = float(values[column])
        n = n_patients_of(_MEASURED_ON[name]) if name in _MEASURED_ON else 0
        if name == "auroc" and (near_the_edge(value) or min(n_abnormal, n_normal) == 1):
            intervals[name] = newcombe(value, n_abnormal=n_abnormal, n_normal=n_normal)
        elif name in _MEASURED_ON and (near_the_edge(value) or n == 1):
            intervals[name] = wilson(value, n)
        else:
            intervals[name] = percentile_interval(value, resampled[:, column])
    return intervals


def _resampled(
    truth: NDArray[np.bool_],
    probability: NDArray[np.float64],
    called: NDArray[np.bool_],
    decided: NDArray[np.bool_],
    patients: NDArray[np.int32],
    *,
    seed: int,
    n_resamples: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return all figures, shape (13,), and those of the resamples, (n_resamples, 13); what depends on no weight is computed once."""
    abnormal, is_decided = truth.astype(np.float64), decided.astype(np.float64)
    right_and_decided = (decided & (called == truth)).astype(np.float64)
    mass, squared = MassByScore(truth, probability), (probability - truth) ** 2
    cells, excess = confusion_cells(truth, called), excess_by_bin(truth, probability)

    def figures(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        total, n_decided, masses = weights.sum(axis=1), weights @ is_decided, mass(weights)
        columns = [
            weights @ abnormal / total,
            auroc_of(*masses),
            average_precision_of(*masses),
            *confusion_figures(weights @ cells).T,
            ratio(weights @ squared, total),
            ratio(np.abs(weights @ excess).sum(axis=1), total),
            n_decided / total,
            ratio(weights @ right_and_decided, n_decided),
        ]
        return np.stack(columns, axis=1)

    return figures(np.ones((1, truth.size)))[0], bootstrap(figures, patients, seed=seed, n_resamples=n_resamples)


def plain_interval(interval: Interval) -> dict[str, Any]:
    """Return a figure with its interval for JSON; nan becomes None."""
    return {name: _plain(value) for name, value in asdict(interval).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return nan_to_none(value) if isinstance(value, float) else value
