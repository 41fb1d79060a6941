"""Here: where a record, a run, a model version or a dropped file comes from, each link checked.

Not here: the links of runs (``runs``) and of versions (``versions``).
"""

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ecg_tasks.archive import keys, record_shards, tables
from ecg_tasks.archive.ahead import map_ahead
from ecg_tasks.archive.labelling import labels_in_force
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.workspace import find_json, get_json
from ecg_tasks.errors import ConfigurationError
from ecg_tasks.queries.lineage.links import Link, State, raw_link
from ecg_tasks.queries.lineage.runs import CLASSIFY, INGEST, RENDER, RETRAIN, Manifest, Runs
from ecg_tasks.queries.lineage.versions import recipes_with, version_link
from ecg_tasks.queries.records import shard_of
from ecg_tasks.signals.recipes import RECIPES, get_recipe


def trace(store: ObjectStore, name: str) -> Link:
    """Follow a thing back to the dropped bytes, the code and the training; every digest on the way is computed anew.

    Parameters
    ----------
    name : a record's id (32 hex digits), a model's version (or ``recipe/version``), the SHA-256 of dropped bytes, or a run's id

    Raises
    ------
    ConfigurationError
        If the bucket has nothing of this name.
    """
    runs = Runs(store)
    found: Link | None = None
    if re.fullmatch("[0-9a-f]{64}", name):
        found = _dropped(store, runs, name)
    elif re.fullmatch("[0-9a-f]{32}", name):
        found = _record(store, runs, name)
    if found is None and re.fullmatch("([a-z_]+/)?[0-9a-z]+", name):
        recipe, _, version = name.rpartition("/")
        recipes = [one for one in recipes_with(store, version) if recipe in {"", one}]
        if len(recipes) > 1:
            raise ConfigurationError(f"{' and '.join(recipes)} have a version {version}; say which: {recipes[0]}/{version}")
        found = version_link(store, runs, recipes[0], version, deep=True) if recipes else None
    if found is None and "/" not in name:
        manifest = runs.named(name)
        found = None if manifest is None else _run(store, runs, manifest)
    if found is None:
        raise ConfigurationError(
            f"nothing here is named {name!r}; it takes a record's id, a model's version, a run's id or a file's SHA-256"
        )
    return found


def _record(store: ObjectStore, runs: Runs, record_id: str) -> Link | None:
    shard = shard_of(store, record_id)
    if shard is None:
        return None
    columns = tables.load(store.get(keys.record_shard(shard)))
    stored = record_shards.find_record(columns, record_id)
    if stored is None:
        return Link(what="record", name=record_id, state=State.BROKEN, sentence=f"{keys.record_shard(shard)} does not hold it")
    record = replace(stored.record)  # without the id that was stored
    same = record.record_id == record_id
    whole = record_shards.shard_name(columns["record_id"]) == shard
    label = labels_in_force(store).get(record_id)
    said = () if label is None else (Link(what="label", name=label.label, state=State.TOLD, told={"who": label.who, "when": label.when}),)
    manifest = runs.that(INGEST, lambda one: shard in one["shards"], wrote=keys.record_shard(shard))
    return Link(
        what="record",
        name=record_id,
        state=State.CHECKED if same and whole else State.BROKEN,
        sentence="its id is that of its samples, and its shard's name that of its records"
        if same and whole
        else "its samples have another id"
        if not same
        else "its shard has other records than its name says",
        told={
            "dropped as": record.name,
            "signal": f"{len(record.leads)} leads, {record.fs:g} Hz, {record.n_samples} samples",
            "synthetic": str(record.synthetic).lower(),
            "shard": shard,
        },
        beneath=(_source(store, runs, stored.source, manifest), *said, *_said_of(store, runs, record_id, shard)),
    )


def _source(store: ObjectStore, runs: Runs, sha256: str, manifest: Manifest | None) -> Link:
    """The dropped bytes, and beneath them the run that took them over."""
    if manifest is None:
        none = Link(what=INGEST, name="unknown", state=State.ABSENT, sentence="no manifest names it")
        return raw_link(store, sha256, beneath=(none,))
    return raw_link(store, sha256, order=_order(manifest, sha256), beneath=(runs.link(manifest),))


def _order(manifest: Manifest, sha256: str) -> Sequence[str]:
    """Names of a drop's files in the order in which the intake took them."""
    drop = next((item for item in manifest["inputs"] if item["source"] == sha256), None)
    return [posixpath.basename(file["key"]) for file in drop["files"]] if drop else ()


def _said_of(store: ObjectStore, runs: Runs, record_id: str, shard: str) -> Iterator[Link]:
    """Every decision on a record, with the pictures and the version that it rests on."""
    for recipe in RECIPES:
        for key in store.list_keys(f"{keys.PREDICTIONS}{recipe}/{shard}/"):
            columns = tables.load(store.get(key), ["record_id", "decision", "probability"])
            if record_id not in columns["record_id"]:
                continue
            row, version = columns["record_id"].index(record_id), keys.stem(key)
            probability = float(columns["probability"][row])
            told = {"probability": "none" if np.isnan(probability) else f"{probability:.4f}", "key": key}
            made = {"shard": shard, "recipe": recipe, "version": version}
            beneath = (
                _made_by(runs, CLASSIFY, made, wrote=key),
                _pictures(store, runs, recipe, shard),
                version_link(store, runs, recipe, version, deep=False),
            )
            yield Link(what="decision", name=columns["decision"][row], state=State.TOLD, told=told, beneath=beneath)


