"""Here: lead names and units, and many signals made into one array of leads. Not here: any file format."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.signals.record import STANDARD_LEADS
from ecg_tasks.signals.resampling import MAX_FACTOR, resample

MIN_DURATION_S = 10.0
"""A recording must last this long: one window of the recipes, and of the beat cutter."""
MAX_LEVEL_MV = 50.0
"""No electrode gives more; beyond it the gain or the unit is wrong."""
MAX_VALUES = 2**25
"""Samples of all leads together, 128 MiB as float32: three leads at 128 Hz for a day, or fifteen at 1,000 Hz for half an hour."""
FS_RANGE = (50.0, 50_000.0)
"""Hz. Below it a QRS complex is three samples or fewer."""

_MILLIVOLTS = MappingProxyType({"nv": 1e-6, "uv": 1e-3, "mv": 1.0, "v": 1e3})
_STANDARD = MappingProxyType({lead.lower(): lead for lead in STANDARD_LEADS} | {"mlii": "II"})


@dataclass(frozen=True, kw_only=True, eq=False)
class Lead:
    """One signal as its file gives it."""

    name: str
    units: str
    fs: float
    """Hz."""
    samples: NDArray[np.float64]
    """Shape (n_samples,), in ``units``; NaN where the file marks a sample as invalid."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Leads:
    """What ``assemble`` makes: ``samples`` of shape (n_leads, n_samples), float32, mV, at ``fs`` Hz."""

    samples: NDArray[np.float32]
    fs: float
    names: tuple[str, ...]


def standard_name(name: str) -> str:
    """A lead's name as ``STANDARD_LEADS`` spells it; a name that is none of the twelve stays as it is.

    MLII, the modified limb lead II of Holter recordings, is read as II.

    >>> [standard_name(name) for name in ("i", "AVR", "MLII", "v6", "vx")]
    ['I', 'aVR', 'II', 'V6', 'vx']
    """
    return _STANDARD.get(name.strip().lower(), name.strip())


def millivolts_per(units: str) -> float | None:
    """The factor from ``units`` to mV, or None where it is no unit of voltage that is known here.

    >>> millivolts_per("uV"), millivolts_per("mmHg")
    (0.001, None)
    """
    return _MILLIVOLTS.get(units.lower())


def assemble(signals: Sequence[Lead], *, name: str) -> Leads:
    """Put the signals of a recording into one array, the twelve leads first and in their order, and check it.

    A recording is good when lead II is there and not flat, and every one of the twelve leads that it has is in a known unit, finite in
    every sample, and within ``MAX_LEVEL_MV``. Any other signal (a Frank lead, respiration, pressure) is taken along
    where all of that holds for it too, and left out where it does not: nothing here depends on it. Of two signals with one lead's name the
    first is that lead; the other keeps its own name, with a number where that is taken as well.

    Leads at differing rates are resampled to the highest rate among the twelve.

    Parameters
    ----------
    signals : all signals of the recording, of the same duration
    name : what to call the recording in messages

    Raises
    ------
    BadInputError
        ``missing_lead``, ``unit_unknown``, ``too_short``, ``too_large``, ``non_finite``, ``out_of_range`` or ``flat``.
    """
    by_name = _by_name(signals)
    if "II" not in by_name:
        found = ", ".join(by_name) or "none"
        raise BadInputError(Reason.MISSING_LEAD, f"{name}: lead II is needed; the signals are {found[:400]}")
    standard = [lead for lead in STANDARD_LEADS if lead in by_name]
    fs = max(by_name[lead].fs for lead in standard)
    if not FS_RANGE[0] <= fs <= FS_RANGE[1]:
        raise BadInputError(Reason.OUT_OF_RANGE, f"{name}: sampled at {fs:g} Hz; it must be {FS_RANGE[0]:g} to {FS_RANGE[1]:g} Hz")
    n_samples = min(round(lead.samples.size * fs / lead.fs) for lead in by_name.values())
    if n_samples < MIN_DURATION_S * fs:
        raise BadInputError(Reason.TOO_SHORT, f"{name}: {n_samples / fs:.3f} s; a recording must last {MIN_DURATION_S:g} s")

    if n_samples * len(by_name) > MAX_VALUES:
        at_fs = f"{n_samples} samples at {fs:g} Hz in each of {len(by_name)} signals"
        raise BadInputError(Reason.TOO_LARGE, f"{name}: {at_fs}; at most {MAX_VALUES} in all can be held")
    kept: dict[str, NDArray[np.float32]] = {}
    for lead in (*standard, *(other for other in by_name if other not in STANDARD_LEADS)):
        try:
            _check_rate(by_name[lead], fs=fs, lead=lead, name=name)
            checked = _in_millivolts(by_name[lead], lead=lead, name=name)
        except BadInputError:
            if lead in STANDARD_LEADS:
                raise
            continue
        kept[lead] = resample(checked, fs=by_name[lead].fs, target_fs=fs)[:n_samples]
    n_samples = min(samples.size for samples in kept.values())  # a ratio of odd rates is rounded
    if np.ptp(kept["II"]) == 0:
        raise BadInputError(Reason.FLAT, f"{name}: lead II is {kept['II'][0]:g} mV throughout")
    return Leads(samples=np.stack([samples[:n_samples] for samples in kept.values()]), fs=fs, names=tuple(kept))


def distinct(names: Iterable[str]) -> list[str]:
    """The names, with a number after one that is taken already.

    >>> distinct(["ECG", "ECG", "V1", "ECG"])
    ['ECG', 'ECG (2)', 'V1', 'ECG (3)']
    """
    taken: dict[str, None] = {}
    for name in names:
        variants = (name if number == 1 else f"{name} ({number})" for number in count(1))
        taken[next(variant for variant in variants if variant not in taken)] = None
    return list(taken)


def _by_name(signals: Sequence[Lead]) -> dict[str, Lead]:
    by_name: dict[str, Lead] = {}
    for signal in signals:
        lead = standard_name(signal.name)
        if lead in by_name:
            lead = distinct([*by_name, signal.name.strip()])[-1]
        by_name[lead] = signal
    return by_name


def _check_rate(signal: Lead, *, fs: float, lead: str, name: str) -> None:
    if not 1 / MAX_FACTOR <= signal.fs / fs <= MAX_FACTOR:
        message = (
            f"{name}: lead {lead} is sampled at {signal.fs:g} Hz, the others at up to {fs:g} Hz; at most a factor of {MAX_FACTOR} is read"
        )
        raise BadInputError(Reason.OUT_OF_RANGE, message)


def _in_millivolts(signal: Lead, *, lead: str, name: str) -> NDArray[np.float64]:
    factor = millivolts_per(signal.units)
    if factor is None:
        raise BadInputError(Reason.UNIT_UNKNOWN, f"{name}: lead {lead} is in {signal.units[:40]!r}; it must be in nV, uV, mV or V")
    samples = signal.samples if factor == 1 else signal.samples * factor
    n_invalid = int(np.count_nonzero(~np.isfinite(samples)))
    if n_invalid:
        raise BadInputError(Reason.NON_FINITE, f"{name}: lead {lead} has {n_invalid} invalid samples of {samples.size}; there must be none")
    peak = samples[np.argmax(np.abs(samples))]
    if abs(peak) > MAX_LEVEL_MV:
        raise BadInputError(Reason.OUT_OF_RANGE, f"{name}: lead {lead} reaches {peak:g} mV; at most {MAX_LEVEL_MV:g} mV can be real")
    return samples
