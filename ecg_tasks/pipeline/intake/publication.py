"""Here: letting in what the tasks of an intake staged, and its account. Not here: the task (``ingest_records``), or emptying the inbox.

A run may take a million files. So results are read one after the other, twice, and what grows with the number of files goes through
files on the disk: the lists of the account, and the rows for the catalogue.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import NamedTuple, Self

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from ecg_tasks.archive import audit, catalog, keys, record_shards, tables
from ecg_tasks.archive.account_lists import ListWriter, writer_of_inputs, writer_of_quarantined
from ecg_tasks.archive.catalog import Catalog
from ecg_tasks.archive.documents import (
    Code,
    InboxFile,
    Input,
    InputCounts,
    IntakeCounts,
    IntakeManifest,
    IntakePlan,
    LabelCounts,
    QuarantinedInput,
    StagedShard,
    write_manifest,
)
from ecg_tasks.archive.forgotten import NAME
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.names import DagId
from ecg_tasks.pipeline.intake import aside, describing, forgotten_rows, label_tables, waiting
from ecg_tasks.pipeline.intake.describing import Arrived, Came
from ecg_tasks.pipeline.intake.drops import PASSED_OVER
from ecg_tasks.pipeline.intake.forgotten_rows import NONE_FORGOTTEN, ForgottenNames
from ecg_tasks.pipeline.intake.keeping import Keeping
from ecg_tasks.pipeline.intake.results import Results
from ecg_tasks.pipeline.intake.tidying import TakenFiles
from ecg_tasks.settings import Settings

DAG = DagId.INGEST_RECORDS


def tables_at(run: str) -> str:
    """Return where a run's label tables are staged."""
    return keys.staging(DAG, run, "tables")


class LetIn(NamedTuple):
    """What a publication wrote, the names at the end of the log a moment before, and the files that the inbox is emptied of."""

    manifest: IntakeManifest
    logged: list[audit.Name]
    taken: TakenFiles


def let_in(store: ObjectStore, results: Results, planned: IntakePlan, *, before: Catalog) -> LetIn:
    """Let everything into the archive and the catalogue, and write the manifest last; ``before`` is the catalogue without this run."""
    run, at = results.run, tables_at(results.run)
    settings = Settings.from_environment()
    keeping = Keeping.of(settings)
    stored_names = keeping.names
    if planned.needed is None and planned.labels:  # of version 0.1, whose plan staged no tables
        label_tables.stage(store, at, planned.labels, batches=[], patient_key=settings.patient_key, keeping=keeping)
    repeated = iter(_seen_before(before, [results.ids(shard) for result in results for shard in result.shards]))
    naming = bool(planned.labels)
    shards: list[str] = []
    with before.grow() as growing, Account(stored_names, planned) as counts:
        counts.add(planned.known, ())
        arrived = Arrived(number=before.head.number + 1, names=stored_names)
        forgotten = _forgotten(results, stored_names) if planned.refuses else NONE_FORGOTTEN
        came = Came(arrived=arrived, quarantined=counts.quarantined, growing=growing, forgotten=forgotten)
        if naming:
            came.waiting.update(map(stored_names.hashed, waiting.recordings(store, planned)))
        letting_in = _LettingIn(results=results, came=came, naming=naming)
        purged = frozenset[str]()
        if planned.refuses:
            tables_here = partial(label_tables.load, store, at, len(planned.labels))
            purged = _with_forgotten(results) | forgotten_rows.archives_that_tell(planned.opened, tables_here, forgotten)
        for result in results:
            again: Counter[str] = Counter()
            names = [letting_in.shard(shard, next(repeated), again) for shard in result.shards]
            shards += filter(None, names)
            lines = _less_kept(_less_duplicates(result.inputs, again), purged)
            if planned.refuses:
                lines = _with_side_files(store, run, lines, forgotten)
            counts.add(lines, result.quarantined)
            came.add(result, labels=results.labels(result), naming=naming)
            describing.settle_aliases(store, came, before=before, at_least=describing.AT_ONCE)
            if not naming:  # label tables would say more of these records
                describing.settle_labels(store, came, before=before, over={}, at_least=describing.AT_ONCE)
        for one in planned.opened:
            if one.key in purged:
                store.delete_many(store.list_keys(f"{keys.RAW}{one.source}/"))
        labels = describing.describe(store, at, planned, before=before, came=came, keeping=keeping)
        logged = audit.recent(store, since=before.head.logged)
        growing.publish(run=run, number=came.arrived.number, logged=logged[-1].number if logged else 0)
        manifest = counts.write(store, run, shards=shards, labels=labels)
        return LetIn(manifest, logged, counts.taken)


