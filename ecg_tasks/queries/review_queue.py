"""Here: which record a reviewer should look at next, and how far the review has come. Not here: saying it (``actions``)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.archive import verdicts
from ecg_tasks.archive.cache import keep
from ecg_tasks.archive.labelling import LabelEntry
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.verdicts import Opinion, PairAgreement, Statement, agreement, history
from ecg_tasks.errors import ConfigurationError
from ecg_tasks.evaluation.priority import REASONS, Priority, centred, prioritise, uncertainty
from ecg_tasks.labels import CLASS_ORDER, Label
from ecg_tasks.pipeline.decided import Decided, serving
from ecg_tasks.queries import reasons
from ecg_tasks.settings import Settings

__all__ = [
    "PairAgreement",
    "Progress",
    "QueueItem",
    "QueuePage",
    "Statement",
    "Why",
    "agreement",
    "history",
    "is_decided",
    "progress",
    "queue",
]

SECOND_READINGS = 10
"""Of so many records one is shown to a second reviewer, too, so that agreement can be measured."""
MAX_PAGE = 500


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
    """Records that were decided on, and how many of them have a label, a reviewer's verdict, or verdicts that differ."""

    records: int
    labelled: int
    reviewed: int
    disputed: int
    by_user: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class _DecidedRecords:
    """All decided records, one row each: which model decides on it (index into ``models``), and where it stands there."""

    models: Sequence[Decided]
    ids: NDArray[np.bytes_]
    model: NDArray[np.int64]
    row: NDArray[np.int64]
    scores: NDArray[np.float64]
    uncertain: NDArray[np.float64]
    quality: NDArray[np.float64]


def queue(store: ObjectStore, *, user: str, offset: int = 0, limit: int = 50) -> QueuePage:
    """Return what this user should look at, what teaches most first.

    A record that the user reviewed or skipped is not in it, unless another reviewer has differed since. What another user reviewed
    is not in it either, except a tenth of the records, for a second reading, and disputed ones.
    """
    if offset < 0 or not 1 <= limit <= MAX_PAGE:
        raise ConfigurationError(f"{offset=}, {limit=}; offset must not be negative, limit must lie between 1 and {MAX_PAGE}")
    archive = _archive(store)
    known = verdicts.read_labels(store)
    labels = _labels(store, archive, known)
    said = verdicts.opinions(known.reviews)
    done = _rows(archive, [record_id for record_id, by_user in said.items() if not _is_for(user, record_id, by_user)])
    disputed = _flags(archive, [record_id for record_id, by_user in said.items() if verdicts.is_disputed(by_user)])
    found = prioritise(scores=archive.scores, uncertain=archive.uncertain, quality=archive.quality, label=labels.by_row, disputed=disputed)
    open_rows = np.setdiff1d(np.arange(len(archive.ids)), done)
    order = open_rows[np.lexsort((archive.ids[open_rows], -found.total[open_rows]))]
    own = _rows(archive, [record_id for record_id, by_user in said.items() if _has_labelled(by_user, user)])
    return QueuePage(
        items=tuple(_item(archive, int(row), labels, found) for row in order[offset : offset + limit]),
        offset=offset,
        waiting=len(order),
        reviewed=len(own),
        total=len(archive.ids),
    )


def is_decided(store: ObjectStore, record_id: str) -> bool:
    """Return whether a serving model has decided on a record of this id."""
    return bool(len(_rows(_archive(store), [record_id])))


def progress(store: ObjectStore) -> Progress:
    """Return how far the review has come."""
    archive = _archive(store)
    known = verdicts.read_labels(store)
    said = verdicts.opinions(known.reviews)
    by_user: dict[str, int] = {}
    for by in said.values():
        for user in by:
            by_user[user] = by_user.get(user, 0) + _has_labelled(by, user)
    return Progress(
        records=len(archive.ids),
        labelled=int((_labels(store, archive, known).by_row != _NO_LABEL).sum()),
        reviewed=len(_rows(archive, [record_id for record_id, by in said.items() if any(_has_labelled(by, user) for user in by)])),
        disputed=len(_rows(archive, [record_id for record_id, by in said.items() if verdicts.is_disputed(by)])),
        by_user=dict(sorted(by_user.items())),
    )


def _has_labelled(said: Mapping[str, Opinion], user: str) -> bool:
    return user in said and said[user].label is not None


def _is_for(user: str, record_id: str, said: Mapping[str, Opinion]) -> bool:
    """Return whether a record that has been reviewed is in this user's queue."""
    disputed = verdicts.is_disputed(said)
    own = said.get(user)
    others = [opinion for other, opinion in said.items() if other != user and opinion.label is not None]
    if own is not None:
        return disputed and own.label is not None and any(other.label != own.label and other.when > own.when for other in others)
    return disputed or not others or (len(others) == 1 and int(record_id[:8], 16) % SECOND_READINGS == 0)


