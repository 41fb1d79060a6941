"""Here: what is kept of each monitored run of a recipe. Not here: the statistics (``evaluation.drift``), or what follows from them."""

import msgspec

from ecg_tasks.archive.documents.base import Document, Part
from ecg_tasks.archive.documents.training import StoredFigure


class Stakes(Part, frozen=True, kw_only=True):
    """The state of a test martingale; see `evaluation.drift.Martingale`."""

    seen: tuple[int, ...]
    stakes: tuple[tuple[float, ...], ...]
    scale: float
    peak: float


class Measured(Part, frozen=True, kw_only=True):
    """One measure of one night: counts of its bins, those it is pooled with, how far they moved, and the test's state.

    ``psi`` and ``psi_by_chance`` are None where they are not defined.
    """

    counts: tuple[int, ...]
    pool: tuple[int, ...]
    psi: float | None
    psi_by_chance: float | None
    psi_large: bool
    martingale: Stakes


class SpreadAtSite(Part, frozen=True, kw_only=True):
    """One measure at one site: as `Measured`, without a test, which would be one more for each site."""

    counts: tuple[int, ...]
    pool: tuple[int, ...]
    psi: float | None
    psi_by_chance: float | None
    psi_large: bool


class SiteNight(Part, frozen=True, kw_only=True):
    """One night of one site: what was decided there, and the mean quality, the measures and the estimate of what was watched."""

    decided: int
    uninterpretable: int
    watched: int
    quality: float | None
    measures: dict[str, SpreadAtSite]
    estimated: dict[str, StoredFigure] = msgspec.field(default_factory=dict)


class MonitoringRun(Document, frozen=True, kw_only=True):
    """One night of one recipe.

    Parameters
    ----------
    number : of the version's nights, from 1; ``before`` is the run of the one before, or empty
    decided, uninterpretable : records of the night
    watched : records that were compared; ``watched_so_far`` those of all nights of the version
    measures : empty where the version does not say what it was tested on
    joint : log capital of all measures together
    since : the run in which the alarm was raised, or empty
    estimated : sensitivity, specificity and accuracy of the watched records, by their probabilities; absent in older nights
    sites : by site, those of none under an empty name; empty where no record of the version's nights has one, and in older nights
    """

    recipe: str
    version: str
    run: str
    date: str
    number: int
    before: str
    decided: int
    uninterpretable: int
    watched: int
    watched_so_far: int
    measures: dict[str, Measured]
    joint: float
    since: str
    estimated: dict[str, StoredFigure] = msgspec.field(default_factory=dict)
    sites: dict[str, SiteNight] = msgspec.field(default_factory=dict)
