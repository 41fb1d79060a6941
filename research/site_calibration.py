"""Here: how many labelled records a site needs for a calibration and a threshold of its own. Not here: fitting them (``training.sites``).

``python -m research.site_calibration`` prints the table by which ``MIN_PATIENTS_OF_A_SITE`` was chosen. A site's log-odds differ from
those that the version was calibrated on by a shift (another prevalence) and by a slope (another device), so the truth is known exactly.
A thousand times so many labelled records of the site are drawn, and its own calibration and threshold are fitted on them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import NotEnoughDataError
from ecg_tasks.evaluation.calibration import fit_calibration, sigmoid
from ecg_tasks.evaluation.thresholds import threshold_for_sensitivity

SIZES = (20, 50, 100, 200, 400, 800)
SHIFTS = ((0.0, 1.0), (0.5, 1.0), (1.0, 1.0), (2.0, 1.0), (-1.0, 1.0), (0.0, 0.6), (1.0, 0.6))
"""Shift of the log-odds at the site, and their slope; the first is a site like all others."""
SENSITIVITY = 0.9
DRAWS = 1000
SEED = 20261129
_POPULATION = 20_000


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a site with so many labelled records gets, by the version's calibration (``pooled``) and by its own.

    Parameters
    ----------
    pooled_error, own_error : mean distance between the probability that is stated and the true one; ``own_error`` over all draws
    worse : share of draws in which its own calibration is farther from the truth
    pooled_sensitivity : of the version's threshold at the site, where 0.9 is asked for
    own_low, own_high : from the 5th to the 95th percentile of the draws, that of its own threshold
    """

    n: int
    shift: float
    slope: float
    pooled_error: float
    own_error: float
    worse: float
    pooled_sensitivity: float
    own_low: float
    own_high: float


def outcome(n: int, *, shift: float, slope: float, draws: int = DRAWS, seed: int = SEED) -> Outcome:
    """Simulate a site again and again; the same seed gives the same numbers."""
    rng = np.random.default_rng(seed)
    elsewhere = _log_odds(rng)
    pooled_threshold = threshold_for_sensitivity(sigmoid(elsewhere), sensitivity=SENSITIVITY)
    here = _log_odds(rng)
    stated, truth = sigmoid(here), sigmoid(slope * here + shift)
    pooled_error = float(np.abs(stated - truth).mean())
    errors: list[float] = []
    caught: list[float] = []
    while len(errors) < draws:
        chosen = rng.integers(len(here), size=n)
        try:
            own = fit_calibration(rng.random(n) < truth[chosen], stated[chosen])
        except NotEnoughDataError:
            continue  # of one class alone: such a site gets none
        p = own.apply(stated)
        errors.append(float(np.abs(p - truth).mean()))
        threshold = threshold_for_sensitivity(p[chosen], sensitivity=SENSITIVITY)
        caught.append(_sensitivity(truth, p >= threshold))
    low, high = np.percentile(caught, (5, 95))
    return Outcome(
        n=n,
        shift=shift,
        slope=slope,
        pooled_error=pooled_error,
        own_error=float(np.mean(errors)),
        worse=float(np.mean(np.array(errors) > pooled_error)),
        pooled_sensitivity=_sensitivity(truth, stated >= pooled_threshold),
        own_low=float(low),
        own_high=float(high),
    )


def table(sizes: tuple[int, ...] = SIZES, *, draws: int = DRAWS) -> list[str]:
    """Return the lines of the table, in Markdown."""
    lines = [
        "| shift | slope | records | error, pooled | error, own | own is worse | sensitivity, pooled | sensitivity, own (5th to 95th) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for shift, slope in SHIFTS:
        for n in sizes:
            one = outcome(n, shift=shift, slope=slope, draws=draws)
            figures = f"{one.pooled_error:.3f} | {one.own_error:.3f} | {one.worse:.0%} | {one.pooled_sensitivity:.2f}"
            lines.append(f"| {shift:+.1f} | {slope:.1f} | {n} | {figures} | {one.own_low:.2f} to {one.own_high:.2f} |")
    return lines


def _log_odds(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return calibrated log-odds as of a model with an AUROC of 0.9 where 40 % are abnormal, shape (20000,)."""
    apart = 1.81
    abnormal = rng.random(_POPULATION) < 0.4  # the share above
    return np.asarray(apart * rng.normal(np.where(abnormal, apart / 2, -apart / 2)) + np.log(0.4 / 0.6))


def _sensitivity(truth: NDArray[np.float64], called: NDArray[np.bool_]) -> float:
    return float(truth[called].sum() / truth.sum())


if __name__ == "__main__":
    print("\n".join(table()))
