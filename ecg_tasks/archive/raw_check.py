"""Here: whether the bytes of a drop still are what its source says. Not here: keeping them (``sources``)."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ecg_tasks.archive import keys, sources
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.readers.file_names import is_header

_MAX_ORDERS = 720
"""Orders of a recording's files that are tried where no run tells which was meant."""


@dataclass(frozen=True, kw_only=True)
class KeptFiles:
    """The files of a drop with their lengths, and what is wrong with them, as a sentence; nothing if all are whole."""

    n_bytes: Mapping[str, int]
    fault: str


def look(store: ObjectStore, source: str, *, order: Sequence[str] = ()) -> KeptFiles:
    """Compute the digests of a drop again.

    A recording of several files has the digest of their list, and each file its own. Version 0.1 has no list: it digested the files one
    after another; ``order`` are their names as the intake took them then.
    """
    found = {item.key.rsplit("/", 1)[-1]: item for item in store.list_objects(f"{keys.RAW}{source}/")}
    n_bytes = {name: item.size for name, item in found.items()}
    if not found:
        return KeptFiles(n_bytes=n_bytes, fault=f"{keys.RAW}{source}/ is gone")
    try:
        files = sources.listed(store, source)
    except (ValueError, KeyError) as error:
        return KeptFiles(n_bytes=n_bytes, fault=f"its list cannot be read: {error}")
    if files is not None:
        faults = [fault for file in files if (fault := sources.fault_of(store, file))]
        return KeptFiles(n_bytes={file.name: file.n_bytes for file in files}, fault="; ".join(faults))
    ways = itertools.islice(_orders(sorted(found), order), _MAX_ORDERS)
    alone = ([name] for name in found)  # one file that came under several names
    digests = (store.sha256(found[name].key for name in names) for names in itertools.chain(ways, alone))
    first = next(digests)
    return KeptFiles(n_bytes=n_bytes, fault="" if source == first or source in digests else f"its bytes have the SHA-256 {first}")


def _orders(names: Sequence[str], wanted: Sequence[str]) -> Iterator[Sequence[str]]:
    """Return the orders to try: that of the intake if it is known; else headers first, then every other one."""
    if set(wanted) == set(names):
        return iter([wanted])
    return itertools.permutations(sorted(names, key=lambda name: (not is_header(name), name)))
