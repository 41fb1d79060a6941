"""Here: taking a file out of the inbox, or letting it wait no longer. Not here: what waits there (``queries.inbox``)."""

from collections.abc import Collection

from ecg_tasks.archive import audit, keys
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.archive.workspace import now
from ecg_tasks.errors import ConfigurationError
from ecg_tasks.pipeline.intake import headers
from ecg_tasks.settings import Settings

_LOGGED = 1_000
"""So many files of one act are named in the log; the others are counted."""


def delete(store: ObjectStore, ids: Collection[str], *, who: str) -> tuple[str, ...]:
    """Delete files of the inbox, with an entry in the log before; returns their paths below the inbox.

    Parameters
    ----------
    ids : `StoredNames.waiting_id` of each; what is not there any more, or was replaced, is left alone

    Raises
    ------
    ConfigurationError
        If none of them is there.
    """
    found, names = _found(store, ids)
    _log(store, audit.Action.DELETE, found, who=who, names=names)
    headers.delete_files(store, found.values())
    return _paths(found)


def release(store: ObjectStore, ids: Collection[str], *, who: str) -> tuple[str, ...]:
    """Let files of the inbox wait no longer: the next intake takes them, or refuses them with a reason; returns as `delete` does.

    Raises
    ------
    ConfigurationError
        If none of them is there.
    """
    found, names = _found(store, ids)
    _log(store, audit.Action.RELEASE, found, who=who, names=names)
    for one in found:
        store.put(keys.released(one), b"")
    return _paths(found)


def _found(store: ObjectStore, ids: Collection[str]) -> tuple[dict[str, str], StoredNames]:
    """Return the keys of the files that are there, by id."""
    names, wanted = StoredNames.of(Settings.from_environment()), set(ids)
    found = {
        one: item.key
        for item in store.list_objects(keys.INBOX)
        if not item.key.endswith("/") and (one := names.waiting_id(item.key, item.etag)) in wanted
    }
    if not found:
        raise ConfigurationError("these files are not in the inbox any more, or were replaced; look again")
    return found, names


def _log(store: ObjectStore, action: audit.Action, found: dict[str, str], *, who: str, names: StoredNames) -> None:
    told = [names.in_inbox(key).removeprefix(keys.INBOX) for key in sorted(found.values())[:_LOGGED]]
    # The moment is in it: a file of the same name may come again, and each time is an act.
    audit.append(store, who=who, action=action, subject=keys.INBOX, detail={"files": len(found), "inbox": told, "when": now()})


def _paths(found: dict[str, str]) -> tuple[str, ...]:
    return tuple(sorted(key.removeprefix(keys.INBOX) for key in found.values()))
