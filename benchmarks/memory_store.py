"""Here: a bucket in memory, as much of a boto3 client as a night uses, and the time that it takes itself. Not here: a server."""

import hashlib
import io
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import wraps
from typing import Any, TypeVar

from botocore.exceptions import ClientError
from botocore.response import StreamingBody

PAGE = 1000
"""Keys in one page of a listing, as S3 gives them."""
AT = datetime(2026, 1, 1, tzinfo=UTC)

T = TypeVar("T")


def timed(method: Callable[..., T]) -> Callable[..., T]:
    """Add the processor time of each call of a method to ``own_s``, the time of its own thread."""

    @wraps(method)
    def call(self: "MemoryS3", *args: Any, **kwargs: Any) -> T:
        start = time.thread_time()
        try:
            return method(self, *args, **kwargs)
        finally:
            with self._lock:
                self.own_s += time.thread_time() - start

    return call


class MemoryS3:
    """One bucket; ``own_s`` are the processor seconds that it took since it was made, so that they can be told apart."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.own_s = 0.0
        self._lock = threading.Lock()

    @timed
    def get_object(self, *, Bucket: str, Key: str, Range: str = "") -> dict[str, Any]:  # noqa: ARG002, N803 - boto3's names
        """Return the content of an object."""
        data, etag = self._found(Key, code="NoSuchKey", operation="GetObject")
        if Range:
            first, _, last = Range.removeprefix("bytes=").partition("-")
            data = data[int(first) : int(last) + 1 if last else None]
        return {"Body": StreamingBody(io.BytesIO(data), len(data)), "ContentLength": len(data), "ETag": etag, "LastModified": AT}

    @timed
    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: ARG002, N803 - as above
        """Return the size and time of an object."""
        data, etag = self._found(Key, code="404", operation="HeadObject")
        return {"ContentLength": len(data), "ETag": etag, "LastModified": AT}

    @timed
    def put_object(self, *, Bucket: str, Key: str, Body: Any, IfNoneMatch: str = "", **_: Any) -> dict[str, Any]:  # noqa: ARG002, N803 - as above
        """Keep an object."""
        if IfNoneMatch and Key in self.objects:
            raise ClientError({"Error": {"Code": "PreconditionFailed", "Message": Key}}, "PutObject")
        data = Body if isinstance(Body, bytes) else Body.read()
        etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
        self.objects[Key] = data, etag
        return {"ETag": etag}

    @timed
    def copy_object(self, *, Bucket: str, Key: str, CopySource: dict[str, str]) -> dict[str, Any]:  # noqa: ARG002, N803 - as above
        """Keep the same under another key."""
        self.objects[Key] = self._found(CopySource["Key"], code="NoSuchKey", operation="CopyObject")
        return {}

    @timed
    def delete_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: ARG002, N803 - as above
        """Remove one."""
        self.objects.pop(Key, None)
        return {}

    @timed
    def delete_objects(self, *, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002, N803 - as above
        """Remove several."""
        for one in Delete["Objects"]:
            self.objects.pop(one["Key"], None)
        return {}

    def head_bucket(self, *, Bucket: str) -> dict[str, Any]:  # noqa: ARG002, N803 - as above
        """Say that the bucket is there."""
        return {}

    def get_paginator(self, _: str) -> "MemoryS3":
        """Return the only listing there is."""
        return self

    def paginate(self, *, Bucket: str, Prefix: str, Delimiter: str = "", StartAfter: str = "") -> Iterator[dict[str, Any]]:  # noqa: ARG002, N803 - as above
        """Yield every key below a prefix, or the folders there."""
        yield from self._listed(Prefix, Delimiter, StartAfter)

    @timed
    def _listed(self, prefix: str, delimiter: str, after: str) -> list[dict[str, Any]]:
        found = sorted(key for key in self.objects if key.startswith(prefix) and key > after)
        if delimiter:
            folders = sorted({key[: key.index("/", len(prefix)) + 1] for key in found if "/" in key[len(prefix) :]})
            return [{"CommonPrefixes": [{"Prefix": folder} for folder in folders]}]
        told = [{"Key": key, "Size": len(self.objects[key][0]), "ETag": self.objects[key][1], "LastModified": AT} for key in found]
        return [{"Contents": told[at : at + PAGE]} for at in range(0, max(len(told), 1), PAGE)]

    def _found(self, key: str, *, code: str, operation: str) -> tuple[bytes, str]:
        if key not in self.objects:
            raise ClientError({"Error": {"Code": code, "Message": key}}, operation)
        return self.objects[key]
