"""Here: JSON in a bucket as it stands, for tests that look at what is stored or write what an older version wrote."""

import json
from typing import Any

from ecg_tasks.archive.object_store import ObjectStore


def put_json(store: ObjectStore, key: str, value: object) -> str:
    """Write JSON, whatever stands there; returns the key."""
    store.replace(key, json.dumps(value, indent=1, sort_keys=True).encode(), content_type="application/json")
    return key


def get_json(store: ObjectStore, key: str) -> Any:
    """Read JSON."""
    return json.loads(store.get(key))
