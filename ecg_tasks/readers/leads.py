"""Here: lead names and units, and many signals made into one array of leads. Not here: any file format."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from itertools import count
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers.base import Lead, Recording
from ecg_tasks.readers.person import age_kept
from ecg_tasks.signals.lead_names import canonical_names, standard_name
from ecg_tasks.signals.preparing import MAX_GAP_S, MIN_STRETCH_S, WINDOW_S, filled, prepare
from ecg_tasks.signals.record import STANDARD_LEADS, Record
from ecg_tasks.signals.resampling import MAX_FACTOR, resample
from ecg_tasks.signals.windowing import BEAT_LEAD, BeatWindows

MIN_DURATION_S = MIN_STRETCH_S
"""A recording must last this long; of less no beat can be distinguished from an accident."""
MAX_LEVEL_MV = 50.0
"""No heart gives more, counted from the lead's median; beyond it the gain or the unit is wrong."""
MAX_OFFSET_MV = 5000.0
"""No amplifier has a larger offset, and float32 still tells 0.5 µV there."""
MAX_VALUES = 2**25
"""Samples of all leads together, 128 MiB as float32: three leads at 128 Hz for a day, or fifteen at 1,000 Hz for half an hour."""
FS_RANGE = (50.0, 50_000.0)
"""Hz. Below it a QRS complex is three samples or fewer."""

_MILLIVOLTS = MappingProxyType({"nv": 1e-6, "uv": 1e-3, "mv": 1.0, "v": 1e3})
_MICRO = str.maketrans({"\N{MICRO SIGN}": "u", "\N{GREEK SMALL LETTER MU}": "u"})


@dataclass(frozen=True, kw_only=True, eq=False)
class Leads:
    """What ``assemble`` makes: ``samples`` of shape (n_leads, n_samples), float32, mV, at ``fs`` Hz."""

    samples: NDArray[np.float32]
    fs: float
    names: tuple[str, ...]


@lru_cache(maxsize=256)
def millivolts_per(units: str) -> float | None:
    """Return the factor from ``units`` to mV, or None where it is no unit of voltage that is known here.

    >>> millivolts_per("uV"), millivolts_per("\N{MICRO SIGN}V"), millivolts_per("mmHg")
    (0.001, 0.001, None)
    """
    return _MILLIVOLTS.get(units.translate(_MICRO).lower())


def finish(recording: Recording) -> Record:
    """Make the record of a recording: its leads under their standard names, at one rate, in mV; those of a heartbeat as they are.

    Ages above 89 years become 90.

    Raises
    ------
    BadInputError
        See `assemble`.
    """
    if recording.unit == "relative":
        names = tuple(lead.name for lead in recording.leads)
        samples = np.stack([np.asarray(lead.samples, dtype=np.float32) for lead in recording.leads])
        leads = Leads(samples=samples, fs=recording.leads[0].fs, names=names)
    else:
        leads = assemble(recording.leads, name=recording.name)
    return Record(
        samples=leads.samples,
        fs=leads.fs,
        leads=leads.names,
        unit=recording.unit,
        name=recording.name,
        patient=recording.patient.id,
        issuer=recording.patient.issuer,
        age=age_kept(recording.patient.age),
        sex=recording.patient.sex,
        label=recording.label,
        synthetic=recording.synthetic,
        recorded=_iso(recording.acquisition.recorded),
        device=recording.acquisition.device,
        filters=recording.acquisition.filters.text,
        source_format=recording.acquisition.source_format,
    )


def _iso(recorded: date | None) -> str | None:
    """Return a day, or a moment to the second, as ISO 8601."""
    if recorded is None:
        return None
    return recorded.isoformat(timespec="seconds") if isinstance(recorded, datetime) else recorded.isoformat()


