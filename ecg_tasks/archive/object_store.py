"""Here: one bucket of any S3 server, with this project's errors; what is written once is not written over.

Not here: names of keys, and which are written once (``keys``), contents (``tables``).
"""

import base64
import hashlib
import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache, partial
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, Self, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ecg_tasks.archive import keys
from ecg_tasks.archive.parallel import AT_ONCE, bounded_parallel_map
from ecg_tasks.errors import MissingObjectError, StoreConflictError, StoreError

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, CopySourceTypeDef

logging.getLogger("botocore").setLevel(logging.WARNING)  # it tells at every connection where the credentials were found

SET_ASIDE_BUCKET = "set-aside."
"""Before our bucket's name: what our own store keeps of it (``deploy.embedded.swift_kept``), for who forgets."""
_MISSING = {"404", "NoSuchKey", "NotFound"}
_CONDITION_FAILED = {"PreconditionFailed", "412"}
_TOO_LARGE_TO_COPY = {"InvalidRequest", "EntityTooLarge"}
_CONNECTIONS = 8 * AT_ONCE
"""Kept open at most: pages and tasks read by several threads at once, and a connection beyond this is closed after its one request."""


_DELETED_AT_ONCE = 100
"""S3 takes ten times as many keys in one request, but a busy server may not be through with them before the client gives up."""
_IN_XML = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
"""Keys that a list can hold. Any other one, such as that of a dropped file with a control character in its name, is deleted by itself."""
_BELOW_NAMES = re.compile(r"((?:^|(?<= ))(?:inbox/|raw/[^/]+/|quarantine/[^/]+/)).+", re.DOTALL)
"""A key that may end with the name of a dropped file, which no message tells."""
_forgets: ContextVar[bool] = ContextVar("forgets", default=False)
_SPOOLED_BYTES = 8 * 1024 * 1024
_PUT_AT_ONCE_BYTES = 4 * 1024**3
"""A longer file goes in parts: no server takes more than 5 GB in one request, and a report of seven million rows is as long as CSV."""
_PART_BYTES = 8 * 1024 * 1024
_MOST_PARTS = 1000
"""Our own store takes no more; parts of a file that has more of them are longer."""


class _Spooled(tempfile.SpooledTemporaryFile[bytes]):
    """Closes itself."""

    def __del__(self) -> None:
        self.close()


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectInfo:
    """What a listing says of one object."""

    key: str
    size: int
    etag: str
    modified: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Earlier:
    """What a store keeps of an object that was written over or deleted: how it is read, and how it goes."""

    key: str
    read: Callable[[], bytes]
    delete: Callable[[], None]


