"""Here: sorting what is in the inbox into drops: the files that make one recording or one table, and what waits or is passed over.

Not here: what a name says (``kinds``), what a header says (``headers``), or taking a drop over (``taking``).
"""

import posixpath
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from msgspec import structs

from ecg_tasks.archive import keys
from ecg_tasks.archive.documents import Drop, InboxFile, LabelTableFile
from ecg_tasks.archive.object_store import ObjectInfo, ObjectStore
from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.pipeline.intake import filling, headers
from ecg_tasks.pipeline.intake.headers import MAX_UNREAD, Said
from ecg_tasks.pipeline.intake.inbox import checked_path
from ecg_tasks.readers.file_names import (
    SIDECAR,
    Kind,
    finished_name,
    header_beside,
    header_of_segments,
    is_csv,
    is_label_table,
    is_matlab,
    kind_of,
)
from ecg_tasks.readers.wfdb.header import MAX_SEGMENTS

PASSED_OVER = "passed_over"
"""The fate of a file that holds no recording by its name: its bytes are kept, and it leaves the inbox."""
MAX_DROPS = 100_000
"""Of one run; the rest is left to the next. Each holds some kilobytes of memory while it is planned."""
_BATCH_BYTES = 64 * 1024 * 1024
_LEAST_BATCH_BYTES = 8 * 1024 * 1024
"""As 16-bit samples this fills half a shard; smaller batches would only make smaller shards."""
_BATCH_DROPS = 256
_BATCH_FILES = 4096
_MAX_FILES = 2 * MAX_SEGMENTS
"""Of one recording: a header and a signal file a segment."""


