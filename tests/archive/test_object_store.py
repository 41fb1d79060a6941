"""The bucket's one door, against a server of the real S3 protocol, over HTTP."""

import hashlib
import logging
import multiprocessing
import traceback
from itertools import zip_longest

import pytest

from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import MissingObjectError, StoreError

pytestmark = pytest.mark.usefixtures("over_http")


def test_put_get_copy_list_delete(bucket):
    """What is written is read back, copied, listed in order, and gone when removed."""
    bucket.put_many([("a/2", b"two", "text/plain"), ("a/1", b"one", "text/plain"), ("b/x/3", b"three", "text/plain")])
    bucket.copy("a/1", "b/y/1")
    assert bucket.list_keys("") == ["a/1", "a/2", "b/x/3", "b/y/1"]
    assert bucket.list_folders("b/") == ["x", "y"]
    assert list(bucket.get_many(["b/y/1", "a/2"])) == [b"one", b"two"]
    assert bucket.sha256(["a/1", "a/2"]) == hashlib.sha256(b"onetwo").hexdigest()
    bucket.delete_many(["a/1", "a/2", "never/there"])
    assert bucket.list_keys("a/") == []


@pytest.mark.parametrize(
    "name", ["a\x01.csv", "a\x0b.csv", "a\r.csv", "a\ufffe.csv", "a&<b>]]>.csv", "a+ %20.csv", " ä\u0308 .csv", "a\x85.csv"]
)
def test_any_key_is_removed_with_others(bucket, name):
    """A list of keys goes as XML, which cannot hold every character that a file's name may have; none other of the list suffers."""
    listed = ["a/0", f"a/{name}", "a/z"]
    bucket.put_many((key, b"x", "text/plain") for key in listed)
    bucket.delete_many(listed)
    assert bucket.list_keys("a/") == []


def test_an_open_file_is_written_from_its_start(bucket, tmp_path):
    """What is too large for memory is sent from the disk, and reads back whole."""
    (tmp_path / "file").write_bytes(b"rows" * 1_000_000)
    with (tmp_path / "file").open("rb") as file:
        bucket.put("file", file)
    assert bucket.sha256(["file"]) == hashlib.sha256(b"rows" * 1_000_000).hexdigest()


def test_listing_goes_beyond_one_page(bucket, monkeypatch):
    """More keys than the server puts on a page are all listed."""
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "40")
    names = [f"many/{number:03d}" for number in range(105)]
    bucket.put_many((name, b"", "text/plain") for name in names)
    assert bucket.list_keys("many/") == names


def test_missing_object_is_told_apart_from_a_broken_store(bucket):
    """A key that is not there is one error, a server that is not there another that is worth a retry."""
    with pytest.raises(MissingObjectError, match="nothing/here"):
        bucket.get("nothing/here")
    assert bucket.info("nothing/here") is None


def test_unreachable_store_is_worth_a_retry(monkeypatch):
    """Without a server the error says what was tried."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with pytest.raises(StoreError, match="could not read some/key"):
        ObjectStore.connect("bucket").get("some/key")


def test_credentials_are_those_of_the_moment(bucket, monkeypatch):
    """A process whose keys change, as the tests' own does, signs with the new ones; nothing is kept from an earlier connection."""
    signed = []
    for secret in ("first", "second"):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", secret)
        store = ObjectStore.connect(bucket.bucket)
        store._client.meta.events.register("before-send.s3", lambda request, **_: signed.append(request.headers["Authorization"]))
        store.exists("nothing")
    assert [secret.encode() in line for secret, line in zip(("first", "second"), signed, strict=True)] == [True, True]


def test_a_process_keeps_its_client(bucket):
    """Every connection to the same bucket is the same client, however often one is opened; a child process makes its own."""
    again = ObjectStore.connect(bucket.bucket)
    assert again._client is bucket._client
    assert {again, bucket} == {bucket}
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=lambda: theirs.send(ObjectStore.connect(bucket.bucket)._client is bucket._client))
    child.start()
    assert ours.recv() is False
    child.join()


def test_readers_at_once_fit_the_connection_pool(bucket, caplog):
    """Two readers side by side, eight requests each, throw no connection away."""
    bucket.put_many((f"many/{number:03d}", bytes(1000), "text/plain") for number in range(60))
    keys = bucket.list_keys("many/")
    with caplog.at_level(logging.WARNING, logger="urllib3.connectionpool"):
        assert all(one == other for one, other in zip_longest(bucket.get_many(keys), bucket.get_many(keys)))
    assert [record.message for record in caplog.records if "pool is full" in record.message] == []


@pytest.mark.parametrize("key", ["inbox/Mustermann/e.csv", f"raw/{'0' * 64}/Mustermann.csv", f"quarantine/{'0' * 64}/Mustermann.csv"])
def test_no_error_has_the_name_of_a_dropped_file(bucket, monkeypatch, key):
    """What a task's log tells of a store that fails, or of an object that is gone, has the beginning of the key only."""
    from botocore.exceptions import EndpointConnectionError

    def errors():
        with pytest.raises(MissingObjectError) as gone:
            bucket.get(key)
        yield gone

        def fails(name, given):
            raise EndpointConnectionError(endpoint_url=f"http://127.0.0.1/{given['Key']}")

        monkeypatch.setattr(bucket._client, "_make_api_call", fails)
        with pytest.raises(StoreError) as away:
            bucket.get(key)
        yield away

    for error in errors():
        assert "Mustermann" not in "".join(traceback.format_exception(error.value))
        assert key.split("/")[0] in str(error.value)
