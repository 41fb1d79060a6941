"""Here: noting who saw what, for pages and commands. Not here: how it is stored (``archive.access_log``), the report (``queries``)."""

import os
import pwd
from datetime import UTC, datetime
from functools import cache

from ecg_tasks.archive.access_log import Access, AccessLog, AccessOutcome, Act, write_now
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.workspace import open_store

__all__ = ["AccessOutcome", "Act", "flush", "note", "read_by_command"]


def note(*, who: str, act: Act, page: str, outcome: AccessOutcome, record: str = "", run: str = "", thing: str = "") -> None:
    """Note an access; it is in the bucket about a second later, and the answer does not wait for that."""
    _log().note(Access(when=_now(), who=who, act=act, page=page, outcome=outcome, record=record, run=run, thing=thing))


def flush() -> None:
    """Write what was noted; `StoreError` if the bucket does not answer."""
    _log().flush()


def read_by_command(command: str, *, record: str = "", run: str = "", thing: str = "") -> None:
    """Write down, before anything is shown, that the user of this machine reads something by a command.

    Raises
    ------
    StoreError
        If it cannot be written: then nothing is to be shown either.
    """
    seen = Access(
        when=_now(), who=_user(), act=Act.READ, page=f"./ecg {command}", outcome=AccessOutcome.SHOWN, record=record, run=run, thing=thing
    )
    write_now(open_store(), seen)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _user() -> str:
    """Return the name of who runs this process, as the system knows it; no variable of the environment is asked."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _log() -> AccessLog:
    return _log_of(os.getpid(), os.environ.get("ECG_BUCKET", ""))


@cache
def _log_of(_process: int, bucket: str) -> AccessLog:
    """Return this process's writer: one that was forked gets its own. What else the settings say does not matter to it."""
    return AccessLog(ObjectStore.connect(bucket))
