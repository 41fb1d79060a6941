"""Here: which lead stands where on ECG paper, how tall its row is, and what is cut off. Not here: drawing it (``waveform``).

Time runs on from one column to the next, so a piece of a lead stands where its seconds are, and one axis of seconds holds for all rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.signals.record import STANDARD_LEADS

PARTS = 4
"""Parts of the drawn seconds that a lead may be cut into."""
RHYTHM = "II"
"""The lead of the rhythm strip."""
COLUMN_S = 2.0
"""Seconds of a column, at least: a layout with shorter ones is not offered."""
GAINS_MM_MV = (10.0, 5.0, 2.5, 1.0, 0.5, 0.1)
"""Amplitudes tried in turn until the first layout fits; the first is the clinical standard."""
SHEET_MM = 165.0
"""Height of the paper of the first layout, at most: what A4 and US Letter in landscape hold with the sentences below it."""
TALLEST_MM = 50.0
"""Height of what the first layout shows of one lead, at most, but for what happens in a hundredth of a second."""
USUAL_PERCENT = (0.1, 50, 99.9)
"""Percentiles of a lead: what is between the first and the last decides on the amplitude, no artefact. It is drawn about the second."""
UP_MM, DOWN_MM, GAP_MM, NAME_MM = 10.0, 4.0, 1.0, 4.0
"""Room that every row has above and below its zero line, between two rows, and for names, which hide no trace."""
HIGHEST_MM = 40.0
"""How far what is outside of the usual range may go up or down before it is cut off."""


class Piece(NamedTuple):
    """A stretch of a lead: its row among the leads, and from which of the ``PARTS`` on, how many."""

    lead: int
    first: int
    n: int


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """Which pieces stand in which row; ``columns`` names it in style sheets, ``title`` to people."""

    columns: int
    title: str
    rows: tuple[tuple[Piece, ...], ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """How a recording fits the paper.

    Parameters
    ----------
    gain : mm/mV
    up, down : shape (n_leads, PARTS), mm from the zero line that a part of a lead may take; what goes further is cut off there
    """

    gain: float
    up: NDArray[np.float64]
    down: NDArray[np.float64]


def arrangements(leads: Sequence[str], *, seconds: float) -> tuple[Arrangement, ...]:
    """Return the layouts that a recording can be drawn in, the usual one first.

    Twelve leads in four columns with a rhythm strip, in two, or one below the other; leads beyond the twelve have rows of their own.
    Fewer leads stand one below the other, or in two columns, which come first where so many rows would not fit the sheet.
    """
    n = len(leads)
    below = Arrangement(columns=1, title=f"{n}×1", rows=tuple((_whole(lead),) for lead in range(n)))
    grid = [leads.index(lead) for lead in STANDARD_LEADS if lead in leads]
    if len(grid) == len(STANDARD_LEADS):
        extra = tuple((_whole(lead),) for lead in range(n) if lead not in grid)
        four = Arrangement(columns=4, title="4×3 with rhythm strip", rows=(*_columns(grid, 4), (_whole(leads.index(RHYTHM)),), *extra))
        two = Arrangement(columns=2, title="6×2", rows=(*_columns(grid, 2), *extra))
        found = [four, two, below]
    elif n >= 4:  # noqa: PLR2004 - two columns of two
        two = Arrangement(columns=2, title=f"{-(-n // 2)}×2", rows=_columns(range(n), 2))
        found = [below, two] if _least_height(below) <= SHEET_MM else [two, below]
    else:
        found = [below]
    return tuple(one for one in found if one.columns == 1 or seconds / one.columns >= COLUMN_S)


def baselines(arrangement: Arrangement, fitted: Fitted) -> tuple[list[float], float]:
    """Return where each row's zero line lies, mm from the paper's top, on bold lines, and how high the paper is.

    What one row takes ends before what the next one takes begins.
    """
    found: list[float] = []
    below = 0.0
    for row in arrangement.rows:
        up, down = room(row, fitted)
        found.append(5.0 * np.ceil((below + GAP_MM + up) / 5))
        below = found[-1] + down
    return found, 5.0 * np.ceil((below + GAP_MM) / 5)


def room(row: Sequence[Piece], fitted: Fitted) -> tuple[float, float]:
    """Return what a row takes above and below its zero line, mm."""
    up = max(float(fitted.up[one.lead, one.first : one.first + one.n].max()) for one in row)
    down = max(float(fitted.down[one.lead, one.first : one.first + one.n].max()) for one in row)
    return max(up + NAME_MM, UP_MM), max(down, DOWN_MM)


def fit(samples: NDArray[np.floating], arrangement: Arrangement) -> tuple[NDArray[np.floating], Fitted]:
    """Return samples about each lead's median, the largest amplitude at which this layout fits the sheet, and how far each lead may go.

    Only what is outside of a lead's usual range is cut off: where it goes very far, and where the sheet would be too small else. Where
    there are more rows than the sheet holds, they take no more than the least that rows take.

    Parameters
    ----------
    samples : ndarray, shape (n_leads, n_samples), mV, finite
    """
    low, middle, high = np.percentile(samples, USUAL_PERCENT, axis=1)
    samples = samples - middle[:, np.newaxis]
    usual = np.stack([high - middle, middle - low])[:, :, np.newaxis]
    whole = np.zeros((2, len(samples), PARTS))
    for place, (start, end) in enumerate(pairwise(part_ends(samples.shape[1]))):
        if end > start:
            part = samples[:, start:end]
            whole[:, :, place] = np.maximum([part.max(axis=1), -part.min(axis=1)], 0)
    sheet = max(SHEET_MM, _least_height(arrangement))
    gain, is_usual_shown = GAINS_MM_MV[-1], False
    for tried in GAINS_MM_MV:
        taken = np.minimum(whole, usual) * tried
        if _tallest(arrangement, taken) <= TALLEST_MM and _height(arrangement, taken, tried) <= sheet:
            gain, is_usual_shown = tried, True
            break
    at_least = usual * gain if is_usual_shown else np.zeros_like(usual)
    highest = HIGHEST_MM
    while True:
        taken = np.minimum(whole * gain, np.maximum(at_least, highest))
        if highest <= 0 or _height(arrangement, taken, gain) <= sheet:
            break
        highest -= 1
    return samples, Fitted(gain=gain, up=taken[0], down=taken[1])


def part_ends(n_samples: int) -> list[int]:
    """Return where the parts of so many samples begin, and where the last one ends.

    >>> part_ends(10)
    [0, 2, 5, 8, 10]
    """
    return [round(place * n_samples / PARTS) for place in range(PARTS + 1)]


def _height(arrangement: Arrangement, taken: NDArray[np.float64], gain: float) -> float:
    return baselines(arrangement, Fitted(gain=gain, up=taken[0], down=taken[1]))[1]


def _least_height(arrangement: Arrangement) -> float:
    """Return the height of the paper where no lead goes anywhere, mm."""
    n_leads = 1 + max(one.lead for row in arrangement.rows for one in row)
    return _height(arrangement, np.zeros((2, n_leads, PARTS)), GAINS_MM_MV[0])


def _tallest(arrangement: Arrangement, taken: NDArray[np.float64]) -> float:
    """Return the height of the piece that goes furthest, mm."""
    return max(float(taken[:, one.lead, one.first : one.first + one.n].max(axis=1).sum()) for row in arrangement.rows for one in row)


def _whole(lead: int) -> Piece:
    return Piece(lead, 0, PARTS)


def _columns(leads: Sequence[int], columns: int) -> tuple[tuple[Piece, ...], ...]:
    """Return rows in which the leads go down one column, then down the next."""
    n_rows, size = -(-len(leads) // columns), PARTS // columns
    grid = [leads[column * n_rows : (column + 1) * n_rows] for column in range(columns)]
    return tuple(
        tuple(Piece(column[row], size * place, size) for place, column in enumerate(grid) if row < len(column)) for row in range(n_rows)
    )
