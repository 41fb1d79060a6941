"""Here: recordings written as the files that the readers read: WFDB, heartbeat CSV, labels.csv. Not here: making them (``synthesis``)."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import SignalError
from ecg_tasks.signals.record import HEARTBEAT_SAMPLES

GAIN_PER_MV = 1000
"""Steps of a stored sample in 1 mV: a resolution of 1 µV, and a range of ±32 mV."""
LABEL_COLUMNS = ("record", "label", "patient_id")
_LARGEST = 2**15 - 1


def wfdb_record(
    samples_mv: NDArray[np.floating], *, fs: float, leads: Sequence[str], stem: str, comments: Sequence[str] = ()
) -> dict[str, bytes]:
    """Write a recording as a WFDB header and one signal file of format 16, with the checksums that readers verify.

    wfdb has a writer too; it needs a folder, and eighty times as long for a recording of ten seconds.

    Parameters
    ----------
    samples_mv : array, shape (n_leads, n_samples), mV
    fs : sampling rate in Hz
    leads : one name per row
    stem : the files' name without extension; letters, digits, ``_`` and ``-``
    comments : lines such as ``age: 81``

    Returns
    -------
    dict of file name to bytes: ``stem.hea`` and ``stem.dat``

    Raises
    ------
    SignalError
        Where a sample does not fit into the range, or the names do not match the rows.
    """
    digital = np.rint(np.asarray(samples_mv, dtype=np.float64) * GAIN_PER_MV)
    if digital.ndim != 2 or len(leads) != digital.shape[0]:  # noqa: PLR2004 - leads and time
        raise SignalError(f"{len(leads)} lead names for samples of shape {digital.shape}")
    if not (np.abs(digital) <= _LARGEST).all():
        raise SignalError(f"samples must be finite and within {_LARGEST / GAIN_PER_MV} mV to be written with {GAIN_PER_MV} steps a mV")
    stored = digital.astype("<i2")
    lines = [f"{stem} {len(leads)} {fs:g} {stored.shape[1]}"]
    lines += [
        f"{stem}.dat 16 {GAIN_PER_MV}/mV 16 0 {row[0]} {int(row.sum(dtype=np.int64)) % 65536} 0 {lead}"
        for lead, row in zip(leads, stored, strict=True)
    ]
    lines += [f"# {comment}" for comment in comments]
    return {f"{stem}.hea": ("\n".join(lines) + "\n").encode("ascii"), f"{stem}.dat": np.ascontiguousarray(stored.T).tobytes()}


def heartbeat_csv(beats: NDArray[np.floating], labels: Sequence[int]) -> bytes:
    """Write beats of shape (n, 187) in [0, 1] and their labels (0 normal, 1 abnormal) as a heartbeat CSV without column names."""
    if beats.shape != (len(labels), HEARTBEAT_SAMPLES):
        raise SignalError(f"{len(labels)} labels for beats of shape {beats.shape}; each beat has {HEARTBEAT_SAMPLES} samples")
    text = io.StringIO()
    np.savetxt(text, np.column_stack([beats, labels]), fmt="%.7g", delimiter=",")
    return text.getvalue().encode("ascii")


def labels_csv(rows: Iterable[Mapping[str, str]]) -> bytes:
    """Write rows with the columns ``record``, ``label`` and ``patient_id`` as a ``labels.csv``; a column that a row lacks stays empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, LABEL_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8")
