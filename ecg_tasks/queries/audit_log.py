"""Here: the log of who did what, and whether it was tampered with. Not here: appending to it (``archive.audit``).

What the chain itself shows: entries that were changed, removed, inserted or put in another order. What it cannot show is that its end
was cut off: for that each night's manifest holds the digest of the entry of its report, and a person may keep another one elsewhere.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ecg_tasks.archive import audit, keys
from ecg_tasks.archive.audit import Entry, Name
from ecg_tasks.archive.documents import ClassifyManifest, read_manifests
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.replaced import Replacements

TOLERANCE = timedelta(minutes=10)
"""A writer whose request took longer, or whose clock is further off, looks like one that inserted an entry later."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that should not be; ``kind`` is changed, removed, inserted, reordered, foreign or truncated."""

    kind: str
    what: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What was found.

    Parameters
    ----------
    n_entries : that were read
    n_anchors : digests kept outside the log that were looked for in it
    ends : digests of the entries that no other one names: one, or as many as were written at once. Keep them elsewhere
    faults : none if the log was not tampered with, as far as can be seen
    """

    n_entries: int
    n_anchors: int
    ends: tuple[str, ...]
    faults: tuple[Fault, ...]


def latest(store: ObjectStore, n: int) -> list[tuple[str, Entry]]:
    """Return the latest entries in order, each with its digest."""
    return [(name.digest, entry) for name, entry in audit.entries(store)[-n:]]


def check(store: ObjectStore, *, known: Iterable[str] = ()) -> Checked:
    """Read the whole log and check each entry against its name, those it names, and what is kept of it elsewhere.

    ``known`` are digests kept elsewhere; they, or their first 12 digits or more, must be in the log.
    """
    listed = store.list_keys(keys.AUDIT)
    names = sorted(name for key in listed if (name := Name.of(key)))
    replaced = Replacements.read(store)
    log: dict[str, tuple[Name, Entry]] = {}
    faults = [Fault(kind="foreign", what=key, sentence=f"{key} is not an entry of the log") for key in listed if Name.of(key) is None]
    for name, data in zip(names, store.get_many(name.key for name in names), strict=True):
        entry, found = _read(name, data, replaced)
        faults += found
        if entry is not None:
            log[name.digest] = (name, entry)
    there = {name.digest for name in names}
    faults += _links(log, there)
    faults += _inserted(log)
    anchors = {**_anchors(store), **dict.fromkeys(known, "you")}
    for digest, holder in anchors.items():
        if not any(one.startswith(digest) for one in there):
            sentence = f"{holder} kept the entry {digest[:12]}, which is not in the log: its end was cut off, or all of it replaced"
            faults.append(Fault(kind="truncated", what=digest, sentence=sentence))
    named = {digest for _, entry in log.values() for digest in entry.before}
    return Checked(
        n_entries=len(names),
        n_anchors=len(anchors),
        ends=tuple(name.digest for name in names if name.digest not in named),
        faults=tuple(faults),
    )


def _read(name: Name, data: bytes, replaced: Replacements) -> tuple[Entry | None, list[Fault]]:
    """Hold one entry against its name; None if its content cannot be trusted.

    One from which names of files were taken is trusted where the log itself has the digest of what stands there now.
    """
    if replaced.digest_before(name.key, hashlib.sha256(data).hexdigest()) != name.digest:
        return None, [Fault(kind="changed", what=name.digest, sentence=f"the content of {name.key} is not what its name says")]
    try:
        entry = Entry.from_json(data)
    except ValueError:
        return None, [Fault(kind="foreign", what=name.digest, sentence=f"{name.key} is not an entry of the log")]
    if name.key != keys.audit_entry(entry.number, act=name.act, digest=name.digest):
        sentence = f"{name.key} stands in another place than its content says, which is number {entry.number}"
        return entry, [Fault(kind="reordered", what=name.digest, sentence=sentence)]
    return entry, []


def _links(log: Mapping[str, tuple[Name, Entry]], there: set[str]) -> Iterator[Fault]:
    """Yield faults in the links: every entry that is named must be there, and be of a lower number."""
    reported = set()
    for name, entry in log.values():
        if not entry.before and entry.number > 1:
            yield Fault(kind="reordered", what=name.digest, sentence=f"{name.key} names none before it, and is not the first")
        for digest in entry.before:
            if digest not in there and digest not in reported:
                reported.add(digest)
                yield Fault(kind="removed", what=digest, sentence=f"{name.key} names the entry {digest[:12]}, which is gone")
            if digest in log and log[digest][1].number >= entry.number:
                yield Fault(kind="reordered", what=name.digest, sentence=f"{name.key} names {log[digest][0].key}, which is not before it")


def _inserted(log: Mapping[str, tuple[Name, Entry]]) -> Iterator[Fault]:
    """Yield entries that say they are from before others, which did not know of them.

    Every writer names all that it sees and that no entry named yet. So an entry of a number between an old one and the first that names it
    is of the same minutes, or the old one was not there. What such entries name is not thereby genuine, so the latest are looked at first.
    An entry that is gone may have named anything before it.
    """
    by_number: dict[int, list[Entry]] = {}
    named_first: dict[str, int] = {}
    end = max((entry.number for _, entry in log.values()), default=0) + 1
    for name, entry in sorted(log.values(), key=lambda one: one[1].number, reverse=True):
        between = range(entry.number + 1, min(end, named_first.get(name.digest, end)))
        since = datetime.fromisoformat(entry.when) + TOLERANCE
        later = (one for number in between for one in by_number.get(number, ()))
        witness = next((one for one in later if datetime.fromisoformat(one.when) > since), None)
        if witness is not None:
            sentence = (
                f"{name.key} says that it is of {entry.when}, but the entry {witness.number} of {witness.when} did not know it: "
                "it was inserted later, or a writer's clock is wrong"
            )
            yield Fault(kind="inserted", what=name.digest, sentence=sentence)
            continue
        by_number.setdefault(entry.number, []).append(entry)
        named_first |= dict.fromkeys(entry.before, entry.number)  # from the last to the first: the lowest number stays
        if not log.keys() >= set(entry.before):
            end = entry.number


def _anchors(store: ObjectStore) -> dict[str, str]:
    """Return digests in the manifests of the nights, and the manifest that holds each."""
    return {night.audit: keys.manifest(night.dag, night.run) for night in read_manifests(store, ClassifyManifest) if night.audit}
