"""Here: what planning an intake costs where a million files wait, on a store in memory that counts its requests. Not here: a real server.

    python -m benchmarks.inbox_plan 1000000

Half of the files are headers, 10,000 in a folder, the other half their signals but for every hundredth, so that the recordings become
complete in one run. First the headers are read, as many a run as a run reads; then one plan takes what has room, reading nothing again.
Both look at the folders that a run takes together.
"""

import io
import json
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError
from botocore.response import StreamingBody

from benchmarks.store import PATIENT_KEY
from ecg_tasks.archive import keys
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.pipeline import ingest_records
from ecg_tasks.pipeline.intake.drops import sort_inbox
from ecg_tasks.pipeline.intake.inbox import whole_folders

A_FOLDER = 10_000
"""Recordings in a folder."""
PAGE = 1000
"""Keys in one page of a listing, as S3 gives them."""


class CountingS3:
    """As much of a boto3 client as planning uses. The inbox is made up while it is listed, so that it takes no memory."""

    def __init__(self, n_keys: int) -> None:
        self.n_recordings = n_keys // 2
        self.signals = False
        self.requests: Counter[str] = Counter()
        self.kept: dict[str, bytes] = {}
        self.began = datetime.now(UTC) - timedelta(minutes=30)

    def _inbox(self) -> Iterator[tuple[str, int, int]]:
        """Yield key, size and place of every file in key order."""
        for number in range(self.n_recordings):
            if self.signals and number % 100:
                yield f"{keys.INBOX}drop-{number // A_FOLDER:05d}/{number:08d}.dat", 10_000, number
            yield f"{keys.INBOX}drop-{number // A_FOLDER:05d}/{number:08d}.hea", 60, number

    def get_object(self, *, Bucket: str, Key: str, Range: str = "") -> dict[str, Any]:  # noqa: ARG002, N803 - boto3's names
        """Return the content of a header, or of what was kept."""
        self.requests["GET"] += 1
        if Key.startswith(keys.INBOX):
            stem = Key.rsplit("/", 1)[1].removesuffix(".hea")
            data = f"{stem} 1 500 5000\n{stem}.dat 16 1000/mV 16 0 0 0 0 II\n".encode()
        elif Key in self.kept:
            data = self.kept[Key]
        else:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": Key}}, "GetObject")
        return {"Body": StreamingBody(io.BytesIO(data), len(data))}

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: ARG002, N803 - as above
        """Say that the object is not there: no run has ended."""
        self.requests["HEAD"] += 1
        raise ClientError({"Error": {"Code": "404", "Message": Key}}, "HeadObject")

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, **_: Any) -> None:  # noqa: ARG002, N803 - as above
        """Keep what plans read again, and the first job, which has the plan; forget the other jobs."""
        self.requests["PUT"] += 1
        if "/jobs/" not in Key or "/jobs/00000-" in Key:
            self.kept[Key] = Body

    def get_paginator(self, _: str) -> "CountingS3":
        """Return the only paginator that is used."""
        return self

    def delete_objects(self, **_: Any) -> dict[str, Any]:
        """Count a request: nothing of this is left behind."""
        self.requests["DELETE"] += 1
        return {}

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:  # noqa: ARG002, N803 - as above
        """Yield the inbox page by page; of anything else what was kept."""
        if Prefix != keys.INBOX:
            self.requests["LIST"] += 1
            found = [key for key in self.kept if key.startswith(Prefix)]
            yield {"Contents": [{"Key": key, "Size": len(self.kept[key]), "ETag": '""', "LastModified": self.began} for key in found]}
            return
        page: list[dict[str, Any]] = []
        for key, size, number in self._inbox():
            modified = self.began + timedelta(milliseconds=number)
            page.append({"Key": key, "Size": size, "ETag": f'"{number:032x}"', "LastModified": modified})
            if len(page) == PAGE:
                self.requests["LIST"] += 1
                yield {"Contents": page}
                page = []
        self.requests["LIST"] += 1
        yield {"Contents": page}


def measure(n_keys: int) -> dict[str, Any]:
    """Read all headers, then plan once; returns requests, processor time and peak memory."""
    client = CountingS3(n_keys)
    store = ObjectStore(client, "memory")  # type: ignore[arg-type]  # as much of a client as is used
    os.environ.update(ECG_BUCKET="memory", ECG_PATIENT_KEY=PATIENT_KEY)
    before = time.process_time()
    listed, _ = whole_folders(store.list_objects(keys.INBOX))
    waits = sort_inbox(store, listed, at=datetime.now(UTC), grace_s=3600, max_bytes=10**9, max_unread=n_keys)
    reading = {"requests": dict(client.requests), "cpu_s": time.process_time() - before, "waiting": len(waits.waiting)}
    del waits, listed
    client.requests.clear()
    client.signals = True
    connect = vars(ObjectStore)["connect"]  # not the method of this class alone, which would make subclasses connect as it
    ObjectStore.connect = classmethod(lambda _, __: store)  # type: ignore[method-assign, assignment]
    before = time.process_time()
    try:
        jobs = ingest_records.plan("benchmark")
    finally:
        ObjectStore.connect = connect  # type: ignore[method-assign]
    plan = json.loads(client.kept[jobs[0]])["plan"]
    return {
        "keys": n_keys,
        "reading": reading,
        "planning": {"requests": dict(client.requests), "cpu_s": time.process_time() - before, "tasks": len(jobs), "left": plan["left"]},
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1])), indent=1))
