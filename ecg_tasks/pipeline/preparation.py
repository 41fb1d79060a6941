"""Here: what a bucket needs before a stack works on it. Not here: making the bucket, or starting anything (``deploy``)."""

from ecg_tasks.archive import keys
from ecg_tasks.archive.workspace import open_store
from ecg_tasks.pipeline.champions.seed import install_champions


def prepare_bucket() -> list[str]:
    """Put the shipped champions into the bucket where nothing serves; returns the recipes that got one. This may run at every start.

    An earlier version of this program knows no catalogue. So the next intake is asked to compare it with the shards: it is not known here
    whether a publication is under way, or was broken off, and its shards would be taken for those of the earlier version.
    """
    open_store().put(keys.CHECK_CATALOG, b"")
    return install_champions()
