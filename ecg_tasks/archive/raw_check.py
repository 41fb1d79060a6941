"""Here: whether the bytes of a drop still are what its source says. Not here: keeping them (``sources``)."""

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ecg_tasks.archive import keys, packed_copies, sources
from ecg_tasks.archive.object_store import ObjectInfo, ObjectStore
from ecg_tasks.errors import BadInputError, DamagedStoreError
from ecg_tasks.readers.file_names import is_header

_MAX_ORDERS = 720
"""Orders of a recording's files that are tried where no run tells which was meant."""


@dataclass(frozen=True, kw_only=True)
class KeptFiles:
    """The files of a drop with their lengths, and what is wrong with them, as a sentence; nothing if all are whole."""

    n_bytes: Mapping[str, int]
    fault: str


def look(store: ObjectStore, source: str, *, order: Sequence[str] = (), record_id: str = "", digests: Collection[str] = ()) -> KeptFiles:
    """Compute the digests of a drop again.

    A recording of several files has the digest of their list, and each file its own. Version 0.1 has no list: it digested the files one
    after another; ``order`` are their names as the intake took them then. Copies of many recordings in one object have its digest in its
    name; where a record of them is meant, or files by their ``digests``, these alone are read.
    """
    listed = list(store.list_objects(f"{keys.RAW}{source}/"))
    if copies := [item for item in listed if keys.digest_of_copies(item.key)]:
        return _look_into(store, copies, record_id=record_id, digests=digests)
    found = {item.key.rsplit("/", 1)[-1]: item for item in listed}
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
    tried = (store.sha256(found[name].key for name in names) for names in itertools.chain(ways, alone))
    first = next(tried)
    return KeptFiles(n_bytes=n_bytes, fault="" if source == first or source in tried else f"its bytes have the SHA-256 {first}")


def _look_into(store: ObjectStore, copies: Sequence[ObjectInfo], *, record_id: str, digests: Collection[str]) -> KeptFiles:
    if not (record_id or digests):
        broken = [item.key for item in copies if store.sha256([item.key]) != keys.digest_of_copies(item.key)]
        sizes = {item.key.rsplit("/", 1)[-1]: item.size for item in copies}
        return KeptFiles(n_bytes=sizes, fault="; ".join(f"{key} has another SHA-256" for key in broken))
    n_bytes: dict[str, int] = {}
    wrong: list[str] = []
    wanted, found = set(digests), set[str]()
    try:
        for item in copies:
            own = {file.sha256 for file in packed_copies.files_of(store, item, record_id)} if record_id else set(digests)
            wanted |= own
            for path, (size, fault) in packed_copies.checked(store, item, own).items():
                n_bytes[f"{item.key.rsplit('/', 1)[-1]}/{path}"] = size
                found.add(path.partition("/")[0])
                wrong += [fault] if fault else []
    except (BadInputError, DamagedStoreError) as error:
        wrong.append(f"it cannot be read: {error}")
    if wanted - found or not n_bytes:
        wrong.append(f"{', '.join(sorted(wanted - found)) or 'its files'} are in none of {keys.RAW}{copies[0].key.split('/')[1]}/")
    return KeptFiles(n_bytes=n_bytes, fault="; ".join(wrong))


def _orders(names: Sequence[str], wanted: Sequence[str]) -> Iterator[Sequence[str]]:
    """Return the orders to try: that of the intake if it is known; else headers first, then every other one."""
    if set(wanted) == set(names):
        return iter([wanted])
    return itertools.permutations(sorted(names, key=lambda name: (not is_header(name), name)))
