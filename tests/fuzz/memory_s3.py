"""Here: an S3 client that keeps its objects in a dict and watches their keys: fast enough for thousands of inboxes a minute.

Not here: a stand-in for a server in tests of the store; those ask a real one.
"""

import hashlib
import io
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from botocore.response import StreamingBody

from ecg_tasks.archive import keys
from ecg_tasks.archive.object_store import ObjectStore
from tests.fuzz.corpus import MAX_KEY_BYTES

PREFIXES = tuple(value for name, value in vars(keys).items() if name.isupper() and isinstance(value, str) and value.endswith("/"))


class UnsafeKeyError(AssertionError):
    """The library asked for a key that no key of its own may be."""


class MemoryS3:
    """As much of a boto3 client as `ObjectStore` uses. Keys in the inbox are what users chose; all others must be safe."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.modified = datetime(2026, 1, 1, tzinfo=UTC)

    def _own(self, key: str) -> str:
        if len(key.encode()) > MAX_KEY_BYTES:
            raise ClientError({"Error": {"Code": "KeyTooLongError", "Message": key[:80]}}, "Any")
        parts = key.split("/")
        if not key.startswith(keys.INBOX) and (
            not key.startswith(PREFIXES) or {"", ".", ".."} & set(parts) or not key.isprintable() or "\\" in key
        ):
            raise UnsafeKeyError(repr(key))
        return key

    def _there(self, key: str) -> bytes:
        try:
            return self.objects[self._own(key)]
        except KeyError:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": key}}, "Any") from None

    def _told(self, key: str) -> dict[str, Any]:
        data = self.objects[key]
        return {"Key": key, "Size": len(data), "ETag": f'"{hashlib.md5(data).hexdigest()}"', "LastModified": self.modified}  # noqa: S324 - as S3 does

    def get_object(self, *, Bucket: str, Key: str, Range: str = "") -> dict[str, Any]:  # noqa: ARG002, N803 - boto3's names
        """Content, size, ETag and time of an object; a range is one from its start."""
        data = self._there(Key)
        data = data[: int(Range.rpartition("-")[2]) + 1] if Range else data
        return {"Body": StreamingBody(io.BytesIO(data), len(data)), **self._told(Key)}

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: ARG002, N803 - as above
        """The same without the content."""
        return {"ContentLength": len(self._there(Key)), **self._told(Key)}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, **_: Any) -> None:  # noqa: ARG002, N803 - as above
        """Keep an object."""
        self.objects[self._own(Key)] = Body if isinstance(Body, bytes) else Body.read()

    def copy_object(self, *, Bucket: str, Key: str, CopySource: dict[str, str]) -> None:  # noqa: ARG002, N803 - as above
        """Copy one."""
        self.objects[self._own(Key)] = self._there(CopySource["Key"])

    def delete_object(self, *, Bucket: str, Key: str) -> None:  # noqa: ARG002, N803 - as above
        """Remove one, if it is there."""
        self.objects.pop(self._own(Key), None)

    def delete_objects(self, *, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:  # noqa: N803 - as above
        """Remove several."""
        for one in Delete["Objects"]:
            self.delete_object(Bucket=Bucket, Key=one["Key"])
        return {}

    def head_bucket(self, *, Bucket: str) -> None:  # noqa: N803 - as above
        """It is always there."""

    def get_paginator(self, _: str) -> "MemoryS3":
        """The one listing there is."""
        return self

    def paginate(self, *, Bucket: str, Prefix: str, Delimiter: str = "", StartAfter: str = "") -> list[dict[str, Any]]:  # noqa: ARG002, N803 - as above
        """Every key below a prefix, or the folders there, as one page."""
        found = sorted(key for key in self.objects if key.startswith(Prefix) and key > StartAfter)
        if not Delimiter:
            return [{"Contents": [self._told(key) for key in found]}]
        folders = dict.fromkeys(f"{Prefix}{key[len(Prefix) :].split('/')[0]}/" for key in found if "/" in key[len(Prefix) :])
        return [{"CommonPrefixes": [{"Prefix": folder} for folder in folders]}]


def memory_store(objects: dict[str, bytes] | None = None) -> tuple[ObjectStore, MemoryS3]:
    """Make a store over a client in memory."""
    client = MemoryS3()
    client.objects.update(objects or {})
    return ObjectStore(client, "memory"), client  # type: ignore[arg-type]  # as much of a client as is used
