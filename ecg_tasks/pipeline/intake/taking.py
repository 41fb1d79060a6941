"""Here: taking over one drop: bytes to raw/, records and labels to the batch, faults to quarantine/. Not here: the tasks."""

import hashlib
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ecg_tasks import readers
from ecg_tasks.archive import keys, sources
from ecg_tasks.archive.descriptions import Person
from ecg_tasks.archive.labelling import LabelEntry
from ecg_tasks.archive.object_store import MissingObjectError, ObjectStore
from ecg_tasks.archive.record_shards import StoredRecord, anonymous
from ecg_tasks.archive.workspace import patient_hash
from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.evaluation.splits import split_bucket
from ecg_tasks.pipeline.intake.apart import Trial
from ecg_tasks.pipeline.intake.drops import PASSED_OVER
from ecg_tasks.pipeline.intake.quarantining import quarantine, quarantine_rows
from ecg_tasks.readers import Rejected
from ecg_tasks.readers.file_names import recording_name
from ecg_tasks.readers.record_names import normal_name
from ecg_tasks.signals.record import Record


@dataclass(frozen=True, kw_only=True, eq=False)
class Taken:
    """What became of one drop: its records, labels, quarantine entries, and its line in the account."""

    records: list[StoredRecord] = field(default_factory=list)
    labels: list[LabelEntry] = field(default_factory=list)
    quarantined: list[dict[str, Any]] = field(default_factory=list)
    account: dict[str, Any]


def take(store: ObjectStore, drop: dict[str, Any], *, described: Mapping[str, Person], patient_key: bytes) -> Taken:
    """Take over one drop. Bad data ends in quarantine and never raises; a store that fails does.

    The account line has ``received = records + duplicates + quarantined``; a file that is refused whole counts as one. A file that is
    passed over, because its name says that it holds no recording, counts as one beside them: it is no input.
    """
    name = drop["name"]
    file_keys = [file["key"] for file in drop["files"]]
    account = {"name": name, "record_name": recording_name(name), "files": drop["files"], "source": "", "fate": "records"}
    counts = {"received": 0, "records": 0, "duplicates": 0, "quarantined": 0, PASSED_OVER: 0}
    try:
        if "reason" in drop:
            fault = BadInputError(Reason(drop["reason"]), drop["message"])
            source, files = sources.described(store, file_keys, [file["size"] for file in drop["files"]])
            account["files"] = _with_digests(drop["files"], files)
            return _refused(store, name=name, source=source, fault=fault, file_keys=file_keys, account=account)
        contents = {posixpath.basename(key.rstrip("/")): store.get(key) for key in file_keys}
    except MissingObjectError:  # its owner took it back before it was read
        return Taken(account=account | counts | {"fate": "gone"})
    source, files = sources.keep(store, contents)
    account |= {"source": source, "files": _with_digests(drop["files"], files)}
    if drop.get("fate") == PASSED_OVER:
        return Taken(account=account | counts | {"fate": PASSED_OVER, PASSED_OVER: 1})
    try:
        reading = readers.read(name, contents)
    except BadInputError as fault:
        return _refused(store, name=name, source=source, fault=fault, file_keys=file_keys, account=account)
    rows = [row_fault(rejected) for rejected in reading.rejected]
    counts |= {"received": len(reading.records) + len(rows), "records": len(reading.records), "quarantined": len(rows)}
    return Taken(
        records=[
            _stored(record, source=source, told=described.get(normal_name(record.name), Person()), patient_key=patient_key)
            for record in reading.records
        ],
        labels=[
            LabelEntry(record_id=record.record_id, label=record.label.value, who=f"source:{name}", when=drop["modified"])
            for record in reading.records
            if record.label is not None
        ],
        quarantined=quarantine_rows(store, name=name, source=source, faults=rows) if rows else [],
        account=account | counts,
    )


def keep_raw(store: ObjectStore, key: str) -> str:
    """Keep an object's bytes in raw/ for ever; returns their SHA-256."""
    data = store.get(key)
    sha256 = hashlib.sha256(data).hexdigest()
    store.put(keys.raw(sha256, posixpath.basename(key)), data)
    return sha256


def row_fault(rejected: Rejected) -> dict[str, str]:
    """A refused row, ready for JSON."""
    return {"name": rejected.name, "reason": rejected.reason.value, "message": rejected.message, "content": rejected.content}


def _refused(
    store: ObjectStore, *, name: str, source: str, fault: BadInputError, file_keys: Sequence[str], account: dict[str, Any]
) -> Taken:
    entry = quarantine(store, name=name, source=source, fault=fault, keys_in=file_keys)
    counts = {"received": 1, "records": 0, "duplicates": 0, "quarantined": 1, PASSED_OVER: 0}
    return Taken(quarantined=[entry], account=account | counts | {"source": source, "fate": "quarantined"})


def fault_apart(store: ObjectStore, drop: dict[str, Any], trial: Trial) -> BadInputError | None:
    """Why a drop cannot be read without ending the process that does; None where it can be, or is gone."""
    try:
        contents = {posixpath.basename(file["key"].rstrip("/")): store.get(file["key"]) for file in drop["files"]}
    except MissingObjectError:
        return None
    return trial.fault_of(drop["name"], contents)


def _with_digests(dropped: Sequence[Mapping[str, Any]], files: Sequence[sources.File]) -> list[dict[str, Any]]:
    return [dict(one) | {"sha256": file.sha256} for one, file in zip(dropped, files, strict=True)]


def _stored(record: Record, *, source: str, told: Person, patient_key: bytes) -> StoredRecord:
    """The record with what the label tables that came with it say of its patient; they win over the file."""
    from_file = Person(
        patient_hash(record.patient, key=patient_key),
        -1 if record.patient is None else split_bucket(record.patient),
        record.age,
        record.sex,
    )
    person = from_file if told.patient is None else told
    described = replace(
        record,
        age=from_file.age if told.age is None else told.age,
        sex=from_file.sex if told.sex is None else told.sex,
    )
    return StoredRecord(record=anonymous(described), source=source, patient=person.patient, split_bucket=person.bucket)
