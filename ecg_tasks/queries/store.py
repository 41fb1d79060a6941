"""Here: the bucket as a page or a command holds it: to be handed to a query or an action. Not here: what lies in it (``archive``)."""

from collections.abc import Iterator
from typing import Any

from ecg_tasks.archive import keys, workspace
from ecg_tasks.archive.object_store import ObjectInfo, ObjectStore
from ecg_tasks.settings import Settings

__all__ = ["ObjectStore", "open_store", "open_to_look"]


def open_store() -> ObjectStore:
    """Open the bucket that the environment names."""
    return workspace.open_store()


def open_to_look() -> ObjectStore:
    """Open it for one page that changes nothing: what many questions of a page begin with is listed once for all of them."""
    return _OneLook.connect(Settings.from_environment().bucket)


_OFTEN = frozenset({keys.FORGOTTEN, keys.LABELS, keys.CLASSES})
"""What says whether an answer that is kept still holds: some of a page's questions ask for each, and each time is a request."""


class _OneLook(ObjectStore):
    """The bucket as one page sees it; equal to any other way to the same bucket."""

    def __init__(self, client: Any, bucket: str) -> None:
        super().__init__(client, bucket)
        self._listed: dict[str, list[ObjectInfo]] = {}

    def list_objects(self, prefix: str, *, after: str = "") -> Iterator[ObjectInfo]:
        """Yield as an `ObjectStore` does; a list of `_OFTEN` is asked for once."""
        if after or prefix not in _OFTEN:
            return super().list_objects(prefix, after=after)
        if prefix not in self._listed:
            self._listed[prefix] = list(super().list_objects(prefix))
        return iter(self._listed[prefix])
