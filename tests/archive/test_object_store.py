"""The bucket's one door, against a server of the real S3 protocol, over HTTP."""

import hashlib
import io
import logging
import multiprocessing
import traceback
import tracemalloc
from itertools import zip_longest

import numpy as np
import pytest
from botocore.exceptions import ClientError

from ecg_tasks.actions.bucket_check import lacks
from ecg_tasks.archive import keys, object_store, registry
from ecg_tasks.archive.object_store import ObjectStore, forgetting
from ecg_tasks.errors import MissingObjectError, StoreConflictError, StoreError

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


@pytest.mark.parametrize("folder", keys.ONCE)
def test_what_is_written_once_is_not_written_over(bucket, folder):
    """The same bytes again are no error; others are refused with the key, whether written or copied, and what stands there stays."""
    key = f"{folder}a/b/c.parquet"
    for data in (b"one", b"one"):
        bucket.put(key, data)
    bucket.put("staging/same", b"one")
    bucket.put("staging/other", b"two")
    bucket.copy("staging/same", key)
    for write in (lambda: bucket.put(key, b"two"), lambda: bucket.put(key, b"longer"), lambda: bucket.copy("staging/other", key)):
        with pytest.raises(StoreConflictError, match=rf"{folder}.* with other bytes"):
            write()
    assert bucket.get(key) == b"one"


def test_bytes_are_read_where_their_etag_is_not_their_md5(bucket):
    """An object that came in parts has another ETag, and so has one under a cipher: the same bytes are the same all the same."""
    of = {"Bucket": bucket.bucket, "Key": "raw/0/parts"}
    upload = of | {"UploadId": bucket._client.create_multipart_upload(**of)["UploadId"]}
    etag = bucket._client.upload_part(**upload, PartNumber=1, Body=b"one")["ETag"]
    bucket._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    for key, data in (("staging/same", b"one"), ("staging/other", b"two")):
        bucket.put(key, data)
    assert bucket.info("raw/0/parts").etag != bucket.info("staging/same").etag
    bucket.put("raw/0/parts", b"one")
    bucket.copy("staging/same", "raw/0/parts")
    for write in (lambda: bucket.put("raw/0/parts", b"two"), lambda: bucket.copy("staging/other", "raw/0/parts")):
        with pytest.raises(StoreConflictError):
            write()


def test_a_long_file_is_written_in_parts(bucket, monkeypatch):
    """No server takes more than 5 GB at once. What is broken off leaves nothing, and what stood there stays."""
    monkeypatch.setattr(object_store, "_PUT_AT_ONCE_BYTES", 1000)
    monkeypatch.setattr(object_store, "_PART_BYTES", 5 * 1024 * 1024)  # no server takes less, but for the last part
    data = np.random.default_rng(1).bytes(11 * 1024 * 1024)
    file = io.BytesIO(data)
    bucket.put("reports/a.csv", file, content_type="text/csv")
    assert bucket.get("reports/a.csv") == data
    head = bucket._client.head_object(Bucket=bucket.bucket, Key="reports/a.csv")
    assert (head["ContentType"], head["ETag"].strip('"')[-2:], file.closed) == ("text/csv", "-3", False)
    bucket.put("reports/b.csv", io.BytesIO(data[:1000]))
    assert bucket.info("reports/b.csv").etag == hashlib.md5(data[:1000], usedforsecurity=False).hexdigest()

    class Broken(io.BytesIO):
        def read(self, size=-1):
            if self.tell():
                raise OSError("the disk is gone")
            return super().read(size)

    with pytest.raises((OSError, StoreError)):
        bucket.put("reports/a.csv", Broken(data[::-1]))
    assert bucket.get("reports/a.csv") == data
    assert not bucket._client.list_multipart_uploads(Bucket=bucket.bucket).get("Uploads")


def test_a_long_file_that_is_written_once_is_not_written_over(bucket, monkeypatch):
    """Where it goes in parts, too: the same again is no error, another is refused, and no part of either is left behind."""
    monkeypatch.setattr(object_store, "_PUT_AT_ONCE_BYTES", 1000)
    monkeypatch.setattr(object_store, "_PART_BYTES", 5 * 1024 * 1024)
    data = np.random.default_rng(1).bytes(6 * 1024 * 1024)
    for _ in range(2):
        bucket.put("raw/0/a.csv", io.BytesIO(data))
    assert bucket.info("raw/0/a.csv").etag.endswith("-2")
    for other in (data[::-1], data[:-1], data[:10]):
        with pytest.raises(StoreConflictError):
            bucket.put("raw/0/a.csv", io.BytesIO(other))
    assert bucket.get("raw/0/a.csv") == data
    assert not bucket._client.list_multipart_uploads(Bucket=bucket.bucket).get("Uploads")


