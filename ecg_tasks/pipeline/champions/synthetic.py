"""Here: the rule that a version trained on synthetic recordings decides on no real one. Not here: what people decide (``decide_champion``).

A recording is synthetic if its file says that a program made it; a version is if one recording that it was trained on was. While a
bucket holds nothing but synthetic recordings, as after a demonstration, such a version may serve. From the first real recording on it
may not: the version before it serves again, or the shipped one, and it cannot be promoted.
"""

from ecg_tasks.archive import audit, keys, registry, tables
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.workspace import now
from ecg_tasks.pipeline.champions import seed
from ecg_tasks.pipeline.champions.versions import pictures_of, spec_of
from ecg_tasks.signals.recipes import get_recipe

OBSTACLE = "was trained on synthetic recordings, and this bucket holds real ones"


def is_synthetic(store: ObjectStore, recipe: str, version: str) -> bool:
    """Return whether a version was trained on a recording that a program made."""
    spec = spec_of(store, recipe, version)
    return spec is not None and spec.synthetic


def holds_real(store: ObjectStore, shards: list[str] | None = None) -> bool:
    """Return whether a real recording lies in one of these shards, or anywhere in the archive."""
    indexes = store.list_keys(keys.RECORD_INDEX) if shards is None else [keys.record_index(shard) for shard in shards]
    return any(not tables.load(data, ["synthetic"])["synthetic"].all() for data in store.get_many(indexes))


def obstacle(store: ObjectStore, recipe: str, version: str) -> str:
    """Return why a version may not serve in this bucket by this rule, as the end of a sentence; nothing if it may."""
    return OBSTACLE if is_synthetic(store, recipe, version) and holds_real(store) else ""


def hand_over(store: ObjectStore, recipe: str, *, who: str) -> registry.Champion | None:
    """Return the champion of a recipe, after replacing a synthetic one by a real one if the bucket holds a real recording.

    The newest version that served before takes over, of those that were not rejected and that read the pictures made now; without one
    the shipped version does, unless it was rejected. The log and the champion's history record it.

    Returns
    -------
    None where nothing may serve: there is no champion, or a synthetic one that nothing can replace.
    """
    champion = registry.read_champion(store, recipe)
    if champion is None or not obstacle(store, recipe, champion.version):
        if champion is not None and champion.who == who and champion.why.endswith(OBSTACLE):  # an earlier try of this task handed over
            _log(store, champion)
        return champion
    target = next((one for one in _before(champion) if _fits(store, recipe, one)), None) or seed.install_version(store, recipe)
    if target is None or champion.rejection(target) or not _fits(store, recipe, target):
        return None
    why = f"{champion.version} {OBSTACLE}"  # ends so: a repeated task knows its own act by it
    after = registry.write_champion(store, recipe=recipe, version=target, since=now(), who=who, why=why)
    _log(store, after)
    return after


def _log(store: ObjectStore, champion: registry.Champion) -> None:
    subject = f"{champion.recipe}/{champion.version}"
    audit.append(store, who=champion.who, action=audit.Action.PROMOTE, subject=subject, detail={"why": champion.why})


def _before(champion: registry.Champion) -> list[str]:
    return [one.version for one in champion.history if not champion.rejection(one.version)]


def _fits(store: ObjectStore, recipe: str, version: str) -> bool:
    return pictures_of(store, recipe, version) == get_recipe(recipe).key and not is_synthetic(store, recipe, version)
