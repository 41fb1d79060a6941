"""Here: to which record each row of a run's label tables belongs, and what it changes. Not here: writing that down (``ingest_records``).

A row belongs to the record of the name that it gives, in its own folder or with the full path. That of the same drop goes before what
the archive has, and of the archive's the latest. What could mean several records, or contradicts another row, changes nothing and is
refused with a sentence; while a recording of that name waits in the inbox, the table waits too.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple

from ecg_tasks.archive.class_lists import ClassEntry
from ecg_tasks.archive.descriptions import Person
from ecg_tasks.archive.documents import RefusedRow
from ecg_tasks.archive.labelling import SOURCE, LabelEntry
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.errors import Reason
from ecg_tasks.evaluation.splits import same_bucket
from ecg_tasks.pipeline.intake.forgotten_rows import NONE_FORGOTTEN, ForgottenNames
from ecg_tasks.pipeline.intake.label_tables import Row, Staged, merged, names_of, over
from ecg_tasks.pipeline.intake.names import Archived
from ecg_tasks.readers.base import MAX_CONTENT_CHARS

_SHOWN = 4
_SHOWN_CHARS = 160


@dataclass(frozen=True, kw_only=True)
class SettledDrop:
    """What a run has of records beside the archive, all by digests of their names.

    ``now`` are the records that came in this run, new or again; ``new`` the ids of those that are new; ``persons`` what was stored of
    each; ``refused`` the recordings and rows that came and could not be read; ``waiting`` the recordings that wait in the inbox;
    ``forgotten`` what the recordings are called that are refused because they were forgotten.
    """

    now: Mapping[str, AbstractSet[str]]
    new: AbstractSet[str]
    persons: Mapping[str, Person]
    refused: AbstractSet[str]
    waiting: AbstractSet[str]
    forgotten: ForgottenNames = NONE_FORGOTTEN


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What becomes of the tables.

    ``labels`` and ``classes`` are the entries to append, ``persons`` what becomes known of records' patients, ``faults`` the refused
    rows of each table (ready for the quarantine), ``stays`` the tables that wait in the inbox, ``forgotten`` how many rows of a table
    speak of forgotten recordings, and are as if they were not there; all by the place of the table.
    """

    labels: dict[str, LabelEntry] = field(default_factory=dict)
    classes: dict[str, ClassEntry] = field(default_factory=dict)
    persons: dict[str, Person] = field(default_factory=dict)
    faults: dict[int, list[RefusedRow]] = field(default_factory=lambda: defaultdict(list))
    stays: set[int] = field(default_factory=set)
    forgotten: Counter[int] = field(default_factory=Counter)


class _TableRow(NamedTuple):
    table: int
    row: Row


def wanted(tables: Iterable[Staged]) -> set[str]:
    """Return every name that a row of the tables can mean."""
    return {name for table in tables for row in table.rows for spellings in names_of(table, row) for name in spellings}


def settle(
    tables: Sequence[Staged],
    drop: SettledDrop,
    archived: Archived,
    *,
    grace_ended: str,
    known: Mapping[str, Person],
    folds: Mapping[str, Mapping[int, str]],
    names: StoredNames,
) -> Settled:
    """Decide on every row.

    Parameters
    ----------
    archived : what the archive has of the `wanted` names
    grace_ended : tables from before this moment (ISO 8601) no longer wait for recordings that nothing is there of
    known : what became known of records' patients in earlier runs
    folds : of patients (keyed hashes), by records of earlier runs, each with the id of one
    """
    result = Settled(stays={number for number, table in enumerate(tables) if table.partly})
    contradicted = []
    agreed: list[_Agreed] = []
    for record_id, places in _by_record(result, tables, drop, archived, grace_ended=grace_ended, names=names).items():
        person = _together(places)
        said = dict(_values(places))
        if person is None or len(set(said["label"])) > 1 or len(set(said["classes"])) > 1:
            contradicted.append(places)
            _refuse_contradiction(result, tables, places)
            _take_back(result, record_id, places, drop=drop)
        else:
            before = drop.persons[record_id] if record_id in drop.new else known.get(record_id) or archived.persons.get(record_id, Person())
            agreed.append(_Agreed(record_id, places, before, person, _who(before, person, key=names.key)))
    two_folds = _in_two_folds(agreed, folds)
    for together in two_folds:
        contradicted.append([place for one in together.told for place in one.places])
        _refuse_folds(result, tables, together)
        for one in together.told:
            _take_back(result, one.record_id, one.places, drop=drop)
    refused = {one.record_id for together in two_folds for one in together.told}
    for one in agreed:
        if one.record_id not in refused:
            _apply(result, tables, one, is_new=one.record_id in drop.new, names=names)
    _keep_together(result.stays, contradicted)
    return result


