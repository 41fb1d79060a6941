"""Here: taking over one drop that was read: bytes to raw/, records and labels to the batch, faults to quarantine/. Not here: reading it."""

import posixpath
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from msgspec import structs

from ecg_tasks.archive import keys, sources
from ecg_tasks.archive.descriptions import Person
from ecg_tasks.archive.documents import Drop, InboxFile, Input, QuarantinedInput, RefusedRow
from ecg_tasks.archive.forgotten import NAME, digest_of
from ecg_tasks.archive.labelling import SOURCE, LabelEntry
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.record_shards import StoredRecord, anonymous
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.archive.workspace import patient_bucket, patient_hash
from ecg_tasks.errors import SENTENCES, BadInputError, MissingObjectError, Reason
from ecg_tasks.parsing.here import Found
from ecg_tasks.pipeline.intake import aside
from ecg_tasks.pipeline.intake.drops import PASSED_OVER
from ecg_tasks.pipeline.intake.keeping import Keeping, with_digests
from ecg_tasks.pipeline.intake.quarantining import quarantine, quarantine_rows
from ecg_tasks.pipeline.intake.reading import DropBytes, ReadDrop
from ecg_tasks.readers import Rejected
from ecg_tasks.readers.file_names import recording_beside, recording_name
from ecg_tasks.readers.record_names import normal_name
from ecg_tasks.settings import Dates
from ecg_tasks.signals.record import Record

_KEPT_CHARS: Mapping[Dates, int | None] = {"exact": None, "month": len("2024-05"), "year": len("2024")}


@dataclass(frozen=True, kw_only=True, eq=False)
class Taken:
    """What became of one drop: its records, labels, quarantine entries, its line in the account, and a copy that is still to be kept.

    ``forgotten`` are the digests of what the recordings are called that were refused because they were forgotten, each with its record's.
    """

    records: list[StoredRecord] = field(default_factory=list)
    labels: list[LabelEntry] = field(default_factory=list)
    quarantined: list[QuarantinedInput] = field(default_factory=list)
    outcome: Input
    copy: Mapping[sources.File, bytes] = field(default_factory=dict)
    forgotten: Mapping[str, str] = field(default_factory=dict)


def get(store: ObjectStore, drop: Drop) -> DropBytes:
    """Return the bytes of a drop in the inbox by file name, as `reading.read_drops` gets them.

    A file that was replaced since the plan is not read: those beside it may be replaced the next moment, and it with them.
    """
    if drop.reason:
        return None
    try:
        return {posixpath.basename(file.key.rstrip("/")): store.get(file.key, etag=file.etag) for file in drop.files}
    except MissingObjectError as error:
        return error


def take(
    store: ObjectStore,
    read: ReadDrop,
    *,
    described: Mapping[str, Person],
    patient_key: bytes,
    dates: Dates,
    keeping: Keeping,
) -> Taken:
    """Take over one drop. Bad data ends in quarantine and never raises; a store that fails does.

    The account line has ``received = records + duplicates + quarantined``; a file that is refused whole counts as one. A file that is
    passed over, because its name says that it holds no recording, counts as one beside them: it is no input.
    """
    drop, contents, names = read.drop, read.contents, keeping.names
    name = drop.name
    file_keys = [file.key for file in drop.files]
    outcome = Input(
        name=names.shown(name),
        record_name=names.shown(recording_beside(name) if drop.fate == PASSED_OVER else recording_name(name)),
        files=tuple(structs.replace(file, key=names.in_inbox(file.key)) for file in drop.files),
        fate="records",
    )
    if drop.reason:
        with suppress(MissingObjectError):
            fault = BadInputError(Reason(drop.reason), drop.message)
            source, files = sources.described(store, file_keys, [file.size for file in drop.files], called=names.file)
            return _refused(store, drop, with_digests(outcome, source, files, kept="nothing"), fault=fault, names=names)
    if not isinstance(contents, Mapping):  # its owner took it back, or replaced it, before it was read
        return Taken(outcome=structs.replace(outcome, fate="gone"))
    put = partial(sources.keep, store)
    if drop.fate == PASSED_OVER:
        outcome = keeping.keep(
            outcome, contents, copy=None, put=partial(aside.put, store, keeping.aside, outcome) if keeping.aside else put
        )
        return Taken(outcome=structs.replace(outcome, fate=PASSED_OVER, passed_over=1))

    def keep(line: Input, copy: Mapping[str, bytes] | None, *, nothing: bool = False) -> Input:
        as_set = replace(keeping, keeps="nothing") if nothing else keeping
        return as_set.keep(line, contents, copy=copy, put=put)

    taken = let_in(
        store,
        drop,
        outcome,
        read.found,
        keep=keep,
        described=described,
        patient_key=patient_key,
        dates=dates,
        names=names,
        refused=keeping.refused,
    )
    return taken if isinstance(taken, Taken) else _refused(store, drop, taken.outcome, fault=taken.fault, names=names)


class KeepBytes(Protocol):
    """Keeps the bytes of a drop, or ``nothing`` of them."""

    def __call__(self, line: Input, copy: Mapping[str, bytes] | None, /, *, nothing: bool = False) -> Input:
        """Return its line with the digests of what is stored; ``copy`` is one without identifiers."""
        ...


@dataclass(frozen=True, kw_only=True)
class Refusing:
    """A drop that is refused as a whole, before it is put into quarantine: its line, and why."""

    outcome: Input
    fault: BadInputError


