"""Here: the two classes, the five superclasses, what a model may decide and a reviewer say. Not here: how a decision is reached."""

from enum import StrEnum

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


class Verdict(StrEnum):
    """What a reviewer may say of a recording: its label, or that another reviewer should decide. The values are stored and never change."""

    NORMAL = "normal"
    ABNORMAL = "abnormal"
    UNINTERPRETABLE = "uninterpretable"
    SKIP = "skip"


WITHDRAWN = "withdrawn"
"""Stored beside verdicts: takes back an earlier one of the same person on the same recording."""


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
