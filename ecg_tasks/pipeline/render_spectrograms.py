"""Here: the tasks of the DAG ``render_spectrograms``: records/ to spectrograms/ and measurements/.

Not here: what is drawn (``signals.rendering``) or measured (``signals.measurements``).
"""

from collections.abc import Sequence

from ecg_tasks.archive import forgotten, keys, record_shards, tables
from ecg_tasks.archive.documents import (
    RenderCounts,
    RenderedShard,
    RenderJob,
    RenderManifest,
    RenderResult,
    Undrawn,
    end_run,
    read,
    read_many,
    write,
)
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.task_log import counted, logged
from ecg_tasks.archive.workspace import open_store, result_key, shared, write_jobs
from ecg_tasks.names import DagId
from ecg_tasks.settings import Settings
from ecg_tasks.signals import measurements
from ecg_tasks.signals.beat_length import beat_lengths_s
from ecg_tasks.signals.recipes import Recipe, get_recipe
from ecg_tasks.signals.record import Record

DAG = DagId.RENDER_SPECTROGRAMS
SHARDS_PER_TASK = 8
RECORDS_AT_ONCE, SAMPLES_AT_ONCE = 512, 2_000_000
"""Records that are drawn together, and samples of the leads that are read of them, at most: what is computed of them stays near the
processor, and is a fraction of what a whole shard would take."""


@logged
def plan(run_id: str) -> list[str]:
    """Find the shards that lack pictures of a recipe in use, or measurements: differences of listings. Returns the keys of the jobs."""
    settings = Settings.from_environment()
    store = open_store(settings)
    run = keys.run_key(run_id)
    forgotten.fail_if_under_way(store)
    missing: dict[str, list[str]] = {}
    for name in settings.recipes:
        for shard in unrendered(store, get_recipe(name)):
            missing.setdefault(shard, []).append(name)
    to_measure = unmeasured(store)
    work = [
        Undrawn(shard=shard, recipes=tuple(missing.get(shard, ())), unmeasured=shard in to_measure)
        for shard in sorted(missing.keys() | to_measure)
    ]
    if not work:
        _write_manifest(store, run, [])
    counted(shards=len(work))
    shares = shared(work, size=SHARDS_PER_TASK, min_tasks=settings.min_tasks)
    return write_jobs(store, dag=DAG, run=run, jobs=(RenderJob(shards=tuple(share)) for share in shares))


@logged
def render_shard(job: str) -> str:
    """Render and measure the shards of one job; returns the key of the result."""
    store = open_store()
    if not store.exists(result_key(job)):
        done: list[RenderedShard] = []
        for item in read(store, RenderJob, job).shards:
            shard = record_shards.load_shard(store.get(keys.record_shard(item.shard)))
            if item.unmeasured:
                measure_one(store, item.shard, shard)
                counted(records_measured=len(shard))
            drawn = [render_one(store, item.shard, shard, get_recipe(name)) for name in item.recipes]
            counted(shards=1, records=len(shard), records_drawn=sum(one.taken for one in drawn), pictures=sum(one.windows for one in drawn))
            done += drawn
        write(store, result_key(job), RenderResult(shards=tuple(done)))
    return result_key(job)


@logged
def publish(run_id: str, results: Sequence[str]) -> str:
    """Write the run's manifest; returns its key."""
    store = open_store()
    return _write_manifest(store, keys.run_key(run_id), [item for part in read_many(store, RenderResult, results) for item in part.shards])


def unrendered(store: ObjectStore, recipe: Recipe) -> list[str]:
    """Return names of the shards without pictures of this recipe."""
    rendered = {keys.stem(key) for key in store.list_keys(keys.spectrograms_of(recipe.key))}
    return [shard for key in store.list_keys(keys.RECORDS) if (shard := keys.stem(key)) not in rendered]


def unmeasured(store: ObjectStore) -> set[str]:
    """Return names of the shards whose records are not measured by today's method."""
    measured = {keys.stem(key) for key in store.list_keys(keys.measurements_by(measurements.METHOD))}
    return {keys.stem(key) for key in store.list_keys(keys.RECORDS)} - measured


def measure_one(store: ObjectStore, shard_name: str, shard: Sequence[record_shards.StoredRecord]) -> None:
    """Measure the records of one shard, and write what was found."""
    measured = measurements.measure_all([stored.record for stored in shard])
    rows = [one.row | {"record_id": stored.record.record_id} for one, stored in zip(measured, shard, strict=True)]
    columns = {name: [row[name] for row in rows] for name in tables.MEASUREMENTS.names}
    store.put(keys.measurements(measurements.METHOD, shard_name), tables.dump(tables.MEASUREMENTS, columns))


def render_one(store: ObjectStore, shard_name: str, shard: Sequence[record_shards.StoredRecord], recipe: Recipe) -> RenderedShard:
    """Render one shard by one recipe, write the pictures, and return the counts."""
    records = [stored.record for stored in shard if recipe.accepts(stored.record)]
    n_read = len(recipe.windowing.leads) * max((record.n_samples for record in records), default=1)
    at_once = min(RECORDS_AT_ONCE, max(1, SAMPLES_AT_ONCE // n_read))
    parts = [_pictures(records[start : start + at_once], recipe) for start in range(0, len(records), at_once)]
    columns = tables.concatenate(parts) if parts else {name: [] for name in tables.SPECTROGRAMS.names}
    store.put(keys.spectrograms(recipe.key, shard_name), tables.dump(tables.SPECTROGRAMS, columns))
    return RenderedShard(
        shard=shard_name,
        recipe=recipe.key,
        records=len(shard),
        taken=len(records),
        windows=sum(png != b"" for png in columns["png"]),
    )


def _pictures(records: Sequence[Record], recipe: Recipe) -> tables.Columns:
    rendered = recipe.render(records)
    return {
        "record_id": [records[row].record_id for row in rendered.record],
        "window": rendered.window,
        "start_s": rendered.start_s,
        "quality": rendered.quality,
        "flags": rendered.flags,
        "seconds_read": rendered.read,
        "beat_s": beat_lengths_s(records)[rendered.record],
        "png": rendered.png,
    }


def _write_manifest(store: ObjectStore, run: str, done: Sequence[RenderedShard]) -> str:
    totals = {name: sum(getattr(item, name) for item in done) for name in RenderCounts.__struct_fields__}
    counted(**totals)
    manifest = RenderManifest(dag=DAG, run=run, counts=RenderCounts(**totals), shards=tuple(done))
    return end_run(store, manifest)
