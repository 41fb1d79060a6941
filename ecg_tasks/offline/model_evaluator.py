"""Here: the evaluation of one model on records, a few at a time. Not here: where the records come from (``evaluate_folder``)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ecg_tasks.archive.class_lists import KnownClasses
from ecg_tasks.errors import ModelRefusedError
from ecg_tasks.evaluation.assessment import Assessment, ScoredRecords, assess
from ecg_tasks.evaluation.classes import ClassAssessment, ClassLimits, ScoredClasses, assess_classes
from ecg_tasks.evaluation.splits import split_bucket
from ecg_tasks.evaluation.summary import Evaluation
from ecg_tasks.labels import CLASS_ORDER
from ecg_tasks.learning.decisions import record_probabilities
from ecg_tasks.offline.shipped import ShippedModel
from ecg_tasks.pipeline.champions.versions import WhySeen, not_compared
from ecg_tasks.pipeline.training import measuring, sites
from ecg_tasks.signals.recipes import get_recipe
from ecg_tasks.signals.record import Record

if TYPE_CHECKING:
    from numpy.typing import NDArray

RECORDS_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A record that the model has seen: itself (``record``), or another one of its patient (``patient``).

    It may also be a stranger's who shares a ``bucket`` with a patient that the model does not name.
    """

    name: str
    record_id: str
    why: WhySeen


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelEvaluation:
    """The result of one model on the records of a folder that it accepts; without an assessment if none of them is left."""

    model: ShippedModel
    assessment: Assessment | None
    classes: ClassAssessment | None
    """Of the classes that the model reports, on the records of which the folder names any; None where there is none."""
    left_out: Sequence[LeftOut]
    uninterpretable: Sequence[str]
    sites: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Of each site with a rule of its own, and enough patients: figures by that rule and by the rule of all, as on the card."""
    n_not_compared: int = 0
    """Private patients that it was trained on under another key: whether they are in the folder cannot be told."""

    @property
    def not_compared(self) -> str:
        """The sentence about these patients; empty where there are none."""
        return not_compared(self.n_not_compared)

    @property
    def n_by_bucket(self) -> int:
        """How many records are left out by their patient's bucket alone."""
        return sum(one.why == "bucket" for one in self.left_out)


