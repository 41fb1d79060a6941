"""Here: the page that compares what two versions say of the same records, and its files. Not here: reading either (``pipeline``)."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ecg_tasks.evaluation.agreement import Agreement
from ecg_tasks.evaluation.intervals import Interval, nan_to_none
from ecg_tasks.evaluation.summary import FIGURE_TITLES
from ecg_tasks.labels import RESEARCH_USE, Decision
from ecg_tasks.reporting.changes import LISTED, ChangedRecord, changes_csv, in_order
from ecg_tasks.reporting.model import ModelSummary
from ecg_tasks.reporting.pages import render_page


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What two versions of a recipe say of the same records.

    Parameters
    ----------
    run_id, dag, created_utc : who wrote this, and when
    before, after : the versions that are compared
    counts : records by both decisions, the one before first
    changed : those whose decision differs
    agreement : of the decisions
    mean_change : of P(abnormal), without its sign, over the records that both versions classify; None if there are none
    n_synthetic : records that were made by a program
    """

    run_id: str
    dag: str
    created_utc: str
    before: ModelSummary
    after: ModelSummary
    counts: Mapping[tuple[Decision, Decision], int]
    changed: Sequence[ChangedRecord]
    agreement: Agreement
    mean_change: float | None
    n_synthetic: int

    def __post_init__(self) -> None:
        n_changed = sum(n for (one, other), n in self.counts.items() if one != other)
        if n_changed != len(self.changed):
            raise ValueError(f"counts are of {n_changed} changed records, {len(self.changed)} are listed")
        if sum(self.counts.values()) != self.agreement.n:
            raise ValueError(f"counts are of {sum(self.counts.values())} records, the agreement of {self.agreement.n}")


def render_difference(difference: Difference) -> Iterator[tuple[str, bytes]]:
    """Make the files: ``difference.csv``, ``summary.json``, and ``index.html`` last: when it is there, all is there."""
    ordered = in_order(difference.changed)
    yield "difference.csv", changes_csv(ordered)
    found = summary(difference, ordered)
    yield "summary.json", (json.dumps(found, indent=1, allow_nan=False) + "\n").encode()
    yield "index.html", render_page("difference.html", report=difference, found=found, records="")


def summary(difference: Difference, ordered: Sequence[ChangedRecord]) -> dict[str, Any]:
    """Return what the page shows, as JSON can hold it; ``ordered`` are the changed records, those that changed most first."""
    agreement = difference.agreement
    return {
        "notice": f"{RESEARCH_USE} A backfill, not a nightly report.",
        "run_id": difference.run_id,
        "created_utc": difference.created_utc,
        "recipe": difference.after.recipe,
        "versions": [_version(one) for one in (difference.before, difference.after)],
        "figures": [
            {"title": FIGURE_TITLES.get(name, name), "values": [_figure(one.test_figures.get(name)) for one in _both(difference)]}
            for name in dict.fromkeys([*difference.before.test_figures, *difference.after.test_figures])
        ],
        "decisions": [decision.value for decision in Decision],
        "counts": [[difference.counts.get((one, other), 0) for other in Decision] for one in Decision],
        "records": agreement.n,
        "synthetic": difference.n_synthetic,
        "changed": len(ordered),
        "agreement": nan_to_none(agreement.observed),
        "kappa": _figure(agreement.kappa),
        "mean_change": difference.mean_change,
        "listed": [one.cells() for one in ordered[:LISTED]],
    }


def _both(difference: Difference) -> tuple[ModelSummary, ModelSummary]:
    return difference.before, difference.after


def _version(model: ModelSummary) -> dict[str, Any]:
    return {
        "version": model.version,
        "digest": model.digest,
        "standing": model.since,
        "threshold": model.threshold,
        "abstain": list(model.abstain) if model.abstain else None,
        "n_test_records": model.n_test_records,
        "n_test_patients": model.n_test_patients,
        "split_unit": model.split_unit,
        "synthetic": model.synthetic,
    }


def _figure(interval: Interval | None) -> str:
    return "–" if interval is None else interval.text()
