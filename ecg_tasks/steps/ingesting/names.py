"""Here: by which names the archive's records were dropped. Not here: finding the record of a label table's row (``ingest``).

A record has one name in its shard. Dropped again under another name it is a duplicate, and that name is kept beside: a label table that
comes in a later drop may use it.
"""

import hashlib
from collections.abc import Iterable, Mapping

from ecg_tasks.storage import keys, tables
from ecg_tasks.storage.object_store import ObjectStore


def known_names(store: ObjectStore, shards: Iterable[str]) -> dict[str, str]:
    """Record ids by every name that these shards' records were dropped by, and by themselves."""
    found: dict[str, str] = {}
    for data in store.get_many(store.list_keys(keys.ALIASES)):
        found.update(_pairs(data))
    for data in store.get_many(keys.record_index(shard) for shard in shards):
        pairs = _pairs(data)
        found.update(pairs)
        found.update((record_id, record_id) for record_id in pairs.values())
    return found


def keep_aliases(store: ObjectStore, duplicates: Mapping[str, str], *, known: Mapping[str, str]) -> None:
    """Write down names of duplicates that are not known yet; ``duplicates`` and ``known`` give record ids by name."""
    new = sorted((name, record_id) for name, record_id in duplicates.items() if known.get(name) != record_id)
    if new:
        data = tables.dump(tables.ALIASES, {"record_id": [record_id for _, record_id in new], "name": [name for name, _ in new]})
        store.put(keys.aliases(hashlib.sha256(data).hexdigest()[:20]), data)


def _pairs(data: bytes) -> dict[str, str]:
    columns = tables.load(data, ["record_id", "name"])
    return dict(zip(columns["name"], columns["record_id"], strict=True))
