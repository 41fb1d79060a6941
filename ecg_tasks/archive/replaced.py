"""Here: objects that say the same without identifiers since, as the log vouches for them. Not here: replacing them (``deidentification``).

The log, data sets and accounts are named, or named elsewhere, by the digests of their bytes. Where identifiers were taken out of such an
object, the digest of before is not its own any more. A list has both; the log has the digest of the list, in an entry that was written
before anything was replaced. So the chain of the log holds, and nobody can replace an object without an entry that says so.
"""

import hashlib
from collections.abc import Iterable

from ecg_tasks.archive import audit, keys
from ecg_tasks.archive.audit import Entry
from ecg_tasks.archive.documents import Replaced, ReplacedList, load, write
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import DamagedStoreError, MissingObjectError


class Replacements:
    """The objects that were replaced, by their keys and the digests that they have now."""

    def __init__(self, objects: Iterable[Replaced] = ()) -> None:
        self._before: dict[tuple[str, str], str] = {(one.key, one.after): one.before for one in objects}

    @classmethod
    def read(cls, store: ObjectStore) -> "Replacements":
        """Read every list that the log vouches for; a list that is another one than its entry says counts for nothing."""
        objects: list[Replaced] = []
        for name in (audit.Name.of(key) for key in store.list_keys(keys.AUDIT)) if store.list_keys(keys.DEIDENTIFIED) else ():
            if name is None:
                continue
            data = store.get(name.key)
            if b'"deidentify"' not in data or hashlib.sha256(data).hexdigest() != name.digest:
                continue
            try:
                entry = Entry.from_json(data)
                listed = store.get(str(entry.detail["list"]))
                if entry.action is audit.Action.DEIDENTIFY and hashlib.sha256(listed).hexdigest() == entry.detail["list_sha256"]:
                    objects += load(ReplacedList, listed, name=str(entry.detail["list"])).objects
            except (ValueError, KeyError, MissingObjectError, DamagedStoreError):
                continue
        return cls(objects)

    def digest_before(self, key: str, sha256: str) -> str:
        """Return the digest that an object had before identifiers were taken out of it, however often; its own where none were."""
        seen = {sha256}
        while (before := self._before.get((key, sha256))) is not None and before not in seen:
            seen.add(before)
            sha256 = before
        return sha256


def log_replacements(store: ObjectStore, *, run: str, who: str, objects: Iterable[Replaced]) -> None:
    """Write the list of what is about to be replaced, and an entry of the log that vouches for it."""
    listed = ReplacedList(run=run, objects=tuple(objects))
    key = write(store, keys.deidentified(run, "replaced.json"), listed)
    detail = {"list": key, "list_sha256": hashlib.sha256(listed.to_json()).hexdigest(), "objects": len(listed.objects)}
    audit.append(store, who=who, action=audit.Action.DEIDENTIFY, subject=run, detail=detail)
