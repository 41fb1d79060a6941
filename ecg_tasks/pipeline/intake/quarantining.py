"""Here: putting into quarantine what cannot be read, and closing an entry that was put back. Not here: pages (``browse.quarantine``).

An entry is a folder of ``quarantine/``, named by its bytes and its name. It holds the dropped files, ``reason.json``, and at most one mark:
``put_back.json`` while its files wait in the inbox to be judged anew, ``closed.json`` once nothing of it is left to be done. The marks
let a listing count entries without reading them.
"""

import json
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from ecg_tasks.archive import keys
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.workspace import find_json, now, put_json
from ecg_tasks.errors import BadInputError


def quarantine(store: ObjectStore, *, name: str, source: str, fault: BadInputError, keys_in: Sequence[str]) -> dict[str, Any]:
    """Put whole files into quarantine with the reason beside them; returns the entry for the manifest."""
    entry = entry_of(store, source=source, name=name)
    for key in keys_in:
        store.copy(key, keys.quarantined(entry, posixpath.basename(key)))
    told = {"name": name, "reason": fault.reason.value, "message": fault.message, "source": source, "entry": entry}
    _write_reason(store, entry, told | {"inbox": [key.removeprefix(keys.INBOX) for key in keys_in]})
    return told


def quarantine_rows(store: ObjectStore, *, name: str, source: str, faults: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
    """Put the bad rows of a good file into quarantine, as one object; returns an entry a row."""
    entry = entry_of(store, source=source, name=name)
    data = "\n".join(fault["content"] for fault in faults) + "\n"
    rows_name = f"{posixpath.basename(name)}.rows.csv"
    store.put(keys.quarantined(entry, rows_name), data.encode(), content_type="text/plain; charset=utf-8")
    rows = [{key: fault[key] for key in ("name", "reason", "message")} | {"source": source, "entry": entry} for fault in faults]
    told = {"name": name, "reason": faults[0]["reason"], "message": f"{len(faults)} rows of this file", "source": source, "entry": entry}
    _write_reason(store, entry, told | {"rows": rows, "inbox": [f"{posixpath.dirname(name)}/{rows_name}".lstrip("/")]})
    return rows


def entry_of(store: ObjectStore, *, source: str, name: str) -> str:
    """Return the folder of these bytes under this name: until 2026-11-28 that of the bytes alone, which stays with its name."""
    old = find_json(store, keys.quarantine_reason(source))
    return source if old is not None and old.get("name") == name else keys.quarantine_entry(source, name)


def settle(store: ObjectStore, run: str, manifest: Mapping[str, Any]) -> None:
    """Write down what became of the entries that were put back and were taken over by this run; a second time changes nothing.

    An entry is closed when its files were read, or when what is still bad in them has an entry of its own. It stays open when the same
    entry was written again, or when its files were taken out of the inbox before they were read.
    """
    taken = {file["key"]: item for item in manifest["inputs"] for file in item["files"]}
    taken |= {table["key"]: {"name": table["key"].removeprefix(keys.INBOX)} for table in manifest["labels"]["tables"]}
    if not taken:
        return
    for key in [key for key in store.list_keys(keys.QUARANTINE) if key.endswith(f"/{keys.PUT_BACK}")]:
        entry = key.split("/")[1]
        found = [taken.get(f"{keys.INBOX}{path}") for path in _paths(store.get(key))]
        drop = found[0] if found and all(one is found[0] for one in found) else None
        reason = find_json(store, keys.quarantine_reason(entry))
        if drop is None or reason is None:
            continue
        name = drop["name"]
        refused = [one for one in manifest["quarantined"] if one["name"] == name or one["name"].startswith(f"{name}#")]
        others = sorted({one.get("entry", one["source"]) for one in refused} - {entry})
        still_open = drop.get("fate") == "gone" or (bool(refused) and not others)
        outcome = "gone before it was read" if drop.get("fate") == "gone" else "refused again" if refused else "read"
        *before, last = reason["retried"]
        changed = reason | {"retried": [*before, last | {"outcome": outcome, "run": run}]}
        if not still_open:
            changed |= {"closed": {"when": now(), "run": run, "entries": others}}
            put_json(store, keys.quarantined_mark(entry, keys.CLOSED), changed["closed"])
        put_json(store, keys.quarantine_reason(entry), changed)
        store.delete_many([key])


def _write_reason(store: ObjectStore, entry: str, reason: Mapping[str, Any]) -> None:
    """Write why, keeping who put it back before; an entry that was closed is open again."""
    before = find_json(store, keys.quarantine_reason(entry))
    if before is not None:
        if before.get("retried"):  # a task that runs twice writes the same
            reason = {**reason, "retried": before["retried"]}
        store.delete_many([keys.quarantined_mark(entry, keys.CLOSED)])
    put_json(store, keys.quarantine_reason(entry), reason)


def _paths(mark: bytes) -> list[str]:
    try:
        found = json.loads(mark)["inbox"]
    except (ValueError, KeyError, TypeError):
        return []  # a dropped file of this name, from before there were marks
    return [path for path in found if isinstance(path, str)] if isinstance(found, list) else []
