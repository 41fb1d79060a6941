"""Here: 95 % intervals, by bootstrap over patients and by Wilson's formula. Not here: the figures themselves (``metrics``)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation.metrics import as_labels, weighted_roc_auc

N_RESAMPLES = 2000
"""Bootstrap resamples; the ends of an interval then move by about 0.1 of its width from seed to seed."""

NEAR_THE_EDGE = 0.05
"""A figure this near to 0 or 1 gets an interval by formula: resamples of (nearly) no errors have none either."""

_Z_95 = round(NormalDist().inv_cdf(0.975), 15)
_MAX_CELLS = 4_000_000
"""Weights in memory at one time (32 MB)."""
MANY = 100_000
"""From this number of groups on, draws are counted one by one: the same distribution, five times as fast, other random numbers."""
_MAX_CELLS_OF_MANY = 1_000_000
"""As many at one time of so many records, which take memory themselves."""
_DRAWN_AT_ONCE = 65_536


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval; nan where it is not defined.

    >>> Interval(0.874, 0.81, 0.921).text()
    '0.874 (0.810 to 0.921)'
    """

    value: float
    low: float
    high: float
    method: Literal["bootstrap", "wilson", "newcombe", "combined", "drawn"] = "bootstrap"

    def text(self, digits: int = 3) -> str:
        """Return the figure as a report prints it."""
        if np.isnan(self.value):
            return "not defined"
        ends = self.ends(digits)
        return f"{self.value:.{digits}f} ({ends if np.isfinite(self.low) else f'interval {ends}'})"

    def ends(self, digits: int = 3) -> str:
        """Return the interval alone; it is not defined for one patient alone, whatever the value.

        >>> Interval(0.5, float("nan"), float("nan")).ends()
        'not defined'
        """
        return f"{self.low:.{digits}f} to {self.high:.{digits}f}" if np.isfinite([self.low, self.high]).all() else "not defined"

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Read a figure from JSON, where None stands for nan.

        >>> Interval.from_dict({"value": 0.5, "low": None, "high": 1})
        Interval(value=0.5, low=nan, high=1.0, method='bootstrap')
        """
        value, low, high = (float("nan") if plain[name] is None else float(plain[name]) for name in ("value", "low", "high"))
        return cls(value, low, high, plain.get("method", "bootstrap"))


def nan_to_none(value: float) -> float | None:
    """Return the number as JSON can hold it: None for nan."""
    return None if np.isnan(value) else float(value)


def bootstrap(
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    groups: Sequence[str] | NDArray[np.generic],
    *,
    seed: int,
    n_resamples: int = N_RESAMPLES,
) -> NDArray[np.float64]:
    """Draw whole groups (patients) with replacement, as often as there are groups, and compute a statistic each time.

    A patient's records are drawn together, so that similar records do not make the interval too narrow. The names of the groups play
    no part, only which records are in them and their order: the same records give the same resamples with any patient ids.

    Parameters
    ----------
    statistic : takes weights of shape (n_weightings, n_records), gives (n_weightings,) or (n_weightings, n_figures)
    groups : one patient a record, shape (n_records,)
    seed : the same seed gives the same resamples
    n_resamples : larger makes the ends of the interval more stable

    Returns
    -------
    ndarray, shape (n_resamples,) or (n_resamples, n_figures); nan for one group alone, whose resamples are all the same

    References
    ----------
    Field and Welsh, J. R. Statist. Soc. B 69(3), 2007: bootstrapping clustered data.
    """
    if n_resamples < 1:
        raise SignalError(f"{n_resamples=}; it must be at least 1")
    group_of = numbered(groups)
    if group_of.size == 0:
        raise SignalError("there is no record to resample")
    n_groups = int(group_of.max()) + 1
    rng = np.random.default_rng(seed)
    chunk = max(1, (_MAX_CELLS if group_of.size < MANY else _MAX_CELLS_OF_MANY) // group_of.size)
    parts = []
    for start in range(0, n_resamples, chunk):
        draws = _draws(rng, n_groups, min(chunk, n_resamples - start))
        parts.append(statistic(draws[:, group_of].astype(np.float64)))
    found = np.concatenate(parts)
    return found if n_groups > 1 else np.full_like(found, np.nan)


def drawings(n_groups: int, *, seed: int, n_resamples: int) -> Iterator[NDArray[np.integer]]:
    """Yield how often each group is drawn, shape (n_groups,), in the same resamples as `bootstrap` takes, one at a time.

    The next one is drawn while this one is worked on.
    """
    if n_resamples < 1:
        raise SignalError(f"{n_resamples=}; it must be at least 1")
    rng = np.random.default_rng(seed)
    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(_draws, rng, n_groups, 1)
        for number in range(n_resamples):
            drawn = coming.result()[0]
            if number < n_resamples - 1:
                coming = ahead.submit(_draws, rng, n_groups, 1)
            yield drawn


def numbered(groups: Sequence[str] | NDArray[np.generic]) -> NDArray[np.int32]:
    """Return the number of each record's group, from 0 on as they first occur, shape (n_records,).

    >>> numbered(["b", "a", "b"])
    array([0, 1, 0], dtype=int32)
    """
    names = np.asarray(groups)
    if not names.size:
        return np.empty(0, np.int32)
    by_name = np.argsort(names, kind="stable").astype(np.int32)
    names = names[by_name]
    is_first = np.append(True, names[1:] != names[:-1])
    del names  # `np.unique` would keep it, and numbers of eight bytes: of many records that is most of all memory
    number = np.empty(np.count_nonzero(is_first), np.int32)
    number[np.argsort(by_name[is_first])] = np.arange(len(number), dtype=np.int32)
    found = np.empty(len(by_name), np.int32)
    found[by_name] = number[np.cumsum(is_first, dtype=np.int32) - 1]
    return found


def _draws(rng: np.random.Generator, n_groups: int, n_resamples: int) -> NDArray[np.integer]:
    """Return how often each group is drawn in each resample, shape (n_resamples, n_groups)."""
    if n_groups < MANY:
        return rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=n_resamples)
    times = np.zeros((n_resamples, n_groups), np.uint8)  # of so many groups none is drawn 256 times: the chance is below 1e-500
    for row in times:
        for start in range(0, n_groups, _DRAWN_AT_ONCE):
            np.add.at(row, rng.integers(n_groups, size=min(_DRAWN_AT_ONCE, n_groups - start), dtype=np.uint32), np.uint8(1))
    return times


def percentile_interval(value: float, resampled: NDArray[np.float64]) -> Interval:
    """Return the 2.5th to the 97.5th percentile of a resampled figure.

    Resamples in which the figure is not defined (one class only) are left out. The interval is widened to hold the
    value itself: resampling raises figures that cannot be negative, such as the calibration error.
    """
    defined = resampled[~np.isnan(resampled)]
    if np.isnan(value) or defined.size == 0:
        return Interval(value, float("nan"), float("nan"))
    low, high = np.percentile(defined, (2.5, 97.5))
    return Interval(value, min(float(low), value), max(float(high), value))


def wilson(proportion: float, n: float) -> Interval:
    """Return Wilson's score interval of a proportion among ``n`` independent units.

    It stays inside [0, 1] and has a width at 0 and 1, where a bootstrap has none.

    >>> wilson(1.0, 20).text()
    '1.000 (0.839 to 1.000)'

    References
    ----------
    Wilson, J. Am. Statist. Assoc. 22(158), 1927.
    """
    if np.isnan(proportion) or n <= 0:
        return Interval(proportion, float("nan"), float("nan"), "wilson")
    if not 0 <= proportion <= 1:
        raise SignalError(f"{proportion=}; it must lie in [0, 1]")
    z2 = _Z_95**2
    centre = (proportion + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z_95 * np.sqrt(proportion * (1 - proportion) / n + z2 / (4 * n**2)) / (1 + z2 / n)
    return Interval(proportion, max(0.0, min(float(centre - half), proportion)), min(1.0, max(float(centre + half), proportion)), "wilson")


def newcombe(auroc: float, *, n_abnormal: float, n_normal: float) -> Interval:
    """Return Newcombe's score interval of an AUROC of independent abnormal and normal units.

    Like Wilson's, it asks which true areas would make the one found unlikely, and so has a width at an area of 1.

    >>> newcombe(1.0, n_abnormal=19, n_normal=22).text()
    '1.000 (0.901 to 1.000)'

    References
    ----------
    Newcombe, Statistics in Medicine 25(4), 2006, part 2, method 5, with the variance of Hanley and McNeil 1982.
    """
    if np.isnan(auroc) or min(n_abnormal, n_normal) <= 0:
        return Interval(auroc, float("nan"), float("nan"), "newcombe")
    halves = (n_abnormal + n_normal) / 2 - 1

    def unlikely(area: float) -> float:
        variance = area * (1 - area) * (1 + halves * ((1 - area) / (2 - area) + area / (1 + area))) / (n_abnormal * n_normal)
        return (auroc - area) ** 2 - _Z_95**2 * variance

    low = _root(unlikely, inside=auroc, outside=0.0)
    return Interval(auroc, low, _root(unlikely, inside=auroc, outside=1.0), "newcombe")


def _root(function: Callable[[float], float], *, inside: float, outside: float) -> float:
    """Return where a function, not positive at ``inside``, becomes positive on the way to ``outside``, or else ``outside``; by bisection.

    Exact to the last bit, because cards are reproduced from their recordings; SciPy's root finders stop a few bits earlier.
    """
    if function(outside) <= 0:
        return outside
    for _ in range(60):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if function(middle) <= 0 else (inside, middle)
    return inside


def near_the_edge(value: float) -> bool:
    """Return whether a figure is so near to 0 or 1 that its interval comes from a formula."""
    return not NEAR_THE_EDGE < value < 1 - NEAR_THE_EDGE


def auroc_interval(
    labels: ArrayLike, scores: ArrayLike, groups: Sequence[str] | NDArray[np.generic], *, seed: int, n_resamples: int = N_RESAMPLES
) -> Interval:
    """Return the AUROC with its interval by bootstrap over groups or, near 0 and 1, by Newcombe's formula counted over groups.

    >>> auroc_interval([0, 0, 1, 1], [0.1, 0.2, 0.7, 0.9], ["a", "b", "c", "d"], seed=0).text()
    '1.000 (0.386 to 1.000)'
    """
    if np.shape(labels) != np.shape(groups):
        raise SignalError(f"{np.size(labels)} labels, but {np.size(groups)} groups")
    value = float(weighted_roc_auc(labels, scores, np.ones((1, np.size(labels))))[0])
    if near_the_edge(value):
        truth, patients = as_labels(labels), np.asarray(groups)
        return newcombe(value, n_abnormal=np.unique(patients[truth]).size, n_normal=np.unique(patients[~truth]).size)
    resampled = bootstrap(lambda weights: weighted_roc_auc(labels, scores, weights), groups, seed=seed, n_resamples=n_resamples)
    return percentile_interval(value, resampled)
