"""Here: the entry in the log that somebody took an object of the archive back. Not here: what the store keeps (``deploy.embedded``)."""

from ecg_tasks.archive import audit
from ecg_tasks.archive.object_store import ObjectStore


def log_taken_back(store: ObjectStore, key: str, *, stamp: str, who: str, why: str) -> None:
    """Log that the copy that the store had set aside at ``stamp`` (seconds since 1970) stands under its key again."""
    audit.append(store, who=who, action=audit.Action.TAKE_BACK, subject=key, detail={"set_aside": stamp, "why": why})
