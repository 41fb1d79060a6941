"""Here: the ages that a version was shown in training. Not here: telling it of a record (``champions.versions``)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

MIN_BEYOND = 10
"""Training patients that must be as old as either end of the range, or beyond it: a single child among adults shows a version nothing."""


@dataclass(frozen=True, kw_only=True)
class AgeRange:
    """Years from ``low`` to ``high``, both included; the ages of ``n_patients`` training patients were known."""

    low: float
    high: float
    n_patients: int

    def holds(self, age: float | None) -> bool:
        """Return whether the version was shown people of this age; of an age that is not known nothing is said against it.

        >>> adults = AgeRange(low=18, high=90, n_patients=400)
        >>> [adults.holds(age) for age in (7.0, 18.0, None)]
        [False, True, True]
        """
        return age is None or bool(np.isnan(age)) or self.low <= age <= self.high

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Read what ``as_dict`` returned."""
        return cls(low=float(stored["low"]), high=float(stored["high"]), n_patients=int(stored["n_patients"]))


def ages_shown(ages: NDArray[np.floating], patients: Sequence[str]) -> AgeRange | None:
    """Return the range beyond whose ends there are fewer than `MIN_BEYOND` patients; None where too few ages are known.

    Parameters
    ----------
    ages : ndarray, shape (n_records,), years, nan where not known
    patients : one a record; of several records of a patient the first with an age counts
    """
    first: dict[str, float] = {}
    for age, patient in zip(ages.tolist(), patients, strict=True):
        if not np.isnan(age):
            first.setdefault(patient, age)
    known = sorted(first.values())
    if len(known) < 2 * MIN_BEYOND:
        return None
    return AgeRange(low=float(np.floor(known[MIN_BEYOND - 1])), high=float(np.ceil(known[-MIN_BEYOND])), n_patients=len(known))
