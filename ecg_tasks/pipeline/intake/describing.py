"""Here: writing down what a run's label tables say of labels and patients. Not here: to which record a row belongs (``settling``)."""

from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from ecg_tasks.archive import catalog, descriptions, labelling, tables
from ecg_tasks.archive.catalog import Catalog
from ecg_tasks.archive.descriptions import Person
from ecg_tasks.archive.documents import Input, IntakePlan, LabelCounts, QuarantinedInput, RefusedRow
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.pipeline.intake import label_tables, names, settling
from ecg_tasks.pipeline.intake.quarantining import quarantine, quarantine_rows
from ecg_tasks.readers.file_names import recording_name
from ecg_tasks.readers.record_names import normal_name


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """The records of one intake: its number, name and id of each duplicate, and, where asked for, all ids by name and who is who."""

    number: int
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    named: dict[str, set[str]] = field(default_factory=dict)
    persons: dict[str, Person] = field(default_factory=dict)

    def add(self, index: tables.Columns, repeated: NDArray[np.bool_], *, naming: bool) -> None:
        """Note the records of a staged shard; ``repeated`` tells which of them were there before."""
        pairs = list(zip(index["name"], index["record_id"], strict=True))
        self.duplicates.extend(pairs[row] for row in np.flatnonzero(repeated))
        if naming:
            persons = descriptions.persons_of(index)
            for (name, record_id), again in zip(pairs, repeated, strict=True):
                self.named.setdefault(normal_name(name), set()).add(record_id)
                if not again:
                    self.persons[record_id] = persons[record_id]


@dataclass(frozen=True, kw_only=True)
class Came:
    """What a run gave: records, their lines in the account, the quarantine so far, labels inside recordings, and names that wait.

    ``rows`` are those that the catalogue takes in at the end.
    """

    arrived: Arrived
    inputs: Sequence[Input]
    quarantined: list[QuarantinedInput]
    labels: Sequence[labelling.LabelEntry]
    waiting: AbstractSet[str]
    rows: list[catalog.Rows] = field(default_factory=list)


def describe(store: ObjectStore, at: str, planned: IntakePlan, *, before: Catalog, came: Came) -> LabelCounts:
    """Write what the tables staged below ``at`` say, and the labels from inside recordings; returns their account.

    Refused rows are added to ``came.quarantined``, what the catalogue shall know to ``came.rows``. ``before`` is the catalogue without
    this run.
    """
    staged = [table for table in label_tables.load(store, at, len(planned.labels)) if table.source]
    arrived = came.arrived
    wanted = settling.wanted(staged)
    ids = {record_id for name in wanted if name in arrived.named for record_id in arrived.named[name]} - arrived.persons.keys()
    names_again = {normal_name(name) for name, _ in arrived.duplicates}
    archived = names.look_up(store, wanted | ids | names_again, catalog=before)
    if aliases := names.keep_aliases(store, dict(arrived.duplicates), known=archived, number=arrived.number):
        came.rows.append(catalog.of_aliases(aliases))
    drop = settling.Drop(
        now={name: arrived.named[name] for name in wanted if name in arrived.named},
        new=arrived.persons.keys(),
        persons=arrived.persons,
        refused=_refused(came.inputs, came.quarantined),
        waiting=_waiting(came),
    )
    late = before.described(archived.persons) if archived.persons and staged else {}
    settled = settling.settle(staged, drop, archived, grace_ended=planned.grace_ended, known=late)
    leaving = [(table, settled.faults.get(number, [])) for number, table in enumerate(staged) if number not in settled.stays]
    counts = _take_leave(store, leaving, quarantined=came.quarantined)
    if settled.persons:
        data = descriptions.write(store, settled.persons, number=arrived.number)
        came.rows.append(catalog.of_descriptions(data, number=arrived.number))
    entries = [*(entry for entry in came.labels if entry.record_id not in settled.labels), *settled.labels.values()]
    said = before.said({entry.record_id for entry in entries}) if entries else {}
    new = labelling.append_labels(store, entries, said=said)
    came.rows.append(catalog.of_label_entries(new))
    return structs.replace(counts, stored=len(new), described=len(settled.persons))


def _take_leave(
    store: ObjectStore, leaving: Sequence[tuple[label_tables.Staged, Sequence[RefusedRow]]], *, quarantined: list[QuarantinedInput]
) -> LabelCounts:
    """Account for the tables that leave the inbox, given with their rows that are refused."""
    n_rows = n_refused = 0
    dropped: Counter[str] = Counter()
    for table, faults in leaving:
        if table.fault is not None:
            quarantined.append(quarantine(store, name=table.name, source=table.source, fault=table.fault, keys_in=[table.key]))
            n_refused += 1
            continue
        refused = [*table.rejected, *faults]
        n_rows += len(table.rows) + len(table.rejected)
        n_refused += len(refused)
        dropped.update(table.dropped)
        if refused:
            quarantined.extend(quarantine_rows(store, name=table.name, source=table.source, faults=refused))
    return LabelCounts(tables=tuple(table.file for table, _ in leaving), rows=n_rows, quarantined=n_refused, dropped=dict(dropped))


def _refused(inputs: Iterable[Input], quarantined: Iterable[QuarantinedInput]) -> set[str]:
    """Names of recordings and rows that came in this run and gave no record."""
    found = {normal_name(drop.record_name) for drop in inputs if drop.fate == "quarantined"}
    return found | {normal_name(recording_name(entry.name)) for entry in quarantined}


def _waiting(came: Came) -> set[str]:
    """Names of the recordings that wait in the inbox, or were taken back by their owner while the run was under way."""
    gone = {drop.record_name for drop in came.inputs if drop.fate == "gone"}
    return {normal_name(name) for name in (*gone, *came.waiting)}
