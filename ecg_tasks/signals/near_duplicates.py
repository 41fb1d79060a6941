"""Here: which records look like copies or parts of one recording. Not here: what follows from it (``pipeline.training``).

Two grades. *Similar* records are so much alike that they may come from one recording: they are kept in one split where no
patient is known, which costs nothing if it was chance. *Same* records show one stretch of one signal beyond doubt: such a pair in two
splits is a leak, whatever the patient ids say. What the thresholds find and miss was measured
(docs/decisions/0044-near-duplicates.md).
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.signals.beat_links import LAGS, Connected, Pairs, beat_links, unit
from ecg_tasks.signals.heartbeats import LENIENT_R_THRESHOLDS, WINDOW_S, cut_beats
from ecg_tasks.signals.median_beats import median_beats
from ecg_tasks.signals.preparing import prepare
from ecg_tasks.signals.record import HEARTBEAT_FS, HEARTBEAT_SAMPLES, STANDARD_LEADS, Record
from ecg_tasks.signals.resampling import resample

RECORDING_SIMILAR = 0.97
"""Correlation of two median beats in all twelve leads, at the best lag."""
LEAD_SIMILAR = 0.995
"""The same in lead II alone, for recordings that lack other leads."""
RECORDING_SAME = 0.95
"""Correlation of lead II over all seconds that two recordings share, at the best lag."""

OVERLAP = 8
"""Samples that a beat shares with the next one of its window: a beat is 1.2 intervals long, so its end is the next one's beginning."""
OVERLAP_RMS = 1e-3
"""Root mean square by which they may differ, in units of a window's range: rounding in a CSV, and nothing else."""
_PEAK = min(LENIENT_R_THRESHOLDS)
_FIRST_PEAK = 20
_BEFORE_S, _AFTER_S = 0.25, 0.45
_WAVE_HZ = (0.5, 25.0)
_MIN_SHARED = 0.5
"""Share of a recording that two must have in common for their signals to be compared."""
_WORTH_A_LOOK = 0.85
"""Correlation at lag 0 below which the best lag does not matter any more."""
_CANDIDATE = 0.95
"""Correlation of median beats from which on the whole signals are compared: what is the same but noisy reaches it."""
_BLOCK = 2048
_LEAD_II = STANDARD_LEADS.index("II")

KEY = hashlib.sha256(json.dumps([1, OVERLAP, _BEFORE_S, _AFTER_S, _WAVE_HZ, LENIENT_R_THRESHOLDS]).encode()).hexdigest()[:12]
"""Names stored signatures by how they are made."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Signatures:
    """What records are compared by: a few kilobytes each.

    Parameters
    ----------
    n_records : of which these are signatures
    is_row : shape (n_records,), bool: heartbeat rows, which are one beat each
    beats : shape (n_beats, 187), float32: the row, or the beats of lead II
    beat_of : shape (n_beats,), int64: index of the record
    medians : shape (n_recordings, 12, n), float32: median beat, zero in leads that the recording lacks
    waves : shape (n_recordings, m), float32: lead II of the first 10 s
    recording_of : shape (n_recordings,), int64: index of the record
    """

    n_records: int
    is_row: NDArray[np.bool_]
    beats: NDArray[np.float32]
    beat_of: NDArray[np.int64]
    medians: NDArray[np.float32]
    waves: NDArray[np.float32]
    recording_of: NDArray[np.int64]

    def take(self, records: NDArray[np.int64]) -> "Signatures":
        """Return the signatures of some records, in the order of their indices."""
        place = np.full(self.n_records, -1)
        place[records] = np.arange(len(records))
        beats, recordings = place[self.beat_of] >= 0, place[self.recording_of] >= 0
        return Signatures(
            n_records=len(records),
            is_row=self.is_row[records],
            beats=self.beats[beats],
            beat_of=place[self.beat_of[beats]],
            medians=self.medians[recordings],
            waves=self.waves[recordings],
            recording_of=place[self.recording_of[recordings]],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Links:
    """Pairs of records that are similar: indices ``first < second``, each pair once, and whether they are the same signal."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    same: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.first)


