"""Here: what ``classify_records`` and ``backfill_version`` pin, hand on and write down. Not here: predictions (``tables``), or reports."""

from typing import Any, ClassVar

import msgspec

from ecg_tasks.archive.documents.base import Document, Part, listed_below
from ecg_tasks.archive.documents.manifests import Code, Manifest
from ecg_tasks.counts import ReportCounts
from ecg_tasks.names import DagId


class PinnedVersion(Part, frozen=True, kw_only=True):
    """The version of a recipe that decides in a run, and since when it serves, in words or as ISO 8601."""

    version: str
    since: str


class Pending(Part, frozen=True, kw_only=True):
    """Records of one shard that had no decision when a report was written; ``records`` is None where all of them had none."""

    shard: str
    records: tuple[str, ...] | None = None


class Ingests(Part, frozen=True, kw_only=True):
    """Which records a report covers, and how far the manifests of intakes had been seen when that was decided.

    Parameters
    ----------
    runs : intake runs since the last report: their accounts and all their records count here
    carried : records that the last report left pending; their intake's account was given then
    """

    runs: tuple[str, ...]
    through: str
    at_through: tuple[str, ...]
    carried: tuple[Pending, ...] = ()


class DriftStatus(Part, frozen=True, kw_only=True):
    """How a recipe's serving version stands: ``steady``, ``watch``, ``drift`` or ``unknown``, and a sentence that says why.

    ``since`` is the run in which the alarm was raised. A drift suggests retraining; nothing is retrained by it.
    """

    recipe: str
    version: str
    state: str
    sentence: str
    since: str = ""

    @property
    def suggests_retraining(self) -> bool:
        """Whether a person should think of new labels and a new training."""
        return self.state == "drift"


class LastReport(Part, frozen=True, kw_only=True):
    """The report before another one, as that is compared with it; what it does not tell is empty. ``champions`` is recipe to version."""

    date: str
    run: str
    counts: ReportCounts
    champions: dict[str, str] = msgspec.field(default_factory=dict)
    scope: str = ""
    decisions: dict[str, int] = msgspec.field(default_factory=dict)
    code: Code | None = None
    drift: tuple[DriftStatus, ...] = ()


class ReportPin(Document, frozen=True, kw_only=True):
    """What was decided before a report is made: who decides, and which records it covers.

    Parameters
    ----------
    date : the day in whose folder the report stands
    details : records that get a page, at most
    champions : the deciding version of each recipe
    recipes : in the order in which they take a record
    scope : ``new`` or ``all``
    before : the versions that decided in the report before, by recipe
    last : the last report that had records; None for the first one, and in pins of before 2026-12-01
    why : why each version began to serve, by recipe
    trigger : what started the run, as Airflow calls it: ``scheduled``, ``manual``, ``asset_triggered``; empty where that is not known
    """

    run: str
    run_id: str
    date: str
    created: str
    details: int
    champions: dict[str, PinnedVersion]
    recipes: tuple[str, ...]
    scope: str
    notes: tuple[str, ...]
    ingests: Ingests
    before: dict[str, str] = msgspec.field(default_factory=dict)
    last: LastReport | None = None
    why: dict[str, str] = msgspec.field(default_factory=dict)
    trigger: str = ""

    @property
    def versions(self) -> dict[str, str]:
        """The deciding version of each recipe."""
        return {recipe: pinned.version for recipe, pinned in self.champions.items()}


class BackfillPin(ReportPin, frozen=True, kw_only=True):
    """What is compared with what; ``name`` is the folder in ``backfills/``, ``backfill`` the sentence that a report of it begins with."""

    dag: DagId
    name: str
    backfill: str
    recipe: str
    version: str
    against: str


class Undecided(Part, frozen=True, kw_only=True):
    """A shard on which a version has not decided."""

    recipe: str
    version: str
    shard: str


class ClassifyJob(Document, frozen=True, kw_only=True):
    """Shards for one task."""

    shards: tuple[Undecided, ...]

    @classmethod
    def upgraded(cls, plain: Any) -> Any:
        """Take the bare list of version 0.1."""
        return listed_below("shards", plain)


class ClassifiedShard(Part, frozen=True, kw_only=True):
    """What a version decided on one shard."""

    shard: str
    recipe: str
    version: str
    records: int
    windows: int


class ClassifyResult(Document, frozen=True, kw_only=True):
    """What one task decided."""

    shards: tuple[ClassifiedShard, ...]

    @classmethod
    def upgraded(cls, plain: Any) -> Any:
        """Take the bare list of version 0.1."""
        return listed_below("shards", plain)


class InboxWait(Part, frozen=True, kw_only=True):
    """How many files of the inbox wait for what, in words; ``until`` (ISO 8601) the last of them does, empty: their turn only."""

    why: str
    files: int
    until: str = ""


class Waiting(Part, frozen=True, kw_only=True):
    """What is in no decision yet: files in the inbox, and records of the archive that lack the pictures of a recipe in use.

    ``inbox`` is what the files wait for; in accounts of before 2026-11-30 it is empty.
    """

    inbox_files: int = 0
    records_without_pictures: int = 0
    inbox: tuple[InboxWait, ...] = ()


class ClassifyManifest(Manifest, frozen=True, kw_only=True):
    """The manifest of a night.

    Parameters
    ----------
    audit : digest of the entry in the log that holds what stands here; empty in manifests before there was a log
    shards : what was decided in this run
    report : key of the report's first page
    pending : records that wait for a decision; None in manifests before 2026-11-28, which name intake runs in ``pending_ingests``
    changed : records on which a new champion decides otherwise
    decisions : records by their decision; empty in manifests before 2026-12-01
    trigger, scope : as in the pin; empty in manifests before 2026-12-01
    """

    DAG: ClassVar[DagId] = DagId.CLASSIFY_RECORDS

    audit: str = ""
    counts: ReportCounts = msgspec.field(name="account")
    champions: dict[str, PinnedVersion]
    shards: tuple[ClassifiedShard, ...]
    ingests: Ingests
    report: str
    drift: tuple[DriftStatus, ...] = ()
    pending: tuple[Pending, ...] | None = None
    pending_ingests: tuple[str, ...] = ()
    waits: Waiting = Waiting()
    changed: int = 0
    decisions: dict[str, int] = msgspec.field(default_factory=dict)
    trigger: str = ""
    scope: str = ""


class BackfillCounts(Part, frozen=True, kw_only=True):
    """Records of the report, those compared, those decided otherwise, and those that wait."""

    records: int
    compared: int
    changed: int
    pending: int


class BackfillManifest(Manifest, frozen=True, kw_only=True):
    """The manifest of a comparison; ``report`` and ``page`` are keys of first pages: of the report, and of the difference."""

    DAG: ClassVar[DagId] = DagId.BACKFILL_VERSION

    counts: BackfillCounts = msgspec.field(name="account")
    recipe: str
    version: str
    against: str
    champions: dict[str, PinnedVersion]
    shards: tuple[ClassifiedShard, ...]
    report: str
    page: str