def _archive(store: ObjectStore) -> _DecidedRecords:
    """Return every decided record once: the first recipe that takes it decides on it."""
    return _merged(store, models=tuple(serving(store, Settings.from_environment().recipes)))


@keep(1)
def _merged(_store: ObjectStore, *, models: Sequence[Decided]) -> _DecidedRecords:
    ids = np.unique(np.concatenate([np.empty(0, dtype="S32"), *(model.ids for model in models)]))
    places = [model.rows(ids) for model in models]
    chosen, row = np.full(len(ids), -1), np.full(len(ids), -1)
    for index in reversed(range(len(models))):
        here = places[index] >= 0
        chosen[here], row[here] = index, places[index][here]
    scores = np.full((max(len(models), 1), len(ids)), np.nan)
    uncertain, quality = np.zeros(len(ids)), np.ones(len(ids))
    for index, model in enumerate(models):
        here = places[index] >= 0
        at = places[index][here]
        scores[index, here] = centred(model.probability[at], threshold=model.threshold[at])
        mine = chosen == index
        of_mine = model.probability[row[mine]]
        limits = (model.low[row[mine]], model.high[row[mine]])
        uncertain[mine] = uncertainty(of_mine, threshold=model.threshold[row[mine]], abstain=limits)
        quality[mine] = model.quality[row[mine]]
    return _DecidedRecords(models=models, ids=ids, model=chosen, row=row, scores=scores, uncertain=uncertain, quality=quality)


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


def _labels(store: ObjectStore, archive: _DecidedRecords, known: verdicts.Known) -> _Labels:
    reviewed = known.in_force()
    by_row = _spread(archive, reviewed, _of_sources(store, archive=archive, sources=known.sources).copy())
    return _Labels(by_row=by_row, reviewed=reviewed, sources=known.sources)


@keep(1)
def _of_sources(_store: ObjectStore, *, archive: _DecidedRecords, sources: Mapping[str, LabelEntry]) -> NDArray[np.int64]:
    """Return what came from outside, spread over the rows of an archive: it seldom changes, and may be much."""
    return _spread(archive, sources, np.full(len(archive.ids), _NO_LABEL))


def _spread(archive: _DecidedRecords, labels: Mapping[str, LabelEntry], by_row: NDArray[np.int64]) -> NDArray[np.int64]:
    """Write labels into the rows of their records."""
    for index, kind in zip((*range(len(CLASS_ORDER)), _OTHER_LABEL), (*CLASS_ORDER, Label.UNINTERPRETABLE), strict=True):
        by_row[_rows(archive, [record_id for record_id, entry in labels.items() if entry.label == kind])] = index
    return by_row


def _rows(archive: _DecidedRecords, record_ids: Sequence[str]) -> NDArray[np.int64]:
    """Return the rows of those of these records that are in the archive."""
    if not len(archive.ids) or not record_ids:
        return np.empty(0, dtype=np.int64)
    wanted = np.array(record_ids, dtype="S32")
    at = np.minimum(np.searchsorted(archive.ids, wanted), len(archive.ids) - 1)
    return np.asarray(at[archive.ids[at] == wanted], dtype=np.int64)


def _flags(archive: _DecidedRecords, record_ids: Sequence[str]) -> NDArray[np.bool_]:
    flags = np.zeros(len(archive.ids), dtype=bool)
    flags[_rows(archive, record_ids)] = True
    return flags


def _item(archive: _DecidedRecords, row: int, labels: _Labels, priority: Priority) -> QueueItem:
    model, at = archive.models[archive.model[row]], archive.row[row]
    record_id = archive.ids[row].decode()
    shares = sorted(((float(priority.shares[code][row]), code) for code in REASONS), reverse=True)
    probability, entry = float(model.probability[at]), labels.of(record_id)
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
    strengths = {code: float(priority.strength[code][row]) for code in REASONS}
    return QueueItem(
        record_id=record_id,
        name=model.name[at],
        shard=model.shard[at],
        recipe=model.recipe,
        version=model.version,
        decision=model.decision[at],
        probability=None if np.isnan(probability) else probability,
        threshold=threshold,
        abstain=band,
        quality=float(model.quality[at]),
        label=None if entry is None else Label(entry.label).value,
        labelled_by=None if entry is None else entry.who,
        synthetic=bool(model.synthetic[at]),
        priority=float(priority.total[row]),
        why=tuple(Why(code=code, text=text, share=share) for share, code in shares if (text := case.sentence(code, strengths[code]))),
    )


def _others(archive: _DecidedRecords, row: int) -> Iterator[reasons.Other]:
    """Yield what the other recipes' champions say of a record, where they give it a probability."""
    for index, model in enumerate(archive.models):
        at = int(model.rows(archive.ids[row : row + 1])[0])
        if index != archive.model[row] and at >= 0 and not np.isnan(model.probability[at]):
            yield reasons.Other(recipe=model.recipe, probability=float(model.probability[at]), threshold=float(model.threshold[at]))
