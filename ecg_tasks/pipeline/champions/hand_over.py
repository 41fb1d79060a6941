"""Here: what becomes of a champion that may not or cannot serve: the version before it takes over, aloud. Not here: what people decide.

A champion may not serve where it was trained on synthetic recordings and a real one has come (``synthetic``), and cannot where its files
are damaged or missing. People decide in ``decide_champion``.
"""

import logging

from ecg_tasks.archive import audit, registry
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.workspace import now
from ecg_tasks.errors import DamagedStoreError, MissingObjectError, ModelRefusedError
from ecg_tasks.learning.serving import Classifier
from ecg_tasks.pipeline.champions import seed, synthetic
from ecg_tasks.signals.recipes import get_recipe

_log = logging.getLogger(__name__)


def hand_over(store: ObjectStore, recipe: str, *, who: str, read: bool = True) -> registry.Champion | None:
    """Return the champion of a recipe, after replacing one that may not or cannot serve.

    The newest version that served before takes over, of those that were not rejected, are whole and read the pictures made now; without
    one the shipped version does, unless it was rejected. A damaged champion that is the shipped version is written anew, and goes on
    serving. The task's log, the audit log and the champion's history record it.

    Parameters
    ----------
    read : the champion's files are read, to see whether they are damaged; a promotion that replaces it need not know

    Returns
    -------
    None where nothing may serve: there is no champion, or one that nothing can replace.
    """
    champion = registry.read_champion(store, recipe)
    if champion is None:
        return None
    why = obstacle(store, recipe, champion.version) if read else synthetic.obstacle(store, recipe, champion.version)
    if not why:
        if champion.who == who and champion.why.endswith((synthetic.OBSTACLE, registry.DAMAGED)):  # an earlier try of this task handed over
            _tell(store, champion)
        return champion
    target = _successor(store, champion)
    if target is None:
        _log.error("%s %s %s, and nothing can replace it", recipe, champion.version, why)
        return None
    why = f"{champion.version} {why}"  # ends so: a repeated task knows its own act by it
    after = registry.write_champion(store, recipe=recipe, version=target, since=now(), who=who, why=why, again=True)
    _tell(store, after)
    return after


def obstacle(store: ObjectStore, recipe: str, version: str) -> str:
    """Return why a version may not or cannot serve, as the end of a sentence; nothing if it can."""
    if found := damage(store, recipe, version):
        return f"({found}) {registry.DAMAGED}"
    return synthetic.obstacle(store, recipe, version)


def damage(store: ObjectStore, recipe: str, version: str) -> str:
    """Return what is wrong with the stored files of a version; nothing if they are whole and do what they say.

    A store that does not answer raises its own error: that is no damage.
    """
    try:
        Classifier.from_files(registry.read_version(store, recipe, version))
    except (MissingObjectError, ModelRefusedError, DamagedStoreError) as error:
        return str(error)
    return ""


def _successor(store: ObjectStore, champion: registry.Champion) -> str | None:
    recipe, shipped = champion.recipe, seed.shipped_version(champion.recipe)
    if shipped == champion.version and damage(store, recipe, shipped):
        seed.install_version(store, recipe, anew=True)
        if _fits(store, recipe, shipped):
            return shipped
    before = dict.fromkeys(one.version for one in champion.history if one.version != champion.version)
    for version in before:
        if not champion.rejection(version) and _fits(store, recipe, version):
            return version
    if shipped is None or champion.rejection(shipped):
        return None
    seed.install_version(store, recipe, anew=bool(damage(store, recipe, shipped)))
    return shipped if _fits(store, recipe, shipped) else None


def _fits(store: ObjectStore, recipe: str, version: str) -> bool:
    """Return whether a version is whole, reads the pictures made now, and may serve."""
    try:
        spec = Classifier.from_files(registry.read_version(store, recipe, version)).spec
    except (MissingObjectError, ModelRefusedError, DamagedStoreError):
        return False
    return spec.recipe_digest == get_recipe(recipe).digest and not synthetic.obstacle(store, recipe, version)


def _tell(store: ObjectStore, champion: registry.Champion) -> None:
    _log.warning("%s %s serves from now on: %s", champion.recipe, champion.version, champion.why)
    subject = f"{champion.recipe}/{champion.version}"
    audit.append(store, who=champion.who, action=audit.Action.PROMOTE, subject=subject, detail={"why": champion.why})
