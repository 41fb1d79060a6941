"""Here: the curves of two versions in one picture. Not here: the curves (``evaluation``), or those of one version (``performance``)."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from ecg_tasks.evaluation.curves import PrecisionRecallCurve, RocCurve
from ecg_tasks.reporting.svg import figure, line, number, text, ticks

_LEFT, _TOP, _SIDE = 84.0, 16.0, 400.0


def draw_rocs(one: RocCurve, other: RocCurve, *, names: tuple[str, str], aurocs: tuple[str, str]) -> Markup:
    """Draw two ROC curves; the one is drawn through, the other dashed, and the diagonal is guessing."""
    parts = [*_axes("1 − specificity", "sensitivity"), line(_x(0), _y(0), _x(1), _y(1), kind="gridline")]
    parts += [
        _curve(one.false_positive_rate, one.sensitivity, kind="curve one"),
        _curve(other.false_positive_rate, other.sensitivity, kind="curve other"),
    ]
    return _figure(parts, title=f"ROC curves: {names[0]} with AUROC {aurocs[0]}, {names[1]} with AUROC {aurocs[1]}")


def draw_precision_recalls(
    one: PrecisionRecallCurve, other: PrecisionRecallCurve, *, names: tuple[str, str], areas: tuple[str, str], prevalence: float
) -> Markup:
    """Draw two precision-recall curves as steps; the line across is the prevalence, which guessing reaches."""
    parts = [*_axes("recall (sensitivity)", "precision"), line(_x(0), _y(prevalence), _x(1), _y(prevalence), kind="gridline")]
    for curve, kind in ((one, "curve one"), (other, "curve other")):
        recall = np.concatenate([[0.0], np.repeat(curve.recall, 2)[:-1]])  # precision holds for the recall that it adds
        parts.append(_curve(recall, np.repeat(curve.precision, 2), kind=kind))
    return _figure(parts, title=f"Precision-recall curves: {names[0]} with AUPRC {areas[0]}, {names[1]} with AUPRC {areas[1]}")


def _x(value: float) -> float:
    return _LEFT + value * _SIDE


def _y(value: float) -> float:
    return _TOP + (1 - value) * _SIDE


def _axes(across: str, up: str) -> list[str]:
    parts = []
    for mark in ticks(0, 1, at_most=5):
        parts += [
            line(_x(mark), _TOP, _x(mark), _TOP + _SIDE, kind="gridline"),
            line(_LEFT, _y(mark), _LEFT + _SIDE, _y(mark), kind="gridline"),
            text(_x(mark), _TOP + _SIDE + 26, f"{mark:.1f}", kind="axis", anchor="middle"),
            text(_LEFT - 8, _y(mark) + 5, f"{mark:.1f}", kind="axis", anchor="end"),
        ]
    return [
        *parts,
        text(_LEFT + _SIDE / 2, _TOP + _SIDE + 56, across, kind="axis", anchor="middle"),
        text(16, _TOP + _SIDE / 2, up, kind="axis", anchor="middle", turn=-90),
    ]


def _curve(x: NDArray[np.float64], y: NDArray[np.float64], *, kind: str) -> str:
    points = " ".join(f"{number(round(_x(a), 1))},{number(round(_y(b), 1))}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    return f'<polyline class="{kind}" points="{points}"/>'


def _figure(parts: Sequence[str], *, title: str) -> Markup:
    return figure("".join(parts), width=_LEFT + _SIDE + 16, height=_TOP + _SIDE + 66, title=title, kind="plot small square")
