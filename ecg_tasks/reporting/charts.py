"""Here: the small charts of a report: probability bar, score histogram, decisions, intervals. Not here: signals and spectrograms."""

from collections.abc import Mapping

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from ecg_tasks.evaluation.intervals import Interval
from ecg_tasks.labels import Decision
from ecg_tasks.reporting.model import ModelSummary
from ecg_tasks.reporting.predictions import Predictions
from ecg_tasks.reporting.svg import figure, line, number, rect, text, ticks

HISTOGRAM_EDGES = np.linspace(0.0, 1.0, 41)
"""Edges of the bins of P(abnormal)."""


def draw_probability(probability: float, *, model: ModelSummary) -> Markup:
    """Draw P(abnormal) of one record on a scale from 0 to 1, with the model's threshold and abstain band."""
    left, width, top, height = 16.0, 688.0, 40.0, 22.0

    def at(value: float) -> float:
        return left + value * width

    low, high = model.abstain or (model.threshold, model.threshold)
    parts = [
        rect(left, top, at(low) - left, height, kind="zone normal"),
        rect(at(high), top, left + width - at(high), height, kind="zone abnormal"),
    ]
    if high > low:
        parts += [rect(at(low), top, at(high) - at(low), height, kind="zone uncertain")]
    parts += [line(at(mark), top + height, at(mark), top + height + 4, kind="tick") for mark in ticks(0, 1, at_most=5)]
    parts += [text(at(mark), top + height + 24, f"{mark:.1f}", kind="axis", anchor="middle") for mark in ticks(0, 1, at_most=5)]
    parts += [
        line(at(model.threshold), top - 4, at(model.threshold), top + height + 4, kind="threshold"),
        f'<path class="marker" d="M{number(at(probability))} {number(top - 3)}l-8-13h16z"/>',
        line(at(probability), top - 3, at(probability), top + height, kind="marker-line"),
        text(min(max(at(probability), 84), 636), 19, f"P = {probability:.3f}", kind="value", anchor="middle"),
    ]
    title = f"Probability of abnormal {probability:.3f}; threshold {model.threshold:.3f}"
    title += f"; abstains from {low:.3f} to {high:.3f}" if high > low else ""
    return figure("".join(parts), width=720, height=94, title=title, kind="plot small")


def count_scores(predictions: Predictions, *, model: ModelSummary) -> dict[Decision, NDArray[np.int64]]:
    """Count a model's records of each decision in each bin of ``HISTOGRAM_EDGES``; those without a probability are in none."""
    counts = {kind: np.zeros(len(HISTOGRAM_EDGES) - 1, dtype=np.int64) for kind in Decision}
    for decision, probability in predictions.scores(*model.key):
        for kind in Decision:
            counts[kind] += np.histogram(probability[(decision == str(kind)) & ~np.isnan(probability)], bins=HISTOGRAM_EDGES)[0]
    return counts


def draw_histogram(counts: Mapping[Decision, NDArray[np.int64]], *, model: ModelSummary) -> Markup:
    """Draw the records by P(abnormal), stacked by decision, with the model's threshold and abstain band."""
    left, width, top, height = 60.0, 640.0, 30.0, 190.0
    highest = max(1, int(np.sum(list(counts.values()), axis=0).max()))
    marks = [mark for mark in ticks(0, highest, at_most=4) if mark == int(mark)]

    def at(value: float) -> float:
        return left + value * width

    parts = []
    if model.abstain and model.abstain[1] > model.abstain[0]:
        parts.append(rect(at(model.abstain[0]), top, at(model.abstain[1]) - at(model.abstain[0]), height, kind="band"))
    for mark in marks:
        y = top + height - mark / highest * height
        parts += [line(left, y, left + width, y, kind="gridline"), text(left - 8, y + 4, f"{mark:,.0f}", kind="axis", anchor="end")]
    for index in range(len(HISTOGRAM_EDGES) - 1):
        base = top + height
        for decision in (Decision.NORMAL, Decision.UNCERTAIN, Decision.ABNORMAL):
            tall = int(counts[decision][index]) / highest * height
            if tall:
                base -= tall
                parts.append(
                    rect(at(HISTOGRAM_EDGES[index]) + 1, base, width / (len(HISTOGRAM_EDGES) - 1) - 2, tall, kind=f"bar {decision}")
                )
    parts += [text(at(mark), top + height + 22, f"{mark:.1f}", kind="axis", anchor="middle") for mark in ticks(0, 1, at_most=5)]
    parts += [
        line(left, top + height, left + width, top + height, kind="tick"),
        line(at(model.threshold), top - 6, at(model.threshold), top + height, kind="threshold"),
        text(at(model.threshold), top - 11, f"threshold {model.threshold:.3f}", kind="axis", anchor="middle"),
        text(left + width / 2, top + height + 46, "P(abnormal)", kind="axis", anchor="middle"),
        text(16, top + height / 2, "recordings", kind="axis", anchor="middle", turn=-90),
    ]
    title = f"Histogram of P(abnormal) from {model.recipe} {model.version}; the table below has the same numbers"
    return figure("".join(parts), width=720, height=top + height + 54, title=title, kind="plot small")


def draw_decisions(counts: Mapping[Decision, int]) -> Markup:
    """Draw the shares of the decisions as one bar."""
    total, x, parts = sum(counts.values()), 0.0, []
    for decision, count in counts.items():
        width = 1000 * count / total if total else 0
        if count:
            parts.append(rect(x, 0, max(width - 2, 1), 14, kind=f"bar {decision}"))
        x += width
    title = ", ".join(f"{count} {decision}" for decision, count in counts.items())
    return figure("".join(parts), width=1000, height=14, title=title, kind="shares", stretch=True)


def draw_interval(interval: Interval) -> Markup:
    """Draw a figure between 0 and 1 as a dot on its interval; empty where it is not defined."""
    if not 0 <= interval.value <= 1:
        return Markup("")
    left, width, y = 6.0, 148.0, 9.0
    parts = [line(left + width * at, y - 4, left + width * at, y + 4, kind="gridline") for at in (0, 0.5, 1)]
    parts.append(line(left, y, left + width, y, kind="gridline"))
    if np.isfinite([interval.low, interval.high]).all():
        parts.append(line(left + width * interval.low, y, left + width * interval.high, y, kind="whisker"))
    parts.append(f'<circle class="dot" cx="{number(left + width * interval.value)}" cy="{number(y)}" r="3.5"/>')
    return figure("".join(parts), width=160, height=18, title=f"{interval.text()} on a scale from 0 to 1", kind="interval")
