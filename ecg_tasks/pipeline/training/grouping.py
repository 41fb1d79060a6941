"""Here: signatures of the archive's records, and the group of each record whose patient is not known. A record keeps its group for ever.

Not here: what makes records similar (``signals.near_duplicates``), or which record a dataset uses (``dataset``).
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.archive import keys, record_shards, tables
from ecg_tasks.archive.descriptions import Person
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.evaluation.splits import placed, split_bucket, split_of
from ecg_tasks.signals import near_duplicates
from ecg_tasks.signals.near_duplicates import Links, Signatures
from ecg_tasks.signals.record import HEARTBEAT_SAMPLES, STANDARD_LEADS, Record

BETWEEN = -1
"""Split bucket of a record that resembles groups of two splits: it can be used in neither."""
RECORDS_AT_ONCE = 512


@dataclass(frozen=True, kw_only=True)
class RecordGroup:
    """The group of a record whose patient is not known, and its split bucket (0 to 9,999, or ``BETWEEN``)."""

    name: str
    split_bucket: int


@dataclass(frozen=True, kw_only=True)
class RecordOrigin:
    """Where a record comes from: its shard, and its patient's keyed hash and split bucket where known (else None and -1).

    ``fold`` is that of the collection's own protocol, ``public_patient`` the digest of a public patient; both None where there is none.
    """

    record_id: str
    shard: str
    patient: str | None
    patient_bucket: int
    fold: int | None = None
    public_patient: str | None = None

    @classmethod
    def of(cls, record_id: str, shard: str, person: Person) -> "RecordOrigin":
        """Return that of a record of this person."""
        patient, bucket, _, _, fold, public_patient = person
        return cls(record_id=record_id, shard=shard, patient=patient, patient_bucket=bucket, fold=fold, public_patient=public_patient)

    @property
    def place(self) -> int:
        """The bucket that decides the split of a known patient."""
        return placed(self.patient_bucket, self.fold)


def load_signatures(store: ObjectStore, records: Sequence[RecordOrigin]) -> Signatures:
    """Return the signatures of these records, in their order; those not stored yet are computed, shard by shard, and stored."""
    position = {one.record_id: number for number, one in enumerate(records)}
    pieces: dict[str, list[tuple[int, bytes]]] = {"row": [], "beats": [], "median": [], "wave": []}
    for shard in sorted({one.shard for one in records}):
        key = keys.signatures(near_duplicates.KEY, shard)
        if not store.exists(key):
            store.put(key, _made(record_shards.load_shard(store.get(keys.record_shard(shard)))))
        columns = tables.load(store.get(key))
        for record_id, kind, values in zip(columns["record_id"], columns["kind"], columns["values"], strict=True):
            if record_id in position:
                pieces[kind].append((position[record_id], values))
    beats = sorted([*pieces["row"], *pieces["beats"]])
    cut = [np.frombuffer(values, "<f4").reshape(-1, HEARTBEAT_SAMPLES) for _, values in beats]
    medians, waves = sorted(pieces["median"]), sorted(pieces["wave"])
    is_row = np.zeros(len(records), dtype=bool)
    is_row[[owner for owner, _ in pieces["row"]]] = True
    return Signatures(
        n_records=len(records),
        is_row=is_row,
        beats=np.concatenate([np.empty((0, HEARTBEAT_SAMPLES), np.float32), *cut]),
        beat_of=np.repeat(np.array([owner for owner, _ in beats], dtype=np.int64), [len(one) for one in cut]),
        medians=np.array([np.frombuffer(values, "<f4").reshape(len(STANDARD_LEADS), -1) for _, values in medians], np.float32),
        waves=np.array([np.frombuffer(values, "<f4") for _, values in waves], np.float32),
        recording_of=np.array([owner for owner, _ in medians], dtype=np.int64),
    )


def _made(shard: Sequence[record_shards.StoredRecord]) -> bytes:
    columns: dict[str, list[str | bytes]] = {name: [] for name in tables.SIGNATURES.names}

    def add(record: Record, kind: str, values: NDArray[np.float32]) -> None:
        columns["record_id"].append(record.record_id)
        columns["kind"].append(kind)
        columns["values"].append(values.astype("<f4").tobytes())

    for start in range(0, len(shard), RECORDS_AT_ONCE):
        records = [stored.record for stored in shard[start : start + RECORDS_AT_ONCE]]
        made = near_duplicates.signatures(records)
        for index, record in enumerate(records):
            beats = made.beats[made.beat_of == index]
            if len(beats):
                add(record, "row" if record.is_heartbeat else "beats", beats)
        for number, index in enumerate(made.recording_of):
            add(records[index], "median", made.medians[number])
            add(records[index], "wave", made.waves[number])
    return tables.dump(tables.SIGNATURES, columns)


def groups_of(store: ObjectStore, records: Sequence[RecordOrigin]) -> dict[str, RecordGroup]:
    """Return the group of every record whose patient is not known; new records get a group, which is stored.

    The rule makes sure that no record ever changes its split. Records that are similar, directly or through others, are one group.
    A group of new records takes its split bucket from the smallest of their ids, so the same data gives the same splits in every
    bucket, and in the split that a fold of one of them wants. A group that resembles patients, or records with an earlier split bucket,
    takes that one if all of these, and the folds, are in one split.
    If they are in several, the new records between them are used in no split, and the old ones stay where they were.
    """
    before = read_groups(store)
    fresh = [one.patient is None and one.record_id not in before for one in records]
    if any(fresh):
        new = np.array(fresh)
        links = near_duplicates.find_links(load_signatures(store, records), new=new, spanning=True)
        given = _new_groups(records, new, links, before)
        data = _dump(given)
        store.put(keys.groups(hashlib.sha256(data).hexdigest()[:20]), data)
        before |= given
    return {one.record_id: before[one.record_id] for one in records if one.patient is None}


def read_groups(store: ObjectStore) -> dict[str, RecordGroup]:
    """Return every group that was ever stored."""
    found: dict[str, RecordGroup] = {}
    for data in store.get_many(store.list_keys(keys.GROUPS)):
        columns = tables.load(data)
        for record_id, name, bucket in zip(columns["record_id"], columns["group"], columns["place"], strict=True):
            found.setdefault(record_id, RecordGroup(name=name, split_bucket=int(bucket)))
    return found


def _new_groups(
    records: Sequence[RecordOrigin], new: NDArray[np.bool_], links: Links, before: Mapping[str, RecordGroup]
) -> dict[str, RecordGroup]:
    n = len(records)
    both = new[links.first] & new[links.second]
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(int(both.sum())), (links.first[both], links.second[both])), shape=(n, n))
    component = connected_components(graph, directed=False)[1]
    members: dict[int, list[RecordOrigin]] = {}
    for index in np.flatnonzero(new).tolist():
        members.setdefault(int(component[index]), []).append(records[index])
    anchors: dict[int, set[tuple[int, str]]] = {}
    for first, second in zip(links.first[~both].tolist(), links.second[~both].tolist(), strict=True):
        fresh, settled = (first, second) if new[first] else (second, first)
        anchors.setdefault(int(component[fresh]), set()).add(_anchor(records[settled], before))
    given: dict[str, RecordGroup] = {}
    for number, together in members.items():
        record_ids = [one.record_id for one in together]
        smallest = min(record_ids)
        wanted = {(placed(split_bucket(smallest), one.fold), smallest) for one in together if one.fold is not None}
        given |= dict.fromkeys(record_ids, _settle(smallest, anchors.get(number, set()), wanted))
    return given


def _anchor(record: RecordOrigin, before: Mapping[str, RecordGroup]) -> tuple[int, str]:
    if record.patient is not None:
        return record.place, record.patient
    group = before[record.record_id]
    return group.split_bucket, group.name


def _settle(smallest: str, anchors: Iterable[tuple[int, str]], wanted: Iterable[tuple[int, str]]) -> RecordGroup:
    found = [*sorted(anchors), *sorted(wanted)]  # what is settled comes first: a fold makes no second group of what is alike
    if not found:
        return RecordGroup(name=smallest, split_bucket=split_bucket(smallest))
    if any(bucket == BETWEEN for bucket, _ in found) or len({split_of(bucket) for bucket, _ in found}) > 1:
        return RecordGroup(name=smallest, split_bucket=BETWEEN)
    bucket, name = found[0]
    return RecordGroup(name=name, split_bucket=bucket)


def _dump(given: Mapping[str, RecordGroup]) -> bytes:
    rows = sorted(given.items())
    columns: dict[str, Sequence[object]] = {
        "record_id": [record_id for record_id, _ in rows],
        "group": [group.name for _, group in rows],
        "place": [group.split_bucket for _, group in rows],
    }
    return tables.dump(tables.GROUPS, columns)
