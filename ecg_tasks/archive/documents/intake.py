"""Here: what ``ingest_records`` plans, hands on and writes down. Not here: the inbox, or what becomes of a file (``pipeline.intake``)."""

from typing import Any, ClassVar

import msgspec

from ecg_tasks.archive.documents.base import Document, Part
from ecg_tasks.archive.documents.manifests import Manifest
from ecg_tasks.names import DagId


class InboxFile(Part, frozen=True, kw_only=True, omit_defaults=True):
    """A file of a drop; ``sha256`` is known once it was read, and in no manifest of version 0.1.

    It is that of the bytes in raw/; ``dropped`` is that of the bytes as they came, where these are others.
    ``member`` is its path inside the archive that lay at ``key``; empty for a file that lay there itself.
    """

    key: str
    etag: str
    size: int = 0
    sha256: str = ""
    dropped: str = ""
    member: str = ""


class Drop(Part, frozen=True, kw_only=True, omit_defaults=True):
    """Files that make one recording or one table.

    ``reason`` (a code) and ``message`` stand where it is refused unread, ``fate`` where it is passed over.
    """

    name: str
    files: tuple[InboxFile, ...]
    modified: str
    reason: str = ""
    message: str = ""
    fate: str = ""


class Place(Part, frozen=True, kw_only=True, omit_defaults=True):
    """Where a member of an archive lies, as ``readers.packed.PackedMember`` has it; ``fault`` is why it cannot be unpacked."""

    size: int
    at: int = 0
    end: int = 0
    packed: int = 0
    crc: int = 0
    deflated: bool = False
    fault: "Refusal | None" = None


class PackedArchive(Part, frozen=True, kw_only=True):
    """An archive as tasks read it.

    Parameters
    ----------
    name : below the inbox
    key : in raw/, or in the inbox where raw/ does not keep it; in older jobs in staging/
    etag : of the object in the inbox: one that has another was replaced; empty where it lies elsewhere
    source : its SHA-256
    packing : its format, as in ``readers.packed.Packing``
    copies : the source of the copies without identifiers that this task keeps; empty where each is kept by itself, as older jobs say
    """

    name: str
    key: str
    source: str
    packing: str
    etag: str = ""
    copies: str = ""


class ListedFile(Part, frozen=True, kw_only=True):
    """A file of a drop of several: its name, length and SHA-256."""

    name: str
    bytes: int
    sha256: str


class DropList(Part, frozen=True, kw_only=True):
    """The list of a drop of several files. Its bytes are the drop's name, so it never changes and has no version."""

    files: tuple[ListedFile, ...]


class CopiedDrop(Part, frozen=True, kw_only=True):
    """The copies of one drop among those of several: the ids of its records, and its files."""

    records: tuple[str, ...]
    files: tuple[ListedFile, ...]


class CopiedDrops(Document, frozen=True, kw_only=True):
    """What is in an object of copies."""

    drops: tuple[CopiedDrop, ...]


class Refusal(Part, frozen=True, kw_only=True):
    """Why something is refused: a reason's code and the sentence for people."""

    reason: str
    message: str


class RefusedRow(Part, frozen=True, kw_only=True):
    """A row that is refused, with its text."""

    name: str
    reason: str
    message: str
    content: str


class QuarantinedInput(Part, frozen=True, kw_only=True, omit_defaults=True):
    """A drop, or a row of one, that went into quarantine.

    ``source`` is the SHA-256 of its bytes, ``entry`` its folder in ``quarantine/``: empty in manifests before 2026-11-28, whose folder
    is ``source``.
    """

    name: str
    reason: str
    message: str
    source: str
    entry: str = ""

    @property
    def folder(self) -> str:
        """Its folder in ``quarantine/``."""
        return self.entry or self.source


class InputCounts(Part, frozen=True, kw_only=True):
    """What became of one drop, in records: ``received = records + duplicates + quarantined + forgotten``.

    A file that is refused whole counts as one. ``forgotten`` are records that were taken in and are not there any more. ``passed_over``
    stands beside them: what holds no recording is no input.
    """

    received: int = 0
    records: int = 0
    duplicates: int = 0
    quarantined: int = 0
    passed_over: int = 0
    forgotten: int = 0


