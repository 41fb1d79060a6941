"""Here: the pixels that a window gets in each recipe. Not here: cutting windows, or the bytes of a PNG."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.signals import imshow
from ecg_tasks.signals.pictures import decode_grey, decode_rgb, encode_grey
from ecg_tasks.signals.record import HEARTBEAT_FS, HEARTBEAT_SAMPLES, STANDARD_LEADS
from ecg_tasks.signals.stft import StftParams, stft_magnitude_db
from ecg_tasks.signals.windowing import Windows

NOTEBOOK_STFT = StftParams(n_fft=125, hop_length=64, window="boxcar", floor_db=-np.inf)
BEAT_STFT = StftParams(n_fft=64, win_length=16, hop_length=1, window="hann", floor_db=-120.0, scaling="amplitude")
LEAD_STFT = StftParams(n_fft=64, hop_length=16, window="hann", floor_db=-120.0, scaling="amplitude")


@dataclass(frozen=True, kw_only=True, eq=False)
class PictureAxes:
    """What the rows, columns and grey levels of one channel of a picture stand for.

    Parameters
    ----------
    freqs : shape (height,), Hz, ascending: the lowest is the bottom row of the picture, which is the last one
    times : shape (width,), s from the window's start, the centre of each column
    low_db : what 0 stands for, dB; None where each picture has its own range
    high_db : what 255 stands for, dB; None where each picture has its own range
    channels : name of each channel, in the order of the decoded picture
    """

    freqs: NDArray[np.float64]
    times: NDArray[np.float64]
    low_db: float | None
    high_db: float | None
    channels: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class NotebookPicture:
    """The picture of the notebook that this project began with, for comparison: a spectrum smeared sideways.

    187 samples give one frame, so there is no time in it, and no sample after the first 125. Each picture is coloured over its
    own range, so the level is lost. Nothing of this is repaired here; the other recipes do better.

    Parameters
    ----------
    fs : Hz
    n_samples : samples in a window, padding included
    stft : frames
    side : pixels of the square that the network sees, after bilinear interpolation
    """

    fs: float = HEARTBEAT_FS
    n_samples: int = HEARTBEAT_SAMPLES
    stft: StftParams = NOTEBOOK_STFT
    side: int = 256

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels of a decoded picture."""
        return self.side, self.side, 3

    @property
    def png_shape(self) -> tuple[int, int]:
        """Height and width of the stored PNG."""
        return imshow.HEIGHT, imshow.WIDTH

    def axes(self) -> PictureAxes:
        """Frequencies and times of the frames; the pictures have been stretched to a square since."""
        return PictureAxes(
            freqs=self.stft.freqs(fs=self.fs),
            times=self.stft.times(self.n_samples, fs=self.fs),
            low_db=None,
            high_db=None,
            channels=("red", "green", "blue"),
        )

    def encode(self, windows: Windows) -> list[bytes]:
        """PNGs of 369 × 496 pixels, the same that matplotlib writes."""
        return imshow.encode_imshow(stft_magnitude_db(windows.samples[:, 0].astype(np.float64), params=self.stft))

    def decode(self, pngs: Sequence[bytes]) -> NDArray[np.uint8]:
        """RGB pixels, shape (n, side, side, 3)."""
        import cv2

        pixels = np.empty((len(pngs), *self.image_shape), np.uint8)
        for index, png in enumerate(pngs):  # one at a time: at full size a picture takes 0.5 MB
            full = decode_rgb([png], shape=self.png_shape)[0]
            pixels[index] = cv2.resize(full, (self.side, self.side), interpolation=cv2.INTER_LINEAR)
        return pixels


