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

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isnan

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.signals.middle import mean_along, median_along, median_kept, median_of
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


def bounds(beats: Sequence[TypicalBeat]) -> list[Bounds | None]:
    """Find the bounds of the waves of beats that have one rate and length, each as it would be alone; None where nothing moves."""
    if not beats:
        return []
    batch = _Batch(beats)
    stimulus = _stimulus(batch)
    on, off = _qrs(batch, _without(batch.median, stimulus))
    moves = ~np.isnan(on + off)
    on, off = np.where(moves, on, 0.0), np.where(moves, off, 0.0)
    on = np.where(stimulus < 0, on, np.minimum(on, (stimulus - batch.r_peak - 1) / batch.fs))
    t_off = _t_off(batch, on, off)
    p_on = _p_on(batch, on, np.where(np.isnan(t_off), 0.0, t_off))
    return [
        Bounds(p_on_s=None if isnan(p) else p, qrs_on_s=q, qrs_off_s=j, t_off_s=None if isnan(t) else t) if is_beat else None
        for is_beat, p, q, j, t in zip(*(one.tolist() for one in (moves, p_on, on, off, t_off)), strict=True)
    ]


class _Batch:
    """Beats in one array: ``median`` has shape (n, n_leads, n_samples), mV; leads that a beat does not have are zero, and add nothing."""

    def __init__(self, beats: Sequence[TypicalBeat]) -> None:
        self.beats = beats
        self.fs, self.r_peak, n_samples = beats[0].fs, beats[0].r_peak, beats[0].median.shape[1]
        self.n_leads = np.array([len(beat.leads) for beat in beats])
        self.rr_s = np.array([beat.rr_s for beat in beats])
        self.median = np.zeros((len(beats), self.n_leads.max(), n_samples), np.float32)
        for row, beat in zip(self.median, beats, strict=True):
            row[: len(beat.leads)] = beat.median

    def repeated(self, begin: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return which beats look alike over these samples, that are enough, in most of the beats that they are the median of."""
        long_enough = (end - begin >= SHORTEST_S * self.fs).nonzero()[0]
        return np.array([row for row in long_enough.tolist() if _is_repeated(self.beats[row], begin[row], end[row])], dtype=np.int64)


class _Slopes:
    """The slopes of beats' leads in a part of the beat, smoothed by each width once. Samples count from the part's first one.

    Parameters
    ----------
    median : shape (n, n_leads, n_samples), mV
    n_leads : shape (n,), so many leads each beat has; others are zero
    fs : Hz
    part : first sample of the part, and the one behind its last, as far as the beat reaches
    """

    def __init__(self, median: NDArray[np.float32], n_leads: NDArray[np.int64], *, fs: float, part: tuple[int, int]) -> None:
        self.fs, self.first, self.end = fs, max(part[0], 0), min(part[1], median.shape[2])
        self._median, self._n_leads = median, n_leads
        self._leads: dict[float, NDArray[np.float64]] = {}
        self._together: dict[float, NDArray[np.float64]] = {}

    def leads(self, smooth_s: float) -> NDArray[np.float64]:
        """Return the slope of each lead in mV/s, shape (n, n_leads, n_samples)."""
        from scipy.ndimage import correlate1d

        if smooth_s not in self._leads:
            bell = _bell(smooth_s * self.fs, order=1)
            begin = max(self.first - len(bell) // 2, 0)
            slope = correlate1d(self._median[:, :, begin : self.end + len(bell) // 2], bell, output=np.float64)
            self._leads[smooth_s] = slope[:, :, self.first - begin : self.end - begin] * self.fs
        return self._leads[smooth_s]

    def together(self, smooth_s: float) -> NDArray[np.float64]:
        """Return the root mean square of all leads' slopes, shape (n, n_samples)."""
        if smooth_s not in self._together:
            self._together[smooth_s] = _rms(self.leads(smooth_s), self._n_leads)
        return self._together[smooth_s]

    def by(self, way: Way, rows: NDArray[np.int64], near: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return how steep the leads of these beats are together, each lead in its own unit if the way says so, shape (n_rows, n_samples).

        Parameters
        ----------
        near : shape (n_rows, n_near), samples in which a lead's own steepest slope is looked for
        """
        if not way.own:
            return self.together(way.smooth_s)[rows]
        leads, n_leads = self.leads(way.smooth_s)[rows], self._n_leads[rows]
        own = np.abs(np.take_along_axis(leads, near[:, None], axis=2)).max(axis=2)
        middle = median_kept(own, np.arange(own.shape[1]) < n_leads[:, None])
        return _rms(leads / np.maximum(own, (way.own * middle + 1e-9)[:, None])[:, :, None], n_leads)


@lru_cache(maxsize=64)
def _bell(width: float, *, order: int) -> NDArray[np.float64]:
    """Return the weights of SciPy's Gaussian filter, or (order 1) of its first derivative, as it answers an impulse."""
    from scipy.ndimage import gaussian_filter1d

    reach = int(4 * width + 0.5)
    impulse = np.zeros(2 * reach + 1)
    impulse[reach] = 1
    return np.ascontiguousarray(gaussian_filter1d(impulse, width, order=order, mode="constant")[::-1])


def _qrs(batch: _Batch, median: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    fs, rows = batch.fs, np.arange(len(batch.beats))
    r = round(QRS_BEFORE_S * fs)
    slopes = _Slopes(median, batch.n_leads, fs=fs, part=(batch.r_peak - r, batch.r_peak + round(QRS_AFTER_S * fs) + 1))
    core = np.arange(r - round(QRS_CORE_S * fs), r + round(QRS_CORE_S * fs))

    def find(ways: tuple[Way, ...], stop: int) -> NDArray[np.float64]:
        def one(speed: NDArray[np.float64], way: Way) -> NDArray[np.float64]:
            inside = speed[:, core]
            steepest = inside.argmax(axis=1)
            steep = inside >= STEEP * inside[rows, steepest][:, None]
            flank = core[0] + (_first(steep) if stop < r else _last(steep))  # the outermost on the way
            return _flat(speed, flank, _level(way, speed, core[0] + steepest), np.full(len(rows), stop), before=slopes.first)

        return _by(ways, batch, slopes, rows, near=np.broadcast_to(core, (len(rows), len(core))), find=one)

    return find(QRS_ON, 0), find(QRS_OFF, r + round(QRS_AFTER_S * fs))


def _level(way: Way, speed: NDArray[np.float64], at: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how steep the leads may be where a wave ends whose steepest place is at this sample."""
    return np.minimum(way.share * speed[np.arange(len(at)), at], way.fixed_mv_s)


def _t_off(batch: _Batch, qrs_on_s: NDArray[np.float64], qrs_off_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where T ends, s; NaN where there is none."""
    fs, r, rr = batch.fs, batch.r_peak, batch.rr_s
    latest_s = np.minimum(qrs_on_s + QT_S * np.array([one**0.5 for one in rr.tolist()]), rr - NEXT_S)
    begin, end = r + _rounded((qrs_off_s + T_BEGIN_S) * fs), np.minimum(r + _rounded(latest_s * fs), batch.median.shape[2] - 1)
    rows = batch.repeated(begin, end)
    found = np.full(len(batch.beats), np.nan)
    if len(rows):
        reach = round(T_REACH_S * fs)
        slopes = _Slopes(batch.median, batch.n_leads, fs=fs, part=(begin[rows].min() - reach, end[rows].max() + reach + 1))
        first = slopes.first
        flank = _last(_humps(slopes.together(T_OFF[0].smooth_s)[rows], begin[rows] - first, end[rows] - first))
        last = np.minimum(flank + round(T_FALL_S * fs), end[rows] - first)

        def find(speed: NDArray[np.float64], way: Way) -> NDArray[np.float64]:
            return _flat(speed, flank, _level(way, speed, flank), last, before=first)

        found[rows] = _by(T_OFF, batch, slopes, rows, near=_around(flank, reach, slopes), find=find)
    return found


def _p_on(batch: _Batch, qrs_on_s: NDArray[np.float64], t_off_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where P begins, s; NaN where there is none."""
    fs, r = batch.fs, batch.r_peak
    earliest_s = np.maximum(qrs_on_s - PR_S, t_off_s - batch.rr_s)
    begin, end = np.maximum(r + _rounded(earliest_s * fs), 0), r + _rounded((qrs_on_s - P_END_S) * fs)
    rows = batch.repeated(begin, end)
    found = np.full(len(batch.beats), np.nan)
    if len(rows):
        peak = _p_peak(batch, rows, begin[rows], end[rows], qrs_on_s[rows])
        first = np.maximum(begin[rows], peak - round(P_RISE_S * fs))
        rises = peak - first >= 2  # noqa: PLR2004 - else it falls from the start on: the end of T, or of nothing
        rows, peak, first = rows[rises], peak[rises], first[rises]
        reach = round(P_REACH_S * fs)
        slopes = _Slopes(batch.median, batch.n_leads, fs=fs, part=(begin.min() - reach, end.max() + reach + 1))
        first, peak = first - slopes.first, peak - slopes.first
        flank = _first(_humps(slopes.together(P_ON[0].smooth_s)[rows], first, peak + 1))

        def find(speed: NDArray[np.float64], way: Way) -> NDArray[np.float64]:
            return _flat(speed, flank, _level(way, speed, flank), first, before=slopes.first)

        found[rows] = _by(P_ON, batch, slopes, rows, near=_around(flank, reach, slopes), find=find)
    return found


def _p_peak(
    batch: _Batch, rows: NDArray[np.int64], begin: NDArray[np.int64], end: NDArray[np.int64], qrs_on_s: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return the sample between these, both included, where all leads are farthest from a line, the likelier the nearer to usual."""
    at = np.arange((end - begin).max() + 1)
    before_s = qrs_on_s[:, None] - (begin[:, None] + at - batch.r_peak) / batch.fs
    likely = np.clip(1 - (before_s - USUAL_S) / (2 * (PR_S - USUAL_S)), 0.5, 1)
    heights = _heights(batch.median[rows], begin, end, width=0.01 * batch.fs, n_leads=batch.n_leads[rows])
    return np.asarray(begin + np.where(at <= (end - begin)[:, None], heights * likely, -np.inf).argmax(axis=1))


def _by(
    ways: tuple[Way, ...],
    batch: _Batch,
    slopes: _Slopes,
    rows: NDArray[np.int64],
    *,
    near: NDArray[np.int64],
    find: Callable[[NDArray[np.float64], Way], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Return the median of what several ways find in these beats, s from the R peak, shape (n_rows,).

    Parameters
    ----------
    near : shape (n_rows, n_near), samples in which a lead's own steepest slope is looked for
    find : given how steep the leads are together, and the way, the sample of the bound
    """
    found = [(find(slopes.by(way, rows, near), way) - batch.r_peak) / batch.fs + way.shift_s for way in ways]
    return np.asarray(median_of(found), dtype=np.float64)


def _stimulus(batch: _Batch) -> NDArray[np.int64]:
    """Return the sample of a pacemaker's stimulus before each QRS complex, which counts as its begin; -1 where none is seen.

    It is a step up and down within two samples, after which all leads are where they were before. At a low rate it is not there any more.
    """
    x, r = batch.median, batch.r_peak
    if batch.fs < STIMULUS_FS:
        return np.full(len(x), -1)
    first, last = r - round(QRS_BEFORE_S * batch.fs), r - round(0.02 * batch.fs)

    def moved(by: int) -> NDArray[np.float32]:
        return x[:, :, first + by : last + by]

    height = _rms(moved(0) - (moved(-2) + moved(2)) / 2, batch.n_leads)
    before, after = ((moved(near) + moved(near + 1) + moved(near + 2)) / 3 for near in (-5, 3))
    found = (height >= STIMULUS_MV) & (height >= STIMULUS_RETURNS * (_rms(after - before, batch.n_leads) + 0.02))
    return np.where(found.any(axis=1), first + _first(found), -1)


def _without(median: NDArray[np.float32], stimulus: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the beats with a straight line over each stimulus."""
    if (stimulus < 0).all():
        return median
    changed = median.copy()
    for row in (stimulus >= 0).nonzero()[0]:
        first, last = stimulus[row] - 3, stimulus[row] + 4
        line = np.linspace(0, 1, last - first + 1, dtype=np.float32)
        changed[row, :, first : last + 1] = median[row, :, [first]].T * (1 - line) + median[row, :, [last]].T * line
    return changed


def _heights(
    median: NDArray[np.float32], begin: NDArray[np.int64], end: NDArray[np.int64], *, width: float, n_leads: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return how far all leads together are from the straight lines between the ends of these parts, both included, mV.

    Shape (n, n_longest): each from its own first sample on; what stands behind its last one means nothing.
    """
    from scipy.ndimage import correlate1d

    bell = _bell(width, order=0)
    reach, longest, n = len(bell) // 2, (end - begin).max() + 1, (end - begin + 1)[:, None]
    place = np.arange(-reach, longest + reach) % (2 * n)
    mirrored = begin[:, None] + np.minimum(place, 2 * n - 1 - place)  # beyond its ends a part goes on as in a mirror
    smooth = correlate1d(np.take_along_axis(median, mirrored[:, None], axis=2), bell)[:, :, reach : reach + longest]
    line = (np.arange(longest) / (n - 1)).astype(np.float32)[:, None]
    last = np.take_along_axis(smooth, (n - 1)[:, None], axis=2)
    return _rms(smooth - smooth[:, :, :1] * (1 - line) - last * line, n_leads)


def _is_repeated(beat: TypicalBeat, begin: int, end: int) -> bool:
    """Tell whether a stretch looks alike in most beats, and not only in their median, which noise has too."""
    parts, median = (part - mean_along(part, -1, keepdims=True) for part in (beat.beats[..., begin:end], beat.median[:, begin:end]))
    size = np.sqrt((parts**2).sum(axis=(0, 2)) * (median**2).sum())
    return float(median_along(np.einsum("lbt,lt->b", parts, median) / (size + 1e-12))) >= REPEATED


def _rms(values: NDArray[np.floating], n_leads: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the root mean square over so many leads, shape (n, n_samples)."""
    return np.asarray(np.sqrt(np.add.reduce(values**2, axis=1) / n_leads[:, None].astype(values.dtype)), dtype=np.float64)


def _rounded(samples: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.asarray(np.rint(samples), dtype=np.int64)


def _around(at: NDArray[np.int64], reach: int, slopes: _Slopes) -> NDArray[np.int64]:
    """Return the samples around each of these, shape (n, n_near), the outermost again where the part ends."""
    return np.asarray(np.clip(at[:, None] + np.arange(-reach, reach + 1), 0, slopes.end - slopes.first - 1))


def _first(found: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.asarray(found.argmax(axis=1))


def _last(found: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.asarray(found.shape[1] - 1 - found[:, ::-1].argmax(axis=1))


def _humps(speed: NDArray[np.float64], begin: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which samples before ``end`` are local maxima that reach ``HUMP`` of the largest one; where there are none, the largest is."""
    at = np.arange(speed.shape[1])
    inner = (at > begin[:, None]) & (at < end[:, None] - 1)
    inner[:, 1:-1] &= (speed[:, 1:-1] >= speed[:, :-2]) & (speed[:, 1:-1] > speed[:, 2:])
    largest = np.where(inner, speed, -np.inf).max(axis=1)
    inside = (at >= begin[:, None]) & (at < end[:, None])
    steepest = np.where(inside, speed, -np.inf).argmax(axis=1)
    high = inner & (speed >= HUMP * largest[:, None])
    return np.asarray(np.where(np.any(inner, axis=1, keepdims=True), high, at == steepest[:, None]))


def _flat(
    speed: NDArray[np.float64], start: NDArray[np.int64], level: NDArray[np.float64], stop: NDArray[np.int64], *, before: int
) -> NDArray[np.float64]:
    """Return the place, between samples, where the speed falls to a level on the way from ``start`` to ``stop``; else the flattest one.

    It is NaN where the speed is zero all the way. ``before`` are the samples of the beat before the first one here, from which places
    count.
    """
    at, step = np.arange(speed.shape[1]), np.where(stop < start, -1, 1)
    way = (at >= np.minimum(start, stop)[:, None]) & (at <= np.maximum(start, stop)[:, None])
    below = way & (speed <= level[:, None]) & (at != start[:, None])
    place = np.asarray(before + np.where(way, speed, np.inf).argmin(axis=1), dtype=np.float64)
    found = below.any(axis=1).nonzero()[0]
    near = np.where(step < 0, _last(below), _first(below))[found]
    here, beside = speed[found, near], speed[found, near - step[found]]
    share = np.divide(level[found] - here, beside - here, out=np.full(len(found), np.nan), where=beside != here)
    place[found] = before + near - step[found] * share
    return place
