"""Here: the rule that a version trained on synthetic recordings decides on no real one. Not here: what people decide (``decide_champion``).

A recording is synthetic if its file says that a program made it; a version is if one recording that it was trained on was. While a
bucket holds nothing but synthetic recordings, as after a demonstration, such a version may serve. From the first real recording on it
may not: the version before it serves again, or the shipped one, and it cannot be promoted.
"""

from ecg_tasks.archive import keys, tables
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.pipeline.champions.versions import spec_of

OBSTACLE = "was trained on synthetic recordings, and this bucket holds real ones"


def is_synthetic(store: ObjectStore, recipe: str, version: str) -> bool:
    """Return whether a version was trained on a recording that a program made."""
    spec = spec_of(store, recipe, version)
    return spec is not None and spec.synthetic


def holds_real(store: ObjectStore, shards: list[str] | None = None) -> bool:
    """Return whether a real recording lies in one of these shards, or anywhere in the archive."""
    indexes = store.list_keys(keys.RECORD_INDEX) if shards is None else [keys.record_index(shard) for shard in shards]
    return any(not tables.load(data, ["synthetic"])["synthetic"].all() for data in store.get_many(indexes))


def obstacle(store: ObjectStore, recipe: str, version: str) -> str:
    """Return why a version may not serve in this bucket by this rule, as the end of a sentence; nothing if it may."""
    return OBSTACLE if is_synthetic(store, recipe, version) and holds_real(store) else ""
