"""Here: a reviewer's verdict, taking it back, and asking somebody by name for the next reading.

Not here: which record comes next (``queries.review_queue``).
"""

from collections.abc import Collection

from ecg_tasks.archive import verdicts
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.verdicts import COMMENT_MAX, USER_MAX, Saved
from ecg_tasks.errors import ConfigurationError, EcgError
from ecg_tasks.labels import NONE_OF_THEM, ClassList
from ecg_tasks.queries import review_queue

__all__ = ["COMMENT_MAX", "USER_MAX", "UnknownRecordError", "ask", "save_verdict", "withdraw"]


class UnknownRecordError(EcgError):
    """No serving model has decided on a record of this id."""


def save_verdict(
    store: ObjectStore,
    record_id: str,
    *,
    verdict: str,
    user: str,
    comment: str = "",
    checked: Collection[str] = (),
    offered: Collection[str] = (),
    tags: Collection[str] = (),
) -> Saved:
    """Save a verdict as ``verdicts.save_verdict`` does, on a record that a serving model has decided on.

    Parameters
    ----------
    checked : names of the classes that the record has, or ``NONE_OF_THEM``; nothing where the reviewer says nothing of classes
    offered : names of the classes that were to choose from: of others nothing was said
    tags : further classes in words of the reviewer's own, each text a `ClassList` such as ``AF`` or ``AF -PVC``
    """
    if not review_queue.is_decided(store, record_id):
        raise UnknownRecordError(f"no model has decided on a record {record_id!r}")
    classes = _answered(checked, offered, tags)
    return verdicts.save_verdict(store, record_id, verdict=verdict, user=user, comment=comment, classes=classes)


def _answered(checked: Collection[str], offered: Collection[str], tags: Collection[str]) -> ClassList | None:
    """Return what a reviewer said by checking boxes, and by tags."""
    present = [name for name in checked if name != NONE_OF_THEM]
    if present and NONE_OF_THEM in checked:
        raise ConfigurationError(f"none of these is checked beside {', '.join(present)}; nothing was saved: check one or the other")
    if unknown := set(present) - set(offered):
        raise ConfigurationError(f"{', '.join(sorted(unknown))}: not among the classes to choose from; nothing was saved")
    try:
        tagged = ClassList.read(" ".join(tags)) or ClassList(frozenset())
        names = tagged.names.union(present)
        absent = [f"-{name}" for name in offered if name not in names] if checked else []
        said = [*sorted(names), *absent, *(f"-{name}" for name in sorted(tagged.absent))]
        return ClassList.read(" ".join([*said, "?"])) if said else None
    except ValueError as error:
        raise ConfigurationError(f"the classes cannot be read: {error}; nothing was saved") from None


def ask(store: ObjectStore, record_id: str, *, reader: str, who: str) -> None:
    """Give the next reading of a record to a person, or without a ``reader`` to whom the rule gives it; the log has who did so.

    Raises
    ------
    ConfigurationError
        If the record has no verdict yet, or this person gave none lately, or has said something of this record already.
    """
    found = review_queue.next_reading(store, record_id)
    if found is None:
        raise ConfigurationError(f"{record_id} has no verdict yet, so its first reading is everybody's")
    if reader and reader not in found.able:
        raise ConfigurationError(
            f"{reader!r} cannot be asked to read it: a reader is somebody who gave a verdict in the last 30 days, and none on this record"
        )
    verdicts.ask(store, record_id, reader=reader, who=who)


def withdraw(store: ObjectStore, record_id: str, *, user: str, when: str) -> Saved:
    """Take back the user's own verdict of that moment; a second time changes nothing."""
    return verdicts.withdraw(store, record_id, user=user, when=when)
