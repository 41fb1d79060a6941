"""Here: taking over the recordings of one batch of an archive: their bytes are read by few requests. Not here: the plan."""

import posixpath
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import BinaryIO, cast

from msgspec import structs

from ecg_tasks.archive import sources
from ecg_tasks.archive.descriptions import Person
from ecg_tasks.archive.documents import Drop, Input, PackedArchive, Place
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.pipeline.intake import archives, taking
from ecg_tasks.pipeline.intake.drops import PASSED_OVER
from ecg_tasks.pipeline.intake.keeping import Keeping
from ecg_tasks.pipeline.intake.quarantining import quarantine_contents
from ecg_tasks.pipeline.intake.reading import DropBytes, ReadDrop
from ecg_tasks.pipeline.intake.taking import Taken
from ecg_tasks.readers import packed
from ecg_tasks.readers.file_names import recording_beside, recording_name
from ecg_tasks.readers.packed import Contents, Extent, Forward, Packing
from ecg_tasks.settings import Dates

_REQUESTS = 8
"""For the members of one batch at most: what lies farther apart is passed over while it is read."""
_NEAR_BYTES = 1024 * 1024
"""Reading so much in vain is quicker than a request."""
_SPOOLED_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class FetchedMembers:
    """The members of a batch, out of a file that is in memory where it is small and else on the disk."""

    archive: PackedArchive
    places: Mapping[str, Place]
    contents: Contents

    def of(self, drop: Drop) -> dict[str, bytes]:
        """Return the contents of a drop's files by name; a `BadInputError` where one cannot be taken out."""
        return {posixpath.basename(file.member): self._get(file.member) for file in drop.files}

    def what_is_there(self, drop: Drop) -> dict[str, bytes]:
        """Return the contents of those files of a drop that can be taken out, by path."""
        found = {}
        for file in drop.files:
            try:
                found[file.member] = self._get(file.member)
            except BadInputError:
                continue
        return found

    def _get(self, path: str) -> bytes:
        return self.contents.get(archives.member_at(path, self.places[path]))


@contextmanager
def fetched(store: ObjectStore, archive: PackedArchive, drops: Sequence[Drop], places: Mapping[str, Place]) -> Iterator[FetchedMembers]:
    """Fetch the members of a batch, and nothing else of the archive, into a file that goes at the end.

    Raises
    ------
    MissingObjectError
        If its owner took the archive back, or replaced it.
    """
    wanted = {file.member for drop in drops if _is_unpacked(drop) for file in drop.files}
    spans = sorted({(place.at, place.end) for path in wanted if (place := places[path]).fault is None and place.end > place.at})
    with tempfile.SpooledTemporaryFile(max_size=_SPOOLED_BYTES) as file:
        extents: list[Extent] = []
        for stream, parts in _streams(store, archive, spans):
            for at, end in parts:
                extents.append(Extent(at=at, end=end, kept=file.tell()))
                stream.seek(at)
                while stream.tell() < end and (piece := stream.take(min(end - stream.tell(), _NEAR_BYTES))):
                    file.write(piece)
        contents = Contents(cast("BinaryIO", file), archives.packing_of(archive), extents)
        yield FetchedMembers(archive=archive, places=places, contents=contents)


def get(batch: FetchedMembers, drop: Drop) -> DropBytes:
    """Return the bytes of a drop of the batch by file name, as `reading.read_drops` gets them."""
    if drop.fate == PASSED_OVER or drop.reason:
        return None
    try:
        return batch.of(drop)
    except BadInputError as fault:
        return fault


