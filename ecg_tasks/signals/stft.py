"""Here: the short-time Fourier transform, in dB and with its sign, of any batch of windows. Not here: what is cut or drawn."""

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import SignalError


@dataclass(frozen=True, kw_only=True)
class StftParams:
    """How a signal is cut into frames and what 0 dB means.

    Parameters
    ----------
    n_fft : length of the transform in samples: larger means a finer grid of frequencies
    hop_length : samples from one frame to the next: smaller means more frames
    window : ``boxcar`` leaves a frame as it is; ``hann`` (periodic) tapers its ends, for less leakage between frequencies
    floor_db : values below are set to it; ``-inf`` keeps the logarithm of an exact zero
    scaling : ``sum`` leaves the plain sum of the transform; ``amplitude`` divides by half the sum of the window, so that
        a sine of amplitude 1 on a frequency bin reads 0 dB (and a constant 1 reads 6 dB)
    win_length : samples in a frame, ``n_fft`` if None: smaller means finer time and coarser frequency; the transform pads the
        frame with zeros, which only interpolates between its frequencies
    """

    n_fft: int
    hop_length: int
    window: Literal["boxcar", "hann"]
    floor_db: float
    scaling: Literal["sum", "amplitude"] = "sum"
    win_length: int | None = None

    def __post_init__(self) -> None:
        if not 1 < self.frame_length <= self.n_fft:
            raise SignalError(f"a frame has {self.frame_length} samples; it needs at least 2, and at most n_fft={self.n_fft}")
        if not 1 <= self.hop_length <= self.frame_length:
            raise SignalError(f"hop_length={self.hop_length}; it must lie in 1..{self.frame_length}, or samples would never be seen")

    @property
    def frame_length(self) -> int:
        """Samples in a frame."""
        return self.n_fft if self.win_length is None else self.win_length

    @property
    def n_freqs(self) -> int:
        """Frequency bins, from 0 Hz to the Nyquist frequency."""
        return self.n_fft // 2 + 1

    def n_frames(self, n_samples: int) -> int:
        """Return frames that lie wholly inside a signal of ``n_samples``; 0 if it is shorter than one frame."""
        return max(0, 1 + (n_samples - self.frame_length) // self.hop_length)

    def freqs(self, *, fs: float) -> NDArray[np.float64]:
        """Return the centre of each frequency bin in Hz, shape (n_freqs,)."""
        return np.arange(self.n_freqs, dtype=np.float64) * (fs / self.n_fft)

    def times(self, n_samples: int, *, fs: float) -> NDArray[np.float64]:
        """Return the centre of each frame in s from the signal's start, shape (n_frames,)."""
        return (np.arange(self.n_frames(n_samples), dtype=np.float64) * self.hop_length + self.frame_length / 2) / fs


def stft_magnitude_db(signal: NDArray[Any], *, params: StftParams) -> NDArray[Any]:
    """Return the magnitude of the short-time Fourier transform, in dB.

    Only frames that lie wholly inside the signal are kept, so nothing is padded and
    ``n_frames == 1 + (n_samples - frame_length) // hop_length``.

    Parameters
    ----------
    signal : ndarray, shape (..., n_samples), mV or relative unit, float32 or float64
        One window or a batch of them; every leading axis is kept.
    params : StftParams
        ``n_fft`` (samples): larger means finer frequency and, where a frame is as long, coarser time.
        ``hop_length`` (samples): smaller means more frames.

    Returns
    -------
    ndarray, shape (..., n_fft // 2 + 1, n_frames), dtype of ``signal``, dB re 1 unit of the signal, floored at ``params.floor_db``

    Raises
    ------
    SignalError
        If the signal is shorter than one frame or holds a non-finite sample.

    References
    ----------
    Allen and Rabiner, Proc. IEEE 65(11), 1977.

    Examples
    --------
    A sine of amplitude 1 on the fourth bin reads 0 dB there, in every frame:

    >>> params = StftParams(n_fft=32, hop_length=16, window="hann", floor_db=-80.0, scaling="amplitude")
    >>> sine = np.sin(2 * np.pi * 4 * np.arange(64) / 32)
    >>> np.abs(stft_magnitude_db(sine, params=params)[4]).round(6)
    array([0., 0., 0.])
    """
    return _level_db(_transform(signal, params), params)


def _level_db(bins: NDArray[Any], params: StftParams) -> NDArray[Any]:
    magnitude = np.abs(bins)
    with np.errstate(divide="ignore"):  # log10(0) is -inf, and the floor takes it from there
        level_db = 20 * np.log10(magnitude)
    return np.swapaxes(np.maximum(level_db, params.floor_db, out=level_db), -1, -2)


def stft_in_phase(signal: NDArray[Any], *, params: StftParams) -> NDArray[Any]:
    """Return the part of the short-time Fourier transform that is in phase with a cosine at the middle of each frame.

    The magnitude is the same for a wave and for the wave upside down; this one is not: an upright bump in the middle
    of a frame is positive at all low frequencies, its mirror image negative.

    Parameters
    ----------
    signal : ndarray, shape (..., n_samples), float32 or float64, as for ``stft_magnitude_db``
    params : StftParams
        As for ``stft_magnitude_db``; ``floor_db`` plays no part.

    Returns
    -------
    ndarray, shape (..., n_fft // 2 + 1, n_frames), dtype of ``signal``, in its unit

    Raises
    ------
    SignalError
        As ``stft_magnitude_db``.

    Examples
    --------
    >>> params = StftParams(n_fft=16, hop_length=16, window="hann", floor_db=-80.0, scaling="amplitude")
    >>> bump = np.exp(-(((np.arange(16) - 8) / 2) ** 2))
    >>> np.sign(stft_in_phase(np.concatenate([bump, -bump]), params=params)[:3]).tolist()
    [[1.0, -1.0], [1.0, -1.0], [1.0, -1.0]]
    """
    return _in_phase(_transform(signal, params), params)


def stft_level_and_phase(signal: NDArray[Any], *, params: StftParams) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return what ``stft_magnitude_db`` and ``stft_in_phase`` do, of one transform."""
    bins = _transform(signal, params)
    return _level_db(bins, params), _in_phase(bins, params)


def _in_phase(bins: NDArray[Any], params: StftParams) -> NDArray[Any]:
    return np.swapaxes((bins * turns_to_middle(params).astype(bins.dtype)).real, -1, -2)


def turns_to_middle(params: StftParams) -> NDArray[np.complex128]:
    """Return the factors that make phases count from the middle of a frame instead of its first sample, shape (n_freqs,)."""
    half_turns = np.arange(params.n_freqs) * (params.frame_length / params.n_fft)
    return np.asarray(np.exp(1j * np.pi * half_turns))


def _transform(signal: NDArray[Any], params: StftParams) -> NDArray[Any]:
    """Return the complex transform of each frame, shape (..., n_frames, n_freqs); phases count from the frame's first sample."""
    if signal.dtype not in (np.float32, np.float64):
        raise SignalError(f"the signal is {signal.dtype}; it must be float32 or float64")
    n_samples = signal.shape[-1]
    if n_samples < params.frame_length:
        raise SignalError(f"the signal has {n_samples} samples; one frame takes {params.frame_length}")
    if not np.isfinite(signal).all():
        raise SignalError("the signal holds a sample that is not finite; reject such records before they come here")
    frames = np.lib.stride_tricks.sliding_window_view(signal, params.frame_length, axis=-1)[..., :: params.hop_length, :]
    if params.window != "boxcar" or params.scaling != "sum":
        frames = frames * weights_of(params).astype(signal.dtype)
    return np.fft.rfft(frames, params.n_fft, axis=-1)


@cache
def weights_of(params: StftParams) -> NDArray[np.float64]:
    """Return the weight of each sample of a frame, shape (frame_length,)."""
    phase = 2 * np.pi * np.arange(params.frame_length) / params.frame_length
    weights = np.ones(params.frame_length) if params.window == "boxcar" else 0.5 - 0.5 * np.cos(phase)
    if params.scaling == "amplitude":
        weights *= 2 / weights.sum()
    weights.flags.writeable = False
    return weights
