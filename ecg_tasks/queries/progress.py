"""Here: how far what was dropped has come on its way to a report. Not here: what lies in the bucket in all (``overview``)."""

from collections.abc import Iterable

from ecg_tasks.archive import keys
from ecg_tasks.archive.documents import ClassifyManifest, read_manifest
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.pipeline.champions import synthetic
from ecg_tasks.pipeline.render_spectrograms import unrendered
from ecg_tasks.settings import Settings
from ecg_tasks.signals.recipes import get_recipe


def is_taken_over(store: ObjectStore, names: Iterable[str]) -> bool:
    """Return whether none of these files, named as below the inbox, waits there any more."""
    return not {keys.INBOX + name for name in names} & set(store.list_keys(keys.INBOX))


def is_rendered(store: ObjectStore) -> bool:
    """Return whether every shard has the pictures of all recipes in use."""
    return not any(unrendered(store, get_recipe(name)) for name in Settings.from_environment().recipes)


def holds_real(store: ObjectStore) -> bool:
    """Return whether a recording that no program made lies in the archive."""
    return synthetic.holds_real(store)


def report_of(store: ObjectStore, run_id: str) -> str:
    """Return the key of the first page of a run's report; `MissingObjectError` if the run has written none."""
    return read_manifest(store, ClassifyManifest, keys.run_key(run_id)).report
