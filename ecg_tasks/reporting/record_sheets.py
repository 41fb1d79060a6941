"""Here: a record, and what a run did, on sheets of a PDF, to true scale. Not here: the file itself (``pdf_file``), or gathering it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.labels import RESEARCH_USE
from ecg_tasks.reporting.class_lines import ClassLine
from ecg_tasks.reporting.facts import Fact
from ecg_tasks.reporting.layouts import PARTS, Arrangement, Fitted, arrangements, baselines, fit, part_ends, room
from ecg_tasks.reporting.measured import Line
from ecg_tasks.reporting.pdf_file import Pdf, PdfPage, line_mm, shortened, width_of, wrapped
from ecg_tasks.reporting.svg import number, ticks
from ecg_tasks.reporting.waveform import SHOWN_S, SPEED_MM_S
from ecg_tasks.signals.preparing import filled
from ecg_tasks.signals.record import Record

INK, MUTED, RULE = "#182131", "#566074", "#c9cfda"
COLOURS = {"normal": "#0b6650", "abnormal": "#a1261b", "uncertain": "#7a4f00", "uninterpretable": "#465064"}
SIGNS = {"normal": "●", "abnormal": "▲", "uncertain": "◆", "uninterpretable": "■"}
_FINE, _BOLD, _TRACE, _ON = "#f4d2d2", "#e3a3a3", "#131a28", "#fffafa"
_LEFT_MM, _RIGHT_MM = 8.0, 3.4
"""What stands beside the ECG paper: the calibration pulse on its left, half of the last second's label on its right."""
_MARGIN_MM, _FOOT_MM = 9.0, 17.0
_LAST_ROWS = 8
"""Records that the last sheet of a list has at least, where it has several sheets."""
_BODY, _SMALL = 7.5, 6.0
"""Sizes of text, points."""
_CUT_MM, _APART_MM = 0.05, 2.0
"""A lead is cut off where it goes this much further than its row; nearer cuts are one mark."""
_ENLARGED = 4
"""A heartbeat row is drawn four times as large as on paper."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordSheet:
    """What the sheet of one record says.

    Parameters
    ----------
    record : the signal
    name, decision, meaning : of the row; what the decision means in a sentence
    probability : P(abnormal); None where no window could be used
    scale : sentence with threshold and band
    label : empty without one
    classes, measured, facts : as on the record's page
    quality : lines about the signal's quality, the reasons too
    warnings : sentences that stand above everything: synthetic recordings and models
    origin : where it comes from and which model decided, title and text
    """

    record: Record
    name: str
    decision: str
    meaning: str
    probability: float | None
    scale: str
    label: str
    classes: Sequence[ClassLine]
    measured: Sequence[Line]
    facts: Sequence[Fact]
    quality: Sequence[str]
    warnings: Sequence[str]
    origin: Sequence[Fact]


@dataclass(frozen=True, kw_only=True, eq=False)
class RunSheet:
    """What the first pages of a run's PDF say.

    Parameters
    ----------
    title : such as ``Report of 2026-03-02``
    facts : run, time and models
    counts, decisions : numbers by their names, in their order
    notes : sentences
    records : name, decision, P(abnormal) and label of the records that follow
    """

    title: str
    facts: Sequence[Fact]
    counts: Mapping[str, int]
    decisions: Mapping[str, int]
    notes: Sequence[str]
    records: Sequence[tuple[str, str, float | None, str]]


def draw_record(pdf: Pdf, sheet: RecordSheet) -> None:
    """Draw a record: on one sheet where its trace fits beneath what is said of it, else on two."""
    with pdf.page() as page:
        top = _head(page, sheet)
        trace = _Trace.of(sheet.record)
        fits = top + trace.height_mm + _FOOT_MM + _MARGIN_MM <= page.paper.height
        if fits:
            trace.draw(page, top)
        _foot(page, sheet)
    if not fits:
        with pdf.page() as page:
            page.text(_MARGIN_MM, _MARGIN_MM, shortened(sheet.name, width=200, size=_BODY), size=_BODY, bold=True)
            page.text(page.paper.width - _MARGIN_MM, _MARGIN_MM, RESEARCH_USE, size=_SMALL, colour=MUTED, anchor="end")
            trace.draw(page, _MARGIN_MM + 1)


def draw_run(pdf: Pdf, sheet: RunSheet) -> None:
    """Draw what a run did, and the list of the records that follow, over as many sheets as it takes."""
    rows = list(sheet.records)
    first = True
    while first or rows:
        with pdf.page() as page:
            y = _title(page, sheet.title)
            if first:
                y = _run_head(page, sheet, y)
            rows = _listed(page, rows, y)
        first = False


def _run_head(page: PdfPage, sheet: RunSheet, y: float) -> float:
    width = page.paper.width - 2 * _MARGIN_MM
    y = _pairs(page, _MARGIN_MM, y, sheet.facts, width=width, label_mm=38) + 2
    for numbers in (sheet.counts, sheet.decisions):
        y = page.paragraph(
            _MARGIN_MM, y, " · ".join(f"{name} {count:,}" for name, count in numbers.items()), width=width, bold=True, size=9
        )
    for note in sheet.notes:
        y = page.paragraph(_MARGIN_MM, y, note, width=width, size=_BODY, colour=MUTED)
    return y + 3


def _listed(page: PdfPage, rows: list[tuple[str, str, float | None, str]], y: float) -> list[tuple[str, str, float | None, str]]:
    """Write rows until the sheet is full; returns the rest."""
    if not rows:
        page.text(_MARGIN_MM, y, "No record of this run has a page.", size=_BODY)
        return []
    right = page.paper.width - _MARGIN_MM
    columns = (_MARGIN_MM, right - 92, right - 52, right - 30)
    heads = ("Recording", "Decision", "P(abnormal)", "Label")
    for x, head in zip(columns, heads, strict=True):
        page.text(x, y, head, size=_BODY, colour=MUTED)
    room_rows = int((page.paper.height - _MARGIN_MM - y) / 4.4)
    if 0 < len(rows) - room_rows < _LAST_ROWS:  # no sheet of a row or two
        room_rows = max(1, len(rows) - _LAST_ROWS)
    for name, decision, probability, label in rows[:room_rows]:
        y += 4.4
        page.strokes([([_MARGIN_MM, right], [y - 3.2, y - 3.2])], width_mm=0.1, colour=RULE)
        page.text(columns[0], y, shortened(name, width=columns[1] - columns[0] - 3, size=_BODY), size=_BODY)
        page.text(columns[1], y, f"{SIGNS.get(decision, '')} {decision}", size=_BODY, bold=True, colour=COLOURS.get(decision, INK))
        page.text(columns[2], y, "–" if probability is None else f"{probability:.3f}", size=_BODY)
        page.text(columns[3], y, shortened(label or "–", width=right - columns[3], size=_BODY), size=_BODY)
    return rows[room_rows:]


def _title(page: PdfPage, title: str) -> float:
    """Write the title of a sheet; returns the first base line below it."""
    right = page.paper.width - _MARGIN_MM
    said = width_of(RESEARCH_USE, size=_BODY)
    page.text(_MARGIN_MM, _MARGIN_MM + 4, shortened(title, width=right - _MARGIN_MM - said - 6, size=13, bold=True), size=13, bold=True)
    page.text(right, _MARGIN_MM + 4, RESEARCH_USE, size=_BODY, colour=MUTED, anchor="end")
    page.strokes([([_MARGIN_MM, right], [_MARGIN_MM + 6.5, _MARGIN_MM + 6.5])], width_mm=0.2, colour=RULE)
    return _MARGIN_MM + 11.5


def _head(page: PdfPage, sheet: RecordSheet) -> float:
    """Write what a reader wants first, in columns; returns where the trace may begin."""
    top = _title(page, sheet.name)
    inner = page.paper.width - 2 * _MARGIN_MM
    for warning in sheet.warnings:
        top = page.paragraph(_MARGIN_MM, top, warning, width=inner, size=_BODY, bold=True, colour=COLOURS["uncertain"])
    top += 1.0 if sheet.warnings else 0.0
    width = inner / 4
    left = [_MARGIN_MM + index * width for index in range(4)]
    ends = [_decision(page, left[0], top, sheet, width=width - 5)]
    wide = bool(sheet.classes)
    if wide:
        ends.append(_classes(page, left[1], top, sheet.classes, width=width - 5))
    ends.append(_measured(page, left[2 if wide else 1], top, sheet.measured, width=width - 5))
    x, column = left[3 if wide else 2], (width if wide else 2 * width) - 2
    y = _heading(page, x, top, "Person and recording")
    y = _pairs(page, x, y, sheet.facts, width=column, label_mm=18) + 1.5
    y = _heading(page, x, y, "Signal quality")
    for line in sheet.quality:
        y = page.paragraph(x, y, line, width=column, size=_BODY)
    return max(*ends, y) - 1


def _decision(page: PdfPage, x: float, y: float, sheet: RecordSheet, *, width: float) -> float:
    colour = COLOURS.get(sheet.decision, INK)
    y = _heading(page, x, y, "Decision")
    page.text(x, y + 1.5, f"{SIGNS.get(sheet.decision, '')} {sheet.decision}", size=13, bold=True, colour=colour)
    y += 6.5
    known = "not known" if sheet.probability is None else f"{sheet.probability:.3f}"
    page.text(x, y, f"P(abnormal) {known}", size=9, bold=True)
    y += 4
    label = f"Label: {sheet.label}." if sheet.label else "This recording has no label."
    for sentence in (sheet.meaning, sheet.scale, label):
        y = page.paragraph(x, y, sentence, width=width, size=_BODY, colour=MUTED)
    return y


def _classes(page: PdfPage, x: float, y: float, classes: Sequence[ClassLine], *, width: float) -> float:
    y = _heading(page, x, y, "Classes")
    for one in classes:
        present = one.decision == "present"
        probability = "–" if one.probability is None else f"{one.probability:.3f}"
        page.text(x, y, shortened(one.of.name, width=width * 0.35, size=_BODY), size=_BODY, bold=present)
        page.text(x + width * 0.36, y, one.decision, size=_BODY, bold=present)
        page.text(x + width * 0.8, y, probability, size=_BODY, bold=present, anchor="end")
        page.text(x + width, y, f"from {one.of.threshold:.3f}", size=_SMALL, colour=MUTED, anchor="end")
        y += line_mm(_BODY)
    return y


def _measured(page: PdfPage, x: float, y: float, lines: Sequence[Line], *, width: float) -> float:
    y = _heading(page, x, y, "Measurements")
    y = _pairs(page, x, y, [Fact(one.title, f"{one.text} ({one.why})" if one.why else one.text) for one in lines], width=width, label_mm=28)
    said = "Measured by a program on the median beat over all leads. This is no diagnosis, and no decision depends on it."
    return page.paragraph(x, y, said, width=width, size=_SMALL, colour=MUTED)


def _heading(page: PdfPage, x: float, y: float, title: str) -> float:
    page.text(x, y, title, size=8.5, bold=True)
    return y + 4.2


def _pairs(page: PdfPage, x: float, y: float, pairs: Sequence[Fact], *, width: float, label_mm: float) -> float:
    """Write titles with what is said beside each; returns the next base line."""
    for title, said in pairs:
        page.text(x, y, title, size=_BODY, colour=MUTED)
        y = page.paragraph(x + label_mm, y, said, width=width - label_mm, size=_BODY)
    return y


def _foot(page: PdfPage, sheet: RecordSheet) -> None:
    """Write where it comes from along the lower edge."""
    content = " · ".join(f"{title}: {said}" for title, said in sheet.origin)
    lines = wrapped(content, width=page.paper.width - 2 * _MARGIN_MM, size=_SMALL)
    y = page.paper.height - _MARGIN_MM - (len(lines) - 1) * line_mm(_SMALL)
    page.strokes(
        [([_MARGIN_MM, page.paper.width - _MARGIN_MM], [y - 3.2, y - 3.2])],
        width_mm=0.1,
        colour=RULE,
    )
    for line in lines:
        page.text(_MARGIN_MM, y, line, size=_SMALL, colour=MUTED)
        y += line_mm(_SMALL)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Trace:
    """What is drawn on ECG paper: rows of curves in mm, as `layouts` places them.

    Parameters
    ----------
    width_mm, paper_mm : of the paper
    box_mm : of a small box
    curves : x from the paper's left edge, y from its top
    columns : x and base line where one column ends and the next begins
    cuts : x and y of the places where a lead goes further than its row, 1 downwards and -1 upwards
    labels : x, y and name of every lead
    pulses : base lines, from the paper's top, with a pulse each; none of a single beat
    gain_mm_mv : None of a single beat
    axis : x and text of the labels of seconds
    said : how to read it
    """

    width_mm: float
    paper_mm: float
    box_mm: float
    curves: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]
    columns: Sequence[tuple[float, float]]
    cuts: Sequence[tuple[float, float, int]]
    labels: Sequence[tuple[float, float, str]]
    pulses: Sequence[float]
    gain_mm_mv: float | None
    axis: Sequence[tuple[float, str]]
    said: str

    @classmethod
    def of(cls, record: Record) -> "_Trace":
        return _beat(record) if record.is_heartbeat else _leads(record)

    @property
    def height_mm(self) -> float:
        return self.paper_mm + 10.0

    def draw(self, page: PdfPage, top: float) -> None:
        left = (page.paper.width - _LEFT_MM - self.width_mm - _RIGHT_MM) / 2 + _LEFT_MM
        right, bottom = left + self.width_mm, top + self.paper_mm
        page.box(left, top, self.width_mm, self.paper_mm, colour=_ON)
        across, down = (np.arange(round(size / self.box_mm) + 1) for size in (self.width_mm, self.paper_mm))
        for colour, thick, bold in ((_FINE, 0.1, False), (_BOLD, 0.18, True)):
            x, y = (left + across * self.box_mm)[(across % 5 == 0) == bold], (top + down * self.box_mm)[(down % 5 == 0) == bold]
            lines = [([at, at], [top, bottom]) for at in x] + [([left, right], [at, at]) for at in y]
            page.strokes(lines, width_mm=thick, colour=colour)
        page.strokes([([left + x, left + x], [top + y - 5, top + y + 5]) for x, y in self.columns], width_mm=0.2, colour=MUTED)
        for x, y in self.curves:
            page.strokes([(left + x, top + y)], width_mm=0.25, colour=_TRACE)
        for x, y, down_or_up in self.cuts:
            tip = top + y + 1.4 * down_or_up
            page.shape([left + x - 0.8, left + x + 0.8, left + x], [top + y, top + y, tip], colour=COLOURS["abnormal"])
        for base in self.pulses:
            x, y = left - _LEFT_MM + 1.5 + np.cumsum([0, 1, 0, 3, 0, 1]), top + base - np.array([0, 0, 10, 10, 0, 0])
            page.strokes([(x, y)], width_mm=0.2, colour=MUTED)
        for x, y, lead in self.labels:
            page.text(left + x, top + y, lead, size=8, bold=True)
        if self.gain_mm_mv is not None and self.pulses:
            page.text(left - _LEFT_MM + 0.4, top + self.pulses[0] + 3.6, f"{number(10 / self.gain_mm_mv)} mV", size=_BODY, colour=MUTED)
        for x, label in self.axis:
            page.strokes([([left + x, left + x], [bottom, bottom + 1.2])], width_mm=0.2, colour=MUTED)
            page.text(left + x, bottom + 4.2, label, size=_BODY, colour=MUTED, anchor="middle")
        page.text(left - _LEFT_MM + 0.4, bottom + 7.6, self.said, size=_SMALL, colour=MUTED)


def _leads(record: Record) -> _Trace:
    """Lay out the first ten seconds of a recording at 25 mm/s, and at 10 mm/mV or the largest amplitude that fits."""
    samples = record.samples[:, : round(SHOWN_S * record.fs)]
    valid = np.isfinite(samples)
    level = np.stack([filled(one, good) for one, good in zip(samples, valid, strict=True)])
    seconds = level.shape[1] / record.fs
    arrangement = arrangements(record.leads, seconds=seconds)[0]
    level, fitted = fit(level, arrangement)
    at, height = baselines(arrangement, fitted)
    width = seconds * SPEED_MM_S
    curves, labels, columns, cuts = _pieces(arrangement, fitted, level, record, at=at, width=width)
    gain = number(fitted.gain)
    whole = f" of {number(round(record.duration_s, 1))} s" if record.duration_s > SHOWN_S + 0.5 else ""
    said = f"{number(SPEED_MM_S)} mm/s, {gain} mm/mV, printed at 100 %. A small box is 0.04 s by {number(1 / fitted.gain)} mV."
    cut = " Where a lead has a ▲ or ▼, it goes further and is cut off." if cuts else ""
    return _Trace(
        width_mm=width,
        paper_mm=height,
        box_mm=1.0,
        curves=curves,
        columns=columns,
        cuts=cuts,
        labels=labels,
        pulses=at,
        gain_mm_mv=fitted.gain,
        axis=_axis(seconds, mm_per_s=SPEED_MM_S, at_most=10),
        said=f"{said}{cut} The first {number(round(seconds, 2))} s{whole}; each lead is drawn about its median.",
    )


def _pieces(
    arrangement: Arrangement, fitted: Fitted, level: NDArray[np.floating], record: Record, *, at: Sequence[float], width: float
) -> tuple[
    list[tuple[NDArray[np.float64], NDArray[np.float64]]],
    list[tuple[float, float, str]],
    list[tuple[float, float]],
    list[tuple[float, float, int]],
]:
    """Return the curves of all pieces of leads, what they are called, where one column ends and the next begins, and what is cut off."""
    ends = part_ends(level.shape[1])
    curves, labels, columns, cuts = [], [], [], []
    for base, row in zip(at, arrangement.rows, strict=True):
        up = room(row, fitted)[0]
        for piece in row:
            x, y = [], []
            for part, (start, end) in list(enumerate(pairwise(ends)))[piece.first : piece.first + piece.n]:
                here = np.arange(start, min(end + 1, level.shape[1]))
                tall, up_mm, down_mm = level[piece.lead, here] * fitted.gain, fitted.up[piece.lead, part], fitted.down[piece.lead, part]
                limited = np.clip(tall, -down_mm, up_mm)
                for sign, at_mm, beyond in ((-1, base - up_mm, tall > up_mm + _CUT_MM), (1, base + down_mm, tall < -down_mm - _CUT_MM)):
                    cuts += [(x_mm, float(at_mm), sign) for x_mm in _middles(here[beyond] / record.fs * SPEED_MM_S)]
                x.append(here / record.fs * SPEED_MM_S)
                y.append(base - limited)
            curves.append((np.concatenate(x), np.concatenate(y)))
            left = piece.first / PARTS * width
            labels.append((left + 1, base - up + 3.4, record.leads[piece.lead]))
            columns += [(left, base)] if piece.first else []
    return curves, labels, columns, cuts


def _middles(places_mm: NDArray[np.floating]) -> list[float]:
    """Return the middle of each run of places that lie within ``_APART_MM`` of one another."""
    runs = np.split(places_mm, np.flatnonzero(np.diff(places_mm) > _APART_MM) + 1)
    return [float(run.mean()) for run in runs if len(run)]


def _beat(record: Record) -> _Trace:
    """Lay out one beat of relative amplitude, four times as large as on paper."""
    speed, height = SPEED_MM_S * _ENLARGED, 12.0 * _ENLARGED
    samples = np.nan_to_num(record.samples[0])
    seconds = record.n_samples / record.fs
    width = float(np.ceil(seconds / 0.04) * _ENLARGED)
    zero = height - _ENLARGED
    return _Trace(
        width_mm=width,
        paper_mm=height,
        box_mm=float(_ENLARGED),
        curves=[(np.arange(record.n_samples) / record.fs * speed, zero - samples * 10 * _ENLARGED)],
        columns=[],
        cuts=[],
        labels=[(1.0, 4.0, record.leads[0])],
        pulses=[],
        gain_mm_mv=None,
        axis=_axis(seconds, mm_per_s=speed, at_most=8),
        said="Relative amplitude over time, on paper enlarged four times: a small box is 0.04 s by 0.1 of the beat's own range."
        " The level in mV is not known.",
    )


def _axis(seconds: float, *, mm_per_s: float, at_most: int) -> list[tuple[float, str]]:
    marks = ticks(0.0, seconds, at_most=at_most)
    return [(mark * mm_per_s, f"{number(mark)} s" if mark == marks[-1] else number(mark)) for mark in marks]
