"""Here: how long a record's beats are, roughly and quickly, for watching what comes in. Not here: cutting beats (``heartbeats``)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.signals.preparing import prepare
from ecg_tasks.signals.record import Record

RHYTHM_LEAD = "II"
STRETCH_S = 10.0
"""Seconds from the record's start that are looked at."""
QRS_HZ = (5.0, 25.0)
REFRACTORY_S = 0.3
MIN_STRETCH_S = 2.0


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
    for index, record in enumerate(records):
        if record.is_heartbeat:
            real = np.flatnonzero(record.samples[0])
            found[index] = (real[-1] + 1) / record.fs if real.size else np.nan
        else:
            ready = prepare(record).record
            lead = ready.leads.index(RHYTHM_LEAD) if RHYTHM_LEAD in ready.leads else 0
            found[index] = _rr_s(ready.samples[lead, : round(STRETCH_S * ready.fs)], fs=ready.fs)
    return found


def _rr_s(lead: NDArray[np.float32], *, fs: float) -> float:
    """Return the median R-R interval in s of a stretch of one lead, shape (n_samples,)."""
    from scipy.ndimage import uniform_filter1d
    from scipy.signal import butter, find_peaks, sosfiltfilt

    if lead.size < MIN_STRETCH_S * fs or fs <= 2 * QRS_HZ[1]:
        return float("nan")
    energy = np.diff(sosfiltfilt(butter(2, QRS_HZ, "bandpass", fs=fs, output="sos"), lead)) ** 2
    steepness = np.sqrt(uniform_filter1d(energy, max(1, round(0.12 * fs)), mode="constant"))
    peaks, _ = find_peaks(steepness, distance=max(1, round(REFRACTORY_S * fs)), height=0.4 * float(np.percentile(steepness, 98)))
    return float(np.median(np.diff(peaks)) / fs) if peaks.size > 1 else float("nan")
