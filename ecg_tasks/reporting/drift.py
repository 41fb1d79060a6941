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

_LEFT, _WIDTH, _TOP, _HEIGHT = 90.0, 600.0, 30.0, 170.0
_LABELS = 6
"""Nights whose date is written below a chart, at most."""
_MOST_EVIDENCE = 1e6
"""More evidence than this is drawn, and written, as this."""
_WIDE = 60.0
"""A bar of such a width carries its number in its middle."""
_LINE, _PER_SIGN, _MOST_LINES = 15.0, 7.6, 4
"""Height of a line of text, width of one sign of it, and lines of a bin's name at most."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A picture with the table behind it; ``note`` says how to read it, ``legend`` what each colour is, by its CSS class."""

    title: str
    note: str
    drawing: Markup
    legend: tuple[tuple[str, str], ...]
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
    evidence = [np.exp(value) for value in course.evidence[first]]
    bound = float(np.exp(course.bound))
    yield Figure(
        title="Evidence that something has changed",
        note="It starts at 1; the higher, the stronger the evidence that something has changed (a test martingale). If nothing has"
        f" changed, the chance that it ever reaches {_plain(bound)}, the dashed line, is at most {1 / bound:.0%}. Less is drawn as 1.",
        drawing=_bars(
            [float(np.clip(value / np.log(10), 0, np.log10(_MOST_EVIDENCE))) for value in course.evidence[first]],
            course.nights,
            bound=course.bound / np.log(10),
            across="evidence, 1 at the start",
            title=f"Evidence by night; the last is {_plain(evidence[-1])}, the alarm is at {_plain(bound)}",
            names=[_plain(value) for value in evidence],
            bound_name=_plain(bound),
            powers=True,
        ),
        legend=(("normal", "no alarm"), ("abnormal", f"alarm: {_plain(bound)} or more"), ("bound", f"dashed: {_plain(bound)}")),
        columns=("night", "records", *course.evidence),
        rows=tuple(
            (night, f"{records:,}", *(_plain(np.exp(values[index])) for values in course.evidence.values()))
            for index, (night, records) in enumerate(zip(course.nights, course.records, strict=True))
        ),
    )
    shares = ["–" if np.isnan(value) else f"{value:.1%}" for value in course.abnormal]
    yield Figure(
        title="Share called abnormal",
        note="Of the records watched each night. A night without any has no bar.",
        drawing=_bars(
            [0.0 if np.isnan(value) else 100 * value for value in course.abnormal],
            course.nights,
            bound=100 * course.abnormal_then,
            across="% of records",
            title="Share of records called abnormal by night, in percent",
            names=shares,
            bound_name=f"{course.abnormal_then:.1%}",
            alarm=False,
        ),
        legend=(("normal", "share of the night"), ("bound", f"dashed: {course.abnormal_then:.1%}, when the model was tested")),
        columns=("night", "records", "called abnormal"),
        rows=tuple((night, f"{records:,}", share) for night, records, share in zip(course.nights, course.records, shares, strict=True)),
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
        note=f"Recent population stability index: {psi}; from 0.2 on a shift is called large.",
        drawing=_pairs(then, now, spread.names, title=f"{spread.title}: shares then and now"),
        legend=(
            ("uninterpretable", f"then: {sum(spread.then):,} records when the model was tested"),
            ("normal", f"now: {sum(spread.now):,} records of these nights"),
        ),
        columns=("range", "then", "share then", "now", "share now"),
        rows=tuple(
            (name, f"{n_then:,}", f"{share_then:.1%}", f"{n_now:,}", f"{share_now:.1%}")
            for name, n_then, share_then, n_now, share_now in zip(spread.names, spread.then, then, spread.now, now, strict=True)
        ),
    )


def _plain(value: float) -> str:
    """Write evidence as a number that people read: the same in axis, text and table.

    >>> [_plain(value) for value in (0.0031, 1.0, 20.0, 54.6, 12345.6, 1e6, 3.2e9)]
    ['0.0031', '1', '20', '54.6', '12,346', '1,000,000', 'over 1,000,000']
    """
    if value > _MOST_EVIDENCE:
        return f"over {_MOST_EVIDENCE:,.0f}"
    return f"{value:,.0f}" if value >= 1e3 else f"{value:.3g}"  # noqa: PLR2004 - three digits


def _shares(counts: Sequence[int]) -> list[float]:
    total = max(sum(counts), 1)
    return [count / total for count in counts]


