"""Here: how far a window can be trusted, and what is wrong with it. Not here: what a model does with a window of low quality.

Every fault has one measure and one bound. At the bound a single fault halves the quality and gets its flag; without any fault the quality
is 1: ``quality = 1 / (1 + Σ (measure / bound)²)``, the sum being over the faults. A window is the mean of its leads. So quality
falls as any fault grows, whatever others there are, and one bad lead of twelve does not spoil a window.

A beat that was cut from a recording has the faults of the ten seconds around it too: by itself it is too short to show
wander, and it was scaled, so that it cannot show that a lead is off.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.signals.flags import Flag, join_flags
from ecg_tasks.signals.resampling import resample
from ecg_tasks.signals.windowing import Windows

MAINS_HZ = (50.0, 60.0)
"""Frequencies of the world's mains."""
_LEADS_AT_ONCE = 96
"""Leads of windows that are assessed together: what is computed of them stays in a processor's cache."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Quality:
    """Quality of each window, float32 of shape (n,), 0 (useless) to 1 (clean), and its flags, comma-joined, empty when nothing is wrong."""

    values: NDArray[np.float32]
    flags: list[str]

    def joined_by(self, other: "Quality", *, index: NDArray[np.integer]) -> "Quality":
        """Return quality with further faults: window i bears those of entry ``index[i]`` of ``other`` too, or none where that is -1."""
        bad = np.finfo(np.float32).tiny  # a quality of 0 must stay 0, and not become a division by it
        theirs = np.append(other.values, np.float32(1))[index]
        both = 1 / (1 / np.maximum(self.values, bad) + 1 / np.maximum(theirs, bad) - 1)
        values = np.where(index >= 0, both, self.values).astype(np.float32)
        further = [*other.flags, ""]
        return Quality(values=values, flags=[join_flags(mine, further[at]) for mine, at in zip(self.flags, index, strict=True)])


@dataclass(frozen=True, kw_only=True)
class RecordingQuality:
    """Faults of windows in mV. The bounds lie where a fault begins to cost the models more than 0.03 of AUROC.

    Parameters
    ----------
    noise_ratio : bound of the noise, as a share of a lead's amplitude
    mains_ratio : bound of the mains hum (root mean square), as a share of a lead's amplitude
    stretch_s : seconds over which noise and hum are measured at a time; their power is averaged, so that a burst counts for its share
    wander_mv : bound of the peak-to-peak of what lies below ``wander_hz``, in mV
    wander_hz : Hz; no heart beats so slowly
    clipped_share : bound of the share of samples that stay at an extreme
    still_share : bound of the share of a window in which nothing moves
    still_s : seconds without movement that count
    still_mv : steps up to this, from sample to sample, are no movement
    off_mv : a lead with less from peak to peak is not connected
    off_share : bound of the share of leads that are off, beyond what each of them costs by itself
    """

    noise_ratio: float = 0.08
    mains_ratio: float = 0.12
    stretch_s: float = 1.0
    wander_mv: float = 3.0
    wander_hz: float = 0.5
    clipped_share: float = 0.05
    still_share: float = 0.3
    still_s: float = 1.0
    still_mv: float = 0.001
    off_mv: float = 0.05
    off_share: float = 0.4

    def assess(self, windows: Windows, *, fs: float) -> Quality:
        """Assess windows of shape (n, n_leads, n_samples), mV; a window's quality does not depend on the others.

        Of a window that is not full, only the real samples count.
        """
        values, flags = np.empty(len(windows), np.float32), [""] * len(windows)
        at_once = max(1, _LEADS_AT_ONCE // windows.samples.shape[1])
        for length in np.unique(windows.n_real).tolist():
            alike = np.flatnonzero(windows.n_real == length)
            for some in np.split(alike, range(at_once, len(alike), at_once)):
                assessed = self._assess(windows.samples[some, :, :length], windows.clipped[some], fs=fs)
                values[some] = assessed.values
                for at, found in zip(some.tolist(), assessed.flags, strict=True):
                    flags[at] = found
        return Quality(values=values, flags=flags)

    def _assess(self, samples: NDArray[np.float32], clipped: NDArray[np.float32], *, fs: float) -> Quality:
        n_real = np.full(samples.shape[:2], samples.shape[2])
        wander = _below(samples, cutoff_hz=self.wander_hz, fs=fs)
        amplitude = np.ptp(samples - wander, axis=-1)
        off = amplitude < self.off_mv
        all_off = off.all(axis=1, keepdims=True)
        amplitude = np.where(off, np.inf, amplitude)  # what does not beat has no noise to be told from beats
        disturbed = _disturbance(_stretches(samples, round(self.stretch_s * fs)), fs=fs)
        measures = {
            Flag.FLAT: np.where(
                off, np.where(all_off, np.inf, 0), _still(samples, n_real, round(self.still_s * fs), self.still_mv) / self.still_share
            ),
            Flag.CLIPPED: np.where(off, 0, clipped / self.clipped_share),
            Flag.BASELINE_WANDER: np.ptp(wander, axis=-1) / self.wander_mv,
            Flag.NOISE: (disturbed.noise**2).mean(axis=-1) ** 0.5 / amplitude / self.noise_ratio,
            Flag.MAINS: (disturbed.mains**2).mean(axis=-1) ** 0.5 / amplitude / self.mains_ratio,
            Flag.LEAD_OFF: np.where(off & ~all_off, np.inf, off.mean(axis=1, keepdims=True) / self.off_share * ~all_off),
        }
        return _summary(measures)


@dataclass(frozen=True, kw_only=True)
class SampleQuality(RecordingQuality):
    """Faults of windows in mV at a high sampling rate, measured at the rate that the bounds were found at.

    Parameters
    ----------
    assessed_fs : Hz
    """

    assessed_fs: float = 125.0

    def assess(self, windows: Windows, *, fs: float) -> Quality:
        """Assess windows of shape (n, n_leads, n_samples), mV; a window's quality does not depend on the others."""
        n_real = np.ceil(windows.n_real * (self.assessed_fs / fs)).astype(np.int32)
        samples = resample(windows.samples, fs=fs, target_fs=self.assessed_fs)
        return super().assess(replace(windows, samples=samples, n_real=n_real), fs=self.assessed_fs)


