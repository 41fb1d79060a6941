"""Here: what is written down of a forgetting, before, while and after it is done. Not here: doing it (``pipeline.forgetting``)."""

from typing import ClassVar

import msgspec

from ecg_tasks.archive.documents.base import Document, Part
from ecg_tasks.archive.documents.manifests import Manifest
from ecg_tasks.names import DagId


class ForgottenRecord(Part, frozen=True, kw_only=True):
    """A record that is being forgotten, as its index has it; ``called`` is by what it is found: the digest of its name, or its name."""

    record_id: str
    shard: str
    source: str
    called: str


class LearntBy(Part, frozen=True, kw_only=True):
    """A version that has seen forgotten records before its test; ``serves`` is whether it did when they were forgotten."""

    recipe: str
    version: str
    records: int
    serves: bool = False


class Forgetting(Document, frozen=True, kw_only=True):
    """One forgetting. While it is under way it says what is meant; when it is over, nothing of that is left but digests by our key.

    Parameters
    ----------
    token : its name
    who, why, when : who asked for it, for which reason, and when (ISO 8601)
    what : ``patient`` or ``record``
    approval : whether another person must approve it
    record_ids, patients : what was asked for: ids of records, keyed hashes of patients
    records : all that was found, added to as long as it is under way
    names : what else these were dropped as
    persons : by what their patients are known: keyed hashes, and digests of public patients
    sources : digests of bytes that were theirs alone
    folders : of raw/, which go or are written again
    n_records : how many were forgotten
    digests : of their ids, by our key: what is refused
    learnt_by : the versions that learnt from them
    rewritten : every object that has other bytes than its name or the log says, with its SHA-256
    written : when objects were written first that have a place by their time; while it is under way of all that may be written again
    ended : when it was over; empty while it is under way
    allowed : when, by whom and why they were allowed again; empty while they are refused
    """

    token: str
    who: str
    why: str
    when: str
    what: str
    approval: bool = False
    record_ids: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()
    records: tuple[ForgottenRecord, ...] = ()
    names: tuple[str, ...] = ()
    persons: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    n_records: int = 0
    digests: tuple[str, ...] = ()
    learnt_by: tuple[LearntBy, ...] = ()
    rewritten: dict[str, str] = msgspec.field(default_factory=dict)
    written: dict[str, str] = msgspec.field(default_factory=dict)
    ended: str = ""
    allowed: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be done."""
        return bool(self.ended)


class Refused(Document, frozen=True, kw_only=True):
    """The digests of all records that an intake refuses."""

    digests: tuple[str, ...] = ()


class RefusedName(Part, frozen=True, kw_only=True):
    """The digest of the record that a name is of, and when that was refused last, or forgotten (ISO 8601)."""

    record: str
    when: str


class RefusedNames(Document, frozen=True, kw_only=True):
    """By what recordings are called that are refused: the digests of their names, by our key."""

    names: dict[str, RefusedName] = msgspec.field(default_factory=dict)


class ForgettingCounts(Part, frozen=True, kw_only=True):
    """How many records were forgotten, how many objects were deleted or written again, and how many versions had learnt from them."""

    records: int
    objects: int
    versions: int


class ForgettingManifest(Manifest, frozen=True, kw_only=True):
    """The manifest of a forgetting; ``objects`` counts by kind, ``outcome`` says in a sentence what was done."""

    DAG: ClassVar[DagId] = DagId.FORGET_PATIENT

    counts: ForgettingCounts = msgspec.field(name="account")
    token: str
    who: str
    why: str
    objects: dict[str, int]
    learnt_by: tuple[LearntBy, ...] = ()
    outcome: str
