"""Here: copies without identifiers of the bytes that raw/ holds, drop by drop, as the door makes them. Not here: accounts as a whole.

Nothing is deleted here, and every new object is named by its content: what was broken off is made again and is the same.
"""

import posixpath
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from msgspec import structs

from ecg_tasks import readers
from ecg_tasks.archive import keys, packed_copies, sources
from ecg_tasks.archive.documents import CopyCounts, Input, Withheld
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.packed_copies import CopiesWriter
from ecg_tasks.errors import BadInputError
from ecg_tasks.parsing.here import Parse
from ecg_tasks.pipeline.deidentification import accounts
from ecg_tasks.pipeline.deidentification.stored import Sources
from ecg_tasks.pipeline.intake.keeping import Keeping
from ecg_tasks.readers import packed
from ecg_tasks.readers.file_names import HEADER_SUFFIX, is_header
from ecg_tasks.readers.packed import Limits
from ecg_tasks.readers.wfdb.header import NO_FILE, header_text
from ecg_tasks.readers.wfdb.lines import record_line, signal_line
from ecg_tasks.readers.wfdb.renaming import renamed

GONE, NOT_TAKEN, REFUSED, NO_COPY = "its bytes are gone", "no recording", "it was refused", "no copy can be made"
"""Why bytes are withheld, beside the codes of what cannot be read."""
_MOST_LISTED = 1000
_MOST_BYTES = 1_000_000_000
"""Of one object of copies, as at the door."""
_ANY = Limits(n_bytes=1 << 50, n_members=1 << 24)
"""Of an archive that the door has let in before."""


