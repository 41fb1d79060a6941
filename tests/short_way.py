"""Here: what the process of the tests asks of their S3 server, answered out of the server's memory. Not here: the server (``conftest``).

Of a request to moto nine parts in ten are its way: it is signed, written as HTTP, matched with the addresses of all services, answered in
XML and read again. The six operations of which nearly all requests are go to moto's buckets directly, where what they ask is plain.
Everything else takes the whole way, and so does all that other processes ask; both see the same buckets.
"""

import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import ClientError
from botocore.response import StreamingBody

A_PAGE = 1000
"""Keys in one page of a listing; longer ones take the whole way."""
_MOST_BYTES = 900
"""Longer keys take the whole way: S3 refuses some of them."""


class _OtherWayError(Exception):
    """A request that is not plain."""


def patched(address: str, turn: AbstractContextManager[Any]) -> Callable[..., Any]:
    """Return what stands in for ``BaseClient._make_api_call``; a client of another address is none of its business.

    Parameters
    ----------
    address : of the server
    turn : is held while its memory is looked at or changed
    """
    from moto.core.models import botocore_stubber

    whole = BaseClient._make_api_call

    def make_api_call(client: BaseClient, operation: str, asked: dict[str, Any]) -> Any:
        answer = _ANSWERS.get(operation)
        if answer and botocore_stubber.enabled and client.meta.endpoint_url == address and client._request_signer._credentials:
            try:
                with turn:
                    return answer(_bucket(asked), **asked) | {"ResponseMetadata": {"HTTPStatusCode": HTTPStatus.OK}}
            except _OtherWayError:
                pass
        return whole(client, operation, asked)

    return make_api_call


def of_prefix(whole: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands in for moto's listing of versions: that one copies every object of the bucket, whatever it is asked for."""

    def list_object_versions(backend: Any, bucket_name: str, *, prefix: str = "", **more: Any) -> Any:
        every = backend.get_bucket(bucket_name).keys
        wanted = type(every)()
        for key, versions in every.iterlists():
            if key.startswith(prefix):
                wanted.setlist(key, versions)
        part = SimpleNamespace(get_bucket=lambda _name: SimpleNamespace(keys=wanted))
        return whole(part, bucket_name, prefix=prefix, **more)

    return list_object_versions


def server() -> Any:
    """Return the server's memory: moto's backend of S3."""
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends

    return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]


def _bucket(asked: dict[str, Any]) -> Any:
    bucket = server().buckets.get(asked["Bucket"])
    key = asked.get("Key", "key")
    if bucket is None or bucket.is_versioned or len(key.encode()) > _MOST_BYTES or {"", ".", ".."} & set(key.split("/")):
        raise _OtherWayError
    return bucket


def _get(bucket: Any, *, Bucket: str, Key: str, Range: str = "") -> dict[str, Any]:  # noqa: N803 - boto3's names
    found = _found(bucket, Key, operation="GetObject", code="NoSuchKey")
    data = found.value
    if Range:
        first, _, last = Range.removeprefix("bytes=").partition("-")
        if first != "0" or not last.isdecimal() or not data:
            raise _OtherWayError
        data = data[: int(last) + 1]
    return {**_told(found), "ContentLength": len(data), "Body": StreamingBody(io.BytesIO(data), len(data))}


def _head(bucket: Any, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 - as above
    found = _found(bucket, Key, operation="HeadObject", code="404")
    return {**_told(found), "ContentLength": found.size}


def _put(bucket: Any, *, Bucket: str, Key: str, Body: Any, ContentType: str, IfNoneMatch: str = "") -> dict[str, Any]:  # noqa: N803 - as above
    if IfNoneMatch and Key in bucket.keys:
        raise _OtherWayError
    data = Body if isinstance(Body, bytes) else Body.read()
    written = server().put_object(Bucket, Key, data, storage="STANDARD")
    written.set_metadata({"Content-Type": ContentType})
    return {"ETag": written.etag}


def _copy(bucket: Any, *, Bucket: str, Key: str, CopySource: dict[str, str], CopySourceIfMatch: str = "") -> dict[str, Any]:  # noqa: N803 - as above
    source = CopySource["Key"]
    if CopySource["Bucket"] != Bucket or source == Key or source not in bucket.keys:
        raise _OtherWayError
    if CopySourceIfMatch and CopySourceIfMatch != bucket.keys[source].etag:  # which moto doesn't look at
        raise ClientError({"Error": {"Code": "PreconditionFailed", "Message": "the source is another one"}}, "CopyObject")
    server().copy_object(bucket.keys[source], Bucket, Key, storage="STANDARD")
    return {}


def _delete(bucket: Any, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 - as above
    server().delete_object(Bucket, Key)
    return {}


def _list(bucket: Any, *, Bucket: str, Prefix: str, Delimiter: str = "", StartAfter: str = "") -> dict[str, Any]:  # noqa: N803 - as above
    found, folders, _, _ = server().list_objects(bucket, Prefix, Delimiter, None, None)
    found = [one for one in found if one.name > StartAfter]
    if (StartAfter and folders) or len(found) + len(folders) > A_PAGE:
        raise _OtherWayError
    page: dict[str, Any] = {"IsTruncated": False, "KeyCount": len(found) + len(folders)}
    if found:
        page["Contents"] = [{"Key": one.name, "LastModified": _modified(one), "ETag": one.etag, "Size": one.size} for one in found]
    if folders:
        page["CommonPrefixes"] = [{"Prefix": folder} for folder in folders]
    return page


def _list_versions(bucket: Any, *, Bucket: str, Prefix: str = "") -> dict[str, Any]:  # noqa: N803 - as above
    """Of a bucket that keeps no versions: each object is its only one."""
    page = _list(bucket, Bucket=Bucket, Prefix=Prefix)
    versions = [one | {"VersionId": "null", "IsLatest": True} for one in page.get("Contents", [])]
    return {"IsTruncated": False} | ({"Versions": versions} if versions else {})


_ANSWERS: dict[str, Callable[..., dict[str, Any]]] = {
    "GetObject": _get,
    "HeadObject": _head,
    "PutObject": _put,
    "CopyObject": _copy,
    "DeleteObject": _delete,
    "ListObjectsV2": _list,
    "ListObjectVersions": _list_versions,
}


def _found(bucket: Any, key: str, *, operation: str, code: str) -> Any:
    if key not in bucket.keys:
        raise ClientError({"Error": {"Code": code, "Message": "it is not there"}}, operation)
    return bucket.keys[key]


def _told(found: Any) -> dict[str, Any]:
    return {"ETag": found.etag, "LastModified": _modified(found), "ContentType": found.metadata["Content-Type"]}


def _modified(found: Any) -> datetime:
    """To the second, as moto tells it over HTTP."""
    return found.last_modified.replace(microsecond=0, tzinfo=UTC)
