"""Here: how records are cut into windows of one shape: beats, or 10 s of twelve leads.

Not here: making a stored recording ready (``preparing``), finding beats, or drawing.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
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
        for alike in _alike(ready, by=self.stretches).values():
            _, leads = _at_both_rates([ready[index].record for index in alike], leads=(BEAT_LEAD,), target_fs=self.fs)
            pieces.update(zip(alike, self._beats(leads[:, 0], self.stretches(ready[alike[0]])), strict=True))
        return _assemble(pieces, n_leads=1, n_samples=self.n_samples)

    def surroundings(self, records: Sequence[Record]) -> Windows:
        """Return the stretches of lead II that the beats of a recording are cut from, one after the other; of heartbeat rows none."""
        ready = {index: prepare(record) for index, record in enumerate(records) if not record.is_heartbeat}
        return RecordingWindows(leads=(BEAT_LEAD,), fs=self.fs, window_s=WINDOW_S).cut_prepared(ready)

    def _beats(self, leads: NDArray[np.float32], stretches: Sequence[Stretch]) -> Iterator["_Piece"]:
        """Yield the beats of each lead, shape (n, n_samples), without wander if they are cut leniently."""
        from ecg_tasks.signals.heartbeats import LENIENT_R_THRESHOLDS, R_THRESHOLD, cut_beats_of_rows
        from ecg_tasks.signals.median_beats import without_wander

        rows: NDArray[np.floating] = leads
        offset_s, length_s = 0.0, WINDOW_S
        if shorter := next((one for one in stretches if one.length_s < WINDOW_S), None):
            offset_s, length_s = shorter.start_s, shorter.length_s
            first = round(offset_s * self.fs)
            rows = leads[:, first : first + round(length_s * self.fs)]
        lenient = self.lenient and rows.shape[1] >= self.fs  # the filter needs a stretch to run in
        if lenient:
            rows = without_wander(rows, fs=self.fs)
        thresholds = LENIENT_R_THRESHOLDS if lenient else (R_THRESHOLD,)
        for beats in cut_beats_of_rows(rows, fs=self.fs, r_thresholds=thresholds, window_s=length_s):
            r_peaks_s = beats.r_peaks_s + offset_s
            is_read = np.zeros(len(r_peaks_s), dtype=bool)
            for one in stretches:
                is_read |= (r_peaks_s >= one.start_s) & (r_peaks_s < one.start_s + one.length_s)
            yield _Piece(beats.samples[is_read][:, None, :], beats.n_samples[is_read], r_peaks_s[is_read])


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
        for alike in _alike(ready, by=self.stretches).values():
            stretches = self.stretches(ready[alike[0]])
            stored, samples = _at_both_rates([ready[index].record for index in alike], leads=self.leads, target_fs=self.fs)
            windows = np.zeros((len(alike), len(stretches), len(self.leads), self.n_samples), np.float32)
            clipped = np.empty(windows.shape[:3], np.float32)
            n_real = np.empty(len(stretches), np.int32)
            fs = ready[alike[0]].record.fs
            for at, one in enumerate(stretches):
                first = round(one.start_s * self.fs)
                part = samples[..., first : first + min(round(one.length_s * self.fs), self.n_samples)]
                n_real[at] = part.shape[2]
                np.subtract(part, median_along(part)[..., None], out=windows[:, at, :, : part.shape[2]])
                first = round(one.start_s * fs)
                part = stored[..., first : first + round(one.length_s * fs)]
                clipped[:, at] = clipped_share(part, part.shape[2])
            start_s = np.array([one.start_s for one in stretches])
            pieces.update((index, _Piece(windows[at], n_real, start_s, clipped[at])) for at, index in enumerate(alike))
        return _assemble(pieces, n_leads=len(self.leads), n_samples=self.n_samples)

    def _has_beats(self, ready: Prepared) -> bool:
        """Return whether a shorter stretch has enough beats for an average one."""
        from ecg_tasks.signals.median_beats import beats_in_step

        cut = self.cut_prepared({0: ready})
        beats = beats_in_step(cut.samples, fs=self.fs, before_s=BEAT_BEFORE_S, after_s=BEAT_AFTER_S, n_real=cut.n_real)
        return len(beats[0]) >= ENOUGH_BEATS


class _Piece(NamedTuple):
    """The windows of one record: samples (n, n_leads, n_samples), real samples (n,), seconds (n,), and shares at an extreme (n, n_leads).

    The shares may be left out of pieces that were cut of samples at their own rate.
    """

    samples: NDArray[np.float32]
    n_real: NDArray[np.integer]
    start_s: NDArray[np.floating]
    clipped: NDArray[np.float32] | None = None


def _alike(ready: Mapping[int, Prepared], *, by: Callable[[Prepared], tuple[Stretch, ...]]) -> dict[Hashable, list[int]]:
    """Return the indices of recordings of one rate and length of which the same stretches are read."""
    alike: dict[Hashable, list[int]] = defaultdict(list)
    for index, one in ready.items():
        alike[one.record.fs, one.record.n_samples, by(one)].append(index)
    return alike


def _at_both_rates(
    records: Sequence[Record], *, leads: tuple[str, ...], target_fs: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return leads of recordings of one rate and length as they are, shape (n, n_leads, n_samples), and at another rate."""
    from ecg_tasks.signals.resampling import resample

    stored = np.stack([one.samples if one.leads == leads else one.samples[[one.leads.index(lead) for lead in leads]] for one in records])
    return stored, resample(stored, fs=records[0].fs, target_fs=target_fs)


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