@dataclass
class Copies:
    """The copies of all drops while they are made; ``tell`` is called at each drop, and ``parse`` reads it, behind walls."""

    store: ObjectStore
    keeping: Keeping
    dry_run: bool
    tell: Callable[[], None]
    parse: Parse
    counts: Counter[str] = field(default_factory=Counter)
    why: Counter[str] = field(default_factory=Counter)
    withheld: list[Withheld] = field(default_factory=list)
    of_record: dict[tuple[str, str], str] = field(default_factory=dict)
    alone: dict[str, str] = field(default_factory=dict)
    there: set[str] = field(default_factory=set)
    """Keys in raw/ that an account names now."""

    @property
    def account(self) -> CopyCounts:
        """The sums so far."""
        told = {name: self.counts[name] for name in ("copied", "withheld", "as_they_were")}
        return CopyCounts(drops=sum(told.values()), **told, why=dict(sorted(self.why.items())))

    @property
    def now(self) -> Sources:
        """Which source stands in place of which."""
        return Sources(of_record=self.of_record, alone=self.alone)

    def lines(self, lines: Iterator[Input]) -> Iterator[Input]:
        """Yield the lines of an account with what is kept of each drop now; the drops of an archive that is kept come last."""
        archived: defaultdict[str, list[tuple[int, Input]]] = defaultdict(list)
        made: dict[int, Input] = {}
        for number, line in enumerate(lines):
            self.tell()
            if line.kept == "as_dropped" and line.source and line.files and line.files[0].member:
                archived[line.source].append((number, line))
                continue
            made[number] = self._line(line)
        for source, listed in archived.items():
            made |= dict(zip((number for number, _ in listed), self._of_archive(source, [line for _, line in listed]), strict=True))
        yield from (made[number] for number in sorted(made))

    def is_called(self, key: str) -> bool:
        """Tell whether an object of raw/ has a name that tells nobody; others lie beside it where the same bytes came by several names."""
        name = key.rpartition("/")[2]
        return keys.is_ours(name) or self._called(name) == name

    def _line(self, line: Input) -> Input:
        told = accounts.line(line, self.keeping.names)
        if not line.source or line.fate == "gone" or line.kept == "nothing":
            return self._as_it_was(line, told)
        if line.kept == "deidentified":
            return self._renamed(line, told)
        try:
            contents = self._contents(line)
        except (BadInputError, ValueError, KeyError) as fault:
            return self._withhold(line, told, fault.reason.value if isinstance(fault, BadInputError) else "unreadable")
        if not contents:
            return self._withhold(line, told, REFUSED if line.fate == "quarantined" else GONE)
        return self._kept(line, told, contents, self._put)

    def _kept(self, line: Input, told: Input, contents: Mapping[str, bytes], put: Callable[[Mapping[sources.File, bytes]], str]) -> Input:
        """Return the line of a drop after its copy is kept, or nothing of it."""
        first = next(iter(contents))
        name = line.name if posixpath.basename(line.name) == first else first
        why, reading, copy = NOT_TAKEN, None, None
        if line.fate == "records":
            try:
                reading, copy = self.parse(name, contents, called=self.keeping.called(contents))
            except BadInputError as fault:
                why = fault.reason.value
        elif line.fate == "quarantined":
            why = REFUSED
        files = told.files if len(told.files) == len(contents) else ()
        if not files:
            return self._withhold(line, told, "unreadable")
        kept = self.keeping.keep(told, contents, copy=copy, put=put)
        if kept.kept != self.keeping.keeps or self.keeping.keeps == "nothing":
            return self._withhold(line, kept, why if reading is None else NO_COPY)
        self.counts["copied"] += 1
        return self._note(line, kept)

    def _put(self, files: Mapping[sources.File, bytes]) -> str:
        """Keep a copy, or in a dry run say where it would be."""
        return sources.source_of(list(files)) if self.dry_run else sources.keep(self.store, files)

    def _as_it_was(self, line: Input, told: Input) -> Input:
        self.counts["as_they_were"] += 1
        return self._note(line, told)

    def _withhold(self, line: Input, told: Input, why: str) -> Input:
        self.counts["withheld"] += 1
        self.why[why] += 1
        if len(self.withheld) < _MOST_LISTED:
            self.withheld.append(Withheld(name=told.name, reason=why))
        return self._note(line, structs.replace(told, kept="nothing", dropped="", kept_in=""))

    def _note(self, line: Input, now: Input) -> Input:
        """Remember which source stands in place of the line's, and what of raw/ is its own."""
        if line.source:
            self.of_record.setdefault((line.source, now.record_name), now.source)
            if line.records or line.source not in self.alone:
                self.alone[line.source] = now.source
        if now.kept != "nothing":
            self.there.update((f"{keys.RAW}{now.source}/", now.kept_in))
            self.there.update(f"{keys.RAW}{file.sha256}/" for file in now.files if file.sha256)
        return now

    def _renamed(self, line: Input, told: Input) -> Input:
        """Return the line of a drop that has a copy: its files are called by digests, as the door calls them where names are not kept."""
        if line.kept_in:
            return self._renamed_in_archive(line, told)
        try:
            contents = self._stored(line)
            called = {name: self._called(name) for name in contents}
            if all(name == now for name, now in called.items()):
                return self._as_it_was(line, told)
            copy = renamed(contents, called) if any(map(is_header, contents)) else {called[name]: data for name, data in contents.items()}
        except (BadInputError, ValueError, KeyError):
            return self._withhold(line, told, "unreadable")
        described = {sources.file_of(name, data): data for name, data in copy.items()}
        source, files = self._put(described), list(described)
        pairs = zip(told.files, files, strict=False)
        now = structs.replace(told, source=source, files=tuple(structs.replace(one, sha256=file.sha256) for one, file in pairs))
        self.counts["copied"] += 1
        return self._note(line, now)

    def _renamed_in_archive(self, line: Input, told: Input) -> Input:
        """Return the line of a drop whose copy lies among others: they are called by digests already, unless names were kept."""
        item = self.store.info(line.kept_in)
        if item is None:
            return self._withhold(line, told, GONE)
        listed = packed_copies.names_in(self.store, item)
        if all(self._called(name) == name for name in listed):
            return self._as_it_was(line, told)
        return self._withhold(line, told, NO_COPY)

    def _called(self, name: str) -> str:
        """Return the digest of a file's name; of one that is a digest already itself."""
        return name if self.keeping.names.in_list(f"{keys.RAW}0/{name}") == f"{keys.RAW}0/{name}" else self.keeping.names.file(name)

    def _stored(self, line: Input) -> dict[str, bytes]:
        """Return the files that raw/ holds of a drop, by the names that they have there, in the order of the line."""
        listed = sources.listed(self.store, line.source)
        if listed is not None:
            return dict(zip((file.name for file in listed), self.store.get_many(file.key for file in listed), strict=True))
        found = {key.rpartition("/")[2]: key for key in self.store.list_keys(f"{keys.RAW}{line.source}/") if not keys.digest_of_copies(key)}
        wanted = [posixpath.basename(file.key) for file in line.files]
        names = [name for one in wanted for name in (keys.file_name(one), self.keeping.names.file(one)) if name in found]
        chosen = list(dict.fromkeys(names)) if len(names) >= len(line.files) else sorted(found)[: len(line.files)]
        return dict(zip(chosen, self.store.get_many(found[name] for name in chosen), strict=True))

    def _contents(self, line: Input) -> dict[str, bytes]:
        """Return the files of a drop by the names that they were dropped with, as far as these are known: headers name others by them."""
        stored = self._stored(line)
        plain: dict[str, str] = {}
        for file in line.files:
            name = posixpath.basename(file.key)
            plain |= {keys.file_name(name): name, self.keeping.names.file(name): name}
        for name, data in stored.items():
            if is_header(name):
                plain |= {self.keeping.names.file(one): one for one in _named_in_header(data, name=name)}
        return {plain.get(name, name): data for name, data in stored.items()}

    def _of_archive(self, source: str, lines: Sequence[Input]) -> list[Input]:
        """Return the lines of the drops of an archive that is kept as it came: their copies lie together, as at the door."""
        told = [accounts.line(line, self.keeping.names) for line in lines]
        found = [key for key in self.store.list_keys(f"{keys.RAW}{source}/") if not keys.digest_of_copies(key)]
        if not found:
            return [self._withhold(line, one, GONE) for line, one in zip(lines, told, strict=True)]
        copies = packed_copies.source_of(source, 0, 1)
        made: list[Input] = []
        with tempfile.TemporaryDirectory() as folder:
            try:
                members = self._members(found[0], lines, Path(folder))
            except BadInputError as fault:
                return [self._withhold(line, one, fault.reason.value) for line, one in zip(lines, told, strict=True)]
            with _Together(self, copies, made) as together:
                for line, one in zip(lines, told, strict=True):
                    there = [members[file.member] for file in line.files if file.member in members]
                    contents = {posixpath.basename(path): unpacked.read_bytes() for path, unpacked in there}
                    if len(contents) < len(line.files):
                        made.append(self._withhold(line, one, REFUSED if line.fate == "quarantined" else GONE))
                    else:
                        made.append(self._kept(line, one, contents, together.take))
                        together.add(contents)
                together.put()
        return made

    def _members(self, key: str, lines: Sequence[Input], folder: Path) -> dict[str, tuple[str, Path]]:
        """Unpack the members that lines name into a folder; returns each by its path or the digest of that, with its plain path."""
        wanted = {file.member for line in lines for file in line.files}
        names = self.keeping.names
        archive = _KeptArchive(self.store, key)
        packing = packed.packing_of(archive.read_at(0, readers.HEAD_BYTES))
        if packing is None:
            return {}
        found: dict[str, tuple[str, Path]] = {}

        def asked(path: str) -> int:
            return 1 << 40 if path in wanted or names.hashed(path) in wanted else 0

        for number, (member, data) in enumerate(packed.walk(archive, packing, name="archive", limits=_ANY, wanted=asked)):
            if asked(member.path) and member.fault is None:
                path = folder / str(number)
                path.write_bytes(data)
                found[member.path if member.path in wanted else names.hashed(member.path)] = member.path, path
        return found


