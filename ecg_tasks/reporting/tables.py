"""Here: the predictions as a CSV file, and as the rows that ``index.html`` lists. Not here: HTML."""

import csv
import io
import math
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from ecg_tasks.labels import Decision
from ecg_tasks.reporting.escaping import cell
from ecg_tasks.reporting.model import RunReport
from ecg_tasks.reporting.predictions import PREDICTION_COLUMNS

MODEL_COLUMNS = ("model_digest", "threshold", "abstain_low", "abstain_high")
"""What ``predictions.csv`` tells of the model beside ``PREDICTION_COLUMNS``, so that a row can be judged by itself."""
ROWS_LISTED = 10_000
"""Rows in ``index.html`` (3 MB, opens in a second, also without script); ``predictions.csv`` has all."""
_ATTENTION = (Decision.UNCERTAIN, Decision.ABNORMAL, Decision.UNINTERPRETABLE, Decision.NORMAL)
NONE = "–"
"""What stands in a cell without a value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedRow:
    """One row of the table in ``index.html``, every cell as it is written."""

    record_id: str
    name: str
    decision: str
    probability: str
    quality: str
    windows: str
    label: str
    recipe: str
    flags: str
    differs: bool
    synthetic: bool


def predictions_csv(report: RunReport) -> BinaryIO:
    """All predictions as CSV (UTF-8, commas, line feeds): ``PREDICTION_COLUMNS``, then ``MODEL_COLUMNS``; a missing value is an empty cell.

    It is a file without a name on the disk, to be read from its start: the rows of a million records do not fit into a task's memory.
    Cells that a spreadsheet would run as a formula have an apostrophe in front.
    """
    told = {
        model.key: (cell(model.digest), _decimal(model.threshold), *map(_decimal, model.abstain or (None, None))) for model in report.models
    }
    file = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - the taker closes it
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(PREDICTION_COLUMNS + MODEL_COLUMNS)
    for values in report.predictions.select(PREDICTION_COLUMNS):
        row = dict(zip(PREDICTION_COLUMNS, values, strict=True))
        writer.writerow((*_written(row), *told[row["recipe"], row["version"]]))
    text.detach()
    file.seek(0)
    return file


def _written(row: Mapping[str, Any]) -> Iterator[str]:
    """The cells of a row as they are written."""
    for name, value in row.items():
        if name in {"name", "flags", "seconds_read", "label"}:
            yield cell(value) if isinstance(value, str) else ""
        elif name in {"probability", "quality"}:
            yield _decimal(value)
        elif name == "synthetic":
            yield "yes" if value else "no"
        else:
            yield str(value)


def listed_rows(report: RunReport) -> list[ListedRow]:
    """The first ``ROWS_LISTED`` records: uncertain ones, then abnormal, uninterpretable and normal, each by falling P(abnormal)."""
    rank = " ".join(f"WHEN '{decision}' THEN {rank}" for rank, decision in enumerate(_ATTENTION))
    chosen = report.predictions.select(
        PREDICTION_COLUMNS, f"ORDER BY CASE decision {rank} END, probability DESC, record_id LIMIT ?", ROWS_LISTED
    )
    return [_listed(dict(zip(PREDICTION_COLUMNS, values, strict=True))) for values in chosen]


def _listed(row: dict[str, object]) -> ListedRow:
    decision, probability, label = str(row["decision"]), row["probability"], row["label"]
    known = isinstance(probability, float) and not math.isnan(probability)
    labelled = isinstance(label, str) and label != ""
    return ListedRow(
        record_id=str(row["record_id"]),
        name=str(row["name"]),
        decision=decision,
        probability=f"{probability:.3f}" if known else NONE,
        quality=f"{row['quality']:.2f}",
        windows=f"{row['n_used']} / {row['n_windows']}",
        label=str(label) if labelled else NONE,
        recipe=str(row["recipe"]),
        flags=str(row["flags"] or "").replace("_", " ").replace(",", ", "),
        differs=labelled and differs(decision, str(label)),
        synthetic=bool(row["synthetic"]),
    )


def differs(decision: str, label: str) -> bool:
    """Whether a firm decision contradicts the label; an uncertain one contradicts nothing."""
    return {decision, label} == {Decision.NORMAL.value, Decision.ABNORMAL.value}


def _decimal(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.6f}"
