"""Here: the bucket as pages see it: one connection a process, and the few rules of what may be kept in memory. Not here: any page.

What a key names by its content never changes, so it is kept by its key; everything else is kept by key and ETag.
"""

import json
import os
from functools import lru_cache
from typing import Any

from ecg_tasks.settings import Settings
from ecg_tasks.storage.object_store import ObjectInfo, ObjectStore

_STEERING = ("AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")


def bucket() -> ObjectStore:
    """Return the process's connection to the bucket that the environment names: opening one takes longer than a page."""
    return _connected(Settings.from_environment().bucket, tuple(os.environ.get(name, "") for name in _STEERING))


def json_at(store: ObjectStore, info: ObjectInfo) -> Any:
    """Read the JSON of a small listed object, or what was read when it had the same ETag; do not change what you get."""
    return _parsed(store, info.key, info.etag)


def json_at_key(store: ObjectStore, key: str) -> Any | None:
    """Read the JSON under a key, or None where there is none; one request if it is known already."""
    info = store.info(key)
    return None if info is None else json_at(store, info)


@lru_cache(maxsize=4)
def _connected(name: str, _steering: tuple[str, ...]) -> ObjectStore:
    return ObjectStore.connect(name)


@lru_cache(maxsize=256)
def _parsed(store: ObjectStore, key: str, _etag: str) -> Any:
    return json.loads(store.get(key))
