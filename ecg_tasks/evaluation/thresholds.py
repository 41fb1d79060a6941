"""Here: from which probability on a record is abnormal, and where the model abstains. Not here: probabilities (``calibration``).

Everything here is fitted on calibration patients and stored with the model; on test data it is only applied.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecg_tasks.errors import NotEnoughDataError, SignalError
from ecg_tasks.evaluation.calibration import P_MARGIN, logit, sigmoid
from ecg_tasks.evaluation.metrics import as_labels, as_probabilities


@dataclass(frozen=True, kw_only=True)
class AbstainBand:
    """Probabilities from ``lo`` to ``hi``, both included, are ``uncertain``."""

    lo: float
    hi: float

    def __post_init__(self) -> None:
        if not 0 <= self.lo <= self.hi <= 1:
            raise SignalError(f"abstain band from {self.lo} to {self.hi}; it must be ordered and lie in [0, 1]")

    def holds(self, probabilities: ArrayLike) -> NDArray[np.bool_]:
        """Return which probabilities lie in the band, same shape.

        >>> AbstainBand(lo=0.4, hi=0.6).holds([0.3, 0.5])
        array([False,  True])
        """
        p = np.asarray(probabilities, dtype=np.float64)
        return np.asarray((p >= self.lo) & (p <= self.hi))


@dataclass(frozen=True, kw_only=True, eq=False)
class CoverageCurve:
    """Coverage against accuracy: the wider the band, the fewer records decided and the more of these right.

    All arrays have shape (n_points,); ``half_width`` (log-odds on both sides of the threshold) grows along them.
    ``coverage`` is the share of records outside the band, ``accuracy`` the share of these that are decided correctly.
    """

    half_width: NDArray[np.float64]
    coverage: NDArray[np.float64]
    accuracy: NDArray[np.float64]


def threshold_for_sensitivity(probabilities: ArrayLike, *, sensitivity: float) -> float:
    """Return the largest threshold that is expected to catch ``sensitivity`` of the abnormal records.

    The expected number of abnormal records above a threshold is the sum of their calibrated probabilities. So every calibration record
    has an effect on the threshold. Before, a single one of about twenty abnormal records fixed it, and the sensitivity on other patients
    varied half as much again. The labels are used by the calibration.

    The threshold is put halfway to the next lower probability, so that rounding in another runtime changes no decision of these records.

    Parameters
    ----------
    probabilities : array_like, shape (n_records,), calibrated P(abnormal) of the calibration records
    sensitivity : the stated share, above 0 and at most 1; larger lowers the threshold

    Raises
    ------
    NotEnoughDataError
        If there is no record.

    Examples
    --------
    >>> round(threshold_for_sensitivity([0.1, 0.2, 0.7, 0.8, 0.9], sensitivity=0.85), 2)
    0.45
    """
    if not 0 < sensitivity <= 1:
        raise SignalError(f"{sensitivity=}; it must lie in (0, 1]")
    array = np.asarray(probabilities, dtype=np.float64)
    probability = np.sort(as_probabilities(array, like=np.zeros(array.shape, dtype=bool)))[::-1]
    if not probability.size or not probability[0] > 0:
        raise NotEnoughDataError("a threshold for a stated sensitivity needs a record that may be abnormal")
    caught = np.cumsum(probability) / probability.sum()
    kept = probability[np.flatnonzero(caught >= sensitivity - 1e-9)[0]]  # 1e-9: sums of tenths are no tenths
    below = probability[probability < kept]
    return float(kept) if below.size == 0 else float((kept + below[0]) / 2)


def coverage_accuracy(labels: ArrayLike, probabilities: ArrayLike, *, threshold: float | NDArray[np.float64]) -> CoverageCurve:
    """Return coverage and accuracy of every band around the threshold, or that of each record, that changes either.

    The first point has no band; the last still decides on at least one record.
    """
    truth = as_labels(labels)
    probability = as_probabilities(probabilities, like=truth)
    if truth.size == 0:
        raise NotEnoughDataError("a coverage curve needs at least one record")
    # rounded, so that records as far above the threshold as others below it are taken together
    distance = np.abs(logit(probability) - logit(threshold)).round(6)
    right = (probability >= threshold) == truth
    order = np.argsort(distance, kind="stable")
    distance, right = distance[order], right[order]
    starts = np.flatnonzero(np.diff(distance, prepend=-np.inf))
    # each band ends halfway between the last record inside and the first one outside
    half_width = np.concatenate([[0.0], (distance[starts[1:]] + distance[starts[:-1]]) / 2])
    n_left = truth.size - starts
    n_right = np.cumsum(right[::-1])[::-1][starts]
    return CoverageCurve(half_width=half_width, coverage=n_left / truth.size, accuracy=n_right / n_left)


def abstain_band(
    labels: ArrayLike, probabilities: ArrayLike, *, threshold: float, target_accuracy: float, min_coverage: float
) -> AbstainBand:
    """Return the narrowest band around the threshold outside which ``target_accuracy`` is reached.

    The band is symmetric in log-odds and never takes more than ``1 - min_coverage`` of the calibration records: where
    the accuracy is out of reach, it is the band with the best accuracy of those allowed.

    Parameters
    ----------
    labels : array_like, shape (n_records,), 0 normal or 1 abnormal
    probabilities : array_like, shape (n_records,), calibrated P(abnormal)
    threshold : from ``threshold_for_sensitivity``
    target_accuracy : share of decided records that shall be right; larger widens the band
    min_coverage : share of records that must be decided

    Examples
    --------
    >>> band = abstain_band([0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.45, 0.55, 0.8, 0.9], threshold=0.5, target_accuracy=1.0, min_coverage=0.5)
    >>> band.holds([0.2, 0.45, 0.55, 0.8])
    array([False,  True,  True, False])
    """
    curve = coverage_accuracy(labels, probabilities, threshold=threshold)
    allowed = curve.coverage >= min(min_coverage, 1.0)
    reached = np.flatnonzero(allowed & (curve.accuracy >= target_accuracy))
    best = reached[0] if reached.size else np.argmax(np.where(allowed, curve.accuracy, -1.0))
    if best == 0:
        return AbstainBand(lo=threshold, hi=threshold)
    lo, hi = sigmoid(logit(threshold) + curve.half_width[best] * np.array([-1, 1]))
    # log-odds were cut at P_MARGIN: a band that reaches there reaches the end
    return AbstainBand(lo=float(lo) if lo > P_MARGIN else 0.0, hi=float(hi) if hi < 1 - P_MARGIN else 1.0)
