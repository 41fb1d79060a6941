"""Here: the bucket as a page or a command holds it: to be handed to a query or an action. Not here: what lies in it (``archive``)."""

from ecg_tasks.archive import workspace
from ecg_tasks.archive.object_store import ObjectStore

__all__ = ["ObjectStore", "open_store"]


def open_store() -> ObjectStore:
    """Open the bucket that the environment names."""
    return workspace.open_store()