def signatures(records: Sequence[Record]) -> Signatures:
    """Compute the signatures of records; each depends on its record alone."""
    from scipy.signal import butter, sosfiltfilt

    beats: list[NDArray[np.float32]] = [np.empty((0, HEARTBEAT_SAMPLES), np.float32)]
    beat_of: list[int] = []
    recording_of = [index for index, record in enumerate(records) if not record.is_heartbeat]
    place_of = {index: place for place, index in enumerate(recording_of)}
    n_samples = round(WINDOW_S * HEARTBEAT_FS)
    windows = np.zeros((len(recording_of), len(STANDARD_LEADS), n_samples), np.float32)
    waves = np.zeros((len(recording_of), n_samples), np.float32)
    smooth = butter(2, _WAVE_HZ, "bandpass", fs=HEARTBEAT_FS, output="sos")
    for index, record in enumerate(records):
        if record.is_heartbeat:
            beats.append(record.samples)
            beat_of.append(index)
            continue
        place = place_of[index]
        record = prepare(record).record  # noqa: PLW2901 - leads under their own names, without gaps
        own = {lead: row for row, lead in enumerate(record.leads) if lead in STANDARD_LEADS}
        start = resample(record.samples[list(own.values()), : round(WINDOW_S * record.fs)], fs=record.fs, target_fs=HEARTBEAT_FS)
        start = start[:, :n_samples]
        windows[place, [STANDARD_LEADS.index(lead) for lead in own], : start.shape[1]] = start
        if "II" in own:
            wave = sosfiltfilt(smooth, windows[place, _LEAD_II, : start.shape[1]])
            waves[place, : len(wave)] = wave
            found = cut_beats(record.samples[record.leads.index("II")], fs=record.fs, r_thresholds=LENIENT_R_THRESHOLDS).samples
            beats.append(found)
            beat_of += [index] * len(found)
    return Signatures(
        n_records=len(records),
        is_row=np.array([record.is_heartbeat for record in records], dtype=bool),
        beats=np.concatenate(beats),
        beat_of=np.array(beat_of, dtype=np.int64),
        medians=median_beats(windows, fs=HEARTBEAT_FS, before_s=_BEFORE_S, after_s=_AFTER_S),
        waves=waves,
        recording_of=np.array(recording_of, dtype=np.int64),
    )


def find_links(
    known: Signatures, *, new: NDArray[np.bool_] | None = None, splits: NDArray[np.int64] | None = None, spanning: bool = False
) -> Links:
    """Find all pairs of similar records, or only those that a caller needs: a million beats of a few people have too many pairs to keep.

    Heartbeat rows are compared with one another and with the beats of recordings: by their correlation at the best lag, and by whether
    one begins with the very samples that the other ends with. Recordings are compared by their median beats, and those that resemble
    one another by the whole of lead II.

    Parameters
    ----------
    known : of all records
    new : shape (n_records,): only pairs with at least one of these are looked for; None for all pairs
    splits : shape (n_records,): only pairs in two splits are looked for; None for all pairs
    spanning : leave out pairs of two new records that are connected by others already
    """
    fresh = np.ones(known.n_records, dtype=bool) if new is None else new

    def wanted(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.bool_]:
        asked: NDArray[np.bool_] = fresh[first] | fresh[second]
        return asked if splits is None else asked & (splits[first] != splits[second])

    connected = Connected(known.n_records, fresh) if spanning else None
    parts = [
        beat_links(known.beats, known.beat_of, known.is_row, wanted=wanted, connected=connected),
        _overlap_links(known, wanted),
        _recording_links(known, wanted),
    ]
    found = Pairs(n_records=known.n_records)
    for a, b, same in parts:
        apart = a != b
        found.add(a[apart], b[apart], same[apart])
    first, second = found.ends
    return Links(first=first, second=second, same=found.same)


_Found = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]
_Wanted = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.bool_]]


def _overlap_links(known: Signatures, wanted: _Wanted) -> _Found:
    """Return pairs of which one's beginning is found, sample by sample, from a later R peak of the other on."""
    from scipy.spatial import cKDTree

    if not len(known.beats):
        return _NOTHING
    beats = known.beats
    length = np.where(beats.any(axis=1), HEARTBEAT_SAMPLES - (beats[:, ::-1] != 0).argmax(axis=1), 0)
    inner = beats[:, 1:-1]
    is_peak = np.pad((inner >= _PEAK) & (inner >= beats[:, :-2]) & (inner >= beats[:, 2:]), ((0, 0), (1, 1)))
    is_peak[:, :_FIRST_PEAK] = False
    owner, at = np.nonzero(is_peak)
    whole = at + OVERLAP <= length[owner]
    owner, at = owner[whole], at[whole]
    if not len(owner):
        return _NOTHING
    ends = beats[owner[:, None], at[:, None] + np.arange(OVERLAP)]
    near = cKDTree(beats[:, :OVERLAP]).query_ball_point(ends, OVERLAP_RMS * np.sqrt(OVERLAP))
    first = np.repeat(owner, [len(one) for one in near])
    second = np.array([other for one in near for other in one], dtype=np.int64)
    a, b = known.beat_of[first], known.beat_of[second]
    found = wanted(a, b) & (known.is_row[a] | known.is_row[b])
    return a[found], b[found], np.ones(int(found.sum()), dtype=bool)


