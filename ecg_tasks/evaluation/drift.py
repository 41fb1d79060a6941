"""Here: whether incoming records still look like those that a model was tested on: PSI, and a test that may be read every day.

Not here: what is measured, or where its history is kept (``pipeline.monitoring``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecg_tasks.errors import SignalError

ALPHA = 0.05
"""Probability of ever raising a false alarm in the whole life of a version, however often the test is read."""
MIN_SAMPLE = 100
"""Records in each sample below which PSI is not computed: it would be noise."""
PSI_BOUND = 0.2
"""Shifts from here on are called large (Siddiqi, Credit Risk Scorecards, 2006)."""
N_BINS = 10
JUMP_RATES = (1e-3, 1e-2, 1e-1)
"""Jump rates: how readily the betting strategy changes after each record; the capital is shared among the three."""
BETS = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""Bets: on large p-values, on small ones, and no bet."""
_Z_95 = NormalDist().inv_cdf(0.95)


@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """Distribution of one measure over the records that a model was tested on.

    Parameters
    ----------
    edges : ascending inner edges between the bins of a number; empty for a kind
    kinds : names of the bins of a kind, the most frequent first, the last for all other kinds; empty for a number
    counts : ndarray, shape (n_bins,), int64
    """

    edges: tuple[float, ...] = ()
    kinds: tuple[str, ...] = ()
    counts: NDArray[np.int64]

    @classmethod
    def of_numbers(cls, values: ArrayLike) -> "Reference":
        """Make ten bins, as equally filled as the values allow; missing values are left out."""
        known = np.asarray(values, dtype=np.float64)
        known = known[~np.isnan(known)]
        inner = np.unique(np.quantile(known, np.arange(1, N_BINS) / N_BINS)) if known.size else np.empty(0)
        edges = tuple(float(edge) for edge in inner)
        return cls(edges=edges, counts=np.bincount(np.searchsorted(inner, known, side="right"), minlength=len(edges) + 1))

    @classmethod
    def of_kinds(cls, counts: Mapping[str, int]) -> "Reference":
        """Make one bin for each kind, the most frequent first, and one for all other kinds."""
        kinds = sorted(counts, key=lambda kind: (-counts[kind], kind))
        return cls(kinds=(*kinds, OTHER), counts=np.array([*(counts[kind] for kind in kinds), 0], dtype=np.int64))

    @property
    def names(self) -> tuple[str, ...]:
        """The bins as a table names them."""
        if self.kinds:
            return self.kinds
        if not self.edges:
            return ("all",)
        between = [f"{low:.3g} to {high:.3g}" for low, high in zip(self.edges, self.edges[1:], strict=False)]
        return (f"below {self.edges[0]:.3g}", *between, f"{self.edges[-1]:.3g} and above")

    def bins(self, values: Sequence[Any] | NDArray[Any]) -> NDArray[np.int64]:
        """Return the bin of each value; missing numbers are left out."""
        if self.kinds:
            place = {kind: index for index, kind in enumerate(self.kinds)}
            return np.array([place.get(value, len(self.kinds) - 1) for value in values], dtype=np.int64)
        numbers = np.asarray(values, dtype=np.float64)
        return np.asarray(np.searchsorted(np.array(self.edges), numbers[~np.isnan(numbers)], side="right"), dtype=np.int64)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {"edges": list(self.edges), "kinds": list(self.kinds), "counts": self.counts.tolist()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Reference":
        """Read what ``as_dict`` returned."""
        return cls(edges=tuple(stored["edges"]), kinds=tuple(stored["kinds"]), counts=np.array(stored["counts"], dtype=np.int64))


OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class StabilityIndex:
    """The population stability index; nan below ``MIN_SAMPLE``. ``by_chance`` is its 95th percentile without a shift."""

    value: float
    by_chance: float

    @property
    def is_large(self) -> bool:
        """Whether the shift is large, and more than chance."""
        return self.value > max(PSI_BOUND, self.by_chance)


def population_stability(reference: ArrayLike, now: ArrayLike) -> StabilityIndex:
    """Return the PSI of two histograms over the same bins: the sum of (share now - share then) × ln(share now / share then).

    Half a record is added to every bin, so that an empty one does not make PSI infinite. Where nothing has changed, PSI is about
    (1/n + 1/m) times a chi-squared variable of n_bins - 1 degrees of freedom: with small samples 0.2 is not unusual.

    Parameters
    ----------
    reference, now : array_like, shape (n_bins,), counts

    References
    ----------
    Yurdakul and Naranjo, Statistical properties of the population stability index, J. Risk Model Validation 14(4), 2020.

    >>> population_stability([100, 100], [150, 50]).value.__round__(3)
    0.272
    """
    then, today = np.asarray(reference, dtype=np.float64), np.asarray(now, dtype=np.float64)
    if then.shape != today.shape:
        raise SignalError(f"the reference has {then.shape} bins, the sample {today.shape}")
    n, m = then.sum(), today.sum()
    if min(n, m) < MIN_SAMPLE:
        return StabilityIndex(value=np.nan, by_chance=np.nan)
    p, q = (then + 0.5) / (n + then.size / 2), (today + 0.5) / (m + today.size / 2)
    freedom = max(then.size - 1, 1)
    quantile = freedom * (1 - 2 / (9 * freedom) + _Z_95 * (2 / (9 * freedom)) ** 0.5) ** 3  # Wilson and Hilferty, 1931
    return StabilityIndex(value=float(((q - p) * np.log(q / p)).sum()), by_chance=float(quantile * (1 / n + 1 / m)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Martingale:
    """Test martingale: the capital of a betting strategy that starts with 1 and bets against "nothing has changed since the reference".

    If nothing has changed, the probability that the capital ever reaches 1/α is at most α (Ville's inequality). So it may be read
    after every record, for ever. Leading axes are independent streams.

    Parameters
    ----------
    seen : ndarray, shape (..., n_bins), records by bin so far, those of the reference included
    stakes : ndarray, shape (..., n_rates, n_bets), capital now, as the logarithm ``scale`` and shares that sum to 1
    scale : ndarray, shape (...), natural logarithm of the capital now
    peak : ndarray, shape (...), the highest ``scale`` ever
    """

    seen: NDArray[np.int64]
    stakes: NDArray[np.float64]
    scale: NDArray[np.float64]
    peak: NDArray[np.float64]

    @classmethod
    def start(cls, reference: ArrayLike) -> "Martingale":
        """Start before the first record; ``reference`` has shape (..., n_bins)."""
        seen = np.asarray(reference, dtype=np.int64)
        shape = (*seen.shape[:-1], len(JUMP_RATES), len(BETS))
        nothing = np.zeros(seen.shape[:-1])
        return cls(seen=seen, stakes=np.full(shape, 1 / (len(JUMP_RATES) * len(BETS))), scale=nothing, peak=nothing)

    def after(self, bins: NDArray[np.integer], ties: NDArray[np.floating]) -> "Martingale":
        """Return the state after more records, taken one by one.

        Parameters
        ----------
        bins : ndarray, shape (n, ...), the bin of each record
        ties : ndarray, shape (n, ...), uniform in (0, 1), independent of the records: the rank of a record among those of its bin

        References
        ----------
        Vovk, Petej, Nouretdinov, Ahlberg, Carlsson, Gammerman, Retrain or not retrain: conformal test martingales for change-point
        detection, COPA 2021, PMLR 152 (the Simple Jumper, and sharing the capital among jump rates); Vovk, Gammerman, Shafer,
        Algorithmic Learning in a Random World, 2nd ed., 2022, chapter 8 (p-values of exchangeable records are independent and uniform).
        """
        rates, bets = np.array(JUMP_RATES)[:, None], np.array(BETS)
        kept = 1 - rates
        order = np.arange(self.seen.shape[-1])
        bins = np.asarray(bins)[..., None]
        here = order == bins
        seen = self.seen + np.cumsum(here, axis=0)
        p = ((seen * (order > bins)).sum(axis=-1) + ties * (seen * here).sum(axis=-1)) / seen.sum(axis=-1)
        won = 1 + bets * (p[..., None, None] - 0.5)
        stakes, grown = self.stakes, np.empty(p.shape)
        for row, factor in enumerate(won):
            shared = np.add.reduce(stakes, axis=-1, keepdims=True) / len(BETS)  # NumPy's mean takes four times as long for so few
            stakes = (kept * stakes + rates * shared) * factor
            grown[row] = np.add.reduce(stakes, axis=(-2, -1))
            stakes = stakes / grown[row, ..., None, None]
        scales = np.add.accumulate(np.concatenate([np.asarray(self.scale)[None], np.log(grown)]))
        seen = seen[-1] if len(seen) else self.seen
        return Martingale(seen=seen, stakes=stakes, scale=scales[-1], peak=np.maximum(self.peak, scales.max(axis=0)))

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON of a single stream; the same numbers to the last bit when read again."""
        return {"seen": self.seen.tolist(), "stakes": self.stakes.tolist(), "scale": float(self.scale), "peak": float(self.peak)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Martingale":
        """Read what ``as_dict`` returned."""
        return cls(
            seen=np.array(stored["seen"], dtype=np.int64),
            stakes=np.array(stored["stakes"]),
            scale=np.array(stored["scale"]),
            peak=np.array(stored["peak"]),
        )


def joint_log_capital(scales: Sequence[float]) -> float:
    """Compute the log capital shared equally among several measures: the mean of martingales is a martingale, even of dependent ones.

    >>> round(float(np.exp(joint_log_capital([np.log(38.0), np.log(2.0)]))), 6)
    20.0
    """
    return float(np.logaddexp.reduce(np.asarray(scales, dtype=np.float64)) - np.log(len(scales)))
