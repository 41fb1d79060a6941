"""Here: what is known of forgotten recordings: by which digests they are refused, and what was written again. Not here: forgetting.

A recording is known by the HMAC of its id alone, with the key of the patients: nobody without the key can tell whether a recording was
here, and who has both the recording and the key can.
"""

import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from ecg_tasks.archive import keys
from ecg_tasks.archive.cache import keep
from ecg_tasks.archive.documents import Forgetting, Refused, RefusedName, RefusedNames, find, read_many, write
from ecg_tasks.archive.object_store import ObjectInfo, ObjectStore
from ecg_tasks.errors import ForgettingError

NAME = "forgotten"
"""What stands in a list in place of a name."""
NAME_DAYS = 30
"""So long a label table is known that comes after a recording that was refused, or forgotten."""
_OF_A_RECORD = b"\0forgotten\0"
"""Before what is hashed: the digest is none of a patient or a name."""


def digest_of(name: str, *, key: bytes) -> str:
    """Return the digest of a record's id, or of a patient's keyed hash: as long as that is.

    >>> digest_of("0" * 32, key=b"1" * 32) == digest_of("0" * 32, key=b"2" * 32), len(digest_of("0" * 24, key=b"1" * 32))
    (False, 24)
    """
    return hmac.digest(key, _OF_A_RECORD + name.encode(), "sha256").hex()[: len(name)]


def forgettings(store: ObjectStore) -> Iterator[Forgetting]:
    """Yield every forgetting, those under way too."""
    yield from read_many(store, Forgetting, store.list_keys(keys.FORGOTTEN))


def generation(store: ObjectStore) -> tuple[tuple[str, str], ...]:
    """Return what is another one after every forgetting: for whoever keeps in memory what never changes otherwise."""
    return tuple((item.key, item.etag) for item in store.list_objects(keys.FORGOTTEN))


def refuse(store: ObjectStore, *, more: Iterable[str] = ()) -> None:
    """Write down which records intakes refuse: those of all forgettings that were not allowed again, and ``more``."""
    digests = set(more).union(*(one.digests for one in forgettings(store) if not one.allowed))
    if digests:
        write(store, keys.REFUSED, Refused(digests=tuple(sorted(digests))))
    else:
        store.delete(keys.REFUSED)


def refused(store: ObjectStore) -> frozenset[str]:
    """Return the digests of all records that intakes refuse."""
    found = find(store, Refused, keys.REFUSED)
    return frozenset() if found is None else frozenset(found.digests)


def remember_names(store: ObjectStore, came: Mapping[str, str], *, key: bytes) -> dict[str, RefusedName]:
    """Add to what refused recordings are called, for some days; returns all of it, by the digests of the digests of their names.

    A label table may come after its recordings: its rows about these are neither kept nor refused aloud.

    Parameters
    ----------
    came : digest of a name, as the intake has it, to that of the record
    """
    found = find(store, RefusedNames, keys.REFUSED_NAMES)
    before = {} if found is None else found.names
    at = datetime.now(UTC)
    since = (at - timedelta(days=NAME_DAYS)).isoformat()
    names = {digest: one for digest, one in before.items() if one.when > since}
    names |= {digest_of(name, key=key): RefusedName(record=record, when=at.isoformat()) for name, record in came.items()}
    if names and names != before:
        write(store, keys.REFUSED_NAMES, RefusedNames(names=names))
    elif before and not names:
        store.delete(keys.REFUSED_NAMES)
    return names


def rewritten(store: ObjectStore, key: str) -> frozenset[str]:
    """Return the SHA-256 that an object had after each forgetting that changed it; none for one that never was."""
    return frozenset(one.rewritten[key] for one in forgettings(store) if key in one.rewritten)


def first_written(store: ObjectStore) -> Callable[[ObjectInfo], datetime]:
    """Return what tells when an object was written first: one that a forgetting has written again keeps its place among the others."""
    times = _times(store, generation=generation(store))
    return lambda item: min(item.modified, times.get(item.key, item.modified))


@keep(4)
def _times(store: ObjectStore, *, generation: tuple[tuple[str, str], ...]) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for one in forgettings(store) if generation else ():
        for key, when in one.written.items():
            found[key] = min(datetime.fromisoformat(when), found.get(key, datetime.max.replace(tzinfo=UTC)))
    return found


def fail_if_under_way(store: ObjectStore) -> None:
    """Let a run wait that would read what is being changed.

    Raises
    ------
    ForgettingError
        While a recording is being forgotten; Airflow tries again.
    """
    if store.exists(keys.FORGETTING):
        raise ForgettingError(
            "a recording is being forgotten, and this run waits until that is over. If no run of forget_patient is at work, start one again"
            " with the same request: it ends what was begun"
        )
