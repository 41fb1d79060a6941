"""Here: a model's figures by sex, age, quality, device and site, and where they are worse. Not here: those of all records (``summary``)."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

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
MAX_VALUES = 10
"""Devices or sites that are groups by themselves, those with the most records; the others are one group."""
OTHERS = "others"
FAILING = ("auroc", "sensitivity")
"""Figures that are held against those of all test records."""


@dataclass(frozen=True, kw_only=True)
class Subgroup:
    """One group of the test records: ``attribute`` (sex, age, quality, device, site) with a ``value``, its size, and its figures.

    Those of a group that is too small, and figures that are not shown are left out of ``figures``.
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

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Read what ``as_dict`` returned."""
        plain = {name: stored[name] for name in ("attribute", "value", "n_records", "n_patients", "n_abnormal")}
        return cls(**plain, figures={name: Interval.from_dict(one) for name, one in stored["figures"].items()})


@dataclass(frozen=True, kw_only=True)
class Shortfall:
    """A figure of a group that lies below that of all test records.

    ``clear`` is whether its whole interval does. Of groups without any difference one in forty is clear by chance.
    """

    attribute: str
    value: str
    figure: str
    whole: float
    found: Interval

    @property
    def clear(self) -> bool:
        """Whether the interval of the group does not reach the figure of all records."""
        return self.found.high < self.whole


def shortfalls(whole: Mapping[str, Interval], groups: Sequence[Subgroup]) -> list[Shortfall]:
    """Return where groups have a lower AUROC or sensitivity than all test records together, the largest difference first."""
    found = [
        Shortfall(attribute=group.attribute, value=group.value, figure=name, whole=whole[name].value, found=group.figures[name])
        for group in groups
        for name in FAILING
        if name in group.figures and name in whole and group.figures[name].value < whole[name].value
    ]
    return sorted(found, key=lambda one: one.found.value - one.whole)


def are_enough(labels: NDArray[np.bool_], groups: NDArray[np.generic]) -> bool:
    """Return whether records are of so many patients, and of either class, that figures of them are shown.

    Parameters
    ----------
    labels, groups : True for abnormal, and the patient, of each record, shape (n_records,)
    """
    n_of_class = min(np.unique(groups[labels]).size, np.unique(groups[~labels]).size)
    return np.unique(groups).size >= MIN_PATIENTS and n_of_class >= MIN_PATIENTS_PER_CLASS


def evaluate_subgroups(
    labels: NDArray[np.bool_],
    probabilities: NDArray[np.float64],
    groups: NDArray[np.generic],
    *,
    sexes: Sequence[str | None],
    ages: NDArray[np.float64],
    quality: NDArray[np.float64],
    origins: Mapping[str, Sequence[str | None]],
    threshold: float,
    called: NDArray[np.bool_] | None = None,
    seed: int,
    n_resamples: int,
) -> list[Subgroup]:
    """Compute figures by sex, by age group, by thirds of signal quality, and by origin; groups without any record are left out.

    Parameters
    ----------
    labels, probabilities, groups, called : as in ``summary.evaluate``, shape (n_records,)
    sexes : ``female``, ``male`` or None, one a record
    ages : years, nan where not known, shape (n_records,)
    quality : mean quality of a record's windows, 0 to 1, shape (n_records,)
    origins : ``device`` and ``site`` to one text a record, None where not known; one that is known of no record makes no groups
    """
    found = []
    for attribute, value, inside in _groups(sexes, ages, quality, origins):
        figures: dict[str, Interval] = {}
        if are_enough(labels[inside], groups[inside]):
            whole = evaluate(
                labels[inside],
                probabilities[inside],
                groups[inside],
                threshold=threshold,
                called=None if called is None else called[inside],
                seed=seed,
                n_resamples=n_resamples,
            ).figures
            figures = {name: whole[name] for name in FIGURES}
        found.append(
            Subgroup(
                attribute=attribute,
                value=value,
                n_records=int(inside.sum()),
                n_patients=np.unique(groups[inside]).size,
                n_abnormal=int(labels[inside].sum()),
                figures=figures,
            )
        )
    return found


def _groups(
    sexes: Sequence[str | None], ages: NDArray[np.float64], quality: NDArray[np.float64], origins: Mapping[str, Sequence[str | None]]
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
    for attribute, values in origins.items():
        named += _by_origin(attribute, values)
    return (group for group in named if group[2].any())


def _by_origin(attribute: str, values: Sequence[str | None]) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Yield a group for each of the most frequent values, in the order of their names, then the others, and those not known."""
    counts = Counter(value for value in values if value)
    if not counts:
        return
    chosen = sorted(sorted(counts, key=lambda value: (-counts[value], value))[:MAX_VALUES])
    named = np.array([value or "" for value in values], dtype=object)
    yield from ((attribute, value, named == value) for value in chosen)
    yield attribute, OTHERS, ~np.isin(named, [*chosen, ""])
    yield attribute, UNKNOWN, named == ""
