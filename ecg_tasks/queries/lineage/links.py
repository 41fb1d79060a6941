"""Here: one link of a lineage, and the link to the dropped bytes. Not here: which links a thing has (``tracing``)."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ecg_tasks.archive import keys, sources
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.readers.file_names import is_header

_MAX_ORDERS = 720
"""Orders of a recording's files that are tried where no run tells which was meant."""


class State(StrEnum):
    """How far a link can be trusted."""

    CHECKED = "checked"
    """A digest was computed anew, and is what it should be."""
    TOLD = "told"
    """It is written down, and there is nothing to hold it against."""
    ABSENT = "absent"
    """Nobody wrote it down, or it is in another bucket."""
    BROKEN = "broken"
    """It is not what it should be."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """One thing, what is known of it, and what it comes from (``beneath``)."""

    what: str
    name: str
    state: State
    sentence: str = ""
    told: Mapping[str, str] = field(default_factory=dict)
    beneath: Sequence["Link"] = ()

    def all(self) -> Iterator["Link"]:
        """Itself and all beneath it."""
        yield self
        for link in self.beneath:
            yield from link.all()


def code_link(recorded: Mapping[str, str] | None) -> Link:
    """The code that made something, by what was recorded of it."""
    if not recorded:
        return Link(what="code", name="unknown", state=State.ABSENT, sentence="made before the code's version was recorded")
    return Link(what="code", name=f"{recorded['version']}, tree {recorded['tree']}", state=State.TOLD, told=recorded)


def raw_link(store: ObjectStore, sha256: str, *, order: Sequence[str] = (), beneath: Sequence[Link] = ()) -> Link:
    """The dropped bytes, with their digests computed anew.

    A recording of several files has the digest of their list, and each file its own. Version 0.1 digested the files one after another;
    ``order`` are their names as the intake took them then.
    """
    found = {item.key.rsplit("/", 1)[-1]: item for item in store.list_objects(f"{keys.RAW}{sha256}/")}
    if not found:
        return Link(what="raw", name=sha256, state=State.BROKEN, sentence=f"raw/{sha256}/ is gone", beneath=beneath)
    try:
        files = sources.listed(store, sha256)
    except (ValueError, KeyError) as error:
        return Link(what="raw", name=sha256, state=State.BROKEN, sentence=f"its list cannot be read: {error}", beneath=beneath)
    if files is not None:
        told = {file.name: f"{file.n_bytes:,} bytes" for file in files}
        faults = [fault for file in files if (fault := sources.fault_of(store, file))]
        state, sentence = (
            (State.BROKEN, "; ".join(faults)) if faults else (State.CHECKED, "SHA-256 of the list and of each file computed anew")
        )
        return Link(what="raw", name=sha256, state=state, sentence=sentence, told=told, beneath=beneath)
    told = {name: f"{item.size:,} bytes" for name, item in found.items()}
    for names in itertools.islice(_orders(sorted(found), order), _MAX_ORDERS):
        if store.sha256(found[name].key for name in names) == sha256:
            return Link(what="raw", name=sha256, state=State.CHECKED, sentence="SHA-256 computed anew", told=told, beneath=beneath)
    if any(store.sha256([item.key]) == sha256 for item in found.values()):  # one file that came under several names
        return Link(what="raw", name=sha256, state=State.CHECKED, sentence="SHA-256 computed anew", told=told, beneath=beneath)
    return Link(what="raw", name=sha256, state=State.BROKEN, sentence="the bytes have another SHA-256", told=told, beneath=beneath)


def _orders(names: Sequence[str], wanted: Sequence[str]) -> Iterator[Sequence[str]]:
    """The order of the intake if it is known; else headers first, then every other one."""
    if set(wanted) == set(names):
        yield wanted
        return
    yield from itertools.permutations(sorted(names, key=lambda name: (not is_header(name), name)))