class ModelEvaluator:
    """One model: it collects records, scores them a few at a time, and keeps one row of numbers for each.

    ``key`` is that of the patients of this installation; without one, private patients are known by their buckets
    alone, or not at all by a version that does not tell these.
    """

    def __init__(self, model: ShippedModel, *, key: bytes | None = None) -> None:
        self.model = model
        self._trained_on = model.trained_on(key=key)
        self.recipe = get_recipe(model.spec.recipe)
        if self.recipe.digest != model.spec.recipe_digest:
            raise ModelRefusedError(
                f"the {self.recipe.name} model {model.spec.version} reads pictures of {self.recipe.name}@{model.spec.recipe_digest}; "
                f"the pictures made now are {self.recipe.key}: train a new model with the DAG retrain_model"
            )
        self._waiting: list[tuple[Record, KnownClasses | None]] = []
        self._parts: list[ScoredRecords] = []
        self._classes: list[ScoredClasses] = []
        self._raw: list[NDArray[np.float64]] = []
        self._patients_known = True
        self._left_out: list[LeftOut] = []
        self._uninterpretable: list[str] = []

    def add(self, record: Record, patients: Sequence[str], names: Sequence[str], classes: KnownClasses | None = None) -> None:
        """Add a labelled record that the recipe accepts, with what is known of its classes.

        Parameters
        ----------
        patients : ids that its patient may have had in training
        names : by what the patient is known then: keyed hashes, digests of a public patient
        """
        whys = (self._trained_on.why(record.record_id, bucket, *names) for bucket in (-1, *map(split_bucket, patients)))
        if why := next((one for one in whys if one is not None), None):
            self._left_out.append(LeftOut(name=record.name, record_id=record.record_id, why=why))
            return
        self._waiting.append((record, classes))
        if len(self._waiting) >= RECORDS_AT_ONCE:
            self._score()

    def finish(self) -> ModelEvaluation | None:
        """Return the result; None if no record was added."""
        if self._waiting:
            self._score()
        scored = ScoredRecords.joined(self._parts) if self._parts else None
        if scored is None and not self._left_out and not self._uninterpretable:
            return None
        assessment = None
        if scored is not None and len(scored.record_ids):
            rule = self.model.spec.rule
            split_unit: Literal["patient", "record"] = "patient" if self._patients_known else "record"
            assessment = assess(scored, threshold=rule.threshold, abstain=rule.abstain, split_unit=split_unit)
        return ModelEvaluation(
            model=self.model,
            assessment=assessment,
            classes=None if assessment is None else self._assessed_classes(assessment.evaluation),
            left_out=self._left_out,
            uninterpretable=self._uninterpretable,
            sites={} if assessment is None or scored is None else self._by_both_rules(scored, assessment.evaluation),
            n_not_compared=self._trained_on.n_unknown,
        )

    def _by_both_rules(self, scored: ScoredRecords, evaluation: Evaluation) -> dict[str, Any]:
        """Return the figures of sites with a rule of their own, of the records in the order in which a training has them."""
        records, raw = scored.in_order(), np.concatenate(self._raw)[np.argsort(np.array(scored.record_ids))]
        return sites.compared(records, raw, records.origins["site"], rule=self.model.spec.rule, like=evaluation)

    def _assessed_classes(self, evaluation: Evaluation) -> ClassAssessment | None:
        """Return the figures of the classes, by the resamples of those of abnormal."""
        if not self.model.spec.classes:
            return None
        found = assess_classes(
            ScoredClasses.joined(self._classes),
            split_unit=evaluation.split_unit,
            seed=evaluation.seed,
            n_resamples=evaluation.n_resamples,
        )
        return found if found.evaluations else None

    def _score(self) -> None:
        waiting, self._waiting = self._waiting, []
        records = [record for record, _ in waiting]
        rendered = self.recipe.render(records)
        usable = np.flatnonzero((rendered.window >= 0) & (rendered.quality >= self.recipe.min_quality))
        owner, quality = rendered.record[usable], rendered.quality[usable]
        outputs = self.model.classifier.predict_outputs(self.recipe.decode([rendered.png[row] for row in usable]))
        rule, of_site = self.model.spec.rule, [record.site for record in records]
        decided = self.model.classifier.decide(owner, outputs, quality, n_records=len(records), sites=of_site)
        probability = decided.probability
        measured = measuring.measure_records(self.recipe, records)
        by_baseline = measuring.baseline_probabilities(self.recipe, measured, self.model.baselines)
        evaluated = np.flatnonzero(~np.isnan(probability)).tolist()
        self._uninterpretable += [records[row].name for row in np.flatnonzero(np.isnan(probability)).tolist()]
        self._patients_known &= all(records[row].patient is not None for row in evaluated)
        labels = [CLASS_ORDER.index(record.label) for record in records if record.label is not None]
        record_ids = [records[row].record_id for row in evaluated]
        groups = [records[row].patient or records[row].record_id for row in evaluated]
        raw = record_probabilities(owner, outputs[:, 0], quality, n_records=len(records), min_quality=rule.min_quality)
        self._raw.append(raw[evaluated])
        limits = rule.limits([of_site[row] for row in evaluated])
        firm = (probability[evaluated] < limits.low) | (probability[evaluated] > limits.high)
        if decided.classes:
            names = [one.rule.name for one in decided.classes]
            self._classes.append(
                ScoredClasses(
                    record_ids=record_ids,
                    groups=groups,
                    limits=tuple(
                        ClassLimits(name=one.rule.name, threshold=one.rule.threshold, abstain=one.rule.band) for one in decided.classes
                    ),
                    truth=np.array([_truth(waiting[row][1], names) for row in evaluated], dtype=np.float64).reshape(-1, len(names)),
                    probabilities=np.column_stack([one.probability[evaluated] for one in decided.classes]),
                )
            )
        self._parts.append(
            ScoredRecords(
                record_ids=record_ids,
                labels=np.array(labels, dtype=np.uint8)[evaluated],
                probabilities=probability[evaluated],
                groups=groups,
                quality=measuring.mean_quality(owner, quality, n_records=len(records))[evaluated],
                ages=measured.ages[evaluated],
                sexes=[measured.sexes[row] for row in evaluated],
                baselines={name: values[evaluated] for name, values in by_baseline.items()},
                origins={name: [values[row] for row in evaluated] for name, values in measured.origins.items()},
                thresholds=limits.threshold if rule.sites else None,
                firm=firm if rule.sites else None,
            )
        )


def _truth(known: KnownClasses | None, names: Sequence[str]) -> list[float]:
    """Return 1 for a class that a record has, 0 for one that it has not, and nan where that is not known."""
    if known is None:
        return [float("nan")] * len(names)
    return [1.0 if name in known.has else 0.0 if name in known.lacks else float("nan") for name in names]
