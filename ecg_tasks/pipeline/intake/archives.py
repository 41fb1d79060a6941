"""Here: the archives in the inbox, opened by the plan of a run: each is read once, and cut into batches for tasks.

Not here: how its members are sorted (``opening``), or taking them over (``members``).
"""

import hashlib
import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from msgspec import structs

from ecg_tasks.archive import keys, packed_copies, taken_archives
from ecg_tasks.archive.documents import ArchiveCounts, Drop, InboxFile, Input, IntakeJob, PackedArchive, Place, Refusal, TakenArchive
from ecg_tasks.archive.object_store import ObjectInfo, ObjectStore
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.archive.workspace import MAX_TASKS
from ecg_tasks.errors import BadInputError, MissingObjectError, Reason
from ecg_tasks.pipeline.intake.drops import MAX_DROPS
from ecg_tasks.pipeline.intake.inbox import checked_path
from ecg_tasks.pipeline.intake.keeping import Keeping
from ecg_tasks.pipeline.intake.opening import ArchiveBounds, Opened, open_archive, places_of
from ecg_tasks.readers import packed
from ecg_tasks.readers.file_names import Kind, kind_of
from ecg_tasks.readers.packed import PackedMember, Packing
from ecg_tasks.readers.packed.recognising import HEAD_BYTES

_ON_DISK_BYTES = 256 * 1024 * 1024
"""An archive up to this size is read by one request; a larger one by three or four."""
_PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class ArchivePart:
    """A batch of drops of one archive, for one task."""

    archive: PackedArchive
    drops: list[Drop]
    members: dict[str, Place]

    def job(self) -> IntakeJob:
        """Return it as a job without anything else in it."""
        return IntakeJob(drops=tuple(self.drops), archive=self.archive, members=self.members)


@dataclass(frozen=True, kw_only=True)
class OpenedInbox:
    """The inbox with its archives opened.

    Parameters
    ----------
    loose : what is no archive, and the label tables that were in one
    parts : batches of the archives' drops
    refused : archives that are refused as a whole
    left : keys of archives that are left to the next run
    counts : the archives of which there are parts, with nothing counted yet
    known : lines of archives that were taken over before, and are not again
    """

    loose: list[ObjectInfo] = field(default_factory=list)
    parts: list[ArchivePart] = field(default_factory=list)
    refused: list[Drop] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    counts: list[ArchiveCounts] = field(default_factory=list)
    known: list[Input] = field(default_factory=list)

    @property
    def folders_left(self) -> frozenset[str]:
        """The folders below the inbox that archives which are left to the next run lie in, when they are opened."""
        return frozenset(packed.name_inside(key.removeprefix(keys.INBOX)) for key in self.left)


class _StoredArchive:
    """An object as the source of an archive, read from the disk where that can hold it; tells the SHA-256 of what was read of it."""

    def __init__(self, store: ObjectStore, item: ObjectInfo) -> None:
        self._store, self._key, self._etag = store, item.key, item.etag
        self.size = item.size
        self._file = store.spool(item.key, etag=item.etag) if item.size <= _ON_DISK_BYTES else None
        self._digest, self._n_bytes = hashlib.sha256(), 0

    def pieces(self) -> Iterator[bytes]:
        """Return all of its bytes, in pieces; once."""
        file = self._file
        if file is not None:
            file.seek(0)
        for piece in self._store.stream(self._key, etag=self._etag) if file is None else iter(lambda: file.read(_PIECE_BYTES), b""):
            self._digest.update(piece)
            self._n_bytes += len(piece)
            yield piece

    def read_at(self, at: int, n_bytes: int) -> bytes:
        """Return a part of it; fewer bytes at its end."""
        if self._file is not None:
            before = self._file.tell()
            self._file.seek(at)
            data = self._file.read(n_bytes)
            self._file.seek(before)
            return data
        end = min(at + n_bytes, self.size)
        return b"".join(self._store.stream(self._key, at=at, end=end, etag=self._etag)) if end > at else b""

    @property
    def sha256(self) -> str:
        """The digest of what was read of it."""
        return self._digest.hexdigest()

    def keep(self, *, names: StoredNames) -> str | None:
        """Keep what was read in raw/; returns its key, or None where the object was replaced meanwhile.

        Of what is on the disk there is nothing to compare: that was read, and that is kept.
        """
        key = keys.raw(self.sha256, names.file(posixpath.basename(self._key)))
        if self._file is not None:
            self._file.seek(0)
            self._store.put(key, self._file)
            return key
        if self._n_bytes != self.size:
            return None
        self._store.copy(self._key, key, etag=self._etag)
        now = self._store.info(self._key)
        return key if now is not None and now.etag == self._etag else None


