"""Here: what a person asks to be forgotten, as a request that a run of the DAG takes. Not here: forgetting (``pipeline.forget_patient``).

The request lies in the bucket and its token in the form: Airflow keeps what is in a form for ever.
"""

from collections.abc import Collection
from dataclasses import dataclass

from ecg_tasks.archive.documents import Forgetting
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.pipeline import forget_patient
from ecg_tasks.pipeline.forget_patient import allow_again, digests, retrain_command

__all__ = ["Meant", "allow_again", "digests", "find", "find_listed", "form", "request", "retrain_command"]


@dataclass(frozen=True, kw_only=True)
class Meant:
    """What would be forgotten: how many records, their ids, and the versions that learnt from them, each as recipe and name."""

    n_records: int
    record_ids: tuple[str, ...]
    learnt_by: tuple[tuple[str, str, bool], ...]
    found: Forgetting


def find(store: ObjectStore, *, patient: str = "", issuer: str = "", record: str = "") -> Meant:
    """Return what a patient's id, or a record's, means; nothing is written. `ConfigurationError` if that is nothing."""
    return _meant(store, forget_patient.find_meant(store, patient=patient, issuer=issuer, record=record))


def find_listed(store: ObjectStore, listed: Collection[str]) -> Meant | None:
    """Return what a list of digests means, as a backup is told by it; None where nothing of that is here."""
    found = forget_patient.meant_by(store, listed)
    return None if found is None else _meant(store, found)


def request(store: ObjectStore, meant: Meant, *, who: str, why: str, approval: bool = False) -> str:
    """Write the request; returns its token."""
    return forget_patient.ask(store, meant.found, who=who, why=why, approval=approval)


def form(token: str) -> dict[str, str]:
    """Return the form of a run of ``forget_patient``."""
    return {"request": token}


def _meant(store: ObjectStore, found: Forgetting) -> Meant:
    _, learnt = forget_patient.look(store, found)
    return Meant(
        n_records=len(found.records),
        record_ids=tuple(one.record_id for one in found.records),
        learnt_by=tuple((one.recipe, one.version, one.serves) for one in learnt),
        found=found,
    )
