"""Here: which classes a dataset teaches, and which records have them. Not here: what sources and reviewers say (``archive.labelling``)."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.evaluation.splits import Split
from ecg_tasks.labels import in_order
from ecg_tasks.learning.dataset import NOT_KNOWN

MIN_TRAINING_RECORDS = 20
"""Records to train on that have a class, and that have it not.

With so many there are about four records with it among those to calibrate and among those to test, the fewest of which a threshold or a
figure says anything. A class of fewer is not taught.
"""
TRAINED_ON = (Split.TRAIN, Split.VALIDATION)
"""Splits that networks learn from."""


class ClassRow(Protocol):
    """What is known of a record: names of the classes that it has, and of those that it has not, with blanks between."""

    @property
    def split(self) -> Split:
        """Where its patient is."""

    @property
    def has(self) -> str:
        """Classes that it has."""

    @property
    def lacks(self) -> str:
        """Classes that it has not."""


def class_names(rows: Sequence[ClassRow]) -> tuple[str, ...]:
    """Return the classes that a dataset of these rows teaches, in the order of `labels.in_order`: those of enough records."""
    trained_on = [row for row in rows if row.split in TRAINED_ON]
    having = _counts([row.has for row in trained_on])
    lacking = _counts([row.lacks for row in trained_on])
    return in_order(name for name, n in having.items() if min(n, lacking.get(name, 0)) >= MIN_TRAINING_RECORDS)


def class_matrix(rows: Sequence[ClassRow], names: Sequence[str]) -> NDArray[np.uint8]:
    """Return 1 where a record has a class, 0 where it has not, and ``NOT_KNOWN`` elsewhere, shape (n_records, n_classes).

    Parameters
    ----------
    names : of the classes, by `class_names` of all rows of the dataset
    """
    place = {name: column for column, name in enumerate(names)}
    matrix = np.full((len(rows), len(names)), NOT_KNOWN, np.uint8)
    for number, row in enumerate(rows):
        for value, text in ((1, row.has), (0, row.lacks)):
            matrix[number, [place[name] for name in text.split() if name in place]] = value
    return matrix


def _counts(texts: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for text in texts:
        for name in text.split():
            found[name] = found.get(name, 0) + 1
    return found
