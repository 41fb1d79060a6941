"""Here: a patient's id, age and sex as people and programs write them. Not here: the files that they stand in, or how an id is hashed."""

import re
import unicodedata
from datetime import date
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

from ecg_tasks.signals.record import OLDEST_AGE

MAX_AGE_YEARS = 130
HIDDEN_AGE = 300
"""PTB-XL gives this age to everybody above 89, for privacy; it is read as unknown."""

_NOBODY = frozenset(
    """nan none null nil na inf notavailable notapplicable missing undefined notknown notstated tbd empty blank
    unknown unk unbekannt inconnu desconocido sconosciuto onbekend unknownpatient patientunknown
    anonymous anonym anonyme anonimo anon anonymized anonymised anonymise anonymisee anonymisiert anonymizado
    anonymouspatient patientanonymous deidentified pseudonymized pseudonymised redacted removed masked hidden withheld deleted
    confidential private patient patientid nopatient noname name noid nobody""".split()  # noqa: SIM905 - readable
)
"""Words that stand where an id is missing or was taken out, in lower case, without accents, blanks and signs."""
_FILLER = re.compile(r"0*|9{4,}|x+|z{3,}|n{2,}")
_WHOLE_NUMBER = re.compile(r"(\d+)\.0*", re.ASCII)
_EXPONENT = re.compile(r"(\d)\.(\d+)e\+(\d{1,2})", re.ASCII | re.IGNORECASE)
_DIGITS_SHOWN = 5
"""Table programs show a large number with so many decimals: one that has them all was probably cut off."""
_NEGATIVE = re.compile(r"-\d+(\.0*)?", re.ASCII)
_FORMULA = re.compile(r'="(.*)"')
_MISSING_AGE = frozenset({"", "nan", "none", "null", "na", "n/a", "unknown", "-", f"{HIDDEN_AGE}", f"{HIDDEN_AGE}.0"})
_YEARS_IN = {"y": 1.0, "m": 1 / 12, "w": 7 / 365.25, "d": 1 / 365.25}
_DICOM_AGE = re.compile(r"(\d{3})([dwmy])", re.ASCII)
_WORDED_AGE = re.compile(
    r"(\d{1,3}(?:[.,]\d{1,3})?) ?(y|yrs?|yo|y/o|years?(?: old)?|mos?|mths?|months?(?: old)?|wks?|weeks?(?: old)?|days?(?: old)?)\.?",
    re.ASCII,
)
_SEXES: MappingProxyType[str, Literal["female", "male"]] = MappingProxyType(
    {"f": "female", "female": "female", "m": "male", "male": "male"}
)
_PLAIN_AGE = re.compile(r"\d{1,3}(?:[.,]\d{0,12})?", re.ASCII)
_OPEN_AGE = re.compile(
    r"(?:(>=?|≥) ?(\d{1,3})|(\d{1,3}) ?(?:y|yrs?|years?)? ?(?:\+|(?:and|or) (?:over|older|above|more)))(?: ?(?:y|yrs?|years?))?", re.ASCII
)


class UnclearError(ValueError):
    """The text says something, but not an age or an id that can be used."""


@lru_cache(maxsize=4096)
def patient_id(text: str) -> str | None:
    """Return the patient's id in its normal form, or None where the text names no person.

    ``15709.0`` is what a table program makes of 15709 in a column with gaps. Letters keep their case and numbers their leading zeros.
    A missing value, a word such as ``Anonymous``, and a filler such as ``0``, ``9999`` or ``xxxxxx`` name no person: taken for an id, each
    would make one patient of many.

    Raises
    ------
    UnclearError
        If a table program has rounded the id, as in ``1.23457E+11``: several patients could be meant.

    Examples
    --------
    >>> patient_id("15709.0"), patient_id(" p 007 "), patient_id("Anonymous"), patient_id("nan")
    ('15709', 'p 007', None, None)
    """
    found = text.strip()
    if not found.isascii():
        found = unicodedata.normalize("NFC", found)
    if formula := _FORMULA.fullmatch(found):
        found = formula[1].strip()
    if _NEGATIVE.fullmatch(found):
        return None
    if whole := _WHOLE_NUMBER.fullmatch(found):
        found = whole[1]
    elif rounded := _EXPONENT.fullmatch(found):
        first, decimals, exponent = rounded[1], rounded[2], int(rounded[3])
        if len(decimals.rstrip("0")) > exponent or (len(decimals) < exponent and len(decimals) >= _DIGITS_SHOWN):
            raise UnclearError("a spreadsheet rounded this number, so several patients may have it")
        found = first + decimals[:exponent].ljust(exponent, "0")
    bare = _bare(found)
    return None if bare in _NOBODY or _FILLER.fullmatch(bare) else found