class ObjectStore:
    """One bucket. Every method raises `StoreError` when the server cannot be reached or fails."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self.bucket = bucket

    @classmethod
    def connect(cls, bucket: str) -> Self:
        """Connect with the standard AWS variables; nothing is sent yet.

        A process keeps its client as long as these variables stay the same: making one takes some 50 ms of processor time.
        """
        steering = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))
        return cls(_client(os.getpid(), steering), bucket)

    def __eq__(self, other: object) -> bool:
        """Tell whether both are the same bucket by the same client, so that what was read through one is known to the other."""
        return isinstance(other, ObjectStore) and (self._client, self.bucket) == (other._client, other.bucket)

    def __hash__(self) -> int:
        """Return a number that is equal for equal stores."""
        return hash((id(self._client), self.bucket))

    def get(self, key: str, *, etag: str = "") -> bytes:
        """Return the whole content of an object; `MissingObjectError` if it is not there, or has another ``etag`` than is given."""
        with _errors(f"read {key}"):
            return self._body(key, etag=etag).read()

    def get_many(self, keys: Iterable[str]) -> Iterator[bytes]:
        """Return contents in the order of ``keys``, a few requests at a time, no further ahead than the taker."""
        return bounded_parallel_map(self.get, keys)

    def heads(self, keys: Iterable[str], *, n_bytes: int) -> Iterator[bytes | None]:
        """Return the first bytes of objects in the order of ``keys``, a few requests at a time; None where one is not there."""
        return bounded_parallel_map(lambda key: self._head(key, n_bytes), keys)

    def _head(self, key: str, n_bytes: int) -> bytes | None:
        try:
            with _errors(f"read {key}"):
                return self._client.get_object(Bucket=self.bucket, Key=key, Range=f"bytes=0-{n_bytes - 1}")["Body"].read()
        except MissingObjectError:
            return None

    def sha256(self, keys: Iterable[str]) -> str:
        """Return the SHA-256 of the contents of objects, one after another, without holding them in memory."""
        digest = hashlib.sha256()
        for key in keys:
            with _errors(f"read {key}"):
                for chunk in self._client.get_object(Bucket=self.bucket, Key=key)["Body"].iter_chunks(1024 * 1024):
                    digest.update(chunk)
        return digest.hexdigest()

    def stream(self, key: str, *, at: int = 0, end: int | None = None, etag: str = "") -> Iterator[bytes]:
        """Return the content of an object piece by piece, never all of it; `MissingObjectError` at the call if it is not there.

        ``at`` and ``end`` (the byte behind the last one) ask for a part. One that has another ``etag`` than is given is not there any more.
        """
        part: dict[str, Any] = {} if end is None and not at else {"Range": f"bytes={at}-{'' if end is None else end - 1}"}
        with _errors(f"read {key}"):
            body = self._body(key, etag=etag, **part)

        def pieces() -> Iterator[bytes]:
            with _errors(f"read {key}"):
                yield from body.iter_chunks(1024 * 1024)

        return pieces()

    def _body(self, key: str, *, etag: str, **part: Any) -> "StreamingBody":
        answer = self._client.get_object(Bucket=self.bucket, Key=key, **part)
        if etag and answer["ETag"].strip('"') != etag:
            answer["Body"].close()
            raise _replaced(key)
        return answer["Body"]

    def spool(self, key: str, *, etag: str = "") -> BinaryIO:
        """Return an object's content as an open file: in memory where it is small, else on the disk; it goes when it is used no more."""
        file = _Spooled(max_size=_SPOOLED_BYTES)
        for piece in self.stream(key, etag=etag):
            file.write(piece)
        file.seek(0)
        return cast("BinaryIO", file)

    def put(self, key: str, data: bytes | BinaryIO, *, content_type: str = "application/octet-stream") -> None:
        """Write an object whole: a reader sees all of it or nothing. An open file is sent from its start, piece by piece.

        What is written once (`keys.written_once`) is written only where nothing is; the same bytes again are no error.

        Raises
        ------
        StoreConflictError
            If other bytes stand under a key that is written once. They stay.
        """
        if _forgets.get() or not keys.written_once(key):
            self.replace(key, data, content_type=content_type)
            return
        with _errors(f"write {key}"):
            if not self._write(key, data, content_type=content_type, once=True) and not self._holds(key, data):
                raise _conflict(key)

    def put_new(self, key: str, data: bytes | BinaryIO, *, content_type: str = "application/octet-stream") -> bool:
        """Write an object where nothing is; returns whether it did. Also of what it wrote itself, with a late answer, it may say no."""
        with _errors(f"write {key}"):
            return self._write(key, data, content_type=content_type, once=True)

    def replace(self, key: str, data: bytes | BinaryIO, *, content_type: str = "application/octet-stream") -> None:
        """Write an object whole, whatever stood there: for what is written once only within `forgetting`, or where it is not whole yet."""
        with _errors(f"write {key}"):
            self._write(key, data, content_type=content_type, once=False)
        self._forget_versions([key])

    def _write(self, key: str, data: bytes | BinaryIO, *, content_type: str, once: bool) -> bool:
        """Write an object, ``once``: only where nothing is; returns whether it was written."""
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if once else {}
        try:
            if not isinstance(data, bytes) and (size := data.seek(0, os.SEEK_END)) > _PUT_AT_ONCE_BYTES:
                self._put_in_parts(key, data, size, content_type=content_type, condition=condition)
            else:
                if not isinstance(data, bytes):
                    data.seek(0)
                self._client.put_object(Bucket=self.bucket, Key=key, Body=data, ContentType=content_type, **condition)
        except ClientError as error:
            if not once or error.response.get("Error", {}).get("Code") not in _CONDITION_FAILED:
                raise
            return False
        return True

    def _put_in_parts(self, key: str, file: BinaryIO, size: int, *, content_type: str, condition: Mapping[str, Any]) -> None:
        """Write a long file; nothing is to be seen of it until all of it is there. Memory holds one part."""
        upload = self._client.create_multipart_upload(Bucket=self.bucket, Key=key, ContentType=content_type)["UploadId"]
        parts: list[CompletedPartTypeDef] = []
        try:
            file.seek(0)
            n_bytes = _part_bytes(size)
            for number in range(1, -(-size // n_bytes) + 1):
                answer = self._client.upload_part(Bucket=self.bucket, Key=key, UploadId=upload, PartNumber=number, Body=file.read(n_bytes))
                parts.append({"PartNumber": number, "ETag": answer["ETag"]})
            self._client.complete_multipart_upload(
                Bucket=self.bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **condition
            )
        except BaseException:
            self._client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload)
            raise

    def _holds(self, key: str, data: bytes | BinaryIO) -> bool:
        """Return whether an object has these bytes; read only where its length is the same and its ETag, as with a cipher, is no MD5."""
        found = self._client.head_object(Bucket=self.bucket, Key=key)
        size, md5, sha256 = _digests(data)
        if found["ContentLength"] != size:
            return False
        return found["ETag"].strip('"') == md5 or self.sha256([key]) == sha256

    def put_many(self, objects: Iterable[tuple[str, bytes, str]]) -> int:
        """Write ``(key, data, content type)`` triples, a few requests at a time; returns how many."""
        put = bounded_parallel_map(lambda item: self.put(item[0], item[1], content_type=item[2]), objects)
        return sum(1 for _ in put)

    def info(self, key: str) -> ObjectInfo | None:
        """Return what the server says of one object, or None if it is not there."""
        try:
            with _errors(f"look at {key}"):
                head = self._client.head_object(Bucket=self.bucket, Key=key)
        except MissingObjectError:
            return None
        return ObjectInfo(key=key, size=head["ContentLength"], etag=head["ETag"].strip('"'), modified=head["LastModified"])

    def exists(self, key: str) -> bool:
        """Return whether there is an object of this key."""
        return self.info(key) is not None

    def list_objects(self, prefix: str, *, after: str = "") -> Iterator[ObjectInfo]:
        """Yield every object below a prefix, in key order; with ``after`` only those whose keys come after it."""
        start: dict[str, Any] = {"StartAfter": after} if after else {}
        with _errors(f"list {prefix}"):
            for page in self._pages("list_objects_v2", Prefix=prefix, **start):
                for item in page.get("Contents", []):
                    yield ObjectInfo(key=item["Key"], size=item["Size"], etag=item["ETag"].strip('"'), modified=item["LastModified"])

    def list_keys(self, prefix: str) -> list[str]:
        """Return every key below a prefix, in order."""
        return [item.key for item in self.list_objects(prefix)]

    def list_folders(self, prefix: str) -> list[str]:
        """Return the names of the folders directly below a prefix that ends with ``/``."""
        with _errors(f"list {prefix}"):
            pages = self._pages("list_objects_v2", Prefix=prefix, Delimiter="/")
            return [found["Prefix"][len(prefix) :].rstrip("/") for page in pages for found in page.get("CommonPrefixes", [])]

    def copy(self, source: str, target: str, *, anew: bool = False, etag: str = "") -> None:
        """Copy inside the bucket, by the server; what is over 5 GB, which no server copies at once, in parts.

        ``anew``: whatever stands there, as `replace` does. A source that has another ``etag`` than is given is not there any more.

        Raises
        ------
        StoreConflictError
            If other bytes stand under a target that is written once. They stay.
        """
        if not anew and not _forgets.get() and keys.written_once(target) and (there := self.info(target)) is not None:
            if not self._alike(source, there, etag=etag):
                raise _conflict(target)
            return
        condition: dict[str, Any] = {"CopySourceIfMatch": f'"{etag}"'} if etag else {}
        with _errors(f"copy {source}"):
            try:
                self._copy({"Bucket": self.bucket, "Key": source}, target, condition)
            except ClientError as error:
                if etag and error.response.get("Error", {}).get("Code") in _CONDITION_FAILED:
                    raise _replaced(source) from None
                raise

    def _copy(self, source: "CopySourceTypeDef", target: str, condition: dict[str, Any]) -> None:
        try:
            self._client.copy_object(Bucket=self.bucket, Key=target, CopySource=source, **condition)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in _TOO_LARGE_TO_COPY:
                raise
            from boto3.s3.transfer import TransferConfig  # hardly ever needed

            size = self._client.head_object(Bucket=self.bucket, Key=source["Key"])["ContentLength"]
            by_parts = TransferConfig(multipart_chunksize=_part_bytes(size))
            self._client.copy(source, self.bucket, target, ExtraArgs=condition, Config=by_parts)

    def _alike(self, source: str, other: ObjectInfo, *, etag: str) -> bool:
        """Return whether two objects have the same bytes; read only where their lengths are the same and their ETags are not."""
        found = self.info(source)
        if found is None:
            raise MissingObjectError(_told(f"could not copy {source}: it is not there"))
        if etag and found.etag != etag:
            raise _replaced(source)
        return found.size == other.size and (found.etag == other.etag or self.sha256([source]) == self.sha256([other.key]))

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""
        with _errors(f"delete {key}"):
            self._client.delete_object(Bucket=self.bucket, Key=key)
        self._forget_versions([key])

    def delete_many(self, keys: Iterable[str]) -> None:
        """Remove objects, a hundred a request, in their order as far as the server keeps it; one that is not there is no error."""
        left = iter(keys)
        while listed := list(islice(left, _DELETED_AT_ONCE)):
            self._delete_listed(listed)
            self._forget_versions(listed)

    def _pages(self, operation: str, **asked: Any) -> Iterable[Any]:
        """Return the pages of a listing of this bucket."""
        pages: Iterable[Any] = _paginator(self._client, operation).paginate(Bucket=self.bucket, **asked)
        return pages

    def _forget_versions(self, listed: Iterable[str]) -> None:
        """Within `forgetting` remove what a bucket elsewhere keeps beside an object's present content; our own store does so itself."""
        if not _forgets.get() or _erase_key():
            return
        for key in listed:
            with _errors(f"delete {key}"):
                for page in self._pages("list_object_versions", Prefix=key):
                    for one in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                        is_present = one["IsLatest"] and "ETag" in one
                        if one["Key"] == key and not is_present:
                            self._client.delete_object(Bucket=self.bucket, Key=key, VersionId=one["VersionId"])

    def earlier(self) -> list[Earlier]:
        """Return all that is kept of objects that were written over or deleted before, whatever their keys; within `forgetting` only.

        Our own store sets copies aside, a bucket elsewhere may keep versions; of a mark that an object was deleted the content is empty.
        """
        return self._set_aside() if _erase_key() else self._versions()

    def _set_aside(self) -> list[Earlier]:
        copies = ObjectStore(self._client, f"{SET_ASIDE_BUCKET}{self.bucket}")
        try:
            with _errors("look at what is set aside"):
                self._client.head_bucket(Bucket=copies.bucket)
        except MissingObjectError:  # nothing ever was
            return []
        listed = copies.list_keys("")
        return [Earlier(key=one.rpartition("/")[0], read=partial(copies.get, one), delete=partial(copies.delete, one)) for one in listed]

    def _versions(self) -> list[Earlier]:
        if not self.versioning():
            return []
        found: list[Earlier] = []
        marks: list[Earlier] = []  # go after what they hide
        with _errors("list versions"):
            for page in self._pages("list_object_versions"):
                found += [self._version(one["Key"], one["VersionId"]) for one in page.get("Versions", []) if not one["IsLatest"]]
                marks += [replace(self._version(one["Key"], one["VersionId"]), read=bytes) for one in page.get("DeleteMarkers", [])]
        return found + marks

    def _version(self, key: str, version: str) -> Earlier:
        def read() -> bytes:
            with _errors(f"read {key}"):
                return self._client.get_object(Bucket=self.bucket, Key=key, VersionId=version)["Body"].read()

        def delete() -> None:
            with _errors(f"delete {key}"):
                self._client.delete_object(Bucket=self.bucket, Key=key, VersionId=version)

        return Earlier(key=key, read=read, delete=delete)

    def _delete_listed(self, listed: Sequence[str]) -> None:
        keys = [key for key in listed if _IN_XML.fullmatch(key)]
        for key in set(listed).difference(keys):
            self.delete(key)
        if not keys:
            return
        with _errors(f"delete {keys[0]}"):
            answer = self._client.delete_objects(Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True})
        if failed := answer.get("Errors"):
            raise StoreError(f"could not delete {_told(failed[0].get('Key', ''))}: {failed[0].get('Message')}")

    def versioning(self) -> str | None:
        """Return ``Enabled``, ``Suspended``, empty where it was never on, or None where the server does not tell or may not be asked."""
        try:
            return str(self._client.get_bucket_versioning(Bucket=self.bucket).get("Status", ""))
        except (ClientError, BotoCoreError):
            return None

    def refuses_overwrites(self, key: str) -> bool:
        """Return whether the server refuses a conditional write over an object; tried on one of its own, which goes again."""
        self.put(key, b"first")
        try:
            self._client.put_object(Bucket=self.bucket, Key=key, Body=b"second", ContentType="text/plain", IfNoneMatch="*")
        except ClientError as error:
            return error.response.get("Error", {}).get("Code") in _CONDITION_FAILED
        except BotoCoreError:
            return False
        finally:
            self.delete(key)
        return False

    def create_bucket(self) -> None:
        """Make the bucket if it is not there."""
        try:
            with _errors(f"look at bucket {self.bucket}"):
                self._client.head_bucket(Bucket=self.bucket)
        except MissingObjectError:
            with _errors(f"create bucket {self.bucket}"):
                self._client.create_bucket(Bucket=self.bucket)


