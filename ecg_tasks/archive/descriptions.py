"""Here: what became known of patients after their recordings had been stored, read in place of what was stored with them.

Not here: which row of a label table speaks of which record (``pipeline.intake``). A stored shard never changes: whatever reads a
patient, an age or a sex from it, or from its index, asks here too.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np

from ecg_tasks.archive import keys, tables
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.record_shards import StoredRecord


class Person(NamedTuple):
    """The patient of a record: keyed hash, bucket (-1 where the patient is not known), age in years, sex.

    ``fold`` is that of the collection's own protocol, ``public_patient`` the digest of collection and id of a public patient.
    """

    patient: str | None = None
    bucket: int = -1
    age: float | None = None
    sex: Literal["female", "male"] | None = None
    fold: int | None = None
    public_patient: str | None = None

    @property
    def cells(self) -> tuple[object, ...]:
        """What is stored of it, in the order of `tables.PERSON`."""
        return self._replace(fold=self.fold or 0)


class Descriptions:
    """What is known by now of the patients of some records."""

    def __init__(self, persons: Mapping[str, Person]) -> None:
        self.persons = persons

    @classmethod
    def read(cls, store: ObjectStore, record_ids: Iterable[str] | None = None) -> "Descriptions":
        """Read what is known of these records, or of all; for most there is nothing, and their index holds.

        The latest intake says what is known of a record.
        """
        wanted = None if record_ids is None else list(record_ids)
        found: dict[str, Person] = {}
        for data in store.get_many(store.list_keys(keys.DESCRIPTIONS)):
            found |= persons_of(tables.load(data, of_records=wanted))
        return cls(found)

    def index(self, columns: tables.Columns) -> tables.Columns:
        """Return the columns of an index (``record_id`` among them) with what is known by now.

        Where the index has patients, it has all columns of persons then, also those that it lacks as an older one.
        """
        if "patient" in columns:
            n = tables.n_rows(columns)
            lacking: tables.Columns = {"fold": np.zeros(n, np.int32), "public_patient": [None] * n}
            columns = lacking | columns
        place = [row for row, record_id in enumerate(columns["record_id"]) if record_id in self.persons] if self.persons else []
        if not place:
            return columns
        changed: dict[str, Any] = {name: np.array(columns[name]) for name in ("split_bucket", "age", "fold") if name in columns}
        changed |= {name: list(columns[name]) for name in ("patient", "sex", "public_patient") if name in columns}
        for row in place:
            person = self.persons[columns["record_id"][row]]
            values = dict(zip(tables.PERSON, person.cells, strict=True))
            for name, column in changed.items():
                column[row] = np.nan if name == "age" and values[name] is None else values[name]
        return columns | changed

    def stored(self, one: StoredRecord) -> StoredRecord:
        """Return a stored record with what is known by now; its signal and its id are the same."""
        person = self.persons.get(one.record.record_id)
        if person is None:
            return one
        record = replace(one.record, age=person.age, sex=person.sex)
        record.__dict__["record_id"] = one.record.record_id
        return replace(
            one,
            record=record,
            patient=person.patient,
            split_bucket=person.bucket,
            fold=person.fold,
            public_patient=person.public_patient,
        )

    def patients(self, record_ids: Iterable[str]) -> list[Person]:
        """Return the patients that became known of these records."""
        return [person for one in record_ids if (person := self.persons.get(one)) is not None and person.patient is not None]


def persons_of(columns: tables.Columns) -> dict[str, Person]:
    """Return the person of each record of an index, or of a table of descriptions."""
    return dict(zip(columns["record_id"], persons_in_order(columns), strict=True))


def persons_in_order(columns: tables.Columns) -> Iterator[Person]:
    """Yield the person of each row."""
    n = tables.n_rows(columns)
    folds, public = columns.get("fold", np.zeros(n)), columns.get("public_patient", [None] * n)
    known = (columns[name] for name in ("patient", "split_bucket", "age", "sex"))
    for patient, bucket, age, sex, fold, digest in zip(*known, folds, public, strict=True):
        years, number = None if np.isnan(age) else float(age), int(fold) if fold > 0 else None
        yield Person(patient, int(bucket), years, sex, number, digest)


def write(store: ObjectStore, persons: Mapping[str, Person], *, number: int) -> bytes:
    """Write down what became known in the intake of this number; returns what was written."""
    rows = sorted(persons.items())
    columns: dict[str, list[object]] = {"record_id": [record_id for record_id, _ in rows]}
    for place, name in enumerate(tables.PERSON):
        columns[name] = [person.cells[place] for _, person in rows]
    data = tables.dump(tables.DESCRIPTIONS, columns)
    store.put(keys.descriptions(number, hashlib.sha256(data).hexdigest()[:20]), data)
    return data
