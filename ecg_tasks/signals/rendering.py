"""Here: the pixels that a window gets in each recipe. Not here: cutting windows, or the bytes of a PNG."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.signals import imshow
from ecg_tasks.signals.median_beats import beats_in_step, median_beats
from ecg_tasks.signals.pictures import decode_grey, decode_rgb, encode_grey
from ecg_tasks.signals.record import HEARTBEAT_FS, HEARTBEAT_SAMPLES, STANDARD_LEADS
from ecg_tasks.signals.stft import StftParams, stft_level_and_phase, stft_magnitude_db
from ecg_tasks.signals.windowing import Windows

NOTEBOOK_STFT = StftParams(n_fft=125, hop_length=64, window="boxcar", floor_db=-np.inf)
BEAT_STFT = StftParams(n_fft=16, hop_length=4, window="hann", floor_db=-120.0, scaling="amplitude")
LEAD_STFT = StftParams(n_fft=16, hop_length=4, window="hann", floor_db=-120.0, scaling="amplitude")
"""Frames of 128 ms, one every 32 ms, keep QRS and T wave apart, at 8 Hz a bin."""
SIGNLESS = 128
"""Grey of nothing in a channel that has a sign."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PictureAxes:
    """What the rows, columns and grey levels of one channel of a picture stand for.

    Parameters
    ----------
    freqs : shape (height,), Hz, ascending: the lowest is the bottom row of the picture, which is the last one
    times : shape (width,), s from the window's start, or from the R peak where a picture is of one beat; the centre of each column
    low_db : what 0 stands for, dB; None where each picture has its own range
    high_db : what 255 stands for, dB; None where each picture has its own range
    channels : name of each channel that shows a level, in the order of the decoded picture; channels behind these carry the
        sign of the same leads, for the network
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
        """Return frequencies and times of the frames; the pictures have been stretched to a square since."""
        return PictureAxes(
            freqs=self.stft.freqs(fs=self.fs),
            times=self.stft.times(self.n_samples, fs=self.fs),
            low_db=None,
            high_db=None,
            channels=("red", "green", "blue"),
        )

    def encode(self, windows: Windows) -> list[bytes]:
        """Return PNGs of 369 × 496 pixels, the same that matplotlib writes."""
        return imshow.encode_imshow(stft_magnitude_db(windows.samples[:, 0].astype(np.float64), params=self.stft))

    def decode(self, pngs: Sequence[bytes]) -> NDArray[np.uint8]:
        """Return RGB pixels, shape (n, side, side, 3)."""
        import cv2

        pixels = np.empty((len(pngs), *self.image_shape), np.uint8)
        for index, png in enumerate(pngs):  # one at a time: at full size a picture takes 0.5 MB
            full = decode_rgb([png], shape=self.png_shape)[0]
            pixels[index] = cv2.resize(full, (self.side, self.side), interpolation=cv2.INTER_LINEAR)
        return pixels


@dataclass(frozen=True, kw_only=True)
class SignScale:
    """How a signed value becomes a grey: ``SIGNLESS`` for 0, darker below and brighter above, by the logarithm of its size.

    Parameters
    ----------
    knee : values well below are drawn in proportion, values well above by their logarithm; unit of the signal
    top : what 255 stands for, and 1 for its negative; unit of the signal
    """

    knee: float
    top: float

    def grey(self, values: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Return greys of signed values of any shape."""
        size = np.log1p(np.abs(values) / self.knee) / np.log1p(self.top / self.knee)
        return np.asarray(np.rint(SIGNLESS + 127 * np.sign(values) * np.minimum(size, 1)), dtype=np.uint8)


