"""Here: what became of files that were dropped just now, recording by recording. Not here: waiting for it (``cli``), or the report."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ecg_tasks.archive import account_lists, keys
from ecg_tasks.archive.catalog import Catalog
from ecg_tasks.archive.documents import Input, IntakeManifest, QuarantinedInput, read
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.errors import SENTENCES, Reason
from ecg_tasks.names import DagId
from ecg_tasks.pipeline import decided
from ecg_tasks.pipeline.intake import looking
from ecg_tasks.pipeline.intake.names import look_up
from ecg_tasks.readers.file_names import is_header
from ecg_tasks.readers.record_names import normal_name
from ecg_tasks.settings import Settings

_MORE_LINES = 2
"""A table's rows are numbered by its lines; heads come before them."""


class Fate(StrEnum):
    """What became of a recording, or of a file that gave none."""

    DECIDED = "decided"
    PENDING = "pending"
    QUARANTINED = "quarantined"
    WAITS = "waits"
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class DropAnswer:
    """What became of one recording, or of one file.

    Parameters
    ----------
    name : the file's path below the inbox, with the row or the path inside an archive
    decision, probability : of the version that serves; empty and None where there is none
    why : where it is not decided: what it waits for or why it was refused, in words
    until : when a file that waits does so no longer (ISO 8601)
    """

    name: str
    fate: Fate
    record_id: str = ""
    recipe: str = ""
    decision: str = ""
    probability: float | None = None
    why: str = ""
    until: str = ""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """All answers to one drop; ``is_whole`` if none of them is still on its way: it is decided, refused, or waits for other files."""

    found: tuple[DropAnswer, ...]
    is_whole: bool

    @property
    def sentence(self) -> str:
        """What became of all of it, in numbers."""
        decisions = Counter(one.decision for one in self.found if one.fate is Fate.DECIDED)
        said = [", ".join(f"{count:,} {decision}" for decision, count in decisions.most_common())] if decisions else []
        others = Counter((one.fate, one.why) for one in self.found if one.fate is not Fate.DECIDED)
        words = {Fate.PENDING: "pending", Fate.QUARANTINED: "in quarantine", Fate.WAITS: "waiting for", Fate.OTHER: ""}
        said += [" ".join(filter(None, (f"{count:,}", words[fate], why))) for (fate, why), count in others.most_common()]
        return "; ".join(said) or "nothing was dropped"


def accounts(store: ObjectStore) -> frozenset[str]:
    """Return the keys of the accounts of all intakes so far, to be handed to `answers` after a drop."""
    return frozenset(store.list_keys(f"{keys.MANIFESTS}{DagId.INGEST_RECORDS}/"))


def answers(store: ObjectStore, dropped: Collection[str], *, before: Collection[str]) -> Answers:
    """Tell what became of files that were dropped.

    Parameters
    ----------
    dropped : their paths below the inbox
    before : the `accounts` that were there before
    """
    settings = Settings.from_environment()
    names = StoredNames.of(settings)
    asked = set(map(_key, dropped))
    stored = {names.in_inbox(key): key.removeprefix(keys.INBOX) for key in asked}
    inputs, refused = _lines(store, stored, before=before)
    ids = look_up(store, (name for line in inputs for name in _names(line)), catalog=Catalog.open(store), names=names).latest
    of_record = {
        record_id: name for line in inputs for name in _names(line) for record_id in ids.get(names.hashed(name), (0, frozenset()))[1]
    }
    shown = {normal_name(name): _shown(line, stored) for line in inputs for name in (line.name, line.record_name)}
    found = list(_decided(store, of_record, recipes=settings.recipes, shown=shown))
    found += [_refused(entry, shown=shown) for entry in refused]
    found += [_other(line, stored) for line in inputs if not (line.records or line.duplicates or line.quarantined)]
    in_inbox = looking.look(store)
    waits = [one for one in in_inbox.files if one.key in asked]
    found += [
        DropAnswer(
            name=one.key.removeprefix(keys.INBOX),
            fate=Fate.WAITS,
            why=one.wait.why,
            until="" if one.wait.until is None else one.wait.until.isoformat(timespec="seconds"),
        )
        for one in waits
    ]
    on_its_way = (
        in_inbox.n_files > looking.MOST or any(one.wait.until is None for one in waits) or any(one.fate is Fate.PENDING for one in found)
    )
    return Answers(found=tuple(sorted(found, key=lambda one: one.name)), is_whole=not on_its_way)


