"""Here: giving a bucket the champions that the project ships. Not here: training them (``retrain``)."""

from pathlib import Path

from ecg_tasks.steps.workspace import now, open_store
from ecg_tasks.storage import keys, registry

SHIPPED_MODELS = Path(__file__).parents[2] / "models"


def install_champions(folder: Path = SHIPPED_MODELS) -> list[str]:
    """Copy every shipped version into the bucket, and let it serve where nothing serves yet; returns the recipes that got one.

    A champion that is there is left alone, so this may run at every start.
    """
    store = open_store()
    installed = []
    for champion in registry.shipped_champions(folder):
        if store.exists(keys.champion(champion.recipe)):
            continue
        files = registry.read_shipped(folder, champion)
        registry.write_version(store, champion.recipe, champion.version, files)
        registry.write_champion(store, recipe=champion.recipe, version=champion.version, since=now(), who="installation", why=champion.why)
        installed.append(champion.recipe)
    return installed
