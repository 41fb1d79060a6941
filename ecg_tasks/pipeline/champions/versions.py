"""Here: what a stored version says of itself: what it was trained on, which pictures it reads. Not here: its files (``registry``)."""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from ecg_tasks.archive import keys, registry
from ecg_tasks.archive.descriptions import Descriptions
from ecg_tasks.archive.forgotten import digest_of
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.workspace import key_digest
from ecg_tasks.errors import MissingObjectError
from ecg_tasks.evaluation.ages import AgeRange
from ecg_tasks.evaluation.splits import Split, keyed_bucket
from ecg_tasks.learning.version import (
    METRICS,
    SPEC,
    TRAINING_PATIENTS,
    TRAINING_RECORDS,
    Metrics,
    ModelSpec,
    training_patients,
    training_records,
)
from ecg_tasks.settings import Settings
from ecg_tasks.signals.flags import Flag, join_flags

WhySeen = Literal["record", "patient", "bucket"]
"""Why a record counts as seen: itself, its patient, or, where that cannot be told, a bucket that the patient shares with one."""


@dataclass(frozen=True, kw_only=True)
class TrainedOn:
    """What a version has seen before its test.

    Parameters
    ----------
    record_ids : of its records
    patients : by what its patients can be known here: keyed hashes by the key of this installation, and digests of public patients
    buckets : of those patients that can be known by nothing else: private ones of another installation, and all in a version that was made
        before versions named their patients
    n_unknown : how many of its patients cannot be known here at all: private ones of another installation, of a version without buckets
    key : of the patients of this installation: what was forgotten since stands among the ids and patients by its digest
    """

    record_ids: frozenset[str]
    patients: frozenset[str] = frozenset()
    buckets: frozenset[int] = frozenset()
    n_unknown: int = 0
    key: bytes | None = None

    @classmethod
    def of_version(cls, files: Mapping[str, bytes], late: Descriptions | None = None, *, key: bytes | None) -> "TrainedOn":
        """Read it from the files of a version.

        Parameters
        ----------
        late : patients that became known after its training; None outside of an archive, where buckets are made of ids
        key : of the patients of this installation; None where there is none, and private patients are known by their buckets alone
        """
        own: set[str] = set()
        buckets: set[int] = set()
        for record_id, split, bucket in training_records(files[TRAINING_RECORDS]):
            if split != Split.TEST:
                own.add(record_id)
                buckets.add(bucket)
        known_since = [] if late is None else late.patients(own)
        in_archive = key if late is not None else None
        if TRAINING_PATIENTS not in files:
            buckets.update(person.bucket for person in known_since)
            return cls(record_ids=frozenset(own), buckets=_in_archive(buckets - {-1}, in_archive), key=key)
        here = None if key is None else key_digest(key)
        names = {name for person in known_since for name in (person.patient, person.public_patient)}
        unnamed = Counter[int]()
        for one in training_patients(files[TRAINING_PATIENTS]):
            names.update((one.patient if one.key == here else None, one.public_patient))
            if one.key != here and one.public_patient is None:
                unnamed[one.bucket] += 1
        return cls(
            record_ids=frozenset(own),
            patients=frozenset(name for name in names if name is not None),
            buckets=_in_archive({bucket for bucket in unnamed if bucket >= 0}, in_archive),
            n_unknown=unnamed[-1],
            key=key,
        )

    @classmethod
    def read(cls, store: ObjectStore, recipe: str, version: str, late: Descriptions) -> "TrainedOn":
        """Read it from a version in the bucket of this installation."""
        files = {TRAINING_RECORDS: store.get(keys.model_file(recipe, version, TRAINING_RECORDS))}
        with suppress(MissingObjectError):  # a version from before there was one
            files[TRAINING_PATIENTS] = store.get(keys.model_file(recipe, version, TRAINING_PATIENTS))
        return cls.of_version(files, late, key=Settings.from_environment().patient_key)

    def why(self, record_id: str, bucket: int, *patients: str | None) -> WhySeen | None:
        """Return why a record counts as seen, or None if it is a stranger's.

        Parameters
        ----------
        bucket : the patient's, -1 where no patient is known
        patients : by what the patient is known: keyed hash, digest of a public patient
        """
        if not self.record_ids.isdisjoint(self._names(record_id)):
            return "record"
        if not self.patients.isdisjoint(self._names(*patients)):
            return "patient"
        return "bucket" if bucket in self.buckets else None

    def _names(self, *given: str | None) -> list[str]:
        known = [one for one in given if one is not None]
        return known if self.key is None else known + [digest_of(one, key=self.key) for one in known]


def _in_archive(buckets: set[int], key: bytes | None) -> frozenset[int]:
    """Return buckets as an archive may have them: those that the key gives in their place, too."""
    return frozenset(buckets if key is None else buckets.union(keyed_bucket(bucket, key=key) for bucket in buckets))


def not_compared(n_patients: int) -> str:
    """Return the sentence about training patients that cannot be known here; empty where there are none.

    >>> not_compared(1)
    'Whether the 1 private patient that it was trained on under another key is among these is not known: only recordings were compared.'
    """
    if not n_patients:
        return ""
    who = "1 private patient" if n_patients == 1 else f"{n_patients:,} private patients"
    verb = "is" if n_patients == 1 else "are"
    return f"Whether the {who} that it was trained on under another key {verb} among these is not known: only recordings were compared."


def left_out_by_bucket(n_records: int) -> str:
    """Return the sentence about records that are left out by a bucket alone; empty where there are none.

    >>> left_out_by_bucket(1)
    '1 record is left out by its bucket alone, and may be of a stranger: the version does not name all patients that it was trained on.'
    """
    if not n_records:
        return ""
    counted = "1 record is left out by its bucket" if n_records == 1 else f"{n_records:,} records are left out by their buckets"
    return f"{counted} alone, and may be of a stranger: the version does not name all patients that it was trained on."


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
