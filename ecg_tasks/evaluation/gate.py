"""Here: whether a candidate may replace the champion, and why, in a sentence. Not here: who calls it, or what is stored."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation.comparison import auroc_difference
from ecg_tasks.evaluation.intervals import N_RESAMPLES, Interval, auroc_interval
from ecg_tasks.evaluation.metrics import as_labels

CHANCE = 0.5
"""AUROC of guessing."""


class VerdictKind(StrEnum):
    """What a candidate is found to be. The values are stored and shown, so they never change."""

    FIRST = "first"
    BETTER = "better"
    REJECTED = "rejected"


@dataclass(frozen=True, kw_only=True)
class GatePolicy:
    """What the gate asks for.

    Parameters
    ----------
    min_patients_per_class : test patients with a normal, and with an abnormal, record; fewer and nothing is promoted
    """

    min_patients_per_class: int = 5

    def __post_init__(self) -> None:
        if self.min_patients_per_class < 1:
            raise SignalError(f"min_patients_per_class={self.min_patients_per_class}; it must be at least 1")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The gate's answer: ``reason`` is a sentence for the version's card, ``figures`` what it rests on."""

    promote: bool
    kind: VerdictKind
    reason: str
    figures: dict[str, Interval] = field(default_factory=dict)


def judge(
    labels: ArrayLike,
    candidate: ArrayLike,
    champion: ArrayLike | None,
    groups: Sequence[str] | NDArray[np.generic],
    *,
    seed: int,
    policy: GatePolicy | None = None,
    n_resamples: int = N_RESAMPLES,
) -> Verdict:
    """Judge a candidate on test patients that neither model was trained, stopped or calibrated on.

    The first champion must rank better than guessing: the lower bound of its AUROC's interval lies above 0.5. A later
    candidate must have a higher AUROC than the champion on the same records; the paired interval of the difference is
    told in the reason.

    Parameters
    ----------
    labels : array_like, shape (n_records,), 0 normal or 1 abnormal
    candidate : array_like, shape (n_records,), P(abnormal) by the candidate
    champion : array_like, shape (n_records,), P(abnormal) of the same records by the champion, or None if there is none
    groups : one patient a record, shape (n_records,)
    seed : of the bootstrap
    policy : None for ``GatePolicy()``
    n_resamples : of the bootstrap

    Examples
    --------
    >>> patients = [f"p{i}" for i in range(20)]
    >>> verdict = judge([0, 1] * 10, [0.2, 0.8] * 10, None, patients, seed=0)
    >>> verdict.promote, verdict.kind
    (True, <VerdictKind.FIRST: 'first'>)
    """
    rules = policy or GatePolicy()
    truth = as_labels(labels)
    patients = np.asarray(groups)
    if patients.shape != truth.shape:
        raise SignalError(f"{truth.size} labels, but groups of shape {patients.shape}")
    n_normal, n_abnormal = np.unique(patients[~truth]).size, np.unique(patients[truth]).size
    if min(n_normal, n_abnormal) < rules.min_patients_per_class:
        return _rejected(
            f"the test set has {n_normal} normal and {n_abnormal} abnormal patients; "
            f"at least {rules.min_patients_per_class} of each are needed to judge a model"
        )
    auroc = auroc_interval(truth, candidate, patients, seed=seed, n_resamples=n_resamples)
    figures = {"candidate_auroc": auroc}
    on = f"on {truth.size} test records of {np.unique(patients).size} patients"
    if champion is None:
        if auroc.low > CHANCE:
            reason = f"it is the first champion: AUROC {auroc.text()} {on}, the interval lies above {CHANCE}"
            return Verdict(promote=True, kind=VerdictKind.FIRST, reason=reason, figures=figures)
        return _rejected(f"AUROC {auroc.text()} {on}: the interval does not lie above {CHANCE}, which is guessing", figures)
    figures["champion_auroc"] = auroc_interval(truth, champion, patients, seed=seed, n_resamples=n_resamples)
    difference = auroc_difference(truth, candidate, champion, patients, seed=seed, n_resamples=n_resamples)
    figures["auroc_difference"] = difference
    told = (
        f"AUROC {auroc.value:.3f} against the champion's {figures['champion_auroc'].value:.3f} {on}, "
        f"difference {difference.text()} by paired bootstrap over patients"
    )
    if difference.value > 0:
        return Verdict(promote=True, kind=VerdictKind.BETTER, reason=f"it beats the champion: {told}", figures=figures)
    return _rejected(f"it does not beat the champion: {told}", figures)


def _rejected(reason: str, figures: dict[str, Interval] | None = None) -> Verdict:
    return Verdict(promote=False, kind=VerdictKind.REJECTED, reason=reason, figures=figures or {})
