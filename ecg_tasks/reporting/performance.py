"""Here: how well a model does, as pictures that need no other text: ROC, precision-recall, reliability, confusion, coverage.

Not here: the points (``evaluation.curves``), or the charts of a report's pages (``charts``).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.evaluation.assessment import Assessment
from ecg_tasks.evaluation.summary import Confusion, Evaluation
from ecg_tasks.evaluation.thresholds import CoverageCurve
from ecg_tasks.reporting.escaping import markup
from ecg_tasks.reporting.svg import line, number, rect, text, ticks

PICTURES = ("roc", "precision_recall", "reliability", "confusion", "coverage")
"""Names of the pictures, in the order in which a card shows them."""

_STYLE = (
    "text{font:14px system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','Liberation Sans',sans-serif;fill:#182131}"
    ".page{fill:#fff}.axis,.note{fill:#566074}.value{font-weight:600}.big{font-size:30px;font-weight:650}"
    ".grid{stroke:#e1e5ec}.frame{stroke:#8a93a5;fill:none}.chance{stroke:#566074;stroke-dasharray:5 4}"
    ".curve{fill:none;stroke:#1b5aa6;stroke-width:2.5;stroke-linejoin:round}.other{stroke:#c08a1e;stroke-dasharray:7 4}"
    ".area{fill:#1b5aa6;opacity:.1}.whisker{stroke:#1b5aa6;stroke-width:2}.dot{fill:#1b5aa6}.ring{fill:#fff;stroke:#a1261b;stroke-width:3}"
    ".right{fill:#1b5aa6}.wrong{fill:#cf4a3c}.cell{stroke:#8a93a5;fill:none}"
    "@media (prefers-color-scheme:dark){text{fill:#e5e9f0}.page{fill:#171d26}.axis,.note{fill:#a3adbe}.grid{stroke:#2a3340}"
    ".frame,.cell{stroke:#76819a}.chance{stroke:#a3adbe}.curve,.whisker{stroke:#8bbcf5}.area,.dot,.right{fill:#8bbcf5}"
    ".other{stroke:#f3cd7d}.ring{fill:#171d26;stroke:#ffaaa0}.wrong{fill:#d95f52}}"
)


def performance_pictures(found: Assessment, *, calibration: CoverageCurve | None = None) -> dict[str, bytes]:
    """Draw all pictures as SVG files, by name; the same assessment gives the same bytes.

    ``calibration`` is the coverage curve of the patients that the abstain band was fitted on.
    """
    drawn = (
        _roc(found),
        _precision_recall(found),
        _reliability(found),
        _confusion(found.evaluation.confusion),
        _coverage(found, calibration),
    )
    return dict(zip(PICTURES, drawn, strict=True))


class _Frame(NamedTuple):
    """A plot from 0 to 1 both ways; ``low_y`` is where its upright axis begins."""

    left: float = 66
    top: float = 20
    side: float = 360
    low_y: float = 0.0

    def x(self, value: float) -> float:
        return self.left + value * self.side

    def y(self, value: float) -> float:
        return self.top + (1 - (value - self.low_y) / (1 - self.low_y)) * self.side

    def axes(self, across: str, up: str) -> list[str]:
        bottom, right = self.top + self.side, self.left + self.side
        parts = [rect(self.left, self.top, self.side, self.side, kind="frame")]
        for mark in ticks(0, 1, at_most=5):
            parts += [
                line(self.x(mark), self.top, self.x(mark), bottom, kind="grid"),
                text(self.x(mark), bottom + 20, f"{mark:.1f}", kind="axis", anchor="middle"),
            ]
        for mark in ticks(self.low_y, 1, at_most=5):
            parts += [
                line(self.left, self.y(mark), right, self.y(mark), kind="grid"),
                text(self.left - 8, self.y(mark) + 5, f"{mark:.1f}", kind="axis", anchor="end"),
            ]
        parts += [
            text(self.left + self.side / 2, bottom + 44, across, kind="axis", anchor="middle"),
            text(20, self.top + self.side / 2, up, kind="axis", anchor="middle", turn=-90),
        ]
        return parts

    def curve(self, x: Sequence[float] | NDArray[np.float64], y: Sequence[float] | NDArray[np.float64], *, kind: str = "curve") -> str:
        points = " ".join(f"{number(round(self.x(a), 1))},{number(round(self.y(b), 1))}" for a, b in zip(x, y, strict=True))
        return f'<polyline class="{kind}" points="{points}"/>'

    def dot(self, x: float, y: float, *, kind: str = "ring") -> str:
        return f'<circle class="{kind}" cx="{number(self.x(x))}" cy="{number(self.y(y))}" r="5.5"/>'

    def file(self, parts: Sequence[str], *, title: str, described: str, lines_below: int = 0) -> bytes:
        height = self.top + self.side + 62 + 20 * lines_below
        return _file(parts, width=self.left + self.side + 24, height=height, title=title, described=described)


def _file(parts: Sequence[str], *, width: float, height: float, title: str, described: str) -> bytes:
    """Return a picture that a browser, a viewer or a page can show by itself, light or dark, and a screen reader can read."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {number(width)} {number(height)}" width="{number(width)}"'
        f' height="{number(height)}" role="img" aria-labelledby="title described">'
    )
    message = f'<title id="title">{markup(title)}</title><desc id="described">{markup(described)}</desc>'
    page = rect(0, 0, width, height, kind="page")
    return f"{head}{message}<style>{_STYLE}</style>{page}{''.join(parts)}</svg>\n".encode()


