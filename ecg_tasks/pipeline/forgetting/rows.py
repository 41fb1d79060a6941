"""Here: taking rows out of tables that have one or more for each record. Not here: accounts, reports, versions, bytes."""

import hashlib
from collections.abc import Callable, Iterable

from ecg_tasks.archive import catalog, keys, tables
from ecg_tasks.archive.catalog import Catalog
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.pipeline.forgetting.gone import Gone


def without(data: bytes, gone: Gone) -> bytes | None:
    """Return a table less their rows; None where nothing is left."""
    return tables.without_records(data, gone.ids)


def of_shards(prefix: str, *, shard_of: Callable[[str], str] = keys.stem) -> Callable[[ObjectStore, Gone], int]:
    """Return what takes their rows out of the objects below a prefix that are of their shards; these keep their names."""

    def forget(store: ObjectStore, gone: Gone) -> int:
        return rewrite(store, (key for key in store.list_keys(prefix) if shard_of(key) in gone.shards), gone)

    return forget


def rewrite(store: ObjectStore, listed: Iterable[str], gone: Gone) -> int:
    """Write tables again without their rows, and delete those that have no others; returns how many were changed."""
    n_changed = 0
    for key in listed:
        data = store.get(key)
        kept = without(data, gone)
        if kept == data:
            continue
        n_changed += 1
        if kept is None:
            store.delete(key)
        else:
            store.put(key, kept)
    return n_changed


def named_by_content(prefix: str) -> Callable[[ObjectStore, Gone], int]:
    """Return what takes their rows out of the tables below a prefix, whose names follow from their content; what is before ``-`` stays."""

    def forget(store: ObjectStore, gone: Gone) -> int:
        n_changed = 0
        listed = store.list_keys(prefix)
        for key, data in zip(listed, store.get_many(listed), strict=True):
            kept = without(data, gone)
            if kept is not None and prefix == keys.GROUPS:
                kept = tables.replaced(kept, "group", {one: gone.digest(one) for one in gone.ids | gone.patients})
            if kept == data:
                continue
            n_changed += 1
            if kept is not None:
                number, dash, _ = keys.stem(key).rpartition("-")
                store.put(f"{prefix}{number}{dash}{hashlib.sha256(kept).hexdigest()[:20]}.parquet", kept)
            store.delete(key)
        return n_changed

    return forget


def forget_copies(store: ObjectStore, gone: Gone) -> int:
    """Delete the copies of what versions said that have rows of theirs: the next report writes them again."""
    listed = store.list_keys(keys.DECIDED)
    wrong = [key for key, data in zip(listed, store.get_many(listed), strict=True) if without(data, gone) != data]
    store.delete_many(wrong)
    return len(wrong)


def forget_in_catalog(store: ObjectStore, gone: Gone) -> int:
    """Make the catalogue again if it knows them; last of all, since it is made of the other tables."""
    found = Catalog.find(store)
    if found is None:
        return 0
    before = found if found.head.publishing is None else found.before(found.head.publishing.run)
    parts = [part for head in (found, before) for part in _known(head, gone)]
    if not any(parts):
        return 0
    catalog.rebuild(store)
    return 1


def _known(found: Catalog, gone: Gone) -> list[bool]:
    kinds = (catalog.RECORD, catalog.ALIAS, catalog.DESCRIPTION, catalog.LABEL, catalog.CLASSES)
    return [bool(part["record_id"]) for kind in kinds for part in found.rows(["record_id"], kind=kind, where={"record_id": gone.ids})]
