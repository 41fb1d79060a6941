"""Here: the curves behind the figures, as points to draw: ROC, precision-recall, reliability. Not here: drawing them (``reporting``)."""

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecg_tasks.evaluation.intervals import wilson
from ecg_tasks.evaluation.metrics import as_labels, as_probabilities, as_scores, calibration_bins, ratio
from ecg_tasks.evaluation.thresholds import CoverageCurve

MAX_POINTS = 500
"""More points than a picture has pixels would only make files large."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RocCurve:
    """Operating points, all of shape (n_points,), from no record called abnormal (threshold None in a plain dict) to all."""

    false_positive_rate: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    threshold: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class PrecisionRecallCurve:
    """Operating points, all of shape (n_points,), from the strictest threshold to all records called abnormal."""

    recall: NDArray[np.float64]
    precision: NDArray[np.float64]
    threshold: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Reliability:
    """Predicted and observed share in each bin that is not empty, all of shape (n_bins,), in rising order.

    ``low`` and ``high`` are Wilson's 95 % interval of ``share_abnormal``, by patients.
    """

    n_records: NDArray[np.int64]
    mean_probability: NDArray[np.float64]
    share_abnormal: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


Curve = TypeVar("Curve", RocCurve, PrecisionRecallCurve, CoverageCurve)


def roc_curve(labels: ArrayLike, scores: ArrayLike) -> RocCurve:
    """Return the ROC curve: one point for each distinct score, without those on a straight line between their neighbours.

    Raises nothing for a class that is absent; its rate is then nan.
    """
    true_positives, false_positives, threshold = _counts(labels, scores)
    bends = np.ones(len(threshold), dtype=bool)
    bends[1:-1] = (np.diff(true_positives, 2) != 0) | (np.diff(false_positives, 2) != 0)
    tp, fp = true_positives[bends], false_positives[bends]
    start = np.zeros(1)
    return RocCurve(
        false_positive_rate=np.concatenate([start, ratio(fp, false_positives[-1:])]),
        sensitivity=np.concatenate([start, ratio(tp, true_positives[-1:])]),
        threshold=np.concatenate([[np.inf], threshold[bends]]),
    )


def precision_recall_curve(labels: ArrayLike, scores: ArrayLike) -> PrecisionRecallCurve:
    """Return the precision-recall curve: one point for each distinct score, without those in a run that gains no abnormal record."""
    true_positives, false_positives, threshold = _counts(labels, scores)
    kept = np.ones(len(threshold), dtype=bool)
    gained = np.diff(true_positives) != 0
    kept[1:-1] = gained[:-1] | gained[1:]
    tp, fp = true_positives[kept], false_positives[kept]
    return PrecisionRecallCurve(recall=ratio(tp, true_positives[-1:]), precision=tp / (tp + fp), threshold=threshold[kept])


def reliability(labels: ArrayLike, probabilities: ArrayLike, groups: ArrayLike) -> Reliability:
    """Return the mean probability and share of abnormals in the bins of ``metrics.calibration_bins``, with counts and intervals.

    Parameters
    ----------
    labels : array_like, shape (n_records,), 0 normal or 1 abnormal
    probabilities : array_like, shape (n_records,), P(abnormal)
    groups : array_like, shape (n_records,), one patient a record
    """
    truth = as_labels(labels)
    probability = as_probabilities(probabilities, like=truth)
    patients = np.asarray(groups)
    bins = calibration_bins(probability)
    members = [bins == number for number in np.unique(bins)]
    found = [wilson(float(truth[inside].mean()), np.unique(patients[inside]).size) for inside in members]
    return Reliability(
        n_records=np.array([inside.sum() for inside in members], dtype=np.int64),
        mean_probability=np.array([probability[inside].mean() for inside in members]),
        share_abnormal=np.array([interval.value for interval in found]),
        low=np.array([interval.low for interval in found]),
        high=np.array([interval.high for interval in found]),
    )


def thinned(curve: Curve, *, at_most: int = MAX_POINTS) -> Curve:
    """Return the curve with at most ``at_most`` of its points, evenly spaced along it, including both ends.

    >>> thinned(roc_curve([0, 1] * 9, range(18)), at_most=3).sensitivity
    array([0.        , 0.55555556, 1.        ])
    """
    arrays: dict[str, NDArray[np.float64]] = vars(curve)
    n_points = len(next(iter(arrays.values())))
    if n_points <= at_most:
        return curve
    kept = np.linspace(0, n_points - 1, at_most).round().astype(np.intp)
    return replace(curve, **{name: array[kept] for name, array in arrays.items()})


def plain(curve: object) -> dict[str, list[Any]]:
    """Return a curve's arrays as lists, for JSON; what is infinite or nan becomes None."""
    return {
        name: [None if not np.isfinite(value) else value for value in np.asarray(array).tolist()] for name, array in vars(curve).items()
    }


def _counts(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return true and false positives at each distinct score, from the highest down, and the scores."""
    truth = as_labels(labels)
    score = as_scores(scores, like=truth)
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.diff(score[order], append=-np.inf))
    true_positives = np.cumsum(truth[order])[last].astype(np.float64)
    return true_positives, last + 1 - true_positives, score[order][last]
