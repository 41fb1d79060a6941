"""Here: where P, QRS and T of a typical beat begin and end, over all leads. Not here: the intervals between (``measurements``).

A wave ends where all leads together become flat enough: the root mean square of their slopes falls below a level, outwards from the
steepest flank. There are several ways to take the slopes together, and each goes wrong in other recordings, so a bound is the median of
three ways: slopes in mV/s below a fixed level, or below a share of the flank's slope, or each lead in units of its own steepest slope, so
that a small wave which lasts longest is not hidden by a high one. Cardiologists mark where the first lead begins and the last one ends,
somewhat outside; levels and shifts were fitted to their marks in LUDB's recordings 1 to 50 (``python -m research.measurements``).

References
----------
Bounds over all leads together: Kligfield et al., Circulation 115(10), 2007. LUDB: Kalyakulina et al., IEEE Access 8, 2020.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.signals.middle import mean_along, median_along, middle_of
from ecg_tasks.signals.typical_beat import TypicalBeat


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to find a bound.

    Parameters
    ----------
    smooth_s : width (sigma) of the bell curve by whose derivative the slopes are taken, s
    share : the level, as a share of how steep the leads are together at the flank
    fixed_mv_s : the level in mV/s, where that is lower than the share
    own : each lead's slopes are in units of its own steepest one, which counts as this share of the leads' median unit at least; 0: mV/s
    shift_s : from where the level is reached to where cardiologists put their mark, s
    """

    smooth_s: float
    share: float
    fixed_mv_s: float = np.inf
    own: float = 0.0
    shift_s: float


QRS_ON = (
    Way(smooth_s=0.012, share=0.25, own=0.2, shift_s=-0.021),
    Way(smooth_s=0.014, share=0.2, shift_s=-0.0159),
    Way(smooth_s=0.006, share=0.3, fixed_mv_s=3.0, shift_s=-0.0166),
)
QRS_OFF = (
    Way(smooth_s=0.014, share=0.12, own=0.1, shift_s=0.0037),
    Way(smooth_s=0.012, share=0.1, shift_s=0.0089),
    Way(smooth_s=0.006, share=0.3, fixed_mv_s=2.0, shift_s=0.0089),
)
P_ON = (
    Way(smooth_s=0.016, share=0.4, own=0.4, shift_s=-0.0059),
    Way(smooth_s=0.024, share=0.5, own=0.4, shift_s=-0.0024),
    Way(smooth_s=0.014, share=0.3, shift_s=-0.0055),
)
T_OFF = (
    Way(smooth_s=0.024, share=0.4, own=0.3, shift_s=0.0123),
    Way(smooth_s=0.032, share=0.35, own=0.3, shift_s=-0.0015),
    Way(smooth_s=0.026, share=0.22, shift_s=-0.0003),
)
QRS_CORE_S, QRS_BEFORE_S, QRS_AFTER_S = 0.06, 0.14, 0.2
"""Seconds from the R peak in which the steepest flanks are, and in which the QRS complex lies."""
PR_S, P_RISE_S, P_END_S, P_REACH_S = 0.34, 0.09, 0.012, 0.025
"""Seconds: before the QRS complex, in which P begins; from P's first flank to its peak, at most; from P's end to the QRS complex, at least;
around the flank, in which a lead's own steepest slope is looked for."""
T_BEGIN_S, T_FALL_S, T_REACH_S = 0.1, 0.18, 0.07
"""Seconds: from the QRS complex's end to T's last flank, at least; from there to T's end, at most; around the flank, as above."""
USUAL_S = 0.18
"""A peak so long before the QRS complex is P's; one at ``PR_S`` must be twice as high to be taken, since it may be a part of T or U."""
QT_S, NEXT_S = 0.58, 0.12
"""Seconds after the QRS complex's onset at one beat a second within which T ends, which go with the square root of the R-R interval; and
before the next R peak, by when it has ended."""
STEEP, HUMP = 0.3, 0.46
"""Shares of the steepest slope: of what belongs to the QRS complex for certain, and of a flank of P or T."""
REPEATED = 0.6
"""Correlation of a wave in single beats with that in the median beat, in the median: below, there is no such wave."""
SHORTEST_S = 0.06
"""Seconds that a wave is looked for in, at least."""
STIMULUS_FS, STIMULUS_MV, STIMULUS_RETURNS = 200.0, 0.15, 4.0
"""A stimulus is seen from this rate on; its least height, and how often that is larger than what the leads have moved on."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Seconds from the R peak; None where there is no such wave."""

    p_on_s: float | None
    qrs_on_s: float
    qrs_off_s: float
    t_off_s: float | None


def bounds(beat: TypicalBeat) -> Bounds:
    """Find the bounds of the waves of a beat."""
    stimulus = _stimulus(beat)
    slopes = _Slopes(beat.median, fs=beat.fs)
    on, off = _qrs(beat, slopes if stimulus is None else _Slopes(_without(beat.median, stimulus), fs=beat.fs))
    if stimulus is not None:
        on = min(on, (stimulus - beat.r_peak - 1) / beat.fs)
    t_off = _t_off(beat, slopes, on, off)
    return Bounds(p_on_s=_p_on(beat, slopes, on, 0.0 if t_off is None else t_off), qrs_on_s=on, qrs_off_s=off, t_off_s=t_off)