def assemble(signals: Sequence[Lead], *, name: str) -> Leads:
    """Put the signals of a recording into one array, the twelve leads first and in their order, and check it.

    The samples stay as the file has them: an offset stays, an invalid sample is NaN, and nothing is turned or derived. A recording is
    good when lead II is there, or two other limb leads that give it, with a signal over ``MIN_DURATION_S`` without a gap of more than
    40 ms; and when every one of the twelve leads that it has is in a known unit, within ``MAX_LEVEL_MV`` of its median. Any other signal
    (a Frank lead, respiration, pressure) is taken along where it is in a known unit, valid in every sample, and within ``MAX_LEVEL_MV``
    of zero, and left out where it is not: nothing here depends on it. Of two signals with one lead's name the first is that lead; the
    other keeps its own name, with a number where that is taken as well.

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
    as_ever = any(standard_name(signal.name) == BEAT_LEAD for signal in signals)  # a turned lead was none of the twelve then
    standard = [lead for lead in by_name if lead in STANDARD_LEADS or (not as_ever and lead.removeprefix("-") in STANDARD_LEADS)]
    if not standard:
        raise _without_lead_ii(by_name, name=name)
    fs = max(by_name[lead].fs for lead in standard)
    if not FS_RANGE[0] <= fs <= FS_RANGE[1]:
        raise BadInputError(
            Reason.OUT_OF_RANGE, f"{name}: the sampling rate is {fs:g} Hz; it must be {FS_RANGE[0]:g} to {FS_RANGE[1]:g} Hz"
        )
    n_samples = min(round(lead.samples.size * fs / lead.fs) for lead in by_name.values())
    if n_samples < MIN_DURATION_S * fs:
        raise BadInputError(
            Reason.TOO_SHORT, f"{name}: the recording lasts {n_samples / fs:.3f} s; it must last at least {MIN_DURATION_S:g} s"
        )

    if n_samples * len(by_name) > MAX_VALUES:
        at_fs = f"{n_samples:,} samples at {fs:g} Hz in each of {len(by_name)} signals"
        raise BadInputError(Reason.TOO_LARGE, f"{name}: {at_fs}; the limit is {MAX_VALUES:,}")
    leads = _together(by_name, standard, fs=fs, n_samples=n_samples, name=name)
    _check_lead_ii(leads, by_name, name=name)
    return leads


def distinct(names: Iterable[str]) -> list[str]:
    """Return the names, with a number after one that is taken already.

    >>> distinct(["ECG", "ECG", "V1", "ECG"])
    ['ECG', 'ECG (2)', 'V1', 'ECG (3)']
    """
    given = list(names)
    if len(set(given)) == len(given):
        return given
    taken: dict[str, None] = {}
    for name in given:
        variants = (name if number == 1 else f"{name} ({number})" for number in count(1))
        taken[next(variant for variant in variants if variant not in taken)] = None
    return list(taken)


def stored_names(names: Sequence[str]) -> list[str]:
    """Return the names that signals are stored by: of two for one lead the second keeps its own.

    >>> stored_names(["DI", "DII", "Lead II"])
    ['I', 'II', 'Lead II']
    """
    taken: dict[str, None] = {}
    for name, lead in zip(names, canonical_names(names), strict=True):
        taken[distinct([*taken, name.strip()])[-1] if lead in taken else lead] = None
    return list(taken)


def _by_name(signals: Sequence[Lead]) -> dict[str, Lead]:
    """Return the signals under the names that they are stored by, the twelve leads first and in their order, then the others."""
    by_name = dict(zip(stored_names([signal.name for signal in signals]), signals, strict=True))
    places = {lead: place for place, lead in enumerate(STANDARD_LEADS)}
    return {lead: by_name[lead] for lead in sorted(by_name, key=lambda lead: places.get(lead, len(places)))}


def _together(by_name: Mapping[str, Lead], standard: Sequence[str], *, fs: float, n_samples: int, name: str) -> Leads:
    """Put what can be used into one array, the ``standard`` leads first; nothing else of it stays in memory."""
    ordered = (*standard, *(other for other in by_name if other not in standard))
    if (samples := _ordinary([by_name[lead] for lead in ordered], fs=fs, n_samples=n_samples)) is not None:
        return Leads(samples=samples, fs=fs, names=ordered)
    kept: dict[str, NDArray[np.float32]] = {}
    for lead in ordered:
        try:
            _check_rate(by_name[lead], fs=fs, lead=lead, name=name)
            checked = (_in_millivolts if lead in standard else _of_other)(by_name[lead], lead=lead, name=name)
        except BadInputError:
            if lead in standard:
                raise
            continue
        kept[lead] = _resampled(checked, fs=by_name[lead].fs, target_fs=fs)[:n_samples]
        del checked
    shortest = min(samples.size for samples in kept.values())  # a ratio of odd rates is rounded
    return Leads(samples=np.stack([samples[:shortest] for samples in kept.values()]), fs=fs, names=tuple(kept))


def _ordinary(signals: Sequence[Lead], *, fs: float, n_samples: int) -> NDArray[np.float32] | None:
    """Return the samples of leads that are in mV, at one rate and within ``MAX_LEVEL_MV`` of zero, in one step; None of any others."""
    if not all(signal.fs == fs and millivolts_per(signal.units) == 1 and signal.samples.dtype == np.float64 for signal in signals):
        return None
    samples = np.stack([signal.samples[:n_samples] for signal in signals], dtype=np.float32, casting="same_kind")
    return samples if samples.min() > -MAX_LEVEL_MV and samples.max() < MAX_LEVEL_MV else None


def _without_lead_ii(found: Iterable[str], *, name: str) -> BadInputError:
    names = (", ".join(found) or "none")[:400]
    return BadInputError(Reason.MISSING_LEAD, f"{name}: lead II is needed, or two other limb leads; the signals are {names}")


def _check_lead_ii(leads: Leads, found: Iterable[str], *, name: str) -> None:
    """Check that lead II can be read, as it is stored or computed from two other limb leads."""
    if BEAT_LEAD in leads.names and leads.samples.shape[1] >= WINDOW_S * leads.fs:
        lead = leads.samples[leads.names.index(BEAT_LEAD)]
        if -np.inf < lead.min() < lead.max() < np.inf:  # no sample of it is invalid
            return
    record = Record(samples=leads.samples, fs=leads.fs, leads=leads.names, unit="mV", name=name)
    if BeatWindows().accepts(record):
        return
    ready = prepare(record, leads=(BEAT_LEAD,))
    if BEAT_LEAD not in ready.record.leads:
        raise _without_lead_ii(found, name=name)
    lead = ready.record.samples[ready.record.leads.index(BEAT_LEAD)]
    if BEAT_LEAD in ready.silent and np.isfinite(leads.samples).all():
        raise BadInputError(Reason.FLAT, f"{name}: lead II has the value {lead[0]:g} mV all the time")
    n_invalid = int(np.count_nonzero(~np.isfinite(leads.samples).all(axis=0)))
    needed = f"lead II needs {MIN_DURATION_S:g} s without a gap of more than {1000 * MAX_GAP_S:g} ms"
    message = f"{name}: {n_invalid:,} of {leads.samples.shape[1]:,} samples are invalid; {needed}"
    raise BadInputError(Reason.NON_FINITE, message)


def _resampled(samples: NDArray[np.float64], *, fs: float, target_fs: float) -> NDArray[np.float32]:
    """Return samples at another rate; where they were invalid they stay so."""
    if fs == target_fs:
        return samples.astype(np.float32)
    valid = np.isfinite(samples)
    if valid.all():
        return resample(samples, fs=fs, target_fs=target_fs)
    changed = resample(filled(samples, valid), fs=fs, target_fs=target_fs)
    nearest = np.clip(np.rint(np.arange(changed.size) * (fs / target_fs)).astype(np.int64), 0, samples.size - 1)
    changed[~valid[nearest]] = np.nan
    return changed


def _check_rate(signal: Lead, *, fs: float, lead: str, name: str) -> None:
    if not 1 / MAX_FACTOR <= signal.fs / fs <= MAX_FACTOR:
        message = (
            f"{name}: lead {lead} is sampled at {signal.fs:g} Hz, another one at {fs:g} Hz; the "
            f"rates may differ by a factor of at most {MAX_FACTOR}"
        )
        raise BadInputError(Reason.OUT_OF_RANGE, message)


def _in_millivolts(signal: Lead, *, lead: str, name: str) -> NDArray[np.float64]:
    factor = millivolts_per(signal.units)
    if factor is None:
        raise BadInputError(Reason.UNIT_UNKNOWN, f"{name}: lead {lead} is in {signal.units[:40]!r}; it must be in nV, uV, mV or V")
    samples = np.asarray(signal.samples if factor == 1 else signal.samples * factor, dtype=np.float64)
    if samples.size and samples.min() >= -MAX_LEVEL_MV and samples.max() <= MAX_LEVEL_MV:
        return samples  # all finite, and so is any median of them within the bounds below
    finite = np.isfinite(samples)
    low, high = samples.min(where=finite, initial=np.inf), samples.max(where=finite, initial=-np.inf)
    if low < -MAX_LEVEL_MV or high > MAX_LEVEL_MV:
        _check_level(samples[finite], lead=lead, name=name)
    return np.where(finite, samples, np.nan) if np.isinf(samples).any() else samples


def _check_level(valid: NDArray[np.float64], *, lead: str, name: str) -> None:
    """Check the valid samples of a lead, in mV, some of them beyond ``MAX_LEVEL_MV``; changes their order."""
    low, high = float(valid.min()), float(valid.max())
    offset = float(np.median(valid, overwrite_input=True))
    if abs(offset) > MAX_OFFSET_MV:
        message = (
            f"{name}: lead {lead} has an offset of {offset:g} mV; more than {MAX_OFFSET_MV:g} "
            "mV cannot be real. Check the unit and the gain"
        )
        raise BadInputError(Reason.OUT_OF_RANGE, message)
    peak = max(low - offset, high - offset, key=abs)
    if abs(peak) > MAX_LEVEL_MV:
        message = (
            f"{name}: lead {lead} reaches {peak:g} mV from its median; more than {MAX_LEVEL_MV:g} "
            "mV cannot be real. Check the unit and the gain"
        )
        raise BadInputError(Reason.OUT_OF_RANGE, message)


def _of_other(signal: Lead, *, lead: str, name: str) -> NDArray[np.float64]:
    """Return a signal that is none of the twelve leads, in mV: valid throughout and within ``MAX_LEVEL_MV`` of zero."""
    samples = _in_millivolts(signal, lead=lead, name=name)
    if not np.isfinite(samples).all() or np.abs(samples).max(initial=0) > MAX_LEVEL_MV:
        raise BadInputError(Reason.OUT_OF_RANGE, f"{name}: signal {lead} is invalid, or reaches more than {MAX_LEVEL_MV:g} mV")
    return samples
