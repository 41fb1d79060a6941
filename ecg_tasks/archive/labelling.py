"""Here: labels of the archive: which one is in force, and how they are stored.

Not here: the tables that people drop (``intake.settling``), or the reviewers' queue (``review_queue``).
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ecg_tasks.archive import keys, tables
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.labels import ASKED, WITHDRAWN, Label

REVIEW = "review:"
"""Before the user's name in ``who``: a person looked at the recording here."""
SOURCE = "source:"
"""Before the file's name in ``who``: the label came with the recording or in a label table."""
_LABELS = frozenset(Label)


@dataclass(frozen=True, kw_only=True)
class LabelEntry:
    """One row of the label tables: who said what of a record, and when (ISO 8601).

    ``label`` is a `Verdict`, or ``labels.WITHDRAWN``; then ``withdraws`` is the ``when`` of the verdict of the same person that no longer
    counts. Of ``labels.ASKED`` ``who`` is the person whose reading it is, who has said nothing by that.
    """

    record_id: str
    label: str
    who: str
    when: str
    comment: str = ""
    withdraws: str = ""

    @property
    def is_review(self) -> bool:
        """Whether a reviewer said so, and not the source of the recording."""
        return self.who.startswith(REVIEW)

    @property
    def is_statement(self) -> bool:
        """Whether something is said of the recording, be it taken back later or not."""
        return self.label not in {WITHDRAWN, ASKED}


def labels_in_force(store: ObjectStore, *, label_keys: Iterable[str] | None = None) -> dict[str, LabelEntry]:
    """Return the latest label of every record that has one; ``label_keys`` bounds the tables that are read."""
    return in_force(stored_labels(store, label_keys=label_keys))


def stored_labels(store: ObjectStore, *, label_keys: Iterable[str] | None = None) -> Iterator[LabelEntry]:
    """Yield all rows of all label tables, or of those given by their keys."""
    for data in store.get_many(store.list_keys(keys.LABELS) if label_keys is None else label_keys):
        yield from load_labels(data)


def in_force(entries: Iterable[LabelEntry]) -> dict[str, LabelEntry]:
    """Return the latest label of each record, less what was withdrawn; a skip is no label. The order of the entries does not matter."""
    latest: dict[str, LabelEntry] = {}
    reviews: list[LabelEntry] = []
    for entry in entries:
        if entry.is_review:
            reviews.append(entry)  # whether one counts is known only when all have been seen
        else:
            _keep_later(latest, entry)
    for entry in standing(reviews):
        if entry.label in _LABELS:
            _keep_later(latest, entry)
    return latest


def standing(entries: Iterable[LabelEntry]) -> list[LabelEntry]:
    """Return the verdicts that were not taken back, without the withdrawals themselves and without whom somebody asked."""
    known = list(entries)
    withdrawn = {(entry.record_id, entry.who, entry.withdraws) for entry in known if entry.label == WITHDRAWN}
    return [entry for entry in known if entry.is_statement and (entry.record_id, entry.who, entry.when) not in withdrawn]


def _keep_later(latest: dict[str, LabelEntry], entry: LabelEntry) -> None:
    before = latest.get(entry.record_id)
    if before is None or (entry.when, entry.who, entry.label) > (before.when, before.who, before.label):
        latest[entry.record_id] = entry


def load_labels(data: bytes, *, of_records: Iterable[str] | None = None) -> Iterator[LabelEntry]:
    """Yield the rows of one stored label table; with ``of_records`` only those of these records."""
    columns = tables.load(data, of_records=of_records)
    for row in zip(*columns.values(), strict=True):
        yield LabelEntry(**dict(zip(columns, row, strict=True)))


def dump_labels(entries: Iterable[LabelEntry]) -> bytes:
    """Return label rows as Parquet."""
    rows = sorted(entries, key=lambda entry: (entry.record_id, entry.when, entry.who))
    return tables.dump(tables.LABELS, {name: [getattr(row, name) for row in rows] for name in tables.LABELS.names})


def write_labels(store: ObjectStore, entries: Iterable[LabelEntry]) -> str:
    """Append a table of label rows, named by its content; returns its key."""
    return _write(store, dump_labels(entries))


def latest_labels(rows: pa.Table) -> pa.Table:
    """Return the latest row of each record, in the order of the ids; at one moment the one that comes last by who said it, and what."""
    ordered = rows.sort_by([(name, "ascending") for name in ("record_id", "when", "who", "label")])
    ids = ordered["record_id"].combine_chunks()
    is_last = np.ones(len(ids), dtype=bool)
    is_last[:-1] = pc.not_equal(ids[:-1], ids[1:]).to_numpy(zero_copy_only=False)
    return ordered.filter(pa.array(is_last))


def rows_of(parts: Sequence[pa.Table], *, over: Mapping[str, LabelEntry]) -> pa.Table:
    """Return the rows of label tables together; the entries of ``over``, given by record, replace what they say of those records."""
    own = tables.load_table(dump_labels(over.values()))
    wins = own["record_id"].combine_chunks()
    kept = [part.filter(pc.invert(pc.is_in(part["record_id"], value_set=wins))) if over else part for part in parts]
    return pa.concat_tables([*(part.select(tables.LABELS.names) for part in kept), own])


def latest_said(parts: Sequence[pa.Table]) -> pa.Table:
    """Join tables of ``record_id`` and ``label`` so that the first row of a record is that of the last table which has it."""
    return pa.concat_tables(list(reversed(parts)))


def append_labels(store: ObjectStore, rows: pa.Table, *, said: pa.Table) -> pa.Table:
    """Append the rows of a label table that say something else than the sources had ``said`` of their records; returns these.

    The same file twice adds nothing, and neither does the same call twice: a reviewer's verdict is not undone by dropping again the
    file that it corrected.

    Parameters
    ----------
    rows : as `tables.LABELS`
    said : ``record_id`` and ``label``; of several rows of a record the first counts
    """
    latest = latest_labels(rows)
    before = said["label"].take(pc.index_in(latest["record_id"], value_set=said["record_id"].combine_chunks()))
    new = latest.filter(pc.fill_null(pc.not_equal(latest["label"], before), fill_value=True))
    if new.num_rows:
        _write(store, tables.dump_table(tables.LABELS, new))
    return new


def _write(store: ObjectStore, data: bytes) -> str:
    key = keys.labels(hashlib.sha256(data).hexdigest()[:20])
    store.put(key, data)
    return key
