"""Here: what the columns of a table of leads are, by their names, and the rate that a column of time gives. Not here: the file formats."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers.base import Acquisition, Lead, Recording
from ecg_tasks.readers.blanking import kept_names
from ecg_tasks.readers.leads import MAX_VALUES, millivolts_per
from ecg_tasks.readers.sidecar import Described, missing, parsed_unit
from ecg_tasks.signals.lead_names import lead_meant
from ecg_tasks.signals.record import STANDARD_LEADS

MAX_COLUMNS = 64
LONGEST_TIME_S = 86_400.0
"""Times that begin later may be those of a calendar; in a copy without identifiers they begin at 0."""
_WITH_UNIT = re.compile(
    r"(?P<name>.*?)[\s_]*(?:[\[(](?P<inside>[^\])]*)[\])]|[_\s](?P<behind>[num\N{MICRO SIGN}\N{GREEK SMALL LETTER MU}]?v))\s*",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"(?:elapsed[\s_]*)?(?:time|t|seconds|timestamp)(?:[\s_]*[\[(]?(?P<unit>ms|msec|milliseconds|s|sec|seconds)[\])]?)?", re.IGNORECASE
)
_INDEX = re.compile(r"|sample|samples|index|sample[\s_]*(?:#|number|index|no\.?)|unnamed: 0|#", re.IGNORECASE)
_OTHER_LEAD = re.compile(r"(?:ecg|ekg|lead)?[\s_]*(?:v[3-9]r|v[7-9]|v[xyz]|mcl[1-6]|ml?i{1,3}|ecg|ekg)", re.IGNORECASE)
_SECONDS = {"ms": 1e-3, "msec": 1e-3, "milliseconds": 1e-3, "s": 1.0, "sec": 1.0, "seconds": 1.0}
_MOST_UNSURE_HZ = 0.5


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What the columns of a table are.

    Parameters
    ----------
    leads : by the column's place, its name and its unit, which is empty where none is given
    time : the column of time, and how many seconds one step of it is (None where its name does not say); None where there is none
    """

    leads: dict[int, tuple[str, str]]
    time: tuple[int, float | None] | None = None


def columns_of(names: Sequence[str], *, units: Sequence[str] = ()) -> Columns | None:
    """Tell the columns by their names, and a line of units below them; None where this is no table of leads.

    At least one of the twelve leads must be there, and every column must be a lead, a time or an index.

    >>> columns_of(["time_s", "II_uV", "V5 (mV)"])
    Columns(leads={1: ('II', 'uV'), 2: ('V5', 'mV')}, time=(0, 1.0))
    >>> columns_of(["record", "label"]) is None
    True
    """
    if not 0 < len(names) <= MAX_COLUMNS:
        return None
    leads: dict[int, tuple[str, str]] = {}
    time: tuple[int, float | None] | None = None
    for place, written in enumerate(names):
        name, unit = written.strip(), units[place].strip() if place < len(units) else ""
        if as_time := _TIME.fullmatch(name):
            if time is None:
                time = place, _SECONDS.get((as_time["unit"] or unit or ("s" if name.lower() == "seconds" else "")).lower())
            continue
        if _INDEX.fullmatch(name):
            continue
        lead, own = _split(name)
        if lead_meant(lead) is None and not _OTHER_LEAD.fullmatch(lead):
            return None
        leads[place] = lead, own or unit
    return (
        Columns(leads=leads, time=time)
        if any((meant := lead_meant(lead)) and meant.lead in STANDARD_LEADS for lead, _ in leads.values())
        else None
    )