def id_within(collection: str, patient: str) -> str:
    """Return a patient's id with the first word of the collection that gave it before it, once.

    >>> id_within("ptbxl", "15709"), id_within("ptbxl", "ptbxl-15709"), id_within("mimic_iv_ecg", "17")
    ('ptbxl-15709', 'ptbxl-15709', 'mimic-17')
    """
    before = f"{collection.partition('_')[0]}-"
    return patient if patient.startswith(before) else before + patient


@lru_cache(maxsize=4096)
def age_years(text: str) -> float | None:
    """Return an age in years, or None where the text is a missing value.

    A number is years. ``045Y``, ``003M``, ``010W`` and ``012D`` are DICOM's ages; ``45 years`` and ``6 months`` are read too. ``90+`` and
    ``>=90`` count as 90, and ``>89`` as 90: the least whole age that they can mean.

    Raises
    ------
    UnclearError
        If the text is no age, such as a range, or the age is not between 0 and 130 years.

    References
    ----------
    DICOM PS3.5, value representation AS (Age String).

    Examples
    --------
    >>> age_years("045Y"), age_years("006M"), age_years(">89"), age_years("67.5"), age_years("nan")
    (45.0, 0.5, 90.0, 67.5, None)
    """
    found = " ".join(text.lower().split())
    if found in _MISSING_AGE:
        return None
    age = _open_age(found)
    if age is None and _PLAIN_AGE.fullmatch(found):
        age = float(found.replace(",", "."))
    if age is None and (unit := _DICOM_AGE.fullmatch(found) or _WORDED_AGE.fullmatch(found)):
        age = float(unit[1].replace(",", ".")) * _YEARS_IN[unit[2][0]]
    if age == HIDDEN_AGE:
        return None
    if age is None or not 0 <= age <= MAX_AGE_YEARS:
        raise UnclearError(f"an age is a number of years from 0 to {MAX_AGE_YEARS}, or a text such as 045Y or 90+")
    return age


def age_kept(age: float | None) -> float | None:
    """Return the age that may be stored or trained on: ages above 89 years are 90.

    >>> age_kept(93.0), age_kept(89.0), age_kept(None)
    (90.0, 89.0, None)
    """
    return None if age is None else min(age, OLDEST_AGE)


def age_between(birth: date | None, recorded: date | None) -> float | None:
    """Return the completed years on the day of a recording, of an infant the share of its first year.

    None where a day is not known, or the two cannot be those of one person.

    >>> age_between(date(1953, 5, 8), date(2002, 11, 22)), age_between(date(2010, 1, 1), date(2002, 11, 22))
    (49.0, None)
    """
    if birth is None or recorded is None or recorded < birth:
        return None
    years = recorded.year - birth.year - ((recorded.month, recorded.day) < (birth.month, birth.day))
    return None if years > MAX_AGE_YEARS else float(years) if years else (recorded - birth).days / 365.25


def sex_of(text: str) -> Literal["female", "male"] | None:
    """Return the sex that ``M``, ``F``, ``male`` or ``female`` is, in any letters; None for any other text.

    >>> sex_of("F"), sex_of(" Male "), sex_of("X")
    ('female', 'male', None)
    """
    return _SEXES.get(text.strip().lower())


def _open_age(text: str) -> float | None:
    """Return the least age of an open range, such as ``90+``."""
    match = _OPEN_AGE.fullmatch(text)
    if match is None:
        return None
    return float(match[3]) if match[3] else float(match[2]) + (match[1] == ">")


def _bare(text: str) -> str:
    """Return the letters and digits of a text, in lower case, without accents."""
    plain = text if text.isascii() else "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return "".join(c for c in plain.casefold() if c.isalnum())
