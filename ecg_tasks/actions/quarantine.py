"""Here: putting the files of a quarantine entry back into the inbox. Not here: what lies in quarantine (``queries.quarantine``)."""

from msgspec import structs

from ecg_tasks.archive import audit, keys
from ecg_tasks.archive.documents import PutBack, QuarantineReason, Retry, find, write
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.archive.workspace import now
from ecg_tasks.errors import BadInputError, ConfigurationError
from ecg_tasks.pipeline.intake.inbox import checked_path
from ecg_tasks.queries import quarantine
from ecg_tasks.settings import Settings


def put_back(store: ObjectStore, name: str, *, who: str) -> tuple[str, ...]:
    """Copy an entry's files to where they lay in the inbox, and note who did; the next intake reads them again, and closes it if it can.

    Returns the paths below the inbox.

    Raises
    ------
    ConfigurationError
        If there is no such entry, or something else waits in the inbox under one of its names.
    """
    key = quarantine.reason_key(store, name)
    reason = find(store, QuarantineReason, key) if key else None
    if reason is None:
        raise ConfigurationError(f"nothing is in quarantine under {name}")
    folder = key.split("/")[1]
    if reason.closed:
        raise ConfigurationError(f"{reason.name} is closed since {reason.closed.when}: nothing of it is left to be read")
    if not reason.inbox:
        raise ConfigurationError(
            f"{reason.name} cannot go back: its bytes stand in the archive that it came in, or went with ./ecg deidentify"
        )
    try:
        paths = [checked_path(path) for path in reason.inbox]
    except BadInputError as error:
        raise ConfigurationError(f"it cannot go back: {error.message}") from None
    taken = [path for path in paths if store.exists(f"{keys.INBOX}{path}")]
    if taken:
        raise ConfigurationError(f"{', '.join(taken)} already waits in the inbox; let it be taken over first")
    tried = Retry(who=who, when=now())
    # First who and when: an intake may take the files over as soon as they are in the inbox, and looks for this mark after them.
    store.put(keys.put_back(folder), b"")
    write(store, keys.quarantined_mark(folder, keys.PUT_BACK), PutBack(inbox=tuple(paths), who=who, when=tried.when))
    write(store, key, structs.replace(reason, retried=(*reason.retried, tried)))
    for path, file in zip(paths, reason.stored, strict=True):
        store.copy(keys.quarantined(folder, file), f"{keys.INBOX}{path}")
    # The moment is in it: the same entry may be put back more than once, and each time is an act.
    names = StoredNames.of(Settings.from_environment())
    told = [names.in_inbox(f"{keys.INBOX}{path}").removeprefix(keys.INBOX) for path in paths]
    detail = {"entry": folder, "inbox": told, "times_before": len(reason.retried), "when": tried.when}
    audit.append(store, who=who, action=audit.Action.RETRY, subject=reason.source, detail=detail)
    return tuple(paths)
