"""Here: how records are cut into windows of one shape: beats, or 10 s of twelve leads.

Not here: making a stored recording ready (``preparing``), finding beats, or drawing.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.signals.clipping import clipped_share
from ecg_tasks.signals.middle import median_along
from ecg_tasks.signals.preparing import WINDOW_S, Prepared, Stretch, prepare
from ecg_tasks.signals.record import HEARTBEAT_FS, HEARTBEAT_SAMPLES, STANDARD_LEADS, Record

BEAT_LEAD = "II"
"""The lead that beats are cut from, as Kachuee et al. 2018 do."""
ENOUGH_BEATS = 4
"""Beats that make an average one of a stretch shorter than a window."""
BEAT_BEFORE_S, BEAT_AFTER_S = 0.36, 0.664
"""Seconds around the R peak that a beat must have inside a shorter stretch to be counted."""


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
        """Return whether this is a heartbeat row of the right rate and length, or a recording with lead II over five seconds or more."""
        if record.is_heartbeat:
            return record.fs == self.fs and record.samples.shape == (1, self.n_samples)
        ready = prepare(record, leads=self.leads)
        return ready.has(self.leads) and bool(self.stretches(ready))

    def stretches(self, ready: Prepared) -> tuple[Stretch, ...]:
        """Return the seconds of a recording whose beats are cut: whole windows of ten seconds, or one shorter stretch."""
        return ready.stretches((BEAT_LEAD,), fs=self.fs)

    @property
    def leads(self) -> tuple[str, ...]:
        """The leads that are read."""
        return (BEAT_LEAD,)

    def cut(self, records: Sequence[Record]) -> Windows:
        """Cut every record; the result does not depend on the other records.

        A heartbeat row does not say where its padding begins: all zeros at its end are taken for padding.
        """
        pieces: dict[int, _Piece] = {}
        rows = [index for index, record in enumerate(records) if record.is_heartbeat]
        if rows:
            beats = np.stack([records[index].samples for index in rows])
            is_real = beats[:, 0] != 0
            n_real = np.where(is_real.any(axis=1), self.n_samples - np.argmax(is_real[:, ::-1], axis=1), 0)
            pieces.update((index, _Piece(beats[at : at + 1], n_real[at : at + 1], np.zeros(1))) for at, index in enumerate(rows))
        ready = {index: prepare(record) for index, record in enumerate(records) if not record.is_heartbeat}
        stretches = {index: self.stretches(one) for index, one in ready.items()}
        leads = {index: lead[0] for index, lead in _resampled(ready, leads=(BEAT_LEAD,), target_fs=self.fs)}
        pieces.update(self._beats(leads, stretches))
        return _assemble(pieces, n_leads=1, n_samples=self.n_samples)

    def surroundings(self, records: Sequence[Record]) -> Windows:
        """Return the stretches of lead II that the beats of a recording are cut from, one after the other; of heartbeat rows none."""
        ready = {index: prepare(record) for index, record in enumerate(records) if not record.is_heartbeat}
        return RecordingWindows(leads=(BEAT_LEAD,), fs=self.fs, window_s=WINDOW_S).cut_prepared(ready)

    def _beats(
        self, leads: Mapping[int, NDArray[np.float32]], stretches: Mapping[int, Sequence[Stretch]]
    ) -> Iterator[tuple[int, "_Piece"]]:
        """Yield each lead's index and beats; leads of one length are cut together.

        Wander is taken off before if beats are cut leniently.
        """
        from ecg_tasks.signals.heartbeats import LENIENT_R_THRESHOLDS, R_THRESHOLD, cut_beats_of_rows
        from ecg_tasks.signals.median_beats import without_wander

        alike: dict[tuple[int, float], list[int]] = defaultdict(list)
        read: dict[int, NDArray[np.float32]] = {}
        offset_s: dict[int, float] = {}
        for index, lead in leads.items():
            shorter = next((one for one in stretches[index] if one.length_s < WINDOW_S), None)
            offset_s[index], length_s = (0.0, WINDOW_S) if shorter is None else (shorter.start_s, shorter.length_s)
            first = round(offset_s[index] * self.fs)
            read[index] = lead if shorter is None else lead[first : first + round(length_s * self.fs)]
            alike[read[index].size, length_s].append(index)
        for (size, length_s), indices in alike.items():
            rows: NDArray[np.floating] = np.stack([read[index] for index in indices])
            lenient = self.lenient and size >= self.fs  # the filter needs a stretch to run in
            rows = without_wander(rows, fs=self.fs) if lenient else rows
            cut = cut_beats_of_rows(rows, fs=self.fs, r_thresholds=LENIENT_R_THRESHOLDS if lenient else (R_THRESHOLD,), window_s=length_s)
            for index, beats in zip(indices, cut, strict=True):
                r_peaks_s = beats.r_peaks_s + offset_s[index]
                is_read = np.zeros(len(r_peaks_s), dtype=bool)
                for one in stretches[index]:
                    is_read |= (r_peaks_s >= one.start_s) & (r_peaks_s < one.start_s + one.length_s)
                yield index, _Piece(beats.samples[is_read][:, None, :], beats.n_samples[is_read], r_peaks_s[is_read])


@dataclass(frozen=True, kw_only=True)
class RecordingWindows:
    """As many whole windows as fit into a recording, one after the other; what is left at its end is not used.

    A window with a gap in one of its leads is left out. Where no whole window is left, the longest stretch of five seconds or more
    becomes one, if the average beat can be made of ``ENOUGH_BEATS`` beats of it.

    The baseline: of each lead in each window its median is subtracted, so that a constant offset of the amplifier does not
    show. Slow wander stays; it is at the lowest frequencies of the spectrogram, and signal quality shows it.

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
        """Return whether the record has all leads, in mV, each with a signal, and is long enough for a window."""
        if record.is_heartbeat:
            return False
        ready = prepare(record, leads=self.leads)
        if not ready.has(self.leads):
            return False
        stretches = self.stretches(ready)
        return bool(stretches) and (stretches[0].length_s >= self.window_s or self._has_beats(ready))

    def stretches(self, ready: Prepared) -> tuple[Stretch, ...]:
        """Return the seconds of a recording that become windows."""
        return ready.stretches(self.leads, fs=self.fs, window_s=self.window_s)

    def cut(self, records: Sequence[Record]) -> Windows:
        """Cut every record; the result does not depend on the other records."""
        return self.cut_prepared({index: prepare(record) for index, record in enumerate(records)})

    def cut_prepared(self, ready: Mapping[int, Prepared]) -> Windows:
        """Cut recordings that are ready, each under its index."""
        pieces: dict[int, _Piece] = {}
        for index, samples in _resampled(ready, leads=self.leads, target_fs=self.fs):
            stretches = self.stretches(ready[index])
            if any(one.length_s < self.window_s for one in stretches):
                windows, n_real = self._shorter(samples, stretches[0])
            else:
                n_windows = samples.shape[1] // self.n_samples
                whole = samples[:, : n_windows * self.n_samples].reshape(len(self.leads), n_windows, self.n_samples).swapaxes(0, 1)
                chosen = whole[[round(one.start_s / self.window_s) for one in stretches]]
                windows, n_real = chosen - median_along(chosen)[..., None], np.full(len(chosen), self.n_samples)
            start_s = np.array([one.start_s for one in stretches])
            pieces[index] = _Piece(windows, n_real, start_s, self._clipped(ready[index].record, stretches))
        return _assemble(pieces, n_leads=len(self.leads), n_samples=self.n_samples)

    def _shorter(self, samples: NDArray[np.float32], stretch: Stretch) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return one window that is zero behind the stretch, shape (1, n_leads, n_samples), and how many of its samples are real."""
        first = round(stretch.start_s * self.fs)
        part = samples[:, first : first + min(round(stretch.length_s * self.fs), self.n_samples)]
        window = np.zeros((1, len(self.leads), self.n_samples), np.float32)
        window[0, :, : part.shape[1]] = part - median_along(part)[:, None]
        return window, np.array([part.shape[1]])

    def _has_beats(self, ready: Prepared) -> bool:
        """Return whether a shorter stretch has enough beats for an average one."""
        from ecg_tasks.signals.median_beats import beats_in_step

        cut = self.cut_prepared({0: ready})
        beats = beats_in_step(cut.samples, fs=self.fs, before_s=BEAT_BEFORE_S, after_s=BEAT_AFTER_S, n_real=cut.n_real)
        return len(beats[0]) >= ENOUGH_BEATS

    def _clipped(self, record: Record, stretches: Sequence[Stretch]) -> NDArray[np.float32]:
        leads = record.samples[[record.leads.index(lead) for lead in self.leads]]
        shares = []
        for one in stretches:
            start, length = round(one.start_s * record.fs), round(one.length_s * record.fs)
            shares.append(clipped_share(leads[:, start : start + length], min(length, record.n_samples - start)))
        return np.array(shares, np.float32).reshape(-1, len(self.leads))


class _Piece(NamedTuple):
    """The windows of one record: samples (n, n_leads, n_samples), real samples (n,), seconds (n,), and shares at an extreme (n, n_leads).

    The shares may be left out of pieces that were cut of samples at their own rate.
    """

    samples: NDArray[np.float32]
    n_real: NDArray[np.integer]
    start_s: NDArray[np.floating]
    clipped: NDArray[np.float32] | None = None


def _resampled(ready: Mapping[int, Prepared], *, leads: tuple[str, ...], target_fs: float) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Return each recording's index and samples (n_leads, n_samples) at ``target_fs``; recordings of one rate and length go together."""
    from ecg_tasks.signals.resampling import resample

    records = {index: one.record for index, one in ready.items()}
    alike: dict[tuple[float, int], list[int]] = defaultdict(list)
    for index, record in records.items():
        alike[record.fs, record.n_samples].append(index)
    for (fs, _), indices in alike.items():
        batch = np.stack([records[index].samples[[records[index].leads.index(lead) for lead in leads]] for index in indices])
        yield from zip(indices, resample(batch, fs=fs, target_fs=target_fs), strict=True)


def _assemble(pieces: dict[int, _Piece], *, n_leads: int, n_samples: int) -> Windows:
    """Return all pieces in the order of the records."""
    ordered = [pieces[index] for index in sorted(pieces)]
    counts = [len(piece.start_s) for piece in ordered]
    samples = np.concatenate([np.empty((0, n_leads, n_samples), np.float32), *(piece.samples for piece in ordered)], dtype=np.float32)
    n_real = np.concatenate([np.empty(0, np.int32), *(piece.n_real for piece in ordered)]).astype(np.int32)
    shares = [piece.clipped for piece in ordered if piece.clipped is not None]
    return Windows(
        samples=samples,
        record=np.repeat(np.array(sorted(pieces), np.int64), counts),
        window=np.concatenate([np.empty(0, np.int32), *(np.arange(count, dtype=np.int32) for count in counts)]),
        start_s=np.concatenate([np.empty(0), *(piece.start_s for piece in ordered)]).astype(np.float32),
        n_real=n_real,
        clipped=np.concatenate(shares) if shares else clipped_share(samples, n_real[:, None]),
    )
