"""Here: how long a record's beats are, roughly and quickly, for watching what comes in. Not here: cutting beats (``heartbeats``)."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.signals import filters
from ecg_tasks.signals.middle import middle_of, percentile_along
from ecg_tasks.signals.preparing import prepare
from ecg_tasks.signals.record import Record

RHYTHM_LEAD = "II"
STRETCH_S = 10.0
"""Seconds from the record's start that are looked at."""
QRS_HZ = (5.0, 25.0)
REFRACTORY_S = 0.3
MIN_STRETCH_S = 2.0
_AT_ONCE = 128
"""Recordings that are filtered together."""
_NAME = "beat_length"


def beat_lengths_s(records: Sequence[Record]) -> NDArray[np.float32]:
    """Return the median R-R interval of each recording's first 10 s, or the length of a heartbeat row before its padding.

    R peaks are where 5 to 25 Hz of lead II (or of the first lead) carry most energy, at least 0.4 of what is usual for its peaks and
    0.3 s apart. The two kinds of record do not compare: a heartbeat row is 1.2 R-R intervals long (Kachuee et al. 2018).

    Parameters
    ----------
    records : n records, of any lengths and rates

    Returns
    -------
    ndarray, shape (n,), float32, s; nan where fewer than two R peaks were found or the row is empty
    """
    found = np.full(len(records), np.nan, np.float32)
    alike: dict[tuple[float, int], list[int]] = defaultdict(list)
    for index, record in enumerate(records):
        if record.is_heartbeat:
            real = np.flatnonzero(record.samples[0])
            found[index] = (real[-1] + 1) / record.fs if real.size else np.nan
        elif _NAME in record.known:
            found[index] = record.known[_NAME]
        else:
            alike[record.fs, record.n_samples].append(index)
    for indices in alike.values():
        for start in range(0, len(indices), _AT_ONCE):
            _measure(records, indices[start : start + _AT_ONCE], found)
    return found


def _measure(records: Sequence[Record], indices: Sequence[int], found: NDArray[np.float32]) -> None:
    """Find the median R-R interval of recordings of one rate and length; the others' places in ``found`` stay."""
    by_shape: dict[tuple[float, int], dict[int, NDArray[np.float32]]] = defaultdict(dict)
    for index in indices:
        ready = prepare(records[index]).record
        lead = ready.leads.index(RHYTHM_LEAD) if RHYTHM_LEAD in ready.leads else 0
        stretch = ready.samples[lead, : round(STRETCH_S * ready.fs)]
        by_shape[ready.fs, stretch.size][index] = stretch
    for (fs, _), stretches in by_shape.items():
        for index, rr_s in zip(stretches, _rr_s(np.stack(list(stretches.values())), fs=fs), strict=True):
            found[index] = records[index].known[_NAME] = rr_s


def _rr_s(leads: NDArray[np.float32], *, fs: float) -> list[float]:
    """Return the median R-R interval in s of stretches of one lead each, shape (n, n_samples)."""
    from scipy.ndimage import uniform_filter1d

    if leads.shape[1] < MIN_STRETCH_S * fs or fs <= 2 * QRS_HZ[1]:
        return [float("nan")] * len(leads)
    energy = np.diff(filters.between(leads, QRS_HZ, fs=fs)) ** 2
    mean = uniform_filter1d(energy, max(1, round(0.12 * fs)), mode="constant")
    steepness = np.sqrt(np.maximum(mean, 0))  # it runs, so that rounding leaves less than nothing where the lead is flat
    heights = 0.4 * percentile_along(steepness, 98)
    peaks = filters.peaks_of_rows(steepness, distance=max(1, round(REFRACTORY_S * fs)), heights=heights)
    return [middle_of(np.diff(one)) / fs if one.size > 1 else float("nan") for one in peaks]
