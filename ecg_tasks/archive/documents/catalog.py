"""Here: the head of the catalogue. Not here: the catalogue (``archive.catalog``)."""

from ecg_tasks.archive.documents.base import Document, Part


class Segment(Part, frozen=True, kw_only=True):
    """One object of the catalogue, and how many rows of all kinds it has."""

    key: str
    n_rows: int


class Publishing(Part, frozen=True, kw_only=True):
    """That the publication of an intake has begun: its run as Airflow calls it, the keys of its results, and the catalogue before it.

    A publication that is tried again starts from that catalogue, so that it does not meet its own work as duplicates.
    """

    run: str
    results: tuple[str, ...]
    number: int = 0
    segments: tuple[Segment, ...] = ()


class CatalogHead(Document, frozen=True, kw_only=True):
    """What the catalogue is made of.

    Parameters
    ----------
    number : of the last intake that left something
    segments : the largest first
    retired : keys of segments that the head before named: whoever read that one may still read them
    publishing : the publication that began last; whether it is over is seen by its plan, which is deleted last
    """

    number: int = 0
    segments: tuple[Segment, ...] = ()
    retired: tuple[str, ...] = ()
    publishing: Publishing | None = None
