"""Here: figures of merit of P(abnormal) against the truth, plain and weighted. Not here: their uncertainty (``intervals``).

Every figure exists once, in a weighted form that takes many weightings at a time: a bootstrap resample is nothing but a
weighting of the records by how often their patient was drawn. The plain form is the weighting by ones.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecg_tasks.errors import SignalError

RECORDS_PER_BIN = 15
"""Approximate records in a calibration bin: with fewer, chance alone moves a bin far from its mean probability."""
MIN_BINS, MAX_BINS = 2, 10

CONFUSION_FIGURES = ("sensitivity", "specificity", "ppv", "npv", "f1", "accuracy")
"""The columns that ``confusion_figures`` returns, in order."""
FIGURES = ("prevalence", "auroc", "average_precision", *CONFUSION_FIGURES, "brier", "ece", "coverage", "accuracy_decided")
"""All figures of one model on one set of records that a bootstrap computes, in order."""


def as_labels(labels: ArrayLike) -> NDArray[np.bool_]:
    """Return labels as booleans, abnormal = True.

    >>> as_labels([0, 1])
    array([False,  True])
    """
    array = np.asarray(labels)
    if array.ndim == 1 and array.dtype == bool:
        return array
    if array.ndim != 1 or not np.isin(array, (0, 1)).all():
        raise SignalError(
            f"labels must be 0 (normal) or 1 (abnormal) in one dimension, not shape {array.shape} with {np.unique(array)[:5]}"
        )
    return array.astype(bool)


def as_scores(scores: ArrayLike, *, like: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return scores as float64, one for each label of ``like``, all of them finite."""
    array = np.asarray(scores, dtype=np.float64)
    if array.shape != like.shape:
        raise SignalError(f"{like.size} labels, but scores of shape {array.shape}")
    if not np.isfinite(array).all():
        raise SignalError(
            f"{np.count_nonzero(~np.isfinite(array))} of {array.size} scores are not finite; leave out records without a score"
        )
    return array


