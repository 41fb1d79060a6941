"""Here: taking over one drop: bytes to raw/, records and labels to the batch, faults to quarantine/. Not here: the tasks."""

import hashlib
import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from msgspec import structs

from ecg_tasks import readers
from ecg_tasks.archive import keys, sources
from ecg_tasks.archive.descriptions import Person
from ecg_tasks.archive.documents import Drop, Input, QuarantinedInput, RefusedRow
from ecg_tasks.archive.labelling import SOURCE, LabelEntry
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.record_shards import StoredRecord, anonymous
from ecg_tasks.archive.workspace import patient_hash
from ecg_tasks.errors import BadInputError, MissingObjectError, Reason
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
    quarantined: list[QuarantinedInput] = field(default_factory=list)
    outcome: Input


def take(store: ObjectStore, drop: Drop, *, described: Mapping[str, Person], patient_key: bytes) -> Taken:
    """Take over one drop. Bad data ends in quarantine and never raises; a store that fails does.

    The account line has ``received = records + duplicates + quarantined``; a file that is refused whole counts as one. A file that is
    passed over, because its name says that it holds no recording, counts as one beside them: it is no input.
    """
    name = drop.name
    file_keys = [file.key for file in drop.files]
    outcome = Input(name=name, record_name=recording_name(name), files=drop.files, fate="records")
    try:
        if drop.reason:
            fault = BadInputError(Reason(drop.reason), drop.message)
            source, files = sources.described(store, file_keys, [file.size for file in drop.files])
            return _refused(store, drop, _kept(outcome, source, files), fault=fault)
        contents = contents_of(store, drop)
    except MissingObjectError:  # its owner took it back before it was read
        return Taken(outcome=structs.replace(outcome, fate="gone"))
    outcome = _kept(outcome, *sources.keep(store, contents))
    if drop.fate == PASSED_OVER:
        return Taken(outcome=structs.replace(outcome, fate=PASSED_OVER, passed_over=1))
    taken = read_drop(store, drop, outcome, contents, described=described, patient_key=patient_key)
    return _refused(store, drop, outcome, fault=taken) if isinstance(taken, BadInputError) else taken


def read_drop(
    store: ObjectStore,
    drop: Drop,
    outcome: Input,
    contents: Mapping[str, bytes],
    *,
    described: Mapping[str, Person],
    patient_key: bytes,
) -> Taken | BadInputError:
    """Read a drop whose bytes are kept, with its bad rows to quarantine; returns the fault where it is bad as a whole."""
    name = drop.name
    try:
        reading = readers.read(name, contents)
    except BadInputError as fault:
        return fault
    rows = [row_fault(rejected) for rejected in reading.rejected]
    n_records = len(reading.records)
    return Taken(
        records=[
            _stored(record, source=outcome.source, from_table=described.get(normal_name(record.name), Person()), patient_key=patient_key)
            for record in reading.records
        ],
        labels=[
            LabelEntry(record_id=record.record_id, label=record.label.value, who=f"{SOURCE}{name}", when=drop.modified)
            for record in reading.records
            if record.label is not None
        ],
        quarantined=quarantine_rows(store, name=name, source=outcome.source, faults=rows) if rows else [],
        outcome=structs.replace(outcome, received=n_records + len(rows), records=n_records, quarantined=len(rows)),
    )


def keep_raw(store: ObjectStore, key: str) -> str:
    """Keep an object's bytes in raw/ for ever; returns their SHA-256."""
    data = store.get(key)
    sha256 = hashlib.sha256(data).hexdigest()
    store.put(keys.raw(sha256, posixpath.basename(key)), data)
    return sha256


def contents_of(store: ObjectStore, drop: Drop) -> dict[str, bytes]:
    """Return the bytes of a drop in the inbox by file name."""
    return {posixpath.basename(file.key.rstrip("/")): store.get(file.key) for file in drop.files}


def row_fault(rejected: Rejected) -> RefusedRow:
    """Return a refused row, as it is written down."""
    return RefusedRow(name=rejected.name, reason=rejected.reason.value, message=rejected.message, content=rejected.content)


def fault_apart(contents_of: Callable[[Drop], Mapping[str, bytes]], drop: Drop, trial: Trial) -> BadInputError | None:
    """Return why a drop cannot be read without ending the process that does; None where it can be, or has no bytes to read."""
    try:
        contents = contents_of(drop)
    except (MissingObjectError, BadInputError):
        return None
    return trial.fault_of(drop.name, contents)


def _refused(store: ObjectStore, drop: Drop, outcome: Input, *, fault: BadInputError) -> Taken:
    entry = quarantine(store, name=drop.name, source=outcome.source, fault=fault, keys_in=[file.key for file in drop.files])
    return Taken(quarantined=[entry], outcome=structs.replace(outcome, fate="quarantined", received=1, quarantined=1))


def _kept(outcome: Input, source: str, files: Sequence[sources.File]) -> Input:
    """Return the line with the digests of the drop and its files."""
    digested = tuple(structs.replace(one, sha256=file.sha256) for one, file in zip(outcome.files, files, strict=True))
    return structs.replace(outcome, source=source, files=digested)


def _stored(record: Record, *, source: str, from_table: Person, patient_key: bytes) -> StoredRecord:
    """Return the record with what the label tables that came with it say of its patient; they win over the file."""
    from_file = Person(
        patient_hash(record.patient, key=patient_key),
        -1 if record.patient is None else split_bucket(record.patient),
        record.age,
        record.sex,
    )
    person = from_file if from_table.patient is None else from_table
    described = replace(
        record,
        age=from_file.age if from_table.age is None else from_table.age,
        sex=from_file.sex if from_table.sex is None else from_table.sex,
    )
    return StoredRecord(record=anonymous(described), source=source, patient=person.patient, split_bucket=person.bucket)
