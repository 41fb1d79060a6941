"""Here: the bucket that version 0.1 made, and putting it into a store as it was. Not here: what later code must make of it.

``bucket-0.1.tar.xz`` was made by the code of commit cd2755a, from inputs drawn by a program; that program lies in it, as ``made_by.py``.
It has ``objects/<key>``; ``states/<state>/<key>``, what is other in a later state of an intake that is under way; ``index.json``, with
content types and what is gone in a state; and ``said.json``, what version 0.1 itself read in this bucket. A member's time is that of its
object: reports and the drift watch go by it.
"""

import json
import os
import tarfile
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from tests.short_way import server

ARCHIVE = Path(__file__).with_name("bucket-0.1.tar.xz")
PLANNED = "planned"
STATES = (PLANNED, "read", "let_in", "accounted")
"""How far the intake is: its jobs are written; its files are read; its records are let in; its account stands, and nothing is tidied up."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """One object."""

    data: bytes
    modified: datetime


@dataclass(frozen=True, kw_only=True)
class OldBucket:
    """The whole archive; ``said`` is what version 0.1 told of it in the state ``PLANNED``."""

    states: dict[str, dict[str, Stored]]
    content_types: dict[str, str]
    said: dict[str, Any]


@cache
def old_bucket() -> OldBucket:
    """Read the archive."""
    found: dict[str, Stored] = {}
    with tarfile.open(ARCHIVE) as archive:
        for member in archive:
            modified = datetime.fromtimestamp(member.mtime, UTC)
            found[member.name] = Stored(data=archive.extractfile(member).read(), modified=modified)
    index = json.loads(found["index.json"].data)
    states = {PLANNED: _below(found, "objects/")}
    for state in STATES[1:]:
        stays = {key: stored for key, stored in states[PLANNED].items() if key not in index["gone"][state]}
        states[state] = stays | _below(found, f"states/{state}/")
    return OldBucket(states=states, content_types=index["content_types"], said=json.loads(found["said.json"].data))


def put(store, state: str = PLANNED) -> dict[str, bytes]:
    """Put the bucket into an empty one of the tests' S3 server, with every object's type and time; returns the contents by key.

    Straight into the server's memory: S3 has no way to set an object's time.
    """
    old = old_bucket()
    for key, stored in old.states[state].items():
        found = server().put_object(store.bucket, key, stored.data)
        found.set_metadata({"Content-Type": old.content_types[key]})
        found.last_modified = stored.modified.replace(tzinfo=None)
    return {key: stored.data for key, stored in old.states[state].items()}


def contents(store) -> dict[str, bytes]:
    """Return all that is in a bucket of the tests' S3 server, by key: some hundred times as fast as to ask for each."""
    return {key: found.value for key, found in server().buckets[store.bucket].keys.items()}


def write_to(folder: Path, store) -> None:
    """Write a bucket of the tests' S3 server into a folder, a file an object with its time."""
    for key, found in server().buckets[store.bucket].keys.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(found.value)
        modified = found.last_modified.replace(tzinfo=UTC).timestamp()
        os.utime(path, (modified, modified))


def _below(found: dict[str, Stored], prefix: str) -> dict[str, Stored]:
    return {name.removeprefix(prefix): stored for name, stored in found.items() if name.startswith(prefix)}
