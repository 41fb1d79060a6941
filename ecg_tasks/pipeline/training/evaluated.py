"""Here: how many candidates were evaluated on a test set. Not here: evaluating them (``retrain_model``)."""

from collections.abc import Collection

from ecg_tasks.archive import keys, registry
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.evaluation.splits import Split
from ecg_tasks.learning.version import TRAINING_RECORDS

SAME_TEST_SET = 0.5
"""Share of a test set's records that another version must have been evaluated on to count: a growing test set remains the same one."""


def candidates_evaluated(store: ObjectStore, recipe: str, version: str, test_records: Collection[str]) -> int:
    """Return how many versions, this one included, were evaluated on these test records, or on at least half of them.

    Every version lists its test records and stays in the bucket, so no other count is needed.
    """
    wanted = set(test_records)
    others = [name for name in registry.versions(store, recipe) if name != version]
    found = store.get_many(keys.model_file(recipe, name, TRAINING_RECORDS) for name in others)
    return 1 + sum(len(wanted & _tested_on(data)) >= SAME_TEST_SET * len(wanted) for data in found)


def _tested_on(splits: bytes) -> set[str]:
    rows = (line.split(",") for line in splits.decode().splitlines()[1:])
    return {row[0] for row in rows if row[1] == Split.TEST}
