"""Here: writing down what a run's label tables say of labels and patients. Not here: to which record a row belongs (``settling``)."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from ecg_tasks.archive import catalog, class_lists, descriptions, keys, labelling, record_shards, tables
from ecg_tasks.archive.account_lists import ListWriter
from ecg_tasks.archive.catalog import Catalog
from ecg_tasks.archive.class_lists import ClassEntry
from ecg_tasks.archive.descriptions import Person
from ecg_tasks.archive.documents import IntakePlan, IntakeResult, LabelCounts, LabelTableFile, QuarantinedInput, RefusedRow
from ecg_tasks.archive.forgotten import NAME
from ecg_tasks.archive.labelling import LabelEntry
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.errors import SENTENCES, BadInputError, MissingObjectError
from ecg_tasks.pipeline.intake import label_tables, names, settling
from ecg_tasks.pipeline.intake.forgotten_rows import NONE_FORGOTTEN, ForgottenNames
from ecg_tasks.pipeline.intake.keeping import Keeping
from ecg_tasks.pipeline.intake.quarantining import quarantine, quarantine_rows
from ecg_tasks.readers.file_names import recording_name
from ecg_tasks.readers.labels_csv import MAX_TABLE_BYTES
from ecg_tasks.readers.record_names import normal_name
from ecg_tasks.readers.text_file import unpack

AT_ONCE = 50_000
"""So many duplicates or labels are looked up together in the catalogue, so that memory does not hold a million."""


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """The records of one intake: its number, name and id of its duplicates, and, where asked for, all ids by digest and who is who."""

    number: int
    names: StoredNames
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    named: dict[str, set[str]] = field(default_factory=dict)
    persons: dict[str, Person] = field(default_factory=dict)

    def add(self, index: tables.Columns, repeated: NDArray[np.bool_], *, naming: bool) -> list[str]:
        """Note the records of a staged shard; returns the names of its duplicates. ``repeated`` tells which were there before."""
        pairs = list(zip(record_shards.names_of(index), index["record_id"], strict=True))
        again = [pairs[row] for row in np.flatnonzero(repeated)]
        self.duplicates.extend(again)
        if naming:
            persons = descriptions.persons_of(index)
            for (name, record_id), is_again in zip(pairs, repeated, strict=True):
                self.named.setdefault(self.names.hashed(name), set()).add(record_id)
                if not is_again:
                    self.persons[record_id] = persons[record_id]
        return [name for name, _ in again]


@dataclass(frozen=True, kw_only=True)
class Came:
    """What a run gave: records, the quarantine so far, labels inside recordings and those that are stored, new names.

    ``growing`` is what the catalogue takes in at the end.
    ``refused`` are the digests of the names of recordings and rows that gave no record; ``waiting`` those of recordings that wait
    in the inbox, or were taken back by their owner while the run was under way. Both are filled only where label tables ask for them.
    ``forgotten`` is what recordings are called that are refused because they were forgotten.
    """

    arrived: Arrived
    quarantined: ListWriter[QuarantinedInput]
    growing: catalog.Growing
    labels: list[tables.Table] = field(default_factory=list)
    stored: list[tables.Table] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    waiting: set[str] = field(default_factory=set)
    forgotten: ForgottenNames = NONE_FORGOTTEN

    def add(self, result: IntakeResult, *, labels: tables.Table | None, naming: bool) -> None:
        """Note what one task found."""
        if labels is not None:
            self.labels.append(labels)
        if naming:
            hashed = self.arrived.names.hashed
            self.refused.update(hashed(drop.record_name) for drop in result.inputs if drop.fate == "quarantined")
            self.refused.update(hashed(recording_name(entry.name)) for entry in result.quarantined)
            self.waiting.update(hashed(drop.record_name) for drop in result.inputs if drop.fate == "gone")


def settle_aliases(store: ObjectStore, came: Came, *, before: Catalog, at_least: int = 1) -> None:
    """Find out under which new names records came again, if there are ``at_least`` so many duplicates; they are let go of then."""
    duplicates = dict(came.arrived.duplicates)
    if len(duplicates) >= at_least:
        known = names.look_up(store, map(normal_name, duplicates), catalog=before, names=came.arrived.names)
        came.aliases.update(names.new_aliases(duplicates, known=known, names=came.arrived.names))
        came.arrived.duplicates.clear()


def settle_labels(store: ObjectStore, came: Came, *, before: Catalog, over: Mapping[str, LabelEntry], at_least: int = 1) -> None:
    """Store the labels inside recordings that say something new, if there are ``at_least`` so many; they are let go of then.

    ``over`` are the entries of label tables, by record: they stand in place of what the recording says.
    """
    if sum(len(rows) for rows in came.labels) + len(over) >= at_least:
        rows = labelling.rows_of(came.labels, over=over)
        new = labelling.append_labels(store, rows, said=labelling.latest_said([before.said(rows), *came.stored]))
        came.growing.add(catalog.of_labels(new))
        came.stored.append(new.select(["record_id", "label"]))
        came.labels.clear()


def settle_classes(store: ObjectStore, came: Came, *, before: Catalog, found: Mapping[str, ClassEntry]) -> int:
    """Store what label tables say of classes, by record, where that is new; returns of how many records."""
    if not found:
        return 0
    asked = tables.load_table(class_lists.dump_classes(found.values()))
    new = class_lists.append_classes(store, found, said=before.said(asked, kind=catalog.CLASSES))
    came.growing.add(catalog.of_classes(tables.load_table(class_lists.dump_classes(new))))
    return len(new)


def describe(store: ObjectStore, at: str, planned: IntakePlan, *, before: Catalog, came: Came, keeping: Keeping) -> LabelCounts:
    """Write what the tables staged below ``at`` say, and the labels from inside recordings; returns their account.

    Refused rows are added to ``came.quarantined``, what the catalogue shall know to ``came.growing``. ``before`` is the catalogue
    without this run.
    """
    staged = [table for table in label_tables.load(store, at, len(planned.labels)) if table.source]
    arrived = came.arrived
    settle_aliases(store, came, before=before)
    if came.aliases:
        came.growing.add(catalog.of_aliases(names.write_aliases(store, came.aliases, number=arrived.number)))
    wanted = settling.wanted(staged)
    now = {hashed: arrived.named[hashed] for name in wanted if (hashed := arrived.names.hashed(name)) in arrived.named}
    ids = {record_id for named in now.values() for record_id in named} - arrived.persons.keys()
    archived = names.look_up(store, wanted | ids, catalog=before, names=arrived.names)
    drop = settling.SettledDrop(
        now=now,
        new=arrived.persons.keys(),
        persons=arrived.persons,
        refused=came.refused,
        waiting=came.waiting,
        forgotten=came.forgotten,
    )
    late = before.described(archived.persons) if archived.persons and staged else {}
    folds = {}
    there = [*(row.person for table in staged for row in table.rows), *archived.persons.values(), *late.values()]
    if any(person.fold is not None for person in there):
        patients = {person.patient for person in (*there, *arrived.persons.values()) if person.patient is not None}
        folds = names.folds_of(before, patients)
    settled = settling.settle(staged, drop, archived, grace_ended=planned.grace_ended, known=late, folds=folds, names=arrived.names)
    leaving = [
        _Leaving(table, settled.faults.get(number, []), settled.forgotten[number])
        for number, table in enumerate(staged)
        if number not in settled.stays
    ]
    counts = _take_leave(store, at, leaving, came=came, keeping=keeping)
    if settled.persons:
        data = descriptions.write(store, settled.persons, number=arrived.number)
        came.growing.add(catalog.of_descriptions(data, number=arrived.number))
    settle_labels(store, came, before=before, over=settled.labels)
    n_classes = settle_classes(store, came, before=before, found=settled.classes)
    return structs.replace(counts, stored=sum(map(len, came.stored)), described=len(settled.persons), classes=n_classes)


class _Leaving(NamedTuple):
    """A table that leaves the inbox, its rows that are refused, and how many speak of forgotten recordings."""

    table: label_tables.Staged
    faults: Sequence[RefusedRow]
    n_forgotten: int


def _take_leave(store: ObjectStore, at: str, leaving: Iterable[_Leaving], *, came: Came, keeping: Keeping) -> LabelCounts:
    """Account for the tables that leave the inbox, and keep the bytes of those that speak of no forgotten recording."""
    names, quarantined, forgotten = keeping.names, came.quarantined, came.forgotten
    n_rows = n_refused = 0
    dropped: Counter[str] = Counter()
    files = []
    for table, faults, n_told in leaving:
        if table.fault is not None:
            is_told = bool(forgotten.records) and forgotten.named_in(_text_of(store, table), folder=table.folder)
            quarantined.add([_refused(store, table, table.fault, names=names, is_told=is_told)])
            n_refused += 1
            n_forgotten, nothing_else = int(is_told), is_told
        else:
            rejected = [one for one in table.rejected if not forgotten.named_in(one.content, folder=table.folder)]
            refused = [*rejected, *faults]
            n_forgotten = n_told + len(table.rejected) - len(rejected)
            n_here = len(table.rows) + len(table.rejected) - n_forgotten
            nothing_else = n_forgotten > 0 and not n_here
            n_rows += n_here
            n_refused += len(refused)
            dropped.update(table.dropped)
            if refused:
                quarantined.add(quarantine_rows(store, name=table.name, source=table.source, faults=refused, names=names))
        if not n_forgotten:
            label_tables.keep(store, at, table, keeping=keeping)
        files.append(_told(table, names, nothing_else=nothing_else))
    return LabelCounts(tables=tuple(files), rows=n_rows, quarantined=n_refused, dropped=dict(dropped))


def _text_of(store: ObjectStore, table: label_tables.Staged) -> str:
    """Return what stands in a table that could not be read, as far as that is text; nothing where its owner took it back."""
    try:
        data = store.get(table.key)
        return unpack(data, name=table.name, max_bytes=MAX_TABLE_BYTES).decode(errors="replace")
    except BadInputError:
        return data[:MAX_TABLE_BYTES].decode("latin-1")
    except MissingObjectError:
        return ""


def _refused(
    store: ObjectStore, table: label_tables.Staged, fault: BadInputError, *, names: StoredNames, is_told: bool
) -> QuarantinedInput:
    """Put a table that could not be read into quarantine; of one that names a forgotten recording the reason is told, and nothing kept."""
    if not is_told:
        return quarantine(store, name=table.name, source=table.source, fault=fault, keys_in=[table.key], names=names)
    sentence = f"{SENTENCES[fault.reason]} It was not kept, because it names a recording that was forgotten here."
    return QuarantinedInput(name=NAME, reason=fault.reason.value, message=sentence, source="")


def _told(table: label_tables.Staged, names: StoredNames, *, nothing_else: bool) -> LabelTableFile:
    """Return a table as the account has it: one that speaks of nothing else is known by what the inbox is emptied by alone."""
    if nothing_else:
        return structs.replace(table.file, key=f"{keys.INBOX}{NAME}", etag=names.of_a_forgotten(table.key, table.file.etag))
    return structs.replace(table.file, key=names.in_inbox(table.key))
