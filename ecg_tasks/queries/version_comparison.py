"""Here: two versions on the same patients, of what both have stored already. Not here: letting one decide (``backfill_version``).

Nothing is decided for it: what is compared are the stored predictions on the shards on which both versions have decided, in nights, in
comparisons of versions or both. Figures rest on labelled records of patients that neither learnt from.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.archive import forgotten, keys, registry, verdicts
from ecg_tasks.archive.cache import keep
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import ConfigurationError
from ecg_tasks.evaluation import curves
from ecg_tasks.evaluation.agreement import cohens_kappa
from ecg_tasks.evaluation.assessment import BOOTSTRAP_SEED, MAX_DRAWN_RECORDS, MIN_RESAMPLES
from ecg_tasks.evaluation.comparison import Called, paired_differences
from ecg_tasks.evaluation.intervals import N_RESAMPLES, Interval, nan_to_none
from ecg_tasks.evaluation.summary import Evaluation, evaluate
from ecg_tasks.labels import CLASS_ORDER, Decision, Label
from ecg_tasks.pipeline.backfill_version import version_summary
from ecg_tasks.pipeline.decided import Decided, of_version
from ecg_tasks.queries import models
from ecg_tasks.queries.unseen import unseen_by
from ecg_tasks.reporting.changes import ChangedRecord, in_order
from ecg_tasks.reporting.difference import Difference, summary
from ecg_tasks.reporting.model import ModelSummary


@dataclass(frozen=True, kw_only=True, eq=False)
class OnThePatients:
    """How one of the versions does on them."""

    evaluation: Evaluation
    roc: curves.RocCurve
    precision_recall: curves.PrecisionRecallCurve


@dataclass(frozen=True, kw_only=True, eq=False)
class VersionComparison:
    """Two versions of a recipe on the same records.

    Parameters
    ----------
    one, other : the versions; a difference is the other less the one
    difference : of their decisions on all records on which both have decided
    n_labelled : labelled records among them to which both give a probability
    n_seen : those that one of the two learnt from, or is of a patient that it learnt from; they are left out
    figures : of the one and of the other on the rest; None where these are too few, or of one class
    differences : figure to its paired difference, by patient
    """

    recipe: str
    one: ModelSummary
    other: ModelSummary
    difference: Difference
    n_labelled: int
    n_seen: int
    figures: tuple[OnThePatients, OnThePatients] | None
    differences: Mapping[str, Interval]

    @property
    def n_records(self) -> int:
        """On which both have decided."""
        return self.difference.agreement.n

    @property
    def decisions(self) -> dict[str, Any]:
        """What a page shows of the difference of their decisions."""
        return summary(self.difference, in_order(self.difference.changed))

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it: null for what is not defined."""
        return {
            "recipe": self.recipe,
            "versions": [self.one.version, self.other.version],
            "n_records": self.n_records,
            "n_changed": len(self.difference.changed),
            "decisions": [kind.value for kind in Decision],
            "counts": [[self.difference.counts.get((one, other), 0) for other in Decision] for one in Decision],
            "n_labelled": self.n_labelled,
            "n_seen": self.n_seen,
            "why_no_figures": self.why_no_figures or None,
            "figures": None if self.figures is None else [of.evaluation.as_dict() for of in self.figures],
            "differences": {
                name: {"value": nan_to_none(one.value), "low": nan_to_none(one.low), "high": nan_to_none(one.high)}
                for name, one in self.differences.items()
            },
        }

    @property
    def why_no_figures(self) -> str:
        """Why there are none, in one sentence; empty where there are."""
        if self.figures is not None:
            return ""
        if not self.n_records:
            return (
                f"No shard was decided on by both versions: let the DAG backfill_version decide with {self.other.version}, against"
                f" {self.one.version}."
            )
        if not self.n_labelled:
            return "No record on which both have decided is labelled normal or abnormal."
        if self.n_seen == self.n_labelled:
            return "Every labelled record is of a patient that one of the two versions learned from."
        return "The labelled records that neither version learned from are all of one class."


def comparison(store: ObjectStore, recipe: str, one: str, other: str) -> VersionComparison:
    """Compare two versions by what they have stored.

    Raises
    ------
    ConfigurationError
        If there is no such version, or it is the same twice.
    """
    for version in (one, other):
        models.check(store, recipe, version)
    if one == other or not one or not other:
        raise ConfigurationError(f"{recipe} {one or 'nothing'} would be compared with {other or 'nothing'}: choose two versions")
    return _compared(store, recipe, one, other, made_of=_generation(store, recipe, one, other))


def _generation(store: ObjectStore, recipe: str, one: str, other: str) -> str:
    """Return a digest of all that a comparison is made of: while it stays, the comparison does."""
    said = (item for item in store.list_objects(f"{keys.PREDICTIONS}{recipe}/") if keys.stem(item.key) in {one, other})
    known = (item for prefix in (keys.LABELS, keys.CATALOG, keys.champion(recipe)) for item in store.list_objects(prefix))
    listed = [f"{item.key} {item.etag}" for items in (said, known) for item in items]
    return hashlib.sha256("\n".join([*listed, repr(forgotten.generation(store))]).encode()).hexdigest()


