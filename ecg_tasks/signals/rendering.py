"""Here: the pixels that a window gets in each recipe. Not here: cutting windows, or the bytes of a PNG."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.signals.pictures import decode_grey, encode_grey
from ecg_tasks.signals.record import HEARTBEAT_FS, HEARTBEAT_SAMPLES, STANDARD_LEADS
from ecg_tasks.signals.stft import StftParams, stft_magnitude_db
from ecg_tasks.signals.windowing import Windows


@dataclass(frozen=True, kw_only=True, eq=False)
class PictureAxes:
    """What the rows, columns and grey levels of one channel of a picture stand for.

    Parameters
    ----------
    freqs : shape (height,), Hz, ascending: the lowest is the bottom row of the picture
    times : shape (width,), s from the window's start, the centre of each column
    low_db : what black stands for, dB
    high_db : what white stands for, dB
    channels : name of each channel, in the order of the decoded picture
    """

    freqs: NDArray[np.float64]
    times: NDArray[np.float64]
    low_db: float
    high_db: float
    channels: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class LeadSpectrograms:
    """One spectrogram a lead, one lead a channel, at one absolute level scale for all recordings.

    Parameters
    ----------
    leads : names of the leads, in the order of the window's rows
    fs : Hz
    n_samples : samples in a window
    stft : frames and level scale
    low_db : dB re 1 mV that becomes 0; all below is 0 too
    high_db : dB re 1 mV that becomes 255; all above is 255 too
    """

    leads: tuple[str, ...] = STANDARD_LEADS
    fs: float = 125.0
    n_samples: int = 1250
    stft: StftParams = StftParams(n_fft=64, hop_length=16, window="hann", floor_db=-120.0, scaling="amplitude")
    low_db: float = -70.0
    high_db: float = 10.0

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.stft.n_freqs, self.stft.n_frames(self.n_samples), len(self.leads)

    def axes(self) -> PictureAxes:
        return PictureAxes(
            freqs=self.stft.freqs(fs=self.fs),
            times=self.stft.times(self.n_samples, fs=self.fs),
            low_db=self.low_db,
            high_db=self.high_db,
            channels=self.leads,
        )

    def encode(self, windows: Windows) -> list[bytes]:
        """Grey PNGs, the leads one below the other."""
        n = len(windows)
        height, width, n_leads = self.image_shape
        level_db = stft_magnitude_db(windows.samples, params=self.stft)
        grey = to_grey(level_db, low_db=self.low_db, high_db=self.high_db)[:, :, ::-1]
        return encode_grey(grey.reshape(n, n_leads * height, width))

    def decode(self, pngs: Sequence[bytes]) -> NDArray[np.uint8]:
        """Pixels, shape (n, height, width, n_leads)."""
        height, width, n_leads = self.image_shape
        stacked = decode_grey(pngs, shape=(n_leads * height, width))
        return np.moveaxis(stacked.reshape(len(pngs), n_leads, height, width), 1, -1)


@dataclass(frozen=True, kw_only=True)
class BeatSpectrogram:
    """The spectrogram of one beat; frames that reach into the zero padding are masked.

    Parameters
    ----------
    fs : Hz
    n_samples : samples in a window, padding included
    stft : frames and level scale
    low_db : dB re the beat's full scale that becomes 1; all below is 1 too; 0 is left to masked frames
    high_db : dB re the beat's full scale that becomes 255; all above is 255 too
    """

    fs: float = HEARTBEAT_FS
    n_samples: int = HEARTBEAT_SAMPLES
    stft: StftParams = StftParams(n_fft=32, hop_length=4, window="hann", floor_db=-120.0, scaling="amplitude")
    low_db: float = -60.0
    high_db: float = 0.0

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.stft.n_freqs, self.stft.n_frames(self.n_samples), 1

    def axes(self) -> PictureAxes:
        return PictureAxes(
            freqs=self.stft.freqs(fs=self.fs),
            times=self.stft.times(self.n_samples, fs=self.fs),
            low_db=self.low_db,
            high_db=self.high_db,
            channels=("beat",),
        )

    def encode(self, windows: Windows) -> list[bytes]:
        """Grey PNGs."""
        level_db = stft_magnitude_db(windows.samples[:, 0], params=self.stft)
        grey = np.maximum(to_grey(level_db, low_db=self.low_db, high_db=self.high_db), 1)
        n_real_frames = 1 + (windows.n_real - self.stft.n_fft) // self.stft.hop_length
        masked = np.arange(grey.shape[2]) >= n_real_frames[:, None]
        grey[np.broadcast_to(masked[:, None, :], grey.shape)] = 0
        return encode_grey(grey[:, ::-1])

    def decode(self, pngs: Sequence[bytes]) -> NDArray[np.uint8]:
        """Pixels, shape (n, height, width, 1)."""
        return decode_grey(pngs, shape=self.image_shape[:2])[..., None]


def to_grey(level_db: NDArray[np.floating], *, low_db: float, high_db: float) -> NDArray[np.uint8]:
    """Levels in dB as 0..255, linear between ``low_db`` and ``high_db`` and cut off outside; any shape."""
    scaled = (level_db - low_db) * (255 / (high_db - low_db))
    return np.clip(np.rint(scaled, out=scaled), 0, 255, out=scaled).astype(np.uint8)