def test_what_is_new_is_written_where_nothing_is(bucket):
    """Something that stands there stays, whatever its key."""
    assert [bucket.put_new("inbox/a.csv", data) for data in (b"one", b"one", b"two")] == [True, False, False]
    assert bucket.get("inbox/a.csv") == b"one"


class Counting:
    """As much of a client as takes an object in parts; it keeps their lengths."""

    def __init__(self):
        self.lengths = []

    def create_multipart_upload(self, **_):
        """Begin."""
        return {"UploadId": "u"}

    def upload_part(self, *, Body, **_):  # noqa: N803 - boto3's name
        """Take a part."""
        self.lengths.append(len(Body))
        return {"ETag": "e"}

    def complete_multipart_upload(self, **_):
        """End."""


@pytest.mark.parametrize(("most", "lengths"), [(1000, [2**20] * 8), (4, [2**21] * 4)])
def test_a_long_file_is_in_memory_one_part_at_a_time(tmp_path, monkeypatch, most, lengths):
    """Parts are longer where there would be too many; no part waits in memory while the next is read."""
    monkeypatch.setattr(object_store, "_PUT_AT_ONCE_BYTES", 1000)
    monkeypatch.setattr(object_store, "_PART_BYTES", 2**20)
    monkeypatch.setattr(object_store, "_MOST_PARTS", most)
    (tmp_path / "long").write_bytes(bytes(2**23))
    client = Counting()
    with (tmp_path / "long").open("rb") as file:
        tracemalloc.start()
        ObjectStore(client, "bucket").put("reports/a.csv", file)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert client.lengths == lengths
    assert peak < 1.5 * lengths[0], peak


def test_what_is_too_large_to_copy_at_once_is_copied_in_few_parts(bucket, monkeypatch):
    """A thousand of them are all that our own store takes: parts are longer where there would be more."""
    data = np.random.default_rng(2).bytes(11 * 1024 * 1024)
    bucket.put("staging/long", data)

    def too_large(**_):
        raise ClientError({"Error": {"Code": "EntityTooLarge"}}, "CopyObject")

    monkeypatch.setattr(bucket._client, "copy_object", too_large)
    for most, n_parts in ((1000, 2), (1, 1)):
        monkeypatch.setattr(object_store, "_MOST_PARTS", most)
        bucket.copy("staging/long", f"staging/{most}")
        assert bucket.get(f"staging/{most}") == data
        assert bucket.info(f"staging/{most}").etag.endswith(f"-{n_parts}")


def test_a_copy_over_the_same_bytes_writes_nothing(bucket):
    """No version more, and the moment at which it was written stays."""
    bucket._client.put_bucket_versioning(Bucket=bucket.bucket, VersioningConfiguration={"Status": "Enabled"})
    for key in ("staging/same", "raw/0/a"):
        bucket.put(key, b"one")
    bucket.copy("staging/same", "raw/0/a")
    assert len(bucket._client.list_object_versions(Bucket=bucket.bucket, Prefix="raw/")["Versions"]) == 1


def test_what_is_written_once_is_copied_over_where_that_is_said(bucket):
    """By whoever writes what was not whole yet, and to forget; afterwards no more."""
    for number, key in enumerate(("staging/0", "staging/1", "staging/2", "raw/0/a")):
        bucket.put(key, b"%d" % number)
    bucket.copy("staging/0", "raw/0/a", anew=True)
    assert bucket.get("raw/0/a") == b"0"
    with forgetting():
        bucket.copy("staging/1", "raw/0/a")
    assert bucket.get("raw/0/a") == b"1"
    with pytest.raises(StoreConflictError):
        bucket.copy("staging/2", "raw/0/a")