def _key(name: str) -> str:
    return f"{keys.INBOX}{name}"


def _lines(store: ObjectStore, stored: Mapping[str, str], *, before: Collection[str]) -> tuple[list[Input], list[QuarantinedInput]]:
    """Return the lines of the accounts about these files, by their keys as accounts have them, and what of them was refused."""
    inputs, refused = list[Input](), list[QuarantinedInput]()
    for key in sorted(accounts(store) - frozenset(before)):
        manifest = read(store, IntakeManifest, key)
        lines = [line for line in account_lists.inputs(store, manifest) if any(file.key in stored for file in line.files)]
        named = {line.name for line in lines} | {line.record_name for line in lines}
        inputs += lines
        refused += [entry for entry in account_lists.quarantined(store, manifest) if named & {entry.name, _file_of(entry.name)}]
    return inputs, refused


def _file_of(name: str) -> str:
    """Return the name of a file, given that of one of its rows."""
    file, mark, row = name.rpartition("#")
    return file if mark and row.isdecimal() else name


def _names(line: Input) -> Iterator[str]:
    """Yield what the records of a line may be called, in the normal form."""
    if line.records or line.duplicates:
        yield normal_name(line.record_name)
        for row in range(line.received + _MORE_LINES + 1) if line.received else ():
            yield normal_name(f"{line.record_name}#{row}")


def _shown(line: Input, stored: Mapping[str, str]) -> str:
    """Return what a line's file was dropped as; of a member of an archive with its path there."""
    first = next(file for file in line.files if file.key in stored)
    dropped = [stored[file.key] for file in line.files if file.key in stored]
    named = next((name for name in dropped if is_header(name)), dropped[0])
    return f"{named}/{first.member}" if first.member else named


def _decided(store: ObjectStore, of_record: Mapping[str, str], *, recipes: Sequence[str], shown: Mapping[str, str]) -> Iterator[DropAnswer]:
    """Yield an answer a record: what the first recipe said that takes it."""
    left = dict(of_record)
    for one in decided.serving(store, recipes):
        record_ids = sorted(left)
        for record_id, row in zip(record_ids, one.rows(np.array(record_ids, dtype="S32")).tolist(), strict=True):
            if row < 0:
                continue
            probability = float(one.probability[row])
            yield DropAnswer(
                name=_called(left.pop(record_id), shown),
                fate=Fate.DECIDED,
                record_id=record_id,
                recipe=one.recipe,
                decision=str(one.decision[row]),
                probability=None if np.isnan(probability) else probability,
            )
    for record_id, name in left.items():
        yield DropAnswer(name=_called(name, shown), fate=Fate.PENDING, record_id=record_id, why="no decision yet")


def _called(name: str, shown: Mapping[str, str]) -> str:
    """Return a record as the person knows it: the file that was dropped, with its row."""
    file = _file_of(name)
    return shown[name] if name in shown else shown.get(file, file) + name[len(file) :]


def _refused(entry: QuarantinedInput, *, shown: Mapping[str, str]) -> DropAnswer:
    name = _called(normal_name(entry.name), shown)
    return DropAnswer(name=name, fate=Fate.QUARANTINED, why=f"({entry.reason}) {SENTENCES[Reason(entry.reason)]}")


def _other(line: Input, stored: Mapping[str, str]) -> DropAnswer:
    words = {"passed_over": "passed over: it holds no recording", "gone": "taken back before it was read"}
    return DropAnswer(name=_shown(line, stored), fate=Fate.OTHER, why=words.get(line.fate, line.fate))
