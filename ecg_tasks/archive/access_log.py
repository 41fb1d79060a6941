"""Here: the access log, which says who saw what: written in batches, packed by day, read back. Not here: acts (``audit``), the report.

A process that answers people writes what they saw as one object a second, at most. Each batch names the SHA-256 of the one that the same
writer wrote before, so that one that is missing between two others is noticed. Nothing is overwritten, and writers need no lock.
"""

import gzip
import hashlib
import logging
import re
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from ecg_tasks.archive import keys
from ecg_tasks.archive.documents import Part, prepared
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import EcgError

PERIOD_S = 1.0
"""After so long what was noted goes to the bucket, or a writer that failed tries again. A kill loses what was noted since."""
MAX_WAITING = 50_000
"""Different accesses that wait for a bucket that does not answer; what comes then is only counted."""
_BATCH = re.compile(rf"{keys.ACCESS}(\d{{4}}-\d\d-\d\d)/\d{{6}}-[0-9a-f]{{16}}-\d{{6,}}-([0-9a-f]{{64}})\.json")
_PACKED = re.compile(rf"{keys.ACCESS}(\d{{4}}-\d\d-\d\d)/packed-([0-9a-f]{{64}})\.ndjson\.gz")


class Act(StrEnum):
    """What somebody did. The values are stored."""

    LOGIN = "login"
    READ = "read"
    REQUEST = "request"
    """Any other request: logged where it was refused."""


class AccessOutcome(StrEnum):
    """What came of it. The values are stored."""

    SHOWN = "shown"
    """Of a login: it succeeded."""
    REFUSED = "refused"
    ABSENT = "absent"
    FAILED = "failed"


class Access(Part, frozen=True, kw_only=True):
    """One access, or several in the same second that were alike.

    Parameters
    ----------
    when : the first of them, by its writer's clock (ISO 8601, UTC, to the millisecond)
    who : a user; of a login the name that was entered; empty where nobody is known
    page : the address of a page with the names of its parts for their values, or a command
    record : the pseudonymous id of a record; empty where it is of none, or of many
    run : a report, ``<date>/<run>``
    thing : what else was seen: a file of a report, a version, an entry of the quarantine
    times : how many there were
    """

    when: str
    who: str
    act: Act
    page: str
    outcome: AccessOutcome
    record: str = ""
    run: str = ""
    thing: str = ""
    times: int = 1


class AccessBatch(Part, frozen=True, kw_only=True):
    """What one writer noted since its batch before.

    Parameters
    ----------
    writer : drawn at random when a process begins to write
    number : 0 for the writer's first batch, one more for each further one
    before : SHA-256 of the writer's batch before; empty for the first
    left_out : accesses that are counted here only, since too many waited
    """

    writer: str
    number: int
    before: str
    left_out: int
    accesses: tuple[Access, ...]

    def to_json(self) -> bytes:
        """Return the bytes that are stored: one line, whose SHA-256 the next batch names."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, line: bytes) -> "AccessBatch":
        """Read it back; `msgspec.DecodeError` if it is no batch. A field that a later version added is passed over."""
        return msgspec.json.decode(line, type=prepared(cls))


class AccessLog:
    """A writer: `note` takes an access and returns at once, a thread of its own writes.

    Parameters
    ----------
    store : where it writes
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._writer = secrets.token_hex(8)
        self._number, self._before = 0, ""
        self._waiting: dict[Access, Access] = {}
        self._left_out = 0
        self._pending: tuple[str, bytes] | None = None
        self._taking, self._writing = threading.Lock(), threading.Lock()
        self._noted = threading.Event()
        self._thread: threading.Thread | None = None

    def note(self, access: Access) -> None:
        """Take an access; one that is like another that waits is counted with it."""
        with self._taking:
            alike = replace(access, when="", times=1)
            known = self._waiting.get(alike)
            if known is None and len(self._waiting) >= MAX_WAITING:
                self._left_out += access.times
            else:
                self._waiting[alike] = replace(known, times=known.times + access.times) if known else access
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="access log", daemon=True)
                self._thread.start()
        self._noted.set()

    def flush(self) -> None:
        """Write what waits; `StoreError` if the bucket does not answer: then it is written later, under the same name."""
        with self._writing:
            while self._pending is not None or self._take():
                assert self._pending is not None  # noqa: S101 - tells mypy what the line before says
                key, data = self._pending
                self._store.put(key, data, content_type="application/json")
                self._pending = None

    def _take(self) -> bool:
        """Make a batch of what waits; return whether there was anything."""
        with self._taking:
            accesses, left_out = tuple(self._waiting.values()), self._left_out
            self._waiting, self._left_out = {}, 0
        if not accesses and not left_out:
            return False
        batch = AccessBatch(writer=self._writer, number=self._number, before=self._before, left_out=left_out, accesses=accesses)
        key, data, digest = _named(batch)
        self._pending, self._number, self._before = (key, data), self._number + 1, digest
        return True

    def _run(self) -> None:
        reachable = True
        while True:
            self._noted.wait()
            self._noted.clear()
            time.sleep(PERIOD_S)
            try:
                self.flush()
            except Exception as error:  # noqa: BLE001 - whatever the store does, what waits must not be lost
                if reachable:
                    logging.getLogger(__name__).warning("The access log cannot be written, going on trying: %s", type(error).__name__)
                reachable = False
                self._noted.set()
            else:
                reachable = True


