"""Here: a calibration and a threshold for each site that has enough calibration records, and what they change in the test.

Not here: how many are enough, which ``research.site_calibration`` found; or deciding (``learning.decisions``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.archive import keys, record_shards
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.evaluation.calibration import Calibration, fit_calibration
from ecg_tasks.evaluation.subgroups import are_enough
from ecg_tasks.evaluation.summary import Evaluation, evaluate, plain_interval
from ecg_tasks.evaluation.thresholds import abstain_band, threshold_for_sensitivity
from ecg_tasks.learning.decisions import MIN_OF_A_CLASS_AT_A_SITE, MIN_PATIENTS_OF_A_SITE, DecisionRule, SiteRule
from ecg_tasks.pipeline.training.class_rules import Asked
from ecg_tasks.pipeline.training.dataset import DatasetRow, Pictures

COMPARED = ("sensitivity", "specificity", "ece", "brier")
"""Figures of a site's test records that are told by both rules."""


@dataclass(frozen=True, kw_only=True)
class FittedSites:
    """The rules of sites, and of every site how many calibration records it has; ``own`` tells whether it has a rule."""

    rules: tuple[SiteRule, ...]
    counts: Mapping[str, Mapping[str, int]]

    def as_dict(self, tested: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Return plain numbers for ``metrics.json``; ``tested`` are the figures of `compared` by site."""
        own = {one.site for one in self.rules}
        return {site: {"calibration": dict(n), "own": site in own, "test": dict(tested.get(site, {}))} for site, n in self.counts.items()}


def sites_of(store: ObjectStore, rows: Sequence[DatasetRow]) -> list[str | None]:
    """Return the site of each of these records, by the indexes of their shards; None where it is not known."""
    found: dict[str, str | None] = {}
    shards = sorted({row.shard for row in rows})
    for index in store.get_many(map(keys.record_index, shards)):
        found |= record_shards.sites_of(index)
    return [found[row.record_id] for row in rows]


def fit_sites(
    calibration: Pictures, raw: NDArray[np.float64], sites: Sequence[str | None], *, pooled: Calibration, asked: Asked
) -> FittedSites:
    """Fit a rule for each site with enough calibration records.

    The version's calibration is where the fit starts, and the priors of `fit_calibration` keep it near, so that few records change little.

    Parameters
    ----------
    raw : ndarray, shape (n_records,), P(abnormal) of the calibration records before any calibration; nan for none
    sites : of these records
    pooled : the version's calibration
    """
    labels, groups = calibration.labels, np.array(calibration.groups)
    rules: list[SiteRule] = []
    counts: dict[str, dict[str, int]] = {}
    for site in sorted({one for one in sites if one}):
        here = np.flatnonzero((np.array(sites, dtype=object) == site) & ~np.isnan(raw))
        first = here[np.unique(groups[here], return_index=True)[1]]
        n_abnormal = int(labels[first].sum())
        counts[site] = {"n_records": len(here), "n_patients": len(first), "n_abnormal": n_abnormal}
        if len(first) < MIN_PATIENTS_OF_A_SITE or min(n_abnormal, len(first) - n_abnormal) < MIN_OF_A_CLASS_AT_A_SITE:
            continue
        correction = fit_calibration(labels[here], pooled.apply(raw[here]))
        own = Calibration(
            temperature=pooled.temperature * correction.temperature, bias=pooled.bias / correction.temperature + correction.bias
        )
        p = own.apply(raw[here])
        threshold = threshold_for_sensitivity(p, sensitivity=asked.sensitivity)
        band = abstain_band(labels[here], p, threshold=threshold, target_accuracy=asked.accuracy, min_coverage=asked.coverage)
        rules.append(SiteRule(site=site, temperature=own.temperature, bias=own.bias, threshold=threshold, abstain=(band.lo, band.hi)))
    return FittedSites(rules=tuple(rules), counts=counts)


class Labelled(Protocol):
    """Records with a label each (0 normal, 1 abnormal), shape (n_records,), and their patients."""

    @property
    def labels(self) -> NDArray[np.integer]: ...  # noqa: D102

    @property
    def groups(self) -> Sequence[str]: ...  # noqa: D102


def compared(
    test: Labelled, raw: NDArray[np.float64], sites: Sequence[str | None], *, rule: DecisionRule, like: Evaluation
) -> dict[str, Any]:
    """Return figures of the test records of each site with a rule, by the version's rule (``pooled``) and by its own (``own``).

    A site with too few test patients is left out. ``raw`` is P(abnormal) before any calibration, nan for none. ``like`` is the evaluation
    of all test records, whose resamples are drawn.
    """
    found: dict[str, Any] = {}
    groups = np.array(test.groups)
    for one in rule.sites:
        here = np.flatnonzero((np.array(sites, dtype=object) == one.site) & ~np.isnan(raw))
        labels = test.labels[here].astype(bool)
        if not are_enough(labels, groups[here]):
            continue
        by_rule = {"pooled": (rule.calibration, rule.threshold), "own": (one.calibration, one.threshold)}
        found[one.site] = {"n_records": len(here)} | {
            name: _figures(labels, calibration.apply(raw[here]), groups[here], threshold=threshold, like=like)
            for name, (calibration, threshold) in by_rule.items()
        }
    return found


def _figures(
    labels: NDArray[np.bool_], probabilities: NDArray[np.float64], groups: NDArray[np.str_], *, threshold: float, like: Evaluation
) -> dict[str, Any]:
    whole = evaluate(labels, probabilities, groups, threshold=threshold, seed=like.seed, n_resamples=like.n_resamples).figures
    return {name: plain_interval(whole[name]) for name in COMPARED}
