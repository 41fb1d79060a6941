"""Here: time and memory of the report of a night of so many labelled records. Not here: how the records came in.

    python -m benchmarks.long_report FOLDER 10000000

The archive is made up and kept in a folder, in the place of a bucket: shards of 4,096 heartbeats, a label of each record, decisions by
lot. Every record is of a patient of its own, so the report computes its figures over all of them. Then the report is written in a
process of its own.
"""

import hashlib
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.pages import RECIPE, decided, install
from benchmarks.processes import Work, in_own_process
from benchmarks.single_recordings import AT, etag_of, index_of, report, work_on

SHARDS_A_TABLE = 25
"""Shards whose labels lie in one table: an intake takes some 100,000 records."""


def fill(folder: str, n_records: int) -> Work:
    """Case: the archive, with all that a report reads."""

    def work() -> None:
        import numpy as np

        from ecg_tasks.archive import keys, tables
        from ecg_tasks.archive.documents import IntakeCounts, IntakeManifest, LabelCounts, write_manifest
        from ecg_tasks.archive.record_shards import MAX_SHARD_RECORDS
        from ecg_tasks.names import DagId

        store = work_on(folder, 0)
        version, rng = install(store), np.random.default_rng(1)
        shards: list[str] = []
        labelled: list[str] = []
        for start in range(0, n_records, MAX_SHARD_RECORDS):
            numbers = range(start, min(start + MAX_SHARD_RECORDS, n_records))
            ids = [etag_of(number, "record") for number in numbers]
            shards.append(etag_of(start, "shard")[:20])
            names = [f"ward/day_{number // 1000:05d}.csv#{number % 1000}" for number in numbers]
            index = index_of(ids, names, sources=["ab" * 32] * len(ids))
            store.put(keys.record_index(shards[-1]), tables.dump(tables.RECORD_INDEX, index))
            store.put(keys.predictions(RECIPE, shards[-1], version), decided(ids, rng))
            labelled += ids
            if len(shards) % SHARDS_A_TABLE == 0 or numbers.stop == n_records:
                store.put(*_labels(labelled))
                labelled = []
        counts = IntakeCounts(received=n_records, records=n_records)
        manifest = IntakeManifest(
            dag=DagId.INGEST_RECORDS, run="long", counts=counts, inputs=(), shards=tuple(shards), quarantined=(), labels=LabelCounts()
        )
        write_manifest(store, manifest)

    return work


def _labels(ids: list[str]) -> tuple[str, bytes]:
    """Return a table of labels, two thirds of them abnormal, and its key."""
    from ecg_tasks.archive import keys, tables

    n = len(ids)
    columns: dict[str, Any] = {"record_id": ids, "label": ["abnormal" if row % 3 else "normal" for row in range(n)]}
    columns |= {"who": ["source:ward/labels.csv"] * n, "when": [AT.isoformat()] * n, "comment": [""] * n, "withdraws": [""] * n}
    data = tables.dump(tables.LABELS, columns)
    return keys.labels(hashlib.sha256(data).hexdigest()[:20]), data


def measure(folder: Path, n_records: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Measure peak memory, MB, and seconds."""
    in_own_process(fill, folder=str(folder), n_records=n_records)
    usage = in_own_process(report, folder=str(folder), n_recordings=0)
    yield "report", {"start_mb": usage.start_mb, "peak_mb": usage.peak_mb, "wall_s": usage.wall_s, "cpu_s": usage.cpu_s}


if __name__ == "__main__":
    _named = importlib.import_module("benchmarks.long_report")  # the other processes import the cases by this name
    for _step, _usage in _named.measure(Path(sys.argv[1]), int(sys.argv[2])):
        print(json.dumps({_step: _usage}), flush=True)
