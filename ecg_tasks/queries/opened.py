"""Here: the few rules of what pages may keep in memory of the bucket. Not here: any page, or the connection (``workspace.open_store``).

What a key names by its content never changes, so it is kept by its key; everything else is kept by key and ETag.
"""

import json
from functools import lru_cache
from typing import Any

from ecg_tasks.archive.object_store import ObjectInfo, ObjectStore


def json_at(store: ObjectStore, info: ObjectInfo) -> Any:
    """Read the JSON of a small listed object, or what was read when it had the same ETag; do not change what you get."""
    return _parsed(store, info.key, info.etag)


def json_at_key(store: ObjectStore, key: str) -> Any | None:
    """Read the JSON under a key, or None where there is none; one request if it is known already."""
    info = store.info(key)
    return None if info is None else json_at(store, info)


@lru_cache(maxsize=256)
def _parsed(store: ObjectStore, key: str, _etag: str) -> Any:
    return json.loads(store.get(key))
