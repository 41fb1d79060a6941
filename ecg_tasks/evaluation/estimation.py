"""Here: figures estimated from calibrated probabilities alone, before any label is known. Not here: figures of labels (``summary``).

It all rests on one assumption: of records with the same probability, that share is abnormal. Where calibration no longer holds, as where
abnormal records have become rarer or look otherwise than in training, the estimate is wrong and its interval does not show it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecg_tasks.evaluation.intervals import Interval, percentile_interval, wilson
from ecg_tasks.evaluation.metrics import as_labels, as_probabilities, ratio

N_DRAWS = 2000
FIGURES = ("sensitivity", "specificity", "accuracy")
_MAX_CELLS = 4_000_000
"""Draws in memory at one time (32 MB)."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A figure estimated without labels, and the same of the same records by their labels.

    ``measured`` has its interval by Wilson's formula. ``inside`` is whether its value lies in the interval of the estimate: if calibration
    holds, it does in 95 of 100 cases.
    """

    estimated: Interval
    measured: Interval

    @property
    def inside(self) -> bool | None:
        """Return None where either is not defined."""
        ends = (self.estimated.low, self.measured.value, self.estimated.high)
        return None if np.isnan(ends).any() else bool(ends[0] <= ends[1] <= ends[2])


def estimate(probabilities: ArrayLike, *, threshold: ArrayLike, seed: int) -> dict[str, Interval]:
    """Estimate sensitivity, specificity and accuracy at the threshold from the expected confusion table (CBPE).

    A record that is called abnormal counts as a true positive by its probability and as a false one by the rest, and so on. The interval
    holds 95 % of the figures that these records would have if each were abnormal with its probability, drawn 2,000 times. That the
    calibration itself is not exact is not in it.

    Parameters
    ----------
    probabilities : array_like, shape (n_records,), calibrated P(abnormal); leave out records without any, and all but one of a patient
    threshold : from which on a record is called abnormal: a number, or one for each record
    seed : of the draws; the same seed gives the same interval

    Returns
    -------
    dict of `Interval`
        By the names of ``FIGURES``; nan where no record is expected that the figure is about.

    References
    ----------
    NannyML, Confidence-based performance estimation, https://nannyml.readthedocs.io, How it works. Garg, Balakrishnan, Lipton, Neyshabur,
    Sedghi, Leveraging unlabeled data to predict out-of-distribution performance, ICLR 2022: no such estimate holds under every shift.

    >>> found = estimate([0.1, 0.1, 0.9, 0.9], threshold=0.5, seed=0)
    >>> round(found["sensitivity"].value, 3), round(found["accuracy"].value, 3)
    (0.9, 0.9)
    """
    array = np.asarray(probabilities, dtype=np.float64)
    p = as_probabilities(array, like=np.zeros(array.shape, dtype=bool))
    called = p >= np.asarray(threshold)
    expected = np.array([[p[called].sum(), p[~called].sum()]])
    values = _figures(expected, called)[0]
    rng = np.random.default_rng(seed)
    rows = max(1, _MAX_CELLS // max(p.size, 1))
    drawn = []
    for start in range(0, N_DRAWS, rows):
        abnormal = rng.random((min(rows, N_DRAWS - start), p.size)) < p
        drawn.append(_figures(np.stack([abnormal[:, called].sum(axis=1), abnormal[:, ~called].sum(axis=1)], axis=1), called))
    resampled = np.concatenate(drawn)
    found = (percentile_interval(float(value), resampled[:, column]) for column, value in enumerate(values))
    return {name: Interval(one.value, one.low, one.high, "drawn") for name, one in zip(FIGURES, found, strict=True)}


def hold_against(labels: ArrayLike, probabilities: ArrayLike, *, threshold: ArrayLike, seed: int) -> dict[str, Comparison]:
    """Hold the estimate of some records against their labels.

    Which records have labels does not matter as long as they were chosen by their probability or by chance: the estimate is of the same
    records. It does where they were chosen because somebody knew more of them.

    Parameters
    ----------
    labels : array_like, shape (n_records,), 0 normal or 1 abnormal; one record of a patient
    probabilities, threshold, seed : as in `estimate`
    """
    truth = as_labels(labels)
    p = as_probabilities(probabilities, like=truth)
    called = p >= np.asarray(threshold)
    counts = np.array([[np.count_nonzero(truth & called), np.count_nonzero(truth & ~called)]])
    values = _figures(counts, called)[0]
    of = (truth.sum(), (~truth).sum(), truth.size)
    measured = {name: wilson(float(value), int(n)) for name, value, n in zip(FIGURES, values, of, strict=True)}
    found = estimate(p, threshold=threshold, seed=seed)
    return {name: Comparison(estimated=found[name], measured=measured[name]) for name in FIGURES}


def _figures(abnormal: NDArray[np.number], called: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the figures, shape (n, 3), of numbers of abnormal records among those called abnormal, and among the others, shape (n, 2)."""
    n_called, n_others = np.count_nonzero(called), np.count_nonzero(~called)
    caught, missed = abnormal.astype(np.float64).T
    normal_called, right_others = n_called - caught, n_others - missed
    n_records = np.full(len(abnormal), called.size, dtype=np.float64)
    return np.stack(
        [
            ratio(caught, caught + missed),
            ratio(right_others, right_others + normal_called),
            ratio(caught + right_others, n_records),
        ],
        axis=1,
    )
