"""Here: taking identifiers out of a whole bucket, in an order that can be broken off anywhere. Not here: what each object becomes.

First everything new is written beside what is there, and the log gets the digests of what will be replaced. Then what was made of names
is replaced while these can still be read: reports before tables, tables before accounts. Accounts come last but for the bytes in raw/,
which go when no account names them. Who runs it again after a break finds done what was done, and does the rest.
"""

import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ecg_tasks.archive import account_lists, audit, catalog, keys
from ecg_tasks.archive.documents import (
    Deidentification,
    IntakeManifest,
    KindCounts,
    QuarantineReason,
    Replaced,
    find,
    read_manifests,
    write,
)
from ecg_tasks.archive.documents.manifests import with_counts_as_stored
from ecg_tasks.archive.object_store import ObjectStore, forgetting
from ecg_tasks.archive.replaced import WHO, log_replacements
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.archive.workspace import now
from ecg_tasks.errors import ConfigurationError
from ecg_tasks.names import DagId
from ecg_tasks.parsing.asking import Parser
from ecg_tasks.pipeline.deidentification import accounts, known_names, stored
from ecg_tasks.pipeline.deidentification.copies import Copies
from ecg_tasks.pipeline.deidentification.known_names import KnownNames
from ecg_tasks.pipeline.deidentification.stored import StoredTables
from ecg_tasks.pipeline.deidentification.written import Written
from ecg_tasks.pipeline.intake.keeping import Keeping
from ecg_tasks.settings import Settings

_SPOKEN_S = 5.0
"""Between two sentences on how far it is."""
_WRITTEN = (keys.REPORTS, keys.BACKFILLS, *(f"{keys.MANIFESTS}{dag}/" for dag in DagId if dag is not DagId.INGEST_RECORDS))
_STAGING = tuple(keys.staging(dag, "", "").rstrip("/") + "/" for dag in DagId)
_JSON = "application/json"

Say = Callable[[str], None]


@dataclass
class _Progress:
    """How far it is, said every few seconds with the rate."""

    say: Say
    clock: Callable[[], float] = time.monotonic
    _kind: str = ""
    _done: int = 0
    _since: float = 0.0
    _spoken: float = 0.0

    def begin(self, kind: str) -> None:
        """Go on to objects of another kind."""
        self._kind, self._done, self._since = kind, 0, self.clock()
        self._spoken = self._since

    def tell(self) -> None:
        """Count one."""
        self._done += 1
        at = self.clock()
        if at - self._spoken >= _SPOKEN_S:
            self._spoken = at
            self.say(f"{self._kind}: {self._done:,} so far, {self._done / (at - self._since):,.0f} a second")


@dataclass
class _Changes:
    """Every change of the bucket goes through here: counted, and made unless it is a dry run."""

    store: ObjectStore
    dry_run: bool
    progress: _Progress
    kinds: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def put(self, kind: str, key: str, before: bytes, after: bytes, *, now: str = "") -> None:
        """Replace an object; under another key where ``now`` gives one: the new one is there before the old one goes."""
        self.progress.tell()
        moved = now not in {"", key}
        self._count(kind, "rewritten" if moved or after != before else "unchanged")
        if self.dry_run or (not moved and after == before):
            return
        kinds = {"json": _JSON, "html": "text/html; charset=utf-8", "csv": "text/csv; charset=utf-8"}
        self.store.replace(now or key, after, content_type=kinds.get(key.rpartition(".")[2], "application/octet-stream"))
        if moved:
            self.store.delete(key)

    def remove(self, kind: str, listed: Iterable[str]) -> None:
        """Remove objects."""
        going = list(listed)
        for _ in going:
            self.progress.tell()
            self._count(kind, "removed")
        if not self.dry_run:
            self.store.delete_many(going)

    def keep(self, kind: str) -> None:
        """Count an object that stays as it is."""
        self.progress.tell()
        self._count(kind, "unchanged")

    def _count(self, kind: str, what: str) -> None:
        self.kinds[kind].update({"objects": 1, what: 1})


