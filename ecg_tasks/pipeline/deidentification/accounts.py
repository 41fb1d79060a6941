"""Here: accounts, the quarantine and the log as the door would write them today. Not here: the bytes of drops (``copies``)."""

import re
from collections.abc import Iterator
from dataclasses import replace

from msgspec import structs

from ecg_tasks.archive import account_lists, audit, keys
from ecg_tasks.archive.documents import (
    Input,
    IntakeManifest,
    PutBack,
    QuarantinedInput,
    QuarantineReason,
    RetryDetail,
    TakenArchive,
    find,
    load,
)
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.errors import SENTENCES, Reason

_ROW = re.compile(r"#\d+$", re.ASCII)


def line(one: Input, names: StoredNames) -> Input:
    """Return a line of an account without names."""
    files = (
        structs.replace(file, key=names.in_inbox(file.key), member=names.hashed(file.member) if file.member else "") for file in one.files
    )
    return structs.replace(one, name=names.shown(one.name), record_name=names.shown(one.record_name), files=tuple(files))


def refused(one: QuarantinedInput, names: StoredNames) -> QuarantinedInput:
    """Return what went into quarantine without names; its sentence says no more than its reason."""
    entry = entry_now(one.entry, source=one.source, name=one.name, names=names)
    sentence = SENTENCES[Reason(one.reason)] if one.reason in set(Reason) else ""
    return structs.replace(one, name=names.shown(one.name), message=sentence, entry=entry)


def entry_now(entry: str, *, source: str, name: str, names: StoredNames) -> str:
    """Return an entry's folder; one that a name could be tried with gets that of the name's digest."""
    for one in (name, _ROW.sub("", name)):
        if entry == keys.quarantine_entry(source, one):
            return keys.quarantine_entry(source, names.hashed(one))
    return entry


def manifest(store: ObjectStore, stored: IntakeManifest, lines: Iterator[Input], names: StoredNames, *, dry_run: bool) -> IntakeManifest:
    """Return the account of an intake with these lines; long lists are written beside it first, but not in a dry run."""
    inputs: tuple[Input, ...] = ()
    inputs_table, quarantined_table = stored.inputs_table, stored.quarantined_table
    with account_lists.writer_of_inputs() as listed, account_lists.writer_of_quarantined() as others:
        if stored.inputs_table:
            listed.add(lines)
            if not dry_run:
                _, inputs_table = listed.put(store, dag=stored.DAG, run=stored.run, name="inputs")
        else:
            inputs = tuple(lines)
        if stored.quarantined_table:
            others.add(refused(one, names) for one in account_lists.quarantined(store, stored))
            if not dry_run:
                _, quarantined_table = others.put(store, dag=stored.DAG, run=stored.run, name="quarantined")
    tables = tuple(structs.replace(table, key=names.in_inbox(table.key)) for table in stored.labels.tables)
    archives = (structs.replace(one, key=names.in_inbox(one.key), folder=names.shown(one.folder)) for one in stored.archives)
    return structs.replace(
        stored,
        inputs=inputs,
        inputs_table=inputs_table,
        quarantined=tuple(refused(one, names) for one in stored.quarantined),
        quarantined_table=quarantined_table,
        waiting=tuple(map(names.in_inbox, stored.waiting)),
        needed=None if stored.needed is None else tuple(map(names.in_inbox, stored.needed)),
        labels=structs.replace(stored.labels, tables=tables),
        archives=tuple(archives),
    )


def is_of_today(reason: QuarantineReason, folder: str, names: StoredNames) -> bool:
    """Tell whether an entry is as the door writes it today, or was freed of names: it goes with its days."""
    return names.hashed(reason.name) == reason.name or folder == keys.quarantine_entry(reason.source, names.hashed(reason.name))


def quarantine_reason(store: ObjectStore, reason: QuarantineReason, folder: str, names: StoredNames) -> tuple[str, QuarantineReason]:
    """Return an entry's folder, and its reason without names and files: of what cannot be read there is no copy without identifiers."""
    now = entry_now(folder, source=reason.source, name=reason.name, names=names)
    rows = tuple(refused(row, names) for row in reason.rows)
    closed = reason.closed
    if closed is not None:
        others = []
        for other in closed.entries:
            found = find(store, QuarantineReason, keys.quarantine_reason(other))
            others.append(other if found is None else entry_now(other, source=found.source, name=found.name, names=names))
        closed = structs.replace(closed, entries=tuple(others))
    told = SENTENCES[Reason(reason.reason)] if reason.reason in set(Reason) else ""
    changed = structs.replace(
        reason, name=names.shown(reason.name), message=told, entry=now if reason.entry else "", inbox=(), files=(), rows=rows, closed=closed
    )
    return now, changed


def waits_in_inbox(store: ObjectStore, folder: str) -> bool:
    """Tell whether an entry's files are in the inbox again, to be read by the next intake."""
    mark = find(store, PutBack, keys.quarantined_mark(folder, keys.PUT_BACK))
    return mark is not None and any(store.exists(f"{keys.INBOX}{path}") for path in mark.inbox)


def taken_archive(key: str, data: bytes, names: StoredNames) -> tuple[str, TakenArchive]:
    """Return the note that an archive was taken over, and its key, without the name of the archive."""
    stored = load(TakenArchive, data, name=key)
    counts = structs.replace(
        stored.counts, key=names.in_inbox(stored.counts.key), folder=names.shown(stored.counts.folder), kept="deidentified"
    )
    return keys.taken_over(counts.source, counts.folder), structs.replace(stored, counts=counts)


def log_entry(data: bytes, names: StoredNames) -> bytes:
    """Return an entry of the log whose files that were put back are told by digests; the same bytes where it names none.

    Only the entry's own words change: who did what to what, when, and what came before, stay.
    """
    try:
        entry = audit.Entry.from_json(data)
    except ValueError:
        return data
    if entry.action is not audit.Action.RETRY:
        return data
    put_back = RetryDetail.of(entry.detail)
    inbox = [names.in_inbox(f"{keys.INBOX}{path}").removeprefix(keys.INBOX) for path in put_back.inbox]
    if inbox == list(put_back.inbox):
        return data
    changed: dict[str, object] = {"inbox": inbox}
    for path in put_back.inbox:
        if (now := entry_now(put_back.entry, source=entry.subject, name=path, names=names)) != put_back.entry:
            changed = changed | {"entry": now}
    return replace(entry, detail={**entry.detail, **changed}).to_json()
