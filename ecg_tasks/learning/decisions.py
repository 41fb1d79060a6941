"""Here: from window probabilities to the probabilities and decisions of a record. Not here: the model, or fitting its thresholds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation.calibration import Calibration, logit, sigmoid
from ecg_tasks.evaluation.thresholds import AbstainBand
from ecg_tasks.labels import ClassDecision, Decision

MIN_PATIENTS_OF_A_SITE = 200
"""Calibration patients that a site needs for a rule of its own. With so many, its own calibration is nearer to the truth than the
version's in 98 of 100 cases even where the two differ by half a unit of log-odds only, and its threshold catches 0.85 to 0.94 where 0.9
is asked for; with 100, in 89 of 100, and 0.82 to 0.95 (``python -m research.site_calibration``)."""
MIN_OF_A_CLASS_AT_A_SITE = 20
"""And so many of either class."""


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
class SiteRule:
    """How a version decides on records of one site; fitted on calibration patients of the site and stored with the model.

    Parameters
    ----------
    site : as records have it
    temperature, bias : in place of the version's own
    threshold, abstain : likewise, as in `ClassRule`
    """

    site: str
    temperature: float
    bias: float
    threshold: float
    abstain: tuple[float, float]

    @property
    def calibration(self) -> Calibration:
        """What makes a probability of the mean log-odds of the windows."""
        return Calibration(temperature=self.temperature, bias=self.bias)


class RecordLimits(NamedTuple):
    """Of each record, shape (n_records,): from which probability on it is abnormal, and from where to where it is uncertain."""

    threshold: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def band(self, row: int) -> tuple[float, float] | None:
        """Return the band of one record; one of no width is none."""
        low, high = float(self.low[row]), float(self.high[row])
        return (low, high) if high > low else None


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
    sites : in place of calibration, threshold and band for records of these sites
    """

    calibration: Calibration
    threshold: float
    abstain: AbstainBand
    min_quality: float
    classes: tuple[ClassRule, ...] = ()
    sites: tuple[SiteRule, ...] = ()

    def calibrate(self, raw: NDArray[np.float64], sites: Sequence[str | None]) -> NDArray[np.float64]:
        """Return calibrated probabilities of records, shape (n_records,), each by the rule of its site if that has one."""
        probability = self.calibration.apply(raw)
        for one, here in self._at(sites):
            probability[here] = one.calibration.apply(raw[here])
        return probability

    def limits(self, sites: Sequence[str | None]) -> RecordLimits:
        """Return threshold and band of records of these sites, None for none or one that is not known.

        Where no site has a rule the three are one number each, seen n times: of a million records that spares 24 MB.
        """
        limits = RecordLimits(
            *(np.broadcast_to(np.float64(value), len(sites)) for value in (self.threshold, self.abstain.lo, self.abstain.hi))
        )
        if self.sites:
            limits = RecordLimits(*(column.copy() for column in limits))
        for one, here in self._at(sites):
            limits.threshold[here], (limits.low[here], limits.high[here]) = one.threshold, one.abstain
        return limits

    def _at(self, sites: Sequence[str | None]) -> list[tuple[SiteRule, NDArray[np.bool_]]]:
        named = np.array([site or "" for site in sites], dtype=object)
        return [(one, named == one.site) for one in self.sites]


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
    sites: Sequence[str | None] | None = None,
) -> RecordDecisions:
    """Decide on every record; one without a usable window is uninterpretable. Parameters as in ``record_probabilities``.

    ``sites`` has the site of each record, None where it has none; without it all are decided on as those are.
    ``probabilities`` may have all outputs of the network, shape (n, n_outputs): only then anything is said of classes.
    """
    columns = probabilities[:, None] if probabilities.ndim == 1 else probabilities

    def of_records(output: int) -> NDArray[np.float64]:
        return record_probabilities(record, columns[:, output], quality, n_records=n_records, min_quality=rule.min_quality)

    raw = of_records(0)
    of_site = [None] * n_records if sites is None else sites
    probability, limits = rule.calibrate(raw, of_site), rule.limits(of_site)
    in_band = (probability >= limits.low) & (probability <= limits.high)
    conditions = [np.isnan(probability), in_band, probability >= limits.threshold]
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
