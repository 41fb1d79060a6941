"""Here: what a threshold gives where abnormal records are rarer or more frequent than in the test. Not here: the test (``summary``)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation.intervals import Interval

PREVALENCES = (0.1, 0.3, 0.6)
"""Shares of abnormal records that a card tells: those of a screening, of a ward, and of a hospital for hearts."""


@dataclass(frozen=True, kw_only=True)
class AtPrevalence:
    """What to expect at a prevalence: the share of records that is called abnormal, and how often either call is right."""

    prevalence: float
    called: Interval
    ppv: Interval
    npv: Interval


def at_prevalence(sensitivity: Interval, specificity: Interval, *, prevalence: float) -> AtPrevalence:
    """Return what a threshold gives at a prevalence, by Bayes' rule, if sensitivity and specificity are as they were measured.

    The intervals are made of both intervals by squaring and adding: each end of one figure moves the result by so much while the other
    stays, and the two are independent, since they were measured on different patients.

    Parameters
    ----------
    sensitivity, specificity : each with its 95 % interval
    prevalence : share of abnormal records, above 0 and below 1

    References
    ----------
    Zou and Donner, Construction of confidence limits about effect measures, Statistics in Medicine 27(10), 2008.

    >>> at_prevalence(Interval(0.9, 0.85, 0.95), Interval(0.8, 0.75, 0.85), prevalence=0.1).ppv.text(2)
    '0.33 (0.28 to 0.40)'
    """
    if not 0 < prevalence < 1:
        raise SignalError(f"{prevalence=}; it must lie between 0 and 1")

    def combined(figure: Callable[[float, float], float]) -> Interval:
        value = figure(sensitivity.value, specificity.value)
        ends = [figure(end, specificity.value) for end in (sensitivity.low, sensitivity.high)]
        ends += [figure(sensitivity.value, end) for end in (specificity.low, specificity.high)]
        moved = np.array(ends) - value
        below, above = (float(np.sqrt((side**2).sum())) for side in (np.minimum(moved, 0), np.maximum(moved, 0)))
        return Interval(value, max(value - below, 0.0), min(value + above, 1.0), "combined")

    def called(sens: float, spec: float) -> float:
        return prevalence * sens + (1 - prevalence) * (1 - spec)

    def share(part: float, whole: float) -> float:
        return part / whole if whole > 0 else float("nan")

    return AtPrevalence(
        prevalence=prevalence,
        called=combined(called),
        ppv=combined(lambda sens, spec: share(prevalence * sens, called(sens, spec))),
        npv=combined(lambda sens, spec: share((1 - prevalence) * spec, 1 - called(sens, spec))),
    )
