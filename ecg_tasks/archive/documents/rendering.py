"""Here: what ``render_spectrograms`` plans, hands on and writes down. Not here: pictures (``tables``), or drawing them."""

from typing import Any, ClassVar

import msgspec

from ecg_tasks.archive.documents.base import Document, Part, listed_below
from ecg_tasks.archive.documents.manifests import Manifest
from ecg_tasks.names import DagId


class Undrawn(Part, frozen=True, kw_only=True):
    """A shard, the recipes whose pictures it lacks, and whether its records are not measured by today's method."""

    shard: str
    recipes: tuple[str, ...]
    unmeasured: bool = False


class RenderJob(Document, frozen=True, kw_only=True):
    """Shards for one task."""

    shards: tuple[Undrawn, ...]

    @classmethod
    def upgraded(cls, plain: Any) -> Any:
        """Take the bare list of version 0.1."""
        return listed_below("shards", plain)


class RenderedShard(Part, frozen=True, kw_only=True):
    """What was drawn of one shard by one recipe (``<recipe>@<digest>``); ``taken`` counts the records that the recipe takes."""

    shard: str
    recipe: str
    records: int
    taken: int
    windows: int


class RenderResult(Document, frozen=True, kw_only=True):
    """What one task drew."""

    shards: tuple[RenderedShard, ...]

    @classmethod
    def upgraded(cls, plain: Any) -> Any:
        """Take the bare list of version 0.1."""
        return listed_below("shards", plain)


class RenderCounts(Part, frozen=True, kw_only=True):
    """The sums over all shards and recipes of a run."""

    records: int
    taken: int
    windows: int


class RenderManifest(Manifest, frozen=True, kw_only=True):
    """The manifest of a run that drew pictures."""

    DAG: ClassVar[DagId] = DagId.RENDER_SPECTROGRAMS

    counts: RenderCounts = msgspec.field(name="account")
    shards: tuple[RenderedShard, ...]