class Input(InputCounts, frozen=True, kw_only=True):
    """The line of one drop in the manifest of its intake.

    ``record_name`` is the name of its recording, or of its rows before ``#``; of a file that is passed over, that of its stem.
    ``source`` is the SHA-256 of its bytes, empty where it was never read. ``kept`` is what is in raw/ of it (see ``settings.RawKeeps``),
    and ``dropped`` its source as it came, where other bytes are kept. ``kept_in`` is the object in which its copy lies among others: each
    file in a folder called by its own SHA-256. ``fate`` is ``records``, ``quarantined``, ``gone`` (taken back by its owner),
    ``passed_over``, or ``forgotten``: refused for that. ``before`` is the run that took over the archive that this is, with all that is in
    it, and ``before_at`` when; all of it are duplicates then, and it was not read again. Of a drop that was forgotten, and of what lay
    beside it, nothing stands here but its numbers, and ``forgotten`` for its name.
    """

    name: str
    record_name: str
    files: tuple[InboxFile, ...]
    source: str = ""
    kept: str = "as_dropped"
    dropped: str = ""
    kept_in: str = ""
    fate: str
    before: str = ""
    before_at: str = ""


class ArchiveCounts(InputCounts, frozen=True, kw_only=True):
    """What became of all that was in one archive.

    Parameters
    ----------
    key : in the inbox, as accounts have it
    source : its SHA-256 as it was dropped
    folder : what its recordings are named in, as it is stored
    kept : what raw/ was to keep of it (see ``settings.RawKeeps``)
    """

    key: str
    source: str
    folder: str
    kept: str


class TakenArchive(Document, frozen=True, kw_only=True):
    """That an archive was taken over, and nothing of it refused: by which run, and when it had ended (ISO 8601)."""

    run: str
    at: str
    counts: ArchiveCounts


class LabelTableFile(Part, frozen=True, kw_only=True, omit_defaults=True):
    """A label table as it lay in the inbox; ``released`` is one that a person lets wait no longer for recordings."""

    key: str
    etag: str
    modified: str
    released: bool = False


class IntakePlan(Document, frozen=True, kw_only=True):
    """What a run found in the inbox and does not take over, and the label tables that it takes.

    Parameters
    ----------
    waiting : keys of what waits, or is left to the next run: the first thousand; in plans of version 0.1 all
    n_waiting : how many there are, or at least are where whole folders were left; None in plans of version 0.1
    all_waiting : key of a table of all of them, where label tables may mean one that ``waiting`` has not
    waiting_for : how many of them wait for what, in words
    newest : when the newest file came that the run found (ISO 8601): what came later is not its, be it the same bytes; empty in older plans
    needed : keys that stay although a drop of this run has them, because something that waits needs them; None in older plans: all
    left : recordings and files that only lack their turn
    labels : the tables
    grace_ended : what came before this moment (ISO 8601) has waited long enough
    archives : keys of archives that are read in staging/, in plans of an earlier version
    opened : the archives that this run takes over, with nothing counted yet
    known : lines of the archives that were taken over before
    put_back : quarantine entries whose files were in the inbox again; None in plans of version 0.1, where it is not known
    refuses : whether there are forgotten recordings, which its tasks refuse
    """

    waiting: tuple[str, ...]
    n_waiting: int | None = None
    all_waiting: str = ""
    waiting_for: dict[str, int] = msgspec.field(default_factory=dict)
    needed: tuple[str, ...] | None = None
    left: int = 0
    labels: tuple[LabelTableFile, ...] = ()
    newest: str = ""
    grace_ended: str = ""
    put_back: tuple[str, ...] | None = None
    archives: tuple[str, ...] = ()
    opened: tuple[ArchiveCounts, ...] = ()
    known: tuple[Input, ...] = ()
    refuses: bool = False


class IntakeJob(Document, frozen=True, kw_only=True):
    """Drops for one task.

    ``described`` is the key of what label tables say of their patients, empty where they say nothing. The first job of a run has its
    ``plan``, which goes on with the result to the publication: one object less to write, and one to read. Where all drops lie in one
    ``archive``, ``members`` has the place of each of their files, by its path there. ``refuses`` is that of the plan.
    """

    drops: tuple[Drop, ...]
    described: str = ""
    plan: IntakePlan | None = None
    archive: PackedArchive | None = None
    members: dict[str, Place] = msgspec.field(default_factory=dict)
    refuses: bool = False