class _Together:
    """The copies of an archive's recordings, which go into one object, or into a few where they are large; ``made`` are their lines."""

    def __init__(self, copies: Copies, source: str, made: list[Input]) -> None:
        self._copies, self._source, self._made = copies, source, made
        self._writer: CopiesWriter | None = None
        self._waiting: list[int] = []
        self._copy: dict[sources.File, bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer is not None:
            self._writer.__exit__(*error)

    def take(self, files: Mapping[sources.File, bytes]) -> str:
        """Take a copy, to be added with the line of its drop."""
        self._copy = dict(files)
        return self._source

    def add(self, contents: Mapping[str, bytes]) -> None:
        """Add the copy that was taken, if any, of the drop whose line was made last."""
        if not self._copy:
            return
        self._writer = self._writer or CopiesWriter()
        read, _ = self._copies.parse(next(iter(contents)), contents, called=None)
        self._writer.add(self._copy, records=[record.record_id for record in read.records])
        self._waiting.append(len(self._made) - 1)
        self._copy = {}
        if self._writer.n_bytes >= _MOST_BYTES:
            self.put()

    def put(self) -> None:
        """End the object, unless this is a dry run."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        with writer:
            if not self._copies.dry_run:
                key = writer.put(self._copies.store, self._source)
                self._copies.there.add(key)
                for number in self._waiting:
                    self._made[number] = structs.replace(self._made[number], kept_in=key)
        self._waiting.clear()


class _KeptArchive:
    """An archive in raw/ as a source that is read from its first to its last byte."""

    def __init__(self, store: ObjectStore, key: str) -> None:
        self._file = store.spool(key)
        self._file.seek(0, 2)
        self.size = self._file.tell()

    def pieces(self) -> Iterator[bytes]:
        """Return all of its bytes, in pieces."""
        self._file.seek(0)
        yield from iter(lambda: self._file.read(1 << 20), b"")

    def read_at(self, at: int, n_bytes: int) -> bytes:
        """Return a part of it; fewer bytes at its end."""
        before = self._file.tell()
        self._file.seek(at)
        data = self._file.read(n_bytes)
        self._file.seek(before)
        return data


def _named_in_header(data: bytes, *, name: str) -> Iterator[str]:
    """Yield the names that a WFDB header gives: its own, and those of its files."""
    content = [text.strip() for text in header_text(data, name=name).splitlines() if text.strip() and not text.strip().startswith("#")]
    first = record_line(content)
    yield content[0].split("/")[0].split()[0] + HEADER_SUFFIX
    for text in content[1:]:
        written = text.split()[0] if first.n_segments else signal_line(text)[0]
        if written != NO_FILE:
            yield written + (HEADER_SUFFIX if first.n_segments else "")
