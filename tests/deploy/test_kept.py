"""Here: what the embedded store keeps of objects that are written over or deleted, with its servers. Not here: Airflow (``end_to_end``).

The store's programs run for this file alone, without PostgreSQL and Airflow: they take some seconds.
"""

import io
import json
import subprocess
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from deploy.embedded import bucket, object_store, store_cipher, store_packages
from deploy.embedded.errors import StackError
from deploy.embedded.home import Home
from ecg_tasks.archive import keys
from ecg_tasks.archive import object_store as archive_store
from ecg_tasks.archive.object_store import SET_ASIDE_BUCKET, ObjectStore, forgetting
from ecg_tasks.errors import MissingObjectError, StoreConflictError, StoreError

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
DAY_S = 24 * 3600
CONTENT = bytes(range(256)) * 100


@contextmanager
def running(home):
    """The store's servers, without Airflow and PostgreSQL."""
    object_store.configure(home)
    logs = [home.log(component).open("ab") for component in object_store.COMPONENTS]
    commands = [object_store.server_command(home, component) for component in object_store.COMPONENTS]
    servers = [subprocess.Popen(command, stdout=log, stderr=log) for command, log in zip(commands, logs, strict=True)]
    try:
        bucket.ensure(home)
        yield
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            server.wait()
        for log in logs:
            log.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A state folder of which only the store's servers run; they began to encrypt after the first object."""
    store_packages.ensure_installed()
    home = Home(tmp_path_factory.mktemp("home"))
    home.create()
    with running(home), pytest.MonkeyPatch.context() as patch:
        for name, value in bucket.environment(home).items():
            patch.setenv(name, value)
        ObjectStore.connect(bucket.EMBEDDED).put("manifests/a/first.json", CONTENT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(store_cipher.SETTING, str(tmp_path_factory.mktemp("key") / "key"))
        patch.setattr(object_store, "NOTES_REQUESTS", True)
        with running(home):
            yield home


@pytest.fixture
def store(home, monkeypatch):
    """The bucket as a task has it."""
    for name, value in bucket.environment(home).items():
        if name.startswith(("AWS_", "ECG_")):
            monkeypatch.setenv(name, value)
    return ObjectStore.connect(bucket.EMBEDDED)


@pytest.fixture
def by_hand(store, monkeypatch):
    """The bucket as somebody has it who was given its key, and nothing else: what he writes is written whatever is there."""
    monkeypatch.delenv("ECG_STORE_ERASE_KEY")
    return store


def contents_kept(home, key):
    """Sizes of the copies of an object, the oldest first."""
    return [one.n_bytes for one in object_store.kept_copies(home, key) if one.key == key]


def test_what_is_written_is_encrypted(home, store):
    """No file of the store holds the content in the clear, but of what was written before; both read as they were written."""
    store.put("manifests/a/second.json", CONTENT + b"2")
    assert store.get("manifests/a/first.json") == CONTENT
    assert store.get("manifests/a/second.json") == CONTENT + b"2"
    store.put("manifests/a/second.json", CONTENT + b"2")
    held = [path for path in home.store.rglob("*") if path.is_file() and CONTENT[:100] in path.read_bytes()]
    assert [path.suffix for path in held] == [".data"]
    key = store_cipher.key_file(home).read_text().split()[-1]
    assert not [path for path in home.path.rglob("*") if path.is_file() and key.encode() in path.read_bytes()]


def test_requests_are_noted_by_kind_where_that_is_asked_for(home, store):
    """One line for each request that a client sends, with the first folder of its key and nothing more of it."""

    def noted():
        return Counter(object_store.requests(home).read_text().splitlines())

    before = noted()
    store.put("inbox/of-whom.csv", b"one")
    store.copy("inbox/of-whom.csv", "scratch/b")
    assert store.get("scratch/b") == b"one"
    assert [item.key for item in store.list_objects("scratch/")] == ["scratch/b"]
    assert store.info("scratch/b").size == 3
    store.delete_many(["inbox/of-whom.csv", "scratch/b"])
    assert noted() - before == Counter(["put inbox", "copy scratch", "get scratch", "list scratch", "head scratch", "delete many"])
    assert "of-whom" not in object_store.requests(home).read_text()


def test_what_is_written_once_is_refused_by_the_servers(home, store):
    """The same bytes again are fine, others are refused with the key; nothing is kept of it, for nothing was lost."""
    store.put("labels/a.parquet", b"one")
    store.put("labels/a.parquet", b"one")
    with pytest.raises(StoreConflictError, match=r"labels/a\.parquet"):
        store.put("labels/a.parquet", b"two")
    assert store.get("labels/a.parquet") == b"one"
    store.put("inbox/b.parquet", b"two")
    with pytest.raises(StoreConflictError, match=r"labels/a\.parquet"):
        store.copy("inbox/b.parquet", "labels/a.parquet")
    assert contents_kept(home, "labels/a.parquet") == []


def test_what_is_written_over_or_deleted_comes_back(home, by_hand):
    """Somebody with the bucket's key writes over a label table, then deletes it: both can be taken back, the first version too."""
    key = "labels/ä+ %20.parquet"
    by_hand.put(key, b"first")
    by_hand.replace(key, b"forged!")
    by_hand.delete_many([key])
    assert contents_kept(home, key) == [5, 7]
    first = next(iter(object_store.kept_copies(home, key)))
    assert abs(float(first.stamp) - time.time()) < DAY_S
    assert object_store.take_back(home, key, first.stamp) == first.stamp
    assert by_hand.get(key) == b"first"
    object_store.take_back(home, key)
    assert by_hand.get(key) == b"forged!"
    assert contents_kept(home, key) == [5, 7, 5]
    with pytest.raises(StackError, match="nothing is kept of labels/never"):
        object_store.take_back(home, "labels/never")


def test_what_comes_in_parts_is_kept_as_any_other(home, store, monkeypatch):
    """A report is written over by a try that follows one which was broken off; no server takes over 5 GB in one request."""
    monkeypatch.setattr(archive_store, "_PUT_AT_ONCE_BYTES", 100)
    monkeypatch.setattr(archive_store, "_PART_BYTES", 5 * 1024 * 1024)
    key, long = "reports/2026-01-01/run/predictions.csv", CONTENT * 250
    store.put(key, b"short")
    for content in (long, long[::-1]):
        store.put(key, io.BytesIO(content))
        assert store.get(key) == content
    store.delete(key)
    assert contents_kept(home, key) == [5, len(long), len(long)]
    assert store.list_keys("reports/") == []


def test_our_own_store_takes_a_thousand_parts_and_no_more(store):
    """So a longer file, or copy, has longer parts."""
    of = {"Bucket": store.bucket, "Key": "reports/2026-01-01/run/long.csv"}
    of |= {"UploadId": store._client.create_multipart_upload(**of)["UploadId"]}
    store._client.upload_part(**of, PartNumber=archive_store._MOST_PARTS, Body=CONTENT)
    with pytest.raises(ClientError, match="InvalidArgument"):
        store._client.upload_part(**of, PartNumber=archive_store._MOST_PARTS + 1, Body=CONTENT)
    store._client.abort_multipart_upload(**of)


def test_the_buckets_key_does_not_reach_what_is_kept(home, by_hand):
    """It lists neither the other account's buckets nor opens them, and what lies in the inbox leaves no copy."""
    by_hand.put("inbox/Mustermann.csv", b"a person's")
    by_hand.delete("inbox/Mustermann.csv")
    assert contents_kept(home, "inbox/") == []
    by_hand.put("audit/000000/1.json", b"{}")
    by_hand.delete("audit/000000/1.json")
    assert contents_kept(home, "audit/000000/1.json") == [2]
    seen = by_hand._client.list_buckets()["Buckets"]
    assert [one["Name"] for one in seen] == [bucket.EMBEDDED]
    with pytest.raises(StoreError):
        ObjectStore(by_hand._client, "AUTH_kept").list_keys("")


def test_what_is_forgotten_is_nowhere(home, store):
    """A task that forgets leaves no copy, not even one from before; a replacement by it neither, nor several at once."""
    store.put("raw/0/a.csv", b"a patient's")
    store.replace("raw/0/a.csv", b"a patient's, changed")
    assert contents_kept(home, "raw/0/a.csv") == [11]
    with forgetting():
        store.put("raw/0/a.csv", b"of no one")
        assert contents_kept(home, "raw/0/a.csv") == []
        store.put_many([("raw/0/a.csv", b"of no one at all", "text/plain"), ("raw/0/b.csv", b"b", "text/plain")])
        store.delete_many(["raw/0/a.csv", "raw/0/never.csv"])
        store.delete("raw/0/b.csv")
    assert contents_kept(home, "raw/0/") == contents_kept(home, "raw/0/a.csv") == contents_kept(home, "raw/0/b.csv") == []
    with pytest.raises(MissingObjectError):
        store.get("raw/0/a.csv")
    store.put("raw/0/a.csv", b"again")
    with pytest.raises(StoreConflictError):
        store.put("raw/0/a.csv", b"over")


def test_who_forgets_finds_what_was_deleted_before(home, store, monkeypatch):
    """Copies of an object that is not there any more are listed, read and deleted by a task that forgets, and by nobody without the key."""
    key = "raw/2/ä+ %20.csv"
    store.put(key, b"first")
    store.replace(key, b"second")
    store.delete(key)
    copies = ObjectStore(store._client, f"{SET_ASIDE_BUCKET}{bucket.EMBEDDED}")
    with pytest.raises(StoreError):
        copies.list_keys("")
    with forgetting():
        found = [one for one in store.earlier() if one.key.startswith("raw/2/")]
        assert [(one.key, one.read()) for one in found] == [(key, b"first"), (key, b"second")]
        with monkeypatch.context() as patch:
            patch.setenv("ECG_STORE_ERASE_KEY", "0" * 64)
            assert store.earlier() == []
        for one in found:
            one.delete()
        assert [one for one in store.earlier() if one.key == key] == []
    assert contents_kept(home, key) == []


def test_a_wrong_key_erases_nothing(home, store, monkeypatch):
    """Anyone who guesses at it deletes as everybody does."""
    store.put("raw/1/a.csv", b"bytes")
    monkeypatch.setenv("ECG_STORE_ERASE_KEY", "0" * 64)
    with forgetting():
        store.delete("raw/1/a.csv")
    assert contents_kept(home, "raw/1/a.csv") == [5]


def test_copies_go_when_their_days_are_over(home, by_hand):
    """The store's own sweep deletes what is older than it is kept, and nothing else."""
    by_hand.put("manifests/a/1.json", b"{}")
    by_hand.delete("manifests/a/1.json")
    program = "import sys, pathlib, swift_kept; print(swift_kept.SetAside(pathlib.Path(sys.argv[1])).expire(now=float(sys.argv[2])))"
    node = str(object_store.ENVIRONMENT / "bin" / "python")

    def sweep(now: float) -> int:
        folder = Path(object_store.__file__).parent
        done = subprocess.run([node, "-c", program, str(home.store), str(now)], cwd=folder, check=True, capture_output=True, text=True)
        return int(done.stdout)

    assert sweep(time.time() + 29 * DAY_S) == 0
    assert sweep(time.time() + 31 * DAY_S) > 0
    assert list(object_store.kept_copies(home)) == []


def test_what_names_people_is_not_kept():
    """Their going protects them."""
    assert not {keys.INBOX, keys.QUARANTINE, keys.STAGING} & set(keys.SET_ASIDE)


@pytest.mark.parametrize(("given", "days"), [("", 30.0), ("0", 0.0), ("7.5", 7.5)])
def test_days_are_read(given, days):
    """Thirty unless told."""
    assert object_store.kept_days({"ECG_STORE_KEEPS_DAYS": given}) == days


@pytest.mark.parametrize("given", ["-1", "a month", "nan", "inf"])
def test_other_days_are_refused(given):
    """With the variable's name."""
    with pytest.raises(StackError, match="ECG_STORE_KEEPS_DAYS"):
        object_store.kept_days({"ECG_STORE_KEEPS_DAYS": given})


def test_configuration_without_keeping(tmp_path, monkeypatch):
    """With 0 days the proxy has no such filter."""
    home = Home(tmp_path)
    home.create()
    assert "copy keep slo" in object_store._configuration(home, "127.0.0.1", "key")["store.conf"]
    monkeypatch.setenv("ECG_STORE_KEEPS_DAYS", "0")
    found = object_store._configuration(home, "127.0.0.1", "key")
    assert "copy slo" in found["store.conf"]
    assert json.loads(found["keeper.json"])["days"] == 0


@pytest.fixture
def idle(tmp_path):
    """A state folder whose store does not run, and its key's file."""
    home = Home(tmp_path / "home")
    home.create()
    (home.store / "devices/disk").mkdir(parents=True)
    return home, tmp_path / "elsewhere" / "key"


def test_a_key_is_made_once_and_kept(idle):
    """Only its owner reads it; without the setting the store goes on with it; a store that never had one has none."""
    home, file = idle
    assert store_cipher.key_file(home, {}) is None
    assert store_cipher.key_file(home, {store_cipher.SETTING: str(file)}) == file
    made = file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    assert store_cipher.key_file(home, {}) == file
    file.rename(file.with_name("moved"))
    assert store_cipher.key_file(home, {store_cipher.SETTING: str(file.with_name("moved"))}).read_bytes() == made


def test_a_lost_or_wrong_key_is_told(idle):
    """Nothing starts, nothing is made anew: with another key every object would come out as noise."""
    home, file = idle
    store_cipher.key_file(home, {store_cipher.SETTING: str(file)})
    kept = file.read_text()
    file.unlink()
    with pytest.raises(StackError, match=r"its key is not in .*without it nobody can read"):
        store_cipher.key_file(home, {})
    assert not file.exists()
    file.write_text("[keymaster]\n")
    with pytest.raises(StackError, match="holds no key of the store"):
        store_cipher.key_file(home, {})
    file.write_text(f"[keymaster]\nencryption_root_secret = {'A' * 43}=\n")
    with pytest.raises(StackError, match="another key than the one with which the store is encrypted"):
        store_cipher.key_file(home, {})
    file.write_text(kept)
    assert store_cipher.key_file(home, {}) == file


def test_a_key_beside_what_it_opens_is_refused(idle):
    """Whoever gets the disk would have both."""
    home, _ = idle
    with pytest.raises(StackError, match="name a file elsewhere"):
        store_cipher.key_file(home, {store_cipher.SETTING: str(home.path / "key")})


_MISSED = """
import logging, sys
from swift.common.storage_policy import POLICIES
from swift.common.utils import set_swift_dir, validate_hash_conf
from swift.common.utils.timestamp import Timestamp
from swift.obj.diskfile import DiskFileManager
folder, account, bucket, key = sys.argv[1:]
set_swift_dir(folder)
validate_hash_conf()
files = DiskFileManager({"devices": f"{folder}/devices", "mount_check": "false"}, logging.getLogger())
files.logger.increment = lambda _name: None
now = Timestamp.now()
headers = {"X-Timestamp": now.internal, "X-Size": "1", "X-Content-Type": "text/plain", "X-Etag": "0" * 32}
told = {"op": "PUT", "account": account, "container": bucket, "obj": key, "headers": headers, "db_state": None}
files.pickle_async_update("disk", account, bucket, key, told, now, POLICIES[0])
"""


def test_a_listing_hears_later_of_what_it_missed(home, store):
    """The servers of data look for writes that a listing has not heard of, and leave nothing behind."""
    account = home.secrets().s3_access_key.partition(":")[0]
    python = str(object_store.ENVIRONMENT / "bin" / "python")
    subprocess.run([python, "-c", _MISSED, str(home.store), f"AUTH_{account}", bucket.EMBEDDED, "audit/missed.json"], check=True)
    while "audit/missed.json" not in store.list_keys("audit/"):
        time.sleep(0.1)
    while [path for path in home.store.glob("devices/disk/async_pending*/*/*") if path.is_file()]:
        time.sleep(0.1)