def open_all(
    store: ObjectStore,
    listed: Iterable[ObjectInfo],
    *,
    limits: ArchiveBounds,
    min_tasks: int,
    keeping: Keeping,
    max_drops: int = MAX_DROPS,
) -> OpenedInbox:
    """Open the archives of the inbox, as it was ``listed``, those that came first.

    Each is read once. Tasks read it in raw/ where that keeps bytes as they came, else where it lies. What is called an archive and is none
    stays a file like any other. A run takes at most some ``max_drops`` drops out of archives, and half of its tasks; the others are left
    to the next run.
    """
    found = OpenedInbox()
    candidates: list[ObjectInfo] = []
    for item in listed:
        (candidates if may_be_one(item) else found.loose).append(item)
    n_drops = 0
    for item in sorted(candidates, key=lambda one: (one.modified, one.key)):
        if n_drops >= max_drops or len(found.parts) + len(found.known) >= MAX_TASKS // 2:
            found.left.append(item.key)
            continue
        try:
            parts = _open(store, item, found, limits=limits, min_tasks=min_tasks, keeping=keeping)
        except MissingObjectError:  # its owner took it back
            continue
        except BadInputError as fault:
            found.refused.append(_refused(item, fault))
            continue
        found.parts.extend(parts)
        n_drops += sum(len(part.drops) for part in parts)
    return found


def may_be_one(item: ObjectInfo) -> bool:
    """Return whether a file of the inbox is called as an archive is; what is in it decides."""
    name = item.key.removeprefix(keys.INBOX)
    if not item.size or kind_of(item.key) is not Kind.OTHER or not packed.is_called_an_archive(name):
        return False
    try:
        checked_path(name)
    except BadInputError:
        return False
    return True


def _open(
    store: ObjectStore, item: ObjectInfo, found: OpenedInbox, *, limits: ArchiveBounds, min_tasks: int, keeping: Keeping
) -> list[ArchivePart]:
    """Return the batches of an archive; what is none is put among the loose files, and what changed meanwhile is left.

    One that was taken over before is not taken again, unless a label table is in it: its rows mean the recordings beside it, also where
    others of their names came since.
    """
    name = item.key.removeprefix(keys.INBOX)
    source = _StoredArchive(store, item)
    packing = packed.packing_of(source.read_at(0, HEAD_BYTES))
    if packing is None:
        found.loose.append(item)
        return []
    if item.size > limits.n_bytes:
        raise BadInputError(Reason.TOO_LARGE, f"{name} has {item.size:,} bytes; the limit is {limits.n_bytes:,} for an archive")
    opened = open_archive(source, packing, name=name, etag=item.etag, modified=item.modified, settings=limits)
    counts = ArchiveCounts(
        key=keeping.names.in_inbox(item.key), source=source.sha256, folder=keeping.names.shown(packed.name_inside(name)), kept=keeping.keeps
    )
    before = taken_archives.taken_before(store, counts.source, counts.folder, kept=counts.kept)
    if before is not None and not opened.tables:
        found.known.append(_known(item, before, keeping=keeping))
        return []
    key = source.keep(names=keeping.names) if keeping.keeps == "as_dropped" else item.key
    tables = None if key is None else _take_out_tables(store, opened, item, there={one.key: one for one in found.loose})
    if key is None or tables is None:
        found.left.append(item.key)
        return []
    archive = PackedArchive(
        name=name, key=key, etag="" if key.startswith(keys.RAW) else item.etag, source=counts.source, packing=packing.value
    )
    found.counts.append(counts)
    found.loose.extend(tables)
    batches = list(opened.batches(min_tasks=min_tasks))
    sources = [packed_copies.source_of(archive.source, number, len(batches)) for number in range(len(batches))]
    return [
        _part(structs.replace(archive, copies=copies if keeping.keeps == "deidentified" else ""), opened, batch)
        for copies, batch in zip(sources, batches, strict=True)
    ]


