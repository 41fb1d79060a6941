"""Here: the guard that stops a training if test data is found in its training data. Not here: how records are split (``dataset``).

It trusts nothing that made the split: it looks at the finished rows, at all pairs of their signals, and at the samples themselves.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.archive import keys, record_shards
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import LeakageError
from ecg_tasks.evaluation.splits import split_of
from ecg_tasks.labels import CLASS_ORDER, Label
from ecg_tasks.pipeline.training.grouping import RecordOrigin
from ecg_tasks.signals.near_duplicates import Links
from ecg_tasks.signals.record import Record

ENOUGH_PER_CLASS = 256
"""Records of each class whose samples are searched for the label: a column that gives it away in all of these does so in all."""
LEAST_PER_CLASS = 8
"""Fewer records of one length may agree in a sample by chance."""
TOLERANCE = 1e-6
"""Largest difference of samples that encode the same label."""
_NAMED = 3
_WAY_OUT = "give the recordings of one person the same patient id, or label one of them uninterpretable"


class SplitRow(Protocol):
    """What the guard needs to know of a row of the split."""

    @property
    def record_id(self) -> str:
        """Of the record."""

    @property
    def group(self) -> str:
        """What must not be in two splits."""

    @property
    def patient_bucket(self) -> int:
        """The patient's, or -1."""

    @property
    def split(self) -> str:
        """Train, validation, calibration or test."""


def check_identities(records: Iterable[RecordOrigin]) -> None:
    """Refuse an archive in which a record is stored twice, or a patient has two folds, or buckets in two splits.

    Raises
    ------
    LeakageError
    """
    shards: dict[str, str] = {}
    places: dict[str, RecordOrigin] = {}
    for one in records:
        if one.record_id in shards:
            raise LeakageError(
                f"shared record: {one.record_id} is in two shards, {shards[one.record_id]} and {one.shard}, and so could be trained "
                "on and tested on; remove one of the shards"
            )
        shards[one.record_id] = one.shard
        if one.patient is not None:
            before = places.setdefault(one.patient, one)
            if before.fold != one.fold:
                raise LeakageError(
                    f"shared patient: {one.patient} is in two folds, {before.fold} (record {before.record_id}) and {one.fold} (record "
                    f"{one.record_id}); a patient has one fold, since it decides the split"
                )
            if split_of(before.place) != split_of(one.place):
                raise LeakageError(
                    f"shared patient: {one.patient} has recordings in two splits, {split_of(before.place)} (record {before.record_id})"
                    f" and {split_of(one.place)} (record {one.record_id}); a patient has one bucket"
                )


def check_rows(rows: Sequence[SplitRow], links: Links) -> None:
    """Refuse a split that lets a group, or two records of one signal, be in two splits.

    Between two patients only what is the same signal beyond doubt counts; where a patient is not known, what is similar counts too.

    Parameters
    ----------
    rows : of the split
    links : of all their pairs, as indices into ``rows``

    Raises
    ------
    LeakageError
    """
    splits: dict[str, str] = {}
    for row in rows:
        before = splits.setdefault(row.group, row.split)
        if before != row.split:
            raise LeakageError(f"shared patient: group {row.group} is in two splits, {before} and {row.split}")
    found = []
    for first, second, same in zip(links.first.tolist(), links.second.tolist(), links.same.tolist(), strict=True):
        one, other = rows[first], rows[second]
        if one.split != other.split and (same or min(one.patient_bucket, other.patient_bucket) < 0):
            found.append(f"{one.record_id} ({one.split}) and {other.record_id} ({other.split})")
    if found:
        raise LeakageError(
            f"near-duplicates across splits: {len(found)} pairs of records show one signal, such as {'; '.join(found[:_NAMED])}; {_WAY_OUT}"
        )


def check_signals(store: ObjectStore, shards: Iterable[str], labels: Mapping[str, str], accepts: Callable[[Record], bool]) -> None:
    """Refuse records that carry their label as a sample: one that has the same value in all records of a class, and another in the other.

    All labelled records count, also those of too poor a quality: a label among the samples may be what makes them so.

    Parameters
    ----------
    shards : that hold labelled records
    labels : of records, by their ids
    accepts : whether the recipe takes a record

    Raises
    ------
    LeakageError
    """
    counts = dict.fromkeys(CLASS_ORDER, 0)
    ranges: dict[tuple[int, int], dict[str, _Range]] = {}
    for shard in shards:
        for stored in record_shards.load_shard(store.get(keys.record_shard(shard))):
            label = labels.get(stored.record.record_id)
            if label is not None and accepts(stored.record):
                counts[Label(label)] += 1
                by_label = ranges.setdefault(stored.record.samples.shape, {})
                by_label.setdefault(label, _Range()).add(stored.record.samples)
        if min(counts.values()) >= ENOUGH_PER_CLASS:
            break
    for (_, n_samples), by_label in ranges.items():
        columns = _telling(list(by_label.values()))
        if columns.size:
            lead, sample = divmod(int(columns[0]), n_samples)
            raise LeakageError(
                f"label inside the signal: sample {sample + 1} of {n_samples} in lead {lead + 1} has one value in all "
                f"{' and another in all '.join(f'{one.n} {label}' for label, one in sorted(by_label.items()))} records; "
                "remove the label's column from the files and drop them again"
            )


@dataclass
class _Range:
    """Smallest and largest value of each sample over the records of one class."""

    n: int = 0
    low: NDArray[np.float32] | None = None
    high: NDArray[np.float32] | None = None

    def add(self, samples: NDArray[np.float32]) -> None:
        flat = np.nan_to_num(samples.ravel())  # an invalid sample must not hide the others
        self.n += 1
        self.low = flat if self.low is None else np.minimum(self.low, flat)
        self.high = flat if self.high is None else np.maximum(self.high, flat)


def _telling(classes: Sequence[_Range]) -> NDArray[np.int64]:
    """Return samples that are constant within each class and differ between them."""
    if len(classes) < 2 or min(one.n for one in classes) < LEAST_PER_CLASS:  # noqa: PLR2004 - one class alone shows nothing
        return np.empty(0, np.int64)
    low, high = (np.stack([getattr(one, end) for one in classes]) for end in ("low", "high"))
    constant = (high - low <= TOLERANCE).all(axis=0)
    differs = low.max(axis=0) - low.min(axis=0) > TOLERANCE
    return np.flatnonzero(constant & differs)
