"""Here: the label tables of a run, read once by its plan and staged for its other tasks. Not here: what becomes of a row (``settling``).

Raw patient ids are nowhere but in the tables themselves: what is staged has their keyed hashes.
"""

import hashlib
import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from ecg_tasks.archive import keys, tables
from ecg_tasks.archive.descriptions import Person, persons_in_order
from ecg_tasks.archive.documents import Drop, LabelTableFile, Refusal, RefusedRow, StagedLabels, read, write
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.workspace import patient_bucket, patient_hash, public_patient
from ecg_tasks.errors import BadInputError, MissingObjectError, Reason
from ecg_tasks.pipeline.intake import taking
from ecg_tasks.pipeline.intake.keeping import Keeping
from ecg_tasks.readers.file_names import recording_name
from ecg_tasks.readers.labels_csv import LabelRow, LabelTable, read_labels
from ecg_tasks.readers.record_names import normal_name, paths_meant


class Row(NamedTuple):
    """What a row of a table says of a record."""

    row: int
    record: str
    label: str | None
    person: Person
    classes: str = ""


@dataclass(frozen=True, kw_only=True)
class Staged:
    """A label table as its plan read it.

    ``fault`` is why it could not be read; ``rejected`` are rows that could not, ready for the quarantine; ``dropped`` counts the values of
    each column that could not be used. ``source`` is the SHA-256 of its bytes; empty where the table was gone by then. ``partly`` says
    that only the rows about recordings of this run are there.
    """

    file: LabelTableFile
    source: str
    fault: BadInputError | None = None
    rejected: Sequence[RefusedRow] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    rows: Sequence[Row] = ()
    partly: bool = False

    @property
    def key(self) -> str:
        """Where it lay."""
        return self.file.key

    @property
    def modified(self) -> str:
        """When it came, ISO 8601."""
        return self.file.modified

    @property
    def name(self) -> str:
        """Path below the inbox."""
        return self.key.removeprefix(keys.INBOX)

    @property
    def folder(self) -> str:
        """The folder that its rows start from."""
        return self.name.rpartition("/")[0]


def names_of(table: Staged, row: Row) -> list[tuple[str, ...]]:
    """Return the records that a row can mean: see `paths_meant`. An id of a record means that record."""
    found = paths_meant(row.record, folder=table.folder)
    return [*found, (row.record,)] if is_record_id(row.record) else found


def is_record_id(name: str) -> bool:
    """Tell whether a name is of the form that records' ids have."""
    return len(name) == _ID_LENGTH and set(name) <= _HEX


_ID_LENGTH = 32
_HEX = frozenset("0123456789abcdef")


def stage(
    store: ObjectStore,
    at: str,
    listed: Sequence[LabelTableFile],
    *,
    batches: Sequence[Sequence[Drop]],
    patient_key: bytes,
    keeping: Keeping,
    folders_left: Collection[str] = (),
) -> list[str]:
    """Read the tables, and stage their rows below ``at``, with their bytes where these are kept as they came.

    Parameters
    ----------
    folders_left : where recordings are left to the next run. Of a table that is about these only the rows about recordings of ``batches``
        are staged: the others have time until the run that takes the last of them

    Returns
    -------
    for each batch of drops, the key of what the tables say of the patients of its recordings; empty where they say nothing. Rows that
    contradict each other, or could mean several recordings, say nothing here: `settling` tells what becomes of them.
    """
    place = {normal_name(recording_name(drop.name)): number for number, batch in enumerate(batches) for drop in batch}
    described: list[dict[str, Person | None]] = [{} for _ in batches]
    for number, table in enumerate(listed):
        partly = is_about(table.key, folders_left)
        staged, data = _read(store, table, patient_key=patient_key, only=place if partly else None)
        write(store, f"{at}/{number:05d}.json", _as_document(staged))
        if data and keeping.keeps == "as_dropped" and not partly:
            store.put(_bytes_at(at, staged.source), data)
        store.put(f"{at}/{number:05d}.rows", _dump(staged.rows))
        for row in staged.rows if place else ():
            meant = {name for spellings in names_of(staged, row) if (name := _known(spellings, place))}
            if len(meant) == 1:
                name = meant.pop()
                persons = described[place[file_of(name)]]
                before = persons.get(name, Person())
                persons[name] = None if before is None else merged(before, row.person)
    written = []
    for number, persons in enumerate(described):
        known = {name: person for name, person in persons.items() if person is not None and person != Person()}
        written.append(f"{at}/described/{number:05d}.parquet" if known else "")
        if known:
            rows = [Row(0, name, None, person) for name, person in known.items()]
            store.put(written[-1], _dump(rows))
    return written


def keep(store: ObjectStore, at: str, table: Staged, *, keeping: Keeping) -> None:
    """Keep the bytes of a staged table in raw/ where bytes are kept as they came: a row names a person."""
    if keeping.keeps == "as_dropped":
        with suppress(MissingObjectError):  # its plan was an earlier version's, which kept them itself
            store.copy(_bytes_at(at, table.source), keys.raw(table.source, keeping.names.file(posixpath.basename(table.key))))


def load_described(store: ObjectStore, key: str) -> dict[str, Person]:
    """Return what the tables say of the patients of a batch's recordings, by the normal name of each record."""
    return {row.record: row.person for row in _load(store.get(key))} if key else {}