def _by_record(
    result: Settled, tables: Sequence[Staged], drop: SettledDrop, archived: Archived, *, grace_ended: str, names: StoredNames
) -> dict[str, list[_TableRow]]:
    """Return the rows about each record; those that mean none are refused, or let their table wait."""
    of_record: dict[str, list[_TableRow]] = defaultdict(list)
    for number, table in enumerate(tables):
        for row in table.rows:
            found = _resolve(names_of(table, row), drop, archived, names)
            if found.waits:
                result.stays.add(number)
            elif found.forgotten:
                result.forgotten[number] += 1
            elif found.record_id is not None:
                of_record[found.record_id].append(_TableRow(number, row))
            else:
                if found.may_come and table.modified > grace_ended and not table.file.released:
                    result.stays.add(number)
                result.faults[number].append(_fault(table, row, f"{row.record[:_SHOWN_CHARS]!r} {found.sentence}"))
    return of_record


class _Agreed(NamedTuple):
    """A record, the rows about it, the person that is stored with it, the one whom the rows tell of together, and whom that is."""

    record_id: str
    places: Sequence[_TableRow]
    stored: Person
    person: Person
    who: Person

    @property
    def patient(self) -> str:
        """Whose fold it is: the patient's, or the record's where no patient is known."""
        return self.who.patient or self.stored.patient or self.record_id

    @property
    def fold(self) -> int | None:
        """The fold that the rows put the patient into: they give it, or the patient of a record that has one."""
        is_said = self.person.fold is not None or (self.stored.patient is None and self.person.patient is not None)
        return over(self.stored, self.person).fold if is_said else None


class _TwoFolds(NamedTuple):
    """Records of one patient, by whose rows the patient is in another fold than elsewhere; ``before`` is the fold by earlier runs."""

    told: Sequence[_Agreed]
    before: Mapping[int, str]


def _in_two_folds(agreed: Sequence[_Agreed], folds: Mapping[str, Mapping[int, str]]) -> list[_TwoFolds]:
    """Find the patients with two folds: of those whose fold is known the rows with another one, of the others all rows with one."""
    of_patient: dict[str, list[_Agreed]] = defaultdict(list)
    for one in agreed:
        if one.fold is not None:
            of_patient[one.patient].append(one)
    found = []
    for patient, told in of_patient.items():
        exchanged = {one.stored.fold: one.record_id for one in told if one.stored.fold is not None and one.stored.fold != one.fold}
        before = exchanged | dict(folds.get(patient, {}))
        others = [one for one in told if before.keys() - {one.fold}] if before else told
        if others and len({one.fold for one in others} | before.keys()) > 1:
            found.append(_TwoFolds(others, before))
    return found


def _refuse_folds(result: Settled, tables: Sequence[Staged], together: _TwoFolds) -> None:
    said = [(place, one.fold) for one in together.told for place in one.places]
    for place, fold in said:
        others = [f"{other} by {tables[row.table].name}, row {row.row.row}" for row, other in said if other != fold]
        others += [
            f"{other} by the record {record_id}, which was received before" for other, record_id in together.before.items() if other != fold
        ]
        where = "here" if place.row.person.fold is not None else "by what is stored with it"
        sentence = (
            f"the patient of the recording {place.row.record[:_SHOWN_CHARS]!r} is in fold {fold} {where}, and in fold "
            f"{', '.join(others[:_SHOWN])}; all recordings of a patient must be in one fold. None of these rows was applied"
        )
        result.faults[place.table].append(_fault(tables[place.table], place.row, sentence))


