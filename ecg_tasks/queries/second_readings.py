"""Here: who reads a record after somebody has: whether it needs another reading, and whose that is. Not here: its order (``review_queue``).

Nothing of the rule is stored. Who gives verdicts is known from the verdicts, and of those who may read a record the one is chosen whose
digest with the record's id is the largest: everybody's share is about the same, and one person more or less moves only that person's
records. A person who was asked by name (``asked``, empty where nobody was) goes before the rule.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

from ecg_tasks.archive.labelling import REVIEW, LabelEntry, standing
from ecg_tasks.archive.verdicts import Opinion, is_disputed

SECOND_READINGS = 10
"""Of so many records one gets a second reading, so that agreement can be measured."""
AWAY_AFTER = timedelta(days=30)
"""Who has given no verdict for so long is away: what was that person's to read is another one's."""
ANYBODY = ""
"""Stands for a person: nobody who gives verdicts here is left, so whoever comes next may read it."""


def readers(reviews: Iterable[LabelEntry], *, now: datetime) -> frozenset[str]:
    """Return the names of those who gave verdicts lately; a skip counts, what was taken back does not."""
    since = (now - AWAY_AFTER).isoformat()
    return frozenset(entry.who.removeprefix(REVIEW) for entry in standing(reviews) if entry.when >= since)


def has_verdict(said: Mapping[str, Opinion]) -> bool:
    """Return whether a verdict of anybody stands; only then somebody reads it again."""
    return any(opinion.label is not None for opinion in said.values())


def needs_another(record_id: str, said: Mapping[str, Opinion], *, known: Collection[str], asked: str = "") -> bool:
    """Return whether a record needs another reading.

    A tenth of those with one verdict, all whose verdicts have no majority, and those that somebody was asked to read who has not yet.
    """
    verdicts = [opinion for opinion in said.values() if opinion.label is not None]
    by_rule = is_disputed(said) or (len(verdicts) == 1 and int(record_id[:8], 16) % SECOND_READINGS == 0)
    return by_rule or (bool(verdicts) and asked in free(said, known=known))


def free(said: Mapping[str, Opinion], *, known: Collection[str]) -> list[str]:
    """Return which of the ``known`` readers have neither said anything of a record nor passed it on."""
    return sorted(user for user in known if user not in said)


def reader_of(record_id: str, said: Mapping[str, Opinion], *, known: Collection[str], asked: str = "") -> str:
    """Return whose the next reading of a record is; `ANYBODY` where all ``known`` readers have said something of it, or passed it on."""
    able = free(said, known=known)
    if asked in able:
        return asked
    return max(able, key=lambda user: hashlib.blake2b(f"{record_id}\n{user}".encode()).digest(), default=ANYBODY)


def is_for(user: str, record_id: str, said: Mapping[str, Opinion], *, known: Collection[str], asked: str = "") -> bool:
    """Return whether a record that something was said of is this user's to read.

    Without a verdict it is everybody's who has not passed it on. Who has given one does not read it again, whatever others say.
    """
    if user in said:
        return False
    if not has_verdict(said):
        return True
    if not needs_another(record_id, said, known=known, asked=asked):
        return False
    return reader_of(record_id, said, known=known, asked=asked) in {user, ANYBODY}


def assigned(opinions: Mapping[str, Mapping[str, Opinion]], *, known: Collection[str], asked: Mapping[str, str]) -> dict[str, int]:
    """Count the further readings that wait for each person, `ANYBODY` last; ``asked`` has who was asked by name, by record."""
    found = Counter(
        reader_of(record_id, said, known=known, asked=asked.get(record_id, ""))
        for record_id, said in opinions.items()
        if needs_another(record_id, said, known=known, asked=asked.get(record_id, ""))
    )
    return dict(sorted(found.items(), key=lambda one: (one[0] == ANYBODY, one[0])))
