"""Here: what a stored version says of itself: what it was trained on, which pictures it reads. Not here: its files (``registry``)."""

from collections.abc import Mapping
from dataclasses import dataclass

from ecg_tasks.archive import keys, registry
from ecg_tasks.archive.descriptions import Descriptions
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import MissingObjectError
from ecg_tasks.evaluation.ages import AgeRange
from ecg_tasks.evaluation.splits import Split
from ecg_tasks.learning.version import METRICS, SPEC, TRAINING_RECORDS, Metrics, ModelSpec
from ecg_tasks.signals.flags import Flag, join_flags


@dataclass(frozen=True, kw_only=True)
class TrainedOn:
    """What a version has seen before its test: records, and the buckets of their patients."""

    record_ids: frozenset[str]
    buckets: frozenset[int]

    @classmethod
    def of_version(cls, files: Mapping[str, bytes], late: Descriptions | None = None) -> "TrainedOn":
        """Read it from the files of a version; ``late`` has patients that became known after its training."""
        rows = [line.split(",") for line in files[TRAINING_RECORDS].decode().splitlines()[1:]]
        seen = [(record_id, int(bucket)) for record_id, split, bucket in rows if split != Split.TEST]
        record_ids = frozenset(one for one, _ in seen)
        known_since = frozenset() if late is None else late.buckets(record_ids)
        return cls(record_ids=record_ids, buckets=frozenset(bucket for _, bucket in seen if bucket >= 0) | known_since)

    def knows(self, record_id: str, bucket: int) -> bool:
        """Return whether the record, or possibly another one of its patient, was trained on: a bucket is shared by few patients."""
        return record_id in self.record_ids or bucket in self.buckets


def spec_of(store: ObjectStore, recipe: str, version: str) -> ModelSpec | None:
    """Return what a version says that it is, or None if there is no such version."""
    try:
        return ModelSpec.from_json(store.get(keys.model_file(recipe, version, SPEC)))
    except MissingObjectError:
        return None


def metrics_of(store: ObjectStore, recipe: str, version: str) -> Metrics:
    """Return how a version did in its test, and what it remembers of it."""
    return Metrics.from_json(store.get(keys.model_file(recipe, version, METRICS)))


def ages_of(store: ObjectStore, recipe: str, version: str) -> AgeRange | None:
    """Return the ages that a version was shown; None where it does not say so, or was never tested."""
    try:
        return metrics_of(store, recipe, version).ages
    except MissingObjectError:
        return None


def flagged(flags: str, ages: AgeRange | None, *, age: float | None) -> str:
    """Return the flags of a record of a person of this age, with one more if its version was not shown people of that age.

    >>> flagged("noise", AgeRange(low=18, high=90, n_patients=400), age=7.0)
    'noise,age_outside'
    """
    return flags if ages is None or ages.holds(age) else join_flags(flags, Flag.AGE_OUTSIDE)


def pictures_of(store: ObjectStore, recipe: str, version: str) -> str | None:
    """Return the folder of the pictures that a version reads, or None if there is no such version."""
    spec = spec_of(store, recipe, version) if registry.has_version(store, recipe, version) else None
    return None if spec is None else f"{recipe}@{spec.recipe_digest}"
