"""Here: what is known of a recording's person and of how it was made, in words. Not here: the page that shows it, or the signal."""

from typing import NamedTuple

from ecg_tasks.signals.record import OLDEST_AGE, Record

NOT_KNOWN = "not known"


class Fact(NamedTuple):
    """One line: what it is about, and what is known of it."""

    title: str
    text: str


def facts_of(record: Record) -> list[Fact]:
    """Return person, time, device, filters and format of a recording, and its site if it has one.

    What its file did not tell is said to be not known.
    """
    return [
        Fact("Person", f"{_age(record.age)}, {record.sex or f'sex {NOT_KNOWN}'}"),
        Fact("Recorded", (record.recorded or NOT_KNOWN).replace("T", " ")),
        Fact("Device", record.device or NOT_KNOWN),
        Fact("Filters", record.filters or NOT_KNOWN),
        Fact("Format", record.source_format or NOT_KNOWN),
        *([Fact("Site", record.site)] if record.site else []),
    ]


def _age(years: float | None) -> str:
    if years is None:
        return f"age {NOT_KNOWN}"
    return f"{years:.0f} years" + " or older" * (years == OLDEST_AGE)
