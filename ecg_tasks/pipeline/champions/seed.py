"""Here: the champions that the project ships: into a bucket. Not here: out of one (``queries.models``), or training them."""

from pathlib import Path

from ecg_tasks.archive import audit, registry
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.workspace import now, open_store
from ecg_tasks.pipeline.champions.versions import pictures_of
from ecg_tasks.signals.recipes import get_recipe

_ROOT = Path(__file__).parents[3]
_PACKAGED = _ROOT / "ecg_spectrograms" / "models"
SHIPPED_MODELS = _PACKAGED if _PACKAGED.is_dir() else _ROOT / "models"
"""In the installed package beside the library, in a checkout or an image at the top."""


def install_champions(folder: Path = SHIPPED_MODELS) -> list[str]:
    """Copy the shipped versions into the bucket, and let each serve where nothing can; returns the recipes that got one.

    Nothing can where there is no champion, or one that reads pictures which are made no more: after an upgrade that draws others.
    Any other champion is left alone, so this may run at every start.
    """
    store = open_store()
    installed = []
    for champion in registry.shipped_champions(folder):
        serving = registry.read_champion(store, champion.recipe)
        if serving is not None and not _outlived(store, serving, by=champion.version):
            continue
        files = registry.read_shipped(folder, champion)
        registry.write_version(store, champion.recipe, champion.version, files)
        why = champion.why if serving is None else f"{serving.version} reads pictures that are made no more"
        registry.write_champion(store, recipe=champion.recipe, version=champion.version, since=now(), who="installation", why=why)
        audit.append(store, who="installation", action=audit.Action.PROMOTE, subject=f"{champion.recipe}/{champion.version}")
        installed.append(champion.recipe)
    return installed


def _outlived(store: ObjectStore, serving: registry.Champion, *, by: str) -> bool:
    """Return whether a champion reads pictures that are made no more, and the shipped version was not rejected."""
    read = pictures_of(store, serving.recipe, serving.version)
    return read is not None and read != get_recipe(serving.recipe).key and serving.rejection(by) is None


def shipped_version(recipe: str, folder: Path = SHIPPED_MODELS) -> str | None:
    """Return the name of a recipe's shipped version, None without one."""
    return next((one.version for one in registry.shipped_champions(folder) if one.recipe == recipe), None)


def install_version(store: ObjectStore, recipe: str, folder: Path = SHIPPED_MODELS, *, anew: bool = False) -> str | None:
    """Copy a recipe's shipped version into the bucket if it is not there, without letting it serve; returns its name, None without one.

    Parameters
    ----------
    anew : also where it is there: its files are damaged
    """
    champion = next((one for one in registry.shipped_champions(folder) if one.recipe == recipe), None)
    if champion is None:
        return None
    if anew or not registry.has_version(store, recipe, champion.version):
        registry.write_version(store, recipe, champion.version, registry.read_shipped(folder, champion), anew=anew)
    return champion.version
