"""Here: the champions that the project ships: into a bucket. Not here: out of one (``queries.models``), or training them."""

from pathlib import Path

from ecg_tasks.archive import audit, registry
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.workspace import now, open_store

_ROOT = Path(__file__).parents[3]
_PACKAGED = _ROOT / "ecg_spectrograms" / "models"
SHIPPED_MODELS = _PACKAGED if _PACKAGED.is_dir() else _ROOT / "models"
"""In the installed package beside the library, in a checkout or an image at the top."""


def install_champions(folder: Path = SHIPPED_MODELS) -> list[str]:
    """Copy every shipped version into the bucket, and let it serve where nothing serves yet; returns the recipes that got one.

    A champion that is there is left alone, so this may run at every start.
    """
    store = open_store()
    installed = []
    for champion in registry.shipped_champions(folder):
        if registry.read_champion(store, champion.recipe) is not None:
            continue
        files = registry.read_shipped(folder, champion)
        registry.write_version(store, champion.recipe, champion.version, files)
        registry.write_champion(store, recipe=champion.recipe, version=champion.version, since=now(), who="installation", why=champion.why)
        audit.append(store, who="installation", action=audit.Action.PROMOTE, subject=f"{champion.recipe}/{champion.version}")
        installed.append(champion.recipe)
    return installed


def install_version(store: ObjectStore, recipe: str, folder: Path = SHIPPED_MODELS) -> str | None:
    """Copy a recipe's shipped version into the bucket if it is not there, without letting it serve; returns its name, None without one."""
    champion = next((one for one in registry.shipped_champions(folder) if one.recipe == recipe), None)
    if champion is None:
        return None
    if not registry.has_version(store, recipe, champion.version):
        registry.write_version(store, recipe, champion.version, registry.read_shipped(folder, champion))
    return champion.version
