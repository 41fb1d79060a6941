"""Here: the two classes, what a model may decide, and what a reviewer may say. Not here: how a decision is reached."""

from enum import StrEnum


class Label(StrEnum):
    """The truth about a recording, as its source or a reviewer gives it."""

    NORMAL = "normal"
    ABNORMAL = "abnormal"
    UNINTERPRETABLE = "uninterpretable"


class Decision(StrEnum):
    """What the pipeline says of a recording."""

    NORMAL = "normal"
    ABNORMAL = "abnormal"
    UNCERTAIN = "uncertain"
    UNINTERPRETABLE = "uninterpretable"


CLASS_ORDER = (Label.NORMAL, Label.ABNORMAL)
"""Index 0 is normal, index 1 abnormal; every probability in this project is P(abnormal)."""
