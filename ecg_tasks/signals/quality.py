"""Here: how far a window can be trusted, and what is wrong with it. Not here: what a model does with a window of low quality.

Every fault has one measure and one bound. At the bound the quality is halved and the fault gets its flag; a measure of zero leaves
a quality of 1: ``quality = 1 / (1 + (measure / bound)²)``. A lead is as good as its worst fault lets it be, a window is
the mean of its leads. So quality falls steadily as a fault grows, and one bad lead of twelve does not spoil a window.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.signals.windowing import Windows


class Flag(StrEnum):
    """What is wrong with a window. The values are stored and shown, so they never change."""

    FLAT = "flat"
    """The signal stands still."""
    CLIPPED = "clipped"
    """The signal stays at its highest or lowest value: the amplifier or the converter had no more room."""
    BASELINE_WANDER = "baseline_wander"
    """The baseline moves, with breathing or with the electrodes."""
    NOISE = "noise"
    """Muscles or mains cover the small waves."""
    LEAD_OFF = "lead_off"
    """A lead carries nothing while others do."""
    NO_BEATS = "no_beats"
    """No beat was found in the recording, so it has no window at all."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Quality:
    """Quality of each window, float32 of shape (n,), 0 (useless) to 1 (clean), and its flags, comma-joined, empty when nothing is wrong."""

    values: NDArray[np.float32]
    flags: list[str]


@dataclass(frozen=True, kw_only=True)
class RecordingQuality:
    """Faults of windows in mV.

    Parameters
    ----------
    noise_ratio : bound of the noise, as a share of a lead's amplitude
    wander_mv : bound of the peak-to-peak of what lies below ``wander_hz``, in mV
    wander_hz : Hz; no heart beats so slowly
    clipped_share : bound of the share of samples that stay at an extreme
    still_share : bound of the share of a window in which nothing moves
    still_s : seconds without movement that count
    still_mv : steps up to this, from sample to sample, are no movement
    off_mv : a lead with less from peak to peak is not connected
    """

    noise_ratio: float = 0.06
    wander_mv: float = 1.5
    wander_hz: float = 0.5
    clipped_share: float = 0.03
    still_share: float = 0.1
    still_s: float = 1.0
    still_mv: float = 0.001
    off_mv: float = 0.05

    def judge(self, windows: Windows, *, fs: float) -> Quality:
        """Judge windows of shape (n, n_leads, n_samples), mV; a window's quality does not depend on the others."""
        samples = windows.samples
        n_real = np.full(samples.shape[:2], samples.shape[2])
        wander = _below(samples, cutoff_hz=self.wander_hz, fs=fs)
        amplitude = np.ptp(samples - wander, axis=-1)
        off = amplitude < self.off_mv
        all_off = off.all(axis=1, keepdims=True)
        measures = {
            Flag.FLAT: np.where(
                off, np.where(all_off, np.inf, 0), _still(samples, n_real, round(self.still_s * fs), self.still_mv) / self.still_share
            ),
            Flag.CLIPPED: np.where(off, 0, _clipped(samples, n_real) / self.clipped_share),
            Flag.BASELINE_WANDER: np.ptp(wander, axis=-1) / self.wander_mv,
            Flag.NOISE: np.where(off, 0, _noise(samples, n_real) / np.where(off, 1, amplitude) / self.noise_ratio),
            Flag.LEAD_OFF: np.where(off & ~all_off, np.inf, 0),
        }
        return _summary(measures)


@dataclass(frozen=True, kw_only=True)
class BeatQuality:
    """Faults of single beats, whose scale is relative: wander and a lead that is off cannot be seen in them.

    Parameters
    ----------
    noise_ratio : bound of the noise, as a share of the beat's amplitude
    clipped_share : bound of the share of samples that stay at an extreme
    still_share : bound of the share of a beat in which nothing moves
    still_s : seconds without movement that count
    still_step : steps up to this, from sample to sample, are no movement; relative unit
    flat_range : a beat with less from its lowest to its highest value is flat; relative unit
    """

    noise_ratio: float = 0.08
    clipped_share: float = 0.05
    still_share: float = 0.2
    still_s: float = 0.2
    still_step: float = 0.001
    flat_range: float = 0.01

    def judge(self, windows: Windows, *, fs: float) -> Quality:
        """Judge beats of shape (n, 1, n_samples), relative unit; the padding is left out."""
        n_real = windows.n_real[:, None]
        real = np.arange(windows.samples.shape[2]) < n_real[..., None]
        samples = np.where(real, windows.samples, windows.samples[..., :1])  # padding must not be the lowest value
        amplitude = np.ptp(samples, axis=-1)
        flat = amplitude < self.flat_range
        measures = {
            Flag.FLAT: np.where(flat, np.inf, _still(samples, n_real, round(self.still_s * fs), self.still_step) / self.still_share),
            Flag.CLIPPED: np.where(flat, 0, _clipped(samples, n_real) / self.clipped_share),
            Flag.NOISE: np.where(flat, 0, _noise(samples, n_real) / np.where(flat, 1, amplitude) / self.noise_ratio),
        }
        return _summary(measures)