def _take_back(result: Settled, record_id: str, places: Sequence[_TableRow], *, drop: SettledDrop) -> None:
    """Take from a new record what it has from rows that are refused: it was stored before they were compared."""
    if record_id in drop.new and (left := _without(drop.persons[record_id], places)) != drop.persons[record_id]:
        result.persons[record_id] = left


class _Found(NamedTuple):
    record_id: str | None = None
    sentence: str = ""
    waits: bool = False
    forgotten: bool = False
    may_come: bool = False
    """A recording of this name may still be on its way."""


def _resolve(paths: Sequence[tuple[str, ...]], drop: SettledDrop, archived: Archived, names: StoredNames) -> _Found:
    """Find the one record that a row means, or why there is none."""
    hashed = {name: names.hashed(name) for spellings in paths for name in spellings}
    came: dict[str, AbstractSet[str]] = {}
    before: dict[str, tuple[int, AbstractSet[str]]] = {}
    refused: list[str] = []
    forgotten = False
    for spellings in paths:
        name = next((one for one in spellings if _is_known(hashed[one], drop, archived) or one in archived.latest), "")
        digest = hashed.get(name, "")
        if digest in drop.now:
            came[name] = drop.now[digest]
        elif _among(digest, drop.waiting):
            return _Found(waits=True)
        elif drop.forgotten.came(digest) or (not name and any(map(drop.forgotten.known, spellings))):
            forgotten = True
        elif _among(digest, drop.refused):
            refused.append(name)
        elif name:
            before[name] = archived.latest.get(digest) or archived.latest[name]  # by its id
    if not came and forgotten:
        return _Found(forgotten=True)
    if not came and refused:
        return _Found(sentence=f"means the recording {refused[0]}, which was refused; correct it, and drop both again")
    return _one_of(paths, came, before)


def _one_of(
    paths: Sequence[tuple[str, ...]], came: Mapping[str, AbstractSet[str]], before: Mapping[str, tuple[int, AbstractSet[str]]]
) -> _Found:
    """Find the one record among those that came under a row's names in this run, or else in the latest before."""
    if not came and before:
        last = max(number for number, _ in before.values())
        came = {name: ids for name, (number, ids) in before.items() if number == last}
    ids = {record_id for found in came.values() for record_id in found}
    if not ids:
        looked = " or ".join(spellings[-1][:_SHOWN_CHARS] for spellings in paths) or "a path inside the inbox"
        sentence = f"names no recording that was received (looked for {looked}); drop the row again after the recording"
        return _Found(sentence=sentence, may_come=True)
    if len(ids) == 1:
        return _Found(record_id=ids.pop())
    listed = ", ".join(name[:_SHOWN_CHARS] for name in [*came][:_SHOWN])
    sentence = f"is ambiguous: {len(ids)} recordings have the name {listed}; name one by its path in the inbox, or by its id"
    return _Found(sentence=sentence)


def _is_known(name: str, drop: SettledDrop, archived: Archived) -> bool:
    return (
        name in drop.now or drop.forgotten.came(name) or name in archived.latest or _among(name, drop.waiting) or _among(name, drop.refused)
    )


def _among(name: str, names: AbstractSet[str]) -> bool:
    """Return whether a name is one of these, or that of a row of such a file."""
    return name in names or ("#" in name and name.rpartition("#")[0] in names)


def _together(places: Sequence[_TableRow]) -> Person | None:
    """Return what rows say of one patient, or None if two of them contradict each other."""
    person: Person | None = places[0].row.person
    for place in places[1:]:
        if person is None:
            return None
        person = merged(person, place.row.person)
    return person


