"""Here: whether a candidate may replace the champion, and why, in a sentence. Not here: who calls it, or what is stored."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation.comparison import auroc_difference
from ecg_tasks.evaluation.intervals import N_RESAMPLES, Interval, auroc_interval
from ecg_tasks.evaluation.metrics import as_labels, as_probabilities, weighted_ece

CHANCE = 0.5
"""AUROC of guessing."""
MANY_CANDIDATES = 20
"""From this many candidates on one test set, the best of them owes part of its figures to chance, and the note says so."""


class VerdictKind(StrEnum):
    """The kinds of verdict on a candidate. The values are stored and shown, so they never change."""

    FIRST = "first"
    BETTER = "better"
    REFRESH = "refresh"
    REJECTED = "rejected"


class PromotionPolicy(StrEnum):
    """The aim of a training: a better model, or one that is as good and knows newer data. The values are stored."""

    BETTER = "better"
    REFRESH = "refresh"


@dataclass(frozen=True, kw_only=True)
class GatePolicy:
    """The limits of the gate. The defaults suit test sets of 40 to 50 records.

    Parameters
    ----------
    promotion : ``refresh`` lets a candidate pass that is not shown to be better, if it learned from new records
    margin : of AUROC, by which the lower bound of a refresh's difference may lie below 0
    min_new_share : share of its training records that a refresh must have and the champion has never seen
    min_patients_per_class : test patients with a normal, and with an abnormal, record; fewer and nothing is promoted
    min_sensitivity : floor at the version's own threshold, which was fitted for 0.9. Of 20 abnormal records, 15 must be found;
        a model whose sensitivity is 0.9 in truth fails that in one of 90 tests
    max_ece : ceiling of the expected calibration error. On 43 records a perfectly calibrated model reaches 0.14 in one of 100 tests
    class_margin : of AUROC, by which the lower bound of a class's difference may lie below 0, for every class that both versions report
    """

    promotion: PromotionPolicy = PromotionPolicy.BETTER
    margin: float = 0.05
    min_new_share: float = 0.05
    min_patients_per_class: int = 5
    min_sensitivity: float = 0.75
    max_ece: float = 0.2
    class_margin: float = 0.05

    def as_dict(self) -> dict[str, Any]:
        """Return the limits as they are stored: ``promotion`` has its first name there."""
        stored = asdict(self)
        return {"ambition": stored.pop("promotion")} | stored

    def __post_init__(self) -> None:
        if self.min_patients_per_class < 1:
            raise SignalError(f"min_patients_per_class={self.min_patients_per_class}; it must be at least 1")
        for name in ("margin", "min_new_share", "min_sensitivity", "max_ece", "class_margin"):
            if not 0 <= getattr(self, name) <= 1:
                raise SignalError(f"{name}={getattr(self, name)}; it must lie in [0, 1]")


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A model's probabilities for the test records.

    Parameters
    ----------
    probabilities : array_like, shape (n_records,), calibrated P(abnormal)
    threshold : the model's own; probabilities from here on are abnormal
    """

    probabilities: ArrayLike
    threshold: float


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoredClass:
    """What both models say of a class, on the test records of which it is known whether they have it.

    Parameters
    ----------
    labels : array_like, shape (n_records,), 1 for a record that has the class, else 0
    candidate, champion : array_like, shape (n_records,), calibrated probabilities
    groups : one patient a record, shape (n_records,)
    """

    labels: ArrayLike
    candidate: ArrayLike
    champion: ArrayLike
    groups: Sequence[str] | NDArray[np.generic]


@dataclass(frozen=True, kw_only=True)
class NewData:
    """How many of a candidate's training records the champion has not seen: not in training, early stopping or calibration."""

    n_training: int
    n_new: int

    @property
    def share(self) -> float:
        """Share of the training records that are new."""
        return self.n_new / self.n_training if self.n_training else 0.0


@dataclass(frozen=True, kw_only=True)
class GateVerdict:
    """The verdict of the gate: ``reason`` is a sentence for people, ``figures`` are the figures behind it."""

    promote: bool
    kind: VerdictKind
    reason: str
    figures: dict[str, Interval] = field(default_factory=dict)
    sensitivity: float | None = None
    ece: float | None = None


