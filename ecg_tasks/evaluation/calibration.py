"""Here: log-odds and temperature scaling. Not here: decisions (``thresholds``) or how well calibrated the result is (``metrics.ece``)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecg_tasks.errors import NotEnoughDataError, SignalError
from ecg_tasks.evaluation.metrics import as_labels, as_probabilities

P_MARGIN = 1e-6
"""Probabilities are held this far from 0 and 1 before their log-odds are taken."""

TEMPERATURE_BOUNDS = (0.05, 20.0)
"""A fit that runs into a bound says that the scores carry no information (upper) or separate perfectly (lower)."""

_GOLDEN = (np.sqrt(5) - 1) / 2
_LOG_T_STEP = 1e-6


def logit(probabilities: ArrayLike) -> NDArray[np.float64]:
    """Log-odds, with probabilities held ``P_MARGIN`` away from 0 and 1; any shape is kept.

    >>> logit([0.5])
    array([0.])
    """
    p = np.clip(np.asarray(probabilities, dtype=np.float64), P_MARGIN, 1 - P_MARGIN)
    return np.asarray(np.log(p) - np.log1p(-p))


def sigmoid(logits: ArrayLike) -> NDArray[np.float64]:
    """Probability from log-odds, without overflow; any shape is kept.

    >>> sigmoid([-1000.0, 0.0])
    array([0. , 0.5])
    """
    z = np.asarray(logits, dtype=np.float64)
    small = np.exp(-np.abs(z))
    return np.asarray(np.where(z >= 0, 1, small) / (1 + small))


def apply_temperature(probabilities: ArrayLike, temperature: float) -> NDArray[np.float64]:
    """Probabilities with their log-odds divided by ``temperature``: above 1 makes them less sure; the order stays.

    >>> apply_temperature([0.9], 2.0).round(3)
    array([0.75])
    """
    if not temperature > 0:
        raise SignalError(f"{temperature=}; it must be above 0")
    return sigmoid(logit(probabilities) / temperature)


def fit_temperature(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """The temperature that makes the labels likeliest, fitted on patients used for nothing else.

    One number cannot overfit a small calibration set as isotonic regression does, and it never changes the ranking.
    The negative log-likelihood is convex in 1/T, so a golden-section search over log T finds its only minimum.

    Parameters
    ----------
    labels : array_like, shape (n_records,), 0 normal or 1 abnormal
    probabilities : array_like, shape (n_records,), P(abnormal) of the record at temperature 1

    Returns
    -------
    float, within ``TEMPERATURE_BOUNDS``

    Raises
    ------
    NotEnoughDataError
        If a class is absent.

    References
    ----------
    Guo et al., On calibration of modern neural networks, ICML 2017.
    """
    truth = as_labels(labels)
    if truth.all() or not truth.any():
        raise NotEnoughDataError(f"calibration needs both classes; there are {truth.sum()} abnormal among {truth.size} records")
    # log(1 + exp(-margin)) is the loss of a record whose log-odds point the right way by `margin`
    margin = logit(as_probabilities(probabilities, like=truth)) * np.where(truth, 1, -1)

    def loss(log_t: float) -> float:
        return float(np.logaddexp(0, -margin / np.exp(log_t)).mean())

    low, high = np.log(TEMPERATURE_BOUNDS[0]), np.log(TEMPERATURE_BOUNDS[1])
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    loss_left, loss_right = loss(left), loss(right)
    while high - low > _LOG_T_STEP:
        if loss_left <= loss_right:
            high, right, loss_right = right, left, loss_left
            left = high - _GOLDEN * (high - low)
            loss_left = loss(left)
        else:
            low, left, loss_left = left, right, loss_right
            right = low + _GOLDEN * (high - low)
            loss_right = loss(right)
    return float(np.exp((low + high) / 2))
