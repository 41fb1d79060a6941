"""Here: the heartbeats that every benchmark runs on, as many as wanted. Not here: what is done with them.

They are beats of imaginary patients, each changed a little, so that no two rows are the same record.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.labels import CLASS_ORDER
from ecg_tasks.signals.heartbeats import cut_beats
from ecg_tasks.signals.record import HEARTBEAT_FS, HEARTBEAT_SAMPLES, STANDARD_LEADS, Record
from ecg_tasks.signals.synthesis import draw_heart, synthesize

SEED = 20180501
N_HEARTS = 40
STEPS = 10_000
"""Samples are rounded to this part of full scale: four decimals, as a file of moderate size has them."""
_NOISE = 0.004


def heartbeat_rows(n: int, *, seed: int) -> NDArray[np.float32]:
    """Make beats in [0, 1] at 125 Hz, zero-padded, shape (n, 187); for one seed the first ones are the same for any ``n``."""
    return (_steps(n, seed=seed) / STEPS).astype(np.float32)


def heartbeat_records(n: int, *, seed: int) -> list[Record]:
    """Return the same beats as records."""
    rows = heartbeat_rows(n, seed=seed)
    return [
        Record(samples=rows[at : at + 1], fs=HEARTBEAT_FS, leads=("II",), unit="relative", name=f"beat {at}", synthetic=True)
        for at in range(n)
    ]


def heartbeat_csv(n: int, *, seed: int) -> bytes:
    """Write the same beats as a heartbeat CSV without labels, in one step: 1.3 kB a row."""
    fields = np.array([f"{step / STEPS:.4f}," for step in range(STEPS + 1)], dtype="S7")
    text = fields[_steps(n, seed=seed)].view(np.uint8).reshape(n, -1)
    text[:, -1] = ord("\n")
    return text.tobytes()


def labelled_beats(n_normal: int, n_abnormal: int, *, seed: int) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.int64]]:
    """Make beats of many imaginary patients with the truth about them.

    Returns
    -------
    ndarray, shape (n, 187), float32; ndarray, shape (n,), uint8, 0 normal or 1 abnormal; ndarray, shape (n,), int64, the patient
    """
    lead = STANDARD_LEADS.index("II")
    found: list[tuple[NDArray[np.float32], int, int]] = []
    rng = np.random.default_rng([SEED, seed])
    missing, patient = {0: n_normal, 1: n_abnormal}, 0
    while any(missing.values()):
        label = patient % 2 if missing[patient % 2] else 1 - patient % 2
        heart = draw_heart(rng, label=CLASS_ORDER[label])
        beats = cut_beats(synthesize(heart, fs=HEARTBEAT_FS, duration_s=30.0, rng=rng)[lead], fs=HEARTBEAT_FS).samples[: missing[label]]
        found.append((beats, label, patient))
        missing[label] -= len(beats)
        patient += 1
    rows = np.concatenate([beats for beats, _, _ in found])
    shuffled = rng.permutation(patient)  # or the last ones would all be of the class that has more beats
    labels = np.repeat(np.array([label for _, label, _ in found], np.uint8), [len(beats) for beats, _, _ in found])
    patients = np.repeat(shuffled[[who for _, _, who in found]], [len(beats) for beats, _, _ in found])
    return rows, labels, patients.astype(np.int64)


def recordings(n: int, *, fs: float, duration_s: float) -> list[Record]:
    """Make twelve-lead recordings of imaginary patients."""
    rng = np.random.default_rng(SEED)
    return [
        Record(
            samples=synthesize(draw_heart(rng, label=CLASS_ORDER[at % 2]), fs=fs, duration_s=duration_s, rng=rng),
            fs=fs,
            leads=STANDARD_LEADS,
            unit="mV",
            name=f"recording {at}",
            synthetic=True,
        )
        for at in range(n)
    ]


def _steps(n: int, *, seed: int) -> NDArray[np.int64]:
    """Return beats in steps of 1 / ``STEPS``, shape (n, 187)."""
    choice, noise = (np.random.default_rng([SEED, seed, stream]) for stream in range(2))
    models = _models()
    beats = models[choice.integers(len(models), size=n)].astype(np.float64)
    beats += np.where(beats > 0, noise.normal(0, _NOISE, beats.shape), 0)
    return np.rint(np.clip(beats, 0, 1) * STEPS).astype(np.int64)


@cache
def _models() -> NDArray[np.float32]:
    """Return beats cut from lead II of some hearts, shape (n, 187)."""
    lead = STANDARD_LEADS.index("II")
    found = [cut_beats(record.samples[lead], fs=HEARTBEAT_FS).samples for record in recordings(N_HEARTS, fs=HEARTBEAT_FS, duration_s=10.0)]
    return np.concatenate([np.empty((0, HEARTBEAT_SAMPLES), np.float32), *found])
