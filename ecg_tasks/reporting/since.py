"""Here: what is other than in the report before, in numbers and in sentences. Not here: finding it (``pipeline.reports``)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ecg_tasks.counts import ReportCounts
from ecg_tasks.labels import Decision


class CountThenAndNow(NamedTuple):
    """One number of this report beside that of the report before; None where that does not tell it."""

    name: str
    before: int | None
    now: int


@dataclass(frozen=True, kw_only=True)
class Since:
    """The report before, and what is other now.

    Parameters
    ----------
    date, run : of the report before
    counts, decisions : its own; ``decisions`` is empty where it does not tell them
    sentences : what changed beside the numbers, and why
    """

    date: str
    run: str
    counts: ReportCounts
    decisions: Mapping[str, int] = field(default_factory=dict)
    sentences: Sequence[str] = ()

    def compared(self, counts: ReportCounts, decisions: Mapping[str, int]) -> list[CountThenAndNow]:
        """Return the numbers of both reports in the order of a report."""
        return list(self._compared(counts, decisions))

    def _compared(self, counts: ReportCounts, decisions: Mapping[str, int]) -> Iterator[CountThenAndNow]:
        for name in ("received", "duplicates", "quarantined", "forgotten", "records"):
            if name != "forgotten" or counts.forgotten or self.counts.forgotten:
                yield CountThenAndNow(name, getattr(self.counts, name), getattr(counts, name))
        for kind in Decision:
            yield CountThenAndNow(kind.value, self.decisions.get(kind.value), decisions.get(kind.value, 0))
        yield CountThenAndNow("pending", self.counts.pending, counts.pending)

    def as_dict(self) -> dict[str, Any]:
        """Return what ``summary.json`` holds."""
        return {
            "date": self.date,
            "run": self.run,
            "counts": {name: getattr(self.counts, name) for name in ReportCounts.__struct_fields__},
            "decisions": dict(self.decisions),
            "sentences": list(self.sentences),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Since":
        """Read what ``summary.json`` holds."""
        return cls(
            date=plain["date"],
            run=plain["run"],
            counts=ReportCounts(**plain["counts"]),
            decisions=plain["decisions"],
            sentences=plain["sentences"],
        )
