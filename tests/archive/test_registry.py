"""Which version serves, and what it replaced."""

import pytest

from ecg_tasks.archive import keys, registry
from ecg_tasks.errors import DamagedStoreError, MissingObjectError

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
    assert [entry.version for entry in champion.history] == ["v2", "v1"]


STORED = b"""{
 "recipe": "heartbeat",
 "version": "v1",
 "since": "t3",
 "who": "me",
 "why": "too many alarms",
 "action": "rolled back",
 "history": [
  {
   "version": "v2",
   "since": "t2",
   "who": "me",
   "why": "better",
   "action": "promoted"
  },
  {
   "version": "v1",
   "since": "t1",
   "who": "me",
   "why": "first",
   "action": "promoted"
  }
 ],
 "rejections": [
  {
   "version": "v2",
   "when": "t3",
   "who": "me",
   "why": "too many alarms"
  }
 ]
}"""
"""What version 0.1 writes after two promotions and a rollback."""


def test_what_is_stored_of_decisions_stays_as_it_was(bucket):
    """Version 0.1 reads what is written now, for it is the same to the byte, and the other way round."""
    registry.write_champion(bucket, recipe="heartbeat", version="v1", since="t1", who="me", why="first")
    before = registry.write_champion(bucket, recipe="heartbeat", version="v2", since="t2", who="me", why="better")
    rolled_back = registry.roll_back(bucket, before, to="v1", when="t3", who="me", why="too many alarms")
    assert bucket.get(keys.champion("heartbeat")) == STORED
    assert registry.read_champion(bucket, "heartbeat") == rolled_back
    assert [one.version for one in rolled_back.services] == ["v1", "v2", "v1"]


@pytest.mark.parametrize(
    "data", [b"{", b"[]", b"\xff", b'{"recipe": "heartbeat"}', STORED.replace(b'"action"', b'"act"'), STORED.replace(b'"when"', b'"at"')]
)
def test_decisions_that_cannot_be_read_are_refused_with_their_key(bucket, data):
    """Nothing is decided on half of what was decided: what this program does not know it would lose."""
    bucket.put(keys.champion("heartbeat"), data)
    with pytest.raises(DamagedStoreError, match=r"models/heartbeat/champion\.json is not a champion"):
        registry.read_decisions(bucket, "heartbeat")
