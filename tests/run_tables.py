"""Here: small tables of runs, made of rows that tell only what a test is about. Not here: what such a table does (``archive``)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from ecg_tasks import report_columns
from ecg_tasks.archive.predictions import RunTable
from ecg_tasks.archive.run_table_writer import RunTableWriter

ROW = {
    "record_id": "0" * 32,
    "name": "a.hea",
    "source_sha256": "ab" * 32,
    "decision": "normal",
    "probability": 0.25,
    "recipe": "heartbeat",
    "version": "v1",
    "n_windows": 2,
    "n_used": 1,
    "quality": 0.9,
    "flags": "",
    "seconds_read": "0-10 of 10 s",
    "label": None,
    "synthetic": False,
    "age": 61.0,
    "sex": "female",
    "recorded": "2024",
    "device": "Mortara ELI 250",
    "filters": "0.05 to 150 Hz, notch 50 Hz",
    "source_format": "HL7 aECG",
    "site": "north",
    "rate_bpm": 61.8,
    "pr_ms": None,
    "qrs_ms": 92.1,
    "qt_ms": 401.5,
    "qtc_fridericia_ms": 405.5,
    "qtc_bazett_ms": 407.5,
    "axis_deg": 48.2,
    "rhythm": "regular",
    "not_measurable": "pr_ms:no_p",
    "model_digest": "0123456789ab",
    "threshold": 0.5,
    "abstain_low": 0.45,
    "abstain_high": 0.55,
    "shard": "cc740c0404dd22b284fe",
    "patient": "3664ac573976178a531d1eb8",
    "run": "scheduled__2026-03-02T02-00-00",
    "date": date(2026, 3, 2),
    "page": f"http://ui/ecg/records/{'0' * 32}?date=2026-03-02&run=scheduled__2026-03-02T02-00-00",
}
"""What a row says where a test does not tell."""


def columns_of(rows: Iterable[Mapping[str, Any]], classes: Sequence[str] = ()) -> dict[str, list[Any]]:
    """Columns of rows, each of them `ROW` with what is told; nothing is said of a class where it is not."""
    whole = [ROW | row for row in rows]
    found = {column.name: [row[column.name] for row in whole] for column in report_columns.COLUMNS}
    return found | {column.name: [row.get(column.name) for row in whole] for name in classes for column in report_columns.of_class(name)}


def run_table(rows: Iterable[Mapping[str, Any]] = (), *, classes: Sequence[str] = ()) -> RunTable:
    """Make a table of rows, each of them `ROW` with what is told."""
    with RunTableWriter(classes) as writer:
        writer.append(columns_of(rows, classes))
        return writer.finish()