def _summary(measures: Mapping[Flag, NDArray[np.floating]]) -> Quality:
    """Quality and flags of windows from the measures (n, n_leads) of each fault, 1 at its bound."""
    stacked = np.stack(list(measures.values()))  # fault, window, lead
    found = (stacked >= 1).any(axis=2)
    code = (found * (1 << np.arange(len(measures)))[:, None]).sum(axis=0)
    names = [",".join(flag for bit, flag in enumerate(measures) if number >> bit & 1) for number in range(1 << len(measures))]
    values = (1 / (1 + stacked.max(axis=0) ** 2)).mean(axis=1)
    return Quality(values=values.astype(np.float32), flags=[names[number] for number in code.tolist()])


def _below(samples: NDArray[np.float32], *, cutoff_hz: float, fs: float) -> NDArray[np.floating]:
    """What lies at and below ``cutoff_hz``, same shape."""
    n_samples = samples.shape[-1]
    spectrum = np.fft.rfft(samples, axis=-1)
    spectrum[..., np.fft.rfftfreq(n_samples, 1 / fs) > cutoff_hz] = 0
    return np.fft.irfft(spectrum, n_samples, axis=-1)


def _noise(samples: NDArray[np.float32], n_real: NDArray[np.integer]) -> NDArray[np.floating]:
    """Standard deviation of the noise, shape (n, n_leads), in the samples' unit.

    From the median size of second differences: waves are smooth or short, so half of all samples see little but noise. White
    noise of standard deviation 1 has second differences of standard deviation √6, and their median size is 0.6745 of it.
    """
    size = np.abs(np.diff(samples, n=2, axis=-1))
    n_differences = np.maximum(n_real - 2, 1)
    size[np.arange(size.shape[-1]) >= n_differences[..., None]] = np.inf  # the padding sorts last
    size.sort(axis=-1)
    median = np.take_along_axis(size, (n_differences[..., None] - 1) // 2, axis=-1)[..., 0]
    return np.asarray(median / (0.6745 * 6**0.5))


def _still(samples: NDArray[np.float32], n_real: NDArray[np.integer], stretch: int, step: float) -> NDArray[np.floating]:
    """Share of all stretches of that many steps in which no step is larger than ``step``, shape (n, n_leads)."""
    is_still = np.abs(np.diff(samples, axis=-1)) <= step
    n_still = np.cumsum(np.concatenate([np.zeros_like(is_still[..., :1]), is_still], axis=-1), axis=-1, dtype=np.int32)
    whole = n_still[..., stretch:] - n_still[..., :-stretch] == stretch
    n_stretches = np.maximum(n_real - stretch, 1)
    whole &= np.arange(whole.shape[-1]) < n_stretches[..., None]
    return np.asarray(whole.sum(axis=-1) / n_stretches)


def _clipped(samples: NDArray[np.float32], n_real: NDArray[np.integer]) -> NDArray[np.floating]:
    """Share of samples that stay, with both their neighbours, within 0.5 % of the lead's range from an extreme, shape (n, n_leads)."""
    real = np.arange(samples.shape[-1]) < n_real[..., None]
    highest, lowest = samples.max(axis=-1, keepdims=True), samples.min(axis=-1, keepdims=True)
    near = 0.005 * (highest - lowest)
    high, low = real & (samples >= highest - near), real & (samples <= lowest + near)
    stays_high = high[..., 2:] & high[..., 1:-1] & high[..., :-2]
    stays_low = low[..., 2:] & low[..., 1:-1] & low[..., :-2]
    return np.asarray((stays_high.sum(axis=-1) + stays_low.sum(axis=-1)) / np.maximum(n_real, 1))