NEXT_RUN = "the next run"
"""What a file waits for that lacks only its turn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wait:
    """What a file waits for, in words, and until when: then it is refused, or passed over. None: as long as its turn takes."""

    why: str
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Sorted:
    """The inbox, sorted: what is taken over now, what must wait for more files or the next run, and the label tables."""

    drops: list[Drop] = field(default_factory=list)
    waits: dict[str, Wait] = field(default_factory=dict)
    """Files that are incomplete inside the grace period, or left to the next run, by key."""
    left: int = 0
    """Recordings and files that only lack their turn: another run should follow at once."""
    labels: list[LabelTableFile] = field(default_factory=list)

    @property
    def waiting(self) -> list[str]:
        """Keys of what waits."""
        return list(self.waits)

    @property
    def waiting_for(self) -> Counter[str]:
        """How many files wait for what, in words."""
        return Counter(one.why for one in self.waits.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class _Ready:
    key: str
    items: tuple[ObjectInfo, ...]
    fault: BadInputError | None = None
    fate: str = ""

    @property
    def modified(self) -> datetime:
        return max(item.modified for item in self.items)


def sort_inbox(
    store: ObjectStore,
    listed: Iterable[ObjectInfo],
    *,
    at: datetime,
    grace_s: float,
    max_bytes: int,
    remembered: bool = True,
    max_unread: int = MAX_UNREAD,
    max_drops: int = MAX_DROPS,
    released: Collection[str] = (),
    looks_only: bool = False,
) -> Sorted:
    """Group the inbox, as it was ``listed``, into drops.

    A WFDB recording is complete when every file that its header names is there, under that name or the only one that differs from it in
    upper and lower case alone, and holds something; until then it waits, and ``grace_s`` seconds after its newest file came it is refused
    as ``incomplete``. A signal file waits for its header in the same way, and so does any file that a header may still name. An upload
    that goes on, by its name or with no byte yet, waits as long. So does an array that may need a sidecar and has none; a sidecar goes
    along with each file that needs it, stays for as long for further ones, and is passed over then. What no recording is by its name is
    passed over.

    At most ``max_unread`` headers are read that no run has read before, and at most ``max_drops`` drops are taken: those that were
    complete first. ``left`` counts the others. ``remembered`` tells whether a run before may have kept what headers say.

    Parameters
    ----------
    released : keys of files that a person lets wait no longer, as if their grace period were over
    looks_only : nothing is kept for the next run
    """
    found = {item.key: item for item in listed if item.key != keys.INBOX}

    before = headers.remembered(store) if remembered else {}

    def read(wanted: Sequence[str]) -> Mapping[str, Said]:
        return headers.read_once(store, found, wanted, before=before, max_unread=max_unread)

    inbox = _Inbox(found, read, at=at, grace_s=grace_s, max_bytes=max_bytes, released=released)
    ready = inbox.take_turns([*inbox.recordings(), *inbox.others()], max_drops)
    ready += inbox.take_turns(list(inbox.sidecars()), max_drops - len(ready))  # when it is known which files are left that need one
    result = inbox.result
    if not looks_only:
        headers.remember(store, inbox.said, before=before, some_wait=bool(result.waits))
    n_left = len(inbox.unread) + inbox.n_held
    drops = [_drop(one, max_bytes=max_bytes) for one in sorted(ready, key=lambda one: (one.key not in inbox.headers, one.key))]
    return Sorted(drops=drops, waits=result.waits, left=n_left, labels=result.labels)


def sort_members(listed: Iterable[ObjectInfo], said: Mapping[str, Said], *, archive: str, max_bytes: int) -> list[Drop]:
    """Group the members of an archive into drops as files of the inbox, but that nothing waits: what is not there does not come.

    Label tables are passed over: they are taken out of the archive beforehand.

    Parameters
    ----------
    listed : the members, as if each lay in the inbox; all of one age
    said : what they say of themselves, by key
    archive : its name, for sentences
    """
    found = {item.key: item for item in listed}
    at = max((item.modified for item in found.values()), default=datetime.now(UTC))
    inbox = _Inbox(found, lambda wanted: {key: said[key] for key in wanted if key in said}, at=at, max_bytes=max_bytes, archive=archive)
    ready = [*inbox.recordings(), *inbox.others()]
    ready += inbox.sidecars()
    ready += [_Ready(key=table.key, items=(found[table.key],), fate=PASSED_OVER) for table in inbox.result.labels]
    return [_drop(one, max_bytes=max_bytes) for one in ready]


def batches(drops: Sequence[Drop], *, min_tasks: int) -> Iterator[list[Drop]]:
    """Cut the drops into batches of about 64 MB, 256 drops or 4,096 files: some seconds of work each.

    An inbox below ``min_tasks`` times 64 MB is cut finer, so that so many tasks share it, but not below what fills a shard.
    """
    most = min(max(sum(map(n_bytes, drops)) // min_tasks, _LEAST_BATCH_BYTES), _BATCH_BYTES)
    return filling.groups(drops, lambda drop: (n_bytes(drop), 1, len(drop.files)), most=(most, _BATCH_DROPS, _BATCH_FILES))


def n_bytes(drop: Drop) -> int:
    """Return how many bytes the files of a drop have."""
    return sum(file.size for file in drop.files)


class _Inbox:
    """One look at the inbox or into an archive, and what has been found out of it so far.

    Parameters
    ----------
    read : what files say of themselves, of those of these keys that could be looked into
    archive : the archive's name; empty for the inbox
    """

    def __init__(
        self,
        found: dict[str, ObjectInfo],
        read: Callable[[Sequence[str]], Mapping[str, Said]],
        *,
        at: datetime,
        max_bytes: int,
        grace_s: float = 0.0,
        archive: str = "",
        released: Collection[str] = (),
    ) -> None:
        self._found, self._at, self._grace_s, self._max_bytes = found, at, grace_s, max_bytes
        self._released = released
        self._archive = archive
        self.result = Sorted()
        self.headers = dict.fromkeys(key for key in found if kind_of(key) is Kind.HEADER)
        self.n_held = 0
        self._named: set[str] = set()
        self._otherwise = _other_spellings(found)
        self._folders = {posixpath.dirname(key) for key in found if kind_of(key) is Kind.SIDECAR}
        self._asked = {key for key, item in found.items() if item.size and self._is_asked(key, item)}
        wanted = [key for key in self.headers if found[key].size or not self._is_fresh([found[key]])]
        self.said = read([*wanted, *self._asked])
        self.unread = {key for key in wanted if key not in self.said}
        self._unread_folders = {posixpath.dirname(key) for key in self.unread}

    def recordings(self) -> Iterator[_Ready]:
        """Return the recordings that are complete or refused; the others are put among those that wait."""
        compound: set[str] = set()
        ready: list[_Ready] = []
        for header in self.headers:
            said = self.said.get(header)
            if header in self.unread:
                self._wait([header], NEXT_RUN)
                continue
            if said is None:  # no byte yet
                self._wait([header], "its content", self._until([self._found[header]]))
                continue
            wanted, fault = self._needed(header, said)
            self._named.update(there or key for key, there in wanted.items())
            if fault is None and said.segments:
                compound.add(header)
            present = [self._found[key] for key in dict.fromkeys([header, *filter(None, wanted.values())])]
            if self._lacks_its_turn(header, wanted):
                self._wait([item.key for item in present], NEXT_RUN)
                self.n_held += 1
                continue
            if fault is None:
                fault = self._incomplete(header, wanted, present)
                if fault is not None and self._is_fresh(present):
                    self._wait([item.key for item in present], "the other files that its header names", self._until(present))
                    continue
            ready.append(_Ready(key=header, items=tuple(present), fault=fault))
        # what has segments is none, so headers that name themselves or one another are refused, not passed over
        segments = self._named - compound
        return (one for one in ready if one.key not in segments)

    def others(self) -> Iterator[_Ready]:
        """Yield everything that is no header and is named by none; call it after `recordings`."""
        for key, item in self._found.items():
            if key in self.headers or key in self._named or kind_of(key) is Kind.SIDECAR:
                continue
            kind = kind_of(key)
            if kind is Kind.SIDE or (kind is Kind.UNKNOWN and self._is_beside_its_header(key)) or (kind is Kind.FOLDER and not item.size):
                yield _Ready(key=key, items=(item,), fate=PASSED_OVER)
            elif kind is Kind.FOLDER:
                name = key.removeprefix(keys.INBOX)
                sentence = f"{name} ends with a slash, like a folder, but has {item.size:,} bytes; upload it under another name"
                yield _Ready(key=key, items=(item,), fault=BadInputError(Reason.UNSAFE_PATH, sentence))
            elif self._is_fresh([item]) and (why := self._why_wait(key, item, kind)):
                self._wait([key], why, None if why == NEXT_RUN else self._until([item]))
            elif self._is_left_unread(key, kind):
                self._wait([key], NEXT_RUN)
            elif is_label_table(key) and item.size <= self._max_bytes and _path_fault(key) is None:
                table = LabelTableFile(key=key, etag=item.etag, modified=item.modified.isoformat(), released=key in self._released)
                self.result.labels.append(table)
            else:
                yield _Ready(key=key, items=(item, *self._aside(key)), fault=self._fault_of(key, kind))

    def take_turns(self, ready: list[_Ready], most: int) -> list[_Ready]:
        """Return those that were complete first, ``most`` at most; the others are put among those that wait for the next run."""
        if len(ready) <= most:
            return ready
        ready = sorted(ready, key=lambda one: (one.modified, one.key))
        self._wait(dict.fromkeys(item.key for one in ready[most:] for item in one.items), NEXT_RUN)
        self.n_held += len(ready) - most
        return ready[:most]

    def sidecars(self) -> Iterator[_Ready]:
        """Yield the sidecars that no file needs any more: a copy went along with each that did. Call it when all others had their turn."""
        unread = {posixpath.dirname(key) for key in self._asked - self.said.keys()}
        needed = set(self.result.waits)
        for sidecar in (self._found[key] for key in self._found if kind_of(key) is Kind.SIDECAR and key not in self._named):
            if sidecar.key in needed:
                continue
            if self._is_fresh([sidecar]) or posixpath.dirname(sidecar.key) in unread:
                self._wait([sidecar.key], "files that it describes", self._until([sidecar]))
            else:
                yield _Ready(key=sidecar.key, items=(sidecar,), fate=PASSED_OVER)

    def _is_left_unread(self, key: str, kind: Kind) -> bool:
        """Return whether a file has to wait for a run that reads it, or a header that may name it."""
        if key in self._asked and key not in self.said and kind is not Kind.UNKNOWN:
            self.n_held += 1
            return True
        return kind in {Kind.SIGNAL, Kind.UNKNOWN} and posixpath.dirname(key) in self._unread_folders

    def _is_asked(self, key: str, item: ObjectInfo) -> bool:
        """Return whether a file is looked into: its name says nothing, or it may need a sidecar."""
        kind = kind_of(key)
        if kind is Kind.UNKNOWN:
            return self._is_fresh([item])
        if kind is Kind.SIGNAL:  # an array of its own, where no header names it
            return is_matlab(key) and header_beside(key) not in self._found
        return kind is Kind.ARRAY or (is_csv(key) and posixpath.dirname(key) in self._folders)

    def _aside(self, key: str) -> tuple[ObjectInfo, ...]:
        """Return the sidecar of a file, where it may need one and it is there."""
        names = self.said[key].names if key in self.said else ()
        folder = posixpath.dirname(key)
        there = (found for name in names if (found := self._there(f"{folder}/{name}")))
        return tuple(self._found[found] for found in list(there)[:1])

    def _lacks_its_turn(self, header: str, wanted: dict[str, str | None]) -> bool:
        """Return whether a segment's header was not read yet, or a header that may name this one as its segment."""
        whole = header_of_segments(header)
        return bool(self.unread) and (whole in self.unread or not self.unread.isdisjoint(filter(None, wanted.values())))

    def _needed(self, header: str, said: Said) -> tuple[dict[str, str | None], BadInputError | None]:
        """Return every file that a header needs, with the key under which it is there; those of segments as far as these were read."""
        if said.fault:
            return {}, BadInputError(Reason(said.fault), said.message)
        folder = posixpath.dirname(header)
        wanted = {f"{folder}/{name}": self._there(f"{folder}/{name}") for name in said.names}
        if not said.segments:
            return wanted, None
        for segment, there in list(wanted.items()):
            parsed = None if there is None else self.said.get(there)
            if parsed is None:
                continue
            if parsed.fault:
                return {}, BadInputError(Reason(parsed.fault), parsed.message)
            if parsed.segments:
                name = header.removeprefix(keys.INBOX)
                sentence = f"{name}: its segment {posixpath.basename(segment)} is itself made of segments"
                return {}, BadInputError(Reason.UNREADABLE, sentence)
            wanted |= {f"{folder}/{name}": self._there(f"{folder}/{name}") for name in parsed.names}
            if len(wanted) > _MAX_FILES:
                sentence = f"{header.removeprefix(keys.INBOX)}: its segments name more than {_MAX_FILES:,} files, which is the limit"
                return {}, BadInputError(Reason.TOO_LARGE, sentence)
        return wanted, None

    def _incomplete(self, header: str, wanted: dict[str, str | None], present: Sequence[ObjectInfo]) -> BadInputError | None:
        """Return what a recording lacks, as it will be reported when the grace period is over."""
        missing = [posixpath.basename(key) for key, there in wanted.items() if there is None]
        if missing:
            alike = [posixpath.basename(key) for name in missing for key in self._alike(f"{posixpath.dirname(header)}/{name}")]
            parsed = f"; it is not clear which of {', '.join(alike[:4])} is meant" if alike else ""
            names = f"{', '.join(missing[:20])}{f' and {len(missing) - 20} more' * (len(missing) > 20)}"  # noqa: PLR2004 - enough for a sentence
            never = f"is not in {self._archive}" if self._archive else f"did not come within {self._grace_s:.0f} s"
            sentence = f"{posixpath.basename(header)} names {names}, which {never}{parsed}"
            return BadInputError(Reason.INCOMPLETE, sentence)
        empty = [posixpath.basename(item.key) for item in present if not item.size]
        if empty:
            late = f", and no content followed within {self._grace_s:.0f} s"
            again = f" in {self._archive}: pack it" if self._archive else f"{late}: upload it"
            sentence = f"{', '.join(empty[:20])} came without content{again} again"
            return BadInputError(Reason.INCOMPLETE, sentence)
        return None

    def _why_wait(self, key: str, item: ObjectInfo, kind: Kind) -> str:
        """Return what a file waits for that came a short while ago; empty if it can be read now."""
        if kind is Kind.UNFINISHED:
            return "the end of its upload"
        if not item.size:
            return "its content"
        if kind is Kind.SIGNAL and not (key in self.said and self.said[key].is_table and self._aside(key)):
            return "a header that names it"
        if kind is Kind.ARRAY and key in self.said and self.said[key].names and not self._aside(key):
            return f"a {SIDECAR} that describes it"
        if kind is Kind.UNKNOWN:
            said = self.said.get(key)
            return NEXT_RUN if said is None else "" if said.is_table else "a header that names it"
        return ""

    def _fault_of(self, key: str, kind: Kind) -> BadInputError | None:
        """Return why a file is refused unread for which the grace period is over."""
        name = posixpath.basename(key)
        if kind is Kind.UNFINISHED:
            called = finished_name(key)
            what_now = f"upload it as {called} once it is complete" if called else "upload it under its own name"
            came = f"it was packed into {self._archive}" if self._archive else f"nothing came for {self._grace_s:.0f} s"
            sentence = f"{name} has the name of an unfinished upload, and {came}; {what_now}"
            return BadInputError(Reason.INCOMPLETE, sentence)
        if kind is Kind.SIGNAL and not (key in self.said and self.said[key].is_table):
            never = f"is in {self._archive}: pack" if self._archive else f"came within {self._grace_s:.0f} s: upload"
            sentence = f"no readable header that names {name} {never} both together"
            return BadInputError(Reason.INCOMPLETE, sentence)
        return None

    def _there(self, key: str) -> str | None:
        """Return the key of the file that a header means, or None if it is not there."""
        if key in self._found:
            return key
        alike = self._alike(key)
        return alike[0] if len(alike) == 1 else None

    def _alike(self, key: str) -> list[str]:
        folded = _folded(key)
        found = self._otherwise.get(folded, [])
        return [*found, folded] if folded != key and folded in self._found else found

    def _is_beside_its_header(self, key: str) -> bool:
        header = self._there(header_beside(key))
        return header is not None and header in self.said and not self.said[header].fault

    def _wait(self, waiting: Iterable[str], why: str, until: datetime | None = None) -> None:
        wait = Wait(why=why, until=until)
        for key in waiting:
            self.result.waits.setdefault(key, wait)

    def _until(self, items: Sequence[ObjectInfo]) -> datetime:
        return max(item.modified for item in items) + timedelta(seconds=self._grace_s)

    def _is_fresh(self, items: Sequence[ObjectInfo]) -> bool:
        return self._at < self._until(items) and not any(item.key in self._released for item in items)


