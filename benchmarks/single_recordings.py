"""Here: the memory of an intake's publication, of its report and of the drift watch over a million files. Not here: a real server.

    python -m benchmarks.single_recordings FOLDER 1000000

Every file pair is a recording of its own, with a label. What the tasks of the intake staged is made up and kept in a folder, in the place
of a bucket, so that no memory of a store counts. The inbox is made up while it is listed. Then each step runs in a process of its own:
the publication, that of the same files dropped again, and, over decisions by lot, the drift watch and the report.
"""

import hashlib
import importlib
import io
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from botocore.response import StreamingBody

from benchmarks.pages import DATE, RECIPE, RUN, decided, install
from benchmarks.processes import Work, in_own_process
from benchmarks.store import PATIENT_KEY
from ecg_tasks.archive.object_store import ObjectStore

PAGE = 1000
"""Keys in one page of a listing, as S3 gives them."""
BATCH = 256
"""Recordings of one task of an intake."""
AT = datetime(2026, 1, 1, tzinfo=UTC)


class _File(io.FileIO):
    """An open file that closes itself."""

    def __del__(self) -> None:
        self.close()


class FolderS3:
    """As much of a boto3 client as these steps use, with a file an object; the inbox holds two files a recording, and takes no room."""

    def __init__(self, folder: Path, n_recordings: int) -> None:
        self.folder = folder
        self.n_recordings = n_recordings

    def get_object(self, *, Bucket: str, Key: str, Range: str = "") -> dict[str, Any]:  # noqa: ARG002, N803 - boto3's names
        """Return the content of an object."""
        try:
            file = _File(self.folder / Key)
        except OSError:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": Key}}, "GetObject") from None
        return {"Body": StreamingBody(file, os.fstat(file.fileno()).st_size)}

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: ARG002, N803 - as above
        """Return the size and time of an object."""
        try:
            size = (self.folder / Key).stat().st_size
        except OSError:
            raise ClientError({"Error": {"Code": "404", "Message": Key}}, "HeadObject") from None
        return {"ContentLength": size, "ETag": '""', "LastModified": AT}

    def put_object(self, *, Bucket: str, Key: str, Body: Any, **_: Any) -> None:  # noqa: ARG002, N803 - as above
        """Keep an object."""
        path = self.folder / Key
        path.parent.mkdir(parents=True, exist_ok=True)
        source = io.BytesIO(Body) if isinstance(Body, bytes) else Body
        with path.open("wb") as file:
            while piece := source.read(1024 * 1024):
                file.write(piece)

    def create_multipart_upload(self, *, Bucket: str, Key: str, **_: Any) -> dict[str, Any]:  # noqa: ARG002, N803 - as above
        """Begin an object that comes in parts."""
        path = self.folder / Key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(f"{path.name}.coming").write_bytes(b"")
        return {"UploadId": "coming"}

    def upload_part(self, *, Bucket: str, Key: str, Body: bytes, UploadId: str, **_: Any) -> dict[str, Any]:  # noqa: ARG002, N803 - as above
        """Keep a part of it."""
        path = self.folder / Key
        with path.with_name(f"{path.name}.{UploadId}").open("ab") as file:
            file.write(Body)
        return {"ETag": ""}

    def complete_multipart_upload(self, *, Bucket: str, Key: str, UploadId: str, **_: Any) -> None:  # noqa: ARG002, N803 - as above
        """Let it be there."""
        path = self.folder / Key
        path.with_name(f"{path.name}.{UploadId}").rename(path)

    def delete_objects(self, *, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002, N803 - as above
        """Remove several, but for the inbox."""
        for one in Delete["Objects"]:
            (self.folder / one["Key"]).unlink(missing_ok=True)
        return {}

    def get_paginator(self, _: str) -> "FolderS3":
        """Return the only listing there is."""
        return self

    def paginate(self, *, Bucket: str, Prefix: str, Delimiter: str = "", StartAfter: str = "") -> Iterator[dict[str, Any]]:  # noqa: ARG002, N803 - as above
        """Yield every key below a prefix, or the folders there."""
        if Delimiter:
            found = sorted(path.name for path in (self.folder / Prefix).glob("*") if path.is_dir())
            yield {"CommonPrefixes": [{"Prefix": f"{Prefix}{name}/"} for name in found]}
            return
        page: list[dict[str, Any]] = []
        for key, etag, size in self._inbox() if Prefix.startswith("inbox/") else self._kept(Prefix, StartAfter):
            page.append({"Key": key, "Size": size, "ETag": f'"{etag}"', "LastModified": AT})
            if len(page) == PAGE:
                yield {"Contents": page}
                page = []
        yield {"Contents": page}

    def _inbox(self) -> Iterator[tuple[str, str, int]]:
        for number in range(self.n_recordings):
            for ending in ("dat", "hea"):
                yield f"inbox/{path_of(number)}.{ending}", etag_of(number, ending), 500

    def _kept(self, prefix: str, after: str) -> Iterator[tuple[str, str, int]]:
        top = self.folder / prefix.rpartition("/")[0]
        found = sorted(path.relative_to(self.folder).as_posix() for path in top.rglob("*") if path.is_file())
        for key in found:
            if key.startswith(prefix) and key > after:
                yield key, "", (self.folder / key).stat().st_size


def path_of(number: int) -> str:
    """Return the path of a recording below the inbox, without its endings."""
    return f"ward-{number // 10_000:03d}/recording_{number:07d}"


def etag_of(number: int, ending: str) -> str:
    """Return the ETag of one of its files."""
    return hashlib.md5(f"{number}.{ending}".encode(), usedforsecurity=False).hexdigest()


def work_on(folder: str, n_recordings: int) -> ObjectStore:
    """Let every step of this process work on the folder."""
    os.environ.update(ECG_BUCKET="folder", ECG_PATIENT_KEY=PATIENT_KEY, ECG_RECIPES=RECIPE)
    store = ObjectStore(FolderS3(Path(folder), n_recordings), "folder")  # type: ignore[arg-type]  # as much of a client as is used
    ObjectStore.connect = classmethod(lambda _, __: store)  # type: ignore[method-assign, assignment]
    return store


def results_of(run: str, n_recordings: int) -> list[str]:
    """Return the keys of the results of a run's tasks."""
    from ecg_tasks.archive import keys

    return [keys.intake(run, f"results/{number:05d}.json") for number in range(-(-n_recordings // BATCH))]


def index_of(ids: list[str], names: list[str], *, sources: list[str]) -> dict[str, Any]:
    """Return the index of a shard of records of nobody known."""
    import numpy as np

    from ecg_tasks.archive import tables

    n = len(ids)
    index: dict[str, Any] = {"record_id": ids, "name": names, "source": sources}
    index |= {"patient": [None] * n, "split_bucket": np.full(n, -1), "age": [None] * n, "sex": [None] * n, "fs": np.full(n, 500.0)}
    index |= {"synthetic": [True] * n, "leads": [["II"]] * n, "received": np.zeros(n, np.int32)}
    return index | {name: [None] * n for name in (*tables.ACQUISITION, "public_patient")} | {"fold": np.zeros(n, np.int32)}


def stage(folder: str, n_recordings: int, run: str) -> Work:
    """Case: what the tasks of an intake hand to its publication."""

    def work() -> None:
        from ecg_tasks.archive import documents, keys, tables

        store = work_on(folder, n_recordings)
        for key, start in zip(results_of(run, n_recordings), range(0, n_recordings, BATCH), strict=True):
            numbers = range(start, min(start + BATCH, n_recordings))
            ids, names = [etag_of(number, "record") for number in numbers], list(map(path_of, numbers))
            n, index = len(numbers), index_of(ids, names, sources=[etag_of(number, "source") * 2 for number in numbers])
            labels = {"record_id": ids, "label": ["abnormal" if number % 3 else "normal" for number in numbers]}
            labels |= {"who": [f"source:{name}.hea" for name in names]}
            labels |= {"when": [AT.isoformat()] * n, "comment": [""] * n, "withdraws": [""] * n}
            staged = documents.StagedShard(
                key=keys.staging("ingest_records", run, f"shards/{start:09d}"),
                index=tables.dump(tables.RECORD_INDEX, index),
                records=b"samples that nobody reads here",
            )
            plan = documents.IntakePlan(waiting=(), n_waiting=0, needed=(), put_back=())
            result = documents.IntakeResult(
                inputs=tuple(map(_input, numbers)),
                quarantined=(),
                shards=(staged,),
                label_rows=tables.dump(tables.LABELS, labels),
                plan=plan if not start else None,
            )
            documents.write(store, key, result)

    return work


def _input(number: int) -> Any:
    from ecg_tasks.archive.documents import InboxFile, Input

    files = tuple(
        InboxFile(key=f"inbox/{path_of(number)}.{ending}", etag=etag_of(number, ending), size=500, sha256=etag_of(number, ending) * 2)
        for ending in ("hea", "dat")
    )
    return Input(
        name=f"{path_of(number)}.hea",
        record_name=path_of(number),
        files=files,
        source=etag_of(number, "source") * 2,
        fate="records",
        received=1,
        records=1,
    )


def publish(folder: str, n_recordings: int, run: str) -> Work:
    """Case: one publication."""
    from ecg_tasks.pipeline import ingest_records

    store = work_on(folder, n_recordings)

    def work() -> Any:
        return json.loads(store.get(ingest_records.publish(run, results_of(run, n_recordings))))["account"]

    return work


def decide(folder: str, n_recordings: int) -> Work:
    """Case: decisions by lot on every record."""

    def work() -> None:
        import numpy as np

        from ecg_tasks.archive import keys, tables

        store = work_on(folder, n_recordings)
        version, rng = install(store), np.random.default_rng(1)
        for key in store.list_keys(keys.RECORD_INDEX):
            ids = tables.load(store.get(key), ["record_id"])["record_id"]
            store.put(keys.predictions(RECIPE, keys.stem(key), version), decided(ids, rng))

    return work


def watch(folder: str, n_recordings: int) -> Work:
    """Case: the drift watch of a night that decided on all of it."""
    from ecg_tasks.archive import keys
    from ecg_tasks.archive.documents import ClassifiedShard, ReportPin, read
    from ecg_tasks.pipeline import classify_records
    from ecg_tasks.pipeline.monitoring import drift

    store = work_on(folder, n_recordings)

    def work() -> Any:
        pin = read(store, ReportPin, classify_records.pin_champion(RUN, date=DATE, scope="new", details=0))
        version = pin.versions[RECIPE]
        shards = [keys.stem(key) for key in store.list_keys(keys.RECORD_INDEX)]
        done = [ClassifiedShard(shard=shard, recipe=RECIPE, version=version, records=BATCH, windows=BATCH) for shard in shards]
        return [light.state for light in drift.observe(store, pin, done)]

    return work


def report(folder: str, n_recordings: int) -> Work:
    """Case: the report of that night."""
    from ecg_tasks.pipeline import classify_records

    work_on(folder, n_recordings)
    return lambda: classify_records.write_report(classify_records.pin_champion(RUN, date=DATE, scope="new", details=0), [])


def measure(folder: Path, n_recordings: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Measure peak memory, MB, and seconds of each step."""
    where: dict[str, Any] = {"folder": str(folder), "n_recordings": n_recordings}
    in_own_process(stage, **where, run="first")
    yield "publish", _told(in_own_process(publish, **where, run="first"))
    in_own_process(stage, **where, run="again")
    yield "publish again", _told(in_own_process(publish, **where, run="again"))
    in_own_process(decide, **where)
    yield "watch", _told(in_own_process(watch, **where))
    yield "report", _told(in_own_process(report, **where))


def _told(usage: Any) -> dict[str, Any]:
    return {"start_mb": usage.start_mb, "peak_mb": usage.peak_mb, "wall_s": usage.wall_s, "cpu_s": usage.cpu_s, "result": usage.result}


if __name__ == "__main__":
    _named = importlib.import_module("benchmarks.single_recordings")  # the other processes import the steps by this name
    for _step, _usage in _named.measure(Path(sys.argv[1]), int(sys.argv[2])):
        print(json.dumps({_step: _usage}), flush=True)
