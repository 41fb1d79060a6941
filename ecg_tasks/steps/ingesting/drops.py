"""Here: grouping what waits in the inbox into drops: the files that make one recording or one table. Not here: reading them."""

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.signals.reading.labels_csv import is_label_table
from ecg_tasks.signals.reading.wfdb_header import MAX_HEADER_BYTES, has_segments, header_text
from ecg_tasks.signals.reading.wfdb_record import wfdb_files
from ecg_tasks.steps.ingesting.inbox import checked_path
from ecg_tasks.storage import keys
from ecg_tasks.storage.object_store import ObjectInfo, ObjectStore

SIGNAL_SUFFIXES = (".dat", ".xyz")
"""Files that mean nothing without a WFDB header, and wait for one."""
_BATCH_BYTES = 64 * 1024 * 1024
_LEAST_BATCH_BYTES = 8 * 1024 * 1024
"""As 16-bit samples this fills one shard, so smaller batches would only make smaller shards."""
_BATCH_DROPS = 256


@dataclass(frozen=True, kw_only=True)
class Sorted:
    """The inbox, sorted: what can be read now, what must wait for more files, and the label tables."""

    drops: list[dict[str, Any]] = field(default_factory=list)
    """JSON-ready: ``name``, ``files`` (key, etag, size), ``modified``, and ``reason`` with ``message`` where refused unread."""
    waiting: list[str] = field(default_factory=list)
    """Keys of incomplete recordings inside the grace period."""
    labels: list[dict[str, Any]] = field(default_factory=list)


def sort_inbox(store: ObjectStore, *, at: datetime, grace_s: float, max_bytes: int) -> Sorted:
    """Group the inbox into drops.

    A WFDB recording is complete when every file that its header names is there; until then it waits,
    and ``grace_s`` seconds after its newest file came it is refused as ``incomplete``.
    """
    found = {item.key: item for item in store.list_objects(keys.INBOX) if not item.key.endswith("/")}
    result = Sorted()
    headers = [key for key in found if key.endswith(".hea")]
    named: set[str] = set()
    compound: set[str] = set()
    for header, data in _headers(store, found, headers):
        names, fault = _named_files(store, found, header, data)
        folder = posixpath.dirname(header)
        wanted = list(dict.fromkeys([header, *(f"{folder}/{name}" for name in names)]))
        named.update(f"{folder}/{name}" for name in names)
        if fault is None and has_segments(header_text(data, name=header)):
            compound.add(header)
        present = [found[key] for key in wanted if key in found]
        missing = [posixpath.basename(key) for key in wanted if key not in found]
        if fault is None and missing:
            if _fresh(present, at=at, grace_s=grace_s):
                result.waiting.extend(item.key for item in present)
                continue
            sentence = f"{posixpath.basename(header)} names {', '.join(missing)}, which did not come within {grace_s:.0f} s"
            fault = BadInputError(Reason.INCOMPLETE, sentence)
        result.drops.append(_drop(header, present, fault=fault, max_bytes=max_bytes))
    segments = named - compound  # what has segments is none, so headers that name themselves or one another are refused, not passed over
    result.drops[:] = [drop for drop in result.drops if drop["files"][0]["key"] not in segments]
    for key, item in found.items():
        if key in named or key.endswith(".hea"):
            continue
        if is_label_table(key) and item.size <= max_bytes and _path_fault(key) is None:
            result.labels.append({"key": key, "etag": item.etag, "modified": item.modified.isoformat()})
            continue
        fault = None
        if key.endswith(SIGNAL_SUFFIXES):
            if _fresh([item], at=at, grace_s=grace_s):
                result.waiting.append(key)
                continue
            fault = BadInputError(Reason.INCOMPLETE, f"no header that names {posixpath.basename(key)} came within {grace_s:.0f} s")
        result.drops.append(_drop(key, [item], fault=fault, max_bytes=max_bytes))
    return result


def batches(drops: Sequence[dict[str, Any]], *, spread: int) -> Iterator[list[dict[str, Any]]]:
    """Cut the drops into batches of about 64 MB or 256 drops: some seconds of work each.

    An inbox below ``spread`` times 64 MB is cut finer, so that so many tasks share it, but not below what fills a shard.
    """
    sizes = [sum(file["size"] for file in drop["files"]) for drop in drops]
    most = min(max(sum(sizes) // spread, _LEAST_BATCH_BYTES), _BATCH_BYTES)
    batch: list[dict[str, Any]] = []
    n_bytes = 0
    for drop, size in zip(drops, sizes, strict=True):
        if batch and (n_bytes + size > most or len(batch) == _BATCH_DROPS):
            yield batch
            batch, n_bytes = [], 0
        batch.append(drop)
        n_bytes += size
    if batch:
        yield batch


def _headers(store: ObjectStore, found: dict[str, ObjectInfo], headers: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Each header with its content, or only as much of it as shows that it is too large."""
    wanted = [header for header in headers if found[header].size <= MAX_HEADER_BYTES]
    contents = store.get_many(wanted)
    for header in headers:
        yield header, next(contents) if found[header].size <= MAX_HEADER_BYTES else bytes(MAX_HEADER_BYTES + 1)


def _named_files(
    store: ObjectStore, found: dict[str, ObjectInfo], header: str, data: bytes
) -> tuple[tuple[str, ...], BadInputError | None]:
    """Every file the header names, those of its segments included, and what is wrong with it."""
    folder = posixpath.dirname(header)
    segments: dict[str, bytes] = {}
    try:
        while True:
            names = wfdb_files(data, name=header.removeprefix(keys.INBOX), segments=segments)
            more = [name for name in names if name.endswith(".hea") and name not in segments and f"{folder}/{name}" in found]
            if not more:
                return names, None
            paths = {f"{folder}/{name}": name for name in more}
            segments.update((paths[path], content) for path, content in _headers(store, found, list(paths)))
    except BadInputError as error:
        return (), error


def _fresh(items: Sequence[ObjectInfo], *, at: datetime, grace_s: float) -> bool:
    return at - max(item.modified for item in items) < timedelta(seconds=grace_s)


def _drop(key: str, items: Sequence[ObjectInfo], *, fault: BadInputError | None, max_bytes: int) -> dict[str, Any]:
    name = key.removeprefix(keys.INBOX)
    size = sum(item.size for item in items)
    if fault is None and size > max_bytes:
        fault = BadInputError(Reason.TOO_LARGE, f"{name} has {size} bytes; {max_bytes} are allowed")
    fault = _path_fault(key) or fault
    drop: dict[str, Any] = {
        "name": name,
        "files": [{"key": item.key, "etag": item.etag, "size": item.size} for item in items],
        "modified": max(item.modified for item in items).isoformat(),
    }
    return drop if fault is None else drop | {"reason": fault.reason.value, "message": fault.message}


def _path_fault(key: str) -> BadInputError | None:
    try:
        checked_path(key.removeprefix(keys.INBOX))
    except BadInputError as error:
        return error
    return None
