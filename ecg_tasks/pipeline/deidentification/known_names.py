"""Here: the names that a bucket holds in the clear, and what stands in their place. Not here: where they stand (``written``, ``stored``).

A record is called by its id where one record alone has the name, as at the door; everything else by the digest of its name.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import Enum

from ecg_tasks import errors, labels, names
from ecg_tasks.archive import account_lists, keys, tables
from ecg_tasks.archive.documents import Input, IntakeManifest, QuarantinedInput, QuarantineReason, find, read_manifests
from ecg_tasks.archive.labelling import SOURCE
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.errors import SENTENCES, Reason
from ecg_tasks.readers.file_names import recording_name
from ecg_tasks.signals.flags import Flag

_WORD = re.compile(r"\w+")
_ROW = re.compile(r"#\d+", re.ASCII)
_DIGITS_THAT_TELL = 6
"""A shorter number within a text may be any number."""
_LETTERS_THAT_TELL = 4


def _words(kind: type[Enum]) -> set[str]:
    return {str(one.value) for one in kind}


_OURS = frozenset().union(
    *(
        _words(kind)
        for module in (errors, labels, names)
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Enum) and len(kind)
    ),
    _words(Flag),
    {"female", "male", "records", "quarantined", "gone", "passed_over", "source", "review", "row", "wave"},
)
"""Words of this program: a file that is called by one is not told by it."""


class KnownNames:
    """Names of records, files and folders that stand in the clear, and sentences that may quote a file."""

    def __init__(self, names: StoredNames) -> None:
        self.names = names
        self._ids: defaultdict[str, set[str]] = defaultdict(set)
        self._files: set[str] = set()
        self._sentences: dict[str, str] = {}
        self._by_word: dict[str, list[str]] | None = None

    def __len__(self) -> int:
        return len(self._ids.keys() | self._files)

    def add_record(self, name: str, record_id: str) -> None:
        """Note by which name a record is stored."""
        if name != record_id and not self._is_hashed(name):
            self._ids[name].add(record_id)
            self._files.add(name.rpartition("#")[0] if _ROW.search(name) else name)

    def add_file(self, path: str) -> None:
        """Note the path of a file below the inbox, and the name of its recording."""
        path = path.removeprefix(keys.INBOX)
        if path and not self._is_hashed(path):
            self._files |= {path, recording_name(path)}

    def add_sentence(self, sentence: str, reason: str) -> None:
        """Note a sentence that was said of a file."""
        if sentence and reason in set(Reason) and sentence != SENTENCES[Reason(reason)]:
            self._sentences[sentence] = SENTENCES[Reason(reason)]

    def told(self, text: str) -> str:
        """Return what stands in place of a whole value: of a name, a key or a sentence; else itself, with the names in it replaced."""
        if text in self._sentences:
            return self._sentences[text]
        if text in _OURS:
            return text
        if text.startswith(keys.INBOX):
            return self.names.in_inbox(text)
        if text.startswith((keys.RAW, keys.QUARANTINE)):
            return self.names.in_list(text)
        if text.startswith(SOURCE):
            return self.who(text)
        return self._of_name(text) or self.within(text)

    def who(self, text: str) -> str:
        """Return who gave a label, with a file's name replaced."""
        file = text.removeprefix(SOURCE)
        return text if file == text else f"{SOURCE}{self.names.shown(file)}"

    def within(self, text: str) -> str:
        """Return a text with the known names in it replaced; a short number or a word of this program is left alone."""
        if self._by_word is None:
            self._by_word = self._index()
        made: list[str] = []
        at = 0
        for word in _WORD.finditer(text):
            if word.start() < at:
                continue
            for name in self._by_word.get(word.group(), ()):
                start = word.start() - name.index(word.group())
                if start >= at and text.startswith(name, start) and self._stands_alone(text, start, start + len(name)):
                    row = _ROW.match(text, start + len(name))
                    end = row.end() if row else start + len(name)
                    made += [text[at:start], self._of_name(text[start:end]) or self.names.hashed(text[start:end])]
                    at = end
                    break
        return "".join([*made, text[at:]]) if made else text

    def _of_name(self, text: str) -> str | None:
        if len(ids := self._ids.get(text, ())) == 1:
            return next(iter(ids))
        file, row = (text.rpartition("#")[0], True) if _ROW.search(text) else (text, False)
        if text in self._ids or file in self._files:
            return self.names.hashed(text) if row or text in self._ids else self.names.shown(text)
        return None

    def _index(self) -> dict[str, list[str]]:
        found: defaultdict[str, list[str]] = defaultdict(list)
        for name in self._files | self._ids.keys():
            word = _WORD.search(name)
            tells = len(name) >= (_DIGITS_THAT_TELL if name.isdigit() else _LETTERS_THAT_TELL)
            if word and tells and name not in _OURS:
                found[word.group()].append(name)
        return {word: sorted(several, key=len, reverse=True) for word, several in found.items()}

    @staticmethod
    def _stands_alone(text: str, start: int, end: int) -> bool:
        before, after = text[start - 1 : start], text[end : end + 2]
        return not (before.isalnum() or before == "_" or (before == "." and text[start].isdigit())) and not (
            after[:1].isalnum() or after[:1] == "_" or (after[:1] == "." and after[1:].isdigit())
        )

    def _is_hashed(self, name: str) -> bool:
        return self.names.hashed(name) == name


def collect(store: ObjectStore, names: StoredNames) -> KnownNames:
    """Read every name that stands where names are kept: indexes, other names, labels, accounts and the quarantine."""
    known = KnownNames(names)
    for prefix in (keys.RECORD_INDEX, keys.ALIASES):
        for columns in _read_all(store, prefix, ["record_id", "name"]):
            for record_id, name in zip(columns["record_id"], columns["name"], strict=True):
                known.add_record(name, record_id)
    for prefix in (keys.LABELS, keys.CLASSES):
        for columns in _read_all(store, prefix, ["who"]):
            for who in {one for one in columns["who"] if one.startswith(SOURCE)}:
                known.add_file(who.removeprefix(SOURCE))
    for manifest in read_manifests(store, IntakeManifest):
        _note_account(known, store, manifest)
    for key in store.list_keys(keys.QUARANTINE):
        if key.endswith(f"/{keys.REASON}") and (reason := find(store, QuarantineReason, key)) is not None:
            _note_reason(known, reason)
    return known


def _note_account(known: KnownNames, store: ObjectStore, manifest: IntakeManifest) -> None:
    for line in account_lists.inputs(store, manifest):
        for path in _paths(line):
            known.add_file(path)
    for entry in account_lists.quarantined(store, manifest):
        _note_refused(known, entry)
    for key in (*manifest.waiting, *(manifest.needed or ()), *(table.key for table in manifest.labels.tables)):
        known.add_file(key)


def _note_reason(known: KnownNames, reason: QuarantineReason) -> None:
    _note_refused(known, reason)
    for row in reason.rows:
        _note_refused(known, row)
    for path in reason.inbox:
        known.add_file(path)


def _read_all(store: ObjectStore, prefix: str, columns: list[str]) -> Iterator[tables.Columns]:
    for data in store.get_many(store.list_keys(prefix)):
        yield tables.load(data, columns)


def _paths(line: Input) -> Iterable[str]:
    yield from (line.name, line.record_name)
    for file in line.files:
        yield file.key
        yield file.member


def _note_refused(known: KnownNames, entry: QuarantinedInput | QuarantineReason) -> None:
    known.add_file(_ROW.sub("", entry.name) if _ROW.search(entry.name) else entry.name)
    known.add_sentence(entry.message, entry.reason)
