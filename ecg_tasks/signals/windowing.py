"""Here: how records are cut into windows of one shape: beats, or 10 s of twelve leads. Not here: finding beats, or drawing."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.signals.clipping import clipped_share
from ecg_tasks.signals.record import HEARTBEAT_FS, HEARTBEAT_SAMPLES, STANDARD_LEADS, Record

BEAT_LEAD = "II"
"""The lead that beats are cut from, as Kachuee et al. 2018 do."""
WINDOW_S = 10.0
"""Seconds of a recording that are judged, and its beats scaled, together."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Windows:
    """Windows of one shape, cut from a sequence of records; all arrays have one row a window, in the order of the records.

    Parameters
    ----------
    samples : shape (n, n_leads, n_samples), float32, in the unit of the recipe
    record : shape (n,), index into the records they were cut from
    window : shape (n,), int32, counts from 0 within a record
    start_s : shape (n,), float32, seconds from the record's start
    n_real : shape (n,), int32, samples before the zero padding
    clipped : shape (n, n_leads), float32, share of samples at an extreme, of a recording before its rate was changed
    """

    samples: NDArray[np.float32]
    record: NDArray[np.int64]
    window: NDArray[np.int32]
    start_s: NDArray[np.float32]
    n_real: NDArray[np.int32]
    clipped: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.record)


@dataclass(frozen=True, kw_only=True)
class BeatWindows:
    """One beat a window: a heartbeat row as it is, or beats cut from lead II of a recording.

    Parameters
    ----------
    fs : Hz; recordings are resampled to it before their beats are cut
    n_samples : samples in a window, zero-padded after the beat
    lenient : take baseline wander off a recording before its beats are cut, and look for lower R peaks where the paper's
        rule finds too few; without it every tenth recording of PTB-XL gives no beat at all
    """

    fs: float = HEARTBEAT_FS
    n_samples: int = HEARTBEAT_SAMPLES
    lenient: bool = False

    def accepts(self, record: Record) -> bool:
        """Whether this is a heartbeat row of the right rate and length, or a recording with lead II."""
        if record.is_heartbeat:
            return record.fs == self.fs and record.samples.shape == (1, self.n_samples)
        return BEAT_LEAD in record.leads

    def cut(self, records: Sequence[Record]) -> Windows:
        """Cut every record; the result does not depend on which records stand beside it.

        A heartbeat row does not say where its padding begins: all zeros at its end are taken for padding.
        """
        pieces: dict[int, _Piece] = {}
        rows = [index for index, record in enumerate(records) if record.is_heartbeat]
        if rows:
            beats = np.stack([records[index].samples for index in rows])
            is_real = beats[:, 0] != 0
            n_real = np.where(is_real.any(axis=1), self.n_samples - np.argmax(is_real[:, ::-1], axis=1), 0)
            clipped = clipped_share(beats, n_real[:, None])
            pieces.update(
                (index, _Piece(beats[at : at + 1], n_real[at : at + 1], np.zeros(1), clipped[at : at + 1])) for at, index in enumerate(rows)
            )
        recordings = [index for index, record in enumerate(records) if not record.is_heartbeat]
        for index, lead in _resampled(records, recordings, leads=(BEAT_LEAD,), target_fs=self.fs):
            pieces[index] = self._beats(lead[0])
        return _assemble(pieces, n_leads=1, n_samples=self.n_samples)

    def surroundings(self, records: Sequence[Record]) -> Windows:
        """The ten seconds of lead II that the beats of a recording are cut from, one after the other; of heartbeat rows none."""
        recordings = [index for index, record in enumerate(records) if not record.is_heartbeat and record.duration_s >= WINDOW_S]
        cut = RecordingWindows(leads=(BEAT_LEAD,), fs=self.fs, window_s=WINDOW_S).cut([records[index] for index in recordings])
        return replace(cut, record=np.array(recordings, np.int64)[cut.record])

    def _beats(self, lead: NDArray[np.float32]) -> "_Piece":
        from ecg_tasks.signals.average_beats import without_wander
        from ecg_tasks.signals.heartbeats import LENIENT_R_THRESHOLDS, cut_beats

        if self.lenient and lead.size >= self.fs:  # the filter needs a stretch to run in
            beats = cut_beats(without_wander(lead, fs=self.fs), fs=self.fs, r_thresholds=LENIENT_R_THRESHOLDS)
        else:
            beats = cut_beats(lead, fs=self.fs)
        samples = beats.samples[:, None, :]
        return _Piece(samples, beats.n_samples, beats.r_peaks_s, clipped_share(samples, beats.n_samples[:, None]))


