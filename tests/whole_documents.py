"""Here: whole documents with nothing in them, for tests that need one field. Not here: their types (``archive.documents``)."""

from typing import Any

from ecg_tasks.archive.documents import ClassifyManifest, Ingests, IntakeCounts, IntakeManifest, LabelCounts, ReportPin
from ecg_tasks.counts import ReportCounts
from ecg_tasks.names import DagId


def intake(run: str, **changes: Any) -> IntakeManifest:
    """The account of an intake of nothing, but for what is given."""
    empty = {"counts": IntakeCounts(), "inputs": (), "shards": (), "quarantined": (), "labels": LabelCounts()}
    return IntakeManifest(**({"dag": DagId.INGEST_RECORDS, "run": run} | empty | changes))


def night(run: str, **changes: Any) -> ClassifyManifest:
    """The account of a night of nothing, but for what is given."""
    counts = ReportCounts(**dict.fromkeys(ReportCounts.__struct_fields__, 0))
    empty = {"counts": counts, "champions": {}, "shards": (), "ingests": Ingests(runs=(), through="", at_through=())}
    report = f"reports/2026-01-01/{run}/index.html"
    return ClassifyManifest(**({"dag": DagId.CLASSIFY_RECORDS, "run": run, "report": report} | empty | changes))


def pin(run: str, **changes: Any) -> ReportPin:
    """The pin of a night of nothing, but for what is given."""
    empty = {"champions": {}, "recipes": (), "scope": "all", "notes": (), "ingests": Ingests(runs=(), through="", at_through=())}
    told = {"run": run, "run_id": run, "date": "2026-01-01", "created": "2026-01-01T00:00:00+00:00", "details": 0}
    return ReportPin(**(told | empty | changes))
