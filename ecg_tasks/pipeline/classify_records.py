"""Here: tasks of ``classify_records``: spectrograms/ to predictions/ and a report. Not here: what that holds (``report_builder``)."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime

import numpy as np
from msgspec import structs

from ecg_tasks.archive import audit, forgotten, keys, record_shards, registry, tables
from ecg_tasks.archive.documents import (
    ClassifiedShard,
    ClassifyJob,
    ClassifyManifest,
    ClassifyResult,
    PinnedVersion,
    ReportPin,
    Undecided,
    end_run,
    plain,
    read,
    read_many,
    write,
)
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.task_log import counted, logged
from ecg_tasks.archive.workspace import now, open_store, result_key, shared, write_jobs
from ecg_tasks.errors import ConfigurationError, StoreConflictError
from ecg_tasks.learning.serving import Classifier
from ecg_tasks.learning.version import GOLDEN, SPEC, ModelSpec
from ecg_tasks.names import DagId
from ecg_tasks.pipeline.champions import synthetic
from ecg_tasks.pipeline.champions.hand_over import hand_over, obstacle
from ecg_tasks.pipeline.champions.versions import pictures_of
from ecg_tasks.pipeline.decided import write_snapshot
from ecg_tasks.pipeline.monitoring import drift
from ecg_tasks.pipeline.reports import comparing, coverage, report_builder
from ecg_tasks.settings import Settings
from ecg_tasks.signals.recipes import Recipe, get_recipe, recipe_of

DAG = DagId.CLASSIFY_RECORDS
SHARDS_PER_TASK = 8
PATIENCE_S = 30.0
"""So long a task waits for an intake before it gives its slot back."""
_LOOKS_S = 1.0
_WINDOWS_AT_ONCE = 512
SCOPES = ("new", "all")


def is_intake_over(*, until: str, patience_s: float = PATIENCE_S) -> bool:
    """Return whether a run that shall have what was dropped may begin: all is taken over and drawn, or it is past ``until`` (ISO 8601).

    Asked once more each second for ``patience_s``: a look costs a hundredth of the start of a task that would ask again.
    """
    settings, ends = Settings.from_environment(), time.monotonic() + patience_s
    store, last = open_store(settings), datetime.fromisoformat(until)
    while datetime.now(UTC) < last and not coverage.is_intake_over(store, recipes=settings.recipes):
        if time.monotonic() >= ends:
            return False
        time.sleep(_LOOKS_S)
    return True


@logged
def pin_champion(run_id: str, date: str, scope: str = "new", details: int = 200, run_type: str = "") -> str:
    """Write down which versions decide in this run and which records its report covers; returns the key of this pin.

    ``scope`` is ``new`` (what was taken in since the last report, and the records that were pending then) or ``all``.

    Raises
    ------
    ConfigurationError
        If there is no such scope, or ``run_type`` is Airflow's ``backfill``.
    """
    if run_type == "backfill":
        raise ConfigurationError(
            "a report of a past date cannot be made again: each covers what came since the report before it, and Airflow runs the dates of"
            " a backfill side by side. Run classify_records with scope `all`, or backfill_version to let another version decide"
        )
    if scope not in SCOPES:
        raise ConfigurationError(f"{scope=}; it must be one of {', '.join(SCOPES)}")
    settings = Settings.from_environment()
    store = open_store(settings)
    run = keys.run_key(run_id)
    pin_key = keys.staging(DAG, run, "pin.json")
    forgotten.fail_if_under_way(store)
    if not store.exists(pin_key):
        champions: dict[str, PinnedVersion] = {}
        why: dict[str, str] = {}
        notes: list[str] = []
        for name in settings.recipes:
            who, before = f"{DAG}/{run}", registry.read_champion(store, name)
            champion = hand_over(store, name, who=who)
            if champion is None:
                notes.append(
                    f"The {name} model {before.version} {obstacle(store, name, before.version)}."
                    if before
                    else f"There is no {name} model yet."
                )
            elif pictures_of(store, name, champion.version) != get_recipe(name).key:
                notes.append(f"The {name} model {champion.version} reads other pictures than are made now: train a new one.")
            else:
                champions[name] = PinnedVersion(version=champion.version, since=champion.since)
                why[name] = champion.why
                if champion.who == who:
                    notes.append(f"The {name} model {champion.version} serves from now on: {champion.why}.")
                elif champion.stands_in:
                    notes.append(f"The {name} model {champion.version} stands in: {champion.why}.")
        last = coverage.last_report(store)
        pin = ReportPin(
            run=run,
            run_id=run_id,
            date=date,
            created=now(),
            details=details,
            champions=champions,
            recipes=tuple(settings.recipes),
            scope=scope,
            notes=tuple(notes),
            ingests=coverage.ingests_to_report(store, scope=scope, last=last),
            before={} if last is None else {name: one.version for name, one in last.champions.items()},
            last=comparing.last_of(coverage.last_report(store, with_records=True)),
            why=why,
            trigger=run_type,
        )
        write(store, pin_key, pin)
        counted(champions=len(champions), intakes=len(pin.ingests.runs), carried_shards=len(pin.ingests.carried))
    return pin_key


def has_work(pin: str, *, run_type: str) -> bool:
    """Return whether a run that pictures started (Airflow's ``asset_triggered``) has anything to report; else its pin goes.

    The run before it may have decided on them already. Any other run reports in any case.
    """
    if run_type != "asset_triggered":
        return True
    store = open_store()
    pinned = read(store, ReportPin, pin)
    if pinned.ingests.runs or undecided(store, pinned.versions.items()):
        return True
    store.delete(pin)
    return False


@logged
def plan(pin: str) -> list[str]:
    """Find the shards on which a pinned version has not decided; returns the keys of the jobs."""
    settings = Settings.from_environment()
    store = open_store(settings)
    pinned = read(store, ReportPin, pin)
    work = undecided(store, pinned.versions.items())
    counted(undecided_shards=len(work))
    return write_jobs(store, dag=DAG, run=pinned.run, jobs=jobs_of(work, min_tasks=settings.min_tasks))


def jobs_of(work: Sequence[Undecided], *, min_tasks: int) -> Iterator[ClassifyJob]:
    """Deal shards out to tasks."""
    return (ClassifyJob(shards=tuple(share)) for share in shared(work, size=SHARDS_PER_TASK, min_tasks=min_tasks))


def undecided(store: ObjectStore, wanted: Iterable[tuple[str, str]]) -> list[Undecided]:
    """List recipe, version and shard of all pictures on which a version has not decided, version by version as ``wanted``.

    Shards with a real recording are not for a version that was trained on synthetic ones: they wait for another version.

    Parameters
    ----------
    wanted : recipe and version, each
    """
    archive = {keys.stem(key) for key in store.list_keys(keys.RECORDS)}
    work = []
    for name, version in wanted:
        rendered = {keys.stem(key) for key in store.list_keys(keys.spectrograms_of(get_recipe(name).key))} & archive
        decided = {key.split("/")[2] for key in store.list_keys(f"{keys.PREDICTIONS}{name}/") if keys.stem(key) == version}
        left = sorted(rendered - decided)
        if synthetic.is_synthetic(store, name, version):
            left = [shard for shard in left if not synthetic.holds_real(store, [shard])]
        work += [Undecided(recipe=name, version=version, shard=shard) for shard in left]
    return work


@logged
def classify_shard(job: str) -> str:
    """Decide on the shards of one job; returns the key of the result."""
    store = open_store()
    if not store.exists(result_key(job)):
        classifiers: dict[tuple[str, str], Classifier] = {}
        done = []
        for item in read(store, ClassifyJob, job).shards:
            version = (item.recipe, item.version)
            if version not in classifiers:
                classifiers[version] = load_champion(store, *version)
            classifier = classifiers[version]
            done.append(classify_one(store, classifier, recipe_of(item.recipe, classifier.spec.recipe_digest), item.shard))
            counted(shards=1, records=done[-1].records, windows=done[-1].windows)
        write(store, result_key(job), ClassifyResult(shards=tuple(done)))
    return result_key(job)


@logged
def write_report(pin: str, results: Sequence[str], *, pages: str = "") -> str:
    """Write the report of the run, then its manifest; returns the key of the report's first page.

    ``pages`` is the address of the web interface's pages, for the column of the table that leads there.
    """
    store = open_store()
    pinned = read(store, ReportPin, pin)
    done = shards_of(store, results)
    lights = drift.observe(store, pinned, done)
    summary = report_builder.write_report(store, pinned, drift=lights, pages=pages)
    counted(**structs.asdict(summary.counts))
    for name, version in pinned.versions.items():
        write_snapshot(store, name, version)
    detail = {"report": summary.index_key, "account": plain(summary.counts), "champions": plain(pinned.champions)}
    manifest = ClassifyManifest(
        audit=audit.append(store, who=f"{DAG}/{pinned.run}", action=audit.Action.CLASSIFY, subject=pinned.run, detail=detail),
        dag=DAG,
        run=pinned.run,
        counts=summary.counts,
        champions=pinned.champions,
        shards=tuple(done),
        ingests=pinned.ingests,
        report=summary.index_key,
        drift=tuple(lights),
        pending=tuple(summary.pending),
        waits=summary.waiting,
        changed=summary.n_changed,
        decisions=summary.decisions,
        trigger=pinned.trigger,
        scope=pinned.scope,
    )
    end_run(store, manifest)
    return summary.index_key


def shards_of(store: ObjectStore, results: Iterable[str]) -> list[ClassifiedShard]:
    """Gather what the tasks decided."""
    return [item for part in read_many(store, ClassifyResult, results) for item in part.shards]


def load_champion(store: ObjectStore, recipe: str, version: str) -> Classifier:
    """Load what a version decides with, with all its own checks: four of its files, a third of its bytes."""
    network = ModelSpec.from_json(store.get(keys.model_file(recipe, version, SPEC))).network_file
    return Classifier.from_files(registry.read_version(store, recipe, version, only=(SPEC, GOLDEN, network)))


def classify_one(store: ObjectStore, classifier: Classifier, recipe: Recipe, shard: str) -> ClassifiedShard:
    """Decide on one shard, write the predictions, and return the counts.

    Raises
    ------
    ConfigurationError
        If the version was trained on synthetic recordings, and a real one lies in the shard.
    """
    if classifier.spec.synthetic and synthetic.holds_real(store, [shard]):
        raise ConfigurationError(f"{recipe.name} {classifier.spec.version} was trained on synthetic recordings; {shard} holds real ones")
    spectrograms = tables.load(store.get(keys.spectrograms(recipe.key, shard)))
    ids, record = np.unique(np.array(spectrograms["record_id"], dtype=object), return_inverse=True)
    drawn = np.flatnonzero(spectrograms["window"] >= 0)
    outputs = np.concatenate(
        [np.zeros((0, classifier.n_outputs), np.float32)]
        + [
            classifier.predict_outputs(recipe.decode([spectrograms["png"][row] for row in part]))
            for part in np.split(drawn, range(_WINDOWS_AT_ONCE, len(drawn), _WINDOWS_AT_ONCE))
            if len(part)
        ]
    )
    sites = None
    if classifier.spec.sites:
        site = record_shards.sites_of(store.get(keys.record_index(shard)))
        sites = [site[record_id] for record_id in ids]
    decided = classifier.decide(record[drawn], outputs, spectrograms["quality"][drawn], n_records=len(ids), sites=sites)
    n_windows = np.bincount(record[drawn], minlength=len(ids))
    quality = np.bincount(record[drawn], weights=spectrograms["quality"][drawn], minlength=len(ids)) / np.maximum(n_windows, 1)
    flags: list[set[str]] = [set() for _ in ids]
    for row, found in enumerate(spectrograms["flags"]):
        flags[record[row]].update(filter(None, found.split(",")))
    first_row = np.unique(record, return_index=True)[1]
    beat_s = spectrograms.get("beat_s", np.full(len(record), np.nan))[first_row]
    seconds_read = spectrograms.get("seconds_read", [""] * len(record))
    columns = {
        "record_id": ids.tolist(),
        "probability": decided.probability,
        "decision": [decision.value for decision in decided.decision],
        "n_windows": n_windows,
        "n_used": decided.n_used,
        "quality": quality,
        "flags": [",".join(sorted(found)) for found in flags],
        "seconds_read": [seconds_read[row] for row in first_row.tolist()],
        "beat_s": beat_s,
    }
    for one in decided.classes:
        columns |= {f"p_{one.rule.name}": one.probability, f"class_{one.rule.name}": [decision.value for decision in one.decision]}
    schema = tables.predictions_with(one.rule.name for one in decided.classes)
    with suppress(StoreConflictError):  # what an earlier version of this program decided, in a run that was broken off, stays
        store.put(keys.predictions(recipe.name, shard, classifier.spec.version), tables.dump(schema, columns))
    return ClassifiedShard(shard=shard, recipe=recipe.name, version=classifier.spec.version, records=len(ids), windows=len(drawn))