def take(
    store: ObjectStore,
    read: ReadDrop,
    *,
    batch: FetchedMembers,
    described: Mapping[str, Person],
    patient_key: bytes,
    dates: Dates,
    keeping: Keeping,
) -> Taken:
    """Take over one drop of an archive, as ``taking.take`` does one of the inbox.

    Where raw/ keeps bytes as they came, it has the archive, which is the source of its records; a copy without identifiers is given back,
    to be kept with those of the batch.
    """
    drop, contents = read.drop, read.contents
    names, has_archive = keeping.names, keeping.keeps == "as_dropped"
    outcome = structs.replace(_line(drop, names), source=batch.archive.source, kept="as_dropped" if has_archive else "nothing")
    if drop.fate == PASSED_OVER:
        return Taken(outcome=structs.replace(outcome, fate=PASSED_OVER, passed_over=1))
    if drop.reason:
        return _refused(store, drop, outcome, batch, fault=BadInputError(Reason(drop.reason), drop.message), names=names)
    if not isinstance(contents, Mapping):
        fault = contents if isinstance(contents, BadInputError) else BadInputError(Reason.INCOMPLETE, f"{drop.name} could not be unpacked")
        return _refused(store, drop, outcome, batch, fault=fault, names=names)

    copy: dict[str, bytes] = {}

    def put(files: Mapping[str, bytes]) -> tuple[str, list[sources.File]]:
        if not batch.archive.copies:  # planned by an earlier version
            return sources.keep(store, files)
        copy.update(files)
        return batch.archive.copies, [sources.file_of(name, data) for name, data in files.items()]

    def keep(line: Input, made: Mapping[str, bytes] | None, *, nothing: bool = False) -> Input:
        if not has_archive:
            as_set = replace(keeping, keeps="nothing") if nothing else keeping
            return as_set.keep(line, contents, copy=made, put=put)
        digests = [sources.file_of(name, data).sha256 for name, data in contents.items()]
        return structs.replace(
            line,
            kept="nothing" if nothing else line.kept,
            files=tuple(structs.replace(file, sha256=sha256) for file, sha256 in zip(line.files, digests, strict=True)),
        )

    taken = taking.let_in(
        store,
        drop,
        outcome,
        read.found,
        keep=keep,
        described=described,
        patient_key=patient_key,
        dates=dates,
        names=names,
        refused=keeping.refused,
    )
    if isinstance(taken, Taken):
        return replace(taken, copy=copy)
    return _refused(store, drop, taken.outcome, batch, fault=taken.fault, names=names)


def gone(drops: Sequence[Drop], *, names: StoredNames) -> tuple[Input, ...]:
    """Return the lines of drops whose archive was taken back, or replaced, before they were read."""
    return tuple(structs.replace(_line(drop, names), fate="gone") for drop in drops)


def _line(drop: Drop, names: StoredNames) -> Input:
    return Input(
        name=names.shown(drop.name),
        record_name=names.shown(recording_beside(drop.name) if drop.fate == PASSED_OVER else recording_name(drop.name)),
        files=tuple(
            structs.replace(file, key=names.in_inbox(file.key), member=file.member if names.keep else names.hashed(file.member))
            for file in drop.files
        ),
        fate="records",
    )


def _refused(store: ObjectStore, drop: Drop, outcome: Input, batch: FetchedMembers, *, fault: BadInputError, names: StoredNames) -> Taken:
    """Put a drop into quarantine with those of its files that can be taken out; what cannot stays in the archive, where it is kept."""
    there = batch.what_is_there(drop) if _is_unpacked(drop) else {}
    folder = packed.name_inside(batch.archive.name)
    kept = [sources.file_of(names.file(posixpath.basename(path)), data) for path, data in there.items()]
    source = sources.source_of(kept) if kept else batch.archive.source
    contents = {f"{folder}/{path}": data for path, data in there.items()}
    entry = quarantine_contents(store, name=drop.name, source=source, fault=fault, contents=contents, names=names)
    return Taken(quarantined=[entry], outcome=structs.replace(outcome, fate="quarantined", received=1, quarantined=1))


def _is_unpacked(drop: Drop) -> bool:
    """Tell whether a drop's bytes are asked for: not those of one that is too large, or is passed over."""
    return drop.fate != PASSED_OVER and drop.reason != Reason.TOO_LARGE.value


def _streams(
    store: ObjectStore, archive: PackedArchive, spans: Sequence[tuple[int, int]]
) -> Iterator[tuple[Forward, Sequence[tuple[int, int]]]]:
    """Yield streams of the archive, each with the spans that are read out of it."""
    name = archive.name
    if not spans:
        return
    if archives.packing_of(archive) is Packing.TAR_GZ:
        yield Forward(packed.gunzipped(store.stream(archive.key, etag=archive.etag), name=name), name=name, most=0), spans
        return
    gaps = sorted((after[0] - before[1], number) for number, (before, after) in enumerate(pairwise(spans), start=1))
    cuts = sorted(number for gap, number in gaps[-(_REQUESTS - 1) :] if gap > _NEAR_BYTES)
    for first, last in zip([0, *cuts], [*cuts, len(spans)], strict=True):
        at, end = spans[first][0], spans[last - 1][1]
        yield Forward(store.stream(archive.key, at=at, end=end, etag=archive.etag), name=name, most=0, at=at), spans[first:last]