class Account:
    """The account of a run while its inputs come in."""

    def __init__(self, names: StoredNames, planned: IntakePlan) -> None:
        self._names = names
        self._planned = planned
        self._needed = tuple(map(names.in_inbox, planned.waiting if planned.needed is None else planned.needed))
        self._of_archives: dict[str, Counter[str]] = {one.key: Counter() for one in planned.opened}
        self.taken = TakenFiles(self._needed, names)
        self.inputs: ListWriter[Input] = writer_of_inputs()
        self.quarantined: ListWriter[QuarantinedInput] = writer_of_quarantined()
        self._sums: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.inputs.__exit__(*error)
        self.quarantined.__exit__(*error)

    def add(self, inputs: Sequence[Input], quarantined: Iterable[QuarantinedInput]) -> None:
        """Take in what became of some drops."""
        self.inputs.add(inputs)
        self.taken.add(inputs)
        self.quarantined.add(quarantined)
        for name in InputCounts.__struct_fields__:
            self._sums[name] += sum(getattr(item, name) for item in inputs)
        for item in inputs:
            if item.files and item.files[0].member and (sums := self._of_archives.get(item.files[0].key)) is not None:
                sums.update({name: getattr(item, name) for name in InputCounts.__struct_fields__})
                if item.fate == "gone":
                    del self._of_archives[item.files[0].key]  # it was not taken over whole

    def write(self, store: ObjectStore, run: str, *, shards: Sequence[str], labels: LabelCounts) -> IntakeManifest:
        """Write the manifest, after the lists that are too long for it."""
        planned = self._planned
        counts = IntakeCounts(**self._sums, waiting=waiting.count(planned))
        if counts.received != counts.records + counts.duplicates + counts.quarantined:
            raise AssertionError(f"the counts of {run} do not add up: {counts}")
        inputs, inputs_table = self.inputs.put(store, dag=DAG, run=run, name="inputs")
        quarantined, quarantined_table = self.quarantined.put(store, dag=DAG, run=run, name="quarantined")
        manifest = IntakeManifest(
            schema_version=2 if inputs_table or quarantined_table else 1,  # version 0.1 would take them for none
            dag=DAG,
            run=run,
            code=Code.running(),
            counts=counts,
            inputs=inputs,
            inputs_table=inputs_table,
            waiting=tuple(map(self._names.in_inbox, waiting.named(planned))),
            waiting_for=planned.waiting_for,
            needed=self._needed,
            newest=planned.newest,
            left=planned.left,
            shards=tuple(shards),
            quarantined=quarantined,
            quarantined_table=quarantined_table,
            archives=tuple(structs.replace(one, **self._of_archives[one.key]) for one in planned.opened if one.key in self._of_archives),
            labels=labels,
        )
        write_manifest(store, manifest)
        return manifest