def _pictures(store: ObjectStore, runs: Runs, recipe: str, shard: str) -> Link:
    key = keys.spectrograms(get_recipe(recipe).key, shard)
    if not store.exists(key):
        return Link(what="pictures", name=key, state=State.ABSENT, sentence="other pictures are made now than it was decided on")
    beneath = (_made_by(runs, RENDER, {"shard": shard, "recipe": get_recipe(recipe).key}, wrote=key),)
    return Link(what="pictures", name=key, state=State.TOLD, beneath=beneath)


def _made_by(runs: Runs, dag: str, made: Mapping[str, str], *, wrote: str) -> Link:
    manifest = runs.that(dag, lambda one: any(made.items() <= item.items() for item in one["shards"]), wrote=wrote)
    if manifest is None:
        return Link(what=dag, name="unknown", state=State.ABSENT, sentence="no manifest names it")
    return runs.link(manifest)


def _run(store: ObjectStore, runs: Runs, manifest: Manifest) -> Link:
    """A run, and what it worked on."""
    beneath: dict[str, Callable[[], tuple[Link, ...]]] = {
        INGEST: lambda: tuple(_taken_over(store, manifest)),
        CLASSIFY: lambda: tuple(_reported(store, runs, manifest)),
        RETRAIN: lambda: (version_link(store, runs, manifest["recipe"], manifest["version"], deep=True),),
    }
    return runs.link(manifest, beneath=beneath.get(manifest["dag"], tuple)())


def _reported(store: ObjectStore, runs: Runs, manifest: Manifest) -> Iterator[Link]:
    """A report, the versions that decided, and the intakes that it covers."""
    there = store.exists(manifest["report"])
    yield Link(what="report", name=manifest["report"], state=State.TOLD if there else State.BROKEN, sentence="" if there else "it is gone")
    for recipe, champion in manifest["champions"].items():
        yield version_link(store, runs, recipe, champion["version"], deep=False)
    for run in manifest["ingests"]["runs"]:
        intake: Manifest | None = find_json(store, keys.manifest(INGEST, run))
        if intake is None:
            yield Link(what=INGEST, name=run, state=State.BROKEN, sentence="its manifest is gone")
        elif intake["inputs"] or intake["labels"]["tables"]:
            yield runs.link(intake, beneath=tuple(_taken_over(store, intake)))


def _taken_over(store: ObjectStore, manifest: Manifest) -> Iterator[Link]:
    """The dropped bytes of a run, each once; what was refused unread lies in quarantine only."""
    drops = {item["source"]: item for item in manifest["inputs"] if item["source"]}

    def link(source: str) -> Link:
        refused = drops[source]["fate"] == "quarantined" and not store.list_keys(f"{keys.RAW}{source}/")
        if refused:
            return Link(what="quarantine", name=source, state=State.TOLD, sentence="refused unread: it lies in quarantine only")
        return raw_link(store, source, order=_order(manifest, source))

    yield from map_ahead(link, sorted(drops))


def _dropped(store: ObjectStore, runs: Runs, sha256: str) -> Link | None:
    """Dropped bytes: who took them over, what became of them."""
    found = store.list_keys(f"{keys.RAW}{sha256}/")
    refused = [get_json(store, key) for key in store.list_keys(f"{keys.QUARANTINE}{sha256}") if key.endswith(f"/{keys.REASON}")]
    if not found and not refused:
        return None
    became: list[Link] = []
    for shard in map(keys.stem, store.list_keys(keys.RECORD_INDEX)):
        index = tables.load(store.get(keys.record_index(shard)), ["record_id", "source"])
        ids = [record_id for record_id, source in zip(index["record_id"], index["source"], strict=True) if source == sha256]
        became += [Link(what="record", name=record_id, state=State.TOLD, told={"shard": shard}) for record_id in ids]
    for one in refused:
        told = {name: str(one[name]) for name in ("reason", "message")}
        became.append(Link(what="quarantine", name=one["name"], state=State.TOLD, told=told))
    if not found:
        return Link(what="quarantine", name=sha256, state=State.TOLD, sentence="refused unread", beneath=became)
    manifest = runs.that(INGEST, lambda one: any(item["source"] == sha256 for item in one["inputs"]), wrote=found[0])
    if manifest is None:  # one file of a drop of several
        whole = runs.that(INGEST, lambda one: any(_holds(item, sha256) for item in one["inputs"]), wrote=found[0])
        if whole is not None:
            of = [item["source"] for item in whole["inputs"] if _holds(item, sha256)]
            beneath = tuple(_source(store, runs, source, whole) for source in dict.fromkeys(of))
            return raw_link(store, sha256, beneath=(*beneath, *became))
    taken = _source(store, runs, sha256, manifest)
    return replace(taken, beneath=(*taken.beneath, *became))


def _holds(drop: Mapping[str, Any], sha256: str) -> bool:
    """Whether a drop has a file of this digest; version 0.1 wrote down none."""
    return any(file.get("sha256") == sha256 for file in drop["files"])