def _known(item: ObjectInfo, before: TakenArchive, *, keeping: Keeping) -> Input:
    """Return the one line of an archive that was taken over before: all that was taken of it then are duplicates now."""
    name = keeping.names.shown(item.key.removeprefix(keys.INBOX))
    source, kept = before.counts.source, before.counts.kept
    return Input(
        name=name,
        record_name=name,
        files=(InboxFile(key=keeping.names.in_inbox(item.key), etag=item.etag, size=item.size, sha256=source),),
        source=source,
        kept=kept if kept == "as_dropped" else "nothing",  # of the archive as a whole
        fate="records",
        received=before.counts.received,
        duplicates=before.counts.received,
        passed_over=before.counts.passed_over,
        before=before.run,
        before_at=before.at,
    )


def _part(archive: PackedArchive, opened: Opened, batch: list[Drop]) -> ArchivePart:
    return ArchivePart(archive=archive, drops=batch, members={path: place_of(member) for path, member in places_of(opened, batch).items()})


def place_of(member: PackedMember) -> Place:
    """Return where a member lies, as a job has it."""
    fault = None if member.fault is None else Refusal(reason=member.fault.reason.value, message=member.fault.message)
    return Place(
        size=member.size, at=member.at, end=member.end, packed=member.packed, crc=member.crc, deflated=member.deflated, fault=fault
    )


def member_at(path: str, place: Place) -> PackedMember:
    """Return the member that a job has the place of."""
    fault = None if place.fault is None else BadInputError(Reason(place.fault.reason), place.fault.message)
    return PackedMember(
        path=path,
        size=place.size,
        at=place.at,
        end=place.end,
        packed=place.packed,
        crc=place.crc,
        deflated=place.deflated,
        fault=fault,
    )


def packing_of(archive: PackedArchive) -> Packing:
    """Return the format of an archive."""
    return Packing(archive.packing)


def _take_out_tables(store: ObjectStore, opened: Opened, item: ObjectInfo, *, there: dict[str, ObjectInfo]) -> list[ObjectInfo] | None:
    """Put the label tables of an archive into the inbox, where they wait for their recordings as others do; returns what is there now.

    One that differs from what lies there under its name gets a number made of its bytes, so that a second try writes the same.
    Nothing is written over: None where another one came under its name since the inbox was listed, which the next run knows of.
    """
    folder = f"{keys.INBOX}{packed.name_inside(item.key.removeprefix(keys.INBOX))}/"
    put = []
    for path, data in opened.tables.items():
        try:
            key = f"{keys.INBOX}{checked_path(f'{folder}{path}'.removeprefix(keys.INBOX))}"
        except BadInputError:  # its drop is refused for its path
            continue
        etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
        before = there.get(key)
        if before is not None and before.etag != etag:
            number = int(hashlib.sha256(data).hexdigest()[:8], 16)
            key = f"{posixpath.dirname(key)}/labels ({number}){'.csv.gz' if key.casefold().endswith('.gz') else '.csv'}"
            before = there.get(key)
        if before is None:
            is_new, now = store.put_new(key, data), store.info(key)
            if not is_new and (now is None or now.etag != etag):
                return None
            put += [] if now is None else [now]
    return put


def _refused(item: ObjectInfo, fault: BadInputError) -> Drop:
    return Drop(
        name=item.key.removeprefix(keys.INBOX),
        files=(InboxFile(key=item.key, etag=item.etag, size=item.size),),
        modified=item.modified.isoformat(),
        reason=fault.reason.value,
        message=fault.message,
    )