def evaluate_candidate(
    labels: ArrayLike,
    candidate: Scored,
    champion: Scored | None,
    groups: Sequence[str] | NDArray[np.generic],
    *,
    seed: int,
    classes: Mapping[str, ScoredClass] | None = None,
    lost: Sequence[str] = (),
    new_data: NewData | None = None,
    policy: GatePolicy | None = None,
    n_resamples: int = N_RESAMPLES,
) -> GateVerdict:
    """Evaluate a candidate on test patients that neither model was trained, stopped or calibrated on.

    A candidate that passes ranks better than guessing: the lower bound of its AUROC's interval lies above 0.5. The first champion
    needs no more; if it misses a floor or a ceiling, its reason says so, as there is nothing better to serve.
    A later candidate is *better* if the lower bound of the paired bootstrap difference of the two AUROCs lies above 0. Where the policy
    is a refresh, a candidate that learned from new records passes too if that bound lies above minus the margin; it is called a
    *refresh*. Both must reach the floor of sensitivity and stay below the ceiling of the calibration error.

    Only then are the classes looked at that both versions report: the lower bound of the paired difference of each one's AUROCs must lie
    above minus the margin of classes. A class that too few test patients have, or have not, is not compared, which the reason says.

    Parameters
    ----------
    labels : array_like, shape (n_records,), 0 normal or 1 abnormal
    candidate, champion : their scores of the same records; None if there is no champion
    groups : one patient a record, shape (n_records,)
    seed : of the bootstrap
    classes : those that both versions report, by name
    lost : classes that the champion reports and the candidate does not, which the reason says
    new_data : what the candidate has seen that the champion has not; None for nothing
    policy : None for ``GatePolicy()``
    n_resamples : of the bootstrap

    Examples
    --------
    >>> patients = [f"p{i}" for i in range(20)]
    >>> verdict = evaluate_candidate([0, 1] * 10, Scored(probabilities=[0.1, 0.9] * 10, threshold=0.5), None, patients, seed=0)
    >>> verdict.promote, verdict.kind
    (True, <VerdictKind.FIRST: 'first'>)
    """
    rules = policy or GatePolicy()
    truth = as_labels(labels)
    probability = as_probabilities(candidate.probabilities, like=truth)
    patients = np.asarray(groups)
    if patients.shape != truth.shape:
        raise SignalError(f"{truth.size} labels, but groups of shape {patients.shape}")
    n_normal, n_abnormal = np.unique(patients[~truth]).size, np.unique(patients[truth]).size
    if min(n_normal, n_abnormal) < rules.min_patients_per_class:
        return GateVerdict(
            promote=False,
            kind=VerdictKind.REJECTED,
            reason=f"the test set has {n_normal} normal and {n_abnormal} abnormal patients; "
            f"at least {rules.min_patients_per_class} of each are needed to evaluate a model",
        )
    sensitivity = float((probability[truth] >= candidate.threshold).mean())
    ece = float(weighted_ece(truth, probability, np.ones((1, truth.size)))[0])
    auroc = auroc_interval(truth, probability, patients, seed=seed, n_resamples=n_resamples)
    figures = {"candidate_auroc": auroc}
    on = f"on {truth.size:,} test records of {np.unique(patients).size:,} patients"
    faults = _faults(sensitivity, ece, rules)
    promote, kind, reason = True, VerdictKind.FIRST, _first(auroc, on, faults)
    if champion is not None:
        figures["champion_auroc"] = auroc_interval(truth, champion.probabilities, patients, seed=seed, n_resamples=n_resamples)
        difference = auroc_difference(truth, probability, champion.probabilities, patients, seed=seed, n_resamples=n_resamples)
        figures["auroc_difference"] = difference
        comparison = (
            f"AUROC {auroc.value:.3f} against the champion's {figures['champion_auroc'].value:.3f} {on}, "
            f"difference {difference.text()} by paired bootstrap over patients"
        )
        promote, kind, reason = _evaluate_later(difference, comparison, new_data or NewData(n_training=0, n_new=0), rules)
        if promote and faults:
            promote, kind, reason = False, VerdictKind.REJECTED, f"{' and '.join(faults)}; nothing else makes up for that: {comparison}"
    if promote and not auroc.low > CHANCE:
        promote, kind = False, VerdictKind.REJECTED
        reason = f"AUROC {auroc.text()} {on}: a part of the interval is not above {CHANCE}, which is guessing"
    if promote and champion is not None and classes:
        fallen, said, compared = _compare_classes(classes, seed=seed, n_resamples=n_resamples, rules=rules)
        figures |= compared
        if fallen:
            promote, kind = False, VerdictKind.REJECTED
            reason = f"{' and '.join(fallen)}; nothing else makes up for that: {reason}"
        else:
            reason += f"; {said}" if said else ""
    if promote and lost:
        reason += f"; it no longer reports {', '.join(lost)}"
    return GateVerdict(promote=promote, kind=kind, reason=reason, figures=figures, sensitivity=sensitivity, ece=ece)


