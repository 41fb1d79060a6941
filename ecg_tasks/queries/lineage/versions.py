"""Here: where a model version comes from: files, data set, training, decisions. Not here: records and reports (``tracing``)."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from ecg_tasks.archive import keys, registry, tables
from ecg_tasks.archive.ahead import map_ahead
from ecg_tasks.archive.object_store import MissingObjectError, ObjectStore
from ecg_tasks.learning.version import METRICS, SPEC
from ecg_tasks.queries.lineage.links import Link, State, code_link, raw_link
from ecg_tasks.queries.lineage.runs import RETRAIN, Runs

_AT_ONCE = 8


def version_link(store: ObjectStore, runs: Runs, recipe: str, version: str, *, deep: bool) -> Link:
    """A version with every file held against its checksums; ``deep`` follows its data set down to the dropped bytes."""
    try:
        files = registry.read_version(store, recipe, version)
    except MissingObjectError as error:
        return Link(what="version", name=f"{recipe}/{version}", state=State.BROKEN, sentence=str(error))
    wrong = _changed(files)
    spec, metrics = json.loads(files[SPEC]), json.loads(files[METRICS])
    told = {name: str(spec[name]) for name in ("recipe_digest", "network", "seed", "threshold", "synthetic")}
    told["digest"] = registry.digest(files)
    return Link(
        what="version",
        name=f"{recipe}/{version}",
        state=State.BROKEN if wrong else State.CHECKED,
        sentence=f"{', '.join(wrong)}: another SHA-256 than SHA256SUMS has" if wrong else f"{len(files) - 1} files have their SHA-256",
        told=told,
        beneath=(
            code_link(spec["training"].get("code")),
            *_decisions(store, recipe, version),
            _training(runs, recipe, version),
            _dataset(store, spec["dataset_id"], metrics.get("provenance", {}), deep=deep),
        ),
    )


def recipes_with(store: ObjectStore, version: str) -> list[str]:
    """The recipes that have a version of this name."""
    return [recipe for recipe in store.list_folders(keys.MODELS) if registry.has_version(store, recipe, version)]


def _changed(files: Mapping[str, bytes]) -> list[str]:
    sums = [line.split(maxsplit=1) for line in files[registry.SUMS].decode().splitlines() if line]
    return [name for digest, name in sums if hashlib.sha256(files[name.lstrip("*")]).hexdigest() != digest]


def _training(runs: Runs, recipe: str, version: str) -> Link:
    """The run that trained it; a version that came with the installation has none here."""

    def trained(manifest: Mapping[str, Any]) -> bool:
        return (manifest.get("recipe"), manifest.get("version")) == (recipe, version)

    manifest = runs.that(RETRAIN, trained, wrote=keys.model_file(recipe, version, registry.SUMS))
    if manifest is None:
        sentence = "no run of this bucket trained it: it came with the installation, or from elsewhere"
        return Link(what=RETRAIN, name="none", state=State.ABSENT, sentence=sentence)
    return runs.link(manifest)


def _decisions(store: ObjectStore, recipe: str, version: str) -> Iterable[Link]:
    """When it served and was rejected, by whose word."""
    decided = registry.read_decisions(store, recipe)
    if decided is None:
        return
    for one in decided.services:
        if one.version == version:
            yield Link(what="decision", name=one.action, state=State.TOLD, told={"who": one.who, "why": one.why, "since": one.since})
    for other in decided.rejections:
        if other.version == version:
            yield Link(what="decision", name="rejected", state=State.TOLD, told={"who": other.who, "why": other.why, "when": other.when})


def _dataset(store: ObjectStore, dataset_id: str, provenance: Mapping[str, str], *, deep: bool) -> Link:
    """The data set, held against what the version's metrics have of it, and the dropped bytes of its records."""
    digests = {}
    for name, file in (("manifest_sha256", "manifest.json"), ("split_sha256", "split.parquet")):
        try:
            digests[name] = store.sha256([keys.dataset(dataset_id, file)])
        except MissingObjectError:
            return Link(what="dataset", name=dataset_id, state=State.ABSENT, sentence="it is not in this bucket")
    rows = tables.load(store.get(keys.dataset(dataset_id, "split.parquet")), ["record_id", "shard"])
    told = {"records": f"{tables.n_rows(rows):,}", **digests}
    if not provenance:
        state, sentence = State.TOLD, "the version does not say which SHA-256 it had"
    elif digests == {name: provenance.get(name) for name in digests}:
        state, sentence = State.CHECKED, "manifest and split have the SHA-256 that the version names"
    else:
        state, sentence = State.BROKEN, "manifest or split is not what the version was trained on"
    beneath = tuple(_sources(store, rows)) if deep else ()
    return Link(what="dataset", name=dataset_id, state=state, sentence=sentence, told=told, beneath=beneath)


def _sources(store: ObjectStore, rows: tables.Columns) -> Iterable[Link]:
    """The dropped bytes of each record of a data set, each once."""
    wanted, shards = set(rows["record_id"]), sorted(set(rows["shard"]))
    there = [shard for shard in shards if store.exists(keys.record_index(shard))]
    for shard in sorted(set(shards) - set(there)):
        yield Link(what="shard", name=shard, state=State.BROKEN, sentence="its records are gone")
    sources = set()
    for data in store.get_many(keys.record_index(shard) for shard in there):
        index = tables.load(data, ["record_id", "source"])
        sources |= {source for record_id, source in zip(index["record_id"], index["source"], strict=True) if record_id in wanted}
    yield from map_ahead(lambda source: raw_link(store, source), sorted(sources), at_once=_AT_ONCE)
