"""Here: labels of the archive: which one is in force, and taking over label tables from the inbox. Not here: parsing CSV."""

import hashlib
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ecg_tasks.errors import BadInputError
from ecg_tasks.signals.reading.labels_csv import LabelRow, LabelTable, read_labels
from ecg_tasks.storage import keys, tables
from ecg_tasks.storage.object_store import ObjectStore


@dataclass(frozen=True, kw_only=True)
class LabelEntry:
    """One label of one record: who gave it, and when (ISO 8601)."""

    record_id: str
    label: str
    who: str
    when: str


def labels_in_force(store: ObjectStore, *, label_keys: Iterable[str] | None = None) -> dict[str, LabelEntry]:
    """The latest label of every record that has one; ``label_keys`` bounds the tables that are read."""
    latest: dict[str, LabelEntry] = {}
    for data in store.get_many(store.list_keys(keys.LABELS) if label_keys is None else label_keys):
        for entry in load_labels(data):
            before = latest.get(entry.record_id)
            if before is None or (entry.when, entry.who, entry.label) > (before.when, before.who, before.label):
                latest[entry.record_id] = entry
    return latest


def load_labels(data: bytes) -> Iterator[LabelEntry]:
    """Rows of one stored label table."""
    columns = tables.load(data)
    for record_id, label, who, when in zip(columns["record_id"], columns["label"], columns["who"], columns["when"], strict=True):
        yield LabelEntry(record_id=record_id, label=label, who=who, when=when)


def dump_labels(entries: Iterable[LabelEntry]) -> bytes:
    """Parquet bytes of label rows."""
    rows = sorted(entries, key=lambda entry: (entry.record_id, entry.when, entry.who))
    return tables.dump(tables.LABELS, {name: [getattr(row, name) for row in rows] for name in tables.LABELS.names})


def append_labels(store: ObjectStore, entries: Iterable[LabelEntry], *, before: Iterable[str]) -> int:
    """Append the entries that say something else than the tables ``before``; returns how many did.

    The same file twice adds nothing, and neither does the same call twice.
    """
    force = labels_in_force(store, label_keys=before)
    latest: dict[str, LabelEntry] = {}
    for entry in sorted(entries, key=lambda entry: (entry.when, entry.who, entry.label)):
        latest[entry.record_id] = entry
    new = [entry for entry in latest.values() if entry.record_id not in force or force[entry.record_id].label != entry.label]
    if new:
        data = dump_labels(new)
        store.put(keys.labels(hashlib.sha256(data).hexdigest()[:20]), data)
    return len(new)


def read_tables(store: ObjectStore, label_keys: Iterable[str]) -> dict[str, LabelTable | BadInputError]:
    """Parse label tables; one that cannot be read gives its fault instead."""
    wanted = list(label_keys)
    parsed: dict[str, LabelTable | BadInputError] = {}
    for key, data in zip(wanted, store.get_many(wanted), strict=True):
        try:
            parsed[key] = read_labels(data, name=key.removeprefix(keys.INBOX))
        except BadInputError as error:
            parsed[key] = error
    return parsed


def rows_by_name(parsed: Mapping[str, LabelTable | BadInputError]) -> dict[str, LabelRow]:
    """Label rows by the full name of the record they speak of: a table speaks of its own folder and those below."""
    found: dict[str, LabelRow] = {}
    for key, table in parsed.items():
        if isinstance(table, LabelTable):
            for row in table.rows:
                found[record_name(key, row)] = row
    return found


def record_name(label_key: str, row: LabelRow) -> str:
    """Name below the inbox of the record that a row of a label table speaks of.

    The column ``record`` holds a path beside the table, with or without ``.hea``, or ``file.csv#row``.
    """
    folder = posixpath.dirname(label_key.removeprefix(keys.INBOX))
    return posixpath.join(folder, row.record.removesuffix(".hea"))