def _recording_links(known: Signatures, wanted: _Wanted) -> _Found:
    """Compare recordings with recordings."""
    medians, owner = known.medians, known.recording_of
    if len(medians) == 0:
        return _NOTHING
    whole = medians.any(axis=2).sum(axis=1) >= len(STANDARD_LEADS) - 1  # one lead may have been off
    margin = max(LAGS)
    shape = medians[:, :, margin:-margin]
    full, lead = unit(_centred(shape)), unit(_centred(shape[:, [_LEAD_II]]))
    first, second = [], []
    for start in range(0, len(medians), _BLOCK):
        a_rows = slice(start, start + _BLOCK)
        for other in range(start, len(medians), _BLOCK):
            b_rows = slice(other, other + _BLOCK)
            both = whole[a_rows, None] & whole[None, b_rows]
            rough = np.where(both, full[a_rows] @ full[b_rows].T, lead[a_rows] @ lead[b_rows].T)
            a, b = np.nonzero(rough >= _WORTH_A_LOOK)
            a, b = a + start, b + other
            found = (a < b) & wanted(owner[a], owner[b])
            first.append(a[found])
            second.append(b[found])
    a, b = np.concatenate(first), np.concatenate(second)
    both = whole[a] & whole[b]
    best = np.empty(len(a))
    for start in range(0, len(a), _BLOCK):
        part = slice(start, start + _BLOCK)
        leads = np.where(both[part, None], np.ones(len(STANDARD_LEADS), dtype=bool), np.arange(len(STANDARD_LEADS)) == _LEAD_II)
        still = unit(_centred(shape[a[part]] * leads[..., None]))
        moved = (medians[b[part]][:, :, margin + lag : medians.shape[2] - margin + lag] * leads[..., None] for lag in LAGS)
        best[part] = np.max([np.einsum("ij,ij->i", still, unit(_centred(one))) for one in moved], axis=0)
    similar = best >= np.where(both, RECORDING_SIMILAR, LEAD_SIMILAR)
    candidate = similar | (best >= _CANDIDATE)
    a, b, similar = a[candidate], b[candidate], similar[candidate]
    same = np.array([shared_correlation(known.waves[i], known.waves[j]) >= RECORDING_SAME for i, j in zip(a, b, strict=True)], dtype=bool)
    kept = similar | same
    return owner[a[kept]], owner[b[kept]], same[kept]


def shared_correlation(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Return the largest correlation of two signals over what they share, whatever the lag; at least half of them must overlap.

    Both have shape (n,) and mean zero.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal(400)
    >>> bool(shared_correlation(x[:300], x[100:]) > 0.99)
    True
    """
    n = len(one)
    size = 2 * n
    product = np.fft.irfft(np.fft.rfft(one, size) * np.conj(np.fft.rfft(other, size)), size)
    most = round(n * (1 - _MIN_SHARED))
    lags = np.arange(-most, most + 1)
    energy, other_energy = (np.append(0.0, np.cumsum(np.asarray(x, dtype=np.float64) ** 2)) for x in (one, other))
    shared = n - np.abs(lags)
    start, other_start = np.maximum(lags, 0), np.maximum(-lags, 0)
    scale = (energy[start + shared] - energy[start]) * (other_energy[other_start + shared] - other_energy[other_start])
    return float((product[lags] / np.sqrt(np.maximum(scale, 1e-12))).max())


def _centred(beats: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each lead without its mean, all leads in a row: shape (n, n_leads * n_samples)."""
    centred: NDArray[np.float32] = beats - beats.mean(axis=-1, keepdims=True)
    return centred.reshape(len(beats), -1)


_NOTHING: _Found = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.bool_))
