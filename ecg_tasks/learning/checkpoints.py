"""Here: what a training must remember between two epochs, as bytes. Not here: where the bytes are kept (``Checkpoints`` is given)."""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Arrays = Sequence[NDArray[Any]]


class Checkpoints(Protocol):
    """The place where a training leaves its state after every epoch."""

    def load(self) -> tuple[int, bytes] | None:
        """The latest state and the epoch that it was left after, or None."""

    def save(self, epoch: int, data: bytes) -> None:
        """Keep the state after an epoch (the first is 1); older ones may go."""


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What one pass over the training set gave.

    ``loss`` is the weighted mean over the training windows; ``validation_loss`` (log loss) and ``validation_auroc`` count
    every validation record once.
    """

    epoch: int
    loss: float
    validation_loss: float
    validation_auroc: float


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingState:
    """Everything that the next epoch depends on; random numbers are drawn anew from the seed and the epoch.

    Parameters
    ----------
    job : digest of the parameters and the data, so that no training goes on with another's state
    history : one entry an epoch
    model : all variables of the model, the state of its random layers included
    optimizer : all variables of the optimizer
    best : weights of the model after the best epoch
    """

    job: str
    history: tuple[Epoch, ...]
    model: Arrays
    optimizer: Arrays
    best: Arrays

    def to_bytes(self) -> bytes:
        """An ``.npz`` file without pickles."""
        head = json.dumps({"job": self.job, "history": [asdict(epoch) for epoch in self.history]})
        groups = {"model": self.model, "optimizer": self.optimizer, "best": self.best}
        arrays = {f"{name}_{index}": array for name, group in groups.items() for index, array in enumerate(group)}
        buffer = io.BytesIO()
        np.savez(buffer, head=np.array(head), **arrays)  # type: ignore[arg-type]  # the stubs take **arrays for allow_pickle
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "TrainingState | None":
        """The inverse of ``to_bytes``; None where the bytes are no such state, so that training starts afresh."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                head = json.loads(str(file["head"]))
                groups: dict[str, list[NDArray[Any]]] = {"model": [], "optimizer": [], "best": []}
                for name in file.files:  # in the order they were written
                    if name != "head":
                        groups[name.rpartition("_")[0]].append(file[name])
            return cls(job=head["job"], history=tuple(Epoch(**epoch) for epoch in head["history"]), **groups)
        except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile):
            return None
