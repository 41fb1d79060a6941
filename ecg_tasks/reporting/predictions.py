"""Here: what a report asks of a run's table. Not here: the table (``archive.predictions``), or its columns (``report_columns``)."""

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.labels import ClassDecision, Decision
from ecg_tasks.report_columns import Query


class Predictions(Protocol):
    """One row a record, in the order of ``report_columns.ATTENTION``."""

    file: BinaryIO
    """The same as Parquet."""
    classes: tuple[str, ...]
    """What it reports beside normal and abnormal."""

    def __len__(self) -> int:
        """Count the records."""
        ...

    @property
    def decisions(self) -> dict[Decision, int]:
        """How many records got each decision; every decision is there."""
        ...

    @property
    def n_synthetic(self) -> int:
        """How many of the records were made by a program."""
        ...

    @property
    def n_by_model(self) -> dict[tuple[str, str], int]:
        """How many records each (recipe, version) decided on."""
        ...

    @property
    def n_by_class(self) -> dict[tuple[str, str, str], dict[ClassDecision, int]]:
        """How many records got each decision on a class, by (recipe, version, class); every decision is there."""
        ...

    def scores(self, recipe: str, version: str) -> Iterator[tuple[NDArray[np.object_], NDArray[np.float64]]]:
        """Yield decisions and probabilities (NaN for none) of the records that a model decided on, some thousand at a time."""
        ...

    def first(self, query: Query, limit: int) -> Sequence[dict[str, Any]]:
        """Return the first rows that pass, in the order asked for."""
        ...

    def parts(self) -> Iterator[dict[str, list[Any]]]:
        """Yield the columns of all rows, some thousand rows at a time."""
        ...
