"""Here: what the serving versions said of the whole archive, quick to read again and again. Not here: deciding (``classify_records``)."""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.archive import forgotten, keys, registry, tables
from ecg_tasks.archive.cache import keep
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.parallel import bounded_parallel_map
from ecg_tasks.archive.predictions import VersionPredictions, join
from ecg_tasks.errors import MissingObjectError
from ecg_tasks.learning.version import SPEC, ModelSpec
from ecg_tasks.names import DagId

MAX_COPIES = 32


@dataclass(frozen=True, kw_only=True, eq=False)
class Decided:
    """What one version said of n records, ordered by id.

    Parameters
    ----------
    recipe, version : which model
    threshold, low, high : ndarray, shape (n,), from which probability on each record is abnormal, and where it is uncertain
    ids : ndarray, shape (n,), 32 bytes each, ascending
    probability : ndarray, shape (n,), P(abnormal), nan where no window could be used
    quality : ndarray, shape (n,), 0 to 1
    synthetic : ndarray, shape (n,)
    decision, name, shard : n texts each
    """

    recipe: str
    version: str
    threshold: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    ids: NDArray[np.bytes_]
    probability: NDArray[np.float32]
    quality: NDArray[np.float32]
    synthetic: NDArray[np.bool_]
    decision: NDArray[np.object_]
    name: NDArray[np.object_]
    shard: NDArray[np.object_]

    def rows(self, record_ids: NDArray[np.bytes_]) -> NDArray[np.int64]:
        """Return where these records stand, -1 for one that is not here."""
        at = np.searchsorted(self.ids, record_ids)
        found = np.minimum(at, max(len(self.ids) - 1, 0))
        return np.where(self.ids[found] == record_ids, found, -1) if len(self.ids) else np.full(len(record_ids), -1)


def serving(store: ObjectStore, recipes: Sequence[str]) -> list[Decided]:
    """Return what the champion of each recipe said of the archive, in the order of the recipes; one without a champion is left out.

    Predictions never change once written, and are written by runs of ``classify_records`` alone: while there is no new manifest, what
    this process has read before is right, unless something was forgotten since.
    """
    champions = [registry.read_champion(store, recipe) for recipe in recipes]
    runs = frozenset((*store.list_keys(f"{keys.MANIFESTS}{DagId.CLASSIFY_RECORDS}/"), *forgotten.generation(store)))
    return [_decided(store, champion.recipe, version=champion.version, runs=runs) for champion in champions if champion is not None]


def of_version(store: ObjectStore, recipe: str, version: str) -> Decided:
    """Return what any version said of the archive, as it is stored; no record where it has decided on none."""
    return _decided_by(store, recipe, version)


def write_snapshot(store: ObjectStore, recipe: str, version: str) -> None:
    """Copy what the version said of shards that no copy holds yet into one object, so that a process that starts need not read every shard.

    What a night costs follows from what is new. ``MAX_COPIES`` small copies are made into one; copies of other versions go.
    """
    prefix = f"{keys.DECIDED}{recipe}/{version}/"
    copies = [key for key in store.list_keys(f"{keys.DECIDED}{recipe}/") if key.startswith(prefix)]
    whole = len(copies) >= MAX_COPIES
    new: list[str] = []
    digest = hashlib.sha256()

    def parts() -> Iterator[tables.Columns]:
        for part in _parts(store, recipe, version, whole=whole, new=new):
            digest.update("\n".join([*part["record_id"], ""]).encode())
            yield part

    with tempfile.TemporaryFile() as file:  # memory holds one part
        n_rows = tables.dump_parts(file, tables.DECIDED, parts())
        if new and n_rows:
            key = keys.decided(recipe, version, digest.hexdigest()[:20])
            file.seek(0)
            store.put(key, file)
            if whole:
                store.delete_many(copy for copy in copies if copy != key)
    store.delete_many(key for key in store.list_keys(f"{keys.DECIDED}{recipe}/") if not key.startswith(prefix))


@keep(8)
def _decided(store: ObjectStore, recipe: str, *, version: str, runs: frozenset[object]) -> Decided:  # noqa: ARG001 - a generation
    """Return what a version had said when these runs had written predictions."""
    return _decided_by(store, recipe, version)


def _decided_by(store: ObjectStore, recipe: str, version: str) -> Decided:
    columns = _read(store, recipe, version)
    spec = ModelSpec.from_json(store.get(keys.model_file(recipe, version, SPEC)))
    ids = np.array(columns["record_id"], dtype="S32")
    order = np.argsort(ids)
    texts = {name: np.array(columns[name], dtype=object)[order] for name in ("decision", "name", "shard")}
    numbers = {name: np.asarray(columns[name])[order] for name in ("probability", "quality")}
    limits = spec.rule.limits([columns["site"][row] for row in order])
    return Decided(
        recipe=recipe,
        version=version,
        threshold=limits.threshold,
        low=limits.low,
        high=limits.high,
        ids=ids[order],
        synthetic=np.asarray(columns["synthetic"], dtype=bool)[order],
        **texts,
        **numbers,
    )


def _read(store: ObjectStore, recipe: str, version: str) -> tables.Columns:
    """Read all that the version said.

    Raises
    ------
    MissingObjectError
        If predictions or an index that must be there are not.
    """
    while True:
        listed = _listed(store, recipe, version)
        try:
            return tables.concatenate([_nothing(), *_parts(store, recipe, version, whole=True, new=[])])
        except MissingObjectError:
            if _listed(store, recipe, version) == listed:  # else copies were made into one, or old predictions went, meanwhile
                raise


def _listed(store: ObjectStore, recipe: str, version: str) -> list[str]:
    return store.list_keys(f"{keys.DECIDED}{recipe}/{version}/") + store.list_keys(f"{keys.PREDICTIONS}{recipe}/")


def _parts(store: ObjectStore, recipe: str, version: str, *, whole: bool, new: list[str]) -> Iterator[tables.Columns]:
    """Yield the copies if ``whole``, then what the version said of the shards in no copy, whose predictions are added to ``new``."""
    covered: set[str] = set()
    for copy in bounded_parallel_map(store.spool, store.list_keys(f"{keys.DECIDED}{recipe}/{version}/")):
        for rows in tables.parts(copy, tables.DECIDED.names if whole else ["shard"]):
            part = tables.plain_columns(rows)
            covered.update(part["shard"])
            if whole:
                yield {"site": [None] * rows.num_rows} | part  # older copies have none, nor do the versions in them have rules for sites
    predicted = [key for key in store.list_keys(f"{keys.PREDICTIONS}{recipe}/") if keys.stem(key) == version]
    new += [key for key in predicted if key.split("/")[2] not in covered]
    shards = _shards(new)
    contents = store.get_many(new), store.get_many(map(keys.record_index, shards))
    for shard, said, index in zip(shards, *contents, strict=True):
        columns = join([VersionPredictions(recipe=recipe, version=version, data=said)], index, tables.DECIDED.names).columns
        yield columns | {"shard": [shard] * tables.n_rows(columns)}


def _nothing() -> tables.Columns:
    return tables.load(tables.dump(tables.DECIDED, {name: [] for name in tables.DECIDED.names}))


def _shards(predicted: Iterable[str]) -> list[str]:
    return [key.split("/")[2] for key in predicted]