@dataclass(frozen=True, kw_only=True)
class _LettingIn:
    """What gets to know of every staged shard; ``came`` gets all names and persons only if ``naming``."""

    results: Results
    came: Came
    naming: bool

    def shard(self, staged: StagedShard, repeated: NDArray[np.bool_], again: Counter[str]) -> str:
        """Move a staged shard to records/, without what the archive or an earlier shard holds; returns its name, empty if nothing is left.

        ``again`` counts the names of its duplicates.
        """
        results, store, number = self.results, self.results.store, self.came.arrived.number
        index = results.index(staged)
        if self.naming or repeated.any():
            again.update(self.came.arrived.add(tables.load(index), repeated, naming=self.naming))
        if repeated.all():
            return ""
        if repeated.any():
            called = tables.load(index).get("called", ())
            staged_records = record_shards.load_shard(results.records(staged), called=called)
            kept = record_shards.without(staged_records, set(np.flatnonzero(repeated).tolist()))
            name = record_shards.shard_name(stored.record.record_id for stored in kept)
            numbered = record_shards.dump_index(kept, received=number)
            store.put(keys.record_index(name), numbered)
            store.replace(keys.record_shard(name), record_shards.dump_shard(kept))  # nobody's yet, as in `let_in`
        else:
            name = record_shards.shard_name(results.ids(staged).astype(str).tolist())
            numbered = record_shards.numbered(index, received=number)
            store.put(keys.record_index(name), numbered)
            results.let_in(staged, name)
        self.came.growing.add(catalog.of_index(name, numbered))
        return name


def _seen_before(before: Catalog, parts: Sequence[NDArray[np.bytes_]]) -> list[NDArray[np.bool_]]:
    """Return which ids of each part are in the archive, or stand before in this part or an earlier one."""
    if not parts:
        return []
    whole = np.concatenate(parts)
    repeated = np.ones(len(whole), dtype=bool)
    repeated[np.unique(whole, return_index=True)[1]] = False
    repeated |= before.known(whole)
    ends = np.cumsum([0, *(len(part) for part in parts)])
    return [repeated[start:end] for start, end in pairwise(ends)]


def _with_forgotten(results: Results) -> frozenset[str]:
    """Return the keys of the archives in which forgotten recordings came: raw/ may not keep these as they are."""
    lines = (line for result in results for line in result.inputs if line.files and line.files[0].member)
    return frozenset(line.files[0].key for line in lines if line.kept == "nothing" and line.fate in {NAME, "records"})


def _less_kept(inputs: Sequence[Input], archives: Collection[str]) -> Sequence[Input]:
    """Return lines that say that nothing is kept of what came in these archives, where the archive itself was."""
    return [
        structs.replace(line, kept="nothing")
        if line.kept == "as_dropped" and line.files and line.files[0].member and line.files[0].key in archives
        else line
        for line in inputs
    ]


def _forgotten(results: Results, names: StoredNames) -> ForgottenNames:
    """Return what the recordings are called that were forgotten, those that came now among them, which later runs get to know."""
    now: dict[str, str] = {}
    for result in results:
        now |= result.forgotten
    return forgotten_rows.refused_by(results.store, names, now=now)


def _with_side_files(store: ObjectStore, run: str, lines: Sequence[Input], forgotten: ForgottenNames) -> Sequence[Input]:
    """Keep what lies aside of it, but nothing that lay beside forgotten recordings; of that the account tells what empties the inbox."""
    kept = []
    for line in lines:
        if line.fate == PASSED_OVER and forgotten.came(forgotten.names.hashed(line.record_name)):
            kept.append(_bare(line, forgotten.names))
            continue
        if line.fate == PASSED_OVER and line.kept == "as_dropped":
            aside.keep(store, run, line)
        kept.append(line)
    return kept


def _bare(line: Input, names: StoredNames) -> Input:
    files = tuple(
        InboxFile(key=file.key, etag=file.etag, member=NAME)
        if file.member
        else InboxFile(key=f"{keys.INBOX}{NAME}", etag=names.of_a_forgotten(file.key, file.etag))
        for file in line.files
    )
    return Input(name=NAME, record_name="", files=files, kept="nothing", fate=line.fate, passed_over=line.passed_over)


def _less_duplicates(inputs: Sequence[Input], duplicates: Counter[str]) -> list[Input]:
    """Move duplicate records, counted by name, from ``records`` to ``duplicates`` in the inputs."""
    if not duplicates:
        return list(inputs)
    place = {item.record_name: number for number, item in enumerate(inputs) if item.fate != PASSED_OVER}
    again = [0] * len(inputs)
    for name, n in duplicates.items():
        file = name.rpartition("#")[0]
        again[place[file if file in place else name]] += n
    return [
        structs.replace(item, records=item.records - n, duplicates=item.duplicates + n) if n else item
        for item, n in zip(inputs, again, strict=True)
    ]
