"""Here: what is on its way, was refused or was left lying of forgotten recordings. Not here: what was taken over."""

import base64
import binascii
import json
from collections.abc import Iterator

from ecg_tasks.archive import keys, tables
from ecg_tasks.archive.documents import QuarantineReason, find
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.names import DagId
from ecg_tasks.pipeline.forgetting.gone import Gone, file_of
from ecg_tasks.pipeline.intake import headers
from ecg_tasks.readers.file_names import header_beside, is_signal, recording_name

_STAYS = {keys.REFUSED, keys.REFUSED_NAMES, keys.FORGETTING}
_PARQUET = b"PAR1"
_SHORTEST_PACKED = 24


def without(data: bytes, gone: Gone) -> bytes | None:
    """Return an object as it is where nothing of theirs stands in it, and None where it has to go."""
    return None if not gone.words.isdisjoint(words_in(data)) else data


def words_in(data: bytes) -> Iterator[str]:
    """Yield every text in a JSON or Parquet object, the parts of keys of objects, and what Parquet has that is packed in JSON."""
    if data.startswith(_PARQUET):
        for text in tables.texts_in(data):
            yield text
            yield from text.split("/")
        return
    try:
        yield from _words(json.loads(data))
    except ValueError:
        return  # bytes of somebody's file


def _words(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        yield from value.split("/")
        if len(value) >= _SHORTEST_PACKED:
            try:
                packed = base64.b64decode(value, validate=True)
            except (binascii.Error, ValueError):
                return
            if packed.startswith(_PARQUET):
                yield from tables.texts_in(packed)
    elif isinstance(value, dict):
        yield from value  # what stands for a name may be one
        for one in value.values():
            yield from _words(one)
    elif isinstance(value, list):
        for one in value:
            yield from _words(one)


def forget_in_inbox(store: ObjectStore, gone: Gone) -> int:
    """Delete the files that lie in the inbox under a name of theirs: what came again of them, or was left."""
    going = [key for key in store.list_keys(keys.INBOX) if is_theirs(key.removeprefix(keys.INBOX), gone)]
    store.delete_many(going)
    return len(going)


def forget_on_the_way(store: ObjectStore, gone: Gone) -> int:
    """Delete the jobs and results of runs in which something of theirs stands: no run is at work, and one that failed begins anew.

    What headers said, and what an intake that gave up has staged, goes whole: it has names as they were dropped, and is read again.
    """
    units: dict[str, list[str]] = {}
    for key in store.list_keys(keys.STAGING):
        if key not in _STAYS:
            units.setdefault("/".join(key.split("/")[:3]), []).append(key)
    n_changed = 0
    for listed in units.values():
        contents = zip(listed, store.get_many(listed), strict=True)
        theirs = (without(data, gone) is None or not gone.words.isdisjoint(keys.stem(key).split("-")) for key, data in contents)
        if listed == [headers.MEMO] or _is_of_an_intake(listed[0]) or any(theirs):
            store.delete_many(listed)
            n_changed += len(listed)
    return n_changed


def _is_of_an_intake(key: str) -> bool:
    """Tell whether an object is a job, a result or a staged table or shard; notes for the next intake lie one level higher."""
    is_in_a_run = "/" in key.removeprefix(keys.INTAKES)
    return key.startswith(f"{keys.STAGING}{DagId.INGEST_RECORDS}/") or (key.startswith(keys.INTAKES) and is_in_a_run)


def forget_in_quarantine(store: ObjectStore, gone: Gone) -> int:
    """Delete the entries that have their bytes, or their name."""
    n_changed = 0
    for entry in store.list_folders(keys.QUARANTINE):
        reason = find(store, QuarantineReason, keys.quarantine_reason(entry))
        known = entry.partition("-")[0] in gone.sources or (reason is not None and is_theirs(reason.name, gone))
        if known:
            listed = store.list_keys(f"{keys.QUARANTINE}{entry}/")
            inbox = [] if reason is None or not store.exists(keys.put_back(entry)) else [f"{keys.INBOX}{path}" for path in reason.inbox]
            store.delete_many([keys.put_back(entry), *inbox, *listed])
            n_changed += len(listed)
    return n_changed


def is_theirs(name: str, gone: Gone) -> bool:
    """Tell whether a path below the inbox is what they are called; a row of a file is called after it, and signals after their header."""
    paths = (name, file_of(name), header_beside(name) if is_signal(name) else name)
    return bool(gone.called.intersection(gone.names.shown(recording_name(path)) for path in paths))