def deidentify(store: ObjectStore, settings: Settings, *, run: str, dry_run: bool, say: Say, give_up: bool = False) -> Deidentification:
    """Do for all that a bucket holds what the door does for new drops; returns the account.

    Nothing else may write to the bucket meanwhile. Ids of records, decisions and counts stay as they are. Done a second time it changes
    nothing, and broken off anywhere and done again it ends the same.

    Parameters
    ----------
    run : a name for this run, unlike that of any other one
    dry_run : only tell what would be done
    give_up : remove what unfinished intakes left; what they had not taken over lies in the inbox and is read again

    Raises
    ------
    ConfigurationError
        If the settings keep names or bytes as they come, or an intake is not over.
    """
    _check(store, settings, give_up=give_up)
    progress = _Progress(say)
    changes = _Changes(store, dry_run, progress)
    broken_off = store.exists(keys.DEIDENTIFYING)
    if not dry_run:
        store.put(keys.DEIDENTIFYING, b"")
    progress.begin("names")
    known = known_names.collect(store, StoredNames.of(settings))
    say(f"names of files and records that are stored as they are: {len(known):,}")
    progress.begin("copies of drops")
    with Parser(required=settings.sandbox == "required") as parser:
        made = Copies(store, Keeping.of(settings), dry_run, progress.tell, parser.read)
        manifests = _manifests(store, made, known.names)
    rules = StoredTables(names=known.names, dates=settings.dates, sources=made.now)
    replaced = list(_replaced(store, manifests, rules, known))
    if replaced and not dry_run:
        log_replacements(store, run=run, objects=replaced)
    with forgetting():  # nothing is kept of what is replaced or removed
        _replace_written(changes, Written(known, dates=settings.dates))
        _replace_tables(changes, rules, known)
        _replace_quarantine(changes, known.names)
        _replace_accounts(changes, manifests, known.names)
        _remove_raw(changes, made)
        _remove_staging(changes)
        _replace_log(changes, known.names)
    account = Deidentification(
        run=run,
        at=now(),
        dry_run=dry_run,
        copies=made.account,
        kinds={kind: KindCounts(**counts) for kind, counts in sorted(changes.kinds.items())},
        replaced=len(replaced),
        withheld=tuple(made.withheld),
    )
    _check_sums(account)
    if not dry_run:
        _end(store, account, broken_off=broken_off)
    return account


def headline(account: Deidentification) -> list[str]:
    """Return an account in sentences."""
    would = "would be " if account.dry_run else ""
    found = account.copies
    lines = [
        (
            f"drops: {found.drops:,}; {found.copied:,} {would}kept as a copy without identifiers, {found.withheld:,} {would}withheld, "
            f"{found.as_they_were:,} as they were"
        )
    ]
    lines += [f"withheld, {why}: {n:,}" for why, n in found.why.items()]
    lines += [
        f"{kind}: objects: {one.objects:,}; {one.rewritten:,} {would}rewritten, {one.removed:,} {would}removed, {one.unchanged:,} unchanged"
        for kind, one in account.kinds.items()
    ]
    return lines


def _check(store: ObjectStore, settings: Settings, *, give_up: bool) -> None:
    if settings.keep_names:
        raise ConfigurationError("ECG_KEEP_NAMES is set, which keeps names as they are; start the stack without it first")
    if settings.raw_keeps == "as_dropped":
        raise ConfigurationError("ECG_RAW_KEEPS is as_dropped, which keeps bytes as they come; start the stack without it first")
    ended = {keys.stem(key) for key in store.list_keys(f"{keys.MANIFESTS}{DagId.INGEST_RECORDS}/")}
    runs = {key.split("/")[2] for prefix in _intakes() for key in store.list_keys(prefix) if key.count("/") > 2}  # noqa: PLR2004
    left = sorted(runs - ended)
    if left and not give_up:
        raise ConfigurationError(
            f"the intake {left[0]} is not over: let it end (clear its failed task), or give it up with --give-up: its files are in the "
            "inbox, and the next intake reads them"
        )


def _intakes() -> tuple[str, str]:
    return keys.INTAKES, keys.staging(DagId.INGEST_RECORDS, "", "").replace("//", "/")


@dataclass(frozen=True, kw_only=True)
class _Account:
    """The account of an intake: what stands there, what shall, and long lists that it names no more then."""

    key: str
    before: bytes
    after: bytes
    lists: tuple[str, ...]


