"""Here: arrays of numbers made into recordings, once it is known what stands on their axes. Not here: any file format.

Rate, unit, leads and axis come from the file or its sidecar. The one thing that is concluded is the axis of time, where only one
axis is as long as there are leads.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers.base import Acquisition, Lead, Recording
from ecg_tasks.readers.blanking import kept_names
from ecg_tasks.readers.leads import MAX_VALUES
from ecg_tasks.readers.sidecar import MAX_LEADS, Described, missing, parsed_unit

MAX_ALL_VALUES = MAX_VALUES
"""Samples of all recordings of one file together: 682 recordings of twelve leads with 4,096 samples."""
MAX_RECORDINGS = 3000
"""Recordings of one file; each takes a millisecond or two."""

_SIGNALS = ("signal", "signals", "ecg", "ekg", "data", "val", "p_signal", "tracings", "x")
_RATES = ("fs", "sampling_rate", "sample_rate", "samplingrate", "sampling_frequency", "frequency", "freq")
_UNITS = ("unit", "units")
_LEADS = ("leads", "lead_names", "lead", "channels", "channel_names", "sig_name", "labels")
_KNOWN = MappingProxyType({name: key for key, names in (("fs", _RATES), ("unit", _UNITS), ("leads", _LEADS)) for name in names})
_SCALES = MappingProxyType(
    dict.fromkeys(("gain", "adc_gain", "scale", "scale_factor", "lsb"), 1) | dict.fromkeys(("add_offset", "baseline", "adc_zero"), 0)
)
"""Names under which programs say what a stored step is, and where 0 lies, with the value of each that changes nothing."""
SIGNALS = "signals"
"""What the array is called in a copy without identifiers: its own name may be anything."""
_SPACES = re.compile(r"[\s_\-]+")
_MATRIX, _STACK = 2, 3


@dataclass(frozen=True, kw_only=True)
class Found:
    """The array of signals among those of a file, by name, and what the others say of it."""

    array: str
    description: Described
    scale: str = ""
    """One that says that a stored step is not one unit, or that 0 is not 0."""


def is_known(name: str) -> bool:
    """Tell whether an array's name says that it describes others, or that it is the signals."""
    return _plain(name) in _KNOWN or _plain(name) in _SIGNALS or _plain(name) in _SCALES


def find(shapes: Mapping[str, tuple[int, ...]], small: Mapping[str, NDArray[np.generic]], *, name: str) -> Found:
    """Find the array that holds the signals: the only one with two or three axes, or the only one with a usual name among them.

    Parameters
    ----------
    shapes : of every array of numbers, by name
    small : the arrays that may describe others, by name: numbers or text
    name : path of the file below the inbox

    Raises
    ------
    BadInputError
        ``unreadable`` where there is none, or it is not clear which one it is; ``unit_unknown`` where a rate is no number.
    """
    large = [
        one
        for one, shape in shapes.items()
        if len(shape) in (_MATRIX, _STACK) and min(shape) > 0 and max(shape) > 1 and not _describes(one)
    ]
    called = [one for one in large if _plain(one) in _SIGNALS]
    chosen = large if len(large) == 1 else called
    if len(chosen) != 1:
        shown = ", ".join(" × ".join(map(str, shape)) or "one number" for shape in list(shapes.values())[:8]) or "none"
        sentence = (
            f"{name} must have one array of signals, with an axis of time and an axis of leads; its arrays of numbers are {shown[:400]}"
        )
        raise BadInputError(Reason.UNREADABLE, sentence)
    description: dict[str, object] = {}
    for one, array in small.items():
        key = _KNOWN.get(_plain(one))
        if key is None or one == chosen[0]:
            continue
        value = _value(key, array)
        if key in description and description[key] != value:
            raise BadInputError(Reason.UNREADABLE, f"{name}: two of its arrays differ in {key}")
        if value is not None:
            description[key] = value
    scale = next((_plain(one) for one, array in small.items() if one != chosen[0] and _is_scale(_plain(one), array)), "")
    return Found(array=chosen[0], description=Described(**description), scale=scale)  # type: ignore[arg-type]  # each key has a value of its kind


def check_scale(found: Found, dtype: np.dtype[np.generic], *, name: str) -> None:
    """Refuse whole numbers in a unit of which a scale beside them says that their step is another: programs differ in what it means.

    Numbers with a fraction are in their unit already, and who writes a sidecar says there what a step is.

    Raises
    ------
    BadInputError
        ``unit_unknown``.
    """
    unit = parsed_unit(found.description.unit or "")
    if dtype.kind in "iu" and found.scale and unit is not None and unit[0] == 1:
        sentence = f"its samples are whole numbers in {unit[1]}, but its {found.scale!r} says that a step is another"
        advice = "Save the samples in mV as floating-point numbers, or leave the unit out and write signals.json"
        raise BadInputError(Reason.UNIT_UNKNOWN, f"{name}: {sentence}, and nothing is guessed. {advice}")


def said(description: Described) -> dict[str, float | str | list[str]]:
    """Return what a file says of its signals, to be written under the usual names into a copy without identifiers."""
    kept = {} if description.leads is None else {"leads": kept_names(description.leads)}
    return {key: value for key, value in (("fs", description.fs), ("unit", description.unit)) if value is not None} | kept


