"""Here: a reviewer's verdict, and taking it back. Not here: which record comes next (``queries.review_queue``)."""

from ecg_tasks.archive import verdicts
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.verdicts import COMMENT_MAX, Saved
from ecg_tasks.errors import EcgError
from ecg_tasks.queries import review_queue

__all__ = ["COMMENT_MAX", "UnknownRecordError", "save_verdict", "withdraw"]


class UnknownRecordError(EcgError):
    """No serving model has decided on a record of this id."""


def save_verdict(store: ObjectStore, record_id: str, *, verdict: str, user: str, comment: str = "") -> Saved:
    """Save a verdict as ``verdicts.save_verdict`` does, on a record that a serving model has decided on."""
    if not review_queue.is_decided(store, record_id):
        raise UnknownRecordError(f"no model has decided on a record {record_id!r}")
    return verdicts.save_verdict(store, record_id, verdict=verdict, user=user, comment=comment)


def withdraw(store: ObjectStore, record_id: str, *, user: str, when: str) -> Saved:
    """Take back the user's own verdict of that moment; a second time changes nothing."""
    return verdicts.withdraw(store, record_id, user=user, when=when)
