"""Here: the samples of WFDB's differences (format 8) and FLAC files (508, 516, 524). Not here: the other formats, which wfdb reads.

wfdb reads these too, but from a header that lists each signal; here a file is read with all its signals at once, from its bytes.
"""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import BadInputError, Reason

FLAC_BITS = {"508": 8, "516": 16, "524": 24}
"""Most bits of a sample, by format (signal(5))."""
DIFFERENCES = "8"
_SIGNATURE = b"fLaC"
_STREAM_INFO_BYTES = 42
"""The signature, a block's head, and the block that every FLAC file begins with (RFC 9639, section 8.2)."""


def flac_frames(content: bytes, *, samples_per_frame: Sequence[int], offset: int, fmt: str, name: str) -> int:
    """Return how many frames a FLAC file says it holds, after ``offset`` samples of each signal; nothing is unpacked.

    Parameters
    ----------
    samples_per_frame : of each signal in the file; FLAC has one channel a signal, so all must be equal

    Raises
    ------
    BadInputError
        ``unreadable`` where it is no FLAC file, or has other channels or more bits than the header says.
    """
    if len(content) < _STREAM_INFO_BYTES or not content.startswith(_SIGNATURE):
        raise BadInputError(Reason.UNREADABLE, f"{name} is in WFDB format {fmt}, but it is not a FLAC file")
    bits = int.from_bytes(content[18:26])
    channels, bits_per_sample, n_samples = (bits >> 41 & 7) + 1, (bits >> 36 & 31) + 1, bits & (1 << 36) - 1
    if channels != len(samples_per_frame):
        raise BadInputError(Reason.UNREADABLE, f"{name} has {channels} channels; the header lists {len(samples_per_frame)} signals in it")
    if len(set(samples_per_frame)) > 1:
        raise BadInputError(Reason.UNREADABLE, f"{name}: the signals of a FLAC file must have the same number of samples a frame")
    if bits_per_sample > FLAC_BITS[fmt]:
        raise BadInputError(Reason.UNREADABLE, f"{name} has samples of {bits_per_sample} bits; format {fmt} has at most {FLAC_BITS[fmt]}")
    return max(0, n_samples - offset) // samples_per_frame[0]


def read_flac(content: bytes, n_frames: int, *, n_signals: int, samples_per_frame: int, offset: int, name: str) -> NDArray[np.int32]:
    """Unpack the frames of a FLAC file.

    Returns
    -------
    ndarray, shape (n_frames, n_signals * samples_per_frame): the samples of a frame, signal after signal

    Raises
    ------
    BadInputError
        ``unreadable`` where libsndfile cannot read it, ``incomplete`` where it ends early.
    """
    import soundfile  # type: ignore[import-untyped]  # it ships no types

    n_samples = n_frames * samples_per_frame
    found = np.empty((n_samples, n_signals), dtype=np.int32)
    n_read = 0
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            shift = 32 - {"PCM_S8": 8, "PCM_16": 16, "PCM_24": 24}[file.subtype]
            if offset:
                file.seek(offset)
            while n_read < n_samples:  # libsndfile fails over 2**24 values at once
                part = file.read(out=found[n_read : n_read + 2**20], dtype="int32")
                if not len(part):
                    break
                n_read += len(part)
    except (soundfile.LibsndfileError, KeyError) as error:
        raise BadInputError(Reason.UNREADABLE, f"{name}: the FLAC file is damaged or cut off ({str(error)[:200]})") from error
    if n_read < n_samples:
        raise BadInputError(Reason.INCOMPLETE, f"{name}: the FLAC file ends after {n_read:,} of {n_samples:,} samples of each signal")
    found >>= shift
    in_frames = found.reshape(n_frames, samples_per_frame, n_signals).transpose(0, 2, 1)
    return in_frames.reshape(n_frames, n_signals * samples_per_frame)


def read_differences(samples: bytes, n_frames: int, *, samples_per_frame: Sequence[int], initial: Sequence[int]) -> NDArray[np.int32]:
    """Add up the differences of format 8, each signal from the first value that its header line gives.

    Returns
    -------
    ndarray, shape (n_frames, sum(samples_per_frame))
    """
    width = sum(samples_per_frame)
    steps = np.frombuffer(samples, dtype=np.int8, count=n_frames * width).reshape(n_frames, width)
    found = np.empty((n_frames, width), dtype=np.int32)
    start = 0
    for n_samples, first in zip(samples_per_frame, initial, strict=True):
        own = steps[:, start : start + n_samples].reshape(-1).cumsum(dtype=np.int32) + np.int32(first)
        found[:, start : start + n_samples] = own.reshape(n_frames, n_samples)
        start += n_samples
    return found
