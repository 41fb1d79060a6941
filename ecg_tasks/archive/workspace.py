"""Here: what every step needs: the store, jobs and results of one run, its manifest, patient hashes. Not here: what a step does."""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from ecg_tasks.archive import keys
from ecg_tasks.archive.code_version import code_version
from ecg_tasks.archive.documents import Document
from ecg_tasks.archive.object_store import MissingObjectError, ObjectStore
from ecg_tasks.settings import Settings

T = TypeVar("T")

MAX_TASKS = 1000
"""Mapped tasks of one run; Airflow's own bound is 1,024."""


def open_store(settings: Settings | None = None) -> ObjectStore:
    """Open the bucket that the environment names."""
    return ObjectStore.connect((settings or Settings.from_environment()).bucket)


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def patient_hash(patient: str | None, *, key: bytes) -> str | None:
    """Return the keyed hash that stands for a patient's id: equal for equal ids, and of no use without the key.

    >>> patient_hash("17", key=b"0" * 32)
    '3664ac573976178a531d1eb8'
    """
    return None if patient is None else hmac.new(key, patient.encode(), hashlib.sha256).hexdigest()[:24]


def put_json(store: ObjectStore, key: str, value: object) -> str:
    """Write JSON; returns the key."""
    store.put(key, json.dumps(value, indent=1, sort_keys=True).encode(), content_type="application/json")
    return key


def put_manifest(store: ObjectStore, manifest: Mapping[str, Any]) -> str:
    """Write a run's account, with the code that ran; ``dag`` and ``run`` name it. Returns the key."""
    return put_json(store, keys.manifest(manifest["dag"], manifest["run"]), {**manifest, "code": code_version()})


def get_json(store: ObjectStore, key: str) -> Any:
    """Read JSON."""
    return json.loads(store.get(key))


def find_json(store: ObjectStore, key: str) -> Any | None:
    """Read JSON, or None if it is not there: how a task that ran before knows it."""
    try:
        return get_json(store, key)
    except MissingObjectError:
        return None


def write_jobs(store: ObjectStore, *, dag: str, run: str, jobs: Iterable[object]) -> list[str]:
    """Write one document a mapped task, named by its place and content; XCom carries only the keys."""
    written = []
    for number, job in enumerate(jobs):
        data = job.to_json() if isinstance(job, Document) else json.dumps(job, sort_keys=True).encode()
        name = f"jobs/{number:05d}-{hashlib.sha256(data).hexdigest()[:12]}.json"
        written.append((keys.staging(dag, run, name), data, "application/json"))
    store.put_many(written)
    return [key for key, _, _ in written]


def result_key(job_key: str) -> str:
    """Where the result of a job stands.

    >>> result_key("staging/dag/run/jobs/00001.json")
    'staging/dag/run/results/00001.json'
    """
    return job_key.replace("/jobs/", "/results/")


def shared(items: Sequence[T], *, size: int, spread: int) -> list[list[T]]:
    """Deal items out to tasks, ``size`` to each: fewer where that gave less than ``spread`` tasks, more where it gave over `MAX_TASKS`.

    They are dealt like cards, for neighbours are often of one kind, and alike heavy.

    >>> shared("abcdefgh", size=8, spread=3)
    [['a', 'd', 'g'], ['b', 'e', 'h'], ['c', 'f']]
    >>> {len(share) for share in shared(range(800), size=8, spread=3)}
    {8}
    """
    n_tasks = min(max(-(-len(items) // size), min(spread, len(items))), MAX_TASKS)
    return [list(items[first::n_tasks]) for first in range(n_tasks)]