def recording(
    values: NDArray[np.float64], columns: Columns, description: Described, *, name: str, acquisition: Acquisition, step_s: float = 0.0
) -> Recording:
    """Make the recording of a table.

    Parameters
    ----------
    values : ndarray, shape (n_rows, n_columns); NaN where a cell is empty
    columns : what its columns are
    description : what the sidecar says
    name : path of the file below the inbox
    step_s : how finely the times are written, in steps of their column

    Raises
    ------
    BadInputError
        ``unit_unknown`` with the line to write, where neither the table nor a sidecar says the rate or a unit; ``incomplete`` for a column
        of time with gaps; ``unreadable`` where the table and its sidecar contradict each other; ``too_large``.
    """
    if len(values) * len(columns.leads) > MAX_VALUES:
        raise BadInputError(
            Reason.TOO_LARGE, f"{name}: {len(values):,} rows of {len(columns.leads)} leads; the limit is {MAX_VALUES:,} samples"
        )
    from_time = None
    if columns.time is not None and columns.time[1] is not None:
        from_time = rate(values[:, columns.time[0]] * columns.time[1], step_s=step_s * columns.time[1], name=name)
    fs = _agreed("fs", from_time, description.fs, name=name)
    own = [unit for _, unit in columns.leads.values()]
    named = tuple(lead for lead, _ in columns.leads.values())
    if description.leads is not None and description.leads != named:
        raise BadInputError(Reason.UNREADABLE, f"{name}: the leads in the sidecar differ from those in the first line of the table")
    unit = description.unit if description.unit is not None else "mV" if all(own) else None
    if fault := missing(Described(fs=fs, unit=unit, leads=named), name=name, needs=("fs", "unit")):
        raise fault
    factor, units = (1.0, "") if description.unit is None else parsed_unit(description.unit) or (1.0, "")
    leads = []
    for place, (lead, written) in columns.leads.items():
        samples = np.ascontiguousarray(values[:, place])
        if written and units and (factor != 1 or millivolts_per(written) != millivolts_per(units)):
            raise BadInputError(
                Reason.UNREADABLE, f"{name}: the sidecar says {description.unit}, but a column of the table has another unit"
            )
        leads.append(Lead(name=lead, units=written or units, fs=fs or 0.0, samples=samples if written else samples * factor))
    return Recording(name=name, leads=tuple(leads), acquisition=acquisition)


def kept_columns(columns: Columns) -> dict[int, str]:
    """Return the columns of a copy without identifiers, by their place: the leads, and the time where the rate follows from it."""
    called = {}
    if columns.time is not None and columns.time[1] is not None:
        called[columns.time[0]] = "time_ms" if columns.time[1] < 1 else "time_s"
    names = kept_names([lead for lead, _ in columns.leads.values()])
    for (place, (_, unit)), lead in zip(columns.leads.items(), names, strict=True):
        called[place] = f"{lead} ({unit})" if unit else lead
    return called


def rate(times: NDArray[np.float64], *, step_s: float, name: str) -> float:
    """Return the sampling rate that a column of time gives, in Hz, to the whole Hz where that is within what its digits leave open.

    Parameters
    ----------
    times : s, shape (n_samples,)
    step_s : how finely they are written

    Raises
    ------
    BadInputError
        ``incomplete`` where samples are missing; ``unit_unknown`` where the times are too coarse to tell a rate; ``unreadable``.
    """
    span = float(times[-1] - times[0]) if len(times) > 1 else math.nan
    if not (math.isfinite(span) and span > 0 and np.isfinite(times).all()):
        raise BadInputError(Reason.UNREADABLE, f"{name}: its time does not increase from row to row")
    found = (len(times) - 1) / span
    if not math.isfinite(found):
        raise BadInputError(Reason.UNREADABLE, f"{name}: its time increases by next to nothing, {span:g} s in all")
    unsure = found * max(step_s, 0.0) / span
    if unsure > _MOST_UNSURE_HZ:
        raise missing(Described(), name=name, needs=("fs",)) or AssertionError
    whole = round(found)
    fs = float(whole) if whole and abs(whole - found) <= max(unsure, 1e-6 * found) else found
    expected = times[0] + np.arange(len(times)) / found
    if np.abs(times - expected).max() > 0.5 / found + step_s:
        step = float(np.median(np.diff(times)))
        if not (step > 0 and math.isfinite(span / step)):
            raise BadInputError(Reason.UNREADABLE, f"{name}: its time does not increase from row to row")
        n_expected = round(span / step) + 1
        message = f"{name}: by its times, the table should have {n_expected:,} rows, and it has {len(times):,}. Export it again"
        raise BadInputError(Reason.INCOMPLETE, message)
    return fs


def _agreed(key: str, first: float | None, second: float | None, *, name: str) -> float | None:
    if first is not None and second is not None and abs(first - second) > 1e-3 * first:
        message = f"{name}: the sidecar says {key} {second:g}, but the times in the table give {first:g}; correct the one that is wrong"
        raise BadInputError(Reason.UNREADABLE, message)
    return first if second is None else second


def _split(name: str) -> tuple[str, str]:
    """Return a column's name without its unit, and the unit."""
    found = _WITH_UNIT.fullmatch(name)
    unit = (found["inside"] or found["behind"] or "").strip() if found else ""
    return (found["name"].strip(), unit) if found and millivolts_per(unit) is not None else (name, "")