def load(store: ObjectStore, at: str, n_tables: int) -> Iterator[Staged]:
    """Yield the tables that a plan staged, in their order."""
    for number in range(n_tables):
        staged_labels = read(store, StagedLabels, f"{at}/{number:05d}.json")
        yield Staged(
            file=LabelTableFile(
                key=staged_labels.key, etag=staged_labels.etag, modified=staged_labels.modified, released=staged_labels.released
            ),
            source=staged_labels.source,
            fault=BadInputError(Reason(staged_labels.fault.reason), staged_labels.fault.message) if staged_labels.fault else None,
            rejected=staged_labels.rejected,
            dropped=staged_labels.dropped,
            rows=list(_load(store.get(f"{at}/{number:05d}.rows"))),
            partly=staged_labels.partly,
        )


def is_about(key: str, folders: Iterable[str]) -> bool:
    """Tell whether a table of the inbox lies beside or above one of these folders, or in it.

    >>> [is_about(f"inbox/{path}labels.csv", ["ward/a"]) for path in ("ward/a/", "ward/", "", "ward/a/b/")]
    [True, True, True, False]
    """
    folder = posixpath.dirname(key.removeprefix(keys.INBOX))
    return any(not folder or one == folder or one.startswith(f"{folder}/") for one in folders)


def merged(one: Person, other: Person) -> Person | None:
    """Return what two rows say of a patient together, or None if they contradict each other."""
    same_patient = one.patient is None or other.patient is None or one.patient == other.patient
    same_age = one.age is None or other.age is None or one.age == other.age
    same_sex = one.sex is None or other.sex is None or one.sex == other.sex
    same_fold = one.fold is None or other.fold is None or one.fold == other.fold
    same_public = None in {one.public_patient, other.public_patient} or one.public_patient == other.public_patient
    return over(one, other) if same_patient and same_age and same_sex and same_fold and same_public else None


def over(base: Person, person: Person) -> Person:
    """Return ``base`` with all that ``person`` says in its place; the same patient keeps the bucket that is stored."""
    patient = base if person.patient in {None, base.patient} else person
    return Person(
        patient.patient,
        patient.bucket,
        base.age if person.age is None else person.age,
        base.sex if person.sex is None else person.sex,
        base.fold if person.fold is None else person.fold,
        person.public_patient or (base.public_patient if patient.patient == base.patient else None),
    )


def _known(spellings: Iterable[str], place: Mapping[str, int]) -> str | None:
    return next((name for name in spellings if file_of(name) in place), None)


def file_of(name: str) -> str:
    """Return the file of which a name is a row; a recording's own name stays."""
    return name.rpartition("#")[0] if "#" in name else name


def _bytes_at(at: str, source: str) -> str:
    return f"{at}/{source}.bytes"


def _read(store: ObjectStore, table: LabelTableFile, *, patient_key: bytes, only: Mapping[str, int] | None = None) -> tuple[Staged, bytes]:
    """Return a table and its bytes, which are none where its owner took it back; ``only`` asks for the rows about these recordings."""
    key = table.key
    try:
        data = store.get(key)
    except MissingObjectError:
        return Staged(file=table, source=""), b""
    found = Staged(file=table, source=hashlib.sha256(data).hexdigest(), partly=only is not None)
    try:
        parsed: LabelTable = read_labels(data, name=key.removeprefix(keys.INBOX))
    except BadInputError as fault:
        return replace(found, fault=fault), data
    dropped: dict[str, int] = {}
    rows = []
    for row in parsed.rows:
        if only is not None and not any(_known(spellings, only) for spellings in paths_meant(row.record, folder=found.folder)):
            continue
        for column in row.dropped:
            dropped[column] = dropped.get(column, 0) + 1
        label, classes = "" if row.label is None else row.label.value, "" if row.classes is None else str(row.classes)
        rows.append(Row(row.row, row.record, label or None, _person(row, patient_key), classes))
    return replace(found, rejected=[taking.row_fault(one) for one in parsed.rejected], dropped=dropped, rows=rows), data


def _person(row: LabelRow, patient_key: bytes) -> Person:
    return Person(
        patient_hash(row.patient_id, key=patient_key),
        patient_bucket(row.patient_id, key=patient_key, collection=row.collection),
        None if row.age is None else float(np.float32(row.age)),  # as it is stored
        row.sex,
        row.fold,
        public_patient(row.patient_id, collection=row.collection) if row.patient_id and row.collection else None,
    )


def _as_document(table: Staged) -> StagedLabels:
    return StagedLabels(
        key=table.key,
        etag=table.file.etag,
        modified=table.modified,
        source=table.source,
        fault=None if table.fault is None else Refusal(reason=table.fault.reason.value, message=table.fault.message),
        rejected=tuple(table.rejected),
        dropped=dict(table.dropped),
        released=table.file.released,
        partly=table.partly,
    )


def _dump(rows: Sequence[Row]) -> bytes:
    columns: dict[str, list[object]] = {name: [] for name in ("row", "record", "label", *tables.PERSON, "classes")}
    for row in rows:
        for name, value in zip(columns, (row.row, row.record, row.label, *row.person.cells, row.classes), strict=True):
            columns[name].append(value)
    return tables.dump(tables.LABEL_ROWS, columns)


def _load(data: bytes) -> Iterator[Row]:
    columns = tables.load(data)
    classes = columns.get("classes", [""] * tables.n_rows(columns))  # absent where an earlier version staged the table
    return map(Row, columns["row"].tolist(), columns["record"], columns["label"], persons_in_order(columns), classes)
