"""Here: what a version says of the classes of one record, as its page lists it. Not here: the HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

from ecg_tasks.reporting.model import ReportedClass


@dataclass(frozen=True, kw_only=True)
class ClassLine:
    """One class of one record; ``probability`` is None where no window could be used."""

    of: ReportedClass
    decision: str
    probability: float | None

    @property
    def meaning(self) -> str:
        """What the class is in a terminology; empty where that is not known."""
        return f"{self.of.display}, {self.of.code}" if self.of.code else ""


def class_lines(classes: Sequence[ReportedClass], values: Mapping[str, Any]) -> list[ClassLine]:
    """Return a line for each class of a version that a row says something of; ``values`` are the columns of the row."""
    lines = []
    for one in classes:
        decision, probability = values.get(f"class_{one.name}"), values.get(f"p_{one.name}")
        if decision:
            known = None if probability is None or isnan(probability) else float(probability)
            lines.append(ClassLine(of=one, decision=decision, probability=known))
    return lines
