"""Here: normal and abnormal, lists of classes, what a model may decide and a reviewer say. Not here: how a decision is reached."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

RESEARCH_USE = "Research use, not a medical device."
"""Stands wherever decisions are shown."""


class Label(StrEnum):
    """The truth about a recording, as its source or a reviewer gives it."""

    NORMAL = "normal"
    ABNORMAL = "abnormal"
    UNINTERPRETABLE = "uninterpretable"


class Superclass(StrEnum):
    """The five diagnostic superclasses of PTB-XL, of which a recording may have several."""

    NORM = "NORM"
    """Normal ECG."""
    MI = "MI"
    """Myocardial infarction."""
    STTC = "STTC"
    """Change of the ST segment or the T wave."""
    CD = "CD"
    """Conduction disturbance."""
    HYP = "HYP"
    """Hypertrophy."""


MAX_CLASSES = 100
"""Names that one list may have."""
_CLASS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", re.ASCII)
_BETWEEN_CLASSES = re.compile(r"[\s;,|+]+")
NONE_OF_THEM = "-"
"""Stands for a list of classes that is empty."""
_ABSENT, _PERHAPS_OTHERS = "-", "?"
_NOT_SAID = frozenset({"nan", "none", "null", "na", "n/a", "unknown"})
_SUPERCLASS_OF = {one.value.casefold(): one.value for one in Superclass}


@dataclass(frozen=True, slots=True)
class ClassList:
    """The classes of a recording, as its source or a reviewer names them; where nobody does, they are not known, and there is no list.

    Parameters
    ----------
    names : of the classes that it has; those of `Superclass` and any others
    is_whole : whether the source looked for all that it names anywhere, so that what is not listed is absent; otherwise it is not known
    absent : names of classes that it is said not to have
    """

    names: frozenset[str]
    is_whole: bool = True
    absent: frozenset[str] = frozenset()

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read names with blanks, ``;``, ``,``, ``|`` or ``+`` between.

        ``-MI`` is for a class that it has not, ``?`` behind all for perhaps others, ``-`` alone for none of them. A name has 1 to 32
        ASCII letters, digits, ``_`` and ``-``, and begins with a letter or a digit. Case counts, except in the five superclasses. An
        empty text, or a word for a missing value, is no list.

        >>> str(ClassList.read("sttc; MI|AF")), str(ClassList.read("-hyp CD ?")), str(ClassList.read("-")), ClassList.read("")
        ('MI STTC AF', 'CD -HYP ?', '-', None)

        Raises
        ------
        ValueError
            If it cannot be understood.
        """
        words = [word for word in dict.fromkeys(_BETWEEN_CLASSES.split(text)) if word]
        is_whole = _PERHAPS_OTHERS not in words
        words = [word for word in words if word != _PERHAPS_OTHERS]
        if not words or (len(words) == 1 and words[0].lower() in _NOT_SAID):
            return None
        if words == [NONE_OF_THEM] and is_whole:
            return cls(frozenset())
        if len(words) > MAX_CLASSES or not all(_CLASS_NAME.fullmatch(word.removeprefix(_ABSENT)) for word in words):
            raise ValueError(f"a list has at most {MAX_CLASSES} names of 1 to 32 letters, digits, '_' and '-'")
        names = frozenset(_SUPERCLASS_OF.get(word.casefold(), word) for word in words if not word.startswith(_ABSENT))
        bare = (word.removeprefix(_ABSENT) for word in words if word.startswith(_ABSENT))
        absent = frozenset(_SUPERCLASS_OF.get(word.casefold(), word) for word in bare)
        if both := in_order(names & absent):
            raise ValueError(f"it has {both[0]}, and has it not")
        return cls(names, is_whole, absent)

    def __str__(self) -> str:
        """Return the list as it is stored: `read` gives it back."""
        absent = [f"{_ABSENT}{name}" for name in in_order(self.absent)]
        return " ".join([*in_order(self.names), *absent, *(() if self.is_whole else (_PERHAPS_OTHERS,))]) or NONE_OF_THEM

    def contradicts(self, label: str | None) -> str:
        """Return why a recording of this label cannot have these classes; empty where it can."""
        if label == Label.UNINTERPRETABLE and self.names:
            return "an uninterpretable recording has no classes"
        if label == Label.ABNORMAL and Superclass.NORM in self.names:
            return f"{Superclass.NORM} is the class of a normal recording, and the label is abnormal"
        if label == Label.NORMAL and (found := in_order(self.names & (frozenset(Superclass) - {Superclass.NORM}))):
            return f"the label is normal, and among the classes is {', '.join(found)}"
        if label == Label.NORMAL and Superclass.NORM in self.absent:
            return f"the label is normal, and its class {Superclass.NORM} is said to be absent"
        return ""


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return names of classes in their order: the superclasses as in `Superclass`, then all others by the alphabet.

    >>> in_order({"AF", "MI", "NORM"})
    ('NORM', 'MI', 'AF')
    """
    known = frozenset(names)
    return (*(one.value for one in Superclass if one in known), *sorted(known - frozenset(Superclass)))


class Verdict(StrEnum):
    """What a reviewer may say of a recording: its label, or that another reviewer should decide. The values are stored and never change."""

    NORMAL = "normal"
    ABNORMAL = "abnormal"
    UNINTERPRETABLE = "uninterpretable"
    SKIP = "skip"


WITHDRAWN = "withdrawn"
"""Stored beside verdicts: takes back an earlier one of the same person on the same recording."""
ASKED = "asked"
"""Stored beside verdicts: somebody gave this person the next reading of the recording; to nobody, it is whose it is by rule."""


class Decision(StrEnum):
    """What the pipeline says of a recording."""

    NORMAL = "normal"
    ABNORMAL = "abnormal"
    UNCERTAIN = "uncertain"
    UNINTERPRETABLE = "uninterpretable"


class ClassDecision(StrEnum):
    """What the pipeline says of a class of a recording. The values are stored and shown."""

    PRESENT = "present"
    ABSENT = "absent"
    UNCERTAIN = "uncertain"
    UNINTERPRETABLE = "uninterpretable"


CLASS_ORDER = (Label.NORMAL, Label.ABNORMAL)
"""Index 0 is normal, index 1 abnormal; every probability in this project is P(abnormal)."""
