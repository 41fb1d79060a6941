"""Here: which record a reviewer should look at next, and how far the review has come.

Not here: saying it (``actions``), whose a second reading is (``second_readings``), what was said (``reviewed_records``).
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.archive import verdicts
from ecg_tasks.archive.cache import keep
from ecg_tasks.archive.labelling import LabelEntry
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.verdicts import Opinion, PairAgreement, Statement, agreement, history
from ecg_tasks.errors import ConfigurationError
from ecg_tasks.evaluation.priority import REASONS, Priority, prioritise
from ecg_tasks.labels import CLASS_ORDER, ClassList, Label, in_order
from ecg_tasks.queries import reasons, second_readings
from ecg_tasks.queries.decided_records import DecidedRecords, decided_records

__all__ = [
    "NextReading",
    "PairAgreement",
    "Progress",
    "QueueItem",
    "QueuePage",
    "Revealed",
    "Statement",
    "Why",
    "agreement",
    "has_verdict",
    "history",
    "is_decided",
    "known_classes",
    "next_reading",
    "progress",
    "queue",
    "reveal",
]

MAX_PAGE = 500
BATCH = 50
"""Records that a blind queue mixes: so many are chosen by priority, and then come in an order that says nothing."""
MAX_KNOWN_CLASSES = 500


@dataclass(frozen=True, kw_only=True)
class Why:
    """One reason to look at a record, and its share of the priority."""

    code: str
    text: str
    share: float


@dataclass(frozen=True, kw_only=True)
class QueueItem:
    """A record that waits for a reviewer; ``label`` is the one in force.

    ``why`` has the reasons that matter, the largest share first; it is empty where none does. ``abstain`` is None without a band.
    """

    record_id: str
    name: str
    shard: str
    recipe: str
    version: str
    decision: str
    probability: float | None
    threshold: float
    abstain: tuple[float, float] | None
    quality: float
    label: str | None
    labelled_by: str | None
    synthetic: bool
    priority: float
    why: tuple[Why, ...]


@dataclass(frozen=True, kw_only=True)
class QueuePage:
    """A part of one user's queue: ``waiting`` records in all, ``reviewed`` by this user so far, of ``total`` in the archive."""

    items: tuple[QueueItem, ...]
    offset: int
    waiting: int
    reviewed: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Records that were decided on, and how many of them have a label, a reviewer's verdict, or verdicts that differ.

    ``assigned`` has how many further readings wait for each person, under ``second_readings.ANYBODY`` those that wait for a new one.
    """

    records: int
    labelled: int
    reviewed: int
    disputed: int
    by_user: Mapping[str, int]
    assigned: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class NextReading:
    """Who reads a record next that has a verdict.

    Parameters
    ----------
    reader : that person, ``second_readings.ANYBODY`` where nobody is left; None where it needs no other reading
    asked : the person who was asked by name, and has not read it yet; empty where it goes by rule
    able : who gave verdicts lately, and has said nothing of this record
    """

    reader: str | None
    asked: str
    able: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Revealed:
    """What a reviewer may know after the verdict: the model's word, the source's label and the reasons, as they were without the verdict.

    ``verdict`` is the reviewer's; the ``label`` of ``item`` is the source's.
    """

    verdict: str
    item: QueueItem


def queue(store: ObjectStore, *, user: str, offset: int = 0, limit: int = 50, blind: bool = False) -> QueuePage:
    """Return what this user should look at: first what somebody asked this user by name to read, then what teaches most.

    A record that the user gave a verdict on, or skipped, is not in it. What others gave a verdict on is in it where another reading is
    needed, and that is this user's (`second_readings`).

    Parameters
    ----------
    blind : the order says nothing: of what teaches most the first `BATCH` are shuffled, with further readings among them, and no more are
        listed; ``waiting`` counts all
    """
    if offset < 0 or not 1 <= limit <= MAX_PAGE:
        raise ConfigurationError(f"{offset=}, {limit=}; offset must not be negative, limit must lie between 1 and {MAX_PAGE}")
    archive = decided_records(store)
    known = verdicts.read_labels(store)
    labels = _labels(store, archive, known)
    said = verdicts.opinions(known.reviews)
    people = second_readings.readers(known.reviews, now=datetime.now(UTC))
    asked = verdicts.asked_of(known.reviews)
    others = [
        record_id
        for record_id, by_user in said.items()
        if not second_readings.is_for(user, record_id, by_user, known=people, asked=asked.get(record_id, ""))
    ]
    disputed = archive.flags([record_id for record_id, by_user in said.items() if verdicts.is_disputed(by_user)])
    found = prioritise(scores=archive.scores, uncertain=archive.uncertain, quality=archive.quality, label=labels.by_row, disputed=disputed)
    open_rows = np.flatnonzero(~archive.flags(others))
    by_name = archive.flags([record_id for record_id, reader in asked.items() if reader == user and record_id in said])
    place = np.where(by_name, -np.inf, -found.total)[open_rows]
    own = archive.rows([record_id for record_id, by_user in said.items() if _has_labelled(by_user, user)])
    if blind:
        shown = _shuffled(archive, open_rows, place, read=archive.flags(list(said)), user=user)
    else:
        shown = open_rows[_first(place, offset + limit)]
    return QueuePage(
        items=tuple(_item(archive, int(row), labels.of(archive.ids[row].decode()), found, int(row)) for row in shown[offset:][:limit]),
        offset=offset,
        waiting=len(open_rows),
        reviewed=len(own),
        total=len(archive.ids),
    )


def _first(place: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """Return where the ``n`` lowest places are, in their order, equals as they stand; of a million only these are sorted."""
    at = np.flatnonzero(place <= np.partition(place, n - 1)[n - 1]) if n < len(place) else np.arange(len(place))
    found: NDArray[np.int64] = at[np.argsort(place[at], kind="stable")][:n]
    return found


def _shuffled(
    archive: DecidedRecords, rows: NDArray[np.int64], place: NDArray[np.float64], *, read: NDArray[np.bool_], user: str
) -> NDArray[np.int64]:
    """Return the batch that a user reads blind: at most half of it further readings, all by a digest of user and id.

    ``rows`` are those that wait, in the order of their ids, and ``place`` says which of them come first.
    """
    again = np.flatnonzero(read[rows])
    further = again[_first(place[again], BATCH // 2)]
    first = _first(place, BATCH + len(further))
    batch = rows[np.concatenate([further, first[~np.isin(first, further)][: BATCH - len(further)]])]
    digests = [hashlib.blake2b(f"{user}\n".encode() + archive.ids[row]).digest() for row in batch]
    order = np.argsort(np.array(digests, dtype="S64"))
    shown: NDArray[np.int64] = batch[order] if len(batch) else batch
    return shown


def reveal(store: ObjectStore, record_id: str, *, user: str) -> Revealed | None:
    """Return what this user may know of a record after a verdict on it; None before, and for what no serving model has decided on."""
    archive = decided_records(store)
    known = verdicts.read_labels(store)
    said = verdicts.opinions(entry for entry in known.reviews if entry.record_id == record_id).get(record_id, {})
    rows = archive.rows([record_id])
    if not len(rows) or user not in said or (verdict := said[user].label) is None:
        return None
    source = known.sources.get(record_id)
    by_row = np.array([_NO_LABEL if source is None or source.label not in CLASS_ORDER else CLASS_ORDER.index(Label(source.label))])
    alone = prioritise(
        scores=archive.scores[:, rows],
        uncertain=archive.uncertain[rows],
        quality=archive.quality[rows],
        label=by_row,
        disputed=np.zeros(1, dtype=bool),
    )
    return Revealed(verdict=verdict, item=_item(archive, int(rows[0]), source, alone, 0))


def has_verdict(store: ObjectStore, record_id: str, *, user: str) -> bool:
    """Return whether a verdict of this user on a record stands; a skip is none."""
    reviews = (entry for entry in verdicts.read_labels(store).reviews if entry.record_id == record_id)
    return _has_labelled(verdicts.opinions(reviews).get(record_id, {}), user)


def next_reading(store: ObjectStore, record_id: str) -> NextReading | None:
    """Return who reads a record next; None before the first verdict, and for what no serving model has decided on."""
    known = verdicts.read_labels(store)
    reviews = [entry for entry in known.reviews if entry.record_id == record_id]
    said = verdicts.opinions(reviews).get(record_id, {})
    if not second_readings.has_verdict(said) or not is_decided(store, record_id):
        return None
    people = second_readings.readers(known.reviews, now=datetime.now(UTC))
    able, asked = second_readings.free(said, known=people), verdicts.asked_of(reviews).get(record_id, "")
    needed = second_readings.needs_another(record_id, said, known=people, asked=asked)
    return NextReading(
        reader=second_readings.reader_of(record_id, said, known=people, asked=asked) if needed else None,
        asked=asked if asked in able else "",
        able=tuple(able),
    )


def known_classes(store: ObjectStore) -> tuple[str, ...]:
    """Return names of classes that sources and reviewers have given, to choose from; at most `MAX_KNOWN_CLASSES`."""
    return _named(store, known=verdicts.read_labels(store))


@keep(1)
def _named(_store: ObjectStore, *, known: verdicts.Known) -> tuple[str, ...]:
    lists = [ClassList.read(text) for text in {entry.classes for entry in known.classes}]
    return in_order(name for one in lists if one is not None for name in one.names | one.absent)[:MAX_KNOWN_CLASSES]


def is_decided(store: ObjectStore, record_id: str) -> bool:
    """Return whether a serving model has decided on a record of this id."""
    return bool(len(decided_records(store).rows([record_id])))


def progress(store: ObjectStore) -> Progress:
    """Return how far the review has come."""
    archive = decided_records(store)
    known = verdicts.read_labels(store)
    said = verdicts.opinions(known.reviews)
    by_user: dict[str, int] = {}
    for by in said.values():
        for user in by:
            by_user[user] = by_user.get(user, 0) + _has_labelled(by, user)
    return Progress(
        records=len(archive.ids),
        labelled=int((_labels(store, archive, known).by_row != _NO_LABEL).sum()),
        reviewed=len(archive.rows([record_id for record_id, by in said.items() if any(_has_labelled(by, user) for user in by)])),
        disputed=len(archive.rows([record_id for record_id, by in said.items() if verdicts.is_disputed(by)])),
        by_user=dict(sorted(by_user.items())),
        assigned=second_readings.assigned(
            said, known=second_readings.readers(known.reviews, now=datetime.now(UTC)), asked=verdicts.asked_of(known.reviews)
        ),
    )


def _has_labelled(said: Mapping[str, Opinion], user: str) -> bool:
    return user in said and said[user].label is not None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Labels:
    """The label in force of each row of the archive: its place in ``CLASS_ORDER``, or a negative number; and who gave it."""

    by_row: NDArray[np.int64]
    reviewed: Mapping[str, LabelEntry]
    sources: Mapping[str, LabelEntry]

    def of(self, record_id: str) -> LabelEntry | None:
        """Return the label in force of one record."""
        return self.reviewed.get(record_id) or self.sources.get(record_id)


_NO_LABEL, _OTHER_LABEL = -1, -2


def _labels(store: ObjectStore, archive: DecidedRecords, known: verdicts.Known) -> _Labels:
    reviewed = known.in_force()
    by_row = _spread(archive, reviewed, _of_sources(store, archive=archive, sources=known.sources).copy())
    return _Labels(by_row=by_row, reviewed=reviewed, sources=known.sources)


@keep(1)
def _of_sources(_store: ObjectStore, *, archive: DecidedRecords, sources: Mapping[str, LabelEntry]) -> NDArray[np.int64]:
    """Return what came from outside, spread over the rows of an archive: it seldom changes, and may be much."""
    return _spread(archive, sources, np.full(len(archive.ids), _NO_LABEL))


def _spread(archive: DecidedRecords, labels: Mapping[str, LabelEntry], by_row: NDArray[np.int64]) -> NDArray[np.int64]:
    """Write labels into the rows of their records."""
    for index, kind in zip((*range(len(CLASS_ORDER)), _OTHER_LABEL), (*CLASS_ORDER, Label.UNINTERPRETABLE), strict=True):
        by_row[archive.rows([record_id for record_id, entry in labels.items() if entry.label == kind])] = index
    return by_row


def _item(archive: DecidedRecords, row: int, entry: LabelEntry | None, priority: Priority, at_priority: int) -> QueueItem:
    """Return the record of a row with a label; its reasons stand at ``at_priority`` of the priorities."""
    model, at = archive.models[archive.model[row]], archive.row[row]
    shares = sorted(((float(priority.shares[code][at_priority]), code) for code in REASONS), reverse=True)
    probability = float(model.probability[at])
    threshold, low, high = (float(values[at]) for values in (model.threshold, model.low, model.high))
    band = (low, high) if high > low else None
    case = reasons.Case(
        recipe=model.recipe,
        decision=model.decision[at],
        probability=None if np.isnan(probability) else probability,
        threshold=threshold,
        abstain=band,
        quality=float(model.quality[at]),
        label=None if entry is None else Label(entry.label).value,
        others=tuple(_others(archive, row)),
    )
    strengths = {code: float(priority.strength[code][at_priority]) for code in REASONS}
    return QueueItem(
        record_id=archive.ids[row].decode(),
        name=model.name[at],
        shard=model.shard[at],
        recipe=model.recipe,
        version=model.version,
        decision=case.decision,
        probability=case.probability,
        threshold=threshold,
        abstain=band,
        quality=case.quality,
        label=case.label,
        labelled_by=None if entry is None else entry.who,
        synthetic=bool(model.synthetic[at]),
        priority=float(priority.total[at_priority]),
        why=tuple(Why(code=code, text=text, share=share) for share, code in shares if (text := case.sentence(code, strengths[code]))),
    )


def _others(archive: DecidedRecords, row: int) -> Iterator[reasons.Other]:
    """Yield what the other recipes' champions say of a record, where they give it a probability."""
    for index, model in enumerate(archive.models):
        at = int(model.rows(archive.ids[row : row + 1])[0])
        if index != archive.model[row] and at >= 0 and not np.isnan(model.probability[at]):
            yield reasons.Other(recipe=model.recipe, probability=float(model.probability[at]), threshold=float(model.threshold[at]))
