"""Here: what is read again of a written report's ``summary.json``, and of a comparison's. Not here: making them (``reporting``)."""

from typing import Any

import msgspec

from ecg_tasks.archive.documents.base import Document, Part
from ecg_tasks.archive.documents.classifying import Waiting
from ecg_tasks.counts import ReportCounts


class SummaryRun(Part, frozen=True, kw_only=True):
    """Which run a report is of, and when it was made."""

    run_id: str
    created_utc: str


class SummaryClass(Part, frozen=True, kw_only=True):
    """A class that a version reports, and what it is in a terminology; empty texts where that is not known."""

    name: str
    system: str = ""
    code: str = ""
    display: str = ""


class SummaryModel(Part, frozen=True, kw_only=True):
    """A version that decided; without classes in reports of before there were any."""

    recipe: str
    version: str
    synthetic: bool = False
    classes: tuple[SummaryClass, ...] = ()


class SummaryQuarantine(Part, frozen=True, kw_only=True):
    """How many inputs were refused for which reason."""

    by_reason: dict[str, int]


class SummarySynthetic(Part, frozen=True, kw_only=True):
    """How many records a program made."""

    n_records: int = 0


class SummaryChanges(Part, frozen=True, kw_only=True):
    """What a new champion changed; ``listed`` are the rows of the report's table as it shows them."""

    n_changed: int
    sentence: str
    listed: tuple[dict[str, Any], ...] = ()


class ReportSummary(Document, frozen=True, kw_only=True):
    """The head of a report; ``changes`` is None without a new champion, and in reports of before 2026-11-28."""

    run: SummaryRun
    counts: ReportCounts
    decisions: dict[str, int]
    models: tuple[SummaryModel, ...]
    quarantine: SummaryQuarantine
    synthetic: SummarySynthetic = SummarySynthetic()
    notes: tuple[str, ...] = ()
    waiting: Waiting = msgspec.field(default_factory=Waiting)
    changes: SummaryChanges | None = None


class ComparedVersion(Part, frozen=True, kw_only=True):
    """One of two versions that were compared."""

    version: str


class ComparisonSummary(Document, frozen=True, kw_only=True):
    """What a comparison of two versions found, as its headline tells it."""

    recipe: str
    versions: tuple[ComparedVersion, ComparedVersion]
    records: int
    changed: int
