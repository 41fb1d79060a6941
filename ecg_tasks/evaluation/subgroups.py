"""Here: a model's figures by sex, age and signal quality. Not here: the figures of all records together (``summary``)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.evaluation.intervals import Interval
from ecg_tasks.evaluation.summary import evaluate, plain_interval

MIN_PATIENTS = 10
"""A smaller group is counted, but its figures are not shown: they would be chance, and could reveal single people."""
MIN_PATIENTS_PER_CLASS = 3
"""Patients of each class that a figure comparing the classes needs."""
AGE_GROUPS = ((0, 40, "under 40"), (40, 65, "40 to 64"), (65, 1000, "65 and over"))
"""Years: from, to (not included), and what the group is called."""
FIGURES = ("auroc", "sensitivity", "specificity", "brier")
UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Subgroup:
    """One group of the test records: ``attribute`` (sex, age, quality) with a ``value``, its size, and its figures, if it is large enough.

    Figures that are not shown are left out of ``figures``.
    """

    attribute: str
    value: str
    n_records: int
    n_patients: int
    n_abnormal: int
    figures: dict[str, Interval] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers and texts for ``metrics.json``; a group whose figures are not shown says so."""
        return {
            "attribute": self.attribute,
            "value": self.value,
            "n_records": self.n_records,
            "n_patients": self.n_patients,
            "n_abnormal": self.n_abnormal,
            "suppressed": not self.figures,
            "figures": {name: plain_interval(interval) for name, interval in self.figures.items()},
        }


def evaluate_subgroups(
    labels: NDArray[np.bool_],
    probabilities: NDArray[np.float64],
    groups: NDArray[np.generic],
    *,
    sexes: Sequence[str | None],
    ages: NDArray[np.float64],
    quality: NDArray[np.float64],
    threshold: float,
    seed: int,
    n_resamples: int,
) -> list[Subgroup]:
    """Compute figures by sex, by age group, and by thirds of signal quality; groups without any record are left out.

    Parameters
    ----------
    labels, probabilities, groups : as in ``summary.evaluate``, shape (n_records,)
    sexes : ``female``, ``male`` or None, one a record
    ages : years, nan where not known, shape (n_records,)
    quality : mean quality of a record's windows, 0 to 1, shape (n_records,)
    """
    found = []
    for attribute, value, inside in _groups(sexes, ages, quality):
        patients = np.unique(groups[inside]).size
        of_class = min(np.unique(groups[inside & labels]).size, np.unique(groups[inside & ~labels]).size)
        figures: dict[str, Interval] = {}
        if patients >= MIN_PATIENTS and of_class >= MIN_PATIENTS_PER_CLASS:
            whole = evaluate(
                labels[inside], probabilities[inside], groups[inside], threshold=threshold, seed=seed, n_resamples=n_resamples
            ).figures
            figures = {name: whole[name] for name in FIGURES}
        found.append(
            Subgroup(
                attribute=attribute,
                value=value,
                n_records=int(inside.sum()),
                n_patients=patients,
                n_abnormal=int(labels[inside].sum()),
                figures=figures,
            )
        )
    return found


def _groups(
    sexes: Sequence[str | None], ages: NDArray[np.float64], quality: NDArray[np.float64]
) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    sex = np.array([one or UNKNOWN for one in sexes])
    named: list[tuple[str, str, NDArray[np.bool_]]] = [("sex", value, sex == value) for value in ("female", "male", UNKNOWN)]
    named += [("age", name, (ages >= low) & (ages < high)) for low, high, name in AGE_GROUPS]
    named.append(("age", UNKNOWN, np.isnan(ages)))
    low, high = np.quantile(quality, (1 / 3, 2 / 3))
    named += [
        ("quality", f"lowest third, to {low:.2f}", quality <= low),
        ("quality", "middle third", (quality > low) & (quality <= high)),
        ("quality", f"highest third, above {high:.2f}", quality > high),
    ]
    return (group for group in named if group[2].any())
