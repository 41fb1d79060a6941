"""Which version serves, and what it replaced."""

import pytest

from ecg_tasks.archive import keys, registry
from ecg_tasks.archive.object_store import MissingObjectError

FILES = {"model.tflite": b"weights", "model.json": b"{}", registry.SUMS: b"aa  model.tflite\nbb  model.json\n"}


def test_version_roundtrip(bucket):
    """A version is read back with every file that its checksums name."""
    registry.write_version(bucket, "heartbeat", "v1", FILES)
    assert registry.read_version(bucket, "heartbeat", "v1") == FILES


def test_version_without_its_last_file_is_not_there(bucket):
    """A version whose writing was cut short does not count."""
    bucket.put(keys.model_file("heartbeat", "v1", "model.tflite"), b"weights")
    assert not registry.has_version(bucket, "heartbeat", "v1")
    with pytest.raises(MissingObjectError):
        registry.read_version(bucket, "heartbeat", "v1")


def test_champion_history(bucket):
    """A new champion keeps the old ones' notes, newest first; naming the same again changes nothing."""
    assert registry.read_champion(bucket, "heartbeat") is None
    for number in (1, 2, 2, 3):
        registry.write_champion(bucket, recipe="heartbeat", version=f"v{number}", since=f"t{number}", who="me", why="better")
    champion = registry.read_champion(bucket, "heartbeat")
    assert champion.version == "v3"
    assert [entry["version"] for entry in champion.history] == ["v2", "v1"]