def _manifests(store: ObjectStore, made: Copies, names: StoredNames) -> list[_Account]:
    """Make the copies of all drops, and the accounts that name them."""
    found = []
    for manifest in read_manifests(store, IntakeManifest):
        key = keys.manifest(manifest.dag, manifest.run)
        before = store.get(key)
        lines = made.lines(account_lists.inputs(store, manifest))
        changed = accounts.manifest(store, manifest, lines, names, dry_run=made.dry_run)
        lists = {manifest.inputs_table, manifest.quarantined_table} - {changed.inputs_table, changed.quarantined_table, ""}
        after = before if changed == manifest else with_counts_as_stored(changed, before)
        found.append(_Account(key=key, before=before, after=after, lists=tuple(sorted(lists))))
    return found


def _replaced(store: ObjectStore, manifests: Iterable[_Account], rules: StoredTables, known: KnownNames) -> Iterator[Replaced]:
    """Yield what will be other bytes under a key whose digest stands elsewhere."""
    pairs: list[tuple[str, bytes, bytes]] = [(one.key, one.before, one.after) for one in manifests]
    for key in _splits(store):
        data = store.get(key)
        pairs.append((key, data, rules.split(data, known)))
    for key in store.list_keys(keys.AUDIT):
        data = store.get(key)
        pairs.append((key, data, accounts.log_entry(data, known.names)))
    for key, before, after in pairs:
        if before != after:
            yield Replaced(key=key, before=hashlib.sha256(before).hexdigest(), after=hashlib.sha256(after).hexdigest())


def _splits(store: ObjectStore) -> list[str]:
    return [key for key in store.list_keys(keys.DATASETS) if key.endswith("/split.parquet")]


def _replace_written(changes: _Changes, written: Written) -> None:
    for prefix in (*_WRITTEN, *_STAGING):
        kind = prefix.partition("/")[0] if prefix.startswith(keys.STAGING) else prefix.rstrip("/")
        if kind == "staging" and prefix == _intakes()[1]:
            continue
        changes.progress.begin(kind)
        listed = changes.store.list_keys(prefix)
        for key, data in zip(listed, changes.store.get_many(listed), strict=True):
            changes.put(kind, key, data, written.changed(key, data))
    changes.progress.begin("decided")
    changes.remove("decided", changes.store.list_keys(keys.DECIDED))  # copies, which the next night makes again


def _replace_tables(changes: _Changes, rules: StoredTables, known: KnownNames) -> None:
    store = changes.store
    changes.progress.begin("records")
    for key in store.list_keys(keys.RECORD_INDEX):
        before = store.get(key)
        index = rules.index(before)
        changes.put("record_index", key, before, index)
        shard_key = keys.record_shard(keys.stem(key))
        if store.exists(shard_key):
            shard = store.get(shard_key)
            changes.put("records", shard_key, shard, rules.shard(shard, index))
    kinds: dict[str, Callable[[bytes], bytes]] = {
        keys.ALIASES: rules.aliases,
        keys.DESCRIPTIONS: rules.descriptions,
        keys.GROUPS: rules.groups,
    }
    for prefix, rule in kinds.items():
        changes.progress.begin(prefix.rstrip("/"))
        for key in store.list_keys(prefix):
            data = store.get(key)
            _put_named(changes, prefix, key, data, rule(data))
    for prefix in (keys.LABELS, keys.CLASSES):
        changes.progress.begin(prefix.rstrip("/"))
        parts = dict(zip(listed := store.list_keys(prefix), store.get_many(listed), strict=True))
        for key, data in stored.said(parts, known).items():
            _put_named(changes, prefix, key, parts[key], data)
    changes.progress.begin("datasets")
    for key in _splits(store):
        data = store.get(key)
        changes.put("datasets", key, data, rules.split(data, known))


def _put_named(changes: _Changes, prefix: str, key: str, before: bytes, after: bytes) -> None:
    name = key if before == after else stored.named_by_content(key, after)
    changes.put(prefix.rstrip("/"), key, before, after, now=name)


