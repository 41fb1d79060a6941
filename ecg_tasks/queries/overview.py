"""Here: the state of the whole system in a few numbers. Not here: drift (``drift``), or any detail (the modules beside)."""

from dataclasses import dataclass

from ecg_tasks.archive import keys, registry
from ecg_tasks.archive.documents import InboxWait
from ecg_tasks.archive.object_store import ObjectInfo, ObjectStore
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.pipeline.intake import looking
from ecg_tasks.queries.quarantine import count_open
from ecg_tasks.queries.runs import Run, runs
from ecg_tasks.settings import Settings
from ecg_tasks.signals.recipes import RECIPES

RUNS_SHOWN = 30
_AGE_SHOWN = 5
"""Waiting files that are named."""


@dataclass(frozen=True, kw_only=True)
class Overview:
    """What waits, what was refused, what serves, and what the latest runs did, newest first."""

    runs: tuple[Run, ...]
    n_runs: int
    n_waiting: int
    waiting: tuple[str, ...]
    waiting_since: str
    waits_for: tuple[InboxWait, ...]
    n_quarantined: int
    champions: tuple[registry.Champion, ...]


def overview(store: ObjectStore, *, told: bool = True) -> Overview:
    """Look at the inbox, the quarantine, the champions and the latest runs; without ``told`` files that wait are named by digests."""
    n_waiting, oldest = 0, list[ObjectInfo]()
    for item in store.list_objects(keys.INBOX):  # there may be a million
        if not item.key.endswith("/"):
            n_waiting += 1
            oldest = sorted([*oldest, item], key=lambda one: one.modified)[:_AGE_SHOWN]
    latest, names = runs(store, limit=RUNS_SHOWN), StoredNames.of(Settings.from_environment())
    champions = [registry.read_champion(store, recipe) for recipe in RECIPES]
    return Overview(
        runs=latest.runs,
        n_runs=latest.total,
        n_waiting=n_waiting,
        waiting=tuple((item.key if told else names.in_inbox(item.key)).removeprefix(keys.INBOX) for item in oldest),
        waiting_since=oldest[0].modified.isoformat(timespec="seconds") if oldest else "",
        waits_for=looking.waits_for(store, n_waiting),
        n_quarantined=count_open(store),
        champions=tuple(filter(None, champions)),
    )
