"""Here: ECG recordings of people who do not exist. Not here: the files made of them (``sample_drop``)."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import SignalError
from ecg_tasks.labels import Label

_WAVES = ("P", "Q", "R", "S", "J", "T")
_TIME_S = np.array([-0.17, -0.034, 0.0, 0.030, 0.115, 0.27])
"""Centre of each wave, in seconds from the R peak, at 60 beats a minute; J is the plateau of the ST segment."""
_WIDTH_S = np.array([0.023, 0.010, 0.011, 0.011, 0.055, 0.050])
"""Standard deviation of each wave's Gaussian, in seconds."""
_DIPOLE_MV = np.array(
    [[0.06, 0.10, -0.01], [-0.10, -0.04, -0.16], [1.00, 0.80, 0.30], [-0.12, -0.10, 0.42], [0.01, 0.01, -0.02], [0.28, 0.20, -0.15]]
)
"""Shape (6 waves, 3): the heart's dipole at each wave's centre, in mV along x (to the left), y (to the feet) and z (to the back)."""

_DOWER = np.array(
    [
        [0.632, -0.235, 0.059],
        [0.235, 1.066, -0.132],
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ]
)
"""Shape (8, 3): leads I, II, V1 to V6 from the dipole (Dower 1968); the other four follow from I and II."""

TERRITORIES = {"anterior": (0.15, 0.0, -1.0), "inferior": (0.0, 1.0, 0.1), "lateral": (0.9, -0.3, 0.2)}
"""Direction from the heart's centre to the wall that an infarct may strike, in the dipole's axes."""

_MIN_RR_S = 0.35


@dataclass(frozen=True, kw_only=True, eq=False)
class Heart:
    """One imaginary patient: all that stays the same between two of his or her recordings.

    ``severity`` grades the infarct: 0 is a healthy heart, at 1 it is obvious, and near 0 it is smaller than the differences between people.
    """

    label: Label
    age: float
    """Years."""
    sex: Literal["female", "male"]
    rate_bpm: float
    severity: float
    territory: str
    dipole_mv: NDArray[np.float64] = field(repr=False)
    """Shape (6 waves, 3)."""
    width_s: NDArray[np.float64] = field(repr=False)
    """Shape (6 waves,)."""


def draw_heart(rng: np.random.Generator, *, label: Label, min_severity: float = 0.0) -> Heart:
    """Draw a patient: a healthy one for ``normal``, one after an infarct of random place and severity for ``abnormal``.

    People differ in the size, direction and width of every wave. An infarct lifts (or, when it is not transmural, lowers) the ST
    segment over its wall, turns the first part of the QRS complex away from it, and turns the T wave away from it. The severities of the
    abnormal begin at ``min_severity``, and the healthy have some ST and T variation too, so that near 0 the two classes overlap.

    Raises
    ------
    SignalError
        For any other label.
    """
    if label not in {Label.NORMAL, Label.ABNORMAL}:
        raise SignalError(f"a heart is normal or abnormal; {label.value} is a word for a recording")
    severity = min_severity + (1 - min_severity) * float(rng.beta(2.2, 1.4)) if label is Label.ABNORMAL else 0.0
    territory = str(rng.choice(sorted(TERRITORIES)))
    size = rng.lognormal(0.0, 0.20) * rng.lognormal(0.0, 0.15, size=(len(_WAVES), 1))
    dipole = _DIPOLE_MV * size @ _rotation(rng.normal(0.0, 0.16, size=3)).T
    j, t, q = _WAVES.index("J"), _WAVES.index("T"), _WAVES.index("Q")
    dipole[j] += rng.normal(0.0, 0.025, size=3)
    dipole[t] += rng.normal(0.0, 0.05, size=3)
    wall = np.array(TERRITORIES[territory]) / np.linalg.norm(TERRITORIES[territory])
    st_sign = 1.0 if rng.random() < 0.7 else -1.0  # noqa: PLR2004 - about a third of infarcts are not transmural
    effect = severity * rng.lognormal(0.0, 0.25, size=3)
    dipole[j] += 0.24 * st_sign * effect[0] * wall
    dipole[q] -= 0.50 * effect[1] * wall * (st_sign > 0)
    dipole[t] -= 0.60 * effect[2] * wall
    return Heart(
        label=label,
        age=round(float(np.clip(rng.normal(62 if label is Label.ABNORMAL else 54, 13), 20, 89))),
        sex="female" if rng.random() < 0.5 else "male",  # noqa: PLR2004 - a coin
        rate_bpm=float(np.clip(rng.normal(71, 11), 48, 115)),
        severity=severity,
        territory=territory if severity else "",
        dipole_mv=dipole,
        width_s=_WIDTH_S * rng.lognormal(0.0, 0.10, size=len(_WAVES)),
    )


