"""Here: what was found out about recordings without any stack, as rows with the columns of a report. Not here: the columns, deciding."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ecg_tasks import report_columns
from ecg_tasks.learning.decisions import RecordDecisions
from ecg_tasks.learning.version import ModelSpec
from ecg_tasks.report_columns import Row
from ecg_tasks.signals.measurements import Measurements
from ecg_tasks.signals.recipes import Rendered
from ecg_tasks.signals.record import Record

_OF_THE_ARCHIVE = frozenset(("source_sha256", "label", "shard", "patient", "run", "date", "page"))
"""Columns that say where a record lies in a bucket, whose it is there, or what was decided there."""
COLUMNS = tuple(column for column in report_columns.COLUMNS if column.name not in _OF_THE_ARCHIVE)
"""Those of a row here, in the order of the files; those of the model's classes follow."""
_OF_THE_RECORD = ("record_id", "name", "synthetic", "age", "sex", "recorded", "device", "filters", "source_format", "site")


def report_rows(
    records: Sequence[Record],
    decided: RecordDecisions,
    rendered: Rendered,
    *,
    spec: ModelSpec,
    digest: str,
    flags: Sequence[str],
    seconds_read: Sequence[str],
    measured: Sequence[Measurements | None],
) -> list[Row]:
    """Return a row for each recording: column name to a value, None where there is none.

    Parameters
    ----------
    decided, rendered : of these recordings, in their order
    digest : of the files of the model
    measured : None for a heartbeat row, of which nothing is measured
    """
    n = len(records)
    drawn = np.flatnonzero(rendered.window >= 0)
    total = np.bincount(rendered.record[drawn], weights=rendered.quality[drawn], minlength=n)
    joined: dict[str, Sequence[Any]] = {name: [getattr(record, name) for record in records] for name in _OF_THE_RECORD}
    joined["age"] = [np.nan if record.age is None else record.age for record in records]
    joined |= {
        "decision": [one.value for one in decided.decision],
        "probability": decided.probability.tolist(),
        "n_windows": decided.n_windows.tolist(),
        "n_used": decided.n_used.tolist(),
        "quality": (total / np.maximum(decided.n_windows, 1)).tolist(),
        "flags": flags,
        "seconds_read": seconds_read,
        "recipe": [spec.recipe] * n,
        "version": [spec.version] * n,
        "model_digest": [digest] * n,
        "threshold": [spec.threshold] * n,
    }
    joined |= dict(zip(("abstain_low", "abstain_high"), _band(*spec.abstain, n), strict=True))
    rows = [(one or Measurements()).row for one in measured]
    joined |= {name: [row[name] for row in rows] for name in Measurements().row}
    found = {column.name: column.values(joined) for column in COLUMNS}
    for one in decided.classes:
        low, high = _band(*one.rule.abstain, n)
        values = (one.probability.tolist(), [decision.value for decision in one.decision], [one.rule.threshold] * n, low, high)
        found |= {column.name: value for column, value in zip(report_columns.of_class(one.rule.name), values, strict=True)}
    return [{name: _value(values[row]) for name, values in found.items()} for row in range(n)]


def _band(low: float, high: float, n: int) -> tuple[list[float | None], list[float | None]]:
    """Return both ends for each row; None where the band is empty, as in a report."""
    return ([low] * n, [high] * n) if low < high else ([None] * n, [None] * n)


def _value(value: Any) -> Any:
    """Return a value as a table has it: None for NaN and for an empty text, and a plain number for NumPy's."""
    plain = value.item() if isinstance(value, np.generic) else value
    return None if plain == "" or plain != plain else plain  # noqa: PLR0124 - NaN is not itself


def columns_with(classes: Iterable[str]) -> tuple[str, ...]:
    """Return the names of all columns of rows that report these classes, in their order."""
    return tuple(column.name for column in (*COLUMNS, *(column for name in classes for column in report_columns.of_class(name))))