@dataclass(frozen=True, kw_only=True)
class BeatQuality:
    """Faults of single beats, whose scale is relative.

    Parameters
    ----------
    noise_ratio : bound of the noise, as a share of the beat's amplitude
    mains_ratio : bound of the mains hum (root mean square), as a share of the beat's amplitude
    clipped_share : bound of the share of samples that stay at an extreme
    still_share : bound of the share of a beat in which nothing moves
    still_s : seconds without movement that count
    still_step : steps up to this, from sample to sample, are no movement; relative unit
    flat_range : a beat with less from its lowest to its highest value is flat; relative unit
    surroundings : faults of the ten seconds that a beat was cut from, where these are known
    """

    noise_ratio: float = 0.1
    mains_ratio: float = 0.15
    clipped_share: float = 0.05
    still_share: float = 0.2
    still_s: float = 0.2
    still_step: float = 0.001
    flat_range: float = 0.01
    surroundings: RecordingQuality = RecordingQuality()

    def assess(self, windows: Windows, *, fs: float) -> Quality:
        """Assess beats of shape (n, 1, n_samples), relative unit; the padding is left out."""
        n_real = windows.n_real[:, None]
        real = np.arange(windows.samples.shape[2]) < n_real[..., None]
        samples = np.where(real, windows.samples, windows.samples[..., :1])  # padding must not be the lowest value
        amplitude = np.ptp(samples, axis=-1)
        flat = amplitude < self.flat_range
        amplitude = np.where(flat, np.inf, amplitude)
        disturbed = _disturbance(samples, n_real, fs=fs)
        measures = {
            Flag.FLAT: np.where(flat, np.inf, _still(samples, n_real, round(self.still_s * fs), self.still_step) / self.still_share),
            Flag.CLIPPED: np.where(flat, 0, windows.clipped / self.clipped_share),
            Flag.NOISE: disturbed.noise / amplitude / self.noise_ratio,
            Flag.MAINS: disturbed.mains / amplitude / self.mains_ratio,
        }
        return _summary(measures)


def _summary(measures: Mapping[Flag, NDArray[np.floating]]) -> Quality:
    """Return the quality and flags of windows from the measures (n, n_leads) of each fault, 1 at its bound; the faults of a lead add up."""
    stacked = np.stack(list(measures.values()))  # fault, window, lead
    found = (stacked >= 1).any(axis=2)
    code = (found * (1 << np.arange(len(measures)))[:, None]).sum(axis=0)
    names = [",".join(flag for bit, flag in enumerate(measures) if number >> bit & 1) for number in range(1 << len(measures))]
    values = (1 / (1 + (stacked**2).sum(axis=0))).mean(axis=1)
    return Quality(values=values.astype(np.float32), flags=[names[number] for number in code.tolist()])


