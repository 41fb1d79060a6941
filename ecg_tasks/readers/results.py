"""Here: what a reader hands back. Not here: reading, or what becomes of it (``pipeline``)."""

from dataclasses import dataclass

from ecg_tasks.errors import Reason
from ecg_tasks.signals.record import Record

MAX_CONTENT_CHARS = 4096
"""A rejected row's text is kept up to this length; the whole of it stands in the raw file."""


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """One row that could not be used, while the rest of its file could."""

    name: str
    """``file.csv#row``, rows counted as in ``Record.name``."""
    reason: Reason
    message: str
    content: str = ""
    """The row's own text, cut at ``MAX_CONTENT_CHARS``."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What one file, or one set of WFDB files, held."""

    records: tuple[Record, ...]
    rejected: tuple[Rejected, ...] = ()