def write_now(store: ObjectStore, access: Access) -> None:
    """Write one access, as the only batch of a writer; `StoreError` if it is not written."""
    key, data, _ = _named(AccessBatch(writer=secrets.token_hex(8), number=0, before="", left_out=0, accesses=(access,)))
    store.put(key, data, content_type="application/json")


def _named(batch: AccessBatch) -> tuple[str, bytes, str]:
    """Return the key, the bytes and their SHA-256 of a batch that is written now."""
    data, now = batch.to_json(), datetime.now(UTC)
    digest = hashlib.sha256(data).hexdigest()
    key = keys.access_batch(f"{now:%Y-%m-%d}", time=f"{now:%H%M%S}", writer=batch.writer, number=batch.number, digest=digest)
    return key, data, digest


@dataclass(frozen=True, kw_only=True)
class FoundBatch:
    """A batch as it was found: its day, its bytes' SHA-256, and its content; None where it cannot be read."""

    day: str
    digest: str
    batch: AccessBatch | None
    key: str


def days(store: ObjectStore) -> list[str]:
    """Return the days of which there is anything, in order."""
    return sorted(folder.strip("/") for folder in store.list_folders(keys.ACCESS))


def lines(store: ObjectStore, wanted: Iterable[str]) -> Iterator[FoundBatch]:
    """Yield the batches of these days; one that lies there twice, because packing was broken off, comes once."""
    for day in wanted:
        seen = set()
        listed = [key for key in store.list_keys(keys.access_day(day)) if _PACKED.fullmatch(key) or _BATCH.fullmatch(key)]
        for key, data in zip(listed, store.get_many(listed), strict=True):
            for line in _lines(key, data):
                digest = hashlib.sha256(line).hexdigest()
                if digest not in seen:
                    seen.add(digest)
                    yield _line(day, key, line, digest)


def pack(store: ObjectStore, *, until: str) -> int:
    """Put all batches of each day before ``until`` into one object; returns how many objects went.

    Killed in between it leaves a day's batches twice, which are read once, and packed by the next call. A day is packed when no writer
    can add to it any more; what comes nevertheless is packed the next time.

    Raises
    ------
    EcgError
        If an object is not what its name says: then it stays, for a person to look at.
    """
    gone = 0
    for day in days(store):
        if day >= until:
            break
        listed = [key for key in store.list_keys(keys.access_day(day)) if _PACKED.fullmatch(key) or _BATCH.fullmatch(key)]
        if not any(map(_BATCH.fullmatch, listed)):
            continue
        found: dict[bytes, FoundBatch] = {}
        for key, data in zip(listed, store.get_many(listed), strict=True):
            for line in _lines(key, data):
                read = _line(day, key, line, hashlib.sha256(line).hexdigest())
                if read.batch is None:
                    raise EcgError(f"{key} is not what its name says, so the access log of {day} is not packed")
                found[line] = read
        ordered = sorted(found, key=lambda line: (found[line].batch.writer, found[line].batch.number))  # type: ignore[union-attr]  # checked
        packed = gzip.compress(b"".join(line + b"\n" for line in ordered), mtime=0)
        target = keys.packed_access(day, hashlib.sha256(packed).hexdigest())
        store.put(target, packed, content_type="application/gzip")
        going = [key for key in listed if key != target]
        store.delete_many(going)
        gone += len(going)
    return gone


def _lines(key: str, data: bytes) -> list[bytes]:
    """Return the batches in an object; one that is damaged is a line that cannot be read."""
    packed = _PACKED.fullmatch(key)
    if packed is None:
        return [data]
    if hashlib.sha256(data).hexdigest() != packed[2]:
        return [b""]
    return gzip.decompress(data).splitlines()


def _line(day: str, key: str, line: bytes, digest: str) -> FoundBatch:
    named = _BATCH.fullmatch(key)
    batch = None
    if named is None or named[2] == digest:
        with suppress(msgspec.DecodeError):
            batch = AccessBatch.from_json(line)
    return FoundBatch(day=day, digest=digest, batch=batch, key=key)
