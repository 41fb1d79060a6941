"""The short way to the tests' S3 server tells and does what the whole one does."""

import inspect
import io

import pytest
from botocore.exceptions import ClientError
from moto.core.models import botocore_stubber
from moto.s3.models import S3Backend

KEYS = ("a/größe=1 b.bin", "a/b/two", "a/b/three", "c", "empty")
WRONG_KEYS = ("a/../c", "//a", "x" * 1100)


@pytest.fixture
def filled(bucket):
    """Objects of several folders, one of them empty."""
    for key in KEYS:
        bucket.put(key, b"" if key == "empty" else key.encode() * 3, content_type="text/plain")
    return bucket


def asked(store, operation, **more):
    """What a client answers, without what only HTTP has: headers, and the stream around a body."""
    try:
        answer = getattr(store._client, operation)(Bucket=store.bucket, **more)
    except ClientError as error:
        return error.response["Error"]["Code"]
    if "Body" in answer:
        answer["Body"] = answer["Body"].read()
    return {name: answer.get(name) for name in ("Body", "ContentLength", "ContentType", "ETag", "LastModified", "KeyCount")} | {
        "Contents": [{name: one[name] for name in ("Key", "Size", "ETag", "LastModified")} for one in answer.get("Contents", [])],
        "CommonPrefixes": [one["Prefix"] for one in answer.get("CommonPrefixes", [])],
        "Versions": [
            {name: one[name] for name in ("Key", "Size", "ETag", "LastModified", "VersionId", "IsLatest")}
            for one in answer.get("Versions", [])
        ],
    }


QUESTIONS = [
    *[("get_object", {"Key": key}) for key in (*KEYS, *WRONG_KEYS, "missing")],
    *[("head_object", {"Key": key}) for key in (*KEYS, *WRONG_KEYS, "missing")],
    *[("get_object", {"Key": key, "Range": "bytes=0-6"}) for key in (*KEYS, "missing")],
    ("get_object", {"Key": "c", "Range": "bytes=1-2"}),
    *[("list_objects_v2", {"Prefix": prefix}) for prefix in ("", "a/", "a/b", "nothing/")],
    *[("list_objects_v2", {"Prefix": prefix, "Delimiter": "/"}) for prefix in ("", "a/", "a/b/", "nothing/")],
    *[("list_object_versions", {"Prefix": prefix}) for prefix in ("", "a/", "a/b", "nothing/")],
    *[("list_objects_v2", {"Prefix": "a/", "StartAfter": after}) for after in ("a/b", "a/b/three", "a/b/two", "b")],
    ("list_objects_v2", {"Prefix": "a/", "Delimiter": "/", "StartAfter": "a/b"}),
]


@pytest.mark.parametrize(("operation", "more"), QUESTIONS)
def test_both_ways_answer_the_same(filled, monkeypatch, operation, more):
    """Contents, sizes, types, times, folders and error codes."""
    short = asked(filled, operation, **more)
    monkeypatch.setattr(botocore_stubber, "enabled", False)
    assert short == asked(filled, operation, **more)


@pytest.mark.parametrize("source", [*KEYS, "missing"])
def test_both_ways_copy_the_same(filled, monkeypatch, source):
    """Contents and type go along; what is not there is told."""
    copied = {}
    for way in ("short", "whole"):
        monkeypatch.setattr(botocore_stubber, "enabled", way == "short")
        told = asked(filled, "copy_object", Key=f"copy/{way}", CopySource={"Bucket": filled.bucket, "Key": source})
        found = asked(filled, "get_object", Key=f"copy/{way}")
        copied[way] = isinstance(told, str) and told, found if isinstance(found, str) else found | {"LastModified": None}
    assert copied["short"] == copied["whole"]
    assert isinstance(copied["short"][1], str) == (source == "missing")


@pytest.mark.parametrize("key", [*KEYS, "new", *WRONG_KEYS])
def test_both_ways_write_and_remove_the_same(filled, monkeypatch, key):
    """What is written by one way is read and removed by the other, and what is refused by one is refused by the other."""
    body = {"Key": key, "ContentType": "application/json"}
    written = [asked(filled, "put_object", Body=io.BytesIO(b"{}"), **body), asked(filled, "get_object", Key=key)]
    with monkeypatch.context() as whole:
        whole.setattr(botocore_stubber, "enabled", False)
        assert written[0] == asked(filled, "put_object", Body=b"{}", **body)
        told = asked(filled, "get_object", Key=key)
        assert {**written[1], "LastModified": None} == {**told, "LastModified": None}
        asked(filled, "delete_object", Key=key)
    assert asked(filled, "get_object", Key=key) == "NoSuchKey"
    asked(filled, "put_object", Body=b"{}", **body)
    asked(filled, "delete_object", Key=key)
    asked(filled, "delete_object", Key=key)
    monkeypatch.setattr(botocore_stubber, "enabled", False)
    assert asked(filled, "get_object", Key=key) == "NoSuchKey"


def test_the_short_way_sends_nothing(filled, monkeypatch):
    """Plain requests never become HTTP; a bucket that is not there is told by the server itself."""
    sent = []
    filled._client.meta.events.register("before-send.s3", lambda request, **_: sent.append(request.method), unique_id="watch")
    try:
        for operation, more in QUESTIONS[: len(KEYS)]:
            asked(filled, operation, **more)
        assert sent == []
        with pytest.raises(ClientError, match="NoSuchBucket"):
            filled._client.get_object(Bucket="nowhere", Key="a")
        assert sent == ["GET"]
    finally:
        filled._client.meta.events.unregister("before-send.s3", unique_id="watch")


@pytest.mark.parametrize("more", [{}, {"Prefix": "a/"}, {"Prefix": "a/", "Delimiter": "/"}, {"Prefix": "nothing/"}])
def test_versions_are_listed_as_moto_does(filled, monkeypatch, more):
    """Of a bucket that keeps them: all of a prefix, with marks of what was deleted, a page or several."""
    client = filled._client
    client.put_bucket_versioning(Bucket=filled.bucket, VersioningConfiguration={"Status": "Enabled"})
    filled.replace("a/b/two", b"2")
    filled.replace("c", b"3")
    filled.delete("a/b/three")

    def listed():
        found, next_one = [], {}
        while True:
            page = client.list_object_versions(Bucket=filled.bucket, MaxKeys=2, **more, **next_one)
            found += [(kind, page.get(kind)) for kind in ("Versions", "DeleteMarkers", "CommonPrefixes")]
            if not page["IsTruncated"]:
                return found
            next_one = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page.get("NextVersionIdMarker", "")}

    ours = listed()
    monkeypatch.setattr(S3Backend, "list_object_versions", inspect.getclosurevars(S3Backend.list_object_versions).nonlocals["whole"])
    assert ours == listed()