def _other_spellings(found: Iterable[str]) -> dict[str, list[str]]:
    """Return the keys whose file's name has upper-case letters, by the same name without them."""
    spellings: dict[str, list[str]] = {}
    for key in found:
        folded = _folded(key)
        if folded != key:
            spellings.setdefault(folded, []).append(key)
    return spellings


def _folded(key: str) -> str:
    folder, slash, name = key.rpartition("/")
    return f"{folder}{slash}{name.casefold()}"


def _drop(ready: _Ready, *, max_bytes: int) -> Drop:
    key, fault = ready.key, ready.fault
    name = key.removeprefix(keys.INBOX)
    files = tuple(InboxFile(key=item.key, etag=item.etag, size=item.size) for item in ready.items)
    drop = Drop(name=name, files=files, modified=ready.modified.isoformat(), fate=ready.fate)
    if ready.fate:
        return drop
    size = sum(item.size for item in ready.items)
    if fault is None and size > max_bytes:
        fault = BadInputError(Reason.TOO_LARGE, f"{name} has {size:,} bytes; the limit is {max_bytes:,}")
    fault = fault if key.endswith("/") else _path_fault(key) or fault
    return drop if fault is None else structs.replace(drop, reason=fault.reason.value, message=fault.message)


def _path_fault(key: str) -> BadInputError | None:
    try:
        checked_path(key.removeprefix(keys.INBOX))
    except BadInputError as error:
        return error
    return None
