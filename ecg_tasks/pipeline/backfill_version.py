"""Here: the tasks of the DAG ``backfill_version``: a chosen version decides on all records, and how it differs. Not here: the page.

Predictions are named by their version, so they change no others; everything else is written below ``backfills/``.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from msgspec import structs

from ecg_tasks.archive import forgotten, keys, registry, tables
from ecg_tasks.archive.documents import (
    BackfillCounts,
    BackfillManifest,
    BackfillPin,
    ComparisonSummary,
    PinnedVersion,
    end_run,
    read,
    write,
)
from ecg_tasks.archive.labelling import labels_in_force
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.predictions import join_shard
from ecg_tasks.archive.task_log import counted, logged
from ecg_tasks.archive.workspace import now, open_store, write_jobs
from ecg_tasks.errors import ConfigurationError, offer
from ecg_tasks.evaluation.agreement import cohens_kappa
from ecg_tasks.evaluation.intervals import nan_to_none
from ecg_tasks.labels import Decision
from ecg_tasks.learning.version import SPEC, ModelSpec
from ecg_tasks.names import DagId
from ecg_tasks.pipeline import classify_records
from ecg_tasks.pipeline.champions import synthetic
from ecg_tasks.pipeline.champions.versions import metrics_of, pictures_of
from ecg_tasks.pipeline.reports import coverage, report_builder
from ecg_tasks.reporting.changes import ChangedRecord
from ecg_tasks.reporting.difference import Difference, render_difference
from ecg_tasks.reporting.model import ModelSummary
from ecg_tasks.settings import Settings
from ecg_tasks.signals.recipes import get_recipe

DAG = DagId.BACKFILL_VERSION
_CONTENT_TYPES = {"html": "text/html; charset=utf-8", "csv": "text/csv; charset=utf-8", "json": "application/json"}


@logged
def pin_versions(run_id: str, *, date: str, recipe: str, version: str, against: str = "") -> str:
    """Write down which versions are compared and which others decide beside them; returns the key of this pin.

    Parameters
    ----------
    version : decides on the whole archive
    against : what it is compared with; empty for the version that serves now

    Raises
    ------
    ConfigurationError
        If a version is not there, reads other pictures than are made now, would be compared with itself, or was trained on synthetic
        recordings where the bucket holds real ones.
    """
    settings = Settings.from_environment()
    store = open_store(settings)
    run = keys.run_key(run_id)
    pin_key = keys.staging(DAG, run, "pin.json")
    forgotten.fail_if_under_way(store)
    if store.exists(pin_key):
        return pin_key
    if recipe not in settings.recipes:
        raise ConfigurationError(f"{recipe} is not in use: ECG_RECIPES is {','.join(settings.recipes)}")
    champions = {name: registry.read_champion(store, name) for name in settings.recipes}
    serving = champions[recipe]
    against = against or (serving.version if serving else "")
    if not against or against == version:
        raise ConfigurationError(f"{recipe} {version} would be compared with {against or 'nothing'}: name another version")
    for one in (version, against):
        found = pictures_of(store, recipe, one)
        if found != get_recipe(recipe).key:
            raise ConfigurationError(
                f"{recipe} {one} reads the pictures {found}; made now are {get_recipe(recipe).key}"
                if found
                else f"there is no {recipe} version {one!r}{offer(one, registry.versions(store, recipe))}"
            )
        if obstacle := synthetic.obstacle(store, recipe, one):
            raise ConfigurationError(f"{recipe} {one} {obstacle}: it may not decide on them")
    beside = {
        name: PinnedVersion(version=champion.version, since=champion.since)
        for name, champion in champions.items()
        if champion is not None
        and pictures_of(store, name, champion.version) == get_recipe(name).key
        and not synthetic.obstacle(store, name, champion.version)
    }
    pin = BackfillPin(
        dag=DAG,
        run=run,
        run_id=run_id,
        date=date,
        created=now(),
        details=0,
        name=f"{recipe}-{version}-against-{against}",
        backfill=f"Every record decided on again by {recipe} {version}, which was chosen for this; other recipes by what serves.",
        recipe=recipe,
        version=version,
        against=against,
        champions=beside | {recipe: PinnedVersion(version=version, since=_standing(serving, version))},
        recipes=tuple(settings.recipes),
        scope="all",
        notes=(),
        ingests=coverage.ingests_to_report(store, scope="all", last=None),
    )
    return write(store, pin_key, pin)


@logged
def plan(pin: str) -> list[str]:
    """Find the shards on which one of the versions has not decided; returns the keys of the jobs."""
    settings = Settings.from_environment()
    store = open_store(settings)
    pinned = read(store, BackfillPin, pin)
    work = classify_records.undecided(store, sorted({*pinned.versions.items(), (pinned.recipe, pinned.against)}))
    counted(undecided_shards=len(work))
    return write_jobs(store, dag=DAG, run=pinned.run, jobs=classify_records.jobs_of(work, min_tasks=settings.min_tasks))


def classify_shard(job: str) -> str:
    """Decide on the shards of one job; returns the key of the result."""
    return classify_records.classify_shard(job)


@logged
def write_difference(pin: str, results: Sequence[str], *, pages: str = "") -> str:
    """Write the report of the chosen version, how it differs from the other, and the manifest; returns the key of the difference page.

    ``pages`` is the address of the web interface's pages, for the column of the table that leads there.
    """
    store = open_store()
    pinned = read(store, BackfillPin, pin)
    report = report_builder.write_report(store, pinned, pages=pages)
    difference = _difference(store, pinned)
    page = keys.backfill(pinned.name, "index.html")
    for path, content in render_difference(difference):
        store.put(keys.backfill(pinned.name, path), content, content_type=_CONTENT_TYPES[path.rsplit(".", 1)[-1]])
    counts = BackfillCounts(
        records=report.counts.records,
        compared=difference.agreement.n,
        changed=len(difference.changed),
        pending=report.counts.pending,
    )
    counted(**structs.asdict(counts))
    manifest = BackfillManifest(
        dag=DAG,
        run=pinned.run,
        counts=counts,
        recipe=pinned.recipe,
        version=pinned.version,
        against=pinned.against,
        champions=pinned.champions,
        shards=tuple(classify_records.shards_of(store, results)),
        report=report.index_key,
        page=page,
    )
    end_run(store, manifest)
    return page


def headline(page: str) -> str:
    """Return one sentence of a difference, given as `write_difference` returns it."""
    found = read(open_store(), ComparisonSummary, summary_key(page))
    before, after = (one.version for one in found.versions)
    return f"backfill: {found.changed:,} of {found.records:,} records decided otherwise by {found.recipe} {after} than by {before}"


def summary_key(page: str) -> str:
    """Return the key of the JSON that holds what a difference page shows."""
    return page.replace("index.html", "summary.json")


def _difference(store: ObjectStore, pinned: BackfillPin) -> Difference:
    recipe, champion = pinned.recipe, registry.read_champion(store, pinned.recipe)
    counts: Counter[tuple[Decision, Decision]] = Counter()
    changed: list[ChangedRecord] = []
    before_all: list[str] = []
    after_all: list[str] = []
    moved, n_evaluated, n_synthetic = 0.0, 0, 0
    labels = {record_id: entry.label for record_id, entry in labels_in_force(store).items()}
    for before, after in _spoken(store, recipe, pinned.against, pinned.version):
        place = {record_id: row for row, record_id in enumerate(after["record_id"])}
        rows = [place[record_id] for record_id in before["record_id"]]
        p_before, p_after = np.asarray(before["probability"], float), np.asarray(after["probability"], float)[rows]
        evaluated = ~np.isnan(p_before) & ~np.isnan(p_after)
        moved += float(np.abs(p_after - p_before)[evaluated].sum())
        n_evaluated += int(evaluated.sum())
        n_synthetic += int(np.sum(before["synthetic"]))
        for row, record_id in enumerate(before["record_id"]):
            one, other = Decision(before["decision"][row]), Decision(after["decision"][rows[row]])
            counts[one, other] += 1
            before_all.append(one.value)
            after_all.append(other.value)
            if one != other:
                changed.append(
                    ChangedRecord(
                        record_id=record_id,
                        name=before["name"][row],
                        before=one,
                        after=other,
                        probability_before=nan_to_none(p_before[row]),
                        probability_after=nan_to_none(p_after[row]),
                        label=labels.get(record_id),
                    )
                )
    return Difference(
        run_id=pinned.run_id,
        dag=DAG,
        created_utc=pinned.created,
        before=version_summary(store, recipe, pinned.against, champion),
        after=version_summary(store, recipe, pinned.version, champion),
        counts=counts,
        changed=changed,
        agreement=cohens_kappa(before_all, after_all),
        mean_change=moved / n_evaluated if n_evaluated else None,
        n_synthetic=n_synthetic,
    )


def _spoken(store: ObjectStore, recipe: str, before: str, after: str) -> Iterator[tuple[tables.Columns, tables.Columns]]:
    """Yield what both versions said of every shard on which both have decided."""
    found: dict[str, set[str]] = {}
    for key in store.list_keys(f"{keys.PREDICTIONS}{recipe}/"):
        found.setdefault(key.split("/")[2], set()).add(keys.stem(key))
    columns = ("record_id", "name", "synthetic", "probability", "decision")
    for shard in sorted(shard for shard, versions in found.items() if {before, after} <= versions):
        yield (
            join_shard(store, shard, {recipe: before}, columns).columns,
            join_shard(store, shard, {recipe: after}, columns).columns,
        )


def version_summary(store: ObjectStore, recipe: str, version: str, champion: registry.Champion | None) -> ModelSummary:
    """Return what is said of a version beside another one: what it is, how it stands, and what its test showed."""
    spec = ModelSpec.from_json(store.get(keys.model_file(recipe, version, SPEC)))
    metrics = metrics_of(store, recipe, version)
    digest = store.sha256([keys.model_file(recipe, version, registry.SUMS)])
    return report_builder.model_summary(spec, metrics, digest=digest, since=_standing(champion, version))


def _standing(champion: registry.Champion | None, version: str) -> str:
    if champion is not None and champion.version == version:
        return f"serves since {champion.since[:10]}"
    served = champion is not None and any(one.version == version for one in champion.history)
    return "served before" if served else "does not serve"
