"""Here: which records a report covers, and what still waits before it. Not here: what a report tells of them (``summing_up``)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ecg_tasks.archive import keys, tables
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.workspace import find_json, get_json
from ecg_tasks.signals.recipes import get_recipe

INGEST_DAG = "ingest_records"
DAG = "classify_records"


@dataclass(frozen=True, kw_only=True)
class Pending:
    """Records of one shard that had no decision when the last report was written; ``records`` is None where all of them had none."""

    shard: str
    records: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Ingests:
    """Which records a report covers, and how far the manifests of intakes had been seen when that was decided.

    Parameters
    ----------
    runs : intake runs since the last report: their accounts and all their records count here
    carried : records that the last report left pending; their intake's account was told then
    """

    runs: list[str]
    through: str
    at_through: list[str]
    carried: list[Pending] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What is in no decision yet: files in the inbox, and records of the archive that lack the pictures of a recipe in use."""

    inbox_files: int = 0
    records_without_pictures: int = 0

    @property
    def sentences(self) -> list[str]:
        """A sentence for each that is not zero."""
        found = []
        if self.inbox_files:
            are = "file is" if self.inbox_files == 1 else "files are"
            found.append(f"{self.inbox_files:,} {are} still in the inbox and not in this report; ingest_records reads what is complete.")
        if self.records_without_pictures:
            have = "record has" if self.records_without_pictures == 1 else "records have"
            found.append(f"{self.records_without_pictures:,} {have} no pictures yet; render_spectrograms draws them.")
        return found


def last_report(store: ObjectStore) -> Mapping[str, Any] | None:
    """Return the manifest of the newest report, or None before the first."""
    last = max(store.list_objects(f"{keys.MANIFESTS}{DAG}/"), key=lambda item: item.modified, default=None)
    return None if last is None else get_json(store, last.key)


def ingests_to_report(store: ObjectStore, *, scope: str, last: Mapping[str, Any] | None) -> Ingests:
    """Find what a report covers: everything, or what came since the last report and the records that it left pending."""
    found = [(item.modified.isoformat(), keys.stem(item.key)) for item in store.list_objects(f"{keys.MANIFESTS}{INGEST_DAG}/")]
    through = max((modified for modified, _ in found), default="")
    at_through = [run for at, run in found if at == through]
    if scope == "all" or last is None:
        return Ingests(runs=sorted(run for _, run in found), through=through, at_through=at_through)
    seen = last["ingests"]
    new = [run for at, run in found if at > seen["through"] or (at == seen["through"] and run not in seen["at_through"])]
    return Ingests(runs=sorted(new), through=through, at_through=at_through, carried=_left_pending(store, last))


def shards_to_report(store: ObjectStore, pinned: Mapping[str, Any]) -> dict[str, list[str] | None]:
    """Return the shards that a report covers, with the ids of the records, or None for all of a shard."""
    ingests = pinned["ingests"]
    found: dict[str, list[str] | None] = {one["shard"]: one["records"] for one in ingests.get("carried", ())}
    for run in ingests["runs"]:
        found |= dict.fromkeys(get_json(store, keys.manifest(INGEST_DAG, run))["shards"])
    return found


def waiting(store: ObjectStore, *, recipes: Iterable[str]) -> Waiting:
    """Count what is in no decision yet, by listings; indexes are read of shards without pictures only."""
    shards = {keys.stem(key) for key in store.list_keys(keys.RECORDS)}
    bare: set[str] = set()
    for name in recipes:
        bare |= shards - {keys.stem(key) for key in store.list_keys(keys.spectrograms_of(get_recipe(name).key))}
    indexes = store.get_many(keys.record_index(shard) for shard in sorted(bare))
    return Waiting(
        inbox_files=sum(not key.endswith("/") for key in store.list_keys(keys.INBOX)),
        records_without_pictures=sum(len(tables.load(data, ["record_id"])["record_id"]) for data in indexes),
    )


def _left_pending(store: ObjectStore, last: Mapping[str, Any]) -> list[Pending]:
    """What the last report left pending; one of before 2026-11-28 names whole intake runs, of which the undecided shards count."""
    if "pending" in last:
        return [Pending(**one) for one in last["pending"]]
    manifests = [find_json(store, keys.manifest(INGEST_DAG, run)) for run in last.get("pending_ingests", ())]
    shards = {shard for manifest in manifests if manifest is not None for shard in manifest["shards"]}
    return [Pending(shard=shard) for shard in sorted(shards) if not _was_decided(store, shard, last["champions"])]


def _was_decided(store: ObjectStore, shard: str, champions: Mapping[str, Mapping[str, str]]) -> bool:
    predictions: Sequence[str] = [keys.predictions(name, shard, one["version"]) for name, one in champions.items()]
    return bool(predictions) and all(store.exists(key) for key in predictions)
