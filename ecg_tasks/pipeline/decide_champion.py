"""Here: the task of the DAG ``decide_champion``: a person promotes, rolls back or rejects a version;

Not here: the gate's own word on a candidate (``retrain_model``).
"""

import logging
from enum import StrEnum

from msgspec import structs

from ecg_tasks.archive import audit, keys, registry
from ecg_tasks.archive.documents import DecisionManifest, StoredVerdict, find, find_manifest, write_manifest
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.task_log import logged
from ecg_tasks.archive.workspace import now, open_store
from ecg_tasks.errors import ConfigurationError, ModelRefusedError, offer
from ecg_tasks.names import DagId
from ecg_tasks.pipeline.champions import fresh_process, synthetic
from ecg_tasks.pipeline.champions.versions import pictures_of
from ecg_tasks.signals.recipes import get_recipe

DAG = DagId.DECIDE_CHAMPION
_REFUSED = "refused: "
"""How the outcome of a run begins that did nothing; the page of the models knows it by that."""


class ChampionAction(StrEnum):
    """What a person may decide. The values are stored."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"
    REJECT = "reject"


_MEANT = {ChampionAction.PROMOTE: registry.PROMOTED, ChampionAction.ROLLBACK: registry.ROLLED_BACK}
_DONE = {ChampionAction.PROMOTE: "promoted", ChampionAction.ROLLBACK: "rolled back to", ChampionAction.REJECT: "rejected"}


@logged
def decide(run_id: str, *, recipe: str, action: str, version: str, why: str, who: str, override: str = "", cleared: bool = False) -> str:
    """Do what a person decided about a version; returns the key of the run's manifest.

    A run decides once: with its manifest there, nothing is done any more. A run that is cleared was asked for at another time, perhaps by
    another person than the one who cleared it, so it decides nothing; what it did before it was killed gets its log entry and manifest.

    Parameters
    ----------
    recipe, version : the version meant. A rollback needs none; one that is named must be the one that serves
    action : ``promote``, ``rollback`` or ``reject``
    why : kept for ever beside the decision
    who : likewise
    override : why a version that was rejected, or never evaluated, shall serve; needed for these, and stored too
    cleared : whether the run was cleared, so that its task runs again

    Raises
    ------
    ConfigurationError
        If it cannot be done; the message says why.
    ModelRefusedError
        If the version to be promoted does not work.
    """
    store, run = open_store(), keys.run_key(run_id)
    if (done := find_manifest(store, DecisionManifest, run)) is not None:
        if done.outcome.startswith(_REFUSED):
            raise ConfigurationError(f"this run was refused before, and is not tried again: start a new one. {done.outcome}")
        logging.getLogger(__name__).info("this run has decided already, and nothing was changed: %s", done.outcome)
        return keys.manifest(DAG, run)
    before = registry.read_champion(store, recipe)
    serving = before.version if before else None
    manifest = DecisionManifest(
        dag=DAG,
        run=run,
        recipe=recipe,
        action=action,
        version=version,
        who=who,
        why=why,
        override=override,
        served_before=serving,
        outcome="",
        serving=serving,
    )
    version, why, override = version.strip(), why.strip(), override.strip()
    try:
        if cleared:
            result = _done_before(store, recipe, ChampionAction(action), version, who=who, why=why)
        else:
            result = _decide(store, recipe, ChampionAction(action), version, who=who, why=why, override=override)
    except (ConfigurationError, ModelRefusedError) as error:
        write_manifest(store, structs.replace(manifest, outcome=f"{_REFUSED}{error}"))
        raise
    after = registry.read_champion(store, recipe)
    serving = after.version if after else None
    subject = version if action == ChampionAction.REJECT else str(serving)
    if _stands(store, recipe, subject, ChampionAction(action), who=who, why=why):
        detail = {"run": run, "why": why, "override": override}
        audit.append(store, who=who, action=action, subject=f"{recipe}/{subject}", detail=detail)
    logging.getLogger(__name__).info("%s %s", recipe, result)
    return write_manifest(store, structs.replace(manifest, outcome=result, serving=serving))


def _done_before(store: ObjectStore, recipe: str, action: ChampionAction, version: str, *, who: str, why: str) -> str:
    """Tell what a cleared run had done before it was killed; `ConfigurationError` if that was nothing."""
    champion = registry.read_champion(store, recipe)
    subject = version if action is not ChampionAction.ROLLBACK or champion is None else champion.version
    meant = action is ChampionAction.REJECT or (champion is not None and champion.version == subject and champion.action == _MEANT[action])
    if not meant or not _stands(store, recipe, subject, action, who=who, why=why):
        raise ConfigurationError("this run was cleared, and a cleared run decides nothing: start a new one, in your own name")
    return f"{subject} was {_DONE[action]} by this run before it was cleared"


def _decide(store: ObjectStore, recipe: str, action: ChampionAction, version: str, *, who: str, why: str, override: str) -> str:
    get_recipe(recipe)
    if not why or not who:
        raise ConfigurationError("a decision needs a reason and a name: they are kept with it")
    before = registry.read_champion(store, recipe)
    if action is ChampionAction.ROLLBACK:
        return _roll_back(store, recipe, version, who=who, why=why, before=before)
    if not registry.has_version(store, recipe, version):
        raise ConfigurationError(f"there is no {recipe} version {version!r}{offer(version, registry.versions(store, recipe))}")
    if action is ChampionAction.PROMOTE:
        return _promote(store, recipe, version, who=who, why=why, override=override, before=before)
    return _reject(store, recipe, version, who=who, why=why, before=before)


def _stands(store: ObjectStore, recipe: str, version: str, action: ChampionAction, *, who: str, why: str) -> bool:
    """Return whether this decision, by this person, is the one in force; not if nothing had to change."""
    decided = registry.read_decisions(store, recipe)
    if decided is None:
        return False
    if action is ChampionAction.REJECT:
        rejection = decided.rejection(version)
        return rejection is not None and (rejection.who, rejection.why) == (who, why)
    return decided.who == who and decided.why.startswith(why)


def _promote(store: ObjectStore, recipe: str, version: str, *, who: str, why: str, override: str, before: registry.Champion | None) -> str:
    if before is not None and before.version == version:
        return f"{version} serves already, since {before.since}: nothing was changed"
    _check_pictures(store, recipe, version)
    if obstacle := synthetic.obstacle(store, recipe, version):
        raise ConfigurationError(f"{version} {obstacle}: it may not serve")
    if fault := fresh_process.fault_of(registry.read_version(store, recipe, version)):
        raise ModelRefusedError(f"{version} does not work in a fresh process: {fault}")
    if obstacle := _obstacle(store, recipe, version):
        if not override:
            raise ConfigurationError(f"{version} {obstacle}; to let it serve, state why this is overruled (override)")
        why = f"{why}. Overrules that it {obstacle}. Reason: {override}"
    registry.write_champion(store, recipe=recipe, version=version, since=now(), who=who, why=why)
    return f"{version} serves from now on, in place of {before.version}" if before else f"{version} serves from now on"


def _obstacle(store: ObjectStore, recipe: str, version: str) -> str:
    """Return why a version should not serve, by a person's decision or the gate's verdict; nothing if both are for it."""
    decided = registry.read_decisions(store, recipe)
    rejection = decided.rejection(version) if decided else None
    if rejection is not None:
        return f"was rejected by {rejection.who} on {rejection.when}: {rejection.why}"
    if decided and any(one.version == version for one in decided.services):
        return ""
    verdict = find(store, StoredVerdict, keys.model_file(recipe, version, registry.VERDICT))
    if verdict is None:
        return "was never evaluated by the gate"
    return "" if verdict.promote else f"was rejected by the gate: {verdict.reason}"


def _roll_back(store: ObjectStore, recipe: str, version: str, *, who: str, why: str, before: registry.Champion | None) -> str:
    if before is None:
        raise ConfigurationError(f"no {recipe} model serves: there is nothing to roll back")
    if before.action == registry.ROLLED_BACK:
        since = f"{before.version} serves since it was rolled back to on {before.since}"
        return f"{since}: nothing was changed; to go further back, promote a version"
    if version not in {"", before.version}:
        raise ConfigurationError(f"{before.version} serves, not {version}; look again before rolling back")
    target = next((one for one in _earlier(before) if _may_serve(store, recipe, one)), None)
    if target is None:
        raise ConfigurationError(f"no earlier {recipe} version is there that reads the pictures made now: nothing to roll back to")
    registry.roll_back(store, before, to=target, when=now(), who=who, why=why)
    return f"{target} serves again; {before.version} is rejected"


def _earlier(champion: registry.Champion) -> list[str]:
    """Return versions that served before, the newest first, without those that were rejected since."""
    return [one.version for one in champion.history if one.version != champion.version and not champion.rejection(one.version)]


def _may_serve(store: ObjectStore, recipe: str, version: str) -> bool:
    try:
        _check_pictures(store, recipe, version)
    except ConfigurationError:
        return False
    return not synthetic.obstacle(store, recipe, version)


def _check_pictures(store: ObjectStore, recipe: str, version: str) -> None:
    pictures = pictures_of(store, recipe, version)
    if pictures is None:
        raise ConfigurationError(f"there is no {recipe} version {version!r}")
    if pictures != get_recipe(recipe).key:
        raise ConfigurationError(f"{version} reads pictures {pictures}, which are no longer made; train a new one")


def _reject(store: ObjectStore, recipe: str, version: str, *, who: str, why: str, before: registry.Champion | None) -> str:
    if before is not None and before.version == version:
        raise ConfigurationError(f"{version} serves; roll back, which rejects it")
    decided = registry.read_decisions(store, recipe)
    if decided is not None and (rejection := decided.rejection(version)):
        return f"{version} was rejected already by {rejection.who} on {rejection.when}: nothing was changed"
    registry.reject(store, recipe=recipe, version=version, when=now(), who=who, why=why)
    return f"{version} is rejected; it stays in the bucket"
