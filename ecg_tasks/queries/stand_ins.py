"""Here: which models serve only because a better one is damaged, for ``./ecg status``. Not here: handing over (``pipeline.champions``)."""

from ecg_tasks.archive import registry
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.names import RecipeName


def stand_ins_in(bucket: str) -> list[str]:
    """Return them for a bucket by the AWS variables: nothing else of the archive is imported, for somebody waits."""
    return stand_ins(ObjectStore.connect(bucket))


def stand_ins(store: ObjectStore) -> list[str]:
    """Return a sentence for each, with what to do."""
    champions = (registry.read_champion(store, recipe) for recipe in RecipeName)
    return [
        f"The {one.recipe} model {one.version} stands in since {one.since}: {one.why}. Promote another version to end it."
        for one in champions
        if one is not None and one.stands_in
    ]
