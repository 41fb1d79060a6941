"""Here: the beats of a recording and the typical one, fine enough to measure on. Not here: the beat of pictures (``median_beats``)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.signals import filters
from ecg_tasks.signals.median_beats import QRS_HZ, QRS_S, REFRACTORY_S, WANDER_HZ
from ecg_tasks.signals.middle import mean_along, median_along, median_kept, median_of, middle_of, percentile_along

WORKING_HZ = 250.0
"""About this rate is measured at: a faster recording is thinned to it by the mean of neighbouring samples."""
MIN_FS = 95.0
"""Hz. Of a slower recording the edges of a wave are not sharp enough."""
BEFORE_S, AFTER_S = 0.4, 0.72
"""Seconds of a beat before and after its R peak."""
ALIKE = 0.85
"""Correlation from which on two beats have one shape: a ventricular extrasystole is below, a breath of the person above."""
LEAD_REPEATS = 0.7
"""Correlation of single QRS complexes of a lead with their mean, in the median; a lead below it is noise."""
_WANDER_FS = 20.0
_FILTERED_AT_ONCE = 32
"""Stretches of which all samples are in memory at a higher rate and precision."""
ENOUGH_BEATS = 3
"""Beats of one shape that a typical one can be made of."""
_QRS_REACH_S = 0.1
"""Seconds on both sides of the R peak by which beats are brought in step and compared."""
_MOVE_S = 0.032


@dataclass(frozen=True, kw_only=True, eq=False)
class TypicalBeat:
    """The most frequent kind of beat in a stretch of a recording, and when all beats came.

    Parameters
    ----------
    fs : Hz, of the arrays below
    leads : shape (n_leads,), rows of the samples that the beats are of; leads in which they do not repeat are left out
    r_peaks_s : shape (n_all,), s from the stretch's start, of all beats of any shape
    beats : shape (n_leads, n_alike, n_samples), mV, the beats of one shape in step; without baseline wander
    median : shape (n_leads, n_samples), mV, the median of these
    r_peak : the sample of ``median`` at which the R peaks are
    """

    fs: float
    leads: NDArray[np.int64]
    r_peaks_s: NDArray[np.float64]
    beats: NDArray[np.float32]
    median: NDArray[np.float32]
    r_peak: int

    @cached_property
    def rr_s(self) -> float:
        """The median interval between beats, s."""
        return middle_of(np.diff(self.r_peaks_s))


def typical_beat(samples: NDArray[np.float32], *, fs: float) -> TypicalBeat | None:
    """Return the most frequent kind of beat in one stretch, shape (n_leads, n_samples), as `typical_beats` does."""
    return typical_beats([samples], fs=fs)[0]


def typical_beats(samples: Sequence[NDArray[np.float32]], *, fs: float) -> list[TypicalBeat | None]:
    """Return the most frequent kind of beat of each stretch; None where fewer than ``ENOUGH_BEATS`` have one shape.

    A beat belongs to it if its QRS complex correlates with that of the beat which most others are like: extrasystoles and artefacts
    are left out.

    Parameters
    ----------
    samples : stretches of one shape (n_leads, n_samples), finite, mV, each lead with a signal; some seconds
    fs : Hz, ``MIN_FS`` or more
    """
    parts, peaks = [], []
    for start in range(0, len(samples), _FILTERED_AT_ONCE):
        thinned, working_fs = _thinned(np.stack(samples[start : start + _FILTERED_AT_ONCE]), fs=fs, target_fs=WORKING_HZ)
        parts.append(without_wander(thinned, fs=working_fs))
        peaks += _r_peaks(thinned, fs=working_fs)
    steady, fs = np.concatenate(parts), working_fs
    before, after, move = round(BEFORE_S * fs), round(AFTER_S * fs), round(_MOVE_S * fs)
    inside = [(one >= before + 2 * move) & (one < steady.shape[2] - after - 2 * move) for one in peaks]
    alike, leads = [np.empty(0, np.int64)] * len(steady), [np.empty(0, np.int64)] * len(steady)
    for rows in _with_as_many([int(np.count_nonzero(one)) for one in inside]):
        at, chosen, repeats = _in_step(steady, rows, np.array([peaks[row][inside[row]] for row in rows]), fs=fs)
        for row, its_peaks, its_alike, its_repeats in zip(rows.tolist(), at, chosen, repeats, strict=True):
            peaks[row][inside[row]] = its_peaks
            alike[row], leads[row] = its_peaks[its_alike], (its_repeats >= LEAD_REPEATS).nonzero()[0]
    typical: list[TypicalBeat | None] = [None] * len(steady)
    for rows in _with_as_many([len(one) for one in alike]):
        beats = _cut(steady, rows, np.array([alike[row] for row in rows]) - before, length=before + after)
        for row, its_beats, median in zip(rows.tolist(), beats, median_of(list(beats.transpose(2, 0, 1, 3))), strict=True):
            its = leads[row]
            if len(its):
                typical[row] = TypicalBeat(
                    fs=fs, leads=its, r_peaks_s=peaks[row] / fs, beats=its_beats[its], median=median[its], r_peak=before
                )
    return typical


def _with_as_many(n_beats: Sequence[int]) -> list[NDArray[np.int64]]:
    """Return the rows that have as many beats as one another, group by group; those without ``ENOUGH_BEATS`` are left out."""
    counts = np.array(n_beats)
    return [(counts == count).nonzero()[0] for count in np.unique(counts) if count >= ENOUGH_BEATS]


def _cut(samples: NDArray[np.float32], rows: NDArray[np.int64], first: NDArray[np.int64], *, length: int) -> NDArray[np.float32]:
    """Return so many samples of these rows from each of their places ``first`` on, shape (n_rows, n_leads, n_places, length)."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, length, axis=2)
    return np.asarray(windows[rows[:, None, None], np.arange(samples.shape[1])[:, None], first[:, None]])


