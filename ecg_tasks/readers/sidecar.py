"""Here: ``signals.json``, which describes arrays and tables that don't describe themselves. Not here: the arrays (``arrays``)."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers.blanking import kept_names
from ecg_tasks.readers.file_names import sidecars_of
from ecg_tasks.readers.leads import FS_RANGE, millivolts_per
from ecg_tasks.readers.wfdb.lines import matching_name
from ecg_tasks.signals.record import STANDARD_LEADS

MAX_SIDECAR_BYTES = 64 * 1024
MAX_LEADS = 512
_MAX_NAME_CHARS = 100
_KEYS = ("fs", "unit", "leads", "axis")
_UNIT = re.compile(r"(?:(\d+(?:\.\d*)?(?:e-?\d+)?)\s*)?([num\N{MICRO SIGN}\N{GREEK SMALL LETTER MU}]?v)", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Described:
    """What is known of the signals in a file; None is not known.

    Parameters
    ----------
    fs : Hz
    unit : one of ``nV``, ``uV``, ``mV``, ``V``, with a factor where a step is not one of it, such as ``0.1 mV``
    leads : names in the order of the array
    axis : of the array along which time runs, counted from 0
    """

    fs: float | None = None
    unit: str | None = None
    leads: tuple[str, ...] | None = None
    axis: int | None = None


def described(file: Described, files: Mapping[str, bytes], *, name: str) -> Described:
    """Return what a file says of its signals, with what its sidecar adds where there is one among the files.

    Parameters
    ----------
    file : what the file says itself
    files : bytes by file name: the file first, then those beside it
    name : path of the file below the inbox

    Raises
    ------
    BadInputError
        ``unreadable`` for a sidecar that is none, and where the two contradict each other.
    """
    beside = [there for wanted in sidecars_of(next(iter(files))) if (there := matching_name(wanted, files))]
    if not beside:
        return file
    description = read_sidecar(files[beside[0]], name=beside[0])
    merged: dict[str, Any] = {}
    for key in _KEYS:
        own, added = getattr(file, key), getattr(description, key)
        if own is not None and added is not None and own != added:
            message = (
                f"{name}: {beside[0]} says {key} {_shown(added)}, but the file itself says {_shown(own)}; correct the one that is wrong"
            )
            raise BadInputError(Reason.UNREADABLE, message)
        merged[key] = added if own is None else own
    return Described(**merged)


def read_sidecar(data: bytes, *, name: str) -> Described:
    """Read a ``signals.json``: an object with ``fs`` (Hz), ``unit``, ``leads`` and ``axis``, each of which may be missing.

    >>> read_sidecar(b'{"fs": 500, "unit": "mV"}', name="signals.json").fs
    500.0

    Raises
    ------
    BadInputError
        ``unreadable``, with the key at fault; ``too_large``.
    """
    if len(data) > MAX_SIDECAR_BYTES:
        raise BadInputError(Reason.TOO_LARGE, f"{name} has {len(data):,} bytes; the limit is {MAX_SIDECAR_BYTES:,}")
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        raise BadInputError(Reason.UNREADABLE, f"{name} is not JSON; an example: {example(Described())}") from None
    if not isinstance(content, dict) or not set(content) <= set(_KEYS):
        raise BadInputError(Reason.UNREADABLE, f"{name}: the keys can be {', '.join(_KEYS)}; an example: {example(Described())}")
    fs, unit, leads, axis = (content.get(key) for key in _KEYS)
    if fs is not None and not (_is_number(fs) and FS_RANGE[0] <= fs <= FS_RANGE[1]):
        raise BadInputError(Reason.UNREADABLE, f"{name}: fs must be a number of Hz from {FS_RANGE[0]:g} to {FS_RANGE[1]:g}")
    if unit is not None and (not isinstance(unit, str) or parsed_unit(unit) is None):
        raise BadInputError(Reason.UNREADABLE, f'{name}: unit must be nV, uV, mV or V, or a step such as "4.88 uV"')
    if leads is not None and not _are_names(leads):
        raise BadInputError(
            Reason.UNREADABLE, f"{name}: leads must be a list of 1 to {MAX_LEADS} different names, such as {example(Described())}"
        )
    if axis is not None and (isinstance(axis, bool) or axis not in (0, 1, 2)):
        raise BadInputError(Reason.UNREADABLE, f"{name}: axis must be 0, 1 or 2: the axis of the array that is the time")
    return Described(fs=None if fs is None else float(fs), unit=unit, leads=None if leads is None else tuple(leads), axis=axis)


def with_sidecars(data: bytes, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the copy of a file that is made without identifiers, and its sidecars without anything but their values.

    Parameters
    ----------
    data : of the copy
    files : bytes by file name: the file itself first, then its sidecars
    """
    first, *beside = files
    return {first: data} | {there: _written(read_sidecar(files[there], name=there)) for there in beside}


def _written(description: Described) -> bytes:
    known = {key: value for key, value in vars(description).items() if value is not None}
    if description.leads is not None:
        known["leads"] = kept_names(description.leads)
    return json.dumps(known).encode()


def parsed_unit(text: str) -> tuple[float, str] | None:
    """Return the factor and the unit of a step, or None where it is no voltage.

    >>> parsed_unit("mV"), parsed_unit("4.88 uV"), parsed_unit("adu")
    ((1.0, 'mV'), (4.88, 'uV'), None)
    """
    found = _UNIT.fullmatch(text.strip())
    if found is None or millivolts_per(found[2]) is None:
        return None
    factor = float(found[1] or 1)
    return (factor, found[2]) if math.isfinite(factor) and factor > 0 else None


def missing(description: Described, *, name: str, needs: Sequence[str] = ("fs", "unit", "leads")) -> BadInputError | None:
    """Tell what neither a file nor its sidecar says, with the very line to write; None where nothing is missing."""
    lacking = [key for key in needs if getattr(description, key) is None]
    if not lacking:
        return None
    words = {"fs": "the sampling rate", "unit": "the unit", "leads": "the names of the leads", "axis": "the axis of time"}
    line = example(description, only=lacking)
    sentence = f"{name} does not give {', '.join(words[key] for key in lacking)}, and nothing is guessed"
    return BadInputError(Reason.UNIT_UNKNOWN, f"{sentence}. Put {sidecars_of(name)[-1]} into its folder, with the true values: {line}")


def example(description: Described, *, only: Sequence[str] = _KEYS) -> str:
    """Return the line of a sidecar: what is known, and usual values for what is not.

    >>> example(Described(fs=400.0), only=["fs", "unit"])
    '{"fs": 400, "unit": "mV"}'
    """
    usual = {"fs": 500, "unit": "mV", "leads": list(STANDARD_LEADS), "axis": 0}
    known = {key: value for key, value in vars(description).items() if value is not None}
    found = {key: known.get(key, usual[key]) for key in _KEYS if key in only}
    if isinstance(fs := found.get("fs"), float) and fs.is_integer():
        found["fs"] = int(fs)
    return json.dumps(found)


def _shown(value: object) -> str:
    return ", ".join(value)[:200] if isinstance(value, tuple) else str(value)[:40]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_names(value: object) -> bool:
    return (
        isinstance(value, list)
        and 0 < len(value) <= MAX_LEADS
        and all(isinstance(one, str) and one.strip() and one.isprintable() and len(one) <= _MAX_NAME_CHARS for one in value)
        and len(set(value)) == len(value)
    )
