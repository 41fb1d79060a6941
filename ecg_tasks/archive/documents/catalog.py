"""Here: the head of the catalogue. Not here: the catalogue (``archive.catalog``)."""

from ecg_tasks.archive.documents.base import Document, Part


class Segment(Part, frozen=True, kw_only=True):
    """One object of the catalogue, and how many rows of all kinds it has."""

    key: str
    n_rows: int


class Publishing(Part, frozen=True, kw_only=True):
    """The publication that the catalogue took in last, and the catalogue before it.

    A publication that is tried again starts from that catalogue, so that it does not meet its own work as duplicates.
    """

    run: str
    number: int = 0
    segments: tuple[Segment, ...] = ()
    tail: bytes = b""


class CatalogHead(Document, frozen=True, kw_only=True):
    """What the catalogue is made of.

    Parameters
    ----------
    number : of the last intake that left something
    segments : the largest first
    tail : the newest rows, as Parquet: too few for a segment
    retired : keys of segments that the head before named: a process that read that one may still read them
    publishing : the publication that it took in last
    logged : a number that the log of acts had by then, so that who appends to it need not look for its end
    """

    number: int = 0
    segments: tuple[Segment, ...] = ()
    tail: bytes = b""
    retired: tuple[str, ...] = ()
    publishing: Publishing | None = None
    logged: int = 0