class StagedShard(Part, frozen=True, kw_only=True):
    """A shard that is not in the archive yet, as Parquet.

    ``records`` stand at ``<key>.parquet`` unless they are small, and ``index`` at ``<key>.index`` in results of version 0.1.
    """

    key: str
    index: bytes = b""
    records: bytes = b""


class IntakeResult(Document, frozen=True, kw_only=True):
    """What one task staged.

    ``label_rows`` is a label table; a task of version 0.1 wrote it apart, at the key ``labels``. ``plan`` is that of the job.
    ``forgotten`` are the digests of what the recordings are called that were refused because they were forgotten, each with its record's.
    """

    inputs: tuple[Input, ...]
    quarantined: tuple[QuarantinedInput, ...]
    shards: tuple[StagedShard, ...]
    labels: str = ""
    label_rows: bytes = b""
    plan: IntakePlan | None = None
    forgotten: dict[str, str] = msgspec.field(default_factory=dict)

    @classmethod
    def upgraded(cls, plain: Any) -> Any:
        """Turn the staged shards into objects: version 0.1 named them by their keys alone."""
        shards = plain.get("shards", []) if isinstance(plain, dict) else []
        if not any(isinstance(shard, str) for shard in shards):
            return plain
        return plain | {"shards": [{"key": shard} for shard in shards]}


class StagedLabels(Document, frozen=True, kw_only=True):
    """A label table as its plan read it, without its good rows, which stand beside it as Parquet.

    ``source`` is the SHA-256 of its bytes, empty where it was gone by then. ``dropped`` counts the values of each column that could not
    be used. ``partly`` says that only its rows about recordings of this run are there: the table stays for the next one.
    """

    key: str
    etag: str
    modified: str
    source: str
    fault: Refusal | None = None
    rejected: tuple[RefusedRow, ...] = ()
    dropped: dict[str, int] = msgspec.field(default_factory=dict)
    released: bool = False
    partly: bool = False


class ArchiveBefore(Document, frozen=True, kw_only=True):
    """What was there when a run's publication began: names of shards, and keys of tables."""

    shards: tuple[str, ...]
    labels: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()


class IntakeCounts(InputCounts, frozen=True, kw_only=True):
    """The sums over all drops of a run, and how many files wait."""

    waiting: int = 0


class LabelCounts(Part, frozen=True, kw_only=True):
    """What became of a run's labels.

    ``tables`` are those that leave the inbox, with their ``rows``; ``stored`` counts new labels, ``classes`` new lists of classes,
    ``described`` records of which a patient, an age or a sex became known, ``quarantined`` refused rows and tables, ``dropped`` values
    that could not be used.
    """

    tables: tuple[LabelTableFile, ...] = ()
    rows: int = 0
    stored: int = 0
    classes: int = 0
    described: int = 0
    quarantined: int = 0
    dropped: dict[str, int] = msgspec.field(default_factory=dict)


class IntakeManifest(Manifest, frozen=True, kw_only=True):
    """The manifest of an intake; ``waiting`` names the first keys, ``needed`` is None in manifests before there was one: all of these.

    Up to a thousand ``inputs`` stand in it. A longer list is a separate Parquet table at the key ``inputs_table``, and ``inputs``
    is empty; ``quarantined`` likewise. `account_lists` reads both. ``archives`` are those that were opened, each with its sums. ``newest``
    is that of the plan.
    """

    DAG: ClassVar[DagId] = DagId.INGEST_RECORDS
    SCHEMA: ClassVar[int] = 2

    counts: IntakeCounts = msgspec.field(name="account")
    inputs: tuple[Input, ...]
    shards: tuple[str, ...]
    quarantined: tuple[QuarantinedInput, ...]
    labels: LabelCounts
    inputs_table: str = ""
    quarantined_table: str = ""
    waiting: tuple[str, ...] = ()
    waiting_for: dict[str, int] = msgspec.field(default_factory=dict)
    needed: tuple[str, ...] | None = None
    newest: str = ""
    left: int = 0
    archives: tuple[ArchiveCounts, ...] = ()