@keep(8)
def _compared(store: ObjectStore, recipe: str, one: str, other: str, *, made_of: str) -> VersionComparison:  # noqa: ARG001 - a generation
    champion = registry.read_champion(store, recipe)
    before, after = (version_summary(store, recipe, version, champion) for version in (one, other))
    first, second = (of_version(store, recipe, version) for version in (one, other))
    ids = np.intersect1d(first.ids, second.ids, assume_unique=True)
    both = _Both(ids=ids, one=first, other=second, at_one=first.rows(ids), at_other=second.rows(ids))
    labels = _labels(store)
    return _with_figures(
        store,
        both,
        labels,
        before=before,
        after=after,
        difference=_difference(both, labels, before=before, after=after),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Both:
    """The records on which both have decided, and where they stand in either, shape (n,) each."""

    ids: NDArray[np.bytes_]
    one: Decided
    other: Decided
    at_one: NDArray[np.int64]
    at_other: NDArray[np.int64]


def _labels(store: ObjectStore) -> dict[str, str]:
    known = verdicts.read_labels(store)
    return {record_id: entry.label for record_id, entry in {**known.sources, **known.in_force()}.items()}


def _difference(both: _Both, labels: Mapping[str, str], *, before: ModelSummary, after: ModelSummary) -> Difference:
    said, says = both.one.decision[both.at_one], both.other.decision[both.at_other]
    p_one, p_other = (part.astype(np.float64) for part in (both.one.probability[both.at_one], both.other.probability[both.at_other]))
    moved = np.abs(p_other - p_one)
    changed = [
        ChangedRecord(
            record_id=both.ids[row].decode(),
            name=both.one.name[both.at_one[row]],
            before=Decision(said[row]),
            after=Decision(says[row]),
            probability_before=nan_to_none(p_one[row]),
            probability_after=nan_to_none(p_other[row]),
            label=labels.get(both.ids[row].decode()),
        )
        for row in np.flatnonzero(said != says).tolist()
    ]
    counts = Counter(zip(said.tolist(), says.tolist(), strict=True))
    return Difference(
        run_id="",
        dag="",
        created_utc="",
        before=before,
        after=after,
        counts={(Decision(one), Decision(other)): n for (one, other), n in counts.items()},
        changed=changed,
        agreement=cohens_kappa(said.tolist(), says.tolist()),
        mean_change=float(np.nanmean(moved)) if np.isfinite(moved).any() else None,
        n_synthetic=int(both.one.synthetic[both.at_one].sum()),
    )


def _with_figures(
    store: ObjectStore,
    both: _Both,
    labels: Mapping[str, str],
    *,
    before: ModelSummary,
    after: ModelSummary,
    difference: Difference,
) -> VersionComparison:
    p_one, p_other = both.one.probability[both.at_one], both.other.probability[both.at_other]
    ids = [record_id.decode() for record_id in both.ids.tolist()]
    usable = [row for row in np.flatnonzero(~np.isnan(p_one) & ~np.isnan(p_other)).tolist() if labels.get(ids[row]) in CLASS_ORDER]
    unseen = unseen_by(store, before.recipe, [before.version, after.version], [ids[row] for row in usable])
    rows = np.array([row for row in usable if ids[row] in unseen], dtype=np.int64)
    truth = np.array([labels[ids[row]] == Label.ABNORMAL for row in rows.tolist()], dtype=bool)
    figures, differences = None, dict[str, Interval]()
    if truth.any() and not truth.all():
        groups = np.array([unseen[ids[row]] for row in rows.tolist()])
        n_resamples = int(np.clip(MAX_DRAWN_RECORDS // len(rows), MIN_RESAMPLES, N_RESAMPLES))
        said, says = _called(both.one, both.at_one[rows]), _called(both.other, both.at_other[rows])
        firm_one, firm_other = (
            decided.decision[at[rows]] != Decision.UNCERTAIN.value for decided, at in ((both.one, both.at_one), (both.other, both.at_other))
        )
        figures = (
            _evaluated(truth, said, groups, firm=firm_one, threshold=before.threshold, n_resamples=n_resamples),
            _evaluated(truth, says, groups, firm=firm_other, threshold=after.threshold, n_resamples=n_resamples),
        )
        differences = paired_differences(truth, said, says, groups, seed=BOOTSTRAP_SEED, n_resamples=n_resamples)
    return VersionComparison(
        recipe=before.recipe,
        one=before,
        other=after,
        difference=difference,
        n_labelled=len(usable),
        n_seen=len(usable) - len(rows),
        figures=figures,
        differences=differences,
    )


def _called(decided: Decided, at: NDArray[np.int64]) -> Called:
    probability = decided.probability[at].astype(np.float64)
    return Called(probability, probability >= decided.threshold[at])


def _evaluated(
    truth: NDArray[np.bool_], called: Called, groups: NDArray[np.str_], *, firm: NDArray[np.bool_], threshold: float, n_resamples: int
) -> OnThePatients:
    return OnThePatients(
        evaluation=evaluate(
            truth,
            called.probability,
            groups,
            threshold=threshold,
            called=called.is_abnormal,
            firm=firm,
            seed=BOOTSTRAP_SEED,
            n_resamples=n_resamples,
        ),
        roc=curves.thinned(curves.roc_curve(truth, called.probability)),
        precision_recall=curves.thinned(curves.precision_recall_curve(truth, called.probability)),
    )
