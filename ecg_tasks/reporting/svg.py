"""Here: the few SVG pieces that all figures share: texts, paths, axis ticks. Not here: any figure."""

import math
from collections.abc import Mapping

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from ecg_tasks.reporting.escaping import markup

_LARGEST_STEP = 500
_STEPS = [f" {step}" for step in range(_LARGEST_STEP + 1)] + [str(step) for step in range(-_LARGEST_STEP, 0)]
"""Every small step as a path writes it, a negative one found by its negative index: a curve is mostly these, and a look-up is quick."""


def figure(
    content: str,
    *,
    width: float,
    height: float,
    title: str,
    kind: str,
    stretch: bool = False,
    size_mm: tuple[float, float] | None = None,
    data: Mapping[str, float | str] | None = None,
) -> Markup:
    """Wrap a drawing; ``title`` is what a screen reader says, ``kind`` the CSS class that decides how large it is shown.

    ``stretch`` lets it take any shape: for drawings without text. ``size_mm`` is how large it is on paper, where no style says otherwise.
    ``data`` becomes attributes that a script may read.
    """
    told = "".join(f' data-{name}="{value if isinstance(value, str) else number(value)}"' for name, value in (data or {}).items())
    size = "" if size_mm is None else f' width="{number(size_mm[0])}mm" height="{number(size_mm[1])}mm"'
    return Markup(  # noqa: S704  every text inside has gone through markup()
        f'<svg class="{kind}"{size} viewBox="0 0 {number(width)} {number(height)}" role="img" aria-label="{markup(title)}"{told}'
        f' preserveAspectRatio="{"none" if stretch else "xMinYMin meet"}">{content}</svg>'
    )


def text(x: float, y: float, content: str, *, kind: str = "", anchor: str = "start", turn: float = 0, until: float | None = None) -> str:
    """Draw one line of text; ``y`` is its base line, ``turn`` rotates it about its own place, in degrees.

    ``until`` is how far to the right a script may move it to keep it in sight.
    """
    moves = "" if until is None else f' data-until="{number(until)}"'
    turned = f' transform="rotate({number(turn)} {number(x)} {number(y)})"' if turn else ""
    classed = f' class="{kind}"' if kind else ""
    anchored = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{number(x)}" y="{number(y)}"{classed}{anchored}{turned}{moves}>{markup(content)}</text>'


def rect(x: float, y: float, width: float, height: float, *, kind: str, radius: float = 0) -> str:
    """Draw a filled box whose look is its CSS class."""
    rounded = f' rx="{number(radius)}"' if radius else ""
    return f'<rect class="{kind}" x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"{rounded}/>'


def line(x1: float, y1: float, x2: float, y2: float, *, kind: str) -> str:
    """Draw a straight line whose look is its CSS class."""
    return f'<line class="{kind}" x1="{number(x1)}" y1="{number(y1)}" x2="{number(x2)}" y2="{number(y2)}"/>'


def trace(x: NDArray[np.integer], y: NDArray[np.integer], *, kind: str) -> str:
    """Draw a curve through integer points, each given by its step from the one before, straight runs as one step.

    Parameters
    ----------
    x, y : ndarray, shape (n_points,), in units of the view box
    """
    dx, dy = np.diff(x), np.diff(y)
    bends = (dx[:-1] * dy[1:] != dy[:-1] * dx[1:]) | (dx[:-1] * dx[1:] + dy[:-1] * dy[1:] < 0)
    kept = np.concatenate(([True], bends, [True])) if len(x) > 1 else np.ones(len(x), dtype=bool)
    points = np.stack([x[kept], y[kept]], axis=1)
    steps = np.diff(points, axis=0).ravel()
    if steps.size and np.abs(steps).max() <= _LARGEST_STEP:
        written = "".join(map(_STEPS.__getitem__, steps.tolist()))
    else:
        written = "".join(map("{:+d}".format, steps.tolist())) or "+0+0"
    return f'<path class="{kind}" d="M{points[0, 0]} {points[0, 1]}l{written}"/>'


def ticks(low: float, high: float, *, at_most: int) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) that cover ``[low, high]`` from inside.

    >>> ticks(0, 62.5, at_most=4)
    [0.0, 20.0, 40.0, 60.0]
    """
    if not high > low:
        return [low]
    rough = (high - low) / at_most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 10) for index in range(first, last + 1)]


def number(value: float) -> str:
    """Format a number for an attribute or a tick, without needless digits.

    >>> number(2.50), number(-0.0), number(1e6)
    ('2.5', '0', '1000000')
    """
    if isinstance(value, int):
        return str(value)
    written = f"{value:.3f}".rstrip("0").rstrip(".")
    return "0" if written == "-0" else written
