"""Here: what is written down when identifiers are taken out of a bucket. Not here: taking them out (``pipeline.deidentification``)."""

import msgspec

from ecg_tasks.archive.documents.base import Document, Part


class Replaced(Part, frozen=True, kw_only=True):
    """An object whose digest something else keeps, and that says the same without identifiers now: SHA-256 of both contents."""

    key: str
    before: str
    after: str


class ReplacedList(Document, frozen=True, kw_only=True):
    """All such objects of one run; the entry of the log that is written before any of them is replaced has the digest of this list."""

    run: str
    objects: tuple[Replaced, ...]


class KindCounts(Part, frozen=True, kw_only=True):
    """What became of the objects of one kind: ``objects = rewritten + removed + unchanged``."""

    objects: int = 0
    rewritten: int = 0
    removed: int = 0
    unchanged: int = 0


class CopyCounts(Part, frozen=True, kw_only=True):
    """What became of the bytes of all drops: ``drops = copied + withheld + as_they_were``.

    ``as_they_were`` had a copy without identifiers, or no bytes in raw/. ``why`` counts those withheld by reason.
    """

    drops: int = 0
    copied: int = 0
    withheld: int = 0
    as_they_were: int = 0
    why: dict[str, int] = msgspec.field(default_factory=dict)


class Withheld(Part, frozen=True, kw_only=True):
    """A drop of which no copy without identifiers could be made: the digest of its name, and why."""

    name: str
    reason: str


class Deidentification(Document, frozen=True, kw_only=True):
    """The account of one run; ``withheld`` has the first thousand."""

    run: str
    at: str
    dry_run: bool
    copies: CopyCounts
    kinds: dict[str, KindCounts]
    replaced: int
    withheld: tuple[Withheld, ...] = ()
