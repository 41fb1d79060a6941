"""Here: what sources and reviewers say of classes: stored, and which list is in force. Not here: normal and abnormal (``labelling``)."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from ecg_tasks.archive import keys, tables
from ecg_tasks.archive.labelling import REVIEW, LabelEntry, in_force, standing
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.labels import ClassList, Label, Superclass


@dataclass(frozen=True, kw_only=True)
class ClassEntry:
    """What a source or a reviewer said of a record's classes, and when (ISO 8601); ``classes`` is a `ClassList` as text.

    That of a reviewer has the ``who`` and ``when`` of the verdict that it belongs to, and counts while that does.
    """

    record_id: str
    classes: str
    who: str
    when: str

    @property
    def found(self) -> ClassList:
        """The list that the text is."""
        return ClassList.read(self.classes) or ClassList(frozenset(), is_whole=False)


@dataclass(frozen=True, kw_only=True)
class KnownClasses:
    """What is known of a record's classes: names of those that it has, and of those that it has not, and who said so."""

    has: frozenset[str]
    lacks: frozenset[str]
    who: str


def classes_in_force(lists: Iterable[ClassEntry], *, labels: Iterable[LabelEntry]) -> dict[str, KnownClasses]:
    """Return what is known of the classes of each record: the latest list that was not withdrawn, unless it contradicts the label in force.

    A class that is not in a whole list is absent if whoever wrote the list names it anywhere; the five superclasses are named together.
    What a source never names is not known of its records: it may not have looked for it.

    Parameters
    ----------
    labels : everything that was ever said of normal and abnormal
    """
    entries = list(labels)
    label_of = {record_id: entry.label for record_id, entry in in_force(entries).items()}
    verdicts = {_belonging(entry) for entry in standing(entry for entry in entries if entry.is_review)}
    latest: dict[str, ClassEntry] = {}
    named_by: dict[str, set[str]] = {}
    for entry in lists:
        if entry.who.startswith(REVIEW) and _belonging(entry) not in verdicts:
            continue
        before = latest.get(entry.record_id)
        if before is None or (entry.when, entry.who, entry.classes) > (before.when, before.who, before.classes):
            latest[entry.record_id] = entry
        named_by.setdefault(entry.who, set()).update(entry.found.names | entry.found.absent)
    for names in named_by.values():
        if not names.isdisjoint(Superclass):
            names.update(one.value for one in Superclass)
    known = ((record_id, entry, label_of.get(record_id)) for record_id, entry in latest.items())
    return {record_id: _known(entry, label, named_by[entry.who]) for record_id, entry, label in known if _fits(entry.found, label)}


def stored_classes(store: ObjectStore) -> Iterator[ClassEntry]:
    """Yield everything that was ever said of classes."""
    for data in store.get_many(store.list_keys(keys.CLASSES)):
        yield from load_classes(data)


def load_classes(data: bytes) -> Iterator[ClassEntry]:
    """Yield the rows of one stored table."""
    columns = tables.load(data)
    for values in zip(*(columns[name] for name in tables.CLASSES.names), strict=True):
        yield ClassEntry(**dict(zip(tables.CLASSES.names, values, strict=True)))


def dump_classes(entries: Iterable[ClassEntry]) -> bytes:
    """Return rows as Parquet."""
    rows = sorted(entries, key=lambda entry: (entry.record_id, entry.when, entry.who))
    return tables.dump(tables.CLASSES, {name: [getattr(row, name) for row in rows] for name in tables.CLASSES.names})


def write_classes(store: ObjectStore, entries: Iterable[ClassEntry]) -> None:
    """Append a table of rows, named by its content."""
    data = dump_classes(entries)
    store.put(keys.classes(hashlib.sha256(data).hexdigest()[:20]), data)


def append_classes(store: ObjectStore, found: Mapping[str, ClassEntry], *, said: pa.Table) -> list[ClassEntry]:
    """Append what label tables say of classes, by record, where sources had ``said`` something else; returns what was new.

    Parameters
    ----------
    said : ``record_id``, and the list of classes as ``label``
    """
    before = dict(zip(said["record_id"].to_pylist(), said["label"].to_pylist(), strict=True))
    new = [entry for record_id, entry in found.items() if before.get(record_id) != entry.classes]
    if new:
        write_classes(store, new)
    return new


def _belonging(entry: LabelEntry | ClassEntry) -> tuple[str, str, str]:
    return entry.record_id, entry.who, entry.when


def _fits(said: ClassList, label: str | None) -> bool:
    return label != Label.UNINTERPRETABLE and not said.contradicts(label)


def _known(entry: ClassEntry, label: str | None, named: set[str]) -> KnownClasses:
    said = entry.found
    lacks = said.absent | (named - said.names if said.is_whole else frozenset())
    if label == Label.NORMAL:
        lacks -= {Superclass.NORM}
    return KnownClasses(has=said.names, lacks=lacks, who=entry.who)
