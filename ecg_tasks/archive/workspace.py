"""Here: what every task needs: the store, the time, jobs and results of one run, patient hashes. Not here: what a task does."""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from ecg_tasks.archive import keys
from ecg_tasks.archive.documents import Document
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.evaluation.splits import keyed_bucket, split_bucket
from ecg_tasks.readers.person import id_within
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


def patient_hash(patient: str | None, *, key: bytes, issuer: str | None = None) -> str | None:
    """Return the keyed hash that stands for a patient's id: equal for equal ids of one issuer, and of no use without the key.

    Parameters
    ----------
    issuer : who gave the id; without one the hash is that of the id alone, as it always was

    Examples
    --------
    >>> patient_hash("17", key=b"0" * 32)
    '3664ac573976178a531d1eb8'
    >>> patient_hash("17", key=b"0" * 32, issuer="1.2.3") == patient_hash("17", key=b"0" * 32, issuer="1.2.4")
    False
    """
    if patient is None:
        return None
    given_by = (issuer or "").strip()
    text = f"{given_by}\0{patient.strip()}" if given_by else patient
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:24]


def public_patient(patient: str, *, collection: str) -> str:
    """Return what names a patient of a public collection on every installation: it hides nothing, for everybody can make it.

    Parameters
    ----------
    patient : id, with or without the collection before it
    collection : that gave the id

    Examples
    --------
    >>> public_patient("ptbxl-15709", collection="ptbxl"), public_patient("15709", collection="ptbxl")
    ('e590eaeb051f55e805c64bf2', 'e590eaeb051f55e805c64bf2')
    """
    return hashlib.sha256(f"{collection}:{patient.removeprefix(id_within(collection, ''))}".encode()).hexdigest()[:24]


def patient_bucket(patient: str | None, *, key: bytes, collection: str | None = None) -> int:
    """Return the bucket that is stored of a patient, -1 where none is known: it decides the split, and tells nobody the id.

    Parameters
    ----------
    patient : id, whoever gave it: both hashes of one person are in one bucket
    collection : the public collection that gave the id; its buckets are the same on every installation, and need no key

    Examples
    --------
    >>> patient_bucket("patient001", key=b"0" * 32), patient_bucket("patient001", key=b"0" * 32, collection="ptbdb")
    (5075, 3838)
    """
    if patient is None:
        return -1
    bucket = split_bucket(patient)
    return bucket if collection else keyed_bucket(bucket, key=key)


def key_digest(key: bytes) -> str:
    """Return what tells one key of patients from another and says nothing else: hashes by two keys cannot be compared.

    >>> key_digest(b"0" * 32) == key_digest(b"1" * 32)
    False
    """
    return hmac.new(key, b"\0which key", hashlib.sha256).hexdigest()[:12]


def write_jobs(store: ObjectStore, *, dag: str, run: str, jobs: Iterable[Document]) -> list[str]:
    """Write one document a mapped task below the run's folder in staging/<dag>/, named by its place and content; returns the keys."""
    written = []
    for number, job in enumerate(jobs):
        data = job.to_json()
        name = f"jobs/{number:05d}-{hashlib.sha256(data).hexdigest()[:12]}.json"
        written.append((keys.staging(dag, run, name), data, "application/json"))
    store.put_many(written)
    return [key for key, _, _ in written]


def result_key(job_key: str) -> str:
    """Return the key of the result of a job.

    >>> result_key("staging/dag/run/jobs/00001.json")
    'staging/dag/run/results/00001.json'
    """
    return job_key.replace("/jobs/", "/results/")


def shared(items: Sequence[T], *, size: int, min_tasks: int) -> list[list[T]]:
    """Deal items out to tasks, ``size`` to each: fewer where that gave less than ``min_tasks`` tasks, more where it gave over `MAX_TASKS`.

    They are dealt like cards, for neighbours are often of one kind, and alike heavy.

    >>> shared("abcdefgh", size=8, min_tasks=3)
    [['a', 'd', 'g'], ['b', 'e', 'h'], ['c', 'f']]
    >>> {len(share) for share in shared(range(800), size=8, min_tasks=3)}
    {8}
    """
    n_tasks = min(max(-(-len(items) // size), min(min_tasks, len(items))), MAX_TASKS)
    return [list(items[first::n_tasks]) for first in range(n_tasks)]
