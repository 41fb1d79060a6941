"""Here: how two models differ on the same patients: in rank, and in what they call abnormal. Not here: what follows from it (``gate``)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation.intervals import N_RESAMPLES, Interval, bootstrap, percentile_interval
from ecg_tasks.evaluation.metrics import CONFUSION_FIGURES, confusion_figures, weighted_confusion, weighted_roc_auc


def auroc_difference(
    labels: ArrayLike,
    candidate: ArrayLike,
    champion: ArrayLike,
    groups: Sequence[str] | NDArray[np.generic],
    *,
    seed: int,
    n_resamples: int = N_RESAMPLES,
) -> Interval:
    """Return the AUROC of the candidate minus that of the champion, with a paired bootstrap interval.

    Both are evaluated on the same drawn patients in every resample, so that the difference does not depend on how easy or hard the
    drawn patients are.

    Parameters
    ----------
    labels : array_like, shape (n_records,), 0 normal or 1 abnormal
    candidate, champion : array_like, shape (n_records,), scores of the same records in the same order
    groups : one patient a record, shape (n_records,)
    seed : the same seed gives the same interval
    n_resamples : larger makes the ends of the interval more stable

    Examples
    --------
    >>> auroc_difference([0, 1, 0, 1], [0.1, 0.9, 0.2, 0.8], [0.1, 0.9, 0.2, 0.8], ["a", "b", "c", "d"], seed=0).text()
    '0.000 (0.000 to 0.000)'
    """
    if np.shape(labels) != np.shape(groups):
        raise SignalError(f"{np.size(labels)} labels, but {np.size(groups)} groups")

    def difference(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return weighted_roc_auc(labels, candidate, weights) - weighted_roc_auc(labels, champion, weights)

    value = float(difference(np.ones((1, np.size(labels))))[0])
    return percentile_interval(value, bootstrap(difference, groups, seed=seed, n_resamples=n_resamples))


class Called(NamedTuple):
    """What a model says of records: its P(abnormal), and which of them it calls abnormal, both of shape (n_records,)."""

    probability: NDArray[np.float64]
    is_abnormal: NDArray[np.bool_]


PAIRED = ("auroc", "sensitivity", "specificity", "accuracy")
"""Figures of which two models have a paired difference."""


def paired_differences(
    labels: ArrayLike,
    one: Called,
    other: Called,
    groups: Sequence[str] | NDArray[np.generic],
    *,
    seed: int,
    n_resamples: int = N_RESAMPLES,
) -> dict[str, Interval]:
    """Return each of `PAIRED` of the other model minus that of the one, with its paired bootstrap interval.

    Each model calls by its own threshold. In every resample both are evaluated on the same drawn patients, as in `auroc_difference`.

    Parameters
    ----------
    labels : array_like, shape (n_records,), 0 normal or 1 abnormal
    one, other : of the same records in the same order
    groups : one patient a record, shape (n_records,)
    seed : the same seed gives the same intervals
    n_resamples : larger makes the ends of the intervals more stable

    Examples
    --------
    >>> one, other = Called(np.array([0.1, 0.4]), np.array([False, False])), Called(np.array([0.1, 0.9]), np.array([False, True]))
    >>> paired_differences([0, 1], one, other, ["a", "b"], seed=0)["sensitivity"].value
    1.0
    """
    if np.shape(labels) != np.shape(groups):
        raise SignalError(f"{np.size(labels)} labels, but {np.size(groups)} groups")

    def figures(model: Called, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        confusion = confusion_figures(weighted_confusion(labels, model.is_abnormal, weights))
        columns = [confusion[:, CONFUSION_FIGURES.index(name)] for name in PAIRED[1:]]
        return np.stack([weighted_roc_auc(labels, model.probability, weights), *columns], axis=1)

    def difference(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return figures(other, weights) - figures(one, weights)

    values = difference(np.ones((1, np.size(labels))))[0]
    resampled = bootstrap(difference, groups, seed=seed, n_resamples=n_resamples)
    return {name: percentile_interval(float(values[place]), resampled[:, place]) for place, name in enumerate(PAIRED)}