@dataclass(frozen=True, kw_only=True)
class RecordingWindows:
    """As many whole windows as fit into a recording, one after the other; what is left at its end is not used.

    The baseline: of each lead in each window its median is subtracted, so that a constant offset of the amplifier does not
    show. Slow wander stays; it is at the lowest frequencies of the spectrogram, and signal quality tells of it.

    Parameters
    ----------
    leads : the leads of a window, in this order; a record without one of them is not taken
    fs : Hz; recordings are resampled to it
    window_s : seconds
    """

    leads: tuple[str, ...] = STANDARD_LEADS
    fs: float = 125.0
    window_s: float = 10.0

    @property
    def n_samples(self) -> int:
        """Samples in a window."""
        return round(self.window_s * self.fs)

    def accepts(self, record: Record) -> bool:
        """Whether the record has all leads, in mV, and is long enough for a window."""
        return not record.is_heartbeat and record.duration_s >= self.window_s and set(self.leads) <= set(record.leads)

    def cut(self, records: Sequence[Record]) -> Windows:
        """Cut every record; the result does not depend on which records stand beside it."""
        pieces: dict[int, _Piece] = {}
        for index, samples in _resampled(records, range(len(records)), leads=self.leads, target_fs=self.fs):
            n_windows = samples.shape[1] // self.n_samples
            whole = samples[:, : n_windows * self.n_samples].reshape(len(self.leads), n_windows, self.n_samples).swapaxes(0, 1)
            centred = whole - np.median(whole, axis=-1, keepdims=True)
            start_s = np.arange(n_windows) * self.window_s
            pieces[index] = _Piece(centred, np.full(n_windows, self.n_samples), start_s, self._clipped(records[index], start_s))
        return _assemble(pieces, n_leads=len(self.leads), n_samples=self.n_samples)

    def _clipped(self, record: Record, start_s: NDArray[np.floating]) -> NDArray[np.float32]:
        leads = record.samples[[record.leads.index(lead) for lead in self.leads]]
        first, length = np.rint(start_s * record.fs).astype(np.int64), round(self.window_s * record.fs)
        shares = [clipped_share(leads[:, start : start + length], min(length, record.n_samples - start)) for start in first.tolist()]
        return np.array(shares, np.float32).reshape(-1, len(self.leads))


class _Piece(NamedTuple):
    """The windows of one record: samples (n, n_leads, n_samples), real samples (n,), seconds (n,), shares at an extreme (n, n_leads)."""

    samples: NDArray[np.float32]
    n_real: NDArray[np.integer]
    start_s: NDArray[np.floating]
    clipped: NDArray[np.float32]


def _resampled(
    records: Sequence[Record], wanted: Iterable[int], *, leads: tuple[str, ...], target_fs: float
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Index and samples (n_leads, n_samples) at ``target_fs`` of each wanted record; records of one rate and length go together."""
    from ecg_tasks.signals.resampling import resample

    alike: dict[tuple[float, int], list[int]] = defaultdict(list)
    for index in wanted:
        alike[records[index].fs, records[index].n_samples].append(index)
    for (fs, _), indices in alike.items():
        batch = np.stack([records[index].samples[[records[index].leads.index(lead) for lead in leads]] for index in indices])
        yield from zip(indices, resample(batch, fs=fs, target_fs=target_fs), strict=True)


def _assemble(pieces: dict[int, _Piece], *, n_leads: int, n_samples: int) -> Windows:
    """All pieces in the order of the records."""
    ordered = [pieces[index] for index in sorted(pieces)]
    counts = [len(piece.start_s) for piece in ordered]
    return Windows(
        samples=np.concatenate([np.empty((0, n_leads, n_samples), np.float32), *(piece.samples for piece in ordered)], dtype=np.float32),
        record=np.repeat(np.array(sorted(pieces), np.int64), counts),
        window=np.concatenate([np.empty(0, np.int32), *(np.arange(count, dtype=np.int32) for count in counts)]),
        start_s=np.concatenate([np.empty(0), *(piece.start_s for piece in ordered)]).astype(np.float32),
        n_real=np.concatenate([np.empty(0, np.int32), *(piece.n_real for piece in ordered)]).astype(np.int32),
        clipped=np.concatenate([np.empty((0, n_leads), np.float32), *(piece.clipped for piece in ordered)]),
    )
