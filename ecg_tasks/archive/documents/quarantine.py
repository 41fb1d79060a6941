"""Here: what stands beside the files of a quarantine entry. Not here: putting something there (``pipeline.intake.quarantining``)."""

from collections.abc import Mapping
from typing import Any

import msgspec

from ecg_tasks.archive.documents.base import Document, Part, prepared
from ecg_tasks.archive.documents.intake import QuarantinedInput


class Retry(Part, frozen=True, kw_only=True, omit_defaults=True):
    """That an entry was put back; ``outcome`` and ``run`` say what the next intake made of it."""

    who: str
    when: str
    outcome: str = ""
    run: str = ""


class RetryDetail(Part, frozen=True, kw_only=True):
    """What an entry of the log says of files that were put back: where to, below the inbox, and out of which entry; older ones say less."""

    inbox: tuple[str, ...] = ()
    entry: str = ""

    @classmethod
    def of(cls, detail: Mapping[str, Any]) -> "RetryDetail":
        """Read it from an entry's detail."""
        return msgspec.convert(detail, prepared(cls))


class Closing(Document, frozen=True, kw_only=True, omit_defaults=True):
    """That nothing of an entry is left to be done.

    Parameters
    ----------
    run : the intake that read its files after they were put back; empty where a person closed it
    entries : what was still bad in them, by entry
    who, how : the person, and whether the files were mended and dropped again (``resolved``) or are not wanted (``hidden``)
    """

    when: str
    run: str
    entries: tuple[str, ...] = ()
    who: str = ""
    how: str = ""


class PutBack(Document, frozen=True, kw_only=True):
    """That an entry's files wait in the inbox again, at these paths below it."""

    inbox: tuple[str, ...]
    who: str = ""
    when: str = ""


class QuarantineReason(Document, frozen=True, kw_only=True, omit_defaults=True):
    """Why an entry is in quarantine.

    Parameters
    ----------
    inbox : the paths below the inbox to which its files go back
    files : under which names these lie beside it, in the same order; empty where these are the paths' own, as before 2026-11-29
    rows : its bad rows, where the file is good otherwise
    retried : every time that it was put back
    """

    name: str
    reason: str
    message: str
    source: str
    entry: str = ""
    inbox: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    rows: tuple[QuarantinedInput, ...] = ()
    retried: tuple[Retry, ...] = ()
    closed: Closing | None = None

    @property
    def stored(self) -> tuple[str, ...]:
        """Under which names its files lie beside it, in the order of ``inbox``."""
        return self.files or tuple(path.rpartition("/")[2] for path in self.inbox)