class _Slopes:
    """The slopes of a beat's leads, smoothed by each width once."""

    def __init__(self, median: NDArray[np.float32], *, fs: float) -> None:
        self.fs = fs
        self._median = median.astype(np.float64)
        self._leads: dict[float, NDArray[np.float64]] = {}
        self._together: dict[float, NDArray[np.float64]] = {}

    def leads(self, smooth_s: float) -> NDArray[np.float64]:
        """Return the slope of each lead in mV/s, shape (n_leads, n_samples)."""
        from scipy.ndimage import correlate1d

        if smooth_s not in self._leads:
            slope = correlate1d(self._median, _bell(smooth_s * self.fs), axis=1, output=np.empty_like(self._median))
            self._leads[smooth_s] = slope * self.fs
        return self._leads[smooth_s]

    def together(self, smooth_s: float) -> NDArray[np.float64]:
        """Return the root mean square of all leads' slopes, shape (n_samples,)."""
        if smooth_s not in self._together:
            self._together[smooth_s] = _rms(self.leads(smooth_s))
        return self._together[smooth_s]


@lru_cache(maxsize=64)
def _bell(width: float) -> NDArray[np.float64]:
    """Return the weights by which SciPy's Gaussian filter takes the first derivative, as it answers an impulse."""
    from scipy.ndimage import gaussian_filter1d

    reach = int(4 * width + 0.5)
    impulse = np.zeros(2 * reach + 1)
    impulse[reach] = 1
    return np.ascontiguousarray(gaussian_filter1d(impulse, width, order=1, mode="constant")[::-1])


def _qrs(beat: TypicalBeat, slopes: _Slopes) -> tuple[float, float]:
    fs, r = beat.fs, beat.r_peak
    core = slice(r - round(QRS_CORE_S * fs), r + round(QRS_CORE_S * fs))
    first, last = r - round(QRS_BEFORE_S * fs), r + round(QRS_AFTER_S * fs)
    on = _by(QRS_ON, slopes, beat, core, lambda speed, way: _left(speed, *_from_core(speed, core, way, which=0), first))
    off = _by(QRS_OFF, slopes, beat, core, lambda speed, way: _right(speed, *_from_core(speed, core, way, which=-1), last))
    return on, off


def _from_core(speed: NDArray[np.float64], core: slice, way: Way, *, which: int) -> tuple[int, float]:
    """Return the first (0) or last (-1) steep sample in the core of the QRS complex, and the level at which that begins or ends."""
    inside = speed[core]
    steepest = int(inside.argmax())
    flank = core.start + int((inside >= STEEP * inside[steepest]).nonzero()[0][which])
    return flank, _level(way, speed, core.start + steepest)


def _level(way: Way, speed: NDArray[np.float64], at: int) -> float:
    """Return how steep the leads may be where a wave ends whose steepest place is at this sample."""
    return min(way.share * float(speed[at]), way.fixed_mv_s)


def _t_off(beat: TypicalBeat, slopes: _Slopes, qrs_on_s: float, qrs_off_s: float) -> float | None:
    fs, r, rr = beat.fs, beat.r_peak, beat.rr_s
    latest_s = min(qrs_on_s + QT_S * rr**0.5, rr - NEXT_S)
    begin, end = r + round((qrs_off_s + T_BEGIN_S) * fs), min(r + round(latest_s * fs), beat.median.shape[1] - 1)
    if end - begin < SHORTEST_S * fs or not _is_repeated(beat, begin, end):
        return None
    flank = begin + int(_humps(slopes.together(T_OFF[0].smooth_s)[begin:end])[-1])
    near, last = _around(flank, T_REACH_S * fs), min(flank + round(T_FALL_S * fs), end)
    return _by(T_OFF, slopes, beat, near, lambda speed, way: _right(speed, flank, _level(way, speed, flank), last))


def _p_on(beat: TypicalBeat, slopes: _Slopes, qrs_on_s: float, t_off_s: float) -> float | None:
    fs, r, rr = beat.fs, beat.r_peak, beat.rr_s
    earliest_s = max(qrs_on_s - PR_S, t_off_s - rr)
    begin, end = max(r + round(earliest_s * fs), 0), r + round((qrs_on_s - P_END_S) * fs)
    if end - begin < SHORTEST_S * fs or not _is_repeated(beat, begin, end):
        return None
    before_s = qrs_on_s - (np.arange(begin, end + 1) - r) / fs
    likely = np.clip(1 - (before_s - USUAL_S) / (2 * (PR_S - USUAL_S)), 0.5, 1)
    peak = begin + int((_heights(beat.median[:, begin : end + 1], width=0.01 * fs) * likely).argmax())
    first = max(begin, peak - round(P_RISE_S * fs))
    if peak - first < 2:  # noqa: PLR2004 - it falls from the start on: the end of T, or of nothing
        return None
    flank = first + int(_humps(slopes.together(P_ON[0].smooth_s)[first : peak + 1])[0])
    return _by(P_ON, slopes, beat, _around(flank, P_REACH_S * fs), lambda speed, way: _left(speed, flank, _level(way, speed, flank), first))