def _refuse_contradiction(result: Settled, tables: Sequence[Staged], places: Sequence[_TableRow]) -> None:
    named = [f"{tables[place.table].name}, row {place.row.row}" for place in places]
    about = [what for what, values in _values(places) if len(set(values)) > 1]
    for place, own in zip(places, named, strict=True):
        others = ", ".join([other for other in named if other != own][:_SHOWN]) or own
        sentence = (
            f"it contradicts {others} in the {' and the '.join(about)} of the recording {place.row.record[:_SHOWN_CHARS]!r}; "
            "neither was applied. Drop the table again with the right one"
        )
        result.faults[place.table].append(_fault(tables[place.table], place.row, sentence))


def _values(places: Sequence[_TableRow]) -> Iterator[tuple[str, list[object]]]:
    """Yield what the rows say, column by column, where they say something."""
    rows = [place.row for place in places]
    yield "label", [row.label for row in rows if row.label is not None]
    yield "classes", [row.classes for row in rows if row.classes]
    yield "patient", [row.person.patient for row in rows if row.person.patient is not None]
    yield "age", [row.person.age for row in rows if row.person.age is not None]
    yield "sex", [row.person.sex for row in rows if row.person.sex is not None]
    yield "fold", [row.person.fold for row in rows if row.person.fold is not None]
    yield "collection", [row.person.public_patient for row in rows if row.person.public_patient is not None]


def _without(stored: Person, places: Sequence[_TableRow]) -> Person:
    """Return a new record's person less what rows say."""
    said = {what: set(values) for what, values in _values(places)}
    kept = Person() if stored.patient in said["patient"] else Person(stored.patient, stored.bucket)
    return kept._replace(
        age=None if stored.age in said["age"] else stored.age,
        sex=None if stored.sex in said["sex"] else stored.sex,
        fold=None if stored.fold in said["fold"] else stored.fold,
    )


def _who(stored: Person, person: Person, *, key: bytes) -> Person:
    """Return whom rows tell of; the patient that is stored already where they give the id without who gave it.

    A bucket is of the id alone.
    """
    is_same_id = stored.patient != person.patient and same_bucket(stored.bucket, person.bucket, key=key)
    return person._replace(patient=None, bucket=-1) if is_same_id else person


def _apply(result: Settled, tables: Sequence[Staged], told: _Agreed, *, is_new: bool, names: StoredNames) -> None:
    record_id, places, stored, _, person = told
    another = None not in {stored.patient, person.patient} and stored.patient != person.patient
    another |= None not in {stored.public_patient, person.public_patient} and stored.public_patient != person.public_patient
    if another and not is_new:
        sentence = "belongs to another patient, by an earlier row or file; the row was not applied"
        for place in places:
            shown = f"the recording {place.row.record[:_SHOWN_CHARS]!r} {sentence}"
            result.faults[place.table].append(_fault(tables[place.table], place.row, shown))
        return
    if (now := over(stored, person)) != stored:
        result.persons[record_id] = now
    latest = sorted(places, key=lambda place: (tables[place.table].modified, tables[place.table].name))
    for table, row in latest:
        when, who = tables[table].modified, f"{SOURCE}{names.shown(tables[table].name)}"
        if row.label is not None:
            result.labels[record_id] = LabelEntry(record_id=record_id, label=row.label, who=who, when=when)
        if row.classes:
            result.classes[record_id] = ClassEntry(record_id=record_id, classes=row.classes, who=who, when=when)


def _keep_together(stays: set[int], contradicted: Sequence[Sequence[_TableRow]]) -> None:
    """Let a table wait with every other that it contradicts, or the one that is left would hold by itself in the next run."""
    groups = [{place.table for place in places} for places in contradicted]
    before = -1
    while before != len(stays):
        before = len(stays)
        for group in groups:
            if group & stays:
                stays |= group


def _fault(table: Staged, row: Row, sentence: str) -> RefusedRow:
    return RefusedRow(
        name=f"{table.name}#{row.row}",
        reason=Reason.BAD_LABEL.value,
        message=f"{table.name}, row {row.row}: {sentence}",
        content=row.record[:MAX_CONTENT_CHARS],
    )
