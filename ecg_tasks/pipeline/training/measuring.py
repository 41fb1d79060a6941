"""Here: plain measurements of stored records, the baselines fitted on them, and records made ready to be assessed.

Not here: what is measured (``signals.simple_features``), or how it is evaluated (``evaluation.assessment``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.archive import keys, record_shards
from ecg_tasks.archive.descriptions import Descriptions
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.evaluation.assessment import ScoredRecords
from ecg_tasks.evaluation.baselines import LogisticBaseline, fit_logistic
from ecg_tasks.labels import CLASS_ORDER, Label
from ecg_tasks.pipeline.training.dataset import DatasetRow, Pictures
from ecg_tasks.signals.recipes import Recipe
from ecg_tasks.signals.record import Record
from ecg_tasks.signals.simple_features import BEAT_LENGTH, feature_names, simple_features

BEAT_LENGTH_ALONE = "beat_length"
SIMPLE_FEATURES = "simple_features"
"""Names of the baselines: a logistic regression on the length of a beat, and one on all simple features. Neither knows the age."""
RECORDS_AT_ONCE = 256
ORIGINS = ("device", "site")
"""What is known of where a record comes from, beside its collection."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MeasuredRecords:
    """What is known of records beside their pictures; one row a record.

    ``features`` has shape (n_records, n_features), columns as in ``feature_names``; ``ages`` are years, nan where not known.
    ``origins`` are ``device`` and ``site``, as in ``assessment.ScoredRecords``.
    """

    record_ids: Sequence[str]
    features: NDArray[np.float64]
    ages: NDArray[np.float64]
    sexes: Sequence[str | None]
    origins: Mapping[str, Sequence[str | None]]

    def of(self, record_ids: Sequence[str]) -> "MeasuredRecords":
        """Return the rows of the given records, in that order."""
        place = {record_id: row for row, record_id in enumerate(self.record_ids)}
        rows = [place[record_id] for record_id in record_ids]
        return MeasuredRecords(
            record_ids=list(record_ids),
            features=self.features[rows],
            ages=self.ages[rows],
            sexes=[self.sexes[row] for row in rows],
            origins={name: [values[row] for row in rows] for name, values in self.origins.items()},
        )


def measure_records(recipe: Recipe, records: Sequence[Record]) -> MeasuredRecords:
    """Measure records that the recipe accepts."""
    return MeasuredRecords(
        record_ids=[record.record_id for record in records],
        features=simple_features(records, recipe.windowing),
        ages=np.array([np.nan if record.age is None else record.age for record in records], dtype=np.float64),
        sexes=[record.sex for record in records],
        origins={name: [getattr(record, name) for record in records] for name in ORIGINS},
    )


def measure(store: ObjectStore, recipe: Recipe, rows: Sequence[DatasetRow]) -> MeasuredRecords:
    """Measure stored records, shard by shard."""
    wanted = {row.record_id for row in rows}
    late = Descriptions.read(store, wanted)
    parts = []
    for shard in sorted({row.shard for row in rows}):
        stored = record_shards.load_shard(store.get(keys.record_shard(shard)))
        records = [late.stored(one).record for one in stored if one.record.record_id in wanted]
        parts += [measure_records(recipe, records[start : start + RECORDS_AT_ONCE]) for start in range(0, len(records), RECORDS_AT_ONCE)]
    return MeasuredRecords(
        record_ids=[record_id for part in parts for record_id in part.record_ids],
        features=np.concatenate([part.features for part in parts]),
        ages=np.concatenate([part.ages for part in parts]),
        sexes=[sex for part in parts for sex in part.sexes],
        origins={name: [value for part in parts for value in part.origins[name]] for name in ORIGINS},
    )


def fit_baselines(recipe: Recipe, measured: MeasuredRecords, rows: Sequence[DatasetRow]) -> dict[str, LogisticBaseline]:
    """Fit both baselines on those of these rows, which are the training split, that have a label."""
    rows = [row for row in rows if row.label]
    names = feature_names(recipe.windowing)
    features = measured.of([row.record_id for row in rows]).features
    labels = [CLASS_ORDER.index(Label(row.label)) for row in rows]
    length = names.index(BEAT_LENGTH)
    return {
        BEAT_LENGTH_ALONE: fit_logistic(labels, features[:, [length]], names=(BEAT_LENGTH,)),
        SIMPLE_FEATURES: fit_logistic(labels, features, names=names),
    }


def baseline_probabilities(
    recipe: Recipe, measured: MeasuredRecords, baselines: Mapping[str, LogisticBaseline]
) -> dict[str, NDArray[np.float64]]:
    """Return P(abnormal) of each record by each baseline."""
    names = feature_names(recipe.windowing)
    return {
        name: baseline.probabilities(measured.features[:, [names.index(feature) for feature in baseline.features]])
        for name, baseline in baselines.items()
    }


def mean_quality(record: NDArray[np.integer], quality: NDArray[np.floating], *, n_records: int) -> NDArray[np.float64]:
    """Return the mean quality of the usable windows of each record, shape (n_records,); nan for a record without any."""
    total = np.bincount(record, weights=quality, minlength=n_records)
    count = np.bincount(record, minlength=n_records)
    return np.asarray(np.divide(total, count, out=np.full(n_records, np.nan), where=count > 0))


def scored_records(
    recipe: Recipe,
    pictures: Pictures,
    probabilities: NDArray[np.float64],
    *,
    measured: MeasuredRecords,
    baselines: Mapping[str, LogisticBaseline],
) -> ScoredRecords:
    """Return the records of a split that got a probability, ready to be assessed."""
    evaluated = np.flatnonzero(~np.isnan(probabilities)).tolist()
    by_baseline = baseline_probabilities(recipe, measured, baselines)
    return ScoredRecords(
        record_ids=[pictures.rows[row].record_id for row in evaluated],
        labels=pictures.labels[evaluated],
        probabilities=probabilities[evaluated],
        groups=[pictures.groups[row] for row in evaluated],
        quality=mean_quality(pictures.record, pictures.quality, n_records=len(pictures.rows))[evaluated],
        ages=measured.ages[evaluated],
        sexes=[measured.sexes[row] for row in evaluated],
        baselines={name: values[evaluated] for name, values in by_baseline.items()},
        origins={name: [values[row] for row in evaluated] for name, values in measured.origins.items()},
    )
