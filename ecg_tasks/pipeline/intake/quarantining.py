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
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.archive.workspace import now
from ecg_tasks.errors import SENTENCES, BadInputError, DamagedStoreError, MissingObjectError, Reason


def quarantine(
    store: ObjectStore, *, name: str, source: str, fault: BadInputError, keys_in: Sequence[str], names: StoredNames
) -> QuarantinedInput:
    """Put whole files into quarantine with the reason beside them; returns the entry for the manifest."""
    entry = entry_of(store, source=source, name=name, names=names)
    files = [names.file(posixpath.basename(key)) for key in keys_in]
    for key, file in zip(keys_in, files, strict=True):
        store.copy(key, keys.quarantined(entry, file))
    rejected = QuarantinedInput(name=name, reason=fault.reason.value, message=fault.message, source=source, entry=entry)
    _write_reason(store, rejected, inbox=[key.removeprefix(keys.INBOX) for key in keys_in], files=files)
    return _told(rejected, names)


def quarantine_contents(
    store: ObjectStore, *, name: str, source: str, fault: BadInputError, contents: Mapping[str, bytes], names: StoredNames
) -> QuarantinedInput:
    """Put files that lay in an archive into quarantine, given by the path below the inbox to which they go if they are put back."""
    entry = entry_of(store, source=source, name=name, names=names)
    files = [names.file(posixpath.basename(path)) for path in contents]
    for file, data in zip(files, contents.values(), strict=True):
        store.put(keys.quarantined(entry, file), data)
    rejected = QuarantinedInput(name=name, reason=fault.reason.value, message=fault.message, source=source, entry=entry)
    _write_reason(store, rejected, inbox=list(contents), files=files)
    return _told(rejected, names)


def quarantine_rows(
    store: ObjectStore, *, name: str, source: str, faults: Sequence[RefusedRow], names: StoredNames
) -> list[QuarantinedInput]:
    """Put the bad rows of a good file into quarantine, as one object; returns an entry a row."""
    entry = entry_of(store, source=source, name=name, names=names)
    data = "\n".join(fault.content for fault in faults) + "\n"
    rows_name = f"{posixpath.basename(name)}.rows.csv"
    file = names.file(rows_name)
    store.put(keys.quarantined(entry, file), data.encode(), content_type="text/plain; charset=utf-8")
    rows = [QuarantinedInput(name=row.name, reason=row.reason, message=row.message, source=source, entry=entry) for row in faults]
    message = f"{len(faults)} {'row' if len(faults) == 1 else 'rows'} of this file"
    rejected = QuarantinedInput(name=name, reason=faults[0].reason, message=message, source=source, entry=entry)
    _write_reason(store, rejected, inbox=[f"{posixpath.dirname(name)}/{rows_name}".lstrip("/")], files=[file], rows=rows)
    return [_told(row, names) for row in rows]


def entry_of(store: ObjectStore, *, source: str, name: str, names: StoredNames) -> str:
    """Return the folder of these bytes under this name; one that was there before stays with its name.

    Until 2026-11-28 it was that of the bytes alone, and then one that a name can be tried with.
    """
    for before in dict.fromkeys([source, keys.quarantine_entry(source, name)]):
        old = find(store, QuarantineReason, keys.quarantine_reason(before))
        if old is not None and old.name == name:
            return before
    return keys.quarantine_entry(source, name if names.keep else names.hashed(name))


def settle(store: ObjectStore, manifest: IntakeManifest, *, put_back: Sequence[str] | None, names: StoredNames) -> None:
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
    wanted = {as_told for paths in marks.values() for key in paths for as_told in (key, names.in_inbox(key))}
    taken: dict[str, tuple[str, str]] = {}
    for line in account_lists.inputs(store, manifest):
        for file in line.files:
            if file.key in wanted and not file.member:
                taken[file.key] = line.name, line.fate
            elif file.key in wanted and (line.fate == "gone" or file.key not in taken):  # an archive is gone if a part of it is
                taken[file.key] = file.key.removeprefix(keys.INBOX), "gone" if line.fate == "gone" else "records"
    taken |= {table.key: (table.key.removeprefix(keys.INBOX), "") for table in manifest.labels.tables}
    taken |= {key: taken[as_told] for paths in marks.values() for key in paths if (as_told := names.in_inbox(key)) in taken}
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


def _told(rejected: QuarantinedInput, names: StoredNames) -> QuarantinedInput:
    """Return an entry as accounts and reports have it, which everybody reads: its sentence may hold anything that stood in the file."""
    if names.keep:
        return rejected
    return structs.replace(rejected, name=names.shown(rejected.name), message=SENTENCES[Reason(rejected.reason)])


def _write_reason(
    store: ObjectStore,
    rejected: QuarantinedInput,
    *,
    inbox: Sequence[str],
    files: Sequence[str],
    rows: Sequence[QuarantinedInput] = (),
) -> None:
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
        files=tuple(files),
        rows=tuple(rows),
        retried=() if before is None else before.retried,  # a task that runs twice writes the same
    )
    write(store, key, reason)


def _paths(mark: bytes, *, name: str) -> tuple[str, ...]:
    try:
        return load(PutBack, mark, name=name).inbox
    except DamagedStoreError:
        return ()  # a dropped file of this name, from before there were marks
