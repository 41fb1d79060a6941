"""Here: records on which two versions decide differently, and their table. Not here: the pages that show them, or finding them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ecg_tasks.labels import Decision
from ecg_tasks.reporting.tables import csv_lines

LISTED = 1000
"""Changed records on a page, those that changed most; the CSV file has all."""
COLUMNS = ("record_id", "name", "decision_before", "decision_after", "probability_before", "probability_after", "change", "label")


@dataclass(frozen=True, kw_only=True)
class ChangedRecord:
    """A record on which two versions decide differently; a probability is None where a version could not classify it."""

    record_id: str
    name: str
    before: Decision
    after: Decision
    probability_before: float | None
    probability_after: float | None
    label: str | None

    @property
    def change(self) -> float | None:
        """By how much P(abnormal) rose."""
        if self.probability_before is None or self.probability_after is None:
            return None
        return self.probability_after - self.probability_before

    def cells(self) -> dict[str, str | float | None]:
        """Return the values of ``COLUMNS``."""
        return dict(
            zip(
                COLUMNS,
                (
                    self.record_id,
                    self.name,
                    self.before.value,
                    self.after.value,
                    self.probability_before,
                    self.probability_after,
                    self.change,
                    self.label,
                ),
                strict=True,
            )
        )


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Decisions of the archive that are other ones since a champion changed.

    Parameters
    ----------
    before, after : recipe to version, as the report before pinned them and as this one does
    n_records : records on which both have decided
    counts : changed records by both decisions, the one before first
    records : those whose decision changed
    """

    before: Mapping[str, str]
    after: Mapping[str, str]
    n_records: int = 0
    counts: Mapping[tuple[Decision, Decision], int] = field(default_factory=dict)
    records: Sequence[ChangedRecord] = ()

    def __post_init__(self) -> None:
        if sum(self.counts.values()) != len(self.records):
            raise ValueError(f"counts are of {sum(self.counts.values())} changed records, {len(self.records)} are listed")

    @property
    def sentence(self) -> str:
        """What changed, in one sentence."""
        replaced = [
            f"{name} {self.after.get(name, 'nothing')} replaced {self.before.get(name, 'nothing')}"
            for name in sorted(self.before.keys() | self.after.keys())
            if self.before.get(name) != self.after.get(name)
        ]
        moves = ", ".join(f"{n:,} from {one} to {other}" for (one, other), n in sorted(self.counts.items(), key=lambda item: -item[1]))
        changed = f"{len(self.records):,} of {self.n_records:,} earlier decisions changed" + (f": {moves}" if moves else "")
        return f"{' and '.join(replaced)} since the last report; {changed}."

    def as_dict(self) -> dict[str, Any]:
        """Return what ``summary.json`` holds."""
        return {
            "before": dict(self.before),
            "after": dict(self.after),
            "n_records": self.n_records,
            "n_changed": len(self.records),
            "counts": [{"from": one.value, "to": other.value, "n": n} for (one, other), n in self.counts.items()],
            "sentence": self.sentence,
            "listed": [record.cells() for record in in_order(self.records)[:LISTED]],
        }


def in_order(records: Sequence[ChangedRecord]) -> list[ChangedRecord]:
    """Sort changed records: the largest change first, those that one version could not classify last."""
    return sorted(records, key=lambda one: (-abs(one.change) if one.change is not None else 1.0, one.record_id))


def changes_csv(ordered: Sequence[ChangedRecord]) -> bytes:
    """Write every changed record as CSV; a missing value is an empty cell, a number has all its digits."""
    return csv_lines([COLUMNS, *(one.cells().values() for one in ordered)])
