"""Here: what was forgotten, or is asked to be, as numbers. Not here: asking for it (``actions.forgetting``)."""

from collections.abc import Sequence
from dataclasses import dataclass

from ecg_tasks.archive import forgotten
from ecg_tasks.archive.object_store import ObjectStore


@dataclass(frozen=True, kw_only=True)
class ListedForgetting:
    """One request.

    Parameters
    ----------
    token : its name
    when, who, why : when it was asked for, by whom and for which reason
    what : ``patient`` or ``record``
    n_records : how many were forgotten; 0 while it is not over
    ended : when it was over; empty before
    allowed : when, by whom and why they were allowed again; empty otherwise
    """

    token: str
    when: str
    who: str
    why: str
    what: str
    n_records: int
    ended: str
    allowed: str


def forgettings(store: ObjectStore) -> Sequence[ListedForgetting]:
    """Return all requests, the newest first; one that was refused is not among them."""
    listed = [
        ListedForgetting(
            token=one.token,
            when=one.when,
            who=one.who,
            why=one.why,
            what=one.what,
            n_records=one.n_records if one.is_over else 0,
            ended=one.ended,
            allowed=one.allowed,
        )
        for one in forgotten.forgettings(store)
    ]
    return sorted(listed, key=lambda one: (one.when, one.token), reverse=True)
