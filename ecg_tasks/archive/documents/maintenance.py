"""Here: what ``maintain_store`` plans, hands on and writes down. Not here: what may go, or is damaged (``pipeline.maintenance``)."""

from typing import Any, ClassVar

import msgspec

from ecg_tasks.archive.documents.base import Document, Part, listed_below
from ecg_tasks.archive.documents.manifests import Manifest
from ecg_tasks.names import DagId


class PrefixTally(Part, frozen=True, kw_only=True):
    """Objects and bytes of one prefix: all of them, those that are old but needed, and those that may go."""

    objects: int = 0
    bytes: int = 0
    needed_objects: int = 0
    needed_bytes: int = 0
    deletable_objects: int = 0
    deletable_bytes: int = 0


class MaintenancePlan(Document, frozen=True, kw_only=True):
    """What may be deleted, written down before anything is.

    ``objects`` are key, size and ETag of each; ``left_for_next`` counts those over what one run deletes. ``sample`` things of each kind
    are read again. ``due`` are prefixes below which a dry run deletes, too: they have a deadline.
    """

    run: str
    at: str
    days: dict[str, float]
    dry_run: bool
    sample: int
    due: tuple[str, ...] = ()
    prefixes: dict[str, PrefixTally]
    left_for_next: int
    objects: tuple[tuple[str, int, str], ...]


class Deletions(Document, frozen=True, kw_only=True):
    """Keys that were planned and stay, because something needs them by now."""

    stays: tuple[str, ...]


class DeletionList(Document, frozen=True, kw_only=True):
    """Every object that a run was to delete: key, size and ETag of each."""

    objects: tuple[tuple[str, int, str], ...]

    @classmethod
    def upgraded(cls, plain: Any) -> Any:
        """Take the bare list of version 0.1."""
        return listed_below("objects", plain)


class Orphan(Part, frozen=True, kw_only=True):
    """Something whose source, or whose fate, is not there."""

    kind: str
    key: str
    lacks: str


class OrphanList(Document, frozen=True, kw_only=True):
    """Every orphan that a run found."""

    orphans: tuple[Orphan, ...]

    @classmethod
    def upgraded(cls, plain: Any) -> Any:
        """Take the bare list of version 0.1."""
        return listed_below("orphans", plain)


class Damage(Part, frozen=True, kw_only=True):
    """An object whose content is not what its name, or the checksum beside it, says."""

    kind: str
    key: str
    found: str


class ContentCheck(Document, frozen=True, kw_only=True):
    """How many of each kind there are and were read, and what was damaged."""

    there: dict[str, int]
    read: dict[str, int]
    damaged: tuple[Damage, ...]


class Deletable(Part, frozen=True, kw_only=True):
    """An object that may go."""

    key: str
    bytes: int


class MaintenanceCounts(Part, frozen=True, kw_only=True):
    """The manifest of a run in numbers; ``mode`` says in words whether it was a dry run, and whether a deadline was kept in it."""

    mode: str
    objects: int
    deletable: int
    deletable_bytes: int
    left_for_next: int
    deleted: int
    deleted_bytes: int
    kept_since: int
    orphans: int
    read_again: int
    damaged: int


class MaintenanceManifest(Manifest, frozen=True, kw_only=True):
    """The manifest of a maintenance; of every list the first lines, all of them beside it."""

    DAG: ClassVar[DagId] = DagId.MAINTAIN_STORE

    at: str
    counts: MaintenanceCounts = msgspec.field(name="account")
    days: dict[str, float]
    prefixes: dict[str, PrefixTally]
    deletable: tuple[Deletable, ...]
    kept_since: tuple[str, ...]
    orphans: tuple[Orphan, ...]
    contents: ContentCheck
