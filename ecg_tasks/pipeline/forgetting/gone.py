"""Here: what belongs to the recordings that are forgotten, and what others share with them. Not here: changing anything."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from msgspec import structs

from ecg_tasks.archive import account_lists, keys, tables
from ecg_tasks.archive.descriptions import Descriptions
from ecg_tasks.archive.documents import Forgetting, ForgottenRecord, Input, IntakeManifest, read_manifests
from ecg_tasks.archive.forgotten import digest_of
from ecg_tasks.archive.labelling import SOURCE
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.record_shards import names_of
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.readers.file_names import is_label_table

_ROW = re.compile(r"#\d+$", re.ASCII)


def file_of(called: str) -> str:
    """Return what a file is called of which a record is a row; a recording's own name stays.

    >>> file_of("beats.csv#3"), file_of("~0a1b#3"), file_of("ward/100")
    ('beats.csv', '~0a1b', 'ward/100')
    """
    return _ROW.sub("", called)


@dataclass(frozen=True, kw_only=True)
class Left:
    """What other records of the archive have of what the forgotten ones have: nothing of this may go.

    Parameters
    ----------
    rows : how many of them each shard has of a file, given by shard, source and name
    patients : keyed hashes
    """

    rows: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    shards: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    patients: frozenset[str] = frozenset()

    @cached_property
    def files(self) -> frozenset[tuple[str, str]]:
        """Source and name of each of their files."""
        return frozenset((source, name) for _, source, name in self.rows)


@dataclass(frozen=True, kw_only=True)
class Gone:
    """What is forgotten. ``forgetting`` is what is written down of it, ``left`` what others share, ``key`` that of the patients."""

    forgetting: Forgetting
    left: Left
    names: StoredNames
    key: bytes

    @property
    def token(self) -> str:
        """Name of the forgetting."""
        return self.forgetting.token

    @cached_property
    def ids(self) -> frozenset[str]:
        """Ids of the records."""
        return frozenset(one.record_id for one in self.forgetting.records)

    @cached_property
    def shards(self) -> frozenset[str]:
        """The shards that held them."""
        return frozenset(one.shard for one in self.forgetting.records)

    @cached_property
    def empty_shards(self) -> frozenset[str]:
        """The shards that hold nothing else."""
        return self.shards - self.left.shards

    @cached_property
    def files(self) -> frozenset[tuple[str, str]]:
        """Source and name of each of their files."""
        return frozenset((one.source, file_of(one.called)) for one in self.forgetting.records)

    @cached_property
    def called(self) -> frozenset[str]:
        """What they were dropped as, without what another recording is called, too."""
        return frozenset(map(file_of, (*(one.called for one in self.forgetting.records), *self.forgetting.names))) - self.left.names

    @cached_property
    def names_and_records(self) -> dict[str, str]:
        """Digest of each name that is theirs alone -> digest of a record that is called so."""
        of_files = {file_of(one.called): one for one in self.forgetting.records if file_of(one.called) in self.called}
        found = of_files | {one.called: one for one in self.forgetting.records}
        some = next(iter(self.forgetting.records), None)
        found |= {} if some is None else {name: some for name in self.forgetting.names if file_of(name) in self.called}
        return {self.names.hashed(name): self.digest(one.record_id) for name, one in found.items()}

    @cached_property
    def patients(self) -> frozenset[str]:
        """Hashes of patients of whom nothing is left."""
        return frozenset(self.forgetting.persons) - self.left.patients

    @cached_property
    def sources(self) -> frozenset[str]:
        """Digests of bytes that were theirs alone."""
        return frozenset(self.forgetting.sources)

    @cached_property
    def folders(self) -> frozenset[str]:
        """Folders of raw/ that hold bytes of theirs."""
        return frozenset(self.forgetting.folders)

    @cached_property
    def words(self) -> frozenset[str]:
        """All that stands for them alone in texts: an object of a run at work that has one of these goes."""
        names = {one.called for one in self.forgetting.records if file_of(one.called) in self.called}
        return self.ids | self.patients | self.sources | self.called | names | self.empty_shards

    def digest(self, name: str) -> str:
        """Return the digest that stays of a record's id or a patient's hash."""
        return digest_of(name, key=self.key)

    def is_whole(self, line: Input) -> bool:
        """Tell whether the line of a drop is of nothing but forgotten recordings."""
        file = (line.source, line.record_name)
        if file in self.files and file not in self.left.files:
            return True
        if {line.source, line.dropped} & self.sources:
            return True
        return line.record_name in self.called and file not in self.left.files

    def shares(self, line: Input) -> bool:
        """Tell whether other recordings are in the same drop as forgotten ones."""
        file = (line.source, line.record_name)
        return file in self.files and file in self.left.files


def find(store: ObjectStore, *, record_ids: Collection[str], patients: Collection[str]) -> list[tuple[ForgottenRecord, frozenset[str]]]:
    """Return the records of these ids or patients (keyed hashes), each with the hashes of its patient, by what is known of it now."""
    found = []
    for shard, index in _indexes(store):
        for record_id, source, called, *persons in _rows(index):
            if record_id in record_ids or not frozenset(persons).isdisjoint(patients):
                one = ForgottenRecord(record_id=record_id, shard=shard, source=source, called=called)
                found.append((one, frozenset(filter(None, persons))))
    return found


def record_ids(store: ObjectStore) -> Iterator[str]:
    """Yield the id of every record of the archive."""
    for _, index in _indexes(store):
        yield from index["record_id"]


def left_beside(store: ObjectStore, records: Iterable[ForgottenRecord], patients: frozenset[str]) -> Left:
    """Return what other records share with these; memory holds no more than that."""
    known = list(records)
    ids, shards = {one.record_id for one in known}, {one.shard for one in known}
    sources, names = {one.source for one in known}, {file_of(one.called) for one in known}
    rows = Counter[tuple[str, str, str]]()
    left: dict[str, set[str]] = {name: set() for name in ("shards", "sources", "names", "patients")}
    for shard, index in _indexes(store):
        for record_id, source, called, *persons in _rows(index):
            if record_id in ids:
                continue
            name = file_of(called)
            left["shards"] |= {shard} & shards
            left["sources"] |= {source} & sources
            left["names"] |= {name} & names
            left["patients"] |= patients.intersection(persons)
            if source in sources:
                rows[shard, source, name] += 1
    return Left(rows=rows, **{name: frozenset(values) for name, values in left.items()})


def completed(store: ObjectStore, forgetting: Forgetting) -> tuple[Forgetting, Left]:
    """Add all that can be found by now to what is written down; what was found before stays, for it may be gone from the archive."""
    found = find(store, record_ids=frozenset(forgetting.record_ids), patients=frozenset(forgetting.patients))
    records = {one.record_id: one for one in (*(one for one, _ in found), *forgetting.records)}
    persons = frozenset(forgetting.persons).union(forgetting.patients, *(of_record for _, of_record in found))
    left = left_beside(store, records.values(), persons)
    names = set(forgetting.names) | _aliases(store, records)
    wider = structs.replace(
        forgetting,
        records=tuple(sorted(records.values(), key=lambda one: one.record_id)),
        persons=tuple(sorted(persons)),
        names=tuple(sorted(names)),
        n_records=len(records),
    )
    return _with_bytes(store, wider, left), left


def _with_bytes(store: ObjectStore, forgetting: Forgetting, left: Left) -> Forgetting:
    """Add the digests of their bytes, by the accounts of all intakes, and the folders of raw/ that hold them."""
    own = {one.source for one in forgetting.records} - left.sources
    shared = {one.source for one in forgetting.records} & left.sources
    gone = Gone(
        forgetting=structs.replace(forgetting, sources=tuple(sorted(own | set(forgetting.sources)))),
        left=left,
        names=StoredNames(key=b"", keep=True),
        key=b"",
    )
    wanted, of_shared = set(own), set(shared)
    for line, is_archive_whole, manifest in _lines(store, gone):
        if gone.is_whole(line):
            wanted |= _digests(line)
        elif gone.shares(line):
            of_shared |= {file.sha256 for file in line.files if not file.member}
        if is_archive_whole:
            wanted |= {one.source for one in manifest.archives if line.files and one.key == line.files[0].key}
    others: set[str] = set()
    strangers: set[str] = set()
    for line, _, _ in _lines(store, gone):
        if not gone.is_whole(line):
            others |= _digests(line) & wanted
            strangers |= set() if gone.shares(line) else _digests(line) & (of_shared - shared)
    sources = (wanted - others - {""}) | set(forgetting.sources)
    folders = sources | (of_shared - strangers - {""}) | _tables_about(store, forgetting.records) | set(forgetting.folders)
    return structs.replace(forgetting, sources=tuple(sorted(sources)), folders=tuple(sorted(folders)))


def _lines(store: ObjectStore, gone: Gone) -> Iterator[tuple[Input, bool, IntakeManifest]]:
    """Yield every line of every account, and whether all that came in its archive is forgotten."""
    for manifest in read_manifests(store, IntakeManifest):
        mixed = {
            line.files[0].key
            for line in account_lists.inputs(store, manifest)
            if line.files and line.files[0].member and not gone.is_whole(line)
        }
        for line in account_lists.inputs(store, manifest):
            in_archive = bool(line.files and line.files[0].member)
            yield line, in_archive and line.files[0].key not in mixed, manifest


def _digests(line: Input) -> set[str]:
    return {line.source, line.dropped} | {digest for file in line.files for digest in (file.sha256, file.dropped)}


def _tables_about(store: ObjectStore, records: Iterable[ForgottenRecord]) -> set[str]:
    """Return the folders of raw/ with the label tables by which something is known of the records.

    A row may name a record in the table's own folder, whose name is stored nowhere but in digests of whole paths. So a table is found by
    what labels have of it: what it is called, and when it came.
    """
    ids = [one.record_id for one in records]
    told: set[tuple[str, str]] = set()
    for data in store.get_many([*store.list_keys(keys.LABELS), *store.list_keys(keys.CLASSES)]):
        columns = tables.load(data, ["who", "when"], of_records=ids)
        told.update(zip(columns["who"], columns["when"], strict=True))
    listed = (one for manifest in read_manifests(store, IntakeManifest) for one in manifest.labels.tables)
    etags = {one.etag for one in listed if (f"{SOURCE}{one.key.removeprefix(keys.INBOX)}", one.modified) in told}
    there = (item for item in store.list_objects(keys.RAW) if item.etag in etags) if etags else ()
    return {item.key.split("/")[1] for item in there if is_label_table(item.key)}


def _aliases(store: ObjectStore, records: Mapping[str, ForgottenRecord]) -> set[str]:
    """Return what else records were dropped as."""
    found: set[str] = set()
    for data in store.get_many(store.list_keys(keys.ALIASES)):
        found.update(tables.load(data, ["name"], of_records=records)["name"])
    return found


def _indexes(store: ObjectStore) -> Iterator[tuple[str, tables.Columns]]:
    late = Descriptions.read(store)
    listed = store.list_keys(keys.RECORD_INDEX)
    for key, data in zip(listed, store.get_many(listed), strict=True):
        yield keys.stem(key), late.index(tables.load(data, ["record_id", "source", "name", "called", *tables.PERSON]))


def _rows(index: tables.Columns) -> Iterator[tuple[str, ...]]:
    """Yield id, source, by what it is found, and both hashes of the patient, empty where there is none, of each record."""
    hashes = ([one or "" for one in index[name]] for name in ("patient", "public_patient"))
    yield from zip(index["record_id"], index["source"], names_of(index), *hashes, strict=True)