@dataclass(frozen=True, kw_only=True)
class BeatSpectrogram:
    """The spectrogram of the first half second after the R peak, where a beat's shape is: QRS, ST segment, T wave.

    How long a beat is, and so how much zero padding follows it, is the heart rate, which separates the classes of the heartbeat files
    apart by itself (AUC about 0.74) without a look at the shape. It does not show here: the picture ends before the padding of any
    beat below 143 beats a minute begins, and of a faster one the frames that reach into the padding are masked.

    A heartbeat row's zero is the lowest value of the ten seconds it was cut from, which is chance: the median of what is
    drawn is taken off first. The first sample is repeated before the beat, so that the R peak has its own frame.

    The second channel distinguishes a T wave from an inverted one, which the level cannot.

    Parameters
    ----------
    fs : Hz
    n_samples : samples that are drawn, from the R peak on
    stft : frames and level scale
    low_db : dB re the beat's full scale that becomes 1; all below is 1 too; 0 is left to masked frames
    high_db : dB re the beat's full scale that becomes 255; all above is 255 too
    sign : scale of the second channel, re the beat's full scale
    """

    fs: float = HEARTBEAT_FS
    n_samples: int = 63
    stft: StftParams = BEAT_STFT
    low_db: float = -54.0
    high_db: float = 6.0
    sign: SignScale = SignScale(knee=0.03, top=1.0)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels of a decoded picture."""
        return self.stft.n_freqs, self.stft.n_frames(self._lead_in + self.n_samples), 2

    @property
    def png_shape(self) -> tuple[int, int]:
        """Height and width of the stored PNG."""
        height, width, n_channels = self.image_shape
        return n_channels * height, width

    @property
    def _lead_in(self) -> int:
        return self.stft.frame_length // 2

    def axes(self) -> PictureAxes:
        """Return frequencies, times (s after the R peak) and level range."""
        return PictureAxes(
            freqs=self.stft.freqs(fs=self.fs),
            times=self.stft.times(self._lead_in + self.n_samples, fs=self.fs) - self._lead_in / self.fs,
            low_db=self.low_db,
            high_db=self.high_db,
            channels=("beat",),
        )

    def encode(self, windows: Windows) -> list[bytes]:
        """Return grey PNGs, the level above its sign."""
        beats = windows.samples[:, 0, : self.n_samples]
        is_real = np.arange(self.n_samples) < windows.n_real[:, None]
        centred = np.where(is_real, beats - _median_where(beats, is_real), 0)
        led_in = np.concatenate([np.repeat(centred[:, :1], self._lead_in, axis=1), centred], axis=1)
        level_db, in_phase = stft_level_and_phase(led_in, params=self.stft)
        level = np.maximum(_grey(level_db, low_db=self.low_db, high_db=self.high_db), 1)
        sign = self.sign.grey(in_phase)
        frame_end = np.arange(level.shape[2]) * self.stft.hop_length + self.stft.frame_length - self._lead_in
        padded = (frame_end > windows.n_real[:, None])[:, None, :]
        return _encode_channels(np.stack([np.where(padded, np.uint8(0), level), np.where(padded, np.uint8(SIGNLESS), sign)], axis=1))

    def decode(self, pngs: Sequence[bytes]) -> NDArray[np.uint8]:
        """Return pixels, shape (n, height, width, 2): level and sign."""
        return _decode_channels(pngs, image_shape=self.image_shape)


@dataclass(frozen=True, kw_only=True)
class LeadSpectrograms:
    """The spectrogram of each lead's average beat, one lead a channel, at one absolute scale for all recordings.

    What distinguishes the classes is the shape of the beat: with all beats of ten seconds laid over one another in step with
    the R peak, noise is halved, and the same column shows the same part of the beat in every recording. As many channels
    again carry the sign: a Q wave, an inverted T wave, an ST segment above or below the baseline has the level of its
    mirror image.

    Parameters
    ----------
    leads : names of the leads, in the order of the window's rows
    fs : Hz
    n_samples : samples in a window
    before_s : seconds of the beat before the R peak that are drawn
    after_s : seconds of the beat from the R peak on that are drawn
    stft : frames and level scale
    low_db : dB re 1 mV that becomes 0; all below is 0 too: it is noise, and the filters of the device
    high_db : dB re 1 mV that becomes 255; all above is 255 too
    sign : scale of the channels that carry the sign, mV
    """

    leads: tuple[str, ...] = STANDARD_LEADS
    fs: float = 125.0
    n_samples: int = 1250
    before_s: float = 0.36
    after_s: float = 0.664
    stft: StftParams = LEAD_STFT
    low_db: float = -40.0
    high_db: float = 10.0
    sign: SignScale = SignScale(knee=0.05, top=3.0)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels of a decoded picture."""
        return self.stft.n_freqs, self.stft.n_frames(self._n_drawn), 2 * len(self.leads)

    @property
    def png_shape(self) -> tuple[int, int]:
        """Height and width of the stored PNG."""
        height, width, n_channels = self.image_shape
        return n_channels * height, width

    @property
    def _n_drawn(self) -> int:
        return round(self.before_s * self.fs) + round(self.after_s * self.fs)

    def axes(self) -> PictureAxes:
        """Return frequencies, times (s after the R peak) and level range of each lead's spectrogram."""
        return PictureAxes(
            freqs=self.stft.freqs(fs=self.fs),
            times=self.stft.times(self._n_drawn, fs=self.fs) - round(self.before_s * self.fs) / self.fs,
            low_db=self.low_db,
            high_db=self.high_db,
            channels=self.leads,
        )

    def encode(self, windows: Windows) -> list[bytes]:
        """Return grey PNGs: the levels of all leads one below the other, then their signs."""
        beats = median_beats(windows.samples, fs=self.fs, before_s=self.before_s, after_s=self.after_s, n_real=windows.n_real)
        return _encode_channels(self.greys(beats))

    def greys(self, beats: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Return the pixels of median beats in mV, shape (n, n_leads, n_samples): the levels of all leads, then their signs.

        Their shape is (n, 2 * n_leads, n_freqs, n_frames), 0 Hz first.
        """
        level_db, in_phase = stft_level_and_phase(beats, params=self.stft)
        level = _grey(level_db, low_db=self.low_db, high_db=self.high_db)
        return np.concatenate([level, self.sign.grey(in_phase)], axis=1)

    def shown_s(self, windows: Windows) -> list[NDArray[np.float64]]:
        """Return where in its record each window's picture has its time 0, s: at every beat that its median beat is made of."""
        beats = beats_in_step(windows.samples, fs=self.fs, before_s=self.before_s, after_s=self.after_s, n_real=windows.n_real)
        return [start_s + beat for start_s, beat in zip(windows.start_s, beats, strict=True)]

    def decode(self, pngs: Sequence[bytes]) -> NDArray[np.uint8]:
        """Return pixels, shape (n, height, width, 2 * n_leads): the levels of all leads, then their signs."""
        return _decode_channels(pngs, image_shape=self.image_shape)


@dataclass(frozen=True, kw_only=True)
class LeadSamples:
    """The samples themselves, for networks that read no spectrogram: a picture of one row, the leads its channels.

    A sample is a whole number of steps in two bytes: as many channels have the higher byte as there are leads, and as many behind them the
    lower. What is beyond ``limit_mv`` is cut off there.

    Parameters
    ----------
    leads : names of the leads, in the order of the window's rows
    fs : Hz
    n_samples : samples in a window
    step_mv : mV
    """

    leads: tuple[str, ...] = STANDARD_LEADS
    fs: float = 500.0
    n_samples: int = 5000
    step_mv: float = 0.001

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels of a decoded picture."""
        return 1, self.n_samples, 2 * len(self.leads)

    @property
    def png_shape(self) -> tuple[int, int]:
        """Height and width of the stored PNG."""
        return 2 * len(self.leads), self.n_samples

    @property
    def limit_mv(self) -> float:
        """The largest value."""
        return _ZERO_STEP * self.step_mv - self.step_mv

    def axes(self) -> None:
        """Return nothing: there is no spectrogram to be shown."""

    def encode(self, windows: Windows) -> list[bytes]:
        """Return grey PNGs: the higher bytes of all leads one below the other, then the lower."""
        steps = np.rint(np.clip(windows.samples, -self.limit_mv, self.limit_mv) / self.step_mv).astype(np.int32) + _ZERO_STEP
        return _encode_channels(np.concatenate([steps >> 8, steps & 0xFF], axis=1).astype(np.uint8)[:, :, None])

    def decode(self, pngs: Sequence[bytes]) -> NDArray[np.uint8]:
        """Return bytes, shape (n, 1, n_samples, 2 * n_leads); ``samples`` makes mV of them."""
        return _decode_channels(pngs, image_shape=self.image_shape)

    def samples(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return samples in mV, shape (n, n_leads, n_samples), of decoded pictures."""
        high, low = np.split(np.moveaxis(images[:, 0], 2, 1).astype(np.int32), 2, axis=1)
        return ((high << 8) + low - _ZERO_STEP).astype(np.float32) * np.float32(self.step_mv)


_ZERO_STEP = 2**15
"""What stands for 0 mV."""


def _encode_channels(channels: NDArray[np.uint8]) -> list[bytes]:
    """Return grey PNGs of pictures (n, n_channels, n_freqs, n_frames): the channels one below the other, each with 0 Hz at its bottom."""
    n, n_channels, height, width = channels.shape
    return encode_grey(channels[:, :, ::-1].reshape(n, n_channels * height, width))


def _decode_channels(pngs: Sequence[bytes], *, image_shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Decode them again, as (n, height, width, n_channels)."""
    height, width, n_channels = image_shape
    stacked = decode_grey(pngs, shape=(n_channels * height, width))
    return np.moveaxis(stacked.reshape(len(pngs), n_channels, height, width), 1, -1)


def _median_where(values: NDArray[np.float32], chosen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the median of the chosen values of each row, shape (n, 1); the lower of two middle ones; 0 for a row without any."""
    ordered = np.sort(np.where(chosen, values, np.inf), axis=1)
    middle = np.maximum(chosen.sum(axis=1, keepdims=True) - 1, 0) // 2
    return np.where(chosen.any(axis=1, keepdims=True), np.take_along_axis(ordered, middle, axis=1), 0).astype(np.float32)


def _grey(level_db: NDArray[np.floating], *, low_db: float, high_db: float) -> NDArray[np.uint8]:
    """Return levels in dB as 0..255, linear between ``low_db`` and ``high_db`` and cut off outside; any shape."""
    scaled = (level_db - low_db) * (255 / (high_db - low_db))
    return np.clip(np.rint(scaled, out=scaled), 0, 255, out=scaled).astype(np.uint8)
