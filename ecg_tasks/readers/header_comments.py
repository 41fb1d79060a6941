"""Here: the person and the diagnosis in a WFDB header's comments. Not here: the header's own lines."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from ecg_tasks.labels import Label
from ecg_tasks.readers import metadata
from ecg_tasks.readers.person import MAX_AGE_YEARS, sex_of

_AGE_AND_SEX = re.compile(r"(\d{1,3})\s+([MF])\b", re.ASCII)
_PTB_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})", re.ASCII)
"""Day, month and year."""
_REASON = "reason for admission"
_NYHA_CLASS = re.compile(r"\s*\(nyha\b[^)]*\)")

PTB_DIAGNOSES: Mapping[str, Label] = {
    "healthy control": Label.NORMAL,
    "healthy controls": Label.NORMAL,
    "myocardial infarction": Label.ABNORMAL,
    "cardiomyopathy": Label.ABNORMAL,
    "heart failure": Label.ABNORMAL,
    "bundle branch block": Label.ABNORMAL,
    "dysrhythmia": Label.ABNORMAL,
    "myocardial hypertrophy": Label.ABNORMAL,
    "hypertrophy": Label.ABNORMAL,
    "valvular heart disease": Label.ABNORMAL,
    "myocarditis": Label.ABNORMAL,
    "stable angina": Label.ABNORMAL,
    "unstable angina": Label.ABNORMAL,
    "palpitation": Label.ABNORMAL,
}
"""What each reason for admission of the PTB Diagnostic ECG Database means, in lower case; a reason that is not here is no label.

Its documentation's class "Miscellaneous" is none: its headers name the angina or the palpitation.
"""


@dataclass(frozen=True, kw_only=True)
class Comments:
    """What the comments tell; None where they tell nothing. ``age`` is in years, ``recorded`` PTB's date of the ECG."""

    age: float | None
    sex: Literal["female", "male"] | None
    label: Label | None
    synthetic: bool
    recorded: date | None = None


def read_comments(comments: Iterable[str]) -> Comments:
    """Read ``key: value`` comments as PTB, LUDB and PhysioNet write them, and MIT-BIH's first line, such as ``69 M 1085 1629 x1``.

    The PTB diagnosis is ``Reason for admission``: see `ptb_label`.

    Examples
    --------
    >>> read_comments(["age: 81", "sex: female", "Reason for admission: Myocardial infarction"])
    Comments(age=81.0, sex='female', label=<Label.ABNORMAL: 'abnormal'>, synthetic=False, recorded=None)
    >>> read_comments(["69 M 1085 1629 x1"]).age
    69.0
    """
    values = _values(comments)
    return Comments(
        age=_age(values.get("age", "")),
        sex=sex_of(values.get("sex", "")),
        label=ptb_label(values.get(_REASON, "")),
        synthetic=values.get("synthetic", "").lower() == "yes",
        recorded=_date(values.get("ecg date", "")),
    )


def known_reason(comments: Iterable[str]) -> str:
    """Return a reason for admission that `ptb_label` knows, without what stands in brackets; nothing for any other.

    >>> known_reason(["Reason for admission: Heart failure (NYHA 3)"]), known_reason(["Reason for admission: seen by E. M."])
    ('heart failure', '')
    """
    reason = _values(comments).get(_REASON, "")
    return "/".join(ptb_diagnoses(reason)) if ptb_label(reason) is not None else ""


def _values(comments: Iterable[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for comment in comments:
        key, colon, value = comment.partition(":")
        if colon:
            values.setdefault(key.strip().strip("<>").lower(), value.strip())
        elif match := _AGE_AND_SEX.match(comment):
            values.setdefault("age", match[1])
            values.setdefault("sex", match[2])
    return values


def ptb_label(reason: str) -> Label | None:
    """Return the label of a PTB reason for admission, or None where it is not one of `PTB_DIAGNOSES`.

    Case, blanks and a NYHA class in brackets do not matter. Several diagnoses, parted by slashes, must agree.

    Examples
    --------
    >>> ptb_label("Heart failure (NYHA 3)"), ptb_label("Routine check-up")
    (<Label.ABNORMAL: 'abnormal'>, None)
    """
    meanings = {PTB_DIAGNOSES.get(part) for part in ptb_diagnoses(reason)}
    return meanings.pop() if len(meanings) == 1 else None


def ptb_diagnoses(reason: str) -> tuple[str, ...]:
    """Return the diagnoses of a PTB reason for admission, as the keys of `PTB_DIAGNOSES` are written.

    >>> ptb_diagnoses("Heart failure (NYHA 3)/ Hypertrophy")
    ('heart failure', 'hypertrophy')
    """
    words = _NYHA_CLASS.sub("", " ".join(reason.casefold().split()))
    return tuple(part.strip() for part in words.split("/"))


def _age(text: str) -> float | None:
    match = re.fullmatch(r"\d{1,3}(\.\d{1,3})?", text, re.ASCII)
    age = float(text) if match else None
    return age if age is not None and age <= MAX_AGE_YEARS else None


def _date(text: str) -> date | None:
    match = _PTB_DATE.fullmatch(text)
    return metadata.day(match[3], match[2], match[1]) if match else None
