"""Here: what a bucket needs before a stack works on it. Not here: making the bucket, or starting anything (``deploy``)."""

from ecg_tasks.archive import catalog
from ecg_tasks.archive.workspace import open_store
from ecg_tasks.pipeline.champions.seed import install_champions


def prepare_bucket() -> list[str]:
    """Put the shipped champions into the bucket where nothing serves, and let the catalogue catch up; returns the recipes that got one.

    An earlier version of this program knows no catalogue: what it let in meanwhile is taken in here. This may run at every start.
    """
    catalog.catch_up(open_store())
    return install_champions()
