"""Here: the person, date, device and filters that a file states, made into ``base``'s types; its counts checked. Not here: a format."""

import math
import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta, timezone

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers.base import Lead, Patient
from ecg_tasks.readers.leads import MAX_VALUES
from ecg_tasks.readers.person import UnclearError, age_between, age_years, patient_id, sex_of

_MAX_CHARS = 80
_MAX_HZ = 100_000.0
_TIMESTAMP = re.compile(r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)?(?:[.,](\d{1,6})\d*)?)?)?)?(?:([+-])(\d\d)(\d\d))?", re.ASCII)
_ZONE_MAX = timedelta(hours=14)


def person(
    *, id_text: str = "", issuer: str = "", age: str = "", born: date | None = None, on: date | None = None, sex: str = ""
) -> Patient:
    """Make a patient of what a file says; what it does not say, or says unclearly, is not known.

    Parameters
    ----------
    age : with its unit, such as ``45 years``; if it tells nothing, or 0, which may stand for nothing, the age is that between ``born``
        and ``on`` where both are known
    sex : ``M``, ``F``, ``male`` or ``female``, in any letters

    Examples
    --------
    >>> person(id_text="9999", born=date(1953, 5, 8), on=date(2002, 11, 22), sex="M")
    Patient(id=None, age=49.0, sex='male', issuer=None)
    """
    stated = known = None
    with suppress(UnclearError):
        known = patient_id(id_text)
    with suppress(UnclearError):
        stated = age_years(age) if age.strip() else None
    reckoned = None if stated else age_between(born, on)
    return Patient(id=known, age=stated if reckoned is None else reckoned, sex=sex_of(sex), issuer=line(issuer) if known else None)


def day(year: float | str | None, month: float | str | None, of_month: float | str | None) -> date | None:
    """Return a day, or None where the three numbers are none."""
    try:
        return date(int(year or 0), int(month or 0), int(of_month or 0))
    except (ValueError, OverflowError):
        return None


def moment(on: date | None, hour: float | str | None, minute: float | str | None, second: float | str | None = 0) -> date | None:
    """Return when something was: the day alone where the time is not known, None where the day is not.

    >>> moment(date(2002, 11, 22), 9, 10, 11).isoformat(), moment(date(2002, 11, 22), "", "", "").isoformat()
    ('2002-11-22T09:10:11', '2002-11-22')
    """
    try:
        return on if on is None or hour in {None, ""} else datetime.combine(on, time(int(hour or 0), int(minute or 0), int(second or 0)))
    except (ValueError, OverflowError):
        return on


def timestamp(text: str) -> date | None:
    """Return the moment that DICOM and HL7 write as ``YYYYMMDDHHMMSS.FFFFFF+ZZZZ``: the day alone where no time follows it.

    >>> timestamp("20021122091011.25+0100").isoformat(), timestamp("20021122").isoformat(), timestamp("2002")
    ('2002-11-22T09:10:11.250000+01:00', '2002-11-22', None)
    """
    found = _TIMESTAMP.fullmatch(text)
    began = moment(day(*found.groups()[:3]), *found.groups()[3:6]) if found else None
    if found is None or not isinstance(began, datetime):
        return began
    began = began.replace(microsecond=int((found[7] or "").ljust(6, "0")))
    return began.replace(tzinfo=zone_of(int(f"{found[8]}{found[9]}") * 60 + int(f"{found[8]}{found[10]}"))) if found[8] else began


def zone_of(minutes: int) -> timezone | None:
    """Return the time zone so many minutes east of UTC; None where none can be."""
    offset = timedelta(minutes=minutes)
    return timezone(offset) if abs(offset) <= _ZONE_MAX else None


def day_of(recorded: date | None) -> date | None:
    """Return the day of a moment; a day as it is."""
    return recorded.date() if isinstance(recorded, datetime) else recorded


def line(*parts: str) -> str | None:
    """Return texts as one line of at most 80 printed characters, or None where they say nothing.

    >>> line("Mortara", " ELI250 "), line("", " ")
    ('Mortara ELI250', None)
    """
    words = " ".join(" ".join(parts).split())
    return "".join(letter for letter in words if letter.isprintable())[:_MAX_CHARS].strip() or None


def hertz(value: float | None) -> float | None:
    """Return a filter's frequency where it can be one; 0 is switched off."""
    return None if value is None or not math.isfinite(value) or not 0 <= value <= _MAX_HZ else float(value)


def check_lengths(leads: Sequence[Lead], *, name: str, promised: int | None = None) -> None:
    """Refuse leads that are not all as long as the file says, or as one another.

    Raises
    ------
    BadInputError
        ``incomplete`` with both counts; ``too_large``.
    """
    check_size(sum(lead.samples.size for lead in leads), name=name)
    wanted = promised or max((lead.samples.size for lead in leads), default=0)
    for number, lead in enumerate(leads, start=1):
        if lead.samples.size != wanted:
            sentence = f"lead {number} of {len(leads)} has {lead.samples.size} samples; it must have {wanted}"
            raise BadInputError(Reason.INCOMPLETE, f"{name}: {sentence}. Export it again")


def check_size(n_values: int, *, name: str) -> None:
    """Refuse more samples than are read.

    Raises
    ------
    BadInputError
        ``too_large``.
    """
    if n_values > MAX_VALUES:
        raise BadInputError(Reason.TOO_LARGE, f"{name}: {n_values:,} samples in all leads; the limit is {MAX_VALUES:,}")


def numbered(name: str, n: int, *, of: int) -> str:
    """Return the name of the n-th recording of a file, counted from 1: the file's own where it holds one.

    >>> numbered("a.xml", 1, of=1), numbered("a.xml", 2, of=3)
    ('a.xml', 'a.xml#2')
    """
    return name if of == 1 else f"{name}#{n}"
