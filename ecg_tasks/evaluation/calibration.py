"""Here: log-odds, and how a model's are corrected. Not here: decisions (``thresholds``), or how good the result is (``metrics.ece``)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecg_tasks.errors import NotEnoughDataError, SignalError
from ecg_tasks.evaluation.metrics import as_labels, as_probabilities

P_MARGIN = 1e-6
"""Probabilities are kept this far from 0 and 1 before their log-odds are computed."""

PRIOR_SD = 1.0
"""Standard deviation of the normal priors, with mean 0, of the logarithm of the slope and of the bias."""

_MAX_STEPS = 100
_SMALLEST_STEP = 1e-10


def logit(probabilities: ArrayLike) -> NDArray[np.float64]:
    """Return the log-odds, with probabilities kept ``P_MARGIN`` away from 0 and 1; any shape is kept.

    >>> logit([0.5])
    array([0.])
    """
    p = np.clip(np.asarray(probabilities, dtype=np.float64), P_MARGIN, 1 - P_MARGIN)
    return np.asarray(np.log(p) - np.log1p(-p))


def sigmoid(logits: ArrayLike) -> NDArray[np.float64]:
    """Return the probability from log-odds, without overflow; any shape is kept.

    >>> sigmoid([-1000.0, 0.0])
    array([0. , 0.5])
    """
    z = np.asarray(logits, dtype=np.float64)
    small = np.exp(-np.abs(z))
    return np.asarray(np.where(z >= 0, 1, small) / (1 + small))


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Log-odds divided by ``temperature``, then raised by ``bias``: a temperature above 1 makes them less extreme. Their order is kept."""

    temperature: float
    bias: float

    def __post_init__(self) -> None:
        if not (0 < self.temperature < np.inf and np.isfinite(self.bias)):
            raise SignalError(f"temperature={self.temperature}, bias={self.bias}; the first must be above 0, and both finite")

    def apply(self, probabilities: ArrayLike) -> NDArray[np.float64]:
        """Return calibrated probabilities, same shape.

        >>> Calibration(temperature=2.0, bias=0.0).apply([0.9]).round(3)
        array([0.75])
        """
        return sigmoid(logit(probabilities) / self.temperature + self.bias)


def fit_calibration(labels: ArrayLike, probabilities: ArrayLike) -> Calibration:
    """Fit the most likely calibration for the labels, on patients used for nothing else.

    Logistic regression on the log-odds, with a slope that is kept positive, and normal priors (``PRIOR_SD``) on its logarithm and
    on the bias, so that a few dozen patients, or classes that are perfectly separated, do not make it too certain. Newton's method with
    the expected curvature, which is never negative.

    Parameters
    ----------
    labels : array_like, shape (n_records,), 0 normal or 1 abnormal
    probabilities : array_like, shape (n_records,), P(abnormal) of the record before calibration

    Raises
    ------
    NotEnoughDataError
        If a class is absent.

    References
    ----------
    Platt, Probabilistic outputs for support vector machines, 1999. Guo et al., On calibration of modern neural networks, ICML 2017.
    """
    truth = as_labels(labels)
    if truth.all() or not truth.any():
        raise NotEnoughDataError(f"calibration needs both classes; there are {truth.sum()} abnormal among {truth.size} records")
    z = logit(as_probabilities(probabilities, like=truth))

    def loss(at: NDArray[np.float64]) -> float:
        margin = (z * np.exp(at[0]) + at[1]) * np.where(truth, 1, -1)
        return float(np.logaddexp(0, -margin).sum() + (at**2).sum() / (2 * PRIOR_SD**2))

    at = np.zeros(2)  # logarithm of the slope, bias
    for _ in range(_MAX_STEPS):
        p = sigmoid(z * np.exp(at[0]) + at[1])
        by = np.stack([z * np.exp(at[0]), np.ones_like(z)])  # derivatives of the log-odds
        gradient = by @ (p - truth) + at / PRIOR_SD**2
        step = np.linalg.solve((by * (p * (1 - p))) @ by.T + np.eye(2) / PRIOR_SD**2, gradient)
        while loss(at - step) > loss(at) and np.abs(step).max() > _SMALLEST_STEP:
            step /= 2
        at = at - step
        if np.abs(step).max() <= _SMALLEST_STEP:
            break
    return Calibration(temperature=float(np.exp(-at[0])), bias=float(at[1]))
