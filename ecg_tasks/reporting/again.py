"""Here: a report made again of what was written of it, with fewer rows. Not here: making the first one (``pipeline.reports``)."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ecg_tasks.counts import ReportCounts
from ecg_tasks.evaluation.intervals import Interval
from ecg_tasks.labels import ClassDecision, Decision
from ecg_tasks.reporting.changes import ChangedRecord, Changes
from ecg_tasks.reporting.model import DriftLight, ModelSummary, ReportedClass, ReportedInput, RunReport, UnseenFigures
from ecg_tasks.reporting.predictions import Predictions
from ecg_tasks.reporting.sections import OfModel
from ecg_tasks.reporting.since import Since


def report_again(
    summary: Mapping[str, Any],
    predictions: Predictions,
    *,
    counts: ReportCounts,
    quarantined: Sequence[ReportedInput],
    changed: Sequence[ChangedRecord],
) -> RunReport:
    """Return the report that ``summary.json`` tells of, with the rows, counts, refused inputs and changed records that it has by now.

    Raises
    ------
    KeyError, TypeError, ValueError
        If the summary is none, or lacks what today's have.
    """
    run = summary["run"]
    return RunReport(
        run_id=run["run_id"],
        date=run["date"],
        dag=run["dag"],
        created_utc=run["created_utc"],
        counts=counts,
        models=models_in(summary),
        predictions=predictions,
        quarantined=quarantined,
        unseen=unseen_in(summary),
        unseen_absent=unseen_absent_in(summary),
        notes=summary["notes"],
        waiting=summary.get("waiting", {}),
        changes=None if summary.get("changes") is None else _changes(summary["changes"], changed),
        since=since_in(summary),
        drift=drift_in(summary),
    )


def models_in(summary: Mapping[str, Any]) -> list[ModelSummary]:
    """Return the versions that decided, with their test figures."""
    return [_model(one) for one in summary["models"]]


def unseen_in(summary: Mapping[str, Any]) -> list[UnseenFigures]:
    """Return how the versions did on labelled records that they had not seen."""
    return [
        UnseenFigures(
            recipe=one["recipe"],
            version=one["version"],
            figures=_figures(one["figures"]),
            n_records=one["n_records"],
            n_patients=one["n_patients"],
            split_unit=one["split_unit"],
        )
        for one in summary["unseen_labelled"]
    ]


def of_models_in(summary: Mapping[str, Any]) -> list[OfModel]:
    """Return the versions that decided, with what each decided in the run.

    Raises
    ------
    KeyError, TypeError, ValueError
        If the summary lacks what today's have.
    """
    return [
        OfModel(
            model=_model(one),
            n=one["n_records"],
            scores={kind: np.array(one["scores"]["counts"][kind.value], dtype=np.int64) for kind in Decision},
            n_by_class={told["name"]: {ClassDecision(kind): n for kind, n in told["decisions"].items()} for told in one.get("classes", ())},
        )
        for one in summary["models"]
    ]


def unseen_absent_in(summary: Mapping[str, Any]) -> str:
    """Return why there are none, or an empty text."""
    return str(summary["unseen_labelled_absent"] or "")


def since_in(summary: Mapping[str, Any]) -> Since | None:
    """Return the report before, or None where a summary does not tell of one."""
    return None if summary.get("since") is None else Since.from_dict(summary["since"])


def drift_in(summary: Mapping[str, Any]) -> list[DriftLight]:
    """Return how the versions stood."""
    return [DriftLight(**one) for one in summary.get("drift", ())]


def counts_of(summary: Mapping[str, Any]) -> ReportCounts:
    """Return the counts that a summary tells."""
    return ReportCounts(**{name: summary["counts"].get(name, 0) for name in ReportCounts.__struct_fields__})


def refused_in(summary: Mapping[str, Any]) -> list[ReportedInput]:
    """Return the refused inputs that a summary lists: all of them."""
    return [ReportedInput(**one) for one in summary["quarantine"]["inputs"]]


def changed_in(data: bytes) -> list[ChangedRecord]:
    """Read the records of ``changes.csv``."""
    return [
        ChangedRecord(
            record_id=row["record_id"],
            name=row["name"],
            before=Decision(row["decision_before"]),
            after=Decision(row["decision_after"]),
            probability_before=_number(row["probability_before"]),
            probability_after=_number(row["probability_after"]),
            label=row["label"] or None,
        )
        for row in csv.DictReader(io.StringIO(data.decode(), newline=""))
    ]


def _number(cell: str) -> float | None:
    return float(cell.lstrip("'")) if cell else None


def _changes(stored: Mapping[str, Any], changed: Sequence[ChangedRecord]) -> Changes:
    counts: dict[tuple[Decision, Decision], int] = {}
    for one in changed:
        counts[one.before, one.after] = counts.get((one.before, one.after), 0) + 1
    n_gone = stored["n_changed"] - len(changed)
    return Changes(before=stored["before"], after=stored["after"], n_records=stored["n_records"] - n_gone, counts=counts, records=changed)


def _model(stored: Mapping[str, Any]) -> ModelSummary:
    test = stored["test"]
    return ModelSummary(
        recipe=stored["recipe"],
        version=stored["version"],
        digest=stored["digest"],
        since=stored["since"],
        threshold=stored["threshold"],
        abstain=_band(stored["abstain"]),
        test_figures=_figures(test["figures"]),
        n_test_records=test["n_records"],
        n_test_patients=test["n_patients"],
        split_unit=test["split_unit"],
        synthetic=stored["synthetic"],
        baselines=_figures(test["yardsticks_auroc"]),
        classes=tuple(
            ReportedClass(
                name=one["name"],
                threshold=one["threshold"],
                abstain=_band(one["abstain"]),
                system=one["system"],
                code=one["code"],
                display=one["display"],
                auroc=Interval.from_dict(one["auroc"]) if one["auroc"] else None,
            )
            for one in stored.get("classes", ())
        ),
    )


def _figures(stored: Mapping[str, Any]) -> dict[str, Interval]:
    return {name: Interval.from_dict(figure) for name, figure in stored.items()}


def _band(stored: Sequence[float] | None) -> tuple[float, float] | None:
    return None if stored is None else (stored[0], stored[1])
