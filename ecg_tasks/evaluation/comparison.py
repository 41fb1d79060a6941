"""Here: whether one model ranks better than another on the same patients. Not here: what follows from it (``gate``)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation.intervals import N_RESAMPLES, Interval, bootstrap, percentile_interval
from ecg_tasks.evaluation.metrics import weighted_roc_auc


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
