"""Here: the beats of a recording and the typical one, fine enough to measure on. Not here: the beat of pictures (``median_beats``)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.signals import filters
from ecg_tasks.signals.median_beats import QRS_HZ, QRS_S, REFRACTORY_S, WANDER_HZ
from ecg_tasks.signals.middle import mean_along, median_along, median_of, middle_of

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
    return typical_beats(samples[None], fs=fs)[0]


def typical_beats(samples: NDArray[np.float32], *, fs: float) -> list[TypicalBeat | None]:
    """Return the most frequent kind of beat of each stretch; None where fewer than ``ENOUGH_BEATS`` have one shape.

    A beat belongs to it if its QRS complex correlates with that of the beat which most others are like: extrasystoles and artefacts
    are left out.

    Parameters
    ----------
    samples : shape (n, n_leads, n_samples), finite, mV, each lead with a signal; some seconds
    fs : Hz, ``MIN_FS`` or more
    """
    thinned, fs = _thinned(samples, fs=fs, target_fs=WORKING_HZ)
    steady = without_wander(thinned, fs=fs)
    return [_typical(one, peaks, fs=fs) for one, peaks in zip(steady, _r_peaks(thinned, fs=fs), strict=True)]


def _typical(steady: NDArray[np.float32], peaks: NDArray[np.int64], *, fs: float) -> TypicalBeat | None:
    """Return the most frequent kind of beat of one stretch without wander, given where beats are."""
    before, after = round(BEFORE_S * fs), round(AFTER_S * fs)
    move = round(_MOVE_S * fs)
    inside = (peaks >= before + 2 * move) & (peaks < steady.shape[1] - after - 2 * move)
    if np.count_nonzero(inside) < ENOUGH_BEATS:
        return None
    at = peaks[inside]
    reach = np.arange(-round(_QRS_REACH_S * fs), round(_QRS_REACH_S * fs) + 1)
    scaled = _evenly(steady, at[:, None] + reach)
    shapes = scaled[:, at[:, None] + reach]
    for _ in range(2):
        at, shapes = _in_step(scaled, at, _median(shapes[:, _alike(shapes)]), reach=reach, move=move)
    chosen = _alike(shapes)
    leads = np.flatnonzero(_repeats(shapes[:, chosen]) >= LEAD_REPEATS)
    if len(chosen) < ENOUGH_BEATS or not len(leads):
        return None
    beats = steady[leads[:, None, None], at[chosen][:, None] + np.arange(-before, after)]
    all_peaks = peaks.astype(np.float64)
    all_peaks[inside] = at
    return TypicalBeat(fs=fs, leads=leads, r_peaks_s=all_peaks / fs, beats=beats, median=_median(beats), r_peak=before)


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
    steps /= np.sort(steps)[..., middle, None] + 1e-12
    mean = np.sqrt(np.minimum(steps, 1e4)).mean(axis=1)  # an artefact in one lead cannot outweigh the others
    steepness = uniform_filter1d(mean, round(QRS_S * coarse_fs), mode="constant")
    heights = 0.4 * np.percentile(steepness, 98, axis=1)
    peaks = filters.peaks_of_rows(steepness, distance=round(REFRACTORY_S * coarse_fs), heights=heights)
    return [np.asarray(np.rint(one * (fs / coarse_fs)), dtype=np.int64) for one in peaks]


def _evenly(steady: NDArray[np.float32], places: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the leads in units of their own size at these places, so that one with noise of a millivolt counts as any other.

    A lead that hardly shows the beats is not made large.
    """
    around = steady[:, places]
    size = np.sqrt(mean_along((around - mean_along(around, 2, keepdims=True)) ** 2, (1, 2)))
    return np.asarray(steady / np.maximum(size, 0.3 * median_along(size) + 1e-9)[:, None], dtype=np.float32)


def _alike(shapes: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return which beats are like the beat that most are like; ``shapes`` (n_leads, n_beats, n_samples)."""
    flat = (shapes - mean_along(shapes, 2, keepdims=True)).transpose(1, 0, 2).reshape(shapes.shape[1], -1)
    flat /= np.sqrt((flat**2).sum(axis=1, keepdims=True)) + 1e-12
    alike = flat @ flat.T >= ALIKE
    return np.asarray(alike[alike.sum(axis=1).argmax()].nonzero()[0])


def _repeats(shapes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how alike the beats are in each lead: the median correlation of one with their mean, shape (n_leads,)."""
    apart = shapes - mean_along(shapes, 2, keepdims=True)
    mean = mean_along(apart, 1)
    size = np.sqrt((apart**2).sum(axis=2) * (mean**2).sum(axis=1)[:, None]) + 1e-12
    return np.asarray(median_along(np.einsum("lbt,lt->lb", apart, mean) / size), dtype=np.float32)


def _in_step(
    steady: NDArray[np.float32], peaks: NDArray[np.int64], template: NDArray[np.float32], *, reach: NDArray[np.int64], move: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return R peaks moved to where each beat is nearest to the template, and the beats there, shape (n_leads, n_beats, n_samples)."""
    wide = steady[:, peaks[:, None] + np.arange(reach[0] - move, reach[-1] + move + 1)]
    tried = np.lib.stride_tricks.sliding_window_view(wide, len(reach), axis=2)  # n_leads, n_beats, n_moves, n_samples
    product = np.einsum("lbmt,lt->bm", tried, template)
    energy = np.zeros((wide.shape[1], wide.shape[2] + 1), wide.dtype)
    np.cumsum((wide**2).sum(axis=0), axis=1, out=energy[:, 1:])
    distance = energy[:, len(reach) :] - energy[:, : -len(reach)] - 2 * product
    best = distance.argmin(axis=1)
    moved = np.clip(peaks + best - move, -reach[0] + move, steady.shape[1] - reach[-1] - move - 1)
    return moved, steady[:, moved[:, None] + reach]


def _median(beats: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the median of the beats (n_leads, n_beats, n_samples); of an even number, the mean of the middle two."""
    return np.asarray(median_of(list(beats.swapaxes(0, 1))), dtype=np.float32)
