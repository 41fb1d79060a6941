"""Here: the person and the diagnosis in a WFDB header's comments. Not here: the header's own lines."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ecg_tasks.labels import Label

_AGE_AND_SEX = re.compile(r"(\d{1,3})\s+([MF])\b", re.ASCII)
_NOT_AVAILABLE = {"", "n/a", "na", "unknown", "nan"}
_SEXES: dict[str, Literal["female", "male"]] = {"f": "female", "female": "female", "m": "male", "male": "male"}
_MAX_AGE_YEARS = 130


@dataclass(frozen=True, kw_only=True)
class Person:
    """What the comments tell; None where they tell nothing."""

    age: float | None
    """Years."""
    sex: Literal["female", "male"] | None
    label: Label | None
    synthetic: bool


def read_comments(comments: Iterable[str]) -> Person:
    """Read ``key: value`` comments as PTB and PhysioNet write them, and MIT-BIH's first line, such as ``69 M 1085 1629 x1``.

    The PTB diagnosis is ``Reason for admission``: ``Healthy control`` is normal, any other is abnormal, and none, or
    ``n/a``, is no label.

    Examples
    --------
    >>> read_comments(["age: 81", "sex: female", "Reason for admission: Myocardial infarction"])
    Person(age=81.0, sex='female', label=<Label.ABNORMAL: 'abnormal'>, synthetic=False)
    >>> read_comments(["69 M 1085 1629 x1"]).age
    69.0
    """
    values: dict[str, str] = {}
    for comment in comments:
        key, colon, value = comment.partition(":")
        if colon:
            values.setdefault(key.strip().lower(), value.strip())
        elif match := _AGE_AND_SEX.match(comment):
            values.setdefault("age", match[1])
            values.setdefault("sex", match[2])
    diagnosis = values.get("reason for admission", "").lower()
    label = None if diagnosis in _NOT_AVAILABLE else Label.NORMAL if diagnosis == "healthy control" else Label.ABNORMAL
    return Person(
        age=_age(values.get("age", "")),
        sex=_SEXES.get(values.get("sex", "").lower()),
        label=label,
        synthetic=values.get("synthetic", "").lower() == "yes",
    )


def _age(text: str) -> float | None:
    match = re.fullmatch(r"\d{1,3}(\.\d{1,3})?", text, re.ASCII)
    age = float(text) if match else None
    return age if age is not None and age <= _MAX_AGE_YEARS else None
