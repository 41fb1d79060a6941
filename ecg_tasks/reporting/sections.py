"""Here: what the sections of a report show, on its first page and inside Airflow. Not here: the pages, or finding what they show."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from ecg_tasks.evaluation.intervals import Interval
from ecg_tasks.evaluation.summary import FIGURE_TITLES
from ecg_tasks.labels import ClassDecision, Decision
from ecg_tasks.report_columns import NONE
from ecg_tasks.reporting.charts import HISTOGRAM_EDGES, draw_histogram, draw_interval
from ecg_tasks.reporting.model import ModelSummary, UnseenFigures

MEANINGS = {
    Decision.NORMAL: "P(abnormal) lies below the threshold.",
    Decision.ABNORMAL: "P(abnormal) reaches the threshold.",
    Decision.UNCERTAIN: "P(abnormal) lies inside the band in which the model abstains.",
    Decision.UNINTERPRETABLE: "No window has a signal quality good enough for the model.",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class OfModel:
    """A version with what it decided in a run.

    Parameters
    ----------
    n : records that it decided on
    scores : of each decision, records in each bin of `HISTOGRAM_EDGES`, shape (n_bins,)
    n_by_class : class to records of each decision on it
    """

    model: ModelSummary
    n: int
    scores: Mapping[Decision, NDArray[np.int64]]
    n_by_class: Mapping[str, Mapping[ClassDecision, int]]


def decision_lines(decided: Mapping[Decision, int]) -> list[dict[str, Any]]:
    """Return each decision with its records, their share and what it means."""
    total = max(sum(decided.values()), 1)
    return [
        {"decision": str(decision), "count": count, "share": f"{count / total:.1%}", "meaning": MEANINGS[decision]}
        for decision, count in decided.items()
    ]


def model_lines(models: Iterable[OfModel]) -> list[dict[str, Any]]:
    """Return each version with its figures on the test set, its baselines and its classes."""
    return [
        {
            "model": one.model,
            "n": one.n,
            "figures": figure_lines(one.model.test_figures),
            "baselines": figure_lines(one.model.baselines),
            "classes": _classes(one),
        }
        for one in models
    ]


def histograms(models: Iterable[OfModel]) -> list[dict[str, Any]]:
    """Return the probabilities of each version that gave any, drawn and as a table."""
    return [_histogram(one.model, one.scores) for one in models if any(bins.any() for bins in one.scores.values())]


def unseen_lines(unseen: Sequence[UnseenFigures]) -> list[dict[str, Any]]:
    """Return how each version did on labelled records that it had not seen."""
    return [{"unseen": one, "figures": figure_lines(one.figures)} for one in unseen]


def _classes(of: OfModel) -> list[dict[str, Any]]:
    """Return a row for each class of a model: how many records got which decision, its limits, and its AUROC in the test."""
    rows = []
    for one in of.model.classes:
        found = of.n_by_class.get(one.name, {})
        numbers = [found.get(decision, 0) for decision in ClassDecision]
        rows.append({"of": one, "counts": numbers, "auroc": one.auroc.text() if one.auroc else NONE})
    return rows


def _histogram(model: ModelSummary, counts: Mapping[Decision, NDArray[np.int64]]) -> dict[str, Any]:
    columns = (Decision.NORMAL, Decision.UNCERTAIN, Decision.ABNORMAL)
    rows = [
        {"range": f"{low:.3f} to {high:.3f}", "counts": [int(counts[decision][index]) for decision in columns]}
        for index, (low, high) in enumerate(pairwise(HISTOGRAM_EDGES))
    ]
    n = int(np.sum(list(counts.values())))
    return {
        "model": model,
        "n": n,
        "columns": [str(column) for column in columns],
        "rows": rows,
        "drawing": draw_histogram(counts, model=model),
    }


def figure_lines(figures: Mapping[str, Interval]) -> list[dict[str, str | Markup]]:
    """Return figures with their intervals, in words and drawn."""
    return [
        {
            "title": FIGURE_TITLES.get(name, name.replace("_", " ")),
            "value": f"{interval.value:.3f}" if np.isfinite(interval.value) else "not defined",
            "interval": interval.ends(),
            "drawing": draw_interval(interval),
        }
        for name, interval in figures.items()
    ]