def _scale(highest: float, *, across: str, powers: bool = False) -> tuple[float, list[str]]:
    """Return the top of the vertical axis, and its lines; with ``powers`` a height is a power of ten, and its number is written."""
    top = highest * 1.08 or 1.0
    marks = [(mark, f"{mark:g}") for mark in ticks(0, top, at_most=4)]
    if powers:
        every = max(1, -(-int(top) // 4))
        marks = [(float(power), _plain(10.0**power)) for power in range(0, int(top) + 1, every)]
    parts = []
    for mark, name in marks:
        y = _TOP + _HEIGHT - mark / top * _HEIGHT
        parts += [line(_LEFT, y, _LEFT + _WIDTH, y, kind="gridline"), text(_LEFT - 8, y + 4, name, kind="axis", anchor="end")]
    parts.append(text(14, _TOP + _HEIGHT / 2, across, kind="axis", anchor="middle", turn=-90))
    return top, parts


def _bars(
    values: Sequence[float],
    labels: Sequence[str],
    *,
    bound: float,
    across: str,
    title: str,
    names: Sequence[str],
    bound_name: str,
    alarm: bool = True,
    powers: bool = False,
) -> Markup:
    """Draw one bar for each night, and a dashed line at the bound; with ``alarm``, bars that reach it have the colour of one.

    Parameters
    ----------
    names : what the last bar is called above it, in the words of the table; of all nights
    bound_name : what the dashed line is called at its right end
    """
    top, parts = _scale(max([*values, bound]), across=across, powers=powers)
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
        text(_LEFT + _WIDTH + 6, at + 4, bound_name, kind="axis"),
        line(_LEFT, _TOP + _HEIGHT, _LEFT + _WIDTH, _TOP + _HEIGHT, kind="tick"),
    ]
    if names:
        last = _TOP + _HEIGHT - values[-1] / top * _HEIGHT
        x = min(_LEFT + (len(values) - 0.5) * width, _LEFT + _WIDTH)
        parts.append(text(x, last - 6, names[-1], kind="axis", anchor="middle" if width > _WIDE else "end"))
    return figure("".join(parts), width=760, height=_TOP + _HEIGHT + 36, title=title, kind="plot bins")


def _pairs(then: Sequence[float], now: Sequence[float], names: Sequence[str], *, title: str) -> Markup:
    """Draw two bars for each bin, then and now, in percent, each pair with the name of its bin below it."""
    top, parts = _scale(100 * max([*then, *now]), across="% of records")
    width = _WIDTH / max(len(names), 1)
    for index, (before, after) in enumerate(zip(then, now, strict=True)):
        for place, (share, kind) in enumerate(((before, "bar uninterpretable"), (after, "bar normal"))):
            tall = 100 * share / top * _HEIGHT
            left = _LEFT + (index + 0.08 + 0.42 * place) * width
            parts.append(rect(left, _TOP + _HEIGHT - tall, 0.42 * width, tall, kind=kind))
    n_lines = 1
    for index, name in enumerate(names):
        lines = _broken(name, width)
        n_lines = max(n_lines, len(lines))
        for number, words in enumerate(lines):
            x = _LEFT + (index + 0.5) * width
            parts.append(text(x, _TOP + _HEIGHT + 20 + _LINE * number, words, kind="axis", anchor="middle"))
    parts.append(line(_LEFT, _TOP + _HEIGHT, _LEFT + _WIDTH, _TOP + _HEIGHT, kind="tick"))
    return figure("".join(parts), width=760, height=_TOP + _HEIGHT + 20 + _LINE * n_lines, title=title, kind="plot bins")


def _broken(name: str, width: float) -> list[str]:
    """Break a bin's name into lines that fit below its bars; what is longer than four of them ends in an ellipsis.

    >>> _broken("0.123 to 0.456", 64.0), _broken("below", 320.0)
    (['0.123 to', '0.456'], ['below'])
    """
    at_most = max(4, int(width / _PER_SIGN))
    lines: list[str] = []
    for word in name.replace(",", ", ").split():
        for piece in (word[start : start + at_most] for start in range(0, len(word), at_most)):
            if lines and len(lines[-1]) + 1 + len(piece) <= at_most:
                lines[-1] += f" {piece}"
            else:
                lines.append(piece)
    return lines if len(lines) <= _MOST_LINES else [*lines[: _MOST_LINES - 1], "…"]
