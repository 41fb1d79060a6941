"""Here: what may stay in a file whose identifiers are taken out: an age, a year, names of leads. Not here: any format, or the proof.

Every format keeps an allow-list: what its reader reads, as far as no person can be found by it. All else is left out or blanked.
"""

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers.leads import millivolts_per, stored_names
from ecg_tasks.readers.person import age_kept
from ecg_tasks.signals.lead_names import canonical_names, lead_meant, standard_name
from ecg_tasks.signals.record import Record
from ecg_tasks.signals.windowing import BEAT_LEAD

NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?", re.ASCII)
"""What may stay in a field of a number."""
_DAYS_A_YEAR = 365.25
_SAME_AGE = 0.01
_REMARK = re.compile(r"\s*(?:\([^()]*\)|\[[^\[\]]*\])")
_OTHER_UNITS = frozenset("mmhg cmh2o kpa pa % bpm 1/min degc °c c ohm kohm l ml l/min g nu nd deg a.u. au adu".split())  # noqa: SIM905 - readable


def age_and_unit(age: float | None) -> tuple[str, str]:
    """Return a kept age as a number and its unit; two empty texts where it is not known.

    >>> age_and_unit(49.0), age_and_unit(0.5), age_and_unit(93.0), age_and_unit(None)
    (('49', 'years'), ('183', 'days'), ('90', 'years'), ('', ''))
    """
    kept = age_kept(age)
    if kept is None:
        return "", ""
    return (f"{kept:.3f}".rstrip("0").rstrip("."), "years") if kept >= 1 or not kept else (str(round(kept * _DAYS_A_YEAR)), "days")


def days_old(age: float) -> int:
    """Return the days of a kept age."""
    return round((age_kept(age) or 0.0) * _DAYS_A_YEAR)


def first_of_year(on: date | datetime | None) -> date | None:
    """Return 1 January of the year of a day, which is all that stays of a date."""
    return None if on is None else date(on.year, 1, 1)


def birth_of(age: float | None, on: date | datetime | None) -> date | None:
    """Return the day of birth that gives the kept age on 1 January of the year of a recording; None where either is not known.

    It is 1 January itself but for infants, so it tells no more than age and year do.

    >>> birth_of(49.0, date(2002, 11, 22)), birth_of(95.0, date(2002, 11, 22))
    (datetime.date(1953, 1, 1), datetime.date(1912, 1, 1))
    """
    kept, start = age_kept(age), first_of_year(on)
    if kept is None or start is None:
        return None
    if kept < 1:
        return start - timedelta(days=days_old(kept))
    return date(start.year - int(kept), 1, 1) if start.year > kept else None


def kept_names(names: Sequence[str], units: Sequence[str] = ()) -> list[str]:
    """Return the names of signals without remarks in brackets, and none of a signal that is no voltage, as no record has it.

    A record's id depends on the names of its leads, so each name that a record has stays as it is.

    Parameters
    ----------
    names : of all signals of a recording, in their order
    units : of the same signals; all are voltages where none are given

    Examples
    --------
    >>> kept_names(["DI", "V1 (bed 3)", "Ward"], units=["mV", "mV", "mmHg"])
    ['DI', 'V1', 'signal 3']
    """
    stored = canonical_names(names)
    own = [lead != known for lead, known in zip(stored_names(names), stored, strict=True)]  # of two for one lead
    plain = [name if is_own or not lead_meant(name) else _REMARK.sub("", name).strip() for name, is_own in zip(names, own, strict=True)]
    kept = list(next((one for one in (plain, stored, _spelled(plain)) if _are_stored_alike(one, names)), names))
    for place, unit in enumerate(units):
        if millivolts_per(unit) is None and lead_meant(names[place]) is None:
            kept[place] = f"signal {place + 1}"
    return kept


def _spelled(names: Sequence[str]) -> list[str]:
    """Return the names with another spelling of lead II, which version 0.1 did not know."""
    return [f"Lead {name}" if standard_name(name) == BEAT_LEAD else name for name in names]


def _are_stored_alike(kept: Sequence[str], names: Sequence[str]) -> bool:
    """Return whether a record has the same leads in the same order under both: where one is turned, that depends on the name of lead II."""
    stored = stored_names(names)
    same = stored_names(kept) == stored and len(set(kept)) == len(set(names))
    known = [BEAT_LEAD in map(standard_name, some) for some in (kept, names)]
    return same and (known[0] == known[1] or not any(name.startswith("-") for name in stored))


def kept_unit(unit: str) -> str:
    """Return a unit that is known, of voltage or not; nothing for any other text.

    >>> kept_unit("uV"), kept_unit("mmHg"), kept_unit("Mustermann")
    ('uV', 'mmHg', '')
    """
    return unit if millivolts_per(unit) is not None or unit.lower() in _OTHER_UNITS else ""


def kept_number(text: str) -> str:
    """Return a text that is a number, and nothing for any other.

    >>> kept_number(" 2.5 "), kept_number("2 May")
    ('2.5', '')
    """
    return text.strip() if NUMBER.fullmatch(text.strip()) else ""


_STAYS = ("name", "unit", "leads", "label", "sex", "synthetic")


def is_same(copied: Record, before: Record) -> bool:
    """Return whether a record of a copy without identifiers is as before: its samples, rate and leads, and what is known of it.

    The age is as it is kept: an infant's in whole days.
    """
    ages = [-1.0 if age is None else age for age in (copied.age, age_kept(before.age))]
    same = all(getattr(copied, name) == getattr(before, name) for name in _STAYS) and float(copied.fs) == float(before.fs)
    return same and abs(ages[0] - ages[1]) < _SAME_AGE and np.array_equal(_bits(copied), _bits(before))


def _bits(record: Record) -> NDArray[np.uint32]:
    """Return the samples as whole numbers, shape (n_leads, n_samples): what is no number is the same as itself."""
    return np.ascontiguousarray(record.samples).view(np.uint32)


def impossible(name: str, why: str) -> BadInputError:
    """Return the refusal of a file of which no copy without identifiers can be made."""
    return BadInputError(Reason.UNREADABLE, f"{name}: a copy without identifiers cannot be made: {why}")
