"""Here: one link of a lineage, and the links to code and to dropped bytes. Not here: which links a thing has (``tracing``)."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ecg_tasks.archive import raw_check
from ecg_tasks.archive.documents import Code, plain
from ecg_tasks.archive.object_store import ObjectStore


class LinkState(StrEnum):
    """How far a link can be trusted."""

    CHECKED = "checked"
    """A digest was recomputed and is correct."""
    RECORDED = "recorded"
    """It is written down, and there is nothing to hold it against."""
    ABSENT = "absent"
    """It was not written down, or it is in another bucket."""
    BROKEN = "broken"
    """It is not what it should be."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """One thing, what is known of it, and what it comes from (``beneath``)."""

    what: str
    name: str
    state: LinkState
    sentence: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    beneath: Sequence["Link"] = ()

    def all(self) -> Iterator["Link"]:
        """Yield itself and all beneath it."""
        yield self
        for link in self.beneath:
            yield from link.all()


def code_link(code: Code | None) -> Link:
    """Return the code that made something, by what was recorded of it."""
    if code is None:
        return Link(what="code", name="unknown", state=LinkState.ABSENT, sentence="made before the code's version was recorded")
    return Link(what="code", name=f"{code.version}, tree {code.tree}", state=LinkState.RECORDED, metadata=plain(code))


def raw_link(
    store: ObjectStore,
    sha256: str,
    *,
    order: Sequence[str] = (),
    record_id: str = "",
    digests: Collection[str] = (),
    beneath: Sequence[Link] = (),
) -> Link:
    """Return the dropped bytes, with recomputed digests; what of them is meant is as `raw_check.look` takes it."""
    kept = raw_check.look(store, sha256, order=order, record_id=record_id, digests=digests)
    state, sentence = (LinkState.BROKEN, kept.fault) if kept.fault else (LinkState.CHECKED, "SHA-256 recomputed")
    metadata = {name: f"{n_bytes:,} bytes" for name, n_bytes in kept.n_bytes.items()}
    return Link(what="raw", name=sha256, state=state, sentence=sentence, metadata=metadata, beneath=beneath)
