"""Here: an archive opened: its members sorted into drops as the files of an inbox are, and where each lies. Not here: the bucket."""

import posixpath
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import structs

from ecg_tasks.archive import keys
from ecg_tasks.archive.documents import Drop, InboxFile
from ecg_tasks.archive.object_store import ObjectInfo
from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.pipeline.intake import filling, headers
from ecg_tasks.pipeline.intake.drops import sort_members
from ecg_tasks.pipeline.intake.headers import Said
from ecg_tasks.readers import packed
from ecg_tasks.readers.file_names import Kind, is_csv, is_label_table, is_matlab, kind_of
from ecg_tasks.readers.packed import PackedMember, Packing, Source
from ecg_tasks.readers.wfdb.header import MAX_HEADER_BYTES

if TYPE_CHECKING:
    from ecg_tasks.settings import Settings

_TURNS_OF_GZIP = 8
"""What is packed with gzip is unpacked from its start by each task, so no more of them share it."""
_BATCH_BYTES = 256 * 1024 * 1024
_LEAST_BATCH_BYTES = 8 * 1024 * 1024
_BATCH_DROPS = 2048
"""Some 20 s of work; each batch costs five requests."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What is in an archive.

    Parameters
    ----------
    drops : in the order in which their last bytes lie; the key of each file is that of the archive
    members : where each file of a drop lies, by its path
    tables : label tables, by their path
    """

    packing: Packing
    drops: list[Drop] = field(default_factory=list)
    members: dict[str, PackedMember] = field(default_factory=dict)
    tables: dict[str, bytes] = field(default_factory=dict)

    def batches(self, *, min_tasks: int) -> Iterator[list[Drop]]:
        """Cut the drops, in their order, into batches of about 256 MB or 2,048 drops.

        An archive below ``min_tasks`` times 256 MB is cut finer, but not below what fills a shard.
        """
        sizes = [self._n_packed(drop) for drop in self.drops]
        most = min(max(sum(sizes) // min_tasks, _LEAST_BATCH_BYTES), _BATCH_BYTES)
        n_drops = _BATCH_DROPS
        if self.packing is Packing.TAR_GZ:
            most = max(most, -(-sum(sizes) // _TURNS_OF_GZIP))
            n_drops = max(n_drops, -(-len(sizes) // _TURNS_OF_GZIP))
        return filling.groups(self.drops, lambda drop: (self._n_packed(drop), 1), most=(most, n_drops))

    def _n_packed(self, drop: Drop) -> int:
        return sum(self.members[file.member].end - self.members[file.member].at for file in drop.files)


def open_archive(source: Source, packing: Packing, *, name: str, etag: str, modified: datetime, settings: "ArchiveBounds") -> Opened:
    """Read an archive once, and sort its members.

    A member that cannot be named or taken out is a drop that is refused, with the reason; the others are what they would be in a folder
    of the inbox called as the archive. Memory holds what is known of each member, and the label tables.

    Parameters
    ----------
    name : below the inbox

    Raises
    ------
    BadInputError
        If the archive as a whole is refused.
    """
    folder = f"{keys.INBOX}{packed.name_inside(name)}/"
    shown = posixpath.basename(name)
    tables: dict[str, bytes] = {}
    said: dict[str, Said] = {}
    found: dict[str, PackedMember] = {}
    doubled: Counter[str] = Counter()

    def wanted(path: str) -> int:
        if is_label_table(path):
            return settings.member_bytes
        kind = kind_of(f"{folder}{path}")
        may_tell = kind in {Kind.HEADER, Kind.ARRAY} or is_matlab(path) or (is_csv(path) and kind is Kind.OTHER)
        return MAX_HEADER_BYTES + 1 if may_tell else 0

    limits = packed.Limits(n_bytes=settings.n_bytes, n_members=settings.n_members)
    for member, head in packed.walk(source, packing, name=name, limits=limits, wanted=wanted):
        key = f"{folder}{member.path}"
        if member.path in found:
            doubled[member.path] += 1
            continue
        found[member.path] = member
        if member.fault is None and member.size and (n_bytes := wanted(member.path)):
            if is_label_table(key) and member.size <= n_bytes:
                tables[member.path] = head
            else:
                said[key] = headers.said_by(key, etag, head)
    if not found:
        raise BadInputError(Reason.INCOMPLETE, f"{name} is an empty archive")
    for path, n_more in doubled.items():
        sentence = f"{path} is {n_more + 1} times in {shown}, and it is not clear which one is meant; pack it once"
        found[path] = replace(found[path], fault=BadInputError(Reason.UNREADABLE, sentence))
        tables.pop(path, None)
    drops = _sorted(found, said, folder=folder, name=name, etag=etag, modified=modified, max_bytes=settings.member_bytes)
    drops.sort(key=lambda drop: (max(found[file.member].end for file in drop.files), drop.name))
    return Opened(packing=packing, drops=drops, members=found, tables=tables)


@dataclass(frozen=True, kw_only=True)
class ArchiveBounds:
    """Bounds of an archive: its bytes, its members, and the bytes of each recording in it."""

    n_bytes: int
    n_members: int
    member_bytes: int

    @classmethod
    def of(cls, settings: "Settings | type[Settings]") -> "ArchiveBounds":
        """Return those of the settings, or of their defaults."""
        return cls(n_bytes=settings.max_archive_bytes, n_members=settings.max_archive_members, member_bytes=settings.max_object_bytes)


def _sorted(
    found: dict[str, PackedMember], said: dict[str, Said], *, folder: str, name: str, etag: str, modified: datetime, max_bytes: int
) -> list[Drop]:
    """Return the drops, with the archive's key and the member's path for each file."""

    def in_archive(drop: Drop) -> Drop:
        files = tuple(
            InboxFile(key=f"{keys.INBOX}{name}", etag=etag, size=file.size, member=file.key.removeprefix(folder)) for file in drop.files
        )
        return structs.replace(drop, files=files)

    whole = [member for member in found.values() if member.fault is None]
    listed = (ObjectInfo(key=f"{folder}{member.path}", size=member.size, etag=etag, modified=modified) for member in whole)
    drops = [in_archive(drop) for drop in sort_members(listed, said, archive=posixpath.basename(name), max_bytes=max_bytes)]
    return drops + [
        Drop(
            name=f"{folder.removeprefix(keys.INBOX)}{member.path}",
            files=(InboxFile(key=f"{keys.INBOX}{name}", etag=etag, size=member.size, member=member.path),),
            modified=modified.isoformat(),
            reason=member.fault.reason.value,
            message=member.fault.message,
        )
        for member in found.values()
        if member.fault is not None
    ]


def places_of(opened: Opened, batch: Sequence[Drop]) -> dict[str, PackedMember]:
    """Return where the files of some drops lie, by path."""
    return {file.member: opened.members[file.member] for drop in batch for file in drop.files}
