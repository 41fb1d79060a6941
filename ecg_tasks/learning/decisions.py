"""Here: from window probabilities to the probabilities and decisions of a record. Not here: the model, or fitting its thresholds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation.calibration import Calibration, logit, sigmoid
from ecg_tasks.evaluation.thresholds import AbstainBand
from ecg_tasks.labels import ClassDecision, Decision


@dataclass(frozen=True, kw_only=True)
class ClassRule:
    """How a version decides whether a record has a class; fitted on calibration patients and stored with the model.

    Parameters
    ----------
    name : as labels name the class
    output : its column among the network's outputs, from 1 on; column 0 is abnormal
    temperature, bias : of its calibration
    threshold : probabilities from here on are present
    abstain : (lo, hi): probabilities inside, ends included, are uncertain
    system, code, display : what it is in a terminology, such as SNOMED CT; empty where that is not known
    """

    name: str
    output: int
    temperature: float
    bias: float
    threshold: float
    abstain: tuple[float, float]
    system: str = ""
    code: str = ""
    display: str = ""

    @property
    def calibration(self) -> Calibration:
        """What makes a probability of the mean log-odds of the windows."""
        return Calibration(temperature=self.temperature, bias=self.bias)

    @property
    def band(self) -> AbstainBand:
        """The probabilities that are uncertain."""
        lo, hi = self.abstain
        return AbstainBand(lo=lo, hi=hi)

    def decide(self, probability: NDArray[np.float64]) -> list[ClassDecision]:
        """Decide by calibrated probabilities of records, shape (n_records,); nan is uninterpretable."""
        conditions = [np.isnan(probability), self.band.holds(probability), probability >= self.threshold]
        choices = (ClassDecision.UNINTERPRETABLE, ClassDecision.UNCERTAIN, ClassDecision.PRESENT, ClassDecision.ABSENT)
        return [choices[index] for index in np.select(conditions, range(len(conditions)), default=len(conditions))]


@dataclass(frozen=True, kw_only=True)
class DecisionRule:
    """How a record is decided on; fitted on calibration patients and stored with the model.

    Parameters
    ----------
    calibration : what makes a probability of the mean log-odds of the windows
    threshold : probabilities from here on are abnormal
    abstain : probabilities inside, ends included, are uncertain, whatever the threshold says
    min_quality : windows below do not count
    classes : what else is decided, if the network was trained for it
    """

    calibration: Calibration
    threshold: float
    abstain: AbstainBand
    min_quality: float
    classes: tuple[ClassRule, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassDecisions:
    """What a model says of one class.

    Parameters
    ----------
    rule : by which it decided
    probability : ndarray, shape (n_records,), float64; nan for a record without a usable window
    decision : n_records decisions
    """

    rule: ClassRule
    probability: NDArray[np.float64]
    decision: list[ClassDecision]


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordDecisions:
    """What a model says of each record.

    Parameters
    ----------
    probability : ndarray, shape (n_records,), float64, P(abnormal); nan for a record without a usable window
    decision : n_records decisions
    n_windows : ndarray, shape (n_records,), int64
    n_used : ndarray, shape (n_records,), int64, windows that were good enough to count
    classes : in the order of the version; nothing where it has none
    """

    probability: NDArray[np.float64]
    decision: list[Decision]
    n_windows: NDArray[np.int64]
    n_used: NDArray[np.int64]
    classes: tuple[ClassDecisions, ...] = ()


def record_probabilities(
    record: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    quality: NDArray[np.floating],
    *,
    n_records: int,
    min_quality: float,
) -> NDArray[np.float64]:
    """Return one probability a record, before calibration: the sigmoid of the mean log-odds of its usable windows.

    Parameters
    ----------
    record : ndarray, shape (n,), index of each window's record, 0 to ``n_records - 1``
    probabilities : ndarray, shape (n,), P(abnormal) of each window
    quality : ndarray, shape (n,), 0 to 1
    min_quality : windows below are left out

    Returns
    -------
    ndarray, shape (n_records,), float64, nan for a record without a usable window

    Raises
    ------
    SignalError
        If shapes do not fit, an index is out of range, or the probability of a usable window is no probability.
    """
    if not record.shape == probabilities.shape == quality.shape == (len(record),):
        raise SignalError(f"record, probabilities and quality have shapes {record.shape}, {probabilities.shape}, {quality.shape}")
    if len(record) and not 0 <= record.min() <= record.max() < n_records:
        raise SignalError(f"record indices reach from {record.min()} to {record.max()}; there are {n_records} records")
    used = quality >= min_quality
    p = probabilities[used]
    if not ((p >= 0) & (p <= 1)).all():
        raise SignalError("a usable window has a probability outside [0, 1]")
    n_used = np.bincount(record[used], minlength=n_records)
    total = np.bincount(record[used], weights=logit(p), minlength=n_records)
    mean = np.divide(total, n_used, out=np.full(n_records, np.nan), where=n_used > 0)
    return sigmoid(mean)


def decide(
    record: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    quality: NDArray[np.floating],
    *,
    n_records: int,
    rule: DecisionRule,
) -> RecordDecisions:
    """Decide on every record; one without a usable window is uninterpretable. Parameters as in ``record_probabilities``.

    ``probabilities`` may have all outputs of the network, shape (n, n_outputs): only then anything is said of classes.
    """
    columns = probabilities[:, None] if probabilities.ndim == 1 else probabilities

    def of_records(output: int) -> NDArray[np.float64]:
        return record_probabilities(record, columns[:, output], quality, n_records=n_records, min_quality=rule.min_quality)

    raw = of_records(0)
    probability = rule.calibration.apply(raw)
    unusable = np.isnan(probability)
    conditions = [unusable, rule.abstain.holds(probability), probability >= rule.threshold]
    choices = (Decision.UNINTERPRETABLE, Decision.UNCERTAIN, Decision.ABNORMAL, Decision.NORMAL)
    which = np.select(conditions, range(len(conditions)), default=len(conditions))
    return RecordDecisions(
        probability=probability,
        decision=[choices[index] for index in which],
        n_windows=np.bincount(record, minlength=n_records),
        n_used=np.bincount(record[quality >= rule.min_quality], minlength=n_records),
        classes=tuple(_of_class(one, of_records(one.output)) for one in rule.classes) if probabilities.ndim > 1 else (),
    )


def _of_class(rule: ClassRule, raw: NDArray[np.float64]) -> ClassDecisions:
    probability = rule.calibration.apply(raw)
    return ClassDecisions(rule=rule, probability=probability, decision=rule.decide(probability))
