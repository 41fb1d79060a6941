"""Here: ``summary.json`` and its schema. Not here: the figures themselves."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from ecg_tasks.evaluation.intervals import Interval, nan_to_none
from ecg_tasks.labels import RESEARCH_USE, ClassDecision
from ecg_tasks.reporting.charts import HISTOGRAM_EDGES, count_scores
from ecg_tasks.reporting.model import ModelSummary, ReportedClass, RunReport, UnseenFigures

SCHEMA_VERSION = 1
"""Grows when a program that reads ``summary.json`` would have to change."""


def summary_json(report: RunReport, *, n_pages: int) -> bytes:
    """Write all numbers of ``index.html`` as JSON, for programs.

    Raises
    ------
    jsonschema.ValidationError
        If it does not follow the schema: a fault of this package.
    """
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types

    content = summary(report, n_pages=n_pages)
    Draft202012Validator(json.loads(schema_json())).validate(content)
    return (json.dumps(content, indent=2, ensure_ascii=True, allow_nan=False) + "\n").encode()


@cache
def schema_json() -> bytes:
    """Return the JSON schema (draft 2020-12) of ``summary.json``."""
    return Path(__file__).with_name("summary.schema.json").read_bytes()


def summary(report: RunReport, *, n_pages: int) -> dict[str, Any]:
    """Return the content of ``summary.json``."""
    return {
        "schema_version": SCHEMA_VERSION,
        "notice": RESEARCH_USE,
        "run": {"run_id": report.run_id, "dag": report.dag, "date": report.date, "created_utc": report.created_utc},
        "counts": msgspec.structs.asdict(report.counts),
        "decisions": {str(decision): count for decision, count in report.predictions.decisions.items()},
        "synthetic": {"n_records": report.predictions.n_synthetic, "models": [model.recipe for model in report.models if model.synthetic]},
        "models": [_model(model, report) for model in report.models],
        "unseen_labelled": [_unseen(item) for item in report.unseen],
        "unseen_labelled_absent": report.unseen_absent if not report.unseen else None,
        "quarantine": {
            "by_reason": dict(sorted(Counter(item.reason for item in report.quarantined).items())),
            "inputs": [asdict(item) for item in report.quarantined],
        },
        "notes": list(report.notes),
        "waiting": {name: list(value) if isinstance(value, tuple) else value for name, value in report.waiting.items()},
        "since": None if report.since is None else report.since.as_dict(),
        "drift": [asdict(light) for light in report.drift],
        "changes": None if report.changes is None else report.changes.as_dict(),
        "files": {"predictions": "predictions.csv", "n_rows": len(report.predictions), "n_record_pages": n_pages},
    }


def _model(model: ModelSummary, report: RunReport) -> dict[str, Any]:
    counts = count_scores(report.predictions, model=model)
    return {
        "recipe": model.recipe,
        "version": model.version,
        "digest": model.digest,
        "since": model.since,
        "threshold": model.threshold,
        "abstain": list(model.abstain) if model.abstain else None,
        "synthetic": model.synthetic,
        **({"classes": [_class(one, model, report) for one in model.classes]} if model.classes else {}),
        "test": {
            "figures": _figures(model.test_figures),
            "n_records": model.n_test_records,
            "n_patients": model.n_test_patients,
            "split_unit": model.split_unit,
            "yardsticks_auroc": _figures(model.baselines),
        },
        "n_records": report.predictions.n_by_model.get(model.key, 0),
        "scores": {
            "edges": [round(float(edge), 6) for edge in HISTOGRAM_EDGES],
            "counts": {str(decision): [int(count) for count in bins] for decision, bins in counts.items()},
        },
    }


def _class(one: ReportedClass, model: ModelSummary, report: RunReport) -> dict[str, Any]:
    counts = report.predictions.n_by_class.get((*model.key, one.name), {})
    return {
        "name": one.name,
        "threshold": one.threshold,
        "abstain": list(one.abstain) if one.abstain else None,
        "system": one.system,
        "code": one.code,
        "display": one.display,
        "auroc": _figures({"auroc": one.auroc})["auroc"] if one.auroc else None,
        "decisions": {str(decision): counts.get(decision, 0) for decision in ClassDecision},
    }


def _unseen(item: UnseenFigures) -> dict[str, Any]:
    return {
        "recipe": item.recipe,
        "version": item.version,
        "figures": _figures(item.figures),
        "n_records": item.n_records,
        "n_patients": item.n_patients,
        "split_unit": item.split_unit,
    }


def _figures(figures: Mapping[str, Interval]) -> dict[str, dict[str, float | None]]:
    return {
        name: {"value": nan_to_none(interval.value), "low": nan_to_none(interval.low), "high": nan_to_none(interval.high)}
        for name, interval in figures.items()
    }