def _on(evaluation: Evaluation) -> str:
    return f"on {evaluation.n_records} test records of {evaluation.n_patients} patients"


def _roc(found: Assessment) -> bytes:
    frame, evaluation, roc = _Frame(), found.evaluation, found.roc
    message = f"AUROC {evaluation.auroc.text()}"
    rule = f"at the threshold: sensitivity {_two(evaluation.sensitivity.value)}, specificity {_two(evaluation.specificity.value)}"
    parts = frame.axes("1 − specificity", "sensitivity")
    parts.append(frame.curve((0, 1), (0, 1), kind="chance"))
    if not np.isnan(evaluation.auroc.value):
        points = (roc.false_positive_rate, roc.sensitivity)
        parts += [
            frame.curve([*points[0], 1], [*points[1], 0], kind="area"),
            frame.curve(*points),
            frame.dot(1 - evaluation.specificity.value, evaluation.sensitivity.value),
        ]
    parts += [text(frame.x(0.97), frame.y(0.10), message, kind="value", anchor="end"), _note(frame, 0.04, rule)]
    return frame.file(parts, title=f"ROC curve {_on(evaluation)}", described=f"{message}, 95 % interval; {rule}. The diagonal is guessing.")


def _precision_recall(found: Assessment) -> bytes:
    frame, evaluation, curve = _Frame(), found.evaluation, found.precision_recall
    message = f"AUPRC {evaluation.average_precision.text()}"
    prevalence = evaluation.prevalence.value
    parts = frame.axes("recall (sensitivity)", "precision (positive predictive value)")
    parts.append(frame.curve((0, 1), (prevalence, prevalence), kind="chance"))
    if not np.isnan(evaluation.average_precision.value):
        recall = np.concatenate([[0.0], np.repeat(curve.recall, 2)[:-1]])  # steps: precision holds for the recall that it adds
        precision = np.repeat(curve.precision, 2)
        parts.append(frame.curve(recall, precision))
        if not np.isnan(evaluation.ppv.value):
            parts.append(frame.dot(evaluation.sensitivity.value, evaluation.ppv.value))
    parts += [
        text(frame.x(0.97), frame.y(0.10), message, kind="value", anchor="end"),
        _note(frame, 0.04, f"guessing: {_two(prevalence)}, the prevalence"),
    ]
    return frame.file(
        parts,
        title=f"Precision-recall curve {_on(evaluation)}",
        described=f"{message}, 95 % interval; the dashed line is the prevalence, {_two(prevalence)}.",
    )


def _reliability(found: Assessment) -> bytes:
    curve, evaluation = found.reliability, found.evaluation
    rows = _label_rows([float(value) for value in curve.mean_probability], apart=0.09)
    frame = _Frame(top=44 + 17 * max(rows, default=0))
    parts = frame.axes("mean P(abnormal) of a bin", "share of abnormal records in it")
    parts.append(frame.curve((0, 1), (0, 1), kind="chance"))
    bins = zip(rows, curve.n_records, curve.mean_probability, curve.share_abnormal, curve.low, curve.high, strict=True)
    lines = []
    for row, n, said, seen, low, high in bins:
        parts += [
            line(frame.x(said), frame.y(low), frame.x(said), frame.y(high), kind="whisker"),
            frame.dot(said, seen, kind="dot"),
            text(frame.x(said), frame.top - 8 - 17 * row, f"n={n}", kind="note", anchor="middle"),
        ]
        lines.append(f"{n} records with {said:.2f} on average: {seen:.2f} abnormal ({low:.2f} to {high:.2f})")
    parts += [
        frame.curve(curve.mean_probability, curve.share_abnormal),
        text(frame.x(0.97), frame.y(0.10), f"ECE {evaluation.ece.text()}", kind="value", anchor="end"),
        _note(frame, 0.04, f"{len(rows)} bins of equal mass"),
    ]
    return frame.file(
        parts, title=f"Reliability {_on(evaluation)}", described="; ".join(lines) + ". On the diagonal, prediction and observation agree."
    )


