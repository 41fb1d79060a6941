"""Here: how far an installation has come on its first way: dropped, taken over, decided, judged. Not here: any of these in detail."""

from dataclasses import dataclass

from ecg_tasks.archive import keys, registry
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.names import DagId
from ecg_tasks.pipeline.champions import synthetic
from ecg_tasks.queries.runs import Run, runs
from ecg_tasks.settings import Settings


@dataclass(frozen=True, kw_only=True)
class FirstSteps:
    """What is there already.

    Parameters
    ----------
    holds_real : whether a recording that no program made lies in the archive: made-up ones are not offered beside it then
    last : the newest report
    serves : recipes of which a version serves
    """

    bucket: str
    is_waited_for: bool
    holds_records: bool
    holds_real: bool
    is_trained: bool
    last: Run | None
    serves: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing was dropped yet."""
        return not (self.is_waited_for or self.holds_records or self.last)


def first_steps(store: ObjectStore) -> FirstSteps:
    """Look at what is there, by a few listings that end at the first thing found."""
    settings = Settings.from_environment()
    holds_records = _holds(store, keys.RECORDS)
    latest = runs(store, limit=1).runs
    return FirstSteps(
        bucket=settings.bucket,
        is_waited_for=any(not item.key.endswith("/") for item in store.list_objects(keys.INBOX)),
        holds_records=holds_records,
        holds_real=holds_records and synthetic.holds_real(store),
        is_trained=_holds(store, f"{keys.MANIFESTS}{DagId.RETRAIN_MODEL}/"),
        last=latest[0] if latest else None,
        serves=tuple(name for name in settings.recipes if registry.read_champion(store, name) is not None),
    )


def _holds(store: ObjectStore, prefix: str) -> bool:
    return any(True for _ in store.list_objects(prefix))
