"""Here: what comes in against what a model was tested on, as pictures and tables. Not here: the sums (``evaluation``)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from ecg_tasks.evaluation.estimation import Comparison
from ecg_tasks.evaluation.intervals import Interval
from ecg_tasks.evaluation.subgroups import MIN_PATIENTS
from ecg_tasks.evaluation.summary import FIGURE_TITLES
from ecg_tasks.reporting.svg import figure, line, rect, text, ticks

_LEFT, _WIDTH, _TOP, _HEIGHT = 60.0, 640.0, 30.0, 170.0
_LABELS = 6
"""Nights whose date is written below a chart, at most."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A picture with the table behind it; ``note`` says how to read it."""

    title: str
    note: str
    drawing: Markup
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table without a picture; ``note`` says how to read it."""

    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class SiteSpread:
    """One site over some nights.

    Parameters
    ----------
    site : empty for the records of none
    watched : records that were compared, those with a probability, one a patient and night
    abnormal : share of these that is called abnormal
    psi : by measure, of late: the index, and whether it is large; None where there are too few records
    estimated : sensitivity and specificity of the last night with enough records; empty where no night had them
    """

    site: str
    decided: int
    uninterpretable: int
    watched: int
    quality: float
    abnormal: float
    psi: Mapping[str, tuple[float, bool] | None]
    estimated: Mapping[str, Interval]


@dataclass(frozen=True, kw_only=True)
class Spread:
    """One measure: records by bin when the model was tested, and recently; PSI None where there are too few records."""

    title: str
    names: tuple[str, ...]
    then: tuple[int, ...]
    now: tuple[int, ...]
    psi: float | None
    psi_by_chance: float | None


@dataclass(frozen=True, kw_only=True)
class Course:
    """Night after night: records decided on, share called abnormal (nan on an empty night), and the evidence that something has changed.

    ``evidence`` is the natural logarithm of the test martingale, by measure; the first one raises the alarm at ``bound``.
    """

    nights: tuple[str, ...]
    records: tuple[int, ...]
    abnormal: tuple[float, ...]
    abnormal_then: float
    evidence: Mapping[str, tuple[float, ...]]
    bound: float


def drift_figures(course: Course, spreads: Sequence[Spread]) -> Iterator[Figure]:
    """Draw the evidence night by night, the share called abnormal, then each measure."""
    first = next(iter(course.evidence))
    capital = [10 ** (value / np.log(10)) for value in course.evidence[first]]
    yield Figure(
        title="Evidence that something has changed",
        note="A test martingale that starts at 1: the higher, the stronger the evidence against “nothing has changed”. If nothing has"
        f" changed, the chance that it reaches the dashed line, {np.exp(course.bound):.0f}, is at most {np.exp(-course.bound):.0%}.",
        drawing=_bars(
            [max(value / np.log(10), 0) for value in course.evidence[first]],
            course.nights,
            bound=course.bound / np.log(10),
            across="power of ten",
            title=f"Evidence by night, last {capital[-1]:.3g}",
        ),
        columns=("night", "records", *course.evidence),
        rows=tuple(
            (night, f"{records:,}", *(f"{np.exp(values[index]):.3g}" for values in course.evidence.values()))
            for index, (night, records) in enumerate(zip(course.nights, course.records, strict=True))
        ),
    )
    yield Figure(
        title="Share called abnormal",
        note=f"Of the records watched each night. The dashed line is the share when the model was tested, {course.abnormal_then:.1%}.",
        drawing=_bars(
            [0.0 if np.isnan(value) else 100 * value for value in course.abnormal],
            course.nights,
            bound=100 * course.abnormal_then,
            across="%",
            title="Share of records called abnormal by night, in percent",
            alarm=False,
        ),
        columns=("night", "records", "called abnormal"),
        rows=tuple(
            (night, f"{records:,}", "–" if np.isnan(value) else f"{value:.1%}")
            for night, records, value in zip(course.nights, course.records, course.abnormal, strict=True)
        ),
    )
    for spread in spreads:
        yield _spread_figure(spread)


def estimated_table(nights: Sequence[tuple[str, int, Mapping[str, Interval]]]) -> Table:
    """Return the estimates of the nights that have one: date, records watched, and the figures."""
    names = tuple(dict.fromkeys(name for _, _, figures in nights for name in figures))
    return Table(
        title="Estimated without labels",
        note="Of each night's watched records, from P(abnormal) alone (confidence-based performance estimation): 95 % of the figures that"
        " these records would have, if of those with the same P(abnormal) that share is abnormal. Where this no longer holds, the estimate"
        " is wrong, and the interval does not show it.",
        columns=("night", "records", *(FIGURE_TITLES[name] for name in names)),
        rows=tuple((date, f"{n:,}", *(figures[name].text() for name in names)) for date, n, figures in nights),
    )


def comparison_table(found: Mapping[str, Comparison], *, n_records: int, n_abnormal: int) -> Table:
    """Return the estimate of records that have a label by now against what the labels say."""
    words = {True: "inside", False: "outside", None: "–"}
    return Table(
        title="The estimate against labels",
        note=f"Of {n_records:,} decided records ({n_abnormal:,} abnormal) that have a label and were not trained on, one a patient: what"
        " P(abnormal) alone lets expect of these same records, and what their labels give. Outside means that P(abnormal) is not to be"
        " taken at its word here, or that records were chosen for review by somebody who knew more of them.",
        columns=("figure", "estimated", "measured", "measured lies"),
        rows=tuple((FIGURE_TITLES[name], one.estimated.text(), one.measured.text(), words[one.inside]) for name, one in found.items()),
    )


def site_table(sites: Sequence[SiteSpread], measures: Mapping[str, str]) -> Table:
    """Return a row for each site, with its measures by their titles; figures of one with few records are held back."""
    rows = []
    for one in sites:
        counts = (one.site or "not known", f"{one.decided:,}", f"{one.uninterpretable:,}")
        if one.watched < MIN_PATIENTS:
            rows.append((*counts, *["held back"] * (4 + len(measures))))
            continue
        told = [one.estimated[name].text(2) if name in one.estimated else "–" for name in ("sensitivity", "specificity")]
        moved = ["–" if (psi := one.psi[name]) is None else f"{psi[0]:.3f}{' (large)' * psi[1]}" for name in measures]
        rows.append((*counts, f"{one.quality:.2f}", f"{one.abnormal:.1%}", *told, *moved))
    return Table(
        title="By site",
        note="Records of these nights. The population stability index compares the latest records of a site with those that the version was"
        f" tested on; from 0.2 on a shift is called large, below 100 records it is not computed. Sites with fewer than {MIN_PATIENTS}"
        " watched records are counted only. No site raises an alarm by itself.",
        columns=(
            "site",
            "decided",
            "uninterpretable",
            "mean quality",
            "called abnormal",
            "sensitivity, estimated",
            "specificity, estimated",
            *(f"PSI: {title}" for title in measures.values()),
        ),
        rows=tuple(rows),
    )


def _spread_figure(spread: Spread) -> Figure:
    then, now = _shares(spread.then), _shares(spread.now)
    psi = "too few records to tell" if spread.psi is None else f"{spread.psi:.3f} (by chance up to {spread.psi_by_chance:.3f})"
    return Figure(
        title=spread.title,
        note=f"Left of each pair: {sum(spread.then):,} records when the model was tested; right: {sum(spread.now):,} of these nights."
        f" Recent population stability index: {psi}; from 0.2 on a shift is called large.",
        drawing=_pairs(then, now, spread.names, title=f"{spread.title}: shares then and now"),
        columns=("range", "then", "share then", "now", "share now"),
        rows=tuple(
            (name, f"{n_then:,}", f"{share_then:.1%}", f"{n_now:,}", f"{share_now:.1%}")
            for name, n_then, share_then, n_now, share_now in zip(spread.names, spread.then, then, spread.now, now, strict=True)
        ),
    )


def _shares(counts: Sequence[int]) -> list[float]:
    total = max(sum(counts), 1)
    return [count / total for count in counts]


def _scale(highest: float, *, across: str) -> tuple[float, list[str]]:
    """Return the top of the vertical axis, and its lines."""
    top = highest * 1.08 or 1.0
    parts = []
    for mark in ticks(0, top, at_most=4):
        y = _TOP + _HEIGHT - mark / top * _HEIGHT
        parts += [line(_LEFT, y, _LEFT + _WIDTH, y, kind="gridline"), text(_LEFT - 8, y + 4, f"{mark:g}", kind="axis", anchor="end")]
    parts.append(text(16, _TOP + _HEIGHT / 2, across, kind="axis", anchor="middle", turn=-90))
    return top, parts


def _bars(values: Sequence[float], labels: Sequence[str], *, bound: float, across: str, title: str, alarm: bool = True) -> Markup:
    """Draw one bar for each night, and a dashed line at the bound; with ``alarm``, bars that reach it have the colour of one."""
    top, parts = _scale(max([*values, bound]), across=across)
    width = _WIDTH / max(len(values), 1)
    for index, value in enumerate(values):
        tall = value / top * _HEIGHT
        kind = "bar abnormal" if alarm and value >= bound else "bar normal"
        parts.append(rect(_LEFT + index * width + 0.5, _TOP + _HEIGHT - tall, max(width - 1, 0.5), tall, kind=kind))
    for index in range(0, len(labels), -(-len(labels) // _LABELS)):
        parts.append(text(_LEFT + (index + 0.5) * width, _TOP + _HEIGHT + 22, labels[index], kind="axis", anchor="middle"))
    at = _TOP + _HEIGHT - bound / top * _HEIGHT
    parts += [
        line(_LEFT, at, _LEFT + _WIDTH, at, kind="threshold"),
        line(_LEFT, _TOP + _HEIGHT, _LEFT + _WIDTH, _TOP + _HEIGHT, kind="tick"),
    ]
    return figure("".join(parts), width=720, height=_TOP + _HEIGHT + 36, title=title, kind="plot small")


def _pairs(then: Sequence[float], now: Sequence[float], names: Sequence[str], *, title: str) -> Markup:
    """Draw two bars for each bin, then and now, in percent."""
    top, parts = _scale(100 * max([*then, *now]), across="% of records")
    width = _WIDTH / max(len(names), 1)
    for index, (before, after) in enumerate(zip(then, now, strict=True)):
        for place, (share, kind) in enumerate(((before, "bar uninterpretable"), (after, "bar normal"))):
            tall = 100 * share / top * _HEIGHT
            left = _LEFT + (index + 0.08 + 0.42 * place) * width
            parts.append(rect(left, _TOP + _HEIGHT - tall, 0.42 * width, tall, kind=kind))
    for index in (0, len(names) - 1):
        anchor = "start" if index == 0 else "end"
        x = _LEFT if index == 0 else _LEFT + _WIDTH
        parts.append(text(x, _TOP + _HEIGHT + 22, names[index], kind="axis", anchor=anchor))
    parts.append(line(_LEFT, _TOP + _HEIGHT, _LEFT + _WIDTH, _TOP + _HEIGHT, kind="tick"))
    return figure("".join(parts), width=720, height=_TOP + _HEIGHT + 36, title=title, kind="plot small")