def _label_rows(at: Sequence[float], *, apart: float) -> list[int]:
    """Return in which row above the plot each label goes, so that none covers another; positions rise.

    >>> _label_rows([0.1, 0.12, 0.5], apart=0.1)
    [0, 1, 0]
    """
    last: list[float] = []
    rows = []
    for position in at:
        row = next((row for row, end in enumerate(last) if position - end >= apart), len(last))
        last[row : row + 1] = [position]
        rows.append(row)
    return rows


def _confusion(cells: Confusion) -> bytes:
    left, top, width, height = 110.0, 66.0, 160.0, 110.0
    table = (
        ("normal", ((cells.true_negatives, True), (cells.false_positives, False))),
        ("abnormal", ((cells.false_negatives, False), (cells.true_positives, True))),
    )
    parts = [text(left + width, 24, "called at the threshold", kind="axis", anchor="middle")]
    parts += [text(left + width * (column + 0.5), 50, said, anchor="middle") for column, said in enumerate(("normal", "abnormal"))]
    parts.append(text(20, top + height, "truth", kind="axis", anchor="middle", turn=-90))
    lines = []
    for row, (truth, counts) in enumerate(table):
        total = sum(count for count, _ in counts)
        parts.append(text(left - 12, top + height * (row + 0.5) + 5, truth, anchor="end"))
        for column, (count, right) in enumerate(counts):
            x, y = left + width * column, top + height * row
            share = count / total if total else 0.0
            shade = (
                f'<g opacity="{number(round(0.08 + 0.3 * share, 3))}">{rect(x, y, width, height, kind="right" if right else "wrong")}</g>'
            )
            parts += [
                shade,
                rect(x, y, width, height, kind="cell"),
                text(x + width / 2, y + height / 2 + 4, f"{count:,}", kind="big", anchor="middle"),
                text(x + width / 2, y + height / 2 + 28, f"{share:.0%} of {truth}", kind="note", anchor="middle"),
            ]
        lines.append(f"of {total} {truth} records {counts[0][0]} were called normal and {counts[1][0]} abnormal")
    return _file(
        parts,
        width=left + 2 * width + 24,
        height=top + 2 * height + 20,
        title="Confusion at the threshold",
        described="; ".join(lines) + ".",
    )


def _coverage(found: Assessment, calibration: CoverageCurve | None) -> bytes:
    evaluation = found.evaluation
    curves = [("curve", found.coverage)] + ([("curve other", calibration)] if calibration is not None else [])
    lowest = min(float(curve.accuracy.min()) for _, curve in curves)
    frame = _Frame(low_y=min(0.8, np.floor(lowest * 10) / 10))
    parts = frame.axes("share of records decided", "accuracy of what is decided")
    parts += [frame.curve(curve.coverage, curve.accuracy, kind=kind) for kind, curve in curves]
    message = f"{evaluation.coverage.value:.0%} decided, {_percent(evaluation.accuracy_decided.value)} of them rightly"
    if not np.isnan(evaluation.accuracy_decided.value):
        parts.append(frame.dot(evaluation.coverage.value, evaluation.accuracy_decided.value))
    middle, below = frame.left + frame.side / 2, frame.top + frame.side + 68
    note = "solid: test records" + ("; dashed: calibration records" if calibration is not None else "")
    parts += [text(middle, below, message, kind="value", anchor="middle"), text(middle, below + 20, note, kind="note", anchor="middle")]
    return frame.file(
        parts,
        title=f"Accuracy against coverage {_on(evaluation)}",
        described=f"With the stored abstain band, {message}. The wider the band, the fewer records are decided.",
        lines_below=2,
    )


def _note(frame: _Frame, height: float, words: str) -> str:
    return text(frame.x(0.97), frame.y(height), words, kind="note", anchor="end")


def _two(value: float) -> str:
    return "not defined" if np.isnan(value) else f"{value:.2f}"


def _percent(value: float) -> str:
    return "none" if np.isnan(value) else f"{value:.0%}"