def test_the_key_to_forget_by_is_sent_to_forget_alone(bucket, monkeypatch):
    """Whoever sees other requests, as of a night, does not learn it."""
    monkeypatch.setenv("ECG_STORE_ERASE_KEY", "secret")
    sent = []
    events = bucket._client.meta.events
    events.register("before-send.s3", lambda request, **_: sent.append(request.headers.get("X-Ecg-Erase")), unique_id="told")
    try:
        bucket.put("raw/0/a", b"one")
        bucket.delete("raw/0/b")
        with forgetting():
            bucket.put("raw/0/a", b"two")
            bucket.delete("raw/0/a")
        bucket.get_many([])
        bucket.list_keys("raw/")
    finally:
        events.unregister("before-send.s3", unique_id="told")
    assert sent == [None, None, b"secret", b"secret", None]


def test_a_conflict_is_told_without_a_dropped_files_name(bucket):
    """Below raw/ a key may end with somebody's name."""
    bucket.put("raw/0/Mustermann.csv", b"one")
    with pytest.raises(StoreConflictError, match="raw/0/…") as told:
        bucket.put("raw/0/Mustermann.csv", b"two")
    assert "Mustermann" not in str(told.value)


def test_an_open_file_is_compared_whole(bucket, tmp_path):
    """The same file again is fine; one of the same length with another last byte is not."""
    for name, end in (("same", b"a"), ("other", b"b")):
        (tmp_path / name).write_bytes(b"rows" * 1_000_000 + end)
    for name in ("same", "same"):
        with (tmp_path / name).open("rb") as file:
            bucket.put("account_lists/a", file)
    with (tmp_path / "other").open("rb") as file, pytest.raises(StoreConflictError):
        bucket.put("account_lists/a", file)


def test_what_may_change_changes(bucket):
    """What people decide about a version stands beside its files, and is written over; so is all that is under way."""
    for key in ("models/a/champion.json", "models/a/v/verdict.json", "models/a/v/approvals/run.json", "catalog/head.json", "inbox/a"):
        bucket.put(key, b"one")
        bucket.put(key, b"two")
        assert bucket.get(key) == b"two"


def test_a_version_that_was_not_whole_is_written_again(bucket):
    """What a killed task left may be other bytes; once the checksums stand, no file of the version changes."""
    files = {"model.bin": b"new", registry.SUMS: b"sums"}
    bucket.put(keys.model_file("a", "v", "model.bin"), b"of a killed task")
    registry.write_version(bucket, "a", "v", files)
    registry.write_version(bucket, "a", "v", files)
    with pytest.raises(StoreConflictError, match=r"model\.bin"):
        registry.write_version(bucket, "a", "v", files | {"model.bin": b"other"})
    assert bucket.get(keys.model_file("a", "v", "model.bin")) == b"new"


def test_forgetting_takes_every_version(bucket):
    """Where a bucket elsewhere keeps versions, none is left of what is forgotten but the present one, and all of what is deleted."""
    bucket._client.put_bucket_versioning(Bucket=bucket.bucket, VersioningConfiguration={"Status": "Enabled"})
    for key in ("raw/0/a", "raw/0/ab", "raw/0/abc"):
        bucket.put(key, b"one")
        bucket.replace(key, b"two")
    with forgetting():
        bucket.delete_many(["raw/0/a"])
        bucket.put("raw/0/abc", b"three")
    bucket.delete("raw/0/ab")
    left = bucket._client.list_object_versions(Bucket=bucket.bucket, Prefix="raw/0/a")
    assert [one["Key"] for one in left["Versions"]] == ["raw/0/ab", "raw/0/ab", "raw/0/abc"]
    assert [one["Key"] for one in left["DeleteMarkers"]] == ["raw/0/ab"]
    assert bucket.get("raw/0/abc") == b"three"


def test_a_bucket_elsewhere_is_asked_what_it_keeps(bucket, monkeypatch):
    """Without versions a sentence says so, with them none; a server that writes over all is found out; nothing is left of the try."""
    assert [sentence.split(":")[0] for sentence in lacks(bucket)] == [f"the bucket {bucket.bucket} keeps no versions"]
    bucket._client.put_bucket_versioning(Bucket=bucket.bucket, VersioningConfiguration={"Status": "Enabled"})
    assert lacks(bucket) == []
    put = bucket._client.put_object

    def regardless(**asked):
        asked.pop("IfNoneMatch", None)
        return put(**asked)

    monkeypatch.setattr(bucket._client, "put_object", regardless)
    assert ["does not refuse to write over" in sentence for sentence in lacks(bucket)] == [True]
    assert bucket.list_keys("") == []


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