def _replace_quarantine(changes: _Changes, names: StoredNames) -> None:
    """Free entries of names, and of files, of which there is no copy; those of today go with their days, those put back are read first."""
    store = changes.store
    changes.progress.begin("quarantine")
    of_entry: defaultdict[str, list[str]] = defaultdict(list)
    for key in store.list_keys(keys.QUARANTINE):
        of_entry[key.split("/")[1]].append(key)
    for folder, listed in of_entry.items():
        key = keys.quarantine_reason(folder)
        reason = find(store, QuarantineReason, key)
        if reason is None:
            changes.remove("quarantine", listed)
            continue
        if accounts.is_of_today(reason, folder, names) or accounts.waits_in_inbox(store, folder):
            for _ in listed:
                changes.keep("quarantine")
            continue
        now, changed = accounts.quarantine_reason(store, reason, folder, names)
        closed = keys.quarantined_mark(folder, keys.CLOSED)
        if closed in listed and not changes.dry_run and now != folder:
            store.copy(closed, keys.quarantined_mark(now, keys.CLOSED))
        stays = {key} if now != folder else {key, closed}
        changes.remove("quarantine", (one for one in listed if one not in stays))
        changes.put("quarantine", key, b"", changed.to_json(), now=keys.quarantine_reason(now))
        if closed in stays and closed in listed:
            changes.keep("quarantine")


def _replace_accounts(changes: _Changes, manifests: Iterable[_Account], names: StoredNames) -> None:
    changes.progress.begin("accounts")
    for one in manifests:
        changes.put("accounts", one.key, one.before, one.after)
        changes.remove("account_lists", one.lists)
    for key in changes.store.list_keys(keys.TAKEN_OVER):
        data = changes.store.get(key)
        now, note = accounts.taken_archive(key, data, names)
        changes.put("taken_over", key, data, note.to_json(), now=now)


def _remove_raw(changes: _Changes, made: Copies) -> None:
    """Remove all bytes that no account names: drops as they came, tables, and what no account tells of."""
    changes.progress.begin("raw")
    going = []
    for key in changes.store.list_keys(keys.RAW):
        folder = f"{keys.RAW}{key.split('/')[1]}/"
        named = key in made.there if keys.digest_of_copies(key) else folder in made.there and made.is_called(key)
        if named:
            changes.keep("raw")
        else:
            going.append(key)
    changes.remove("raw", going)


def _remove_staging(changes: _Changes) -> None:
    """Remove what intakes left that are over: jobs and results have names, and nothing reads them again."""
    changes.progress.begin("staging")
    there = {keys.put_back(key.split("/")[1]) for key in changes.store.list_keys(keys.QUARANTINE) if key.endswith(f"/{keys.PUT_BACK}")}
    there |= {keys.CHECK_CATALOG, keys.REFUSED, keys.REFUSED_NAMES}
    for prefix in _intakes():
        changes.remove("staging", (key for key in changes.store.list_keys(prefix) if key not in there))


def _replace_log(changes: _Changes, names: StoredNames) -> None:
    changes.progress.begin("log")
    for key in changes.store.list_keys(keys.AUDIT):
        data = changes.store.get(key)
        changes.put("log", key, data, accounts.log_entry(data, names))


def _check_sums(account: Deidentification) -> None:
    found = account.copies
    if found.drops != found.copied + found.withheld + found.as_they_were or found.withheld != sum(found.why.values()):
        raise AssertionError(f"the counts of drops do not add up: {found}")
    for kind, one in account.kinds.items():
        if one.objects != one.rewritten + one.removed + one.unchanged:
            raise AssertionError(f"the counts of {kind} do not add up: {one}")


def _end(store: ObjectStore, account: Deidentification, *, broken_off: bool) -> None:
    """Make the catalogue of what stands now, write the account and the log's entry, and note that nothing is under way any more."""
    changed = any(one.rewritten or one.removed for one in account.kinds.values())
    if (changed or broken_off) and store.exists(keys.CATALOG_HEAD):
        with forgetting():
            catalog.rebuild(store)
    if changed or broken_off:
        write(store, keys.deidentified(account.run, "account.json"), account)
        sums: Mapping[str, int] = {name: sum(getattr(one, name) for one in account.kinds.values()) for name in KindCounts.__struct_fields__}
        drops = {name: getattr(account.copies, name) for name in ("drops", "copied", "withheld", "as_they_were")}
        audit.append(store, who=WHO, action=audit.Action.DEIDENTIFY, subject=account.run, detail={"objects": dict(sums), "drops": drops})
    store.delete(keys.DEIDENTIFYING)
