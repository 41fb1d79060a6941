"""Here: who saw what, as an auditor asks for it. Not here: writing the access log (``actions.access``), acts (``audit_log``)."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import Any

import msgspec

from ecg_tasks.archive import access_log
from ecg_tasks.archive.access_log import Access, FoundBatch
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.reporting.escaping import cell

COLUMNS = ("when", "who", "act", "page", "record", "run", "thing", "outcome", "times")


@dataclass(frozen=True, kw_only=True)
class AccessReport:
    """What was found.

    Parameters
    ----------
    accesses : in the order of their moments
    left_out : accesses that were counted only, because the bucket did not answer for long
    faults : a sentence for each batch that is missing between two others of its writer, or that cannot be read
    """

    accesses: tuple[Access, ...]
    left_out: int
    faults: tuple[str, ...]


def report(store: ObjectStore, *, first: str = "", last: str = "", who: str = "", record: str = "") -> AccessReport:
    """Return the accesses from one day to another, both included, of one user or of one record where that is asked for.

    Parameters
    ----------
    first, last : days (``2026-11-29``, UTC); empty: from the beginning, to the end
    record : a record's id; reports, which show many records, have the run's name instead
    """
    # a batch may lie below a later day than its accesses: it was written after midnight, or when the bucket answered again
    found = list(access_log.lines(store, (day for day in access_log.days(store) if day >= first)))
    batches = [line.batch for line in found if line.batch is not None]
    accesses = [
        access
        for batch in batches
        for access in batch.accesses
        if first <= access.when[: len("2026-11-29")]
        and (not last or access.when[: len("2026-11-29")] <= last)
        and who in ("", access.who)
        and record in ("", access.record)
    ]
    return AccessReport(
        accesses=tuple(sorted(accesses, key=attrgetter("when"))),
        left_out=sum(batch.left_out for batch in batches),
        faults=tuple(_faults(found)),
    )


def as_csv(accesses: Iterable[Access]) -> str:
    """Return the accesses as CSV with a line of heads; no cell is a formula."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([cell(str(getattr(access, column))) for column in COLUMNS] for access in accesses)
    return text.getvalue()


def as_plain(found: AccessReport) -> Any:
    """Return the report as plain JSON."""
    return msgspec.to_builtins(found)


def _faults(found: Iterable[FoundBatch]) -> Iterable[str]:
    by_writer: dict[str, dict[int, FoundBatch]] = {}
    for line in found:
        if line.batch is None:
            yield f"{line.key} is damaged: it is not what its name says"
        else:
            by_writer.setdefault(line.batch.writer, {})[line.batch.number] = line
    for numbered in by_writer.values():
        numbers = sorted(numbered)
        for earlier, later in pairwise(numbers):
            one, two = numbered[earlier], numbered[later]
            if later != earlier + 1:
                yield f"{later - earlier - 1} batches are missing between {one.key} and {two.key}"
            elif two.batch is not None and two.batch.before != one.digest:
                yield f"{one.key} is not the batch that {two.key} came after"