def let_in(
    store: ObjectStore,
    drop: Drop,
    outcome: Input,
    found: Found | BadInputError | None,
    *,
    keep: KeepBytes,
    described: Mapping[str, Person],
    patient_key: bytes,
    dates: Dates,
    names: StoredNames,
    refused: Collection[str] = (),
) -> Taken | Refusing:
    """Let in what was found in a drop, and put its bad rows into quarantine; ``keep`` keeps its bytes, given its line and a copy.

    Nothing is kept of the records whose digests are ``refused``, because they were forgotten, and nothing of the bytes of their file.
    """
    name = drop.name
    if found is None:
        raise AssertionError(f"a drop of {len(drop.files)} files was not read")
    if isinstance(found, BadInputError):
        return Refusing(outcome=keep(outcome, None), fault=found)
    reading, copy = found
    n_read = len(reading.records)
    digests = {record.record_id: digest_of(record.record_id, key=patient_key) for record in reading.records if refused}
    forgotten = {names.hashed(one.name): digests[one.record_id] for one in reading.records if digests.get(one.record_id) in refused}
    reading = replace(reading, records=tuple(one for one in reading.records if digests.get(one.record_id) not in refused))
    n_refused = n_read - len(reading.records)
    if n_refused and not reading.records:
        forgotten.setdefault(names.hashed(recording_name(name)), next(iter(forgotten.values())))
        return replace(_forgotten(drop, outcome, n_refused, names=names), forgotten=forgotten)
    outcome = keep(outcome, copy, nothing=n_refused > 0)
    site = names.site_of(drop.files[0].key.removeprefix(keys.INBOX), drop.files[0].member)  # an archive's own folder comes first
    rows = [row_fault(rejected) for rejected in reading.rejected]
    n_records = len(reading.records)
    return Taken(
        records=[
            _stored(
                record,
                recorded=kept_date(record.recorded, dates),
                site=site,
                source=outcome.source,
                from_table=described.get(normal_name(record.name), Person()),
                patient_key=patient_key,
                names=names,
            )
            for record in reading.records
        ],
        labels=[
            LabelEntry(record_id=record.record_id, label=record.label.value, who=f"{SOURCE}{names.shown(name)}", when=drop.modified)
            for record in reading.records
            if record.label is not None
        ],
        quarantined=[
            *(quarantine_rows(store, name=name, source=outcome.source, faults=rows, names=names) if rows else []),
            *[_NOT_AGAIN] * n_refused,
        ],
        outcome=structs.replace(outcome, received=n_read + len(rows), records=n_records, quarantined=len(rows) + n_refused),
        forgotten=forgotten,
    )


_NOT_AGAIN = QuarantinedInput(name=NAME, reason=Reason.FORGOTTEN.value, message=SENTENCES[Reason.FORGOTTEN], source="")
"""What the account says of a recording that was forgotten and comes again: nothing lies in quarantine/ of it."""


def _forgotten(drop: Drop, outcome: Input, n_refused: int, *, names: StoredNames) -> Taken:
    """Return the line of a drop of nothing but forgotten recordings: it tells no more than what the inbox is emptied by."""
    files = tuple(
        InboxFile(key=told.key, etag=file.etag, member=NAME)
        if file.member
        else InboxFile(key=f"{keys.INBOX}{NAME}", etag=names.of_a_forgotten(file.key, file.etag))
        for file, told in zip(drop.files, outcome.files, strict=True)
    )
    line = Input(name=NAME, record_name="", files=files, kept="nothing", fate=NAME, received=n_refused, quarantined=n_refused)
    return Taken(quarantined=[_NOT_AGAIN] * n_refused, outcome=line)


def kept_date(recorded: str | None, dates: Dates) -> str | None:
    """Return as much of a date and time, in ISO 8601, as is to be stored.

    >>> [kept_date("2024-05-03T10:11:12", dates) for dates in ("exact", "month", "year")]
    ['2024-05-03T10:11:12', '2024-05', '2024']
    """
    return None if recorded is None else recorded[: _KEPT_CHARS[dates]]


def row_fault(rejected: Rejected) -> RefusedRow:
    """Return a refused row, as it is written down."""
    return RefusedRow(name=rejected.name, reason=rejected.reason.value, message=rejected.message, content=rejected.content)


def _refused(store: ObjectStore, drop: Drop, outcome: Input, *, fault: BadInputError, names: StoredNames) -> Taken:
    keys_in = [file.key for file in drop.files]
    entry = quarantine(store, name=drop.name, source=outcome.source, fault=fault, keys_in=keys_in, names=names)
    return Taken(quarantined=[entry], outcome=structs.replace(outcome, fate="quarantined", received=1, quarantined=1))


def _stored(
    record: Record,
    *,
    recorded: str | None,
    site: str | None,
    source: str,
    from_table: Person,
    patient_key: bytes,
    names: StoredNames,
) -> StoredRecord:
    """Return the record, without its patient's id, with what the label tables that came with it say of the patient; they win over the file.

    It is called by its id where names are not kept, and found by the digest of its name.
    """
    from_file = Person(
        patient_hash(record.patient, key=patient_key, issuer=record.issuer),
        patient_bucket(record.patient, key=patient_key),
        record.age,
        record.sex,
    )
    same_id = from_table.patient in {None, patient_hash(record.patient, key=patient_key)}  # of which the file may say who gave it
    person = from_file._replace(public_patient=from_table.public_patient) if same_id else from_table
    if same_id and from_table.public_patient is not None:
        person = person._replace(bucket=from_table.bucket)
    described = anonymous(
        record,
        recorded=recorded,
        site=site,
        age=from_file.age if from_table.age is None else from_table.age,
        sex=from_file.sex if from_table.sex is None else from_table.sex,
        name=record.name if names.keep else record.record_id,
    )
    return StoredRecord(
        record=described,
        source=source,
        patient=person.patient,
        split_bucket=person.bucket,
        called="" if names.keep else names.hashed(record.name),
        fold=from_table.fold,
        public_patient=person.public_patient,
    )
