"""Here: where a model version comes from: files, data set, training, decisions. Not here: records and reports (``tracing``)."""

from collections.abc import Iterable, Mapping

import msgspec

from ecg_tasks.archive import keys, registry, tables
from ecg_tasks.archive.documents import Code, RetrainManifest, prepared
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.parallel import bounded_parallel_map
from ecg_tasks.archive.replaced import Replacements
from ecg_tasks.errors import MissingObjectError, ModelRefusedError
from ecg_tasks.learning.version import METRICS, SPEC, Metrics, ModelSpec
from ecg_tasks.queries.lineage.links import Link, LinkState, code_link, raw_link
from ecg_tasks.queries.lineage.runs import RunLinks, unknown_run


def version_link(store: ObjectStore, runs: RunLinks, recipe: str, version: str, *, deep: bool) -> Link:
    """Return a version with every file held against its checksums; ``deep`` follows its data set down to the dropped bytes."""
    name = f"{recipe}/{version}"
    try:
        files = registry.read_version(store, recipe, version)
        spec, metrics = ModelSpec.from_json(files[SPEC]), Metrics.from_json(files[METRICS])
    except (MissingObjectError, ModelRefusedError) as error:
        return Link(what="version", name=name, state=LinkState.BROKEN, sentence=str(error))
    changed = registry.changed_files(files)
    metadata = {field: str(getattr(spec, field)) for field in ("recipe_digest", "network", "seed", "threshold", "synthetic")}
    return Link(
        what="version",
        name=name,
        state=LinkState.BROKEN if changed else LinkState.CHECKED,
        sentence=f"{', '.join(changed)}: another SHA-256 than SHA256SUMS has" if changed else f"{len(files) - 1} files have their SHA-256",
        metadata=metadata | {"digest": registry.digest(files)},
        beneath=(
            code_link(msgspec.convert(spec.code, prepared(Code) | None)),
            *_decisions(store, recipe, version),
            _training(runs, recipe, version),
            _dataset(store, spec.dataset_id, metrics.provenance, deep=deep),
        ),
    )


def recipes_with(store: ObjectStore, version: str) -> list[str]:
    """Return the recipes that have a version of this name."""
    return [recipe for recipe in store.list_folders(keys.MODELS) if registry.has_version(store, recipe, version)]


def _training(runs: RunLinks, recipe: str, version: str) -> Link:
    """Return the run that trained it; a version that came with the installation has none here."""
    wrote = keys.model_file(recipe, version, registry.SUMS)
    manifest = runs.that(RetrainManifest, lambda one: (one.recipe, one.version) == (recipe, version), wrote=wrote)
    if manifest is None:
        return unknown_run(RetrainManifest.DAG, "no run of this bucket trained it: it came with the installation, or from elsewhere")
    return runs.link(manifest)


def _decisions(store: ObjectStore, recipe: str, version: str) -> Iterable[Link]:
    """Yield when it served and was rejected, and who decided that."""
    decided = registry.read_decisions(store, recipe)
    for one in decided.services if decided else ():
        if one.version == version:
            yield Link(
                what="decision", name=one.action, state=LinkState.RECORDED, metadata={"who": one.who, "why": one.why, "since": one.since}
            )
    for other in decided.rejections if decided else ():
        if other.version == version:
            yield Link(
                what="decision",
                name="rejected",
                state=LinkState.RECORDED,
                metadata={"who": other.who, "why": other.why, "when": other.when},
            )


def _dataset(store: ObjectStore, dataset_id: str, provenance: Mapping[str, str], *, deep: bool) -> Link:
    """Return the data set, held against what the version's metrics have of it, and the dropped bytes of its records."""
    digests, replaced = {}, Replacements.read(store)
    for name, file in (("manifest_sha256", "manifest.json"), ("split_sha256", "split.parquet")):
        try:
            key = keys.dataset(dataset_id, file)
            digests[name] = replaced.digest_before(key, store.sha256([key]))
        except MissingObjectError:
            return Link(what="dataset", name=dataset_id, state=LinkState.ABSENT, sentence="it is not in this bucket")
    rows = tables.load(store.get(keys.dataset(dataset_id, "split.parquet")), ["record_id", "shard"])
    metadata = {"records": f"{tables.n_rows(rows):,}", **digests}
    if not provenance:
        state, sentence = LinkState.RECORDED, "the version does not say which SHA-256 it had"
    elif digests == {name: provenance.get(name) for name in digests}:
        state, sentence = LinkState.CHECKED, "manifest and split have the SHA-256 that the version names"
    else:
        state, sentence = LinkState.BROKEN, "manifest or split is not what the version was trained on"
    beneath = tuple(_sources(store, rows)) if deep else ()
    return Link(what="dataset", name=dataset_id, state=state, sentence=sentence, metadata=metadata, beneath=beneath)


def _sources(store: ObjectStore, rows: tables.Columns) -> Iterable[Link]:
    """Yield the dropped bytes of each record of a data set, each once."""
    wanted, shards = set(rows["record_id"]), sorted(set(rows["shard"]))
    there = [shard for shard in shards if store.exists(keys.record_index(shard))]
    for shard in sorted(set(shards) - set(there)):
        yield Link(what="shard", name=shard, state=LinkState.BROKEN, sentence="its records are gone")
    sources = set()
    for data in store.get_many(keys.record_index(shard) for shard in there):
        index = tables.load(data, ["record_id", "source"])
        sources |= {source for record_id, source in zip(index["record_id"], index["source"], strict=True) if record_id in wanted}
    yield from bounded_parallel_map(lambda source: raw_link(store, source), sorted(sources))