def check_size(shape: Sequence[int], *, name: str) -> None:
    """Refuse an array before it is read that holds more than can be held.

    Raises
    ------
    BadInputError
        ``too_large``, ``unreadable`` for a number of axes that no signals have.
    """
    if len(shape) not in (_MATRIX, _STACK):
        raise BadInputError(
            Reason.UNREADABLE, f"{name}: an array has {len(shape)} axes; signals have two, or three if there are several recordings"
        )
    values = math.prod(shape)
    most = MAX_VALUES if len(shape) == _MATRIX else MAX_ALL_VALUES
    if values > most or (len(shape) == _STACK and shape[0] > MAX_RECORDINGS):
        bound = f"{most:,} values" + (f" and {MAX_RECORDINGS:,} recordings" if len(shape) == _STACK else "")
        raise BadInputError(
            Reason.TOO_LARGE, f"{name}: an array of {' × '.join(map(str, shape))} values; the limit of a file is {bound}. Split it"
        )
    if values == 0:
        raise BadInputError(Reason.UNREADABLE, f"{name}: its array of signals is empty")


def check_kind(dtype: np.dtype[np.generic], *, name: str) -> None:
    """Refuse an array whose elements are no real numbers."""
    if dtype.kind not in "iuf" or dtype.itemsize > 8:  # noqa: PLR2004 - bytes of a double
        raise BadInputError(Reason.NOT_NUMERIC, f"{name}: its array of signals does not contain real numbers ({dtype.name[:40]})")


def recordings(
    array: NDArray[np.generic], description: Described, *, name: str, acquisition: Acquisition, names: Sequence[str] | None = None
) -> tuple[Recording, ...]:
    """Make the recordings of an array of two axes, or of three where several recordings stand one after the other.

    Parameters
    ----------
    array : ndarray, shape (n_samples, n_leads) or (n_leads, n_samples), or (n_recordings, …) of either
    description : what the file and its sidecar say
    name : path of the file below the inbox
    names : what to call each of several recordings behind ``#``; numbers from 1 by default

    Raises
    ------
    BadInputError
        ``unit_unknown`` where rate, unit or leads are not known, with the line to write; ``unreadable`` where the axes do not fit.
    """
    check_kind(array.dtype, name=name)
    check_size(array.shape, name=name)
    if fault := missing(_with_axis(description, array.shape), name=name):
        raise fault
    leads, unit = description.leads or (), parsed_unit(description.unit or "")
    if unit is None or description.fs is None:
        raise AssertionError("what is missing was not refused")
    time = _axis_of_time(description, array.shape, n_leads=len(leads), name=name)
    if array.ndim == _MATRIX:
        return (_recording(array if time == 1 else array.T, leads, unit, description.fs, name=name, acquisition=acquisition),)
    called = names or [str(number) for number in range(1, len(array) + 1)]
    return tuple(
        _recording(one if time == _MATRIX else one.T, leads, unit, description.fs, name=f"{name}#{each}", acquisition=acquisition)
        for one, each in zip(array, called, strict=True)
    )


def _recording(
    by_lead: NDArray[np.generic], leads: Sequence[str], unit: tuple[float, str], fs: float, *, name: str, acquisition: Acquisition
) -> Recording:
    """Return one recording of an array of shape (n_leads, n_samples); what is infinite in it stays so, and is missing."""
    factor, units = unit
    samples = np.ascontiguousarray(by_lead, dtype=np.float64)
    if factor != 1:
        samples *= factor
    found = tuple(Lead(name=lead, units=units, fs=fs, samples=row) for lead, row in zip(leads, samples, strict=True))
    return Recording(name=name, leads=found, acquisition=acquisition)


def _axis_of_time(description: Described, shape: tuple[int, ...], *, n_leads: int, name: str) -> int:
    """Return the axis along which time runs: as it is given, or the one beside the only axis that is as long as there are leads."""
    first = len(shape) - _MATRIX
    axes = range(first, len(shape))
    fitting = [axis for axis in axes if shape[2 * first + 1 - axis] == n_leads]
    if description.axis is not None and description.axis not in fitting:
        message = (
            f"{name}: an array of {' × '.join(map(str, shape))}, {n_leads} leads and axis {description.axis} for the time do not match"
        )
        raise BadInputError(Reason.UNREADABLE, message)
    if description.axis is not None:
        return description.axis
    if not fitting:
        message = f"{name}: an array of {' × '.join(map(str, shape))} has no axis of {n_leads} leads"
        raise BadInputError(Reason.UNREADABLE, message)
    if len(fitting) > 1:
        fault = missing(description, name=name, needs=("axis",))
        if fault is not None:
            raise fault
    return fitting[0]


def _with_axis(description: Described, shape: tuple[int, ...]) -> Described:
    """Return the description with an axis of time: the longer one where none is given, for the line to write."""
    first = len(shape) - _MATRIX
    return description if description.axis is not None else replace(description, axis=first + int(shape[first] < shape[first + 1]))


def _describes(name: str) -> bool:
    return _plain(name) in _KNOWN


def _plain(name: str) -> str:
    return _SPACES.sub("_", name.strip().lower())


def _is_scale(name: str, array: NDArray[np.generic]) -> bool:
    return name in _SCALES and array.dtype.kind in "iuf" and bool((array != _SCALES[name]).any())


def _value(key: str, array: NDArray[np.generic]) -> object:
    """Return what a small array says, or None where it is nothing of its kind."""
    flat = [
        one.decode("utf-8", "replace") if isinstance(one, bytes) else one for one in np.asarray(array).ravel()[: MAX_LEADS + 1].tolist()
    ]
    if key == "fs":
        number = flat[0] if len(flat) == 1 else None
        return (
            float(number)
            if isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number) and number > 0
            else None
        )
    texts = tuple(str(one).strip() for one in flat if isinstance(one, str))
    if len(texts) != len(flat) or not all(texts):
        return None
    if key == "unit":
        return texts[0] if len(set(texts)) == 1 and parsed_unit(texts[0]) else None
    return texts if 0 < len(texts) <= MAX_LEADS and len(set(texts)) == len(texts) else None
