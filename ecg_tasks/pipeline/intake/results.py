"""Here: what the tasks of an intake staged, as its publication reads it. Not here: staging it, or letting it in (``ingest_records``)."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.archive import keys, tables
from ecg_tasks.archive.documents import IntakePlan, IntakeResult, StagedShard, find, load
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import MissingObjectError
from ecg_tasks.names import DagId

_KEPT_BYTES = 32 * 1024 * 1024
"""Results of so many bytes together are kept in memory; further ones are read each time."""


class Results:
    """The results of a run's tasks in their order, as often as asked; memory holds the first ones and a few more."""

    def __init__(self, store: ObjectStore, run: str, listed: Sequence[str]) -> None:
        self.store = store
        self.run = run
        self.keys = listed
        self._kept: dict[str, bytes] = {}

    def __iter__(self) -> Iterator[IntakeResult]:
        n_bytes = sum(map(len, self._kept.values()))
        contents = self.store.get_many(key for key in self.keys if key not in self._kept)
        for key in self.keys:
            data = self._kept.get(key)
            if data is None:
                data = next(contents)
                n_bytes += len(data)
                if n_bytes <= _KEPT_BYTES:
                    self._kept[key] = data
            yield load(IntakeResult, data, name=key)

    def plan(self) -> IntakePlan | None:
        """Return the plan of the run, or None if it is gone: the run is over. Version 0.1 stored it as a separate object."""
        try:
            data = self.store.get(self.keys[0]) if self.keys else b""
        except MissingObjectError:
            return None
        if data:
            self._kept[self.keys[0]] = data
            if (told := load(IntakeResult, data, name=self.keys[0]).plan) is not None:
                return told
        return find(self.store, IntakePlan, keys.staging(DagId.INGEST_RECORDS, self.run, "plan.json"))

    def index(self, shard: StagedShard) -> bytes:
        """Return the index of a staged shard, as Parquet."""
        return shard.index or self.store.get(f"{shard.key}.index")

    def ids(self, shard: StagedShard) -> NDArray[np.bytes_]:
        """Return the ids of the records of a staged shard, shape (n,), 32 bytes each."""
        return np.array(tables.load(self.index(shard), ["record_id"])["record_id"], dtype="S32")

    def records(self, shard: StagedShard) -> bytes:
        """Return the records of a staged shard, as Parquet."""
        return shard.records or self.store.get(f"{shard.key}.parquet")

    def let_in(self, shard: StagedShard, name: str) -> None:
        """Put a staged shard as it is among the records of the archive.

        It is nobody's until the run has its account, so what an earlier version of this program left of the same run is written over.
        """
        if shard.records:
            self.store.replace(keys.record_shard(name), shard.records)
        else:
            self.store.copy(f"{shard.key}.parquet", keys.record_shard(name), anew=True)

    def labels(self, result: IntakeResult) -> tables.Table | None:
        """Return the labels inside the recordings of one task."""
        data = result.label_rows or (self.store.get(result.labels) if result.labels else b"")
        return tables.load_table(data) if data else None

    def staged(self) -> Iterator[str]:
        """Yield the keys of all that the tasks read and wrote for this run alone."""
        for result in self:
            yield from (f"{shard.key}{end}" for shard in result.shards for end in (".parquet", ".index") if not shard.records)
            yield from [result.labels] if result.labels else []
        for key in self.keys:
            yield from (key.replace("/results/", folder) for folder in ("/jobs/", "/tries/", "/results/"))