@dataclass(frozen=True, kw_only=True)
class BeatSpectrogram:
    """The spectrogram of the first half second after the R peak, where a beat's shape is: QRS, ST segment, T wave.

    How long a beat is, and so how much zero padding follows it, is the heart rate, which tells the classes of the heartbeat files
    apart by itself (AUC about 0.74) without a look at the shape. It does not show here: the picture ends before the padding of any
    beat below 143 beats a minute begins, and of a faster one the frames that reach into the padding are masked.
    Short frames keep QRS and T wave apart; the transform's zero padding draws them on 33 frequencies instead of 9.

    Parameters
    ----------
    fs : Hz
    n_samples : samples that are drawn, from the R peak on
    stft : frames and level scale
    low_db : dB re the beat's full scale that becomes 1; all below is 1 too; 0 is left to masked frames
    high_db : dB re the beat's full scale that becomes 255; all above is 255 too
    """

    fs: float = HEARTBEAT_FS
    n_samples: int = 63
    stft: StftParams = BEAT_STFT
    low_db: float = -54.0
    high_db: float = 6.0

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels of a decoded picture."""
        return self.stft.n_freqs, self.stft.n_frames(self.n_samples), 1

    @property
    def png_shape(self) -> tuple[int, int]:
        """Height and width of the stored PNG."""
        return self.image_shape[:2]

    def axes(self) -> PictureAxes:
        """Frequencies, times (s after the R peak) and level range."""
        return PictureAxes(
            freqs=self.stft.freqs(fs=self.fs),
            times=self.stft.times(self.n_samples, fs=self.fs),
            low_db=self.low_db,
            high_db=self.high_db,
            channels=("beat",),
        )

    def encode(self, windows: Windows) -> list[bytes]:
        """Grey PNGs."""
        level_db = stft_magnitude_db(windows.samples[:, 0, : self.n_samples], params=self.stft)
        grey = np.maximum(_grey(level_db, low_db=self.low_db, high_db=self.high_db), 1)
        frame_end = np.arange(grey.shape[2]) * self.stft.hop_length + self.stft.frame_length
        padded = frame_end > windows.n_real[:, None]
        return encode_grey(np.where(padded[:, None, :], np.uint8(0), grey)[:, ::-1])

    def decode(self, pngs: Sequence[bytes]) -> NDArray[np.uint8]:
        """Pixels, shape (n, height, width, 1)."""
        return decode_grey(pngs, shape=self.png_shape)[..., None]


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
    stft: StftParams = LEAD_STFT
    low_db: float = -80.0
    high_db: float = 0.0

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels of a decoded picture."""
        return self.stft.n_freqs, self.stft.n_frames(self.n_samples), len(self.leads)

    @property
    def png_shape(self) -> tuple[int, int]:
        """Height and width of the stored PNG."""
        height, width, n_leads = self.image_shape
        return n_leads * height, width

    def axes(self) -> PictureAxes:
        """Frequencies, times and level range of each lead's spectrogram."""
        return PictureAxes(
            freqs=self.stft.freqs(fs=self.fs),
            times=self.stft.times(self.n_samples, fs=self.fs),
            low_db=self.low_db,
            high_db=self.high_db,
            channels=self.leads,
        )

    def encode(self, windows: Windows) -> list[bytes]:
        """Grey PNGs, the leads one below the other."""
        level_db = stft_magnitude_db(windows.samples, params=self.stft)
        grey = _grey(level_db, low_db=self.low_db, high_db=self.high_db)[:, :, ::-1]
        return encode_grey(grey.reshape(-1, *self.png_shape))

    def decode(self, pngs: Sequence[bytes]) -> NDArray[np.uint8]:
        """Pixels, shape (n, height, width, n_leads)."""
        height, width, n_leads = self.image_shape
        stacked = decode_grey(pngs, shape=self.png_shape)
        return np.moveaxis(stacked.reshape(len(pngs), n_leads, height, width), 1, -1)


def _grey(level_db: NDArray[np.floating], *, low_db: float, high_db: float) -> NDArray[np.uint8]:
    """Levels in dB as 0..255, linear between ``low_db`` and ``high_db`` and cut off outside; any shape."""
    scaled = (level_db - low_db) * (255 / (high_db - low_db))
    return np.clip(np.rint(scaled, out=scaled), 0, 255, out=scaled).astype(np.uint8)
