"""Here: what reviewers said, record by record: to look through, and as a ``labels.csv``. Not here: saying it (``actions``)."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ecg_tasks.archive import verdicts
from ecg_tasks.archive.cache import keep
from ecg_tasks.archive.class_lists import classes_in_force
from ecg_tasks.archive.labelling import REVIEW, in_force
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.labels import ClassList, in_order
from ecg_tasks.queries import second_readings
from ecg_tasks.reporting.escaping import cell

COLUMNS = ("record", "label", "classes", "reviewer", "when", "readings", "disputed")
"""Of the table that is exported; what reads it as ``labels.csv`` takes the first three. ``comment`` comes last where it is asked for."""
_ROWS_AT_ONCE = 1000


@dataclass(frozen=True, kw_only=True)
class ReviewedRecord:
    """A record with a verdict: the one in force among the reviewers', the latest.

    Parameters
    ----------
    classes : a `ClassList` as text; empty where no reviewer said anything of classes
    comment : that of the verdict in force
    readings : people whose verdict stands
    disputed : whether these differ, and none of them has a majority
    """

    record_id: str
    label: str
    classes: str
    reviewer: str
    when: str
    comment: str
    readings: int
    disputed: bool


@dataclass(frozen=True, kw_only=True)
class ReviewedPage:
    """A part of the records with a verdict, the latest first: ``found`` pass the filter, ``hidden`` wait for this user, unseen."""

    records: tuple[ReviewedRecord, ...]
    found: int
    hidden: int


def reviewed_records(store: ObjectStore) -> Sequence[ReviewedRecord]:
    """Return every record with a verdict that stands, the latest verdict first."""
    return _reviewed(store, known=verdicts.read_labels(store))


@keep(1)
def _reviewed(_store: ObjectStore, *, known: verdicts.Known) -> Sequence[ReviewedRecord]:
    said = verdicts.opinions(known.reviews)
    by_reviewers = [one for one in known.classes if one.who.startswith(REVIEW)]
    classes = classes_in_force(by_reviewers, labels=known.reviews)
    found = []
    for record_id, entry in in_force(known.reviews).items():
        named = classes.get(record_id)
        found.append(
            ReviewedRecord(
                record_id=record_id,
                label=entry.label,
                classes="" if named is None else _as_text(ClassList(named.has, is_whole=False, absent=named.lacks)),
                reviewer=entry.who.removeprefix(REVIEW),
                when=entry.when,
                comment=entry.comment,
                readings=sum(opinion.label is not None for opinion in said[record_id].values()),
                disputed=verdicts.is_disputed(said[record_id]),
            )
        )
    return tuple(sorted(found, key=lambda one: (one.when, one.record_id), reverse=True))


def search(
    store: ObjectStore, *, text: str = "", label: str = "", disputed: bool = False, unseen_by: str = "", offset: int = 0, limit: int = 50
) -> ReviewedPage:
    """Return the records with a verdict that pass a filter.

    Parameters
    ----------
    text : words that each stand in the id, the classes, the comment or the reviewer's name, whatever their case
    unseen_by : a reviewer who reads blind: what waits for this person's verdict is left out
    """
    known = verdicts.read_labels(store)
    listed, hidden = _reviewed(store, known=known), set()
    if unseen_by:
        said = verdicts.opinions(known.reviews)
        people = second_readings.readers(known.reviews, now=datetime.now(UTC))
        asked = verdicts.asked_of(known.reviews)
        hidden = {
            one.record_id
            for one in listed
            if second_readings.is_for(unseen_by, one.record_id, said[one.record_id], known=people, asked=asked.get(one.record_id, ""))
        }
    words = text.casefold().split()
    found = [
        one
        for one in listed
        if one.record_id not in hidden
        and (not label or one.label == label)
        and (one.disputed or not disputed)
        and all(word in f"{one.record_id} {one.classes} {one.comment} {one.reviewer}".casefold() for word in words)
    ]
    return ReviewedPage(records=tuple(found[offset : offset + limit]), found=len(found), hidden=len(hidden))


def labels_csv(store: ObjectStore, *, comments: bool = False) -> Iterator[bytes]:
    """Yield the verdicts in force as a ``labels.csv`` that the intake reads, a record each by its id.

    Parameters
    ----------
    comments : with what reviewers wrote, which may say whose recording it is
    """
    columns = [*COLUMNS, *(["comment"] if comments else [])]
    rows = sorted(reviewed_records(store), key=lambda one: one.record_id)
    for first in range(0, max(len(rows), 1), _ROWS_AT_ONCE):
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        if first == 0:
            writer.writerow(columns)
        for one in rows[first : first + _ROWS_AT_ONCE]:
            said = (one.record_id, one.label, one.classes, cell(one.reviewer), one.when, one.readings, "yes" if one.disputed else "no")
            writer.writerow([*said, *([cell(one.comment)] if comments else [])])
        yield text.getvalue().encode()


def _as_text(classes: ClassList) -> str:
    """Return a list as text that never begins with a sign: a spreadsheet would take that for a formula."""
    names, absent = in_order(classes.names), [f"-{name}" for name in in_order(classes.absent)]
    return " ".join([*names, *absent, "?"] if names else ["?", *absent])
