"""Here: taking identifiers out of what the bucket holds already. Not here: the command, or how each object changes (``pipeline``)."""

from ecg_tasks.archive.documents import Deidentification
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.pipeline.deidentification import bucket
from ecg_tasks.pipeline.deidentification.bucket import Say
from ecg_tasks.settings import Settings


def deidentify(store: ObjectStore, *, run: str, dry_run: bool, say: Say, give_up: bool) -> Deidentification:
    """Do for all that the bucket holds what the door does for new drops, or only say what would be done; returns the account.

    See ``pipeline.deidentification.bucket``; nothing else may write to the bucket meanwhile.
    """
    return bucket.deidentify(store, Settings.from_environment(), run=run, dry_run=dry_run, say=say, give_up=give_up)


def headline(account: Deidentification) -> list[str]:
    """Return an account in sentences."""
    return bucket.headline(account)