def as_probabilities(probabilities: ArrayLike, *, like: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return scores that are probabilities: between 0 and 1."""
    array = as_scores(probabilities, like=like)
    if array.size and not (array.min() >= 0 and array.max() <= 1):
        raise SignalError(f"probabilities reach from {array.min()} to {array.max()}; they must lie in [0, 1]")
    return array


class MassByScore:
    """Abnormal and normal mass at each distinct score, for many weightings; the scores are sorted only once.

    Parameters
    ----------
    labels : array_like, shape (n,), 0 normal or 1 abnormal
    scores : array_like, shape (n,); larger means more abnormal
    """

    def __init__(self, labels: ArrayLike, scores: ArrayLike) -> None:
        truth = as_labels(labels)
        score = as_scores(scores, like=truth)
        order = np.argsort(score, kind="stable")
        self._starts = np.flatnonzero(np.diff(score[order], prepend=-np.inf))
        self._truth = truth[order]
        self._order = None if np.array_equal(order, np.arange(order.size)) else order

    def __call__(self, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return two arrays of shape (n_weightings, n_distinct), ascending by score, from weights of shape (n_weightings, n)."""
        if self._truth.size == 0:
            return np.zeros((weights.shape[0], 0)), np.zeros((weights.shape[0], 0))
        ordered = weights if self._order is None else weights[:, self._order]
        return np.add.reduceat(ordered * self._truth, self._starts, axis=1), np.add.reduceat(ordered * ~self._truth, self._starts, axis=1)


def weighted_roc_auc(labels: ArrayLike, scores: ArrayLike, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the area under the ROC curve for each row of weights; a tie between a normal and an abnormal record counts one half.

    Parameters
    ----------
    labels : array_like, shape (n,), 0 normal or 1 abnormal
    scores : array_like, shape (n,); larger means more abnormal
    weights : ndarray, shape (n_weightings, n), not negative

    Returns
    -------
    ndarray, shape (n_weightings,), nan where the weights leave only one class

    References
    ----------
    Hanley and McNeil, Radiology 143(1), 1982: the area is P(score of an abnormal > score of a normal).
    """
    return auroc_of(*MassByScore(labels, scores)(weights))


def auroc_of(abnormal: NDArray[np.float64], normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the same from the mass at each score, as `MassByScore` gives it: shape (n_weightings, n_distinct), ascending."""
    normal_below = np.cumsum(normal, axis=1) - normal
    concordant = (abnormal * (normal_below + normal / 2)).sum(axis=1)
    return ratio(concordant, abnormal.sum(axis=1) * normal.sum(axis=1))


def weighted_average_precision(labels: ArrayLike, scores: ArrayLike, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average precision (AUPRC) for each row of weights: precision at each score, weighted by the recall that it adds.

    Shapes as in ``weighted_roc_auc``; nan where the weights leave no abnormal record. No interpolation between
    operating points, which would look too good (Davis and Goadrich, ICML 2006).
    """
    return average_precision_of(*MassByScore(labels, scores)(weights))


def average_precision_of(abnormal: NDArray[np.float64], normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the same from the mass at each score, as `MassByScore` gives it."""
    abnormal, normal = abnormal[:, ::-1], normal[:, ::-1]
    true_positives = np.cumsum(abnormal, axis=1)
    called = true_positives + np.cumsum(normal, axis=1)
    precision = np.divide(true_positives, called, out=np.zeros_like(called), where=called > 0)
    return ratio((abnormal * precision).sum(axis=1), abnormal.sum(axis=1))


def weighted_brier(labels: ArrayLike, probabilities: ArrayLike, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean squared distance of the probability from the truth, for each row of weights; shapes as in ``weighted_roc_auc``."""
    truth = as_labels(labels)
    error = as_probabilities(probabilities, like=truth) - truth
    return ratio(weights @ error**2, weights.sum(axis=1))


def weighted_ece(labels: ArrayLike, probabilities: ArrayLike, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the expected calibration error: distance of mean probability and share of abnormals in a bin, averaged over the records.

    The bins are those of ``calibration_bins`` for the records as they are, whatever the weights. Shapes as in
    ``weighted_roc_auc``. With few records the figure lies above zero for a perfectly calibrated model too: read it with
    its interval.

    References
    ----------
    Naeini, Cooper and Hauskrecht, AAAI 2015; Roelofs et al., AISTATS 2022, on bins of equal mass.
    """
    truth = as_labels(labels)
    probability = as_probabilities(probabilities, like=truth)
    excess = weights @ excess_by_bin(truth, probability)
    return ratio(np.abs(excess).sum(axis=1), weights.sum(axis=1))


def excess_by_bin(truth: NDArray[np.bool_], probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability less truth of each record, in the column of its calibration bin: shape (n, ``MAX_BINS``), zero elsewhere."""
    in_bin = calibration_bins(probability)[:, None] == np.arange(MAX_BINS)
    excess: NDArray[np.float64] = in_bin * (probability - truth)[:, None]
    return excess


def calibration_bins(probabilities: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the bin of each probability: bins of equal mass, one for every ``RECORDS_PER_BIN`` records, 2 at least and 10 at most.

    Their edges are quantiles of the probabilities, an edge belonging to the lower bin; equal probabilities share a bin.
    Ten bins of equal width, the usual choice, hold four of 45 records each, and then find an error of 0.13 in a perfectly
    calibrated model; these find 0.06.

    Parameters
    ----------
    probabilities : ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (n,), 0 to ``MAX_BINS - 1``; where many are equal, bins may be empty

    Examples
    --------
    >>> calibration_bins(np.array([0.1, 0.2, 0.3, 0.3, 0.9]))
    array([0, 0, 0, 0, 1])
    """
    if probabilities.size == 0:
        return np.empty(0, dtype=np.intp)
    edges = np.percentile(probabilities, _shares_below(probabilities.size) * 100)  # as scikit-learn, to the last bit
    return np.searchsorted(edges, probabilities)


def bin_edges(n: int, at: Callable[[int], float]) -> NDArray[np.float64]:
    """Return the edges of these bins of so many probabilities as NumPy's percentiles are computed, to the last bit.

    Parameters
    ----------
    at : gives the probability that stands at a place, from 0 on, where they are in rising order
    """
    exact = (n - 1) * (_shares_below(n) * 100 / 100)
    places = np.floor(exact).astype(np.int64)
    low, high = (np.array([at(min(place, n - 1)) for place in (places + beyond).tolist()]) for beyond in (0, 1))
    part = exact - places
    edges: NDArray[np.float64] = np.where(2 * part < 1, low + (high - low) * part, high - (high - low) * (1 - part))
    return edges


def _shares_below(n: int) -> NDArray[np.float64]:
    """Return the share of so many records that lies below each edge between two bins."""
    n_bins = int(np.clip(n // RECORDS_PER_BIN, MIN_BINS, MAX_BINS))
    return np.linspace(0, 1, n_bins + 1)[1:-1]


def weighted_confusion(labels: ArrayLike, called_abnormal: ArrayLike, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mass of true positives, false positives, true negatives and false negatives.

    Parameters
    ----------
    labels : array_like, shape (n,), 0 normal or 1 abnormal
    called_abnormal : array_like, shape (n,), 0 or 1: what the model said
    weights : ndarray, shape (n_weightings, n), not negative

    Returns
    -------
    ndarray, shape (n_weightings, 4): tp, fp, tn, fn
    """
    truth, called = as_labels(labels), as_labels(called_abnormal)
    if truth.shape != called.shape:
        raise SignalError(f"{truth.size} labels, but {called.size} decisions")
    return weights @ confusion_cells(truth, called)


def confusion_cells(truth: NDArray[np.bool_], called: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return 1 in the column of each record's cell (tp, fp, tn, fn) and 0 elsewhere, shape (n, 4)."""
    return np.stack([truth & called, ~truth & called, ~truth & ~called, truth & ~called], axis=1).astype(np.float64)


def confusion_figures(confusion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the figures of a confusion table, in the order of ``CONFUSION_FIGURES``.

    Parameters
    ----------
    confusion : ndarray, shape (n_weightings, 4): tp, fp, tn, fn

    Returns
    -------
    ndarray, shape (n_weightings, 6), nan where a figure's denominator is empty
    """
    tp, fp, tn, fn = np.moveaxis(confusion, -1, 0)
    figures = [
        ratio(tp, tp + fn),
        ratio(tn, tn + fp),
        ratio(tp, tp + fp),
        ratio(tn, tn + fn),
        ratio(2 * tp, 2 * tp + fp + fn),
        ratio(tp + tn, tp + fp + tn + fn),
    ]
    return np.stack(figures, axis=-1)


def roc_auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the area under the ROC curve, every record counting once; nan where a class is absent.

    >>> roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8])
    0.875
    """
    return _plain(weighted_roc_auc, labels, scores)


def average_precision(labels: ArrayLike, scores: ArrayLike) -> float:
    """Average precision (AUPRC); chance level is the prevalence.

    >>> round(average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """
    return _plain(weighted_average_precision, labels, scores)


def brier(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Return the mean squared distance of the probability from the truth; 0 is perfect, 0.25 is always saying one half.

    >>> brier([0, 1], [0.5, 0.5])
    0.25
    """
    return _plain(weighted_brier, labels, probabilities)


def ece(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Return the expected calibration error over bins of equal mass; see ``weighted_ece``.

    >>> round(ece([0, 1, 1, 1], [0.7, 0.7, 0.7, 0.7]), 4)
    0.05
    """
    return _plain(weighted_ece, labels, probabilities)


def _plain(
    figure: Callable[[ArrayLike, ArrayLike, NDArray[np.float64]], NDArray[np.float64]], labels: ArrayLike, scores: ArrayLike
) -> float:
    return float(figure(labels, scores, np.ones((1, np.size(labels))))[0])


def ratio(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the quotient, nan where the denominator is not above 0."""
    result = np.full(np.broadcast(numerator, denominator).shape, np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result
