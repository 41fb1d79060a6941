"""Here: putting into quarantine what cannot be read, and closing an entry that was put back. Not here: pages (``queries.quarantine``).

An entry is a folder of ``quarantine/``, named by its bytes and its name. It holds the dropped files, ``reason.json``, and at most one mark:
``put_back.json`` while its files wait in the inbox to be read again, ``closed.json`` once nothing of it is left to be done. The marks
let a listing count entries without reading them.
"""

import contextlib
import posixpath
from collections.abc import Mapping, Sequence

from msgspec import structs

from ecg_tasks.archive import account_lists, keys
from ecg_tasks.archive.documents import Closing, IntakeManifest, PutBack, QuarantinedInput, QuarantineReason, RefusedRow, find, load, write
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.workspace import now
from ecg_tasks.errors import BadInputError, DamagedStoreError, MissingObjectError


def quarantine(store: ObjectStore, *, name: str, source: str, fault: BadInputError, keys_in: Sequence[str]) -> QuarantinedInput:
    """Put whole files into quarantine with the reason beside them; returns the entry for the manifest."""
    entry = entry_of(store, source=source, name=name)
    for key in keys_in:
        store.copy(key, keys.quarantined(entry, posixpath.basename(key)))
    rejected = QuarantinedInput(name=name, reason=fault.reason.value, message=fault.message, source=source, entry=entry)
    _write_reason(store, rejected, inbox=[key.removeprefix(keys.INBOX) for key in keys_in])
    return rejected


def quarantine_contents(
    store: ObjectStore, *, name: str, source: str, fault: BadInputError, contents: Mapping[str, bytes]
) -> QuarantinedInput:
    """Put files that lay in an archive into quarantine, given by the path below the inbox to which they go if they are put back."""
    entry = entry_of(store, source=source, name=name)
    for path, data in contents.items():
        store.put(keys.quarantined(entry, posixpath.basename(path)), data)
    rejected = QuarantinedInput(name=name, reason=fault.reason.value, message=fault.message, source=source, entry=entry)
    _write_reason(store, rejected, inbox=list(contents))
    return rejected


def quarantine_rows(store: ObjectStore, *, name: str, source: str, faults: Sequence[RefusedRow]) -> list[QuarantinedInput]:
    """Put the bad rows of a good file into quarantine, as one object; returns an entry a row."""
    entry = entry_of(store, source=source, name=name)
    data = "\n".join(fault.content for fault in faults) + "\n"
    rows_name = f"{posixpath.basename(name)}.rows.csv"
    store.put(keys.quarantined(entry, rows_name), data.encode(), content_type="text/plain; charset=utf-8")
    rows = [QuarantinedInput(name=row.name, reason=row.reason, message=row.message, source=source, entry=entry) for row in faults]
    message = f"{len(faults)} {'row' if len(faults) == 1 else 'rows'} of this file"
    rejected = QuarantinedInput(name=name, reason=faults[0].reason, message=message, source=source, entry=entry)
    _write_reason(store, rejected, inbox=[f"{posixpath.dirname(name)}/{rows_name}".lstrip("/")], rows=rows)
    return rows


def entry_of(store: ObjectStore, *, source: str, name: str) -> str:
    """Return the folder of these bytes under this name: until 2026-11-28 that of the bytes alone, which stays with its name."""
    old = find(store, QuarantineReason, keys.quarantine_reason(source))
    return source if old is not None and old.name == name else keys.quarantine_entry(source, name)


def settle(store: ObjectStore, manifest: IntakeManifest, *, put_back: Sequence[str] | None) -> None:
    """Write down what became of the entries that were put back and were taken over by this run; a second time changes nothing.

    An entry is closed when its files were read, or when what is still bad in them has its own entry. It stays open when the same
    entry was written again, or when its files were taken out of the inbox before they were read.

    Parameters
    ----------
    put_back : the entries that were put back when the run was planned; None where that is not known, and all are looked at
    """
    marks = _marked(store, list_put_back(store) if put_back is None else put_back)
    if not marks:
        return
    wanted = {key for paths in marks.values() for key in paths}
    taken = {
        file.key: (file.key.removeprefix(keys.INBOX), "records") if file.member else (drop.name, drop.fate)
        for drop in account_lists.inputs(store, manifest)
        for file in drop.files
        if file.key in wanted
    }
    taken |= {table.key: (table.key.removeprefix(keys.INBOX), "") for table in manifest.labels.tables}
    for entry, paths in marks.items():
        found = {taken.get(key) for key in paths}
        drop = found.pop() if len(found) == 1 else None
        reason = find(store, QuarantineReason, keys.quarantine_reason(entry))
        if drop is None or reason is None:
            continue
        name, fate = drop
        refused = [one for one in account_lists.quarantined(store, manifest) if one.name == name or one.name.startswith(f"{name}#")]
        others = tuple(sorted({one.folder for one in refused} - {entry}))
        still_open = fate == "gone" or (bool(refused) and not others)
        outcome = "gone before it was read" if fate == "gone" else "refused again" if refused else "read"
        *before, last = reason.retried
        changed = structs.replace(reason, retried=(*before, structs.replace(last, outcome=outcome, run=manifest.run)))
        if not still_open:
            closed = Closing(when=now(), run=manifest.run, entries=others)
            changed = structs.replace(changed, closed=closed)
            write(store, keys.quarantined_mark(entry, keys.CLOSED), closed)
        write(store, keys.quarantine_reason(entry), changed)
        store.delete_many([keys.put_back(entry), keys.quarantined_mark(entry, keys.PUT_BACK)])


def list_put_back(store: ObjectStore) -> list[str]:
    """List the entries whose files are in the inbox again, by a listing of the whole quarantine."""
    return [key.split("/")[1] for key in store.list_keys(keys.QUARANTINE) if key.endswith(f"/{keys.PUT_BACK}")]


def _marked(store: ObjectStore, entries: Sequence[str]) -> dict[str, list[str]]:
    """Return the keys in the inbox at which the files of each entry lay again."""
    found = {}
    for entry in entries:
        mark = keys.quarantined_mark(entry, keys.PUT_BACK)
        with contextlib.suppress(MissingObjectError):  # settled by the try before
            found[entry] = [f"{keys.INBOX}{path}" for path in _paths(store.get(mark), name=mark)]
    return found


def _write_reason(store: ObjectStore, rejected: QuarantinedInput, *, inbox: Sequence[str], rows: Sequence[QuarantinedInput] = ()) -> None:
    """Write why, keeping who put it back before; an entry that was closed is open again."""
    key = keys.quarantine_reason(rejected.entry)
    before = find(store, QuarantineReason, key)
    if before is not None:
        store.delete_many([keys.quarantined_mark(rejected.entry, keys.CLOSED)])
    reason = QuarantineReason(
        name=rejected.name,
        reason=rejected.reason,
        message=rejected.message,
        source=rejected.source,
        entry=rejected.entry,
        inbox=tuple(inbox),
        rows=tuple(rows),
        retried=() if before is None else before.retried,  # a task that runs twice writes the same
    )
    write(store, key, reason)


def _paths(mark: bytes, *, name: str) -> tuple[str, ...]:
    try:
        return load(PutBack, mark, name=name).inbox
    except DamagedStoreError:
        return ()  # a dropped file of this name, from before there were marks
