"""Here: objects that say the same without identifiers since, as the log vouches for them. Not here: replacing them (``deidentification``).

The log, data sets and accounts are named, or named elsewhere, by the digests of their bytes. Where identifiers were taken out of such an
object, the digest of before is not its own any more. A list has both; the log has the digest of the list, in an entry that was written
before anything was replaced. So the chain of the log holds, and nobody can replace an object without an entry that says so.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

from ecg_tasks.archive import audit, keys
from ecg_tasks.archive.documents import Replaced, ReplacedList, load, write
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import DamagedStoreError

WHO = "deidentify"
"""In the log."""
_LIST = "replaced.json"


class Replacements:
    """The objects that were replaced, by their keys and the digests that they have now."""

    def __init__(self, objects: Iterable[Replaced] = ()) -> None:
        self._before: dict[tuple[str, str], str] = {(one.key, one.after): one.before for one in objects}

    @classmethod
    def read(cls, store: ObjectStore) -> "Replacements":
        """Read every list that the log vouches for; a list that is another one than its entry says counts for nothing."""
        lists = [key for key in store.list_keys(keys.DEIDENTIFIED) if key.endswith(f"/{_LIST}")]
        if not lists:
            return cls()
        names = {name.act: name for key in store.list_keys(keys.AUDIT) if (name := audit.Name.of(key)) is not None}
        objects: list[Replaced] = []
        for key, data in zip(lists, store.get_many(lists), strict=True):
            try:
                found = load(ReplacedList, data, name=key)
            except DamagedStoreError:
                continue
            act = audit.act_of(who=WHO, action=audit.Action.DEIDENTIFY, subject=found.run, detail=_detail(found, key=key, data=data))
            if act in names and _is_whole(store, names[act]):
                objects += found.objects
        return cls(objects)

    def digest_before(self, key: str, sha256: str) -> str:
        """Return the digest that an object had before identifiers were taken out of it, however often; its own where none were."""
        seen = {sha256}
        while (before := self._before.get((key, sha256))) is not None and before not in seen:
            seen.add(before)
            sha256 = before
        return sha256


def log_replacements(store: ObjectStore, *, run: str, objects: Iterable[Replaced]) -> None:
    """Write the list of what is about to be replaced, and an entry of the log that vouches for it."""
    listed = ReplacedList(run=run, objects=tuple(objects))
    key = write(store, keys.deidentified(run, _LIST), listed)
    detail = _detail(listed, key=key, data=listed.to_json())
    audit.append(store, who=WHO, action=audit.Action.DEIDENTIFY, subject=run, detail=detail)


def _detail(listed: ReplacedList, *, key: str, data: bytes) -> dict[str, Any]:
    return {"list": key, "list_sha256": hashlib.sha256(data).hexdigest(), "objects": len(listed.objects)}


def _is_whole(store: ObjectStore, name: audit.Name) -> bool:
    """Tell whether an entry is what its name says, and says what its act does."""
    data = store.get(name.key)
    try:
        entry = audit.Entry.from_json(data)
    except ValueError:
        return False
    act = audit.act_of(who=entry.who, action=entry.action, subject=entry.subject, detail=entry.detail)
    return hashlib.sha256(data).hexdigest() == name.digest and act == name.act