def _by(
    ways: tuple[Way, ...],
    slopes: _Slopes,
    beat: TypicalBeat,
    near: slice,
    find: Callable[[NDArray[np.float64], Way], float],
) -> float:
    """Return the median of what several ways find, s from the R peak.

    Parameters
    ----------
    near : samples in which a lead's own steepest slope is looked for
    find : given how steep the leads are together, and the way, the sample of the bound
    """
    found = []
    for way in ways:
        speed = slopes.together(way.smooth_s)
        if way.own:
            leads = slopes.leads(way.smooth_s)
            own = np.abs(leads[:, near]).max(axis=1)
            speed = _rms(leads / np.maximum(own, way.own * middle_of(own) + 1e-9)[:, None])
        found.append((find(speed, way) - beat.r_peak) / beat.fs + way.shift_s)
    return middle_of(found)


def _stimulus(beat: TypicalBeat) -> int | None:
    """Return the sample of a pacemaker's stimulus before the QRS complex, which counts as its begin; None where none is seen.

    It is a step up and down within two samples, after which all leads are where they were before. At a low rate it is not there any more.
    """
    x, r = beat.median, beat.r_peak
    if beat.fs < STIMULUS_FS:
        return None
    k = np.arange(r - round(QRS_BEFORE_S * beat.fs), r - round(0.02 * beat.fs))
    height = _rms(x[:, k] - (x[:, k - 2] + x[:, k + 2]) / 2)
    before, after = (mean_along(np.array([x[:, k + move] for move in moves]), 0) for moves in ((-5, -4, -3), (3, 4, 5)))
    found = ((height >= STIMULUS_MV) & (height >= STIMULUS_RETURNS * (_rms(after - before) + 0.02))).nonzero()[0]
    return int(k[found[0]]) if len(found) else None


def _without(median: NDArray[np.float32], stimulus: int) -> NDArray[np.float32]:
    """Return the beat with a straight line over the stimulus."""
    first, last = stimulus - 3, stimulus + 4
    line = np.linspace(0, 1, last - first + 1, dtype=np.float32)
    changed = median.copy()
    changed[:, first : last + 1] = median[:, [first]] * (1 - line) + median[:, [last]] * line
    return changed


def _heights(part: NDArray[np.float32], *, width: float) -> NDArray[np.float64]:
    """Return how far all leads together are from the straight lines between the ends of this part, mV, shape (n_samples,)."""
    from scipy.ndimage import gaussian_filter1d

    smooth = gaussian_filter1d(part, width, axis=1)
    line = np.linspace(0, 1, part.shape[1], dtype=np.float32)
    return _rms(smooth - smooth[:, :1] * (1 - line) - smooth[:, -1:] * line)


def _is_repeated(beat: TypicalBeat, begin: int, end: int) -> bool:
    """Tell whether a stretch looks alike in most beats, and not only in their median, which noise has too."""
    parts, median = (part - mean_along(part, -1, keepdims=True) for part in (beat.beats[..., begin:end], beat.median[:, begin:end]))
    size = np.sqrt((parts**2).sum(axis=(0, 2)) * (median**2).sum())
    return float(median_along(np.einsum("lbt,lt->b", parts, median) / (size + 1e-12))) >= REPEATED


def _rms(slopes: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(mean_along(slopes**2, 0)), dtype=np.float64)


def _around(at: int, reach: float) -> slice:
    return slice(max(at - round(reach), 0), at + round(reach) + 1)


def _humps(speed: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the local maxima that reach ``HUMP`` of the largest one; the largest sample where there are none."""
    inner = ((speed[1:-1] >= speed[:-2]) & (speed[1:-1] > speed[2:])).nonzero()[0] + 1
    if not len(inner):
        return np.array([int(speed.argmax())])
    return np.asarray(inner[speed[inner] >= HUMP * speed[inner].max()])


def _left(speed: NDArray[np.float64], start: int, level: float, first: int) -> float:
    """Return the place, between samples, where the speed falls to a level on the way from ``start`` to ``first``; else the flattest one."""
    first = max(first, 0)
    below = (speed[first:start] <= level).nonzero()[0]
    if not len(below):
        return float(first + speed[first : start + 1].argmin())
    at = first + int(below[-1])
    return at + float((level - speed[at]) / (speed[at + 1] - speed[at]))


def _right(speed: NDArray[np.float64], start: int, level: float, last: int) -> float:
    below = (speed[start + 1 : last + 1] <= level).nonzero()[0]
    if not len(below):
        return float(start + speed[start : last + 1].argmin())
    at = start + 1 + int(below[0])
    return at - float((level - speed[at]) / (speed[at - 1] - speed[at]))