def _below(samples: NDArray[np.float32], *, cutoff_hz: float, fs: float) -> NDArray[np.floating]:
    """Return what lies at and below ``cutoff_hz``, same shape."""
    n_samples = samples.shape[-1]
    n_kept = np.searchsorted(np.fft.rfftfreq(n_samples, 1 / fs), cutoff_hz, side="right")
    return np.fft.irfft(np.fft.rfft(samples, axis=-1)[..., :n_kept], n_samples, axis=-1)


class _Disturbance(NamedTuple):
    """Root mean square of noise and of mains hum, each of shape (...), in the samples' unit."""

    noise: NDArray[np.floating]
    mains: NDArray[np.floating]


def _stretches(samples: NDArray[np.float32], n_samples: int) -> NDArray[np.float32]:
    """Return whole stretches of so many samples, shape (..., n_stretches, n_samples); a shorter signal is one stretch."""
    n = max(1, samples.shape[-1] // n_samples)
    length = min(n_samples, samples.shape[-1])
    return samples[..., : n * length].reshape(*samples.shape[:-1], n, length)


def _disturbance(samples: NDArray[np.float32], n_real: NDArray[np.integer] | None = None, *, fs: float) -> _Disturbance:
    """Return noise and mains hum of signals of shape (..., n_samples), of which the first ``n_real`` (...) count.

    From second differences: waves are smooth or short, so half of all samples see little but noise. White noise of standard deviation
    1 has second differences of standard deviation √6, and their median size is 0.6745 of it. What of them swings at 50 or 60 Hz
    is the mains; it is taken apart first, with large differences cut off, which are QRS complexes.
    """
    steps = np.diff(samples, n=2, axis=-1).astype(np.float32, copy=False)
    n_steps = np.maximum((samples.shape[-1] if n_real is None else n_real) - 2, 1)
    inside = None if n_real is None else np.arange(steps.shape[-1]) < n_steps[..., None]
    limit = 3 * _median_size(steps, inside)[..., None]
    power = np.zeros(steps.shape[:-1])
    for hz in MAINS_HZ:
        turn = np.exp(2j * np.pi * hz / fs * np.arange(steps.shape[-1])).astype(np.complex64)
        small = np.minimum(np.maximum(steps, -limit), limit)
        # not a matrix product, whose rounding depends on how many signals stand side by side
        swing = 2 * ((small if inside is None else small * inside) * turn.conj()).sum(axis=-1) / n_steps
        steps = steps - (swing[..., None] * turn).real
        power += np.abs(swing) ** 2 / 2 / (4 * np.sin(np.pi * hz / fs) ** 2) ** 2
    return _Disturbance(noise=_median_size(steps, inside) / (0.6745 * 6**0.5), mains=power**0.5)


def _median_size(values: NDArray[np.floating], chosen: NDArray[np.bool_] | None) -> NDArray[np.floating]:
    """Return the median size of the chosen values (None: of all) along the last axis, the lower of two middle ones."""
    if chosen is None:
        return np.asarray(np.sort(np.abs(values), axis=-1)[..., (max(values.shape[-1], 1) - 1) // 2])
    size = np.where(chosen, np.abs(values), np.inf)
    size.sort(axis=-1)
    middle = (np.maximum(chosen.sum(axis=-1, keepdims=True), 1) - 1) // 2
    return np.asarray(np.take_along_axis(size, middle, axis=-1)[..., 0])


def _still(samples: NDArray[np.float32], n_real: NDArray[np.integer], stretch: int, step: float) -> NDArray[np.floating]:
    """Return the share of all stretches of that many steps in which no step is larger than ``step``, shape (n, n_leads)."""
    is_still = np.abs(np.diff(samples, axis=-1)) <= step
    n_still = np.cumsum(np.concatenate([np.zeros_like(is_still[..., :1]), is_still], axis=-1), axis=-1, dtype=np.int32)
    whole = n_still[..., stretch:] - n_still[..., :-stretch] == stretch
    n_stretches = np.maximum(n_real - stretch, 1)
    whole &= np.arange(whole.shape[-1]) < n_stretches[..., None]
    return np.asarray(whole.sum(axis=-1) / n_stretches)