def _compare_classes(
    classes: Mapping[str, ScoredClass], *, seed: int, n_resamples: int, rules: GatePolicy
) -> tuple[list[str], str, dict[str, Interval]]:
    """Return which classes may have fallen by more than the margin, what is to be said if none has, and the paired differences."""
    fallen, held, too_few, figures = [], [], [], {}
    for name, one in classes.items():
        truth, patients = as_labels(one.labels), np.asarray(one.groups)
        if min(np.unique(patients[truth]).size, np.unique(patients[~truth]).size) < rules.min_patients_per_class:
            too_few.append(name)
            continue
        difference = auroc_difference(truth, one.candidate, one.champion, patients, seed=seed, n_resamples=n_resamples)
        figures[f"auroc_difference_{name}"] = difference
        held.append(name)
        if not difference.low > -rules.class_margin:
            fallen.append(
                f"its AUROC of {name} may be worse by more than {rules.class_margin}: difference {difference.text()} on {truth.size:,} test"
                f" records of {np.unique(patients).size:,} patients"
            )
    parts = [f"not worse by more than {rules.class_margin} in {', '.join(held)}"] if held else []
    parts += [f"too few test patients to compare {', '.join(too_few)}"] if too_few else []
    return fallen, "; ".join(parts), figures


def _first(auroc: Interval, on: str, faults: Sequence[str]) -> str:
    reason = f"it is the first champion: AUROC {auroc.text()} {on}; the whole interval is above {CHANCE}, which is guessing"
    if faults:
        reason += f"; a later candidate would be rejected for this: {' and '.join(faults)}"
    return reason


def _evaluate_later(difference: Interval, comparison: str, new_data: NewData, rules: GatePolicy) -> tuple[bool, VerdictKind, str]:
    if difference.low > 0:
        return True, VerdictKind.BETTER, f"it is better than the champion: {comparison}"
    not_better = f"it is not shown to be better than the champion: {comparison}"
    if rules.promotion is not PromotionPolicy.REFRESH:
        return False, VerdictKind.REJECTED, f"{not_better}; a part of its interval is not above 0"
    seen = f"{new_data.n_new:,} of its {new_data.n_training:,} training records are new to the champion"
    if new_data.n_new == 0 or new_data.share < rules.min_new_share:
        return False, VerdictKind.REJECTED, f"{not_better}, and it is not a refresh: {seen}; at least {rules.min_new_share:.0%} must be new"
    if difference.low > -rules.margin:
        return (
            True,
            VerdictKind.REFRESH,
            f"it is a refresh, not shown to be better: {seen}; it is not worse by more than {rules.margin}: {comparison}",
        )
    return False, VerdictKind.REJECTED, f"{not_better}, and it is not a refresh: it may be worse by more than {rules.margin}"


def _faults(sensitivity: float, ece: float, rules: GatePolicy) -> list[str]:
    """Return why a candidate may not serve, whatever its AUROC."""
    faults = []
    if sensitivity < rules.min_sensitivity:
        faults.append(f"its sensitivity of {sensitivity:.3f} is below the minimum of {rules.min_sensitivity}")
    if ece > rules.max_ece:
        faults.append(f"its calibration error of {ece:.3f} is above the maximum of {rules.max_ece}")
    return faults


def note_on_test_set(n_evaluated: int) -> str:
    """Return what the number of candidates means for figures measured on this test set.

    >>> note_on_test_set(3)
    '3 candidates have been evaluated on this test set, this one included.'
    """
    counted = "1 candidate has" if n_evaluated == 1 else f"{n_evaluated} candidates have"
    note = f"{counted} been evaluated on this test set, this one included."
    if n_evaluated >= MANY_CANDIDATES:
        note += " The best of so many candidates looks better than it is: collect new test patients before you trust a small gain."
    return note