def _part_bytes(size: int) -> int:
    """Return how long the parts of an object of so many bytes are.

    >>> _part_bytes(7_627_613_946), _part_bytes(100 * 1024**3)
    (8388608, 107374183)
    """
    return max(_PART_BYTES, -(-size // _MOST_PARTS))


@lru_cache(maxsize=8)
def _client(_process: int, _steering: tuple[tuple[str, str], ...]) -> "S3Client":
    """Make the client of this process; a forked child makes its own, because two processes cannot share a connection."""
    config = Config(
        connect_timeout=5,
        read_timeout=60,
        retries={"mode": "standard", "max_attempts": 4},
        max_pool_connections=_CONNECTIONS,
        s3={"addressing_style": "path"} if os.environ.get("AWS_ENDPOINT_URL_S3") else {},
        # many S3 servers do not know the newer trailing checksums; TLS or loopback carries the bytes
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    # a session of its own: the shared one keeps the first credentials it ever saw
    client: S3Client = boto3.session.Session().client("s3", config=config)
    client.meta.events.register("before-sign.s3.DeleteObjects", _add_md5)
    client.meta.events.register("before-sign.s3", _add_erase_key)
    return client


def _add_md5(request: Any, **_: Any) -> None:
    """Add the checksum that every S3 server knows to a list of keys: many want it there, and do not know the newer ones."""
    digest = hashlib.md5(request.body, usedforsecurity=False).digest()
    request.headers["Content-MD5"] = base64.b64encode(digest).decode()


def _digests(data: bytes | BinaryIO) -> tuple[int, str, str]:
    """Return length, MD5 and SHA-256 of what was to be written."""
    md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    if isinstance(data, bytes):
        pieces: Iterable[bytes] = [data]
    else:
        data.seek(0)
        pieces = iter(lambda: data.read(1024 * 1024), b"")
    for piece in pieces:
        md5.update(piece)
        sha256.update(piece)
        size += len(piece)
    return size, md5.hexdigest(), sha256.hexdigest()


def _conflict(key: str) -> StoreConflictError:
    told = _told(key)
    return StoreConflictError(f"{told} is there with other bytes; it is written once, so nothing was changed: one of the two is wrong")


def _replaced(key: str) -> MissingObjectError:
    return MissingObjectError(f"could not read {_told(key)}: another object is there now")


def _told(text: str) -> str:
    """Return a key, or what is done to one, as a message may tell it."""
    return _BELOW_NAMES.sub(r"\1…", text)


def _erase_key() -> str:
    """Return the key by which our own store knows who may let things be forgotten (``ECG_STORE_ERASE_KEY``)."""
    return os.environ.get("ECG_STORE_ERASE_KEY", "")


def _add_erase_key(request: Any, **_: Any) -> None:
    if _forgets.get() and _erase_key():
        request.headers["X-Ecg-Erase"] = _erase_key()


@lru_cache(maxsize=16)
def _paginator(client: "S3Client", operation: str) -> Any:
    """Return what lists page by page: boto3 makes a class for each, which is never let go of."""
    return client.get_paginator(operation)  # type: ignore[call-overload]


@contextmanager
def forgetting() -> Iterator[None]:
    """Let what is written once be written over, and nothing be kept of what is written over or deleted: no copy, no version.

    For what must be forgotten, and nothing else. Our own store removes the copies of before, too, if it knows the key
    (``ECG_STORE_ERASE_KEY``); of a bucket elsewhere the versions of each object are listed and deleted, some requests more each.
    """
    before = _forgets.set(True)
    try:
        yield
    finally:
        _forgets.reset(before)


@contextmanager
def _errors(action: str) -> Iterator[None]:
    """Raise what went wrong as an error of ours; of a key that may name a person the log has no more than the beginning."""
    told = _told(action)
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _MISSING:
            raise MissingObjectError(f"could not {told}: it is not there") from (error if told == action else None)
        raise StoreError(f"could not {told}: {error if told == action else code}") from (error if told == action else None)
    except BotoCoreError as error:
        if told == action:
            raise StoreError(f"could not {told}: {error}") from error
        raise StoreError(f"could not {told}: {type(error).__name__}") from None  # its text has the address