def synthesize(heart: Heart, *, fs: float, duration_s: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Synthesize one recording of a heart in the twelve standard leads.

    A beat is a sum of Gaussians in time, one for each wave, as in McSharry's model, with a dipole in space for each wave's height, from
    which the leads follow by Dower's matrix. The intervals between beats vary with breathing (0.25 Hz) and blood pressure (0.1 Hz); the QT
    interval follows the rate. Breathing also moves the baseline and the amplitude; muscle noise and a little mains hum are added.

    Parameters
    ----------
    heart : the patient
    fs : sampling rate in Hz
    duration_s : length in seconds
    rng : the source of all that differs between two recordings of the same heart

    Returns
    -------
    ndarray, shape (12, round(fs * duration_s)), float32, mV, leads as in ``STANDARD_LEADS``

    References
    ----------
    McSharry, Clifford, Tarassenko, Smith, A dynamical model for generating synthetic electrocardiogram signals, IEEE Trans. Biomed.
    Eng. 50(3), 2003. Dower, A lead synthesizer for the Frank system, IEEE Trans. Biomed. Eng. 1968.
    """
    if not (fs > 0 and duration_s > 0):
        raise SignalError(f"{fs=} Hz, {duration_s=} s; both must be above 0")
    times = np.arange(round(fs * duration_s)) / fs
    beats, rr = _beats(heart.rate_bpm, duration_s=duration_s, rng=rng)
    breathing = np.sin(2 * np.pi * (0.25 * rng.uniform(0.8, 1.2) * times + rng.random()))

    # (n_beats, n_waves): what comes after the QRS complex moves with the square root of the interval (Bazett)
    stretch = np.sqrt(rr)[:, None]
    is_late = np.isin(_WAVES, ("J", "T"))
    centres = beats[:, None] + _TIME_S * np.where(is_late, stretch, 1.0)
    widths = heart.width_s * np.where(is_late, stretch, 1.0)
    shape = np.exp(-0.5 * ((times - centres[..., None]) / widths[..., None]) ** 2).sum(axis=0)
    leads = _twelve_leads(_DOWER @ heart.dipole_mv.T @ shape) * (1 + 0.04 * breathing)
    return (leads + _disturbance(times, breathing, rng)).astype(np.float32)


def _beats(rate_bpm: float, *, duration_s: float, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return times of the R peaks from before the start to after the end, and the interval before each, in seconds."""
    mean = 60.0 / rate_bpm
    n_beats = int(duration_s / _MIN_RR_S) + 4
    at = mean * np.arange(n_beats)
    phase = rng.random(2)
    rhythm = 0.025 * np.sin(2 * np.pi * (0.1 * at + phase[0])) + 0.025 * np.sin(2 * np.pi * (0.25 * at + phase[1]))
    rr = np.maximum(mean * (1 + rhythm + rng.normal(0.0, 0.01, size=n_beats)), _MIN_RR_S)
    beats = np.cumsum(rr) - rr[0] - rng.uniform(0.0, mean)
    near = beats < duration_s + mean
    return beats[near], rr[near]


def _disturbance(times: NDArray[np.float64], breathing: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return baseline wander, muscle noise and mains hum, shape (12, n_samples), mV; I, III and II stay consistent with one another."""
    drift_hz = rng.uniform(0.03, 0.2, size=(8, 2, 1))
    drift = np.sin(2 * np.pi * (drift_hz * times + rng.random((8, 2, 1)))).sum(axis=1) * rng.uniform(0.01, 0.06, size=(8, 1))
    respiration = rng.normal(0.0, 0.03, size=(8, 1)) * breathing
    muscle = rng.lognormal(np.log(0.012), 0.4) * rng.standard_normal((8, times.size))
    hum = rng.uniform(0.0, 0.006, size=(8, 1)) * np.sin(2 * np.pi * (50.0 * times + rng.random()))
    return _twelve_leads(drift + respiration + muscle + hum)


def _twelve_leads(independent: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return all twelve leads from I, II, V1 to V6 (Einthoven, Goldberger)."""
    one, two = independent[0], independent[1]
    return np.stack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2, *independent[2:]])


def _rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a rotation about x, y and z, by angles in radians: no two hearts lie alike."""
    sine, cosine = np.sin(angles), np.cos(angles)
    about_x = np.array([[1, 0, 0], [0, cosine[0], -sine[0]], [0, sine[0], cosine[0]]])
    about_y = np.array([[cosine[1], 0, sine[1]], [0, 1, 0], [-sine[1], 0, cosine[1]]])
    about_z = np.array([[cosine[2], -sine[2], 0], [sine[2], cosine[2], 0], [0, 0, 1]])
    rotation: NDArray[np.float64] = about_x @ about_y @ about_z
    return rotation