def without_wander(samples: NDArray[np.float32], *, fs: float) -> NDArray[np.float32]:
    """Remove what is slower than ``WANDER_HZ``; computed at a low rate, it takes a tenth of the time that filtering all samples does."""
    blocks, block_fs = _thinned(samples, fs=fs, target_fs=_WANDER_FS)
    wander = (blocks - filters.above(blocks, WANDER_HZ, fs=block_fs)).astype(np.float32)
    step = round(fs / block_fs)
    at = np.arange(samples.shape[-1])
    place = np.clip((at - (step - 1) // 2) // step, 0, blocks.shape[-1] - 2)  # the block whose middle is before each sample
    share = ((at - (step - 1) / 2) / step - place).astype(np.float32)
    n_times = np.bincount(place)
    steady = samples - np.repeat(wander[..., :-1], n_times, axis=-1)
    steady -= np.repeat(np.diff(wander), n_times, axis=-1) * share
    return np.asarray(steady, dtype=np.float32)


def _thinned(samples: NDArray[np.float32], *, fs: float, target_fs: float) -> tuple[NDArray[np.float32], float]:
    """Return means of as many neighbouring samples as bring the rate next to ``target_fs``, and the new rate; a slower signal stays."""
    step = max(1, round(fs / target_fs))
    if step == 1:
        return samples, fs
    end = samples.shape[-1] // step * step
    total = samples[..., 0:end:step].copy()
    for at in range(1, step):  # a mean over an axis of two takes five times as long
        total += samples[..., at:end:step]
    total /= step
    return total, fs / step


def _r_peaks(samples: NDArray[np.float32], *, fs: float) -> list[NDArray[np.int64]]:
    """Return of each stretch where 0.12 s of all leads together are steepest, each lead in units of its own median steepness."""
    from scipy.ndimage import uniform_filter1d

    coarse, coarse_fs = _thinned(samples, fs=fs, target_fs=125.0)
    steps = np.diff(filters.between(coarse, QRS_HZ, fs=coarse_fs), prepend=0) ** 2
    middle = steps.shape[-1] // 2
    steps /= np.partition(steps, middle)[..., middle, None] + 1e-12
    mean = np.sqrt(np.minimum(steps, 1e4)).mean(axis=1)  # an artefact in one lead cannot outweigh the others
    steepness = uniform_filter1d(mean, round(QRS_S * coarse_fs), mode="constant")
    heights = 0.4 * percentile_along(steepness, 98)
    peaks = filters.peaks_of_rows(steepness, distance=round(REFRACTORY_S * coarse_fs), heights=heights)
    return [np.asarray(np.rint(one * (fs / coarse_fs)), dtype=np.int64) for one in peaks]


def _in_step(
    steady: NDArray[np.float32], rows: NDArray[np.int64], peaks: NDArray[np.int64], *, fs: float
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.float32]]:
    """Move beats to where each is nearest to the median of those that most are like.

    Parameters
    ----------
    steady : shape (n, n_leads, n_samples), of which these rows count
    peaks : shape (n_rows, n_beats), R peaks, ``_MOVE_S`` twice or more inside

    Returns
    -------
    tuple
        The R peaks; which beats are alike, of the same shape; and how alike these are in each lead, shape (n_rows, n_leads).
    """
    reach, move = round(_QRS_REACH_S * fs), round(_MOVE_S * fs)
    n, (n_rows, n_beats), n_leads = 2 * reach + 1, peaks.shape, steady.shape[1]
    wide = _cut(steady, rows, peaks - reach - 2 * move, length=n + 4 * move).transpose(0, 2, 3, 1)
    around = np.ascontiguousarray(wide)
    around /= _size(around[:, :, 2 * move : 2 * move + n])[:, None, None]

    def at(first: NDArray[np.int64], length: int) -> NDArray[np.float32]:
        """Return so many samples from each place on, shape (n_rows, n_beats, length * n_leads)."""
        flat = around.reshape(n_rows, n_beats, -1)
        every = np.lib.stride_tricks.sliding_window_view(flat, length * n_leads, axis=2)[:, :, ::n_leads]
        return np.asarray(every[np.arange(n_rows)[:, None], np.arange(n_beats), first])

    first = np.full(peaks.shape, 2 * move)
    for _ in range(2):
        shapes = at(first, n).reshape(n_rows, n_beats, n, n_leads)
        template = _medians(shapes, _alike(_level(shapes)))
        first = first - move + _nearest(at(first - move, n + 2 * move), template)
    shapes = _level(at(first, n).reshape(n_rows, n_beats, n, n_leads))
    chosen = _alike(shapes)
    return peaks + first - 2 * move, chosen, _repeats(shapes, chosen)


def _size(shapes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each lead's unit, its size in these beats, so that one with noise of a millivolt counts as any other, shape (n_rows, n_leads).

    A lead that hardly shows the beats is not made large.
    """
    size = np.sqrt(mean_along(_level(shapes) ** 2, (1, 2)))
    return np.asarray(np.maximum(size, 0.3 * median_along(size)[:, None] + 1e-9), dtype=np.float32)


def _level(shapes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return beats about their own means; all ``shapes`` have shape (n_rows, n_beats, n_samples, n_leads)."""
    return np.asarray(shapes - mean_along(shapes, 2, keepdims=True), dtype=np.float32)


def _alike(level: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell which beats are like the beat that most are like, shape (n_rows, n_beats); the first one where all are flat."""
    flat = level.swapaxes(2, 3).reshape(*level.shape[:2], -1)
    flat = flat / (np.sqrt((flat**2).sum(axis=2, keepdims=True)) + 1e-12)
    alike = flat @ flat.swapaxes(1, 2) >= ALIKE
    chosen = alike[np.arange(len(alike)), alike.sum(axis=2).argmax(axis=1)]
    chosen[~chosen.any(axis=1), 0] = True
    return np.asarray(chosen)


def _medians(shapes: NDArray[np.float32], chosen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the median of each row's chosen beats, shape (n_rows, n_samples, n_leads)."""
    medians = np.empty((len(shapes), *shapes.shape[2:]), np.float32)
    counts = chosen.sum(axis=1)
    for count in np.unique(counts):
        rows = counts == count
        beats = shapes[rows][chosen[rows]].reshape(-1, count, *shapes.shape[2:])
        medians[rows] = median_of(list(beats.swapaxes(0, 1)))
    return medians


def _nearest(wide: NDArray[np.float32], template: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return by how many samples the template is moved to where each beat is nearest to it, shape (n_rows, n_beats).

    Parameters
    ----------
    wide : shape (n_rows, n_beats, n_wide * n_leads)
    template : shape (n_rows, n_samples, n_leads)
    """
    n_rows, n, n_leads = template.shape
    tried = np.lib.stride_tricks.sliding_window_view(wide, n * n_leads, axis=2)[:, :, ::n_leads]
    product = np.einsum("rbmk,rk->rbm", tried, template.reshape(n_rows, -1))
    squares = (wide.reshape(*wide.shape[:2], -1, n_leads) ** 2).sum(axis=3)
    energy = np.zeros((*squares.shape[:2], squares.shape[2] + 1), wide.dtype)
    np.cumsum(squares, axis=2, out=energy[:, :, 1:])
    return np.asarray((energy[:, :, n:] - energy[:, :, :-n] - 2 * product).argmin(axis=2))


def _repeats(level: NDArray[np.float32], chosen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return how alike the chosen beats are in each lead: the median correlation of one with their mean, shape (n_rows, n_leads)."""
    n_chosen = chosen.sum(axis=1)[:, None, None].astype(np.float32)
    mean = np.add.reduce(level * chosen[:, :, None, None], axis=1) / n_chosen
    size = np.sqrt((level**2).sum(axis=2) * (mean**2).sum(axis=1)[:, None]) + 1e-12
    correlation = np.einsum("rbtl,rtl->rbl", level, mean) / size
    return np.asarray(median_kept(correlation.swapaxes(1, 2), chosen[:, None]), dtype=np.float32)
