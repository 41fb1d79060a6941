"""Here: the synthetic inbox that a demonstration starts from. Not here: making hearts (``synthesis``) or files (``sample_files``)."""

import gzip

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import SignalError
from ecg_tasks.labels import CLASS_ORDER, Label
from ecg_tasks.signals.heartbeats import cut_beats
from ecg_tasks.signals.record import HEARTBEAT_FS, STANDARD_LEADS
from ecg_tasks.signals.sample_files import heartbeat_csv, labels_csv, wfdb_record
from ecg_tasks.signals.synthesis import draw_heart, synthesize

FOLDER = "synthetic"
FS = 500.0
"""Hz."""
DURATION_S = 10.0
MIN_SEVERITY = 0.6
"""Of the infarcts in the recordings: a model must learn the sign for certain from the few recordings of a demonstration."""
HEARTBEAT_ROWS = 120
ROWS_BESIDE_THE_BAD_ONE = 4
BAD_ROW = 3
"""Line of the bad row in its file."""
UNLABELLED_EVERY = 11
"""Every eleventh recording has no label, of either class: a person still has to look at it."""

_ROWS_PER_HEART = 2


def sample_drop(*, seed: int, n_patients: int = 60, recordings_per_patient: int = 2) -> dict[str, bytes]:
    """Make all files that the demonstration drops into the inbox, made of one seed.

    All under ``synthetic/``: 12-lead recordings of 10 s at 500 Hz of every patient (WFDB; every other patient is abnormal),
    their ``labels.csv`` with a few labels left empty, ``synthetic_heartbeats.csv`` with 120 labelled beats of other
    patients, and what goes wrong in real life: the first recording a second time under another name (``copy_of_…``),
    ``synthetic_bad_row.csv``, in which row 3 has a word among its numbers, and ``corrupt.csv.gz``, which ends in its middle.
    Every file that can be read says that it is synthetic.

    Parameters
    ----------
    seed : the same seed gives the same bytes
    n_patients : patients with 12-lead recordings, at least 2
    recordings_per_patient : how many such recordings each of them has

    Returns
    -------
    dict of path to bytes
    """
    if n_patients < len(CLASS_ORDER):
        raise SignalError(f"{n_patients=}; there must be a normal and an abnormal one")
    rng = np.random.default_rng(seed)
    drop: dict[str, bytes] = {}
    labels: list[dict[str, str]] = []
    for patient in range(1, n_patients + 1):
        heart = draw_heart(rng, label=CLASS_ORDER[patient % 2], min_severity=MIN_SEVERITY)
        for recording in range(1, recordings_per_patient + 1):
            stem = f"synthetic_{patient:04d}_{recording}"
            comments = ("synthetic: yes", f"age: {heart.age:.0f}", f"sex: {heart.sex}")
            samples = synthesize(heart, fs=FS, duration_s=DURATION_S, rng=rng)
            drop |= _in_folder(wfdb_record(samples, fs=FS, leads=STANDARD_LEADS, stem=stem, comments=comments))
            is_labelled = (len(labels) + 1) % UNLABELLED_EVERY != 0
            labels.append({"record": stem, "label": heart.label.value if is_labelled else "", "patient_id": f"synthetic-{patient:04d}"})
            if patient == recording == 1:
                drop |= _in_folder(wfdb_record(samples, fs=FS, leads=STANDARD_LEADS, stem=f"copy_of_{stem}", comments=comments))
    beats, classes = _heartbeats(rng, n_rows=HEARTBEAT_ROWS + ROWS_BESIDE_THE_BAD_ONE)
    rows = heartbeat_csv(beats, classes)
    lines = rows.splitlines(keepends=True)
    bad_row = lines[HEARTBEAT_ROWS:]
    bad_row.insert(BAD_ROW - 1, lines[0].replace(b",", b",artefact,", 1).replace(b",0\n", b"\n").replace(b",1\n", b"\n"))
    files = {
        "labels.csv": labels_csv(labels),
        "synthetic_heartbeats.csv": b"".join(lines[:HEARTBEAT_ROWS]),
        "synthetic_bad_row.csv": b"".join(bad_row),
        "corrupt.csv.gz": gzip.compress(rows, mtime=0)[: len(rows) // 10],
    }
    return drop | _in_folder(files)


def _in_folder(files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{FOLDER}/{name}": content for name, content in files.items()}


def _heartbeats(rng: np.random.Generator, *, n_rows: int) -> tuple[NDArray[np.float32], list[int]]:
    """Return beats cut from lead II, a few of each heart, normal and abnormal hearts in turn; shape (n_rows, 187) and 0 or 1 for each."""
    beats: list[NDArray[np.float32]] = []
    classes: list[int] = []
    while len(beats) < n_rows:
        label = CLASS_ORDER[(len(beats) // _ROWS_PER_HEART) % 2]
        samples = synthesize(draw_heart(rng, label=label), fs=HEARTBEAT_FS, duration_s=DURATION_S, rng=rng)
        cut = cut_beats(samples[STANDARD_LEADS.index("II")], fs=HEARTBEAT_FS).samples[:_ROWS_PER_HEART]
        if len(cut) == _ROWS_PER_HEART:  # now and then the wander hides the R peaks
            beats += list(cut)
            classes += [int(label is Label.ABNORMAL)] * _ROWS_PER_HEART
    return np.stack(beats[:n_rows]), classes[:n_rows]
