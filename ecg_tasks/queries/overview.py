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

    @property
    def last(self) -> Run | None:
        """The latest run that had records: one that found nothing new, as by hand after a night, does not hide it."""
        return next((run for run in self.runs if not run.is_empty), next(iter(self.runs), None))

    @property
    def empty_since(self) -> tuple[Run, ...]:
        """The runs after it, which all had no record, newest first."""
        return () if self.last is None else self.runs[: self.runs.index(self.last)]


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
