"""Here: writing down what a run's label tables say of labels and patients. Not here: to which record a row belongs (``settling``)."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.archive import descriptions, labelling, tables
from ecg_tasks.archive.descriptions import Descriptions, Person
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
    """What a run gave: records, their lines in the account, the quarantine so far, labels inside recordings, and names that wait."""

    arrived: Arrived
    inputs: Sequence[Mapping[str, Any]]
    quarantined: list[dict[str, Any]]
    labels: Sequence[labelling.LabelEntry]
    waiting: AbstractSet[str]


def no_labels() -> dict[str, Any]:
    """The account of a run without labels.

    ``tables`` are those that leave the inbox, with their ``rows``; ``stored`` counts new labels, ``described`` records of which a
    patient, an age or a sex became known, ``quarantined`` refused rows and tables, ``dropped`` values that could not be used.
    """
    return {"tables": [], "rows": 0, "stored": 0, "described": 0, "quarantined": 0, "dropped": {}}


def describe(store: ObjectStore, at: str, planned: Mapping[str, Any], *, before: Mapping[str, Sequence[str]], came: Came) -> dict[str, Any]:
    """Write what the tables staged below ``at`` say, and the labels from inside recordings; returns their account.

    Refused rows are added to ``came.quarantined``. ``before`` has what the archive held before this run.
    """
    staged = [table for table in label_tables.load(store, at, len(planned["labels"])) if table.source]
    arrived = came.arrived
    wanted = settling.wanted(staged)
    ids = {record_id for name in wanted if name in arrived.named for record_id in arrived.named[name]} - arrived.persons.keys()
    names_again = {normal_name(name) for name, _ in arrived.duplicates}
    archived = names.look_up(store, wanted | ids | names_again, shards=before["shards"], aliases=before["aliases"])
    names.keep_aliases(store, dict(arrived.duplicates), known=archived, number=arrived.number)
    drop = settling.Drop(
        now={name: arrived.named[name] for name in wanted if name in arrived.named},
        new=arrived.persons.keys(),
        persons=arrived.persons,
        refused=_refused(came.inputs, came.quarantined),
        waiting=_waiting(came),
    )
    late = Descriptions.read(store, archived.persons, listed=before["descriptions"]).persons if archived.persons and staged else {}
    settled = settling.settle(staged, drop, archived, grace_ended=planned["grace_ended"], known=late)
    account = no_labels()
    for number, table in enumerate(staged):
        if number not in settled.stays:
            _take_leave(store, table, settled.faults.get(number, []), account=account, quarantined=came.quarantined)
    if settled.persons:
        descriptions.write(store, settled.persons, number=arrived.number)
        account["described"] = len(settled.persons)
    inside = [entry for entry in came.labels if entry.record_id not in settled.labels]
    account["stored"] = labelling.append_labels(store, [*inside, *settled.labels.values()], before=before["labels"])
    return account


def _take_leave(
    store: ObjectStore,
    table: label_tables.Staged,
    faults: Sequence[dict[str, str]],
    *,
    account: dict[str, Any],
    quarantined: list[dict[str, Any]],
) -> None:
    """Account for a table that leaves the inbox."""
    account["tables"].append(table.for_account())
    if table.fault is not None:
        quarantined.append(quarantine(store, name=table.name, source=table.source, fault=table.fault, keys_in=[table.key]))
        account["quarantined"] += 1
        return
    refused = [*table.rejected, *faults]
    account["rows"] += len(table.rows) + len(table.rejected)
    account["quarantined"] += len(refused)
    for column, n_dropped in table.dropped.items():
        account["dropped"][column] = account["dropped"].get(column, 0) + n_dropped
    if refused:
        quarantined.extend(quarantine_rows(store, name=table.name, source=table.source, faults=refused))


def _refused(inputs: Iterable[Mapping[str, Any]], quarantined: Iterable[Mapping[str, Any]]) -> set[str]:
    """Names of recordings and rows that came in this run and gave no record."""
    found = {normal_name(item["record_name"]) for item in inputs if item["fate"] == "quarantined"}
    return found | {normal_name(recording_name(entry["name"])) for entry in quarantined}


def _waiting(came: Came) -> set[str]:
    """Names of the recordings that wait in the inbox, or were taken back by their owner while the run was under way."""
    gone = {item["record_name"] for item in came.inputs if item["fate"] == "gone"}
    return {normal_name(name) for name in (*gone, *came.waiting)}
